"""A line that the guard holds, as the runner speaks through it.

For devices that take one client only, and for serial lines, which have one master. What is
written passes the runner's journal and limits first, as at any other line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hil.bench.connecting import LineSpec
from hil.bench.errors import Garbage, LineDown, LineError, NoAnswer, Refused
from hil.bench.frames import FrameLog
from hil.bench.guard_errors import GuardTripped
from hil.bench.guard_link import Message
from hil.registers.schema import TableName

__all__ = ["HeldLine"]

PLAIN: dict[str, type[LineError]] = {"LineDown": LineDown, "NoAnswer": NoAnswer}


class HeldLine:
    """The way to a device through the guard; raises what a `Line` raises, and GuardTripped.

    Parameters
    ----------
    spec : where the guard reaches it
    ask : has the guard do a request: (place, unit, time-out of the answer [s], what) to the result
    frames : where every frame goes, with the time at which the runner heard of it
    """

    def __init__(
        self,
        spec: LineSpec,
        ask: Callable[..., Message],
        frames: FrameLog | None = None,
    ) -> None:
        self.spec, self._ask = spec, ask
        self.frames = FrameLog() if frames is None else frames

    @property
    def name(self) -> str:
        """Return where it leads, for people."""
        return f"{self.spec.place} unit {self.spec.unit} (through the guard)"

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        """Return registers or bits."""
        return list(self._do("read", table=table, address=address, count=count)["words"])

    def write(self, table: TableName, address: int, words: Sequence[int]) -> None:
        """Write registers or bits, with one request."""
        self._do("write", table=table, address=address, words=[int(w) for w in words])

    def raw(self, function: int, data: bytes) -> bytes:
        """Return what a function was answered with, its code left out."""
        return bytes.fromhex(self._do("raw", function=function, data=data.hex())["data"])

    def close(self) -> None:
        """End the connection that the guard has; the next request opens it anew."""
        self._do("close")

    def _do(self, what: str, **more: Any) -> Message:
        # A connection is made first where there is none: twice the line's time.
        spec = self.spec
        result = self._ask(spec.place, spec.unit, 2.0 * spec.timeout_s, what=what, **more)
        for sent, data in result.get("frames", ()):
            self.frames.add(self.spec.place, sent, bytes.fromhex(data))
        error = result.get("error")
        if error is None:
            return result
        raise _as_raised(error)


def _as_raised(row: Message) -> Exception:
    """Return the exception that the guard met."""
    name, text = row["class"], row["text"]
    if name == "Refused":
        return Refused(row["line"], row["function"], row["code"])
    if name == "Garbage":
        return Garbage(row["line"], text, b"")
    if name in PLAIN:
        return PLAIN[name](row["line"], text)
    if name == "Stopped":
        return GuardTripped(text)
    return ValueError(text)
