"""`hil serve --judge`: whoever writes the registers is judged.

A platform outside cannot be forked. What would have been without an order is therefore either
the run that goes on with what was in force at the notice until the devices' own time-outs end
it (`hold`), or a second pass of the same day in which the order is not announced (`rerun`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from hil.pacer import Pacer
from hil.testbed.dispatcher import Dispatcher, fleet_inventory
from hil.testbed.places import NOWHERE, Places
from hil.testbed.records import WireRecords
from hil.testbed.session import Session
from hil.testbed.setup import Options, Serving, beats, serving
from twin.clock import MINUTE_MS
from twin.engine.recorder import true_fleet
from twin.engine.simulation import Simulation
from twin.record.exchange import Reports
from twin.record.history import History
from twin.record.monitor import SOC_KINDS, MonitorTally, TrueFleet
from twin.record.orders import Notice, NoticeKind, Order
from twin.results.store import RunDirectory
from twin.run import Prepared
from twin.scenario.branches import Branches, Left, gather, leave, recorder_of, set_off
from twin.scenario.timetable import notice_entry

__all__ = ["Counterfactual", "Outside"]

Counterfactual = Literal["hold", "rerun"]


@dataclass(slots=True)
class Outside:
    """Carrier of a run whose platform is somebody else's.

    Parameters
    ----------
    places, options : where the devices stand; of the command line
    counterfactual : see above
    log : directory of ``orders.jsonl``
    opened : called once when everything listens
    """

    options: Options
    counterfactual: Counterfactual
    opened: Callable[[Serving], None]
    places: Places = NOWHERE
    log: Path = Path("out")
    name: str = "wire"
    records: WireRecords | None = None
    _left: list[Left] = field(default_factory=list)

    def stand(self, places: Places, out: Path) -> None:
        """Take where the devices stand, and the run directory."""
        self.places = places
        self.log = out

    def run(
        self,
        prepared: Prepared,
        progress: Callable[[str, int], None],
        keep: Callable[[str, History], None],
    ) -> Branches:
        """Serve the scenario on wall time, once or as often as it has orders and once more."""
        prepared = beats(prepared)
        orders = prepared.built.orders
        run = prepared.built.start(None)
        keep("undisturbed", recorder_of(run).history)
        passes = [orders]
        if self.counterfactual == "rerun":
            passes = [orders[:count] for count in range(len(orders) + 1)]
        done = Branches(outside=True)
        with serving(prepared, run, self.places, self.options) as served:
            self.opened(served)
            final = run
            for number, announced in enumerate(passes):
                if number > 0:
                    served.field.attach(prepared.built.start(None))
                    served.restart(prepared.built.world.start_ms)
                last = number == len(passes) - 1
                self._pass(prepared, served, announced, keep if last else _nowhere, progress)
                final = served.field.run
                if not last:
                    recorder_of(final).stop_supervision()
                    done.runs.append(recorder_of(final).history)
                    if number == 0:
                        done.peak_grid = recorder_of(final).peak_grid
        self._rest(prepared, done)
        done.runs.append(recorder_of(final).history)
        if not orders:
            done.peak_grid = recorder_of(final).peak_grid
        return done

    def _pass(
        self,
        prepared: Prepared,
        served: Serving,
        announced: Sequence[Order],
        keep: Callable[[str, History], None],
        progress: Callable[[str, int], None],
    ) -> None:
        built, rate = prepared.built, self.options.rate
        world, bank = built.world, served.field.bank
        inventory = fleet_inventory(
            world.inventory, {k: p.rows for k, p in served.field.served.items()}
        )
        recorder_of(served.field.run).history.monitor = MonitorTally(inventory)
        pacer = Pacer(world.start_ms, rate, prepared.scenario.wire.lateness_limit_ms, world.tick_ms)
        log = self.log / "orders.jsonl"
        log.unlink(missing_ok=True)
        served.field.reset()
        dispatcher = Dispatcher(bank, world.inventory.max_load_mw, rate, log)
        session = Session(served.field, dispatcher, pacer)

        def on_tick(now_ms: int) -> None:
            served.change(now_ms)
            for order in announced:
                if order.notice_ms == now_ms:
                    self._announce(prepared, session, order, keep)
            # At the first moment nobody can have reported: nothing was there to be read.
            if now_ms % MINUTE_MS == 0 and now_ms > world.start_ms:
                self._hear(session, tuple(inventory.kinds))
                progress("serving", now_ms)

        session.run(world.end_ms, on_tick)
        self._hear(session, tuple(inventory.kinds))
        self.records = WireRecords(
            session, pacer.lateness(), served, {}, (), dispatcher.acknowledged()
        )

    def _announce(
        self,
        prepared: Prepared,
        session: Session,
        order: Order,
        keep: Callable[[str, History], None],
    ) -> None:
        behind = session.field.run
        ordered = behind.fork(None, (notice_entry(order),))
        if self.counterfactual == "hold":
            self._left.append(leave(prepared.built, behind, None, order))
        session.field.attach(ordered)
        keep("ordered", recorder_of(ordered).history)
        session.dispatcher.announce(Notice(order.notice_ms, NoticeKind.ORDER, order))

    @staticmethod
    def _hear(session: Session, kinds: Sequence[str]) -> None:
        """Compare what the platform reports with the truth, once a minute."""
        field = session.field
        reports = Reports(
            fleet=session.dispatcher.reports(kinds), figures=session.dispatcher.figures()
        )
        truth = _fleet_truth(field.run, {k: p.rows for k, p in field.served.items()})
        recorder_of(field.run).believe_of(truth, reports)

    def _rest(self, prepared: Prepared, done: Branches) -> None:
        """Carry what was left behind to its end, without the wire."""
        workers = []
        try:
            for left in self._left:
                workers.append(set_off(left, prepared.built.world.end_ms))
            gather(done, self._left, workers)
        finally:
            for worker in workers:
                worker.stop()

    def facts(self) -> Mapping[str, object]:
        """Return lateness, counts and acknowledgements for ``summary.json``."""
        return {} if self.records is None else self.records.facts()

    def keep(self, store: RunDirectory) -> None:
        """Write what was written to registers, and what each device served."""
        if self.records is not None:
            self.records.keep(store)


def _nowhere(name: str, history: History) -> None:
    """Keep nothing: a pass that only says what would have been."""


def _fleet_truth(run: Simulation, rows: Mapping[str, np.ndarray]) -> TrueFleet:
    """Return the truth in the form in which a platform reports it: one figure a kind."""
    truth = true_fleet(run)
    power, soc, energy = {}, {}, {}
    for name, own in rows.items():
        if name in truth.power_kw:
            power[name] = np.array([truth.power_kw[name][own].sum()])
        if name in SOC_KINDS and name in truth.soc:
            weight = run.kinds[name].registered.f8("capacity_kwh")[own]
            soc[name] = np.array([np.average(truth.soc[name][own], weights=weight)])
            energy[name] = np.array([truth.energy_today_kwh[name][own].sum()])
    return TrueFleet(truth.now_ms, power, soc, energy)
