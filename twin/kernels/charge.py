"""Charging sessions at stations: arrival, sharing of a station's power, taper, departure.

Sessions stand in a dense table: station ``i`` owns the slots ``first[i]`` to ``first[i + 1]``
(one a post), of which the first ``CONNECTED`` are taken. A session that leaves is replaced by
the last one of its station, so no loop meets an empty slot.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from twin.kernels.session import (
    ARRIVE,
    ASKED,
    BATTERY,
    DEPART,
    DONE,
    GOT,
    NUMBER,
    SOC,
    TOP,
    TOUCHED,
    WILLING,
    share_power,
    urgency_of,
    wish_of,
)  # fmt: skip

# Rows of the station block; the first five are those of every kind.
STATION_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "limit_kw", "v2g_kw", "connected",
    "drawn_kwh", "fed_kwh", "into_cars_kwh", "loss_kwh",
)  # fmt: skip
POWER, ENERGY, SUPPLIED, LOW, HIGH = 0, 1, 2, 3, 4
REMOTE, LIMIT, V2G, CONNECTED = 5, 7, 8, 9
DRAWN, FED, CARS, LOSS = 10, 11, 12, 13

# Rows of the true parameters of a station.
PLATE_ROWS = ("rated_kw", "post_kw", "v2g_rated_kw", "efficiency", "use", "floor_soc")
RATED, POST, V2G_RATED, EFFICIENCY, USE, FLOOR = 0, 1, 2, 3, 4, 5
FAST = 0  # use: drivers wait beside the post and leave when they have what they asked for

# Rows of the table of ended sessions.
ENDED_ROWS = ("now_ms", "station", "number", "arrive_ms", "asked_kwh", "got_kwh", "touched")

# Rows of the survey.
SURVEY_ROWS = ("energy_needed_kwh", "minimum_kw", "demand_free_kw", "v2g_available_kw")

# A vehicle is discharged while its urgency is below the first, idles between (assumed).
FEED_BELOW, CHARGE_ABOVE = 0.8, 0.9


@njit(cache=True)
def _feed_in(
    sessions: NDArray[np.float64],
    slots: tuple[int, int],
    urgency: NDArray[np.float64],
    wish: NDArray[np.float64],
    ask: tuple[float, float, float, float],
) -> None:
    """Turn willing sessions round: negative battery power in `wish` while V2G is commanded.

    `slots` is (first, m); `ask` is (AC power to feed in, efficiency, floor SOC, post_kw).
    """
    first, m = slots
    ac_kw, efficiency, floor_soc, post_kw = ask
    can = 0.0
    for j in range(m):
        s = first + j
        if sessions[WILLING, s] > 0.0 and urgency[j] < CHARGE_ABOVE:
            wish[j] = 0.0
            if urgency[j] < FEED_BELOW and sessions[SOC, s] > floor_soc:
                can += min(post_kw, sessions[TOP, s]) * efficiency
    if can <= 0.0:
        return
    part = min(ac_kw / can, 1.0)
    for j in range(m):
        s = first + j
        willing = sessions[WILLING, s] > 0.0 and urgency[j] < FEED_BELOW
        if willing and sessions[SOC, s] > floor_soc:
            wish[j] = -part * min(post_kw, sessions[TOP, s])


@njit(cache=True)
def advance(
    block: NDArray[np.float64],
    plate: NDArray[np.float64],
    first: NDArray[np.int64],
    sessions: NDArray[np.float64],
    span: NDArray[np.int64],
) -> None:
    """Advance all stations over the inner steps that begin within a span.

    Parameters
    ----------
    block : [STATION_ROWS, stations]  power at AC terminals, ledger
    plate : [PLATE_ROWS, stations]
    first : int64[stations + 1]
    sessions : [SESSION_ROWS, posts]
    span : int64[3]  start_ms, seconds, inner step [s]; steps begin at multiples of the step
    """
    step_s = span[2]
    begin_s = span[0] // 1000
    posts = 1
    for i in range(block.shape[1]):
        posts = max(posts, first[i + 1] - first[i])
    wish = np.empty(posts)
    urgency = np.empty(posts)
    now_s = begin_s + (-begin_s) % step_s
    while now_s < begin_s + span[1]:
        for i in range(block.shape[1]):
            _station(block[:, i], plate[:, i], sessions, (first[i], now_s, step_s), wish, urgency)
        now_s += step_s


@njit(cache=True)
def _station(
    station: NDArray[np.float64],
    plate: NDArray[np.float64],
    sessions: NDArray[np.float64],
    here: tuple[int, int, int],
    wish: NDArray[np.float64],
    urgency: NDArray[np.float64],
) -> None:
    """Advance one station by one inner step; `here` is (first slot, second, step [s])."""
    first, now_s, step_s = here
    dt_h = step_s / 3600.0
    m = int(station[CONNECTED])
    efficiency = plate[EFFICIENCY]
    feeding = station[V2G] > 0.0 and station[SUPPLIED] > 0.0
    cap_kw = min(plate[RATED], station[LIMIT], max(-station[LOW], 0.0)) * station[SUPPLIED]
    total = 0.0
    for j in range(m):
        wish[j] = wish_of(sessions, first + j, 3600.0 / step_s)
        total += wish[j]
    if station[REMOTE] > 0.0 and (station[LIMIT] < plate[RATED] or station[V2G] > 0.0):
        sessions[TOUCHED, first : first + m] = 1.0
    if total > cap_kw * efficiency or feeding:
        for j in range(m):
            urgency[j] = urgency_of(sessions, first + j, now_s * 1000.0)
        if feeding:
            room_kw = max(min(station[V2G], plate[V2G_RATED], station[HIGH]), 0.0)
            ask = (room_kw, efficiency, plate[FLOOR], plate[POST])
            _feed_in(sessions, (first, m), urgency, wish, ask)
            _share_charging(wish, urgency, m, cap_kw * efficiency)
        else:
            share_power(wish, urgency, m, cap_kw * efficiency)
    charged = 0.0
    given = 0.0
    for j in range(m):
        power = wish[j]
        if power == 0.0:
            continue
        s = first + j
        energy_kwh = power * dt_h
        sessions[SOC, s] += energy_kwh / sessions[BATTERY, s]
        sessions[GOT, s] += energy_kwh
        if power > 0.0:
            charged += power
            if sessions[ASKED, s] - sessions[GOT, s] <= 1e-9 * sessions[ASKED, s]:
                sessions[DONE, s] = (now_s + step_s) * 1000.0
        else:
            given -= power
    drawn = charged / efficiency
    fed = given * efficiency
    station[POWER] = fed - drawn
    station[ENERGY] += (fed - drawn) * step_s
    station[DRAWN] += drawn * dt_h
    station[FED] += fed * dt_h
    station[CARS] += (charged - given) * dt_h
    station[LOSS] += (drawn - charged + given - fed) * dt_h


@njit(cache=True)
def _share_charging(
    wish: NDArray[np.float64], urgency: NDArray[np.float64], m: int, cap_kw: float
) -> None:
    """Apply `share_power` to those that charge, leave those that feed in as they are."""
    fed = wish[:m].copy()
    for j in range(m):
        wish[j] = max(wish[j], 0.0)
    share_power(wish, urgency, m, cap_kw)
    for j in range(m):
        if fed[j] < 0.0:
            wish[j] = fed[j]


@njit(cache=True)
def arrive(
    block: NDArray[np.float64],
    first: NDArray[np.int64],
    sessions: NDArray[np.float64],
    station: NDArray[np.int64],
    coming: NDArray[np.float64],
    ended: tuple[NDArray[np.float64], int, NDArray[np.float64]],
) -> int:
    """Give each of the `coming` sessions a post; return the new count of ended sessions.

    Who finds all posts taken drives on: a session that got nothing, booked a minute later.

    Parameters
    ----------
    station : int64[k]  where to
    coming : [SESSION_ROWS, k]
    ended : (table [ENDED_ROWS, capacity], count, rated_kw)
    """
    table, count, rated_kw = ended
    for j in range(station.shape[0]):
        i = station[j]
        m = int(block[CONNECTED, i])
        if m < first[i + 1] - first[i]:
            sessions[:, first[i] + m] = coming[:, j]
            block[CONNECTED, i] = m + 1.0
        else:
            limited = block[LIMIT, i] < rated_kw[i] or block[V2G, i] > 0.0
            touched = 1.0 if block[REMOTE, i] > 0.0 and limited else 0.0
            table[0, count] = coming[ARRIVE, j] + 60_000.0
            table[1, count] = i
            table[2, count] = coming[NUMBER, j]
            table[3, count] = coming[ARRIVE, j]
            table[4, count] = coming[ASKED, j]
            table[5, count] = 0.0
            table[6, count] = touched
            count += 1
    return count


@njit(cache=True)
def depart(
    block: NDArray[np.float64],
    plate: NDArray[np.float64],
    first: NDArray[np.int64],
    sessions: NDArray[np.float64],
    end_ms: float,
    ended: tuple[NDArray[np.float64], int],
) -> int:
    """Let go whose time has come by `end_ms`; return the new count of ended sessions.

    Fast chargers' drivers leave as soon as they have what they asked for, the others at the
    stated time only. `ended` is (table [ENDED_ROWS, capacity], count).
    """
    table, count = ended
    for i in range(block.shape[1]):
        m = int(block[CONNECTED, i])
        j = 0
        while j < m:
            s = first[i] + j
            done = sessions[DONE, s] < np.inf and plate[USE, i] == FAST
            if not done and sessions[DEPART, s] > end_ms:
                j += 1
                continue
            table[0, count] = sessions[DONE, s] if done else end_ms
            table[1, count] = i
            table[2, count] = sessions[NUMBER, s]
            table[3, count] = sessions[ARRIVE, s]
            table[4, count] = sessions[ASKED, s]
            table[5, count] = sessions[GOT, s]
            table[6, count] = sessions[TOUCHED, s]
            count += 1
            m -= 1
            last = first[i] + m
            sessions[:, s] = sessions[:, last]
            sessions[:, last] = 0.0
        block[CONNECTED, i] = m
    return count


@njit(cache=True)
def survey(
    block: NDArray[np.float64],
    plate: NDArray[np.float64],
    first: NDArray[np.int64],
    sessions: NDArray[np.float64],
    now_ms: float,
    out: NDArray[np.float64],
) -> None:
    """Write `SURVEY_ROWS` of every station to `out`, AC power where it is power."""
    for i in range(block.shape[1]):
        efficiency = plate[EFFICIENCY, i]
        need = 0.0
        least = 0.0
        free = 0.0
        feed = 0.0
        for s in range(first[i], first[i] + int(block[CONNECTED, i])):
            wish = wish_of(sessions, s, 60.0)
            urgency = urgency_of(sessions, s, now_ms)
            need += max(sessions[ASKED, s] - sessions[GOT, s], 0.0)
            free += wish
            least += wish * min(urgency, 1.0)
            willing = sessions[WILLING, s] > 0.0 and urgency < FEED_BELOW
            if willing and sessions[SOC, s] > plate[FLOOR, i]:
                feed += min(plate[POST, i], sessions[TOP, s]) * efficiency
        out[0, i] = need
        out[1, i] = min(least / efficiency, plate[RATED, i]) * block[SUPPLIED, i]
        out[2, i] = min(free / efficiency, plate[RATED, i]) * block[SUPPLIED, i]
        out[3, i] = min(feed, plate[V2G_RATED, i]) * block[SUPPLIED, i]
