"""Register map procedures that hold what is read against what it should be.

They look for other representations - a factor of 10 or 100, a turned sign, exchanged words,
another type - and leave to the suites of each kind how well a device does what it does.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping

from hil.bench.device import Sample
from hil.bench.errors import Forbidden
from hil.bench.meanings import to_twin
from hil.bench.roles import Measured
from hil.certify.measurement import Path
from hil.certify.procedure import Context, Series
from hil.certify.subject import Subject
from hil.certify.suites import asking
from hil.certify.suites.expecting import Band, bands_of, points_showing, range_of, strange
from hil.registers.schema import WirePoint

__all__ = [
    "READINGS", "STATED", "coded", "give_order", "halves_kw", "keep_order", "levels", "once",
    "power_path", "ratings_beside", "shown_value", "stated",
]  # fmt: skip

STATED = ("texts_and_constants", "ratings")
READINGS = ("out_of_range", "power_reading", "echoes_and_states", "orders_refused",
            "orders_followed")  # fmt: skip
TABLE = Path("register", "each point of the table")
RATING_SLACK = 0.01
SETTLE_S = 120.0  # from an order to the readings; a slow device is no matter here
APART = 10.0**0.5  # between a factor of 1 and one of 10, by ratio
BEATS = 3.0  # orders within a declared heartbeat time
HALF = 0.5
LEAST_ORDER = 0.1  # of the rating, below which an order tells nothing about a factor
SERIAL = "{serial}"


def stated(c: Context) -> None:
    """Compare texts, constants and rated values with table and nameplate."""
    other, off = _stated(c.subject)
    c.take("texts_and_constants", float(len(other)), 0.0, TABLE, "; ".join(other))
    c.take("ratings", float(len(off)), 0.0, TABLE, "; ".join(off))


def ratings_beside(subject: Subject) -> list[str]:
    """Return what rated values differ from the nameplate, and how."""
    return _stated(subject)[1]


def _stated(subject: Subject) -> tuple[list[str], list[str]]:
    """Return what texts and constants, and what rated values, are others than stated."""
    names = [p.name for p in subject.map.points if "r" in p.access and p.source is not None]
    other, off = [], []
    for name, sample in asking.read(subject, names).items():
        point = subject.map.point(name)
        source = point.source
        if source is None or sample.code != 0:
            continue
        if source.text is not None:
            shown = sample.value if isinstance(sample.value, str) else ""
            if not fnmatch.fnmatchcase(shown, _pattern(point, source.text)):
                other.append(f"{name} shows {shown!r}, not {source.text!r}")
        elif source.constant is not None:
            other += _beside(subject, point, sample, Band(source.constant, source.constant))
        elif source.nameplate is not None and source.nameplate in subject.nameplate:
            value = subject.nameplate[source.nameplate]
            slack = RATING_SLACK * abs(value)
            off += _beside(subject, point, sample, Band(value - slack, value + slack))
    return other, off


def _beside(subject: Subject, point: WirePoint, sample: Sample, band: Band) -> list[str]:
    if sample.value is None:
        return [f"{point.name} shows nothing"]
    found = strange(subject, point, sample, band)
    return [] if found is None else [found.text]


def _pattern(point: WirePoint, text: str) -> str:
    """Return what a text may look like: as much of it as fits, any serial number."""
    whole = text.replace(SERIAL, "*")
    return whole if SERIAL in text else whole.encode()[: 2 * point.width].decode("utf-8", "ignore")


# -- at some levels of power ---------------------------------------------------------------------


def levels(c: Context) -> None:
    """Order some powers and hold every reading against them, a minute after each."""
    far, off, beside, refused, wrong = [], [], [], [], []
    series = c.series("levels", "time_s", "order", "point", "words", "value", "finding")
    worst: tuple[float, float, Path] | None = None
    tried = 0
    for order in _orders(c.subject):
        if order:
            try:
                said = give_order(c, order)
            except Forbidden as kept:
                c.note(f"not beyond the bench's own limits: {kept}")
                continue
            tried += 1
            if said:
                refused.append(said)
                continue
        keep_order(c, order, SETTLE_S)
        shown = _look(c, order, series)
        far += shown.far
        beside += shown.beside
        off += shown.power
        if shown.difference is not None and (worst is None or shown.difference[0] > worst[0]):
            worst = shown.difference
        if "power_kw" in order and shown.followed is not None:
            ratio = shown.followed / order["power_kw"]
            if not 1.0 / APART < ratio < APART:
                wrong.append(f"{order['power_kw']:g} kW ordered, {shown.followed:.6g} kW came")
    c.take("out_of_range", float(len(set(far))), 0.0, TABLE, once(far))
    c.take("echoes_and_states", float(len(set(beside))), 0.0, TABLE, once(beside))
    if worst is not None:
        c.take("power_reading", *worst, once(off))
    elif c.wants("power_reading"):
        c.leave("power_reading", "the table has no power that can be read")
    path = power_path(c.subject)
    if tried == 0:
        c.leave("orders_refused", "no power or limit of this kind is ordered here")
        c.leave("orders_followed", "no power of this kind is ordered here")
        return
    c.take("orders_refused", float(len(refused)), 0.0, TABLE, "; ".join(refused))
    if any("power_kw" in order for order in _orders(c.subject)):
        c.take("orders_followed", float(len(wrong)), 0.0, path, "; ".join(wrong))
    else:
        c.leave("orders_followed", "a limit is no order: less power is no fault")


def _orders(subject: Subject) -> list[dict[str, float]]:
    """Return what is ordered in turn, set-points in the twin's unit; the first is nothing."""
    known = subject.device.meanings.commands
    if "power_kw" in known:
        return [{}, *({"power_kw": kw} for kw in halves_kw(subject))]
    found: list[dict[str, float]] = [{}]
    if "limit_kw" in known:
        found.append({"limit_kw": HALF * subject.rated_kw})
    if "setpoint_offset_c" in known:
        found.append({"setpoint_offset_c": 1.0})
    return found


