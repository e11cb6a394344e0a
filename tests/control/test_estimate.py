"""Power between polls: common movement, the balance at the meter, substitutes for the silent."""

from __future__ import annotations

import numpy as np
import pytest
from fakecity import make_inventory

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.supervision.estimate import Estimate
from twin.control.supervision.fleet import Supervision
from twin.record.exchange import Reading

INVENTORY = make_inventory({"solar": 6, "charging": 4, "terminal": 12})
NOON = 12 * HOUR_MS
N_SITES = INVENTORY.sites.n
CHARGING_SITE = INVENTORY.kinds["charging"].columns.i8("site")


class Desk:
    """An estimate that is told powers and meters, minute by minute."""

    def __init__(self) -> None:
        self.fleet = Supervision(INVENTORY)
        self.estimate = Estimate(INVENTORY, self.fleet)

    def tell(self, minute: int, silent: dict[str, list[int]] | None = None, **shown: object) -> int:
        """Take ``kind=power`` (for meters demand) at `minute`; `silent` rows give no answer."""
        now_ms, readings = NOON + minute * MINUTE_MS, {}
        for kind, power in shown.items():
            known = INVENTORY.kinds[kind]
            value = np.zeros((len(known.points), known.n))
            value[0] = power
            quality = np.zeros(known.n, np.uint8)
            quality[(silent or {}).get(kind, [])] = 1
            readings[kind] = Reading(value, np.full(known.n, now_ms, np.int64), quality)
        self.fleet.take(now_ms, readings)
        self.estimate.read(now_ms, readings)
        return now_ms

    def power(self, kind: str, minute: int) -> np.ndarray:
        return self.estimate.power_kw(kind, NOON + minute * MINUTE_MS)[0]


def test_what_moves_a_group_goes_on_and_a_single_step_does_not() -> None:
    desk = Desk()
    desk.tell(0, solar=np.full(6, 100.0))
    # District of row 0 and 3: both grow by 5 %; of row 1 and 4: one falls by half.
    district = INVENTORY.kinds["solar"].columns.i8("district")
    assert district[0] == district[3] != district[1]
    group = district == district[0]
    desk.tell(5, solar=np.where(group, 105.0, 100.0))
    assert desk.power("solar", 9)[group] == pytest.approx(105.0 * 1.04, rel=1e-3)
    assert desk.power("solar", 9)[~group] == pytest.approx(100.0)
    assert desk.power("solar", 60)[group] == pytest.approx(105.0 * 1.5)  # and no further


def test_the_meter_tells_who_changed_since_he_was_read() -> None:
    """One station at a site: its terminal was read with the meter, the station before."""
    desk, row = Desk(), 1
    site = int(CHARGING_SITE[row])
    host = np.full(12, 300.0)
    meter = np.bincount(np.arange(12), host, N_SITES)

    def metered(station_kw: float) -> np.ndarray:
        drawn = np.zeros(4)
        drawn[row] = station_kw
        return meter + np.bincount(CHARGING_SITE, drawn, N_SITES)

    def drawn(kw: float) -> np.ndarray:
        return np.where(np.arange(4) == row, -kw, 0.0)

    assert site < 12
    dark = np.zeros(6)
    desk.tell(0, solar=dark, charging=drawn(100.0), terminal=-host, meter=metered(100.0))
    desk.tell(5, solar=dark, charging=drawn(160.0))  # stations surprise, hosts do not
    desk.tell(6, terminal=-host, meter=metered(160.0) + 0.1)
    desk.tell(9, terminal=-host, meter=metered(220.0))
    assert -desk.power("charging", 9)[row] == pytest.approx(220.0, rel=0.03)
    assert desk.power("terminal", 9) == pytest.approx(-host)  # read this minute: it rules
    desk.tell(10, charging=drawn(222.0))
    assert desk.power("charging", 10)[row] == pytest.approx(-222.0)


def test_a_silent_terminal_is_told_from_its_meter_and_said_to_be() -> None:
    desk, silent = Desk(), {"terminal": [2]}
    host = np.linspace(300.0, 410.0, 12)
    for minute in (0, 5, 10, 15, 20):
        shown = host * (1.0 + 0.002 * minute)
        desk.tell(minute, silent, charging=np.zeros(4), terminal=-shown)
        now_ms = desk.tell(minute + 1, meter=np.bincount(np.arange(12), shown, N_SITES))
    power, rests_on, substitute = desk.estimate.power_kw("terminal", now_ms)
    assert substitute.tolist() == [row == 2 for row in range(12)]
    assert power[2] == pytest.approx(-host[2] * 1.04, rel=0.03)
    assert rests_on[2] == now_ms
    assert (np.delete(rests_on, 2) == now_ms - MINUTE_MS).all()


def test_a_meter_that_stands_still_says_nothing() -> None:
    desk = Desk()
    host, meter = np.full(12, 300.0), np.bincount(np.arange(12), np.full(12, 300.0), N_SITES)
    desk.tell(0, charging=np.zeros(4), terminal=-host, meter=meter)
    desk.tell(5, charging=np.zeros(4), terminal=-1.5 * host)
    desk.tell(6, meter=meter)
    assert desk.power("terminal", 6) == pytest.approx(-1.5 * host, rel=0.11)
    desk.tell(7, meter=meter + 1.0)  # it moves, so it counts: 150 kW are missing
    assert (desk.power("terminal", 7) > -1.4 * host).all()


def test_clocks_ahead_leave_the_variance_finite() -> None:
    """A reading is never older than its estimate, for longer than halves last."""
    desk, known = Desk(), INVENTORY.kinds["solar"]
    for minute in range(1200):
        now_ms = NOON + minute * 1000
        value = np.full((len(known.points), known.n), 50.0 + minute % 2)
        stamp = np.full(known.n, now_ms + MINUTE_MS - 1000)
        reading = {"solar": Reading(value, stamp, np.zeros(known.n, np.uint8))}
        desk.fleet.take(now_ms, reading)
        desk.estimate.read(now_ms, reading)
    assert np.isfinite(desk.estimate.units["solar"].variance(now_ms)).all()


def test_nobody_ever_read_is_not_reported() -> None:
    power, _, substitute = Desk().estimate.power_kw("charging", NOON)
    assert np.isnan(power).all()
    assert not substitute.any()
