"""A device's own timers, and what the guard does where disk or device do not go along."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hil.bench.beating import BeatingClock, BeatingLine, Pulse
from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.guard_journal import GuardJournal
from hil.bench.journal import Journal, read_journal
from hil.bench.lease import KeepingClock, LeaseRefused, Timers
from hil.bench.proof import prove
from hil.bench.schema import Heartbeat, Lease
from hil.registers.codec import encode
from hil.registers.files import shipped_maps
from hil.registers.schema import TableName
from tests.bench.sloppy import SloppyLine, TestClock

BEAT = Heartbeat(point="set_heartbeat", every_s=2.0, expires_s=10.0)
LEASE = Lease(point="set_revert_s", value=30.0)
LEASE_AT, BEAT_AT = 3, 2


class Slow(SloppyLine):
    """Shows a lease only some time after it took it; never where `after_s` is None."""

    def __init__(self, clock: TestClock, after_s: float | None) -> None:
        super().__init__(shipped_maps()["storage-own"])
        self.clock, self.after_s = clock, after_s
        self.taken: list[tuple[float, list[int]]] = []

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        if table == "holding" and address == LEASE_AT:
            for at_s, words in self.taken:
                if self.after_s is not None and self.clock.time_s - at_s >= self.after_s:
                    return words
            return [0, 3600]
        return super().read(table, address, count)

    def write(self, table: TableName, address: int, words: Sequence[int]) -> None:
        super().write(table, address, words)
        if address == LEASE_AT:
            self.taken.insert(0, (self.clock.time_s, list(words)))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "j.jsonl") as one:
        yield one


def battery(line: SloppyLine, clock: TestClock, journal: Journal) -> BenchDevice:
    return BenchDevice(
        "one", "storage", line.map, line, Envelope(-100.0, 100.0), journal, clock, rated_kw=100.0
    )


def test_a_lease_that_is_shown_late_is_waited_for(journal: Journal) -> None:
    clock = TestClock()
    line = Slow(clock, 1.0)
    timers = Timers(battery(line, clock, journal), BEAT, LEASE, clock.now_s)
    timers.arm()
    assert 1.0 <= clock.time_s < 1.5
    assert line.sent == [("holding", LEASE_AT, (0, 30)), ("holding", BEAT_AT, (1,))]
    timers.restore()
    timers.restore()  # what was given back is not given back twice
    assert line.sent[2:] == [("holding", LEASE_AT, (0, 3600))]


def test_a_lease_that_is_never_shown_ends_it(journal: Journal) -> None:
    clock = TestClock()
    timers = Timers(battery(Slow(clock, None), clock, journal), BEAT, LEASE, clock.now_s)
    with pytest.raises(LeaseRefused, match="set_revert_s shows 3600 and not 30"):
        timers.arm()


def test_a_timer_that_is_refused_ends_it(journal: Journal) -> None:
    clock, line = TestClock(), SloppyLine(shipped_maps()["storage-own"])
    line.refuse["holding", BEAT_AT] = 4
    timers = Timers(battery(line, clock, journal), BEAT, None, clock.now_s)
    with pytest.raises(LeaseRefused, match="set_heartbeat was refused with exception 4"):
        timers.arm()


def test_a_heartbeat_counts_when_it_is_due(journal: Journal) -> None:
    clock, line = TestClock(), SloppyLine(shipped_maps()["storage-own"])
    timers = Timers(battery(line, clock, journal), BEAT, None, clock.now_s)
    timers.refresh()
    assert line.sent == []  # not armed
    timers.arm()
    for _ in range(600):
        clock.sleep(1.0)
        timers.refresh()
    beats = [words[0] for _, _, words in line.sent]
    assert beats == [n % 255 + 1 for n in range(301)]


class Unguarded:
    """A guard that has nothing to say."""

    def beat(self) -> None:
        pass


def test_a_run_keeps_the_heartbeat_but_where_it_is_told_to_be_silent(journal: Journal) -> None:
    clock, line = TestClock(), SloppyLine(shipped_maps()["storage-own"])
    pulse = Pulse(Unguarded())  # type: ignore[arg-type]
    beating = BeatingClock(clock, pulse, 0.5)
    device = BenchDevice(
        "one", "storage", line.map, BeatingLine(line, pulse, "one"), Envelope(-100.0, 100.0),
        journal, beating, rated_kw=100.0,
    )  # fmt: skip
    timers = pulse.timers["one"] = Timers(device, BEAT, None, clock.now_s)
    timers.arm()
    beating.sleep(5.0)
    assert beats_of(line) == [1, 2, 3]
    with pulse.silent():
        beating.sleep(20.0)
        assert beats_of(line) == [1, 2, 3]
        device.write("set_heartbeat", 60_000.0)  # the procedure's own
        beating.sleep(1.0)
    beating.sleep(0.9)
    assert beats_of(line) == [1, 2, 3, 60_000]  # which counts as one
    beating.sleep(0.2)
    assert beats_of(line) == [1, 2, 3, 60_000, 4]


def beats_of(line: SloppyLine) -> list[int]:
    return [words[0] for _, address, words in line.sent if address == BEAT_AT]


def test_a_lease_that_cannot_be_given_back_is_noted(journal: Journal, tmp_path: Path) -> None:
    clock = TestClock()
    line = Slow(clock, 0.0)
    timers = Timers(battery(line, clock, journal), None, LEASE, clock.now_s)
    timers.arm()
    line.down = True
    timers.restore()
    assert list(read_journal(tmp_path / "j.jsonl"))[-1]["text"] == "set_revert_s keeps 30"


class Falling(SloppyLine):
    """Its power goes to nothing within 7 s."""

    def __init__(self, clock: TestClock) -> None:
        super().__init__(shipped_maps()["storage-own"])
        self.clock = clock

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        power = self.map.point("power_kw")
        value = 70.0 - 10.0 * min(self.clock.time_s, 7.0)
        for i, word in enumerate(encode(power, self.map.order, value)):
            self.words[power.table, power.address + i] = word
        return super().read(table, address, count)


def test_a_device_does_not_fall_back_while_it_is_proven(journal: Journal) -> None:
    clock = TestClock()
    line = Falling(clock)
    device = battery(line, clock, journal)
    proof = prove(device, KeepingClock(clock, device, BEAT), 1.0, 10.0, 0.25)
    assert proof.safe
    assert 7.0 <= clock.time_s < 8.0
    assert line.sent == [("holding", BEAT_AT, (n,)) for n in (1, 2, 3, 4)]
    line.refuse["holding", BEAT_AT] = 4  # which is no reason to stop
    assert prove(device, KeepingClock(clock, device, BEAT), 1.0, 10.0, 0.25).safe


def test_a_full_disk_does_not_keep_the_guard_from_acting() -> None:
    with GuardJournal(Path("/dev/full")) as journal:
        assert journal.record("safe_state", "battery", reason="test") == 0


def test_a_hanging_disk_does_not_keep_the_guard_from_acting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Journal, "record", lambda *_, **__: time.sleep(1.0))
    with GuardJournal(tmp_path / "j.jsonl") as journal:
        begun_s = time.monotonic()
        assert journal.record("safe_state", "battery", reason="test") == 0
        assert time.monotonic() - begun_s < 0.9
