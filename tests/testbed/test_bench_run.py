"""``hil run --bench``: two real devices, a guard, and one of them torn from the network.

hil run first-contact (own process) ──TCP──► dut-a: stays to the end
     │                              ──TCP──► dut-b: gone in the middle of its discharge
     └── guard (own process) ───────TCP──► both
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hil.bench.journal import read_journal
from hil.testbed.stage import Stage
from tests.testbed.conftest import Call
from tests.testbed.processes import PATIENCE_S, hil_process, summary, wait_for
from tests.testbed.world import new_port

pytestmark = [pytest.mark.paced, pytest.mark.timeout(120)]

RATE = 60
TIMES = {
    "start": "08:40", "end": "08:47", "orders.0.notice": "08:41", "orders.0.start": "08:42",
    "orders.0.full_by": "08:43", "orders.0.end": "08:46",
}  # fmt: skip
WORDS = [w for k, v in TIMES.items() for w in ("--set", f'{k}="{v}"')]
STOP = 'emergency_stop = "red button at the door, tested 2026-11-20 by Li"'
LEFT_KW, RIGHT_KW = 75.0, 1000.0  # in the places of 750 kW and of 1 000 kW


def device(name: str, port: int, rated_kw: float, replaces: str) -> str:
    return f"""
[[devices]]
name = "{name}"
map = "storage-own"
transport = "tcp"
host = "127.0.0.1"
port = {port}
timeout_s = 0.5
rated_kw = {rated_kw}
replaces = "{replaces}"
limits = {{ power_low_kw = -{rated_kw}, power_high_kw = {rated_kw}, ramp_kw_s = 2000.0 }}
safe_state = {{ set_power_kw = 0.0 }}
"""


def bench_text(left: int, right: int, stop: str = STOP) -> str:
    return f"""
name = "yard"
{stop}
{device("dut-a", left, LEFT_KW, "storage-00001")}
{device("dut-b", right, RIGHT_KW, "storage-00003")}
[[instruments]]
name = "grid"
driver = "source_fake"
device = "dut-a"
[guard]
settle_s = 1.0
[run]
poll_s = 0.05
lost_after_s = 1.5
"""


MANUAL = """
[[instruments]]
name = "eye"
driver = "meter_manual"
device = "dut-b"
class_pct = 1.0
range_kw = 100.0
"""


def station(rated_kw: float) -> Stage:
    plate = {"rated_kw": rated_kw, "capacity_kwh": 2.0 * rated_kw}
    return Stage("storage", "storage-own", nameplate=plate, start_s=31_200, state={"soc": 0.9})


@contextmanager
def ticking(stages: list[Stage]) -> Iterator[None]:
    """Let the devices' own time pass while inside."""
    going = True

    def tick() -> None:
        while going:
            for stage in stages:
                stage.clock.sleep(1.0)
            time.sleep(1.0 / RATE)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        going = False
        thread.join()


def figures(found: dict[str, Any], name: str) -> dict[str, Any]:
    one: dict[str, Any] = next(d for d in found["bench"]["devices"] if d["name"] == name)
    return one


def power_of(one: dict[str, Any]) -> dict[str, Any]:
    power: dict[str, Any] = next(d for d in one["difference"] if d["point"] == "power_kw")
    return power


