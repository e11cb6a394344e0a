"""A made-up city for looking at the page: shapes that resemble a run, numbers that are none.

Test data only. Eleven districts, a few dozen devices a kind, a 5 % and a 20 % order, some
verdicts of every state. Nothing in here is a result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory
from twin.record.history import History, Incident
from twin.record.orders import Order, OrderForm, OrderKind
from twin.results.report import Districts, Histories, NetworkFacts, Outage
from twin.results.report.series import KINDS

MAX_LOAD_MW = 1_000.0
MINUTES = 1_440
NAMES = ("Yuexiu", "Haizhu", "Liwan", "Tianhe", "Baiyun", "Huangpu", "Panyu", "Huadu", "Nansha",
         "Conghua", "Zengcheng")  # fmt: skip
NAMES_ZH = ("越秀", "海珠", "荔湾", "天河", "白云", "黄埔", "番禺", "花都", "南沙", "从化", "增城")
SHARE = np.array([5.0, 6.5, 5.5, 10.5, 14.0, 18.5, 13.0, 8.5, 7.5, 2.5, 8.5]) / 100
DISTRICTS = Districts(
    NAMES, NAMES_ZH,
    np.array([0.0, 5.0, -3.0, 10.0, 0.0, 22.0, 12.0, -5.0, 28.0, 33.0, 58.0]),
    np.array([0.0, -5.0, 0.0, 0.0, 8.0, 6.0, -20.0, 30.0, -40.0, 46.0, 16.0]),
)  # fmt: skip
SCALARS = (
    "load_mw", "demand_mw", "losses_mw", "temperature_c", "aircon_modelled_mw",
    "aircon_background_mw", "tariff_period", "violations_bus", "violations_branch",
    "max_loading_pct", "tap_moves", "capacitor_moves", "loading_110_max", "loading_220_max",
    "loading_500_max", *(f"v{n}_{e}" for n in (10, 110, 220, 500) for e in ("min", "max")),
)  # fmt: skip
HOURLY = np.array([.66, .63, .61, .59, .58, .59, .62, .69, .80, .90, .96, .98, .96, .97, 1.0, .99,
                   .99, .97, .92, .91, .94, .92, .84, .74, .66])  # fmt: skip


def at(hour: float) -> int:
    return int(hour * HOUR_MS)


DR = Order("dr-1", 0, OrderKind.DEMAND_RESPONSE, OrderForm.REDUCTION, 50.0, 0, at(11), at(13),
           at(13.25), at(15))  # fmt: skip
LM = Order("lm-1", 0, OrderKind.LOAD_MANAGEMENT, OrderForm.REDUCTION, 200.0, 1, at(15.5),
           at(16.5), at(16.75), at(17.5), 15.0)  # fmt: skip


def pulse(order: Order, minute: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 within the order, ramping up and down, then a rebound below zero that dies away."""
    now = minute * MINUTE_MS
    up = np.clip((now - order.start_ms) / max(order.full_by_ms - order.start_ms, 1), 0, 1)
    after = np.maximum(now - order.end_ms, 0) / HOUR_MS
    return np.where(now < order.end_ms, up, (1 - 5 * after) * np.exp(-2 * after))


