"""Reads the city's own data files: CSV and TOML with a source and a grade on every row."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from twin.clock import MINUTE_MS, parse_time_of_day

GRADES = ("A", "B", "C", "D", "GK", "assumed")


class DataRows:
    """The rows of one CSV file of the package.

    Parameters
    ----------
    name : file name below twin/city/data

    Raises ValueError where a row has no source or an unknown grade: that is a fault of the
    package, not of the user.
    """

    def __init__(self, name: str) -> None:
        text = (files("twin.city") / "data" / name).read_text(encoding="utf-8")
        self.name = name
        self.rows = list(csv.DictReader(text.splitlines(), strict=True))
        for number, row in enumerate(self.rows, start=2):
            if None in row or None in row.values():
                raise ValueError(f"{name} line {number}: wrong number of fields")
            if row["source"] == "" or row["grade"] not in GRADES:
                raise ValueError(f"{name} line {number}: no source, or grade {row['grade']!r}")

    def __len__(self) -> int:
        return len(self.rows)

    def text(self, column: str) -> tuple[str, ...]:
        """Return a column as strings."""
        return tuple(row[column] for row in self.rows)

    def f8(self, column: str) -> NDArray[np.float64]:
        """Return a column as float64."""
        return np.array([float(row[column]) for row in self.rows])

    def i8(self, column: str) -> NDArray[np.int64]:
        """Return a column as int64."""
        return np.array([int(row[column]) for row in self.rows], dtype=np.int64)

    def minutes(self, column: str) -> NDArray[np.int64]:
        """Return a column of times of day as minutes since midnight (24:00 is 1440)."""
        times = [parse_time_of_day(row[column]) // MINUTE_MS for row in self.rows]
        return np.array(times, dtype=np.int64)

    def by(self, key: str) -> dict[str, dict[str, str]]:
        """Return the rows by the value of column `key`."""
        return {row[key]: row for row in self.rows}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The single figures of ``parameters.toml``; ``parameters["fleet.line_cap"]``."""

    values: dict[str, float]
    sources: dict[str, str]

    def __getitem__(self, name: str) -> float:
        return self.values[name]


def read_parameters() -> Parameters:
    """Return the figures of ``parameters.toml``, each with its source and grade."""
    text = (files("twin.city") / "data" / "parameters.toml").read_text(encoding="utf-8")
    values: dict[str, float] = {}
    sources: dict[str, str] = {}
    for group, entries in tomllib.loads(text).items():
        for name, entry in entries.items():
            if set(entry) != {"value", "unit", "source", "grade"} or entry["grade"] not in GRADES:
                raise ValueError(f"parameters.toml: {group}.{name} lacks a field or a grade")
            values[f"{group}.{name}"] = float(entry["value"])
            sources[f"{group}.{name}"] = f"{entry['source']} ({entry['grade']})"
    return Parameters(values, sources)


def periodic_minutes(
    minutes: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a smooth daily curve float64[1440] through ``values`` at ``minutes``.

    Piecewise monotone (PCHIP), so it has its extremes at the nodes; periodic over midnight.
    """
    wrapped = np.concatenate([minutes[-3:] - 1440, minutes, minutes[:3] + 1440])
    curve = PchipInterpolator(wrapped, np.concatenate([values[-3:], values, values[:3]]))
    return np.asarray(curve(np.arange(1440)), dtype=np.float64)
