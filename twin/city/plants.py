"""Local plants, imports and pumped storage: what they are and what they run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.city.districts import Districts
from twin.city.tables import DataRows, Parameters, read_parameters
from twin.grid.spec import InfeedSpec, PlantSpec, PumpedStorageSpec

PUMPED_DISTRICT = "从化"


@dataclass(frozen=True, slots=True)
class Supply:
    """What feeds the city.

    Attributes
    ----------
    plants : local plants, in the order of `plant_schedule_mw`
    plant_schedule_mw : float64[1440, plants], positive into the grid
    infeeds : import points, shares sum to 1
    pumped_storage : the plant, or None where it is not in the chosen districts
    pumped_schedule_mw : float64[1440], generating positive, pumping negative
    """

    plants: tuple[PlantSpec, ...]
    plant_schedule_mw: NDArray[np.float64]
    infeeds: tuple[InfeedSpec, ...]
    pumped_storage: PumpedStorageSpec | None
    pumped_schedule_mw: NDArray[np.float64]


def build_supply(
    districts: Districts, max_load_mw: float, load_shape: NDArray[np.float64], whole_city: bool
) -> Supply:
    """Return plants, infeeds and pumped storage with their schedules.

    The plants follow the load at a third of it (see ``supply.local_share``): waste to energy
    runs flat, the others share the rest by one common fraction of their range between least
    and most output. A single district has one infeed and nothing else.

    Parameters
    ----------
    load_shape : float64[1440], sent-out load over the maximum
    """
    figures = read_parameters()
    if not whole_city:
        x_km, y_km = float(districts.x_km.mean()), float(districts.y_km.max())
        infeed = InfeedSpec("220 kV infeed", 1.0, x_km, y_km)
        return Supply((), np.zeros((1440, 0)), (infeed,), None, np.zeros(1440))
    rows = DataRows("plants.csv")
    rated_mw = rows.f8("units") * rows.f8("unit_mw")
    least_mw, most_mw = rated_mw * rows.f8("min_share"), rated_mw * rows.f8("max_share")
    wanted_mw = figures["supply.local_share"] * max_load_mw * load_shape
    span_mw = float((most_mw - least_mw).sum())
    level = np.clip((wanted_mw - least_mw.sum()) / span_mw, 0.0, 1.0)
    schedule_mw = least_mw + level[:, None] * (most_mw - least_mw)
    peak_mw = schedule_mw[int(np.argmax(load_shape))]
    plants = tuple(
        PlantSpec(name, districts.row(place), float(rated), float(kv), fuel, float(peak))
        for name, place, rated, kv, fuel, peak in zip(
            rows.text("name_en"),
            rows.text("district"),
            rated_mw,
            rows.f8("voltage_kv"),
            rows.text("fuel"),
            peak_mw,
            strict=True,
        )
    )
    imports = DataRows("infeeds.csv")
    share = imports.f8("share") / imports.f8("share").sum()
    infeeds = tuple(
        InfeedSpec(name, float(part), float(x), float(y))
        for name, part, x, y in zip(
            imports.text("name_en"), share, imports.f8("x_km"), imports.f8("y_km"), strict=True
        )
    )
    home = districts.row(PUMPED_DISTRICT)
    storage = PumpedStorageSpec(
        "Guangzhou pumped storage",
        figures["supply.pumped_units"] * figures["supply.pumped_unit_mw"],
        float(districts.x_km[home]),
        float(districts.y_km[home]),
    )
    return Supply(plants, schedule_mw, infeeds, storage, pumped_schedule(figures))


def pumped_schedule(figures: Parameters) -> NDArray[np.float64]:
    """Return float64[1440] MW of the pumped storage, with ramps between the blocks."""
    rows = DataRows("pumped.csv")
    blocks = np.zeros(1440)
    for start, end, units in zip(
        rows.minutes("start"), rows.minutes("end"), rows.f8("units"), strict=True
    ):
        blocks[start:end] = units * figures["supply.pumped_unit_mw"]
    # A moving mean makes ramps and keeps the energy; the day is a ring.
    width = round(figures["supply.pumped_ramp_min"])
    ring = np.concatenate([blocks[-width:], blocks])
    sums = np.cumsum(np.concatenate([[0.0], ring]))
    return np.asarray((sums[width:] - sums[:-width])[1:] / width, dtype=np.float64)
