"""CO2 of a run: what the orders did to it, and the export for the city's carbon platform.

The city's emissions are those of its imports and plants (`twin.grid.carbon`). Two figures say
what an order did: the difference of the two runs' totals, with the imports at their average
factor, and the import that the order spared times the factor of what gives way for it
(`marginal_kg_kwh`). They answer two questions and differ widely; neither stands for the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from twin.clock import local_time
from twin.grid.carbon import marginal_kg_kwh
from twin.record.history import History
from twin.results.store import RunDirectory
from twin.verify import Evidence

__all__ = ["emission_figures", "emission_rows", "write_emissions"]

QUARTER_MIN = 15
_MINUTES_PER_HOUR = 60.0
Floats: TypeAlias = NDArray[np.float64]


def emission_figures(
    undisturbed: History, final: History, evidences: Sequence[Evidence] = ()
) -> dict[str, object]:
    """Return CO2 of both days [t], and what the orders together and each of them spared.

    Empty where a run has no load flow. ``kg_kwh`` is CO2 over energy sent out.
    """
    days = {"undisturbed": _day(undisturbed), "ordered": _day(final)}
    if any(not day for day in days.values()):
        return {}
    return {
        **{f"{name}_{what}": value for name, day in days.items() for what, value in day.items()},
        "all_orders": spared(undisturbed, final),
        "by_order": {e.order.id: spared(e.counterfactual, e.run) for e in evidences},
    }


def spared(base: History, run: History) -> dict[str, float | None]:
    """Return what `run` spared against `base`; None where nothing can be compared.

    ``average_t`` difference of the two runs' totals, ``marginal_t`` spared import at the
    marginal factor (both negative where there is more), ``import_mwh`` the spared import.
    """
    n = min(base.filled, run.filled)
    emission = base.series("emission_t_h", 0, n) - run.series("emission_t_h", 0, n)
    less_mw = base.series("import_mw", 0, n) - run.series("import_mw", 0, n)
    known = np.isfinite(emission) & np.isfinite(less_mw)
    if not known.any():
        return {"average_t": None, "marginal_t": None, "import_mwh": None}
    margin = marginal_kg_kwh(base.time_ms()[:n])
    return {
        "average_t": float(emission[known].sum()) / _MINUTES_PER_HOUR,
        "marginal_t": float((less_mw * margin)[known].sum()) / _MINUTES_PER_HOUR,
        "import_mwh": float(less_mw[known].sum()) / _MINUTES_PER_HOUR,
    }


def _day(run: History) -> dict[str, float]:
    """Return CO2 [t], of it the losses' [t], and CO2 over energy sent out [kg/kWh]."""
    if "emission_t_h" not in run.scalars:
        return {}
    burnt, lost = run.series("emission_t_h"), run.series("emission_loss_t_h")
    sent_mw = run.series("import_mw") + run.series("plant_mw")
    known = np.isfinite(burnt) & np.isfinite(sent_mw)
    if not known.any():
        return {}
    total, mwh = float(burnt[known].sum()), float(sent_mw[known].sum())
    return {
        "t": total / _MINUTES_PER_HOUR,
        "losses_t": float(np.nansum(lost)) / _MINUTES_PER_HOUR,
        "kg_kwh": total / mwh if mwh > 0.0 else float("nan"),
    }


def emission_rows(
    run: str, history: History, day: date, names: Mapping[str, Sequence[str]]
) -> pa.Table:
    """Return one row a quarter of an hour and district, quarters outermost.

    Parameters
    ----------
    run : what to call it
    day : date of the scenario
    names : ``zh`` and ``en`` names of the districts

    Columns: ``interval_start`` (local time with its offset), ``district_zh``, ``district_en``,
    ``load_mwh``, ``factor_kg_kwh``, ``emissions_t``, ``run``. The factor is that of the middle
    of the quarter; null where no load flow was solved. A quarter that the run cuts short holds
    what there is of it.
    """
    n, width = history.filled, len(names["zh"])
    load = np.asarray(history.table("district.load_mw", 0, n), np.float64)
    factor = np.asarray(history.table("district.factor", 0, n), np.float64)
    solved = np.isfinite(history.series("emission_t_h"))
    quarter = (history.time_ms() // 60_000) // QUARTER_MIN
    first = np.flatnonzero(np.diff(quarter, prepend=-(10**9)))
    last = np.append(first[1:], n) - 1
    if len(first) == 0:
        last = first
    load_mwh = np.add.reduceat(load, first, axis=0) / _MINUTES_PER_HOUR if n > 0 else load[:0]
    taken = np.where(solved[last][:, None], factor[last], np.nan)
    start = [local_time(day, int(t) * QUARTER_MIN * 60_000).isoformat() for t in quarter[first]]
    columns = {
        "interval_start": pa.array(np.repeat(np.array(start, np.str_), width)),
        "district_zh": pa.array(list(names["zh"]) * len(first), pa.string()),
        "district_en": pa.array(list(names["en"]) * len(first), pa.string()),
        "load_mwh": pa.array(load_mwh.ravel()),
        "factor_kg_kwh": pa.array(taken.ravel(), from_pandas=True),
        "emissions_t": pa.array((load_mwh * taken).ravel(), from_pandas=True),
        "run": pa.array([run] * (width * len(first)), pa.string()),
    }
    return pa.table(columns)


def write_emissions(
    store: RunDirectory,
    runs: Mapping[str, History],
    day: date,
    names: Mapping[str, Sequence[str]],
) -> None:
    """Write ``emissions.csv`` and ``emissions.parquet`` for the city's carbon platform."""
    table = pa.concat_tables([emission_rows(k, history, day, names) for k, history in runs.items()])
    store.write_table("emissions.parquet", table)
    store.write_csv("emissions.csv", table)
