"""The desk's network: estimates against the load flow, moved cuts, and readings gone mad."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.grid.cases import peak
from tests.grid.meshed import flow_mw, meshed, row_of, solved
from twin.control.supervision.network import STRONGEST, NetworkWatch
from twin.engine.busbars import BUSBAR_POINTS, busbar_columns
from twin.engine.inventory import CITY_POINTS
from twin.record.columns import Columns
from twin.record.exchange import Inventory, KindInventory, Reading
from twin.record.orders import OutageNotice

NOW_MS = 14 * 3_600_000
LOST = ("A 220-01 220/115 kV #1", "A 220-01 220/115 kV #2")  # of three; two busbars below
INFEED = ("I2 - Mumian 500 kV #1", "I2 - Mumian 500 kV #2")  # all that it has
LEFT = "A 220-01 220/115 kV #3"


def inventory() -> Inventory:
    """Two sites at each busbar and one at none; a battery at every site."""
    network = meshed()
    n = 2 * network.n_busbar + 1
    sites = {"busbar": np.append(np.arange(n - 1) // 2, -1), "district": np.zeros(n, np.int64)}
    kinds = {
        "storage": KindInventory("storage", (), (), Columns({"site": np.arange(n)})),
        "city": KindInventory("city", CITY_POINTS, (), Columns({"site": np.zeros(1, np.int64)})),
        "busbar": KindInventory("busbar", BUSBAR_POINTS, (), busbar_columns(network)),
    }
    return Inventory(1_300.0, ("A", "B", "C"), ("all",), Columns(sites), kinds)


def readings(
    demand_mw: np.ndarray, quality: int = 0, load_mw: float | None = None
) -> dict[str, Reading]:
    n = len(demand_mw)
    load_mw = demand_mw.sum() if load_mw is None else load_mw
    busbar = Reading(
        np.vstack([np.full(n, 10.4), demand_mw, 0.3 * demand_mw]),
        np.full(n, NOW_MS, np.int64),
        np.full(n, quality, np.uint8),
    )
    city = np.array([[load_mw], [33.0], [0.0]])
    return {
        "busbar": busbar,
        "city": Reading(city, np.full(1, NOW_MS, np.int64), np.zeros(1, np.uint8)),
    }


def watch() -> NetworkWatch:
    return NetworkWatch(inventory(), solved()[0])


def outages(*names: str) -> list[OutageNotice]:
    return [OutageNotice(NOW_MS, name) for name in names]


@pytest.mark.parametrize(
    "lost",
    [(), LOST, ("Haizhu - Guangnan 500 kV #1", "I1 - Haizhu 500 kV #2"), INFEED, (*INFEED, *LOST)],
)
def test_estimates_follow_demand_and_outages(lost: tuple[str, ...]) -> None:
    _, operation, rows = solved()
    point = peak(meshed())
    uneven = point.demand_mw * np.linspace(0.8, 1.15, meshed().n_busbar)
    other = operation.fork()
    for name in lost:
        other.switch_branch(name, in_service=False)
    other.settle_losses(uneven, *point.arguments[1:])
    found = flow_mw(other, rows)
    desk = watch()
    desk.take(NOW_MS, outages(*lost), readings(uneven))
    error = np.abs(desk.branch["flow_mw"] - found)
    assert error.max() < 0.03 * np.abs(found).max()
    desk.take(NOW_MS, [OutageNotice(NOW_MS, name, restored=True) for name in lost], {})
    assert (desk.branch["out"] == 0.0).all()


def test_moving_the_cut_removes_the_overload_that_an_even_cut_leaves() -> None:
    _, operation, _ = solved()
    network, point = meshed(), peak(meshed())
    watched = row_of(network, LEFT)
    other = operation.fork()
    for name in LOST:
        other.switch_branch(name, in_service=False)

    def loading(cut_mw: np.ndarray) -> float:
        run = other.fork()
        share = 1.0 - cut_mw / point.demand_mw
        at = (point.demand_mw - cut_mw, point.demand_mvar * share, point.plant_mw, 0.0)
        run.settle_losses(*at)
        return float(run.flow.loading_pct(run.v)[watched])

    desk = watch()
    desk.take(NOW_MS, outages(*LOST), readings(point.demand_mw))
    weight = desk.relief(np.arange(network.n_busbar))
    can_mw = 0.5 * point.demand_mw  # what could be cut at each busbar
    order_mw = 0.2 * point.demand_mw.sum()
    even = order_mw * can_mw / can_mw.sum()
    moved = order_mw * can_mw * weight / (can_mw @ weight)
    assert (moved <= can_mw).all()
    assert moved.sum() == pytest.approx(order_mw)
    assert loading(0.0 * even) > 130.0
    assert loading(even) > 105.0
    assert loading(moved) < 100.0
    # The rows say the same: the even cut breaks one, the moved one keeps all.
    grows, room = desk.rows()
    assert (grows @ even > room).any()
    assert (grows @ moved <= room).all()
    assert desk.strained
    assert LEFT in desk.report(NOW_MS)["network"]["branch"].tolist()
    assert desk.report(NOW_MS + 60_000) == {}


def test_at_ease_everyone_counts_alike() -> None:
    desk = watch()
    desk.take(NOW_MS, [], readings(peak(meshed()).demand_mw))
    where = desk.busbar_of("storage")
    assert where.tolist() == [*np.repeat(np.arange(meshed().n_busbar), 2), -1]
    assert (desk.relief(where) == 1.0).all()
    assert len(desk.busbar_of("ferries")) == 0
    assert not desk.strained
    assert desk.report(NOW_MS) == {}


def test_without_a_view_nothing_is_weighed() -> None:
    desk = NetworkWatch(inventory(), None)
    desk.take(NOW_MS, outages(*LOST), readings(peak(meshed()).demand_mw))
    assert (desk.relief(desk.busbar_of("storage")) == 1.0).all()
    grows, room = desk.rows()
    assert grows.shape[0] == len(room) == 0


def test_what_is_not_read_is_as_planned_at_the_citys_load() -> None:
    planned = peak(meshed()).demand_mw
    desk, metered = watch(), watch()
    only_city = {"city": readings(0.7 * planned)["city"]}
    desk.take(NOW_MS, [], only_city)
    metered.take(NOW_MS, [], readings(0.7 * planned))
    np.testing.assert_allclose(desk.branch["flow_mw"], metered.branch["flow_mw"])
    metered.take(NOW_MS + 3_600_000, [], only_city)  # what was read an hour ago is not now
    np.testing.assert_allclose(desk.branch["flow_mw"], metered.branch["flow_mw"])


MAD = st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e12, 0.0, -5.0, 60.0, 200.0])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_read_the_weights_stay_in_their_bounds(data: st.DataObject) -> None:
    view, n = solved()[0], meshed().n_busbar
    desk = watch()
    for _ in range(2):
        value = np.array(data.draw(st.lists(MAD, min_size=n, max_size=n)))
        news = [
            OutageNotice(NOW_MS, name, restored=data.draw(st.booleans()))
            for name in data.draw(st.lists(st.sampled_from([*view.branch, "no such"]), max_size=12))
        ]
        given_readings = readings(value, data.draw(st.integers(0, 3)), data.draw(MAD))
        if data.draw(st.booleans()):  # of another shape, or of no numbers at all
            broken = Reading(value, np.zeros(3, np.int64), np.array(["?"] * n))  # type: ignore[arg-type]
            given_readings[data.draw(st.sampled_from(["busbar", "city"]))] = broken
        desk.take(NOW_MS + data.draw(st.integers(-(10**9), 10**9)), news, given_readings)
        weight = desk.relief(np.arange(-2, n + 2))
        assert np.isfinite(desk.branch["flow_mw"]).all()
        assert (weight >= 1.0 / STRONGEST - 1e-12).all()
        assert (weight <= STRONGEST + 1e-12).all()
        assert all(np.isfinite(part).all() for part in desk.rows())


def test_state_is_all_in_the_tables() -> None:
    desk, other = watch(), watch()
    desk.take(NOW_MS, outages(*LOST), readings(1.1 * peak(meshed()).demand_mw))
    for name, table in other.tables().items():
        table.restore(desk.tables()[name].arrays())
    for one, two in zip(desk.rows(), other.rows(), strict=True):
        np.testing.assert_array_equal(one, two)
    later = NOW_MS + 60_000
    for both in (desk, other):
        both.take(later, [], {})
    assert desk.branch.digest() == other.branch.digest()
