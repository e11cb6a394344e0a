"""Registers to set-points: what a device makes of what was written to it.

A batch holds the writes of one tick. Within it a device's writes count in their order; between
devices no order matters, so that the batch is handled by point, not by device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.kernels import image as im
from hil.registers.bank import Group, RegisterBank, Writes
from hil.registers.schema import Command
from twin.record.exchange import KindInventory, SetPoint

__all__ = ["Commands"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A map's command with its rows: of the layout, and of the held values (-1: none)."""

    command: Command
    value: int
    low: int
    enable: int
    held_value: int
    held_low: int
    held_enable: int


class Commands:
    """Turns writes into set-points of the twin, and keeps what devices hold.

    Parameters
    ----------
    bank : whose `held` values are kept up to date
    kinds : inventory by kind
    """

    def __init__(self, bank: RegisterBank, kinds: Mapping[str, KindInventory]) -> None:
        self.bank, self.kinds = bank, kinds
        n = len(bank.arrays.base)
        self.group_of = np.zeros(n, np.int64)
        self.place = np.zeros(n, np.int64)
        for number, group in enumerate(bank.groups):
            self.group_of[group.devices] = number
            self.place[group.devices] = np.arange(len(group.devices))
        self.rules = [self._rules(group) for group in bank.groups]
        self.releases = self._releases()

    def _rules(self, group: Group) -> tuple[_Rule, ...]:
        compiled = self.bank.compiled
        one, held = compiled.maps[group.map], compiled.held[group.map]

        def place(name: str | None) -> tuple[int, int]:
            if name is None:
                return -1, -1
            return compiled.row(group.map, name), held.index(name) if name in held else -1

        rules = []
        for command in one.commands:
            value, held_value = place(command.value)
            low, held_low = place(command.low)
            enable, held_enable = place(command.enable)
            rules.append(_Rule(command, value, low, enable, held_value, held_low, held_enable))
        return tuple(rules)

    def _releases(self) -> NDArray[np.bool_]:
        """Return bool[points of the layout]: whose write gives the device back to its owner."""
        layout = self.bank.compiled.layout
        found = np.zeros(len(layout.point), np.bool_)
        for group in self.bank.groups:
            names = (
                [p.name for p in self.kinds[group.kind].setpoints]
                if group.kind in self.kinds
                else []
            )
            if "release" not in names:
                continue
            mine = slice(int(layout.point_first[group.map]), int(layout.point_first[group.map + 1]))
            found[mine] = layout.point[mine, im.SOURCE] == im.SETPOINT
            found[mine] &= layout.point[mine, im.INDEX] == names.index("release")
        return found

    def setpoints(self, writes: Writes) -> list[SetPoint]:
        """Return the set-points that a tick's writes amount to; held values are kept."""
        found: list[SetPoint] = []
        for batch in _rounds(writes, self.releases[writes.point]):
            for number in np.unique(self.group_of[batch.device]):
                mine = self.group_of[batch.device] == number
                part = Writes(
                    batch.time_ns[mine], batch.device[mine], batch.point[mine],
                    batch.raw[mine], batch.value[mine],
                )  # fmt: skip
                found += self._group(int(number), part)
        return found

    def _group(self, number: int, part: Writes) -> Iterator[SetPoint]:
        """Yield what one round of writes to one group amounts to, by set-point."""
        group, layout = self.bank.groups[number], self.bank.compiled.layout
        held, rules = self.bank.held[number], self.rules[number]
        place = self.place[part.device]
        source, index = layout.point[part.point, im.SOURCE], layout.point[part.point, im.INDEX]
        kept = source == im.HELD
        held[index[kept], place[kept]] = part.value[kept]
        ruled = {rule.value for rule in rules if rule.enable >= 0 or rule.low >= 0}
        for row in np.unique(part.point[source == im.SETPOINT]):
            if int(row) in ruled:
                continue
            mine = part.point == row
            name = self.kinds[group.kind].setpoints[int(layout.point[row, im.INDEX])].name
            yield self._setpoint(
                group, name, place[mine], self._twin(row, place[mine], part.value[mine], group)
            )
        for rule in rules:
            yield from self._ruled(group, held, rule, part, place)

    def _ruled(
        self, group: Group, held: F8, rule: _Rule, part: Writes, place: I8
    ) -> Iterator[SetPoint]:
        if rule.enable < 0 and rule.low < 0:
            return
        touched = np.isin(part.point, [r for r in (rule.value, rule.low, rule.enable) if r >= 0])
        rows = np.unique(place[touched])
        if len(rows) == 0:
            return
        on = np.ones(len(rows), np.bool_)
        if rule.held_enable >= 0:
            on = held[rule.held_enable, rows] == rule.command.on
            switched = np.isin(rows, place[part.point == rule.enable])
            off = rows[~on & switched]
            if len(off) > 0 and self._has(group, "release"):
                yield self._setpoint(group, "release", off, np.ones(len(off)))
        rows = rows[on]
        if len(rows) == 0:
            return
        if rule.held_low >= 0:
            rated = self.bank.kinds[group.kind].rated_kw[group.rows[rows]]
            high = held[rule.held_value, rows] / 100.0
            low = -held[rule.held_low, rows] / 100.0
            value = np.clip(0.0, np.minimum(low, high), np.maximum(low, high)) * rated
        else:
            value = self._twin(rule.value, rows, held[rule.held_value, rows], group)
        yield self._setpoint(group, rule.command.setpoint, rows, value)

    def _twin(self, row: int, place: I8, value: F8, group: Group) -> F8:
        """Return values of a point in the twin's unit."""
        layout = self.bank.compiled.layout
        gain, offset = layout.factor[row, im.GAIN], layout.factor[row, im.OFFSET]
        twin = (value - offset) / gain
        first, count = layout.point[row, im.FIRST_VALUE], layout.point[row, im.VALUES]
        for own, code in layout.value[first : first + count]:
            twin = np.where(value == code, own, twin)
        if layout.point[row, im.PER_RATING] == 1:
            twin = twin * self.bank.kinds[group.kind].rated_kw[group.rows[place]]
        return np.asarray(twin)

    def _setpoint(self, group: Group, name: str, place: I8, values: F8) -> SetPoint:
        rows = group.rows[place]
        order = np.argsort(rows, kind="stable")
        return SetPoint(group.kind, name, rows[order], np.asarray(values, np.float64)[order])

    def _has(self, group: Group, setpoint: str) -> bool:
        return any(p.name == setpoint for p in self.kinds[group.kind].setpoints)

    def refresh(self, remote: Mapping[str, NDArray[np.bool_]]) -> None:
        """Let enable registers fall back where a device is under its owner's control again.

        Parameters
        ----------
        remote : by kind bool[n]: the device obeys a remote command
        """
        for number, group in enumerate(self.bank.groups):
            known = remote.get(group.kind)
            if known is None:
                continue
            for rule in self.rules[number]:
                if rule.held_enable >= 0:
                    row = self.bank.held[number][rule.held_enable]
                    row[~known[group.rows] & (row == rule.command.on)] = rule.command.off


