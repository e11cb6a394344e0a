"""Our head-end and the logic under test in a process of their own.

The two processes share no memory: readings and set-points pass over Modbus only. What passes
over the pipe is what a dispatcher would say (notices), the beat, and the logic's reports, which
no device has a register for.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing as mp
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hil.headend import DeviceEntry, HeadEnd
from twin.errors import RunBroken
from twin.record.exchange import Calendar, Inventory, Logic, Reports
from twin.record.orders import News

__all__ = ["Answer", "Partner", "PartnerSpec"]

STOP_S = 10.0  # for the process to end by itself


@dataclass(frozen=True, slots=True)
class PartnerSpec:
    """What the partner is told before it begins.

    Attributes
    ----------
    logic : ``package.module:Class``; `folder` is put on the module path for it
    deadline_s : wall time that a poll, and likewise a batch of commands, may take
    """

    devices: tuple[DeviceEntry, ...]
    inventory: Inventory
    calendar: Calendar
    logic: str
    folder: str
    seed: int
    timeout_s: float
    retries: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What the logic said at one digest, and how the wire did meanwhile."""

    now_ms: int
    reports: Reports
    late_s: float
    outcomes: Mapping[str, int] = field(default_factory=dict)


class Partner:
    """The other process, seen from here."""

    def __init__(self, spec: PartnerSpec) -> None:
        context = mp.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_main, args=(theirs, spec), daemon=True)
        self._process.start()
        theirs.close()

    def wait_ready(self, timeout_s: float) -> None:
        """Wait until it is connected; RunBroken where it is not in time."""
        if not self._pipe.poll(timeout_s):
            raise RunBroken(f"the head-end was not ready after {timeout_s:.0f} s")
        self._hear("ready")

    def tick(self, now_ms: int, notices: Sequence[News]) -> None:
        """Let it read, digest and command as of `now_ms`."""
        self._pipe.send(("tick", now_ms, tuple(notices)))

    def ask_state(self) -> None:
        """Ask for the logic's state as it is before the next tick."""
        self._pipe.send(("save",))

    def answers(self) -> list[tuple[str, Any]]:
        """Return what came meanwhile: ("done", Answer) and ("state", bytes)."""
        found = []
        while self._pipe.poll(0.0):
            found.append(self._hear("done", "state"))
        return found

    def wait(self, timeout_s: float) -> list[tuple[str, Any]]:
        """Return what comes within `timeout_s`; empty where nothing does."""
        return self.answers() if self._pipe.poll(timeout_s) else []

    def figures(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """Return what the head-end counted."""
        self._pipe.send(("figures",))
        limit = time.monotonic() + timeout_s
        while self._pipe.poll(max(limit - time.monotonic(), 0.0)):
            what, content = self._hear("done", "state", "figures")
            if what == "figures":
                return dict(content)
        return {}

    def stop(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError, OSError):  # it may have ended by itself
            self._pipe.send(("stop",))
        self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(STOP_S)
        self._pipe.close()

    def _hear(self, *expected: str) -> tuple[str, Any]:
        try:
            what, content = self._pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            raise RunBroken("the head-end's process ended by itself") from error
        if what == "broken":
            raise RunBroken(f"the head-end's process broke off: {content}")
        if what not in expected:
            raise RunBroken(f"the head-end said {what}, expected {' or '.join(expected)}")
        return what, content


def _main(pipe: Connection, spec: PartnerSpec) -> None:
    """Serve the pipe until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and tells us
    try:
        if spec.folder not in sys.path:
            sys.path.insert(0, spec.folder)
        module, _, name = spec.logic.partition(":")
        logic: Logic = getattr(importlib.import_module(module), name)()
        logic.start(spec.inventory, spec.calendar)
        with HeadEnd(
            spec.devices,
            spec.inventory.kinds,
            seed=spec.seed,
            timeout_s=spec.timeout_s,
            retries=spec.retries,
        ) as headend:
            headend.connect(spec.deadline_s)
            pipe.send(("ready", None))
            _serve(pipe, spec, logic, headend)
    except (EOFError, BrokenPipeError):
        pass  # the parent is gone
    except BaseException:
        pipe.send(("broken", traceback.format_exc(limit=-3)))


def _serve(pipe: Connection, spec: PartnerSpec, logic: Logic, headend: HeadEnd) -> None:
    while True:
        message = pipe.recv()
        if message[0] == "stop":
            return
        if message[0] == "save":
            pipe.send(("state", logic.save()))
        elif message[0] == "figures":
            pipe.send(("figures", headend.figures()))
        else:
            pipe.send(("done", _digest(spec, logic, headend, message[1], message[2])))


def _digest(
    spec: PartnerSpec, logic: Logic, headend: HeadEnd, now_ms: int, notices: Sequence[News]
) -> Answer:
    begun = time.monotonic()
    readings = headend.poll(logic.plan(now_ms), now_ms, spec.deadline_s)
    actions = logic.digest(now_ms, readings, notices)
    outcomes = headend.command(actions.setpoints, spec.deadline_s)
    return Answer(now_ms, actions.reports, time.monotonic() - begun, outcomes.counts)


def own_folder() -> str:
    """Return the folder in which a user's logic lies."""
    return str(Path.cwd())
