"""Unit factors and the glossary of suffixes.

Names carry their unit: ``power_kw``, ``energy_kwh``, ``soc`` (0..1), ``temperature_c``,
``dt_s``, ``now_ms``, ``loading_pct``, ``vm_pu``. Power is positive into the grid;
``demand_`` is positive consumption.
"""

KW_PER_MW = 1_000.0
SECONDS_PER_HOUR = 3_600.0
MINUTES_PER_DAY = 1_440
KELVIN_OFFSET = 273.15
KW_PER_RT = 3.517  # refrigeration ton, thermal (definition: 12 000 BTU/h)
