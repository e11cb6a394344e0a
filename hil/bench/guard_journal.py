"""The guard's journal, which comes second to the devices."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from hil.bench.journal import EntryKind, Journal

__all__ = ["GuardJournal"]

JOURNAL_S = 0.5  # the longest wait for the disk (ours)


class GuardJournal(Journal):
    """A journal that never keeps its writer from acting, be its disk full, gone or hanging."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "guard")
        self._writer = ThreadPoolExecutor(1, "journal")

    def record(self, entry: EntryKind, device: str, **what: object) -> int:
        """Append an entry, waiting for it `JOURNAL_S` at most; 0 where it could not be written."""
        try:
            written = self._writer.submit(super().record, entry, device, **what)
            return written.result(JOURNAL_S)
        except TimeoutError:
            return 0
        except OSError as error:
            with suppress(OSError):
                sys.stderr.write(f"journal: {error}: {entry} {device} {what}\n")
            return 0

    def close(self) -> None:
        """End it; what has not been written by then is lost."""
        self._writer.shutdown(wait=False)
        with suppress(OSError):
            super().close()
