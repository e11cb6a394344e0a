"""A runner in the middle of a discharge, as a process that a test ends in one way or another."""

from __future__ import annotations

import sys
from multiprocessing.connection import Connection
from pathlib import Path

from hil.bench.files import load_bench
from hil.bench.guarded import guarded

POWER_KW = 100.0


def discharge(bench: Path, journal: Path, how: str, said: Connection) -> None:
    """Discharge the first device of a bench until told to end, or end as `how` says.

    Says ``armed`` and the guard's process number, ``discharging``, and how it ended.
    """
    sys.stderr = journal.with_suffix(".stderr").open("w", buffering=1)
    try:
        _discharge(bench, journal, how, said)
    except BaseException as error:
        said.send(f"{type(error).__name__}: {error}")
        raise


def _discharge(bench: Path, journal: Path, how: str, said: Connection) -> None:
    with guarded(load_bench(bench), journal) as here:
        device = next(iter(here.devices.values()))
        said.send(here.guard.pid)
        device.drive("power_kw", POWER_KW, 0.05, 10.0)
        while device.read_twin(["power_kw"])["power_kw"].value < 0.9 * POWER_KW:
            here.clock.sleep(0.05)
        stubborn = how == "stubborn"
        while True:
            try:
                said.send("discharging")
                if how == "exception":
                    raise RuntimeError("a procedure with a mistake in it")
                while True:
                    here.clock.sleep(0.05)
                    if how != "idle":
                        device.command("power_kw", POWER_KW)
            except KeyboardInterrupt:
                if not stubborn:
                    raise
                stubborn = False
