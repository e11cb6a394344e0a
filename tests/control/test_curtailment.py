"""The 20 % order on a small linear city."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakecity import FakeCity, make_calendar, make_inventory, run
from hypothesis import given, settings
from hypothesis import strategies as st

from twin.clock import HOUR_MS, MINUTE_MS
from twin.control.load_management.measures import default_rules
from twin.control.platform import Platform
from twin.record.load_rules import Switching
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

INVENTORY, CALENDAR = make_inventory(), make_calendar()
START = 16 * HOUR_MS + 30 * MINUTE_MS
NOTICE, FULL, END = START - HOUR_MS, START + 15 * MINUTE_MS, START + HOUR_MS
WARN_MIN = 15.0
MW = 55.0
SITE = INVENTORY.kinds["terminal"].columns.i8("site")
PROTECTED = INVENTORY.sites.flag("protected")[SITE]


def order(mw: float = MW, form: OrderForm = OrderForm.REDUCTION, level: int = 1) -> Order:
    kind = OrderKind.LOAD_MANAGEMENT
    return Order("cut", 0, kind, form, mw, level, NOTICE, START, FULL, END, WARN_MIN)


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


def test_devices_behind_open_circuits_count_once() -> None:
    base, demand, is_open, _, reports, _ = watched(mw=115.0)
    cut = (base - demand)[at(FULL) : at(END) - 1]
    believed = [r.figures["delivered_mw"] for r in reports][at(FULL) + 1 : at(END)]
    # All circuits with enrolled devices behind them are open: what these drew is in the cut once.
    assert is_open[at(END) - 1][:, ~PROTECTED].all()
    assert np.abs(np.array(believed) - cut).max() <= 0.01 * 115.0


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
    # A later round is only opened when the earlier ones are (nearly) used up.
    ever = seen[2][: at(END)].any(axis=0).sum(axis=1)
    assert ever[0] > 0
    assert (np.diff(ever) <= 0).all()
    is_open = seen[2][at(END) - 1]
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


@pytest.mark.parametrize("cap", [200.0, 214.0])
def test_cap_is_kept(cap: float) -> None:
    base, demand, *_ = watched(OrderForm.CAP, cap)
    assert base[at(FULL) : at(END)].min() > 215.0
    assert quarters(demand).max() <= cap
    assert quarters(demand).min() >= 0.97 * cap


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


# -- taking turns, ledger, levels -----------------------------------------------------------------

TURNS = replace(
    default_rules(), switching=Switching(min_off_min=8.0, min_on_min=20.0, most_off_min=60.0)
)


LONG_MW = 15.0
RIGID = make_inventory({"aircon": 80, "terminal": 240})


@pytest.fixture(scope="module")
def long_order():  # type: ignore[no-untyped-def]
    """Two hours of a small order under rules by which nobody is off for more than one."""
    city, logic = FakeCity(RIGID, START - 30 * MINUTE_MS), Platform()
    calendar = replace(CALENDAR, load_rules=TURNS)
    logic.start(RIGID, calendar)
    end = START + 2 * HOUR_MS
    long = replace(order(LONG_MW), notice_ms=city.now_ms, end_ms=end)
    base = run(city.fork(), None, end)[0] / 1000.0
    demand, is_open, tables = [], [], []
    while city.now_ms < end:
        news = [Notice(city.now_ms, NoticeKind.ORDER, long)] if not demand else []
        actions = logic.digest(city.now_ms, city.readings(logic.plan(city.now_ms)), news)
        city.apply(actions.setpoints)
        city.step()
        demand.append(city.meter.sum() / 1000.0)
        is_open.append(~city.closed)
        tables.append(actions.reports.tables)
    return base - np.array(demand), np.array(is_open), tables, logic


def spells(is_open: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return minutes of every time off that is over, and of every time on between two."""
    flat = is_open.reshape(len(is_open), -1).T
    off, on = [], []
    for row in flat[flat.any(axis=1)]:
        edges = np.flatnonzero(np.diff(row.astype(int)))
        parts = np.diff(edges)
        (off if row[edges[0] + 1] else on).extend(parts[0::2])
        (on if row[edges[0] + 1] else off).extend(parts[1::2])
    return np.array(off), np.array(on)


