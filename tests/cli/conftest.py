"""The command line in process, and a small city whose every part is the user's own."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

import pytest

from twin.cli import main


@dataclass(frozen=True, slots=True)
class Said:
    """What a call of the command line ended with."""

    status: int
    out: str
    err: str

    @property
    def problems(self) -> list[str]:
        return [line[6:] for line in self.err.splitlines() if line.startswith("error ")]


Call = Callable[..., Said]


@pytest.fixture
def twin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """Call ``twin`` with arguments; the process's signal handlers are put back."""
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["twin", *(str(a) for a in arguments)])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    yield call
    signal.signal(signal.SIGTERM, before)


SCENARIO = """
name = "own-city"
start = "13:00"
end = "13:30"

[city]
districts = ["Nansha"]
network = "net.json"
sites = "sites.csv"
fleet = "fleet.csv"
load = "load.csv"

[weather]
epw = "weather.epw"

[[orders]]
id = "dr"
kind = "demand_response"
percent = 2.0
notice = "13:05"
start = "13:06"
full_by = "13:10"
end = "13:28"
"""
SITES = """\
name,district,sector,demand_kw,terminal,circuit_share_1,circuit_share_2,security_share,busbar
works,Nansha,industry,900,1,0.3,0.3,0.25,0
mall,Nansha,tertiary,800,1,0.2,0.15,0.3,
flats,Nansha,residential,400,,,,,1
"""
FLEET = """kind,site,rated_kw,circuit,capacity_kwh,floor_m2,cooling_kw,use,tilt_deg,azimuth_deg
storage,works,200,1,430,,,,,
aircon,mall,300,,,10000,1100,1,,
solar,works,100,,,,,,10,180
"""


def epw_text() -> str:
    """A whole year of hours: 26 to 34 °C and a sun from 6 to 18 h, every day the same."""
    head = ["LOCATION,Own Town,,CHN,test,0,23.1,113.3,8.0,10.0", *["-"] * 7]
    rows = []
    for month, days in enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1):
        for day in range(1, days + 1):
            for hour in range(1, 25):
                air = 30.0 - 4.0 * cos(pi * (hour - 3) / 12.0)
                sun = max(0.0, -cos(pi * (hour - 0.5) / 12.0))
                row = ["0"] * 35
                row[0:4] = ["2020", str(month), str(day), str(hour)]
                row[6], row[8] = f"{air:.1f}", "70"
                row[13], row[14], row[15] = (f"{sun * most:.0f}" for most in (800, 500, 300))
                rows.append(",".join(row))
    return "\n".join([*head, *rows]) + "\n"


def load_text() -> str:
    """A day between 2.0 and 3.0 MW with its maximum at 14:00."""
    rows = [f"{h:02d}:00,{2.5 + 0.5 * cos(pi * (h - 14) / 12.0):.4f}" for h in range(24)]
    return "\n".join(["time,load_mw", *rows]) + "\n"


def network_text() -> str:
    """A 110 kV line to two 110/10 kV transformers with a tap, each with a loaded busbar."""
    import pandapower as pp

    net = pp.create_empty_network()
    source = pp.create_bus(net, 110.0, name="source")
    station = pp.create_bus(net, 110.0, name="station")
    pp.create_ext_grid(net, source, vm_pu=1.02)
    pp.create_line_from_parameters(net, source, station, 8.0, 0.12, 0.4, 9.0, 0.4, name="feed")
    for k, mw in enumerate((2.0, 1.0)):
        bus = pp.create_bus(net, 10.0, name=f"busbar {k}")
        pp.create_transformer_from_parameters(
            net, station, bus, 10.0, 110.0, 10.5, 0.5, 10.5, 12.0, 0.1, shift_degree=30.0,
            tap_side="hv", tap_neutral=9, tap_min=1, tap_max=17, tap_pos=9,
            tap_step_percent=1.25, tap_changer_type="Ratio",
        )  # fmt: skip
        pp.create_load(net, bus, mw, 0.3 * mw)
    return str(pp.to_json(net))


@pytest.fixture(scope="session")
def own_texts() -> dict[str, str]:
    """The files of the user's own city, all sound."""
    return {
        "scenario.toml": SCENARIO,
        "sites.csv": SITES,
        "fleet.csv": FLEET,
        "load.csv": load_text(),
        "net.json": network_text(),
        "weather.epw": epw_text(),
    }


@pytest.fixture
def own_city(own_texts: dict[str, str], tmp_path: Path) -> Path:
    """A folder with these files."""
    folder = tmp_path / "own"
    folder.mkdir()
    for name, text in own_texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
