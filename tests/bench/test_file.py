"""A bench file says everything that is wrong with it at once."""

from __future__ import annotations

import os
import tty
from pathlib import Path
from typing import Any

import pytest

from hil.bench.assembly import banner, permit_of
from hil.bench.errors import Forbidden
from hil.bench.files import load_bench, read_bench
from hil.registers.files import shipped_maps
from twin.errors import InputProblems

GOOD = """
name = "lab-1"
emergency_stop = "red mushroom left of the door, tested 2026-11-20 by Li Wei"

[[devices]]
name = "bess-1"
map = "storage-own"
transport = "tcp"
host = "127.0.0.1"
port = 5020
rated_kw = 100.0
capacity_kwh = 200.0
replaces = "storage-00003"
limits = { power_low_kw = -100.0, power_high_kw = 100.0, ramp_kw_s = 50.0 }
safe_state = { set_power_kw = 0.0 }
heartbeat = { point = "set_heartbeat", every_s = 2.0, expires_s = 10.0 }
lease = { point = "set_revert_s", value = 30 }

[[devices]]
name = "pv-1"
map = "solar-sunspec-7xx"
transport = "tcp"
host = "127.0.0.1"
port = 5020
unit = 2
rated_kw = 50
limits = { power_low_kw = 0, power_high_kw = 50.0, ramp_kw_s = 50.0 }
safe_state = { "m704.WMaxLimPct" = 0.0, "m704.WMaxLimPctEna" = 1 }

[[devices]]
name = "watched"
map = "terminal-own"
transport = "tcp"
host = "10.0.0.7"
rated_kw = 300.0

[[instruments]]
name = "wattmeter"
driver = "meter_modbus"
map = "meter-own"
point = "demand_kw"
positive = "from_grid"
class_pct = 0.5
range_kw = 100.0
port = 5022
calibrated = 2026-03-01
device = "bess-1"

[[interlock]]
name = "warm"
device = "bess-1"
point = "temperature_c"
high = 55.0

[[interlock]]
name = "metered"
instrument = "wattmeter"
point = "power_kw"
low = -110.0
high = 110.0

[guard]
heartbeat_s = 2.0
"""


def bench_file(folder: Path, text: str = GOOD) -> Path:
    path = folder / "bench.toml"
    path.write_text(text, encoding="utf-8")
    return path


def told(folder: Path, text: str) -> list[str]:
    """Return everything said against a file."""
    with pytest.raises(InputProblems) as caught:
        load_bench(bench_file(folder, text))
    return [f"{p.place}: {p.value}; {p.allowed}" for p in caught.value.problems]


def test_a_good_file_is_read(tmp_path: Path) -> None:
    bench = load_bench(bench_file(tmp_path))
    assert (bench.name, bench.dry_only, len(bench.sha256)) == ("lab-1", False, 64)
    bess, pv, watched = bench.devices
    assert (bess.spec().place, bess.spec().unit, pv.spec().unit) == ("127.0.0.1:5020", 1, 2)
    assert watched.spec().port == 502
    assert bess.limits is not None
    assert bess.limits.envelope().ramp_kw_s == 50.0
    assert list(pv.safe_state) == ["m704.WMaxLimPct", "m704.WMaxLimPctEna"]
    assert (bench.guard.heartbeat_s, bench.run.when_lost) == (2.0, "twin")
    assert "hardware emergency stop" in banner(bench)
    assert "Li Wei" in banner(bench)


BAD = """
name = "lab 1"
emergency_stop = "todo"
emergency_stopp = "x"

[guard]
watch_s = 9.0

[[devices]]
name = "bess-1"
map = "storage-ovn"
transport = "tcp"
host = "127.0.0.1"
rated_kw = 100.0
replaces = "storage-00003"

[[devices]]
name = "bess-1"
map = "storage-own"
transport = "tcp"
host = "127.0.0.1"
port = 5021
rated_kw = 100
replaces = "storage-00003"
limits = { power_low_kw = -100.0, power_high_kw = 200.0, ramp_kw_s = 0.0 }
safe_sate = { set_power_kw = 0.0 }

[[devices]]
name = "b3"
map = "storage-own"
transport = "tcp"
host = "127.0.0.1"
port = 5021
rated_kw = 100
replaces = "storage-3"
limits = { power_low_kw = -50.0, power_high_kw = 200.0, ramp_kw_s = 1.0 }
safe_state = { set_powr_kw = 0.0, set_power_kw = -60, set_revert_s = 0 }
lease = { point = "set_revert_s", value = 90000 }
heartbeat = { point = "power_kw", every_s = 10.0, expires_s = 5.0 }

[[devices]]
name = "b4"
map = "storage-own"
transport = "rtu"
serial = "/dev/tty-that-is-not-there"
unit = 250
rated_kw = 100
replaces = "aircon-00003"
limits = { power_low_kw = 1, power_high_kw = 0, ramp_kw_s = 1.0 }

[[devices]]
name = "b5"
map = "none.json"
transport = "tls"
host = "1.2.3.4"
rated_kw = "x"
certificate = "nope.pem"

[[devices]]
name = "b6"
parameters = "fitted.toml"
map = "meter-own"
transport = "tcp"
host = "1.2.3.5"
serial = "/dev/null"
rated_kw = 1
limits = { power_low_kw = -1, power_high_kw = 0.5, ramp_kw_s = 1.0 }
safe_state = { x = 1 }

[[instruments]]
name = "w"
driver = "meter_modbs"

[[instruments]]
name = "w2"
driver = "meter_fake"
powr_kw = 3
device = "b9"

[[interlock]]
name = "warm"
device = "b9"
point = "temperature_c"
high = 55.0

[[interlock]]
name = "warm"
device = "b3"
point = "temprature_c"
low = 1

[[interlock]]
name = "none"
point = "x"
"""

