"""The three simpler logics: what each one's rule promises, and that they serve orders at all."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from fakecity import FakeCity, make_calendar, make_inventory, run
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.load_management.choice import Offer
from twin.control.load_management.measures import BARRED
from twin.control.rivals import EqualShare, PriceOrder, PriorityList
from twin.control.rivals.circuits import CheapestCustomer, EqualRounds, RoundAfterRound
from twin.control.rivals.splits import KIND_LIST, CheapestSplit, EqualSplit, ListedSplit
from twin.record.columns import Columns
from twin.record.costs import OFFER, VALUE, costs
from twin.record.exchange import Inventory, KindInventory
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

INVENTORY, CALENDAR = make_inventory(), make_calendar()
LOGICS = (EqualShare, PriorityList, PriceOrder)
NOON = 12 * HOUR_MS
DR = Order("dr", 0, OrderKind.DEMAND_RESPONSE, OrderForm.REDUCTION, 12.0, 0,
           NOON, NOON + 30 * MINUTE_MS, NOON + 45 * MINUTE_MS, NOON + 90 * MINUTE_MS)  # fmt: skip
LM = Order("lm", 0, OrderKind.LOAD_MANAGEMENT, OrderForm.REDUCTION, 40.0, 1,
           NOON + 80 * MINUTE_MS, NOON + 110 * MINUTE_MS, NOON + 120 * MINUTE_MS,
           NOON + 140 * MINUTE_MS, 10.0)  # fmt: skip
NOTICES = [Notice(o.notice_ms, NoticeKind.ORDER, o) for o in (DR, LM)]


def started(logic):  # type: ignore[no-untyped-def]
    made = logic()
    made.start(INVENTORY, CALENDAR)
    return made


# -- splits ----------------------------------------------------------------------------------

SIZES = {"storage": 3, "aircon": 4, "industry": 2}


def priced(offers: dict[str, list[float]]) -> Inventory:
    inventory = make_inventory({**SIZES, "terminal": 4})
    kinds = dict(inventory.kinds)
    for name, offer in offers.items():
        kind = kinds[name]
        columns = Columns({**kind.columns, OFFER: np.array(offer)})
        kinds[name] = KindInventory(name, kind.points, kind.setpoints, columns)
    return Inventory(300.0, inventory.districts, inventory.sectors, inventory.sites, kinds)


PRICED = priced(
    {"storage": [0.5, 2.0, 0.9], "aircon": [0.6, 0.6, 3.0, 0.1], "industry": [1.0, 0.2]}
)
CAPABILITY = st.fixed_dictionaries(
    {k: arrays(np.float64, n, elements=st.floats(0.0, 500.0)) for k, n in SIZES.items()}
)


@settings(max_examples=60)
@given(up=CAPABILITY, want=st.floats(-10.0, 6000.0))
@pytest.mark.parametrize("made", [EqualSplit, ListedSplit, CheapestSplit])
def test_a_split_gives_what_is_wanted_and_nobody_more_than_he_can(made, up, want) -> None:  # type: ignore[no-untyped-def]
    given_kw = made(PRICED)(want, up)
    assert set(given_kw) == set(up)
    total = sum(float(v.sum()) for v in given_kw.values())
    most = sum(float(v.sum()) for v in up.values())
    assert total == pytest.approx(min(max(want, 0.0), most), rel=1e-9, abs=1e-6)
    for kind, kw in given_kw.items():
        assert (kw >= 0.0).all()
        assert (kw <= up[kind] + 1e-9).all()


@settings(max_examples=60)
@given(up=CAPABILITY, want=st.floats(0.0, 6000.0))
def test_each_split_keeps_its_own_rule(up, want) -> None:  # type: ignore[no-untyped-def]
    equal = EqualSplit(PRICED)(want, up)
    # All ratings are 500 kW: whoever has something left gives the most of all.
    top = max(float(v.max()) for v in equal.values())
    for kind, kw in equal.items():
        assert ((kw >= top - 1e-6) | (kw >= up[kind] - 1e-6)).all()
    listed = ListedSplit(PRICED)(want, up)
    order = [k for k in KIND_LIST if k in up]
    for first, then in pairwise(order):
        if listed[then].sum() > 1e-6:
            assert listed[first] == pytest.approx(up[first])
    cheapest = CheapestSplit(PRICED)(want, up)
    rows = [
        (PRICED.kinds[k].columns.f8(OFFER)[i], cheapest[k][i], up[k][i])
        for k in up for i in range(len(up[k]))
    ]  # fmt: skip
    dearest = max((price for price, kw, _ in rows if kw > 1e-6), default=0.0)
    assert all(kw >= can - 1e-6 for price, kw, can in rows if price < dearest)


# -- circuits --------------------------------------------------------------------------------


def offer(may: np.ndarray, step: np.ndarray) -> Offer:
    n = may.shape[1]
    rows = np.arange(n)
    zero = np.zeros(may.shape, np.bool_)
    fields = {
        "may": may, "kw": np.full(may.shape, 10.0), "step": step, "late": zero, "stay": zero,
        "is_open": zero, "site": rows, "district": rows % 2, "busbar": rows % 2,
        "lot": (0.618 * rows) % 1.0, "contracted_kw": np.full(n, 100.0),
        "ledger_kwh": np.zeros(n), "need_kw": 100.0, "start_ms": 0, "end_ms": HOUR_MS,
    }  # fmt: skip
    return Offer(**fields)


def ranked(choice, may, step):  # type: ignore[no-untyped-def]
    return choice.rank(offer(may, step)).rank


def test_circuits_come_in_the_order_that_each_rule_says() -> None:
    n = 40
    may, step = np.ones((4, n), np.bool_), np.zeros((4, n), np.int64)
    may[:, 0] = False  # protected, say
    step[:, 1] = BARRED
    step[:, 2] = 1  # a later measure
    value = np.linspace(30.0, 1.0, INVENTORY.sites.n)
    sites = Columns({**INVENTORY.sites, VALUE: value})
    inventory = Inventory(300.0, INVENTORY.districts, INVENTORY.sectors, sites, INVENTORY.kinds)
    for choice in (EqualRounds(inventory), RoundAfterRound(inventory), CheapestCustomer(inventory)):
        rank = ranked(choice, may, step)
        assert np.isinf(rank[:, :2]).all()
        assert np.array_equal(np.sort(rank[:, 2:].ravel()), np.arange(4 * (n - 2)))
    first = ranked(EqualRounds(inventory), may, step) < 40
    assert np.ptp(first.sum(axis=1)) <= 4  # every round gives the same share
    rounds = ranked(RoundAfterRound(inventory), may, step)
    assert rounds[0, 3:].max() < rounds[1, 3:].min()
    assert (rounds[:, 2] > rounds[3, 3:].max()).all()
    cheap = ranked(CheapestCustomer(inventory), may, step)
    assert (np.diff(cheap[0, 2:]) < 0.0).all()  # the last rows lose least


# -- whole logics ----------------------------------------------------------------------------


@pytest.mark.parametrize("logic", LOGICS)
def test_a_rival_meets_both_orders_and_goes_on_after_a_fork(logic) -> None:  # type: ignore[no-untyped-def]
    """FakeCity.apply asserts that every set-point is inside its range and rows ascend."""
    city, made = FakeCity(INVENTORY, NOON - 30 * MINUTE_MS), started(logic)
    run(city, made, NOON, NOTICES)
    base, _ = run(city.fork(), None, NOON + 170 * MINUTE_MS)
    demand: list[np.ndarray] = []
    for minute in (38, 97, 114, 146):
        part, _ = run(city, made, NOON + minute * MINUTE_MS, NOTICES)
        other_city, other = city.fork(), started(logic)
        other.load(made.save())
        until = city.now_ms + 4 * MINUTE_MS
        one, _ = run(city, made, until, NOTICES)
        two, _ = run(other_city, other, until, NOTICES)
        assert np.array_equal(one, two)
        assert made.save() == other.save()
        demand += [part, one]
    cut_mw = (base[: sum(map(len, demand))] - np.concatenate(demand)) / 1000.0
    five, twenty = cut_mw[50:90].mean() / 12.0, cut_mw[122:138].mean() / 40.0
    assert 0.9 < five < 1.15
    assert 0.9 < twenty < 1.25  # with what the 5 % still gives on its way back
    protected = INVENTORY.sites.flag("protected")[INVENTORY.kinds["terminal"].columns.i8("site")]
    assert city.closed[:, protected].all()


def test_prices_are_what_the_table_says_where_nothing_is_registered() -> None:
    table = costs()
    storage = INVENTORY.kinds["storage"].columns
    assert (table.offers("storage", storage) == table.compensation["storage"]).all()
    values = table.site_values(INVENTORY)
    by_sector = [table.interruption[s] for s in INVENTORY.sectors]
    assert values == pytest.approx(np.array(by_sector)[INVENTORY.sites.i8("sector")])
