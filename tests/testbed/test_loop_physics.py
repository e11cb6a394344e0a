"""The loop where physics shows it: an order over Modbus moves voltages as the load flow says.

    dispatcher ── write set_power_kw ──► storage ──► site ──► feeder ══ station ══ neighbour
                                                      │          │         │           │
                 meters read back over Modbus ◄───────┴── end ◄──┘         └─ step 1 V ┘

Within one minute the load beside storage stands still, so that what the meters show is the
order's doing. Tap changers wait a minute at least: they are held while it is measured.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from tests.testbed.world import Bench, bench, ready
from twin.grid import Network

GRID = "wire.grid_period_s=1"
V = 1_000.0  # of a kV; likewise kW of a MW
AGREE = 0.10
NOTHING_ELSE = ", ".join(
    f"{k} = 0.0"
    for k in (
        "aircon", "icestore", "charging", "swap", "solar", "industry", "hydrogen", "shorepower"
    )
)  # fmt: skip
# All of the city with storage and terminals only.
STORAGE_CITY = (
    GRID, 'start="10:00"', 'end="10:05"',
    f"city.connected_mw={{ storage = 1150.0, {NOTHING_ELSE} }}",
    "city.counts={ storage = 150, terminal = 600, "
    + NOTHING_ELSE.replace("0.0", "0") + " }",
)  # fmt: skip


def distance(network: Network, busbar: int) -> NDArray[np.float64]:
    """Return float64[busbars], the sum of impedances on the way from one to each."""
    branches = network.branches
    coupled = np.abs(branches.yft)
    kept = coupled > 0.0
    ends = (branches.from_bus[kept], branches.to_bus[kept])
    graph = coo_array((1.0 / coupled[kept], ends), (network.n_bus, network.n_bus)).tocsr()
    bus = network.busbars.bus
    found: NDArray[np.float64] = dijkstra(graph, directed=False, indices=int(bus[busbar]))[bus]
    return found


def storage_at(here: Bench) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the site and the place in the network of each storage station."""
    site = here.prepared.built.world.inventory.kinds["storage"].columns.i8("site")
    return site, here.prepared.built.sites.i8("busbar")[site]


def metered_v(here: Bench, busbars: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what station meters show over Modbus, in register steps of 1 V."""
    shown = [here.read(here.place("busbar", int(k)), "voltage_kv") for k in busbars]
    return np.rint(np.array(shown) * V).astype(np.int64)


def flow_of(here: Bench) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the load flow of this moment, taps and capacitors held: less demand to voltages."""
    network, given = here.prepared.built.network, here.run.injections
    assert here.run.grid is not None
    grid = here.run.grid.fork()

    def solved_v(less_mw: NDArray[np.float64]) -> NDArray[np.float64]:
        solution, _, _ = grid.solve(
            given["demand_mw"] - less_mw, given["demand_mvar"], given["plant_mw"],
            float(given["pumped_mw"]),
        )  # fmt: skip
        assert solution.converged
        bus = network.busbars.bus
        return np.abs(solution.v[bus]) * network.buses.kv[bus] * V

    return solved_v


def moves(here: Bench) -> int:
    assert here.run.grid is not None
    return int(here.run.grid.tap_moves.sum() + here.run.grid.capacitor_moves.sum())


def swing(
    here: Bench, stations: NDArray[np.int64], meters: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """Order stations from full charge to full discharge over Modbus.

    Returns what the meters moved [steps of 1 V], what the load flow says that they should for
    the power that changed at the sites' meters [V], and that power [MW].
    """
    rated = here.prepared.built.world.inventory.kinds["storage"].columns.f8("rated_kw")
    own = np.unique(storage_at(here)[0][stations])

    def order(share: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        for i in stations:
            place = here.place("storage", int(i))
            assert here.write(place, "set_power_kw", share * float(rated[i])) == 0
        here.advance(20)
        return metered_v(here, meters), here.run.sites.state["demand_kw"][own].copy()

    shown, drawn_kw = order(-1.0)
    solved_v, held = flow_of(here), moves(here)
    then_shown, then_drawn_kw = order(1.0)
    assert moves(here) == held
    less_mw = np.zeros(here.prepared.built.network.n_busbar)
    np.add.at(less_mw, here.prepared.built.sites.i8("busbar")[own], (drawn_kw - then_drawn_kw) / V)
    expected_v = (solved_v(less_mw) - solved_v(np.zeros_like(less_mw)))[meters]
    return then_shown - shown, expected_v, float(less_mw.sum())


def test_a_battery_of_500_kw_moves_the_meter_at_its_feeders_end() -> None:
    maps = "wire.maps.storage={ storage-own = 1.0 }"
    with bench(ready("tiny", GRID, maps)) as here:
        network = here.prepared.built.network
        rated = here.prepared.built.world.inventory.kinds["storage"].columns.f8("rated_kw")
        station = int(rated.argmax())
        assert rated[station] >= 500.0
        _, busbar = storage_at(here)
        at, busbars = int(busbar[station]), network.busbars
        assert busbars.feeder[at] >= 0
        nodes = np.flatnonzero(
            (busbars.feeder == busbars.feeder[at])
            & (busbars.parent == busbars.parent[at])
            & (busbars.kind == "feeder")
        )
        far = distance(network, int(busbars.parent[at]))[nodes]
        end = nodes[[int(far.argmax())]]
        here.advance(5)
        steps, expected_v, changed_mw = swing(here, np.array([station]), end)
    assert changed_mw > 0.5
    assert steps[0] >= 1
    assert steps[0] == pytest.approx(expected_v[0], rel=AGREE)


def test_all_storage_of_a_station_moves_its_meter_and_a_neighbours() -> None:
    with bench(ready("quiet-day", *STORAGE_CITY), reliable=True) as here:
        network = here.prepared.built.network
        columns = here.prepared.built.world.inventory.kinds["storage"].columns
        _, busbar = storage_at(here)
        mw = np.bincount(busbar, columns.f8("rated_kw") / 1_000.0, network.n_busbar)
        own = int(mw.argmax())
        assert mw[own] >= 20.0
        far = distance(network, own)
        far[own] = np.inf
        neighbour = int(far.argmin())
        here.advance(5)
        stations = np.flatnonzero(busbar == own)
        steps, expected_v, changed_mw = swing(here, stations, np.array([own, neighbour]))
    assert changed_mw >= 20.0
    assert steps[0] >= 10
    assert steps[1] >= 2
    np.testing.assert_allclose(steps, expected_v, rtol=AGREE)


def test_a_load_flow_each_second_sees_the_same_load() -> None:
    """Within a minute nothing is switched: neither the load nor a station's voltage jumps."""
    with bench(ready("tiny", GRID)) as here:
        station = np.array([int(here.prepared.built.network.busbars.parent[0])])
        load_mw, volts = [], []

        def look(now_ms: int) -> None:
            if now_ms > here.prepared.built.world.start_ms:  # no load flow has been shown before
                load_mw.append(here.read(here.place("city"), "load_mw"))
                volts.append(metered_v(here, station)[0])

        here.advance(25, look)
    assert len(load_mw) == 24
    assert max(load_mw) < 1.01 * min(load_mw)
    assert max(volts) - min(volts) < 20
