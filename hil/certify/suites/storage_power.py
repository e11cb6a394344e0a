"""Storage: how fast and how exactly it goes where it is told.

Times are those of GB/T 36547: the response time runs from the order until 90 % of rated power,
the regulation time until power stays within 2 % of rated power, the conversion time from 90 %
one way to 90 % the other way. All begin near 50 % SOC.
"""

from __future__ import annotations

from collections.abc import Callable

from hil.certify.procedure import Context
from hil.certify.suites.hand import POWER_COLUMNS, Hand, Order
from hil.certify.suites.storage_soc import to_middle
from hil.certify.suites.timing import (
    Moment,
    Sampled,
    at_least,
    at_most,
    first,
    settled,
    since,
    within,
)

__all__ = ["control", "respond", "turn"]

WATCH_S = 60.0  # what has not happened by then has not happened (our choice)
TAIL_S = 10.0  # over which the final value is taken
REST_S = 300.0  # for coming to rest, or to a level, before it counts
REACHED, BAND = 0.9, 0.02  # of rated power: GB/T 36547-2018, general knowledge
STILL = 0.005  # of rated power: less change than this in 10 s is standing still (our choice)
RAMP_FROM, RAMP_TO = 0.1, 0.9
LEVELS = (0.25, 0.5, 0.75, 1.0)


def respond(sign: float) -> Callable[[Context], None]:
    """Return the step that orders rated power out of hot standby; `sign` 1: discharge."""
    way = "discharge" if sign > 0.0 else "charge"

    def act(context: Context) -> None:
        hand = Hand(context)
        to_middle(hand)
        series = context.series("power", *POWER_COLUMNS)
        hand.go("power_kw", 0.0)
        hand.steady(series, TAIL_S, REST_S, STILL * hand.rated_kw)
        response, regulation = f"response_{way}", f"regulation_{way}"
        order = hand.order("power_kw", sign * hand.rated_kw)
        if _unfit(context, hand, order, (response, regulation)):
            return
        samples = _along(hand.watch(series, WATCH_S), sign)
        reached = first(samples, at_least(REACHED * hand.rated_kw))
        _take_time(context, hand, response, reached, order)
        tail = [s for s in samples if s.before_s >= samples[-1].before_s - TAIL_S]
        final = sum(s.value for s in tail) / len(tail)
        still = settled(samples, within(final, BAND * hand.rated_kw))
        if abs(final - samples[0].value) < BAND * hand.rated_kw:
            context.doubt(regulation, "it did not move")
        else:
            _take_time(context, hand, regulation, still, order)
        if sign > 0.0:
            _take_ramp(context, hand, samples)

    return act


def turn(sign: float) -> Callable[[Context], None]:
    """Return the step that turns rated power round; `sign` 1: from discharge to charge."""
    id = "turn_to_charge" if sign > 0.0 else "turn_to_discharge"

    def act(context: Context) -> None:
        hand = Hand(context)
        to_middle(hand)
        series = context.series("power", *POWER_COLUMNS)
        threshold = REACHED * hand.rated_kw
        hand.go("power_kw", sign * hand.rated_kw)
        before = _along([hand.steady(series, TAIL_S, REST_S, STILL * hand.rated_kw)], sign)
        order = hand.order("power_kw", -sign * hand.rated_kw)
        if _unfit(context, hand, order, (id,)):
            return
        samples = _along(hand.watch(series, WATCH_S), sign)
        if before[0].high < threshold:
            context.doubt(id, "it was not at 90 % of rated power before the turn")
            return
        left = first(samples, lambda s: _not(at_least(threshold)(s)))
        arrived = first(samples, at_most(-threshold))
        if left is None or arrived is None:
            context.take(id, f"not within {WATCH_S:g} s", 0.0, hand.path())
            return
        # It leaves no earlier than it is told to.
        start = Moment(max(left.low, order.at.low), max(left.high, order.at.low))
        span = since(Moment(max(arrived.low, start.low), arrived.high), start)
        context.take(id, span.middle, span.half_width, hand.path())

    return act


def control(context: Context) -> None:
    """Hold power at the levels, both ways, and take the worst steady difference."""
    hand = Hand(context)
    to_middle(hand)
    series = context.series("power", *POWER_COLUMNS)
    levels = context.series("levels", "time_s", "ordered_kw", "power_kw", "half_width_kw")
    rated = hand.rated_kw
    for share in [s * level for level in LEVELS for s in (1.0, -1.0)]:
        order = hand.go("power_kw", share * rated)
        if _unfit(context, hand, order, ("deviation",)):
            return
        held = hand.steady(series, TAIL_S, REST_S, STILL * rated)
        levels.add(held.before_s, order.value, held.value, held.half_width)
        context.take(
            "deviation", 100.0 * abs(held.value - order.value) / rated,
            100.0 * held.half_width / rated, hand.path(100.0 * held.half_width / rated),
            f"at {100.0 * share:+.0f} % of rated power",
        )  # fmt: skip


def _unfit(context: Context, hand: Hand, order: Order, ids: tuple[str, ...]) -> bool:
    """Say of measurements why an order does not let them be taken; return whether it is so."""
    for id in ids:
        if not order.accepted:
            # A device that refuses what it is rated for fails what was to be measured.
            context.take(id, "refused", 0.0, hand.path(), order.reason)
        elif order.cut:
            context.leave(id, order.reason)
    return order.reason != ""


def _along(samples: list[Sampled], sign: float) -> list[Sampled]:
    return [Sampled(s.after_s, s.before_s, sign * s.value, s.half_width) for s in samples]


def _not(said: bool | None) -> bool | None:
    return None if said is None else not said


def _take_time(context: Context, hand: Hand, id: str, moment: Moment | None, order: Order) -> None:
    if moment is None:
        context.take(id, f"not within {WATCH_S:g} s", 0.0, hand.path())
        return
    span = since(moment, order.at)
    context.take(id, span.middle, span.half_width, hand.path())


def _take_ramp(context: Context, hand: Hand, samples: list[Sampled]) -> None:
    begin = first(samples, at_least(RAMP_FROM * hand.rated_kw))
    end = first(samples, at_least(RAMP_TO * hand.rated_kw))
    if begin is None or end is None:
        context.leave("ramp", "it did not come to 90 % of rated power")
        return
    span = since(end, begin)
    if span.middle == 0.0:
        context.leave("ramp", "faster than samples tell")
        return
    rate = 100.0 * (RAMP_TO - RAMP_FROM) / span.middle
    slow = 100.0 * (RAMP_TO - RAMP_FROM) / span.high
    context.take("ramp", rate, rate - slow, hand.path(), "at least what is left of it")