EXPECTED = (
    ("name", "'lab 1'"),
    ("emergency_stop", "'todo'; where it is and when it was tested"),
    ("emergency_stopp", "unknown key", "did you mean emergency_stop?"),
    ("guard", "blind_s 5 is below watch_s 9"),
    ("devices.0 (bess-1).map", "storage-ovn: not found", "did you mean storage-own?"),
    ("devices.1 (bess-1).name", "'bess-1', as devices.0"),
    ("devices.1 (bess-1).replaces", "'storage-00003', as devices.0 (bess-1) does"),
    ("devices.1 (bess-1).limits.ramp_kw_s", "0.0; greater than 0"),
    ("devices.1 (bess-1).safe_sate", "unknown key", "did you mean safe_state?"),
    ("devices.2 (b3)", "unit 1 at 127.0.0.1:5021, as devices.1 (bess-1)"),
    ("devices.2 (b3).replaces", "'storage-3'", "such as storage-00003"),
    ("devices.2 (b3).limits.power_high_kw", "200 kW; -100 to 100 kW, its rating"),
    ("devices.2 (b3).safe_state", "'set_powr_kw'", "did you mean set_power_kw?"),
    ("devices.2 (b3).safe_state", "set_power_kw orders -60 kW; inside the limits, -50 to 200 kW"),
    ("devices.2 (b3).safe_state", "set_revert_s = 0; 1 to 86400 s"),
    ("devices.2 (b3).lease.point", "set_revert_s = 90000; 1 to 86400 s"),
    ("devices.2 (b3).heartbeat", "every_s 10 is not below expires_s 5"),
    ("devices.2 (b3).heartbeat.point", "'power_kw'", "a point that can be written"),
    ("devices.3 (b4)", "needs safe_state"),
    ("devices.3 (b4)", "unit 250: a serial line has units 1 to 247"),
    ("devices.3 (b4).serial", "'/dev/tty-that-is-not-there' does not exist"),
    ("devices.3 (b4).replaces", "'aircon-00003'", "such as storage-00000"),
    ("devices.3 (b4).limits", "power_low_kw 1 above power_high_kw 0"),
    ("devices.4 (b5).rated_kw", "'x'"),
    ("devices.4 (b5).map", "none.json: not found"),
    ("devices.4 (b5)", "transport tls needs ca"),
    ("devices.4 (b5)", "certificate and key belong together"),
    ("devices.4 (b5).certificate", "nope.pem' does not exist"),
    ("devices.5 (b6)", "serial belongs to transport rtu"),
    ("devices.5 (b6).limits", "map meter-own has nothing to write"),
    ("devices.5 (b6)", "parameters are for the twin that it replaces"),
    ("devices.5 (b6).parameters", "fitted.toml' does not exist", "hil fit"),
    ("instruments.0 (w).driver", "'meter_modbs'", "did you mean meter_modbus?"),
    ("instruments.1 (w2).powr_kw", "unknown key", "did you mean power_kw?"),
    ("instruments.1 (w2).device", "'b9'; one of bess-1, bess-1, b3, b4, b5, b6"),
    ("interlock.0 (warm).device", "'b9'; one of bess-1, b3, b4, b5, b6"),
    ("interlock.1 (warm).name", "as interlock.0"),
    ("interlock.1 (warm).point", "'temprature_c'", "did you mean temperature_c?"),
    ("interlock.2 (none)", "one of device and instrument"),
    ("interlock.2 (none)", "low or high, or both"),
)


