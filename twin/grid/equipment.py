"""Equipment, sizing rules and regulator settings, read from `grid/data/*.toml`."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = [
    "CapacitorRule",
    "Compensation",
    "Equipment",
    "LineType",
    "StationName",
    "TapRule",
    "TransformerType",
    "load_equipment",
    "read_table",
]


@dataclass(frozen=True, slots=True)
class LineType:
    """One circuit's parameters per km and its rated current [kA]."""

    name: str
    kv: float
    r_ohm_per_km: float
    x_ohm_per_km: float
    c_nf_per_km: float
    max_i_ka: float

    @property
    def rating_mva(self) -> float:
        """Return the rating of one circuit at nominal voltage."""
        return math.sqrt(3.0) * self.kv * self.max_i_ka


@dataclass(frozen=True, slots=True)
class TransformerType:
    """A family of transformers of several sizes [MVA]."""

    name: str
    vn_hv_kv: float
    vn_lv_kv: float
    sizes_mva: tuple[float, ...]
    vk_percent: float
    vkr_percent: float
    pfe_kw_per_mva: float
    i0_percent: float
    shift_degree: float
    tap_step_percent: float
    tap_min: int
    tap_max: int
    tap_fixed: int
    on_load: bool

    def size_for(self, mva: float) -> float:
        """Return the smallest size of at least `mva`, else the largest."""
        fitting = [s for s in self.sizes_mva if s >= mva]
        return min(fitting) if fitting else max(self.sizes_mva)


@dataclass(frozen=True, slots=True)
class Compensation:
    """Shunt banks of a station level: share of the transformers' rating, size of a step."""

    name: str
    rating_share: float
    reactor_share: float
    step_mvar: float


@dataclass(frozen=True, slots=True)
class TapRule:
    """An on-load tap changer's regulator; a voltage outside target +- half band moves it."""

    target_vm_pu: float
    half_band_vm_pu: float
    delay_s: float


@dataclass(frozen=True, slots=True)
class CapacitorRule:
    """Switching of capacitor steps by reactive power and voltage (nine-zone diagram)."""

    q_band_steps: float
    low_vm_pu: float
    high_vm_pu: float
    delay_s: float


@dataclass(frozen=True, slots=True)
class StationName:
    """A public 500 kV station name and where it roughly is."""

    name: str
    x_km: float
    y_km: float


@dataclass(frozen=True, slots=True)
class Equipment:
    """All tables; `sizing` and `source` are plain numbers by name."""

    lines: Mapping[str, LineType]
    transformers: Mapping[str, TransformerType]
    compensation: Mapping[str, Compensation]
    sizing: Mapping[str, float]
    source: Mapping[str, float]
    tap_rules: Mapping[str, TapRule]
    capacitor_rules: Mapping[str, CapacitorRule]
    names_500: tuple[StationName, ...]


def read_table(name: str) -> dict[str, Any]:
    """Return `grid/data/<name>.toml` as plain data."""
    text = files("twin.grid").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def load_equipment() -> Equipment:
    """Return the tables of the package, read once."""
    parts = read_table("equipment")
    rules = read_table("regulation")
    return Equipment(
        lines={k: LineType(name=k, **_bare(v)) for k, v in parts["line"].items()},
        transformers={
            k: TransformerType(name=k, **{**_bare(v), "sizes_mva": tuple(v["sizes_mva"])})
            for k, v in parts["transformer"].items()
        },
        compensation={
            k: Compensation(name=k, **_bare(v)) for k, v in parts["compensation"].items()
        },
        sizing={k: float(v["value"]) for k, v in parts["sizing"].items()},
        source={k: float(v["value"]) for k, v in parts["source"].items()},
        tap_rules={k: TapRule(**_bare(v)) for k, v in rules["tap"].items()},
        capacitor_rules={k: CapacitorRule(**_bare(v)) for k, v in rules["capacitor"].items()},
        names_500=tuple(
            StationName(v["name"], v["x_km"], v["y_km"])
            for v in read_table("stations")["station_500"]
        ),
    )


def _bare(row: Mapping[str, Any]) -> dict[str, Any]:
    """Drop what documents a row."""
    return {k: v for k, v in row.items() if k not in ("title", "source", "grade")}
