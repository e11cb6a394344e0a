"""From a device to a certificate that holds: a real run, on a real socket, issued and verified."""

from __future__ import annotations

import json
from pathlib import Path

from hil.bench.device import BenchDevice
from hil.certify.emulated import emulated
from hil.certify.issue import issue
from hil.certify.keys import load_public, load_signer, new_pair
from hil.certify.measurement import Path as How
from hil.certify.procedure import Context, Procedure, Step, Suite
from hil.certify.runner import certify
from hil.certify.subject import Subject
from hil.certify.verify import verify
from tests.certify.finished import declared

POWER = declared("power", "within", (19.0, 21.0), unit="kW")


def ordered(context: Context) -> None:
    """Order 20 kW and look at it for ten seconds."""
    subject = context.subject
    device: BenchDevice = subject.device
    device.command("power_kw", 20.0)
    series = context.series("power", "time_s", "power_kw")
    meter = subject.meter
    assert meter is not None
    for _ in range(10):
        subject.clock.sleep(1.0)
        measured = meter.power_kw()
        series.add(measured.at_s, measured.value)
    context.take("power", measured.value, 0.1, How("instrument", "meter", 0.1, 1.0))


def procedures(subject: Subject) -> list[Procedure]:
    step = Step("look", ordered, ("power",))
    return [Procedure("order", "An order", "下达指令", [POWER], [step])]


SMALL = Suite("small", "A small suite", "小型检测", procedures)


def test_a_run_becomes_a_certificate_and_a_resumed_one_too(tmp_path: Path) -> None:
    pair = new_pair("lab", tmp_path)
    folder = tmp_path / "run"
    for resume in (False, True):
        with emulated("storage", journal=folder / "journal.jsonl", seed=3) as subject:
            record = certify(SMALL, subject, folder, seed=3, resume=resume)
        certificate = issue(folder, [load_signer(pair.private)])
        found = verify(certificate, [load_public(pair.public)], evidence=folder)
        assert found.flaws == ()
        statement = found.statement
        assert statement is not None
        assert statement.predicate.passedTests == ("order/power",)
        assert (record.procedures[0].steps[0].resumed, statement.predicate.result) == (
            resume, "PASSED",
        )  # fmt: skip
        # What was claimed, and what it was held against, lie beside what was measured.
        digests = {r.name: r.digest["sha256"] for r in statement.subject}
        assert digests["map.json"] == digests["register map storage-own"]
        configured = {r.name: r.digest["sha256"] for r in statement.predicate.configuration}
        assert digests["limits.toml"] == configured["limits.toml"]
        assert {"journal.jsonl", "steps/order/look/frames.jsonl", "steps/order/look/power.csv"} <= (
            digests.keys()
        )
    assert json.loads((folder / "map.json").read_text("utf-8"))["name"] == "storage-own"