def test_everything_wrong_is_said_at_once(tmp_path: Path) -> None:
    lines = told(tmp_path, BAD)
    for place, *parts in EXPECTED:
        found = [
            line
            for line in lines
            if line.startswith(f"{place}: ") and all(part in line for part in parts)
        ]
        assert len(found) == 1, f"{place} {parts}: {found or lines}"
    assert len(lines) == len(EXPECTED)


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("unit = 2", "unit = 1", "devices.1 (pv-1)", "unit 1 at 127.0.0.1:5020, as devices.0"),
        ("unit = 2", "unit = 2\nsingle_client = true", "devices.1 (pv-1)", "otherwise than"),
        ('map = "terminal-own"', 'map = "dispatcher"\nlimits = { power_low_kw = 0, '
         "power_high_kw = 1, ramp_kw_s = 1 }", "devices.2 (watched)", "needs safe_state"),
        ('safe_state = { set_power_kw = 0.0 }', "", "devices.0 (bess-1)", "needs safe_state"),
        ("limits = { power_low_kw = 0, power_high_kw = 50.0, ramp_kw_s = 50.0 }",
         "limits = { power_low_kw = -5, power_high_kw = -1.0, ramp_kw_s = 50.0 }",
         "devices.1 (pv-1).safe_state", "orders 0 kW"),
        ('point = "power_kw"', 'point = "on"', "interlock.1 (metered).point", "one of power_kw"),
        ('instrument = "wattmeter"', 'instrument = "watmeter"',
         "interlock.1 (metered).instrument", "did you mean wattmeter?"),
        ('host = "10.0.0.7"', "", "devices.2 (watched)", "host belongs to transports tcp"),
        ('transport = "tcp"\nhost = "10.0.0.7"', 'transport = "udp"\nhost = "10.0.0.7"',
         "devices.2 (watched).transport", "'udp'; 'tcp', 'tls' or 'rtu'"),
        ("unit = 2", 'unit = 2\nidentity = { vendr = "x" }', "devices.1 (pv-1).identity",
         "did you mean vendor?"),
        ("[guard]", "[gard]", "gard", "did you mean guard?"),
        ("calibrated = 2026-03-01", 'calibrated = "soon"', "instruments.0 (wattmeter).calibrated",
         "'soon'"),
    ],
)  # fmt: skip
def test_one_thing_wrong_is_named(
    tmp_path: Path, old: str, new: str, place: str, said: str
) -> None:
    assert GOOD.count(old) >= 1
    lines = told(tmp_path, GOOD.replace(old, new, 1))
    assert any(line.startswith(f"{place}: ") and said in line for line in lines), lines


def test_power_beyond_the_registers_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("100.0", "40000.0").replace('"storage-own"', '"small.json"')
    one = shipped_maps()["storage-own"].model_dump_json(by_alias=True)
    small = one.replace('"address":0,"type":"i32","length":null,"bit":null,"scale":0.1,"order":'
                        'null,"unit":"kW","low":null,"high":null,"access":"rw"',
                        '"address":0,"type":"i16","length":null,"bit":null,"scale":1.0,"order":'
                        'null,"unit":"kW","low":null,"high":null,"access":"rw"')  # fmt: skip
    assert small != one
    (tmp_path / "small.json").write_text(small, encoding="utf-8")
    lines = told(tmp_path, text)
    assert any("limits.power_high_kw: 40000 kW is 40000 kW; set_power_kw" in x for x in lines)
    assert any("limits.power_low_kw: -40000 kW is -40000 kW; set_power_kw" in x for x in lines)


def test_names_of_files_start_at_the_folder(tmp_path: Path) -> None:
    one = shipped_maps()["storage-own"]
    (tmp_path / "mine.json").write_text(one.model_dump_json(by_alias=True), encoding="utf-8")
    bench = load_bench(bench_file(tmp_path, GOOD.replace('"storage-own"', '"mine.json"', 1)))
    assert bench.devices[0].map == str(tmp_path / "mine.json")
    assert bench.devices[0].register_map() == one


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"name = ", "Invalid value"), (b"\xff\xfe", "UTF-8 text"), (b"", "missing")],
)
def test_what_is_no_file_of_a_bench_is_bad_input(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "bench.toml"
    path.write_bytes(content)
    with pytest.raises(InputProblems, match=said):
        load_bench(path)
    with pytest.raises(InputProblems, match="No such file"):
        load_bench(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "data",
    [{"devices": 3}, {"devices": [3]}, {"devices": [{}]}, {"instruments": {}}, {"interlock": 1},
     {"devices": [{"name": 3, "map": 4, "safe_state": [], "limits": 1}]}],
)  # fmt: skip
def test_no_shape_of_a_file_is_a_traceback(tmp_path: Path, data: dict[str, Any]) -> None:
    with pytest.raises(InputProblems):
        read_bench(data, "bench.toml", tmp_path)


def test_a_serial_line_must_be_one(tmp_path: Path) -> None:
    text = GOOD.replace('transport = "tcp"\nhost = "10.0.0.7"', 'transport = "rtu"\nserial = "%s"')
    (tmp_path / "plain").touch()
    assert "is no serial line" in told(tmp_path, text % (tmp_path / "plain"))[0]
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    try:
        bench = load_bench(bench_file(tmp_path, text % os.ttyname(theirs)))
        assert bench.devices[2].spec().place == os.ttyname(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


def test_without_an_emergency_stop_a_bench_runs_dry_only(tmp_path: Path) -> None:
    text = "\n".join(x for x in GOOD.splitlines() if not x.startswith("emergency_stop"))
    bench = load_bench(bench_file(tmp_path, text))
    assert bench.dry_only
    assert "dry only" in banner(bench)
    with pytest.raises(Forbidden, match="no emergency_stop is confirmed"):
        permit_of(bench)()
    permit_of(load_bench(bench_file(tmp_path)))()
    with pytest.raises(Forbidden, match="dry run"):
        permit_of(load_bench(bench_file(tmp_path)), dry_run=True)()