def halves_kw(subject: Subject) -> list[float]:
    """Return half the rating in both directions, as far as the bench allows it [kW]."""
    bench, half = subject.device.envelope, HALF * subject.rated_kw
    wanted = (min(half, bench.power_high_kw), max(-half, bench.power_low_kw))
    return [kw for kw in wanted if abs(kw) >= LEAST_ORDER * subject.rated_kw]


def give_order(c: Context, order: Mapping[str, float]) -> str:
    """Give an order; return how it was refused, ``""``: it was not.

    Raises Forbidden where the bench does not let it pass whole.
    """
    for setpoint, value in order.items():
        for one in asking.command(c.subject, setpoint, value):
            if not one.accepted:
                return f"{setpoint} {value:g}: {one.point} = {one.wanted} (exception {one.code})"
            if one.cut:
                raise Forbidden(f"{setpoint} {value:g} was cut to {one.sent} ({one.cut})")
    return ""


def keep_order(c: Context, order: Mapping[str, float], seconds: float) -> None:
    """Let time pass under an order, repeated as often as a declared heartbeat time wants it."""
    declared_s = c.subject.nameplate.get("heartbeat_s", 0.0)
    every_s = declared_s / BEATS if order and declared_s > 0.0 else seconds
    end_s = c.subject.clock.now_s() + seconds
    while (left_s := end_s - c.subject.clock.now_s()) > 0.0:
        c.subject.clock.sleep(min(every_s, left_s))
        if left_s > every_s:
            give_order(c, order)


class _Shown:
    """What was found at one level."""

    def __init__(self) -> None:
        self.far: list[str] = []
        self.beside: list[str] = []
        self.power: list[str] = []
        self.difference: tuple[float, float, Path] | None = None
        self.followed: float | None = None


