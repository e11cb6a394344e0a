"""Settlement by hand: two VPPs of two sites each.

::

    VPP       0            1
    site      0     1      2     3
    called    60    40     50    50     kWh in each quarter
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twin.control.settlement import settle
from twin.record.market import market_rules

RULES = market_rules()
CALLED = np.array([[60.0, 40.0, 50.0, 50.0]])
AGENT = np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("given_kwh", "valid", "short"),
    [
        ((48.0, 32.0, 50.0, 50.0), (48.0, 32.0), (0.0, 0.0)),  # 80 % exactly: valid
        ((47.9, 32.0, 50.0, 50.0), (0.0, 0.0), (12.1, 8.0)),  # a little less: nothing is paid
        ((80.0, 40.0, 50.0, 50.0), (80.0, 40.0), (0.0, 0.0)),  # 120 % exactly: all is paid
        ((110.0, 40.0, 50.0, 50.0), (88.0, 32.0), (0.0, 0.0)),  # 150 %: paid as 120
        ((110.0, -10.0, 50.0, 50.0), (100.0, 0.0), (0.0, 0.0)),  # one makes up for the other
        ((-30.0, -20.0, 50.0, 50.0), (0.0, 0.0), (60.0, 40.0)),  # never short of more than all
    ],
)
def test_edges_of_a_valid_response(given_kwh, valid, short) -> None:  # type: ignore[no-untyped-def]
    done = settle(CALLED, np.array([given_kwh]), AGENT, RULES)
    assert done.valid_kwh[0, :2] == pytest.approx(valid)
    assert done.short_kwh[0, :2] == pytest.approx(short)
    assert done.valid_kwh[0, 2:] == pytest.approx([50.0, 50.0])
    assert done.short_kwh[0, 2:] == pytest.approx([0.0, 0.0])


def test_each_quarter_stands_alone() -> None:
    called, gave = np.repeat(CALLED, 2, axis=0), np.array([[90.0, 60.0, 0, 0], [30.0, 20.0, 0, 0]])
    done = settle(called, gave, AGENT, RULES)
    assert done.valid_kwh.sum(axis=1) == pytest.approx([120.0, 0.0])
    assert done.short_kwh.sum(axis=1) == pytest.approx([100.0, 150.0])


def test_the_window_is_a_rule() -> None:
    strict = replace(RULES, valid_from=0.95, valid_to=1.0)
    done = settle(CALLED, np.array([[54.0, 36.0, 60.0, 60.0]]), AGENT, strict)
    assert done.valid_kwh[0] == pytest.approx([0.0, 0.0, 50.0, 50.0])


KWH = arrays(np.float64, (3, 4), elements=st.floats(-500.0, 500.0))


@given(called=KWH.map(np.abs), gave=KWH)
def test_sites_share_what_the_vpp_gets(called: np.ndarray, gave: np.ndarray) -> None:
    done = settle(called, gave, AGENT, RULES)
    assert (done.valid_kwh >= 0.0).all()
    assert (done.short_kwh >= 0.0).all()
    for vpp in (0, 1):
        mine = vpp == AGENT
        asked, valid = called[:, mine].sum(axis=1), done.valid_kwh[:, mine].sum(axis=1)
        short = done.short_kwh[:, mine].sum(axis=1)
        assert (valid <= RULES.valid_to * asked + 1e-6).all()
        assert (short <= asked + 1e-6).all()
        # Paid or penalised, never both.
        assert (np.minimum(valid, short) <= 1e-9).all()
