"""The 20 % order on a small linear city."""

from __future__ import annotations

import numpy as np
import pytest
from fakecity import FakeCity, make_calendar, make_inventory, run

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.platform import Platform
from twin.control.rounds import Rounds
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

INVENTORY, CALENDAR = make_inventory(), make_calendar()
START = 16 * HOUR_MS + 30 * MINUTE_MS
NOTICE, FULL, END = START - HOUR_MS, START + 15 * MINUTE_MS, START + HOUR_MS
WARN_MIN = 15.0
MW = 55.0
SITE = INVENTORY.kinds["terminal"].columns.i8("site")
PROTECTED = INVENTORY.sites.flag("protected")[SITE]


def order(mw: float = MW, form: OrderForm = OrderForm.REDUCTION) -> Order:
    kind = OrderKind.LOAD_MANAGEMENT
    return Order("cut", 0, kind, form, mw, 1, NOTICE, START, FULL, END, WARN_MIN)


def watched(form: OrderForm = OrderForm.REDUCTION, mw: float = MW, lost=None):  # type: ignore[no-untyped-def]
    """Return cut [MW] by minute from the notice, open circuits and warnings, and the city."""
    city, logic = FakeCity(INVENTORY, NOTICE - HOUR_MS), Platform()
    logic.start(INVENTORY, CALENDAR)
    run(city, logic, NOTICE)
    base = run(city.fork(), None, END + 2 * HOUR_MS)[0] / 1000.0
    if lost is not None:
        city.lost = lost
    demand, is_open, warned, reports = [], [], [], []
    while city.now_ms < END + 2 * HOUR_MS:
        now = city.now_ms
        news = [Notice(now, NoticeKind.ORDER, order(mw, form))] if now == NOTICE else []
        actions = logic.digest(now, city.readings(logic.plan(now)), news)
        city.apply(actions.setpoints)
        city.step()
        demand.append(city.meter.sum() / 1000.0)
        is_open.append(~city.closed)
        warned.append(city.set["terminal", "warning"] == 1.0)
        reports.append(actions.reports)
    return base, np.array(demand), np.array(is_open), np.array(warned), reports, city


@pytest.fixture(scope="module")
def seen():  # type: ignore[no-untyped-def]
    return watched()


def at(when_ms: int) -> int:
    return (when_ms - NOTICE) // MINUTE_MS


def quarters(values: np.ndarray) -> np.ndarray:
    part = values[at(FULL) : at(END)]
    return part[: len(part) // 15 * 15].reshape(-1, 15).mean(axis=1)


def test_cut_is_held(seen) -> None:  # type: ignore[no-untyped-def]
    cut = seen[0] - seen[1]
    assert quarters(cut).min() >= 0.98 * MW
    assert quarters(cut).max() <= 1.10 * MW
    assert cut[at(START + 15 * MINUTE_MS)] >= 0.95 * MW


def test_own_measure_agrees(seen) -> None:  # type: ignore[no-untyped-def]
    cut = (seen[0] - seen[1])[at(FULL) : at(END) - 1]
    believed = [r.figures["delivered_mw"] for r in seen[4]][at(FULL) + 1 : at(END)]
    assert np.abs(np.array(believed) - cut).max() <= 0.04 * MW


def test_warned_first_and_no_trip_before_the_start(seen) -> None:  # type: ignore[no-untyped-def]
    is_open, warned = seen[2], seen[3]
    assert not is_open[: at(START)].any()
    warning = at(START) - int(WARN_MIN)
    assert not warned[:warning].any()
    assert warned[warning].any()
    ever = is_open.any(axis=(0, 1))
    assert (warned[warning] | ~ever).all()


def test_protected_sites_are_never_touched(seen) -> None:  # type: ignore[no-untyped-def]
    assert seen[2].any()
    assert not seen[2][:, :, PROTECTED].any()
    assert not seen[3][:, PROTECTED].any()


def test_first_round_goes_first_and_districts_share(seen) -> None:  # type: ignore[no-untyped-def]
    is_open = seen[2][at(END) - 1]
    by_round = is_open.sum(axis=1)
    assert by_round[0] > 0
    # A later round is only opened when the earlier ones are (nearly) used up.
    assert (np.diff(by_round) <= 0).all()
    district = INVENTORY.kinds["terminal"].columns.i8("district")
    parts = [is_open[:, (district == d) & ~PROTECTED].mean() for d in range(3)]
    assert max(parts) <= 1.3 * min(parts)


def test_restored_in_steps(seen) -> None:  # type: ignore[no-untyped-def]
    count = seen[2].sum(axis=(1, 2))
    assert count[at(END) + 60 :].max() == 0
    assert count[at(END) + 20] > 0
    steps = -np.diff(count[at(END) : at(END) + 60])
    assert steps.max() <= 0.15 * count[at(END) - 1]
    assert not seen[3][at(END) + 70 :].any()
    assert seen[1][at(END) :].max() <= seen[0].max()


def test_cap_is_kept() -> None:
    base, demand, *_ = watched(OrderForm.CAP, 200.0)
    assert base[at(FULL) : at(END)].min() > 215.0
    assert quarters(demand).max() <= 200.0
    assert quarters(demand).min() >= 0.97 * 200.0


def test_terminals_out_of_contact_are_made_up() -> None:
    lost = {"terminal": np.arange(INVENTORY.kinds["terminal"].n) % 10 == 7}
    base, demand, is_open, *_ = watched(lost=lost)
    assert quarters(base - demand).min() >= 0.98 * MW
    assert not is_open[:, :, lost["terminal"]].any()


def test_queue_keeps_enrolled_devices_for_last() -> None:
    city, logic = FakeCity(INVENTORY, START - 30 * MINUTE_MS), Platform()
    logic.start(INVENTORY, CALENDAR)
    known = Notice(city.now_ms, NoticeKind.ORDER, order())
    run(city, logic, START - 10 * MINUTE_MS, [known])
    rounds = logic.curtailment.rounds
    circuit, row, kw = rounds.queue(logic.fleet, city.now_ms - MINUTE_MS)
    late = rounds.flexible[circuit, row]
    assert late.any()
    assert (np.diff(late.astype(int)) >= 0).all()
    first = circuit[~late]
    assert (np.diff(first) >= 0).all()
    assert (kw > 0.0).all()
    assert not PROTECTED[row].any()
