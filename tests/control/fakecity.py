"""A small city of linear devices, one minute a step: no engine, no physics library.

Readings are exact unless a test spoils them. `copy.deepcopy` of a city and a saved logic make
a counterfactual.
"""

from __future__ import annotations

import copy

import numpy as np

from twin.clock import HOUR_MS, MINUTE_MS, minute_of_day
from twin.record.columns import Columns
from twin.record.exchange import Calendar, Inventory, KindInventory, Point, Reading

SIZES = {"storage": 40, "aircon": 80, "charging": 60, "industry": 30, "swap": 4, "icestore": 2,
         "hydrogen": 3, "shorepower": 3, "solar": 10, "terminal": 240}  # fmt: skip
POINTS = {
    "storage": "power_kw soc temperature_c charged_today_kwh discharged_today_kwh status remote "
    "charge_limit_kw discharge_limit_kw setpoint_kw",
    "aircon": "power_kw zone_temperature_c setpoint_c limit_kw occupied load_fraction remote",
    "icestore": "power_kw tank_soc cooling_load_kw melt_kw chiller_kw limit_kw remote",
    "charging": "power_kw connected energy_needed_kwh minimum_kw demand_free_kw limit_kw "
    "v2g_available_kw remote",
    "swap": "power_kw packs_full energy_stock_kwh energy_needed_kwh minimum_kw limit_kw "
    "v2g_available_kw remote",
    "solar": "power_kw irradiance_w_m2 limit_kw remote",
    "industry": "power_kw state step_remaining_s stock_h pausable",
    "hydrogen": "power_kw tank_kg hydrogen_demand_kg_h fuelcell_power_kw limit_kw remote",
    "shorepower": "power_kw berthed flexible_kw limit_kw remote",
    "terminal": "power_kw demand_kw demand_circuit_1_kw demand_circuit_2_kw demand_circuit_3_kw "
    "demand_circuit_4_kw closed_1 closed_2 closed_3 closed_4 warning",
    "meter": "demand_kw",
    "city": "load_mw temperature_c pumped_mw",
}
SETPOINTS = {
    "storage": (("power_kw", -1, 1, True),),
    "aircon": (("setpoint_offset_c", -2, 4, False), ("limit_kw", 0, 1, True)),
    "icestore": (("limit_kw", 0, 1, True),),
    "charging": (("limit_kw", 0, 1, True), ("v2g_kw", 0, 1, True)),
    "swap": (("limit_kw", 0, 1, True), ("v2g_kw", 0, 1, True)),
    "solar": (("limit_kw", 0, 1, True),),
    "industry": (("pause", 0, 1, False),),
    "hydrogen": (("limit_kw", 0, 1, True), ("fuelcell_kw", 0, np.inf, False)),
    "shorepower": (("limit_kw", 0, 1, True),),
    "terminal": (
        *((f"circuit_{i}", 0, 1, False) for i in range(1, 5)),
        ("warning", 0, 1, False),
    ),
}
TARIFF = np.ones(1440, np.int64)
TARIFF[: 8 * 60] = 0
TARIFF[10 * 60 : 12 * 60] = TARIFF[14 * 60 : 19 * 60] = 2
TARIFF[11 * 60 : 12 * 60] = TARIFF[15 * 60 : 17 * 60] = 3


def shape(minute: int) -> float:
    """City load over its maximum: a hill that is highest at 13:40."""
    return 1.0 - 0.4 * (1.0 - np.cos(2 * np.pi * (minute - 820) / 1440.0)) / 2.0


