"""The dispatcher's unit as a platform sees it: orders out, acknowledgements and reports in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hil.testbed.dispatcher import SLOTS, Dispatcher, fleet_inventory
from hil.testbed.places import DISPATCHER
from hil.testbed.setup import Options
from tests.testbed.world import Bench, bench, ready
from twin.record.orders import Notice, NoticeKind, Order, OrderForm, OrderKind

MINUTE = 60_000
ONE_PM = 13 * 60 * MINUTE
# Announced at 13:01, warned from 13:02, in force from 13:03, over at 13:05.
ORDER = Order(
    "lm-1", 0, OrderKind.LOAD_MANAGEMENT, OrderForm.CAP, 31.25, 2,
    ONE_PM + MINUTE, ONE_PM + 3 * MINUTE, ONE_PM + 4 * MINUTE, ONE_PM + 5 * MINUTE, 1.0,
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Bench]:
    """Only storage beside the dispatcher."""
    with bench(ready("tiny"), Options(kinds=["storage"]), tmp_path / "orders.jsonl") as found:
        yield found


def shown(here: Bench, name: str) -> float:
    value = here.read(here.place(DISPATCHER), name)
    assert isinstance(value, float)
    return value


def written(here: Bench, **values: float) -> None:
    for name, value in values.items():
        assert here.write(here.place(DISPATCHER), name, value) == 0


def announce(here: Bench, order: Order, kind: NoticeKind = NoticeKind.ORDER) -> None:
    here.session.dispatcher.announce(Notice(here.run.now_ms, kind, order))
    here.advance(1)


def lines(tmp_path: Path) -> list[dict[str, object]]:
    return [json.loads(t) for t in (tmp_path / "orders.jsonl").read_text("utf-8").splitlines()]


def test_the_clock_runs(here: Bench) -> None:
    here.advance(5)
    assert shown(here, "clock_s") == ONE_PM // 1_000 + 5
    ticks = shown(here, "tick")
    here.advance(3)
    assert shown(here, "clock_s") == ONE_PM // 1_000 + 8
    assert shown(here, "tick") > ticks
    assert shown(here, "rate") == here.rate
    assert shown(here, "max_load_mw") == 40.0
    assert shown(here, "orders") == 0
    assert shown(here, "order_1_number") == 0


def test_an_order_lives_as_the_clock_goes(here: Bench) -> None:
    here.advance(60)
    announce(here, ORDER)
    states = []
    for _ in range(5):
        states.append(shown(here, "order_1_state"))
        here.advance(59 if len(states) == 1 else 60)
    assert states == [1, 2, 3, 3, 4]
    expected = {
        "number": 1, "revision": 0, "kind": 2, "form": 2, "mw": 31.25, "level": 2,
        "warning_min": 1.0, "notice_s": ONE_PM // 1_000 + 60, "start_s": ONE_PM // 1_000 + 180,
        "full_by_s": ONE_PM // 1_000 + 240, "end_s": ONE_PM // 1_000 + 300,
    }  # fmt: skip
    assert {name: shown(here, f"order_1_{name}") for name in expected} == expected
    assert shown(here, "orders") == 1


def test_an_order_without_a_warning_is_announced_until_it_is_in_force(here: Bench) -> None:
    here.advance(121)
    announce(here, replace(ORDER, warning_min=0.0, kind=OrderKind.DEMAND_RESPONSE, mw=None))
    assert shown(here, "order_1_state") == 1
    assert shown(here, "order_1_kind") == 1
    assert shown(here, "order_1_mw") == 0.0


def test_a_change_keeps_its_slot_and_wants_a_new_acknowledgement(
    here: Bench, tmp_path: Path
) -> None:
    here.advance(60)
    announce(here, ORDER)
    announce(here, replace(ORDER, id="lm-2"))
    known = here.session.dispatcher.acknowledged
    assert known() == {"lm-1": False, "lm-2": False}
    written(here, order_1_acknowledge=1)
    here.advance(1)
    assert known() == {"lm-1": True, "lm-2": False}
    announce(here, replace(ORDER, revision=1, mw=20.0), NoticeKind.CHANGE)
    assert shown(here, "order_1_mw") == 20.0
    assert shown(here, "order_1_revision") == 1
    assert shown(here, "order_2_number") == 2
    assert shown(here, "orders") == 2
    assert known() == {"lm-1": False, "lm-2": False}
    written(here, order_1_acknowledge=2)
    here.advance(1)
    assert known() == {"lm-1": True, "lm-2": False}
    told = [(x["what"], x["number"], x["id"], x["revision"], x["mw"]) for x in lines(tmp_path)]
    assert told == [
        ("order", 1, "lm-1", 0, 31.25),
        ("order", 2, "lm-2", 0, 31.25),
        ("change", 1, "lm-1", 1, 20.0),
    ]


def test_a_cancelled_order_says_so_whatever_the_time(here: Bench, tmp_path: Path) -> None:
    here.advance(60)
    announce(here, ORDER)
    announce(here, replace(ORDER, revision=1), NoticeKind.CANCELLATION)
    assert shown(here, "order_1_state") == 5
    here.advance(130)
    assert shown(here, "order_1_state") == 5
    assert [x["what"] for x in lines(tmp_path)] == ["order", "cancellation"]


def test_a_line_tells_all_of_an_order(here: Bench, tmp_path: Path) -> None:
    here.advance(60)
    announce(here, ORDER)
    assert lines(tmp_path) == [{
        "what": "order", "at": "13:01", "number": 1, "id": "lm-1", "revision": 0,
        "kind": "load_management", "form": "cap", "mw": 31.25, "level": 2, "notice": "13:01",
        "start": "13:03", "full_by": "13:04", "end": "13:05", "warning_min": 1.0,
    }]  # fmt: skip


def test_orders_beyond_the_slots_are_told_in_the_file(here: Bench, tmp_path: Path) -> None:
    here.advance(60)
    for number in range(1, SLOTS + 3):
        announce(here, replace(ORDER, id=f"lm-{number}", mw=float(number)))
    assert shown(here, "orders") == SLOTS + 2
    assert [shown(here, f"order_{i}_mw") for i in range(1, SLOTS + 1)] == list(range(1, SLOTS + 1))
    assert [x["number"] for x in lines(tmp_path)] == list(range(1, SLOTS + 3))
    assert here.session.dispatcher.acknowledged()[f"lm-{SLOTS + 1}"] is False
    announce(here, replace(ORDER, id=f"lm-{SLOTS + 1}", revision=1), NoticeKind.CHANGE)
    assert lines(tmp_path)[-1]["number"] == SLOTS + 1
    assert shown(here, f"order_{SLOTS}_revision") == 0


def test_a_report_counts_once_when_its_number_changes(here: Bench) -> None:
    heard = here.session.dispatcher
    assert heard.reports(("storage",)) == []
    assert heard.figures() == {}
    written(here, load_mw=33.5, soc=0.5, energy_today_kwh=120.0, storage_power_kw=-250.0)
    written(here, devices_online=6)
    here.advance(1)
    assert heard.reports(("storage",)) == []
    written(here, report_sequence=7)
    here.advance(1)
    (report,) = heard.reports(("storage",))
    assert report.kind == "storage"
    assert report.power_kw.tolist() == [-250.0]
    assert report.soc is not None
    assert report.soc.tolist() == [0.5]
    assert report.energy_today_kwh is not None
    assert report.energy_today_kwh.tolist() == [120.0]
    assert heard.reports(("storage",)) == []
    assert heard.figures() == {"platform_load_mw": 33.5, "platform_devices_online": 6.0}
    written(here, report_sequence=8, aircon_power_kw=-40.0)
    here.advance(1)
    found = heard.reports(("storage", "aircon"))
    assert [(r.kind, r.power_kw.tolist(), r.soc is None) for r in found] == [
        ("storage", [-250.0], False),
        ("aircon", [-40.0], True),
    ]


@pytest.mark.parametrize(("name", "value"), [("soc", 1.5), ("energy_today_kwh", -1.0)])
def test_a_report_out_of_range_is_refused(here: Bench, name: str, value: float) -> None:
    assert here.write(here.place(DISPATCHER), name, value) == 3


def test_orders_cannot_be_written_by_a_platform(here: Bench) -> None:
    point = here.point(here.place(DISPATCHER), "order_1_mw")
    assert point.table == "input"
    client = here.clients(here.place(DISPATCHER))
    assert client.write_register(point.address, 1, device_id=1).exception_code == 2


def test_a_platform_reports_on_each_kind_that_is_served_as_one_device() -> None:
    inventory = ready("tiny").built.world.inventory
    rows = {"storage": np.array([0, 2]), "meter": np.array([0]), "terminal": np.arange(50)}
    found = fleet_inventory(inventory, rows)
    assert set(found.kinds) == {"storage", "terminal"}
    rated = inventory.kinds["storage"].columns.f8("rated_kw")
    assert found.kinds["storage"].n == 1
    assert found.kinds["storage"].columns.f8("rated_kw").tolist() == [rated[0] + rated[2]]
    assert found.max_load_mw == inventory.max_load_mw


def test_a_new_dispatcher_on_the_same_registers_begins_anew(here: Bench) -> None:
    here.advance(60)
    announce(here, ORDER)
    here.served.field.reset()
    bank = here.served.field.bank
    here.session.dispatcher = Dispatcher(bank, 40.0, here.rate, None)
    here.advance(1)
    assert shown(here, "orders") == 0
    assert shown(here, "order_1_number") == 0
    assert shown(here, "order_1_state") == 0
