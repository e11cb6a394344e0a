"""Emulated storage stations, recorded over real sockets, once for all tests of a process."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hil.bench.recorder import RecordingFile
from hil.bench.recording import Recording, load_recording
from hil.registers.files import check_map, load_map
from hil.registers.schema import RegisterMap
from hil.testbed.exercise import exercise
from hil.testbed.stage import Stage
from twin.assets.storage import Storage
from twin.kernels import battery

SEED = 5
RATED_KW, CAPACITY_KWH = 250.0, 522.0
STEPS = (
    (0.0, 60), (0.6, 900), (-1.0, 1500), (0.0, 240), (0.5, 900), (-0.4, 600), (1.0, 900),
    (-0.2, 300),
)  # fmt: skip
# Enough for a map; SunSpec tables are long, and every register is read each time.
SHORT = ((0.0, 40), (0.6, 300), (-1.0, 500), (0.0, 60), (0.5, 300), (-0.4, 200))

# Of rating per second: slow enough for a ramp to show in samples of one second.
SLOW_RAMP = 0.5


@dataclass(frozen=True)
class Truth:
    """What the emulated station really is."""

    capacity_kwh: float
    no_load: float
    square: float
    resistance: float
    ramp_kw_s: float


@cache
def recording_text(map_name: str, every_s: int) -> tuple[str, Truth]:
    """Return the recording of the station behind a map as CSV, and the truth."""
    one = served(map_name)
    with (
        tempfile.TemporaryDirectory() as folder,
        Stage("storage", one, seed=SEED, state={"soc": 0.6}) as stage,
    ):
        assert isinstance(stage.kind, Storage)
        stage.kind.constants[battery.RAMP] = SLOW_RAMP
        path = Path(folder) / "rec.csv"
        file = RecordingFile(path)
        steps = SHORT if "sunspec" in map_name else STEPS
        exercise(stage, file, Path(folder) / "journal.jsonl", steps, every_s)
        file.close()
        kind = stage.kind
        assert isinstance(kind, Storage)
        plate = dict(zip(battery.PLATE_ROWS, kind.plate[:, 0].tolist(), strict=True))
        truth = Truth(
            float(kind.true_kwh[0]), plate["no_load"], plate["square"],
            plate["resistance_v_per_ka"], float(kind.constants[battery.RAMP]) * RATED_KW,
        )  # fmt: skip
        return path.read_text("utf-8"), truth


@cache
def recorded(map_name: str, every_s: int = 20) -> tuple[Recording, RegisterMap, Truth]:
    """Return the recording, the map behind it, and the truth."""
    text, truth = recording_text(map_name, every_s)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rec.csv"
        path.write_text(text, "utf-8")
        return load_recording(path), served(map_name), truth


def served(map_name: str) -> RegisterMap:
    return backwards() if map_name == "backwards" else load_map(map_name)


def backwards() -> RegisterMap:
    """Return a table in which nothing is as in our own: order, signs, units, places, types."""

    def point(name: str, table: str, address: int, kind: str, **more: object) -> dict[str, object]:
        return {
            "name": name, "class": "yc", "table": table, "address": address, "type": kind,
            "meaning": name, "meaning_zh": name, **more,
        }  # fmt: skip

    return check_map(
        {
            "name": "backwards", "kind": "storage", "title": "b", "title_zh": "b", "source": "t",
            "identity": {"vendor": "v", "product": "p"}, "order": "CDAB",
            "points": [
                point("counter", "holding", 99, "u16", source={"constant": 41}),
                point("p", "holding", 100, "i32", unit="W",
                      source={"point": "power_kw", "gain": -1000}),
                point("t", "holding", 102, "i16", scale=0.01, unit="°C",
                      source={"point": "temperature_c"}),
                point("s", "holding", 103, "u16", order="BADC", scale=0.01, unit="%",
                      source={"point": "soc", "gain": 100}),
                point("out", "holding", 104, "f32", unit="kWh",
                      source={"point": "discharged_today_kwh"}),
                point("in", "holding", 106, "u32", scale=0.01, unit="kWh",
                      source={"point": "charged_today_kwh"}),
                point("state", "holding", 108, "u16",
                      source={"point": "status", "values": [[0, 17], [1, 5], [2, 9], [3, 99]]}),
                point("force", "holding", 109, "i16", scale=0.1, unit="%", access="rw",
                      source={"setpoint": "power_kw", "gain": -100, "per_rating": True})
                | {"class": "yt", "low": -100.0, "high": 100.0},
                point("pn", "holding", 110, "u32", scale=0.1, unit="kW",
                      source={"nameplate": "rated_kw"}),
                point("en", "holding", 112, "u32", scale=0.1, unit="kWh",
                      source={"nameplate": "capacity_kwh"}),
            ],
        },
        "backwards",
    )  # fmt: skip
