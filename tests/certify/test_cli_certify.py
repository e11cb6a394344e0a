"""``hil certify`` as a user types it, in a process that is really interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from typer.testing import CliRunner

from hil.cli import app
from twin.errors import InputProblems

HIL = [sys.executable, "-c", "from hil.cli import main; main()"]
LONGEST_S = 60.0


def test_a_run_that_is_interrupted_is_resumed(tmp_path: Path) -> None:
    out = tmp_path / "run"
    told = ["certify", "emulated:storage", "--suite", "protocol", "--out", str(out)]
    with subprocess.Popen([*HIL, *told], stderr=subprocess.PIPE, text=True) as one:
        end_s = time.monotonic() + LONGEST_S
        while not (out / "steps/header/header/step.json").exists():
            assert time.monotonic() < end_s
            assert one.poll() is None
            time.sleep(0.02)
        one.send_signal(signal.SIGINT)
        _, said = one.communicate(timeout=LONGEST_S)
    assert one.returncode == 3
    assert "--resume goes on with them" in " ".join(said.split())
    assert not (out / "record.json").exists()
    last = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()][-1]
    assert last["entry"] == "read_back"
    assert last["values"]["set_power_kw"] == 0.0
    again = CliRunner().invoke(app, [*told, "--resume"])
    assert again.exit_code == 0, again.output
    record = json.loads((out / "record.json").read_text("utf-8"))
    steps = [s for p in record["procedures"] for s in p["steps"]]
    assert steps[0]["resumed"]
    assert not steps[-1]["resumed"]
    assert record["outcome"] == "pass"
    assert (out / "certificate.json").exists()


def test_a_device_that_fails_ends_with_status_1(tmp_path: Path) -> None:
    device = ["certify", "broken:words-swapped", "--out", str(tmp_path / "run")]
    found = CliRunner().invoke(app, [*device, "--suite", "register-map"])
    assert found.exit_code == 1
    said = " ".join(found.output.split())
    assert "Register map, tested on an emulated device / 点表检测记录（仿真设备）" in said
    assert "time-compressed (emulated)" in said
    assert "words exchanged (CDAB)" in said


def test_everything_wrong_with_a_call_is_said_at_once(tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "letter.txt").write_text("not a run")
    told = ["certify", "emulated:storag", "--suite", "protocl", "--out", str(out)]
    found = CliRunner().invoke(app, [*told, "--transport", "rs485"])
    assert isinstance(found.exception, InputProblems)
    said = str(found.exception)
    for word in ("did you mean protocol", "did you mean storage", "holds no run", "rs485"):
        assert word in said
