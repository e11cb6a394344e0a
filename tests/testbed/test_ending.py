"""The wish to end a run is heard between ticks, where nobody swallows it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from hil.testbed.ending import Ending
from tests.testbed.world import bench, ready


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Both signals raise, as the command line has it; put back afterwards."""
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_session_finishes_its_tick_and_ends(number: signal.Signals) -> None:
    seen: list[int] = []

    def on_tick(now_ms: int) -> None:
        seen.append(now_ms)
        if len(seen) == 3:
            signal.raise_signal(number)  # raises nothing here
            seen.append(-1)

    with bench(ready("tiny")) as here:
        begun_ms = here.run.now_ms
        with pytest.raises(KeyboardInterrupt):
            here.advance(60, on_tick)
        assert here.run.now_ms == begun_ms + 3_000
    assert seen == [begun_ms, begun_ms + 1_000, begun_ms + 2_000, -1]
    assert signal.getsignal(number) is signal.default_int_handler


def test_a_signal_ends_a_rest_at_once() -> None:
    with bench(ready("tiny")) as here:
        here.rate = 0.01  # the second tick is due in 100 s
        timer = threading.Timer(1.0, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            here.advance(60)
        timer.join()
    assert time.monotonic() - begun < 50.0


def test_the_handler_that_was_there_is_called_only_at_rest() -> None:
    with Ending() as ending:
        signal.raise_signal(signal.SIGINT)
        assert ending.asked
        with pytest.raises(KeyboardInterrupt):
            ending.check()
        ending.resting = True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_without_a_signal_nothing_happens() -> None:
    with Ending() as ending:
        ending.check()
    assert not ending.asked
    assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Ending() as ending:
        signal.raise_signal(signal.SIGINT)
        ending.check()
    assert not ending.asked


def test_another_thread_leaves_signals_alone() -> None:
    found: list[object] = []

    def inside() -> None:
        with Ending():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
