"""The wish to end, by Ctrl-C or a termination, which nothing can swallow."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Ending"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """Remembers while inside that the process was told to end.

    Handlers end a run by an exception. One that is raised within a finaliser, or where compiled
    code looks at its arguments, is lost; so `check` raises it again at a moment of our own.
    Signals that are ignored stay so, and outside the main thread nothing is changed.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before = signal.getsignal(number)
                if callable(before):
                    self._before[number] = before
                    signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._before[signal.Signals(number)](number, frame)

    def check(self) -> None:
        """Raise KeyboardInterrupt where the process was told to end."""
        if self.asked:
            raise KeyboardInterrupt
