"""The runs on wall time, all side by side: each leaves most of a core idle, none can be hurried."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
HIL, TWIN = (Path(sys.executable).with_name(name) for name in ("hil", "twin"))
RATE = 60
CLOSED = ("tiny", "district")
LONGEST_S = 360.0  # tiny covers three hours at a minute a second


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its status, its directory, and what it said."""

    status: int
    out: Path
    text: str

    @property
    def summary(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.out / "summary.json").read_text("utf-8"))
        return found

    def verdicts(self) -> dict[tuple[str, str | None], dict[str, object]]:
        rows = self.summary["verdicts"]
        return {(v["id"], v["order"]): v for v in rows}  # type: ignore[attr-defined]


class Running:
    """A process whose output goes to files, so that no pipe fills."""

    def __init__(self, folder: Path, *command: object) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.said, self.wrong = (
            (folder / name).open("w+", encoding="utf-8") for name in ("said", "wrong")
        )
        self.process = subprocess.Popen(
            [str(word) for word in command], cwd=folder, stdout=self.said, stderr=self.wrong
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *what: object) -> None:
        self.process.kill()
        self.process.wait()
        self.said.close()
        self.wrong.close()

    def text(self) -> str:
        return "".join((self.folder / name).read_text("utf-8") for name in ("said", "wrong"))

    def ended(self) -> Ended:
        status = self.process.wait(LONGEST_S)
        return Ended(status, self.folder / "run", self.text())


def closed(folder: Path, name: str) -> Running:
    """Close the loop over the wire with our own head-end."""
    wire = f"wire.port={free_port()}"
    return Running(folder, HIL, "run", name, "--rate", RATE, "--out", "run", "--set", wire)


def outside(folder: Path, *words: str) -> tuple[Running, Running]:
    """Serve `first-contact` to be judged, and let the platform wait for its inventory."""
    server = Running(
        folder, HIL, "serve", "first-contact", "--rate", RATE, "--judge", "--strict", "--kinds",
        "storage", "--inventory", "devices.csv", "--out", "run", "--set",
        f"wire.port={free_port()}",
    )  # fmt: skip
    script = ROOT / "tests/wire/platform.py"
    platform = Running(folder / "platform", sys.executable, script, folder / "devices.csv", *words)
    return server, platform


@pytest.fixture(scope="session")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ended]]:
    """Run everything once; keys: direct-NAME, wire-NAME, pass, fail."""
    folder = tmp_path_factory.mktemp("wire")
    found = {}
    for name in CLOSED:
        with Running(folder / f"direct-{name}", TWIN, "run", name, "--out", "run") as run:
            found[f"direct-{name}"] = run.ended()
    with ExitStack() as stack:
        waiting = {f"wire-{n}": stack.enter_context(closed(folder / n, n)) for n in CLOSED}
        for name, words in (("pass", ()), ("fail", ("--mistake",))):
            server, platform = outside(folder / name, *words)
            waiting[name] = stack.enter_context(server)
            stack.enter_context(platform)
        for name, run in waiting.items():
            found[name] = run.ended()
        yield found