def history(orders: tuple[Order, ...], minutes: int = MINUTES, buildings: int = 60) -> History:
    minute = np.arange(minutes, dtype=np.float64)
    cut = {o.id: pulse(o, minute) * float(o.mw or 0.0) for o in orders}
    dr, lm = cut.get("dr-1", 0 * minute), cut.get("lm-1", 0 * minute)
    load = MAX_LOAD_MW * np.interp(minute / 60, np.arange(25) + 0.3, HOURLY)
    load += 2 * np.sin(minute / 7) - dr - lm
    tables = {
        "district.load_mw": (11, "f8"), "kind.power_mw": (10, "f8"),
        "aircon.temperature_c": (buildings, "f4"), "aircon.occupied": (buildings, "f4"),
        "storage.soc": (40, "f4"), "site.demand_kw": (2, "f4"),
    }  # fmt: skip
    run = History(0, minutes, SCALARS, tables)
    spread = np.linspace(-1.2, 1.2, buildings)
    swing = np.sin((minute / 60 - 9) / 24 * 2 * np.pi)
    for i in range(minutes):
        hour = i / 60
        now = {
            "load_mw": load[i], "demand_mw": load[i] * 0.98, "losses_mw": load[i] * 0.02,
            "temperature_c": 30.7 + 3.5 * swing[i], "aircon_modelled_mw": 60 + 40 * swing[i],
            "aircon_background_mw": load[i] * 0.25, "tariff_period": _period(hour),
            "violations_bus": float(lm[i] > 150), "violations_branch": 0.0,
            "max_loading_pct": load[i] / 12, "tap_moves": float(i % 20 == 0) + float(lm[i] > 100),
            "capacitor_moves": float(i % 90 == 0), "loading_110_max": load[i] / 13,
            "loading_220_max": load[i] / 12, "loading_500_max": load[i] / 16,
        }  # fmt: skip
        for n, low, high in (
            (10, 1.02, 1.05),
            (110, 1.0, 1.05),
            (220, 1.01, 1.06),
            (500, 1.02, 1.07),
        ):
            sag = 0.02 * (load[i] / MAX_LOAD_MW - 0.8)
            now[f"v{n}_min"], now[f"v{n}_max"] = low - sag, high - sag / 2 + lm[i] / 2e4
        run.put_scalars(now)
        run.row("district.load_mw")[:] = load[i] * 0.98 * SHARE
        run.row("site.demand_kw")[:] = 1e3 * np.array([400 - dr[i], load[i] * 0.98 - 400 + dr[i]])
        run.row("kind.power_mw")[:] = _kinds(hour, dr[i], lm[i], swing[i])
        run.row("aircon.temperature_c")[:] = 25.5 + spread * 0.8 + dr[i] / 40 + lm[i] / 200
        run.row("aircon.occupied")[:] = float(8 <= hour < 21) + (np.arange(buildings) % 5 == 0) > 0
        soc = 0.5 + 0.35 * np.sin(hour / 24 * 4 * np.pi - 1) - dr[i] / 400
        run.row("storage.soc")[:] = np.clip(soc + np.linspace(-0.2, 0.2, 40), 0.05, 0.95)
        if orders and DR.notice_ms <= i * MINUTE_MS < DR.end_ms:
            run.put_figure("delivered_mw", float(dr[i]) * 1.03)
        run.close_minute()
    _sessions(run, bool(orders))
    if len(orders) == 2:
        run.incidents.append(Incident(at(3), "load flow", "did not converge, last voltages kept"))
    return run


def _period(hour: float) -> float:
    if hour < 8:
        return 0.0
    if 11 <= hour < 12 or 15 <= hour < 17:
        return 3.0
    return 2.0 if 10 <= hour < 12 or 14 <= hour < 19 else 1.0


def _kinds(hour: float, dr: float, lm: float, swing: float) -> NDArray[np.float64]:
    discharge = 30.0 if 15 <= hour < 17 else (-18.0 if hour < 8 or 12 <= hour < 14 else 0.0)
    parts = np.array([discharge, -60 - 40 * swing, -4 - swing, -25, -3, 30 * max(swing, 0), -30,
                      -1, -2, -480])  # fmt: skip
    shares = np.array([0.25, 0.35, 0.04, 0.15, 0.02, 0.0, 0.15, 0.01, 0.01, 0.0])
    parts += dr * shares / 0.98 * 0.98
    parts[KINDS.index("terminal")] += 0.95 * lm
    return parts


def _sessions(run: History, touched: bool) -> None:
    n = 400
    ended = (np.arange(n) * (23.9 * HOUR_MS) / n).astype(np.int64)
    asked = 20.0 + 8 * np.sin(np.arange(n))
    short = np.where((ended > DR.start_ms) & (ended < DR.end_ms) & (np.arange(n) % 6 == 0), 0.12, 0)
    got = asked * (1 - short * touched)
    run.add_events(
        "charging.sessions",
        {"now_ms": ended, "station": np.arange(n) % 20, "number": np.arange(n),
         "arrive_ms": ended - HOUR_MS, "asked_kwh": asked, "got_kwh": got,
         "touched": np.full(n, touched)},
    )  # fmt: skip


def verdict(identity: str, order: str | None, title: str, zh: str, value: float | None,
            limit: float | None, comparison: str, **more: object) -> dict[str, object]:  # fmt: skip
    base: dict[str, object] = {
        "id": identity, "order": order, "title": title, "title_zh": zh, "value": value,
        "unit": "%", "limit": limit, "comparison": comparison, "passed": None, "reason": "",
        "source": "project's choice (grade assumed)", "base_mw": MAX_LOAD_MW, "window_min": 105,
    }  # fmt: skip
    return base | more


