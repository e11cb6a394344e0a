"""Records of runs: minute rows, forks that share the past, what crosses to a child process."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin.record.exchange import Alarm
from twin.record.history import History, Incident
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

MINUTE_MS = 60_000
START_MS = 13 * 3_600_000


def history(minutes: int = 12) -> History:
    return History(START_MS, minutes, ("load_mw", "losses_mw"), {"site.demand_kw": (3, "f4")})


def fill(record: History, until: int, value: Callable[[int], float]) -> None:
    """Write minutes up to `until`: scalar, table, an event and a figure each."""
    while record.filled < until:
        minute = record.filled
        record.put("load_mw", value(minute))
        record.row("site.demand_kw")[:] = value(minute)
        record.add_events("commands", {"now_ms": np.array([minute]), "row": np.array([7])})
        record.put_figure("baseline_mw", value(minute))
        record.close_minute()


def test_what_was_not_written_is_not_a_number() -> None:
    record = history()
    fill(record, 3, float)
    assert record.series("load_mw").tolist() == [0.0, 1.0, 2.0]
    assert np.isnan(record.series("losses_mw")).all()
    assert record.table("site.demand_kw").dtype == np.float32
    assert record.time_ms().tolist() == [START_MS + i * MINUTE_MS for i in range(3)]
    assert record.events("charging.sessions") == {}
    record.put_scalars({"load_mw": 3.0, "losses_mw": 0.5})
    record.close_minute()
    assert record.series("losses_mw")[-1] == 0.5
    with pytest.raises(ValueError, match="not in tuple"):
        record.put("no_such", 1.0)


def test_minutes_are_found_by_time_and_kept_within_the_run() -> None:
    record = history()
    fill(record, 5, float)
    assert record.index(START_MS) == 0
    assert record.index(START_MS + 2 * MINUTE_MS + 59_999) == 2
    assert record.index(0) == 0
    assert record.index(10**12) == 5


@st.composite
def families(draw: st.DrawFn) -> tuple[list[History], list[list[float]]]:
    """Three generations of records with the values each should show."""
    cuts = sorted(draw(st.tuples(*[st.integers(0, 12)] * 2)))
    fork_first = draw(st.booleans())  # the parent goes on before the child begins, or after it
    grand = history()
    fill(grand, cuts[0], lambda m: m)
    parent = grand.fork()
    if fork_first:
        fill(grand, 12, lambda m: m)
    fill(parent, cuts[1], lambda m: 100 + m)
    child = parent.fork()
    fill(child, 12, lambda m: 200 + m)
    fill(parent, 12, lambda m: 100 + m)
    fill(grand, 12, lambda m: m)
    expected = [
        [float(m) for m in range(12)],
        [float(m if m < cuts[0] else 100 + m) for m in range(12)],
        [float(m if m < cuts[0] else 100 + m if m < cuts[1] else 200 + m) for m in range(12)],
    ]
    return [grand, parent, child], expected


@given(families(), st.integers(0, 12), st.integers(0, 14))
def test_forks_share_the_past_and_nothing_else(
    family: tuple[list[History], list[list[float]]], first: int, stop: int
) -> None:
    for record, expected in zip(*family, strict=True):
        assert record.series("load_mw").tolist() == expected
        assert record.table("site.demand_kw")[:, 1].tolist() == expected
        assert record.figures["baseline_mw"].tolist() == expected
        events = record.events("commands")
        assert events["now_ms"].tolist() == list(range(12))  # the parent's end at the fork
        assert record.series("load_mw", first, stop).tolist() == expected[first:stop]
        assert record.table("site.demand_kw", first, stop)[:, 2].tolist() == expected[first:stop]


def test_lists_and_figures_of_a_fork_are_its_own() -> None:
    record = history()
    fill(record, 2, float)
    record.incidents.append(Incident(START_MS, "divergence", "before"))
    record.peak["load_mw"] = np.array([1.0])
    fork = record.fork()
    for one, other in ((record, fork), (fork, record)):
        held = len(other.incidents), len(other.alarms), len(other.settlement)
        one.incidents.append(Incident(START_MS, "divergence", "after"))
        one.alarms.append(Alarm("storage", 0, "soc_low", START_MS))
        one.settlement.append({"site": 1})
        assert held == (len(other.incidents), len(other.alarms), len(other.settlement))
    fork.peak["load_mw"] = np.array([2.0])
    assert record.peak["load_mw"].tolist() == [1.0]
    assert fork.incidents[0].text == "before"


def test_a_fork_allocates_only_what_it_will_write() -> None:
    record = history()
    fill(record, 9, float)
    fork = record.fork()
    assert fork.first == 9
    assert fork.row("site.demand_kw").base is not None
    assert fork._tables["site.demand_kw"].shape == (3, 3)  # noqa: SLF001


def test_a_child_process_gives_back_what_is_not_in_shared_memory() -> None:
    """The child's copy is played here by a second record on the same memory, through pickle."""
    ours = history()
    fill(ours, 4, float)
    theirs = ours.fork()
    theirs.parent, theirs.first = ours.parent, ours.first
    theirs._series, theirs._tables = ours._series, ours._tables  # noqa: SLF001 - shared pages
    theirs._events = {k: list(v) for k, v in ours._events.items()}  # noqa: SLF001
    theirs._shared_events = {}  # noqa: SLF001
    fork_at_4 = ours.fork()
    fill(theirs, 8, lambda m: 50 + m)
    theirs.incidents.append(Incident(START_MS, "divergence", "in the child"))
    theirs.peak["load_mw"] = np.array([57.0])
    assert ours.filled == 4
    ours.adopt(pickle.loads(pickle.dumps(theirs.rest())))
    assert ours.filled == 8
    assert ours.series("load_mw").tolist() == [0, 1, 2, 3, 54, 55, 56, 57]
    assert ours.events("commands")["now_ms"].tolist() == list(range(8))
    assert ours.incidents[0].text == "in the child"
    assert ours.peak["load_mw"].tolist() == [57.0]
    assert ours.figures["baseline_mw"][7] == 57.0
    # A fork that was made before keeps its own past.
    assert fork_at_4.events("commands")["now_ms"].tolist() == [0, 1, 2, 3]
    assert fork_at_4.series("load_mw").tolist() == [0, 1, 2, 3]