def _look(c: Context, order: Mapping[str, float], series: Series) -> _Shown:
    subject, found = c.subject, _Shown()
    pairs = {p.name: q for p, q in points_showing(subject, lambda p: True)}
    before = None if subject.meter is None else subject.meter.power_kw()
    samples = asking.read(subject, pairs)
    after = None if subject.meter is None else subject.meter.power_kw()
    metered = _band(before, after)
    power_kw = (
        shown_value(subject, samples, "power_kw")
        if metered is None
        else 0.5 * (metered.low + metered.high)
    )
    found.followed = power_kw
    known = math.nan if power_kw is None else power_kw
    bands = bands_of(subject, order, known, shown_value(subject, samples, "soc"))
    for name, sample in samples.items():
        point, twin = subject.map.point(name), pairs[name]
        said, whole, band = "", range_of(subject, twin), bands.get(twin)
        if twin == "power_kw" and metered is not None and isinstance(sample.value, float):
            said = _compare(subject, point, sample, metered, found)
        near = None if band is None else strange(subject, point, sample, band)
        out = None if whole is None or coded(point) else strange(subject, point, sample, whole)
        if out is not None:  # what it should be tells better than what it may be how to read it
            said = said or (out.text if near is None else near.text)
            found.far.append(said)
        elif near is not None:
            said = near.text
            found.beside.append(said)
        series.add(round(sample.at_s, 3), str(dict(order)), name,
                   " ".join(f"{w:04x}" for w in sample.words), sample.value, said)  # fmt: skip
    return found


def _compare(
    subject: Subject, point: WirePoint, sample: Sample, metered: Band, found: _Shown
) -> str:
    """Hold a power that is read against the meter's; return what is strange about it."""
    rated = subject.rated_kw
    shown = to_twin(point, float(sample.value), rated)  # type: ignore[arg-type]
    middle, half = 0.5 * (metered.low + metered.high), 0.5 * (metered.high - metered.low)
    source = point.source
    gain = 1.0 if source is None else abs(source.gain)
    step = 0.0 if point.type == "f32" else 0.5 * point.scale / gain
    step *= rated if source is not None and source.per_rating else 1.0
    differs = 100.0 * abs(shown - middle) / rated
    unsure = 100.0 * (half + step) / rated
    if found.difference is None or differs > found.difference[0]:
        path = Path("instrument", "meter", 100.0 * half / rated, 1.0)
        found.difference = (differs, unsure, path)
    wide = 0.05 * rated
    odd = strange(subject, point, sample, Band(metered.low - wide, metered.high + wide))
    if odd is None:
        return ""
    found.power.append(odd.text)
    return odd.text


def coded(point: WirePoint) -> bool:
    """Whether a register shows codes instead of the twin's own numbers."""
    return point.source is not None and len(point.source.values) > 0


def _band(before: Measured | None, after: Measured | None) -> Band | None:
    if before is None or after is None:
        return None
    ends = [m.value + s * m.accuracy for m in (before, after) for s in (-1.0, 1.0)]
    return Band(min(ends), max(ends))


def shown_value(subject: Subject, samples: Mapping[str, Sample], twin: str) -> float | None:
    """Return a point of the twin as the device shows it, in the twin's unit."""
    name = subject.device.meanings.readings.get(twin)
    value = None if name is None or name not in samples else samples[name].value
    if name is None or not isinstance(value, float):
        return None
    return to_twin(subject.map.point(name), value, subject.rated_kw)


def power_path(subject: Subject) -> Path:
    """Return how power is known: by a meter, else by the device's own register."""
    if subject.meter is not None:
        about = subject.meter.about()
        return Path("instrument", about.name, None, about.sampling_s)
    return Path("register", str(subject.device.meanings.readings.get("power_kw")), None, SETTLE_S)


def once(texts: list[str]) -> str:
    """Return findings as one text, each of them once."""
    return "; ".join(dict.fromkeys(texts))
