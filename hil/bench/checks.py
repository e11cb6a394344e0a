"""What must be true of a bench beyond what one entry can say of itself."""

from __future__ import annotations

import math
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.bench.identity import NAMES
from hil.bench.meanings import Meanings
from hil.bench.provable import unprovable
from hil.bench.schema import DeviceEntry
from hil.registers.codec import span
from hil.registers.kinds import catalogue
from hil.registers.schema import RegisterMap, WirePoint
from twin.city.spelling import did_you_mean
from twin.errors import InputProblems

__all__ = ["Fault", "Read", "among_devices", "of_device"]

# (place, value, allowed)
Fault = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Read:
    """A device as far as it could be read.

    Attributes
    ----------
    number : in the file
    entry : what could be read
    lost : fields that could not
    name : as the file has it
    """

    number: int
    entry: DeviceEntry
    lost: frozenset[str]
    name: str

    @property
    def place(self) -> str:
        """Where it stands in the file."""
        return f"devices.{self.number} ({self.name})"

    def has(self, *fields: str) -> bool:
        """Return whether all these fields are known."""
        return not self.lost & set(fields)

    def register_map(self) -> RegisterMap | None:
        """Return the map, None where it cannot be read."""
        if not self.has("map"):
            return None
        try:
            return self.entry.register_map()
        except InputProblems:
            return None


SERIAL = "a serial line such as /dev/ttyUSB0, or a pseudo-terminal"
FITTED = "parameters.toml as `hil fit` writes it"
TOLERANCE = 1e-9
# What is of the connection, not of the unit.
ALIKE = (
    "baud", "parity", "stopbits", "single_client", "certificate", "ca", "timeout_s", "gap_s",
    "settle_s",
)  # fmt: skip


def of_device(read: Read) -> Iterator[Fault]:
    """Yield what is wrong with one device: files, map, and what the map says to the rest."""
    for text in read.entry.contradictions(read.lost):
        yield read.place, "does not fit together", text
    for key in read.entry.identity:
        if key not in NAMES.values():
            allowed = f"one of {', '.join(NAMES.values())}{did_you_mean(key, NAMES.values())}"
            yield f"{read.place}.identity", repr(key), allowed
    yield from _files(read)
    if not read.has("map"):
        return
    try:
        one = read.entry.register_map()
    except InputProblems as error:
        for problem in error.problems:
            yield f"{read.place}.map", f"{problem.file}: {problem.value}", problem.allowed
        return
    yield from _of_map(read, one)
    if read.has("rated_kw", "limits"):
        yield from _orders(read, one)


def _files(read: Read) -> Iterator[Fault]:
    entry, place = read.entry, read.place
    for key in ("ca", "certificate", "key"):
        named = getattr(entry, key)
        if named and not Path(named).is_file():
            yield f"{place}.{key}", f"{named!r} does not exist", "an existing PEM file"
    if entry.parameters and not Path(entry.parameters).is_file():
        yield f"{place}.parameters", f"{entry.parameters!r} does not exist", FITTED
    if entry.serial:
        path = Path(entry.serial)
        if not path.exists():
            yield f"{place}.serial", f"{entry.serial!r} does not exist", SERIAL
        elif not stat.S_ISCHR(path.stat().st_mode):
            yield f"{place}.serial", f"{entry.serial!r} is no serial line", SERIAL


def _of_map(read: Read, one: RegisterMap) -> Iterator[Fault]:
    """Hold the names of points and the twin device against the map."""
    entry, place = read.entry, read.place
    if entry.replaces is not None and entry.replaces.rpartition("-")[0] != one.kind:
        allowed = f"a twin device of the map's kind, such as {one.kind}-00000"
        yield f"{place}.replaces", repr(entry.replaces), allowed
    writable = {p.name: p for p in one.points if "w" in p.access}
    if entry.limits is not None and not writable:
        yield (
            f"{place}.limits",
            f"map {one.name} has nothing to write",
            "no limits: it is only read",
        )
        return
    named = [("safe_state", name, value) for name, value in entry.safe_state.items()]
    if entry.lease is not None:
        named.append(("lease.point", entry.lease.point, entry.lease.value))
    for key, name, value in named:
        where = f"{place}.{key}"
        if name in writable:
            yield from _held(writable[name], value, where)
        else:
            yield where, repr(name), _one_of(name, writable)
    if entry.heartbeat is not None and entry.heartbeat.point not in writable:
        name = entry.heartbeat.point
        yield f"{place}.heartbeat.point", repr(name), _one_of(name, writable)


