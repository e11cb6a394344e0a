"""The loss of the chain: run less counterfactual, and who stopped only in the run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.verify.world import at, inventory, lm_order
from twin.record.columns import Columns
from twin.record.exchange import Inventory
from twin.record.history import History
from twin.verify.chain import IDS, judge_chain
from twin.verify.counterfactual import Pair
from twin.verify.verdict import Sheet, Verdict

END_MS = 86_400_000
SCALARS = ("chain_direct_cny", "chain_downstream_cny")


def day(direct: float, downstream: float, stops: list[tuple[int, int]]) -> History:
    """A day that loses so much a minute; `stops` are minute and site."""
    history = History(0, 1440, SCALARS, {})
    for minute in range(1440):
        late = float(minute >= at(17))
        history.put_scalars(
            {"chain_direct_cny": direct * late, "chain_downstream_cny": downstream * late}
        )
        history.close_minute()
    for minute, site in stops:
        history.add_events(
            "chain.stops",
            {"now_ms": np.array([minute * 60_000]), "site": np.array([site])},
        )
    return history


def with_graph() -> Inventory:
    edge = {"supplier": [2], "customer": [3], "share": [0.5], "stock_h": [1.0]}
    return replace(inventory(), chain=Columns({k: np.array(v) for k, v in edge.items()}))


def judged(run: History, base: History, registered: Inventory) -> dict[str, Verdict]:
    sheet = Sheet("twenty")
    judge_chain(sheet, Pair(run, base, registered, END_MS), lm_order())
    assert [v.id for v in sheet.verdicts] == list(IDS)
    return {v.id: v for v in sheet.verdicts}


def test_losses_are_in_excess_of_the_counterfactual() -> None:
    run = day(10.0, 4.0, [(at(12), 5), (at(18), 3), (at(19), 3), (at(18), 2)])
    base = day(1.0, 0.5, [(at(18), 2)])
    found = judged(run, base, with_graph())
    minutes = 24 * 60 - at(17)
    assert found["lm.chain_loss"].value == pytest.approx(12.5 * minutes)
    assert found["lm.direct_loss"].value == pytest.approx(9.0 * minutes)
    # Site 5 stopped before the notice, site 2 would have stopped anyway, site 3 counts once.
    assert found["lm.downstream_stops"].value == 1.0
    assert all(v.passed is None for v in found.values())


def test_without_a_graph_nothing_applies() -> None:
    found = judged(day(1.0, 1.0, []), day(0.0, 0.0, []), inventory())
    assert {v.reason for v in found.values()} == {"no graph"}


def test_gaps_in_the_record_are_no_loss_of_nothing() -> None:
    run = day(1.0, 1.0, [])
    run.filled = 1439
    run.put("chain_direct_cny", float("nan"))
    run.close_minute()
    found = judged(run, day(0.0, 0.0, []), with_graph())
    assert found["lm.chain_loss"].value is None
    assert found["lm.chain_loss"].reason == "the record of the load has gaps"
