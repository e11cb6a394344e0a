"""Connections of the head-end: one line a device or gateway, dialled and kept by the loop.

A line that cannot be dialled is tried again after a while that doubles each time, with a keyed
spread so that thousands do not come back in one moment. The units of a gateway share its line.
"""

from __future__ import annotations

import ipaddress
import resource
import select
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.kernels import desk as dk
from hil.kernels import lines as ln
from hil.kernels import poll
from hil.kernels.client import LONGEST
from hil.kernels.jobs import LINE, Jobs
from hil.kernels.lines import Lines
from twin.chance import generator
from twin.errors import InputProblems, Problem

__all__ = ["DeviceEntry", "Habits", "Links"]

I8 = NDArray[np.int64]
U1 = NDArray[np.uint8]
MS, S = 1_000_000, 1_000_000_000
# Files that a process needs for itself.
RESERVE = 64


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """Where a device stands.

    Attributes
    ----------
    kind, row : of the inventory
    address : IPv4; port : TCP
    unit : identifier, 0 to 255
    map : name of its register map
    """

    kind: str
    row: int
    address: str
    port: int
    unit: int
    map: str


@dataclass(frozen=True, slots=True)
class Habits:
    """How the head-end behaves on the wire.

    Attributes
    ----------
    timeout_s : for an answer
    retries : of a request within a round
    places : requests under way that are younger than `fresh_s`
    fresh_s : a request older than this holds no place any more
    patience_s : after this the next unit of a gateway is asked; the answer may still come
    grace_s : how long a device that did not answer last time is waited for
    gap_s : least time between an answer and the next request on a line
    close_after : requests without an answer after which a line is closed
    dial_s : for a line to come up
    backoff_s : first and longest pause of what does not answer
    """

    timeout_s: float = 0.5
    retries: int = 1
    places: int = 128
    fresh_s: float = 0.02
    patience_s: float = 0.1
    grace_s: float = 0.05
    gap_s: float = 0.0
    close_after: int = 3
    dial_s: float = 3.0
    backoff_s: tuple[float, float] = (0.5, 30.0)

    def settings(self, epoll: int) -> I8:
        """Return int64[15], the settings of a round."""
        settings = np.zeros(dk.SETTINGS, np.int64)
        settings[dk.EPOLL], settings[dk.PLACES] = epoll, self.places
        settings[dk.FRESH_NS], settings[dk.RETRIES] = self.fresh_s * S, self.retries
        settings[dk.CLOSE_AFTER], settings[dk.DIAL_NS] = self.close_after, self.dial_s * S
        timeout, patience = self.timeout_s, min(self.patience_s, self.timeout_s)
        grace = min(self.grace_s, self.timeout_s)
        for number, limit in (
            (ln.NORMAL, timeout),
            (ln.PATIENT, patience),
            (ln.SUSPECT, grace),
            (ln.DIALLING, timeout),
            (ln.REDIALLING, grace),
            (ln.RESTING, timeout - patience),
        ):
            settings[dk.LIMIT_NS + number] = limit * S
        return settings


