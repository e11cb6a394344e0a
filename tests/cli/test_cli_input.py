"""Bad input ends in status 2 with every problem, and nothing is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def replaced(folder: Path, name: str, *pairs: tuple[str, str]) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / name).write_text(text, encoding="utf-8")


def refused(said: Any, *expected: str) -> None:
    """Status 2, one line for each expectation in some line, no traceback."""
    assert said.status == 2, said.out + said.err
    assert "Traceback" not in said.err
    for words in expected:
        assert any(words in line for line in said.problems), (words, said.problems)
    count = len(said.problems)
    assert f"{count} problem{'s' if count != 1 else ''}; nothing was run." in said.err


def test_a_sound_scenario_is_valid(twin: Any, own_city: Path) -> None:
    said = twin("validate", own_city)
    assert said.status == 0, said.err
    assert "3 sites, 3 devices beside 2 terminals, 4 buses; nothing wrong" in said.out


def test_everything_wrong_is_told_at_once(twin: Any, own_city: Path) -> None:
    replaced(
        own_city,
        "scenario.toml",
        ('districts = ["Nansha"]', 'districts = ["Nanshaa"]\nmax_load_kw = 3000'),
        ("percent = 2.0", "percent = -2.0"),
        ("[weather]", '[weather]\noffset_c = "2 K"'),
    )
    replaced(own_city, "sites.csv", ("flats,Nansha,residential,400", "flats,Nansha,homes,-400"))
    replaced(own_city, "fleet.csv", ("storage,works,200", "storage,wroks,200 kW"))
    replaced(own_city, "load.csv", ("05:00", "04:00"))
    epw = (own_city / "weather.epw").read_text(encoding="utf-8").splitlines()
    (own_city / "weather.epw").write_text("\n".join(epw[:100] + epw[102:]), encoding="utf-8")
    replaced(own_city, "net.json", ('"ext_grid"', '"ext_grud"'))
    out = own_city.parent / "run"
    said = twin("run", own_city, "--out", own_city, "--logic", "no.where:To", "--set", "city.x=1")
    refused(
        said,
        "city.max_load_kw: unknown key (= 3000)",
        "did you mean max_load_mw (the unit is mw)?",
        "weather.offset_c: '2 K'; allowed: a number",
        "orders.0.percent: -2.0; allowed: greater than 0",
        "city.districts: Nanshaa; allowed: one of ",
        "command line: city.x: unknown key",
        "command line: logic: no.where:To: No module named 'no'",
        "sites.csv: line 4, sector: homes; allowed: one of industry",
        "sites.csv: line 4, demand_kw: -400; allowed: kW above 0",
        "fleet.csv: line 2, site: wroks; allowed: a name of the sites file; did you mean works?",
        "fleet.csv: line 2, rated_kw: 200 kW; allowed: a number, kW above 0",
        "load.csv: line 7, time: 04:00; allowed: later than the line before",
        "weather.epw: line 101: 01-04 hour 20 is followed by 01-04 hour 23",
        "weather.epw: data: 8758 hours",
        "net.json: ",
        "--out: ",
    )
    assert not out.exists()
    assert not (own_city / "summary.json").exists()


def test_wrong_units_in_headers(twin: Any, own_city: Path) -> None:
    replaced(own_city, "fleet.csv", ("rated_kw", "rated_mw"))
    replaced(own_city, "sites.csv", ("demand_kw", "demand_mw"))
    refused(
        twin("validate", own_city),
        "did you mean rated_kw (the unit is kw)?",
        "did you mean demand_kw (the unit is kw)?",
        "fleet.csv: header: rated_kw is missing",
    )


def test_files_that_are_not_there(twin: Any, own_city: Path) -> None:
    for name in ("net.json", "sites.csv", "fleet.csv", "load.csv", "weather.epw"):
        (own_city / name).unlink()
    said = twin("validate", own_city)
    refused(said, "city.network: 'net.json' does not exist", "weather.epw: 'weather.epw' does")
    assert len(said.problems) == 5


def test_names_that_the_network_has_not(twin: Any, own_city: Path) -> None:
    with (own_city / "scenario.toml").open("a", encoding="utf-8") as file:
        file.write('[[disturbances]]\nwhat = "branch_outage"\nat = "13:10"\nbranch = "fed"\n')
        file.write('[[disturbances]]\nwhat = "contact_loss"\nat = "13:10"\nkind = "swap"\n')
    replaced(own_city, "sites.csv", ("0.25,0\n", "0.25,7\n"), ("flats", "\nflats"))
    refused(
        twin("validate", own_city, "--set", "orders.0.mw=9.0", "--set", "orders.0.percent=1"),
        "orders.0: does not fit together; allowed: give either mw or percent",
    )
    text = (own_city / "scenario.toml").read_text(encoding="utf-8")
    text = text.replace("percent = 2.0", "mw = 900.0")
    (own_city / "scenario.toml").write_text(text, encoding="utf-8")
    said = twin("validate", own_city)
    refused(
        said,
        "orders.0.mw: 900; allowed: at most the maximum load, 3",
        "disturbances.0.branch: 'fed'; allowed: one of the network's 3 branches",
        "did you mean feed?",
        "disturbances.1.kind: swap; allowed: one of storage, aircon",
        "sites.csv: line 2 = row 1, busbar: 7; allowed: 0 to 1",
    )
    assert len(said.problems) == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda net: net.load.__setitem__("p_mw", 4000.0), "load flow has no solution"),
        (lambda net: net.ext_grid.__setitem__("in_service", False), "a slack: ext_grid"),
        (lambda net: net.trafo.__setitem__("sn_mva", -5.0), "trafo[1].sn_mva: -5; allowed: above"),
        (lambda net: net.trafo.__setitem__("lv_bus", 77), "trafo[0].lv_bus: 77"),
        (lambda net: net.line.__setitem__("in_service", False), "load[0].bus: 2, not supplied"),
    ],
)
def test_a_network_that_cannot_be(twin: Any, own_city: Path, change: Any, words: str) -> None:
    import pandapower as pp

    net = pp.from_json(str(own_city / "net.json"))
    change(net)
    pp.to_json(net, str(own_city / "net.json"))
    out = own_city.parent / "run"
    refused(twin("run", own_city, "--out", out), words)
    assert not out.exists()


def test_a_network_too_small_for_the_load(twin: Any, own_city: Path) -> None:
    said = twin("validate", own_city, "--set", "city.max_load_mw=300")
    refused(said, "net.json: network: no load flow solution at the maximum load of 300 MW")
    assert "its own loads are 3 MW" in said.err


def test_text_that_is_no_network(twin: Any, own_city: Path) -> None:
    (own_city / "net.json").write_text('{"a": [1,', encoding="utf-8")
    refused(twin("validate", own_city), "net.json: file: ", "saved as JSON")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: scenario: not found; allowed: a file, a folder"),
        (["tine"], "did you mean tiny?"),
        (["tiny", "--set", "seed"], "--set: 'seed': no key=VALUE"),
        (["tiny", "--set", "sead=3"], "command line: sead: unknown key (= 3)"),
        (["tiny", "--set", "seed=many"], "command line: seed: 'many'; allowed: a whole number"),
        (["tiny", "--set", "seed=true"], "command line: seed: True; allowed: a whole number"),
        (["tiny", "--set", "orders.7.percent=3"], "--set: orders.7.percent: 7; allowed: an index"),
        (["tiny", "--set", "name.x.y=3"], "--set: name.x.y: x; allowed: a table or a list"),
        (["tiny", "--set", "city.max_load_mw=5 kW"], "city.max_load_mw: '5 kW'; allowed: a number"),
        (["tiny", "--set", "city.max_load_mw=nan"], "city.max_load_mw: nan; allowed: a finite"),
        (["tiny", "--set", "city.counts.aircon=0"], "both 0 or both above 0: connected_mw.aircon"),
        (["tiny", "--set", "city.counts.industry=400"], "city.counts.industry: 400; allowed: at"),
        (["tiny", "--set", "engine.control_period_s=90"], "must be a multiple or a divisor"),
        (["tiny", "--set", "city.districts=[]"], "form district needs one name"),
        (["tiny", "--set", "orders.0.end=13:12"], "notice <= start <= full_by < end"),
    ],
)  # fmt: skip
def test_arguments(twin: Any, arguments: list[str], words: str) -> None:
    refused(twin("validate", *arguments), words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nonsense", "package.module:Class"),
        ("json:loads", "is no class"),
        ("json:Lodas", "has no attribute 'Lodas'"),
        ("json:JSONDecoder", "lacks start, plan, digest, save, load"),
        ("crooked:A", "crooked.py, line 1"),
        ("raising:A", "raising.py, line 2"),
    ],
)
def test_logics(
    twin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "crooked.py").write_text("class A(:\n", encoding="utf-8")
    (tmp_path / "raising.py").write_text("import json\njson.loads('')\n", encoding="utf-8")
    refused(twin("run", "tiny", "--out", tmp_path / "run", "--logic", name), words)
    assert not (tmp_path / "run").exists()


def test_directories_that_cannot_be_written(twin: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("mine", encoding="utf-8")
    refused(twin("run", "tiny", "--out", tmp_path / "file"), "is a file")
    refused(twin("run", "tiny", "--out", tmp_path / "file" / "run"), "is a file")
    refused(twin("run", "tiny", "--out", full), "holds files that are no run")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "full", "thesis.txt"]


def test_an_unknown_option_or_language(twin: Any) -> None:
    assert twin("run", "tiny", "--lang", "fr").status == 2
    assert twin("run", "tiny", "--frobnicate").status == 2


def test_runs_on_different_bases_do_not_compare(twin: Any, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, mw in (("a", 40.0), ("b", 41.0), ("c", 40.0)):
        (tmp_path / name / "timeseries").mkdir(parents=True)
        found = {"complete": name != "c", "max_load_mw": mw, "verdicts": [], "reason": "stopped"}
        (tmp_path / name / "summary.json").write_text(json.dumps(found), encoding="utf-8")
        table = pa.table({"run": ["ordered"], "now_ms": [0], "load_mw": [mw]})
        pq.write_table(table, tmp_path / name / "timeseries" / "city.parquet")
    refused(twin("compare", tmp_path / "a", tmp_path / "b"), "max_load_mw: 41.0 MW")
    refused(twin("compare", tmp_path / "a", tmp_path / "c"), "complete: stopped")
    refused(twin("compare", tmp_path / "a", tmp_path / "none"), "No such file")
    refused(twin("compare", tmp_path / "a"), "two or more run directories")
    assert twin("compare", tmp_path / "a", tmp_path / "a").status == 0


def test_the_schema_is_json(twin: Any) -> None:
    said = twin("schema")
    assert said.status == 0
    assert json.loads(said.out)["$schema"].startswith("https://json-schema.org/")


def test_the_installed_command_ends_in_2(tmp_path: Path) -> None:
    """Once as a user does, in a process of its own."""
    path = tmp_path / "scenario.toml"
    path.write_text('name = "x"\nseed = = 3\n', encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-m", "twin.cli", "validate", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert f"error {path}: line 2, column 8: " in ended.stderr
    assert "Traceback" not in ended.stderr
