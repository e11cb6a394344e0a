from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.bench.device import BenchDevice
from hil.bench.envelope import Envelope
from hil.bench.journal import Journal
from hil.bench.line import Line, LineSpec
from hil.bench.roles import About, Energy, Measured
from hil.certify.broken import storage as broken
from hil.certify.emulated import emulated, subject_on
from hil.certify.measurement import Outcome
from hil.certify.measurement import Path as Way
from hil.certify.subject import Subject
from hil.testbed.stage import Stage
from tests.certify.suite_runs import SMALL, failed, on, run, taken, with_outcome
from twin.assets.manners import Manner

HALF_FULL = {"soc": 0.5}
MOST_WALL_S = 300.0


def test_a_whole_certification_of_an_emulated_device(tmp_path: Path) -> None:
    """Everything, at a device of usual size; its figures against the ledger of its physics."""
    begun_s = time.monotonic()
    with Stage("storage", seed=3) as stage, subject_on(stage, tmp_path / "j.jsonl") as subject:
        kind = stage.kind
        record = on(subject, "storage", tmp_path / "run")
        ledger = {
            row: float(kind.state[row][0]) / 3600.0 for row in ("grid_in_kws", "grid_out_kws")
        }
        counted = stage.energy_kwh
    assert time.monotonic() - begun_s < MOST_WALL_S
    found = taken(record)
    assert failed(found) == []
    assert with_outcome(found, Outcome.NOT_APPLICABLE) == ["heartbeat_held", "heartbeat_loss"]
    assert counted == pytest.approx((ledger["grid_out_kws"], ledger["grid_in_kws"]), rel=1e-3)
    out, back = found["energy_discharged"].value, found["energy_charged"].value
    assert isinstance(out, float)
    assert isinstance(back, float)
    assert found["efficiency"].value == pytest.approx(100.0 * out / back, rel=2e-3)
    share = found["energy_share"].value
    assert share == pytest.approx(100.0 * out / 522.0, rel=1e-2)
    assert found["deviation"].value == pytest.approx(0.0, abs=1e-6)
    path = found["response_discharge"].path
    assert path is not None
    assert (path.by, path.sampling_s) == ("instrument", 1.0)
    cycle = json.loads((tmp_path / "run/steps/energy/cycle_1/step.json").read_text("utf-8"))
    assert {f["path"] for f in cycle["files"]} >= {"discharge.csv", "charge.csv", "frames.jsonl"}


@pytest.mark.parametrize("map_name", ["storage-sunspec-7xx", "storage-sunspec-1xx"])
def test_a_sunspec_device_does_what_its_own_table_asks_for(tmp_path: Path, map_name: str) -> None:
    found = run(
        "storage", "storage", tmp_path / "run", "response", "turn", "control", "reversion",
        "metering", map_name=map_name, state=HALF_FULL,
    )  # fmt: skip
    assert failed(found) == []
    assert found["deviation"].outcome is Outcome.PASS
    assert found["reversion"].outcome is Outcome.PASS
    assert found["regulation_charge"].outcome is Outcome.PASS


def test_what_takes_a_second_is_not_told_from_what_takes_two_at_a_look_a_second(
    tmp_path: Path,
) -> None:
    """The emulated device turns over once a second: near a limit of 2 s that decides nothing."""
    found = run("storage", "storage", tmp_path / "run", "response", state=HALF_FULL)
    one = found["response_discharge"]
    assert one.uncertainty is not None
    assert one.uncertainty >= 0.5
    assert isinstance(one.value, float)
    inside = one.value + one.uncertainty < 2.0
    assert one.outcome is (Outcome.PASS if inside else Outcome.INCONCLUSIVE)


def test_without_a_meter_its_clauses_do_not_apply(tmp_path: Path) -> None:
    found = run("storage", "storage", tmp_path / "run", instruments=(), nameplate=SMALL)
    lacking = [id for id, one in found.items() if one.note == "no instrument: meter"]
    assert {"response_discharge", "deviation", "efficiency", "soc_error"} <= set(lacking)
    assert all(found[id].outcome is Outcome.NOT_APPLICABLE for id in lacking)
    for id in ("at_full", "at_empty", "reversion", "soc_span"):
        one = found[id]
        assert one.outcome is Outcome.PASS, id
        assert one.path is not None
        assert one.path.by == "register"
        assert one.path.sampling_s == 1.0


