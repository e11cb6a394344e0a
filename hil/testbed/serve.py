"""`hil serve` without a judge: the devices stand on the network until told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from hil.pacer import Lateness, Pacer
from hil.testbed.dispatcher import Dispatcher
from hil.testbed.places import Places, write_served
from hil.testbed.session import Session
from hil.testbed.setup import Options, Serving, serving
from twin.record.orders import Notice, NoticeKind
from twin.run import Prepared
from twin.scenario.timetable import notice_entry

__all__ = ["serve"]

IDLE_S = 0.2  # between two looks at the clock once the scenario is over


def serve(
    prepared: Prepared,
    places: Places,
    options: Options,
    duration_s: float | None,
    out: Path | None,
    opened: Callable[[Serving], None],
) -> tuple[Lateness, dict[str, int]]:
    """Serve a scenario on wall time; return how late ticks were, and what was served.

    When the scenario ends before the duration, devices keep showing its last moment.

    Parameters
    ----------
    prepared : calibrated and warm
    duration_s : of wall time; None: until interrupted
    out : folder of ``orders.jsonl`` and, at the end, ``served.csv`` (reads and writes by device);
        None writes neither
    opened : called once when everything listens
    """
    built = prepared.built
    run = built.start(None)
    run.recorder = None  # nobody judges
    world = built.world
    with serving(prepared, run, places, options) as served:
        limit_ms = prepared.scenario.wire.lateness_limit_ms
        pacer = Pacer(world.start_ms, options.rate, limit_ms, world.tick_ms)
        log = None if out is None else out / "orders.jsonl"
        dispatcher = Dispatcher(served.field.bank, world.inventory.max_load_mw, options.rate, log)
        session = Session(served.field, dispatcher, pacer)
        served.field.write(time.monotonic_ns())
        served.field.publish()
        begun = time.monotonic()

        def going() -> bool:
            return duration_s is None or time.monotonic() - begun < duration_s

        def on_tick(now_ms: int) -> None:
            served.change(now_ms)
            for order in built.orders:
                if order.notice_ms == now_ms:
                    served.field.attach(served.field.run.fork(None, (notice_entry(order),)))
                    dispatcher.announce(Notice(now_ms, NoticeKind.ORDER, order))

        try:
            opened(served)
            session.run(world.end_ms, on_tick, going)
            while going():
                time.sleep(IDLE_S)
        except KeyboardInterrupt:
            pass  # the way in which serving ends
        counts = served.field.counts()
        if out is not None:
            write_served(places, counts, out / "served.csv")
        return pacer.lateness(), {name: int(values.sum()) for name, values in counts.items()}
