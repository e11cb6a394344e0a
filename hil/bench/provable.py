"""Whether a map shows enough to prove a safe state with."""

from __future__ import annotations

from collections.abc import Iterable

from hil.bench.meanings import Meanings

__all__ = ["RELEASE", "unprovable"]

RELEASE = "release"


def unprovable(meanings: Meanings, safe_state: Iterable[str]) -> list[str]:
    """Return the points of a safe state of which nothing shows whether they were taken.

    A point is shown by itself; one that orders power by the power as well; one that gives the
    device back to its owner, which springs back, by who controls it.
    """
    found = []
    for name in safe_state:
        if meanings.setpoint.get(name) == RELEASE:
            shown = "remote" in meanings.readings
        else:
            ordered = meanings.sign(name) != 0.0 and "power_kw" in meanings.readings
            shown = ordered or "r" in meanings.map.point(name).access
        if not shown:
            found.append(name)
    return found