@pytest.mark.parametrize(
    ("sort", "procedure", "finds"),
    [
        (broken.Sluggish, "response", "response_charge"),
        (broken.SlowTurn, "turn", "turn_to_charge"),
        (broken.Uncalibrated, "control", "deviation"),
        (broken.Overfull, "limits", "at_full"),
        (broken.KeepsCommand, "reversion", "reversion"),
        (broken.Short, "energy", "energy_share"),
        (broken.Lossy, "energy", "efficiency"),
    ],
)
def test_a_broken_station_fails_what_its_fault_is_about(
    tmp_path: Path, sort: type, procedure: str, finds: str
) -> None:
    found = run(
        "storage", sort, tmp_path / "run", procedure, nameplate=SMALL, state=HALF_FULL, seed=1
    )
    assert finds in failed(found)


@pytest.mark.parametrize("manner", [Manner(frozen=True, point="soc"),
                                    Manner(drift_per_h=0.5, point="soc")])  # fmt: skip
def test_a_wrong_soc_is_found_by_counting(tmp_path: Path, manner: Manner) -> None:
    found = run("storage", "storage", tmp_path / "run", "soc", "limits", nameplate=SMALL,
                manner=manner)  # fmt: skip
    assert failed(found) != []
    assert set(failed(found)) <= {"soc_span", "soc_error"}


def test_a_lost_heartbeat_ends_an_order_in_the_declared_time(tmp_path: Path) -> None:
    found = run("storage", "storage", tmp_path / "run", "heartbeat", "reversion",
                manner=Manner(heartbeat_s=30), state=HALF_FULL)  # fmt: skip
    assert [one.outcome for one in found.values()] == [Outcome.PASS] * 4


def test_a_device_that_says_it_is_full_is_not_driven_on_for_long(tmp_path: Path) -> None:
    """Its SOC runs ahead of the truth: nobody can know that, so the leg is ended at 100 %."""
    found = run("storage", "storage", tmp_path / "run", "soc", "energy", nameplate=SMALL,
                manner=Manner(drift_per_h=0.5, point="soc"))  # fmt: skip
    error = found["soc_error"].value
    assert isinstance(error, float)
    assert 10.0 < error < 12.0
    assert found["soc_error"].note.endswith("we ended it")
    assert found["efficiency"].outcome is Outcome.INCONCLUSIVE


def test_a_watched_heartbeat_beats_through_every_other_procedure(tmp_path: Path) -> None:
    """The device falls back after 40 s of silence: long legs and long looks keep it company."""
    found = run("storage", "storage", tmp_path / "run", "response", "control", "limits",
                manner=Manner(heartbeat_s=40), nameplate=SMALL, state=HALF_FULL)  # fmt: skip
    assert failed(found) == []
    assert [found[id].outcome for id in ("deviation", "at_full", "at_empty")] == [Outcome.PASS] * 3


def test_a_heartbeat_that_nobody_watches_is_found(tmp_path: Path) -> None:
    found = run("storage", "storage", tmp_path / "run", "heartbeat",
                declared={"heartbeat_s": 30.0}, state=HALF_FULL)  # fmt: skip
    assert failed(found) == ["heartbeat_loss"]
    assert found["heartbeat_loss"].value == "never"


def test_a_device_in_local_mode_fails_by_refusing_and_breaks_nothing(tmp_path: Path) -> None:
    found = run("storage", "storage", tmp_path / "run", manner=Manner(local=True),
                nameplate=SMALL, state=HALF_FULL)  # fmt: skip
    assert found["response_discharge"].value == "refused"
    assert found["response_discharge"].note == "order refused with exception 4"
    assert with_outcome(found, Outcome.PASS) == []
    assert found["efficiency"].outcome is Outcome.INCONCLUSIVE


def test_a_device_that_says_yes_and_does_nothing_passes_nothing_by_that(tmp_path: Path) -> None:
    found = run("storage", "storage", tmp_path / "run", "response", "turn", "limits", "soc",
                manner=Manner(ignore_writes=True), nameplate=SMALL, state=HALF_FULL)  # fmt: skip
    assert failed(found) == ["response_discharge", "response_charge"]
    assert with_outcome(found, Outcome.PASS) == []
    assert found["at_full"].note == "it did not charge as it was told"


