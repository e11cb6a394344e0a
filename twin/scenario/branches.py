"""Runs the day and its forks: what was ordered, and what would have been without each order.

With orders 1..k by time of notice, R_0 is the undisturbed day and R_i the fork of R_(i-1) at
the notice of order i that obeys it; order i is judged on R_i - R_(i-1). At the notice of a
demand response order one more fork is asked for all that it can give (the capability call).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from twin.clock import HOUR_MS
from twin.engine.simulation import Simulation
from twin.errors import RunBroken
from twin.record.exchange import Logic
from twin.record.history import History
from twin.record.orders import Order, OrderKind
from twin.scenario.build import Built
from twin.scenario.timetable import notice_entry

# The capability call is held on for the sustained means of 60 and 120 minutes.
CAPABILITY_HOLD_MS = 2 * HOUR_MS
CHUNK_MS = HOUR_MS // 2  # between two looks at the progress bar


@dataclass(slots=True)
class Branches:
    """All runs of one scenario.

    Attributes
    ----------
    runs : R_0 to R_k
    capability : by order id, the capability call's run
    simulations : R_k's simulation at its end, for the network's state
    """

    runs: list[History] = field(default_factory=list)
    capability: dict[str, History] = field(default_factory=dict)
    final: Simulation | None = None
    undisturbed: Simulation | None = None


def simulated_ms(built: Built) -> int:
    """Return the simulated time that `run_branches` covers, all forks together [ms]."""
    start, end = built.world.start_ms, built.world.end_ms
    total = end - start
    for order in built.orders:
        total += end - order.notice_ms
        if order.kind is OrderKind.DEMAND_RESPONSE:
            total += capability_end(order, end) - order.notice_ms
    return total


def capability_end(order: Order, end_ms: int) -> int:
    """Return the time to which the capability call is held on [ms]."""
    return min(max(order.end_ms, order.full_by_ms + CAPABILITY_HOLD_MS), end_ms)


def capability_call(order: Order, end_ms: int) -> Order:
    """Return the call by which the judge asks for all that `order`'s window could have."""
    return replace(
        order,
        id=f"{order.id}?",
        kind=OrderKind.CAPABILITY,
        mw=None,
        end_ms=capability_end(order, end_ms),
    )


def run_branches(
    built: Built,
    new_logic: Callable[[], Logic],
    progress: Callable[[str, int, int], None],
    keep: Callable[[str, History], None],
) -> Branches:
    """Run everything.

    Parameters
    ----------
    built : calibrated and warm
    new_logic : makes a logic that is not started
    progress : called with the name of the run, its simulated time [ms] and the simulated time
        that was done since the last call [ms]
    keep : called with ``undisturbed`` and ``ordered`` and the record of each as it begins, so
        that a part of it is left when a run breaks off
    """
    done = Branches()
    end_ms = built.world.end_ms
    run = built.start(new_logic())
    done.undisturbed = run
    keep("undisturbed", _history(run))
    for order in built.orders:
        _advance(run, order.notice_ms, f"until {order.id}", progress)
        if order.kind is OrderKind.DEMAND_RESPONSE:
            call = capability_call(order, end_ms)
            called = _fork(built, run, new_logic, call)
            _advance(called, call.end_ms, f"capability for {order.id}", progress)
            done.capability[order.id] = _history(called)
        ordered = _fork(built, run, new_logic, order)
        keep("ordered", _history(ordered))
        _advance(run, end_ms, f"without {order.id}", progress)
        done.runs.append(_history(run))
        run = ordered
    _advance(run, end_ms, "ordered", progress)
    done.runs.append(_history(run))
    done.final = run
    return done


def _fork(
    built: Built, run: Simulation, new_logic: Callable[[], Logic], order: Order
) -> Simulation:
    logic = new_logic()
    logic.start(built.world.inventory, built.calendar())
    return run.fork(logic, (notice_entry(order),))


def _advance(
    run: Simulation, until_ms: int, name: str, progress: Callable[[str, int, int], None]
) -> None:
    while run.now_ms < until_ms:
        before = run.now_ms
        run.run(min(before - before % CHUNK_MS + CHUNK_MS, until_ms))
        progress(name, run.now_ms, run.now_ms - before)


def _history(run: Simulation) -> History:
    history = getattr(run.recorder, "history", None)
    if not isinstance(history, History):
        raise RunBroken("a run without a record cannot be judged")
    return history
