"""What a head-end counts: by device, by round, and how long answers take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hil.kernels import desk as dk
from hil.kernels import jobs as jb

__all__ = ["Figures"]

I8 = NDArray[np.int64]
# Bins of latency: 64 a doubling from 1 us on, up to about half an hour.
PER_DOUBLING, BINS = 64, 64 * 31
RESULTS = {
    jb.OK: "heard", jb.EXCEPTION: "exception", jb.TIMEOUT: "timeout", jb.BROKEN: "broken",
    jb.CLOSED: "closed", jb.NOT_CONNECTED: "not_connected", jb.MISSED: "missed",
    jb.RESTED: "rested",
}  # fmt: skip


class Figures:
    """Counters of a head-end.

    Attributes
    ----------
    reads, failures, writes, refused : int64[devices]
    last : int64[devices]  what became of the last poll (`hil.kernels.jobs`), 0: never polled
    code : int64[devices]  exception of the last poll, -1: none
    """

    def __init__(self, devices: int) -> None:
        self.reads, self.failures, self.writes, self.refused, self.last = np.zeros(
            (5, devices), np.int64
        )
        self.code = np.full(devices, -1, np.int64)
        self._latency = np.zeros(BINS, np.int64)
        self._slowest_ns = 0
        self._round: dict[str, Any] = {}
        self._rounds = self._missed = 0
        self._commands: dict[str, int] = {}

    def polled(self, table: I8, asked: I8, result: I8, took_ns: int) -> None:
        """Count a round: its jobs, the devices `asked`, int64[devices] what became of them."""
        here = result[asked]
        before = self.last[asked]
        self.last[asked] = here
        self.reads[asked[here == jb.OK]] += 1
        self.failures[asked[here != jb.OK]] += 1
        refused = table[:, jb.RESULT] == jb.EXCEPTION
        self.code[asked] = -1
        self.code[table[refused, jb.DEVICE]] = table[refused, jb.CODE]
        latency = table[:, jb.LATENCY_NS]
        latency = latency[latency >= 0]
        self._latency += np.bincount(_bin(latency), minlength=BINS)
        self._slowest_ns = max(self._slowest_ns, int(latency.max(initial=0)))
        missed = here != jb.OK
        self._rounds += 1
        self._missed += int(np.count_nonzero(missed))
        self._round = {
            "asked": len(asked),
            **{name: int(np.count_nonzero(here == code)) for code, name in RESULTS.items()},
            # Of those that answered the time before: what others notice of dead ones.
            "missed_after_heard": int(np.count_nonzero(missed & (before == jb.OK))),
            "took_ms": took_ns / 1e6,
            "latency_ms": _percentiles(latency),
        }

    def wrote(self, table: I8, counts: Mapping[str, int]) -> None:
        """Count a batch of commands."""
        done = table[:, jb.RESULT] == jb.OK
        np.add.at(self.writes, table[done, jb.DEVICE], 1)
        no = table[:, jb.RESULT] == jb.EXCEPTION
        np.add.at(self.refused, table[no, jb.DEVICE], 1)
        for name, count in counts.items():
            self._commands[name] = self._commands.get(name, 0) + count

    def summary(self, tally: I8, up: int, lines: int) -> dict[str, Any]:
        """Return everything but the counters by device."""
        return {
            "rounds": self._rounds,
            "polls_heard": int(self.reads.sum()),
            "polls_missed": self._missed,
            "requests": int(tally[dk.SENT]),
            "late_answers": int(tally[dk.LATE]),
            "timeouts": int(tally[dk.TIMED_OUT]),
            "wrong_answers": int(tally[dk.WRONG]),
            "dials": int(tally[dk.DIALLED]),
            "dials_without_files": int(tally[dk.NO_FILES]),
            "lines": lines,
            "lines_up": up,
            "latency_ms": self._quantiles(),
            "commands": dict(self._commands),
            "last_round": dict(self._round),
        }

    def by_device(self) -> dict[str, I8]:
        """Return the counters by device."""
        return {
            "reads": self.reads.copy(), "failures": self.failures.copy(),
            "writes": self.writes.copy(), "refused": self.refused.copy(),
            "last": self.last.copy(), "code": self.code.copy(),
        }  # fmt: skip

    def _quantiles(self) -> dict[str, float]:
        """Return percentiles over all rounds, as the upper end of their bin (1 % wide)."""
        total = int(self._latency.sum())
        if total == 0:
            return {}
        up_to = np.cumsum(self._latency)
        found = {
            f"p{q:g}": float(_edge(int(np.searchsorted(up_to, total * q / 100.0))))
            for q in (50, 99)
        }
        slowest = self._slowest_ns / 1e6
        return {**{k: min(v, slowest) for k, v in found.items()}, "max": slowest}


def _bin(latency_ns: I8) -> I8:
    doublings = np.log2(np.maximum(latency_ns, 1000) / 1000.0)
    return np.minimum((doublings * PER_DOUBLING).astype(np.int64), BINS - 1)


def _edge(number: int) -> float:
    """Return the upper end of a bin [ms]."""
    return float(2.0 ** ((number + 1) / PER_DOUBLING) / 1000.0)


def _percentiles(latency_ns: I8) -> dict[str, float]:
    if len(latency_ns) == 0:
        return {}
    p50, p99, top = np.percentile(latency_ns, (50, 99, 100)) / 1e6
    return {"p50": float(p50), "p99": float(p99), "max": float(top)}
