"""A connection in the guard's hand, with a thread of its own.

Units of one connection wait for each other, connections do not. What the runner asks for is
dropped once the guard is tripped, so that nothing stands before the safe state but the one
request that is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from hil.bench.connecting import LineSpec
from hil.bench.errors import BenchError, LineDown, LineError, Refused
from hil.bench.frames import FrameLog
from hil.bench.guard_link import Message
from hil.bench.line import Line, Wire

__all__ = ["HeldPlace", "Stopped"]

FRAMES = 1000  # that are kept; one request and its answer are a few


class Stopped(BenchError):
    """The guard is tripped: at this line nothing but the safe state is told any more."""


class HeldPlace:
    """One connection; raises InputProblems where the files of a TLS line cannot be used.

    Parameters
    ----------
    spec : where; its unit is of no account
    tripped : whether the guard is

    Attributes
    ----------
    left : units that are no more in the runner's hands
    """

    def __init__(self, spec: LineSpec, tripped: Callable[[], bool]) -> None:
        self.spec, self._tripped = spec, tripped
        self.wire = Wire(spec, FrameLog(FRAMES))
        self.thread = ThreadPoolExecutor(1, spec.place)
        self.left: set[int] = set()
        self._lines: dict[int, Line] = {}

    def line(self, unit: int) -> Line:
        """Return the way to a unit."""
        if unit not in self._lines:
            self._lines[unit] = Line(replace(self.spec, unit=unit), wire=self.wire)
        return self._lines[unit]

    def answer(self, message: Message) -> Message:
        """Do what the runner asks, once; return the result, an error's as well, and the frames."""
        with self.wire.lock:  # whoever else uses the connection leaves its frames outside
            self.wire.frames.take()
            try:
                result = self._do(message)
            except BenchError as error:
                result = {"error": _row(error)}
            except (ValueError, KeyError, TypeError) as error:
                result = {"error": {"class": "ValueError", "text": str(error)}}
            frames = [(frame.sent, frame.data.hex()) for frame in self.wire.frames.take()]
        return {"number": message["number"], "frames": frames, **result}

    def _do(self, message: Message) -> dict[str, Any]:
        what, unit = message["what"], message["unit"]
        line = self.line(unit)
        if self._tripped():
            raise Stopped("the guard is tripped")
        if unit in self.left:
            raise LineDown(line.name, "contact was lost and the guard has it")
        if what == "read":
            return {"words": line.read(message["table"], message["address"], message["count"])}
        if what == "write":
            line.write(message["table"], message["address"], message["words"])
        elif what == "raw":
            return {"data": line.raw(message["function"], bytes.fromhex(message["data"])).hex()}
        else:
            line.close()
        return {}


def _row(error: BenchError) -> dict[str, Any]:
    """Return an error as `HeldLine` raises it again."""
    row: dict[str, Any] = {"class": type(error).__name__, "text": str(error)}
    if isinstance(error, LineError):
        row |= {"line": error.line, "text": str(error).removeprefix(f"{error.line}: ")}
    if isinstance(error, Refused):
        row |= {"function": error.function, "code": error.code}
    return row
