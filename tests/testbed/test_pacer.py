"""Wall time against simulated time, on a clock that the test moves."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hil.pacer import Lateness, Pacer, Timebase
from twin.results.report.build import render

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "look"))
import sample

START = 46_800_000  # 13:00


class Clock:
    """Stands in for `hil.pacer.time`; sleeping takes as long as it says, and a little more."""

    def __init__(self, oversleep_ns: int = 0) -> None:
        self.now_ns, self.oversleep_ns, self.slept = 5_000_000_000, oversleep_ns, 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        assert seconds > 0.0
        self.slept += 1
        self.now_ns += round(seconds * 1e9) + self.oversleep_ns


def paced(
    monkeypatch: pytest.MonkeyPatch,
    work_ms: list[float],
    rate: float = 1.0,
    limit_ms: float = 50.0,
    oversleep_ms: float = 0.0,
) -> tuple[Pacer, Clock]:
    """Pace ticks of a second of which each takes so long after it was shown."""
    clock = Clock(round(oversleep_ms * 1e6))
    monkeypatch.setattr("hil.pacer.time", clock)
    pacer = Pacer(START, rate, limit_ms)
    pacer.begin()
    for tick, work in enumerate(work_ms):
        pacer.wait(START + 1_000 * tick)
        pacer.mark(START + 1_000 * tick)
        clock.now_ns += round(work * 1e6)
    return pacer, clock


def test_a_tick_is_due_by_the_start_alone() -> None:
    base = Timebase(7, START, 60.0)
    assert base.due_ns(START) == 7
    assert base.due_ns(START + 60_000) == 1_000_000_007
    # A million ticks later nothing has been added up.
    assert base.due_ns(START + 10**9) == 7 + 10**15 // 60
    assert base.now_ms(base.due_ns(START + 60_000)) == START + 60_000


@pytest.mark.parametrize("rate", [0.5, 1.0, 7.0, 600.0])
def test_work_shorter_than_a_tick_makes_no_tick_late(
    monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    pacer, clock = paced(monkeypatch, [900.0 / rate] * 300, rate)
    late = pacer.lateness()
    assert (late.max_ms, late.overruns, late.ticks) == (pytest.approx(0.0, abs=1e-3), 0, 300)
    assert clock.slept == 299


def test_oversleeping_does_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pacer, _ = paced(monkeypatch, [100.0] * 1_000, oversleep_ms=3.0)
    late = pacer.lateness()
    assert late.p50_ms == late.p99_ms == late.max_ms == late.drift_ms == pytest.approx(3.0)


def test_after_an_overrun_the_ticks_catch_up(monkeypatch: pytest.MonkeyPatch) -> None:
    work = [100.0] * 100
    work[10] = 3_500.0
    pacer, clock = paced(monkeypatch, work)
    late = pacer.lateness()
    # Ticks 11, 12 and 13 come 2.5, 1.6 and 0.7 s late; the fourteenth is on time again.
    assert late.max_ms == pytest.approx(2_500.0)
    assert late.overruns == 2
    assert late.drift_ms == pytest.approx(0.0)
    assert (clock.now_ns - 5_000_000_000) / 1e9 == pytest.approx(99.1)


def test_a_machine_too_slow_drifts_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pacer, clock = paced(monkeypatch, [1_100.0] * 200)
    late = pacer.lateness()
    assert late.drift_ms == late.max_ms == pytest.approx(199 * 100.0)
    assert late.overruns == 200 - 11
    assert not late.within
    assert clock.slept == 0


def test_percentiles_are_those_of_all_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each tick but the first is late by what its predecessor took beyond a second.
    beyond = [float(i) for i in range(100)]
    work = [v for b in beyond for v in (1_000.0 + b, 500.0)]
    pacer, _ = paced(monkeypatch, work)
    late = pacer.lateness()
    expected = np.array([0.0, *(v for b in beyond for v in (b, 0.0))][:200])
    assert late.p50_ms == pytest.approx(np.percentile(expected, 50))
    assert late.p99_ms == pytest.approx(np.percentile(expected, 99))
    assert late.max_ms == pytest.approx(99.0)


@pytest.mark.parametrize(("limit_ms", "within"), [(20.0, True), (19.9, False)])
def test_the_limit_is_on_the_99th_percentile(
    monkeypatch: pytest.MonkeyPatch, limit_ms: float, within: bool
) -> None:
    pacer, _ = paced(monkeypatch, [0.0] * 100, limit_ms=limit_ms, oversleep_ms=20.0)
    late = pacer.lateness()
    assert late.p99_ms == 20.0
    assert late.within == within
    assert late.to_dict()["within_limit"] is within


def test_a_second_begin_forgets_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    pacer, clock = paced(monkeypatch, [5_000.0] * 5)
    clock.now_ns += 10**12
    base = pacer.begin()
    assert base.due_ns(START) == clock.now_ns
    assert pacer.lateness().ticks == 0
    assert pacer.lateness().max_ms == 0.0


LATE = Lateness(60.0, 1_200, 0.21, 73.25, 90.5, 3, 0.4, 50.0)


def test_what_the_summary_says() -> None:
    assert LATE.to_dict() == {
        "rate": 60.0, "ticks": 1_200, "lateness_p50_ms": 0.21, "lateness_p99_ms": 73.25,
        "lateness_max_ms": 90.5, "overruns": 3, "drift_ms": 0.4, "lateness_limit_ms": 50.0,
        "within_limit": False,
    }  # fmt: skip


def page(late: Lateness, lang: str) -> str:
    wire = {"pacing": late.to_dict(), "devices": 512, "reads": 9_000, "writes": 40, "refused": 2}
    return render(
        {**sample.summary(), "carrier": "wire", "wire": wire},
        sample.histories(240),
        sample.inventory(),
        orders=(sample.DR, sample.LM),
        lang=lang,
    )


@pytest.mark.parametrize(("lang", "title"), [("en", "Lateness of the clock"), ("zh", "时钟")])
def test_a_late_run_turns_the_page_red(lang: str, title: str) -> None:
    good = Lateness(60.0, 1_200, 0.21, 4.0, 9.5, 0, 0.4, 50.0)
    for late, state in ((LATE, "fail"), (good, "pass")):
        shown = page(late, lang)
        cards = shown[shown.index('class="cards"') : shown.index('class="synthetic"')]
        card = next(c for c in cards.split('<div class="card ') if title in c)
        assert card.startswith(state)
        assert f"{late.p99_ms:.1f}" in card
        assert f"mark {state}" in shown[shown.index('id="on-the-wire"') :]


def test_a_run_without_a_wire_has_no_such_card() -> None:
    shown = render(sample.summary(), sample.histories(240), sample.inventory(), lang="en")
    assert "Lateness of the clock" not in shown
    assert 'id="on-the-wire"' not in shown
