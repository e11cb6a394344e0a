"""Runs a suite on a subject: safe state, set-up, steps on their own evidence, tear-down.

A run can be stopped at any moment and resumed: finished steps are taken from their evidence, a
step that was broken off is done again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from hil.bench.errors import BenchError
from hil.bench.roles import InstrumentError
from hil.certify.certificate import CERTIFICATE_FILE, JUNIT_FILE, PAGE_FILE
from hil.certify.evidence import StepFolder, files_of, finished
from hil.certify.limits import limits_sha256
from hil.certify.measurement import Measurement, Outcome, Taken, worst, worst_taken
from hil.certify.procedure import Act, Procedure, Step, Suite
from hil.certify.record import RECORD_FILE, CertificationRecord, ProcedureRecord, StepRecord, titles
from hil.certify.runfolder import begin_folder
from hil.certify.said import instruments_of, subject_record, versions
from hil.certify.subject import Subject
from hil.certify.trial import Trial
from twin.errors import InputProblems, Problem, RunBroken

__all__ = ["certify", "seal"]

# What is a finding about device, line or instrument, and no fault of ours.
FINDINGS = (BenchError, InstrumentError)
MADE_LATER = (RECORD_FILE, CERTIFICATE_FILE, PAGE_FILE, JUNIT_FILE)
SAFE_TRIES, SAFE_PAUSE_S = 4, 0.2
CONFIRMED, UNTOUCHED = "confirmed", "not touched"

Report = Callable[[str, str, Outcome | None], None]


def certify(
    suite: Suite,
    subject: Subject,
    out: Path,
    *,
    seed: int = 0,
    resume: bool = False,
    report: Report = lambda procedure, step, outcome: None,
) -> CertificationRecord:
    """Run `suite` on `subject`, keep the evidence in `out` and return the record.

    Parameters
    ----------
    out : folder of the run; it must be new, or with `resume` that of an earlier run of the same
        suite, device, map, seed and limits
    seed : of whatever procedures draw
    report : told of each step when it begins (outcome None) and when it has ended

    The record names the evidence as it is then; `seal` does so once the subject has been left.

    Raises InputProblems where suite and device, or an earlier run, do not fit. KeyboardInterrupt
    leaves the device at its safe state and the finished steps on disk.
    """
    if suite.kinds and subject.kind not in suite.kinds:
        allowed = "a device of kind " + ", ".join(suite.kinds)
        raise InputProblems([Problem("--suite", suite.id, f"for a {subject.kind}", allowed)])
    started = begin_folder(out, suite.id, subject, seed, resume)
    run = _Run(subject, out, seed, report)
    procedures = suite.procedures(subject)
    _check_names(procedures)
    subject_said = subject_record(subject)
    try:
        done = [run.procedure(p) for p in procedures]
    except BaseException:
        run.rest()  # an interruption may have come while the safe state was told
        raise
    title, title_zh = titles(suite.title, suite.title_zh, subject.evidence)
    record = CertificationRecord(
        suite=suite.id,
        title=title,
        title_zh=title_zh,
        subject=subject_said,
        procedures=done,
        instruments=instruments_of(subject),
        evidence=files_of(out, leave=MADE_LATER),
        started=started,
        ended=now_iso(),
        seed=seed,
        versions=versions(),
        bench=dict(subject.bench),
        limits_sha256=limits_sha256(),
    )
    record.write(out)
    return record


def seal(record: CertificationRecord, out: Path) -> CertificationRecord:
    """Return a record with the evidence as it stands, and write it.

    Called once more when the subject has been left: a guard proves the safe state after the run.
    """
    whole = replace(record, evidence=files_of(out, leave=MADE_LATER), ended=now_iso())
    whole.write(out)
    return whole


def now_iso() -> str:
    """Return the wall time, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _check_names(procedures: Sequence[Procedure]) -> None:
    """Raise ValueError where ids would put two things in one place."""
    ids = [p.id for p in procedures]
    for procedure in procedures:
        names = [s.name for s in procedure.steps]
        declared = [m.id for m in procedure.measurements]
        for every in (ids, names, declared):
            twice = {name for name in every if every.count(name) > 1}
            if twice:
                raise ValueError(f"{procedure.id}: given twice: {', '.join(sorted(twice))}")
        lost = {t for s in procedure.steps for t in s.takes} - set(declared)
        if lost:
            raise ValueError(f"{procedure.id}: not declared: {', '.join(sorted(lost))}")