def make_inventory(sizes: dict[str, int] | None = None) -> Inventory:
    sizes = SIZES if sizes is None else sizes
    n_sites = sizes["terminal"] + 60
    kinds = {}
    for name, n in sizes.items():
        i = np.arange(n)
        circuit = np.where(i % 10 == 3, 1, -1) if name not in ("terminal",) else np.full(n, -1)
        columns: dict[str, np.ndarray] = {
            "site": i if name == "terminal" else (i * 7) % n_sites,
            "circuit": circuit.astype(np.int8),
            "district": (i if name == "terminal" else (i * 7) % n_sites) % 3,
            "rated_kw": np.full(n, 1000.0 if name == "terminal" else 500.0),
            "enrolled": np.full(n, name not in ("solar", "terminal")),
        }
        extra: dict[str, float | np.ndarray] = {
            "storage": {"capacity_kwh": 1000.0},
            "aircon": {"floor_m2": 10_000.0, "cooling_kw": 1500.0, "use": i % 5,
                       "setpoint_c": 25.5, "comfort_max_c": 28.0},
            "icestore": {"cooling_kw": 2000.0, "tank_kwh": 10_000.0, "peak_cooling_kw": 2500.0},
            "charging": {"posts": 10, "post_kw": 60.0, "v2g_kw": 0.0,
                         "use": np.where(i % 10 == 0, 0, 1 + i % 2)},
            "swap": {"packs": 10, "pack_kwh": 80.0, "slot_kw": 40.0, "swaps_per_day": 100.0,
                     "v2g_kw": 0.0},
            "industry": {"step_min": 20.0, "stock_h": 3.0, "min_run_min": 30.0,
                         "restart_min": 10.0, "base_share": 0.1},
            "hydrogen": {"tank_kg": 400.0, "kg_per_day": 300.0, "fuelcell_kw": 0.0,
                         "min_load": 0.1},
            "shorepower": {"flexible_share": 0.2},
            "terminal": {f"circuit_share_{c}": 0.15 for c in range(1, 5)},
        }.get(name, {})  # fmt: skip
        for key, value in extra.items():
            columns[key] = np.broadcast_to(np.asarray(value), (n,))
        points = tuple(Point(p, "", p, p) for p in POINTS[name].split())
        points_set = (
            *(Point(p, "", p, p, lo, hi, rated) for p, lo, hi, rated in SETPOINTS[name]),
            *(() if name == "terminal" else (Point("release", "1", "r", "r", 0, 1),)),
        )
        kinds[name] = KindInventory(name, points, points_set, Columns(columns, n))
    kinds["meter"] = KindInventory(
        "meter", (Point("demand_kw", "kW", "d", "d"),), (), Columns({}, n_sites)
    )
    city = tuple(Point(p, "", p, p) for p in POINTS["city"].split())
    kinds["city"] = KindInventory("city", city, (), Columns({}, 1))
    s = np.arange(n_sites)
    sites = Columns(
        {
            "district": s % 3,
            "sector": (s // 3) % 2,
            "demand_kw": np.full(n_sites, 1000.0),
            "contracted_kw": np.full(n_sites, 2000.0),
            "export_limit_kw": np.zeros(n_sites),
            "protected": s % 12 == 0,
            "enrolled": np.ones(n_sites, np.bool_),
            "aggregator": s % 4,
        }
    )
    return Inventory(300.0, ("a", "b", "c"), ("industry", "tertiary", "residential"), sites, kinds)


def make_calendar(start_ms: int = 0) -> Calendar:
    minutes = np.arange(1440)
    return Calendar(
        start_ms, 24 * HOUR_MS, MINUTE_MS, TARIFF.copy(), np.ones(1440),
        30.0 + 4.0 * np.sin(2 * np.pi * (minutes - 540) / 1440.0),
        300.0 * np.array([shape(m) for m in minutes]),
    )  # fmt: skip


class FakeCity:
    """State by kind as plain dictionaries of arrays."""

    def __init__(self, inventory: Inventory, start_ms: int) -> None:
        self.inventory, self.now_ms = inventory, start_ms
        self.set: dict[tuple[str, str], np.ndarray] = {}
        self.power: dict[str, np.ndarray] = {}
        self.lost: dict[str, np.ndarray] = {}
        for name, kind in inventory.kinds.items():
            for spec in kind.setpoints:
                self.set[name, spec.name] = np.full(kind.n, np.nan)
        n = {k: v.n for k, v in inventory.kinds.items()}
        self.soc = np.full(n.get("storage", 0), 0.30 + 0.3 * (start_ms >= 13 * HOUR_MS))
        self.zone = np.full(n.get("aircon", 0), 25.5)
        self.mass = np.full(n.get("aircon", 0), 25.5)
        self.backlog = np.zeros(n.get("charging", 0))
        self.stock = np.full(n.get("industry", 0), 3.0)
        self.paused = np.zeros(n.get("industry", 0), np.bool_)
        self.ended: list[tuple[int, str]] = []
        self.step()

    def value(self, kind: str, point: str) -> np.ndarray:
        return self.set[kind, point]

    def apply(self, setpoints) -> None:  # type: ignore[no-untyped-def]
        for write in setpoints:
            spec = next(
                s for s in self.inventory.kinds[write.kind].setpoints if s.name == write.point
            )
            columns = self.inventory.kinds[write.kind].columns
            scale = columns.f8("rated_kw")[write.rows] if spec.per_rating else 1.0
            assert np.all(np.diff(write.rows) > 0), f"{write.kind} rows do not ascend"
            assert np.all(np.isfinite(write.values))
            assert np.all(write.values >= spec.low * scale - 1e-9), (write.kind, write.point)
            assert np.all(write.values <= spec.high * scale + 1e-9), (write.kind, write.point)
            rows, values = write.rows, write.values
            if write.kind in self.lost:
                heard = ~self.lost[write.kind][rows]
                rows, values = rows[heard], values[heard]
            if write.point == "release":
                for (kind, point), held in self.set.items():
                    if kind == write.kind and point != "release":
                        held[rows] = np.nan
            else:
                self.set[write.kind, write.point][rows] = values

    # -- one minute ------------------------------------------------------------------------

    def step(self) -> None:
        minute = minute_of_day(self.now_ms)
        dark = {}
        for name, kind in self.inventory.kinds.items():
            if name in ("terminal", "meter", "city"):
                continue
            site, circuit = kind.columns.i8("site"), kind.columns.i8("circuit")
            out = np.zeros(kind.n, np.bool_)
            for c in range(4):
                opened = self.set["terminal", f"circuit_{c + 1}"] == 0.0
                hit = (circuit == c) & (site < len(opened))
                out[hit] = opened[site[hit]]
            dark[name] = out
        for name in self.inventory.kinds:
            if name not in ("terminal", "meter", "city"):
                power = getattr(self, f"_{name}")(minute)
                self.power[name] = np.where(dark[name], 0.0, power)
        self._terminal(minute)
        self.now_ms += MINUTE_MS

    def _storage(self, minute: int) -> np.ndarray:
        level = TARIFF[minute]
        room, stock = (0.9 - self.soc) * 1000.0 / 0.94, (self.soc - 0.1) * 1000.0 * 0.94
        own = np.zeros_like(self.soc)
        if minute < 480 or 720 <= minute < 840:
            own = -np.minimum(450.0, np.maximum(room, 0.0) * 60.0)
        elif level == 3:
            own = np.minimum(400.0, np.maximum(stock, 0.0) * 60.0)
        wanted = self.value("storage", "power_kw")
        power = np.where(np.isnan(wanted), own, wanted)
        power = np.clip(power, -np.maximum(room, 0) * 60, np.maximum(stock, 0) * 60)
        cells = power + np.where(power == 0.0, 0.0, 7.5)  # auxiliaries while running
        self.soc = self.soc - np.where(power > 0, cells / 0.94, cells * 0.94) / 60.0 / 1000.0
        return power

    def _aircon(self, minute: int) -> np.ndarray:
        use = np.arange(len(self.zone)) % 5
        gain = 0.9 + 0.1 * np.sin(2 * np.pi * (minute - 480 - 30 * use) / 1440.0)
        heat = 900.0 * gain  # thermal kW
        target = 25.5 + np.nan_to_num(self.value("aircon", "setpoint_offset_c"))
        air_c, mass_c, exchange = 150.0, 800.0, 120.0  # kWh/K, kWh/K, kW/K
        flow = exchange * (self.mass - self.zone)
        cool = np.clip(heat + flow + 4.0 * air_c * (self.zone - target), 0.0, 1500.0)
        limit = np.nan_to_num(self.value("aircon", "limit_kw"), nan=500.0)
        cool = np.minimum(cool, 4.0 * limit)
        self.zone = self.zone + (heat + flow - cool) / air_c / 60.0
        self.mass = self.mass - flow / mass_c / 60.0
        return -cool / 4.0

    def _charging(self, minute: int) -> np.ndarray:
        calm = 200.0 + 40.0 * np.sin(2 * np.pi * (minute - 300) / 1440.0)
        self.free = np.minimum(calm + self.backlog / 0.75, 500.0)
        limit = np.nan_to_num(self.value("charging", "limit_kw"), nan=500.0)
        drawn = np.minimum(self.free, limit)
        self.backlog = np.maximum(self.backlog + (calm - drawn) / 60.0, 0.0)
        return -drawn

    def _industry(self, minute: int) -> np.ndarray:
        phase = (np.arange(len(self.stock)) * 7 + minute) % 20
        self.remaining = (20 - phase) * 60.0 - 60.0  # as it stands at the end of the minute
        asked = self.value("industry", "pause") == 1.0
        self.paused = np.where(asked, self.paused | (phase == 0), False)
        self.stock = np.clip(self.stock + np.where(self.paused, -1.0, 0.2) / 60.0, 0.0, 3.0)
        return np.where(self.paused, -50.0, -400.0)

    def _limited(self, kind: str, own: float) -> np.ndarray:
        limit = np.nan_to_num(self.value(kind, "limit_kw"), nan=1e9)
        return -np.minimum(own, limit)

    def _swap(self, minute: int) -> np.ndarray:
        return self._limited("swap", 200.0)

    def _icestore(self, minute: int) -> np.ndarray:
        return self._limited("icestore", 400.0)

    def _hydrogen(self, minute: int) -> np.ndarray:
        return self._limited("hydrogen", 150.0)

    def _shorepower(self, minute: int) -> np.ndarray:
        return self._limited("shorepower", 300.0)

    def _solar(self, minute: int) -> np.ndarray:
        n = self.inventory.kinds["solar"].n
        return np.full(n, 300.0 * max(np.sin(np.pi * (minute - 360) / 780.0), 0.0))

    def _terminal(self, minute: int) -> None:
        n = self.inventory.kinds["terminal"].n
        wobble = 1.0 + 0.05 * np.sin(np.arange(n) * 1.7 + minute / 97.0)
        host = 800.0 * shape(minute) * wobble
        is_open = np.stack([self.set["terminal", f"circuit_{c}"] == 0.0 for c in range(1, 5)])
        self.circuit_kw = 0.15 * host * ~is_open
        self.closed = ~is_open
        self.host = host - 0.15 * host * is_open.sum(axis=0)
        site_kw = np.full(self.inventory.sites.n, 500.0 * shape(minute))
        site_kw[:n] = self.host
        for name, power in self.power.items():
            site = self.inventory.kinds[name].columns.i8("site")
            site_kw -= np.bincount(site, power, len(site_kw))
        self.meter = site_kw

    # -- readings --------------------------------------------------------------------------

    def readings(self, kinds) -> dict[str, Reading]:  # type: ignore[no-untyped-def]
        out = {}
        for kind in kinds:
            value = np.stack([np.broadcast_to(v, (self.inventory.kinds[kind].n,)).astype(float)
                              for v in self._points(kind)])  # fmt: skip
            n = value.shape[1]
            out[kind] = Reading(value, np.full(n, self.now_ms, np.int64), np.zeros(n, np.uint8))
        return out

    def _points(self, kind: str):  # type: ignore[no-untyped-def]
        p = self.power.get(kind)
        remote = 1.0
        if kind == "storage":
            status = np.where(p < 0, 1, np.where(p > 0, 2, 0))
            room, stock = (0.9 - self.soc) * 60_000, (self.soc - 0.1) * 60_000
            setpoint = np.nan_to_num(self.value("storage", "power_kw"))
            return (p, self.soc, 30.0, 0.0, 0.0, status, 0.0, np.clip(room, 0, 500),
                    np.clip(stock, 0, 500), setpoint)  # fmt: skip
        if kind == "aircon":
            return (p, self.zone, 25.5, 500.0, 1.0, 0.5, remote)
        if kind == "charging":
            return (p, 5.0, self.free * 0.75, 60.0, self.free, 500.0, 0.0, remote)
        if kind == "industry":
            return (p, np.where(self.paused, 3, 1), self.remaining, self.stock,
                    np.where(self.stock > 0.3, 1, 0))  # fmt: skip
        if kind == "swap":
            return (p, 5.0, 400.0, 400.0, 80.0, 500.0, 0.0, remote)
        if kind == "icestore":
            return (p, 0.8, 1600.0, 0.0, 1600.0, 500.0, remote)
        if kind == "hydrogen":
            return (p, 300.0, 10.0, 0.0, 500.0, remote)
        if kind == "shorepower":
            return (p, 1.0, 60.0, 500.0, remote)
        if kind == "solar":
            return (p, 800.0, 500.0, remote)
        if kind == "terminal":
            return (-self.host, self.host, *self.circuit_kw, *self.closed, 0.0)
        if kind == "meter":
            return (self.meter,)
        return (self.meter.sum() / 1000.0, 33.0, 0.0)

    def fork(self) -> FakeCity:
        return copy.deepcopy(self)


def run(city: FakeCity, logic, until_ms: int, notices=()):  # type: ignore[no-untyped-def]
    """Run minute by minute; return enrolled demand [kW] per minute and the reports."""
    demand, reports = [], []
    while city.now_ms < until_ms:
        now = city.now_ms
        if logic is not None:
            news = [n for n in notices if n.now_ms == now]
            actions = logic.digest(now, city.readings(logic.plan(now)), news)
            city.apply(actions.setpoints)
            reports.append(actions.reports)
        city.step()
        demand.append(city.meter.sum())
    return np.array(demand), reports
