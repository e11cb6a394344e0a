"""Which circuits go first: rules that hold for any city, order and earlier ledger."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.control.load_management.choice import Offer, RoundsInOrder
from twin.control.load_management.measures import (
    BARRED,
    default_rules,
    kinds_needed,
    steps_of_circuits,
)
from twin.control.load_management.planned import LeastLoss, fair_shares
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory

N, DISTRICTS = 60, 4
RULES = default_rules()


def offer_of(seed: int, need: float, level: int = 1, past: float = 0.0) -> Offer:
    """Return a drawn city; `need` of all that may be cut."""
    draw = np.random.Generator(np.random.Philox(seed))
    may = draw.random((4, N)) < 0.8
    kw = draw.uniform(1.0, 400.0, (4, N))
    late = draw.random((4, N)) < 0.2
    step = steps_of_circuits(RULES, level, late, draw.random(N) < 0.1)
    may &= step < BARRED
    district = draw.integers(0, DISTRICTS, N)
    district[:DISTRICTS] = np.arange(DISTRICTS)
    none = np.zeros((4, N), np.bool_)
    return Offer(
        may=may, kw=kw, step=step, late=late, stay=none, is_open=none, site=np.arange(N),
        district=district, busbar=district, lot=draw.random(N),
        contracted_kw=draw.uniform(800.0, 2000.0, N),
        ledger_kwh=past * draw.uniform(0.0, 2000.0, N),
        need_kw=need * float(kw[may].sum()), start_ms=0, end_ms=2 * 3_600_000,
    )  # fmt: skip


def inventory_of(offer: Offer, edges: int = 40) -> Inventory:
    draw = np.random.Generator(np.random.Philox(7))
    sites = Columns({
        "protected": np.zeros(N, np.bool_), "demand_kw": np.full(N, 1000.0),
        "value_cny_kwh": draw.uniform(1.0, 40.0, N),
    })  # fmt: skip
    shares = {f"circuit_share_{i}": draw.uniform(0.05, 0.2, N) for i in range(1, 5)}
    terminal = Columns({"site": offer.site, "district": offer.district, **shares})
    chain = Columns({
        "supplier": draw.integers(0, N, edges), "customer": draw.integers(0, N, edges),
        "share": np.full(edges, 0.02), "stock_h": draw.uniform(0.0, 3.0, edges),
    })  # fmt: skip
    kinds = {"terminal": KindInventory("terminal", (), (), terminal)}
    return Inventory(100.0, tuple("abcd"), ("x",), sites, kinds, chain=chain)


seeds = st.integers(0, 10_000)


@settings(deadline=None, max_examples=40)
@given(seeds, st.floats(0.05, 0.95), st.integers(1, 4), st.booleans())
def test_ranked_is_what_may_be_opened_and_it_is_enough(seed, need, level, planned):
    offer = offer_of(seed, need, level)
    choice = LeastLoss(inventory_of(offer), RULES) if planned else RoundsInOrder()
    rank = choice.rank(offer).rank
    held = np.isfinite(rank)
    assert (held == offer.may).all()
    assert len(np.unique(rank[held])) == held.sum()
    turn = np.argsort(rank[held])
    # Whatever is needed and there is, is there once circuits are opened by rank.
    assert np.cumsum(offer.kw[held][turn])[-1] >= offer.need_kw


@settings(deadline=None, max_examples=40)
@given(seeds, st.integers(1, 4))
def test_measures_are_used_in_order_and_only_from_their_level_on(seed, level):
    offer = offer_of(seed, 0.5, level)
    rank = RoundsInOrder().rank(offer).rank
    held = np.isfinite(rank)
    turn = np.argsort(rank[held])
    assert (np.diff(offer.step[held][turn]) >= 0).all()
    assert not held[3].any() or level <= 2  # the last round is a trip, from level II on
    assert not (held & offer.late).any() or level <= 2


@settings(deadline=None, max_examples=40)
@given(seeds, st.floats(0.05, 0.9), st.floats(0.0, 1.0))
def test_who_gave_before_gives_less_now(seed, need, past):
    offer = offer_of(seed, need, past=past)
    has = np.bincount(offer.district, np.where(offer.may, offer.kw, 0.0).sum(axis=0), DISTRICTS)
    fair = fair_shares(offer, has)
    assert ((fair >= 0.0) & (fair <= 1.0 + 1e-12)).all()
    assert float(fair @ has) == pytest.approx(offer.need_kw, rel=1e-6)
    contract = np.bincount(offer.district, offer.contracted_kw, DISTRICTS)
    before = np.bincount(offer.district, offer.ledger_kwh, DISTRICTS) / contract
    after = before + fair * has * offer.hours / contract
    inside = (fair > 1e-9) & (fair < 1.0 - 1e-9)
    if inside.any():  # who gives part of it ends alike; who gives nothing has given more before
        level = after[inside]
        assert np.ptp(level) <= 1e-6 * level.max()
        assert (before[fair <= 1e-9] >= level.min() - 1e-6).all()


def test_the_ledger_turns_the_order_round():
    offer = offer_of(3, 0.1)
    step = steps_of_circuits(RULES, 1, offer.late, np.zeros(N, np.bool_))
    offer = replace(offer, step=step, may=offer.may & (np.arange(4) == 0)[:, None] & ~offer.late)

    def eight(ledger: np.ndarray) -> set[int]:
        rank = RoundsInOrder().rank(replace(offer, ledger_kwh=ledger)).rank
        return set(np.argsort(rank[0])[:8].tolist())

    first = eight(np.zeros(N))
    ledger = np.zeros(N)
    ledger[list(first)] = offer.kw[0, list(first)] * offer.hours
    assert not first & eight(ledger)


@settings(deadline=None, max_examples=15)
@given(seeds, st.floats(0.2, 0.7))
def test_what_was_opened_just_now_stays_in_the_plan(seed, need):
    offer = offer_of(seed, need)
    stay = offer.may & (np.arange(N) % 17 == 3)
    offer = replace(offer, stay=stay, is_open=stay)
    ranking = LeastLoss(inventory_of(offer), RULES).rank(offer)
    if ranking.plan["how"] != "milp":
        return
    order = np.argsort(np.where(np.isfinite(ranking.rank), ranking.rank, np.inf), axis=None)
    kw = offer.kw.ravel()[order]
    opened = np.zeros(offer.kw.size, np.bool_)
    opened[order[np.cumsum(kw) - kw < offer.need_kw]] = True
    opened = opened.reshape(offer.kw.shape)
    assert opened[stay].all()


def test_the_plan_turns_to_others_when_the_ledger_grows():
    offer = offer_of(5, 0.3)
    offer = replace(offer, contracted_kw=np.full(N, 1000.0))
    choice = LeastLoss(inventory_of(offer), RULES)

    def planned(ledger: np.ndarray) -> np.ndarray:
        ranking = choice.rank(replace(offer, ledger_kwh=ledger))
        assert ranking.plan["how"] == "milp"
        order = np.argsort(ranking.rank, axis=None)
        kw = offer.kw.ravel()[order]
        opened = np.zeros(offer.kw.size)
        opened[order] = kw * (np.cumsum(kw) - kw < offer.need_kw)
        return opened.reshape(offer.kw.shape).sum(axis=0)

    first = planned(np.zeros(N))
    again = planned(first * offer.hours * 5.0)
    assert first @ again < 0.7 * (first @ first)


class OneBranch:
    """A branch that a cut at busbar 1 loads further, with so much room [MW]."""

    def __init__(self, room_mw: float) -> None:
        self.room_mw = room_mw

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        return np.array([[0.0, 1.0]]), np.array([self.room_mw])


def planned_kw(offer: Offer, network: OneBranch | None) -> np.ndarray:
    """Return what is opened at busbars 0 and 1 for the order."""
    ranking = LeastLoss(inventory_of(offer), RULES, network).rank(offer)  # type: ignore[arg-type]
    order = np.argsort(ranking.rank, axis=None)
    kw = offer.kw.ravel()[order]
    opened = np.zeros(offer.kw.size)
    opened[order] = kw * (np.cumsum(kw) - kw < offer.need_kw)
    return np.bincount(offer.busbar, opened.reshape(offer.kw.shape).sum(axis=0), 2)


def test_the_plan_keeps_a_branch_within_its_room() -> None:
    offer = replace(offer_of(11, 0.4), busbar=np.arange(N) % 2)
    free = planned_kw(offer, None)
    room_mw = 0.7e-3 * free[1]
    kept = planned_kw(offer, OneBranch(room_mw))
    assert free[1] > 1e3 * room_mw
    assert kept[1] <= 1e3 * room_mw + 1e-6
    assert kept.sum() >= offer.need_kw


def test_a_branch_that_is_over_its_limit_already_gets_no_worse() -> None:
    offer = replace(offer_of(11, 0.3), busbar=np.arange(N) % 2)
    kept = planned_kw(offer, OneBranch(-50.0))  # no cut relieves it
    assert kept[1] == 0.0
    assert kept.sum() >= offer.need_kw


def test_flexible_kinds_are_taken_measure_by_measure():
    able = {"storage": 50.0, "aircon": 80.0, "charging": 10.0}
    shift = {"storage", "icestore", "charging", "swap"}
    assert kinds_needed(RULES, 4, able, 40.0) == shift
    assert kinds_needed(RULES, 4, able, 61.0) > shift
    late = replace(RULES, measures=tuple(replace(m, level=1) for m in RULES.measures))
    assert kinds_needed(late, 2, able, 40.0) == frozenset()


def test_restricted_customers_go_first():
    restricted = np.arange(N) % 5 == 0
    step = steps_of_circuits(RULES, 1, np.zeros((4, N), np.bool_), restricted)
    assert step[:3, restricted].max() < step[:3, ~restricted].min()
    assert len(np.unique(step[3])) == 1
