"""The scenario's manners on the wire: which device misbehaves how, and when."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hil.registers.bank import RegisterBank
from hil.registers.schema import WirePoint
from hil.server import WireManner
from hil.testbed.places import Places
from twin.chance import generator
from twin.clock import parse_time_of_day
from twin.scenario.schema import Scenario

__all__ = ["WireManners"]

# Keys of a scenario's `[[manners]]` that concern bytes only, as `WireManner` names them.
WIRE_KEYS = (
    "delay_ms", "delay_sigma", "min_gap_ms", "max_clients", "settle_ms", "swallow_first", "gaps",
    "drop_second", "no_answer_share", "late_ms", "exception", "exception_share",
    "disconnect_share", "bad_crc_share",
)  # fmt: skip


class WireManners:
    """What each device does to bytes, on the time line.

    Parameters
    ----------
    scenario : whose `[[manners]]` are taken, as far as they concern bytes
    places : the devices
    bank : wrong scales are set there
    """

    def __init__(self, scenario: Scenario, places: Places, bank: RegisterBank) -> None:
        self.places, self.bank = places, bank
        self.start_ms = parse_time_of_day(scenario.start)
        self.rows = []
        for number, row in enumerate(scenario.manners):
            keys = {k: v for k in WIRE_KEYS if (v := getattr(row, k, None)) is not None}
            keys = {k: v for k, v in keys.items() if v is not False}
            if set(keys) <= {"delay_sigma"} and row.wrong_scale is None:
                continue
            devices = self._devices(scenario.seed, number, row)
            begin = self.start_ms if row.at is None else parse_time_of_day(row.at)
            end = None if row.until is None else parse_time_of_day(row.until)
            self.rows.append((begin, end, devices, keys, row.wrong_scale, row.point))

    def _devices(self, seed: int, number: int, row: object) -> frozenset[int]:
        """Return the devices that a row of the scenario means."""
        kind, named = getattr(row, "kind", ""), getattr(row, "rows", None)
        map_name, share = getattr(row, "map", None), getattr(row, "share", None)
        mine = [d for d in self.places.devices if d.kind == kind]
        if named is not None:
            mine = [d for d in mine if d.row in set(named)]
        elif share is not None and mine:
            rows = 1 + max(d.row for d in mine)
            draw = generator(seed, f"manner.{number}.{kind}").random(rows)
            mine = [d for d in mine if draw[d.row] < share]
        return frozenset(d.number for d in mine if map_name in (None, d.map))

    def at_start(self) -> Mapping[int, WireManner]:
        """Return the manners in force when the run begins, by device."""
        return self._in_force(self.start_ms)

    def turns(self, now_ms: int) -> bool:
        """Return whether any manner begins or ends at `now_ms`."""
        return any(now_ms in (begin, end) for begin, end, *_ in self.rows)

    def of_all(self, now_ms: int) -> Mapping[int, WireManner | None]:
        """Return what holds at `now_ms` for every device that has a manner at any time."""
        now = self._in_force(now_ms)
        named = {device for _, _, devices, keys, *_ in self.rows if keys for device in devices}
        return {device: now.get(device) for device in sorted(named)}

    def changes(self, now_ms: int) -> Mapping[int, WireManner | None]:
        """Return the devices whose manner changes at `now_ms`; None ends it."""
        before, now = self._in_force(now_ms - 1), self._in_force(now_ms)
        return {
            device: now.get(device)
            for device in sorted({*before, *now})
            if before.get(device) != now.get(device)
        }

    def _in_force(self, now_ms: int) -> dict[int, WireManner]:
        """Return the manners at `now_ms`; of two that concern a device the later row wins."""
        keys: dict[int, dict[str, object]] = {}
        for begin, end, devices, row_keys, _, _ in self.rows:
            if begin <= now_ms and (end is None or now_ms < end) and row_keys:
                for device in devices:
                    keys.setdefault(device, {}).update(row_keys)
        return {device: WireManner(**own) for device, own in keys.items()}  # type: ignore[arg-type]

    def scale(self, now_ms: int) -> None:
        """Set or end the wrong scales of `now_ms`: a point is shown times a factor.

        A point of the twin is wrong in every register that shows it; without a name everything
        measured (遥测) is.
        """
        bank = self.bank
        if all(row[4] is None for row in self.rows):
            return
        for number, group in enumerate(bank.groups):
            points = bank.compiled.maps[group.map].points
            trim = np.ones((len(group.devices), len(points)))
            for begin, end, devices, _, factor, name in self.rows:
                if factor is None or not begin <= now_ms or (end is not None and now_ms >= end):
                    continue
                columns = [i for i, p in enumerate(points) if _shows(p, name)]
                hit = np.flatnonzero(np.isin(group.devices, list(devices)))
                trim[np.ix_(hit, np.array(columns, np.int64))] = factor
            bank.trim[number] = trim if (trim != 1.0).any() else np.empty((0, 0))


def _shows(point: WirePoint, name: str | None) -> bool:
    """Return whether a register shows point `name` of the twin, or any that is measured."""
    behind = None if point.source is None else point.source.point
    return behind is not None and (point.cls == "yc" if name is None else behind == name)
