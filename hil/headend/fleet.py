"""The devices of a head-end as arrays, checked once."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.headend.link import DeviceEntry
from hil.headend.plan import MapPlan, plan_map
from hil.headend.recipes import Ask, recipes
from hil.registers.files import load_map
from hil.registers.layout import Compiled, compile_maps
from hil.registers.schema import RegisterMap
from twin.errors import InputProblems, Problem
from twin.record.exchange import KindInventory

__all__ = ["Fleet"]

I8 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Who is polled and commanded.

    Attributes
    ----------
    entries : n devices, as given
    kinds : inventory by kind
    compiled : the maps in use
    row : int64[n] within the kind; unit, map, base : int64[n], `base` being the first byte of a
        device's image
    rated : float64[n]
    at : by kind int64[kind], the device of each row, -1: none
    plans, recipes : by map, how it is read and written
    """

    entries: tuple[DeviceEntry, ...]
    kinds: Mapping[str, KindInventory]
    compiled: Compiled
    row: I8
    unit: I8
    map: I8
    base: I8
    size: int
    rated: NDArray[np.float64]
    at: Mapping[str, I8]
    plans: tuple[MapPlan, ...]
    recipes: tuple[Mapping[str, tuple[Ask, ...]], ...]

    @classmethod
    def of(
        cls,
        entries: Sequence[DeviceEntry],
        kinds: Mapping[str, KindInventory],
        maps: Mapping[str, RegisterMap] | None = None,
    ) -> Fleet:
        """Return the fleet of `entries`.

        Parameters
        ----------
        maps : by name; those not in it are loaded by their names

        Raises InputProblems with everything that is wrong with the entries.
        """
        loaded = dict(maps or {})
        problems = [*_missing_maps(entries, loaded), *_wrong(entries, kinds)]
        problems += _foreign(entries, loaded)
        if problems:
            raise InputProblems(problems)
        names = list(dict.fromkeys(e.map for e in entries))
        compiled = compile_maps([loaded[name] for name in names], dict(kinds))
        number = {name: i for i, name in enumerate(names)}
        map_of = np.array([number[e.map] for e in entries], np.int64)
        row = np.array([e.row for e in entries], np.int64)
        size = compiled.layout.size[map_of] if len(entries) > 0 else np.zeros(0, np.int64)
        base = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        rated = np.ones(len(entries))
        at = {}
        for kind, inventory in kinds.items():
            at[kind] = np.full(inventory.n, -1, np.int64)
            mine = np.array([i for i, e in enumerate(entries) if e.kind == kind], np.int64)
            at[kind][row[mine]] = mine
            if "rated_kw" in inventory.columns:
                rated[mine] = inventory.columns.f8("rated_kw")[row[mine]]
        everything = range(len(names))
        return cls(
            tuple(entries), kinds, compiled, row,
            np.array([e.unit for e in entries], np.int64), map_of, base[:-1].copy(),
            int(base[-1]), rated, at,
            tuple(plan_map(compiled, m, kinds[compiled.maps[m].kind].points) for m in everything),
            tuple(recipes(compiled, m) for m in everything),
        )  # fmt: skip

    @property
    def n(self) -> int:
        """Number of devices."""
        return len(self.entries)


def _place(number: int, entry: DeviceEntry) -> str:
    return f"device {number} ({entry.kind} {entry.row})"


def _missing_maps(
    entries: Sequence[DeviceEntry], loaded: dict[str, RegisterMap]
) -> Iterator[Problem]:
    for name in dict.fromkeys(e.map for e in entries):
        if name not in loaded:
            try:
                loaded[name] = load_map(name)
            except InputProblems as error:
                yield from error.problems


def _wrong(entries: Sequence[DeviceEntry], kinds: Mapping[str, KindInventory]) -> Iterator[Problem]:
    """Yield what is wrong with single entries, and what stands twice."""
    rows: dict[tuple[str, int], int] = {}
    units: dict[tuple[str, int, int], int] = {}
    for number, e in enumerate(entries):
        place = _place(number, e)
        if e.kind not in kinds:
            yield Problem("inventory", place, f"kind {e.kind}", ", ".join(sorted(kinds)))
        elif not 0 <= e.row < kinds[e.kind].n:
            yield Problem("inventory", place, f"row {e.row}", f"0 to {kinds[e.kind].n - 1}")
        try:
            ipaddress.IPv4Address(e.address)
        except ValueError:
            yield Problem("inventory", place, f"address {e.address}", "an IPv4 address")
        if not 1 <= e.port <= 65535:
            yield Problem("inventory", place, f"port {e.port}", "1 to 65535")
        if not 0 <= e.unit <= 255:
            yield Problem("inventory", place, f"unit {e.unit}", "0 to 255")
        first = rows.setdefault((e.kind, e.row), number)
        if first != number:
            yield Problem("inventory", place, "the row of another", f"not that of device {first}")
        first = units.setdefault((e.address, e.port, e.unit), number)
        if first != number:
            yield Problem(
                "inventory", place, f"unit {e.unit} at {e.address}:{e.port}",
                f"not that of device {first}",
            )  # fmt: skip


def _foreign(
    entries: Sequence[DeviceEntry], loaded: Mapping[str, RegisterMap]
) -> Iterator[Problem]:
    for number, e in enumerate(entries):
        if e.map in loaded and loaded[e.map].kind != e.kind:
            yield Problem(
                "inventory", _place(number, e), f"map {e.map} of kind {loaded[e.map].kind}",
                f"a map of kind {e.kind}",
            )  # fmt: skip
