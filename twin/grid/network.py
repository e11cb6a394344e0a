"""The network as arrays: all that the hot path needs, saved and loaded without pandapower."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twin.errors import InputProblems, Problem

__all__ = [
    "Branches",
    "Busbars",
    "Buses",
    "Capacitors",
    "Matrix",
    "Network",
    "Sources",
    "TapGroups",
]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
C16 = NDArray[np.complex128]
Text = NDArray[np.str_]
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Buses:
    """Buses; `district` is -1 outside the districts."""

    name: Text
    kv: F8
    station: Text
    district: I8
    x_km: F8
    y_km: F8


@dataclass(frozen=True, slots=True)
class Branches:
    """Circuits and transformers.

    Attributes
    ----------
    kind : line, transformer or other
    kv : nominal voltage of the from side (the high one of a transformer)
    rating_mva : at nominal voltage; inf where none is known
    limit_from_pu, limit_to_pu : rated current of each end on `Network.base_mva`
    yff, yft, ytf, ytt : branch admittances at the starting taps, pandapower's Yf and Yt
    tap_group : row in `TapGroups`, -1 where the tap is fixed
    """

    name: Text
    kind: Text
    from_bus: I8
    to_bus: I8
    kv: F8
    district: I8
    rating_mva: F8
    limit_from_pu: F8
    limit_to_pu: F8
    yff: C16
    yft: C16
    ytf: C16
    ytt: C16
    tap_group: I8


@dataclass(frozen=True, slots=True)
class Busbars:
    """Places where load may be attached.

    Attributes
    ----------
    kind : busbar (10 kV of a station), feeder (10 kV node) or low_voltage (0.4 kV)
    weight : share of its district's demand for which the network was sized; sums to 1
    capacity_mw : what transformer or cable there can carry
    parent : row of the station's busbar above (its own row for a busbar)
    feeder : number of the feeder, -1 at a busbar
    """

    bus: I8
    district: I8
    kind: Text
    weight: F8
    capacity_mw: F8
    parent: I8
    feeder: I8


@dataclass(frozen=True, slots=True)
class Sources:
    """What feeds in, in the order infeeds, plants, pumped storage.

    Attributes
    ----------
    kind : infeed, plant or pumped_storage
    share : of the imports (infeeds only; sums to 1)
    slack : holds the angle
    vm_pu : voltage that it holds
    q_min_mvar, q_max_mvar : fixed reactive limits
    q_min_per_p, q_max_per_p : limits over abs(power), added to the fixed ones
    """

    name: Text
    kind: Text
    plant_kind: Text
    bus: I8
    share: F8
    rated_mw: F8
    slack: NDArray[np.bool_]
    vm_pu: F8
    q_min_mvar: F8
    q_max_mvar: F8
    q_min_per_p: F8
    q_max_per_p: F8


@dataclass(frozen=True, slots=True)
class TapGroups:
    """On-load tap changers (on the high side); transformers of a group move together.

    Attributes
    ----------
    bus : whose voltage is regulated
    step : change of the ratio a position; position p has ratio 1 + p * step
    start : position at which the branch admittances stand
    """

    bus: I8
    step: F8
    tap_min: I8
    tap_max: I8
    start: I8
    target_vm_pu: F8
    half_band_vm_pu: F8
    delay_ms: I8


@dataclass(frozen=True, slots=True)
class Capacitors:
    """Stepped shunts; positive steps supply reactive power.

    Attributes
    ----------
    group : tap group whose transformers' reactive power is watched, -1 none
    start : step at which `Matrix` stands
    """

    bus: I8
    step_mvar: F8
    step_min: I8
    step_max: I8
    start: I8
    group: I8
    q_band_mvar: F8
    low_vm_pu: F8
    high_vm_pu: F8
    delay_ms: I8


@dataclass(frozen=True, slots=True)
class Matrix:
    """pandapower's Ybus in compressed columns, at the starting taps and steps."""

    data: C16
    indices: NDArray[np.int32]
    indptr: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Network:
    """A network.

    Attributes
    ----------
    base_mva : base of every per-unit value
    fixed_mva : complex power of what is neither busbar load nor source, into each bus [MVA]
    design_mw, design_mvar : demand of each busbar for which it was sized
    v_start : complex voltages of a solved case, first start of the load flow
    origin : how it came about (specification or file), as JSON
    """

    base_mva: float
    buses: Buses
    branches: Branches
    busbars: Busbars
    sources: Sources
    taps: TapGroups
    capacitors: Capacitors
    matrix: Matrix
    fixed_mva: C16
    design_mw: F8
    design_mvar: F8
    v_start: C16
    origin: str

    @property
    def n_bus(self) -> int:
        """Number of buses."""
        return len(self.buses.kv)

    @property
    def n_branch(self) -> int:
        """Number of branches."""
        return len(self.branches.kv)

    @property
    def n_busbar(self) -> int:
        """Number of places for load."""
        return len(self.busbars.bus)

    @property
    def infeed_rows(self) -> I8:
        """Rows of the imports in `sources`."""
        return np.flatnonzero(self.sources.kind == "infeed")

    @property
    def plant_rows(self) -> I8:
        """Rows of the local plants in `sources`, in the order of the specification."""
        return np.flatnonzero(self.sources.kind == "plant")

    @property
    def pumped_rows(self) -> I8:
        """Row of the pumped storage in `sources`, if any."""
        return np.flatnonzero(self.sources.kind == "pumped_storage")

    @property
    def network_hash(self) -> str:
        """Hash of every bit of every array."""
        h = hashlib.blake2b(self.origin.encode(), digest_size=16)
        for name, array in sorted(_flat(self).items()):
            h.update(f"{name}{array.shape}{array.dtype}".encode())
            h.update(np.ascontiguousarray(array).tobytes())
        return h.hexdigest()

    def save(self, path: Path | str) -> None:
        """Write everything to one npz file (arrays only, no code)."""
        head = {"origin": np.array(self.origin), "format": np.array(FORMAT)}
        arrays: dict[str, Any] = {**_flat(self), **head}
        with Path(path).open("wb") as file:
            np.savez(file, **arrays)

    @staticmethod
    def load(path: Path | str) -> Network:
        """Read what `save` wrote.

        Raises InputProblems when the file is no saved network.
        """
        try:
            with np.load(path, allow_pickle=False) as found:
                flat = {name: found[name] for name in found.files}
            if int(flat["format"]) != FORMAT:
                raise KeyError(f"format {flat['format']}")
            return _unflat(flat)
        except (OSError, ValueError, KeyError, TypeError) as broken:
            problem = Problem(str(path), "file", str(broken), "a network saved by Network.save")
            raise InputProblems([problem]) from broken

    def bus_row(self, name: str) -> int:
        """Return the row of the bus called `name`.

        Raises InputProblems when there is none.
        """
        rows = np.flatnonzero(self.buses.name == name)
        if len(rows) != 1:
            problem = Problem("network", "bus", name, "the name of one bus of the network")
            raise InputProblems([problem])
        return int(rows[0])

    def origin_data(self) -> dict[str, Any]:
        """Return the specification or the file's name from which the network came."""
        data: dict[str, Any] = json.loads(self.origin)
        return data


_TABLES: dict[str, type] = {
    "buses": Buses,
    "branches": Branches,
    "busbars": Busbars,
    "sources": Sources,
    "taps": TapGroups,
    "capacitors": Capacitors,
    "matrix": Matrix,
}
_ARRAYS = ("fixed_mva", "design_mw", "design_mvar", "v_start")


def _flat(network: Network) -> dict[str, NDArray[Any]]:
    flat: dict[str, NDArray[Any]] = {"base_mva": np.array(network.base_mva)}
    for table, kind in _TABLES.items():
        for column in fields(kind):
            flat[f"{table}.{column.name}"] = getattr(getattr(network, table), column.name)
    for name in _ARRAYS:
        flat[name] = getattr(network, name)
    return flat


def _unflat(flat: dict[str, NDArray[Any]]) -> Network:
    given: dict[str, Any] = {
        table: kind(**{c.name: flat[f"{table}.{c.name}"] for c in fields(kind)})
        for table, kind in _TABLES.items()
    }
    given.update({name: flat[name] for name in _ARRAYS})
    return Network(base_mva=float(flat["base_mva"]), origin=str(flat["origin"]), **given)
