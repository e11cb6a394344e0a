"""A scenario's own supply graph: its problems are told together with those of other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from twin.errors import InputProblems
from twin.scenario.build import build
from twin.scenario.files import load_scenario

SITES = """name,district,sector,demand_kw,terminal
steel,Nansha,industry,9000,1
cars,Nansha,industry,-8000,1
"""


def test_the_graph_is_checked_with_the_sites_file(tmp_path: Path) -> None:
    (tmp_path / "sites.csv").write_text(SITES, encoding="utf-8")
    (tmp_path / "chain.csv").write_text(
        "supplier,customer,share,stock_h\nsteel,cars,1.5,2\nsteal,cars,0.5,2\n", encoding="utf-8"
    )
    path = tmp_path / "scenario.toml"
    path.write_text(
        'name = "own"\n[city]\ndistricts = ["Nansha"]\nmax_load_mw = 50.0\n'
        'sites = "sites.csv"\nchain = "chain.csv"\n',
        encoding="utf-8",
    )
    with pytest.raises(InputProblems) as caught:
        build(load_scenario(path), path)
    said = {(Path(p.file).name, p.place) for p in caught.value.problems}
    assert ("sites.csv", "line 3, demand_kw") in said
    assert ("chain.csv", "line 2, share") in said
    assert ("chain.csv", "line 3, supplier") in said
