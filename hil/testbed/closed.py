"""`hil run`: the logic under test closes the loop over the wire, with our head-end between.

The city runs on wall time in this process; head-end and logic run in another (`Partner`). What
a run without an order would have been is worked out afterwards without the wire, from the state
at the order's notice and the logic's own state at that moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hil.headend import DeviceEntry
from hil.pacer import Pacer
from hil.testbed.bench_loop import BenchLoop
from hil.testbed.bench_records import bench_facts, keep_bench
from hil.testbed.bench_setup import Bench, standing
from hil.testbed.dispatcher import Dispatcher
from hil.testbed.partner import Answer, Partner, PartnerSpec, own_folder
from hil.testbed.places import DISPATCHER, NOWHERE, Places
from hil.testbed.records import WireRecords
from hil.testbed.session import Session
from hil.testbed.setup import Options, beats, serving
from twin.clock import MINUTE_MS, SECOND_MS
from twin.engine.recorder import true_fleet
from twin.engine.simulation import Simulation
from twin.engine.timeline import news_of
from twin.errors import RunBroken
from twin.record.exchange import Logic
from twin.record.history import History
from twin.record.monitor import TrueFleet
from twin.record.orders import Notice, NoticeKind, Order, OutageNotice
from twin.results.store import RunDirectory
from twin.run import Prepared
from twin.scenario.branches import Branches, Left, gather, leave, recorder_of, set_off
from twin.scenario.timetable import notice_entry

__all__ = ["Closed"]

READY_S = 120.0  # to import, compile and connect
CONNECT_S = 30.0
# Of a control period: what polling, and likewise commanding, may take (our choice).
SHARE = 0.4


@dataclass(slots=True)
class _Behind:
    """A run left behind at a notice, and the logic's state at that moment."""

    run: Simulation
    order: Order
    state: bytes | None = None


