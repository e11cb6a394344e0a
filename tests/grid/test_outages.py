"""Single outages of the city at peak."""

from __future__ import annotations

import numpy as np

from tests.grid.cases import peak
from twin.grid import GridOperation, Network, single_outages


def test_single_outages_at_peak(city: Network) -> None:
    """Every one solves, few overload anything, none much."""
    operation, point = GridOperation(city), peak(city)
    operation.settle(0, *point.arguments)
    before = operation.state.digest()
    table = single_outages(operation, *point.arguments)
    assert operation.state.digest() == before
    kinds = table["kind"]
    high = (city.branches.kv > 200.0).sum()
    assert np.isin(kinds, ["line", "transformer"]).sum() == high
    assert np.count_nonzero(kinds == "infeed") == 6
    assert np.count_nonzero(kinds == "plant") == 10  # those at 220 kV
    assert np.count_nonzero(kinds == "pumped_storage") == 1
    assert table.flag("solved").all()
    loading = table.f8("max_loading_pct")
    assert np.count_nonzero(table.i8("overloads") > 0) <= 20
    assert loading.max() <= 115.0
    assert np.array_equal(table.i8("overloads") > 0, loading > 100.0)
    # an outage must show: losing an infeed or a transformer moves something
    normal = operation.settle(0, *point.arguments).loading_pct.max()
    assert loading.max() > normal


def test_outage_is_the_network_without_the_branch(city: Network) -> None:
    """The edited admittances give what pandapower gives with the line out of service."""
    from tests.grid.cases import city_spec
    from tests.grid.test_flow import reference
    from twin.grid.pandapower_net import solve_net

    operation, point = GridOperation(city), peak(city)
    operation.settle(0, *point.arguments)
    operation.settle_losses(*point.arguments)
    net = reference(city_spec(), operation, point)
    table = single_outages(operation, *point.arguments)
    for row in (0, 60, 100):
        name = str(table["element"][row])
        net.line["in_service"] = net.line.name != name
        assert (~net.line.in_service).sum() == 1
        solve_net(net, enforce_q_lims=True)
        worst = max(net.res_line.loading_percent.max(), net.res_trafo.loading_percent.max())
        assert abs(table.f8("max_loading_pct")[row] - worst) < 1e-3


def test_what_falls_apart_is_not_solved(tiny: Network) -> None:
    operation, point = GridOperation(tiny), peak(tiny)
    operation.settle(0, *point.arguments)
    table = single_outages(operation, *point.arguments, above_kv=50.0)
    lost = table["kind"] == "line"
    assert np.count_nonzero(~table.flag("solved") & lost) == 2  # two circuits drawn as one branch
    assert np.isnan(table.f8("max_loading_pct")[~table.flag("solved")]).all()
    only_infeed = table["kind"] == "infeed"
    assert not table.flag("solved")[only_infeed].any()
