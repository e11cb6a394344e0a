"""A serial line without a wire: two pseudo-terminals, each the other's far end."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["null_modem"]

PIECE = 4096


@contextmanager
def null_modem() -> Iterator[tuple[str, str]]:
    """Yield the names of two pseudo-terminals that are wired to each other while inside."""
    pairs = [os.openpty(), os.openpty()]
    for pair in pairs:
        for end in pair:
            tty.setraw(end)
    (left, _), (right, _) = pairs
    stopped, stop = os.pipe()
    thread = threading.Thread(target=_carry, args=(left, right, stopped), daemon=True)
    thread.start()
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        os.write(stop, b"\0")
        thread.join()
        for fd in (*pairs[0], *pairs[1], stop, stopped):
            os.close(fd)


def _carry(left: int, right: int, stopped: int) -> None:
    while True:
        for end in select.select([left, right, stopped], [], [])[0]:
            if end == stopped:
                return
            os.write(right if end == left else left, os.read(end, PIECE))