@dataclass(slots=True)
class Closed:
    """Carrier of a run over the wire with our own head-end.

    Parameters
    ----------
    places : where the devices stand
    options : of the command line
    bench : real devices that take the place of some of the twin's, or None
    """

    options: Options
    places: Places = NOWHERE
    bench: Bench | None = None
    records: WireRecords | None = None
    _late: list[float] = field(default_factory=list)
    _truth: dict[int, TrueFleet] = field(default_factory=dict)
    _behind: list[_Behind] = field(default_factory=list)
    _outages: list[OutageNotice] = field(default_factory=list)  # not told yet
    loop: BenchLoop | None = None

    name: str = field(init=False, default="wire")  # `bench` where real devices take part

    def __post_init__(self) -> None:
        if self.bench is not None:
            self.name = "bench"

    def stand(self, places: Places, out: Path) -> None:
        """Take where the devices stand, and the run directory."""
        self.places = places
        if self.bench is not None:
            self.bench.out = out

    def run(
        self,
        prepared: Prepared,
        progress: Callable[[str, int], None],
        keep: Callable[[str, History], None],
    ) -> Branches:
        """Run the scenario on wall time, then what would have been without each order."""
        prepared = beats(prepared)
        built = prepared.built
        run = built.start(None)
        keep("undisturbed", recorder_of(run).history)
        partner = Partner(self._spec(prepared))
        try:
            with serving(prepared, run, self.places, self.options) as served:
                world, rate = built.world, self.options.rate
                pacer = Pacer(
                    world.start_ms, rate, prepared.scenario.wire.lateness_limit_ms, world.tick_ms
                )
                dispatcher = Dispatcher(served.field.bank, world.inventory.max_load_mw, rate, None)
                session = Session(served.field, dispatcher, pacer)
                served.field.write(time.monotonic_ns())
                served.field.publish()
                partner.wait_ready(READY_S)

                def on_tick(now_ms: int) -> None:
                    served.change(now_ms)
                    if self.loop is not None:
                        self.loop.tick(now_ms, served.field)
                    self._tick(prepared, session, partner, now_ms, keep, progress)

                # The guard waits for nobody: a bench begins and ends with the ticks.
                with standing(self.bench, prepared, served.field, rate) as self.loop:
                    session.run(world.end_ms, on_tick)
                self._rest(served.field.run, partner)
                self.records = WireRecords(
                    session, pacer.lateness(), served, partner.figures(), self._late
                )
                final = served.field.run
        finally:
            partner.stop()
        return self._branches(prepared, final, progress)

    # -- while it runs ---------------------------------------------------------------------------

    def _tick(
        self,
        prepared: Prepared,
        session: Session,
        partner: Partner,
        now_ms: int,
        keep: Callable[[str, History], None],
        progress: Callable[[str, int], None],
    ) -> None:
        notices = []
        for order in prepared.built.orders:
            if order.notice_ms == now_ms:
                behind = session.field.run
                partner.ask_state()
                ordered = behind.fork(None, (notice_entry(order),))
                # What would have been without the order is the twin's own doing.
                ordered.replaced, behind.replaced = behind.replaced, {}
                session.field.attach(ordered)
                keep("ordered", recorder_of(session.field.run).history)
                self._behind.append(_Behind(behind, order))
                notices.append(Notice(now_ms, NoticeKind.ORDER, order))
                session.dispatcher.announce(notices[-1])
        run, world = session.field.run, prepared.built.world
        happened = news_of(e for e in world.timeline if e.now_ms == now_ms)
        self._outages += [n for n in happened if isinstance(n, OutageNotice)]
        if notices or now_ms % world.control_period_ms == 0:
            truth = true_fleet(run)
            self._truth[now_ms] = truth if self.loop is None else self.loop.truth(truth, run)
            partner.tick(now_ms, [*notices, *self._outages])
            self._outages.clear()
        self._take(run, partner.answers())
        if now_ms % MINUTE_MS == 0:
            progress("over the wire", now_ms)

    def _take(self, run: Simulation, answers: list[tuple[str, object]]) -> None:
        for what, content in answers:
            if isinstance(content, Answer):
                self._late.append(content.late_s)
                truth = self._truth.pop(content.now_ms)
                recorder_of(run).believe_of(truth, content.reports)
            elif what == "state" and isinstance(content, bytes):
                waiting = next(b for b in self._behind if b.state is None)
                waiting.state = content

    def _rest(self, run: Simulation, partner: Partner) -> None:
        """Wait for what the logic has still to say."""
        limit = time.monotonic() + 10.0
        while self._truth and time.monotonic() < limit:
            self._take(run, partner.wait(0.2))

    # -- afterwards ------------------------------------------------------------------------------

    def _branches(
        self, prepared: Prepared, final: Simulation, progress: Callable[[str, int], None]
    ) -> Branches:
        built, done = prepared.built, Branches()
        left: list[Left] = []
        workers = []
        progress("what would have been without orders", built.world.end_ms)
        try:
            for behind in self._behind:
                behind.run.logic = self._restored(prepared, behind)
                left.append(leave(built, behind.run, prepared.make, behind.order))
                workers.append(set_off(left[-1], built.world.end_ms))
            gather(done, left, workers)
        finally:
            for worker in workers:
                worker.stop()
        done.runs.append(recorder_of(final).history)
        if not self._behind:
            done.peak_grid = recorder_of(final).peak_grid
        return done

    @staticmethod
    def _restored(prepared: Prepared, behind: _Behind) -> Logic:
        if behind.state is None:
            raise RunBroken(f"the logic gave no state at the notice of {behind.order.id}")
        logic = prepared.make()
        logic.start(prepared.built.world.inventory, prepared.built.calendar())
        logic.load(behind.state)
        return logic

    def _spec(self, prepared: Prepared) -> PartnerSpec:
        built, wire = prepared.built, prepared.scenario.wire
        period_s = built.world.control_period_ms / SECOND_MS / self.options.rate
        return PartnerSpec(
            devices=tuple(
                DeviceEntry(d.kind, d.row, d.address, d.port, d.unit, d.map)
                for d in self.places.devices
                if d.kind != DISPATCHER
            ),
            inventory=built.world.inventory,
            calendar=built.calendar(),
            logic=prepared.scenario.logic,
            folder=own_folder(),
            seed=prepared.scenario.seed,
            timeout_s=min(wire.poll_timeout_ms / 1000.0, 0.5 * SHARE * period_s),
            retries=wire.poll_retries,
            deadline_s=SHARE * period_s,
        )

    # -- what the run directory gets -----------------------------------------------------------

    def facts(self) -> Mapping[str, object]:
        """Return lateness, head-end figures and counts for ``summary.json``."""
        found = {} if self.records is None else self.records.facts()
        return found if self.loop is None else {**found, "bench": bench_facts(self.loop)}

    def keep(self, store: RunDirectory) -> None:
        """Write what was written to registers, and what each device served."""
        if self.records is not None:
            self.records.keep(store)
        if self.loop is not None:
            keep_bench(self.loop, store)
