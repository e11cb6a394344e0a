"""A serial device that answers in pieces."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pymodbus.framer.rtu import FramerRTU


@contextmanager
def in_pieces(pieces: Sequence[bytes], pause_s: float = 0.04) -> Iterator[str]:
    """Yield a terminal at whose other end each request is answered with these pieces."""
    ours, theirs = os.openpty()
    for end in (ours, theirs):
        tty.setraw(end)

    def answer() -> None:
        with contextlib.suppress(OSError):
            while os.read(ours, 260):
                for piece in pieces:
                    os.write(ours, piece)
                    time.sleep(pause_s)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    try:
        yield os.ttyname(theirs)
    finally:
        os.close(theirs)
        thread.join(2.0)
        os.close(ours)


def with_checksum(frame: bytes) -> bytes:
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")
