"""A lost transformer on a day hotter than planned: an even 5 % cut against one that is moved.

The load is 5 to 20 % above the peak for which the network was built, and of every 220/110 kV
station one transformer is out in turn. A cut of 5 % of the load is spread over the busbars by
what they can give (a quarter of their demand), once evenly and once by the weights of the
platform's desk (`twin.control.supervision.network`); both are solved as an AC load flow. Beside
it, how near the desk's linear estimate is, and what desk and flow tracing cost.

    python benchmarks/network_desk.py
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS
from twin.control.supervision.network import NetworkWatch
from twin.grid import GridOperation
from twin.grid.carbon import EmissionMeter
from twin.record.exchange import Reading
from twin.record.orders import OutageNotice
from twin.scenario.build import Built, build
from twin.scenario.files import find_scenario, load_scenario

HOTTER = (1.05, 1.10, 1.15, 1.20)  # times the planned peak
SHARE, CAN_GIVE = 0.05, 0.25  # of the load; of a busbar's demand
REACTIVE = 0.3287  # power factor 0.95
Floats = NDArray[np.float64]


class Peak:
    """The city of a scenario at the quarter of an hour of its maximum, as planned."""

    def __init__(self, built: Built, hotter: float) -> None:
        assert built.view is not None
        self.built, self.view = built, built.view
        self.quarter = int(built.view.expected_demand_mw.sum(axis=0).argmax())
        self.now_ms = self.quarter * HOUR_MS // 4
        self.demand_mw = hotter * built.view.expected_demand_mw[:, self.quarter]
        minute = self.quarter * 15
        self.plant_mw = built.world.plant_mw[minute]
        self.pumped_mw = float(built.world.pumped_mw[minute])
        self.operation = GridOperation(built.network)
        first = self.operation.settle(0, *self.at(0.0 * self.demand_mw))
        assert first.converged

    def at(self, cut_mw: Floats) -> tuple[Floats, Floats, Floats, float]:
        """Return what the load flow takes with a cut."""
        demand = self.demand_mw - cut_mw
        return demand, REACTIVE * demand, self.plant_mw, self.pumped_mw

    def solve(self, lost: list[str], cut_mw: Floats) -> Floats:
        """Return every branch's loading with branches lost and a cut [%]."""
        run = self.operation.fork()
        for name in lost:
            run.switch_branch(name, in_service=False)
        run.settle_losses(*self.at(cut_mw))
        solution, _, _ = run.solve(*self.at(cut_mw))
        if not solution.converged:
            return np.full(self.built.network.n_branch, np.nan)
        return run.flow.loading_pct(solution.v)

    def desk(self, lost: list[str]) -> NetworkWatch:
        """Return the desk after it has heard and read."""
        inventory = self.built.world.inventory
        desk = NetworkWatch(inventory, self.view)
        n = len(self.demand_mw)
        value = np.vstack([0.0 * self.demand_mw, self.demand_mw, REACTIVE * self.demand_mw])
        busbar = Reading(value, np.full(n, self.now_ms, np.int64), np.zeros(n, np.uint8))
        news = [OutageNotice(self.now_ms, name) for name in lost]
        desk.take(self.now_ms, news, {"busbar": busbar})
        return desk


def stations(built: Built) -> list[list[str]]:
    """Return the transformers of each 220/110 kV station ."""
    branches, kv = built.network.branches, built.network.buses.kv
    low = np.isclose(kv[branches.to_bus], 110.0)
    rows = np.flatnonzero((branches.kind == "transformer") & np.isclose(branches.kv, 220.0) & low)
    pair = branches.from_bus[rows] * built.network.n_bus + branches.to_bus[rows]
    groups = [rows[pair == p] for p in np.unique(pair)]
    return [[str(branches.name[r]) for r in group] for group in groups]


def compared(peak: Peak) -> str:
    """Return one row of the table."""
    names = peak.built.network.branches.name
    row = np.array([int(np.flatnonzero(names == b)[0]) for b in peak.view.branch])
    can_mw = CAN_GIVE * peak.demand_mw
    order_mw = SHARE * float(peak.demand_mw.sum())
    even = order_mw * can_mw / can_mw.sum()
    worst, errors = [], []
    for group in stations(peak.built):
        lost = group[:1]
        bare = peak.solve(lost, 0.0 * even)
        if not np.isfinite(bare).all():
            continue
        desk = peak.desk(lost)
        errors.append(np.abs(100.0 * desk.loading() - bare[row])[bare[row] > 60.0])
        if bare.max() <= 100.0:
            continue
        weight = desk.relief(np.arange(len(can_mw)))
        moved = np.minimum(order_mw * can_mw * weight / (can_mw @ weight), can_mw)
        moved += (order_mw - moved.sum()) * (can_mw - moved) / (can_mw - moved).sum()
        assert abs(moved.sum() - order_mw) < 1e-6
        cases = (bare, peak.solve(lost, even), peak.solve(lost, moved))
        worst.append([float(found.max()) for found in cases])
    table, error = np.array(worst).reshape(-1, 3), np.concatenate(errors)
    left = (table > 100.0).sum(axis=0)
    mean = table.mean(axis=0) if len(table) > 0 else np.full(3, np.nan)
    means = " ".join(f"{value:9.1f}" for value in mean)
    return (
        f"{left[0]:9d} {left[1]:9d} {left[2]:9d} {means} {np.median(error):9.1f} {error.max():9.1f}"
    )


def main() -> None:
    path = find_scenario("summer-peak-2027")
    built = build(load_scenario(path), path)
    print("          stations with an overload      worst branch, mean of them [%]   desk's error")
    print("  load       none      even     moved      none      even     moved    median   largest")
    for hotter in HOTTER:
        print(f"{hotter:6.2f}  {compared(Peak(built, hotter))}")
    _costs(Peak(built, 1.0))


def _costs(peak: Peak) -> None:
    lost = stations(peak.built)[0][:1]
    desk = peak.desk(lost)
    begun = time.process_time()
    for _ in range(50):
        desk.take(peak.now_ms, [], {})
        desk.relief(np.zeros(1000, np.int64))
        desk.rows()
    print(f"desk: {20.0 * (time.process_time() - begun):.2f} ms a minute")
    meter = EmissionMeter(peak.built.network, len(peak.built.world.inventory.districts))
    shot = peak.operation.step(peak.now_ms, 60.0, *peak.at(0.0 * peak.demand_mw))
    into = np.ascontiguousarray(peak.operation.flow.branch_mva(peak.operation.v).real)
    begun = time.process_time()
    for _ in range(50):
        meter.take(peak.now_ms, into, shot.infeed_mw, shot.plant_mw, shot.pumped_mw, peak.demand_mw)
    print(f"flow tracing: {20.0 * (time.process_time() - begun):.2f} ms a load flow")


if __name__ == "__main__":
    main()
