"""The plan of cuts: by hand, against a published knapsack, and its rules on drawn problems.

::

    steel ──0.5, 1 h──► parts ──1.0, 0.5 h──► cars
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.control.fakecity import make_inventory
from twin.control.load_management.shed_program import (
    ShedProblem,
    greedy,
    loss_of,
    shed_problem,
    solve,
)

STEEL, PARTS, CARS = 0, 1, 2


def line(hours: float = 4.0, need_kw: float = 100.0) -> ShedProblem:
    """Three works, one circuit each with all of the production; 100 kW behind each."""
    return ShedProblem(
        need_kw,
        hours,
        kw=np.full(3, 100.0),
        site=np.arange(3),
        share=np.ones(3),
        loss_cny_h=np.array([100.0, 250.0, 400.0]),
        district=np.array([0, 0, 1]),
        supplier=np.array([STEEL, PARTS]),
        customer=np.array([PARTS, CARS]),
        edge_share=np.array([0.5, 1.0]),
        stock_h=np.array([1.0, 0.5]),
    )


def test_losses_go_down_the_line_when_stocks_are_dry() -> None:
    # Steel off for 4 h: parts lack 3 h of half their production, so miss 1.5 h; cars have half
    # an hour of parts and miss 1 h of all.
    loss = loss_of(line(), np.array([True, False, False]))
    assert loss.direct_cny == pytest.approx(4 * 100.0)
    assert loss.lost_h.tolist() == pytest.approx([0.0, 1.5, 1.0])
    assert loss.downstream_cny == pytest.approx(1.5 * 0.0 + 0.5 * 3.0 * 250.0 + 1.0 * 400.0)
    assert loss.stops == 2


def test_nothing_stops_before_its_stock_is_used_up() -> None:
    for hours in (0.0, 0.5, 1.0):
        loss = loss_of(line(hours), np.array([True, False, False]))
        assert loss.downstream_cny == 0.0
        assert loss.stops == 0
    assert loss_of(line(1.1), np.array([True, False, False])).stops == 1


def test_who_stands_still_himself_needs_no_input() -> None:
    loss = loss_of(line(), np.array([True, True, False]))
    assert loss.lost_h[PARTS] == 0.0
    assert loss.lost_h[CARS] == pytest.approx(4.0 - 0.5)


def test_the_plan_looks_down_the_line() -> None:
    """Steel alone is cheapest, but not with what follows; in a short order it is."""
    assert solve(line(0.5)).open.tolist() == [True, False, False]
    whole = solve(line(4.0))
    # 4 h: steel 400 + 375 + 400, parts 1000 + 3.5 h of cars, cars 1600.
    assert whole.open.tolist() == [True, False, False]
    assert whole.loss_cny == pytest.approx(1175.0)
    # 24 h: steel 2400 + 2875 + 4400 is more than 9600 for the cars alone.
    assert solve(line(24.0)).open.tolist() == [False, False, True]


def test_a_loop_of_suppliers_ends() -> None:
    ring = replace(
        line(40.0),
        supplier=np.array([STEEL, PARTS, CARS]),
        customer=np.array([PARTS, CARS, STEEL]),
        edge_share=np.ones(3),
        stock_h=np.zeros(3),
    )
    loss = loss_of(ring, np.array([True, False, False]))
    assert loss.lost_h.tolist() == pytest.approx([0.0, 40.0, 40.0])
    assert solve(ring).loss_cny == pytest.approx(40.0 * 750.0)


def test_a_published_knapsack() -> None:
    """Instance P02 of Burkardt's KNAPSACK_01 set: what stays closed weighs 26, is worth 51."""
    weight = np.array([12.0, 7, 11, 8, 9])
    profit = np.array([24.0, 13, 23, 15, 16])
    n = len(weight)
    problem = ShedProblem(
        weight.sum() - 26.0, 1.0, weight, np.arange(n), np.ones(n), profit, np.zeros(n, np.int64)
    )
    plan = solve(problem, gap=0.0)
    assert profit[~plan.open].sum() == 51.0
    assert np.flatnonzero(~plan.open).tolist() == [1, 2, 3]
    assert greedy(problem).loss_cny > plan.loss_cny


