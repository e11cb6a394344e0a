"""Runs the day and its forks: what was ordered, and what would have been without each order.

With orders 1..k by time of notice, R_0 is the undisturbed day and R_i the fork of R_(i-1) at
the notice of order i that obeys it; order i is judged on R_i - R_(i-1). At the notice of a
demand response order one more fork is asked for all that it can give (the capability call), and
several what each device can hold for half an hour, one and two, up and down (the sustained calls;
without load flow).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from twin.clock import HOUR_MS, MINUTE_MS
from twin.engine.recorder import Recorder
from twin.engine.simulation import Simulation
from twin.errors import RunBroken
from twin.record.exchange import Logic
from twin.record.history import History
from twin.record.orders import Order, OrderForm, OrderKind
from twin.record.quarters import QUARTER_MS
from twin.record.table import Table
from twin.scenario.build import Built
from twin.scenario.timetable import notice_entry
from twin.scenario.workers import Worker, can_fork, private_mib

# The capability call is held on for the sustained means of 60 and 120 minutes.
CAPABILITY_HOLD_MS = 2 * HOUR_MS
SUSTAINED_MIN = (30, 60, 120)  # for which devices are asked to hold [min]
CHUNK_MS = HOUR_MS // 4  # between two looks at the progress bar


@dataclass(slots=True)
class Branches:
    """All runs of one scenario.

    Attributes
    ----------
    runs : R_0 to R_k
    capability : by order id, the capability call's run
    sustained : by order id, the sustained calls and their runs
    peak_grid : the network's state in the minute of the undisturbed maximum
    workers_mib : private memory of the child processes, all together
    outside : the platform was outside and could not be forked
    """

    runs: list[History] = field(default_factory=list)
    capability: dict[str, History] = field(default_factory=dict)
    sustained: dict[str, list[tuple[Order, History]]] = field(default_factory=dict)
    peak_grid: Table | None = None
    workers_mib: float = 0.0
    outside: bool = False


def simulated_ms(built: Built) -> int:
    """Return the simulated time that all runs cover together [ms]."""
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


def sustained_calls(order: Order, end_ms: int) -> tuple[Order, ...]:
    """Return the calls by which the judge asks what each device can hold, up and down.

    They are given at the notice of `order`; from the next clock quarter on devices get ready, a
    quarter of an hour later what is to be held begins. Those for which the run, to `end_ms`, is
    too short are left out.
    """
    start_ms = -(-order.notice_ms // QUARTER_MS) * QUARTER_MS
    ends = [(m, start_ms + QUARTER_MS + m * MINUTE_MS) for m in SUSTAINED_MIN]
    forms = (("up", OrderForm.REDUCTION), ("down", OrderForm.INCREASE))
    return tuple(
        replace(
            order,
            id=f"{order.id}?{way}-{minutes}",
            kind=OrderKind.SUSTAINED,
            form=form,
            mw=None,
            start_ms=start_ms,
            full_by_ms=start_ms + QUARTER_MS,
            end_ms=until_ms,
        )
        for way, form in forms
        for minutes, until_ms in ends
        if until_ms <= end_ms
    )


def run_branches(
    built: Built,
    new_logic: Callable[[], Logic],
    progress: Callable[[str, int], None],
    keep: Callable[[str, History], None],
) -> Branches:
    """Run everything; what is left behind at an order's notice runs on in a child process.

    Parameters
    ----------
    built : calibrated and warm
    new_logic : makes a logic that is not started
    progress : called with the name of the run and its simulated time [ms]
    keep : called with ``undisturbed`` and ``ordered`` and the record of each as it begins, so
        that a part of it is left when a run breaks off
    """
    done = Branches()
    end_ms = built.world.end_ms
    run = built.start(new_logic())
    keep("undisturbed", recorder_of(run).history)
    left: list[Left] = []
    workers: list[Worker[_Rest]] = []
    try:
        for order in built.orders:
            _advance(run, order.notice_ms, f"until {order.id}", progress)
            ordered = _fork(built, run, new_logic, order)
            left.append(leave(built, run, new_logic, order))
            workers.append(set_off(left[-1], end_ms))
            run = ordered
            keep("ordered", recorder_of(run).history)
        _advance(run, end_ms, "ordered", progress)
        progress("waiting for the runs without orders", end_ms)
        gather(done, left, workers)
    finally:
        for worker in workers:
            worker.stop()
    done.runs.append(recorder_of(run).history)
    if not built.orders:
        done.peak_grid = recorder_of(run).peak_grid
    return done


@dataclass(frozen=True, slots=True)
class Left:
    """A run left behind at an order's notice, with the judge's calls.

    `called` is the capability call and its end [ms], `asked` the sustained calls.
    """

    run: Simulation
    called: tuple[Simulation, int] | None
    order: str
    asked: tuple[tuple[Order, Simulation], ...] = ()


@dataclass(frozen=True, slots=True)
class _Rest:
    """What a child sends back beside the shared tables."""

    run: dict[str, object]
    called: dict[str, object] | None
    asked: tuple[dict[str, object], ...]
    peak_grid: Table | None
    private_mib: float


def leave(
    built: Built, run: Simulation, new_logic: Callable[[], Logic] | None, order: Order
) -> Left:
    """Return what goes on without `order`: `run` itself, and the capability call.

    `new_logic` is None where the platform is outside and cannot be asked.
    """
    called = None
    asked: list[tuple[Order, Simulation]] = []
    if order.kind is OrderKind.DEMAND_RESPONSE and new_logic is not None:
        call = capability_call(order, built.world.end_ms)
        called = (_fork(built, run, new_logic, call), call.end_ms)
        # Who does not know the question cannot be judged on it.
        if getattr(called[0].logic, "answers_sustained", False):
            for question in sustained_calls(order, built.world.end_ms):
                asked.append((question, _fork(built, run, new_logic, question)))
    recorder_of(run).stop_supervision()
    return Left(run, called, order.id, tuple(asked))


def set_off(left: Left, end_ms: int) -> Worker[_Rest]:
    """Carry what was left behind to its end, in a child process."""
    return Worker(partial(_finish, left, end_ms))


def gather(done: Branches, left: Sequence[Left], workers: Sequence[Worker[_Rest]]) -> None:
    """Wait for `workers` and file the runs without orders in `done`."""
    for behind, worker in zip(left, workers, strict=True):
        rest = worker.result()
        done.runs.append(recorder_of(behind.run).history)
        done.runs[-1].adopt(rest.run)
        if behind.called is not None and rest.called is not None:
            done.capability[behind.order] = recorder_of(behind.called[0]).history
            done.capability[behind.order].adopt(rest.called)
        for (question, asked), own in zip(behind.asked, rest.asked, strict=True):
            history = recorder_of(asked).history
            history.adopt(own)
            done.sustained.setdefault(behind.order, []).append((question, history))
        done.peak_grid = rest.peak_grid if done.peak_grid is None else done.peak_grid
        done.workers_mib += rest.private_mib


def _finish(left: Left, end_ms: int) -> _Rest:
    """Carry the calls and the run without the order to their ends."""
    called = None
    asked: list[dict[str, object]] = []
    for question, simulation in left.asked:
        # Devices are asked, not the network: no load flow is made.
        simulation.grid = simulation.snapshot = None
        recorder_of(simulation).stop_supervision()
        simulation.run(question.end_ms)
        asked.append(recorder_of(simulation).history.rest())
    if left.called is not None:
        simulation, until_ms = left.called
        recorder_of(simulation).stop_supervision()
        simulation.run(until_ms)
        called = recorder_of(simulation).history.rest()
    left.run.run(end_ms)
    recorder = recorder_of(left.run)
    memory = private_mib() if can_fork() else 0.0
    return _Rest(recorder.history.rest(), called, tuple(asked), recorder.peak_grid, memory)


def _fork(
    built: Built, run: Simulation, new_logic: Callable[[], Logic], order: Order
) -> Simulation:
    logic = new_logic()
    logic.start(built.world.inventory, built.calendar())
    return run.fork(logic, (notice_entry(order),))


def _advance(
    run: Simulation, until_ms: int, name: str, progress: Callable[[str, int], None]
) -> None:
    while run.now_ms < until_ms:
        run.run(min(run.now_ms - run.now_ms % CHUNK_MS + CHUNK_MS, until_ms))
        progress(name, run.now_ms)


def recorder_of(run: Simulation) -> Recorder:
    """Return a run's recorder; RunBroken where it has none."""
    if not isinstance(run.recorder, Recorder):
        raise RunBroken("a run without a record cannot be judged")
    return run.recorder
