"""The shipped maps: each kind reachable on each of its maps, alike and in few blocks."""

from __future__ import annotations

import math
from importlib.resources import files
from itertools import pairwise

import pytest

from hil.registers.codec import decode
from hil.registers.files import commands_of, maps_of, reading_points, shipped_maps, unreached
from hil.registers.kinds import catalogue
from hil.registers.schema import RegisterMap, WirePoint
from tests.registers.picture import Device, picture
from twin.record.monitor import DEVICE_KINDS

MAPS = shipped_maps()
EXPECTED = {
    "storage": ["storage-own", "storage-sunspec-1xx", "storage-sunspec-7xx"],
    "charging": ["charging-own", "charging-post"],
    "aircon": ["aircon-own", "aircon-chiller"],
    "solar": ["solar-own", "solar-sunspec-1xx", "solar-sunspec-7xx"],
    "dispatcher": ["dispatcher"],
}
every_map = pytest.mark.parametrize("one", MAPS.values(), ids=list(MAPS))


@pytest.mark.parametrize("kind", [*DEVICE_KINDS, "meter", "busbar", "city", "dispatcher"])
def test_each_kind_has_its_maps(kind):
    assert list(maps_of(kind)) == EXPECTED.get(kind, [f"{kind}-own"])


def test_kinds_of_the_maps_are_all_there_are():
    assert {one.kind for one in MAPS.values()} == set(catalogue())


def test_files_are_called_as_their_maps():
    folder = files("hil.registers").joinpath("maps")
    assert {entry.name for entry in folder.iterdir()} == {f"{name}.json" for name in MAPS}


@every_map
def test_every_point_and_set_point_is_reached(one):
    assert unreached(one) == ()


@every_map
def test_readings_are_as_fine_as_the_twin_shows_them(one):
    known = catalogue()[one.kind].points
    for name, at in reading_points(one).items():
        point = one.point(at)
        step = 0.0 if point.type == "f32" else point.scale / abs(point.source.gain)
        if known[name].unit != "1" or known[name].resolution > 0.0:
            assert step <= (known[name].resolution or 0.01) * (1.0 + 1e-9), at


@every_map
def test_full_telemetry_is_one_block(one):
    """The registers that readings come from lie in one table, nothing missing between them."""
    points = [one.point(at) for at in reading_points(one).values()]
    if one.kind == "dispatcher":
        points = [p for p in one.points if p.table == "input" and p.address < 256]
    spans = sorted({(p.address, p.address + p.width) for p in points})
    assert len({p.table for p in points}) == 1
    assert all(after[0] == before[1] for before, after in pairwise(spans))
    assert spans[-1][1] - spans[0][0] <= one.longest_read


@every_map
def test_readings_come_back_from_the_registers(one):
    known = catalogue()[one.kind].points
    values = {name: _value(point, i) for i, (name, point) in enumerate(known.items())}
    device = Device(values, nameplate={"rated_kw": 1000.0})
    words = picture(one, device)
    for name, at in reading_points(one).items():
        point = one.point(at)
        assert _back(one, point, words) == pytest.approx(
            values[name], abs=0.501 * (known[name].resolution or 0.01), rel=1e-6
        ), at


def _value(point, number: int) -> float:
    """Return something a point may show, at its resolution."""
    low = point.low if math.isfinite(point.low) else 0.0
    high = point.high if math.isfinite(point.high) else 100.0
    if point.per_rating:
        low, high = 1000.0 * low, 1000.0 * high
    value = low + (0.2 + 0.05 * number) * (high - low)
    return float(round(value)) if point.resolution == 0.0 else value


def _back(one: RegisterMap, point: WirePoint, words: dict[tuple[str, int], int]) -> float:
    given = [words[point.table, point.address + i] for i in range(point.width)]
    value, source = decode(point, one.order, given), point.source
    for own, code in source.values:
        if code == value:
            return own
    return (value - source.offset) / source.gain


