"""The run directory: written so that a broken run leaves a readable part that says so.

Every file is written under a temporary name and renamed when it is whole. ``summary.json``
stands from the first moment with ``complete`` false and is replaced at the end.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from twin.clock import DAY_MS, format_time_of_day
from twin.errors import InputProblems, Problem
from twin.record.exchange import Inventory, Outcome
from twin.record.history import REPORT, History
from twin.record.monitor import DEVICE_KINDS, listed_kinds
from twin.record.orders import Order

__all__ = ["SUMMARY_KEYS", "RunDirectory", "plain", "timeseries"]

# What a complete summary holds (DESIGN: run directory), in file order.
SUMMARY_KEYS = (
    "scenario",
    "scenario_hash",
    "seed",
    "versions",
    "carrier",
    "complete",
    "wall_s",
    "realtime_factor",
    "peak_rss_mib",
    "max_load_mw",
    "sites",
    "devices",
    "connected_mw",
    "adjustable_mw",
    "buses",
    "branches",
    "load_flows",
    "verdicts",
    "figures",
    "warnings",
)

_FILES = (
    "summary.json", "report.html", "orders.parquet", "settlement.csv", "scenario.toml",
    "orders.jsonl", "writes.parquet", "devices.parquet", "emissions.csv", "emissions.parquet",
    "bench.json", "bench.parquet", "bench_orders.parquet", "bench_power.parquet", "source.parquet",
)  # fmt: skip
_SETTLEMENT = (
    "order", "aggregator", "site", "hours", "ordered_kwh", "delivered_kwh", "delivered_share",
    "valid_share", "baseline", "price_cny_kwh", "paid_cny", "penalty_cny",
)  # fmt: skip


class RunDirectory:
    """One run's directory.

    Parameters
    ----------
    path : made with its parents; an earlier run in it is removed, file by file
    scenario_toml : the scenario as run, complete with defaults
    summary : what is known before the run (scenario, hash, seed, versions, carrier, ...)

    Raises
    ------
    InputProblems
        where `path` is a file, or holds something that is no run.
    """

    def __init__(self, path: Path, scenario_toml: str, summary: Mapping[str, object]) -> None:
        self.path = path
        self.begun = dict(summary)
        _clear(path)
        self._summary({**self.begun, "complete": False, "reason": "the run has not finished"})
        self._write("scenario.toml", lambda to: to.write_text(scenario_toml, encoding="utf-8"))

    # -- the parts -------------------------------------------------------------------------

    def write_timeseries(self, runs: Mapping[str, History], inventory: Inventory) -> None:
        """Write city, district and kind by minute; column ``run`` holds the key of `runs`.

        A run may be shorter than the others; what it has is written.
        """
        (self.path / "timeseries").mkdir(exist_ok=True)
        for name, table in timeseries(runs, inventory).items():
            self._parquet(f"timeseries/{name}.parquet", table)

    def write_orders(
        self, orders: Sequence[Order], final: History | None, inventory: Inventory
    ) -> None:
        """Write every order, then every write of the command log in its order."""
        parts = [_orders(orders)]
        commands = {} if final is None else final.events("commands")
        if commands:
            parts.append(_writes(commands, inventory))
        table = pa.concat_tables(parts, promote_options="permissive")
        self._parquet("orders.parquet", table)

    def write_settlement(self, final: History) -> None:
        """Write what the logic settled, by aggregator and site; columns as it named them."""
        rows = final.settlement
        names = list(dict.fromkeys(k for row in rows for k in row)) or list(_SETTLEMENT)

        def write(to: Path) -> None:
            with to.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, names, lineterminator="\n")
                writer.writeheader()
                writer.writerows({k: plain(v) for k, v in row.items()} for row in rows)

        self._write("settlement.csv", write)

    def write_reports(self, final: History) -> None:
        """Write every table that the logic reported, as ``reports/<name>.parquet``."""
        for name in final.event_names():
            if name.startswith(REPORT):
                (self.path / "reports").mkdir(exist_ok=True)
                table = pa.table({k: pa.array(v) for k, v in final.events(name).items()})
                self._parquet(f"reports/{name.removeprefix(REPORT)}.parquet", table)

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write a table that only some runs have, as parquet."""
        self._parquet(name, table)

    def write_csv(self, name: str, table: pa.Table) -> None:
        """Write a table as CSV for others to read."""
        self._write(name, lambda to: pa.csv.write_csv(table, str(to)))

    def finish(self, summary: Mapping[str, object]) -> None:
        """Write the summary as complete; the last thing a run does.

        Raises ValueError where a key of `SUMMARY_KEYS` is missing.
        """
        whole = {**self.begun, **summary, "complete": True}
        missing = [k for k in SUMMARY_KEYS if k not in whole]
        if missing:
            raise ValueError(f"summary without {', '.join(missing)}")
        rest = [k for k in whole if k not in SUMMARY_KEYS]
        self._summary({k: whole[k] for k in (*SUMMARY_KEYS, *rest)})

    def keep_part(
        self, reason: str, runs: Mapping[str, History], inventory: Inventory | None
    ) -> None:
        """Keep what there is of a run that broke off or was interrupted, and say so."""
        part = {**self.begun, "complete": False, "reason": reason}
        held = {k: h for k, h in runs.items() if h.filled > 0}
        part["minutes"] = {k: h.filled for k, h in runs.items()}
        self._summary(part)
        if inventory is not None and held:
            self.write_timeseries(held, inventory)

    # -- writing ---------------------------------------------------------------------------

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        target = self.path / name
        partial = target.with_name(target.name + ".part")
        write(partial)
        partial.replace(target)

    def _parquet(self, name: str, table: pa.Table) -> None:
        self._write(name, lambda to: pq.write_table(table, to, compression="zstd"))

    def _summary(self, summary: Mapping[str, object]) -> None:
        text = json.dumps(plain(summary), indent=1, ensure_ascii=False, allow_nan=False)
        self._write("summary.json", lambda to: to.write_text(text + "\n", encoding="utf-8"))


