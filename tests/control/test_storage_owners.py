"""What a battery's owner would go on to do: learned from readings, followed in a shadow."""

from __future__ import annotations

import numpy as np
import pytest

from twin.clock import MINUTE_MS
from twin.control.baselines.owner import StorageOwners
from twin.record.columns import Columns

NOON = 12 * 60


def noon_owners(n: int = 1) -> StorageOwners:
    """Return owners of 500 kW and 1 000 kWh who charge from 12:00 to 14:00, dear hours follow."""
    tariff = np.ones(1440, np.int64)
    tariff[NOON : 14 * 60] = 0
    tariff[14 * 60 : 16 * 60] = 2
    columns = {"rated_kw": np.full(n, 500.0), "capacity_kwh": np.full(n, 1000.0)}
    return StorageOwners(Columns(columns, n), tariff)


def test_the_end_of_charging_lies_in_the_middle_of_two_looks() -> None:
    """Of a window of two hours, full between minute 95 and 100: 97.5 in the mean."""
    owners = noon_owners()
    first = int(np.flatnonzero(owners.reading.charge)[-1]) - 119
    for minute in [*range(25), *range(25, 105, 5)]:  # as `due` has it
        now_ms = (first + minute) * MINUTE_MS
        charging = 0 < minute <= 95
        soc = min(0.5 + 0.4 * minute / 95.0, 0.9)
        power = np.array([-200.0 if charging else 0.0])
        owners.observe(now_ms, power, np.array([soc]), np.array([True]))
    whole_min = owners.reading.since_min[first + 60] + owners.reading.left_h[first + 60] * 60.0
    since = float(owners.reading.since_min[first + 99])
    assert owners.memory["share"][0] == pytest.approx((since - 2.0) / whole_min, abs=0.004)


KNEE, TOP = 0.93, 0.95


def taking_kw(soc: float) -> float:
    """Return what a battery of 500 kW says it can take."""
    return 500.0 * float(np.clip((TOP - soc) / (TOP - KNEE), 0.0, 1.0))


def test_the_taper_is_learned_from_what_batteries_say_they_can_take() -> None:
    owners = noon_owners(2)
    for soc in np.arange(0.5, 0.949, 0.004):
        limit = np.array([taking_kw(soc), 500.0])  # the other one is never seen to taper
        owners.learn_taper(np.array([soc, 0.5]), limit)
    assert owners.memory["knee"][0] == pytest.approx(KNEE, abs=0.004)
    assert owners.memory["top"][0] == pytest.approx(TOP, abs=0.002)
    assert np.isnan(owners.memory["top"][1])
    owners.memory["full"] = TOP
    held = np.full(2, 400.0)
    minute = int(np.flatnonzero(owners.reading.charge)[0]) + 30
    power, _ = owners.step(minute, np.array([0.5, 0.5]), 1.0 / 60.0, held.copy())
    assert power == pytest.approx([-400.0, -400.0])
    # A tenth of a minute shows the power itself, longer steps the mean of what is left.
    power, _ = owners.step(minute, np.full(2, 0.94), 0.1 / 60.0, held.copy())
    assert -power[0] == pytest.approx(taking_kw(0.94), rel=0.15)
    assert -power[1] == pytest.approx(400.0)
    fine, soc = 0.0, np.full(2, 0.94)
    for _ in range(300):
        part, soc = owners.step(minute, soc, 1.0 / 3600.0, held.copy())
        fine += float(part[0]) / 300.0
    whole, _ = owners.step(minute, np.full(2, 0.94), 5.0 / 60.0, held.copy())
    assert whole[0] == pytest.approx(fine, rel=0.05)


@pytest.mark.parametrize("limit", [np.nan, -1e9, 0.0, 1e12])
def test_absurd_limits_teach_no_taper(limit: float) -> None:
    owners = noon_owners()
    for soc in (0.5, 0.93, 0.94, np.nan, 7.0):
        owners.learn_taper(np.array([soc]), np.array([limit]))
    held = np.array([400.0])
    minute = int(np.flatnonzero(owners.reading.charge)[0]) + 30
    power, then = owners.step(minute, np.array([0.6]), 1.0 / 60.0, held)
    assert power[0] == pytest.approx(-400.0)
    assert np.isfinite(then).all()
