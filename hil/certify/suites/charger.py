"""The charger suite: a cap on power, how soon it holds, and that sessions survive it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from hil.certify.limits import measurements
from hil.certify.procedure import Context, Procedure, Series, Step, Suite
from hil.certify.subject import Subject
from hil.certify.suites.hand import POWER_COLUMNS, Hand
from hil.certify.suites.timing import Sampled, settled, since, within

__all__ = ["SUITE"]

REPEATS = 3
SHARE = 0.5  # of the power before: the cap (our choice)
LEAST_LOAD = 0.1  # of rating: below it nobody charges
# How long somebody is waited for (our choice); on hardware a person plugs in beforehand.
WAIT_EMULATED_S, WAIT_S, LOOK_S = 6 * 3600.0, 120.0, 60.0
WATCH_S, TAIL_S, REST_S = 30.0, 10.0, 60.0
BAND = 0.02  # of rating: settled within it
CAPPED_S = 120.0  # sessions are looked at so long after the cap: over more than one whole minute
Judged = Callable[[Context, Hand, Series, float], None]


def _loaded(act: Judged, *ids: str) -> Callable[[Context], None]:
    """Return a step that begins while vehicles charge, with the power before it [kW]."""

    def whole(context: Context) -> None:
        hand = Hand(context)
        if not hand.takes("limit_kw"):
            for id in ids:
                context.leave(id, "the map has no limit of power")
            return
        series = context.series("power", *POWER_COLUMNS)
        power_kw = _wait(hand, series)
        if power_kw is None:
            for id in ids:
                context.doubt(id, "nobody charges")
            return
        act(context, hand, series, power_kw)
        hand.let_go()

    return whole


def _wait(hand: Hand, series: Series) -> float | None:
    """Wait for a load; return what is drawn [kW], positive; None where nobody comes."""
    hand.let_go()
    hand.watch(series, WATCH_S)
    end_s = hand.clock.now_s() + (WAIT_EMULATED_S if hand.subject.compressed else WAIT_S)
    while True:
        drawn_kw = -hand.watch(series, 0.0)[0].value
        if drawn_kw >= LEAST_LOAD * hand.rated_kw:
            return drawn_kw
        if hand.past(end_s):
            return None
        hand.clock.sleep(LOOK_S if hand.subject.compressed else 1.0)


def _step(context: Context, hand: Hand, series: Series, power_kw: float) -> None:
    """Take how long it takes until the power under a cap stands still."""
    for _ in range(REPEATS):
        order = hand.order("limit_kw", SHARE * power_kw)
        if order.reason:
            context.take("cap_time", "refused", 0.0, hand.path(), order.reason)
            return
        samples = hand.watch(series, WATCH_S)
        tail = [s for s in samples if s.before_s >= samples[-1].before_s - TAIL_S]
        final = sum(s.value for s in tail) / len(tail)
        still = settled(samples, within(final, BAND * hand.rated_kw))
        if abs(power_kw + final) < BAND * hand.rated_kw:
            context.doubt("cap_time", "the cap did not move the power")
        elif still is None:
            context.doubt("cap_time", f"the power does not stand still within {WATCH_S:g} s")
        else:
            span = since(still, order.at)
            context.take("cap_time", span.middle, span.half_width, hand.path())
        again = _wait(hand, series)
        if again is None:
            return
        power_kw = again


def _cap(context: Context, hand: Hand, series: Series, power_kw: float) -> None:
    """Take by how much the power stays above a cap once it holds."""
    for _ in range(REPEATS):
        order = hand.order("limit_kw", SHARE * power_kw)
        if order.reason:
            context.take("cap_excess", "refused", 0.0, hand.path(), order.reason)
            return
        hand.watch(series, REST_S)
        worst = min(hand.watch(series, REST_S), key=lambda s: s.value)
        excess = 100.0 * (-worst.value - order.value) / hand.rated_kw
        error = 100.0 * worst.half_width / hand.rated_kw
        context.take("cap_excess", excess, error, hand.path(error))
        again = _wait(hand, series)
        if again is None:
            return
        power_kw = again


def _session(context: Context, hand: Hand, series: Series, power_kw: float) -> None:
    """Take what became of the sessions under a cap, and of the power after it."""
    counted = context.series("sessions", "time_s", "connected", "needed_kwh")
    before = _sessions(hand, counted)
    order = hand.order("limit_kw", SHARE * power_kw)
    if order.reason:
        context.take("sessions", "refused", 0.0, hand.own("connected"), order.reason)
        return
    samples = hand.watch(series, CAPPED_S)
    after = _sessions(hand, counted)
    if before is None or after is None:
        context.leave("sessions", "the device shows neither the energy asked for nor vehicles")
    elif before[1] is not None and after[1] is not None:
        gone_kwh = before[1].value - after[1].value - _drawn_kwh(samples)
        error = 100.0 * (before[1].half_width + after[1].half_width) / before[1].value
        context.take("sessions", max(100.0 * gone_kwh / before[1].value, 0.0), error,
                     hand.own("energy_needed_kwh", error))  # fmt: skip
    else:
        gone = before[0].value - after[0].value
        context.take("sessions", max(100.0 * gone / max(before[0].value, 1.0), 0.0), 0.0,
                     hand.own("connected"))  # fmt: skip
    hand.let_go()
    again = hand.watch(series, REST_S)[-1]
    error = 100.0 * again.half_width / power_kw
    context.take("recovery", 100.0 * -again.value / power_kw, error, hand.path(error))


def _sessions(hand: Hand, series: Series) -> tuple[Sampled, Sampled | None] | None:
    """Return vehicles connected and, where it is shown, the energy that they ask for [kWh]."""
    if not hand.shows("connected"):
        return None
    connected = hand.register("connected")
    needed = hand.register("energy_needed_kwh") if hand.shows("energy_needed_kwh") else None
    asked = None if needed is None or needed.value <= 0.0 else needed
    series.add(connected.before_s, connected.value, None if needed is None else needed.value)
    return connected, asked


def _drawn_kwh(samples: Sequence[Sampled]) -> float:
    """Return what was drawn meanwhile [kWh]."""
    parts = pairwise(samples)
    return sum(-0.5 * (a.value + b.value) * (b.before_s - a.before_s) for a, b in parts) / 3600.0


def _procedures(subject: Subject) -> Sequence[Procedure]:
    declared = measurements("charger")

    def one(id: str, title: str, title_zh: str, act: Judged, *ids: str) -> Procedure:
        step = Step(id, _loaded(act, *ids), ids)
        return Procedure(id, title, title_zh, [declared[n] for n in ids], (step,))

    return (
        one("step", "Time of a step", "限功率响应时间", _step, "cap_time"),
        one("cap", "Power under a cap", "功率限值", _cap, "cap_excess"),
        one("session", "Sessions under a cap", "限功率时会话保持", _session, "sessions",
            "recovery"),
    )  # fmt: skip


SUITE = Suite("charger", "Charger", "充电设施", _procedures, ("charging",))
