"""``hil`` in a process of its own, ended whatever happens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HIL = Path(sys.executable).with_name("hil")
PATIENCE_S = 90.0


@dataclass(slots=True)
class Process:
    """A running ``hil``; its errors are read as they come, so that no pipe fills."""

    process: subprocess.Popen[str]
    errors: list[str] = field(default_factory=list)
    reader: threading.Thread | None = None

    def listening(self) -> list[dict[str, Any]]:
        """Return the devices that ``--json`` says once they listen."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("{"):
            raise AssertionError(f"no line of devices: {line!r} {self.ended()}")
        devices: list[dict[str, Any]] = json.loads(line)["devices"]
        return devices

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str, str]:
        """Return status, the rest of the output, and the errors."""
        assert self.process.stdout is not None
        assert self.reader is not None
        killer = threading.Timer(PATIENCE_S, self.process.kill)
        killer.start()
        try:
            out = self.process.stdout.read()
            status = self.process.wait()
        finally:
            killer.cancel()
        self.reader.join()
        return status, out, "".join(self.errors)


@contextmanager
def hil_process(folder: Path, *words: object) -> Iterator[Process]:
    # A test run in the background of a shell ignores Ctrl-C, and its children would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        started = subprocess.Popen(
            [str(HIL), *(str(w) for w in words)], cwd=folder, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, before)
    with started as process:
        found = Process(process)

        def read() -> None:
            assert process.stderr is not None
            found.errors.extend(process.stderr)

        found.reader = threading.Thread(target=read, daemon=True)
        found.reader.start()
        try:
            yield found
        finally:
            process.kill()
            found.reader.join()


def summary(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path / "summary.json").read_text("utf-8"))
    return found


def wait_for(true: Any, limit_s: float = 10.0) -> None:
    """Wait until `true()` is."""
    limit = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < limit, "in vain"
        time.sleep(0.01)