def test_limits_of_the_bench_leave_a_step_out_and_blame_no_device(tmp_path: Path) -> None:
    with (
        emulated("storage", journal=tmp_path / "j.jsonl", state=HALF_FULL) as subject,
        Journal(tmp_path / "cut.jsonl") as journal,
        closing(Line(subject.spec or LineSpec(), subject.frames)) as line,
    ):
        bounded = _bounded(subject, line, journal)
        found = taken(on(bounded, "storage", tmp_path / "run", "response"))
    assert [one.outcome for id, one in found.items() if id != "ramp"] == (
        [Outcome.NOT_APPLICABLE] * 4
    )
    assert found["response_charge"].note == "the bench's own limit of power changed the order"


def _bounded(subject: Subject, line: Line, journal: Journal) -> Subject:
    """Return the subject behind a bench that permits half its rating."""
    half = 0.5 * subject.rated_kw
    device = BenchDevice(
        "bounded", subject.kind, subject.map, line,
        Envelope(-half, half), journal, subject.clock, rated_kw=subject.rated_kw,
    )  # fmt: skip
    return replace(subject, device=device)


def test_cycles_go_on_where_they_were_stopped(tmp_path: Path) -> None:
    """Stopped after the first of three cycles: the second run does two, the figures are of all."""
    done: list[str] = []

    def stop(procedure: str, step: str, outcome: Outcome | None) -> None:
        if outcome is not None:
            done.append(step)
        elif step == "cycle_2" and "stopped" not in done:
            done.append("stopped")
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    with emulated("storage", journal=tmp_path / "j.jsonl", nameplate=SMALL) as subject:
        with pytest.raises(KeyboardInterrupt):
            on(subject, "storage", folder, "energy", report=stop)
        record = on(subject, "storage", folder, "energy", resume=True, report=stop)
    assert done == ["cycle_1", "stopped", "cycle_1", "cycle_2", "cycle_3", "figures"]
    assert [step.resumed for p in record.procedures for step in p.steps] == [True] + 3 * [False]
    found = taken(record)
    assert found["efficiency"].note.count(",") == 2
    assert found["efficiency"].outcome is Outcome.PASS


class _Pumps:
    """A meter of auxiliaries that draw a hundredth of the rating, whatever the device does."""

    def __init__(self, subject: Subject) -> None:
        self.clock, self.drawn_kw = subject.clock, 0.01 * subject.rated_kw

    def about(self) -> About:
        return About("pumps", "meter_fake", class_pct=0.5)

    def release(self) -> None:
        """Nothing is held."""

    def power_kw(self) -> Measured:
        return Measured(-self.drawn_kw, self.clock.now_s(), 0.0, 0.0)

    def energy_kwh(self) -> Energy:
        now_s = self.clock.now_s()
        drawn = self.drawn_kw * now_s / 3600.0
        return Energy(Measured(0.0, now_s, 0.0, 0.0), Measured(drawn, now_s, 0.0, 0.0))


def test_auxiliaries_from_elsewhere_lower_the_efficiency(tmp_path: Path) -> None:
    """(E_D - W_D) / (E_C + W_C): a hundredth of the rating, either way, costs two hundredths."""

    def fed_apart(subject: Subject) -> Subject:
        there = {**subject.instruments, "meter_auxiliary": _Pumps(subject)}
        return replace(subject, instruments=there)

    quick = {"rated_kw": 250.0, "capacity_kwh": 100.0}
    alone = run("storage", "storage", tmp_path / "a", "energy", nameplate=quick)
    apart = run("storage", "storage", tmp_path / "b", "energy", nameplate=quick, change=fed_apart)
    before, after = alone["efficiency"].value, apart["efficiency"].value
    assert isinstance(before, float)
    assert isinstance(after, float)
    # Legs are a little longer than at rated power all the way: they taper.
    assert 0.02 < 1.0 - after / before < 0.04


def test_paths_of_own_registers_name_them(tmp_path: Path) -> None:
    found = run("storage", "storage", tmp_path / "run", "metering",
                map_name="storage-sunspec-7xx", state=HALF_FULL)  # fmt: skip
    path = found["power_reading"].path
    assert isinstance(path, Way)
    assert (path.by, path.name) == ("register", "power_kw")
    assert path.accuracy == pytest.approx(100.0 * 0.05 / 250.0)
    assert np.isfinite(float(found["counter_error"].value or 0.0))
