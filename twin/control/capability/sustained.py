"""What each device of the fleet can sustain, up and down.

*Connected* is the registered rating of what takes part; *adjustable* is what can be held. An
estimate made at `now_ms` is for a call given at this moment: a quarter of an hour later
(`LEAD_MS`, the response time that is asked of an order) everything is there and is held for the
horizon. `up` is load taken off the grid or generation added, `down` load added, each the mean
over the horizon against what the device would do by itself. Readings and registrations only;
nothing is written and nothing remembered, so an estimate may be asked for at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS, minute_of_day
from twin.control.baselines.habits import FLEXIBLE, Habits
from twin.control.baselines.owner import StorageOwners
from twin.control.capability import flexibility as flex
from twin.control.capability import holding
from twin.control.capability.flexibility import Sustained
from twin.control.capability.holding import Window
from twin.control.capability.owner_plans import OwnerPlans
from twin.control.supervision.fleet import FRESH_MS, Supervision, Watch
from twin.record.exchange import Inventory
from twin.record.onboarding import live

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = Mapping[str, NDArray[np.generic]]

HORIZONS_MIN = (30, 60, 120)
LEAD_MS = 15 * MINUTE_MS
STEP_MS = 5 * MINUTE_MS  # of the owners' forecast


class Capability:
    """Estimates from what supervision believes.

    Parameters
    ----------
    inventory : what is registered
    habits, plans, fleet : of the platform; looked at only
    baseline : by kind what each device would draw now without any order [kW, positive demand],
        float64[n]; None where nobody commands and readings show it
    barred : by kind who cannot be dispatched for other reasons, bool[n], or None
    """

    def __init__(
        self,
        inventory: Inventory,
        habits: Habits,
        plans: OwnerPlans,
        fleet: Supervision,
        baseline: Callable[[str], Floats | None] = lambda _: None,
        barred: Callable[[str], Flags | None] = lambda _: None,
    ) -> None:
        self.inventory, self.habits, self.fleet = inventory, habits, fleet
        self.plans = plans
        self.baseline, self.barred = baseline, barred
        self.kinds = tuple(k for k in FLEXIBLE if k in habits.kinds)
        self.columns = {k: inventory.kinds[k].columns for k in self.kinds}
        self.enrolled = {k: c.flag("enrolled") for k, c in self.columns.items()}
        self.rated_at_site = np.zeros(inventory.sites.n)
        if "storage" in self.columns:
            c = self.columns["storage"]
            self.rated_at_site += np.bincount(c.i8("site"), c.f8("rated_kw"), inventory.sites.n)

    # -- estimates ---------------------------------------------------------------------------

    def estimate(self, now_ms: int, horizon_min: int) -> dict[str, Sustained]:
        """Return by kind what each device can sustain if called now.

        Zero for devices that are not enrolled, not heard of lately or barred.
        """
        span = (now_ms + LEAD_MS, now_ms + LEAD_MS + horizon_min * MINUTE_MS)
        return self.over(now_ms, span)

    def over(self, now_ms: int, span: tuple[int, int]) -> dict[str, Sustained]:
        """Return by kind what each device can hold over `span` (start_ms, end_ms).

        A span that has begun is what is left of it, a minute at the least.
        """
        start_ms = max(span[0], now_ms)
        end_ms = max(span[1], start_ms + MINUTE_MS)
        window = Window((start_ms - now_ms) / HOUR_MS, (end_ms - start_ms) / HOUR_MS)
        found: dict[str, Sustained] = {}
        # Batteries last: what others give at the same meter is no room for them any more.
        for kind in sorted(self.kinds, key=lambda k: k == "storage"):
            use = self.usable(kind, now_ms)
            if kind == "storage":
                given = self._storage(now_ms, (start_ms, end_ms), found)
            else:
                given = self._other(kind, now_ms, window)
            found[kind] = Sustained(_held(given.up_kw, use), _held(given.down_kw, use))
        return found

    def usable(self, kind: str, now_ms: int) -> Flags:
        """Return who can be dispatched: enrolled, live, heard of within two polls, not barred."""
        watch = self.fleet.watch[kind]
        use = self.enrolled[kind] & live(self.columns[kind], now_ms)
        use &= watch.fresh(now_ms, max(FRESH_MS, 2 * watch.period_ms))
        barred = self.barred(kind)
        return use if barred is None else use & ~barred

    def demand_kw(self, kind: str) -> Floats:
        """Return what each device would draw now by itself [kW], float64[n]."""
        given = self.baseline(kind)
        return -self.fleet.watch[kind].or_zero("power_kw") if given is None else given

    def _other(self, kind: str, now_ms: int, window: Window) -> Sustained:
        """Return what devices of `kind` hold over `window` [kW].

        Most maps have limits, and no command to draw more than the owner wants.
        """
        if kind != "aircon":
            up = self._limited(kind, now_ms, window)
            return Sustained(up, np.zeros_like(up))
        column = self.columns[kind]
        floor, most = column.f8("floor_m2"), column.f8("comfort_max_c")
        hours, points = window.lead_h + window.hours, self._points(now_ms, window)
        given = flex.aircon(self.fleet.watch[kind], floor, most, self.demand_kw(kind), hours)
        part = self._still_open(now_ms, points)
        return Sustained(given.up_kw * part, given.down_kw * part)

    @staticmethod
    def _points(now_ms: int, window: Window) -> list[int]:
        return [now_ms + int(h * HOUR_MS) for h in window.points_h()]

    def _limited(self, kind: str, now_ms: int, window: Window) -> Floats:
        """Return what devices that know limits only hold over `window` [kW]."""
        watch, column, plans = self.fleet.watch[kind], self.columns[kind], self.plans
        points = self._points(now_ms, window)
        if kind == "icestore":
            return holding.ice(watch, self._learned(kind, points, watch.or_zero("melt_kw")), window)
        if kind == "charging":
            waits = column.i8("use") == flex.WAITS
            share = [plans.drawn_share(kind, at) for at in (now_ms, *points)]
            up = holding.chargers(watch, waits, plans.use[kind], share, window)
            feed = holding.vehicles_feed(watch, plans.use[kind], len(share[0]), window)
            return up + self._within_export(kind, feed)
        if kind == "industry" and plans.lines is not None:
            return holding.lines(watch, plans.lines, now_ms, window)
        if kind not in ("swap", "hydrogen"):
            return flex.shorepower(watch, self.demand_kw(kind)).up_kw
        draws = self._learned(kind, points, self.demand_kw(kind))
        if kind == "swap":
            up, feed = holding.swaps(watch, draws, window), watch.or_zero("v2g_available_kw")
        else:
            tank, rated = column.f8("tank_kg"), column.f8("fuelcell_kw")
            up = holding.electrolysers(watch, draws, window)
            feed = flex.fuelcell_kw(watch, tank, rated, window.hours)
        return up + self._within_export(kind, feed)

    def _still_open(self, now_ms: int, points: list[int]) -> Floats:
        """Return what part of its present cooling each building will draw, 1 at the most.

        Of those of one use some will close: what the use drew at that time a day ago over what it
        drew at this one.
        """
        plans, part = self.plans, np.zeros(len(self.plans.drawn_share("aircon", now_ms)))
        now = plans.drawn_share("aircon", now_ms)
        for at_ms in points:
            ratio = plans.drawn_share("aircon", at_ms) / np.maximum(now, 1e-6)
            part += np.where(np.isfinite(ratio), np.clip(ratio, 0.0, 1.0), 1.0)
        return (part / len(points))[plans.use["aircon"]]

    def _within_export(self, kind: str, feed_kw: Floats) -> Floats:
        """Return `feed_kw` as far as the owner's control lets devices of `kind` feed.

        That is into what else the site draws, and what it may export.
        """
        site, meter = self.columns[kind].i8("site"), self.fleet.watch.get("meter")
        if meter is None or "export_limit_kw" not in self.inventory.sites:
            return feed_kw
        n, power = self.inventory.sites.n, self.fleet.watch[kind].or_zero("power_kw")
        demand = meter.get("demand_kw")
        room = self.inventory.sites.f8("export_limit_kw") + np.nan_to_num(demand)
        room = np.maximum(room + np.bincount(site, power, n), 0.0)
        part = np.minimum(room / np.maximum(np.bincount(site, feed_kw, n), 1e-9), 1.0)
        return np.where(np.isfinite(demand)[site], feed_kw * part[site], feed_kw)

    def _learned(self, kind: str, points: list[int], now: Floats) -> Floats:
        """Return the mean over `points` of what owners were seen to do then, else `now`."""
        total = np.zeros(len(now))
        for at_ms in points:
            learned = self.plans.at(kind, at_ms)
            total += np.where(np.isfinite(learned), learned, now)
        return total / len(points)

    # -- batteries ---------------------------------------------------------------------------

    def _storage(
        self, now_ms: int, span: tuple[int, int], others: Mapping[str, Sustained]
    ) -> Sustained:
        watch, owners = self.fleet.watch["storage"], self.habits.owners
        if owners is None:
            return Sustained(np.zeros(watch.n), np.zeros(watch.n))
        path = self._owners_path(now_ms, span, owners, watch.or_zero("soc"))
        hours = float(path[2].sum())
        return holding.batteries(watch, owners, path, self.at_meter_kw(watch, others), hours)

    @staticmethod
    def _owners_path(
        now_ms: int, span: tuple[int, int], owners: StorageOwners, soc: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return SOC when `span` begins if owners go on until then, their power over it, steps.

        Owners act on what they would have in their batteries, the shadow's SOC; what is there
        is `soc`.
        """
        shadow, held = owners.memory["soc"].copy(), owners.memory["charge_kw"].copy()
        begin, power, length = soc, [], []
        at_ms = now_ms
        while at_ms < span[1]:
            end_ms = min(at_ms - at_ms % STEP_MS + STEP_MS, span[1])
            if at_ms < span[0]:
                end_ms = min(end_ms, span[0])
            step_h = (end_ms - at_ms) / HOUR_MS
            drawn, after = owners.step(minute_of_day(at_ms), shadow, step_h, held)
            if at_ms < span[0]:
                begin = begin + (after - shadow)
            else:
                power.append(drawn)
                length.append(step_h)
            at_ms, shadow = end_ms, after
        return np.clip(begin, 0.0, 1.0), np.stack(power), np.array(length)[:, None]

    def at_meter_kw(self, watch: Watch, others: Mapping[str, Sustained]) -> tuple[Floats, Floats]:
        """Return what each battery may feed and draw before its site's meter bounds it [kW].

        The meter may feed no more than the export limit and draw no more than is contracted.
        Owners' controls share what it leaves minute by minute, so that all of it is soon with
        those who want it: the batteries. Where no meter was heard the rating stands alone.
        """
        power, site = watch.or_zero("power_kw"), self.columns["storage"].i8("site")
        rated = self.columns["storage"].f8("rated_kw")
        meter = self.fleet.watch.get("meter")
        sites = self.inventory.sites
        if meter is None or not {"export_limit_kw", "contracted_kw"} <= sites.keys():
            return rated, rated
        demand = meter.get("demand_kw")
        given = np.zeros(sites.n)
        for kind, sustained in others.items():
            given += np.bincount(self.columns[kind].i8("site"), sustained.up_kw, sites.n)
        known = np.isfinite(demand)
        leaves = np.where(known, demand, 0.0)
        room_out = (sites.f8("export_limit_kw") + leaves - given)[site]
        room_in = (sites.f8("contracted_kw") - leaves)[site]
        part = rated / np.maximum(self.rated_at_site[site], 1e-9)
        out_kw = np.clip(power + part * room_out, 0.0, rated)
        in_kw = np.clip(-power + part * room_in, 0.0, rated)
        return np.where(known[site], out_kw, rated), np.where(known[site], in_kw, rated)


def _held(power_kw: Floats, use: Flags) -> Floats:
    """Return `power_kw` of those in `use`, never negative, 0 for the others and the unknown."""
    return np.where(use & (power_kw > 0.0) & np.isfinite(power_kw), power_kw, 0.0)


__all__ = ["HORIZONS_MIN", "LEAD_MS", "Capability"]
