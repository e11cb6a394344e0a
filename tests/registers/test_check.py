"""Every rule of a register map has an example that breaks it; a file reports all at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hil.registers.files import check_map, load_map, unreached
from twin.errors import InputProblems


def good(**given: Any) -> dict[str, Any]:
    """Return a map of a charging station with a reading, a limit and a coil."""
    words = {"meaning": "-", "meaning_zh": "-"}
    return {
        "name": "mine", "kind": "charging", "title": "-", "title_zh": "-", "source": "-",
        "identity": {"vendor": "v", "product": "p"},
        "points": [
            {"name": "power", "class": "yc", "table": "input", "address": 0, "type": "i32",
             "scale": 0.1, "unit": "kW", "source": {"point": "power_kw"}, **words},
            {"name": "limit", "class": "yt", "table": "holding", "address": 10, "type": "u32",
             "scale": 0.1, "unit": "kW", "access": "rw",
             "source": {"setpoint": "limit_kw"}, **words},
            {"name": "enable", "class": "yk", "table": "holding", "address": 12, "type": "u16",
             "low": 0, "high": 1, "access": "rw", "source": {"held": 0}, **words},
            {"name": "back", "class": "yk", "table": "coil", "address": 0, "type": "bit",
             "access": "rw", "source": {"setpoint": "release"}, **words},
        ],
    } | given  # fmt: skip


def broken(number: int = 0, **given: Any) -> dict[str, Any]:
    """Return the good map with one point changed."""
    data = good()
    data["points"][number] |= given
    return data


def with_command(**given: Any) -> dict[str, Any]:
    """Return the good map with a command, whose value is a held percentage."""
    data = broken(
        1, type="u16", unit="%", source={"held": 100, "gain": 100, "per_rating": True}, high=100
    )
    data["commands"] = [{"setpoint": "limit_kw", "value": "limit", "enable": "enable"} | given]
    return data


def faults(data: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(InputProblems) as caught:
        check_map(data, "mine.json")
    assert {p.file for p in caught.value.problems} == {"mine.json"}
    return [(p.place, p.value, p.allowed) for p in caught.value.problems]


def test_good_maps_pass():
    assert check_map(good(), "mine.json").point("power").width == 2
    assert check_map(with_command(), "mine.json").commands[0].on == 1
    with pytest.raises(KeyError):
        check_map(good(), "mine.json").point("powers")


@pytest.mark.parametrize(
    ("data", "place", "value", "allowed"),
    [
        # the schema
        (broken(addres=3), "points.0.addres (power)", "unknown key (= 3)", "did you mean address?"),
        (broken(low="1"), "points.0.low (power)", "'1'", "least value in the point's unit"),
        (broken(address=70000), "points.0.address (power)", "70000", "less than or equal to 65535"),
        (broken(type="u24"), "points.0.type (power)", "'u24'", "'u16'"),
        (broken(name="1st"), "points.0.name (1st)", "'1st'", "match"),
        (broken(meaning=""), "points.0.meaning (power)", "''", "at least 1"),
        (broken(table="coil"), "points.0 (power)", "does not fit", "coil does not hold type i32"),
        (broken(access="rw"), "points.0 (power)", "does not fit", "input cannot be written"),
        (broken(length=2), "points.0 (power)", "does not fit", "length belongs to type string"),
        (broken(bit=2), "points.0 (power)", "does not fit", "bit belongs to a read-only point"),
        (broken(scale=0.0), "points.0 (power)", "does not fit", "scale must be above 0, not 0"),
        (broken(low=5, high=4), "points.0 (power)", "does not fit", "low 5 above high 4"),
        (broken(high=3e8), "points.0 (power)", "does not fit", "high 3e+08 does not fit type i32"),
        (broken(1, access="r"), "points.1 (limit)", "does not fit", "class yt is written"),
        (broken(1, source=None), "points.1 (limit)", "does not fit", "setpoint or held"),
        (broken(source={"text": "x"}), "points.0 (power)", "does not fit", "text belongs to type"),
        (broken(source={}), "points.0.source (power)", "does not fit", "one source, not none"),
        (
            broken(source={"point": "power_kw", "held": 1}),
            "points.0.source (power)", "does not fit", "one source, not ['point', 'held']",
        ),
        (
            broken(source={"point": "power_kw", "gain": 0}),
            "points.0.source (power)", "does not fit", "gain must not be 0",
        ),
        (
            broken(source={"points": "power_kw"}),
            "points.0.source.points (power)", "unknown key", "did you mean point?",
        ),
        (
            good(reserved=[{"table": "coil", "first": 9, "last": 8}]),
            "reserved.0", "does not fit", "first 9 above last 8",
        ),
        (good(identity={"vendor": "v"}), "identity.product", "missing", "a value"),
        (good(order="LITTLE"), "order", "'LITTLE'", "'DCBA'"),
        (good(points="none"), "points", "'none'", "list"),
        ([], "map", "[]", "object"),
        # the map as a whole
        (broken(1, name="power"), "points.1.name (power)", "as points.0", "a name of its own"),
        (
            broken(2, address=11),
            "points.2.address (enable)", "holding 11 overlaps limit at 11", "over the full width",
        ),
        (
            good(reserved=[{"table": "input", "first": 1, "last": 5}]),
            "points.0.address (power)", "input 0..1", "outside 1..5, which reserved.0 keeps",
        ),
        (broken(**{"class": "yx"}), "points.0.type (power)", "i32 for class yx", "bits, u16, u32"),
        (
            broken(3, **{"class": "yt"}),
            "points.3.table (back)", "coil for class yt", "for yt: holding",
        ),
        (broken(unit="furlong"), "points.0.unit (power)", "'furlong'", "units.py"),
        (broken(2, na=65536), "points.2.na (enable)", "65536", "at most 65535"),
        (broken(3, na=1), "points.3.na (back)", "1", "none: bits and text have no pattern"),
        (
            broken(2, high=65535),
            "points.2.high (enable)", "raw 0xffff, which says 'not implemented'", "0 .. 65534",
        ),
        (
            broken(source={"point": "power_kw", "values": [[1, 2], [1, 3]]}),
            "points.0.source.values (power)", "1 twice", "each twin value once",
        ),
        (
            broken(3, source={"setpoint": "release", "values": [[0, 1], [1, 1]]}),
            "points.3.source.values (back)", "1 twice", "each register value once",
        ),
        (
            broken(2, source={"held": 0, "values": [[0, 1]]}),
            "points.2.source.values (enable)", "1 codes", "only of a twin's point or set-point",
        ),
        (broken(2, source={"held": 7}), "points.2.source.held (enable)", "7", "0 .. 1"),
        (
            broken(source={"constant": 3e8}),
            "points.0.source.constant (power)", "3e+08", ".. 2.14748e+08",
        ),
        (
            broken(type="string", length=1, scale=1, source={"text": "SunS"}),
            "points.0.source.text (power)", "4 bytes", "at most 2",
        ),
        # against the kind
        (good(kind="chargin"), "kind", "'chargin'", "did you mean charging?"),
        (
            broken(source={"point": "powr_kw"}),
            "points.0.source.point (power)", "'powr_kw'", "did you mean power_kw?",
        ),
        (
            broken(1, source={"setpoint": "limit_mw"}),
            "points.1.source.setpoint (limit)", "'limit_mw'", "did you mean limit_kw (the unit is",
        ),
        (
            broken(source={"nameplate": "rated"}),
            "points.0.source.nameplate (power)", "'rated'", "rated_kw",
        ),
        (
            good(kind="dispatcher"),
            "points.0.source.point (power)", "'power_kw'", "none: kind dispatcher has no points",
        ),
        (broken(unit="W"), "points.0.unit (power)", "'W', gain 1", "gain 1000: twin has kW"),
        (broken(unit="kWh"), "points.0.unit (power)", "'kWh'", "a unit of power such as kW"),
        (
            broken(source={"nameplate": "rated_kw"}, unit="MW"),
            "points.0.unit (power)", "'MW', gain 1", "gain 0.001",
        ),
        (
            broken(source={"point": "power_kw", "per_rating": True, "gain": 1}, unit="%"),
            "points.0.unit (power)", "'%', gain 1", "gain 100",
        ),
        (
            broken(source={"point": "connected", "per_rating": True}, unit=""),
            "points.0.source.per_rating (power)", "of a value in 1", "only of a value in kW",
        ),
        # commands
        (
            with_command(setpoint="limit"),
            "commands.0.setpoint", "'limit'", "did you mean limit_kw (the unit",
        ),
        (with_command(value="limits"), "commands.0.value", "'limits'", "did you mean limit?"),
        (with_command(value="power"), "commands.0.value", "'power', access r", "a point to write"),
        (with_command(low="power"), "commands.0.low", "'power', access r", "a point to write"),
        (
            with_command(also={"enabel": 1}),
            "commands.0.also.enabel", "'enabel'", "did you mean enable?",
        ),
        (with_command(also={"enable": 5}), "commands.0.also.enable", "5 for enable", "0 .. 1"),
        (with_command(on=2), "commands.0.on", "2 for enable", "0 .. 1"),
        (with_command(off=1), "commands.0.off", "1", "another value than on"),
        (with_command(enable="back"), "commands.0.enable", "'back'", "a point that is held"),
        (
            with_command(value="back"),
            "commands.0.value", "'back', which is set-point release", "set-point limit_kw",
        ),
        (
            with_command(value="enable"),
            "commands.0.value (enable)", "'', gain 1", "a unit of power such as kW",
        ),
    ],
)  # fmt: skip
def test_each_rule_has_its_words(data, place, value, allowed):
    found = faults(data)
    assert any(
        p.startswith(place) and value in v and allowed in a for p, v, a in found
    ), found  # fmt: skip


def test_two_commands_for_one_set_point():
    data = with_command()
    data["commands"] *= 2
    assert ("commands.1.setpoint", "'limit_kw', as commands.0", "one command a set-point") in (
        faults(data)
    )


def test_bits_of_one_register_share_it_and_no_bit_twice():
    def flag(name: str, bit: int) -> dict[str, Any]:
        return {
            "name": name, "class": "yx", "table": "input", "address": 9, "type": "bits",
            "bit": bit, "meaning": "-", "meaning_zh": "-", "source": {"point": "remote"},
        }  # fmt: skip

    assert check_map(good(points=[flag("a", 0), flag("b", 1)]), "mine.json")
    assert faults(good(points=[flag("a", 1), flag("b", 1)])) == [
        (
            "points.1.address (b)",
            "input 9 overlaps a at 9",
            "a bit other than 1 or another register",
        )
    ]


def test_a_file_with_many_faults_reports_all(tmp_path):
    data = with_command(value="limits", setpoint="limit_mw")
    data["points"][0] |= {"addres": 1, "unit": "W"}
    data["points"][1] |= {"address": 12, "unit": "MW"}
    data["points"] += [dict(data["points"][3]), dict(data["points"][3], address=-1, name="lost")]
    data["reserved"] = [{"table": "coil", "first": 0, "last": 0}, {"table": "coil", "first": 1}]
    path = tmp_path / "many.json"
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(InputProblems) as caught:
        load_map(path)
    assert [p.place for p in caught.value.problems] == [
        "points.0.addres (power)",
        "points.5.address (lost)",
        "reserved.1.last",
        "points.4.name (back)",
        "points.2.address (enable)",
        "points.4.address (back)",
        "points.3.address (back)",
        "points.4.address (back)",
        "commands.0.setpoint",
    ]
    assert str(caught.value).count(str(path)) == 9


@pytest.mark.parametrize(
    ("text", "place", "value"),
    [
        ("{", "line 1, column 2", "Expecting property name"),
        ('{"name": "a",\n "name": "b"}', "name", "given twice in one object"),
        (b"\xff\xfe\x00", "file", "codec can't decode"),
    ],
)
def test_files_that_are_no_maps(tmp_path, text, place, value):
    path = tmp_path / "odd.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputProblems) as caught:
        load_map(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.place) == (str(path), place)
    assert value in problem.value


def test_a_map_that_is_not_there():
    with pytest.raises(InputProblems, match="did you mean storage-own"):
        load_map("storage-onw")


def test_what_a_map_does_not_reach_is_a_warning():
    warnings = unreached(check_map(good(), "mine.json"))
    assert "point connected cannot be read" in warnings
    assert "set-point v2g_kw cannot be written" in warnings
    assert "set-point limit_kw cannot be written" not in warnings
