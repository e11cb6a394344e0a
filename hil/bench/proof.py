"""Whether a device is at its safe state, from what it shows of itself.

A command that was accepted proves nothing (bohdan-s/SunGather#153): the device must show the
set-points of its safe state, a power that agrees with them, and, where it was given back to its
owner, that it is. Two readings in a row must say so, a while apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hil.bench.clock import Clock
from hil.bench.device import BenchDevice, Value
from hil.bench.errors import LineError
from hil.bench.meanings import to_twin
from hil.bench.provable import RELEASE

__all__ = ["Proof", "doubts", "prove", "proving", "read_once"]

# A default where a bench file states none: of the greatest power the bench allows (ours).
TOLERANCE = 0.02
CAP = "limit_kw"
TWIN = ("power_kw", "remote")


@dataclass(frozen=True, slots=True)
class Proof:
    """What was read back of a device.

    Attributes
    ----------
    device : its name
    safe : it shows its safe state
    values : by point, in its own unit; empty where nothing could be read
    why : what speaks against it, empty where it is safe
    """

    device: str
    safe: bool
    values: Mapping[str, Value | None]
    why: str = ""


def prove(
    device: BenchDevice, clock: Clock, tolerance_kw: float, settle_s: float, confirm_s: float
) -> Proof:
    """Read a device until it is proven safe, or `settle_s` has passed; the result is on record.

    What cannot be read at all is not safe, and is not waited for: it must be told again.
    """
    limit_s = clock.now_s() + settle_s
    good = 0
    while True:
        proof = read_once(device, tolerance_kw)
        good = good + 1 if proof.safe else 0
        if good == 2 or not proof.values or clock.now_s() >= limit_s:
            device.journal.record(
                "read_back", device.name, values=dict(proof.values), proven=good == 2,
                why=proof.why, safe=device.safe_state,
            )  # fmt: skip
            return proof if good == 2 else _unproven(proof)
        clock.sleep(confirm_s)


def proving(device: BenchDevice) -> list[str]:
    """Return the points that are read to prove a safe state."""
    readings = device.meanings.readings
    names = [n for n in device.safe_state if "r" in device.map.point(n).access]
    return names + [readings[n] for n in TWIN if n in readings and readings[n] not in names]


def read_once(device: BenchDevice, tolerance_kw: float) -> Proof:
    """Return what one reading says."""
    try:
        samples = device.read(proving(device))
    except LineError as error:
        return Proof(device.name, False, {}, str(error))
    values = {n: s.value for n, s in samples.items()}
    found = list(doubts(device, values, tolerance_kw))
    if not values:
        found.append("it shows neither its set-points nor its power")
    return Proof(device.name, not found, values, "; ".join(found))


def doubts(
    device: BenchDevice, values: Mapping[str, Value | None], tolerance_kw: float
) -> Iterator[str]:
    """Yield what speaks against a device being at its safe state.

    Parameters
    ----------
    values : of the readable points of the safe state, of its power and of who controls it
    tolerance_kw : of the power; infinite: `TOLERANCE` of what the bench allows
    """
    setpoint = device.meanings.setpoint
    for name, wanted in device.safe_state.items():
        if setpoint.get(name) == RELEASE or name not in values:
            continue  # a switch that springs back: `remote` says what became of it
        shown, step = values[name], device.map.point(name).scale
        if not isinstance(shown, float) or abs(shown - wanted) > 0.501 * step + 1e-6 * abs(wanted):
            told = f"{shown:g}" if isinstance(shown, float) else str(shown)
            yield f"{name} shows {told}, not {wanted:g}"
    released = any(setpoint.get(name) == RELEASE for name in device.safe_state)
    twin = _twin(device, values)
    if released and twin.get("remote", 0.0) != 0.0:
        yield "it does not show that its owner's control is back"
    if not released and "power_kw" in twin:
        yield from _power_doubts(device, twin["power_kw"], tolerance_kw)


def _twin(device: BenchDevice, values: Mapping[str, Value | None]) -> dict[str, float | None]:
    """Return readings by the twin's name and in its unit, as far as there are any."""
    found: dict[str, float | None] = {}
    for name in TWIN:
        point = device.meanings.readings.get(name)
        if point is not None and point in values:
            value, one = values[point], device.map.point(point)
            rated_kw = device.meanings.rated_kw
            found[name] = to_twin(one, value, rated_kw) if isinstance(value, float) else None
    return found


def _power_doubts(device: BenchDevice, shown: float | None, tolerance_kw: float) -> Iterator[str]:
    """Yield where the power is not what the safe state orders."""
    band = safe_power_kw(device)
    if band is None:
        return
    envelope = device.envelope
    if math.isinf(tolerance_kw):
        tolerance_kw = TOLERANCE * max(abs(envelope.power_low_kw), abs(envelope.power_high_kw))
    low, high = band
    if shown is None or not low - tolerance_kw <= shown <= high + tolerance_kw:
        power = "no power" if shown is None else f"{shown:g} kW"
        yield f"it shows {power}, not {_band(low, high)} kW (+- {tolerance_kw:g})"


def _band(low: float, high: float) -> str:
    if low == high:
        return f"{low:g}"
    if math.isinf(high):
        return f"{low:g} or more"
    return f"{high:g} or less" if math.isinf(low) else f"{low:g} to {high:g}"


def safe_power_kw(device: BenchDevice) -> tuple[float, float] | None:
    """Return between which powers the safe state holds the device, into the grid [kW].

    A power that is ordered is both ends; a cap bounds one side. None where no power is ordered.
    """
    low, high, ordered = -math.inf, math.inf, False
    meanings = device.meanings
    for name, value in device.safe_state.items():
        sign = meanings.sign(name)
        if sign == 0.0:
            continue
        ordered = True
        power_kw = meanings.power_kw(name, value) + 0.0
        cap = meanings.setpoint[name] == CAP
        if not cap or sign > 0.0:
            high = min(high, power_kw)
        if not cap or sign < 0.0:
            low = max(low, power_kw)
    return (low, high) if ordered else None


def _unproven(proof: Proof) -> Proof:
    why = proof.why or "it was at its safe state for one reading only"
    return Proof(proof.device, False, proof.values, why)
