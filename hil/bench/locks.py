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
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Busy", "only_user"]

PAUSE_S = 0.05


class Busy(Exception):
    """Everything that would do was in use for longer than one waits."""


def _opened(key: str) -> int:
    """Return the lock's file, opened; it is there for every user of the machine.

    A user of a bench machine, and the pipeline that runs there under another name, share it. A
    file that somebody else has made is only read, which is enough to lock it.
    """
    home = Path(tempfile.gettempdir()) / "suitwin-locks"
    with suppress(FileExistsError):
        home.mkdir()
        home.chmod(0o1777)
    path = home / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.lock"
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(FileExistsError):
        os.close(os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644))
    return os.open(path, flags)


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
            file = _opened(key)
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
