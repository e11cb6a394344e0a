"""Which devices a test runs on, decided when tests are collected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from hil.bench.files import load_bench
from hil.bench.schema import BenchFile
from hil.registers.schema import RegisterMap
from twin.errors import InputProblems

__all__ = ["Choice", "bench_file", "choices"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a test runs on.

    Attributes
    ----------
    id : in the test's name
    kind, map, nameplate : of an emulated device
    candidates : names of devices on the bench, any of which will do; empty: it is emulated
    skip : why it cannot run at all
    wrong : what is wrong with the test itself
    """

    id: str
    kind: str = ""
    map: str | None = None
    nameplate: Mapping[str, float] = field(default_factory=dict)
    candidates: tuple[str, ...] = ()
    skip: str = ""
    wrong: str = ""


def bench_file(config: pytest.Config) -> BenchFile | None:
    """Return the bench of ``--bench``; pytest.UsageError says all that is wrong with it."""
    given = config.getoption("--bench")
    if given is None:
        return None
    try:
        return _read((config.invocation_params.dir / given).resolve())
    except InputProblems as error:
        said = "\n".join(str(p) for p in error.problems)
        raise pytest.UsageError(f"--bench {given}:\n{said}") from None


@cache
def _read(path: Path) -> BenchFile:
    return load_bench(path)


def choices(config: pytest.Config, item: pytest.Item) -> list[Choice]:
    """Return what a test with fixture `device` runs on, one entry for each time that it runs."""
    kind, map_, nameplate = _wanted(item)
    bench = bench_file(config)
    simulated = item.get_closest_marker("simulated") is not None
    hardware = item.get_closest_marker("hardware") is not None
    if simulated and hardware:
        return [Choice("?", wrong="a test is simulated or hardware, not both")]
    if bench is None or simulated:
        if hardware:
            return [Choice("no-bench", skip="needs hardware: --bench FILE")]
        if not kind:
            return [Choice("?", wrong="say which: @pytest.mark.device('storage')")]
        return [Choice(f"emulated-{kind}", kind, map_, nameplate)]
    names = [d.name for d in bench.devices if _fits(d.register_map(), kind, map_)]
    if not names:
        there = ", ".join(f"{d.name} ({d.register_map().kind})" for d in bench.devices)
        what = " ".join(t for t in (kind, "" if map_ is None else f"with map {map_}") if t)
        return [Choice("no-device", skip=f"no {what} on bench {bench.name}: it has {there}")]
    if config.getoption("--bench-devices") == "each":
        return [Choice(name, candidates=(name,)) for name in names]
    return [Choice(f"bench-{kind or 'any'}", candidates=tuple(names))]


def _wanted(item: pytest.Item) -> tuple[str, str | None, dict[str, float]]:
    """Return kind, map and nameplate of marker `device`; the nearest one counts."""
    marker = item.get_closest_marker("device")
    if marker is None:
        return "", None, {}
    nameplate = dict(marker.kwargs)
    given = list(marker.args)
    kind = given.pop(0) if given else nameplate.pop("kind", "")
    map_ = given.pop(0) if given else nameplate.pop("map", None)
    return str(kind), None if map_ is None else str(map_), nameplate


def _fits(one: RegisterMap, kind: str, name: str | None) -> bool:
    return kind in ("", one.kind) and name in (None, one.name)
