"""From a scenario to devices on the network: whose beats hold when."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hil.testbed.setup import beats
from tests.testbed.conftest import Call
from tests.testbed.world import new_port, ready
from twin.record.exchange import Logic
from twin.run import prepare
from twin.scenario.build import Built
from twin.scenario.files import find_scenario


@pytest.mark.parametrize("command", [("run",), ("serve",), ("serve", "--judge")])
def test_the_day_before_is_that_of_a_direct_run(
    hil: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """It is kept by what the scenario says, whatever carries the run."""
    seen: list[tuple[int, int]] = []

    def stop(built: Built, make: Callable[[], Logic] | None = None) -> Built:
        seen.append((built.world.grid_period_ms, built.world.tick_ms))
        raise KeyboardInterrupt

    for module in ("twin.run", "hil.cli.serving"):
        monkeypatch.setattr(sys.modules[module], "warmed", stop)
    monkeypatch.chdir(tmp_path)
    words = ("--set", "wire.grid_period_s=1", "--set", f"wire.port={new_port()}")
    said = hil(command[0], "tiny", *command[1:], *words)
    assert said.status == 3
    assert "interrupted" in said.err
    assert seen == [(60_000, 60_000)]


def test_the_wire_has_beats_of_its_own() -> None:
    world = ready("tiny", "wire.grid_period_s=1").built.world
    assert (world.tick_ms, world.grid_period_ms) == (1_000, 1_000)
    # Without a word of the wire's the engine's own grid period holds.
    assert ready("tiny").built.world.grid_period_ms == 60_000
    direct = prepare(find_scenario("tiny"), ["engine.grid_period_s=20"])
    assert beats(direct).built.world.grid_period_ms == 20_000
    assert direct.built.world.tick_ms == 60_000


def test_the_world_knows_each_devices_map() -> None:
    world = ready("tiny").built.world
    assert set(world.maps["storage"]) == {
        "storage-own", "storage-sunspec-1xx", "storage-sunspec-7xx",
    }  # fmt: skip
    assert {name: len(maps) for name, maps in world.maps.items()} == {
        name: known.n for name, known in world.inventory.kinds.items()
    }
