"""The twin takes a fit's parameters, and is held against the recording that they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hil.bench.fit.outcome import Fit
from hil.bench.fit.parameters import PARAMETERS, Parameter, new_station
from hil.bench.fit.quantities import longest_stretch
from hil.bench.recording import Recording
from hil.testbed.fitted_cells import refine
from hil.testbed.stage_world import alone, start_hour
from twin.assets.storage import Storage
from twin.clock import SECOND_MS
from twin.engine.simulation import Simulation
from twin.kernels import battery
from twin.record.columns import Columns
from twin.record.exchange import SetPoint

__all__ = ["at_size", "held_against", "take", "with_parameters"]

F8 = NDArray[np.float64]
HOUR_S = 3_600
LONGEST_S = 20 * HOUR_S  # of a recording that is replayed: the stage's day has an end
LEAST_S = 60
HOLD_S = 86_400.0  # a replayed order stands until the next one
SHARED = {"pcs_ramp_per_s": battery.RAMP, "auxiliary_standby": battery.AUX_STANDBY}


def take(kind: Storage, row: int, parameters: Mapping[str, Parameter]) -> list[str]:
    """Give one station its fitted parameters; return the names that it could not take.

    What all stations share is taken only where there is no other one.
    """
    left = []
    for name, parameter in parameters.items():
        if PARAMETERS[name][1]:
            kind.plate[battery.PLATE_ROWS.index(name), row] = parameter.value
        elif kind.n == 1:
            kind.constants[SHARED[name]] = parameter.value
        else:
            left.append(name)
    kind.true_kwh = kind.plate[battery.CHARGE_KAH] * kind.data.number("cell_nominal_v")
    return left


def at_size(parameters: Mapping[str, Parameter], factor: float) -> dict[str, Parameter]:
    """Return a bench device's parameters for a station that is `factor` times as large.

    So many more cells stand side by side; what is told of the rating stays.
    """
    by = {"charge_kah": factor, "resistance_v_per_ka": 1.0 / factor}
    return {n: replace(p, value=p.value * by.get(n, 1.0)) for n, p in parameters.items()}


def with_parameters(parameters: Mapping[str, Parameter]) -> type[Storage]:
    """Return the twin's storage with fitted parameters, as a kind for a stage: one station."""

    class FittedStorage(Storage):
        """Storage as a recording has it."""

        def __init__(self, nameplate: Columns, seed: int) -> None:
            super().__init__(nameplate, seed)
            take(self, 0, parameters)

    return FittedStorage


def held_against(recording: Recording, fit: Fit, seed: int = 0) -> None:
    """Fit a storage station's parameters on the twin itself, and say what then remains.

    The twin is told the recorded orders at their moments, from the first one on, and begins at
    the recorded state of charge; its power is held against the recorded one, its true state of
    charge against the register's. `fit.replay` then has, as root mean squares:

    ``power_rms_kw``, ``soc_rms`` with the parameters; ``plain_power_rms_kw``, ``plain_soc_rms``
    of a new station by its nameplate and the twin's data sheet; ``seconds``.

    It stays as it was where the recording lacks orders, power, state of charge or nameplate, or
    is of another kind.
    """
    nameplate = _nameplate(fit)
    if fit.kind != "storage" or nameplate is None or not fit.parameters:
        return
    plain, fitted = (_station(nameplate, seed) for _ in range(2))
    take(plain[1], 0, new_station(nameplate["capacity_kwh"]))
    take(fitted[1], 0, fit.parameters)
    refine(recording, fit, fitted[1])
    take(fitted[1], 0, fit.parameters)
    orders, soc = fit.map.orders, fit.map.series("soc")
    power = recording.references.get("power_kw")
    if orders is None or soc is None or power is None:
        return
    whole = longest_stretch(power[0])
    power = power[0][whole], power[1][whole]
    # The twin's time is whole seconds: orders enter with the second that begins with them.
    first_s = int(np.floor(max(orders.time_s[0], power[0][0])))
    last_s = int(min(power[0][-1], first_s + LONGEST_S))
    begun = np.floor(orders.time_s).astype(int).tolist()
    told = {max(t, first_s): p for t, p in zip(begun, orders.power_kw, strict=True)}
    if last_s - first_s < LEAST_S:
        return
    moments = _moments((first_s, last_s), np.floor(orders.time_s), power[0], soc[0])
    fit.replay["seconds"] = float(last_s - first_s)
    for prefix, (run, kind) in (("plain_", plain), ("", fitted)):
        kind.state["soc"] = float(np.interp(float(first_s), *soc))
        time_s, power_kw, charge = _run(run, kind, told, moments)
        fit.replay[f"{prefix}power_rms_kw"] = _apart(power, time_s, power_kw)
        fit.replay[f"{prefix}soc_rms"] = _apart(soc, time_s, charge)


def _nameplate(fit: Fit) -> dict[str, float] | None:
    """Return the nameplate, the capacity as fitted where none is registered; None without."""
    plate = {n: v for n, v in fit.nameplate.items() if n in ("rated_kw", "capacity_kwh")}
    if "capacity_kwh" not in plate and fit.storage is not None:
        plate["capacity_kwh"] = fit.storage.value("capacity_kwh")
    return plate if len(plate) == 2 and np.isfinite(list(plate.values())).all() else None


def _station(nameplate: Mapping[str, float], seed: int) -> tuple[Simulation, Storage]:
    run = alone(Storage, nameplate, seed, start_hour("storage") * HOUR_S * SECOND_MS)
    kind = run.kinds["storage"]
    if not isinstance(kind, Storage):
        raise TypeError("kind storage is the twin's Storage")
    return run, kind


def _run(
    run: Simulation, kind: Storage, told: Mapping[int, float], moments: NDArray[np.int64]
) -> tuple[F8, F8, F8]:
    """Return float64[n] times, power and charge at moments [s]; the first one is the start."""
    start_ms, rows = run.now_ms, np.zeros(1, np.int64)
    found = np.empty((2, len(moments)))
    for i, moment in enumerate(moments.tolist()):
        run.run(start_ms + (moment - int(moments[0])) * SECOND_MS)
        found[:, i] = kind.power_kw[0], kind.state["soc"][0]
        order = told.get(moment)
        if order is not None:
            run.write([
                SetPoint("storage", "revert_s", rows, np.array([HOLD_S])),
                SetPoint("storage", "power_kw", rows, np.array([order])),
            ])  # fmt: skip
    return moments.astype(np.float64), found[0], found[1]


def _moments(span_s: tuple[int, int], *times: F8) -> NDArray[np.int64]:
    """Return whole seconds of a span: its ends, and those about every one of `times`."""
    near = np.concatenate([np.concatenate([np.floor(t), np.ceil(t)]) for t in times])
    inside = near[(near > span_s[0]) & (near < span_s[1])]
    return np.unique(np.concatenate([inside, span_s])).astype(np.int64)


def _apart(recorded: tuple[F8, F8], time_s: F8, twin: F8) -> float:
    """Return the root mean square of twin less recording at the recording's moments."""
    inside = (recorded[0] > time_s[0]) & (recorded[0] <= time_s[-1])
    difference = np.interp(recorded[0][inside], time_s, twin) - recorded[1][inside]
    return float(np.sqrt(np.mean(difference**2)))
