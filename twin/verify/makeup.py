"""How fast a loss of contact is made up by the devices that can still be reached."""

from __future__ import annotations

import numpy as np

from twin.record.orders import Order
from twin.verify.counterfactual import Evidence, Floats, Pair
from twin.verify.verdict import Scope, Sheet

__all__ = ["MAKEUP_ID", "judge_makeup"]

MAKEUP_ID = "dr.makeup"
BAND = 0.05  # of the order: within it the reduction is back
LOST_SHARE = 0.01  # of the enrolled devices in one minute: fewer are no event (assumed)


def judge_makeup(evidence: Evidence) -> Sheet:
    """Return the longest stretch of minutes that a loss of contact threw the reduction off.

    Counted from the first minute in which at least `LOST_SHARE` of the enrolled devices left
    contact between deadline and end: the longest run of minutes whose mean reduction is more
    than 5 % of the order away from it. A command that ends when a device's own timer runs out
    does so later than the contact: that counts as well.
    """
    order = evidence.order
    sheet = Sheet(order.id)
    pair = Pair(evidence.run, evidence.counterfactual, evidence.inventory, evidence.end_ms)
    span = pair.span(order.full_by_ms, order.end_ms)
    about = Scope(order.mw, float(span.minutes))
    if span.minutes == 0 or not pair.has("out_of_contact"):
        reason = "no record of contact between deadline and end lies within the run"
        sheet.add(MAKEUP_ID, None, reason, scope=about)
        return sheet
    lost = _first_loss(pair, order)
    if lost is None:
        sheet.add(MAKEUP_ID, 0.0, "nobody lost contact between deadline and end", scope=about)
        return sheet
    first, share = lost
    reduction = pair.reduction_mw(span, pair.enrolled())[first:]
    needed = pair.needed_mw(order, span)[first:]
    off = np.abs(reduction - needed) > BAND * needed
    reason = f"{100.0 * share:.1f} % of the enrolled devices lost contact"
    if off[-1]:
        reason += "; off at the end of the order"
    sheet.add(MAKEUP_ID, float(_longest(off)), reason, scope=about)
    return sheet


def _first_loss(pair: Pair, order: Order) -> tuple[int, float] | None:
    """Return the minute after the deadline of the first loss, and the share lost in it."""
    enrolled = sum(
        int(kind.columns.flag("enrolled").sum())
        for name, kind in pair.inventory.kinds.items()
        if "enrolled" in kind.columns and name not in ("terminal", "meter", "busbar")
    )
    span = pair.span(order.full_by_ms, order.end_ms)
    before = max(span.first - 1, 0)
    out: Floats = pair.run.series("out_of_contact", before, span.stop)
    more = np.diff(out, prepend=out[:1]) / max(enrolled, 1)
    more = more[span.first - before :]
    hit = np.flatnonzero(more >= LOST_SHARE)
    return (int(hit[0]), float(more[hit[0]])) if len(hit) > 0 else None


def _longest(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """Return the length of the longest run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))
