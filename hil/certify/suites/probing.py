"""What protocol procedures have in common: a read that must work, and patience with the device.

A procedure looks for one fault. Where a request is only a means to it, it is asked with a pause
before it and up to three times, so that a device that loses requests, wants gaps or is busy is
found by the procedure that looks for that, and by no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hil.bench.errors import LineDown, LineError, NoAnswer, Refused
from hil.certify.measurement import Path
from hil.certify.subject import PAUSE_S, Subject
from hil.certify.wire import GARBLED, Talk, exception_of, read_pdu
from hil.registers.schema import RegisterMap, TableName, WirePoint

__all__ = [
    "PAUSE_S", "READ", "SETTLE_S", "WIRE", "GoodRead", "ask_anew", "calm_talk", "good_read",
    "outside", "patient_ask", "patient_raw", "patiently", "readable_point",
]  # fmt: skip

T = TypeVar("T")

READ: dict[TableName, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
TRIES = 3
SETTLE_S = 5.0  # devices in the field answer a new connection within 1 to 2 s
WIRE = Path("wire", "own connection")


@dataclass(frozen=True, slots=True)
class GoodRead:
    """A read that the point table says must be answered."""

    table: TableName
    address: int
    count: int

    @property
    def pdu(self) -> bytes:
        """Return the request."""
        return read_pdu(READ[self.table], self.address, self.count)

    def answered_by(self, pdu: bytes | None) -> bool:
        """Return whether a PDU is its answer."""
        bits = self.table in ("coil", "discrete")
        size = -(-self.count // 8) if bits else 2 * self.count
        return pdu is not None and pdu[:2] == bytes([READ[self.table], size]) and (
            len(pdu) == 2 + size
        )  # fmt: skip


def good_read(one: RegisterMap) -> GoodRead:
    """Return a short read of the first point that can be read, registers before bits."""
    readable = [p for p in one.points if "r" in p.access]
    if not readable:
        raise ValueError(f"map {one.name}: nothing can be read")
    registers = [p for p in readable if p.table in ("input", "holding")]
    point = (registers or readable)[0]
    return GoodRead(point.table, point.address, point.width)


def outside(one: RegisterMap, table: TableName) -> int:
    """Return the highest address of a table at which, and after which, there is nothing."""
    taken = {
        a for p in one.points if p.table == table for a in range(p.address, p.address + p.width)
    }
    for part in one.reserved:
        if part.table == table:
            taken.update(range(part.first, part.last + 1))
    return next(a for a in range(0xFFFF, -1, -1) if a not in taken)


def readable_point(one: RegisterMap, table: TableName) -> WirePoint | None:
    """Return a point of a table that can be read."""
    return next((p for p in one.points if p.table == table and "r" in p.access), None)


def calm_talk(subject: Subject) -> Talk:
    """Return a connection of our own on which the device has answered once.

    The subject's own connection is ended first: some devices bear one client, and a serial line
    bears one always. Raises LineDown where there is none, NoAnswer where nothing comes.
    """
    if subject.spec is None:
        raise LineDown(subject.name, "no connection of our own is possible")
    subject.device.line.close()
    read, end_s = good_read(subject.map), time.monotonic() + SETTLE_S
    while True:
        talk = Talk(subject.spec, subject.frames, subject.note_raw)
        while time.monotonic() < end_s:
            got = talk.ask(read.pdu)
            if got == b"":
                break
            if got is not None and got != GARBLED:
                return talk
            time.sleep(PAUSE_S)
        talk.close()
        time.sleep(PAUSE_S)
        if time.monotonic() >= end_s:
            raise NoAnswer(subject.spec.place, f"nothing within {SETTLE_S:g} s of connecting")


def patient_ask(
    subject: Subject, talk: Talk, pdu: bytes, wanted: int | None = None
) -> bytes | None:
    """Return the answer to a PDU, asked up to three times with pauses.

    Parameters
    ----------
    wanted : an exception code: the first answer that is this one counts; None: the first answer
    """
    last: bytes | None = None
    for number in range(TRIES):
        if number > 0:
            subject.pace.slow()
        time.sleep(subject.pace.pause_s)
        got = talk.ask(pdu)
        if got == b"":
            return last if last else b""
        if got is not None and got != GARBLED:
            last = got
            if wanted is None or exception_of(got) == wanted:
                return got
    return last


def ask_anew(subject: Subject, pdu: bytes, wanted: int | None = None) -> bytes | None:
    """Return what `patient_ask` does, on a connection of its own.

    Where the device ends it, it is asked on a new one, up to three times: a device that hangs up
    now and then is found by who counts that.
    """
    got: bytes | None = b""
    for _ in range(TRIES):
        with calm_talk(subject) as talk:
            got = patient_ask(subject, talk, pdu, wanted)
        if got != b"":
            break
    return got


def patient_raw(subject: Subject, function: int, data: bytes) -> int:
    """Return 0 where the device takes a request, else the exception it refuses with.

    It goes through the subject's guarded line, journalled and kept within the bench's limits.
    Raises LineError where no try gets an answer.
    """
    return patiently(subject, lambda: _code(subject, function, data))


def _code(subject: Subject, function: int, data: bytes) -> int:
    try:
        subject.device.line.raw(function, data)
    except Refused as refused:
        return refused.code
    return 0


def patiently(subject: Subject, ask: Callable[[], T]) -> T:
    """Return what `ask` returns, asked up to three times where the line gives no good answer.

    After the first loss every request comes after a pause. Raises the last LineError.
    """
    for number in range(TRIES):
        time.sleep(subject.pace.pause_s)
        try:
            return ask()
        except Refused:
            raise
        except LineError:
            if number == TRIES - 1:
                raise
            subject.pace.slow()
            time.sleep(PAUSE_S)
    raise AssertionError("unreachable")
