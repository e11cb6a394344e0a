"""A platform that is not ours drives `hil serve --judge` to a pass; with a mistake, to a fail."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.wire.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
HIL = Path(sys.executable).with_name("hil")
RATE = 60

pytestmark = pytest.mark.paced


@dataclass(frozen=True, slots=True)
class Judged:
    """How a judged run ended."""

    status: int
    summary: dict[str, object]
    out: Path
    text: str

    def verdicts(self) -> dict[str, dict[str, object]]:
        return {v["id"]: v for v in self.summary["verdicts"]}  # type: ignore[attr-defined]


def judged(folder: Path, *words: str) -> Judged:
    """Serve `first-contact`, let the platform at it, and return what came of it."""
    out, inventory = folder / "run", folder / "devices.csv"
    command = [
        str(HIL), "serve", "first-contact", "--rate", str(RATE), "--judge", "--strict",
        "--kinds", "storage", "--inventory", str(inventory), "--json", "--out", str(out),
        "--set", f"wire.port={free_port()}",
    ]  # fmt: skip
    server = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        line = server.stdout.readline()  # what listens, as JSON
        assert line.startswith("{"), server.communicate(timeout=20)[1]
        platform = subprocess.run(
            [sys.executable, str(ROOT / "tests/wire/platform.py"), str(inventory), *words],
            capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip
        text, errors = server.communicate(timeout=120)
    finally:
        server.kill()
        server.wait()
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    return Judged(server.returncode, summary, out, platform.stdout + text + errors)


def test_a_platform_outside_passes(tmp_path: Path) -> None:
    run = judged(tmp_path)
    false = {k: v["value"] for k, v in run.verdicts().items() if v["passed"] is False}
    assert false == {}, run.text
    assert run.status == 0, run.text
    assert run.summary["carrier"] == "wire"
    assert run.summary["wire"]["acknowledged"] == {"dr-3": True}  # type: ignore[index]
    assert run.verdicts()["dr.capability"]["reason"] == "a platform outside cannot be forked"
    assert run.verdicts()["monitor.soc_error"]["passed"] is True
    announced = [json.loads(t) for t in (run.out / "orders.jsonl").read_text("utf-8").splitlines()]
    assert [(a["id"], a["mw"], a["at"]) for a in announced] == [("dr-3", 3.0, "08:45")]


def test_a_wrong_factor_fails(tmp_path: Path) -> None:
    run = judged(tmp_path, "--mistake")
    assert run.status == 1, run.text
    assert run.verdicts()["dr.delivered"]["passed"] is False
