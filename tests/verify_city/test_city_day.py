"""The undisturbed city of 2027: its maximum, when it is, what carries it, what a degree adds.

One seed runs with `make test`; `make verify-city` runs the design day's expectation, ten other
seeds and hotter days as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from twin.clock import MINUTE_MS
from twin.control.logic import BaseLogic
from twin.engine.recorder import Recorder
from twin.record.exchange import Actions
from twin.record.history import History
from twin.scenario.build import Built, build, calibrated
from twin.scenario.files import find_scenario, load_scenario
from twin.scenario.warm_start import warmed

pytestmark = pytest.mark.timeout(1200)
OTHER_SEEDS = range(2, 12)


class Onlooker(BaseLogic):
    """Reads nothing and does nothing."""

    def plan(self, now_ms: int) -> tuple[str, ...]:
        return ()

    def digest(self, now_ms: int, readings: object, notices: object) -> Actions:
        return Actions()


@dataclass(frozen=True)
class Day:
    max_load_mw: float
    at_h: float
    aircon_share: float
    nominal_mw: float
    history: History


def undisturbed(*assignments: str, expected: bool = False) -> Day:
    path = find_scenario("summer-peak-2027")
    built = calibrated(build(load_scenario(path, ["orders=[]", *assignments]), path))
    if expected:
        built = without_chance(built)
    built = warmed(built)
    run = built.start(Onlooker())
    run.run(built.world.end_ms)
    assert isinstance(run.recorder, Recorder)
    history = run.recorder.history
    load = history.series("load_mw")
    row = int(np.argmax(load))
    cooling = history.series("aircon_modelled_mw") + history.series("aircon_background_mw")
    return Day(
        float(load[row]),
        row * MINUTE_MS / 3.6e6,
        float(cooling[row] / load[row]),
        built.city.max_load_mw,
        history,
    )


def without_chance(built: Built) -> Built:
    return replace(built, world=replace(built.world, weather=built.world.weather.expected()))


def show(title: str, day: Day) -> None:
    off_pct = 100.0 * day.max_load_mw / day.nominal_mw - 100.0
    print(
        f"{title}: {day.max_load_mw:,.0f} MW ({off_pct:+.2f} %) at {day.at_h:.2f} h, "
        f"air conditioning {100.0 * day.aircon_share:.1f} %"
    )


def test_one_seed_of_the_design_day() -> None:
    day = undisturbed("seed=1")
    show("seed 1", day)
    assert day.max_load_mw == pytest.approx(day.nominal_mw, rel=0.03)
    assert 13.5 <= day.at_h <= 15.0
    assert 0.35 <= day.aircon_share <= 0.45
    assert (day.history.series("converged") == 1.0).all()


@pytest.mark.slow
def test_expectation_of_the_design_day() -> None:
    day = undisturbed(expected=True)
    show("expectation", day)
    assert day.max_load_mw == pytest.approx(day.nominal_mw, rel=0.005)
    assert 13.5 <= day.at_h <= 15.0


@pytest.mark.slow
def test_mean_of_ten_other_seeds() -> None:
    days = [undisturbed(f"seed={seed}") for seed in OTHER_SEEDS]
    for seed, day in zip(OTHER_SEEDS, days, strict=True):
        show(f"seed {seed}", day)
        assert 13.5 <= day.at_h <= 15.0
    mean = float(np.mean([day.max_load_mw for day in days]))
    print(f"mean {mean:,.0f} MW, nominal {days[0].nominal_mw:,.0f} MW")
    assert mean == pytest.approx(days[0].nominal_mw, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("offset_c", [1.0, 3.0])
def test_what_a_degree_adds(offset_c: float) -> None:
    usual = undisturbed("seed=1")
    hotter = undisturbed("seed=1", f"weather.offset_c={offset_c}")
    per_degree_gw = (hotter.max_load_mw - usual.max_load_mw) / offset_c / 1_000.0
    print(f"{offset_c:+.0f} °C: {per_degree_gw:.3f} GW per °C")
    assert 0.45 <= per_degree_gw <= 0.75
