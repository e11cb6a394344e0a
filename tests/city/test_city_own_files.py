from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twin.city import CitySpec, build_city, check_busbars
from twin.city.columns import KIND_FIELDS
from twin.city.fleet import KINDS
from twin.city.own_files import read_load_shape
from twin.errors import InputProblems

SITES = """name,district,sector,demand_kw,terminal,circuit_share_1,circuit_share_2,security_share
works,南沙,industry,4000,1,0.3,0.3,0.25
mall,Nansha,tertiary,3000,1,0.2,0.15,0.3
flats,Nansha,residential,2000,,,,
"""
FLEET = """kind,site,rated_kw,circuit,capacity_kwh,floor_m2,cooling_kw,use,setpoint_c
storage,works,1000,1,2150,,,,
aircon,mall,1200,,,40000,4500,1,25
"""


def spec(tmp_path: Path, sites: str | None, fleet: str | None) -> CitySpec:
    files: dict[str, Path] = {}
    for name, text in (("sites", sites), ("fleet", fleet)):
        if text is not None:
            files[f"{name}_csv"] = tmp_path / f"{name}.csv"
            files[f"{name}_csv"].write_text(text, encoding="utf-8")
    return CitySpec(districts=("Nansha",), max_load_mw=12.0, **files)  # type: ignore[arg-type]


def problems(spec: CitySpec) -> list[str]:
    with pytest.raises(InputProblems) as caught:
        build_city(spec)
    return [str(p) for p in caught.value.problems]


def test_own_sites_and_fleet(tmp_path: Path) -> None:
    city = build_city(spec(tmp_path, SITES, FLEET))
    assert city.sites.n == 3
    assert city.sites.i8("sector").tolist() == [0, 1, 2]
    assert city.sites.flag("terminal").tolist() == [True, True, False]
    np.testing.assert_allclose(city.sites.f8("contracted_kw"), [5200.0, 3900.0, 2600.0])
    storage, aircon = city.nameplates["storage"], city.nameplates["aircon"]
    assert storage.i8("site").tolist() == [0]
    assert storage.i8("circuit").tolist() == [0]
    assert aircon.i8("circuit").tolist() == [-1]
    assert aircon.f8("comfort_max_c").tolist() == [28.0]
    assert city.nameplates["charging"].n == 0
    assert city.sites.flag("enrolled").tolist() == [True, True, False]
    assert "sites: sites.csv" in city.notes
    assert "fleet: fleet.csv" in city.notes
    assert "load curve: synthetic" in city.notes


def test_what_the_user_does_not_bring_is_synthetic(tmp_path: Path) -> None:
    rows = [f"w{i},Nansha,industry,{300 + 40 * i},1,0.3,0.3,0.2" for i in range(40)]
    rows += [f"t{i},Nansha,tertiary,{300 + 30 * i},1,0.2,0.1,0.3" for i in range(40)]
    text = "\n".join([SITES.splitlines()[0], *rows])
    city = build_city(replace(spec(tmp_path, text, None), max_load_mw=60.0))
    assert city.nameplates["storage"].n > 0
    assert "fleet: synthetic" in city.notes


def test_every_problem_of_a_sites_file_is_listed(tmp_path: Path) -> None:
    bad = SITES.replace("南沙", "Macao").replace("tertiary,3000", "shops,-3")
    bad = bad.replace("flats,", "works,").replace("0.3,0.3,0.25", "0.6,0.3,0.25")
    text = problems(spec(tmp_path, bad, None))
    assert len(text) == 5, text
    for words in ("Macao", "shops", "line 3, demand_kw: -3", "line 4, name: works", "sum to 1.15"):
        assert any(words in t for t in text), (words, text)


def test_a_wrong_header_is_listed_whole(tmp_path: Path) -> None:
    bad = SITES.replace("demand_kw", "demand_mw").replace("terminal", "sector")
    text = problems(spec(tmp_path, bad, None))
    assert any("demand_mw" in t for t in text)
    assert any("demand_kw is missing" in t for t in text)
    assert any("stands twice" in t for t in text)


def test_every_problem_of_a_fleet_file_is_listed(tmp_path: Path) -> None:
    bad = FLEET + "\n".join(
        [
            "windmill,works,5,,,,,,",
            "storage,nowhere,100,,215,,,,",
            "storage,works,-100,,-215,,,,",
            "storage,works,100,4,215,,,,",
            "storage,works,100,,215,900,,,",
            "aircon,mall,100,,,1000,400,7,25",
            "aircon,mall,100,,,1000",
        ]
    )
    text = problems(spec(tmp_path, SITES, bad))
    assert text == problems(spec(tmp_path, SITES, bad))
    assert text[0].endswith("line 10: 6 fields; allowed: 9 fields")
    text = problems(spec(tmp_path, SITES, "\n".join(bad.splitlines()[:-1])))
    for words in (
        "line 4, kind: windmill",
        "line 5, site: nowhere",
        "line 6, rated_kw: -100",
        "line 6, capacity_kwh: -215",
        "line 7, circuit: 4",
        "line 8, floor_m2: 900",
        "line 9, use: 7",
    ):
        assert any(words in t for t in text), (words, text)
    assert len(text) == 7, text


def test_missing_and_empty_files(tmp_path: Path) -> None:
    missing = CitySpec(districts=("Nansha",), sites_csv=tmp_path / "none.csv")
    assert "readable CSV" in problems(missing)[0]
    assert any("no rows" in t for t in problems(spec(tmp_path, SITES.splitlines()[0], None)))


def test_busbars_are_checked_against_the_network(tmp_path: Path) -> None:
    text = (
        SITES.replace("security_share", "busbar").replace("0.25\n", "7\n").replace("0.3\n", "2\n")
    )
    city = build_city(spec(tmp_path, text, FLEET))
    check_busbars(tmp_path / "sites.csv", city.sites, 8)
    with pytest.raises(InputProblems, match="row 1, busbar: 7; allowed: 0 to 6"):
        check_busbars(tmp_path / "sites.csv", city.sites, 7)


def test_own_load_curve(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    path.write_text(
        "time,load_mw\n"
        + "\n".join(f"{h:02d}:00,{20 + (h if h < 15 else 29 - h)}" for h in range(24)),
        encoding="utf-8",
    )
    curve, most_mw = read_load_shape(path)
    assert most_mw == pytest.approx(34.0)
    assert int(np.argmax(curve)) == 14 * 60
    city = build_city(CitySpec(districts=("Nansha",), load_csv=path))
    assert city.max_load_mw == pytest.approx(34.0)
    np.testing.assert_allclose(city.load_shape, curve, atol=1e-9)
    path.write_text("time,load_mw\n01:00,5\n25:00,6\n00:30,-2\n", encoding="utf-8")
    with pytest.raises(InputProblems) as caught:
        read_load_shape(path)
    assert len(caught.value.problems) == 4


def test_the_columns_of_a_fleet_file_are_those_of_the_synthetic_one() -> None:
    city = build_city(CitySpec(seed=3))
    common = {"site", "circuit", "district", "rated_kw", "enrolled", "offer_cny_kwh"}
    for kind in KINDS:
        assert set(city.nameplates[kind]) - common == set(KIND_FIELDS[kind]), kind
