"""Energies by device and quarter of an hour, through forks."""

from __future__ import annotations

import numpy as np
import pytest

from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.quarters import Quarters


def fill(kept: Quarters, from_min: int, to_min: int, kw: float = 60.0) -> None:
    for minute in range(from_min, to_min):
        kept.add(minute * MINUTE_MS, "storage", np.array([kw, -2.0 * kw]), 60)


def test_quarters_are_the_clocks_even_where_a_run_begins_within_one() -> None:
    kept = Quarters(10 * MINUTE_MS, HOUR_MS, {"storage": 2})
    fill(kept, 10, 60)
    assert kept.kwh("storage", 15 * MINUTE_MS, HOUR_MS).tolist() == [[15.0, -30.0]] * 3
    assert kept.kwh("storage", 0, 15 * MINUTE_MS).tolist() == [[5.0, -10.0]]
    assert kept.kwh("storage", 16 * MINUTE_MS, 44 * MINUTE_MS).shape == (0, 2)
    with pytest.raises(KeyError):
        kept.kwh("solar", 0, HOUR_MS)


def test_a_fork_within_a_quarter_shares_the_past_and_not_the_future() -> None:
    parent = Quarters(0, HOUR_MS, {"storage": 2})
    fill(parent, 0, 22)
    child = parent.fork(22 * MINUTE_MS)
    grandchild = child.fork(22 * MINUTE_MS)
    fill(parent, 22, 60)
    fill(child, 22, 60, kw=0.0)
    fill(grandchild, 22, 60)
    assert (
        grandchild.kwh("storage", 0, HOUR_MS).tobytes()
        == parent.kwh("storage", 0, HOUR_MS).tobytes()
    )
    assert child.kwh("storage", 0, HOUR_MS)[:, 0].tolist() == [15.0, 7.0, 0.0, 0.0]


def test_what_lies_outside_the_run_is_not_kept() -> None:
    kept = Quarters(0, 30 * MINUTE_MS, {"storage": 2})
    fill(kept, -5, 50)
    assert kept.kwh("storage", 0, HOUR_MS).tolist() == [[15.0, -30.0]] * 2
