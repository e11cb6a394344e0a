from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.bench.errors import NoAnswer
from hil.bench.journal import read_journal
from hil.certify.emulated import emulated
from hil.certify.evidence import sha256_of
from hil.certify.measurement import Measurement, Outcome
from hil.certify.measurement import Path as Way
from hil.certify.procedure import Context, Procedure, Step, Suite
from hil.certify.record import CertificationRecord, read_record
from hil.certify.runner import certify, seal
from hil.certify.subject import Subject
from twin.errors import InputProblems

HALF_KW = 125.0
WIRE = Way("wire", "a test")
Act = Callable[[Context], None]


def measurement(id: str, needs: str = "") -> Measurement:
    return Measurement(id, id, id, "kW", 1.0, "<=", "", "a test", "assumed", needs)


def suite(*steps: Step, needs: str = "", **around: Act) -> Suite:
    """Return a suite of one procedure; measurement `x` for each step that names one."""
    ids = dict.fromkeys(id for step in steps for id in step.takes)
    procedure = Procedure(
        "only", "Only", "唯一", [measurement(id, needs) for id in ids], steps, **around
    )  # fmt: skip
    return Suite("test", "Test", "试验", lambda subject: [procedure], ("storage",))


def taking(id: str, value: float) -> Act:
    return lambda c: c.take(id, value, 0.0, WIRE)


@contextmanager
def storage(folder: Path, **options: object) -> Iterator[Subject]:
    with emulated("storage", journal=folder / "journal.jsonl", **options) as subject:  # type: ignore[arg-type]
        yield subject


def outcomes(record: CertificationRecord) -> dict[str, str]:
    return {m.declared.id: m.outcome.value for p in record.procedures for m in p.measurements}


def ordered_kw(subject: Subject) -> float:
    return float(subject.device.read(["set_power_kw"])["set_power_kw"].value)


def test_a_run_leaves_its_evidence_and_a_record_that_names_it(tmp_path: Path) -> None:
    out = tmp_path / "run"

    def act(c: Context) -> None:
        series = c.series("power", "time_s", "soc")
        series.add(c.subject.clock.now_s(), c.subject.device.read_twin(["soc"])["soc"].value)
        c.note("a sentence")
        c.take("a", 0.5, 0.0, WIRE)

    with storage(out) as subject:
        record = certify(suite(Step("one", act, ("a",))), subject, out, seed=4)
        subject.device.journal.record("note", "", text="after the run")
    record = seal(record, out)
    assert record.outcome is Outcome.PASS
    assert record.title == "Test, tested on an emulated device"
    assert "仿真设备" in record.title_zh
    assert record.subject.time == "time-compressed (emulated)"
    assert record.subject.identity["vendor"] == "suitwin"
    assert record.instruments[0].role == "meter"
    assert read_record(out / "record.json") == record
    names = {f.path for f in record.evidence}
    folder = "steps/only/one"
    assert {f"{folder}/power.csv", f"{folder}/frames.jsonl", f"{folder}/step.json"} <= names
    assert "journal.jsonl" in names
    for file in record.evidence:
        assert sha256_of(out / file.path) == file.sha256, file.path
    assert (out / folder / "power.csv").read_text().startswith("time_s,soc\n")
    frames = [json.loads(x) for x in (out / folder / "frames.jsonl").read_text().splitlines()]
    assert [f["way"] for f in frames] == ["out", "in"]


def test_the_device_is_at_its_safe_state_however_it_ends(tmp_path: Path) -> None:
    def order(c: Context) -> None:
        c.subject.device.command("power_kw", HALF_KW)
        assert ordered_kw(c.subject) == HALF_KW

    def ends(how: BaseException) -> Act:
        def act(c: Context) -> None:
            order(c)
            raise how

        return act

    for number, how in enumerate((KeyboardInterrupt(), ZeroDivisionError("a mistake of ours"))):
        out = tmp_path / str(number)
        with storage(out) as subject, pytest.raises(type(how)):
            certify(suite(Step("one", ends(how), ("a",))), subject, out)
        said = [e["entry"] for e in read_journal(out / "journal.jsonl")]
        assert said[-4:] == ["safe_state", "write", "answer", "read_back"]
        assert not (out / "steps/only/one").exists()
    with storage(tmp_path / "fine") as subject:
        certify(suite(Step("one", order)), subject, tmp_path / "fine")
        assert ordered_kw(subject) == 0.0


def test_what_the_line_does_breaks_a_step_off_and_not_the_run(tmp_path: Path) -> None:
    def lost(c: Context) -> None:
        raise NoAnswer("a line", "no answer within 1 s")

    steps = (Step("one", lost, ("a",)), Step("two", taking("b", 0.0), ("b",)))
    with storage(tmp_path / "run") as subject:
        record = certify(suite(*steps), subject, tmp_path / "run")
    assert outcomes(record) == {"a": "inconclusive", "b": "pass"}
    first = record.procedures[0].steps[0]
    assert first.outcome is Outcome.INCONCLUSIVE
    assert "no answer within 1 s" in first.error
    assert record.procedures[0].safe_state == "confirmed"


