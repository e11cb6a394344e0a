"""The part of a scenario on orderly use (有序用电): an own table of measures, an earlier ledger."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from twin.city.own_files import open_csv
from twin.control.load_management.measures import default_rules, rules_of
from twin.errors import InputProblems, Problem
from twin.record.exchange import Calendar
from twin.record.load_rules import LEVEL_NAMES, LoadRules
from twin.record.orders import Order, OrderKind
from twin.scenario.fields import FileName, NotNegative, Section, Share

FlexibleKind = Literal[
    "storage", "aircon", "icestore", "charging", "swap", "industry", "hydrogen", "shorepower",
]  # fmt: skip
Percent = Annotated[float, Field(strict=True, gt=0, le=100)]
Level = Annotated[int, Field(strict=True, ge=1, le=4)]
Round = Annotated[int, Field(strict=True, ge=1, le=4)]
LEDGER_COLUMNS = ("site", "cut_kwh")
LEDGER_REST = ("now_ms", "order")


class LoadManagementSection(Section):
    """Rules of load management; by default those that ship, and a clean ledger."""

    measures: FileName | None = Field(
        default=None,
        description="TOML table of levels, measures in order and switching times, relative to "
        "the scenario file; default: 错峰, 避峰, 限电, 拉闸 as shipped",
    )
    ledger: FileName | None = Field(
        default=None,
        description="energy cut from each site under earlier orders, relative to the scenario "
        "file: an earlier run's reports/ledger.parquet, or a CSV with columns site and cut_kwh",
    )


class _Measure(Section):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=24)
    title: str = Field(min_length=1)
    title_zh: str = Field(min_length=1)
    level: Level
    kinds: tuple[FlexibleKind, ...] = ()
    rounds: tuple[Round, ...] = ()
    enrolled: bool = False
    restricted_first: bool = False

    @model_validator(mode="after")
    def _means(self) -> Self:
        if not (self.kinds or self.rounds or self.enrolled):
            raise ValueError("a measure uses kinds, rounds or enrolled circuits")
        return self


class _Switching(Section):
    min_off_min: NotNegative
    min_on_min: NotNegative
    most_off_min: NotNegative

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.most_off_min < self.min_off_min:
            raise ValueError(f"most_off_min must not be below min_off_min = {self.min_off_min:g}")
        return self


class _Fairness(Section):
    district_spread: Share
    ledger_weight_per_h: NotNegative = default_rules().ledger_weight_per_h


class _Table(Section):
    level_pct: Annotated[tuple[Percent, Percent, Percent], Field(strict=False)]
    measure: Annotated[tuple[_Measure, ...], Field(min_length=1)]
    switching: _Switching
    fairness: _Fairness

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        wrong = []
        if not self.level_pct[0] > self.level_pct[1] > self.level_pct[2]:
            wrong.append("level_pct must fall from level I to level III")
        for what in ("name", "kinds", "rounds"):
            given = [getattr(row, what) for row in self.measure]
            flat = given if what == "name" else [value for row in given for value in row]
            twice = sorted({str(value) for value in flat if flat.count(value) > 1})
            wrong += [f"measure.{what}: {value} stands twice" for value in twice]
        if sum(row.enrolled for row in self.measure) > 1:
            wrong.append("measure.enrolled: one measure opens the circuits of enrolled devices")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def read_measures(path: Path) -> LoadRules:
    """Return the rules in a user's table, keys as in ``control/load_management/measures.toml``.

    Raises InputProblems with everything wrong in it.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputProblems([Problem(str(path), "file", str(error), "readable TOML")]) from error
    try:
        checked = _Table.model_validate(table)
    except ValidationError as error:
        raise InputProblems(list(_problems(path, error))) from error
    return rules_of(checked.model_dump())


def _problems(path: Path, error: ValidationError) -> Iterator[Problem]:
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"]) or "table"
        message = item["msg"].removeprefix("Value error, ")
        given: Any = item["input"]
        for rule in message.split("; "):
            if item["type"] == "missing":
                yield Problem(str(path), place, "missing", "a value")
            elif item["type"] == "extra_forbidden":
                yield Problem(str(path), place, f"unknown key (= {given!r})", "a known key")
            else:
                shown = "does not fit together" if isinstance(given, dict) else repr(given)
                yield Problem(str(path), place, shown, rule)


