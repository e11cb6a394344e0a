"""The interconnection suite: IEEE 1547.1 as a method, with frequencies scaled to 50 Hz.

These are no rules of the grid in China. Limits are held against the minimum required accuracy
(MRA) of power, 5 % of rating.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hil.certify.limits import measurements
from hil.certify.procedure import Context, Procedure, Series, Step, Suite
from hil.certify.subject import Subject
from hil.certify.suites.entering import SLACK, WATCH_S, grid, permit, point_named
from hil.certify.suites.hand import POWER_COLUMNS, Hand
from hil.certify.suites.storage_soc import to_middle
from hil.certify.suites.timing import Moment, Sampled, at_most, first, since

__all__ = ["SUITE"]

LEVELS = (66, 33, 0)
REPEATS = 3
SETTLE_S = 30.0  # 1547 4.6.2
# Of a kind that has no such order in the twin's words: percent of rating, and what switches it on.
LIMIT = ("m704.WMaxLimPct", "m123.WMaxLimPct", "limit_pct")
LIMIT_ON = ("m704.WMaxLimPctEna", "m123.WMaxLim_Ena", "limit_on")


def _limit(percent: int) -> Callable[[Context], None]:
    id = f"limit_{percent}"

    def act(context: Context) -> None:
        hand = Hand(context)
        if not _can_limit(hand):
            for name in (id, "limit_time"):
                context.leave(name, "the map has no limit of active power")
            return
        series = context.series("power", *POWER_COLUMNS)
        try:
            for _ in range(REPEATS):
                if not _once(context, hand, series, percent):
                    break
        finally:
            _order_limit(hand, 1.0)
            hand.let_go()

    return act


def _once(context: Context, hand: Hand, series: Series, percent: int) -> bool:
    """Limit once and take what came of it; return whether it could be done."""
    id, cap_kw = f"limit_{percent}", percent / 100.0 * hand.rated_kw
    _order_limit(hand, 1.0)
    if context.subject.kind == "storage":
        to_middle(hand)
        hand.go("power_kw", hand.rated_kw)
    before = hand.watch(series, WATCH_S)[-1]
    if before.low < cap_kw + SLACK * hand.rated_kw:
        share = 100.0 * before.value / hand.rated_kw
        context.leave(id, f"{share:.0f} % of rating is there: not enough above the limit")
        return False
    begun_s = hand.clock.now_s()
    refused = _order_limit(hand, percent / 100.0)
    if refused:
        context.take(id, "refused", 0.0, hand.path(), refused)
        return False
    at = Moment(begun_s, hand.clock.now_s())
    _take_limit(context, hand, id, hand.watch(series, WATCH_S), cap_kw, at)
    return True


def _can_limit(hand: Hand) -> bool:
    point = point_named(hand.subject, LIMIT)
    return hand.takes("limit_kw") or (point is not None and "w" in point.access)


def _order_limit(hand: Hand, share: float) -> str:
    """Order a limit as a share of rating; return why it was refused, empty where it was not."""
    if hand.takes("limit_kw"):
        return hand.order("limit_kw", share * hand.rated_kw).reason
    values = (
        (point_named(hand.subject, LIMIT), 100.0 * share),
        (point_named(hand.subject, LIMIT_ON), 1.0),
    )
    for point, value in values:
        if point is not None and "w" in point.access:
            written = hand.device.write(point.name, value)
            if not written.accepted:
                return f"order refused with exception {written.code}"
    return ""


def _take_limit(
    context: Context, hand: Hand, id: str, samples: list[Sampled], cap_kw: float, at: Moment
) -> None:
    late = [s for s in samples if s.after_s >= at.high + SETTLE_S]
    worst = max(late, key=lambda s: s.value)
    error = 100.0 * worst.half_width / hand.rated_kw
    excess = 100.0 * (worst.value - cap_kw) / hand.rated_kw
    context.take(id, excess, error, hand.path(error))
    below = first(samples, at_most(cap_kw + SLACK * hand.rated_kw))
    if below is None:
        context.take("limit_time", f"not within {WATCH_S:g} s", 0.0, hand.path())
    else:
        span = since(below, at)
        context.take("limit_time", span.middle, span.half_width, hand.path())


def _procedures(subject: Subject) -> Sequence[Procedure]:
    declared = measurements("interconnection")

    def one(id: str, title: str, title_zh: str, *steps: Step) -> Procedure:
        taken = dict.fromkeys(name for step in steps for name in step.takes)
        return Procedure(id, title, title_zh, [declared[n] for n in taken], steps)

    return (
        one(
            "limit", "Limit of active power", "有功功率限值",
            *(
                Step(f"limit_{level}", _limit(level), (f"limit_{level}", "limit_time"))
                for level in LEVELS
            ),
        ),
        one(
            "permit", "Permit service, and entering it again", "投运许可与重新投运",
            Step("permit", permit, ("cease", "enter_delay", "enter_ramp")),
        ),
        one(
            "enter", "Entering service after the grid came back", "电网恢复后投运",
            Step("grid", grid, ("grid_delay", "grid_restart")),
        ),
    )  # fmt: skip


SUITE = Suite(
    "interconnection", "Interconnection (IEEE 1547.1 as a method)", "并网（以IEEE 1547.1为方法）",
    _procedures, ("solar", "storage"),
)  # fmt: skip
