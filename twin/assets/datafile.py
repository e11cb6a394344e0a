"""Parameter tables that ship with the device kinds: TOML, a source and a grade on every row."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRADES = ("A", "B", "C", "D", "GK", "assumed")


class DataFile:
    """One parameter file of `twin/assets/data`, read once.

    Parameters
    ----------
    name : str  file name without ``.toml``

    A parameter is ``{ value = ..., unit = ..., source = ..., grade = ... }``; a table carries
    ``source`` and ``grade`` beside its columns. Raises KeyError for a name that is not there.
    """

    def __init__(self, name: str) -> None:
        path = resources.files("twin.assets") / "data" / f"{name}.toml"
        self.sections: dict[str, dict[str, Any]] = tomllib.loads(path.read_text("utf-8"))

    def number(self, section: str, key: str) -> float:
        """Return a parameter that is one number."""
        return float(self.sections[section][key]["value"])

    def pair(self, section: str, key: str) -> tuple[float, float]:
        """Return a parameter that is a range ``[low, high]``."""
        low, high = self.sections[section][key]["value"]
        return float(low), float(high)

    def array(self, section: str, key: str) -> NDArray[np.float64]:
        """Return a column of a table, or a parameter that is a list."""
        held = self.sections[section][key]
        return np.asarray(held["value"] if isinstance(held, dict) else held, dtype=np.float64)

    def ungraded(self) -> list[str]:
        """Return the names of rows without a source or with an unknown grade (should be none)."""
        bad = []
        for section, rows in self.sections.items():
            own = all(key in rows for key in ("source", "grade"))
            if own and rows["grade"] not in GRADES:
                bad.append(section)
            for key, row in rows.items():
                if own and not isinstance(row, dict):
                    continue
                good = isinstance(row, dict) and row.get("grade") in GRADES and "source" in row
                if not good:
                    bad.append(f"{section}.{key}")
        return bad
