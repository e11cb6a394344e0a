"""Costs in CNY and the time to make up, on hand-made records whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.verify.world import Record, at, by_id, dr_order, dr_run, evidence, lm_order, lm_run, ms
from twin.record.columns import Columns
from twin.record.costs import OFFER, costs
from twin.record.quarters import Quarters
from twin.verify.cost import COST_IDS, judge_cost
from twin.verify.makeup import judge_makeup

TABLE = costs()


def costed(order, run, base=None, **changes):  # type: ignore[no-untyped-def]
    found = by_id(judge_cost(evidence(order, run, base, **changes)).verdicts)
    assert tuple(found) == COST_IDS[order.kind]
    total, *parts = (v.value for v in found.values())
    assert total == pytest.approx(sum(parts))
    return {k.partition("_")[2]: v.value for k, v in found.items()}


def test_nothing_ordered_costs_nothing() -> None:
    assert set(costed(dr_order(), Record()).values()) == {0.0}
    assert set(costed(lm_order(), Record()).values()) == {0.0}


def test_reductions_are_paid_by_device_within_the_window() -> None:
    """Ten batteries feed 60 kWh each over the window, the half of them enrolled, at two prices."""
    found = evidence(dr_order(), Record())
    kind = found.inventory.kinds["storage"]
    offer = np.where(np.arange(10) < 3, 0.5, 1.5)
    columns = {**kind.columns, "enrolled": np.arange(10) < 5, OFFER: offer}
    kinds = {**found.inventory.kinds, "storage": replace(kind, columns=Columns(columns))}
    for history, kw in ((found.run, 30.0), (found.counterfactual, 0.0)):
        history.quarters = Quarters(0, ms(24), {"storage": 10})
        for quarter in range(96):
            inside = ms(13) <= quarter * 900_000 < ms(15)
            level = np.full(10, kw if inside else -kw)  # what they take back is not paid
            history.quarters.add(quarter * 900_000, "storage", level, 900)
    found = replace(found, inventory=replace(found.inventory, kinds=kinds))
    value = by_id(judge_cost(found).verdicts)["dr.cost_compensation"].value
    assert value == pytest.approx(60.0 * (3 * 0.5 + 2 * 1.5))


def test_without_energies_by_device_kinds_are_paid_at_their_mean() -> None:
    run = Record()
    run.enrolled_mw[at(13) : at(15), 0] = 2.0  # storage is the first kind
    parts = costed(dr_order(), run)
    assert parts["compensation"] == pytest.approx(4000.0 * TABLE.compensation["storage"])


def test_energy_not_served_costs_what_it_is_worth_to_each_sector() -> None:
    """Sites 2 and 3 are dark for 85 min; 150 MW each are missing from 16:35 to 17:30."""
    found = evidence(lm_order(), lm_run())
    sectors = Columns({**found.inventory.sites, "sector": np.array([0, 0, 0, 1, 1, 1])})
    named = replace(found.inventory, sites=sectors, sectors=("industry", "tertiary"))
    values = by_id(judge_cost(replace(found, inventory=named)).verdicts)
    kwh = 150e3 * 55 / 60
    production = values["lm.cost_production"].value
    assert production == pytest.approx(kwh * TABLE.interruption["industry"], rel=1e-6)
    interruption = values["lm.cost_interruption"].value
    assert interruption == pytest.approx(kwh * TABLE.interruption["tertiary"], rel=1e-6)


def test_warmth_counts_above_the_counterfactual_and_people_who_are_there() -> None:
    """+1 K over 2 h at 27 °C in building 3 (700 m2), everybody there; building 0 is empty."""
    run = Record()
    run.temperature[at(13) : at(15), [0, 3]] += 1.0
    run.occupied[:, 0] = 0.0
    parts = costed(dr_order(), run)
    people = 700.0 * TABLE.persons_per_m2[0]
    assert parts["discomfort"] == pytest.approx(2.0 * people * TABLE.discomfort, rel=1e-6)
    assert costed(dr_order(), run, run)["discomfort"] == 0.0
    cool = Record()
    cool.temperature[:] = 25.0  # warmth below 26 °C is none
    cooler = Record()
    cooler.temperature[:] = 22.0
    assert costed(dr_order(), cool, cooler)["discomfort"] == 0.0


def test_charge_missing_at_departure_is_priced_in_excess() -> None:
    run, base = Record(), Record()
    run.session(14, 0, 1, 20.0, 12.0)
    base.session(14, 0, 1, 20.0, 19.0)
    run.session(10, 0, 2, 20.0, 0.0)  # ended before the notice
    assert costed(dr_order(), run, base)["charging"] == pytest.approx(7.0 * TABLE.missing_charge)


# -- making up -------------------------------------------------------------------------------


def made_up(run: Record, **lost):  # type: ignore[no-untyped-def]
    """Judge with devices lost at times given as ``h<hour>_<minute>=count``."""
    found = evidence(dr_order(), run)
    for history in (found.run, found.counterfactual):
        out = np.zeros(1440)
        for when, count in lost.items():
            hour, minute = when[1:].split("_")
            out[at(int(hour), int(minute)) :] += count
        history.scalars = (*history.scalars, "out_of_contact")
        history._series = np.vstack([history._series, out])  # noqa: SLF001 - as the engine would
    (verdict,) = judge_makeup(found).verdicts
    return verdict


def test_the_longest_stretch_after_a_loss_counts() -> None:
    run = dr_run()
    run.demand_mw[at(14) : at(14, 4), 0] += 20.0  # 20 % short for 4 min, then made up
    run.demand_mw[at(14, 25) : at(14, 31), 0] -= 10.0  # a command ran out: 6 min too much
    run.demand_mw[at(13, 20) : at(13, 50), 0] += 20.0  # before the loss: not its fault
    verdict = made_up(run, h14_0=3)
    assert (verdict.value, verdict.passed) == (6.0, False)
    assert "%" in str(verdict.reason)
    calm = dr_run()
    calm.demand_mw[at(14) : at(14, 4), 0] += 20.0
    assert made_up(calm, h14_0=3).value == 4.0


def test_who_lost_nobody_has_nothing_to_make_up() -> None:
    run = dr_run()
    run.demand_mw[at(14) : at(14, 30), 0] += 50.0
    for verdict in (made_up(run), made_up(run, h12_0=5), made_up(run, h15_0=5)):
        assert (verdict.value, verdict.passed) == (0.0, True)
    # At the deadline itself, and never back: to the end of the order.
    gone = dr_run(0.0)
    verdict = made_up(gone, h13_15=5)
    assert verdict.value == 105.0
    assert "end of the order" in str(verdict.reason)
