"""A real device in its twin's place: power, orders, differences, and when it is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hil.bench.clock import WallClock
from hil.bench.drivers.meter_fake import MeterFake
from hil.bench.envelope import Envelope
from hil.bench.errors import Forbidden
from hil.bench.files import load_bench
from hil.bench.journal import read_journal
from hil.testbed.bench_records import bench_facts, bench_lines, exceptions, keep_part
from hil.testbed.bench_setup import Bench as BenchPlan
from hil.testbed.bench_setup import standing
from hil.testbed.stage import Stage
from tests.testbed.real import RATED_KW, ROW, SCALE, Real, bench_toml, beside
from tests.testbed.world import Bench, bench, ready
from twin.assets.manners import Manner
from twin.engine.recorder import true_fleet
from twin.errors import RunBroken

pytestmark = pytest.mark.paced

# Class 0.5 of a register of 75 kW, and its last digit, at the twin's size.
CLASS_KW = SCALE * (0.005 * RATED_KW + 0.1)
PLATE = {"rated_kw": RATED_KW, "capacity_kwh": 2.0 * RATED_KW}


@pytest.fixture
def here() -> Iterator[Bench]:
    prepared = ready(
        "first-contact", "wire.grid_period_s=1", "wire.maps={storage={storage-own=1.0}}"
    )
    with bench(prepared) as found:
        yield found


def station(
    manner: Manner | None = None,
    soc: float = 0.5,
    name: str = "storage-own",
    start_s: int = 31_200,
) -> Stage:
    return Stage(
        "storage", name, nameplate=PLATE, manner=manner, state={"soc": soc}, start_s=start_s
    )


def in_flow_kw(real: Real) -> float:
    """Return the power that the last load flow took for the twin's device."""
    rows, power_kw = real.here.run.replaced["storage"]
    assert rows.tolist() == [ROW]
    return float(power_kw[0])


def meter_kw(real: Real) -> float:
    """Return what its site's meter shows beyond the twin's own doing."""
    run = real.here.run
    site = int(run.sites.device_site["storage"][ROW])
    return float(run.sites.state["demand_kw"][site] - run.sites.state["host_kw"][site])


def test_what_the_device_does_is_in_the_load_flow_and_in_the_registers(
    here: Bench, tmp_path: Path
) -> None:
    # Empty in the dear hours: it stands still, and cannot do what is ordered.
    with beside(here, tmp_path, station(soc=0.05, start_s=39_600)) as real:
        real.order(300.0)
        real.advance(20)
        twin_kw = float(here.run.kinds["storage"].power_kw[ROW])
        assert twin_kw > 290.0
        assert real.power_kw < 1.0
        assert in_flow_kw(real) == pytest.approx(SCALE * real.power_kw, abs=CLASS_KW)
        assert meter_kw(real) == pytest.approx(-in_flow_kw(real), abs=0.01)
        shown = here.read(here.place("storage", ROW), "power_kw")
        assert shown == pytest.approx(SCALE * real.power_kw, abs=CLASS_KW)
        assert here.read(here.place("storage", ROW), "soc") == pytest.approx(5.0, abs=3.0)
        truth = real.loop.truth(true_fleet(here.run), here.run)
        assert truth.power_kw["storage"][ROW] == in_flow_kw(real)
        assert truth.soc["storage"][ROW] == pytest.approx(0.05, abs=0.03)
        others = np.delete(truth.power_kw["storage"], ROW)
        assert np.all(others == np.delete(here.run.kinds["storage"].power_kw, ROW))
        (device,) = bench_facts(real.loop)["devices"]  # type: ignore[misc]
    power = next(d for d in device["difference"] if d["point"] == "power_kw")
    assert power["mean_commanded"] == pytest.approx(300.0, rel=0.2)
    assert power["p95_abs_commanded"] == pytest.approx(300.0, rel=0.1)
    remote = next(d for d in device["difference"] if d["point"] == "remote")
    assert remote["mean"] is None
    assert remote["unequal_pct"] < 50.0  # both obey, the device a little later
    assert device["power_from"] == {
        "path": "register", "name": "power_kw", "sampling_s": 0.01, "resolution_kw": 0.1
    }  # fmt: skip


@pytest.mark.parametrize("name", ["storage-own", "storage-sunspec-7xx", "storage-sunspec-1xx"])
def test_an_order_arrives_divided_by_the_scale_in_the_device_s_own_map(
    here: Bench, tmp_path: Path, name: str
) -> None:
    with beside(here, tmp_path, station(name=name)) as real:
        real.order(300.0)
        real.advance(15)
        assert real.stage.kind.state["power_set_kw"][0] == pytest.approx(30.0, abs=0.1)
        assert real.power_kw == pytest.approx(30.0, rel=0.03)
        (order,) = real.stand.orders
        assert (order.setpoint, order.twin_value, order.value) == ("power_kw", 300.0, 30.0)
        assert (order.twin, order.bench, order.code, order.cut) == ("accepted", "accepted", 0, "")
        real.order(1.0, "set_release")
        real.advance(15)
        assert real.stage.kind.state["remote"][0] == 0.0
    assert [o.setpoint for o in real.stand.orders] == ["power_kw", "release"]
    assert exceptions(real.stand.orders) == {
        "both": 0,
        "twin_only": 0,
        "bench_only": 0,
        "neither": 2,
    }


