"""SCPI over a raw TCP socket: one line out, for a question one line back.

After any failure the connection is closed, so that a late answer is never taken for the answer
to a later question; the next call connects anew. Nothing is sent twice.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress

from hil.bench.roles import InstrumentGarbage, InstrumentRefused, InstrumentSilent

__all__ = ["Scpi"]

LONGEST_LINE = 4096
MOST_ERRORS = 32  # entries of an error queue that are read at most
_ERROR = re.compile(rb'^\s*([+-]?\d+)\s*,\s*"?([^"]*)"?\s*$')


class Scpi:
    """A connection to one instrument.

    Parameters
    ----------
    name : named in errors
    host, port : of the raw socket (5025 by custom)
    timeout_s : for connecting and for each answer [s]
    """

    def __init__(self, name: str, host: str, port: int, timeout_s: float) -> None:
        self.name, self.host, self.port, self.timeout_s = name, host, port, timeout_s
        self._socket: socket.socket | None = None
        self._rest = b""

    def connect(self) -> bool:
        """Connect and empty the error queue; false where the connection stands already.

        Raises InstrumentSilent, InstrumentGarbage.
        """
        if self._socket is not None:
            return False
        try:
            one = socket.create_connection((self.host, self.port), self.timeout_s)
        except OSError as error:
            raise InstrumentSilent(f"{self._where()}: no connection: {error}") from None
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket, self._rest = one, b""
        for _ in range(MOST_ERRORS):
            if self.error() is None:
                return True
        self.release()
        raise InstrumentGarbage(f"{self._where()}: its error queue has no end")

    def ask(self, question: str) -> str:
        """Return the answer to a question, without its line end."""
        self._send(question)
        return self._line(question).decode("ascii", "replace").strip()

    def number(self, question: str) -> float:
        """Return the answer to a question as a number; InstrumentGarbage where it is none."""
        answer = self.ask(question)
        try:
            value = float(answer)
        except ValueError:
            self.release()
            raise InstrumentGarbage(
                f"{self._where()}: {question} answered {answer[:60]!r}, no number"
            ) from None
        # SCPI's own number for 'not a number' is 9.91E37 (SCPI-99, 7.2.1.5, general knowledge).
        if not abs(value) < 9.9e37:
            raise InstrumentGarbage(f"{self._where()}: {question} has no value ({answer})")
        return value

    def tell(self, command: str) -> None:
        """Send a command and ask for errors; InstrumentRefused where there is one."""
        self._send(command)
        found = self.error()
        if found is not None:
            code, text = found
            raise InstrumentRefused(f"{self._where()}: {command}: error {code}, {text}", code)

    def error(self) -> tuple[int, str] | None:
        """Return the oldest entry of the error queue, None where it is empty."""
        self._send("SYST:ERR?")
        line = self._line("SYST:ERR?")
        match = _ERROR.match(line)
        if match is None:
            self.release()
            raise InstrumentGarbage(f"{self._where()}: SYST:ERR? answered {line[:60]!r}")
        code = int(match[1])
        return None if code == 0 else (code, match[2].decode("ascii", "replace"))

    def release(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
        self._socket, self._rest = None, b""

    def _send(self, text: str) -> None:
        if self._socket is None:
            raise InstrumentSilent(f"{self._where()}: not connected")
        if self._rest != b"":
            rest = self._rest
            self.release()
            raise InstrumentGarbage(f"{self._where()}: it said {rest[:60]!r} unasked")
        try:
            self._socket.sendall(text.encode("ascii") + b"\n")
        except OSError as error:
            self.release()
            raise InstrumentSilent(f"{self._where()}: {text}: {error}") from None

    def _line(self, question: str) -> bytes:
        """Return the next line without its end."""
        one, until_s = self._socket, time.monotonic() + self.timeout_s
        while one is not None and b"\n" not in self._rest:
            try:
                one.settimeout(max(until_s - time.monotonic(), 0.001))
                piece = one.recv(LONGEST_LINE)
            except OSError as error:
                self.release()
                raise InstrumentSilent(f"{self._where()}: {question}: {error}") from None
            if not piece:
                self.release()
                raise InstrumentSilent(f"{self._where()}: {question}: it closed the connection")
            self._rest += piece
            if len(self._rest) > LONGEST_LINE:
                self.release()
                raise InstrumentGarbage(f"{self._where()}: {question}: an answer without end")
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r")

    def _where(self) -> str:
        return f"{self.name} ({self.host}:{self.port})"
