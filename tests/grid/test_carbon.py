"""Flow tracing: published examples, balance of CO2, loops, dead ends, the storage's stock."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.grid.cases import peak, valley
from twin.city.tables import DataRows
from twin.grid import GridOperation, Network
from twin.grid.carbon import EmissionMeter, marginal_kg_kwh, trace
from twin.grid.equipment import read_table

HOUR_MS = 3_600_000


def flows(*rows: tuple[int, int, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """From, to, power sent, power delivered (negative the other way round)."""
    ends = np.array([[r[0] for r in rows], [r[1] for r in rows]])
    return ends, np.array([[r[2] for r in rows], [-r[3] for r in rows]])


def test_published_example_of_average_participations() -> None:
    """Documentation of InfraFair, "Basic example" of the average participations
    method: G1 20 MW and G2 40 MW feed a hub that draws 10 MW and sends 15 and 35 MW on. Of the
    15 MW, 5 are G1's and 10 G2's; of the 35 MW 11.7 and 23.3; of the 10 MW 3.3 and 6.7.
    """
    ends, into = flows(
        (0, 2, 20.0, 20.0), (1, 2, 40.0, 40.0), (2, 3, 15.0, 15.0), (2, 4, 35.0, 35.0)
    )
    drawn = np.array([10.0, 15.0, 35.0])
    for source, printed in (((1.0, 0.0), (3.3, 5.0, 11.7)), ((0.0, 1.0), (6.7, 10.0, 23.3))):
        found = trace(ends, into, np.array([0, 1]), np.array([20.0, 40.0]), np.array(source), 5)
        np.testing.assert_allclose(drawn * found.factor[2:], printed, atol=0.05)


def test_bialeks_network_with_losses() -> None:
    """The four-bus network of Bialek (1996): G1 400, G2 114, D3 300, D4 200 MW; power sent and
    delivered 60/59, 225/218, 115/112, 173/171 and 83/82 MW. By hand, share of G2: at bus 2
    114/173; at bus 4 171 of 283; at bus 3 82 of 300.
    """
    ends, into = flows(
        (0, 1, 60.0, 59.0), (0, 2, 225.0, 218.0), (0, 3, 115.0, 112.0),
        (1, 3, 173.0, 171.0), (3, 2, 83.0, 82.0),
    )  # fmt: skip
    sources = (np.array([0, 1]), np.array([400.0, 114.0]))
    found = trace(ends, into, *sources, np.array([0.0, 1.0]), 4)
    at_2 = 114 / 173
    at_4 = at_2 * 171 / 283
    by_hand = [0.0, at_2, at_4 * 82 / 300, at_4]
    np.testing.assert_allclose(found.factor, by_hand, atol=1e-7)
    lost = np.array([1.0, 7.0, 3.0, 2.0, 1.0]) @ found.factor[[0, 0, 0, 1, 3]]
    assert found.loss_t_h == pytest.approx(lost, abs=1e-6)
    assert found.source_t_h == pytest.approx(114.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 12), st.integers(0, 2**31 - 1))
def test_what_burns_is_drawn_or_lost(n: int, seed: int) -> None:
    """Any flows, loops among them: factors stay between the sources', no CO2 is lost or made."""
    chance = np.random.Generator(np.random.Philox(seed))
    ends = np.vstack([chance.integers(0, n, 3 * n), chance.integers(0, n, 3 * n)])
    ends = ends[:, ends[0] != ends[1]]
    sent = chance.uniform(0.0, 50.0, ends.shape[1]) * (chance.random(ends.shape[1]) < 0.8)
    got = sent * chance.uniform(0.9, 1.0, len(sent))
    turned = chance.random(len(sent)) < 0.5
    into = np.where(turned, np.vstack([-got, sent]), np.vstack([sent, -got]))
    both = chance.random(len(sent)) < 0.1  # takes power at both ends
    into[:, both] = np.abs(into[:, both])
    net = np.zeros(n)
    np.add.at(net, ends[0], into[0])
    np.add.at(net, ends[1], into[1])
    extra = chance.uniform(0.0, 30.0, n)  # demand beside a source, too
    given_mw, drawn = np.maximum(net, 0.0) + extra, np.maximum(-net, 0.0) + extra
    factor = chance.uniform(0.0, 1.0, n)
    found = trace(ends, into, np.arange(n), given_mw, factor, n)
    assert factor.min() - 1e-9 <= found.factor.min()
    assert found.factor.max() <= factor.max() + 1e-9
    assert found.source_t_h == pytest.approx(given_mw @ factor)
    assert drawn @ found.factor + found.loss_t_h == pytest.approx(found.source_t_h, abs=1e-4)


