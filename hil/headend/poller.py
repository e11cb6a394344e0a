"""The head-end: polls and commands thousands of devices over Modbus TCP from one process."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hil.headend.commands import Outcomes, Writes
from hil.headend.figures import Figures
from hil.headend.fleet import Fleet
from hil.headend.link import DeviceEntry, Habits, Links
from hil.headend.readings import Readings
from hil.kernels import jobs as jb
from hil.kernels import ordering, pack
from hil.kernels.jobs import Jobs
from hil.registers.schema import RegisterMap
from twin.record.exchange import KindInventory, Reading, SetPoint

__all__ = ["HeadEnd"]

I8 = NDArray[np.int64]
S = 1_000_000_000
# A device that did not answer so often in a row is left alone for a while, is not sent commands
# more than once.
SKIP_FROM, WRITE_ONCE_FROM = 2, 3
HEARTBEAT, MOST_BEATS = "heartbeat", 65_000
# What counts as no answer. A device that says no is there.
NO_ANSWER = (jb.TIMEOUT, jb.BROKEN, jb.CLOSED, jb.NOT_CONNECTED)


class HeadEnd:
    """Readings and set-points over Modbus TCP, as the direct path gives and takes them.

    Parameters
    ----------
    devices : where they stand
    kinds : inventory by kind
    seed : of the spread in reconnecting
    timeout_s, retries : of a request; `habits` holds these and everything else
    maps : register maps by name; those not in it are loaded by their names
    heartbeat_s : simulated time after which devices fall back; every device that takes a
        heartbeat gets one at a third of it (None: none)

    Raises InputProblems with everything that is wrong with the devices, and where too few files
    may be open. One thread may poll while another commands: a command does not wait for a round
    of polls to end.
    """

    def __init__(
        self,
        devices: Sequence[DeviceEntry],
        kinds: Mapping[str, KindInventory],
        *,
        seed: int = 0,
        timeout_s: float = 0.5,
        retries: int = 1,
        habits: Habits | None = None,
        maps: Mapping[str, RegisterMap] | None = None,
        heartbeat_s: float | None = None,
    ) -> None:
        self.fleet = Fleet.of(devices, kinds, maps)
        self.habits = Habits(timeout_s, retries) if habits is None else habits
        self.links = Links(self.fleet.entries, self.habits, seed)
        self.counters = Figures(self.fleet.n)
        self._readings = Readings(self.fleet)
        self._raw = np.zeros(max(self.fleet.size, 1), np.uint8)
        self._rounds: dict[tuple[str, ...], Jobs] = {}
        self._silent = np.zeros(self.fleet.n, np.int64)  # rounds in a row without an answer
        self._rest_until_ns = np.zeros(self.fleet.n, np.int64)
        self._heartbeat_ms = None if heartbeat_s is None else heartbeat_s * 1000.0 / 3.0
        self._beat_due_ms, self._beat = -np.inf, 0
        self._compile()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.links.close()

    def connect(self, deadline_s: float) -> int:
        """Connect to everything; return how many lines are up.

        What does not come up within `deadline_s` is tried again by later rounds.
        """
        return self.links.connect(time.monotonic_ns() + round(deadline_s * S))

    def _compile(self) -> None:
        """Compile what the loop needs now: no deadline knows of compilers."""
        no_rows, no_values, no_bytes = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint8)
        layout, nothing = self.fleet.compiled.layout, np.zeros((0, 0))
        pack.decode(no_bytes, no_rows, no_rows, no_rows, no_values, layout, nothing)
        ordering.put_values(
            np.zeros((0, 0), np.uint8), 0, (0, 0, 0.0), (no_values, no_values), layout,
            np.zeros(0, np.bool_),
        )  # fmt: skip
        five = np.zeros((0, 5), np.int64)
        ordering.merge_coils(five, five, no_bytes)
        self.links.exchange(Jobs(np.zeros((0, jb.COLUMNS), np.int64), no_bytes), no_bytes, 0)

    # -- up --------------------------------------------------------------------------------------

    def poll(self, kinds: Sequence[str], now_ms: int, deadline_s: float) -> dict[str, Reading]:
        """Read every device of `kinds` once.

        Parameters
        ----------
        now_ms : simulated time, the stamp of what is read now
        deadline_s : wall time that the round may take

        Returns
        -------
        by kind: a device that did not answer in time keeps its old value and time stamp and is
        STALE, or MISSING where it was never heard.
        """
        begun = time.monotonic_ns()
        end_ns = begun + round(deadline_s * S)
        self._keep_alive(now_ms, end_ns)
        jobs = self._round(tuple(kinds))
        table = jobs.table
        device = table[:, jb.DEVICE]
        resting = self._rest_until_ns > begun
        table[:, jb.RESULT] = np.where(resting[device], jb.RESTED, jb.WAITING)
        table[:, jb.CODE : jb.TRIES + 1] = 0
        table[:, jb.LATENCY_NS] = -1
        table[:, jb.SUSPECT] = self._silent[device] > 0
        self.links.exchange(jobs, self._raw, end_ns)
        asked, result = self._results(table)
        self._rest(asked, result)
        self.counters.polled(table, asked, result, time.monotonic_ns() - begun)
        heard = np.zeros(self.fleet.n, np.bool_)
        heard[asked[result[asked] == jb.OK]] = True
        for kind in kinds:
            self._readings.hear(kind, heard, self._raw, now_ms)
        return {kind: self._readings.of(kind) for kind in kinds}

    def reading(self, kind: str) -> Reading:
        """Return what was last read of a kind."""
        return self._readings.of(kind)

    def _round(self, kinds: tuple[str, ...]) -> Jobs:
        """Return the jobs that read all devices of `kinds`, sorted by line."""
        found = self._rounds.get(kinds)
        if found is not None:
            return found
        fleet = self.fleet
        parts, pdu = [np.zeros((0, jb.COLUMNS), np.int64)], bytearray()
        nobody = np.zeros(0, np.int64)
        devices = np.unique(np.concatenate([nobody, *(fleet.at[kind] for kind in kinds)]))
        devices = devices[devices >= 0]
        for number in np.unique(fleet.map[devices]):
            mine = devices[fleet.map[devices] == number]
            for block in fleet.plans[number].blocks:
                part = np.zeros((len(mine), jb.COLUMNS), np.int64)
                part[:, jb.LINE], part[:, jb.DEVICE] = self.links.of[mine], mine
                part[:, jb.CHAIN], part[:, jb.UNIT] = mine, fleet.unit[mine]
                part[:, jb.BEGIN], part[:, jb.LENGTH] = len(pdu), 5
                part[:, jb.TO] = fleet.base[mine] + block.byte
                pdu += block.function.to_bytes() + block.address.to_bytes(2)
                pdu += block.count.to_bytes(2)
                parts.append(part)
        table = np.concatenate(parts)
        order = np.lexsort((np.arange(len(table)), table[:, jb.CHAIN], table[:, jb.LINE]))
        table = np.ascontiguousarray(table[order])
        self._rounds[kinds] = Jobs(table, np.frombuffer(pdu, np.uint8))
        return self._rounds[kinds]

    def _results(self, table: I8) -> tuple[I8, I8]:
        """Return the devices that were asked, and int64[devices]: what became of each."""
        result = np.full(self.fleet.n, jb.OK, np.int64)
        # Of what went wrong the first counts: numpy keeps the last of several writes.
        wrong = np.flatnonzero(table[:, jb.RESULT] != jb.OK)[::-1]
        result[table[wrong, jb.DEVICE]] = table[wrong, jb.RESULT]
        return np.unique(table[:, jb.DEVICE]), result

    def _rest(self, asked: I8, result: I8) -> None:
        """Count who did not answer; who did so again rests for a while."""
        here = result[asked]
        self._silent[asked[(here == jb.OK) | (here == jb.EXCEPTION)]] = 0
        silent = asked[np.isin(here, NO_ANSWER)]
        if len(silent) == 0:
            return
        self._silent[silent] += 1
        # A line that is down has a pause of its own.
        silent = silent[result[silent] != jb.NOT_CONNECTED]
        pause = self.links.pause_ns(self._silent[silent] - SKIP_FROM + 1)
        self._rest_until_ns[silent] = np.where(pause > 0, time.monotonic_ns() + pause, 0)

    # -- down ------------------------------------------------------------------------------------

    def command(self, setpoints: Sequence[SetPoint], deadline_s: float) -> Outcomes:
        """Write set-points, in their order for each device.

        A value is sent as it is: what the device does not take, it refuses.

        Parameters
        ----------
        deadline_s : wall time that all of them may take
        """
        return self._write(setpoints, time.monotonic_ns() + round(deadline_s * S))

    def _write(self, setpoints: Sequence[SetPoint], end_ns: int) -> Outcomes:
        writes = Writes(self.fleet, setpoints, self.links.of, self._silent >= WRITE_ONCE_FROM)
        self.links.exchange(writes.jobs, np.zeros(0, np.uint8), end_ns, urgent=True)
        outcomes = writes.outcomes()
        self.counters.wrote(writes.jobs.table, outcomes.counts)
        return outcomes

    def _keep_alive(self, now_ms: int, end_ns: int) -> None:
        if self._heartbeat_ms is None or now_ms < self._beat_due_ms:
            return
        self._beat_due_ms = now_ms + self._heartbeat_ms
        self._beat = self._beat % MOST_BEATS + 1
        beats = []
        for kind, devices in self.fleet.at.items():
            rows = np.flatnonzero(devices >= 0)
            numbers = self.fleet.map[devices[rows]]
            takes = [HEARTBEAT in recipes for recipes in self.fleet.recipes]
            rows = rows[np.array(takes, np.bool_)[numbers]]
            if len(rows) > 0:
                beats.append(SetPoint(kind, HEARTBEAT, rows, np.full(len(rows), float(self._beat))))
        self._write(beats, end_ns)

    # -- what was counted ------------------------------------------------------------------------

    def figures(self) -> dict[str, Any]:
        """Return counts and latencies since the beginning, and of the last round."""
        return self.counters.summary(self.links.tally, self.links.up, len(self.links.lines.table))

    def report(self) -> dict[str, NDArray[np.int64]]:
        """Return counters by device, in the order of `devices`: reads, failures, ..."""
        return {**self.counters.by_device(), "silent_in_a_row": self._silent.copy()}
