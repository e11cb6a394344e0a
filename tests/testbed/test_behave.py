"""Manners on the time line, over sockets: they begin, they end, and they are nobody else's."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.testbed.world import SILENT, Bench, bench, ready

OWN = "wire.maps.storage={ storage-own = 1.0 }"


def with_manners(*rows: str) -> tuple[str, str]:
    return OWN, f"manners=[{', '.join(rows)}]"


def seen(here: Bench, name: str) -> list[float]:
    """Return what the sensors of storage show, without the wire."""
    channel, kind = here.run.channels["storage"], here.run.kinds["storage"]
    row = [p.name for p in kind.points].index(name)
    shown = channel.show(here.run.true_points("storage"), here.run.now_ms)
    return [float(v) for v in shown[row]]


def answers(here: Bench, row: int) -> bool:
    return here.read(here.place("storage", row), "soc") is not SILENT


def test_a_device_falls_silent_for_a_time_and_recovers() -> None:
    manner = (
        '{ kind = "storage", rows = [1], no_answer_share = 1.0, at = "13:01", until = "13:02" }'
    )
    with bench(ready("tiny", *with_manners(manner)), timeout_s=0.2) as here:
        here.advance(60)  # to the moment at which it begins
        assert answers(here, 1)
        here.advance(1)
        assert [answers(here, row) for row in (0, 1, 2)] == [True, False, True]
        here.advance(58)
        assert not answers(here, 1)
        here.advance(2)
        assert [answers(here, row) for row in (0, 1, 2)] == [True, True, True]


def test_a_wrong_scale_shows_times_the_factor_and_ends() -> None:
    manner = (
        '{ kind = "storage", rows = [1], wrong_scale = 10.0, point = "soc", at = "13:01",'
        ' until = "13:02" }'
    )
    with bench(ready("tiny", *with_manners(manner))) as here:
        places = [here.place("storage", row) for row in (0, 1)]
        names = ("soc", "temperature_c")
        for seconds, factor in ((30, 1.0), (60, 10.0), (60, 1.0)):
            here.advance(seconds)
            expected = [[100.0 * v for v in seen(here, "soc")[:2]], seen(here, names[1])[:2]]
            expected[0][1] *= factor
            shown = [[here.read(p, name) for p in places] for name in names]
            np.testing.assert_allclose(shown, expected, atol=0.05 * factor + 1e-9)


def test_a_wrong_scale_of_a_point_is_wrong_wherever_a_map_shows_it() -> None:
    maps = "wire.maps.storage={ storage-sunspec-7xx = 1.0 }"
    manner = 'manners=[{ kind = "storage", rows = [1], wrong_scale = 2.0, point = "soc" }]'
    with bench(ready("tiny", maps, manner)) as here:
        here.advance(2)
        wrong, right = here.place("storage", 1), here.place("storage", 0)
        soc = seen(here, "soc")
        for name in ("soc", "m802.SoC", "m713.SoC"):
            assert here.read(right, name) == pytest.approx(100.0 * soc[0], abs=0.51)
            assert here.read(wrong, name) == pytest.approx(200.0 * soc[1], abs=1.01)
        assert here.read(wrong, "temperature_c") == pytest.approx(
            seen(here, "temperature_c")[1], abs=0.051
        )


def test_without_a_point_everything_measured_is_scaled_and_no_nameplate() -> None:
    manner = '{ kind = "storage", rows = [1], wrong_scale = 10.0 }'
    with bench(ready("tiny", *with_manners(manner))) as here:
        here.advance(2)
        place = here.place("storage", 1)
        plate = here.prepared.built.world.inventory.kinds["storage"].columns
        assert here.read(place, "rated_kw") == pytest.approx(plate.f8("rated_kw")[1])
        shown_c = seen(here, "temperature_c")[1]
        assert here.read(place, "temperature_c") == pytest.approx(10.0 * shown_c, abs=0.51)
        assert here.read(place, "status") in (0.0, 1.0, 2.0)  # a code is no measurement


def test_a_neighbour_does_not_notice() -> None:
    """Behind one gateway, too: what is late is the answer of the one that was asked."""
    manner = '{ kind = "storage", rows = [1], late_ms = 400.0 }'
    with bench(ready("tiny", *with_manners(manner))) as here:
        slow = here.place("storage", 1)
        begun = time.monotonic()
        assert here.read(slow, "soc") is not SILENT
        assert time.monotonic() - begun >= 0.4
        # While the slow one is busy with its answer, the others answer many times.
        client = here.clients(slow)
        assert client.socket is not None
        client.socket.sendall(bytes.fromhex("00090000000601040000000e"))
        begun, served = time.monotonic(), 0
        while time.monotonic() - begun < 0.3:
            assert answers(here, 0)
            assert answers(here, 2)
            served += 1
        assert served >= 20
        client.close()


def test_the_later_of_two_manners_of_a_device_counts_while_both_are_in_force() -> None:
    rows = (
        '{ kind = "storage", rows = [0, 1], exception = 4 }',
        '{ kind = "storage", rows = [1], exception = 6, at = "13:01", until = "13:02" }',
    )
    with bench(ready("tiny", *with_manners(*rows))) as here:
        found = []
        for seconds in (30, 60, 60):
            here.advance(seconds)
            found.append([here.read(here.place("storage", row), "soc") for row in (0, 1)])
    assert found == [[-4, -4], [-4, -6], [-4, -4]]


def test_a_share_of_the_fleet_is_the_same_with_the_same_seed_and_none_by_its_map() -> None:
    rows = (
        '{ kind = "terminal", share = 0.3, exception = 4 }',
        '{ kind = "storage", map = "storage-sunspec-7xx", exception = 6 }',
    )
    found = []
    for _ in range(2):
        with bench(ready("tiny", f"manners=[{', '.join(rows)}]")) as here:
            here.advance(1)
            hit = [
                row for row in range(50) if here.read(here.place("terminal", row), "power_kw") == -4
            ]
            for row in range(6):
                place = here.place("storage", row)
                refused = here.words(place, "holding", 0, 1) == -6
                assert refused == (place.map == "storage-sunspec-7xx")
            found.append(hit)
    assert found[0] == found[1]
    assert 5 <= len(found[0]) <= 25


def test_a_second_pass_begins_with_the_manners_of_the_start() -> None:
    rows = (
        '{ kind = "storage", rows = [1], exception = 4, at = "13:01" }',
        '{ kind = "storage", rows = [2], wrong_scale = 5.0, point = "soc", at = "13:01" }',
        '{ kind = "storage", rows = [3], exception = 6, until = "13:01" }',
    )
    with bench(ready("tiny", *with_manners(*rows))) as here:
        start = here.run.fork(None)
        places = [here.place("storage", row) for row in (1, 2, 3)]
        here.advance(1)
        first = [here.read(p, "soc") for p in places]
        here.advance(65)
        second = [here.read(p, "soc") for p in places]
        here.served.field.attach(start)
        here.served.restart(start.now_ms)
        here.advance(1)
        assert [here.read(p, "soc") for p in places] == first
    assert first[2] == -6
    assert second[0] == -4
    assert second[1] == pytest.approx(5.0 * first[1], rel=0.05)
    assert second[2] > 0.0
