"""A platform that is not ours drives `hil serve --judge` to a pass; with a mistake, to a fail."""

from __future__ import annotations

import json

import pytest

from tests.wire.conftest import Ended

pytestmark = [pytest.mark.paced, pytest.mark.timeout(600)]


def test_a_platform_outside_passes(ended: dict[str, Ended]) -> None:
    run = ended["pass"]
    verdicts = run.verdicts()
    assert {k: v["value"] for k, v in verdicts.items() if v["passed"] is False} == {}, run.text
    assert run.status == 0, run.text
    assert run.summary["carrier"] == "wire"
    assert run.summary["wire"]["acknowledged"] == {"dr-3": True}  # type: ignore[index]
    assert verdicts["dr.capability", "dr-3"]["reason"] == "a platform outside cannot be forked"
    assert verdicts["monitor.soc_error", None]["passed"] is True
    announced = [json.loads(t) for t in (run.out / "orders.jsonl").read_text("utf-8").splitlines()]
    assert [(a["id"], a["mw"], a["at"]) for a in announced] == [("dr-3", 3.0, "08:45")]


def test_a_wrong_factor_fails(ended: dict[str, Ended]) -> None:
    run = ended["fail"]
    assert run.status == 1, run.text
    assert run.verdicts()["dr.delivered", "dr-3"]["passed"] is False
