"""The device under test: one face for an emulated device and for a real one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from hil.bench.device import Written
from hil.bench.errors import BenchError
from hil.bench.proof import prove
from hil.bench.roles import Measured
from hil.certify.emulated import emulated
from hil.certify.said import instruments_of, map_sha256
from hil.certify.subject import Subject
from hil.plugin.choice import Choice
from hil.plugin.evidence import TestEvidence
from hil.registers.schema import RegisterMap
from twin.errors import InputProblems

__all__ = ["DeviceUnderTest", "Ordered", "begin_safe", "opened", "said_of"]

JOURNAL_FILE = "journal.jsonl"
# Our choice: what a device may take to show its safe state, and between two looks at it [s].
SETTLE_S, CONFIRM_S = 60.0, 1.0


@dataclass(frozen=True, slots=True)
class Ordered:
    """What became of an order: each register that was written, in order."""

    written: tuple[Written, ...]

    @property
    def accepted(self) -> bool:
        """Whether the device said yes to all of it."""
        return all(w.accepted for w in self.written)

    @property
    def code(self) -> int:
        """The exception with which it said no, 0: it did not."""
        return next((w.code for w in self.written if not w.accepted), 0)

    @property
    def cut(self) -> str:
        """By which limit of the bench the order was cut: ``power``, ``ramp``, or empty."""
        return next((w.cut for w in self.written if w.cut in ("power", "ramp")), "")


class DeviceUnderTest:
    """A device, at its safe state when the test begins.

    Names of readings and orders are the twin's (``power_kw``, ``soc``, ``limit_kw``) with power
    positive into the grid; names of registers are the map's own, in their own units.

    Attributes
    ----------
    subject : line, clock, instruments and everything else that there is
    name, kind, map : of the device
    real : it is hardware on a bench
    nameplate : rated values, e.g. ``rated_kw``
    dry : why nothing may be written to it, empty where it may; a test that does is skipped
    """

    def __init__(self, subject: Subject, evidence: TestEvidence, dry: str = "") -> None:
        self.subject, self._evidence, self.dry = subject, evidence, dry
        self.name, self.kind, self.map = subject.name, subject.kind, subject.map
        self.real = subject.evidence == "hardware"
        self.nameplate: Mapping[str, float] = subject.nameplate

    def __repr__(self) -> str:
        return f"<{self.subject.evidence} {self.kind} {self.name}, map {self.map.name}>"

    @property
    def rated_kw(self) -> float:
        """Rated power [kW]."""
        return self.subject.rated_kw

    def readings(self, *names: str) -> dict[str, float]:
        """Return what the device shows, by the twin's names; NaN where it shows no number.

        Raises KeyError for what the map does not have.
        """
        known = self.subject.device.meanings.readings
        for name in names:
            if name not in known:
                raise KeyError(f"{name}: map {self.map.name} shows {', '.join(known)}")
        found = self.subject.device.read_twin(names)
        return {n: _number(s.value) for n, s in found.items()}

    def registers(self, *names: str) -> dict[str, float | str | None]:
        """Return registers by the map's names, in their own units; None where refused."""
        return {n: s.value for n, s in self.subject.device.read(names).items()}

    def power_kw(self) -> Measured:
        """Return the power at its terminals: by the meter, else by its own register."""
        meter = self.subject.meter
        if meter is not None:
            return meter.power_kw()
        return Measured(
            self.readings("power_kw")["power_kw"], self.subject.clock.now_s(), math.nan, math.nan
        )

    def order(self, setpoint: str, value: float, within_s: float = 0.0) -> Ordered:
        """Order a set-point; KeyError where the map has none.

        Parameters
        ----------
        within_s : how long to go on until a ramp of the bench lets the whole order through [s]
        """
        self._may_write()
        known = self.subject.device.meanings.commands
        if setpoint not in (*known, "release"):
            raise KeyError(f"{setpoint}: map {self.map.name} takes {', '.join(known)}")
        return Ordered(tuple(self.subject.device.drive(setpoint, value, 1.0, within_s)))

    def write(self, point: str, value: float | str) -> Ordered:
        """Write a register by the map's name, in its own unit."""
        self._may_write()
        return Ordered((self.subject.device.write(point, value),))

    def _may_write(self) -> None:
        if self.dry:
            pytest.skip(self.dry)

    def wait(self, seconds: float) -> None:
        """Let so much of the device's time pass [s]; an emulated device does not wait for it."""
        self.subject.clock.sleep(seconds)

    def wait_until(
        self, condition: Callable[[], bool], within_s: float, every_s: float = 1.0
    ) -> float:
        """Wait for a condition and return how long it took [s]; infinite where it did not come.

        Parameters
        ----------
        every_s : between two looks, so the result is up to so much too long [s]
        """
        clock = self.subject.clock
        begun_s = clock.now_s()
        while not condition():
            if clock.now_s() - begun_s >= within_s:
                return math.inf
            clock.sleep(every_s)
        return clock.now_s() - begun_s

    def figure(self, name: str, value: float | str, unit: str = "") -> None:
        """Put a measured value into the test's JUnit properties."""
        shown = value if isinstance(value, str) else f"{value:.6g}"
        self._evidence.say(f"figure.{name}", f"{shown} {unit}".strip())


