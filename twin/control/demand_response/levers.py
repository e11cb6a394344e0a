"""From 'this much' to set-points: one lever for each flexible kind.

Batteries are fast, exact and cost nobody comfort, so they close the loop; the sluggish kinds
carry a steady share in proportion to what they can sustain. Buildings are led by a set-point
that rises slowly, which bounds the drift whatever the building is made of; their power is what
it then turns out to be.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS
from twin.control.baselines.habits import LOST_MS, Counterfactual, Habits, keyed_fraction
from twin.control.capability import flexibility as flex
from twin.control.pacing import Desk
from twin.control.supervision.estimate import Estimate
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Inventory, SetPoint
from twin.record.onboarding import live
from twin.record.table import Table

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Parts = Mapping[str, Floats]  # by kind float64[n], 0 to 1: asked of each device's capability

LIMITED = ("icestore", "charging", "swap", "hydrogen", "shorepower")
QUARTERS = 32  # of the owners' forecast that is kept: 8 h
QUARTER_MS = 900_000
NOT_FOLLOWED = 0.05  # of the rating between set-point and power (assumed)
MOST_OFFSET_C = 4.0  # what controllers take (twin/assets/aircon.py)
SLOW_START_C = 0.5  # a zone found this far above its set-point starts from where it is


class Levers:
    """Set-points of all flexible kinds under one order.

    Parameters
    ----------
    name : prefix of its tables
    without : the order's counterfactual
    """

    def __init__(
        self, name: str, inventory: Inventory, habits: Habits, without: Counterfactual, desk: Desk
    ) -> None:
        self.name, self.habits, self.without, self.desk = name, habits, without, desk
        self.inventory, self.kinds = inventory, habits.kinds
        self.columns = {k: inventory.kinds[k].columns for k in self.kinds}
        self.enrolled = {k: c.flag("enrolled") for k, c in self.columns.items()}
        self.out: dict[str, Flags] = {}  # behind an open circuit; set by the curtailment
        self.memory: dict[str, Table] = {}
        for kind, rows in (
            ("storage", ("ceiling_kw", "floor_kw", "wanted_kw")),
            ("aircon", ("offset_c",)),
            ("industry", ("paused", "spent")),
        ):
            if kind in self.kinds:
                self.memory[kind] = Table(rows, self.columns[kind].n)
        self.estimate: Estimate | None = None  # of devices that do not answer
        self.drawn: dict[str, Floats] = {}  # worked out anew by `look`
        # Of VPPs that may not take part in the order.
        self.barred = {k: Table(("barred",), c.n) for k, c in self.columns.items()}
        self.waits, self.one_more_kw = np.zeros(0, np.bool_), np.zeros(0)
        if "charging" in self.kinds:
            column = self.columns["charging"]
            self.waits = column.i8("use") == flex.WAITS
            self.one_more_kw = column.f8("post_kw")
        if "storage" in self.memory:
            n = self.columns["storage"].n
            self.memory["storage"].extra["quarters"] = np.zeros((QUARTERS, n))
            self.memory["storage"].extra["quarters_ms"] = np.zeros(1, np.int64)

    def tables(self) -> dict[str, Table]:
        """Return everything that evolves."""
        barred = {f"{self.name}.barred.{k}": t for k, t in self.barred.items()}
        return barred | {f"{self.name}.levers.{k}": t for k, t in self.memory.items()}

    # -- what there is ---------------------------------------------------------------------

    def usable(self, kind: str, now_ms: int, fleet: Supervision, everyone: bool) -> Flags:
        """Return who can be dispatched: enrolled, live, heard, let by the market, supplied."""
        use = self.enrolled[kind] & fleet.watch[kind].fresh(now_ms)
        use &= live(self.columns[kind], now_ms) & (self.barred[kind]["barred"] == 0.0)
        if not everyone:
            use &= ~self.without.held_out[kind]
        if kind in self.out:
            use &= ~self.out[kind]
        return use

    def look_ahead(self, now_ms: int) -> None:
        """Bring the owners' forecast to `now_ms`, each quarter of an hour."""
        owners = self.habits.owners
        if owners is None:
            return
        extra = self.memory["storage"].extra
        since = int(extra["quarters_ms"][0])
        if 0 <= now_ms - since < QUARTER_MS and since > 0:
            return
        extra["quarters"][...] = owners.forecast(now_ms, now_ms + QUARTERS * QUARTER_MS)
        extra["quarters_ms"][0] = now_ms

    def quarters(self, now_ms: int, until_ms: int) -> Floats:
        """Return owners' storage power from `now_ms` to `until_ms`, float64[quarters, n]."""
        extra = self.memory["storage"].extra
        since = int(extra["quarters_ms"][0])
        first = int(np.clip((now_ms - since) // QUARTER_MS, 0, QUARTERS - 1))
        last = int(np.clip(-(-(until_ms - since) // QUARTER_MS), first + 1, QUARTERS))
        return np.asarray(extra["quarters"][first:last], np.float64)

    def capability(
        self, now_ms: int, span: tuple[int, int], fleet: Supervision, everyone: bool = False
    ) -> dict[str, Floats]:
        """Return by kind what each device can sustain over `span`, against its baseline.

        `span` is (start_ms, end_ms); a start that is past means now.
        """
        start_ms, end_ms = max(span[0], now_ms), span[1]
        hours = max((end_ms - start_ms) / HOUR_MS, 0.25)
        found: dict[str, Floats] = {}
        for kind in self.kinds:
            watch, column = fleet.watch[kind], self.columns[kind]
            demand = self.without.demand_kw(kind)
            if kind == "storage" and self.habits.owners is not None:
                base, top = self.quarters(start_ms, end_ms), self.memory[kind]["ceiling_kw"]
                before = self._taken_in(now_ms, start_ms)
                given = flex.storage(watch, self.habits.owners, base, top, hours, before)
            elif kind == "aircon":
                floor, most = column.f8("floor_m2"), column.f8("comfort_max_c")
                given = flex.aircon(watch, floor, most, demand, hours)
            elif kind == "icestore":
                given = flex.icestore(watch, column.f8("tank_kwh"), demand, hours)
            elif kind == "charging":
                given = flex.charging(watch, demand, self.waits, self.one_more_kw)
            elif kind == "swap":
                given = flex.swap(watch, demand)
            elif kind == "industry":
                paused = self.memory[kind]["paused"] > 0.0
                given = flex.industry(watch, self.habits.usual(kind), paused, hours)
            elif kind == "hydrogen":
                given = flex.hydrogen(watch, column.f8("tank_kg"), demand, hours)
            else:
                given = flex.shorepower(watch, demand)
            up = given.up_kw
            if kind in ("charging", "swap"):
                up = up + watch.or_zero("v2g_available_kw")
            elif kind == "hydrogen":
                up = up + self._fuelcell(fleet, hours)
            found[kind] = np.where(self.usable(kind, now_ms, fleet, everyone), up, 0.0)
        return found

    def _taken_in(self, now_ms: int, start_ms: int) -> Floats:
        """Return what owners add to what their batteries could feed, until `start_ms` [kWh]."""
        owners = self.habits.owners
        if owners is None or start_ms <= now_ms:
            return np.zeros(self.columns["storage"].n)
        power = self.quarters(now_ms, start_ms)
        hours = (start_ms - now_ms) / HOUR_MS / len(power)
        back = owners.per_soc_kwh("out") / owners.per_soc_kwh("in")
        return np.asarray(-np.where(power < 0.0, power * back, power).sum(axis=0) * hours)

    def _fuelcell(self, fleet: Supervision, hours: float) -> Floats:
        column = self.columns["hydrogen"]
        return flex.fuelcell_kw(
            fleet.watch["hydrogen"], column.f8("tank_kg"), column.f8("fuelcell_kw"), hours
        )

    def look(self, now_ms: int, fleet: Supervision) -> None:
        """Work out what each device draws now.

        One that is out of contact may have fallen back by itself: what its site's meter has
        shown since then stands for it.
        """
        for kind in self.kinds:
            watch = fleet.watch[kind]
            drawn = -watch.or_zero("power_kw")
            silent = ~watch.fresh(now_ms) & watch.fresh(now_ms, LOST_MS)
            if self.estimate is not None and kind in self.estimate.units and silent.any():
                drawn = np.where(silent, -self.estimate.units[kind].power_kw(now_ms), drawn)
            self.drawn[kind] = drawn

    def reduction_kw(self, kind: str, fleet: Supervision) -> Floats:
        """Return what each touched device takes off the grid now, against its baseline."""
        drawn = self.drawn.get(kind)
        actual = -fleet.watch[kind].or_zero("power_kw") if drawn is None else drawn
        cut = self.without.demand_kw(kind) - actual
        return np.where(self.without.touched(kind), cut, 0.0)

    # -- during an order -------------------------------------------------------------------

    def begin(self, fleet: Supervision) -> None:
        """Forget the order before."""
        for table in self.barred.values():
            table["barred"] = 0.0
        for kind, table in self.memory.items():
            if kind == "storage":
                table["ceiling_kw"] = self.columns[kind].f8("rated_kw")
                table["floor_kw"] = self.columns[kind].f8("rated_kw")
                table["wanted_kw"] = np.nan
            elif kind == "aircon":
                zone = fleet.watch[kind].get("zone_temperature_c")
                above = zone - self.columns[kind].f8("setpoint_c")
                table["offset_c"] = np.nan_to_num(np.clip(above, 0.0, SLOW_START_C))
            else:
                table.block[:] = 0.0

    def limits(
        self, now_ms: int, end_ms: int, up: Mapping[str, Floats], parts: Parts, fleet: Supervision
    ) -> list[SetPoint]:
        """Let the limited kinds give `parts` of what they can."""
        out: list[SetPoint] = []
        hours = max((end_ms - now_ms) / HOUR_MS, 0.25)
        for kind in LIMITED:
            if kind not in up:
                continue
            rows = np.flatnonzero((up[kind] > 0.0) | self.without.touched(kind))
            if len(rows) == 0:
                continue
            watch, given, part = fleet.watch[kind], up[kind], parts[kind]
            extra: tuple[str, Floats] | None = None
            if kind in ("charging", "swap"):
                extra = ("v2g_kw", watch.or_zero("v2g_available_kw"))
            elif kind == "hydrogen":
                extra = ("fuelcell_kw", self._fuelcell(fleet, hours))
            if extra is not None:
                given = np.maximum(given - extra[1], 0.0)
            limit = np.maximum(self.without.demand_kw(kind) - part * given, 0.0)
            out += self.limit(now_ms, kind, rows, limit[rows], fleet)
            if extra is not None:
                able = rows[extra[1][rows] > 0.0]
                out += self.desk.put(now_ms, kind, extra[0], able, (part * extra[1])[able])
            self.without.touch(kind, rows)
        return out

    def limit(
        self, now_ms: int, kind: str, rows: NDArray[np.int64], limit_kw: Floats,
        fleet: Supervision,
    ) -> list[SetPoint]:  # fmt: skip
        """Limit `rows` of `kind`, never below what was promised: departures, swaps."""
        if kind not in ("charging", "swap"):
            return self.desk.put(now_ms, kind, "limit_kw", rows, limit_kw)
        one_more = self.one_more_kw if kind == "charging" else np.zeros(1)
        least = np.broadcast_to(
            flex.promised_kw(fleet.watch[kind], one_more), self.columns[kind].n
        )[rows]
        return self.desk.put(now_ms, kind, "limit_kw", rows, np.maximum(limit_kw, least), least)

    def most_offset_c(self) -> Floats:
        """Return how far each building's set-point may be raised inside its comfort limit."""
        column = self.columns["aircon"]
        most = column.f8("comfort_max_c") - flex.COMFORT_MARGIN_C - column.f8("setpoint_c")
        return np.clip(most, 0.0, MOST_OFFSET_C)

    def buildings(
        self, now_ms: int, parts: Parts, up: Mapping[str, Floats], fleet: Supervision
    ) -> list[SetPoint]:
        """Raise set-points by one minute's drift, up to the comfort limit."""
        if "aircon" not in up:
            return []
        offset = self.memory["aircon"]["offset_c"]
        rise = offset + flex.DRIFT_C_H * parts["aircon"] / 60.0
        offset[:] = np.minimum(rise, self.most_offset_c())
        rows = np.flatnonzero((up["aircon"] > 0.0) | self.without.touched("aircon"))
        self.without.touch("aircon", rows)
        return self.desk.put(now_ms, "aircon", "setpoint_offset_c", rows, offset[rows])

    def lines(
        self, now_ms: int, start_ms: int, want_kw: float, up: Mapping[str, Floats],
        fleet: Supervision,
    ) -> list[SetPoint]:  # fmt: skip
        """Pause lines until `want_kw` stand or will stand at their next step.

        A line finishes its step first; before `start_ms` only those are told whose step ends
        after it. A line whose downstream stock runs out goes back to work.
        """
        if "industry" not in up:
            return []
        watch, table = fleet.watch["industry"], self.memory["industry"]
        paused, spent = table["paused"], table["spent"]
        stock, usual = watch.or_zero("stock_h"), self.habits.usual("industry")
        empty = (paused > 0.0) & (stock < flex.STOCK_RESERVE_H)
        done = np.flatnonzero(empty)
        spent[empty], paused[empty] = 1.0, 0.0
        out = self.desk.release("industry", done)
        have = float(usual[paused > 0.0].sum())
        can = (up["industry"] > 0.0) & (paused == 0.0) & (spent == 0.0)
        if now_ms < start_ms:
            # Counted from when it was read, which may be minutes ago.
            ends_ms = watch.memory["time_ms"] + watch.or_zero("step_remaining_s") * 1000.0
            can &= (watch.or_zero("state") == 1.0) & (ends_ms >= start_ms)
        able = np.flatnonzero(can)
        # Longest stock first: fewest changes; the key only breaks ties.
        able = able[np.argsort(-stock[able] + 0.01 * keyed_fraction(able, 3), kind="stable")]
        total = have + np.cumsum(usual[able]) - 0.5 * usual[able]
        chosen = np.sort(able[total <= want_kw])
        paused[chosen] = 1.0
        self.without.touch("industry", chosen)
        held = np.flatnonzero(paused > 0.0)
        return out + self.desk.put(now_ms, "industry", "pause", held, np.ones(len(held)))

    def learn_ceilings(self, fleet: Supervision) -> None:
        """Learn what batteries' sites let them feed and draw, from commands not reached."""
        table, watch = self.memory["storage"], fleet.watch["storage"]
        rated, wanted = self.columns["storage"].f8("rated_kw"), table["wanted_kw"]
        power = watch.or_zero("power_kw")
        short = (wanted > 0.0) & (power < wanted - NOT_FOLLOWED * rated)
        ceiling = table["ceiling_kw"]
        ceiling[:] = np.where(short, np.maximum(power, 0.0), np.minimum(ceiling * 1.01, rated))
        held = (wanted < 0.0) & (power > wanted + NOT_FOLLOWED * rated)
        floor = table["floor_kw"]
        floor[:] = np.where(held, np.maximum(-power, 0.0), np.minimum(floor * 1.01, rated))

    def batteries(
        self, now_ms: int, total_kw: float, use: Flags, fleet: Supervision,
        weight: Floats | float = 1.0,
    ) -> tuple[list[SetPoint], float]:  # fmt: skip
        """Bring the batteries in `use` to `total_kw` (into the grid); return what is missing.

        Discharge is shared by stock, charging by room, so that all run out together; `weight`
        is what a battery's feed counts for where the network is tight.
        """
        owners = self.habits.owners
        if owners is None:
            return [], total_kw
        watch, table = fleet.watch["storage"], self.memory["storage"]
        if total_kw >= 0.0:
            most = np.minimum(watch.or_zero("discharge_limit_kw"), table["ceiling_kw"])
            stock = owners.stock_kwh(watch.or_zero("soc"))
            power = flex.share_out(total_kw, np.where(use, most, 0.0), weight * stock)
        else:
            most = np.minimum(watch.or_zero("charge_limit_kw"), table["floor_kw"])
            full = np.maximum(owners.memory["full"], watch.or_zero("soc") + 0.01)
            room = (full - watch.or_zero("soc")) * owners.capacity_kwh
            power = -flex.share_out(-total_kw, np.where(use, most, 0.0), room)
        return self.command_batteries(now_ms, power, use), total_kw - float(power.sum())

    def command_batteries(self, now_ms: int, power_kw: Floats, use: Flags) -> list[SetPoint]:
        """Write `power_kw` to the batteries in `use`."""
        rows = np.flatnonzero(use)
        table = self.memory["storage"]
        table["wanted_kw"] = np.where(use, power_kw, np.nan)
        self.without.touch("storage", rows)
        return self.desk.put(now_ms, "storage", "power_kw", rows, power_kw[rows])
