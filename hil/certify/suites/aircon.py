"""The suite of air conditioning controllers: set-point, load-shed level, minimum off time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hil.certify.limits import measurements
from hil.certify.procedure import Context, Procedure, Series, Step, Suite
from hil.certify.subject import Subject
from hil.certify.suites.hand import POWER_COLUMNS, Hand
from hil.certify.suites.timing import Moment, Sampled, at_least, first, since

__all__ = ["SUITE"]

OFFSET_K = 2.0
REST_S, MEAN_S, EFFECT_S = 1200.0, 600.0, 1800.0  # REST_S: the zone comes back to where it was
SHOWN_S = 120.0  # a controller may look at its orders once a minute (our choice)
SHED_SHARE = 0.5  # of the power before (our choice)
SHED_WATCH_S, SHED_HOLD_S, PIECE_S = 300.0, 600.0, 60.0
LEAST_LOAD = 0.2  # of rating: below it there is nothing to shed
OFF, STOP_S = 0.3, 600.0  # of the power before: below it the chillers are off
ASK_S = 5.0
OVER, OVER_S = 1.1, 60.0  # of the time, and on top: not started by then is late enough
LOOK_EMULATED_S = 10.0
Judged = Callable[[Context, Hand, Series, list[Sampled]], None]


def _running(act: Judged, setpoint: str, *ids: str) -> Callable[[Context], None]:
    """Return a step that begins while the plant cools, with samples of the power before it."""

    def whole(context: Context) -> None:
        hand = Hand(context)
        if not hand.takes(setpoint):
            for id in ids:
                context.leave(id, f"the map has no set-point {setpoint}")
            return
        if hand.subject.compressed:
            hand.every_s = LOOK_EMULATED_S
        series = context.series("power", *POWER_COLUMNS)
        hand.let_go()
        hand.wait(REST_S)
        samples = hand.watch(series, MEAN_S)
        power_kw = _mean_kw(samples)
        if power_kw < LEAST_LOAD * hand.rated_kw:
            for id in ids:
                context.doubt(id, f"it draws {power_kw:.1f} kW only")
            return
        try:
            act(context, hand, series, samples)
        finally:
            hand.let_go()

    return whole


def _setpoint(context: Context, hand: Hand, series: Series, before: list[Sampled]) -> None:
    """Order a warmer zone; take what is shown and what it saves."""
    power_kw, drift_kw = _mean_kw(before), _drift_kw(before)
    was = hand.register("setpoint_c") if hand.shows("setpoint_c") else None
    order = hand.order("setpoint_offset_c", OFFSET_K)
    if order.reason:
        for id in ("setpoint_shown", "setpoint_effect"):
            context.take(id, "refused", 0.0, hand.path(), order.reason)
        return
    samples = hand.watch(series, SHOWN_S)
    if was is None:
        context.leave("setpoint_shown", "the device shows no set-point")
    else:
        after = hand.register("setpoint_c")
        # Both are shown in steps; the comparison allows for one of them.
        context.take("setpoint_shown", after.value - was.value, 0.0, hand.own("setpoint_c"))
    for _ in range(round((EFFECT_S - SHOWN_S) / PIECE_S)):
        part = hand.watch(series, PIECE_S)
        if was is None or hand.register("setpoint_c").value > was.value + 0.5 * OFFSET_K:
            samples += part
        else:  # where the zone is too warm the device lifts the order, and says so
            context.note(f"the device lifted the order by itself at {part[-1].before_s:.0f} s")
    # As the power wandered before, so it may have gone on.
    error = 100.0 * (samples[-1].half_width + drift_kw) / power_kw
    saved = 100.0 * (1.0 - _mean_kw(samples) / power_kw)
    context.take("setpoint_effect", saved, error, hand.path(error))


def _shed(context: Context, hand: Hand, series: Series, before: list[Sampled]) -> None:
    """Order a limit; take how soon and how well it is kept."""
    order = hand.order("limit_kw", SHED_SHARE * _mean_kw(before))
    if order.reason:
        for id in ("shed_excess", "shed_time"):
            context.take(id, "refused", 0.0, hand.path(), order.reason)
        return
    slack_kw = 0.05 * hand.rated_kw
    samples = hand.watch(series, SHED_WATCH_S)
    below = first(samples, at_least(-(order.value + slack_kw)))
    held: list[Sampled] = []
    hand.repeat()
    for _ in range(round(SHED_HOLD_S / PIECE_S)):
        part = hand.watch(series, PIECE_S)
        if hand.shows("limit_kw") and hand.register("limit_kw").value > order.value + slack_kw:
            # Where the zone is too warm the device lifts a limit, and says so.
            context.note("the device lifted the limit by itself: the zone is too warm")
            break
        held += part
    if not held:
        for id in ("shed_excess", "shed_time"):
            context.doubt(id, "the device lifted the limit by itself before it was judged")
        return
    if below is None:
        context.take("shed_time", f"not within {SHED_WATCH_S:g} s", 0.0, hand.path())
    else:
        span = since(below, order.at)
        context.take("shed_time", span.middle, span.half_width, hand.path())
    worst = min(held, key=lambda s: s.value)
    excess = 100.0 * (-worst.value - order.value) / hand.rated_kw
    error = 100.0 * worst.half_width / hand.rated_kw
    context.take("shed_excess", excess, error, hand.path(error))


def _off_time(context: Context, hand: Hand, series: Series, before: list[Sampled]) -> None:
    """Stop the plant, order it to start again and again, and see how long it rests."""
    declared_s = float(context.subject.nameplate.get("min_off_s", 0.0))
    if not declared_s > 0.0:
        context.leave("off_time", "no minimum off time is declared (min_off_s of the nameplate)")
        return
    runs = OFF * _mean_kw(before)
    order = hand.order("limit_kw", 0.0)
    if order.reason:
        context.take("off_time", "refused", 0.0, hand.path(), order.reason)
        return
    if hand.subject.compressed:
        hand.every_s = 1.0
    begun_s = hand.clock.now_s()
    stopped = hand.watch(series, STOP_S, until=lambda s: -s.low <= runs)
    if -stopped[-1].low > runs:
        context.doubt("off_time", f"it does not stop within {STOP_S:g} s")
        return
    stop = Moment(begun_s if len(stopped) < 2 else stopped[-2].after_s, stopped[-1].before_s)
    samples: list[Sampled] = []
    until_s = stop.high + OVER * declared_s + OVER_S
    while not hand.past(until_s):
        hand.order("limit_kw", hand.rated_kw)  # a refusal is what a resting machine says
        found = hand.watch(series, ASK_S, until=lambda s: -s.value > runs)
        samples += found
        if -found[-1].value > runs:
            break
    on = next((s for s in samples if -s.value > runs), None)
    note = "" if on is not None else "it did not start at all meanwhile"
    end = Moment(until_s, until_s) if on is None else Moment(on.after_s, on.before_s)
    rest = since(Moment(max(end.low, stop.low), end.high), stop)
    context.take("off_time", 100.0 * rest.middle / declared_s,
                 100.0 * rest.half_width / declared_s, hand.path(),
                 note or f"{rest.middle:.0f} s of {declared_s:.0f} s")  # fmt: skip


def _mean_kw(samples: Sequence[Sampled]) -> float:
    """Return the mean of what is drawn, positive [kW]."""
    return -math.fsum(s.value for s in samples) / len(samples)


def _drift_kw(before: Sequence[Sampled]) -> float:
    """Return how far power wanders from before the order to the middle of its effect [kW]."""
    half = len(before) // 2
    moved_kw = abs(_mean_kw(before[half:]) - _mean_kw(before[:half]))
    return moved_kw * (0.5 * MEAN_S + 0.5 * EFFECT_S) / (0.5 * MEAN_S)


def _procedures(subject: Subject) -> Sequence[Procedure]:
    declared = measurements("aircon")

    def one(id: str, title: str, title_zh: str, act: Judged, setpoint: str, *ids: str) -> Procedure:
        step = Step(id, _running(act, setpoint, *ids), ids)
        return Procedure(id, title, title_zh, [declared[n] for n in ids], (step,))

    return (
        one("off-time", "Minimum off time", "最短停机时间", _off_time, "limit_kw", "off_time"),
        one("set-point", "Set-point", "温度设定", _setpoint, "setpoint_offset_c",
            "setpoint_shown", "setpoint_effect"),
        one("shed", "Load-shed level", "限负荷水平", _shed, "limit_kw",
            "shed_excess", "shed_time"),
    )  # fmt: skip


SUITE = Suite(
    "aircon", "Air conditioning controller", "空调控制器", _procedures, ("aircon",)
)  # fmt: skip
