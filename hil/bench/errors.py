"""What goes wrong on a bench.

::

    TwinError
    └── BenchError
        ├── LineError            between us and a device; `line` says which
        │   ├── LineDown         cannot be opened, or the other end has gone
        │   ├── NoAnswer         nothing within the time-out
        │   ├── Garbage          bytes that do not answer what was asked
        │   └── Refused          a Modbus exception; `code` is its number
        └── Forbidden            not sent: the bench does not permit it

What is wrong with a bench file is bad input (`twin.errors.InputProblems`).
"""

from __future__ import annotations

from twin.errors import TwinError

__all__ = [
    "EXCEPTIONS", "BenchError", "Forbidden", "Garbage", "LineDown", "LineError", "NoAnswer",
    "Refused",
]  # fmt: skip

# Modbus Application Protocol 1.1b3, section 7.
EXCEPTIONS = {
    1: "illegal function", 2: "illegal address", 3: "illegal value", 4: "device failure",
    5: "acknowledged, still at it", 6: "busy", 8: "memory parity", 10: "gateway has no path",
    11: "no device behind the gateway",
}  # fmt: skip


class BenchError(TwinError):
    """Anything that the bench raises on purpose."""


class LineError(BenchError):
    """Something between us and a device.

    Attributes
    ----------
    line : str  where, as a person would look for it
    """

    def __init__(self, line: str, text: str) -> None:
        self.line = line
        super().__init__(f"{line}: {text}")


class LineDown(LineError):
    """The line cannot be opened, or the other end has gone; the next request opens it anew."""


class NoAnswer(LineError):
    """Nothing came within the time-out; whether the device did what was asked is not known."""


class Garbage(LineError):
    """Bytes came that do not answer what was asked.

    Attributes
    ----------
    data : bytes  what came
    """

    def __init__(self, line: str, text: str, data: bytes) -> None:
        self.data = data
        shown = data[:24].hex(" ") + (" ..." if len(data) > 24 else "")
        super().__init__(line, f"{text} ({len(data)} bytes: {shown})")


class Refused(LineError):
    """The device answered with a Modbus exception.

    Attributes
    ----------
    code : int  1 to 255, see `EXCEPTIONS`
    """

    def __init__(self, line: str, function: int, code: int) -> None:
        self.function, self.code = function, code
        meaning = EXCEPTIONS.get(code, "no exception that the standard knows")
        super().__init__(line, f"function {function} refused: exception {code}, {meaning}")


class Forbidden(BenchError):
    """Nothing was sent: dry run, no confirmed emergency stop, or outside the bench's limits."""
