"""Units of register maps: what stands for the same, and the factor between two of one sort."""

from __future__ import annotations

from math import isclose

__all__ = ["gain_problem", "known_unit"]

SAME = {
    "": "1", "C": "°C", "℃": "°C", "degC": "°C", "W/m²": "W/m2", "m²": "m2", "Var": "var",
    "kVar": "kvar", "MVar": "Mvar", "MVAr": "Mvar", "°": "deg", "Ω": "ohm",
}  # fmt: skip
# (sort, size in the sort's own unit)
UNITS: dict[str, tuple[str, float]] = {
    "1": ("ratio", 1.0), "%": ("ratio", 0.01), "‰": ("ratio", 0.001),
    "W": ("power", 1.0), "kW": ("power", 1e3), "MW": ("power", 1e6),
    # Apparent power of a device that makes no reactive power.
    "VA": ("power", 1.0), "kVA": ("power", 1e3), "MVA": ("power", 1e6),
    "var": ("reactive power", 1.0), "kvar": ("reactive power", 1e3),
    "Mvar": ("reactive power", 1e6),
    "Wh": ("energy", 1.0), "kWh": ("energy", 1e3), "MWh": ("energy", 1e6),
    "mV": ("voltage", 1e-3), "V": ("voltage", 1.0), "kV": ("voltage", 1e3),
    "mA": ("current", 1e-3), "A": ("current", 1.0), "kA": ("current", 1e3),
    "Ah": ("charge", 1.0), "Hz": ("frequency", 1.0),
    "°C": ("temperature", 1.0), "K": ("temperature difference", 1.0),
    "ms": ("time", 1e-3), "s": ("time", 1.0), "min": ("time", 60.0), "h": ("time", 3600.0),
    "kg": ("mass", 1.0), "t": ("mass", 1e3), "kg/h": ("mass flow", 1.0),
    "W/m2": ("irradiance", 1.0), "m2": ("area", 1.0), "deg": ("angle", 1.0),
    "%/s": ("ramp", 1.0), "S": ("conductance", 1.0), "ohm": ("resistance", 1.0),
    "mΩ": ("resistance", 1e-3), "kΩ": ("resistance", 1e3), "MΩ": ("resistance", 1e6),
    "rpm": ("speed", 1.0), "r/min": ("speed", 1.0),
    "Pa": ("pressure", 1.0), "kPa": ("pressure", 1e3), "MPa": ("pressure", 1e6),
    "bar": ("pressure", 1e5), "m3/h": ("flow", 1.0), "m³/h": ("flow", 1.0),
    "L/min": ("flow", 0.06), "%RH": ("humidity", 1.0), "d": ("time", 86_400.0),
    "varh": ("reactive energy", 1.0), "VAh": ("apparent energy", 1.0),
}  # fmt: skip
# What follows from another quantity at a nominal voltage: any factor will do.
AT_NOMINAL_VOLTAGE = {("power", "current"), ("energy", "charge")}


def known_unit(unit: str) -> bool:
    """Return whether a unit is one of the table."""
    return SAME.get(unit, unit) in UNITS


def gain_problem(own: str, shown: str, gain: float) -> str | None:
    """Return what gain belongs between a twin's unit and a register's, None where it is right.

    A gain below zero turns the sign and is right by its size.

    >>> gain_problem("kW", "W", 1000.0)
    >>> gain_problem("kW", "W", 1.0)
    'gain 1000: twin has kW, the register W'
    >>> gain_problem("kW", "kWh", 1.0)
    'a unit of power such as kW, which twin has'
    """
    (sort, size), (other, step) = (UNITS[SAME.get(u, u)] for u in (own, shown))
    if (sort, other) in AT_NOMINAL_VOLTAGE:
        return None
    if sort != other:
        return f"a unit of {sort} such as {own or '1'}, which twin has"
    if isclose(abs(gain), size / step, rel_tol=1e-9):
        return None
    return f"gain {size / step:g}: twin has {own or '1'}, the register {shown or '1'}"