def test_the_delay_of_the_device_is_told(here: Bench, tmp_path: Path) -> None:
    with beside(here, tmp_path, station()) as real:
        for value in (300.0, -200.0, 100.0):
            real.order(value)
            real.advance(20)
        (device,) = bench_facts(real.loop)["devices"]  # type: ignore[misc]
    power = next(d for d in device["difference"] if d["point"] == "power_kw")
    # The device hears of an order a tick later, and is read later still; a reading every 10 ms
    # is one every 0.6 s at this rate.
    assert power["delay_s"] is not None
    assert 0.0 < power["delay_s"] <= 5.0
    assert power["resolution_s"] >= 1.0


def test_the_bench_s_limits_cut_what_is_ordered(here: Bench, tmp_path: Path) -> None:
    with beside(here, tmp_path, station(soc=0.94), envelope=Envelope(-20.0, 20.0, 12.0)) as real:
        real.order(300.0)
        real.advance(120)
        assert real.stage.kind.state["power_set_kw"][0] == pytest.approx(20.0, abs=0.1)
    told = [e["value"] for e in read_journal(real.journal) if e["entry"] == "write"]
    assert told[:1] == [pytest.approx(12.0, abs=1.0)]  # a ramp's step, and the rest by itself
    assert told[-1] == 20.0
    assert {o.cut for o in real.stand.orders} == {"ramp"}


def test_the_bench_s_own_watch_is_not_the_logic_s_to_change(here: Bench, tmp_path: Path) -> None:
    with beside(here, tmp_path, station()) as real:
        before = real.stage.kind.state["revert_ms"].copy()
        real.order(600.0, "set_revert_s")
        real.order(7.0, "set_heartbeat")
        real.advance(10)
        assert here.run.kinds["storage"].state["revert_ms"][ROW] == 600_000
        assert np.array_equal(real.stage.kind.state["revert_ms"], before)
    assert real.stand.orders == []


def test_a_release_ends_a_ramp_that_is_under_way(here: Bench, tmp_path: Path) -> None:
    with beside(here, tmp_path, station(soc=0.94), envelope=Envelope(-75.0, 75.0, 5.0)) as real:
        real.order(750.0)
        real.advance(10)
        real.order(1.0, "set_release")
        real.advance(90)  # longer than a step of the ramp
        assert real.stage.kind.state["remote"][0] == 0.0
    orders = [e for e in read_journal(real.journal) if e["entry"] == "write"]
    assert orders[-1]["point"] == "set_release"


def test_exceptions_on_one_side_only_are_counted(here: Bench, tmp_path: Path) -> None:
    with beside(here, tmp_path, station(Manner(local=True))) as real:
        real.order(300.0)
        real.advance(10)
    (order,) = real.stand.orders
    assert (order.twin, order.bench, order.code) == ("accepted", "refused", 4)
    assert exceptions(real.stand.orders)["bench_only"] == 1


def test_a_meter_goes_before_the_device_s_own_register(here: Bench, tmp_path: Path) -> None:
    meter = MeterFake("m1", WallClock(), 7.0)
    with beside(here, tmp_path, station(), meter=meter) as real:
        real.advance(5)
        assert in_flow_kw(real) == pytest.approx(70.0)
        (device,) = bench_facts(real.loop)["devices"]  # type: ignore[misc]
    assert device["power_from"]["path"] == "meter"
    assert device["power_from"]["name"] == "m1"
    assert "power by meter" in bench_lines(real.loop)[0]


def test_without_its_meter_a_device_counts_as_lost(here: Bench, tmp_path: Path) -> None:
    meter = MeterFake("m1", WallClock(), 7.0)
    with beside(here, tmp_path, station(), meter=meter) as real:
        real.advance(3)
        meter.broken = True
        real.advance(30)
        assert real.stand.lost is not None
        assert "m1: no answer" in real.stand.lost.why
        assert set(real.stand.attendant.seen().failures) == {"instrument"}


def test_a_fault_of_ours_beside_the_run_ends_it(here: Bench, tmp_path: Path) -> None:
    meter = MeterFake("m1", WallClock(), 7.0)
    with beside(here, tmp_path, station(), meter=meter) as real:
        real.advance(2)
        meter.power = lambda now_s: now_s / 0.0
        with pytest.raises(RunBroken, match="bench device dut: "):
            real.advance(30)


