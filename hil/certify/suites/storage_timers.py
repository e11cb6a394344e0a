"""Storage: how an order ends when nobody speaks any more, by its timer or by a lost heartbeat.

That the device has let go is seen from its power: the order is chosen far from what the owner's
own control does, and nothing is sent meanwhile, not even a question, until shortly before.
"""

from __future__ import annotations

from dataclasses import replace

from hil.certify.procedure import Context, Series
from hil.certify.suites.hand import POWER_COLUMNS, Hand, Order
from hil.certify.suites.storage_soc import to_middle
from hil.certify.suites.timing import Sampled, first, since, within

__all__ = ["heartbeat", "reversion"]

# The time that is set: 1 % of it is 3 s (our choice); half of a declared heartbeat time at the
# most, so that of the two timers this one ends the order.
REVERT_S, OF_HEARTBEAT = 300.0, 0.5
SILENT = 0.9  # of the time: no word before
OVER = 1.1  # of the time, and `MORE_S` on top: not let go by then is never
MORE_S = 10.0
LEVEL = 0.37  # of rated power: a value that no owner's schedule has (our choice)
LET_GO = 0.1  # of rated power: so far from the order it is no longer in force (our choice)
SETTLE_S = 30.0
BEATS = 3  # heartbeats within the declared time
BEATS_HELD = 9
COUNTER = 60_000  # heartbeats count up to here and begin anew


def reversion(context: Context) -> None:
    """Set the reversion time, order, fall silent, and see when the device lets go."""
    with context.subject.silent():
        _reversion(context)


def _reversion(context: Context) -> None:
    hand = Hand(context)
    if not hand.takes("revert_s"):
        for id in ("held", "reversion"):
            context.leave(id, "the map has no reversion time")
        return
    to_middle(hand)
    before_s = hand.reverts_after_s()
    series = context.series("power", *POWER_COLUMNS)
    power_kw = _unlike_the_owner(hand)
    set_ = hand.order("revert_s", _revert_s(context))
    order = hand.order("power_kw", power_kw)
    if _unfit(context, (set_, order), ("held", "reversion")):
        return
    samples = _silence(hand, series, set_.value)
    _held(context, hand, "held", samples[0], order)
    _let_go(context, hand, "reversion", samples, order, set_.value)
    if before_s > 0.0:
        hand.order("revert_s", before_s)


def heartbeat(context: Context) -> None:
    """Order with a heartbeat, see that it holds, stop the heartbeat and see when it lets go."""
    with context.subject.silent():
        _heartbeat(context)


def _heartbeat(context: Context) -> None:
    hand, ids = Hand(context), ("heartbeat_held", "heartbeat_loss")
    declared_s = float(context.subject.nameplate.get("heartbeat_s", 0.0))
    reason = ""
    if not hand.takes("heartbeat"):
        reason = "the map has no heartbeat"
    elif not declared_s > 0.0:
        reason = "no heartbeat time is declared (heartbeat_s of the nameplate)"
    if reason:
        for id in ids:
            context.leave(id, reason)
        return
    to_middle(hand)
    before_s = hand.reverts_after_s()
    series = context.series("power", *POWER_COLUMNS)
    power_kw = _unlike_the_owner(hand)
    if hand.takes("revert_s"):  # so that the other timer stays out of it
        hand.order("revert_s", max(before_s, REVERT_S, 10.0 * declared_s))
    order = hand.order("power_kw", power_kw)
    if _unfit(context, (order,), ids):
        return
    last = order
    for count in range(BEATS_HELD):
        hand.clock.sleep(declared_s / BEATS)
        last = hand.order("heartbeat", float(count % COUNTER + 1))
    _held(context, hand, "heartbeat_held", hand.watch(series, 0.0)[0], order)
    silent = replace(order, at=last.at)
    samples = _silence(hand, series, declared_s)
    _let_go(context, hand, "heartbeat_loss", samples, silent, declared_s)
    if before_s > 0.0 and hand.takes("revert_s"):
        hand.order("revert_s", before_s)


def _silence(hand: Hand, series: Series, seconds: float) -> list[Sampled]:
    """Say nothing until shortly before the time, then watch until it is over for certain."""
    hand.clock.sleep(SILENT * seconds)
    return hand.watch(series, (OVER - SILENT) * seconds + MORE_S, silent=True)


def _revert_s(context: Context) -> float:
    declared_s = float(context.subject.nameplate.get("heartbeat_s", 0.0))
    return min(REVERT_S, OF_HEARTBEAT * declared_s) if declared_s > 0.0 else REVERT_S


def _unlike_the_owner(hand: Hand) -> float:
    """Return a power that is far from what the owner's own control does now [kW]."""
    hand.let_go()
    hand.clock.sleep(SETTLE_S)
    own_kw = hand.power().value
    return -LEVEL * hand.rated_kw if own_kw > 0.0 else LEVEL * hand.rated_kw


def _unfit(context: Context, orders: tuple[Order, ...], ids: tuple[str, ...]) -> bool:
    reasons = [order.reason for order in orders if order.reason]
    for id in ids if reasons else ():
        context.doubt(id, reasons[0])
    return bool(reasons)


def _held(context: Context, hand: Hand, id: str, sample: Sampled, order: Order) -> None:
    in_force = within(order.value, LET_GO * hand.rated_kw)(sample)
    if in_force is None:
        context.doubt(id, "the power is too near to the edge of what counts as held")
        return
    context.take(id, "held" if in_force else "let go", 0.0, hand.path(),
                 f"{sample.value:.1f} kW at an order of {order.value:.1f} kW")  # fmt: skip


def _let_go(
    context: Context, hand: Hand, id: str, samples: list[Sampled], order: Order, set_s: float
) -> None:
    """Take how much later than `set_s` after `order` the device let go."""
    band = within(order.value, LET_GO * hand.rated_kw)
    if band(samples[0]) is not True:
        context.doubt(id, "it was not in force to the end")
        return
    gone = first(samples, lambda s: None if (said := band(s)) is None else not said)
    if gone is None:
        context.take(id, "never", 0.0, hand.path(), f"still in force {MORE_S:g} s after it")
        return
    span = since(gone, order.at)
    context.take(id, span.middle - set_s, span.half_width, hand.path())
