"""What a register of each kind shows and takes: set-points in force, bounds, refusals."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.engine.tiny_city import idle_run
from twin.assets import KINDS
from twin.assets.kind import Kind
from twin.assets.remote import RemoteKind
from twin.engine.simulation import Simulation
from twin.record.exchange import Outcome, Refusal

REMOTE = [name for name, sort in KINDS.items() if issubclass(sort, RemoteKind)]


@cache
def _run() -> Simulation:
    return idle_run()


def fresh(name: str) -> Kind:
    kind = _run().kinds[name].fork()
    if name == "industry":
        kind.state["stock_s"] = 1e6  # enough for any pause
    return kind


def forced(kind: Kind) -> dict[str, np.ndarray]:
    out = np.full((len(kind.setpoints), kind.n), np.nan)
    kind.in_force(out)
    assert np.isfinite(out).all()
    return {p.name: row for p, row in zip(kind.setpoints, out, strict=True)}


def put(kind: Kind, point: int, values: np.ndarray, now_ms: int = 0) -> np.ndarray:
    return kind.apply(point, np.arange(kind.n), values, now_ms)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_taken_is_within_bounds_and_is_shown(name: str) -> None:
    kind = fresh(name)
    for point, spec in enumerate(kind.setpoints):
        low, high = kind.bounds(point)
        assert low.shape == high.shape == (kind.n,)
        assert (low <= high).all()
        for edge in (low, high):
            assert (put(kind, point, edge) == Outcome.ACCEPTED).all(), spec.name
            if spec.name != "release":
                np.testing.assert_array_equal(forced(kind)[spec.name], edge)
        for beyond in (low - 0.01, high + 0.01, np.full(kind.n, np.nan)):
            before = kind.state.digest()
            assert (put(kind, point, beyond) == Outcome.REFUSED).all() or name == "industry"
            if name != "industry":  # a pause is rounded
                assert kind.state.digest() == before


@pytest.mark.parametrize("name", REMOTE)
def test_what_nobody_commands_shows_the_owners_value(name: str) -> None:
    kind = fresh(name)
    assert isinstance(kind, RemoteKind)
    own = forced(kind)
    for point in range(len(kind.setpoints)):
        row = kind.row_of(point)
        if row is not None:
            shown = own[kind.setpoints[point].name]
            np.testing.assert_array_equal(shown, kind.own_value(row))
            # A protection inside the device ends remote mode without touching the command.
            put(kind, point, kind.bounds(point)[1] * 0.5)
            kind.state["remote"] = 0.0
            np.testing.assert_array_equal(forced(kind)[kind.setpoints[point].name], shown)
    assert (own["release"] == 0.0).all()


@pytest.mark.parametrize("name", REMOTE)
def test_check_answers_like_apply_and_changes_nothing(name: str) -> None:
    kind = fresh(name)
    rows = np.arange(kind.n)
    for point in range(len(kind.setpoints)):
        low, high = kind.bounds(point)
        values = np.where(rows % 2 == 0, low, 1.5 * high + 1.0)
        before = kind.state.digest()
        said = kind.check(point, rows, values)
        assert kind.state.digest() == before
        assert kind.apply(point, rows, values, 0).tolist() == said.tolist()


def test_feed_in_goes_no_further_than_its_own_rating() -> None:
    for name, point, rating in (("charging", 1, "v2g_kw"), ("hydrogen", 1, "fuelcell_kw")):
        kind = fresh(name)
        np.testing.assert_array_equal(kind.bounds(point)[1], kind.registered.f8(rating))


def test_a_failed_station_says_so() -> None:
    kind = fresh("storage")
    kind.state["fault"][1] = 1.0
    assert kind.refusal().tolist() == [Refusal.NONE, Refusal.FAULT] + [Refusal.NONE] * 4
    assert put(kind, 0, np.zeros(6)).tolist() == [0, Outcome.REFUSED, 0, 0, 0, 0]
    assert put(kind, 1, np.ones(6)).tolist() == [0, Outcome.REFUSED, 0, 0, 0, 0]


def test_a_terminal_shows_its_circuits() -> None:
    kind = fresh("terminal")
    put(kind, 2, np.zeros(kind.n))
    put(kind, 4, np.ones(kind.n))
    shown = forced(kind)
    assert [float(shown[p.name][0]) for p in kind.setpoints] == [1.0, 1.0, 0.0, 1.0, 1.0]
    assert (kind.refusal() == Refusal.NONE).all()
