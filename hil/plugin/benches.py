"""Tests on a bench: under guard, within the bench's limits, one user of a device at a time.

None of this replaces a hardware emergency stop. A bench without a confirmed one is only read: a
test that orders something there is skipped with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from hil.bench.errors import BenchError
from hil.bench.frames import FrameLog
from hil.bench.guarded import Guarded, guarded
from hil.bench.locks import Busy, only_user
from hil.bench.proof import Proof
from hil.bench.schema import BenchFile, DeviceEntry
from hil.certify.on_bench import subject_of
from hil.plugin.choice import bench_file
from hil.plugin.devices import JOURNAL_FILE, DeviceUnderTest, begin_safe, said_of
from hil.plugin.evidence import TestEvidence
from twin.errors import InputProblems, RunBroken

__all__ = ["BenchOfTest", "bench_device", "opened_bench"]

# Our choice: how long a test waits for a device that another worker, or somebody else, is using.
WAIT_S = 600.0


@dataclass(frozen=True, slots=True)
class BenchOfTest:
    """A whole bench in the hands of one test.

    Attributes
    ----------
    file : what the bench file says
    devices : by name
    """

    file: BenchFile
    devices: Mapping[str, DeviceUnderTest]

    def of_kind(self, kind: str) -> list[DeviceUnderTest]:
        """Return the devices of a kind."""
        return [d for d in self.devices.values() if d.kind == kind]


@contextmanager
def bench_device(
    candidates: Sequence[str], request: pytest.FixtureRequest, factory: pytest.TempPathFactory
) -> Iterator[DeviceUnderTest]:
    """Yield one of several devices of the bench, whichever is free."""
    file = _file(request)
    evidence = TestEvidence(request, factory, "device")
    entries = [file.device(name) for name in candidates]
    try:
        with only_user([_key(file, e) for e in entries], WAIT_S) as number:
            name = entries[number].name
            with _under_test(file, [name], request, evidence) as devices:
                yield devices[name]
    except Busy as error:
        pytest.fail(f"no device was free: {error}", pytrace=False)


@contextmanager
def opened_bench(
    request: pytest.FixtureRequest, factory: pytest.TempPathFactory
) -> Iterator[BenchOfTest]:
    """Yield the whole bench; skips the test where there is none, or an emulated one is wanted."""
    if request.config.getoption("--bench") is None:
        pytest.skip("needs a bench: --bench FILE")
    if request.node.get_closest_marker("simulated") is not None:
        pytest.fail("a simulated test has no bench", pytrace=False)
    if "device" in request.fixturenames:
        pytest.fail("a test takes device or bench: bench.devices has them all", pytrace=False)
    file = _file(request)
    evidence = TestEvidence(request, factory, "bench")
    try:
        with ExitStack() as stack:
            # In one order, so that two who want the whole bench do not wait for each other.
            for key in sorted({_key(file, entry) for entry in file.devices}):
                stack.enter_context(only_user([key], WAIT_S))
            names = [entry.name for entry in file.devices]
            yield BenchOfTest(
                file, stack.enter_context(_under_test(file, names, request, evidence))
            )
    except Busy as error:
        pytest.fail(f"the bench was not free: {error}", pytrace=False)


def _file(request: pytest.FixtureRequest) -> BenchFile:
    file = bench_file(request.config)
    if file is None:
        pytest.skip("needs a bench: --bench FILE")
    return file


def _key(file: BenchFile, entry: DeviceEntry) -> str:
    """Return by what a device is locked: its line where that has one user, else its unit too."""
    shared = [e for e in file.devices if e.place == entry.place]
    alone = entry.transport == "rtu" or any(e.single_client for e in shared)
    return entry.place if alone else f"{entry.place} unit {entry.spec().unit}"


@contextmanager
def _under_test(
    file: BenchFile,
    names: Collection[str],
    request: pytest.FixtureRequest,
    evidence: TestEvidence,
) -> Iterator[Mapping[str, DeviceUnderTest]]:
    """Yield devices under guard, at their safe states; afterwards they are proven to be there."""
    frames = FrameLog()
    dry_run = bool(request.config.getoption("--bench-dry-run"))
    journal = evidence.folder / JOURNAL_FILE
    held: Guarded | None = None
    try:
        with (
            guarded(file, journal, names=names, dry_run=dry_run, frames=frames) as held,
            ExitStack() as stack,
        ):
            found: dict[str, DeviceUnderTest] = {}
            for entry in (file.device(name) for name in names):
                dry = _dry(file, entry, dry_run)
                subject = subject_of(file, entry, held, frames, stack, dry_run)
                part = f"{entry.name}." if len(names) > 1 else ""
                evidence.say_all({f"{part}{k}": v for k, v in said_of(subject).items()})
                if dry == "":
                    begin_safe(subject)
                found[entry.name] = DeviceUnderTest(subject, evidence, dry)
            yield found
    except (InputProblems, RunBroken, BenchError) as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        if held is not None and held.guard is not None:
            _say_proofs(evidence, held.guard.proofs)
        evidence.frames(frames.take(), frames.dropped)
        if journal.exists():
            evidence.file(JOURNAL_FILE)


def _dry(file: BenchFile, entry: DeviceEntry, dry_run: bool) -> str:
    """Return why a device may not be written to, empty where it may."""
    if dry_run:
        return "a dry run: nothing is written"
    if file.dry_only:
        return f"bench {file.name} has no confirmed emergency stop: it runs dry"
    if entry.limits is None:
        return f"{entry.name} has no limits in the bench file: it is only read"
    return ""


def _say_proofs(evidence: TestEvidence, proofs: Mapping[str, Proof]) -> None:
    for name, proof in proofs.items():
        topic = "safe_state" if len(proofs) == 1 else f"{name}.safe_state"
        evidence.say(topic, "confirmed" if proof.safe else f"not confirmed: {proof.why}")
        evidence.say(f"{topic}.read_back", json.dumps(dict(proof.values), ensure_ascii=False))
