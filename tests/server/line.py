"""Two pseudo-terminals that hear each other: a serial line without a wire."""

from __future__ import annotations

import os
import select
import threading
import tty
from types import TracebackType

LOOK_S = 0.05


class PtyLine:
    """Whatever is written to the terminal `ends[0]` comes out of `ends[1]`, and the reverse."""

    def __init__(self) -> None:
        pairs = [os.openpty() for _ in range(2)]
        self.masters = [master for master, _ in pairs]
        # Held open: a terminal whose last holder closes it hangs up.
        self.slaves = [slave for _, slave in pairs]
        for slave in self.slaves:
            tty.setraw(slave)
        self.ends = [os.ttyname(slave) for slave in self.slaves]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._carry, daemon=True)

    def _carry(self) -> None:
        first, second = self.masters
        other = {first: second, second: first}
        while not self.ending.is_set():
            for one in select.select(self.masters, [], [], LOOK_S)[0]:
                os.write(other[one], os.read(one, 4096))

    def __enter__(self) -> PtyLine:
        self.thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ending.set()
        self.thread.join(5.0)
        for fd in (*self.masters, *self.slaves):
            os.close(fd)
