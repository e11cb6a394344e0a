"""Between truth and readings: class errors, resolution, lost polls, dead and reversed sensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.tiny_city import MINUTE_MS
from twin.assets import KINDS
from twin.chance import generator
from twin.engine.telemetry import NEVER_MS, Channel, Distortion, answering, copy_channels
from twin.record.exchange import Point, Quality
from twin.scenario.build import Built

CLEAN = Distortion(0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
POWER = Point("power_kw", "kW", "", "", -1.0, 1.0, True, 0.1, 0.005)
SOC = Point("soc", "1", "", "", 0.0, 1.0, accuracy=0.02)
PLAIN = Point("state", "1", "", "", 0.0, 4.0)
POINTS = (POWER, SOC, PLAIN)


def channel(
    n: int, distortion: Distortion = CLEAN, seed: int = 1, rated_kw: float = 200.0, **made: object
) -> Channel:
    answers = np.asarray(made.get("answers", np.ones(n, bool)))
    return Channel("storage", POINTS, np.full(n, rated_kw), answers, distortion, seed)


def truth(n: int, power_kw: object = 50.0, soc: object = 0.5) -> np.ndarray:
    return np.stack([np.broadcast_to(np.asarray(v, float), n) for v in (power_kw, soc, 3.0)])


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.floats(-200.0, 200.0), st.floats(0.0, 1.0))
def test_errors_stay_within_their_class(seed: int, power_kw: float, soc: float) -> None:
    n = 50
    reading = channel(n, seed=seed).sample(truth(n, power_kw, soc), 0)
    error = np.abs(reading.value - truth(n, power_kw, soc))
    assert error[0].max() <= 0.005 * 200.0 + 0.05 + 1e-9  # of the rating, and half a digit
    assert error[1].max() <= 0.02 + 1e-12
    assert error[2].max() == 0.0  # neither class nor resolution: shown as it is
    assert (reading.quality == Quality.GOOD).all()


def test_errors_differ_by_device_and_stay_the_same_all_day() -> None:
    here = channel(500)
    first, later = here.sample(truth(500), 0), here.sample(truth(500), 9 * MINUTE_MS)
    assert first.value.tobytes() == later.value.tobytes()
    error = first.value[1] - 0.5
    assert len(np.unique(error)) == 500
    assert np.abs(error).max() > 0.25 * 0.02
    assert abs(error.mean()) < 0.002


def test_values_are_shown_in_steps_of_the_resolution() -> None:
    shown = channel(300).sample(truth(300, np.linspace(-200, 200, 300)), 0).value[0]
    np.testing.assert_allclose(shown / 0.1, np.rint(shown / 0.1), atol=1e-9)


def test_a_lost_poll_leaves_the_old_value_and_its_time() -> None:
    n = 4_000
    here = channel(n, replace(CLEAN, loss_share=0.3))
    first = here.sample(truth(n, 10.0), 0)
    heard = first.quality == Quality.GOOD
    assert np.count_nonzero(~heard) == pytest.approx(0.3 * n, rel=0.1)
    assert np.isnan(first.value[:, ~heard]).all()
    assert (first.quality[~heard] == Quality.MISSING).all()
    assert (first.time_ms[~heard] == NEVER_MS).all()
    second = here.sample(truth(n, 20.0), MINUTE_MS)
    again = second.time_ms == MINUTE_MS
    old = heard & ~again
    assert np.count_nonzero(old) > 0.2 * n
    assert second.value[:, old].tobytes() == first.value[:, old].tobytes()
    assert (second.time_ms[old] == 0).all()
    assert (second.quality[old] == Quality.STALE).all()
    assert (second.quality[again] == Quality.GOOD).all()
    assert (second.value[0, again] > 15.0).all()
    assert (second.quality[~heard & ~again] == Quality.MISSING).all()
    # The first reading was handed out for good.
    assert (first.time_ms[heard] == 0).all()


def test_losses_are_keyed_by_the_minute_and_independent_between_minutes() -> None:
    n = 3_000
    one, two = (channel(n, replace(CLEAN, loss_share=0.5)) for _ in range(2))
    two.sample(truth(n), 0)  # who was polled before does not matter
    lost = [c.sample(truth(n), MINUTE_MS).time_ms != MINUTE_MS for c in (one, two)]
    assert lost[0].tolist() == lost[1].tolist()
    next_lost = one.sample(truth(n), 2 * MINUTE_MS).time_ms != 2 * MINUTE_MS
    assert np.count_nonzero(lost[0] & next_lost) == pytest.approx(n / 4, rel=0.15)


def test_dead_sensors_freeze_and_reversed_ones_turn_the_sign() -> None:
    n = 40_000
    here = channel(n, replace(CLEAN, dead_share=0.01, reversed_share=0.02))
    first = here.sample(truth(n, 50.0), 0).value
    second = here.sample(truth(n, 150.0, 0.7), MINUTE_MS).value
    reversed_ = first[0] < 0.0
    assert reversed_.mean() == pytest.approx(0.02, rel=0.15)
    np.testing.assert_allclose(first[0, reversed_], -50.0, atol=1.1)
    frozen = np.abs(second[0]) < 60.0
    assert frozen.mean() == pytest.approx(0.01, rel=0.2)
    assert second[0, frozen].tobytes() == first[0, frozen].tobytes()
    assert not (frozen & reversed_).any()
    assert (np.abs(second[1] - 0.7) <= 0.02).all()  # the other points are well


def test_who_never_answers_is_never_read() -> None:
    here = channel(10, answers=np.arange(10) % 2 == 0)
    reading = here.sample(truth(10), 0)
    assert reading.quality.tolist() == [Quality.GOOD, Quality.MISSING] * 5
    assert here.reachable().tolist() == [True, False] * 5
    here.state["contact"][0] = 0
    assert here.reachable()[0] == np.False_
    assert here.sample(truth(10), MINUTE_MS).quality[0] == Quality.STALE


def test_a_fork_of_a_channel_reads_alone() -> None:
    here = channel(20)
    here.sample(truth(20), 0)
    (there,) = copy_channels({"storage": here}).values()
    there.sample(truth(20, 99.0), MINUTE_MS)
    assert (here.state["time_ms"] == 0).all()
    assert (there.state["time_ms"] == MINUTE_MS).all()


def test_shares_of_those_who_answer_are_those_of_the_data() -> None:
    data, n = Distortion.from_data(), 20_000
    sector = np.arange(n) % 2
    terminal = answering("terminal", n, sector, data, 1)
    assert terminal[sector == 0].mean() == pytest.approx(data.terminal_answer_industry, abs=0.005)
    assert terminal[sector == 1].mean() == pytest.approx(data.terminal_answer_tertiary, abs=0.005)
    assert answering("storage", n, sector, data, 1).mean() == pytest.approx(
        1.0 - data.offline_share, abs=0.005
    )
    assert answering("meter", n, sector, data, 1).all()
    assert answering("city", 1, sector[:0], data, 1).all()
    assert 0.0 < data.dead_share + data.reversed_share <= 0.005 + 1e-12  # DESIGN: 0.5 % of sensors


# -- what is registered ------------------------------------------------------------------------


def test_the_inventory_holds_nameplates_and_nothing_else(tiny: Built) -> None:
    common = {"site", "circuit", "district", "rated_kw", "enrolled"}
    inventory = tiny.world.inventory
    for name, kind in inventory.kinds.items():
        if name in KINDS:
            asked = set(kind.columns) - {"offer_cny_kwh"}
            assert asked == common | set(KINDS[name].nameplate), name
    assert set(inventory.kinds["meter"].columns) == common
    assert not {"weight", "site_weight"} & set(inventory.sites)


def test_true_parameters_change_with_the_seed_and_registered_ones_do_not(tiny: Built) -> None:
    """Another seed is another truth behind the same registration."""
    told = 0
    for name, registered in tiny.world.inventory.kinds.items():
        if name not in KINDS or name == "terminal":
            continue
        columns = registered.columns
        digest = columns.digest()
        one, two = (KINDS[name](columns, seed) for seed in (1, 2))
        true_one, true_two = (getattr(k, "plate", None) for k in (one, two))
        assert columns.digest() == digest
        if true_one is None or true_one.shape != true_two.shape:
            continue
        moved = [i for i in range(len(true_one)) if true_one[i].tobytes() != true_two[i].tobytes()]
        for row in moved:
            told += 1
            for column in columns:
                value = columns[column]
                if value.shape == true_one[row].shape and value.dtype.kind == "f":
                    assert not np.array_equal(value, true_one[row]), (name, row, column)
    assert told >= 5


# -- the halves of a sample --------------------------------------------------------------------

TROUBLED = replace(CLEAN, dead_share=0.2, reversed_share=0.1, loss_share=0.3)


def test_a_sample_is_show_silent_and_hear() -> None:
    n, here, halves = 400, channel(400, TROUBLED), channel(400, TROUBLED)
    for minute in range(4):
        now_ms, true = minute * MINUTE_MS, truth(n, 10.0 * minute)
        whole = here.sample(true, now_ms)
        silent = halves.silent(now_ms)
        halves.hear(halves.show(true, now_ms), ~silent, now_ms)
        assert halves.state.digest() == here.state.digest()
        assert (whole.quality == Quality.GOOD).tolist() == (~silent).tolist()
        assert halves.reading().value.tobytes() == whole.value.tobytes()


def test_how_often_a_device_is_looked_at_changes_nothing() -> None:
    n, once, often = 400, channel(400, TROUBLED), channel(400, TROUBLED)
    for second in range(180):
        often.show(truth(n, float(second)), second * 1000)
    for minute in range(3):
        once.sample(truth(n, 60.0 * minute), minute * MINUTE_MS)
    # Whoever was frozen by a look of the first second was frozen by the first poll.
    first = ~channel(n, TROUBLED).silent(0)[once.dead]
    assert first.any()
    assert not first.all()
    assert once.state["frozen"][first].tobytes() == often.state["frozen"][first].tobytes()
    now_ms = 9 * MINUTE_MS
    seen = [c.show(truth(n, 150.0), now_ms) for c in (once, often)]
    alive = np.setdiff1d(np.arange(n), once.dead[~first])
    assert seen[0][:, alive].tobytes() == seen[1][:, alive].tobytes()


def test_a_dead_sensor_freezes_when_its_device_can_first_be_read() -> None:
    here = channel(4_000, replace(CLEAN, dead_share=1.0, loss_share=0.0))
    here.state["contact"][1] = 0
    here.show(truth(4_000, 50.0), 0)
    here.state["contact"][1] = 1
    here.show(truth(4_000, 90.0), MINUTE_MS)
    shown = here.show(truth(4_000, 120.0), 2 * MINUTE_MS)[0]
    assert shown[0] == pytest.approx(50.0, abs=1.1)
    assert shown[1] == pytest.approx(90.0, abs=1.1)


class Plain:
    """A channel in one piece: what a sample was before it had halves."""

    def __init__(self, here: Channel) -> None:
        self.here, n = here, len(here.answers)
        self.value = np.full((len(POINTS), n), np.nan)
        self.time_ms, self.quality = np.full(n, NEVER_MS), np.full(n, int(Quality.MISSING))

    def sample(self, true: np.ndarray, now_ms: int) -> None:
        here, frozen = self.here, self.value[0, self.here.dead]
        seen = true * here.gain + here.offset
        for i, point in enumerate(POINTS):
            if point.resolution > 0.0:
                seen[i] = np.rint(seen[i] / point.resolution) * point.resolution
        seen[0, here.dead] = np.where(np.isnan(frozen), seen[0, here.dead], frozen)
        heard = here.reachable() & (
            generator(here.seed, "telemetry.loss.storage", now_ms // MINUTE_MS).random(len(seen[0]))
            >= here.loss_share
        )
        self.value[:, heard] = seen[:, heard]
        self.time_ms[heard] = now_ms
        self.quality[~heard & (self.quality == Quality.GOOD)] = Quality.STALE
        self.quality[heard] = Quality.GOOD


def test_samples_are_those_of_the_channel_in_one_piece() -> None:
    n = 400
    here = channel(n, TROUBLED, answers=np.arange(n) % 7 > 0)
    plain = Plain(here)
    for minute in range(12):
        here.state["contact"] = generator(3, "test.contact", minute).random(n) < 0.8
        true = truth(n, 10.0 * minute, generator(3, "test.soc", minute).random(n))
        reading = here.sample(true, minute * MINUTE_MS)
        plain.sample(true, minute * MINUTE_MS)
        assert reading.value.tobytes() == plain.value.tobytes()
        assert reading.time_ms.tolist() == plain.time_ms.tolist()
        assert reading.quality.tolist() == plain.quality.tolist()
