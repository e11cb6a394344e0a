"""What each kind can hold for a time: physics on readings and nameplates.

Every function looks at a window that begins `lead_h` hours from now and lasts `hours`, and
returns the mean by which load is lower over it if devices are called now [kW], float64[n]. What
owners would do in the window is given: a device that would not run cannot be switched off.
Rules of thumb have their source beside them; no true parameter is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.control.baselines.lines import LineOwners
from twin.control.baselines.owner import StorageOwners
from twin.control.capability import flexibility as flex
from twin.control.supervision.fleet import Watch

Floats = NDArray[np.float64]

POINTS = 12  # of a window at which what changes is worked out: every five minutes of an hour
CHILLING_SHARE = 0.9  # of a plant's power that goes with what is chilled: the rest is network
# pumps and standby (general knowledge)
MELT_PUMP = 0.02  # kW for a kW of melted cooling, 0.05 to 0.1 kW/RT (general knowledge)
ICE_COP = 3.5  # of ice making with its pumps, 3.5 to 4.5 without (general knowledge)
FEEDS_BELOW = 0.8  # vehicles feed in while charging takes less of their time (their own control)
STANDBY = 0.01  # of an electrolyser's rating at rest (assumed)
CHARGER_EFFICIENCY = 0.92  # AC to battery, 0.90 to 0.94 (general knowledge)
KEEP_AHEAD_H = 1.5  # within which a swap station's least power fills what it keeps (assumed)
SWAP_SHARE = 0.65  # of a pack that a swap takes away net (assumed: 0.92 out, 0.27 back)


@dataclass(frozen=True, slots=True)
class Window:
    """When something is to be held: hours from now until it begins, and how long."""

    lead_h: float
    hours: float

    def points_h(self) -> list[float]:
        """Return the middles of `POINTS` equal parts, hours from now."""
        part = self.hours / POINTS
        return [self.lead_h + (i + 0.5) * part for i in range(POINTS)]


def batteries(
    watch: Watch, owners: StorageOwners, path: tuple[Floats, Floats, Floats],
    at_meter: tuple[Floats, Floats], hours: float,
) -> flex.Sustained:  # fmt: skip
    """Return what batteries hold steadily against their owners' schedule, up and down.

    Steadily: the same at every time, so the owner's fullest minutes bound the power and his
    whole use the energy.

    Parameters
    ----------
    path : SOC that owners will have reached when the window begins, float64[n]; their power
        over it, float64[steps, n]; the hours of each step, float64[steps, 1]
    at_meter : what each may feed and draw before its site's meter bounds it
    """
    soc, over, step_h = path
    memory = owners.memory
    out, into = owners.per_soc_kwh("out"), owners.per_soc_kwh("in")
    stock = np.maximum(soc - memory["empty"], 0.0)
    room = np.maximum(memory["full"] - soc, 0.0)

    def taken(power_kw: Floats) -> Floats:
        """Return the SOC that goes at `power_kw` over the window."""
        drawn = np.where(power_kw > 0.0, power_kw / out, power_kw / into)
        return np.asarray((drawn * step_h).sum(axis=0))

    up, down = np.zeros_like(soc), np.zeros_like(soc)
    for _ in range(flex.LEVELLING):
        up = np.maximum(up + (stock - taken(over + up)) * out / hours, 0.0)
        down = np.maximum(down + (room + taken(over - down)) * into / hours, 0.0)
    up = np.minimum(up, at_meter[0] - over.max(axis=0))
    down = np.minimum(down, at_meter[1] + over.min(axis=0))
    # One that can neither feed nor draw has failed or stands without supply.
    works = (watch.or_zero("discharge_limit_kw") > 0.0) | (watch.or_zero("charge_limit_kw") > 0.0)
    return flex.Sustained(np.where(works, up, 0.0), np.where(works, down, 0.0))


def ice(watch: Watch, owner_melts_kw: Floats, window: Window) -> Floats:
    """Return what plants hold by melting in place of chilling, and by making no ice.

    `owner_melts_kw` is what the owner would melt in the window [kW thermal].
    """
    column = watch.kind.columns
    load, cooling_kw = watch.or_zero("cooling_load_kw"), column.f8("cooling_kw")
    most = np.minimum(flex.sustained_melt_kw(watch, window.hours), load)
    more = np.maximum(most - np.minimum(owner_melts_kw, load), 0.0)
    per_kw = CHILLING_SHARE * watch.rated_kw / np.maximum(cooling_kw, 1e-9) - MELT_PUMP
    chilled = np.maximum(load - watch.or_zero("melt_kw"), 0.0)
    makes = np.maximum(watch.or_zero("chiller_kw") - chilled, 0.0)
    makes = np.where(owner_melts_kw > 0.0, 0.0, makes)
    up = np.maximum(per_kw, 0.0) * more + makes / ICE_COP
    return np.asarray(np.minimum(up, watch.rated_kw))


def lines(watch: Watch, owners: LineOwners, now_ms: int, window: Window) -> Floats:
    """Return what lines hold from the end of their step until their downstream needs them.

    Both ways are gone forward minute by minute, left alone and asked to pause; what is held is
    the difference.
    """
    minutes = math.ceil((window.lead_h + window.hours) * 60.0)
    first = min(round(window.lead_h * 60.0), minutes - 1)
    asked = np.ones(watch.n, np.bool_)
    alone = owners.demand_kw(now_ms, minutes, watch, ~asked)[first:]
    paused = owners.demand_kw(now_ms, minutes, watch, asked)[first:]
    return np.asarray(np.maximum((alone - paused).mean(axis=0), 0.0))


def chargers(
    watch: Watch, waits: NDArray[np.bool_], use: NDArray[np.int64],
    drawn_share: list[Floats], window: Window,
) -> Floats:  # fmt: skip
    """Return what stations hold with every departure promise kept, V2G apart.

    Left alone, those connected finish one after the other, and so many come as came at that
    time of day when it was seen last: what the group drew then, less what was left of those it
    had at this time. Limited to the least that keeps all promises, who is there stays at his
    least, and who comes begins at the least of his group. Where drivers wait there is nothing
    to defer.

    Parameters
    ----------
    use : int64[n]  group of each station
    drawn_share : float64[uses] for now and each of the window's points, what such stations
        draw for their rating at that time, NaN unseen: as much as now
    """
    groups = len(drawn_share[0])
    free, least = watch.or_zero("demand_free_kw"), watch.or_zero("minimum_kw")
    need = watch.or_zero("energy_needed_kwh") / CHARGER_EFFICIENCY
    rated, frees, leasts = (np.bincount(use, x, groups) for x in (watch.rated_kw, free, least))
    slower = np.clip(leasts / np.maximum(frees, 1e-6), 0.0, 1.0)
    # The few vehicles of a station do not finish at random: a half is done when half is in.
    own_h = 2.0 * np.clip(need / np.maximum(free, 1e-6), 0.1, 12.0)
    total = np.zeros(watch.n)
    had = drawn_share[0]
    for at_h, share in zip(window.points_h(), drawn_share[1:], strict=True):
        stay = free * np.maximum(1.0 - at_h / own_h, 0.0)
        left = np.bincount(use, stay, groups) / np.maximum(frees, 1e-6)
        come_kw = np.where(np.isfinite(share - had), (share - had * left) * rated,
                           (1.0 - left) * frees)  # fmt: skip
        come_kw = np.maximum(come_kw, 0.0)
        come = (come_kw / np.maximum(rated, 1e-9))[use] * watch.rated_kw
        alone = stay + come
        limited = flex.PROMISE_RESERVE * (least + slower[use] * come)
        total += alone - np.minimum(limited, alone)
    return np.where(waits, 0.0, np.maximum(total / POINTS, 0.0))


def swaps(watch: Watch, owner_draws_kw: Floats, window: Window) -> Floats:
    """Return what swap stations hold with the service kept, feed-in apart.

    `owner_draws_kw` is their demand in the window without a call. Limited to the least that
    keeps the service, what vehicles take away must be put back within the time kept ahead.
    """
    column = watch.kind.columns
    comes = column.f8("swaps_per_day") / 24.0 * column.f8("pack_kwh") * SWAP_SHARE
    comes = comes / CHARGER_EFFICIENCY
    least, total = watch.or_zero("minimum_kw"), np.zeros(watch.n)
    for at_h in window.points_h():
        kept = np.exp(-at_h / KEEP_AHEAD_H)
        limited = flex.PROMISE_RESERVE * (least * kept + comes * (1.0 - kept))
        total += owner_draws_kw - np.minimum(limited, owner_draws_kw)
    return np.maximum(total / POINTS, 0.0)


def electrolysers(watch: Watch, owner_draws_kw: Floats, window: Window) -> Floats:
    """Return what electrolysers hold on their tanks, of what owners would draw in the window."""
    tank_kg = watch.kind.columns.f8("tank_kg")
    spare_kg = np.maximum(watch.or_zero("tank_kg") - flex.TANK_RESERVE * tank_kg, 0.0)
    lasts_h = spare_kg / np.maximum(watch.or_zero("hydrogen_demand_kg_h"), 1e-6)
    share = np.clip((lasts_h - window.lead_h) / window.hours, 0.0, 1.0)
    return np.asarray(share * np.maximum(owner_draws_kw - STANDBY * watch.rated_kw, 0.0))


def vehicles_feed(watch: Watch, use: NDArray[np.int64], groups: int, window: Window) -> Floats:
    """Return what vehicles feed in over the window before their promises call them back.

    What is fed must be charged again: with `need` still to be had and `left` hours, a vehicle
    can feed for as long as both fit into `FEEDS_BELOW` of the time that is left afterwards.
    """
    available = watch.or_zero("v2g_available_kw")
    need = watch.or_zero("energy_needed_kwh") / CHARGER_EFFICIENCY
    free, least = watch.or_zero("demand_free_kw"), watch.or_zero("minimum_kw")
    needs, leasts = (np.bincount(use, part, groups) for part in (need, least))
    takes_h = np.where(free > 0.0, need / np.maximum(free, 1e-6), 0.0)
    # Least power is what is needed spread over the time left; who needs nothing has the time
    # of his group.
    group_h = np.clip(needs / np.maximum(leasts, 1e-6), 0.0, 12.0)[use]
    left_h = np.where(least > 0.0, need / np.maximum(least, 1e-6), group_h)
    feeds_h = np.maximum(FEEDS_BELOW * np.minimum(left_h, 12.0) - takes_h, 0.0)
    feeds_h = feeds_h / (1.0 + FEEDS_BELOW)
    share = np.clip((feeds_h - window.lead_h) / window.hours, 0.0, 1.0)
    return np.asarray(share * available)
