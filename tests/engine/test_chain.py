"""The spread of a cut along the supply graph, by hand and in a run.

::

    steel ──0.5, 2 h──► parts ──1.0, 1 h──► cars
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.tiny_city import history_of, idle_run, tiny_city
from twin.assets.manners import FOREVER_MS
from twin.control.logic import BaseLogic
from twin.engine.chain import Chain, Edges
from twin.record.exchange import SetPoint

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
STEEL, PARTS, CARS = 0, 1, 2
EVERY = np.full(3, 100.0)


def line(stock: tuple[float, float] = (2.0, 1.0), loop: bool = False) -> Chain:
    supplier = np.array([STEEL, PARTS, CARS][: 3 if loop else 2])
    customer = np.array([PARTS, CARS, STEEL][: 3 if loop else 2])
    n = len(supplier)
    share = np.array([0.5, 1.0, 0.3])[:n]
    full = np.array([*stock, 0.5])[:n]
    edges = Edges(supplier, customer, share, full, np.full(n, 30.0 * MINUTE_MS))
    return Chain(edges, np.array([5.0, 10.0, 20.0]), np.array([0.6, 0.6, 0.5]))


def run(chain: Chain, supply: list[float], until_h: float) -> None:
    """Let everything happen up to `until_h`, circuits switched when last something happened."""
    chain.advance(int(chain.state["since_ms"][0]), np.array(supply))
    while chain.next_ms <= until_h * HOUR_MS:
        chain.advance(chain.next_ms, np.array(supply))


def running(chain: Chain) -> list[float]:
    return [round(float(r), 6) for r in chain.state["running"]]


def test_a_cut_reaches_the_next_when_its_stock_is_dry() -> None:
    chain = line()
    run(chain, [0.0, 1.0, 1.0], 1.99)
    assert running(chain) == [0.0, 1.0, 1.0]
    assert chain.figures(EVERY)["chain_downstream_cny"] == 0.0
    run(chain, [0.0, 1.0, 1.0], 2.0)
    assert running(chain) == [0.0, 0.5, 1.0]
    # Cars use their hour of parts at half the speed: two hours more.
    run(chain, [0.0, 1.0, 1.0], 3.98)
    assert running(chain) == [0.0, 0.5, 1.0]
    run(chain, [0.0, 1.0, 1.0], 4.0)
    assert running(chain) == [0.0, 0.5, 0.5]
    found = chain.figures(EVERY)
    assert found["chain_direct_cny"] == pytest.approx(100.0 * 5.0 / 60.0)
    assert found["chain_downstream_cny"] == pytest.approx(100.0 * (0.5 * 10 + 0.5 * 20) / 60.0)
    assert found["chain_stopped"] == 2.0
    # Who stands still draws less: half of 0.6 and half of 0.5.
    assert chain.state["drawn"].tolist() == pytest.approx([1.0, 0.7, 0.75])
    assert chain.next_ms == FOREVER_MS


def test_supply_comes_back_after_the_restart() -> None:
    chain = line()
    chain.edges.restart_ms[:] = 45 * MINUTE_MS, 30 * MINUTE_MS
    run(chain, [0.0, 1.0, 1.0], 5.0)
    back_ms = 5 * HOUR_MS
    chain.advance(back_ms, np.ones(3))
    assert running(chain) == [1.0, 0.5, 0.5]
    # Cars are ready after 30 min, but parts come only after 45; then cars begin anew.
    shares = []
    while chain.next_ms != FOREVER_MS:
        chain.advance(chain.next_ms, np.ones(3))
        shares.append((int(chain.state["since_ms"][0] - back_ms) // MINUTE_MS, *running(chain)))
    assert (45, 1.0, 1.0, 0.5) in shares
    assert shares[-1] == (75, 1.0, 1.0, 1.0)
    chain.advance(50 * HOUR_MS, np.ones(3))
    assert chain.state["stock_h"].tolist() == [2.0, 1.0]  # refilled, and no more than full
    assert (chain.state["drawn"] == 1.0).all()


def test_a_site_that_is_cut_itself_uses_less() -> None:
    chain = line()
    run(chain, [0.5, 0.5, 1.0], 10.0)
    assert running(chain)[PARTS] == 0.5
    assert chain.state["stock_h"][0] == 2.0


def test_works_in_a_ring_start_again_together() -> None:
    chain = line((0.5, 0.5), loop=True)
    run(chain, [0.0, 1.0, 1.0], 20.0)
    assert running(chain) == [0.0, 0.5, 0.5]
    run(chain, [1.0, 1.0, 1.0], 30.0)
    assert running(chain) == [1.0, 1.0, 1.0]


def test_stops_are_told_once() -> None:
    chain = line()
    run(chain, [0.0, 1.0, 1.0], 2.0)
    assert chain.drain(2 * HOUR_MS)["site"].tolist() == [PARTS]
    assert chain.drain(2 * HOUR_MS) == {}
    run(chain, [0.0, 1.0, 1.0], 4.0)
    assert chain.drain(4 * HOUR_MS)["site"].tolist() == [CARS]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_stocks_and_shares_stay_within_their_bounds(seed: int) -> None:
    """Any graph with loops, any switching: no share above what is served, no stock below 0."""
    rng = np.random.Generator(np.random.Philox(seed))
    n, m = 8, 16
    supplier = rng.integers(0, n, m)
    customer = (supplier + rng.integers(1, n, m)) % n
    share = rng.uniform(0.0, 1.0, m) / np.bincount(customer, minlength=n)[customer]
    edges = Edges(supplier, customer, share, rng.uniform(0.0, 3.0, m), np.full(m, 600_000.0))
    chain = Chain(edges, np.ones(n), np.full(n, 0.5))
    now_ms, supply = 0, np.ones(n)
    for _ in range(12):
        chain.advance(now_ms, supply)
        assert (chain.state["running"] <= supply + 1e-12).all()
        assert (chain.state["running"] >= 0.0).all()
        assert (chain.state["stock_h"] >= 0.0).all()
        assert (chain.state["stock_h"] <= edges.full_h).all()
        assert min(chain.figures(np.ones(n)).values()) >= 0.0
        assert chain.next_ms > now_ms
        if rng.random() < 0.5 or chain.next_ms == FOREVER_MS:
            supply = np.where(rng.random(n) < 0.4, rng.uniform(0.0, 1.0, n), 1.0)
            now_ms += int(rng.integers(1, 180)) * MINUTE_MS
            now_ms = min(now_ms, chain.next_ms)
        else:
            now_ms = chain.next_ms


def test_a_run_without_a_cut_loses_nothing_and_a_fork_carries_on() -> None:
    tiny = tiny_city()
    run = idle_run()
    start_ms = tiny.world.start_ms
    run.run(start_ms + 2 * MINUTE_MS)
    assert run.chain is not None
    assert run.chain.edges.share.size > 0
    assert history_of(run).series("chain_direct_cny").tolist() == [0.0, 0.0]
    # Nearly dry stocks, and all first circuits open: the graph moves within the test.
    run.chain.state["stock_h"] = 0.01
    terminal = run.kinds["terminal"]
    run.write([SetPoint("terminal", "circuit_1", np.arange(terminal.n), np.zeros(terminal.n))])
    run.run(start_ms + 5 * MINUTE_MS)
    logic = BaseLogic()
    logic.start(tiny.world.inventory, tiny.calendar())
    fork = run.fork(logic)
    assert fork.digest() == run.digest()
    for each in (fork, run):
        each.run(start_ms + 12 * MINUTE_MS)
    assert fork.digest() == run.digest()
    direct = history_of(run).series("chain_direct_cny")
    assert (direct[2:] > 0.0).all()
    before = run.digest()
    run.chain.state["stock_h"] += 1.0
    assert run.digest() != before