class _Run:
    """One run of a suite."""

    def __init__(self, subject: Subject, out: Path, seed: int, report: Report) -> None:
        self.subject, self.out, self.seed, self.report = subject, out, seed, report
        self.at_rest = False  # nothing was asked of the device since its safe state was confirmed

    def procedure(self, procedure: Procedure) -> ProcedureRecord:
        """Do what is not done yet of a procedure."""
        subject = self.subject
        lacking = {m.id: _lacks(m, subject) for m in procedure.measurements}
        held = {s.name: finished(self.out, procedure.id, s.name) for s in procedure.steps}
        possible = [s for s in procedure.steps if _can(s, lacking)]
        carried: dict[str, object] = {}
        taken: dict[str, list[Taken]] = {m.id: [] for m in procedure.measurements}
        steps: list[StepRecord] = []
        safe = UNTOUCHED
        to_do = [s for s in possible if held[s.name] is None]
        try:
            if to_do:
                self._prepare(procedure, carried, lacking)
            for step in possible:
                found = held[step.name]
                if found is not None:
                    steps.append(_old(procedure, step, found, taken, carried))
                    self.report(procedure.id, step.name, steps[-1].outcome)
                    continue
                self.report(procedure.id, step.name, None)
                steps.append(self._step(procedure, step, taken, carried, lacking))
                self.report(procedure.id, step.name, steps[-1].outcome)
        finally:
            if to_do:
                safe = self._leave(procedure, carried, lacking)
        measurements = [
            _whole(m, taken[m.id], lacking[m.id], steps) for m in procedure.measurements
        ]
        return ProcedureRecord(
            procedure.id, procedure.title, procedure.title_zh, steps, measurements, safe
        )

    def rest(self) -> None:
        """Tell the safe state where it is not confirmed."""
        if not self.at_rest:
            self.at_rest = self._safe("broken off") == CONFIRMED

    def _prepare(
        self, procedure: Procedure, carried: dict[str, object], lacking: dict[str, str]
    ) -> None:
        if not self.at_rest:
            self._safe(f"before {procedure.id}")
        self.at_rest = False
        with suppress(*FINDINGS):  # each step says by itself what it finds
            if procedure.set_up is not None:
                self._aside(procedure, procedure.set_up, carried, lacking)

    def _leave(
        self, procedure: Procedure, carried: dict[str, object], lacking: dict[str, str]
    ) -> str:
        """Tear down and tell the safe state, whatever happened; return how that went."""
        said = "not confirmed"
        try:
            try:
                if procedure.tear_down is not None:
                    self._aside(procedure, procedure.tear_down, carried, lacking)
            finally:
                said = self._safe(f"after {procedure.id}")
        except FINDINGS as error:
            return f"{said}; tear-down: {error}"
        finally:
            self.subject.frames.take()
        self.at_rest = said == CONFIRMED
        return said

    def _safe(self, reason: str) -> str:
        """Tell the safe state, a few times where the device does not take it, and read it back."""
        if not self.subject.may_write:
            return UNTOUCHED
        device, said, told = self.subject.device, "", False
        for number in range(2 * SAFE_TRIES):
            try:
                if number > 0:  # some devices want a pause between two requests
                    self.subject.clock.sleep(SAFE_PAUSE_S)
                    time.sleep(self.subject.pace.pause_s)
                if told:
                    device.read_back()
                    return CONFIRMED
                refused = [w for w in device.to_safe_state(reason) if not w.accepted]
                told = not refused
                if refused:
                    said = f"{refused[0].point} refused with exception {refused[0].code}"
            except RunBroken as error:
                return f"not confirmed: {error}"
            except FINDINGS as error:
                said = str(error)
                self.subject.pace.slow()
        return f"not confirmed: {said}"

    def _aside(
        self, procedure: Procedure, act: Act, carried: dict[str, object], lacking: dict[str, str]
    ) -> None:
        act(Trial(self.subject, self.seed, procedure.measurements, lacking, carried, None))

    def _step(
        self,
        procedure: Procedure,
        step: Step,
        taken: dict[str, list[Taken]],
        carried: dict[str, object],
        lacking: dict[str, str],
    ) -> StepRecord:
        folder = StepFolder(self.out, procedure.id, step.name)
        trial = Trial(
            self.subject, self.seed, procedure.measurements, lacking, dict(carried), folder
        )
        self.subject.frames.take()
        dropped = self.subject.frames.dropped
        started, begun_s, error = now_iso(), time.monotonic(), ""
        device_s = self.subject.clock.now_s()
        try:
            step.act(trial)
        except BaseException as found:
            # What ends a run, such as a guard that has acted, ends it here as well.
            if not isinstance(found, FINDINGS) or isinstance(found, RunBroken):
                folder.drop()
                raise
            error = str(found)
        for name in step.takes:
            if error and trial.wants(name) and name not in trial.taken:
                trial.doubt(name, f"broken off: {error}")
        folder.frames(self.subject.frames.take())
        if self.subject.frames.dropped > dropped:
            trial.note(f"{self.subject.frames.dropped - dropped} frames were not kept")
        every = [t for found in trial.taken.values() for t in found]
        outcomes = [t.outcome for t in every] + [Outcome.INCONCLUSIVE] * (error != "")
        outcome = worst(outcomes or [Outcome.FIGURE])
        row: dict[str, object] = {
            "procedure": procedure.id, "step": step.name, "outcome": outcome.value,
            "started": started, "wall_s": round(time.monotonic() - begun_s, 3),
            "device_s": round(self.subject.clock.now_s() - device_s, 3), "error": error,
            "notes": trial.notes, "carried": trial.carried,
            "measurements": [t.row() for t in every],
        }  # fmt: skip
        folder.finish(row)
        carried.update(trial.carried)
        for one in every:
            taken[one.declared.id].append(one)
        return _step_record(procedure, row, resumed=False)


