"""Storage: energy and efficiency over three cycles, what it does at both ends, and its SOC.

Efficiency is the mean over three cycles of (E_D - W_D) / (E_C + W_C). The meter stands at the
terminals, so that auxiliaries fed behind it are in E_D and E_C already and W is 0; where they are
fed from elsewhere a second meter counts them (``auxiliary = true`` in the bench file).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hil.bench.roles import InstrumentError, Meter
from hil.certify.procedure import Context
from hil.certify.suites.hand import POWER_COLUMNS, Hand
from hil.certify.suites.storage_soc import LEG_COLUMNS, Leg, is_at_end, leg, possible

__all__ = ["CYCLES", "at_end", "cycle", "energy_figures", "soc_cycle"]

CYCLES = 3
HOLD_S = 300.0  # how long it is told to go on at its end (our choice)
# Charge is counted as energy. Between 5 and 95 % the voltage of LFP cells lies within 3.12 and
# 3.32 V with a plateau between, so that the two differ by less than this of the whole (D, from
# the OCV table in twin/assets/data/storage.toml).
ENERGY_FOR_CHARGE = 1.0


def cycle(number: int) -> Callable[[Context], None]:
    """Return the step of one cycle: full, discharge, charge; it carries its two energies."""

    def act(context: Context) -> None:
        hand = Hand(context)
        legs = []
        for name, sign in (("fill", -1.0), ("discharge", 1.0), ("charge", -1.0)):
            auxiliary = _auxiliary(hand)
            one = leg(hand, context.series(name, *LEG_COLUMNS), sign)
            if _unjudged(context, ("energy_share",), name, one):
                return
            one.auxiliary_kwh = _auxiliary(hand) - auxiliary
            legs.append(one)
        _, out, back = legs
        capacity = hand.capacity_kwh
        if capacity is not None:
            error = 100.0 * out.error_kwh / capacity
            share = 100.0 * out.energy_kwh / capacity
            context.take("energy_share", share, error, hand.path(error), f"cycle {number}")
        context.carried[f"cycle_{number}"] = [
            out.energy_kwh, out.error_kwh, back.energy_kwh, back.error_kwh,
            out.auxiliary_kwh, back.auxiliary_kwh,
        ]  # fmt: skip

    return act


def energy_figures(context: Context) -> None:
    """Take energy, its spread and efficiency from what the cycles carried."""
    hand = Hand(context)
    ids = ("energy_discharged", "energy_charged", "energy_spread", "efficiency")
    cycles: list[list[float]] = []
    for number in range(1, CYCLES + 1):
        found = context.carried.get(f"cycle_{number}")
        if isinstance(found, list):
            cycles.append([float(v) for v in found])
    if len(cycles) < CYCLES:
        for id in ids:
            context.doubt(id, "there are not three whole cycles")
        return
    out, out_error = [c[0] for c in cycles], max(c[1] for c in cycles)
    path = hand.path(out_error)
    context.take("energy_discharged", _mean(out), out_error, path)
    context.take("energy_charged", _mean([c[2] for c in cycles]), max(c[3] for c in cycles), path)
    spread = 100.0 * (max(out) - min(out)) / _mean(out)
    # The meter's gain is the same in all three; what is left is how exactly an end is met.
    context.take("energy_spread", spread, 0.0, hand.path())
    shares = [100.0 * (d - wd) / (c + wc) for d, _, c, _, wd, wc in cycles]
    error = max(100.0 * (de / d + ce / c) * d / c for d, de, c, ce, _, _ in cycles)
    note = ", ".join(f"{share:.2f}" for share in shares)
    context.take("efficiency", _mean(shares), error, hand.path(error), f"cycles: {note} %")


def at_end(sign: float) -> Callable[[Context], None]:
    """Return the step that goes to an end and orders more; `sign` -1: charges once full."""
    id, name = ("at_full", "charge") if sign < 0.0 else ("at_empty", "discharge")

    def act(context: Context) -> None:
        hand = Hand(context)
        rated = hand.rated_kw
        one = leg(hand, context.series(name, *LEG_COLUMNS), sign)
        if one.bound:
            power = 100.0 * max(sign * one.power_kw, 0.0) / rated
            context.take(id, power, 0.0, hand.path(), one.ended)
            return
        if one.ended:
            (context.leave if one.unfit else context.doubt)(id, one.ended)
            return
        if not one.obeyed and not is_at_end(hand, sign):
            context.doubt(id, f"it did not {name} as it was told")
            return
        held = hand.watch(context.series("hold", *POWER_COLUMNS), HOLD_S)
        worst = max(held, key=lambda s: sign * s.value)
        power = 100.0 * max(sign * worst.value, 0.0) / rated
        error = 100.0 * worst.half_width / rated
        context.take(id, power, error, hand.path(error))

    return act


def soc_cycle(context: Context) -> None:
    """Hold the SOC against counted energy, from full to empty and back to full."""
    hand = Hand(context)
    ids = ("soc_error", "soc_span")
    if not hand.shows("soc"):
        for id in ids:
            context.leave(id, "the device shows no SOC")
        return
    shown = hand.register("soc").value
    if not possible(shown):
        for id in ids:
            context.doubt(id, f"{100.0 * shown:.0f} % is no SOC: the table may be wrong")
        return
    legs = {}
    for name, sign in (("fill", -1.0), ("discharge", 1.0), ("charge", -1.0)):
        one = leg(hand, context.series(name, *LEG_COLUMNS), sign)
        if one.beyond > 0.0:
            # What went on after 100 % or 0 % was shown is an error of at least as much.
            context.take("soc_error", 100.0 * one.beyond, ENERGY_FOR_CHARGE, hand.own("soc"),
                         one.ended)  # fmt: skip
            context.doubt("soc_span", one.ended)
            return
        if _unjudged(context, ids, name, one):
            return
        legs[name] = one
    step = 100.0 * hand.register("soc").half_width
    full, empty = 100.0 * legs["fill"].trace[-1][2], 100.0 * legs["discharge"].trace[-1][2]
    counted = context.series("soc", "time_s", "shown_pct", "counted_pct")
    worst = 0.0
    for name, start, end in (("discharge", full, empty), ("charge", empty, full)):
        one = legs[name]
        for time_s, kwh, soc in one.trace:
            should = start + (end - start) * kwh / one.energy_kwh
            counted.add(time_s, 100.0 * soc, should)
            worst = max(worst, abs(100.0 * soc - should))
    path = hand.own("soc")
    context.take("soc_span", full - empty, 2.0 * step, path)
    context.take("soc_error", worst, ENERGY_FOR_CHARGE + step, path, "against counted energy")


def _auxiliary(hand: Hand) -> float:
    """Return what auxiliaries drew so far by a meter of their own [kWh]; 0 without one.

    Raises InstrumentError where that meter does not count.
    """
    meter = hand.subject.instruments.get("meter_auxiliary")
    if not isinstance(meter, Meter):
        return 0.0
    found = meter.energy_kwh()
    if found is None:
        raise InstrumentError(f"{meter.about().name}: a meter of auxiliaries must count energy")
    return found.from_grid.value - found.into_grid.value


def _unjudged(context: Context, ids: Sequence[str], name: str, one: Leg) -> bool:
    """Say of measurements why a leg does not let them be taken; return whether it is so."""
    deaf = name != "fill" and not one.obeyed
    if not (one.ended or deaf):
        return False
    why = f"{name}: {one.ended or 'it did not do what it was told'}"
    for id in ids:
        (context.leave if one.unfit else context.doubt)(id, why)
    return True


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