VERDICTS = [
    verdict("dr.capability", "dr-1", "demand response that can be called, of maximum load",
            "可调用的需求响应能力", 4.9996, 5.0, ">=", passed=False,
            reason="the call does not count (6.21 % gross): comfort: 7.1 %",
            source="pilot plan (grade A)"),
    verdict("dr.capability_gross", "dr-1", "the same before comfort, mobility and network",
            "毛能力", 6.21, None, "figure"),
    verdict("dr.delivered", "dr-1", "smallest 15-min mean reduction, of the order",
            "15 分钟平均压降最小值", 96.2, 95.0, ">=", passed=True),
    verdict("dr.overdelivered", "dr-1", "largest 15-min mean reduction, of the order",
            "15 分钟平均压降最大值", 108.4, 110.0, "<=", passed=True),
    verdict("dr.response_time", "dr-1", "minutes from start to 95 % of the order",
            "自开始至达到指令 95 % 的时间", 14.0, 15.0, "<=", passed=True, unit="min"),
    verdict("dr.rebound", "dr-1", "largest 15-min rebound within 4 h, of the order", "反弹最大值",
            61.3, 40.0, "<=", passed=False),
    verdict("dr.baseline_error", "dr-1", "error of the baseline methods", "基线误差", None, None,
            "figure", reason="not built yet"),
    verdict("lm.connected", None, "controllable load connected, of maximum load",
            "已接入的可控制负荷", 23.7, 20.0, ">=", passed=True, source="pilot plan (grade A)"),
    verdict("lm.shed", "lm-1", "smallest 15-min mean of the cut, of the order", "压减最小值", 98.9,
            98.0, ">=", passed=True, window_min=45),
    verdict("lm.protected", "lm-1", "protected sites interrupted", "被中断的保电用户数", 0.0, 0.0,
            "<=", passed=True, unit="sites", base_mw=None),
    verdict("monitor.coverage", None, "registered devices reported", "设备上报覆盖率", 99.4, 95.0,
            ">=", passed=True, base_mw=None, window_min=1440),
]  # fmt: skip


def summary(*, quiet: bool = False) -> dict[str, object]:
    devices = dict.fromkeys(KINDS, 40)
    return {
        "scenario": "look", "scenario_hash": "0" * 32, "seed": 7, "carrier": "direct",
        "versions": {"suitwin": "0.0.0", "numpy": "0.0"}, "complete": True,
        "wall_s": {"build": 1.0, "run": 20.0, "total": 21.0}, "realtime_factor": 4114.0,
        "peak_rss_mib": 512.0, "max_load_mw": MAX_LOAD_MW, "sites": 120, "devices": devices,
        "connected_mw": dict.fromkeys(KINDS[:-1], 20.0),
        "adjustable_mw": dict.fromkeys(KINDS[:-1], 7.5),
        "buses": 512, "branches": 700, "load_flows": 1440,
        "verdicts": [] if quiet else VERDICTS, "figures": {"dr.energy_back_mwh": 31.0},
        "warnings": ["weather: synthetic design day, no EPW file was given"],
    }  # fmt: skip


def inventory(buildings: int = 60) -> Inventory:
    aircon = KindInventory(
        "aircon", (), (), Columns({"floor_m2": np.linspace(5_000.0, 60_000.0, buildings)})
    )
    sites = Columns({"district": np.zeros(2, dtype=np.int64), "enrolled": np.array([True, False])})
    sectors = ("industry", "tertiary", "residential")
    return Inventory(MAX_LOAD_MW, NAMES, sectors, sites, {"aircon": aircon})


NETWORK = NetworkFacts(
    {"10": (1.0, 1.07), "110": (0.97, 1.07), "220": (1.0, 1.10), "500": (1.0, 1.10)},
    (
        Outage("220 kV Baiyun 2 – Baiyun 4, circuit 1", 220, True, 1, "its circuit 2", 108.3),
        Outage("500/220 kV transformer Huangpu 1", 500, True, 2, "500/220 kV Huangpu 2", 104.1),
        Outage("500 kV Conghua – Baiyun", 500, False, 0, "", float("nan")),
    ),
    394, "14:12",
)  # fmt: skip


def histories(minutes: int = MINUTES, buildings: int = 60) -> Histories:
    free = history((), minutes, buildings)
    first = history((DR,), minutes, buildings)
    both = history((DR, LM), minutes, buildings)
    return Histories(both, free, {"dr-1": free, "lm-1": first})
