"""What the page says of real devices, in both languages, whatever happened to them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.look import sample
from twin.results.report.build import render

POWER = {
    "device": "dut", "point": "power_kw", "register": "m701.W", "unit": "kW", "periods": 60,
    "mean": 1.25, "p95_abs": 7.5, "max_abs": 300.0, "mean_commanded": 0.5,
    "p95_abs_commanded": 2.5, "unequal_pct": None, "delay_s": 4.0, "resolution_s": 5.0,
}  # fmt: skip
STATUS = {
    **POWER, "point": "status", "register": "m713.Sta", "unit": "1", "mean": None,
    "p95_abs": None, "mean_commanded": None, "p95_abs_commanded": None, "unequal_pct": 12.5,
    "delay_s": None,
}  # fmt: skip
METER = {
    "path": "meter", "name": "m1", "driver": "meter_modbus", "class_pct": 0.5, "sampling_s": 0.2,
    "calibrated": None,
}  # fmt: skip
REGISTER = {"path": "register", "name": "m701.W", "sampling_s": 1.0, "resolution_kw": 1.0}


def device(name: str, path: Mapping[str, object], lost: object = None) -> dict[str, object]:
    return {
        "name": name, "replaces": "storage-00003", "map": "storage-sunspec-7xx", "scale": 10.0,
        "power_from": path, "lost": lost, "orders": 7, "orders_cut": {"ramp": 2, "power": 1},
        "exceptions": {"both": 11, "twin_only": 12, "bench_only": 13, "neither": 1, "unsent": 14},
        "reads_failed": {"no_answer": 15, "garbage": 1}, "registers_refused": {"m713.SoC": 100},
        "twin_silent_periods": 17, "difference": [POWER, STATUS],
        "power": {
            "start_ms": 36_000_000, "step_ms": 1_000, "twin": [0.0, 300.0],
            "bench": [None, 299.0],
        },
    }  # fmt: skip


def page(bench: Mapping[str, object] | None, lang: str) -> str:
    summary = sample.summary() | ({} if bench is None else {"bench": bench})
    return render(summary, sample.histories(), sample.inventory(), lang=lang)


EVERYTHING = {
    "dry_run": True, "rate": 60.0, "not_proven_safe": "dut-b: silent",
    "devices": [
        device("dut-a", METER), device("dut-b", REGISTER, {"at": "10:05", "why": "5.0 s silent"}),
    ],
    "sources": [{"name": "grid", "periods": 60, "limited": 3, "failures": 2}],
}  # fmt: skip
SAID = {
    "en": (
        "Real devices on the bench",
        "dut-a stands in the place of storage-00003, scale 10. The load flow has its power from "
        "the meter m1 (class 0.500 %, every 0.200 s, calibrated not stated).",
        "There is no meter: the load flow has its power from its own register m701.W, read "
        "every 1 s.",
        "dut-b was lost at 10:05: 5.0 s silent.",
        "The run went 60 times as fast as the device",
        "Dry run",
        "The grid source grid followed the voltage",
        "a device was dut-b: silent",
        "Power of dut-a and of its twin storage-00003",
    ),
    "zh": (
        "实物在环", "潮流采用电能表m1的功率", "未装电能表", "dut-b于10:05失联：5.0 s silent",
        "本次运行速度为实物的60倍", "试读运行", "电网模拟源grid", "安全状态未能证实：dut-b: silent",
        "dut-a与孪生storage-00003的功率",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_everything_that_can_happen_is_said(lang: str) -> None:
    shown = page(EVERYTHING, lang)
    assert [text for text in SAID[lang] if text not in shown] == []
    # Cut by ramp and power; failed and refused readings together.
    for number in ("3", "11", "12", "13", "14", "116", "17", "12.5"):
        assert f">{number}<" in shown
    assert "m713.Sta" in shown


def test_a_run_without_a_bench_has_no_such_section() -> None:
    assert 'id="bench' not in page(None, "en")
    assert 'id="bench' not in page({"devices": []}, "en")
