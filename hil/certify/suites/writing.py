"""Register map procedures that write: limits, and whether what was written is shown."""

from __future__ import annotations

from hil.bench.errors import Forbidden
from hil.certify.measurement import Path
from hil.certify.procedure import Context
from hil.certify.subject import Subject
from hil.certify.suites import asking
from hil.registers.codec import decode, encode
from hil.registers.kinds import catalogue
from hil.registers.schema import WHOLE, WirePoint

__all__ = ["limits", "read_back"]

WIRE = Path("wire", "answers to writes")
LONGEST_S, POLL_S = 60.0, 1.0  # how long a read-back is waited for, and how often it is looked at
PART_OF_RATING = 0.2
SHARES = (0.5, 0.25)  # of a point's range, of which one is not what it shows
ANY_RAW = 0x1235  # stands for 'not implemented' while a raw number is encoded
PULSES = ("release",)  # show nothing of what was written


def limits(c: Context) -> None:
    """Write each limit, and one step beyond it; then what stood there before."""
    refused, passed, tried = [], [], 0
    series = c.series("limits", "time_s", "point", "value", "expected", "exception")
    for point in _adjustable(c.subject):
        ends = [(e, s) for e, s in ((point.low, -1.0), (point.high, 1.0)) if e is not None]
        before = _before(c, point)
        if not ends or before is None:
            continue
        try:
            for end, side in ends:
                tried += 1
                code = _code(c, point, end)
                series.add(c.subject.clock.now_s(), point.name, end, "accepted", code)
                if code != 0:
                    refused.append(f"{point.name} = {end:g} (exception {code})")
                beyond = end + side * point.scale
                words = _words(point, c.subject, beyond)
                if words is None:
                    continue
                code = asking.send(c.subject, point.table, point.address, words)
                series.add(c.subject.clock.now_s(), point.name, beyond, "refused", code)
                if code == 0:
                    passed.append(f"{point.name} = {beyond:g}")
        except Forbidden as kept:
            c.note(f"not beyond the bench's own limits: {kept}")
        finally:
            asking.write(c.subject, point.name, before)
    if tried == 0:
        for id in ("limits_refused", "limits_passed"):
            c.leave(id, "the table states no limits of points that can be written")
        return
    c.take("limits_refused", float(len(refused)), 0.0, WIRE, ", ".join(refused))
    c.take("limits_passed", float(len(passed)), 0.0, WIRE, ", ".join(passed))


def read_back(c: Context) -> None:
    """Write another value, wait until it is shown, and write what stood there before."""
    wrong, longest_s, tried = [], 0.0, 0
    series = c.series("read_back", "time_s", "point", "written", "shown")
    clock = c.subject.clock
    for point in _adjustable(c.subject):
        before = _before(c, point)
        other = None if before is None else _other(c.subject, point, before)
        if before is None or other is None:
            continue
        tried += 1
        try:
            done = asking.write(c.subject, point.name, other)
            begun_s, shown = clock.now_s(), None
            while clock.now_s() - begun_s <= LONGEST_S:
                # At once a device may show the write itself, and not yet what is in force.
                clock.sleep(POLL_S)
                shown = asking.read(c.subject, [point.name])[point.name].value
                series.add(clock.now_s(), point.name, done.sent, shown)
                if not done.accepted or shown == done.sent:
                    break
            if done.accepted and shown != done.sent:
                wrong.append(f"{point.name}: {shown} for {done.sent}")
            elif done.accepted:
                longest_s = max(longest_s, clock.now_s() - begun_s)
        except Forbidden as kept:
            c.note(f"not beyond the bench's own limits: {kept}")
        finally:
            asking.write(c.subject, point.name, before)
    if tried == 0:
        for id in ("read_back_wrong", "read_back_time"):
            c.leave(id, "no point can be written and read")
        return
    c.take("read_back_wrong", float(len(wrong)), 0.0, WIRE, ", ".join(wrong))
    if not wrong:
        path = Path("register", "each written point", None, POLL_S)
        c.take("read_back_time", longest_s, POLL_S, path)


def _adjustable(subject: Subject) -> list[WirePoint]:
    """Return points that hold a number which may be changed and is shown: no switch, no pulse."""
    meanings = subject.device.meanings
    return [
        p for p in meanings.writable()
        if p.access == "rw" and p.cls == "yt" and p.type not in ("bits", "string", "bit")
        and p.name not in meanings.enables and meanings.setpoint.get(p.name) not in PULSES
    ]  # fmt: skip


def _before(c: Context, point: WirePoint) -> float | None:
    """Return what a point shows, None where it does not or refuses just that: not our question."""
    sample = asking.read(c.subject, [point.name])[point.name]
    if not isinstance(sample.value, float):
        return None
    try:
        return sample.value if asking.write(c.subject, point.name, sample.value).accepted else None
    except Forbidden as kept:
        c.note(str(kept))
        return None


def _code(c: Context, point: WirePoint, value: float) -> int:
    return asking.write(c.subject, point.name, value).code


def _words(point: WirePoint, subject: Subject, value: float) -> list[int] | None:
    """Return the registers of a value, the pattern of 'not implemented' too; None: no room."""
    if point.type not in WHOLE:
        return encode(point, subject.map.order, value)
    least, most = WHOLE[point.type]
    raw = round(value / point.scale)
    if not least <= raw <= most:
        return None
    return encode(point.model_copy(update={"na": ANY_RAW}), subject.map.order, value)


def _other(subject: Subject, point: WirePoint, before: float) -> float | None:
    """Return a value that a point may be given and does not show, in its own unit."""
    meanings = subject.device.meanings
    sign = meanings.sign(point.name)
    if sign != 0.0:
        wanted = [sign * part * subject.rated_kw for part in (PART_OF_RATING, -PART_OF_RATING)]
        values = [meanings.value_of(point.name, kw) for kw in wanted]
    else:
        low, high = _range(subject, point)
        values = [before + point.scale, before - point.scale]
        if low is not None and high is not None:
            values = [low + share * (high - low) for share in SHARES]
    for value in values:
        shown = decode(point, subject.map.order, encode(point, subject.map.order, value))
        inside = (point.low is None or value >= point.low) and (
            point.high is None or value <= point.high
        )
        if inside and isinstance(shown, float) and shown != before:
            return value
    return None


def _range(subject: Subject, point: WirePoint) -> tuple[float | None, float | None]:
    if point.low is not None and point.high is not None:
        return point.low, point.high
    source = point.source
    known = catalogue()[subject.kind].setpoints
    if source is None or source.setpoint not in known or source.per_rating:
        return None, None
    spec = known[str(source.setpoint)]
    ends = sorted(source.gain * end + source.offset for end in (spec.low, spec.high))
    return ends[0], ends[1]
