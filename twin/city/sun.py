"""Sun position and clear-sky irradiance by pvlib."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from twin.clock import SHANGHAI


@dataclass(frozen=True, slots=True)
class Sun:
    """Sun over consecutive minutes, float64[minutes] each.

    Attributes
    ----------
    zenith_deg, apparent_zenith_deg : true and refracted
    azimuth_deg : clockwise from north
    extraterrestrial_w_m2 : normal irradiance outside the atmosphere
    """

    zenith_deg: NDArray[np.float64]
    apparent_zenith_deg: NDArray[np.float64]
    azimuth_deg: NDArray[np.float64]
    extraterrestrial_w_m2: NDArray[np.float64]


def sun_position(first: date, minutes: int, latitude_deg: float, longitude_deg: float) -> Sun:
    """Return the sun from 00:00 of `first` (UTC+8) for a number of minutes (NREL SPA)."""
    import pandas as pd
    from pvlib import irradiance, solarposition

    times = pd.date_range(pd.Timestamp(first, tz=SHANGHAI), periods=minutes, freq="min")
    position = solarposition.get_solarposition(times, latitude_deg, longitude_deg)
    return Sun(
        position["zenith"].to_numpy(dtype=np.float64),
        position["apparent_zenith"].to_numpy(dtype=np.float64),
        position["azimuth"].to_numpy(dtype=np.float64),
        np.asarray(irradiance.get_extra_radiation(times), dtype=np.float64),
    )


def clear_sky(
    sun: Sun, altitude_m: float, linke_turbidity: float, cloud_factor: float
) -> NDArray[np.float64]:
    """Return global, direct normal and diffuse irradiance, float64[3, minutes] in W/m2.

    Ineichen and Perez 2002 clear sky; global times the day's mean cloud factor; the split into
    direct and diffuse by Erbs 1982 where there is cloud.
    """
    from pvlib import atmosphere, clearsky

    # pvlib divides by zero and meets NaN air masses below the horizon; night becomes 0 below.
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = atmosphere.get_relative_airmass(sun.apparent_zenith_deg)
        absolute = atmosphere.get_absolute_airmass(relative, atmosphere.alt2pres(altitude_m))
        clear = clearsky.ineichen(
            sun.apparent_zenith_deg,
            absolute,
            linke_turbidity,
            altitude_m,
            sun.extraterrestrial_w_m2,
        )
    global_w_m2 = np.nan_to_num(np.asarray(clear["ghi"], dtype=np.float64)) * cloud_factor
    if cloud_factor >= 1.0:
        direct = np.nan_to_num(np.asarray(clear["dni"], dtype=np.float64))
        diffuse = np.nan_to_num(np.asarray(clear["dhi"], dtype=np.float64)) * cloud_factor
        return np.stack([global_w_m2, direct * cloud_factor, diffuse])
    return _erbs(global_w_m2, sun)


def _erbs(global_w_m2: NDArray[np.float64], sun: Sun) -> NDArray[np.float64]:
    """Return [global, direct normal, diffuse] by the diffuse fraction of Erbs et al. 1982.

    Written out because pvlib's needs day numbers and cuts at 87 degrees in its own way.
    """
    cosine = np.maximum(np.cos(np.radians(sun.zenith_deg)), 0.0)
    outside = np.maximum(sun.extraterrestrial_w_m2 * cosine, 1e-9)
    clearness = np.clip(global_w_m2 / outside, 0.0, 1.0)
    middle = (
        0.9511
        - 0.1604 * clearness
        + 4.388 * clearness**2
        - 16.638 * clearness**3
        + 12.336 * clearness**4
    )
    fraction = np.where(
        clearness <= 0.22, 1.0 - 0.09 * clearness, np.where(clearness <= 0.80, middle, 0.165)
    )
    # Close to the horizon a direct normal beam is not defined well: all of it is diffuse.
    fraction = np.where(cosine < 0.065, 1.0, fraction)
    diffuse = global_w_m2 * fraction
    direct = (global_w_m2 - diffuse) / np.maximum(cosine, 0.065)
    return np.stack([global_w_m2, direct, diffuse])