def test_without_its_instrument_nothing_passes(tmp_path: Path) -> None:
    done = []
    step = Step("one", lambda c: done.append(c), ("a",))
    with storage(tmp_path / "run", instruments=()) as subject:
        record = certify(suite(step, needs="meter"), subject, tmp_path / "run")
    assert done == []
    taken = record.procedures[0].measurements[0]
    assert (taken.outcome, taken.note) == (Outcome.NOT_APPLICABLE, "no instrument: meter")
    assert record.outcome is Outcome.NOT_APPLICABLE
    # A step that is done for another measurement's sake cannot make it a pass either.
    with storage(tmp_path / "again", instruments=()) as subject:
        step = Step("one", taking("a", 0.0))
        both = suite(step, Step("none", lambda c: None, ("a",)), needs="meter")
        record = certify(both, subject, tmp_path / "again")
    assert record.outcome is Outcome.NOT_APPLICABLE


def test_the_worst_of_several_counts_and_what_is_never_taken_is_open(tmp_path: Path) -> None:
    def several(c: Context) -> None:
        for value in (0.0, 5.0, 0.5):
            c.take("a", value, 0.0, WIRE)

    steps = (Step("one", several, ("a",)), Step("two", lambda c: None, ("b",)))
    with storage(tmp_path / "run") as subject:
        record = certify(suite(*steps), subject, tmp_path / "run")
    a, b = record.procedures[0].measurements
    assert (a.outcome, a.value) == (Outcome.FAIL, 5.0)
    assert (b.outcome, b.note) == (Outcome.INCONCLUSIVE, "no step came to it")


def test_mistakes_of_a_suite_are_ours_to_see(tmp_path: Path) -> None:
    wrong = {
        "undeclared": (suite(Step("one", taking("b", 0.0), ("a",))), KeyError),
        "twice": (suite(Step("one", taking("a", 0.0)), Step("one", taking("a", 0.0))), ValueError),
    }
    for name, (one, kind) in wrong.items():
        with storage(tmp_path / name) as subject, pytest.raises(kind):
            certify(one, subject, tmp_path / name)


# -- resuming ------------------------------------------------------------------------------------


class Long:
    """Three steps, of which the second is broken off the first time."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.stop = True
        self.around: list[str] = []

    def suite(self) -> Suite:
        steps = [Step(name, self._act(name), (name,)) for name in ("one", "two", "three")]
        return suite(
            *steps,
            set_up=lambda c: self.around.append("up"),
            tear_down=lambda c: self.around.append("down"),
        )

    def _act(self, name: str) -> Act:
        def act(c: Context) -> None:
            c.series("half", "time_s").add(1.0)
            if name == "two" and self.stop:
                raise KeyboardInterrupt
            self.done.append(name)
            c.carried[name] = len(c.carried)
            c.take(name, float(len(c.carried)) / 10.0, 0.0, WIRE)

        return act


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    out, long = tmp_path / "run", Long()
    with storage(out) as subject, pytest.raises(KeyboardInterrupt):
        certify(long.suite(), subject, out)
    assert (long.done, long.around) == (["one"], ["up", "down"])
    assert not (out / "record.json").exists()
    long.stop = False
    with storage(out) as subject:
        record = certify(long.suite(), subject, out, resume=True)
    assert long.done == ["one", "two", "three"]
    assert [s.resumed for s in record.procedures[0].steps] == [True, False, False]
    # What the first step left is there for the others.
    assert [m.value for m in record.procedures[0].measurements] == [0.1, 0.2, 0.3]
    assert not list(out.rglob("*.part"))
    with storage(out) as subject:
        again = certify(long.suite(), subject, out, resume=True)
    assert long.around == ["up", "down"] * 2
    assert len(long.done) == 3
    assert [s.resumed for s in again.procedures[0].steps] == [True] * 3
    assert again.procedures[0].safe_state == "not touched"


def test_a_step_whose_evidence_was_changed_is_done_again(tmp_path: Path) -> None:
    out, long = tmp_path / "run", Long()
    long.stop = False
    with storage(out) as subject:
        certify(long.suite(), subject, out)
    (out / "steps/only/two/half.csv").write_text("time_s\n2.0\n")
    (out / "steps/only/three/step.json").write_text("{")
    with storage(out) as subject:
        record = certify(long.suite(), subject, out, resume=True)
    assert long.done == ["one", "two", "three", "two", "three"]
    assert [s.resumed for s in record.procedures[0].steps] == [True, False, False]


def test_only_the_same_run_is_resumed(tmp_path: Path) -> None:
    out, long = tmp_path / "run", Long()
    long.stop = False
    with storage(out) as subject:
        certify(long.suite(), subject, out, seed=1)
        with pytest.raises(InputProblems, match=r"holds a run; allowed: a new folder, or --resume"):
            certify(long.suite(), subject, out, seed=1)
        with pytest.raises(InputProblems, match=r"--resume: seed: 2; allowed: 1"):
            certify(long.suite(), subject, out, seed=2, resume=True)
    other = emulated("storage", "storage-sunspec-7xx", journal=tmp_path / "j.jsonl")
    with other as subject, pytest.raises(InputProblems, match="map_sha256"):
        certify(long.suite(), subject, out, seed=1, resume=True)
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter.txt").write_text("not a run")
    solar = emulated("solar", journal=tmp_path / "k.jsonl")
    with storage(tmp_path) as subject, pytest.raises(InputProblems, match="holds no run"):
        certify(long.suite(), subject, full)
    with solar as subject, pytest.raises(InputProblems, match=r"for a solar; allowed: .*storage"):
        certify(long.suite(), subject, tmp_path / "solar")
