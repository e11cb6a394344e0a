"""A device's registers as the plain codec makes them, for clients to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hil.registers.codec import encode
from hil.registers.schema import RegisterMap, WirePoint

Value = float | str | None


@dataclass(frozen=True)
class Device:
    """What stands behind a map: readings, set-points in force, nameplate; nothing is 0."""

    points: Mapping[str, float] = field(default_factory=dict)
    setpoints: Mapping[str, float] = field(default_factory=dict)
    nameplate: Mapping[str, float] = field(default_factory=dict)
    held: Mapping[str, float] = field(default_factory=dict)
    serial: str = "GZ-0001"


def shown(point: WirePoint, device: Device) -> Value:
    """Return a point's value in its own unit."""
    source = point.source
    if source is None:
        return None
    if source.text is not None:
        return source.text.replace("{serial}", device.serial)
    if source.constant is not None:
        return source.constant
    if source.held is not None:
        return device.held.get(point.name, source.held)
    if source.point is not None:
        own = device.points.get(source.point, 0.0)
    elif source.setpoint is not None:
        own = device.setpoints.get(source.setpoint, 0.0)
    else:
        own = device.nameplate.get(str(source.nameplate), 0.0)
    codes = dict(source.values)
    if own in codes:
        return codes[own]
    if source.per_rating:
        own /= device.nameplate["rated_kw"]
    return source.gain * own + source.offset


def picture(one: RegisterMap, device: Device) -> dict[tuple[str, int], int]:
    """Return every register and bit of the device, by table and address."""
    words: dict[tuple[str, int], int] = {}
    for point in one.points:
        for i, word in enumerate(encode(point, one.order, shown(point, device))):
            place = (point.table, point.address + i)
            words[place] = words.get(place, 0) | word
    return words
