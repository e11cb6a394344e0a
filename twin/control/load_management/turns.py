"""Taking turns in a long order: nobody is off longer than the rules say while others can help.

Others are opened first and those that had their share are closed a minute later, a few per cent
at a time, so that the cut never dips below the order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.control.load_management.rounds import Rounds
from twin.control.memory import whole

TURN_PART = 0.04  # of the open demand changes places at a time (assumed)
TURN_MIN = 3.0 / TURN_PART  # to change all of it: open, close, settle
HURRY_MIN = 6.0  # before its longest time off a circuit hurries: twice the pace (assumed)
TOLD_MIN = 15.0  # those who come next are warned so long before (assumed)


def _begin_ms(rounds: Rounds) -> float:
    """Return for how long a circuit is open when turns begin, so that all are over in time."""
    most = rounds.rules.switching.most_off_min
    return max(most - TURN_MIN, rounds.rules.switching.min_off_min) * MINUTE_MS


def _tired(rounds: Rounds, now_ms: int, end_ms: int, ahead_ms: float = 0.0) -> NDArray[np.bool_]:
    """Return bool[4, n]: open so long that it is its turn, and too long if the order goes on."""
    opened = whole(rounds.memory, "opened_ms")
    most_ms = rounds.rules.switching.most_off_min * MINUTE_MS
    since = now_ms + ahead_ms - opened
    held = rounds.memory["open"] > 0.0
    return np.asarray(held & (since >= _begin_ms(rounds)) & (end_ms - opened > most_ms))


def turns_soon(rounds: Rounds, now_ms: int, end_ms: int) -> bool:
    """Return whether turns are taken within the time of a warning."""
    return bool(_tired(rounds, now_ms, end_ms, TOLD_MIN * MINUTE_MS).any())


def due_kw(rounds: Rounds, now_ms: int, end_ms: int) -> float:
    """Return the demand that should change places now, at the reference minute [kW]."""
    ref = rounds.memory["ref_kw"]
    tired = _tired(rounds, now_ms, end_ms)
    limit_ms = (rounds.rules.switching.most_off_min - HURRY_MIN) * MINUTE_MS
    hurry = tired & (now_ms - whole(rounds.memory, "opened_ms") >= limit_ms)
    pace_kw = TURN_PART * rounds.open_kw
    return min(float(ref[tired].sum()), max(pace_kw, min(float(ref[hurry].sum()), 2.0 * pace_kw)))
