"""The platform moves a 5 % cut to where a lost circuit wants it, in a whole run.

::

    infeed ══╦══ east #1 (trips), east #2 (then overloaded) ══ east: half of the sites
             ╚══ west #1, west #2 ═══════════════════════════ west: the other half
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.engine.tiny_city import MINUTE_MS, history_of, started
from twin.control.platform import Platform
from twin.engine.timeline import BranchOutage, Entry, Phase
from twin.record.history import History
from twin.scenario.build import Built, build, calibrated
from twin.scenario.files import find_scenario, load_scenario
from twin.scenario.timetable import notice_entry
from twin.scenario.warm_start import warmed

# Rated current with which the circuit that is left is a little over its rating at 13:10.
EAST_KA, WEST_KA = 0.104, 0.6
HOLD = slice(20, 60)  # minutes of the run in which the order is to be met


def write_network(path: Path) -> None:
    import pandapower as pp

    net = pp.create_empty_network(sn_mva=100.0)
    home = pp.create_bus(net, 110.0, name="infeed")
    pp.create_ext_grid(net, home, vm_pu=1.03)
    for name, rated_ka in (("east", EAST_KA), ("west", WEST_KA)):
        high = pp.create_bus(net, 110.0, name=f"{name} 110")
        low = pp.create_bus(net, 10.0, name=f"{name} 10", zone="南沙")
        for circuit in (1, 2):
            pp.create_line_from_parameters(
                net, home, high, 8.0, 0.05, 0.38, 10.0, rated_ka, name=f"{name} #{circuit}"
            )
        pp.create_transformer_from_parameters(
            net, high, low, 63.0, 110.0, 10.5, 0.4, 14.0, 30.0, 0.1, shift_degree=30.0,
            tap_side="hv", tap_neutral=9, tap_min=1, tap_max=17, tap_pos=9,
            tap_step_percent=1.25, tap_changer_type="Ratio",
        )  # fmt: skip
        pp.create_load(net, low, 20.0, 6.0)
    pp.to_json(net, str(path))


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """`tiny` on a network of its own, with half the order: there is a choice of who gives."""
    folder = tmp_path_factory.mktemp("own")
    write_network(folder / "net.json")
    text = find_scenario("tiny").read_text(encoding="utf-8")
    for old, new in (
        ('detail = ["南沙"]\n', 'network = "net.json"\n'),
        ('form = "district"\n', ""),
        ("percent = 5.0", "mw = 1.0"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = folder / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return warmed(calibrated(build(load_scenario(path), path)))


def run(city: Built, *, ordered: bool) -> History:
    """The first 65 minutes; one circuit trips after two."""
    start_ms = city.world.start_ms
    trip = Entry(start_ms + 2 * MINUTE_MS, Phase.DISTURB, 1, 0, 1, BranchOutage("east #1"))
    entries = (trip, notice_entry(city.orders[0])) if ordered else (trip,)
    first = city.start(Platform())
    fork = first.fork(started(city, Platform()), entries)
    fork.run(start_ms + 65 * MINUTE_MS)
    return history_of(fork)


@pytest.mark.slow
def test_the_cut_is_moved_and_the_circuit_relieved(city: Built) -> None:
    blind = replace(city, view=None)
    bare, even, moved = run(city, ordered=False), run(blind, ordered=True), run(city, ordered=True)
    east = city.sites.i8("busbar") == 0

    def cut_kw(history: History) -> tuple[float, float]:
        off = np.asarray(bare.table("site.demand_kw")) - np.asarray(history.table("site.demand_kw"))
        mean = off[HOLD].mean(axis=0)
        return float(mean[east].sum()), float(mean.sum())

    assert bare.series("max_loading_pct")[HOLD].min() > 100.0
    for history in (even, moved):  # both give what is ordered
        assert cut_kw(history)[1] == pytest.approx(1_000.0, rel=0.2)
    assert cut_kw(moved)[0] > 1.1 * cut_kw(even)[0]
    loading = [h.series("max_loading_pct")[HOLD].mean() for h in (bare, even, moved)]
    assert loading[2] < loading[1] - 0.2 < loading[0] - 1.0
    minutes = [h.series("violations_branch")[HOLD].sum() for h in (bare, even, moved)]
    assert minutes[0] > minutes[1] > minutes[2]
    close = moved.events("report.network")
    assert set(close["branch"]) == {"east #2"}
