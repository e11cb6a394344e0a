"""From a bench file to devices, and to the scale of a pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.bench.assembly import chosen, device_of, lines_of, permit_of
from hil.bench.clock import WallClock
from hil.bench.errors import Forbidden
from hil.bench.files import load_bench
from hil.bench.journal import Journal, NoJournal
from hil.bench.scale import scale_of
from hil.bench.schema import DeviceEntry
from tests.bench.sloppy import SloppyLine
from tests.bench.test_file import bench_file
from twin.errors import InputProblems


def test_devices_are_made_as_the_file_says(tmp_path: Path) -> None:
    bench = load_bench(bench_file(tmp_path))
    lines = lines_of(bench.devices)
    assert lines["bess-1"].wire is lines["pv-1"].wire
    assert lines["bess-1"].wire is not lines["watched"].wire
    bess, _, watched = bench.devices
    with Journal(tmp_path / "j.jsonl") as journal:
        line = SloppyLine(bess.register_map())
        device = device_of(bess, line, journal, WallClock(), permit_of(bench))
        assert device.to_safe_state("test")[0].accepted
        assert line.sent == [("holding", 0, (0, 0))]
        only_read = device_of(watched, line, journal, WallClock(), permit_of(bench))
        with pytest.raises(Forbidden, match="watched: no limits in the bench file"):
            only_read.command("circuit_1", 0.0)
    with pytest.raises(Forbidden, match="without a journal"):
        NoJournal().record("note", "x")
    with pytest.raises(InputProblems, match="did you mean bess-1"):
        chosen(bench, ["bess-2"])
    assert [e.name for e in chosen(bench, ["pv-1"])] == ["pv-1"]


@pytest.mark.parametrize(
    ("change", "twin_kw", "twin_kwh", "said"),
    [
        ({}, 1000.0, 2000.0, None),
        ({}, 1000.0, None, None),
        ({}, 0.0, None, "a rating above 0"),
        ({}, 1000.0, 4000.0, "2 h at rated power"),
        ({"power_high_kw": 50.0}, 1000.0, 2000.0, "0.5 of rating"),
        ({"power_low_kw": -50.0}, 1000.0, 2000.0, "-0.5 of rating"),
    ],
)
def test_a_scale_is_refused_where_limits_do_not_fit(
    tmp_path: Path, change: dict[str, float], twin_kw: float, twin_kwh: float | None,
    said: str | None,
) -> None:  # fmt: skip
    entry = load_bench(bench_file(tmp_path)).devices[0]
    assert entry.limits is not None
    entry = entry.model_copy(update={"limits": entry.limits.model_copy(update=change)})
    if said is not None:
        with pytest.raises(InputProblems, match=said):
            scale_of(entry, twin_kw, twin_kwh)
        return
    scale = scale_of(entry, twin_kw, twin_kwh)
    assert (scale.factor, scale.to_twin(-30.0), scale.to_bench(500.0)) == (10.0, -300.0, 50.0)


def test_a_limit_on_consumption_scales_with_its_sign() -> None:
    entry = DeviceEntry.model_validate(
        {
            "name": "ac", "map": "aircon-own", "transport": "tcp", "host": "127.0.0.1",
            "rated_kw": 20.0, "safe_state": {"set_release": 1},
            "limits": {"power_low_kw": -20.0, "power_high_kw": 0.0, "ramp_kw_s": 5.0},
        }
    )  # fmt: skip
    assert scale_of(entry, 60.0).factor == 3.0