def _lacks(measurement: Measurement, subject: Subject) -> str:
    """Return why a measurement is not applicable before anything is tried, ``""``: it may be."""
    missing = [role for role in measurement.roles if subject.instruments.get(role) is None]
    return f"no instrument: {', '.join(missing)}" if missing else ""


def _can(step: Step, lacking: dict[str, str]) -> bool:
    return not step.takes or any(not lacking[name] for name in step.takes)


def _old(
    procedure: Procedure,
    step: Step,
    found: dict[str, object],
    taken: dict[str, list[Taken]],
    carried: dict[str, object],
) -> StepRecord:
    """Take a step from its evidence."""
    kept, rows = found["carried"], found["measurements"]
    if isinstance(kept, dict):
        carried.update(kept)
    for row in rows if isinstance(rows, list) else []:
        one = Taken.of_row(row)
        taken[one.declared.id].append(one)
    return _step_record(procedure, found, resumed=True)


def _step_record(procedure: Procedure, row: dict[str, object], resumed: bool) -> StepRecord:
    notes = row["notes"]
    return StepRecord(
        name=str(row["step"]),
        outcome=Outcome(str(row["outcome"])),
        started=str(row["started"]),
        wall_s=float(str(row["wall_s"])),
        device_s=float(str(row["device_s"])),
        resumed=resumed,
        folder=f"steps/{procedure.id}/{row['step']}",
        error=str(row["error"]),
        notes=[str(n) for n in notes] if isinstance(notes, list) else [],
    )


def _whole(
    measurement: Measurement, taken: list[Taken], lacking: str, steps: Sequence[StepRecord]
) -> Taken:
    """Return the one entry of a measurement: the worst of what was taken, or why none was."""
    if taken:
        return worst_taken(taken)
    if lacking:
        return measurement.untaken(Outcome.NOT_APPLICABLE, lacking, lacking=True)
    broken = [s.error for s in steps if s.error]
    reason = f"broken off: {broken[0]}" if broken else "no step came to it"
    return measurement.untaken(Outcome.INCONCLUSIVE, reason)
