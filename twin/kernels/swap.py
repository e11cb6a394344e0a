"""Swap stations: packs in slots, charged the fullest first, handed out full."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Rows of the block; the first five are those of every kind.
SWAP_ROWS = (
    "power_kw", "energy_kws", "supplied", "limit_low_kw", "limit_high_kw",
    "remote", "remote_until_ms", "limit_kw", "v2g_kw", "packs_full", "owner_keep", "service_keep",
    "drawn_kwh", "fed_kwh", "into_packs_kwh", "loss_kwh",
    "out_kwh", "in_kwh", "swaps", "missed",
)  # fmt: skip
POWER, ENERGY, SUPPLIED, LOW, HIGH, LIMIT, V2G, FULL = 0, 1, 2, 3, 4, 7, 8, 9
KEEP, SERVICE = 10, 11  # packs the owner charges now; packs kept full for vehicles expected soon
DRAWN, FED, PACKS, LOSS, OUT, IN, SWAPS, MISSED = 12, 13, 14, 15, 16, 17, 18, 19

# Rows of the true parameters of a station.
PLATE_ROWS = ("rated_kw", "pack_kwh", "slot_kw", "v2g_rated_kw", "efficiency")
P_RATED, P_PACK, P_SLOT, P_V2G, P_EFFICIENCY = 0, 1, 2, 3, 4

FULL_SOC = 0.90  # from here a pack counts as full and is handed out first (assumed)
LEAST_SOC = 0.60  # below this a driver does not take a pack (assumed)
FEED_FLOOR_SOC = 0.30  # packs feed in down to here (assumed)
TAPER_SOC, TAPER_END = 0.85, 0.2  # slot power falls from here to this share at SOC 1 (assumed)


@njit(cache=True)
def rank(soc: NDArray[np.float64], order: NDArray[np.int64]) -> None:
    """Sort slot numbers in `order` by SOC, the fullest first, equal ones by number."""
    for a in range(1, order.shape[0]):
        slot = order[a]
        b = a - 1
        while b >= 0 and (
            soc[order[b]] < soc[slot] or (soc[order[b]] == soc[slot] and order[b] > slot)
        ):
            order[b + 1] = order[b]
            b -= 1
        order[b + 1] = slot


@njit(cache=True)
def charge_packs(
    block: NDArray[np.float64],
    plate: NDArray[np.float64],
    first: NDArray[np.int64],
    soc: NDArray[np.float64],
    span: NDArray[np.int64],
) -> None:
    """Charge or discharge packs over the inner steps that begin within a span.

    Parameters
    ----------
    block, plate : [SWAP_ROWS, stations], [PLATE_ROWS, stations]
    first : int64[stations + 1]  slots of each station in `soc`
    span : int64[3]  start_ms, seconds, inner step [s]; steps begin at multiples of the step
    """
    step_s = span[2]
    begin_s = span[0] // 1000
    fires_s = begin_s + (-begin_s) % step_s
    for i in range(block.shape[1]):
        own = soc[first[i] : first[i + 1]]
        order = np.arange(own.shape[0])
        now_s = fires_s
        while now_s < begin_s + span[1]:
            rank(own, order)
            _station(block[:, i], plate[:, i], own, order, step_s / 3600.0)
            now_s += step_s


@njit(cache=True)
def _station(
    station: NDArray[np.float64],
    plate: NDArray[np.float64],
    soc: NDArray[np.float64],
    order: NDArray[np.int64],
    dt_h: float,
) -> None:
    """One station, one inner step.

    The fullest packs, as many as the service needs, are charged first and never fed from; the
    others feed in while that is commanded, else are charged as far as the owner wants.
    """
    efficiency = plate[P_EFFICIENCY]
    pack_kwh = plate[P_PACK]
    commanded = station[V2G] > 0.0
    feed_kw = max(min(station[V2G], plate[P_V2G], station[HIGH]), 0.0) * station[SUPPLIED]
    left_kw = min(plate[P_RATED], station[LIMIT], max(-station[LOW], 0.0)) * station[SUPPLIED]
    charged = station[SERVICE] if commanded else max(station[KEEP], station[SERVICE])
    drawn = 0.0
    fed = 0.0
    into = 0.0
    for k in range(order.shape[0]):
        slot = order[k]
        power = 0.0
        if k < charged:
            taper = 1.0
            if soc[slot] > TAPER_SOC:
                taper -= (1.0 - TAPER_END) * (soc[slot] - TAPER_SOC) / (1.0 - TAPER_SOC)
            most = max(1.0 - soc[slot], 0.0) * pack_kwh / dt_h
            power = min(plate[P_SLOT] * taper, most, max(left_kw, 0.0) * efficiency)
            left_kw -= power / efficiency
            drawn += power / efficiency
        elif commanded:
            most = max(soc[slot] - FEED_FLOOR_SOC, 0.0) * pack_kwh / dt_h
            power = -min(plate[P_SLOT], most, max(feed_kw, 0.0) / efficiency)
            feed_kw += power * efficiency
            fed -= power * efficiency
        soc[slot] += power * dt_h / pack_kwh
        into += power
    station[POWER] = fed - drawn
    station[ENERGY] += station[POWER] * dt_h * 3600.0
    station[DRAWN] += drawn * dt_h
    station[FED] += fed * dt_h
    station[PACKS] += into * dt_h
    station[LOSS] += (drawn - fed - into) * dt_h
    full = 0
    for slot in order:
        if soc[slot] >= FULL_SOC:
            full += 1
    station[FULL] = full


@njit(cache=True)
def hand_out(
    block: NDArray[np.float64],
    plate: NDArray[np.float64],
    first: NDArray[np.int64],
    soc: NDArray[np.float64],
    station: NDArray[np.int64],
    arriving_soc: NDArray[np.float64],
) -> None:
    """Let vehicles swap: each takes the fullest pack and leaves its own.

    Parameters
    ----------
    station : int64[k]  where to, ascending
    arriving_soc : float64[k]  of the packs that are left
    """
    for j in range(station.shape[0]):
        i = station[j]
        best = first[i]
        for s in range(first[i] + 1, first[i + 1]):
            if soc[s] > soc[best]:
                best = s
        if soc[best] < LEAST_SOC:
            block[MISSED, i] += 1.0
            continue
        if soc[best] >= FULL_SOC:
            block[FULL, i] -= 1.0
        block[OUT, i] += soc[best] * plate[P_PACK, i]
        block[IN, i] += arriving_soc[j] * plate[P_PACK, i]
        block[SWAPS, i] += 1.0
        soc[best] = arriving_soc[j]


@njit(cache=True)
def survey(
    block: NDArray[np.float64],
    plate: NDArray[np.float64],
    first: NDArray[np.int64],
    soc: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Write to `out` [2, stations]: energy the kept packs miss [kWh], AC power that can feed in."""
    for i in range(block.shape[1]):
        own = soc[first[i] : first[i + 1]]
        order = np.arange(own.shape[0])
        rank(own, order)
        missing = 0.0
        feed = 0.0
        for k in range(order.shape[0]):
            level = own[order[k]]
            if k < block[SERVICE, i]:
                missing += max(FULL_SOC - level, 0.0) * plate[P_PACK, i]
            elif level > FEED_FLOOR_SOC:
                feed += plate[P_SLOT, i] * plate[P_EFFICIENCY, i]
        out[0, i] = missing
        out[1, i] = min(feed, plate[P_V2G, i]) * block[SUPPLIED, i]