def read_ledger(path: Path, sites: int | None) -> NDArray[np.float64]:
    """Return float64[sites], what each site gave under earlier orders [kWh]; silent ones 0.

    Of several entries of a site in a parquet file the last by time holds, as runs write it.

    Parameters
    ----------
    sites : their number; None where it is not known, as long as other files are wrong

    Raises InputProblems with everything wrong in the file.
    """
    parquet = path.suffix == ".parquet"
    lines, site, kwh = _parquet_rows(path) if parquet else _csv_rows(path)
    found: list[Problem] = []
    top = np.inf if sites is None else sites - 1
    allowed = "a site's number from 0" + ("" if sites is None else f" to {sites - 1}")
    whole = np.isfinite(site) & (site == np.floor(site))
    for i in np.flatnonzero(~(whole & (site >= 0) & (site <= top))):
        found.append(Problem(str(path), f"{lines[i]}, site", f"{site[i]:g}", allowed))
    for i in np.flatnonzero(~(np.isfinite(kwh) & (kwh >= 0.0))):
        found.append(Problem(str(path), f"{lines[i]}, cut_kwh", f"{kwh[i]:g}", "kWh, 0 or more"))
    first = np.unique(site, return_index=True)[1]
    for i in [] if parquet else np.setdiff1d(np.arange(len(site)), first):
        found.append(Problem(str(path), f"{lines[i]}, site", f"{site[i]:g}", "each site once"))
    if found:
        raise InputProblems(found)
    width = int(site.max(initial=-1)) + 1 if sites is None else sites
    ledger = np.zeros(width)
    ledger[site.astype(np.int64)] = kwh  # the last row of a site stays
    return ledger


def _csv_rows(path: Path) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    own = open_csv(path, LEDGER_COLUMNS, LEDGER_REST)
    columns = []
    for name in LEDGER_COLUMNS:
        values = []
        for row, line in zip(own.rows, own.lines, strict=True):
            text = (row[name] or "").strip()
            try:
                values.append(float(text))
            except ValueError:
                own.add(f"line {line}, {name}", text or "empty", "a number")
                values.append(0.0)
        columns.append(np.array(values))
    own.finish()
    return [f"line {line}" for line in own.lines], columns[0], columns[1]


def _parquet_rows(path: Path) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    columns = ["now_ms", *LEDGER_COLUMNS]
    try:
        table = pq.read_table(path, columns=columns).sort_by("now_ms")
        site, kwh = (table[name].to_numpy().astype(np.float64) for name in LEDGER_COLUMNS)
    except (OSError, pa.ArrowInvalid, pa.ArrowKeyError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        allowed = f"parquet with columns {', '.join(columns)}"
        raise InputProblems([Problem(str(path), "file", reason, allowed)]) from error
    return [f"row {i}" for i in range(len(site))], site, kwh


def load_rules(section: LoadManagementSection, folder: Path, sites: int | None) -> LoadRules | None:
    """Return what the logic gets, None where the shipped rules hold and nobody was cut before.

    Parameters
    ----------
    folder : of the scenario file
    sites : number of sites, None where it is not known

    Raises InputProblems with everything wrong in both files.
    """
    if section.measures is None and section.ledger is None:
        return None
    found: list[Problem] = []
    rules, ledger = default_rules(), None
    try:
        rules = rules if section.measures is None else read_measures(folder / section.measures)
    except InputProblems as error:
        found.extend(error.problems)
    try:
        ledger = None if section.ledger is None else read_ledger(folder / section.ledger, sites)
    except InputProblems as error:
        found.extend(error.problems)
    if found:
        raise InputProblems(found)
    return replace(rules, ledger_kwh=ledger)


def level_notes(orders: Sequence[Order], calendar: Calendar, max_load_mw: float) -> list[str]:
    """Return a note on each order whose stated warning level is not that of its gap.

    The stated level is the dispatcher's and holds: a province may call one for all its cities.
    """
    rules = default_rules() if calendar.load_rules is None else calendar.load_rules
    notes = []
    for order in orders:
        if order.kind is not OrderKind.LOAD_MANAGEMENT or order.level not in LEVEL_NAMES:
            continue
        gap_mw = rules.gap_mw(order, calendar.typical_load_mw)
        level = rules.level_of(gap_mw, max_load_mw)
        if level != order.level:
            share = 100.0 * gap_mw / max_load_mw
            notes.append(
                f"order {order.id}: stated level {LEVEL_NAMES[order.level]} holds; its gap of "
                f"{gap_mw:,.0f} MW ({share:.1f} %) is one of level {LEVEL_NAMES[level]}"
            )
    return notes