class Links:
    """All lines of a head-end.

    Raises InputProblems where more lines are needed than files may be open.

    Attributes
    ----------
    of : int64[devices]  each device's line
    lines : what the loop works on
    tally : int64[6]  counts since the beginning
    """

    def __init__(self, devices: Sequence[DeviceEntry], habits: Habits, seed: int) -> None:
        places: dict[tuple[str, int], int] = {}
        self.of = np.array(
            [places.setdefault((d.address, d.port), len(places)) for d in devices], np.int64
        )
        n = len(places)
        _check_files(n)
        table = np.zeros((n, ln.COLUMNS), np.int64)
        for i, (address, port) in enumerate(places):
            table[i, ln.ADDRESS], table[i, ln.PORT] = int(ipaddress.IPv4Address(address)), port
        table[:, ln.FD], table[:, ln.CURRENT], table[:, ln.LIST] = -1, -1, ln.NOWHERE
        table[:, ln.SHARED] = np.bincount(self.of, minlength=n) > 1
        table[:, ln.GAP_NS] = round(habits.gap_s * S)
        self.lines = Lines(
            table, np.zeros((n, LONGEST), np.uint8), np.full((n, ln.RECENT), ln.NONE, np.int64)
        )
        self.tally = np.zeros(dk.TALLIES, np.int64)
        self._habits, self._seed, self._rounds = habits, seed, 0
        self._epoll = select.epoll()
        self._patient = habits.settings(self._epoll.fileno())
        self._urgent = habits.settings(self._epoll.fileno())
        self._turn, self._busy, self._waiting = threading.Condition(), False, 0

    def exchange(self, jobs: Jobs, raw: U1, end_ns: int, *, urgent: bool = False) -> None:
        """Send all waiting jobs and take the answers, until `end_ns` at the latest.

        Parameters
        ----------
        jobs : sorted by line
        raw : where reads are put
        end_ns : on the monotonic clock
        urgent : before anything that is not: a round in another thread gives way
        """
        table, column = self.lines.table, jobs.table[:, LINE]
        active = np.unique(column)
        first = np.searchsorted(column, active, "left")
        after = np.searchsorted(column, active, "right")
        settings = self._urgent if urgent else self._patient
        while True:
            with self._taking_turn(urgent):
                table[active, ln.FIRST], table[active, ln.STOP] = first, after
                settings[dk.END_NS] = end_ns
                ended = poll.exchange(self.lines, jobs, active, settings, raw, self.tally)
                self._back_off()
            if ended == poll.ENDED:
                return

    def connect(self, end_ns: int) -> int:
        """Dial every line that is down and due; return how many are up at `end_ns`."""
        table = self.lines.table
        nothing = Jobs(np.zeros((0, 1), np.int64), np.zeros(0, np.uint8))
        active = np.flatnonzero(table[:, ln.STATE] != ln.UP)
        with self._taking_turn(True):
            table[active, ln.FIRST] = table[active, ln.STOP] = 0
            self._urgent[dk.END_NS] = end_ns
            raw = np.zeros(0, np.uint8)
            poll.exchange(self.lines, nothing, active, self._urgent, raw, self.tally)
            self._back_off()
        return self.up

    @property
    def up(self) -> int:
        """Lines that are up."""
        return int(np.count_nonzero(self.lines.table[:, ln.STATE] == ln.UP))

    def close(self) -> None:
        """Close every line."""
        if self._epoll.closed:
            return
        with self._taking_turn(True):
            for i in np.flatnonzero(self.lines.table[:, ln.FD] >= 0).tolist():
                ln.close(self.lines, self._epoll.fileno(), i)
            self._epoll.close()

    def pause_ns(self, failures: I8) -> I8:
        """Return how long what failed so often in a row is left alone [ns]; 0: not at all."""
        first, longest = self._habits.backoff_s
        pause = np.minimum(first * 2.0 ** np.minimum(failures - 1, 40), longest)
        draw = generator(self._seed, "headend.backoff", self._rounds).random(len(failures))
        return np.where(failures > 0, pause * (0.5 + draw) * S, 0.0).astype(np.int64)

    def _back_off(self) -> None:
        self._rounds += 1
        table = self.lines.table
        now = time.monotonic_ns()
        fresh = np.flatnonzero(
            (table[:, ln.STATE] == ln.DOWN)
            & (table[:, ln.FAILS] > 0)
            & (table[:, ln.DUE_NS] <= now)
        )
        if len(fresh) > 0:
            table[fresh, ln.DUE_NS] = now + self.pause_ns(table[fresh, ln.FAILS])

    @contextmanager
    def _taking_turn(self, urgent: bool) -> Iterator[None]:
        with self._turn:
            self._waiting += urgent
            if urgent:
                self._patient[dk.PAUSE] = 1
            self._turn.wait_for(lambda: not self._busy and (urgent or self._waiting == 0))
            self._busy = True
        try:
            yield
        finally:
            with self._turn:
                self._busy = False
                self._waiting -= urgent
                if self._waiting == 0:
                    self._patient[dk.PAUSE] = 0
                self._turn.notify_all()


def _check_files(lines: int) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and lines + RESERVE > soft:
        raise InputProblems(
            [
                Problem(
                    "open files",
                    "ulimit -n",
                    f"{soft}, and {lines} connections need {lines + RESERVE}",
                    f"at least {lines + RESERVE}: ulimit -n {lines + RESERVE}",
                )
            ]
        )
