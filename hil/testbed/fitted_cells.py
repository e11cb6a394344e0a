"""A storage station's equations alone, driven by recorded power: what a fit compares with.

Several stations that differ in their parameters run at once, so that one run gives a solution's
slopes as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hil.bench.fit.figures import solve
from hil.bench.fit.outcome import Fit
from hil.bench.fit.parameters import Parameter
from hil.bench.fit.quantities import longest_stretch
from hil.bench.fit.storage import RUNNING, apart, together
from hil.bench.recording import Recording
from twin.assets.storage import Storage
from twin.kernels import battery

__all__ = ["refine"]

F8 = NDArray[np.float64]
LONGEST_S = 7 * 86_400
# What is fitted, and the step by which its slope is taken, as a share of its own size.
FITTED = ("charge_kah", "no_load", "square")
STEP, LEAST_STEP = 1e-3, 1e-5
AIR_C = 30.0  # about the cells, where the recording does not say (assumed)


class _Cells:
    """Stations under one power.

    Parameters
    ----------
    power : (float64[n] times [s], float64[n] power [kW])
    at_s : float64[m], moments at which the charge is wanted
    """

    def __init__(self, kind: Storage, power: tuple[F8, F8], at_s: F8, cell_c: float) -> None:
        self.kind, self.cell_c = kind, cell_c
        first = int(np.floor(at_s[0]))
        self.seconds = int(np.ceil(at_s[-1])) - first
        self.at = np.clip(np.round(at_s).astype(np.int64) - first, 0, self.seconds)
        # A sample says what has been since the one before; small power means standing by.
        grid = first + 1.0 + np.arange(self.seconds)
        row = np.minimum(np.searchsorted(power[0], grid), len(power[0]) - 1)
        drive = power[1][row]
        self.drive = np.where(np.abs(drive) > RUNNING * float(kind.rated_kw[0]), drive, 0.0)

    def charge(self, changes: Mapping[str, F8], first_soc: F8) -> F8:
        """Return float64[m, k], the charge of k stations that differ by `changes`, float64[k]."""
        k = len(first_soc)
        plate = np.repeat(self.kind.plate[:, :1], k, axis=1)
        for name, values in changes.items():
            plate[battery.PLATE_ROWS.index(name)] = values
        state = np.zeros((len(battery.STATE_ROWS), k))
        state[battery.SUPPLIED] = state[battery.REMOTE] = 1.0
        state[battery.LOW], state[battery.HIGH] = -np.inf, np.inf
        state[battery.SOC], state[battery.TEMPERATURE] = first_soc, self.cell_c
        shown = np.empty((self.seconds + 1, k))
        shown[0] = first_soc
        second = 0
        for end in self._ends():
            state[battery.POWER_SET] = self.drive[second]
            span = (second, end - second, 1)
            battery.advance(state, plate, self.kind.table, self.kind.constants, AIR_C, span)
            # Between two changes of power the charge moves evenly.
            parts = np.arange(1, end - second + 1)[:, None] / (end - second)
            shown[second + 1 : end + 1] = shown[second] + parts * (
                state[battery.SOC] - shown[second]
            )
            second = end
        return np.asarray(shown[self.at])

    def _ends(self) -> list[int]:
        """Return the ends of spans with one power, within one minute each."""
        turns = np.flatnonzero(np.diff(self.drive)) + 1
        minutes = np.arange(60, self.seconds, 60)
        return sorted({*turns.tolist(), *minutes.tolist(), self.seconds})


def refine(recording: Recording, fit: Fit, kind: Storage) -> None:
    """Fit capacity, fixed and square loss once more, on the twin's own equations.

    The balance of `hil.bench.fit.storage` knows no temperature; the twin cools its cells, and its
    parameters must not count that twice. Nothing is done where the recording lacks power or
    charge.

    Parameters
    ----------
    fit : its parameters are the start, and are replaced
    kind : one station that has taken them
    """
    power, shown = recording.references.get("power_kw"), fit.map.series("soc")
    if power is None or shown is None or "charge_kah" not in fit.parameters:
        return
    whole = longest_stretch(power[0])
    power = power[0][whole], power[1][whole]
    match = next(m for m in fit.map.matches if m.quantity.name == "soc")
    last_s = min(power[0][-1], power[0][0] + LONGEST_S)
    inside = (shown[0] >= power[0][0]) & (shown[0] <= last_s)
    at_s, soc = shown[0][inside], shown[1][inside]
    kept = apart(soc, abs(match.factor))
    at_s, soc = at_s[kept], soc[kept]
    cells = _Cells(kind, power, at_s, _cell_c(recording, kind))

    def split(x: F8) -> tuple[dict[str, F8], F8]:
        rows = np.atleast_2d(x)
        return {n: rows[:, i] for i, n in enumerate(FITTED)}, rows[:, -1]

    def residuals(x: F8) -> F8:
        return np.asarray(cells.charge(*split(x))[:, 0] - soc)

    def slopes(x: F8) -> F8:
        steps = np.maximum(STEP * np.abs(x), LEAST_STEP)
        rows = np.vstack([x, x + np.diag(steps)])
        found = cells.charge(*split(rows))
        return np.asarray((found[:, 1:] - found[:, :1]) / steps)

    begin = [float(kind.plate[battery.PLATE_ROWS.index(n), 0]) for n in FITTED]
    found = solve(
        residuals, [[max(begin[0], 1e-6), *(max(b, 1e-4) for b in begin[1:]), float(soc[0])]],
        (1e-6, 0.0, 0.0, 0.0), (np.inf, 0.5, 0.5, 1.0), slopes,
    )  # fmt: skip
    wide = found.plus_minus * together(residuals(found.values))
    for i, name in enumerate(FITTED):
        old = fit.parameters.get(name)
        unit = "kAh" if name == "charge_kah" else "of rating"
        fit.parameters[name] = Parameter(
            float(found.values[i]), unit if old is None else old.unit,
            f"least squares on the twin's equations under the recorded power; {fit.source}", "D",
            float(wide[i]),
        )  # fmt: skip
    fit.replay["balance_soc_rms"] = found.rms


def _cell_c(recording: Recording, kind: Storage) -> float:
    """Return the cells' temperature at first, by reference; else the twin's own at its start."""
    known = recording.references.get("temperature_c")
    return kind.data.number("cooling_off_c") if known is None else float(known[1][0])