def test_network_rows_move_the_cut() -> None:
    free = solve(line(0.5))
    assert free.open[STEEL]
    rows = np.array([[1.0, 0.0, 0.0]])
    held = solve(replace(line(0.5), flow_rows=rows, flow_room=np.array([0.5])))
    assert held.open.tolist() == [False, True, False]
    assert held.how == "milp"


def test_too_much_asked_falls_to_the_greedy_choice_and_says_so() -> None:
    plan = solve(replace(line(), need_kw=1000.0, most_share=np.array([0.5, 1.0])))
    assert plan.how == "greedy"
    assert plan.short_kw == pytest.approx(1000.0 - 200.0)


def test_a_node_limit_of_none_still_gives_a_plan() -> None:
    plan = solve(line(), nodes=0, gap=0.0)
    assert plan.short_kw == 0.0
    assert plan.loss_cny >= plan.bound_cny


def test_protected_customers_cannot_be_planned() -> None:
    inventory = make_inventory()
    protected = inventory.sites.flag("protected")[inventory.kinds["terminal"].columns.i8("site")]
    row = np.flatnonzero(protected)[:1]
    assert len(row) == 1
    with pytest.raises(ValueError, match="protected"):
        shed_problem(inventory, 1.0, 1.0, np.zeros(1, np.int64), row, np.ones(1))


@st.composite
def problems(draw: st.DrawFn) -> ShedProblem:
    seed = draw(st.integers(0, 10_000))
    sites = draw(st.integers(1, 8))
    rng = np.random.Generator(np.random.Philox(seed))
    site = np.repeat(np.arange(sites), rng.integers(1, 4, sites))
    n, edges = len(site), int(rng.integers(0, 12)) if sites > 1 else 0
    kw = rng.uniform(1.0, 100.0, n)
    supplier = rng.integers(0, sites, edges)
    customer = (supplier + rng.integers(1, max(sites, 2), edges)) % sites
    needs = np.bincount(customer, minlength=sites)
    district = rng.integers(0, 3, sites)[site]
    has = np.bincount(district, kw, 3)
    need = float(rng.uniform(0.1, 0.6)) * kw.sum()
    fair = need / kw.sum()
    return ShedProblem(
        need,
        float(rng.uniform(0.0, 8.0)),
        kw,
        site,
        0.9 / np.bincount(site)[site],
        rng.uniform(0.0, 100.0, sites),
        district,
        supplier,
        customer,
        rng.uniform(0.1, 1.0, edges) / np.maximum(needs[customer], 1),
        rng.choice([0.0, 0.5, 2.0, 6.0], edges),
        most_share=np.where(has > 0.0, min(2.0 * fair, 1.0), 0.0) if draw(st.booleans()) else None,
        must_stay=rng.random(n) < 0.1,
    )


@settings(max_examples=40, deadline=None)
@given(problem=problems())
def test_every_plan_keeps_its_rules(problem: ShedProblem) -> None:
    plan, plain = solve(problem), greedy(problem)
    assert plan.open[problem.stay].all()
    assert plan.loss.direct_cny >= 0.0
    assert plan.loss.downstream_cny >= 0.0
    if plan.how == "milp":
        assert plan.short_kw <= 1e-6 * problem.need_kw
        assert plan.loss_cny >= plan.bound_cny * (1.0 - 1e-6)
        if problem.most_share is not None:
            opened = np.bincount(problem.district, problem.kw * plan.open, 3)
            stays = np.bincount(problem.district, problem.kw * problem.stay, 3)
            has = np.bincount(problem.district, problem.kw, 3)
            assert (opened <= np.maximum(problem.most_share * has, stays) + 1e-6).all()
        if plain.short_kw == 0.0:
            assert plan.loss_cny <= plain.loss_cny * (1.0 + 1e-9)
    again = solve(problem)
    assert (again.open == plan.open).all()


@settings(max_examples=30, deadline=None)
@given(problem=problems())
def test_nothing_cut_loses_nothing_and_more_cut_loses_no_less(problem: ShedProblem) -> None:
    nothing = np.zeros(problem.n, np.bool_)
    assert loss_of(problem, nothing).total_cny == 0.0
    some = np.arange(problem.n) % 2 == 0
    everything = np.ones(problem.n, np.bool_)
    less, more = loss_of(problem, some).total_cny, loss_of(problem, everything).total_cny
    assert less <= more * (1.0 + 1e-9) + 1e-9