def _rounds(writes: Writes, release: NDArray[np.bool_]) -> Iterator[Writes]:
    """Yield the writes in batches within which the order of a device's writes does not matter.

    No point of a device stands twice in a batch, and no order beside a release.
    """
    if len(writes.device) == 0:
        return
    key = writes.device * (int(writes.point.max()) + 1) + writes.point
    order = np.argsort(key, kind="stable")
    again = np.concatenate([[False], key[order][1:] == key[order][:-1]])
    # How often the same point of the same device came before.
    start = np.maximum.accumulate(np.where(again, 0, np.arange(len(key))))
    number = np.empty(len(key), np.int64)
    number[order] = np.arange(len(key)) - start
    both = np.intersect1d(writes.device[release], writes.device[~release])
    for device in both:  # few: who is released and ordered within one tick
        mine = np.flatnonzero(writes.device == device)
        number[mine] = _in_turn(writes.point[mine], release[mine])
    for k in range(int(number.max()) + 1):
        mine = np.flatnonzero(number == k)
        yield Writes(
            writes.time_ns[mine], writes.device[mine], writes.point[mine],
            writes.raw[mine], writes.value[mine],
        )  # fmt: skip


def _in_turn(point: I8, release: NDArray[np.bool_]) -> I8:
    """Return the batch of each of one device's writes: a new one where order begins to matter."""
    found = np.zeros(len(point), np.int64)
    seen: set[int] = set()
    for i in range(len(point)):
        begins = i > 0 and (int(point[i]) in seen or release[i] != release[i - 1])
        if begins:
            seen = set()
        seen.add(int(point[i]))
        found[i] = (found[i - 1] if i > 0 else 0) + begins
    return found
