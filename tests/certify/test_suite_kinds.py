"""Suites of terminals, chargers, air conditioning and interconnection."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hil.certify.broken import others
from hil.certify.emulated import subject_on
from hil.certify.limits import measurements
from hil.certify.measurement import Outcome
from tests.certify.suite_runs import failed, on, run, taken, with_outcome
from twin.assets.manners import Manner


def test_a_good_terminal_passes_with_a_thousand_commands(tmp_path: Path) -> None:
    found = run("terminal", "terminal", tmp_path / "run")
    assert failed(found) == []
    assert with_outcome(found, Outcome.NOT_APPLICABLE) == ["lockout"]
    assert with_outcome(found, Outcome.INCONCLUSIVE) == []
    assert found["success"].note == "1000 of 1000"
    rows = (tmp_path / "run/steps/commands/commands/commands.csv").read_text("utf-8")
    assert rows.count("\n") == 1001


@pytest.mark.parametrize(
    ("sort", "finds"),
    [
        (others.Forgetful, ["success"]),
        (others.Crossed, ["rounds", "shed_load"]),
        (others.NoWarning, ["warning"]),
        (others.StaysOpen, ["restored"]),
    ],
)
def test_a_broken_terminal_is_found(tmp_path: Path, sort: type, finds: list[str]) -> None:
    short = ("rounds", "warning", "restore", "security")
    only = () if sort is others.Forgetful else short
    assert failed(run("terminal", sort, tmp_path / "run", *only, seed=2)) == finds


def test_a_locked_out_terminal_refuses_and_one_that_trips_is_found(tmp_path: Path) -> None:
    plate = {"protected": 1.0}
    good = run("terminal", "terminal", tmp_path / "good", declared=plate,
               manner=Manner(local=True))  # fmt: skip
    assert good["lockout"].outcome is Outcome.PASS
    assert failed(good) == []
    assert good["rounds"].outcome is Outcome.NOT_APPLICABLE
    bad = run("terminal", "terminal", tmp_path / "bad", "lockout", declared=plate)
    assert failed(bad) == ["lockout"]
    assert bad["lockout"].value == 4.0


@pytest.mark.parametrize("map_name", ["charging-own", "charging-post"])
def test_a_good_charger_passes(tmp_path: Path, map_name: str) -> None:
    found = run("charger", "charging", tmp_path / "run", map_name=map_name)
    assert [one.outcome for one in found.values()] == [Outcome.PASS] * 4


@pytest.mark.parametrize(
    ("sort", "finds"),
    [
        (others.LateCap, ["cap_time"]),
        (others.Unlimited, ["cap_excess"]),
        (others.KillsSessions, ["sessions", "recovery"]),
    ],
)
def test_a_broken_charger_is_found(tmp_path: Path, sort: type, finds: list[str]) -> None:
    assert failed(run("charger", sort, tmp_path / "run")) == finds


def test_a_charger_where_nobody_charges_is_not_judged(tmp_path: Path) -> None:
    """At night, for as long as the suite waits, and behind posts too small to count."""
    found = run("charger", "charging", tmp_path / "run", "session", start_s=0,
                nameplate={"post_kw": 2.0})  # fmt: skip
    assert with_outcome(found, Outcome.INCONCLUSIVE) == ["sessions", "recovery"]
    assert found["sessions"].note == "nobody charges"


@pytest.mark.parametrize("map_name", ["aircon-own", "aircon-chiller"])
def test_a_good_air_conditioner_passes(tmp_path: Path, map_name: str) -> None:
    found = run("aircon", "aircon", tmp_path / "run", map_name=map_name,
                manner=Manner(min_off_s=300))  # fmt: skip
    assert [one.outcome for one in found.values()] == [Outcome.PASS] * 5


@pytest.mark.parametrize(
    ("sort", "declared", "finds"),
    [
        (others.Unmoved, {}, ["setpoint_effect"]),
        (others.Unshed, {}, ["shed_excess", "shed_time"]),
        ("aircon", {"min_off_s": 300.0}, ["off_time"]),
    ],
)
def test_a_broken_air_conditioner_is_found(
    tmp_path: Path, sort: type | str, declared: Mapping[str, float], finds: list[str]
) -> None:
    assert failed(run("aircon", sort, tmp_path / "run", declared=declared)) == finds


@pytest.mark.parametrize("map_name", ["solar-sunspec-7xx", "solar-sunspec-1xx", "solar-own"])
def test_a_good_solar_plant_keeps_its_limit(tmp_path: Path, map_name: str) -> None:
    found = run("interconnection", "solar", tmp_path / "run", map_name=map_name)
    assert failed(found) == []
    assert {"limit_33", "limit_0", "limit_time"} <= set(with_outcome(found, Outcome.PASS))
    assert found["cease"].outcome is Outcome.NOT_APPLICABLE
    assert found["grid_delay"].note == "no instrument: source"


def test_a_plant_that_feeds_in_above_its_limit_is_found(tmp_path: Path) -> None:
    found = run("interconnection", others.Unbridled, tmp_path / "run", "limit",
                map_name="solar-sunspec-7xx")  # fmt: skip
    assert failed(found) == ["limit_time", "limit_33", "limit_0"]


def test_a_limit_above_what_the_sun_gives_shows_nothing(tmp_path: Path) -> None:
    found = run("interconnection", "solar", tmp_path / "run", "limit", start_s=19 * 3600)
    assert with_outcome(found, Outcome.NOT_APPLICABLE)[0] == "limit_66"
    assert "not enough above the limit" in found["limit_33"].note


LIMITS = ["limit_66", "limit_time", "limit_33", "limit_0"]


@pytest.fixture
def quiet() -> Iterator[None]:
    """Silence the warnings that OpenDER gives through logging every second."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    ("settings", "finds"),
    [
        ({}, []),
        ({"ES_DELAY": 280.0}, ["enter_delay", "grid_delay", "grid_restart"]),
        ({"ES_RAMP_RATE": 1.0, "AP_LIMIT_ENABLE": False}, [*LIMITS, "enter_ramp"]),
        ({"ES_PERMIT_SERVICE": True}, ["cease"]),
    ],
)
@pytest.mark.usefixtures("quiet")
def test_opender_enters_service_as_ieee_1547_asks(
    tmp_path: Path, settings: Mapping[str, object], finds: list[str]
) -> None:
    """OpenDER as it is passes everything; with one setting of its own changed it is found."""
    pytest.importorskip("opender")
    from tests.certify.permit_device import PermitDer

    with (
        PermitDer(0, settings) as device,
        subject_on(
            device, tmp_path / "j.jsonl", evidence="known-good", instruments=("meter", "source")
        ) as subject,
    ):
        found = taken(on(subject, "interconnection", tmp_path / "run"))
    assert failed(found) == finds
    if not settings:
        assert [one.outcome for one in found.values()] == [Outcome.PASS] * len(found)


def test_limits_name_no_standard_for_what_we_chose() -> None:
    """A limit that is our choice says so, and one of a standard names it with its grade."""
    for suite in ("storage", "interconnection", "terminal", "charger", "aircon"):
        for one in measurements(suite).values():
            chosen = one.grade == "assumed"
            says = "our choice" in one.source or "no limit" in one.source
            says |= "our choice" in one.clause or one.source.startswith("usual DL/T practice; that")
            assert chosen == (chosen and says), f"{suite}.{one.id}: {one.source}"
            assert one.name_zh
            assert one.source