def _clear(path: Path) -> None:
    """Make `path` an empty run directory, touching nothing that is not a run's."""
    if path.exists() and not path.is_dir():
        allowed = "a directory, or a name that is free"
        raise InputProblems([Problem("--out", str(path), "is a file", allowed)])
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()) and not (path / "summary.json").exists():
        allowed = "an empty directory, or one of an earlier run"
        raise InputProblems([Problem("--out", str(path), "holds files that are no run", allowed)])
    folders = [path / name for name in ("timeseries", "reports")]
    tables = [table for folder in folders for table in sorted(folder.glob("*.parquet"))]
    for old in [*(path / n for n in _FILES), *tables]:
        old.unlink(missing_ok=True)
    for partial in [p for folder in (path, *folders) for p in folder.glob("*.part")]:
        partial.unlink()


def plain(value: object) -> object:
    """Return `value` as JSON knows it: arrays as lists, NaN and infinity as None."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Sequence):
        return [plain(v) for v in value]
    return str(value)


# -- tables ----------------------------------------------------------------------------------


def timeseries(runs: Mapping[str, History], inventory: Inventory) -> dict[str, pa.Table]:
    """Return city, district and kind by minute; column ``run`` holds the key of `runs`."""
    found = {}
    for name, build in (("city", _city), ("district", _district), ("kind", _kind)):
        parts = [build(run, history, inventory) for run, history in runs.items()]
        held = [part for part in parts if part is not None]
        if held:
            # A run without orders believes nothing: its columns are filled with nulls.
            found[name] = pa.concat_tables(held, promote_options="default")
    return found


def _named(name: str, n: int) -> pa.Array:
    """Return `name` n times, as a dictionary column."""
    return pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array([name]))


def _clock(history: History) -> dict[str, pa.Array]:
    now_ms = history.time_ms()
    return {
        "now_ms": pa.array(now_ms),
        "time": pa.array([format_time_of_day(int(t) % DAY_MS) for t in now_ms]),
    }


def _city(run: str, history: History, inventory: Inventory) -> pa.Table:
    columns = {"run": _named(run, history.filled), **_clock(history)}
    for name in history.scalars:
        columns[name] = pa.array(history.series(name))
    for name in sorted(history.figures):
        columns[f"believed_{name}"] = pa.array(history.figures[name][: history.filled])
    return pa.table(columns)


def _by_name(
    run: str, history: History, names: Sequence[str], label: str, tables: Mapping[str, str]
) -> pa.Table | None:
    """Return one row a minute and name, minutes outermost."""
    n, width = history.filled, len(names)
    held = {column: table for column, table in tables.items() if table in history.tables}
    if not held:
        return None
    columns: dict[str, pa.Array] = {
        "run": _named(run, n * width),
        "now_ms": pa.array(np.repeat(history.time_ms(), width)),
        label: pa.DictionaryArray.from_arrays(
            np.tile(np.arange(width, dtype=np.int32), n), pa.array(list(names), pa.string())
        ),
    }
    for column, table in held.items():
        columns[column] = pa.array(np.asarray(history.table(table, 0, n)).ravel())
    return pa.table(columns)


def _district(run: str, history: History, inventory: Inventory) -> pa.Table | None:
    tables = {"load_mw": "district.load_mw", "factor_kg_kwh": "district.factor"}
    return _by_name(run, history, inventory.districts, "district", tables)


def _kind(run: str, history: History, inventory: Inventory) -> pa.Table | None:
    tables = {"power_mw": "kind.power_mw", "enrolled_power_mw": "kind.enrolled_power_mw"}
    if "kind.power_mw" not in history.tables:
        return None
    kinds = listed_kinds(inventory, history.tables["kind.power_mw"][0])
    return _by_name(run, history, kinds, "kind", tables)


def _orders(orders: Sequence[Order]) -> pa.Table:
    rows = [
        {
            "record": "order",
            "now_ms": o.notice_ms,
            "order": o.id,
            "revision": o.revision,
            "order_kind": str(o.kind),
            "form": str(o.form),
            "mw": o.mw,
            "level": o.level,
            "start_ms": o.start_ms,
            "full_by_ms": o.full_by_ms,
            "end_ms": o.end_ms,
            "warning_min": o.warning_min,
        }
        for o in orders
    ]
    schema = pa.schema({
        "record": pa.dictionary(pa.int32(), pa.string()), "now_ms": pa.int64(),
        "order": pa.string(), "revision": pa.int64(), "order_kind": pa.string(),
        "form": pa.string(), "mw": pa.float64(), "level": pa.int64(), "start_ms": pa.int64(),
        "full_by_ms": pa.int64(), "end_ms": pa.int64(), "warning_min": pa.float64(),
    })  # fmt: skip
    return pa.Table.from_pylist(rows, schema)


def _writes(commands: Mapping[str, NDArray[np.generic]], inventory: Inventory) -> pa.Table:
    """Return the command log: one row a device, numbered within its moment."""
    n = len(commands["now_ms"])
    kind = np.asarray(commands["kind"], np.int32)
    point = np.asarray(commands["point"], np.int32)
    # One name for each (kind, point) that can be written.
    names, first = ["?"], np.zeros(len(DEVICE_KINDS) + 1, np.int32)
    for i, kind_name in enumerate(DEVICE_KINDS):
        first[i] = len(names)
        if kind_name in inventory.kinds:
            names += [p.name for p in inventory.kinds[kind_name].setpoints]
    first[-1] = len(names)
    known = first[kind] + point < first[kind + 1]
    index = np.where(known, first[kind] + point, 0).astype(np.int32)
    columns = {
        "record": _named("write", n),
        "now_ms": pa.array(np.asarray(commands["now_ms"], np.int64)),
        "kind": pa.DictionaryArray.from_arrays(kind, pa.array(list(DEVICE_KINDS))),
        "point": pa.DictionaryArray.from_arrays(index, pa.array(names)),
        "row": pa.array(np.asarray(commands["row"], np.int32)),
        "value": pa.array(np.asarray(commands["value"], np.float64)),
        "outcome": pa.DictionaryArray.from_arrays(
            np.asarray(commands["outcome"], np.int32),
            pa.array([o.name.lower() for o in Outcome]),
        ),
    }
    if "number" in commands:
        columns["number"] = pa.array(np.asarray(commands["number"], np.int64))
    return pa.table(columns)
