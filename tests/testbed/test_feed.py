"""The twin's voltage on its way to a grid source."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from hil.bench.clock import WallClock
from hil.bench.drivers.reach import Reach
from hil.bench.drivers.source_fake import SourceFake
from hil.testbed.feed import Feed
from tests.testbed.processes import wait_for

FAST = Reach(0.9, 1.1, 49.0, 51.0, 10.0, 10.0)


@pytest.fixture
def source() -> SourceFake:
    return SourceFake("grid", WallClock(), FAST)


@pytest.fixture
def feed(source: SourceFake) -> Iterator[Feed]:
    found = Feed("grid", source, source.clock)
    found.start()
    yield found
    found.end()
    wait_for(lambda: not found.alive)


def test_the_source_follows_the_bus_within_its_limits(source: SourceFake, feed: Feed) -> None:
    feed.aim(0, 1.03)
    wait_for(lambda: source.course.voltage_pu == 1.03)
    feed.aim(1000, 0.2)  # a bus that is all but dead
    wait_for(lambda: source.course.voltage_pu == 0.9)
    time.sleep(0.02)
    feed.aim(2000, 1.0)
    fed = feed.fed
    assert fed.now_ms == [0, 1000, 2000]
    assert fed.asked_pu == [1.03, 0.2, 1.0]
    assert fed.sent_pu[1:] == [1.03, 0.9]
    assert fed.limited[1:] == [False, True]
    assert {a.values[1] for a in source.asked if a.method == "apply"} == {50.0}


def test_at_the_end_the_source_is_brought_back_to_nominal(source: SourceFake) -> None:
    slow = SourceFake("grid", source.clock, Reach(0.9, 1.1, 49.0, 51.0, 0.2, 1.0))
    feed = Feed("grid", slow, slow.clock)
    feed.start()
    feed.aim(0, 1.05)
    wait_for(lambda: slow.course.voltage_pu == 1.05)
    feed.end()
    wait_for(lambda: not feed.alive)
    assert slow.course.voltage_pu == 1.0
    steps = [abs(b.voltage_pu - a.voltage_pu) for a, b in pairwise(slow.sent)]
    assert max(steps) <= 0.2


def test_a_source_that_fails_is_given_up(source: SourceFake, feed: Feed) -> None:
    source.broken = True
    feed.aim(0, 1.02)
    wait_for(lambda: feed.lost != "")
    assert "no answer" in feed.lost
    assert feed.failures == 3
    asked = len(source.asked)
    feed.aim(1000, 1.03)
    time.sleep(0.05)
    assert len(source.asked) == asked
