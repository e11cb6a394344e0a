"""What somebody may have meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

UNITS = (
    "w", "kw", "mw", "gw", "wh", "kwh", "mwh", "kva", "mva", "kv", "ms", "s", "min", "h", "c",
    "k", "f", "kg", "m", "km", "m2", "pu", "pct", "percent", "share",
)  # fmt: skip


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?`` for the name nearest to `given`, or nothing.

    A name that differs in its unit only is nearest.

    >>> did_you_mean("max_load_kw", ["max_load_mw", "seed"])
    '; did you mean max_load_mw (the unit is mw)?'
    >>> did_you_mean("sead", ["max_load_mw", "seed"])
    '; did you mean seed?'
    >>> did_you_mean("windmill", ["max_load_mw", "seed"])
    ''
    """
    names = list(known)
    stem = _stem(given.lower())
    for name in names:
        if name != given and _stem(name) == stem and name != stem:
            return f"; did you mean {name} (the unit is {name.rpartition('_')[2]})?"
    near = difflib.get_close_matches(given.lower(), names, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _stem(name: str) -> str:
    """Return the name without its unit."""
    stem, _, unit = name.rpartition("_")
    return stem if unit in UNITS and stem != "" else name
