"""What goes from a test into the JUnit file, and the files that it names.

Properties are added to the test itself, so that they travel with its report: from a worker of
xdist to the one process that writes the file.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping

import pytest

from hil.bench.frames import Frame

__all__ = ["TestEvidence"]

NAME_LENGTH = 80
BLOCK = 1 << 20


class TestEvidence:
    """The evidence of one test: a folder of its own, and properties.

    Parameters
    ----------
    request : of a fixture of the test
    factory : makes the folder where ``--device-evidence`` names none
    topic : first part of the properties' names, and name of the folder
    """

    __test__ = False  # a class of pytest's it is not

    def __init__(
        self, request: pytest.FixtureRequest, factory: pytest.TempPathFactory, topic: str
    ) -> None:
        self.item: pytest.Item = request.node
        self.topic = topic
        self.start = request.config.invocation_params.dir
        kept = request.config.getoption("--device-evidence")
        if kept is None:
            self.folder = factory.mktemp(f"{topic}-", numbered=True)
            return
        home = self.start / str(kept)
        self.folder = home / _plain(self.item.nodeid) / topic
        if self.folder.exists():  # of an earlier run of the same test
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)

    def say(self, name: str, value: object) -> None:
        """Add a property ``<topic>.<name>``; where its topic is there already, one more."""
        self.item.user_properties.append((f"{self.topic}.{name}", str(value)))

    def say_all(self, values: Mapping[str, object]) -> None:
        """Add a property for each value that is not empty."""
        for name, value in values.items():
            if value not in ("", None):
                self.say(name, value)

    def file(self, name: str) -> None:
        """Name a file of the folder, from where pytest was started, and its SHA-256."""
        path = self.folder / name
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        self.say(name, path.relative_to(self.start) if path.is_relative_to(self.start) else path)
        self.say(f"{name}.sha256", digest.hexdigest())

    def frames(self, frames: list[Frame], dropped: int) -> None:
        """Keep what went over the wire, and name it."""
        with (self.folder / "frames.jsonl").open("w", encoding="utf-8") as file:
            for frame in frames:
                file.write(json.dumps(frame.row()) + "\n")
        self.file("frames.jsonl")
        if dropped > 0:
            self.say("frames.dropped", dropped)


def _plain(node: str) -> str:
    """Return a test's name as a folder's: readable, and unlike any other's."""
    short = re.sub(r"[^\w.-]+", "-", node, flags=re.ASCII).strip("-.")[-NAME_LENGTH:]
    return f"{short}-{hashlib.sha256(node.encode()).hexdigest()[:8]}"
