"""What a register should show: told from the table, the nameplate, a meter and what was ordered."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from hil.bench.device import Sample
from hil.bench.meanings import from_twin
from hil.certify.subject import Subject
from hil.certify.suites.diagnosis import diagnose
from hil.registers.kinds import catalogue
from hil.registers.schema import WirePoint

__all__ = ["Band", "Strange", "bands_of", "points_showing", "range_of", "strange"]

RANGE_SLACK = 0.1  # of its width, beyond a kind's own range of a point (assumed)
ECHO_SLACK = 0.005  # of the rating, beside the step of the register (assumed)
MIDDLE = (0.2, 0.8)  # states of charge at which a station does all that it can (assumed)
STATE_FROM = 0.05  # of the rating: from this power on a storage station is not in standby


@dataclass(frozen=True, slots=True)
class Band:
    """What a point of the twin may be: between two values, in the twin's unit."""

    low: float
    high: float

    def wire(self, point: WirePoint, rated_kw: float) -> tuple[float, float]:
        """Return the least and the most that a register may show, in its own unit."""
        ends = sorted(from_twin(point, end, rated_kw) for end in (self.low, self.high))
        slack = 0.5 * point.scale if point.type != "f32" else 1e-6 * max(map(abs, ends))
        return ends[0] - 1.001 * slack, ends[1] + 1.001 * slack


@dataclass(frozen=True, slots=True)
class Strange:
    """A register that shows what it cannot be: which, and what would make it fit."""

    point: str
    text: str


def strange(subject: Subject, point: WirePoint, sample: Sample, band: Band) -> Strange | None:
    """Return what is strange about a reading, None where it lies in its band or is none."""
    if not isinstance(sample.value, float):
        return None
    low, high = band.wire(point, subject.rated_kw)

    def fits(value: float) -> bool:
        return math.isfinite(value) and low <= value <= high

    if fits(sample.value):
        return None
    reason = diagnose(point, subject.map.order, sample.words, fits)
    wanted = f"{low:.6g} to {high:.6g}"
    text = f"{point.name} shows {sample.value:.6g} {point.unit}, not {wanted}".replace("  ", " ")
    return Strange(point.name, f"{text}; {reason}" if reason else text)


def range_of(subject: Subject, name: str) -> Band | None:
    """Return what a point of the twin can be at all, None where nothing bounds it."""
    spec = catalogue()[subject.kind].points[name]
    row = _plausible().get(subject.kind, {}).get(name)
    if row is not None:
        scale = subject.rated_kw if row.get("per_rating") else 1.0
        return Band(float(row["low"]) * scale, float(row["high"]) * scale)
    scale = subject.rated_kw if spec.per_rating else 1.0
    low, high = spec.low * scale, spec.high * scale
    if not (math.isfinite(low) or math.isfinite(high)):
        return None
    width = high - low
    slack = RANGE_SLACK * width if math.isfinite(width) else 0.0
    return Band(low - slack, high + slack)


@cache
def _plausible() -> Mapping[str, Mapping[str, Mapping[str, float]]]:
    return tomllib.loads(files("hil.certify").joinpath("plausible.toml").read_text("utf-8"))


def bands_of(
    subject: Subject, ordered: Mapping[str, float], power_kw: float, soc: float | None
) -> dict[str, Band]:
    """Return what points of the twin should show after an order, beside their power.

    Parameters
    ----------
    ordered : set-points in force and their values, in the twin's unit; empty: none
    power_kw : as metered, else as the device says
    soc : state of charge as the device says, None: it does not
    """
    rated, found = subject.rated_kw, {}
    echo = ECHO_SLACK * rated
    if "power_kw" in ordered:
        found["setpoint_kw"] = Band(ordered["power_kw"] - echo, ordered["power_kw"] + echo)
    if "limit_kw" in ordered:
        found["limit_kw"] = Band(ordered["limit_kw"] - echo, ordered["limit_kw"] + echo)
    if "setpoint_offset_c" in ordered and "setpoint_c" in subject.nameplate:
        middle = subject.nameplate["setpoint_c"] + ordered["setpoint_offset_c"]
        found["setpoint_c"] = Band(middle - 0.1, middle + 0.1)
    if ordered:
        found["remote"] = Band(1.0, 1.0)
    if subject.kind == "storage" and abs(power_kw) > STATE_FROM * rated:
        state = 2.0 if power_kw > 0.0 else 1.0
        found["status"] = Band(state, state)
        # Far from full and empty, what it says that it can do is no less than what it does.
        if soc is not None and MIDDLE[0] < soc < MIDDLE[1]:
            does = "discharge_limit_kw" if power_kw > 0.0 else "charge_limit_kw"
            found[does] = Band(0.8 * abs(power_kw), 1.1 * rated)
    return {n: b for n, b in found.items() if n in catalogue()[subject.kind].points}


def points_showing(
    subject: Subject, wanted: Callable[[WirePoint], bool]
) -> Iterator[tuple[WirePoint, str]]:
    """Yield readable points behind which a point of the twin stands, with its name."""
    for point in subject.map.points:
        source = point.source
        if source is None or source.point is None or "r" not in point.access:
            continue
        if wanted(point):
            yield point, source.point
