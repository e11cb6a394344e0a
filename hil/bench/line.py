"""A Modbus connection to a device on the bench, by TCP, TLS or a serial line.

pymodbus carries it. Nothing is asked twice: a request goes out once, and what became of it is
said. Answers are held against the request by `hil.bench.answers` from the frames themselves,
which pymodbus shows through its ``trace_packet``. Units behind one gateway or on one serial line
share its `Wire`.

On a serial line a request that was not answered is followed by a silence as long as the time-out,
in which a late answer is thrown away; a device that is slower still needs a longer time-out.
"""

from __future__ import annotations

import logging
import struct
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.pdu import ModbusPDU

from hil.bench import answers
from hil.bench.connecting import LineSpec, connection, why_not
from hil.bench.errors import Garbage, LineDown, NoAnswer, Refused
from hil.bench.frames import FrameLog
from hil.registers.schema import TableName

__all__ = ["Line", "LineSpec", "Speaking", "Wire"]

# What pymodbus logs is said by our errors.
logging.getLogger("pymodbus.logging").addHandler(logging.NullHandler())

READ = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
EXCEPTION = 0x80
ON, OFF = 0xFF00, 0x0000
# Descriptors that select can tell (FD_SETSIZE).
SELECTED = 1024
T = TypeVar("T")