def _number(value: object) -> float:
    return value if isinstance(value, float) else math.nan


@contextmanager
def opened(
    choice: Choice, request: pytest.FixtureRequest, factory: pytest.TempPathFactory
) -> Iterator[DeviceUnderTest]:
    """Yield the device that was chosen; fails or skips the test where there is none."""
    if choice.wrong:
        pytest.fail(choice.wrong, pytrace=False)
    if choice.skip:
        pytest.skip(choice.skip)
    if choice.candidates:
        from hil.plugin.benches import bench_device

        with bench_device(choice.candidates, request, factory) as found:
            yield found
        return
    evidence = TestEvidence(request, factory, "device")
    try:
        subject = emulated(
            choice.kind, choice.map, nameplate=choice.nameplate,
            journal=evidence.folder / JOURNAL_FILE,
        )  # fmt: skip
        with subject as one, _tested(one, evidence) as found:
            yield found
    except InputProblems as error:
        pytest.fail("\n".join(str(p) for p in error.problems), pytrace=False)


@contextmanager
def _tested(subject: Subject, evidence: TestEvidence) -> Iterator[DeviceUnderTest]:
    """Yield a subject as a test sees it; afterwards it is at its safe state, proven and on record.

    The test fails at its end where the safe state is not seen.
    """
    evidence.say_all(said_of(subject))
    begin_safe(subject)
    try:
        yield DeviceUnderTest(subject, evidence)
    finally:
        wrong = _made_safe(subject)
        evidence.say("safe_state", "confirmed" if wrong == "" else f"not confirmed: {wrong}")
        evidence.frames(subject.frames.take(), subject.frames.dropped)
        evidence.file(JOURNAL_FILE)
    if wrong != "":
        pytest.fail(f"{subject.name} was not seen at its safe state: {wrong}", pytrace=False)


def begin_safe(subject: Subject) -> None:
    """Tell a device its safe state; the test does not begin where that is refused."""
    for written in subject.device.to_safe_state("a test begins"):
        if not written.accepted:
            why = f"{written.point} was refused with exception {written.code}"
            pytest.fail(f"{subject.name} does not take its safe state: {why}", pytrace=False)


def _made_safe(subject: Subject) -> str:
    """Bring the device to its safe state; return what speaks against its being there."""
    try:
        refused = [w for w in subject.device.to_safe_state("the test is over") if not w.accepted]
        proof = prove(subject.device, subject.clock, math.inf, SETTLE_S, CONFIRM_S)
    except BenchError as error:
        return str(error)
    said = [f"{w.point} was refused with exception {w.code}" for w in refused]
    return "; ".join([*said, *([] if proof.safe else [proof.why])])


def said_of(subject: Subject) -> dict[str, object]:
    """Return what a test's properties say of a device."""
    try:
        identity: Mapping[str, str] = subject.device.identity()
    except BenchError:
        identity = {}
    one: RegisterMap = subject.map
    return {
        "name": subject.name, "kind": subject.kind, "evidence": subject.evidence,
        "time": "time-compressed (emulated)" if subject.compressed else "wall clock",
        "map": one.name, "map.sha256": map_sha256(one),
        **{f"identity.{name}": text for name, text in identity.items()},
        **{f"bench.{name}": text for name, text in subject.bench.items()},
        "instruments": ", ".join(_names(subject)),
    }  # fmt: skip


def _names(subject: Subject) -> list[str]:
    return [f"{i.role} {i.name} ({i.driver})" for i in instruments_of(subject)]
