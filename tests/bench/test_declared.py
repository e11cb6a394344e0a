"""What a maker states of a device, for the suites that hold it to that."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.bench.files import load_bench
from twin.errors import InputProblems

TERMINAL = """
name = "lab-2"

[[devices]]
name = "terminal-1"
map = "terminal-own"
transport = "tcp"
host = "127.0.0.1"
rated_kw = 300.0
declared = {{ {} }}
"""


def bench(folder: Path, declared: str) -> Path:
    path = folder / "bench.toml"
    path.write_text(TERMINAL.format(declared), encoding="utf-8")
    return path


def test_what_is_declared_is_a_number_by_name(tmp_path: Path) -> None:
    file = load_bench(bench(tmp_path, "protected = true, security_share = 0.25, min_off_s = 300"))
    declared = file.devices[0].declared
    assert declared.values() == {"protected": 1.0, "security_share": 0.25, "min_off_s": 300.0}
    assert load_bench(bench(tmp_path, "")).devices[0].declared.values() == {"protected": 0.0}


def test_everything_that_cannot_be_declared_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputProblems) as caught:
        load_bench(bench(tmp_path, "circuit_shares = 0.2, security_share = 25, min_off_s = -1"))
    text = str(caught.value)
    assert "circuit_shares" in text
    assert "circuit_share_1" in text
    assert "security_share" in text
    assert "min_off_s" in text
