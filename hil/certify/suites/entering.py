"""Interconnection: out of service by permission or by the grid, and back into it.

IEEE 1547-2018 lets a device back after a delay and along a ramp; IEEE 1547.1 judges both. What
is told to the device are the registers of SunSpec model 703, or points of the names given here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hil.bench.roles import GridSource
from hil.certify.procedure import Context, Series
from hil.certify.subject import Subject
from hil.certify.suites.hand import POWER_COLUMNS, Hand
from hil.certify.suites.storage_soc import to_middle
from hil.certify.suites.timing import Moment, Sampled, at_least, at_most, first, since
from hil.registers.schema import WirePoint

__all__ = ["MRA", "SLACK", "WATCH_S", "grid", "permit", "point_named"]

WATCH_S = 60.0
MRA = 0.05  # of rating: minimum required accuracy of power
SLACK = 1.5 * MRA
START = 0.002  # of rating: that much feed-in is a start; how long a ramp takes to it is in doubt
PERMIT = ("m703.ES", "permit_service")
DELAY = ("m703.ESDlyTms", "enter_service_delay_s")
RAMP = ("m703.ESRmpTms", "enter_service_ramp_s")
DEFAULT_S = 300.0  # of both, 1547.1 5.6
CEASE_WATCH_S = 20.0
TRIP_PU, TRIP_S = 0.4, 30.0  # below every undervoltage limit, longer than every one of them
DIP_S, DIP_AT = 2.0, 0.5  # of the delay
OVER = 1.5  # of the delay: not started by then is never
MOST_WAIT_S = 600.0  # for a source to come where it is told to


def permit(context: Context) -> None:
    """Take the permission to be in service away, and give it back."""
    hand = Hand(context)
    ids = ("cease", "enter_delay", "enter_ramp")
    point = point_named(context.subject, PERMIT)
    if point is None or "w" not in point.access or (point.low is not None and point.low > 0.0):
        for id in ids:
            context.leave(id, "the map has no permission of service that can be taken away")
        return
    series = context.series("power", *POWER_COLUMNS)
    if not _feed(context, hand, series, ids):
        return
    try:
        ceased = _forbid(context, hand, series, point)
    finally:
        begun_s = hand.clock.now_s()
        hand.device.write(point.name, 1.0)
    if ceased is None:
        context.doubt("enter_delay", "it had not ceased")
        context.doubt("enter_ramp", "it had not ceased")
        return
    at = Moment(begun_s, hand.clock.now_s())
    samples = _entering(context, hand, series, "enter_delay", at)
    _take_ramp(context, hand, samples)


def _forbid(context: Context, hand: Hand, series: Series, point: WirePoint) -> Moment | None:
    """Take the permission away; return when the power had ceased, None where it had not."""
    begun_s = hand.clock.now_s()
    written = hand.device.write(point.name, 0.0)
    at = Moment(begun_s, hand.clock.now_s())
    if not written.accepted:
        context.take("cease", "refused", 0.0, hand.path(), f"exception {written.code}")
        return None
    ceased = first(hand.watch(series, CEASE_WATCH_S), _ceased(hand))
    if ceased is None:
        context.take("cease", f"not within {CEASE_WATCH_S:g} s", 0.0, hand.path())
    else:
        span = since(ceased, at)
        context.take("cease", span.middle, span.half_width, hand.path())
    return ceased


def grid(context: Context) -> None:
    """Let the grid fail and come back, then once more with a dip while it waits."""
    hand = Hand(context)
    source = context.subject.instruments.get("source")
    ids = ("grid_delay", "grid_restart")
    series = context.series("power", *POWER_COLUMNS)
    if not isinstance(source, GridSource) or not _feed(context, hand, series, ids):
        return
    try:
        for id in ids:
            if not _go(context, hand, source, TRIP_PU, ids):
                return
            tripped = hand.watch(series, TRIP_S)
            if _ceased(hand)(tripped[-1]) is not True:
                context.doubt(id, f"it feeds in at {TRIP_PU:g} pu")
                return
            at = _back(context, hand, source, ids)
            if id == "grid_restart" and at is not None:
                hand.wait(DIP_AT * _seconds(context.subject, DELAY))
                _go(context, hand, source, TRIP_PU, ids)
                hand.wait(DIP_S)
                at = _back(context, hand, source, ids)
            if at is None:
                return
            _entering(context, hand, series, id, at)
    finally:
        _go(context, hand, source, 1.0, ())


def _feed(context: Context, hand: Hand, series: Series, ids: Sequence[str]) -> bool:
    """Bring the device to feed in; say why not."""
    if context.subject.kind == "storage":
        to_middle(hand)
        hand.go("power_kw", hand.rated_kw)
    else:
        hand.let_go()
    power = hand.watch(series, WATCH_S)[-1]
    if power.low > 2.0 * SLACK * hand.rated_kw:
        return True
    for id in ids:
        context.leave(id, f"it feeds in {power.value:.1f} kW only")
    return False


def _entering(context: Context, hand: Hand, series: Series, id: str, at: Moment) -> list[Sampled]:
    """Watch how it enters service from `at` on; take how long it waited."""
    delay_s, ramp_s = _seconds(context.subject, DELAY), _seconds(context.subject, RAMP)
    samples: list[Sampled] = []
    until_s = at.high + OVER * delay_s + ramp_s + WATCH_S
    while not hand.past(until_s):
        hand.repeat()
        samples += hand.watch(series, min(hand.repeat_s, until_s - hand.clock.now_s()))
    begun = first(samples, at_least(START * hand.rated_kw))
    if begun is None:
        context.doubt(id, f"it did not start within {until_s - at.high:.0f} s")
        return samples
    # What was seen first has already come up the ramp.
    span = since(Moment(begun.low - START * ramp_s, begun.high), at)
    context.take(
        id, 100.0 * span.middle / delay_s, 100.0 * span.half_width / delay_s, hand.path(),
        f"waited {span.middle:.1f} s",
    )  # fmt: skip
    return samples


def _take_ramp(context: Context, hand: Hand, samples: list[Sampled]) -> None:
    """Take how far power was above the ramp that begins when the first of it is seen."""
    begun = first(samples, at_least(START * hand.rated_kw))
    if begun is None:
        context.doubt("enter_ramp", "it did not start")
        return
    ramp_s, rated = _seconds(context.subject, RAMP), hand.rated_kw

    def over(sample: Sampled) -> float:
        allowed = rated * min(max((sample.before_s - begun.low) / ramp_s, 0.0), 1.0)
        return sample.value - allowed

    worst = max((s for s in samples if s.before_s >= begun.low), key=over)
    error = 100.0 * (worst.half_width / rated + begun.half_width / ramp_s)
    context.take("enter_ramp", 100.0 * over(worst) / rated, error, hand.path(error))


def _ceased(hand: Hand) -> Callable[[Sampled], bool | None]:
    return at_most(MRA * hand.rated_kw)


def point_named(subject: Subject, names: Sequence[str]) -> WirePoint | None:
    """Return the point of the map that has the first of `names`; None: it has none of them."""
    known = {point.name: point for point in subject.map.points}
    return next((known[name] for name in names if name in known), None)


def _seconds(subject: Subject, names: Sequence[str]) -> float:
    """Return what the device says of a time of its own [s], else the standard's default."""
    point = point_named(subject, names)
    if point is None or "r" not in point.access:
        return DEFAULT_S
    value = subject.device.read([point.name])[point.name].value
    return value if isinstance(value, float) and value > 0.0 else DEFAULT_S


def _go(
    context: Context, hand: Hand, source: GridSource, voltage_pu: float, ids: Sequence[str]
) -> bool:
    """Bring the source to a voltage at 50 Hz; say where it may not go there."""
    end_s = hand.clock.now_s() + MOST_WAIT_S
    while True:
        applied = source.apply(voltage_pu, 50.0)
        if applied.limited:
            for id in ids:
                context.leave(id, f"the source may not go to {voltage_pu:g} pu")
            return False
        if not applied.ramping:
            return True
        if hand.past(end_s):
            for id in ids:
                context.doubt(id, f"the source does not come to {voltage_pu:g} pu")
            return False
        hand.clock.sleep(hand.every_s)


def _back(context: Context, hand: Hand, source: GridSource, ids: Sequence[str]) -> Moment | None:
    """Bring the grid back; return when it was there again."""
    begun_s = hand.clock.now_s()
    if not _go(context, hand, source, 1.0, ids):
        return None
    return Moment(begun_s, hand.clock.now_s())
