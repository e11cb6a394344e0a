"""States, substitutes and stations that are not live, as the judge counts them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.verify.world import Record, by_id, evidence, inventory, lm_order, ms
from twin.clock import MINUTE_MS
from twin.record.columns import Columns
from twin.record.exchange import FleetReport, Inventory
from twin.record.fleet_states import DeviceState
from twin.record.monitor import MonitorTally
from twin.record.onboarding import ALWAYS_MS, FOREVER_MS, STEPS, column
from twin.results.metrics import connected_mw
from twin.verify.load_management import judge_load_management
from twin.verify.monitoring import judge_monitoring

SIZES = {"storage": 10, "aircon": 4, "charging": 3, "terminal": 4}
ZERO = {"storage": np.zeros(10)}


def brought_in(kind: str, live_ms: list[int], **columns: np.ndarray) -> Inventory:
    """Return the small world in which devices of `kind` go live at `live_ms`."""
    given = inventory()
    known = given.kinds[kind]
    steps = {
        column(step): np.full(
            known.n, FOREVER_MS if step in ("suspended", "resumed") else ALWAYS_MS
        )
        for step in STEPS
    }
    steps["live_ms"] = np.array(live_ms)
    kinds = {**given.kinds}
    kinds[kind] = replace(known, columns=Columns({**known.columns, **steps, **columns}))
    return replace(given, kinds=kinds)


def truth(power: float = 50.0) -> dict[str, np.ndarray]:
    return {kind: np.full(n, power) for kind, n in SIZES.items()}


def verdicts(tally: MonitorTally):  # type: ignore[no-untyped-def]
    history = Record(240).history()
    history.monitor = tally
    return by_id(judge_monitoring(history).verdicts)


def test_states_are_right_where_they_were_believed_so() -> None:
    tally = MonitorTally(inventory())
    running = np.full(4, DeviceState.RUNNING, np.uint8)
    tally.believe(0, FleetReport("aircon", np.full(4, 50.0), state=running))
    tally.add(0, truth(), ZERO, ZERO)
    assert verdicts(tally)["monitor.states"].value is None  # nobody looked
    true = running.copy()
    true[0] = DeviceState.OFFLINE
    charging = np.full(3, DeviceState.CHARGING, np.uint8)
    tally.add(MINUTE_MS, truth(), ZERO, ZERO, {"aircon": true, "charging": charging})
    found = verdicts(tally)["monitor.states"]
    assert found.value == pytest.approx(100.0 * 3 / 7)  # chargers were never reported
    assert found.passed is None
    assert "charging: 0.0 %" in found.reason
    twin = tally.copy()
    twin.add(2 * MINUTE_MS, truth(), ZERO, ZERO, {"aircon": running})
    assert (tally.states_seen.sum(), twin.states_seen.sum()) == (7, 11)


def test_a_substitute_has_an_error_and_covers_nobody() -> None:
    tally = MonitorTally(inventory())
    told = np.array([True, False, False, False])
    tally.believe(0, FleetReport("terminal", np.full(4, 50.0), substitute=told))
    tally.add(0, truth(), ZERO, ZERO)
    number = tally.kinds.index("terminal")
    assert tally.power[number, 0] == 4
    assert tally.covered[number] == 3
    assert tally.registered[number] == 4


def test_who_is_not_live_need_not_be_covered() -> None:
    tally = MonitorTally(brought_in("charging", [0, ms(10), FOREVER_MS]))
    number = tally.kinds.index("charging")
    tally.add(0, truth(), ZERO, ZERO)
    assert (tally.registered[number], tally.covered[number]) == (1, 0)
    tally.believe(ms(10), FleetReport("charging", np.full(3, 50.0)))
    tally.add(ms(10), truth(), ZERO, ZERO)
    assert (tally.registered[number], tally.covered[number]) == (1 + 2, 2)


def test_connected_is_who_is_live_at_the_maximum() -> None:
    given = brought_in("charging", [0, ms(10), FOREVER_MS])
    assert connected_mw(given)["charging"] == pytest.approx(0.3)
    assert connected_mw(given, ms(9))["charging"] == pytest.approx(0.1)
    assert connected_mw(given, ms(10))["charging"] == pytest.approx(0.2)
    assert connected_mw(inventory(), 0) == connected_mw(inventory())


def test_a_terminal_counts_as_connected_when_it_is_live() -> None:
    site = np.array([2, 3, 4, 5])
    for live_ms, expected in (([ALWAYS_MS] * 4, 22.0), ([ALWAYS_MS, ms(14), 0, 0], 10.0)):
        given = evidence(lm_order(), Record(), inventory=brought_in("terminal", live_ms, site=site))
        found = by_id(judge_load_management(given).verdicts)
        assert found["lm.connected"].value == pytest.approx(expected)
