"""The wish to end, by Ctrl-C or a termination, heard where it does no harm."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Ending"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ending:
    """Keeps back, while inside, the exception by which a signal ends the process.

    One that is raised within a finaliser is lost, and one that is raised while a kernel is
    loaded ends in a fault of the compiler's. So a signal is remembered, and its own handler is
    called only while `resting`. Signals that are ignored stay so, and outside the main thread
    nothing is changed.

    Attributes
    ----------
    asked : a signal has come
    resting : nothing is done but waiting; a signal ends that at once
    """

    def __init__(self) -> None:
        self.asked = self.resting = False
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
        if self.resting:
            self._before[signal.Signals(number)](number, frame)

    def check(self) -> None:
        """Raise KeyboardInterrupt where the process was told to end."""
        if self.asked:
            raise KeyboardInterrupt
