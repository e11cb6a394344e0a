"""How much each device can give, and for how long: estimates from readings and nameplates.

`up` is load taken off the grid (or generation added), `down` load added, each in kW that can be
*sustained* over a horizon. Only batteries can be told to draw more: the maps of the other kinds
hold limits, and nobody can make an owner draw what he does not want. The physics behind a
figure is a rule of thumb with its source beside it; truth is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.control.baselines.owner import StorageOwners
from twin.control.supervision.fleet import Watch

Floats = NDArray[np.float64]

# Buildings (general knowledge: zone models of offices; drift limit is the verdict's).
DRIFT_C_H = 0.85  # planned rise of the zone, a little below the limit of 1 °C/h
COMFORT_MARGIN_C = 0.3  # kept to the registered comfort limit, sensor class included (assumed)
AIR_WH_M2K = 12.0
MASS_WH_M2K = 80.0
EXCHANGE_W_M2K = 12.0  # between air and mass
ENVELOPE_W_M2K = 2.0
PLANT_COP = 4.2  # with pumps, towers and fans
COOLEST_C = 24.0  # no zone is led below it (comfort class I in cooling, general knowledge)
DEEPEST_C = 1.5  # below the set-point (assumed)
MOST_OF_COOLING = 0.6  # never plan to take more of a plant's power (assumed)

ICE_MELT_PER_H = 0.12  # of the tank (10 to 15 %/h, general knowledge)
PROMISE_RESERVE = 1.1  # kept above the least power that keeps departure promises (assumed)
WAITS = 0  # use of a station whose drivers wait beside the post (public fast)
LEVELLING = 4  # steps in which energy moves to the quarters that have power to spare
CHARGING_SUSTAINED = 0.85  # of today's room above the promises lasts an event (assumed)
STOCK_RESERVE_H = 0.25  # of downstream stock that a paused line keeps (assumed)
TANK_RESERVE = 0.2  # of a hydrogen tank (assumed)
FUELCELL_KWH_KG = 16.0  # electric, about half of the lower heating value (general knowledge)


@dataclass(frozen=True, slots=True)
class Sustained:
    """What each device of a kind can sustain; float64[n], kW, both positive."""

    up_kw: Floats
    down_kw: Floats


def storage(
    watch: Watch, owners: StorageOwners, base_kw: Floats, ceiling_kw: Floats, hours: float,
    before_kwh: Floats,
) -> Sustained:  # fmt: skip
    """Return what batteries sustain against their owners' schedule.

    Parameters
    ----------
    base_kw : float64[quarters, n]  owners' power over the horizon, positive into the grid;
        `up_kw` is what is sustained over the quarters in which their own delivery leaves room
    ceiling_kw : what each was seen to be able to feed (the site may hold it back)
    before_kwh : what the owner will take in before the horizon begins
    """
    stock = owners.stock_kwh(watch.or_zero("soc")) + before_kwh
    stock = np.clip(stock, 0.0, owners.stock_kwh(owners.memory["full"]))
    mean = base_kw.mean(axis=0)
    top = np.minimum(watch.or_zero("discharge_limit_kw"), ceiling_kw)
    top = np.where(before_kwh != 0.0, ceiling_kw, top)
    room = (owners.memory["full"] - watch.or_zero("soc")) * owners.capacity_kwh
    # Where the owner himself delivers, only his spare power is left; the energy that this
    # keeps back is for the other quarters.
    spare_kw = np.maximum(top - base_kw, 0.0)
    wanted = np.maximum(stock / hours - mean, 0.0)
    up = wanted
    for _ in range(LEVELLING):
        given = np.minimum(up, spare_kw)
        open_quarters = np.maximum((given < spare_kw).sum(axis=0), 1)
        up = up + (wanted - given.mean(axis=0)) * len(base_kw) / open_quarters
    # Power bounds it where the owner does not deliver himself.
    most = np.where(base_kw <= 0.05 * top, spare_kw, np.inf).min(axis=0)
    most = np.where(np.isfinite(most), most, spare_kw.max(axis=0))
    up = np.minimum(np.maximum(up, 0.0), most)
    down = np.minimum(watch.or_zero("charge_limit_kw") + base_kw.min(axis=0), room / hours + mean)
    return Sustained(up, np.maximum(down, 0.0))


def aircon_w_m2(hours: float) -> float:
    """Return the mean electric W per m² that a set-point rising by `DRIFT_C_H` saves.

    Air gives its heat at once, the mass with the lag of its exchange, the envelope gains less
    the warmer the zone is.
    """
    x = max(hours, 0.05) * EXCHANGE_W_M2K / MASS_WH_M2K
    mass = MASS_WH_M2K * (1.0 - (1.0 - np.exp(-x)) / x)
    thermal = DRIFT_C_H * (AIR_WH_M2K + mass + ENVELOPE_W_M2K * hours / 2.0)
    return float(thermal / PLANT_COP)


def aircon_rise(since_h: float, left_h: float) -> float:
    """Return by how much more than now buildings will give on average over `left_h`.

    `since_h` ago their set-points began to rise; the same rule as `aircon_w_m2`.
    """

    def given(at_h: float) -> float:
        mass = MASS_WH_M2K * (1.0 - np.exp(-at_h * EXCHANGE_W_M2K / MASS_WH_M2K))
        return float(AIR_WH_M2K + mass + ENVELOPE_W_M2K * at_h)

    return given(since_h + 0.5 * left_h) / given(since_h) - 1.0


def aircon(watch: Watch, floor_m2: Floats, comfort_max_c: Floats, demand_kw: Floats,
           hours: float) -> Sustained:  # fmt: skip
    """Return what buildings sustain inside drift and comfort limits.

    Down, they are cooled below their set-point as slowly as they warm upwards; nothing is to be
    had where a plant stands still.
    """
    zone, drift = watch.or_zero("zone_temperature_c"), max(DRIFT_C_H * hours, 0.1)
    by_rule = floor_m2 * aircon_w_m2(hours) / 1000.0
    warmer = np.clip((comfort_max_c - COMFORT_MARGIN_C - zone) / drift, 0.0, 1.0)
    up = np.minimum(warmer * by_rule, MOST_OF_COOLING * demand_kw)
    cooler = np.clip(np.minimum(zone - COOLEST_C, DEEPEST_C) / drift, 0.0, 1.0)
    down = np.minimum(cooler * by_rule, watch.rated_kw - demand_kw)
    return Sustained(np.maximum(up, 0.0), np.where(demand_kw > 0.0, np.maximum(down, 0.0), 0.0))


def sustained_melt_kw(watch: Watch, hours: float) -> Floats:
    """Return the cooling that ice alone sustains over `hours` [kW thermal]."""
    tank_kwh = watch.kind.columns.f8("tank_kwh")
    return np.minimum(ICE_MELT_PER_H * tank_kwh, watch.or_zero("tank_soc") * tank_kwh / hours)


def icestore(watch: Watch, tank_kwh: Floats, demand_kw: Floats, hours: float) -> Sustained:
    """Return what district cooling sustains by melting in place of chilling."""
    melting = watch.or_zero("melt_kw")
    most = np.minimum(ICE_MELT_PER_H * tank_kwh, watch.or_zero("tank_soc") * tank_kwh / hours)
    chilled = np.maximum(watch.or_zero("cooling_load_kw") - melting, 1e-6)
    share = np.clip((most - melting) / chilled, 0.0, 1.0)
    return Sustained(share * demand_kw, np.zeros_like(demand_kw))


def promised_kw(watch: Watch, one_more_kw: Floats) -> Floats:
    """Return the demand that must not be limited if departures and swaps are to be kept.

    `minimum_kw` is the least that keeps the promises of those connected, a minute ago; until
    the next write one more vehicle may have come that needs all that its post gives.
    """
    return PROMISE_RESERVE * watch.or_zero("minimum_kw") + one_more_kw


def charging(watch: Watch, demand_kw: Floats, waits: NDArray[np.bool_], one_more_kw: Floats) -> (
    Sustained
):  # fmt: skip
    """Return what stations sustain with every departure promise kept, V2G apart.

    Where the driver `waits` at the post there is nothing to defer: a slower session lasts
    longer, which takes the post from those who come next and soon draws as much in all.
    """
    up = CHARGING_SUSTAINED * (demand_kw - promised_kw(watch, one_more_kw))
    return Sustained(np.where(waits, 0.0, np.maximum(up, 0.0)), np.zeros_like(up))


def swap(watch: Watch, demand_kw: Floats) -> Sustained:
    """Return what swap stations sustain with their stock of packs, V2G apart."""
    up = np.maximum(demand_kw - PROMISE_RESERVE * watch.or_zero("minimum_kw"), 0.0)
    return Sustained(up, np.zeros_like(up))


def industry(watch: Watch, usual_kw: Floats, paused: NDArray[np.bool_], hours: float) -> Sustained:
    """Return what lines sustain on average until their downstream stock is used up."""
    can = (watch.or_zero("pausable") > 0.5) | paused
    lasts = np.clip((watch.or_zero("stock_h") - STOCK_RESERVE_H) / hours, 0.0, 1.0)
    return Sustained(np.where(can, lasts * usual_kw, 0.0), np.zeros_like(usual_kw))


def hydrogen(watch: Watch, tank_kg: Floats, demand_kw: Floats, hours: float) -> Sustained:
    """Return what electrolysers sustain on their tanks (fuel cells apart)."""
    spare_kg = np.maximum(watch.or_zero("tank_kg") - TANK_RESERVE * tank_kg, 0.0)
    used_kg = np.maximum(watch.or_zero("hydrogen_demand_kg_h") * hours, 1e-6)
    share = np.clip(spare_kg / used_kg, 0.0, 1.0)
    return Sustained(share * np.maximum(demand_kw, 0.0), np.zeros_like(demand_kw))


def fuelcell_kw(watch: Watch, tank_kg: Floats, rated_kw: Floats, hours: float) -> Floats:
    """Return what fuel cells sustain beside the refuelling demand."""
    used = watch.or_zero("hydrogen_demand_kg_h") * hours
    spare_kg = np.maximum(watch.or_zero("tank_kg") - TANK_RESERVE * tank_kg - used, 0.0)
    return np.minimum(rated_kw, spare_kg * FUELCELL_KWH_KG / hours)


def shorepower(watch: Watch, demand_kw: Floats) -> Sustained:
    """Return what berths can defer now (reefers)."""
    up = np.minimum(watch.or_zero("flexible_kw"), np.maximum(demand_kw, 0.0))
    return Sustained(up, np.zeros_like(up))


def share_out(total_kw: float, most_kw: Floats, weight: Floats) -> Floats:
    """Return a split of `total_kw` in proportion to `weight`, none above `most_kw`.

    Water-filling: what one cannot take goes to the others; what nobody can take is left.
    Weights must be positive where `most_kw` is.
    """
    out = np.zeros_like(most_kw)
    usable = (most_kw > 0.0) & (weight > 0.0)
    if total_kw <= 0.0 or not usable.any():
        return out
    if total_kw >= float(most_kw[usable].sum()):
        return np.where(usable, most_kw, 0.0)
    # In order of the level at which each is full, the level that fills the total is found once.
    level = np.where(usable, most_kw / np.where(usable, weight, 1.0), np.inf)
    order = np.argsort(level, kind="stable")[: int(np.count_nonzero(usable))]
    full_before = np.concatenate([[0.0], np.cumsum(most_kw[order])[:-1]])
    weight_left = np.cumsum(weight[order][::-1])[::-1]
    reached = (total_kw - full_before) / weight_left
    first = int(np.argmax(reached <= level[order]))
    return np.where(usable, np.minimum(most_kw, reached[first] * weight), 0.0)
