"""The order of measures that a load-management order goes by.

The shipped table is ``measures.toml``; a scenario may bring another one, which arrives through
`Calendar.load_rules`. Which circuits and kinds a level may use follows from the table alone.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.record.load_rules import LoadRules, Measure, Switching

BARRED = 1_000  # step of what no measure may use at this level


def rules_of(table: Mapping[str, Any]) -> LoadRules:
    """Return the rules in a table with the keys of ``measures.toml``; it was checked before."""
    rows = [
        {**row, "kinds": tuple(row.get("kinds", ())), "rounds": tuple(row.get("rounds", ()))}
        for row in table["measure"]
    ]
    first, second, third = table["level_pct"]
    return LoadRules(
        (float(first), float(second), float(third)),
        tuple(Measure(**row) for row in rows),
        Switching(**{name: float(value) for name, value in table["switching"].items()}),
        float(table["fairness"]["district_spread"]),
        float(table["fairness"]["ledger_weight_per_h"]),
    )


@cache
def default_rules() -> LoadRules:
    """Return the shipped rules."""
    text = (
        files("twin.control.load_management").joinpath("measures.toml").read_text(encoding="utf-8")
    )
    return rules_of(tomllib.loads(text))


def steps_of_circuits(
    rules: LoadRules, level: int, late: NDArray[np.bool_], restricted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return int64[circuits, n]: in which step each circuit may be opened, `BARRED` for never.

    Parameters
    ----------
    level : warning level of the order
    late : bool[circuits, n]  enrolled devices stand behind it
    restricted : bool[n]  registered restricted customers
    """
    steps = np.full(late.shape, BARRED, np.int64)
    for place, measure in enumerate(rules.measures):
        if level > measure.level:
            continue
        for number in measure.rounds:
            if number <= len(steps):
                row = steps[number - 1]
                row[~late[number - 1]] = np.minimum(row, 2 * place + 1)[~late[number - 1]]
        if measure.enrolled:
            steps[late] = np.minimum(steps, 2 * place + 1)[late]
        if measure.restricted_first:
            mine = (steps == 2 * place + 1) & restricted
            steps[mine] = 2 * place
    return steps


def measure_of(step: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the measure that a step belongs to; -1 where barred."""
    return np.where(step >= BARRED, -1, step // 2)


def kinds_needed(
    rules: LoadRules, level: int, able_kw: Mapping[str, float], asked_kw: float
) -> frozenset[str]:
    """Return the flexible kinds to use: measure by measure until `asked_kw` can be given.

    Parameters
    ----------
    able_kw : what each kind is counted on for
    """
    chosen: set[str] = set()
    for measure in rules.measures:
        if level > measure.level or not measure.kinds:
            continue
        if sum(able_kw.get(kind, 0.0) for kind in chosen) >= asked_kw:
            break
        chosen |= set(measure.kinds)
    return frozenset(chosen)