def test_turns_are_taken_without_a_dip(long_order) -> None:  # type: ignore[no-untyped-def]
    cut, is_open, *_ = long_order
    held = cut[-105:].reshape(-1, 15).mean(axis=1)
    assert held.min() >= 0.98 * LONG_MW
    assert held.max() <= 1.10 * LONG_MW
    off, _ = spells(is_open)
    assert len(off) >= 20  # circuits have changed places
    assert off.max() <= 60 + 2
    assert not is_open[:, :, PROTECTED].any()


def test_least_times_off_and_on_are_kept(long_order) -> None:  # type: ignore[no-untyped-def]
    off, on = spells(long_order[1])
    assert off.min() >= 8
    assert on.size == 0 or on.min() >= 20


def test_the_ledger_is_what_was_cut(long_order) -> None:  # type: ignore[no-untyped-def]
    _, is_open, _, logic = long_order
    ledger = logic.curtailment.rounds.memory["ledger_kwh"]
    ever = is_open.any(axis=(0, 1))
    assert (ledger[~ever] == 0.0).all()
    # 15 % of some 800 kW of host load a circuit, for the minutes that it was open.
    minutes = is_open.sum(axis=(0, 1))
    assert ledger[ever] == pytest.approx(0.15 * 800.0 * 0.93 * minutes[ever] / 60.0, rel=0.2)


def test_the_next_day_begins_with_those_who_gave_least() -> None:
    ledger, queues = np.zeros(RIGID.sites.n), []
    for held in (None, ledger):
        city, logic = FakeCity(RIGID, START - 30 * MINUTE_MS), Platform()
        logic.start(RIGID, replace(CALENDAR, load_rules=replace(TURNS, ledger_kwh=held)))
        news = Notice(city.now_ms, NoticeKind.ORDER, replace(order(10.0), notice_ms=city.now_ms))
        run(city, logic, START - 10 * MINUTE_MS, [news])
        rounds = logic.curtailment.rounds
        queues.append(rounds.queue(logic.fleet, START - 11 * MINUTE_MS)[1][:40])
        ledger[SITE[queues[0]]] = 120.0
    assert len(np.unique(queues[0])) == 40
    assert not set(queues[0]) & set(queues[1])


def test_measures_and_plan_are_reported(long_order) -> None:  # type: ignore[no-untyped-def]
    tables = long_order[2]
    plans = [t["cut_plan"] for t in tables if "cut_plan" in t]
    assert [str(p["how"][0]) for p in plans] == ["rounds"]
    measures = [t["measures"] for t in tables if "measures" in t]
    assert len(measures) == 8  # each quarter of an hour
    assert measures[-1]["measure"].tolist() == ["shift", "avoid", "restrict", "trip"]
    assert measures[-1]["mw"].sum() == pytest.approx(LONG_MW, rel=0.1)
    assert measures[-1]["mw"][3] == 0.0  # nobody's last round for so little


def test_a_mild_level_trips_nobody() -> None:
    city, logic = FakeCity(INVENTORY, START - 30 * MINUTE_MS), Platform()
    logic.start(INVENTORY, CALENDAR)
    big = replace(order(150.0, level=3), notice_ms=city.now_ms)
    run(city, logic, FULL + 5 * MINUTE_MS, [Notice(city.now_ms, NoticeKind.ORDER, big)])
    rounds = logic.curtailment.rounds
    opened = rounds.memory["open"] > 0.0
    assert opened[:3].any()
    assert not opened[3].any()
    assert not (opened & rounds.flexible).any()


def held(city: FakeCity, logic: Platform, until_ms: int, *notices: Notice, spoil=None) -> None:  # type: ignore[no-untyped-def]
    """Run to `until_ms`; `spoil` may change the city's load as it is read."""
    while city.now_ms < until_ms:
        now = city.now_ms
        readings = city.readings(logic.plan(now))
        if spoil is not None and "city" in readings:
            readings["city"].value[0] = spoil(now, readings["city"].value[0])
        news = [n for n in notices if n.now_ms == now]
        city.apply(logic.digest(now, readings, news).setpoints)
        city.step()


