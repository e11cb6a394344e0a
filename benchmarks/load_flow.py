"""Load flow of the city: the hot path against pandapower, all in one run.

Every variant solves the same drawn minutes around the peak. What is printed is CPU milliseconds a
solve and how many times faster the hot path is; the voltages of all variants must agree.

Run: ``python benchmarks/load_flow.py [--minutes N]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from twin.chance import generator
from twin.city.build import build_city
from twin.city.spec import CitySpec
from twin.grid import GridOperation, build_network
from twin.grid.build import draw
from twin.grid.equipment import load_equipment
from twin.grid.flow import AT_MAX, REGULATING

NOISE = 0.004  # of each busbar's demand, minute by minute


def milliseconds(solve: Callable[[int], None], count: int) -> float:
    """Return the mean CPU time of `count` solves after one that warms up."""
    solve(0)
    start = time.process_time()
    for k in range(1, count + 1):
        solve(k)
    return 1e3 * (time.process_time() - start) / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=int, default=300)
    minutes = parser.parse_args().minutes
    import pandapower as pp

    from twin.grid.pandapower_net import Case, pandapower_net, write_case

    spec = build_city(CitySpec(year=2027)).network
    network = build_network(spec)
    operation = GridOperation(network)
    demand = (network.design_mw, network.design_mvar)
    plants = np.array([plant.peak_mw for plant in spec.plants], dtype=np.float64)
    point = (*demand, plants, 0.0)
    operation.settle(0, *point)
    operation.settle_losses(*point)
    chance = generator(1, "benchmarks.load_flow")
    noise = 1.0 + NOISE * chance.standard_normal((64, network.n_busbar))
    demand_mw, demand_mvar = demand[0] * noise, demand[1] * noise
    source_mw, _ = operation.injections(*point)
    solution, _, _ = operation.solve(*point)

    # pandapower has the limited plants at their limits from the start, so that both solve once
    draft = draw(spec)
    net = pandapower_net(draft, load_equipment())
    sources = network.sources
    write_case(
        net,
        Case(
            demand_mw=demand[0],
            demand_mvar=demand[1],
            source_mw=source_mw,
            slack=int(np.flatnonzero(sources.slack)[0]),
            q_min_mvar=np.full(len(source_mw), -1e9),
            q_max_mvar=np.full(len(source_mw), 1e9),
            transformer_tap=np.array(
                [
                    operation.tap_position[t.group] if t.group >= 0 else t.type.tap_fixed
                    for t in draft.transformers
                ]
            ),
            capacitor_step=operation.capacitor_step,
        ),
    )
    limited = dict(zip(operation.flow.regulated.tolist(), solution.mode.tolist(), strict=True))
    supplied = solution.power.imag * network.base_mva
    for k in net.gen.index:
        bus = int(net.gen.bus[k])
        if limited[bus] != 0:
            net.gen.loc[k, "in_service"] = False
            pp.create_sgen(net, bus, p_mw=net.gen.p_mw[k], q_mvar=0.0)
    for bus in {int(b) for b in net.sgen.bus}:
        rows = net.sgen.index[net.sgen.bus == bus]
        at_bus = network.busbars.bus == bus
        q = supplied[bus] + float(demand[1][at_bus].sum())
        net.sgen.loc[rows, "q_mvar"] = q / len(rows)

    def reference(**options: object) -> Callable[[int], None]:
        def solve(k: int) -> None:
            net.load["p_mw"], net.load["q_mvar"] = demand_mw[k % 64], demand_mvar[k % 64]
            pp.runpp(net, tolerance_mva=1e-8, **options)

        return solve

    def newton(k: int) -> None:
        state["v"] = operation.flow.solve(power[k % 64], state["v"], mode, *limits).v

    def step(k: int) -> None:
        row = k % 64
        operation.step(60_000 * k, 60.0, demand_mw[row], demand_mvar[row], *point[2:])

    # as in pandapower's net: what is at a limit stays there, the rest has none, so both solve once
    q_min, q_max = operation.reactive_limits(source_mw)
    mode = solution.mode
    at_limit = np.where(mode == AT_MAX, q_max, q_min)
    free = mode == REGULATING
    limits = np.where(free, -np.inf, at_limit), np.where(free, np.inf, at_limit)
    # the sources' schedule stands still, as it does in pandapower's net
    _, scheduled = operation.injections(*point)
    power = []
    for more_mw, more_mvar in zip(demand_mw, demand_mvar, strict=True):
        here = scheduled.copy()
        more = more_mw - demand[0] + 1j * (more_mvar - demand[1])
        here[network.busbars.bus] -= more / network.base_mva
        power.append(here)
    state = {"v": solution.v}
    few = max(10, minutes // 10)
    times = {
        "runpp, cold": milliseconds(reference(), few),
        "runpp, init=results": milliseconds(reference(init="results"), few),
        "runpp, recycle": milliseconds(
            reference(init="results", recycle={"bus_pq": True, "trafo": False, "gen": False}),
            few,
        ),
    }
    last = few % 64
    vm = net.res_bus.vm_pu.to_numpy()
    times["LoadFlow.solve"] = milliseconds(newton, minutes)
    newton(last)
    gap = float(np.abs(np.abs(state["v"]) - vm).max())
    times["GridOperation.step"] = milliseconds(step, minutes)
    own = times["LoadFlow.solve"]
    print(f"{network.n_bus} buses, {network.n_branch} branches, {minutes} minutes")
    for name, ms in times.items():
        print(f"{name:22s} {ms:8.3f} ms   {ms / own:6.1f} x LoadFlow.solve")
    print(f"largest voltage difference to runpp: {gap:.1e} pu")
    if gap > 1e-8:
        raise SystemExit("the hot path and runpp disagree")


if __name__ == "__main__":
    main()