def test_a_lost_device_leaves_its_place_to_the_twin(here: Bench, tmp_path: Path) -> None:
    with beside(here, tmp_path, station()) as real:
        real.order(300.0)
        real.advance(10)
        assert in_flow_kw(real) > 200.0
        real.stage.__exit__(None, None, None)
        real.stepping = False
        real.advance(60)
        lost = real.stand.lost
        assert lost is not None
        assert "without an answer" in lost.why
        assert here.run.replaced == {}
        shown = here.read(here.place("storage", ROW), "soc")
        assert shown == pytest.approx(100.0 * here.run.kinds["storage"].state["soc"][ROW], abs=2.0)
        real.order(100.0)
        real.advance(5)
        facts = bench_facts(real.loop)["devices"][0]  # type: ignore[index]
        lines = bench_lines(real.loop)
    assert real.stand.orders[-1].bench == "lost"
    assert facts["lost"]["why"] == lost.why
    assert sum(facts["reads_failed"].values()) > 0
    assert any(line.startswith("LOST dut at 08:4") for line in lines)
    tried = [e for e in read_journal(real.journal) if e["entry"] == "safe_state"]
    assert tried
    assert tried[0]["reason"].startswith("contact lost")


def test_a_device_that_the_guard_has_taken_is_no_more_the_run_s(
    here: Bench, tmp_path: Path
) -> None:
    why = ""

    def permit() -> None:
        if why:
            raise Forbidden(why)

    with beside(here, tmp_path, station()) as real:
        real.stand.permit = permit
        real.order(300.0)
        real.advance(10)
        assert in_flow_kw(real) > 200.0
        why = "the guard has it"
        real.advance(3)
        assert here.run.replaced == {}
        real.order(100.0)
        real.advance(3)
    assert real.stand.lost is not None
    assert real.stand.lost.why == "the guard has it"
    assert [o.bench for o in real.stand.orders] == ["accepted", "lost"]


def test_a_lost_device_ends_the_run_where_the_bench_says_so(here: Bench, tmp_path: Path) -> None:
    with beside(here, tmp_path, station(), stop_on_lost=True) as real:
        real.advance(3)
        real.stage.__exit__(None, None, None)
        real.stepping = False
        with pytest.raises(RunBroken, match=r"bench device dut lost: 0\.\d s without an answer"):
            real.advance(120)
        keep_part(real.loop, tmp_path)
    (device,) = json.loads((tmp_path / "bench.json").read_text("utf-8"))["devices"]
    assert "without an answer" in device["lost"]["why"]
    assert device["power"]["twin"]


def test_a_dry_run_reads_and_leaves_everything_as_it_is(here: Bench, tmp_path: Path) -> None:
    def never() -> None:
        raise Forbidden("dry")

    with beside(here, tmp_path, station(), permit=never, dry=True) as real:
        real.order(300.0)
        real.advance(10)
        assert here.run.replaced == {}
        assert here.served.field.real == {}
        assert real.stage.kind.state["remote"][0] == 0.0
        facts = bench_facts(real.loop)
    assert facts["dry_run"] is True
    (device,) = facts["devices"]  # type: ignore[misc]
    assert device["power_in_load_flow"] is False
    assert device["difference"][0]["periods"] > 5
    assert [o.bench for o in real.stand.orders] == ["forbidden"]
    assert [e for e in read_journal(real.journal) if e["entry"] == "write"] == []


def test_a_bench_without_an_emergency_stop_runs_dry_and_without_a_guard(
    here: Bench, tmp_path: Path
) -> None:
    here.rate = 60.0
    with station() as stage:
        more = """
            limits = { power_low_kw = -75.0, power_high_kw = 75.0, ramp_kw_s = 75.0 }
            safe_state = { set_power_kw = 0.0 }
            [[instruments]]
            name = "grid"
            driver = "source_fake"
            [run]
            poll_s = 0.05
        """
        (tmp_path / "bench.toml").write_text(bench_toml(stage, more))
        plan = BenchPlan(load_bench(tmp_path / "bench.toml"), dry=True, out=tmp_path)
        plan.check(here.prepared, 60.0, here.served.field.places)
        field = here.served.field
        with standing(plan, here.prepared, field, 60.0) as loop:
            assert loop is not None
            here.write(here.place("storage", ROW), "set_power_kw", 300.0)
            here.advance(10, lambda now_ms: loop.tick(now_ms, field))
            assert loop.guard is None
        assert stage.kind.state["remote"][0] == 0.0
    assert [o.bench for o in loop.stands[0].orders] == ["forbidden"]
    assert "sources" not in bench_facts(loop)
    told = [e["entry"] for e in read_journal(tmp_path / "bench.jsonl")]
    assert set(told) == {"note"}
    assert (tmp_path / "bench/dut.csv").read_text("utf-8").count(",read,") > 2
