"""No kilowatt is lost or counted twice, from the device through the record to the busbar.

::

    device ledgers = record          meter = host load - devices
    sum of meters + background = busbars = what infeeds and plants give, less losses
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine.tiny_city import MINUTE_MS, history_of, ordered_run
from twin.assets.kind import Kind
from twin.assets.terminal import Terminal
from twin.engine.simulation import Period, Simulation
from twin.record.monitor import DEVICE_KINDS
from twin.scenario.build import Built

SECOND_MS = 1_000
HOURS = 3


def ledger_kws(kind: Kind) -> np.ndarray:
    """Return what a kind's own books say that it fed into the grid [kW s], by device."""
    state = kind.state
    if isinstance(kind, Terminal):
        return np.asarray(state["unserved_kws"] - state["host_kws"] - state["pickup_kws"])
    for fed, drawn, unit in (
        ("grid_out_kws", "grid_in_kws", 1.0),
        ("fed_kwh", "drawn_kwh", 3600.0),
        ("", "grid_in_kws", 1.0),
        ("", "drawn_kws", 1.0),
        ("", "drawn_kwh", 3600.0),
        ("fed_kwh", "", 3600.0),
    ):
        if (fed == "" or fed in state) and (drawn == "" or drawn in state):
            into = state[fed] if fed != "" else np.zeros(kind.n)
            out = state[drawn] if drawn != "" else np.zeros(kind.n)
            return np.asarray((into - out) * unit)
    raise AssertionError(f"no ledger known for {kind.name}")


class Day:
    """A run with both orders, and what was seen of it from outside."""

    def __init__(self, built: Built) -> None:
        self.run = run = ordered_run()
        self.built = built
        sink, inner = run.recorder, run.recorder.period  # type: ignore[union-attr]
        self.worst = {"meter": 0.0, "busbar": 0.0, "losses": 0.0}
        self.interrupted = 0

        def period(run: Simulation, period: Period) -> None:
            self.look(run, period)
            inner(run, period)

        sink.period = period  # type: ignore[union-attr, method-assign]
        before = {name: ledger_kws(kind).copy() for name, kind in run.kinds.items()}
        run.run(built.world.start_ms + HOURS * 60 * MINUTE_MS)
        self.booked_kwh = {
            name: float((ledger_kws(kind) - before[name]).sum()) / 3600.0
            for name, kind in run.kinds.items()
        }

    def look(self, run: Simulation, period: Period) -> None:
        """Check one minute's sums in another way than the engine makes them."""
        sites = run.sites
        meter = sites.state["demand_kw"]
        host = sites.state["host_kw"].copy()
        host[sites.device_site["terminal"]] = 0.0
        fed = np.zeros(sites.n)
        for name, mean in period.mean_kw.items():
            np.add.at(fed, run.kinds[name].registered.i8("site"), mean)
        self.note("meter", meter + fed - host, meter)
        demand_mw = run.injections["demand_mw"]
        total = (meter.sum() + period.background_kw.sum()) / 1_000.0
        self.note("busbar", demand_mw.sum() - total, total)
        shot = run.snapshot
        assert shot is not None
        balance = shot.load_mw - shot.losses_mw - demand_mw.sum()
        self.note("losses", balance, shot.load_mw)
        self.interrupted += int(sites.open_circuits(run.kinds["terminal"]).sum())  # type: ignore[arg-type]

    def note(self, name: str, gap: np.ndarray, scale: np.ndarray) -> None:
        size = float(np.max(np.abs(gap)) / np.max(np.abs(scale)))
        self.worst[name] = max(self.worst[name], size)


@pytest.fixture(scope="module")
def day(tiny: Built) -> Day:
    return Day(tiny)


@pytest.mark.parametrize("kind", DEVICE_KINDS)
def test_the_record_holds_what_the_devices_booked(day: Day, kind: str) -> None:
    power_mw = history_of(day.run).table("kind.power_mw")[:, DEVICE_KINDS.index(kind)]
    recorded_kwh = 1_000.0 * float(np.sum(power_mw, dtype=np.float64)) / 60.0
    assert len(power_mw) == HOURS * 60
    assert recorded_kwh == pytest.approx(day.booked_kwh[kind], rel=1e-9)
    assert abs(recorded_kwh) > 1.0  # the kind was alive, or this says nothing


def test_every_meter_is_host_load_less_devices(day: Day) -> None:
    assert day.worst["meter"] < 1e-9
    assert day.interrupted > 0  # also while circuits stood open


def test_meters_and_background_are_all_that_busbars_carry(day: Day) -> None:
    assert day.worst["busbar"] < 1e-12


def test_infeeds_and_plants_give_demand_and_losses(day: Day) -> None:
    assert day.worst["losses"] < 1e-6


def test_the_record_adds_up(day: Day) -> None:
    history = history_of(day.run)
    demand_mw = history.series("demand_mw")
    districts = history.table("district.load_mw").sum(axis=1)
    np.testing.assert_allclose(demand_mw, districts, rtol=1e-12)
    np.testing.assert_allclose(
        history.series("load_mw"), demand_mw + history.series("losses_mw"), rtol=1e-6
    )
    np.testing.assert_allclose(
        history.series("load_mw"), history.series("import_mw") + history.series("plant_mw")
        + history.series("pumped_mw"), rtol=1e-9,
    )  # fmt: skip
    meters = history.table("site.demand_kw").sum(axis=1, dtype=np.float64) / 1_000.0
    assert (meters <= demand_mw * (1.0 + 1e-6)).all()
    enrolled, power = history.table("kind.enrolled_power_mw"), history.table("kind.power_mw")
    charging = DEVICE_KINDS.index("charging")
    assert (enrolled[:, charging] >= power[:, charging] - 1e-12).all()
    assert (enrolled[:, charging] < 0.0).any()


def test_security_load_and_interruptions_stand_in_the_record(day: Day) -> None:
    history = history_of(day.run)
    assert int(history.table("site.interrupted").sum()) == day.interrupted
    assert (history.series("security_cut_kw") >= 0.0).all()


def test_every_series_that_the_network_has_is_finite(day: Day) -> None:
    history = history_of(day.run)
    levels = {int(kv) for kv in np.unique(day.built.network.branches.kv)}
    for name in history.scalars:
        level = next((kv for kv in (10, 110, 220, 500) if f"{kv}_m" in name), None)
        if level is None or level in levels:
            assert np.isfinite(history.series(name)).all(), name
        else:
            assert np.isnan(history.series(name)).all(), name
    for name in history.tables:
        assert np.isfinite(history.table(name)).all(), name


def test_the_integral_of_power_is_the_sum_over_seconds(tiny: Built) -> None:
    """From the outside: power after each second, summed, is what the record holds."""
    run = ordered_run()
    start_ms = tiny.world.start_ms + 12 * MINUTE_MS
    run.run(start_ms)
    seen = {name: np.zeros(kind.n) for name, kind in run.kinds.items()}
    minutes = 4
    for second in range(minutes * 60):
        run.run(start_ms + (second + 1) * SECOND_MS)
        for name, kind in run.kinds.items():
            seen[name] += kind.power_kw
    table = history_of(run).table("kind.power_mw", 12, 12 + minutes)
    for name, total in seen.items():
        recorded = float(table[:, DEVICE_KINDS.index(name)].sum()) * 1_000.0 * 60.0
        # Kinds with a longer inner step show its end, and book its mean.
        rel = 1e-9 if run.kinds[name].step_s == 1 else 2e-3
        assert float(total.sum()) == pytest.approx(recorded, rel=rel), name
