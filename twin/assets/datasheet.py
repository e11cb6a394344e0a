"""Parameter data of the kinds: TOML files in which every value names unit, source and grade."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

GRADES = ("A", "B", "C", "D", "GK", "assumed")


class Datasheet:
    """The values of one file ``twin/assets/data/<name>.toml``.

    Each entry is a table with ``value`` (number, or array of numbers), ``unit``, ``source``
    and ``grade``, one of `GRADES`: A to D sourced, sourced weakly or derived, GK general
    knowledge, or assumed.

    Raises ValueError for an entry without them.
    """

    def __init__(self, name: str) -> None:
        text = (files("twin.assets") / "data" / f"{name}.toml").read_text(encoding="utf-8")
        self.entries: Mapping[str, Mapping[str, object]] = tomllib.loads(text)
        for key, entry in self.entries.items():
            if not {"value", "unit", "source", "grade"} <= entry.keys():
                raise ValueError(f"{name}.toml: {key} lacks value, unit, source or grade")
            if entry["grade"] not in GRADES:
                raise ValueError(f"{name}.toml: {key}: grade {entry['grade']!r} not in {GRADES}")
        self._arrays = {k: np.array(e["value"], np.float64) for k, e in self.entries.items()}

    def number(self, key: str) -> float:
        """Return a single value."""
        return float(self._arrays[key])

    def array(self, key: str) -> NDArray[np.float64]:
        """Return a list of values, one or two dimensions."""
        return self._arrays[key]
