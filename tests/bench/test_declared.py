"""What a maker states of a device, for the suites that hold it to that."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.bench.drivers.opening import role_of
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


METERS = """
[[instruments]]
name = "{}"
driver = "meter_modbus"
device = "terminal-1"
map = "meter-own"
point = "demand_kw"
positive = "from_grid"
host = "127.0.0.1"
class_pct = 0.5
range_kw = 400.0
auxiliary = {}
"""


def test_a_meter_of_auxiliaries_is_no_meter_of_the_device(tmp_path: Path) -> None:
    path = bench(tmp_path, "")
    text = path.read_text("utf-8")
    path.write_text(text + METERS.format("own", "false") + METERS.format("pumps", "true"), "utf-8")
    roles = {one.name: role_of(one) for one in load_bench(path).instruments}
    assert roles == {"own": "meter", "pumps": "meter_auxiliary"}
