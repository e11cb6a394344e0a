"""The runner's side of the guard.

::

    with Guard(plan, journal) as guard:      # a process of its own is armed, or nothing begins
        devices = ...                        # with permit=guard.permit(name), over guard.line(spec)
        guard.keep(devices)                  # who are told their safe state at the end, in order
        ...                                  # guard.beat() wherever the run makes progress
                                             # told, read back, proven, journalled

While inside, the first Ctrl-C or termination ends the run as an exception does: the runner tells
every device its safe state and the guard proves it by reading back. The second one leaves that
to the guard. A run that does not beat, for whatever reason, loses its devices to the guard. A
bench needs a hardware emergency stop all the same.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from hil.bench.clock import WallClock
from hil.bench.connecting import LineSpec
from hil.bench.device import BenchDevice
from hil.bench.errors import BenchError, Forbidden
from hil.bench.frames import FrameLog
from hil.bench.gate import Permit
from hil.bench.guard_errors import GuardLost, GuardTripped
from hil.bench.guard_held import HeldLine
from hil.bench.guard_link import socket_pair
from hil.bench.guard_plan import LOG, GuardPlan
from hil.bench.guard_talk import Talk
from hil.bench.journal import Journal
from hil.bench.lease import KeepingClock, Timers
from hil.bench.line import Line, Speaking
from hil.bench.proof import Proof, prove
from twin.errors import InputProblems, Problem, RunBroken

__all__ = ["Guard"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# What a proof may take beyond `settle_s` before the runner leaves it to the guard [s].
MARGIN_S = 2.0
FIRST = "Ending: every device is told its safe state. Once more leaves that to the guard."
FIRST_ZH = "正在结束：令各设备进入安全状态；再按一次则交由守护进程处理"
LEFT = "Left to the guard, process"
LEFT_ZH = "已交由守护进程"
REACHED = "what the guard can reach and read; nothing was written"


class Guard:
    """A guard process, armed while inside.

    Raises InputProblems where it cannot be armed; nothing has been written then. At the end,
    RunBroken where a device is not proven to be at its safe state, whatever else went wrong.

    Parameters
    ----------
    plan : what it guards
    journal : the runner's; of the same file as the plan's

    Attributes
    ----------
    proofs : by device, what was read back at the end
    pid : of the guard
    """

    def __init__(self, plan: GuardPlan, journal: Journal) -> None:
        self.plan, self.journal = plan, journal
        self.proofs: dict[str, Proof] = {}
        self.pid = 0
        self._devices: Mapping[str, BenchDevice] = {}
        self._timers: Sequence[Timers] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._talk: Talk | None = None
        self._ending = False
        self._signals = 0
        self._before: dict[int, Any] = {}

    # -- begin ---------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        link, other = socket_pair()
        with other, self.errors_path.open("ab") as errors:
            # What the runner has imported is what the guard imports, whatever lies about here.
            path = os.pathsep.join(p for p in sys.path if p)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "hil.bench.guard_process", str(other.fileno())],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors,
                pass_fds=[other.fileno()], start_new_session=True,
                env={**os.environ, "PYTHONPATH": path},
            )  # fmt: skip
        self.pid = self._process.pid
        self._talk = Talk(link, self.plan.times, self._lost)
        try:
            self._hand_over(self._process)
            self._await_armed(self._talk)
        except BaseException:
            self._close()
            raise
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN:
                    signal.signal(number, self._signalled)
                    self._before[number] = before or signal.SIG_DFL
        return self

    @property
    def errors_path(self) -> Path:
        """Where the guard writes what its journal cannot hold; it removes an empty one itself."""
        return self.plan.journal.with_suffix(LOG)

    def _hand_over(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None:
            raise RuntimeError("no pipe to the guard")
        try:
            with process.stdin as pipe:
                pickle.dump(self.plan, pipe)
        except BrokenPipeError:
            return  # it has ended; why is told below

    def _await_armed(self, talk: Talk) -> None:
        try:
            answer = talk.first(self.plan.times.arm_s)
        except GuardLost:
            why = f"has ended before it was armed; {self.errors_path} may say why"
            raise InputProblems([Problem("guard", "guard", why, REACHED)]) from None
        if answer is None:
            raise InputProblems([Problem("guard", "guard", "not armed in time", REACHED)])
        if answer["kind"] == "refused":
            raise InputProblems([Problem("guard", n, why, REACHED) for n, why in answer["found"]])
        self.journal.record("note", "", text="under guard", pid=self.pid)

    def keep(self, devices: Mapping[str, BenchDevice], timers: Sequence[Timers] = ()) -> None:
        """Take the devices that the runner itself tells their safe state at the end, in order.

        `timers` are given back afterwards; they are armed and refreshed by whoever made them.
        """
        self._devices, self._timers = dict(devices), tuple(timers)

    def line(self, spec: LineSpec, frames: FrameLog | None = None) -> Speaking:
        """Return the way to a unit: its own, or through the guard where that one holds the line.

        `frames` takes every frame of the runner's requests.
        """
        if spec.place in {d.line.place for d in self.plan.devices if d.held}:
            return HeldLine(spec, self._ask, frames)
        return Line(spec, frames)

    # -- while it runs -------------------------------------------------------------------------

    @property
    def reason(self) -> str | None:
        """Why the guard has acted, None where it has not."""
        return None if self._talk is None else self._talk.reason

    def beat(self) -> None:
        """Say that the run makes progress; cheap, to be called often, from where the work is done.

        Raises GuardTripped once the guard has acted, GuardLost where it is no more; nothing
        while the run ends, whose last words are the safe state.
        """
        if self._ending:
            self._talking().nudge()
        else:
            self._talking().beat()

    def permit(self, name: str) -> Permit:
        """Return what a device asks before each write; it raises as `beat` does, and Forbidden."""

        def ask() -> None:
            talk = self._talking()
            if self._ending and talk.reason is None:
                return  # the safe state is told, whether or not the guard lives
            talk.check()
            if name in talk.left:
                raise Forbidden(f"{name}: contact was lost and the guard has it: {talk.left[name]}")

        return ask

    def _talking(self) -> Talk:
        if self._talk is None:
            raise GuardLost("the run has ended, and its guard with it")
        return self._talk

    def _ask(self, place: str, unit: int, timeout_s: float, **what: Any) -> dict[str, Any]:
        return self._talking().ask(place, unit, timeout_s, **what)

    def _lost(self, why: str) -> None:
        self.journal.record("note", "", text="guard lost", why=why)

    # -- signals -------------------------------------------------------------------------------

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        """End at the first signal; leave the rest to the guard at the second."""
        self._signals += 1
        name = signal.Signals(number).name
        if self._signals > 1 and self._talk is not None:
            self._talk.abort(f"{name} for the second time")
            _say(f"{LEFT} {self.pid} ({LEFT_ZH}): {self.plan.journal}")
        elif self._ending:
            return  # it is ending already
        else:
            _say(f"{FIRST} ({FIRST_ZH})")
        before = self._before.get(number)
        if callable(before):
            before(number, frame)  # which may keep it for later
        else:
            raise KeyboardInterrupt(name)

    # -- the end -------------------------------------------------------------------------------

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        if isinstance(error, KeyboardInterrupt):
            self._signals = max(self._signals, 1)
        why = "the run has ended" if kind is None else f"{kind.__name__}: {error}"
        try:
            if self._signals < 2:
                self._end(why)
        finally:
            for number, before in self._before.items():
                signal.signal(number, before)
            self._before.clear()
            self._close()
        unproven = [p for p in self.proofs.values() if not p.safe]
        if unproven:  # nothing that went wrong is more important to know
            told = "; ".join(f"{p.device}: {p.why}" for p in unproven)
            raise RunBroken(f"not proven to be at the safe state: {told} ({why})") from error

    def _end(self, why: str) -> None:
        """Tell every device its safe state and have it proven."""
        talk = self._talking()
        told = self._tell_all(talk, why) if talk.reason is None else []
        names = {d.name for d in self.plan.devices if d.written}
        try:
            if talk.reason is None:
                for timers in self._timers:
                    if timers.device.name in told:
                        timers.restore()
                talk.finish(why, told)
            talk.yielded()
            within_s = self.plan.times.settle_s + MARGIN_S
            self.proofs = dict(talk.proven(names, within_s))
            for name in names - set(self.proofs):
                text = "the guard is still at it; the journal says what became of it"
                self.proofs[name] = Proof(name, False, {}, text)
            self._await_end(within_s)
        except GuardLost:
            self._prove_alone()

    def _tell_all(self, talk: Talk, why: str) -> list[str]:
        """Tell every device its safe state, in order; return which of them took it."""
        taken: list[str] = []
        for device in self._devices.values():
            if device.name in talk.left:
                continue
            try:
                talk.nudge()
                refused = [w for w in device.to_safe_state(why) if not w.accepted]
                text = "; ".join(f"{w.point}: exception {w.code}" for w in refused)
            except GuardTripped:
                return taken
            except (BenchError, OSError) as error:
                text = str(error)
            if text == "":
                taken.append(device.name)
            else:
                self.journal.record("note", device.name, text="safe state not taken", why=text)
        return taken

    def _await_end(self, within_s: float) -> None:
        """Wait until the guard has written its last word, so that the journal can be sealed."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(within_s)

    def _prove_alone(self) -> None:
        """Read back without a guard."""
        times = self.plan.times
        for guarded in (d for d in self.plan.devices if d.written):
            device = self._devices.get(guarded.name)
            if device is None or guarded.held:
                proof = Proof(guarded.name, False, {}, "its connection was lost with the guard")
            else:
                clock = KeepingClock(WallClock(), device, guarded.heartbeat)
                proof = prove(device, clock, guarded.tolerance_kw, times.settle_s, times.confirm_s)
            self.proofs[guarded.name] = proof

    def _close(self) -> None:
        """End the runner's side of the link; a guard that is still at work goes on alone."""
        if self._talk is not None:
            self._talk.close()
            self._talk = None
        process, self._process = self._process, None
        if process is not None:
            # Nobody waits for a guard that is still at it; it is collected when it ends.
            threading.Thread(target=process.wait, name="guard", daemon=True).start()


def _say(text: str) -> None:
    """Write a line where a signal handler may."""
    with suppress(OSError):
        os.write(2, f"\n{text}\n".encode())
