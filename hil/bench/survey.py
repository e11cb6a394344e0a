"""A look at a device that writes nothing: is it there, is it the right one, does its map fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hil.bench.blocks import blocks
from hil.bench.device import BenchDevice, Sample, Value
from hil.bench.errors import Garbage, LineDown, LineError, NoAnswer
from hil.registers.codec import decode
from hil.registers.kinds import catalogue
from hil.registers.schema import Order, WirePoint

__all__ = ["Finding", "Survey", "survey"]

MOST_BLOCKS = 64
# Requests without an answer after which no more are made.
GIVE_UP = 2
# Of a rating that a device shows against the bench file's (project's choice).
SAME = 0.01
# Beyond the rating by which a reading is still one (project's choice).
OVERLOAD = 1.5
ORDERS: tuple[Order, ...] = ("ABCD", "CDAB", "BADC", "DCBA")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know of a device.

    Attributes
    ----------
    wrong : it must be mended before anything is written; else a note
    place : where on the device
    text : what is found, and what was expected
    """

    wrong: bool
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look at a device brought.

    Attributes
    ----------
    device, line : its name and where it was looked for
    identity : what it says of itself by function 43/14
    samples : what its points show, by name
    findings : wrong ones and notes
    """

    device: str
    line: str
    identity: Mapping[str, str]
    samples: Mapping[str, Sample]
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not any(f.wrong for f in self.findings)


def survey(
    device: BenchDevice,
    expected: Mapping[str, float] | None = None,
    itself: Mapping[str, str] | None = None,
) -> Survey:
    """Return what a device shows; never raises for what the device does, and writes nothing.

    Parameters
    ----------
    expected : by column of the nameplate what the bench file says, such as ``rated_kw``
    itself : what the bench file says that the device must say of itself
    """
    samples: dict[str, Sample] = {}
    findings = [Finding(True, place, text) for place, text in _read(device, samples)]
    identity: dict[str, str] = {}
    # Some devices hang up when they are asked who they are; one that shows nothing is not asked.
    if samples:
        try:
            identity = device.identity()
            if not identity:
                findings.append(Finding(False, "43/14", "says nothing of itself: refused"))
        except LineError as error:
            findings.append(Finding(False, "43/14", str(error)))
        findings += _who(device, identity, {} if itself is None else itself)
    plate = {} if expected is None else expected
    for point in device.map.points:
        sample = samples.get(point.name)
        if sample is not None:
            findings += _strange(device, point, sample, plate)
    return Survey(device.name, device.line.name, identity, samples, tuple(findings))


def _who(
    device: BenchDevice, identity: Mapping[str, str], itself: Mapping[str, str]
) -> Iterator[Finding]:
    for key, wanted in itself.items():
        if identity.get(key) != wanted:
            said = repr(identity[key]) if key in identity else "nothing"
            yield Finding(True, "43/14", f"{key} is {said}; the bench file says {wanted!r}")
    known = device.map.identity
    for key, expected in (("vendor", known.vendor), ("product", known.product)):
        if key not in itself and identity.get(key, expected) != expected:
            text = f"{key} {identity[key]!r}; map {device.map.name} is of {expected!r}"
            yield Finding(False, "43/14", text)


def _read(device: BenchDevice, samples: dict[str, Sample]) -> Iterator[tuple[str, str]]:
    """Read every block; yield what goes wrong."""
    silent = 0
    parts = blocks([p for p in device.map.points if "r" in p.access], device.map.longest_read)
    for block in parts[:MOST_BLOCKS]:
        names = [p.name for p in block.points]
        place = f"{block.table} {block.address} to {block.address + block.count - 1}"
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        try:
            found = device.read(names)
            silent = 0
        except LineDown as error:
            yield place, str(error)
            return
        except (NoAnswer, Garbage) as error:
            yield place, f"{error}; the map has {shown} there"
            silent += 1
            if silent >= GIVE_UP:
                return
            continue
        samples |= found
        code = found[names[0]].code
        if code > 0:
            yield place, f"refused with exception {code}; the map has {shown} there"


def _strange(
    device: BenchDevice, point: WirePoint, sample: Sample, plate: Mapping[str, float]
) -> Iterator[Finding]:
    """Yield what a value is not, that it would be if the map fitted."""
    source, value = point.source, sample.value
    if source is None or value is None:
        return
    unit = f" {point.unit}" if point.unit else ""
    if source.text is not None and "{serial}" not in source.text and value != source.text:
        yield _not(point, f"{value!r}", f"{source.text!r}", "")
    if not isinstance(value, float):
        return
    if source.constant is not None and not _same(value, source.constant, point):
        yield _not(point, f"{value:g}{unit}", f"{source.constant:g}{unit}", "")
    if source.nameplate is not None and source.nameplate in plate:
        wanted = source.gain * plate[source.nameplate] + source.offset
        if not _same(value, wanted, point):
            hint = _hint(device, point, sample, wanted)
            yield _not(point, f"{value:g}{unit}", f"{wanted:g}{unit}", hint)
    low, high = _range(device, point)
    if not low <= value <= high:
        yield Finding(
            True, point.name, f"shows {value:g}{unit}, which lies outside {low:g} to {high:g}{unit}"
        )


def _not(point: WirePoint, shown: str, expected: str, hint: str) -> Finding:
    return Finding(True, point.name, f"shows {shown} where {expected} is expected{hint}")


def _same(value: float, expected: float, point: WirePoint) -> bool:
    step = 0.0 if point.type == "f32" else point.scale
    return math.isclose(value, expected, rel_tol=SAME, abs_tol=step)


def _range(device: BenchDevice, point: WirePoint) -> tuple[float, float]:
    """Return between what a reading lies, by the map and by the twin's kind."""
    low = -math.inf if point.low is None or "w" in point.access else point.low
    high = math.inf if point.high is None or "w" in point.access else point.high
    source = point.source
    if source is None or source.point is None or source.values or point.bit is not None:
        return low, high
    twin = catalogue()[device.map.kind].points[source.point]
    rated_kw = device.meanings.rated_kw
    size = OVERLOAD * rated_kw if twin.per_rating else 1.0
    ends = [
        source.gain * (end * size / (rated_kw if source.per_rating else 1.0)) + source.offset
        for end in (twin.low, twin.high)
        if not math.isnan(size)
    ]
    if not ends:
        return low, high
    slack = point.scale
    return max(low, min(ends) - slack), min(high, max(ends) + slack)


def _hint(device: BenchDevice, point: WirePoint, sample: Sample, wanted: float) -> str:
    """Return what would explain a value: a factor, or another order of bytes and words."""
    own = point.order or device.map.order
    for order in ORDERS:
        other: Value | None = None
        if order != own:
            one = point.model_copy(update={"order": order})
            other = decode(one, device.map.order, sample.words)
        if isinstance(other, float) and _same(other, wanted, point):
            return f"; order {order} instead of {own} would give it"
    if isinstance(sample.value, float) and 0.0 < sample.value < math.inf and wanted > 0.0:
        exponent = math.log10(sample.value / wanted)
        if round(exponent) != 0 and abs(exponent - round(exponent)) < SAME:
            return f"; that is {10.0 ** round(exponent):g} times as much"
    return ""
