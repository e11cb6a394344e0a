"""Bytes of our own: what no well-behaved client sends, on a stream or on a serial line."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import serial

from hil.bench.connecting import LineSpec, tls_context
from hil.bench.errors import LineDown
from hil.bench.frames import FrameLog

__all__ = ["GARBLED", "Talk", "crc16", "exception_of", "read_pdu"]

RECEIVE = 4096
HEADER = 6
SHORTEST = 4
GARBLED = b"\0"
READS, WRITES = (1, 2, 3, 4, 23), (5, 6, 15, 16)
# Silence that ends an answer on a serial line [s]; an operating system cannot keep 3.5 characters.
SILENCE_S = 0.03


def crc16(data: bytes) -> bytes:
    """Return the checksum of a serial frame (Modbus over Serial Line 1.02, 6.2.2), low byte first.

    >>> crc16(bytes.fromhex("010300000001")).hex()
    '840a'
    """
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


class Talk:
    """One connection of its own to a device, opened when it is made.

    Raises LineDown where it cannot be opened; what is sent to an end that has gone is lost.

    Parameters
    ----------
    spec : where; nobody else may have a serial line open
    frames : where every frame goes
    before : is told what is about to be sent
    """

    def __init__(
        self, spec: LineSpec, frames: FrameLog, before: Callable[[bytes], None] | None = None
    ) -> None:
        self.spec, self.frames, self._before = spec, frames, before
        self.tid = 0
        self._held = b""
        self._port: serial.Serial | None = None
        self._socket: socket.socket | None = None
        try:
            self._open()
        except OSError as error:
            raise LineDown(spec.place, f"cannot be opened: {error}") from None

    def _open(self) -> None:
        spec = self.spec
        if spec.transport == "rtu":
            self._port = serial.Serial(
                spec.serial, spec.baud, parity=spec.parity, stopbits=spec.stopbits,
                timeout=spec.timeout_s,
            )  # fmt: skip
            return
        plain = socket.create_connection((spec.host, spec.port), spec.timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = spec.transport == "tls"
        self._socket = tls_context(spec).wrap_socket(plain) if tls else plain

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        for end in (self._socket, self._port):
            if end is not None:
                end.close()

    def frame(self, pdu: bytes, unit: int | None = None) -> bytes:
        """Return a request as it goes over this line, the next transaction's."""
        to = self.spec.unit if unit is None else unit
        if self._port is not None:
            data = bytes([to]) + pdu
            return data + crc16(data)
        self.tid = self.tid % 0xFFFF + 1
        return struct.pack(">HHHB", self.tid, 0, len(pdu) + 1, to) + pdu

    def send(self, *pieces: bytes, pause_s: float = 0.0) -> None:
        """Send pieces one after the other."""
        for number, piece in enumerate(pieces):
            if number > 0 and pause_s > 0.0:
                time.sleep(pause_s)
            if self._before is not None:
                self._before(piece)
            if self._port is not None:
                self._port.write(piece)
            elif self._socket is not None:
                with suppress(OSError):  # `answer` says that the other end has gone
                    self._socket.sendall(piece)
            self.frames.add(self.spec.place, True, piece)

    def answer(self, wait_s: float | None = None) -> bytes | None:
        """Return the next whole frame; None: none came in time, ``b""``: the other end closed."""
        wait = self.spec.timeout_s if wait_s is None else wait_s
        found = self._of_line(wait) if self._port is not None else self._of_stream(wait)
        if found:
            self.frames.add(self.spec.place, False, found)
        return found

    def ask(self, pdu: bytes, unit: int | None = None, wait_s: float | None = None) -> bytes | None:
        """Return the PDU that answers another.

        None: none came in time; ``b""``: the other end closed; `GARBLED`: what came is no frame.
        """
        sent = self.frame(pdu, unit)
        self.send(sent)
        end_s = time.monotonic() + (self.spec.timeout_s if wait_s is None else wait_s)
        while True:
            got = self.answer(max(end_s - time.monotonic(), 0.0))
            if not got:
                return got
            # A late answer to an earlier request is nobody's any more.
            if self._port is not None or not self._earlier(got, sent):
                return self._pdu(got)

    def _earlier(self, got: bytes, sent: bytes) -> bool:
        return 0 < int.from_bytes(got[:2], "big") < int.from_bytes(sent[:2], "big")

    def _pdu(self, frame: bytes) -> bytes:
        if self._port is None:
            return frame[HEADER + 1 :] or GARBLED
        good = len(frame) >= SHORTEST and crc16(frame[:-2]) == frame[-2:]
        return frame[1:-2] if good else GARBLED

    def _of_stream(self, wait_s: float) -> bytes | None:
        if self._socket is None:
            return b""
        end_s = time.monotonic() + wait_s
        while True:
            if len(self._held) >= HEADER:
                length = HEADER + int.from_bytes(self._held[4:6], "big")
                if len(self._held) >= length:
                    whole, self._held = self._held[:length], self._held[length:]
                    return whole
            left_s = end_s - time.monotonic()
            if left_s <= 0.0:
                return None
            self._socket.settimeout(left_s)
            try:
                piece = self._socket.recv(RECEIVE)
            except TimeoutError:
                return None
            except OSError:
                return b""
            if not piece:
                return b""
            self._held += piece

    def _of_line(self, wait_s: float) -> bytes | None:
        port = self._port
        if port is None:
            return b""
        port.timeout = wait_s
        found: bytes = port.read(1)
        while found and (size := _left(found)) > 0:
            # Where the length is known the rest is waited for, else a silence ends the frame.
            port.timeout = SILENCE_S if size == RECEIVE else self.spec.timeout_s
            more: bytes = port.read(size)
            if not more:
                break
            found += more
        return found or None


def _left(frame: bytes) -> int:
    """Return how many bytes a serial answer still lacks by its function; all, where unknown."""
    if len(frame) < 3:
        return 3 - len(frame)
    function = frame[1]
    if function & 0x80:
        return SHORTEST + 1 - len(frame)
    if function in READS:
        return 5 + frame[2] - len(frame)
    return 8 - len(frame) if function in WRITES else RECEIVE


def read_pdu(function: int, address: int, count: int) -> bytes:
    """Return the PDU of a read."""
    return struct.pack(">BHH", function, address, count)


def exception_of(pdu: bytes | None) -> int | None:
    """Return the exception code of an answer, None where it is none."""
    return pdu[1] if pdu is not None and len(pdu) == 2 and pdu[0] & 0x80 else None
