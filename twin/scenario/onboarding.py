"""From a scenario's ``[[onboarding]]`` to the registered moments of each device's steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from twin.chance import generator
from twin.city.districts import Districts
from twin.city.spelling import did_you_mean
from twin.errors import Problem
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory
from twin.record.onboarding import ALWAYS_MS, FOREVER_MS, STEPS, column
from twin.scenario.onboarding_schema import OnboardingSection

__all__ = ["onboarded", "onboarding_problems"]


def onboarding_problems(
    sections: Sequence[OnboardingSection], file: str, inventory: Inventory, districts: Districts
) -> list[Problem]:
    """Return the kinds, devices and districts that the sections name and that are not there."""
    there = [kind for kind, known in inventory.kinds.items() if known.n > 0]
    names = [*districts.names, *districts.names_en]
    found: list[Problem] = []
    for i, row in enumerate(sections):
        place = f"onboarding.{i}"
        if row.district is not None and row.district not in names:
            allowed = f"one of {', '.join(names)}{did_you_mean(row.district, names)}"
            found.append(Problem(file, f"{place}.district", row.district, allowed))
        if row.kind not in there:
            found.append(Problem(file, f"{place}.kind", row.kind, "one of " + ", ".join(there)))
            continue
        n = inventory.kinds[row.kind].n
        for k, number in enumerate(row.rows or ()):
            if number >= n:
                allowed = f"a number below {n}, that of the {row.kind} devices"
                found.append(Problem(file, f"{place}.rows.{k}", str(number), allowed))
    return found


def onboarded(
    sections: Sequence[OnboardingSection], inventory: Inventory, districts: Districts, seed: int
) -> Inventory:
    """Return `inventory` with the moments of the steps of every kind that a section names.

    Parameters
    ----------
    seed : of the city: how far a station has come is registered, no chance of the day

    Without sections the inventory is returned as it is.
    """
    if not sections:
        return inventory
    kinds = dict(inventory.kinds)
    for name in dict.fromkeys(row.kind for row in sections):
        known = kinds[name]
        steps = _steps(name, sections, known, districts, seed)
        kinds[name] = replace(known, columns=Columns({**known.columns, **steps}, known.n))
    return replace(inventory, kinds=kinds)


def _steps(
    name: str, sections: Sequence[OnboardingSection], known: KindInventory, districts: Districts,
    seed: int,
) -> dict[str, NDArray[np.int64]]:  # fmt: skip
    """Return by column the moments of the steps of one kind's devices; the others are live."""
    order = list(STEPS)
    first_live = order.index("live")
    steps = {
        column(step): np.full(known.n, ALWAYS_MS if i <= first_live else FOREVER_MS, np.int64)
        for i, step in enumerate(order)
    }
    for number, row in enumerate(sections):
        if row.kind != name:
            continue
        rows = _meant(row, number, known, districts, seed)
        times, done = row.times(), order.index(row.state)
        for i, step in enumerate(order):
            steps[column(step)][rows] = ALWAYS_MS if i <= done else times.get(step, FOREVER_MS)
    return steps


def _meant(
    row: OnboardingSection, number: int, known: KindInventory, districts: Districts, seed: int
) -> NDArray[np.int64]:
    """Return the rows that a section means; a share is drawn by device, keyed by the section."""
    meant = np.ones(known.n, np.bool_)
    if row.rows is not None:
        meant[:] = False
        meant[list(row.rows)] = True
    elif row.share is not None:
        meant = generator(seed, f"onboarding.{row.kind}", number).random(known.n) < row.share
    if row.district is not None:
        meant &= known.columns.i8("district") == districts.row(row.district)
    return np.flatnonzero(meant)
