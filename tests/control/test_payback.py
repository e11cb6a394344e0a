"""What is missing after an order is laid into the quarters that have room."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twin.control.demand_response.payback import lay_into, quarter_hours

POWER = st.floats(0.0, 1e6)


@given(
    rows=st.lists(st.tuples(POWER, st.floats(-1e6, 1e6)), min_size=1, max_size=16),
    share=st.floats(0.0, 1.5),
)
def test_everything_missing_is_laid_somewhere(
    rows: list[tuple[float, float]], share: float
) -> None:
    most, room = np.array(rows).T
    hours = quarter_hours(5 * 60_000, len(most))
    missing = share * float((most * hours).sum())
    held, level = lay_into(missing, most, room, hours)
    assert ((held >= 0.0) & (held <= most)).all()
    laid = float((held * hours).sum())
    assert laid <= float((most * hours).sum()) + 1e-6
    if share <= 1.0:
        assert laid >= missing - 1e-6 * max(missing, 1.0)
    # Nobody is above his room by more than the level, unless he cannot hold back less.
    assert (held <= np.maximum(room + level, 0.0) + 1e-6 * np.abs(room).max() + 1e-6).all()


def test_worked_example() -> None:
    # 30 kWh into four quarters of which two have room for 40 kW each, one for 20, one for none.
    held, level = lay_into(
        30.0, np.full(4, 100.0), np.array([40.0, 40.0, 20.0, 0.0]), np.full(4, 0.25)
    )
    np.testing.assert_allclose(held, [45.0, 45.0, 25.0, 5.0], atol=1e-6)
    np.testing.assert_allclose(level, 5.0, atol=1e-6)
