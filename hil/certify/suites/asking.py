"""Reading and writing with patience: what is lost or refused by chance is asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hil.bench.device import Sample, Value, Written
from hil.bench.errors import Refused
from hil.certify.subject import Subject
from hil.certify.suites.probing import patiently
from hil.registers.schema import TableName

__all__ = ["command", "read", "refusal", "send", "write"]

TRIES = 3
# A ramp of the bench is walked in such steps, for so long at most [s].
STRIDE_S, LONGEST_DRIVE_S = 0.5, 600.0


def read(subject: Subject, names: Iterable[str]) -> dict[str, Sample]:
    """Return what points show; one that was refused is read again, alone.

    Raises LineError where no try gets an answer.
    """
    device, wanted = subject.device, list(names)
    found = patiently(subject, lambda: device.read(wanted))
    for name in [n for n, sample in found.items() if sample.code != 0]:
        for _ in range(TRIES):
            again = patiently(subject, lambda name=name: device.read([name]))[name]  # type: ignore[misc]
            found[name] = again
            if again.code == 0:
                break
    return found


def write(subject: Subject, name: str, value: Value) -> Written:
    """Write a point; a refusal counts when it comes three times. Raises as `BenchDevice.write`."""
    for number in range(TRIES):
        done = patiently(subject, lambda: subject.device.write(name, value))
        if done.accepted or number == TRIES - 1:
            return done
    raise AssertionError("unreachable")


def command(subject: Subject, setpoint: str, value: float) -> list[Written]:
    """Order a set-point of the twin; a refusal counts when it comes three times.

    Where the bench has a ramp it is walked. Raises as `BenchDevice.command`.
    """
    device = subject.device

    def once() -> list[Written]:
        if device.envelope.ramped:
            return device.drive(setpoint, value, STRIDE_S, LONGEST_DRIVE_S)
        return device.command(setpoint, value)

    for number in range(TRIES):
        done = patiently(subject, once)
        if all(w.accepted for w in done) or number == TRIES - 1:
            return done
    raise AssertionError("unreachable")


def send(subject: Subject, table: TableName, address: int, words: Sequence[int]) -> int:
    """Write words that the table should refuse; return the exception, 0: they were accepted."""

    def once() -> int:
        try:
            subject.device.line.write(table, address, words)
        except Refused as refused:
            return refused.code
        return 0

    return patiently(subject, once)


def refusal(subject: Subject, table: TableName, address: int, count: int) -> int:
    """Return the exception that a read is refused with three times, 0: it is answered."""

    def once() -> int:
        try:
            subject.device.line.read(table, address, count)
        except Refused as refused:
            return refused.code
        return 0

    code = 0
    for _ in range(TRIES):
        code = patiently(subject, once)
        if code == 0:
            return 0
    return code