def test_a_loop_without_a_source_and_a_dead_bus_have_the_mean() -> None:
    ends, into = flows((0, 1, 5.0, 5.0), (2, 3, 4.0, 4.0), (3, 4, 4.0, 4.0), (4, 2, 4.0, 4.0))
    sources = (np.array([0, 0]), np.array([2.0, 3.0]), np.array([1.0, 0.0]))
    found = trace(ends, into, *sources, 6)
    np.testing.assert_allclose(found.factor, 0.4, rtol=1e-6)
    nothing = trace(ends, 0.0 * into, np.array([0]), np.array([-1.0]), np.array([0.9]), 6)
    assert (nothing.factor == 0.0).all()


def test_a_branch_that_gives_at_both_ends_is_a_source_of_the_mean() -> None:
    ends, into = flows((0, 1, -1.0, 2.0))  # an equivalent with negative resistance
    found = trace(ends, into, np.array([0]), np.array([3.0]), np.array([0.6]), 2)
    np.testing.assert_allclose(found.factor, 0.6, rtol=1e-6)
    assert found.source_t_h == pytest.approx(0.6 * 6.0)


def test_the_city_balances_and_is_fast(city: Network) -> None:
    operation, meter = GridOperation(city), EmissionMeter(city, 11)
    point = peak(city)
    shot = operation.settle(0, *point.arguments)
    assert shot.converged
    into = np.ascontiguousarray(operation.flow.branch_mva(operation.v).real)
    fed = (into, shot.infeed_mw, shot.plant_mw, shot.pumped_mw, point.demand_mw)
    found = meter.take(0, *fed)
    assert found.district_factor.shape == (11,)
    used = meter.source_factor
    assert used.min() < found.district_factor.min()
    assert found.district_factor.max() < used.max()
    assert np.ptp(found.district_factor) > 0.05  # places differ
    by_district = np.bincount(city.busbars.district, point.demand_mw, 11)
    drawn = by_district @ found.district_factor
    assert drawn + found.loss_t_h == pytest.approx(found.burnt_t_h, rel=1e-5)
    begun = time.process_time()
    for _ in range(5):
        meter.take(0, *fed)
    assert (time.process_time() - begun) / 5 < 0.010


def test_the_storage_passes_on_what_it_was_charged_with(city: Network) -> None:
    operation, meter = GridOperation(city), EmissionMeter(city, 11)
    point = valley(city)
    shot = operation.settle(0, *point.arguments)
    into = np.ascontiguousarray(operation.flow.branch_mva(operation.v).real)
    before = meter.storage_kg_kwh
    for now_ms in (0, HOUR_MS):
        meter.take(now_ms, into, shot.infeed_mw, shot.plant_mw, -1800.0, point.demand_mw)
    held_mwh, held_t = 2400.0 + 0.76 * 1800.0, meter.state["stock_t"][0]
    assert meter.state["stock_mwh"][0] == pytest.approx(held_mwh)
    charged = (held_t - 2400.0 * before) / 1800.0  # factor of the bus there
    assert 0.05 < charged < 0.9
    other = meter.fork()
    meter.take(2 * HOUR_MS, into, shot.infeed_mw, shot.plant_mw, 1e6, point.demand_mw)
    assert meter.state["stock_mwh"][0] == 0.0  # used up: the factor of the beginning stands in
    assert meter.storage_kg_kwh == pytest.approx(before)
    assert other.state["stock_t"][0] == held_t


def test_margin_by_time_of_day() -> None:
    night, day = marginal_kg_kwh(np.array([3, 14]) * HOUR_MS)
    assert night == pytest.approx(0.2 * 0.38 + 0.7 * 0.8325)
    assert day == pytest.approx(0.6 * 0.38 + 0.3 * 0.8325)


def test_every_factor_has_a_source_and_a_grade() -> None:
    table = read_table("emissions")
    rows = [*table["fuel"].values(), *table["import"].values(), *table["margin"]]
    rows += [table["feed_back"], table["storage"]]
    for row in rows:
        assert row["source"]
        assert row["grade"] in ("A", "B", "C", "D", "GK", "assumed")
    for row in table["margin"]:
        assert row["hydro"] + row["gas"] + row["coal"] == pytest.approx(1.0)
    assert set(table["import"]) - {"other"} <= set(DataRows("infeeds.csv").text("name_en"))