class Speaking(Protocol):
    """What a line can do; whoever speaks through another process offers the same."""

    @property
    def name(self) -> str:
        """Return where it leads, for people."""
        ...

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        """Return registers or bits."""
        ...

    def write(self, table: TableName, address: int, words: Sequence[int]) -> None:
        """Write registers or bits, with one request."""
        ...

    def raw(self, function: int, data: bytes) -> bytes:
        """Return what a function was answered with, its code left out."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class _Raw(ModbusPDU):
    """Any request or answer, as bytes."""

    def __init__(self, function: int = 0, data: bytes = b"", unit: int = 1) -> None:
        super().__init__(dev_id=unit)
        self.data = data
        if function > 0:
            self.function_code = function

    def encode(self) -> bytes:
        return self.data

    def decode(self, data: bytes) -> None:
        self.data = data

    @classmethod
    def calculateRtuFrameSize(cls, data: bytes) -> int:  # noqa: N802
        """Return the size of the answer, 0 while too little of it is there."""
        return answers.size_of_rtu(data)


class Wire:
    """One connection, shared by the units that it leads to.

    Parameters
    ----------
    spec : whose unit is of no account
    frames : where every frame goes; None: a log of its own

    Attributes
    ----------
    pause_s : least time from an answer to the next request, which some devices want [s]
    """

    def __init__(self, spec: LineSpec, frames: FrameLog | None = None) -> None:
        self.spec = spec
        self.frames = FrameLog() if frames is None else frames
        self.lock = threading.RLock()
        self.pause_s = spec.gap_s
        self._sent, self._pieces = b"", b""
        self.client = connection(spec, self._trace)
        self._known: set[int] = set()
        # Nothing is sent sooner [s, monotonic].
        self._free_s = 0.0

    def open(self) -> None:
        """Open the connection, where it is not open; raises LineDown."""
        with self.lock:
            if self.client.connected:
                return
            if not self.client.connect():
                raise LineDown(self.spec.place, why_not(self.spec))
            self._not_before(self.spec.settle_s)
            one = self.client.socket
            if self.spec.transport == "rtu" and one is not None and one.fileno() >= SELECTED:
                number = one.fileno()
                self._end()
                raise LineDown(
                    self.spec.place,
                    f"descriptor {number}: pyserial waits with select, which knows none from "
                    f"{SELECTED} on; open the line before thousands of sockets",
                )

    def close(self) -> None:
        """End the connection; the next request opens it anew."""
        with self.lock:
            self._end()

    def _end(self) -> None:
        self.client.close()  # type: ignore[no-untyped-call]

    def ask(self, unit: int, function: int, data: bytes) -> bytes:
        """Send a request once and return the PDU that answers it, an exception's as well.

        Raises LineDown, NoAnswer, Garbage.
        """
        request = _Raw(function, data, unit)
        with self.lock:
            self.open()
            if function not in self._known:
                self._known.add(function)
                self.client.register(type(f"_Raw{function}", (_Raw,), {"function_code": function}))
            time.sleep(max(self._free_s - time.monotonic(), 0.0))
            self._sent = self._pieces = b""
            lost: ConnectionException | None = None
            try:
                self.client.execute(False, request)
            except ConnectionException as error:
                lost = error
            except (ModbusException, OSError, ValueError, LookupError, struct.error):
                pass  # what came is looked at below
            got, self._pieces = self._pieces, b""
            self._not_before(self.pause_s)
            if got:
                self.frames.add(self.spec.place, False, got)
            return self._answer(got, lost)

    def _answer(self, got: bytes, lost: ConnectionException | None) -> bytes:
        place, sent = self.spec.place, self._sent
        find = answers.pdu_of_rtu if self.spec.transport == "rtu" else answers.pdu_of_tcp
        try:
            if got and sent:
                return find(sent, got)
        except answers.Wrong as wrong:
            if not wrong.late and lost is None:
                # Nothing tells where the next answer begins.
                self._end()
                raise Garbage(place, str(wrong), got) from None
        if lost is not None:
            self._end()
            hint = ", maybe for want of a certificate that it trusts"
            raise LineDown(
                place,
                "the other end has closed the connection"
                + (hint if self.spec.transport == "tls" else ""),
            ) from None
        if self.spec.transport == "rtu":
            # An answer on a serial line has no number: a late one would be taken for the next.
            self._not_before(self.spec.timeout_s)
        raise NoAnswer(place, f"no answer within {self.spec.timeout_s:g} s")

    def _not_before(self, seconds: float) -> None:
        """Let nothing be sent within the next seconds."""
        self._free_s = max(self._free_s, time.monotonic() + seconds)

    def _trace(self, sending: bool, data: bytes) -> bytes:
        """Take note of a frame; what is received comes again with every piece of it."""
        if sending:
            self._sent = data
            self.frames.add(self.spec.place, True, data)
        elif data.startswith(self._pieces):
            self._pieces = data
        else:
            self._pieces += data
        return data


class Line:
    """The way to one unit.

    Parameters
    ----------
    spec : where
    frames : where every frame goes; None: the wire's
    wire : a connection that others use as well; None: one of its own
    """

    def __init__(
        self, spec: LineSpec, frames: FrameLog | None = None, wire: Wire | None = None
    ) -> None:
        self.spec = spec
        self.wire = Wire(spec, frames) if wire is None else wire
        self.frames = self.wire.frames

    @property
    def name(self) -> str:
        """Return where it leads, for people."""
        return f"{self.spec.place} unit {self.spec.unit}"

    def open(self) -> None:
        """Open the connection, where it is not open; raises LineDown."""
        self.wire.open()

    def close(self) -> None:
        """End the connection, for every unit on it; the next request opens it anew."""
        self.wire.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        """Return `count` registers (uint16) or bits (0, 1) from `address` on.

        Raises LineDown, NoAnswer, Garbage, Refused.
        """
        data = struct.pack(">HH", address, count)
        pdu = self._pdu(READ[table], data)
        bits = table in ("coil", "discrete")
        return self._sound(pdu, lambda: _counted(bits)(pdu, count))

    def write(self, table: TableName, address: int, words: Sequence[int]) -> None:
        """Write registers or bits with one request: functions 5 and 6 for one, 15 and 16 for more.

        Where the line says ``multiple_only`` it is always 15 and 16.

        Raises LineDown, NoAnswer, Garbage, Refused. After NoAnswer and Garbage it is not known
        whether the device took it.
        """
        if table not in ("coil", "holding") or len(words) == 0:
            raise ValueError(f"{len(words)} words to table {table}")
        bits = table == "coil"
        if len(words) == 1 and not self.spec.multiple_only:
            second = (ON if words[0] else OFF) if bits else words[0]
            function = 5 if bits else 6
            data = struct.pack(">HH", address, second)
        else:
            second = len(words)
            function = 15 if bits else 16
            body = _packed_bits(words) if bits else struct.pack(f">{len(words)}H", *words)
            data = struct.pack(">HHB", address, len(words), len(body)) + body
        pdu = self._pdu(function, data)
        self._sound(pdu, lambda: answers.check_echo(pdu, address, second))

    def raw(self, function: int, data: bytes) -> bytes:
        """Return what function 1 to 127 was answered with, its code left out.

        On a serial line an answer ends where its checksum is right. Raises as `read` does.
        """
        return self._pdu(function, data)[1:]

    def _pdu(self, function: int, data: bytes) -> bytes:
        if not 1 <= function < EXCEPTION:
            raise ValueError(f"function {function}, not 1 to 127")
        pdu = self.wire.ask(self.spec.unit, function, data)
        if pdu[0] & EXCEPTION:
            raise Refused(self.name, function, pdu[1])
        return pdu

    def _sound(self, pdu: bytes, check: Callable[[], T]) -> T:
        """Return what a check finds in a PDU; Garbage where it finds fault."""
        try:
            return check()
        except answers.Wrong as wrong:
            self.wire.close()
            raise Garbage(self.name, str(wrong), pdu) from None


def _counted(bits: bool) -> Callable[[bytes, int], list[int]]:
    return answers.count_bits if bits else answers.count_registers


def _packed_bits(bits: Sequence[int]) -> bytes:
    packed = bytearray(-(-len(bits) // 8))
    for i, bit in enumerate(bits):
        packed[i // 8] |= (bit & 1) << i % 8
    return bytes(packed)
