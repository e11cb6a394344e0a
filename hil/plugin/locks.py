"""One user at a time for what there is only once, across the processes of a machine.

A lock is a file that the system unlocks when its process ends, however it ends; it is keyed by
where a device is reached, so that two bench files with one device share its lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Busy", "only_user"]

PAUSE_S = 0.05


class Busy(Exception):
    """Everything that would do was in use for longer than one waits."""


def _file(key: str) -> Path:
    """Return the lock's file; the folder is the user's own, so that nobody else can hold it."""
    home = Path(tempfile.gettempdir()) / f"suitwin-locks-{os.getuid()}"
    home.mkdir(mode=0o700, exist_ok=True)
    return home / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lock"


@contextmanager
def only_user(keys: Sequence[str], wait_s: float) -> Iterator[int]:
    """Yield the index of a key that is nobody else's while inside; raises Busy.

    Parameters
    ----------
    keys : any of these will do; the first free one is taken
    wait_s : how long to wait for one to become free [s]
    """
    end_s = time.monotonic() + wait_s
    while True:
        for number, key in enumerate(keys):
            file = os.open(_file(key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            try:
                yield number
            finally:
                os.close(file)  # which unlocks it
            return
        if time.monotonic() >= end_s:
            raise Busy(f"in use for {wait_s:g} s: {', '.join(keys)}")
        time.sleep(PAUSE_S)