def _held(point: WirePoint, value: float, place: str) -> Iterator[Fault]:
    """Hold a value against what a point's register takes."""
    low, high = _bounds(point)
    if not low - TOLERANCE <= value <= high + TOLERANCE:
        yield place, f"{point.name} = {value:g}", f"{low:g} to {high:g} {point.unit}".rstrip()


def _bounds(point: WirePoint) -> tuple[float, float]:
    """Return the least and greatest value that a point's limits and its type allow."""
    low, high = -math.inf, math.inf
    if point.type not in ("string", "f32"):
        least, most = span(point)
        low, high = least * point.scale, most * point.scale
    if point.low is not None:
        low = max(low, point.low)
    if point.high is not None:
        high = min(high, point.high)
    return low, high


def _orders(read: Read, one: RegisterMap) -> Iterator[Fault]:
    """Hold power limits against the rating, the map's registers and the safe state."""
    entry, place = read.entry, read.place
    limits, rated_kw = entry.limits, entry.rated_kw
    if limits is None:
        return
    beyond = set()
    for key in ("power_low_kw", "power_high_kw"):
        value = getattr(limits, key)
        if abs(value) > rated_kw + TOLERANCE:
            beyond.add(key)
            allowed = f"-{rated_kw:g} to {rated_kw:g} kW, its rating"
            yield f"{place}.limits.{key}", f"{value:g} kW", allowed
    meanings = Meanings.of(one, rated_kw)
    setpoints = catalogue()[one.kind].setpoints
    for point in meanings.writable():
        sign = meanings.sign(point.name)
        if sign == 0.0:
            continue
        only_positive = setpoints[meanings.setpoint[point.name]].low >= 0.0
        low, high = _bounds(point)
        for key in ("power_low_kw", "power_high_kw"):
            power_kw = getattr(limits, key)
            if key in beyond or (only_positive and sign * power_kw < 0.0):
                continue
            value = meanings.value_of(point.name, power_kw)
            if not low - TOLERANCE <= value <= high + TOLERANCE:
                unit = f" {point.unit}" if point.unit else ""
                allowed = f"{point.name} of map {one.name} takes {low:g} to {high:g}{unit}"
                yield f"{place}.limits.{key}", f"{power_kw:g} kW is {value:g}{unit}", allowed
    for name, value in entry.safe_state.items():
        power_kw = math.nan
        if name in {p.name for p in meanings.writable()}:
            power_kw = meanings.power_kw(name, value)
        if not math.isnan(power_kw) and not (
            limits.power_low_kw - TOLERANCE <= power_kw <= limits.power_high_kw + TOLERANCE
        ):
            allowed = f"inside the limits, {limits.power_low_kw:g} to {limits.power_high_kw:g} kW"
            yield f"{place}.safe_state", f"{name} orders {power_kw:g} kW", allowed
    known = {p.name for p in meanings.writable()}
    for name in unprovable(meanings, [n for n in entry.safe_state if n in known]):
        value = f"nothing in map {one.name} shows whether {name} was taken"
        yield f"{place}.safe_state", value, "points that can be read back"


def _one_of(name: str, known: dict[str, WirePoint]) -> str:
    return f"a point that can be written: {', '.join(known)}{did_you_mean(name, known)}"


def among_devices(devices: Sequence[Read]) -> Iterator[Fault]:
    """Yield where two devices are in each other's way."""
    names: dict[str, int] = {}
    twins: dict[str, Read] = {}
    units: dict[tuple[str, int], Read] = {}
    wires: dict[str, tuple[Read, tuple[object, ...]]] = {}
    for read in devices:
        place, entry = read.place, read.entry
        before = names.setdefault(read.name, read.number)
        if before != read.number:
            yield f"{place}.name", f"{read.name!r}, as devices.{before}", "a name of its own"
        if entry.replaces is not None:
            first = twins.setdefault(entry.replaces, read)
            if first is not read:
                taken = f"{entry.replaces!r}, as {first.place} does"
                yield f"{place}.replaces", taken, "a twin device of its own"
        if not read.has("transport", "host", "port", "serial"):
            continue
        where = entry.place
        unit = read.register_map() if entry.unit is None else None
        number = entry.unit if unit is None else unit.unit
        if number is not None and read.has("unit"):
            first = units.setdefault((where, number), read)
            if first is not read:
                taken = f"unit {number} at {where}, as {first.place}"
                yield place, taken, "a line or a unit number of its own"
        how = tuple(getattr(entry, name) for name in ALIKE)
        earlier, its = wires.setdefault(where, (read, how))
        if its != how:
            allowed = "serial settings, times, certificates and single_client alike on one line"
            yield place, f"reaches {where} otherwise than {earlier.place}", allowed