def test_shared_memory_is_seen_by_the_parent_of_a_forked_process() -> None:
    from twin.scenario.workers import Worker

    record = history()

    def job() -> dict[str, object]:
        fill(record, 3, lambda m: 10 + m)
        return record.rest()

    rest = Worker(job).result()
    record.adopt(rest)
    assert record.series("load_mw").tolist() == [10.0, 11.0, 12.0]
    assert record.table("site.demand_kw")[2].tolist() == [12.0, 12.0, 12.0]


# -- orders ----------------------------------------------------------------------------------


def order(**changes: object) -> Order:
    values: dict[str, object] = {
        "id": "dr-5", "revision": 0, "kind": OrderKind.DEMAND_RESPONSE,
        "form": OrderForm.REDUCTION, "mw": 2.0, "level": 0, "notice_ms": START_MS,
        "start_ms": START_MS + 600_000, "full_by_ms": START_MS + 900_000,
        "end_ms": START_MS + 3_600_000,
    }  # fmt: skip
    return Order(**{**values, **changes})  # type: ignore[arg-type]


def test_orders_are_values_that_cannot_be_changed() -> None:
    assert order() == order()
    assert order() != order(revision=1)
    assert len({order(), order(), order(mw=None)}) == 2
    assert order().warning_min == 0.0
    with pytest.raises(AttributeError):
        order().mw = 3.0  # type: ignore[misc]
    notice = Notice(START_MS, NoticeKind.CHANGE, order())
    assert pickle.loads(pickle.dumps(notice)) == notice


def test_words_of_orders_are_those_of_the_files() -> None:
    assert OrderKind("demand_response") is OrderKind.DEMAND_RESPONSE
    questions = {"capability", "sustained"}  # of the judge, on forks
    assert {k.value for k in OrderKind} == {"demand_response", "load_management", *questions}
    assert {f.value for f in OrderForm} == {"reduction", "cap", "increase"}
    assert {n.value for n in NoticeKind} == {"order", "change", "cancellation"}