def test_a_changed_order_is_planned_anew() -> None:
    city, logic = FakeCity(RIGID, START - 30 * MINUTE_MS), Platform()
    logic.start(RIGID, replace(CALENDAR, load_rules=TURNS))
    small = replace(order(10.0), notice_ms=city.now_ms)
    large = replace(small, revision=1, mw=20.0)
    later = START + 20 * MINUTE_MS
    told = Notice(city.now_ms, NoticeKind.ORDER, small), Notice(later, NoticeKind.CHANGE, large)
    held(city, logic, later, *told)
    before = logic.curtailment.numbers.total_kw
    held(city, logic, later + 20 * MINUTE_MS, *told)
    numbers = logic.curtailment.numbers
    assert 9_800.0 <= before <= 11_000.0
    assert 19_600.0 <= numbers.total_kw <= 22_000.0
    assert numbers.plan == "cut.1"


def test_a_cap_does_not_fall_for_a_reading_that_cannot_be() -> None:
    city, logic = FakeCity(RIGID, START - 30 * MINUTE_MS), Platform()
    logic.start(RIGID, replace(CALENDAR, load_rules=TURNS))
    cap = replace(order(185.0, OrderForm.CAP), notice_ms=city.now_ms)
    odd = {START + 31 * MINUTE_MS: 0.0, START + 35 * MINUTE_MS: 1e9, START + 36 * MINUTE_MS: np.nan}

    def spoil(now: int, load: np.ndarray) -> np.ndarray:
        return np.full_like(load, odd[now]) if now in odd else load

    told = Notice(city.now_ms, NoticeKind.ORDER, cap)
    held(city, logic, START + 30 * MINUTE_MS, told, spoil=spoil)
    opened = logic.curtailment.rounds.memory["open"].sum()
    held(city, logic, START + 38 * MINUTE_MS, told, spoil=spoil)
    assert opened > 0
    assert logic.curtailment.rounds.memory["open"].sum() == pytest.approx(opened, rel=0.15)
    assert city.meter.sum() / 1000.0 <= 185.0


def test_a_level_bars_the_kinds_of_graver_measures() -> None:
    measures = tuple(replace(m, level=1) if m.name == "shift" else m for m in TURNS.measures)
    rules = replace(TURNS, measures=measures)
    commanded = []
    for level in (1, 3):
        city, logic = FakeCity(INVENTORY, START - 30 * MINUTE_MS), Platform()
        logic.start(INVENTORY, replace(CALENDAR, load_rules=rules))
        told = Notice(
            city.now_ms, NoticeKind.ORDER, replace(order(level=level), notice_ms=city.now_ms)
        )
        held(city, logic, START + 10 * MINUTE_MS, told)
        commanded.append(np.isfinite(city.set["charging", "limit_kw"]).sum())
    assert commanded[0] > 0
    assert commanded[1] == 0


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10_000), st.sampled_from(list(OrderForm)))
def test_no_reading_leads_to_a_protected_site(seed: int, form: OrderForm) -> None:
    draw = np.random.Generator(np.random.Philox(seed))
    city, logic = FakeCity(RIGID, START - 20 * MINUTE_MS), Platform()
    logic.start(RIGID, CALENDAR)
    mw = 20.0 if form is OrderForm.REDUCTION else 190.0
    told = Notice(city.now_ms, NoticeKind.ORDER, replace(order(mw, form), notice_ms=city.now_ms))
    absurd = np.array([np.nan, np.inf, -np.inf, -1e9, 1e12, 0.0, 1.0])
    while city.now_ms < START + 12 * MINUTE_MS:
        readings = city.readings(logic.plan(city.now_ms))
        for reading in readings.values():
            bad = draw.random(reading.value.shape) < 0.3
            reading.value[bad] = draw.choice(absurd, int(bad.sum()))
            old = draw.random(reading.time_ms.shape) < 0.2
            reading.time_ms[old] -= draw.integers(0, 10**9)
        actions = logic.digest(city.now_ms, readings, [told] if city.now_ms == told.now_ms else [])
        city.apply(actions.setpoints)  # asserts that every value is one the device takes
        city.step()
        assert city.closed[:, PROTECTED].all()
        assert (city.set["terminal", "warning"][PROTECTED] != 1.0).all()
        assert np.isfinite(logic.curtailment.numbers.total_kw)