@every_map
def test_set_points_have_the_twins_limits_where_these_do_not_depend_on_the_device(one):
    known = catalogue()[one.kind].setpoints
    for name, command in commands_of(one).items():
        point, twin = one.point(command.value), known[name]
        if point.source.values or point.source.per_rating or point.type == "bit":
            continue
        if name in ("heartbeat", "revert_s"):  # narrower than the twin: a register must hold it
            assert None not in (point.low, point.high)
            continue
        if twin.per_rating or not math.isfinite(twin.high):
            assert point.low is None
            assert point.high is None
        else:
            assert (point.low, point.high) == (twin.low, twin.high)


@every_map
def test_both_languages_are_there(one):
    for point in one.points:
        assert any("\u4e00" <= letter <= "\u9fff" for letter in point.meaning_zh), point.name
        assert point.meaning.isascii(), point.name


@pytest.mark.parametrize("kind", DEVICE_KINDS)
def test_own_tables_keep_the_four_classes_in_their_tables(kind):
    table_of = {"yc": {"input"}, "yx": {"input", "discrete"}, "yt": {"holding"}, "yk": {"coil"}}
    one = MAPS[f"{kind}-own"]
    for point in one.points:
        assert point.table in table_of[point.cls], point.name
    first = {table: min(p.address for p in one.points if p.table == table) for table in
             {p.table for p in one.points}}  # fmt: skip
    assert set(first.values()) == {0}
    assert all(
        p.address >= 0x100 for p in one.points if p.source and p.source.nameplate is not None
    )
    assert one.point("rated_kw").address == 0x100


def test_a_terminal_says_what_it_stands_in_for():
    one = MAPS["terminal-own"]
    assert "DL/T 698.45" in one.source
    assert [p.table for p in one.points if p.cls == "yk"] == ["coil"] * 5


def test_a_power_set_point_is_refused_in_parts_and_latched_on_one_map():
    assert MAPS["storage-own"].point("set_power_kw").partial == "refuse"
    latched = {
        (one.name, p.name) for one in MAPS.values() for p in one.points if p.partial == "latch"
    }
    assert latched == {("charging-post", "set_v2g_kw")}


def test_a_busbar_meter_has_steps_of_one_volt():
    assert MAPS["busbar-own"].point("voltage_kv").scale == 0.001
    assert MAPS["busbar-own"].point("voltage_kv").unit == "kV"


def test_order_slots_of_the_dispatcher_are_alike():
    one = MAPS["dispatcher"]
    slots = [
        [(p.name.partition("_")[2].partition("_")[2], p.type, p.scale, p.address - 256 - 20 * i)
         for p in one.points if p.name.startswith(f"order_{i + 1}_") and p.table == "input"]
        for i in range(8)
    ]  # fmt: skip
    assert all(slot == slots[0] for slot in slots)
    assert [name for name, *_ in slots[0]] == [
        "number", "revision", "kind", "form", "mw", "level", "state", "notice_s", "start_s",
        "full_by_s", "end_s", "warning_min",
    ]  # fmt: skip
    acknowledge = [one.point(f"order_{i + 1}_acknowledge") for i in range(8)]
    assert [p.address for p in acknowledge] == list(range(8))
    assert all("w" in p.access for p in acknowledge)


def test_a_report_to_the_dispatcher_is_one_write():
    one = MAPS["dispatcher"]
    block = [p for p in one.points if p.table == "holding" and p.address >= 256]
    assert [p.name for p in block] == [
        "load_mw", "soc", "energy_today_kwh", "devices_online",
        *(f"{kind}_power_kw" for kind in DEVICE_KINDS), "report_sequence",
    ]  # fmt: skip
    assert all(after.address == before.address + before.width for before, after in pairwise(block))
    assert all(p.access == "rw" and p.source.held == 0.0 for p in block)
    assert block[-1].address + 1 - 256 <= 123  # registers in one write
