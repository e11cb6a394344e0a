"""Specifications and operating points that the grid's tests share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.grid import (
    DistrictSpec,
    InfeedSpec,
    Network,
    NetworkSpec,
    PlantSpec,
    PumpedStorageSpec,
)

F8 = NDArray[np.float64]

# name, load share, x, y, radius [km], cable
DISTRICTS = (
    ("Yuexiu", 0.050, 1.0, 0.0, 2.5, True),
    ("Haizhu", 0.065, 5.0, -4.5, 4.0, True),
    ("Liwan", 0.055, -2.5, -4.0, 3.2, True),
    ("Tianhe", 0.105, 10.0, 2.0, 4.1, True),
    ("Baiyun", 0.140, 1.5, 14.0, 12.0, False),
    ("Huangpu", 0.185, 23.0, 8.0, 9.3, False),
    ("Panyu", 0.130, 12.0, -20.0, 9.8, False),
    ("Huadu", 0.085, -4.0, 30.0, 13.2, False),
    ("Nansha", 0.075, 27.0, -40.0, 12.0, False),
    ("Conghua", 0.025, 33.0, 52.0, 18.8, False),
    ("Zengcheng", 0.085, 53.0, 16.0, 17.0, False),
)
PLANTS = (
    PlantSpec("Zhujiang coal", 8, 1280.0, 220.0, "coal"),
    PlantSpec("Zhujiang LNG", 8, 780.0, 220.0, "gas"),
    PlantSpec("Hengyun coal", 5, 660.0, 220.0, "coal"),
    PlantSpec("China Resources Nansha", 8, 660.0, 220.0, "coal"),
    PlantSpec("Lixin CHP", 10, 660.0, 220.0, "coal"),
    PlantSpec("Huadu gas CHP", 7, 920.0, 220.0, "gas"),
    PlantSpec("Hengyun East CHP", 5, 920.0, 220.0, "gas"),
    PlantSpec("Baiyun Hengyun gas", 4, 920.0, 220.0, "gas"),
    PlantSpec("Zengcheng Wanglong gas", 10, 920.0, 220.0, "gas"),
    PlantSpec("Knowledge City CHP", 5, 920.0, 220.0, "gas"),
    PlantSpec("University Town CHP", 6, 156.0, 110.0, "gas"),
    PlantSpec("Fushan waste to energy", 5, 200.0, 110.0, "waste"),
)
INFEEDS = (
    InfeedSpec("Foshan", 0.20, -32.0, -14.0),
    InfeedSpec("Dongguan", 0.16, 55.0, -22.0),
    InfeedSpec("Huizhou", 0.16, 85.0, 8.0),
    InfeedSpec("Qingyuan", 0.16, -18.0, 62.0),
    InfeedSpec("Suidong", 0.20, 62.0, 30.0),
    InfeedSpec("Zhongshan", 0.12, 18.0, -62.0),
)
PEAK_SHARE = 0.62  # plants' output over rating, as the network is sized
VALLEY = 0.58
SHED = 0.20


def city_spec(load_mw: float = 25_300.0, **changes: object) -> NetworkSpec:
    """The city; `load_mw` is the demand at 10 kV."""
    districts = tuple(
        DistrictSpec(name, share * load_mw, x, y, radius, cable)
        for name, share, x, y, radius, cable in DISTRICTS
    )
    pumped = PumpedStorageSpec("Guangzhou pumped storage", 2400.0, 33.0, 52.0)
    return NetworkSpec(districts, PLANTS, INFEEDS, pumped, **changes)  # type: ignore[arg-type]


def tiny_spec(load_mw: float = 40.0) -> NetworkSpec:
    """One district in detail."""
    district = DistrictSpec("Pilot", load_mw, 27.0, -40.0, 4.0, cable=True)
    infeed = InfeedSpec("220 kV infeed", 1.0, 27.0, -30.0)
    return NetworkSpec((district,), (), (infeed,), form="district")


@dataclass(frozen=True, slots=True)
class Point:
    """One operating point, as `GridOperation.step` takes it."""

    demand_mw: F8
    demand_mvar: F8
    plant_mw: F8
    pumped_mw: float

    @property
    def arguments(self) -> tuple[F8, F8, F8, float]:
        return self.demand_mw, self.demand_mvar, self.plant_mw, self.pumped_mw

    def scaled(self, factor: float) -> Point:
        """The same point with demand scaled."""
        demand, reactive = self.demand_mw * factor, self.demand_mvar * factor
        return Point(demand, reactive, self.plant_mw, self.pumped_mw)


def peak(network: Network) -> Point:
    """The maximum for which the network was sized."""
    rated = network.sources.rated_mw[network.plant_rows]
    return Point(network.design_mw, network.design_mvar, rated * PEAK_SHARE, 0.0)


def valley(network: Network) -> Point:
    """The night: least demand, plants low, pumped storage pumping."""
    rated = network.sources.rated_mw[network.plant_rows]
    pumped_mw = -1800.0 if len(network.pumped_rows) > 0 else 0.0
    demand, reactive = network.design_mw * VALLEY, network.design_mvar * VALLEY
    return Point(demand, reactive, rated * 0.45, pumped_mw)
