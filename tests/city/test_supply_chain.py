"""Branches, values and the supply graph: what every city has, and a user's own graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from twin.city import City, CitySpec, build_city
from twin.city.supply_chain import branch_figures, branch_names, read_chain
from twin.city.tables import DataRows
from twin.errors import InputProblems


def test_branches_have_their_share_of_the_demand(city: City) -> None:
    sites, rows = city.sites, DataRows("branches.csv")
    branch, demand = sites.i8("branch"), sites.f8("demand_kw")
    industry = sites.i8("sector") == 0
    share = np.bincount(branch[industry], demand[industry], len(rows)) / demand[industry].sum()
    wanted = np.where(np.array(rows.text("sector")) == "industry", rows.f8("share"), 0.0)
    assert np.abs(share - wanted).max() < 0.01
    assert (sites.f8("value_cny_kwh") > 0.0).all()


def test_shares_of_a_branchs_inputs_are_parts_of_one_production() -> None:
    links, names = DataRows("supply_links.csv"), branch_names()[0]
    assert set(links.text("supplier")) | set(links.text("customer")) <= set(names)
    needs: dict[str, float] = {}
    for name, share in zip(links.text("customer"), links.f8("share"), strict=True):
        needs[name] = needs.get(name, 0.0) + float(share)
    assert max(needs.values()) <= 1.0


def test_the_graph_joins_branches_as_the_table_says(city: City) -> None:
    chain, branch = city.chain, city.sites.i8("branch")
    names = branch_names()[0]
    links = {
        (names.index(r["supplier"]), names.index(r["customer"]))
        for r in DataRows("supply_links.csv").rows
    }
    supplier, customer = chain.i8("supplier"), chain.i8("customer")
    found = set(zip(branch[supplier].tolist(), branch[customer].tolist(), strict=True))
    assert found == links
    assert (supplier != customer).all()
    needs = np.bincount(customer, chain.f8("share"), city.sites.n)
    assert needs.max() <= 1.0 + 1e-9
    assert chain.n > 10_000
    # Nearer suppliers rather: within the district three times as many as by chance.
    district = city.sites.i8("district")
    same = (district[supplier] == district[customer]).mean()
    weight = np.bincount(district, city.sites.f8("demand_kw"))
    assert same > 2.0 * float(((weight / weight.sum()) ** 2).sum())


def test_the_same_seed_gives_the_same_graph_and_scale_only_stocks(tiny_spec: CitySpec) -> None:
    one, two = build_city(tiny_spec), build_city(tiny_spec)
    assert one.chain.n > 0
    assert one.chain.digest() == two.chain.digest()
    lean = build_city(replace(tiny_spec, stock_scale=0.5)).chain
    assert (lean.i8("supplier") == one.chain.i8("supplier")).all()
    assert np.allclose(lean.f8("stock_h"), 0.5 * one.chain.f8("stock_h"), atol=0.051)
    other = build_city(replace(tiny_spec, seed=2))
    assert other.chain.digest() != one.chain.digest()


def test_a_site_of_the_user_keeps_its_branch_and_value(tiny_spec: CitySpec, tmp_path: Path) -> None:
    sites, chain = tmp_path / "sites.csv", tmp_path / "chain.csv"
    sites.write_text(
        "name,district,sector,demand_kw,terminal,branch,value_cny_kwh\n"
        "steel,Nansha,industry,9000,1,4,\n"
        "cars,Nansha,industry,8000,1,0,55\n"
        "shop,Nansha,tertiary,500,1,,\n",
        encoding="utf-8",
    )
    chain.write_text("supplier,customer,share,stock_h\nsteel,cars,0.4,3\n", encoding="utf-8")
    spec = replace(
        tiny_spec, sites_csv=sites, chain_csv=chain, counts={}, connected_mw={}, fleet_scale=0.0
    )
    built = build_city(spec)
    assert built.sites.i8("branch")[:2].tolist() == [4, 0]
    assert built.sites.f8("value_cny_kwh")[:2].tolist() == [5.0, 55.0]
    assert built.chain.i8("supplier").tolist() == [0]
    assert built.chain.f8("share").tolist() == [0.4]
    assert branch_figures("restart_min", np.array([-1, 0])).tolist() == [0.0, 30.0]


def test_every_problem_of_an_own_graph_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "chain.csv"
    path.write_text(
        "supplier,customer,share,stock_h\n"
        "a,b,0.7,1\n"
        "c,b,0.7,2\n"
        "a,a,0.5,1\n"
        "steal,b,0.1,1\n"
        "c,a,0,-1\n",
        encoding="utf-8",
    )
    names = {"a": 0, "b": 1, "c": 2}
    with pytest.raises(InputProblems) as caught:
        read_chain(path, 3, names)
    said = {(p.place, p.value) for p in caught.value.problems}
    assert ("line 4", "a supplies itself") in said
    assert ("line 5, supplier", "steal") in said
    assert ("line 6, share", "0") in said
    assert ("line 6, stock_h", "-1") in said
    assert ("line 5, share", "1.5 in sum over the customer's inputs") in said
