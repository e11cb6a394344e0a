"""What must be true of a register map as a whole, beyond what one point can say of itself.

Every rule takes the parts that could be read, with their numbers in the file, and yields
``(place, value, allowed)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from hil.registers.codec import not_implemented, span
from hil.registers.kinds import KindPoints, catalogue, unit_of_column
from hil.registers.schema import WHOLE, Command, Reserved, Source, WirePoint
from hil.registers.units import gain_problem, known_unit
from twin.city.spelling import did_you_mean
from twin.record.exchange import Point

__all__ = ["Fault", "Numbered", "faults", "is_invertible"]

Fault = tuple[str, str, str]
Numbered = Sequence[tuple[int, WirePoint]]

# Where points of a class may stand, and as what.
WORDS = ("u16", "i16", "u32", "i32", "u64", "f32", "string", "bits")
SENSIBLE: dict[str, dict[str, tuple[str, ...]]] = {
    "yc": {"input": WORDS, "holding": WORDS},
    "yx": {
        "discrete": ("bit",),
        "coil": ("bit",),
        "input": ("bits", "u16", "u32"),
        "holding": ("bits", "u16", "u32"),
    },
    "yk": {"coil": ("bit",), "holding": ("u16", "bits")},
    "yt": {"holding": ("u16", "i16", "u32", "i32", "u64", "f32", "bits")},
}
STATES_AT_MOST = 64


def faults(
    kind: str,
    points: Numbered,
    reserved: Sequence[tuple[int, Reserved]],
    commands: Sequence[tuple[int, Command]],
    whole: bool,
) -> Iterator[Fault]:
    """Yield every fault of a map.

    Parameters
    ----------
    kind : may be unknown; rules that need it are left out then
    points, reserved, commands : that could be read, with their numbers in the file
    whole : every point could be read, so that a name that is not there is a wrong name
    """
    yield from _names(points)
    yield from _overlaps(points)
    yield from _reserved(points, reserved)
    for number, point in points:
        yield from _alone(number, point)
    known = catalogue().get(kind)
    if known is None:
        yield (
            "kind",
            repr(kind),
            f"one of {', '.join(catalogue())}{did_you_mean(kind, catalogue())}",
        )
    else:
        for number, point in points:
            yield from _source(number, point, kind, known)
    yield from _commands(commands, dict(_by_name(points)), kind, known, whole)


def is_invertible(point: WirePoint, twin: Point) -> bool:
    """Return whether the twin's value can be told from what the point shows.

    Codes must differ; where the twin's value is one of a few states, each must have its own.
    """
    source = point.source
    if source is None:
        return False
    if not source.values:
        return True
    shown = [code for _, code in source.values]
    if len(set(shown)) < len(shown):
        return False
    if not (
        math.isfinite(twin.low)
        and math.isfinite(twin.high)
        and twin.high - twin.low < STATES_AT_MOST
    ):
        return True
    codes = dict(source.values)
    states = [float(s) for s in range(round(twin.low), round(twin.high) + 1)]
    seen = {codes.get(s, source.gain * s + source.offset) for s in states}
    return len(seen) == len(states)


def _place(number: int, field: str, point: WirePoint) -> str:
    return f"points.{number}{'.' if field else ''}{field} ({point.name})"


def _by_name(points: Numbered) -> Iterator[tuple[str, WirePoint]]:
    for _, point in points:
        yield point.name, point


def _names(points: Numbered) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for number, point in points:
        before = first.setdefault(point.name, number)
        if before != number:
            yield (
                _place(number, "name", point),
                f"{point.name!r}, as points.{before}",
                "a name of its own",
            )


def _overlaps(points: Numbered) -> Iterator[Fault]:
    """Two points at one address, each pair once; bits of one register may share it."""
    taken: dict[tuple[str, int], list[WirePoint]] = {}
    for number, point in points:
        met: dict[str, int] = {}
        for address in range(point.address, point.address + point.width):
            there = taken.setdefault((point.table, address), [])
            for other in there:
                if not _share(point, other):
                    met.setdefault(other.name, address)
            there.append(point)
        for name, address in met.items():
            yield (
                _place(number, "address", point),
                f"{point.table} {_range(point)} overlaps {name} at {address}",
                "addresses of its own over the full width"
                if point.bit is None
                else f"a bit other than {point.bit} or another register",
            )


def _share(one: WirePoint, other: WirePoint) -> bool:
    return one.bit is not None and other.bit is not None and one.bit != other.bit


def _range(point: WirePoint) -> str:
    last = point.address + point.width - 1
    return str(point.address) if last == point.address else f"{point.address}..{last}"


def _reserved(points: Numbered, reserved: Sequence[tuple[int, Reserved]]) -> Iterator[Fault]:
    for number, point in points:
        for row, part in reserved:
            last = point.address + point.width - 1
            if part.table == point.table and part.first <= last and point.address <= part.last:
                yield (
                    _place(number, "address", point),
                    f"{point.table} {_range(point)}",
                    f"addresses outside {part.first}..{part.last}, which reserved.{row} keeps",
                )


def _alone(number: int, point: WirePoint) -> Iterator[Fault]:
    """What a point says, without its kind."""
    fitting = SENSIBLE[point.cls]
    if point.table not in fitting:
        yield (
            _place(number, "table", point),
            f"{point.table} for class {point.cls}",
            f"for {point.cls}: {', '.join(fitting)}",
        )
    elif point.type not in fitting[point.table]:
        yield (
            _place(number, "type", point),
            f"{point.type} for class {point.cls} in table {point.table}",
            f"for {point.cls} there: {', '.join(fitting[point.table])}",
        )
    if not known_unit(point.unit):
        yield _place(number, "unit", point), repr(point.unit), "a unit of hil/registers/units.py"
    if point.na is not None:
        bits = 1 if point.type == "bit" else 16 * point.width
        if point.type in ("string", "bit") or point.bit is not None:
            yield _place(number, "na", point), str(point.na), "none: bits and text have no pattern"
        elif point.na >= 1 << bits:
            yield _place(number, "na", point), str(point.na), f"at most {(1 << bits) - 1}"
    if point.type in WHOLE and point.type != "bit" and point.bit is None:
        least, most = span(point)
        own_least, own_most = WHOLE[point.type]
        for name, limit in (("low", point.low), ("high", point.high)):
            # Beyond the type, the schema has said so.
            if limit is None or not own_least <= round(limit / point.scale) <= own_most:
                continue
            if not least <= round(limit / point.scale) <= most:
                yield (
                    _place(number, name, point),
                    f"{limit:g}, raw {not_implemented(point):#x}, which says 'not implemented'",
                    f"{least * point.scale:g} .. {most * point.scale:g}",
                )
    if point.source is not None:
        yield from _codes(number, point, point.source)
        yield from _fits(number, point, point.source)


def _fits(number: int, point: WirePoint, source: Source) -> Iterator[Fault]:
    """What a source gives of itself must be shown whole, and be what may be written."""
    if source.text is not None:
        size, room = len(source.text.encode("utf-8")), 2 * point.width
        if size > room:
            yield _place(number, "source.text", point), f"{size} bytes", f"at most {room}"
    for field, value in (("constant", source.constant), ("held", source.held)):
        if value is None or (point.type not in WHOLE and field == "constant"):
            continue
        least, most = span(point) if point.type in WHOLE else (-math.inf, math.inf)
        low, high = least * point.scale, most * point.scale
        if field == "held":
            low = low if point.low is None else point.low
            high = high if point.high is None else point.high
        half = 0.5 * point.scale if point.type in WHOLE else 0.0
        if not low - half <= value <= high + half:
            yield _place(number, f"source.{field}", point), f"{value:g}", f"{low:g} .. {high:g}"


def _codes(number: int, point: WirePoint, source: Source) -> Iterator[Fault]:
    own = [value for value, _ in source.values]
    codes = [code for _, code in source.values]
    for value in sorted({v for v in own if own.count(v) > 1}):
        yield _place(number, "source.values", point), f"{value:g} twice", "each twin value once"
    if "w" in point.access:
        for code in sorted({c for c in codes if codes.count(c) > 1}):
            allowed = "each register value once where it is written"
            yield _place(number, "source.values", point), f"{code:g} twice", allowed
    if source.values and source.point is None and source.setpoint is None:
        allowed = "codes only of a twin's point or set-point"
        yield _place(number, "source.values", point), f"{len(codes)} codes", allowed


def _source(number: int, point: WirePoint, kind: str, known: KindPoints) -> Iterator[Fault]:
    source = point.source
    if source is None:
        return
    for field, names, what in (
        ("point", known.points, "points"),
        ("setpoint", known.setpoints, "set-points"),
        ("nameplate", dict.fromkeys(known.columns), "nameplate columns"),
    ):
        name = getattr(source, field)
        if name is not None and name not in names:
            there = ", ".join(names) or "none: kind " + kind + " has no " + what
            allowed = f"{there}{did_you_mean(name, names)}"
            yield _place(number, f"source.{field}", point), repr(name), allowed
    behind = known.points.get(source.point or "") or known.setpoints.get(source.setpoint or "")
    unit = None if behind is None else behind.unit
    if source.nameplate in known.columns:
        unit = unit_of_column(source.nameplate)
    yield from _unit(number, point, source, unit)


def _unit(number: int, point: WirePoint, source: Source, own: str | None) -> Iterator[Fault]:
    """Hold a point's unit against the twin's `own` (None: not known)."""
    if own is None or not known_unit(point.unit):
        return
    if source.per_rating and own != "kW":
        yield (
            _place(number, "source.per_rating", point),
            f"of a value in {own}",
            "only of a value in kW, as the rating is",
        )
        return
    allowed = gain_problem("1" if source.per_rating else own, point.unit, source.gain)
    if allowed is not None:
        yield _place(number, "unit", point), f"{point.unit!r}, gain {source.gain:g}", allowed


def _commands(
    commands: Sequence[tuple[int, Command]],
    points: dict[str, WirePoint],
    kind: str,
    known: KindPoints | None,
    whole: bool,
) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for number, command in commands:
        place = f"commands.{number}"
        setpoints: Mapping[str, Point] = {} if known is None else known.setpoints
        if known is not None and command.setpoint not in setpoints:
            there = ", ".join(setpoints) or f"none: kind {kind} has no set-points"
            allowed = f"{there}{did_you_mean(command.setpoint, setpoints)}"
            yield f"{place}.setpoint", repr(command.setpoint), allowed
        before = first.setdefault(command.setpoint, number)
        if before != number:
            yield (
                f"{place}.setpoint",
                f"{command.setpoint!r}, as commands.{before}",
                "one command a set-point",
            )
        if command.enable is not None and command.on == command.off:
            yield f"{place}.off", str(command.off), "another value than on"
        named = [(f, getattr(command, f)) for f in ("value", "low", "enable")]
        named += [(f"also.{name}", name) for name in command.also]
        for field, name in named:
            point = points.get(name)
            if name is None or (point is None and not whole):
                continue
            if point is None:
                allowed = f"the name of a point{did_you_mean(name, points)}"
                yield f"{place}.{field}", repr(name), allowed
            elif "w" not in point.access:
                yield f"{place}.{field}", f"{name!r}, access {point.access}", "a point to write"
            else:
                yield from _part(place, field, command, point, setpoints)


def _part(
    place: str,
    field: str,
    command: Command,
    point: WirePoint,
    setpoints: Mapping[str, Point],
) -> Iterator[Fault]:
    """What a point that a command names must be."""
    source = point.source
    if field in ("value", "low"):
        own = setpoints.get(command.setpoint)
        if source is None or own is None:
            return
        if source.setpoint is not None and source.setpoint != command.setpoint:
            yield (
                f"{place}.{field}",
                f"{point.name!r}, which is set-point {source.setpoint}",
                f"a point that is held, or set-point {command.setpoint}",
            )
        elif source.held is not None:
            for _, given, allowed in _unit(0, point, source, own.unit):
                yield f"{place}.{field} ({point.name})", given, allowed
        return
    if field == "enable":
        if source is None or source.held is None:
            yield f"{place}.enable", repr(point.name), "a point that is held"
        wanted = {"on": float(command.on), "off": float(command.off)}
    else:
        wanted = {field: command.also[point.name]}
    least, most = span(point) if point.type in WHOLE else (-1e38, 1e38)
    low = least * point.scale if point.low is None else point.low
    high = most * point.scale if point.high is None else point.high
    for field_, value in wanted.items():
        if not low <= value <= high:
            yield f"{place}.{field_}", f"{value:g} for {point.name}", f"{low:g} .. {high:g}"
