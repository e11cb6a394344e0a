"""What a scenario may say of the wire and of manners, and what is told when it is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from twin.errors import InputProblems
from twin.scenario.build import build
from twin.scenario.dump import scenario_toml
from twin.scenario.files import load_scenario
from twin.scenario.schema import Scenario
from twin.scenario.wire_schema import ABLE, TWIN_SIDE, WIRE_SIDE, MannerSection, WireSection

TINY = Path("scenarios/tiny/scenario.toml").read_text(encoding="utf-8")


def written(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(TINY + text, encoding="utf-8")
    return path


def problems(folder: Path, text: str) -> list[str]:
    """Return every problem of tiny with `text` at its end, one line each."""
    path = written(folder, text)
    with pytest.raises(InputProblems) as caught:
        build(load_scenario(path), path)
    return [f"{p.place}: {p.value}; {p.allowed}" for p in caught.value.problems]


def test_the_defaults_are_those_of_the_issue() -> None:
    wire = WireSection()
    assert (wire.address, wire.port, wire.network) == ("ip", 1502, "127.16.0.0")
    assert wire.by_kind == {"meter": "unit", "busbar": "unit"}
    assert (wire.units_per_gateway, wire.lateness_limit_ms) == (100, 50.0)
    assert (wire.grid_period_s, wire.poll_timeout_ms, wire.poll_retries) == (None, 500.0, 1)
    assert Scenario(name="x").manners == ()


def test_what_is_written_is_read_again() -> None:
    data: dict[str, Any] = {
        "name": "x",
        "wire": {
            "address": "unit",
            "by_kind": {"storage": "ip"},
            "maps": {"storage": {"storage-own": 0.25, "storage-sunspec-7xx": 0.75}},
            "grid_period_s": 1,
        },
        "manners": [
            {"kind": "storage", "share": 0.1, "heartbeat_s": 27, "min_off_s": 60, "at": "01:00"},
            {"kind": "meter", "rows": [0, 4], "delay_ms": 80.0, "map": "meter-own"},
            {"kind": "solar", "frozen": True, "point": "power_kw", "exception": 6},
        ],
    }
    scenario = Scenario.model_validate(data)
    text = scenario_toml(scenario)
    assert Scenario.model_validate(tomllib.loads(text)) == scenario


@pytest.mark.parametrize(
    ("wire", "rule"),
    [
        ({"network": "10.0.0.1"}, "an IPv4 address from 127.0.0.1 to 127.254.255.255"),
        ({"network": "127.255.0.1"}, "an IPv4 address from"),
        ({"network": "127.1"}, "an IPv4 address from"),
        ({"port": 0}, "greater than or equal to 1"),
        ({"port": 65536}, "less than or equal to 65535"),
        ({"units_per_gateway": 248}, "less than or equal to 247"),
        ({"poll_retries": 6}, "less than or equal to 5"),
        ({"lateness_limit_ms": 0.0}, "greater than 0"),
        ({"grid_period_s": 7}, "Input should be 1, 2"),
        ({"grid_period_s": 60}, "wire: control_period_s = 90 must be a multiple"),
        ({"by_kind": {"battery": "ip"}}, "Input should be"),
        ({"maps": {"storage": {"a": 0.5, "b": 0.4}}}, "maps.storage must sum to 1, not 0.9"),
        ({"maps": {"storage": {}}}, "must sum to 1, not 0"),
        ({"maps": {"storage": {"Own Map": 1.0}}}, "match pattern"),
    ],
)
def test_a_wire_that_cannot_be(wire: dict[str, object], rule: str) -> None:
    engine = {"control_period_s": 90, "grid_period_s": 30} if "wire:" in rule else {}
    with pytest.raises(ValidationError, match=rule.replace("[", r"\[")):
        Scenario.model_validate({"name": "x", "wire": wire, "engine": engine})


@pytest.mark.parametrize(
    ("manner", "rule"),
    [
        ({}, "at least one of"),
        ({"share": 0.1, "at": "01:00"}, "at least one of"),
        ({"local": False}, "at least one of"),
        ({"local": True, "share": 0.1, "rows": [1]}, "either share or rows"),
        ({"local": True, "share": 1.1}, "less than or equal to 1"),
        ({"local": True, "rows": [-1]}, "greater than or equal to 0"),
        ({"local": True, "at": "02:00", "until": "02:00"}, "until must come after at"),
        ({"drift_per_h": 1.0}, "drift_per_h needs point"),
        ({"local": True, "point": "soc"}, "point needs frozen"),
        ({"exception_share": 0.5, "local": True}, "exception_share needs exception"),
        ({"delay_sigma": 0.5, "local": True}, "delay_sigma needs delay_ms"),
        ({"heartbeat_s": 0}, "greater than or equal to 1"),
        ({"revert_s": 86_401}, "less than or equal to 86400"),
        ({"exception": 12}, "less than or equal to 11"),
        ({"delay_ms": "80 ms"}, "valid number"),
        ({"laziness": 1}, "Extra inputs"),
    ],
)
def test_a_manner_that_cannot_be(manner: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        MannerSection.model_validate({"kind": "storage", **manner})


@pytest.mark.parametrize("kind", ["terminal", "meter", "busbar"])
def test_kinds_have_the_manners_that_they_can_have(kind: str) -> None:
    values: dict[str, object] = {"local": True, "ignore_writes": True, "frozen": True}
    values |= {"drift_per_h": 1.0, "point": "x"}
    for name in TWIN_SIDE:
        named = (name, "point") if name == "drift_per_h" else (name,)
        given = {k: values.get(k, 30) for k in named}
        if name in ABLE[kind]:
            MannerSection.model_validate({"kind": kind, **given})
        else:
            with pytest.raises(ValidationError, match=f"a {kind} has no {name}"):
                MannerSection.model_validate({"kind": kind, **given})


def test_every_key_is_of_one_side() -> None:
    about = {"kind", "share", "rows", "map", "at", "until", "point"}
    details = {"delay_sigma", "exception_share"}
    assert {*TWIN_SIDE, *WIRE_SIDE} | about | details == set(MannerSection.model_fields)
    assert not {*TWIN_SIDE} & {*WIRE_SIDE}


def test_everything_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        '[[manners]]\nkind = "storage"\nfrozen = true\npoint = "sock"\n'
        '[[manners]]\nkind = "storage"\nrows = [5, 6]\nlocal = true\n'
        '[[manners]]\nkind = "meter"\ndrift_per_h = 1.0\npoint = "power_kw"\n',
    )
    assert len(said) == 3
    assert said[0].startswith("manners.0.point: sock; one of power_kw, soc, ")
    assert said[0].endswith("did you mean soc?")
    assert said[1] == "manners.1.rows.1: 6; a number below 6, that of the storage devices"
    assert said[2] == "manners.2.point: power_kw; one of demand_kw"


def test_a_kind_without_devices_has_no_manners(tmp_path: Path) -> None:
    text = TINY.replace("swap = 0.4", "swap = 0.0").replace("swap = 1", "swap = 0")
    path = tmp_path / "scenario.toml"
    path.write_text(text + '[[manners]]\nkind = "swap"\nlocal = true\n', encoding="utf-8")
    with pytest.raises(InputProblems, match=r"manners\.0\.kind: swap; allowed: one of storage"):
        build(load_scenario(path), path)


def test_times_lie_within_the_run(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        '[[manners]]\nkind = "swap"\nlocal = true\nat = "12:00"\n'
        '[[manners]]\nkind = "swap"\nlocal = true\nuntil = "13:00"\n',
    )
    assert [line.rpartition("; ")[2] for line in said] == [
        "manners.0.at must lie within 13:00 to 16:00",
        "manners.1.until must come after 13:00",
    ]


def test_a_wire_is_told_all_its_problems(tmp_path: Path) -> None:
    said = problems(tmp_path, "[wire]\nprot = 1\nport = 0\n[wire.maps.swap]\nswap-own = 2.0\n")
    assert len(said) == 3
    assert "wire.prot: unknown key" in said[2]
    assert "did you mean port?" in said[2]
