"""Runs a piece of work in a child process that shares the memory it started from.

A run that was left behind at a fork is independent of the one that goes on, so the two take a
core each. The child is a plain `fork`: it has the whole city without copying it, writes its
records into memory shared with the parent (see `twin.record.history`), and sends back the rest.
No thread of ours is alive at that moment, and the fleet's kernels are serial by default, so the
child meets no half-held lock.
"""

from __future__ import annotations

import os
import pickle
import signal
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from twin.errors import RunBroken

T = TypeVar("T")


def can_fork() -> bool:
    """Return whether a child would find a core of its own."""
    return hasattr(os, "fork") and len(os.sched_getaffinity(0)) > 1


class Worker(Generic[T]):
    """One piece of work in a child process; made anew where forking is not possible.

    Parameters
    ----------
    job : returns something that pickle knows; it runs in the child, or at once in this process
    """

    def __init__(self, job: Callable[[], T]) -> None:
        self._pid: int | None = None
        self._done: tuple[T] | None = None  # a tuple, since the work may return None
        if not can_fork():
            self._done = (job(),)
            return
        self._read, write = os.pipe()
        with warnings.catch_warnings():
            # Python 3.12 warns where a library (a BLAS) holds idle threads of its own.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            os.close(self._read)
            _serve(job, write)
        os.close(write)
        self._pid = pid

    def result(self) -> T:
        """Wait for the work; raises RunBroken where it broke."""
        if self._done is not None:
            return self._done[0]
        if self._pid is None:
            raise RunBroken("a parallel run has no result: it broke off or was stopped")
        # The pipe stays ours until the child is gone: an interruption leaves both to `stop`.
        with os.fdopen(self._read, "rb", closefd=False) as pipe:
            payload = pipe.read()
        self._leave()
        if len(payload) == 0:
            raise RunBroken("a parallel run ended without a result (killed, or out of memory)")
        ok, found = pickle.loads(payload)  # our own child's words
        if not ok:
            raise RunBroken(f"a parallel run broke off: {found}")
        self._done = (found,)
        return self._done[0]

    def stop(self) -> None:
        """End the child at once if it is still at work."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            self._leave()

    def _leave(self) -> None:
        pid, self._pid = self._pid, None
        os.close(self._read)
        if pid is not None:
            os.waitpid(pid, 0)


def _serve(job: Callable[[], object], write: int) -> None:
    """Work, answer, and leave without the parent's exit handlers."""
    try:
        try:
            payload = pickle.dumps((True, job()))
        except BaseException:
            payload = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(write, "wb") as pipe:
            pipe.write(payload)
    finally:  # also when the parent is gone: a child must never go on with its parent's work
        os._exit(0)


def private_mib() -> float:
    """Return the memory that is this process's alone [MiB], 0 where the system does not tell."""
    try:
        text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
        rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        kib = sum(int(rows[k].split()[0]) for k in ("Private_Clean", "Private_Dirty"))
    except (OSError, KeyError, ValueError):
        return 0.0
    return kib / 1024.0
