"""Guangzhou as data, and the sites and the fleet synthesised from it.

`build_city` is the one entry; `attach_sites`, `background_weights` and `host_weights` join the
city to a network once that is built.
"""

from twin.city.attach import attach_sites, background_weights, host_weights
from twin.city.build import build_city
from twin.city.demand import weather_factor
from twin.city.districts import SECTORS
from twin.city.fleet import KINDS
from twin.city.own_files import check_busbars
from twin.city.spec import City, CitySpec, plan_adjustable_mw, plan_year_load

__all__ = [
    "KINDS",
    "SECTORS",
    "City",
    "CitySpec",
    "attach_sites",
    "background_weights",
    "build_city",
    "check_busbars",
    "host_weights",
    "plan_adjustable_mw",
    "plan_year_load",
    "weather_factor",
]