def test_two_real_devices_of_which_one_is_lost(hil: Call, tmp_path: Path) -> None:
    with ExitStack() as stack:
        left, right = (stack.enter_context(station(kw)) for kw in (LEFT_KW, RIGHT_KW))
        (tmp_path / "bench.toml").write_text(bench_text(left.spec.port, right.spec.port))
        stack.enter_context(ticking([left, right]))
        words = (
            "run", "first-contact", *WORDS, "--set", "orders.0.mw=11.8", "--bench", "bench.toml",
            "--set", "wire.grid_period_s=1", "--set", f"wire.port={new_port()}", "--rate", RATE,
            "--out", "run",
        )  # fmt: skip
        run = stack.enter_context(hil_process(tmp_path, *words))
        wait_for(
            lambda: right.kind.power_kw[0] > 900.0 or run.process.poll() is not None, PATIENCE_S
        )
        right.__exit__(None, None, None)
        status, out, errors = run.ended()
        assert left.kind.state["power_set_kw"][0] == 0.0
        assert abs(left.kind.power_kw[0]) < 1.0
    assert "Nothing in this program replaces a hardware emergency stop" in errors
    assert "Traceback" not in errors
    # The run is whole; that one device is in nobody's hands is no success.
    assert status == 1, out + errors
    assert "LOST dut-b at 08:4" in out
    assert "NOT PROVEN SAFE: not proven to be at the safe state: dut-b" in " ".join(out.split())
    found = summary(tmp_path / "run")
    assert found["complete"]
    assert found["carrier"] == "bench"
    one, other = figures(found, "dut-a"), figures(found, "dut-b")
    assert (one["scale"], other["scale"]) == (10.0, 1.0)
    assert one["lost"] is None
    assert one["safe_state"]["proven"] is True
    assert other["safe_state"]["proven"] is False
    assert one["answers"] == {"accepted": one["orders"]}
    assert power_of(one)["delay_s"] > 0.0
    assert abs(power_of(one)["mean_commanded"]) < 75.0  # of 750: the same but for the delay
    (source,) = found["bench"]["sources"]
    assert (source["name"], source["bus_of"]) == ("grid", "dut-a")
    assert source["periods"] >= 400
    fed = pq.read_table(tmp_path / "run/source.parquet").to_pylist()
    assert 0.9 < fed[-1]["sent_pu"] == fed[-1]["asked_pu"] != 1.0
    orders = pq.read_table(tmp_path / "run/bench_orders.parquet").to_pylist()
    first = next(o for o in orders if o["device"] == "dut-a")
    assert (first["twin_value"], first["value"]) == (750.0, 75.0)
    told = [e for e in read_journal(tmp_path / "run/bench.jsonl") if e["entry"] == "write"]
    assert any(e["device"] == "dut-a" and e["value"] == 75.0 for e in told)
    # What would have been without the order is the twins' own doing from its notice on.
    kinds = pq.read_table(tmp_path / "run/timeseries/kind.parquet").to_pylist()
    without = {
        r["now_ms"] // 60_000 - 520: r["power_mw"]
        for r in kinds
        if (r["run"], r["kind"]) == ("undisturbed", "storage")
    }
    assert without[0] < -0.2  # the real ones charge, their twins do not
    assert -0.05 < without[3] < 0.0
    page = (tmp_path / "run/report.html").read_text("utf-8")
    assert 'id="bench-difference"' in page
    assert "dut-b was lost at 08:4" in page
    assert (tmp_path / "run/bench/dut-a.csv").stat().st_size > 1_000
    said = hil("replay", tmp_path / "run")
    assert said.status == 0, said.out
    assert "bit for bit" in said.out


# -- a bench that does not fit ------------------------------------------------------------------


def refused(hil: Call, folder: Path, text: str, *more: object) -> list[str]:
    (folder / "bench.toml").write_text(text)
    said = hil("run", "first-contact", "--bench", folder / "bench.toml", "--out", folder / "run",
               "--set", f"wire.port={new_port()}", *more)  # fmt: skip
    assert said.status == 2, said.out + said.err
    assert not (folder / "run").exists()
    return [" ".join(p.split()) for p in said.problems]


def test_everything_that_does_not_fit_is_said_at_once(hil: Call, tmp_path: Path) -> None:
    text = bench_text(1, 2, "").replace('"storage-00001"', '"storage-00099"')
    text = text.replace('"storage-00003"', '"storage-00000"').replace(
        "power_high_kw = 1000.0", "power_high_kw = 500.0"
    )
    text += MANUAL
    found = refused(hil, tmp_path, text, "--rate", 0.3)
    wanted = (
        "emergency_stop: not confirmed", "heartbeat_s: 5 s, with a tick every 3.33333 s",
        "devices (dut-a).replaces: storage-00099", "storage-00000 to storage-00009",
        "devices (dut-b).limits.power_high_kw", "instruments (eye): meter_manual",
    )  # fmt: skip
    assert [w for w in wanted if not any(w in p for p in found)] == []


def test_a_bench_without_a_twin_s_place_takes_no_part(hil: Call, tmp_path: Path) -> None:
    text = bench_text(1, 2).replace('replaces = "storage-00001"', "")
    (only,) = refused(hil, tmp_path, text.replace('replaces = "storage-00003"', ""))
    assert "none takes a twin's place" in only


def test_a_twin_that_is_not_served_can_be_ordered_nothing(hil: Call, tmp_path: Path) -> None:
    found = refused(hil, tmp_path, bench_text(1, 2), "--limit", 2)
    assert len(found) == 1
    assert "devices (dut-b).replaces: storage-00003; allowed: a device that is served" in found[0]


def test_a_dry_run_needs_a_bench(hil: Call) -> None:
    said = hil("run", "first-contact", "--dry-run")
    assert said.status == 2
    assert "--bench bench.toml beside it" in said.err


def test_a_dead_port_is_a_clear_end(hil: Call, tmp_path: Path) -> None:
    (tmp_path / "bench.toml").write_text(bench_text(new_port(), new_port()))
    said = hil("run", "first-contact", *WORDS, "--bench", tmp_path / "bench.toml", "--rate", RATE,
               "--out", tmp_path / "run", "--set", f"wire.port={new_port()}")  # fmt: skip
    assert said.status == 3, said.out + said.err
    assert "cannot be opened" in " ".join(said.err.split())
    assert "Traceback" not in said.err
    part = json.loads((tmp_path / "run/summary.json").read_text("utf-8"))
    assert part["complete"] is False
    assert "dut-a" in part["reason"]
