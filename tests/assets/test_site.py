"""The customer account: limits at the meter, circuits and what is behind them, noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.assets.process_world import fleet, world
from twin.assets.environment import Environment
from twin.assets.kind import COMMON_ROWS, Kind
from twin.assets.site import BOUNDED, HOST_NOISE, Sites
from twin.assets.terminal import CIRCUITS, Terminal
from twin.clock import HOUR_MS, MINUTE_MS
from twin.record.columns import Columns
from twin.record.table import Table


class Willing(Kind):
    """Devices that do at once what they want, as far as supply and site let them."""

    def __init__(self, nameplate: Columns, wish_kw: object = 0.0) -> None:
        super().__init__(nameplate, 1)
        self.state = Table((*COMMON_ROWS, "wish_kw"), self.n)
        self.state["supplied"] = 1.0
        self.state["wish_kw"] = wish_kw  # type: ignore[assignment]

    def warm(self, env: Environment) -> None: ...

    def minute(self, env: Environment) -> None:
        state = self.state
        allowed = np.clip(state["wish_kw"], state["limit_low_kw"], state["limit_high_kw"])
        state["power_kw"] = allowed * state["supplied"]

    def step(self, start_ms: int, seconds: int, env: Environment) -> None: ...

    def read(self, out: np.ndarray) -> None: ...

    def obey(self, point: int, rows: np.ndarray, values: np.ndarray, now_ms: int) -> None: ...

    def in_force(self, out: np.ndarray) -> None: ...


def sites_of(
    kinds: dict[str, Kind], host_kw: object, contracted_kw: object, export_limit_kw: object = 0.0
) -> Sites:
    n = len(np.atleast_1d(np.asarray(host_kw)))
    columns = Columns({
        "sector": np.zeros(n, int), "district": np.zeros(n, int),
        "contracted_kw": np.broadcast_to(np.asarray(contracted_kw, float), n),
        "export_limit_kw": np.broadcast_to(np.asarray(export_limit_kw, float), n),
    })  # fmt: skip
    sites = Sites(columns, np.ones(n), kinds, 7)
    sites.state["host_kw"] = host_kw  # type: ignore[assignment]
    return sites


def at(site: list[int], rated_kw: object) -> Columns:
    return fleet(len(site), rated_kw, site=np.array(site))


def meter(sites: Sites, kinds: dict[str, Kind]) -> np.ndarray:
    devices = sum(sites.by_site(k, kind.power_kw) for k, kind in kinds.items())
    return np.asarray(sites.state["host_kw"] - devices)


# -- limits at the meter -----------------------------------------------------------------------


def test_one_device_may_do_what_host_load_and_limits_leave() -> None:
    kinds: dict[str, Kind] = {"storage": Willing(at([0, 1, 2], 500.0))}
    sites = sites_of(kinds, [100.0, 100.0, 900.0], [400.0, 400.0, 800.0], [0.0, 50.0, 0.0])
    sites.bound(kinds)
    state = kinds["storage"].state
    assert state["limit_high_kw"].tolist() == [100.0, 150.0, 900.0]
    # The third site's own load is above its contract: nothing may be charged.
    assert (-state["limit_low_kw"]).tolist() == [300.0, 300.0, 0.0]


def test_other_devices_make_and_take_room_without_a_limit_of_their_own() -> None:
    kinds: dict[str, Kind] = {
        "aircon": Willing(at([0], 100.0)),
        "storage": Willing(at([0], 500.0)),
    }
    sites = sites_of(kinds, [100.0], 400.0)
    kinds["aircon"].state["power_kw"] = -80.0
    sites.bound(kinds)
    assert kinds["storage"].state["limit_high_kw"].tolist() == [180.0]
    assert (-kinds["storage"].state["limit_low_kw"]).tolist() == [220.0]
    assert kinds["aircon"].state["limit_high_kw"].tolist() == [0.0]  # untouched
    assert "aircon" not in BOUNDED


def test_devices_of_a_kind_at_one_site_share_by_rating() -> None:
    kinds: dict[str, Kind] = {"charging": Willing(at([0, 0, 1], [100.0, 300.0, 50.0]))}
    sites = sites_of(kinds, [100.0, 0.0], [300.0, 40.0])
    sites.bound(kinds)
    assert (-kinds["charging"].state["limit_low_kw"]).tolist() == [50.0, 150.0, 40.0]


wishes = st.lists(st.floats(-400.0, 400.0), min_size=6, max_size=6)


@settings(max_examples=60)
@given(
    wishes, wishes, st.floats(0.0, 300.0), st.floats(50.0, 600.0), st.floats(0.0, 100.0)
)  # fmt: skip
def test_several_devices_together_keep_both_limits(
    first: list[float], then: list[float], host_kw: float, contracted_kw: float, export_kw: float
) -> None:
    """Whatever they want, and however their wants jump: the meter stays inside, from the start."""
    kinds: dict[str, Kind] = {
        "storage": Willing(at([0, 0], [200.0, 400.0]), first[:2]),
        "charging": Willing(at([0, 0], [100.0, 50.0]), first[2:4]),
        "solar": Willing(at([0, 0], [300.0, 10.0]), first[4:]),
    }
    for kind in kinds.values():
        kind.state["wish_kw"] = np.clip(kind.state["wish_kw"], -kind.rated_kw, kind.rated_kw)
    sites = sites_of(kinds, [min(host_kw, contracted_kw)], contracted_kw, export_kw)
    for minute in range(8):
        if minute == 4:
            for kind, new in zip(kinds.values(), (then[:2], then[2:4], then[4:]), strict=True):
                kind.state["wish_kw"] = np.clip(new, -kind.rated_kw, kind.rated_kw)
        before = {k: kind.power_kw.copy() for k, kind in kinds.items()}
        sites.bound(kinds)
        for kind in kinds.values():
            assert (kind.state["limit_low_kw"] <= 0.0).all()
            assert (kind.state["limit_high_kw"] >= 0.0).all()
            kind.minute(world(minute * MINUTE_MS))
        # A device that stops feeding (or drawing) of itself moves the meter further than room
        # was shared out; that one change is known only a minute later.
        stopped_feeding = sum(
            float(np.maximum(before[k].clip(0.0) - kind.power_kw.clip(0.0), 0.0).sum())
            for k, kind in kinds.items()
        )
        stopped_drawing = sum(
            float(np.maximum((-before[k]).clip(0.0) - (-kind.power_kw).clip(0.0), 0.0).sum())
            for k, kind in kinds.items()
        )
        shown = float(meter(sites, kinds)[0])
        assert shown <= contracted_kw + stopped_feeding + 1e-6
        assert shown >= -export_kw - stopped_drawing - 1e-6


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_devices_that_all_want_everything_come_to_rest_at_the_limit(sign: float) -> None:
    """Each kind by itself would take all the room, be cut to nothing, and so on for ever."""
    kinds: dict[str, Kind] = {
        name: Willing(at([0], 500.0), 500.0 * sign) for name in ("solar", "charging", "storage")
    }
    sites = sites_of(kinds, [100.0], 400.0)
    for minute in range(30):
        if minute == 15:
            sites.state["host_kw"] = [150.0]  # type: ignore[assignment]
        sites.bound(kinds)
        for kind in kinds.values():
            kind.minute(world(minute * MINUTE_MS))
        host = float(sites.state["host_kw"][0])
        want = 400.0 if sign < 0.0 else 0.0
        shown = float(meter(sites, kinds)[0])
        assert shown == pytest.approx(want, abs=1e-6), (minute, host)


def test_a_meter_over_its_limit_is_brought_back_by_those_who_draw() -> None:
    kinds: dict[str, Kind] = {
        "charging": Willing(at([0], 500.0), -300.0),
        "storage": Willing(at([0], 500.0), 0.0),
    }
    kinds["charging"].state["power_kw"] = -300.0
    sites = sites_of(kinds, [200.0], 400.0)
    sites.bound(kinds)
    for kind in kinds.values():
        kind.minute(world(0))
    assert meter(sites, kinds).tolist() == pytest.approx([400.0])


# -- circuits ----------------------------------------------------------------------------------


def rigid(site: list[int], shares: list[list[float]]) -> Terminal:
    columns = {f"circuit_share_{i + 1}": np.array(shares)[:, i] for i in range(CIRCUITS)}
    return Terminal(fleet(len(site), 900.0, site=np.array(site), security_share=0.1, **columns), 1)


def test_an_open_circuit_takes_supply_from_what_is_behind_it_and_gives_it_back() -> None:
    terminal = rigid([2, 0], [[0.3, 0.2, 0.0, 0.0], [0.5, 0.4, 0.0, 0.0]])
    plate = fleet(5, 10.0, site=np.array([0, 0, 1, 2, 2]), circuit=np.array([0, -1, 0, 0, 1]))
    device = Willing(plate, -10.0)
    kinds: dict[str, Kind] = {"terminal": terminal, "aircon": device}
    sites = sites_of(kinds, [100.0, 100.0, 100.0], 1e6)

    sites.switch(kinds, terminal)
    assert device.state["supplied"].tolist() == [1.0] * 5
    terminal.apply(0, np.array([1]), np.array([0.0]), 0)  # round 1 at site 0
    sites.switch(kinds, terminal)
    # Site 1 has no terminal, the second device is behind no circuit, site 2 is another terminal.
    assert device.state["supplied"].tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]
    terminal.apply(1, np.array([0]), np.array([0.0]), 0)  # round 2 at site 2
    sites.switch(kinds, terminal)
    assert device.state["supplied"].tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert sites.open_circuits(terminal).tolist() == [1, 0, 1]
    terminal.apply(0, np.array([1]), np.array([1.0]), MINUTE_MS)
    terminal.apply(1, np.array([0]), np.array([1.0]), MINUTE_MS)
    sites.switch(kinds, terminal)
    assert device.state["supplied"].tolist() == [1.0] * 5
    assert sites.open_circuits(terminal).sum() == 0


def test_a_circuit_that_carries_nothing_is_not_counted_as_interrupted() -> None:
    terminal = rigid([0], [[0.3, 0.0, 0.0, 0.0]])
    sites = sites_of({"terminal": terminal}, [100.0], 1e6)
    terminal.apply(3, np.array([0]), np.array([0.0]), 0)
    assert sites.open_circuits(terminal).tolist() == [0]


def test_host_load_is_what_is_not_switched_off() -> None:
    terminal = rigid([1], [[0.3, 0.2, 0.0, 0.0]])
    kinds: dict[str, Kind] = {"terminal": terminal}
    sites = sites_of(kinds, [0.0, 0.0], 1e6)
    terminal.apply(0, np.array([0]), np.array([0.0]), 0)
    noise = np.array([1.0, 1.1])
    sites.minute(world(0), np.array([[200.0]]), noise, terminal)
    assert sites.state["nominal_kw"].tolist() == pytest.approx([200.0, 220.0])
    assert terminal.state["host_kw"].tolist() == pytest.approx([220.0])
    assert sites.state["host_kw"].tolist() == pytest.approx([200.0, 220.0 * 0.7])
    assert sites.circuit_host_kw(terminal).tolist() == pytest.approx([0.0, 110.0])


def test_demand_behind_circuits_leaves_out_what_is_behind_none() -> None:
    terminal = rigid([0, 1], [[0.3, 0.2, 0.0, 0.0]] * 2)
    plate = fleet(3, 10.0, site=np.array([0, 0, 1]), circuit=np.array([1, -1, 0]),
                  enrolled=np.array([True, True, False]))  # fmt: skip
    device = Willing(plate)
    device.state["power_kw"] = [-10.0, -20.0, -40.0]
    kinds: dict[str, Kind] = {"terminal": terminal, "aircon": device}
    sites = sites_of(kinds, [100.0, 100.0], 1e6)
    assert sites.behind_circuits(kinds, enrolled_only=False).tolist() == [10.0, 40.0]
    assert sites.behind_circuits(kinds, enrolled_only=True).tolist() == [10.0, 0.0]


# -- noise -------------------------------------------------------------------------------------


@given(st.integers(-24 * HOUR_MS, 24 * HOUR_MS), st.integers(-24 * HOUR_MS, 24 * HOUR_MS))
def test_noise_depends_on_seed_and_time_only(now_ms: int, other_ms: int) -> None:
    here, there = sites_of({}, np.zeros(50), 1.0), sites_of({}, np.zeros(50), 1.0)
    there.noise(other_ms)  # whatever was asked before
    assert here.noise(now_ms).tobytes() == there.noise(now_ms).tobytes()
    assert here.fork().noise(now_ms).tobytes() == here.noise(now_ms).tobytes()


def test_noise_is_about_one_single_and_continuous() -> None:
    sites = sites_of({}, np.zeros(2_000), 1.0)
    drawn = np.array([sites.noise(h * HOUR_MS) for h in range(24)])
    assert drawn.mean() == pytest.approx(1.0, abs=0.002)
    assert drawn.std() == pytest.approx(HOST_NOISE, rel=0.03)
    assert abs(np.corrcoef(drawn[0], drawn[1])[0, 1]) < 0.1
    step = np.abs(sites.noise(3 * HOUR_MS) - sites.noise(3 * HOUR_MS - 1))
    assert step.max() < 1e-5  # no jump where the hour changes
    sites.seed += 1
    fresh = sites_of({}, np.zeros(2_000), 1.0)
    fresh.seed = 8
    assert fresh.noise(0).tobytes() != drawn[0].tobytes()
