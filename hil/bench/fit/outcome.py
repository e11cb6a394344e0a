"""Everything that one recording gave: map, figures, doubts; and the files that keep them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hil.bench.fit.figures import Figure
from hil.bench.fit.mapping import FittedMap, fit_map
from hil.bench.fit.parameters import Parameter, parameters_of
from hil.bench.fit.quantities import Quantity, known_quantities, longest_stretch
from hil.bench.fit.response import Response, response_of
from hil.bench.fit.storage import StorageFit, fit_storage
from hil.bench.recording import Recording
from twin.city.columns import KIND_FIELDS
from twin.errors import InputProblems, Problem

__all__ = ["FITTED_KINDS", "Fit", "fit_recording", "report", "write_fit"]

# Kinds whose own physics is fitted; every kind has a map and its answer to orders.
FITTED_KINDS = ("storage",)


@dataclass(slots=True)
class Fit:
    """What was made of a recording.

    Attributes
    ----------
    kind : of the twin
    source : the recording, for people
    nameplate : as given, or told by the recording
    map : registers
    response : answer to orders, None: no orders
    storage : figures of a storage station, None: another kind, or no SOC
    parameters : what the twin can take
    replay : how the twin with these parameters does beside the recording; empty: not replayed
    untold : what could not be told
    """

    kind: str
    source: str
    nameplate: Mapping[str, float]
    map: FittedMap
    response: Response | None = None
    storage: StorageFit | None = None
    parameters: dict[str, Parameter] = field(default_factory=dict)
    replay: dict[str, float] = field(default_factory=dict)
    untold: list[str] = field(default_factory=list)

    def figures(self) -> list[Figure]:
        """Return every figure, told or not."""
        found = list(self.response.figures) if self.response is not None else []
        return found + (list(self.storage.figures) if self.storage is not None else [])


def fit_recording(recording: Recording, kind: str, name: str, source: str, unit: int = 1) -> Fit:
    """Return map and parameters of a recorded device.

    Parameters are as for `fit_map`, which says what it raises.
    """
    fitted = fit_map(recording, kind, name, source, unit)
    fit = Fit(kind, source, recording.nameplate, fitted, untold=list(fitted.untold))
    power = _power(recording, fitted)
    rated_kw = recording.nameplate.get("rated_kw")
    if power is None:
        fit.untold.append("answer to orders and physics: no power was recorded")
        return fit
    if fitted.orders is None:
        fit.untold.append("answer to orders: no orders that power followed")
    else:
        fit.response = response_of(fitted.orders, power)
    if kind not in FITTED_KINDS:
        fit.untold.append(f"physics of kind {kind}: only {', '.join(FITTED_KINDS)} has a fit")
    elif rated_kw is None:
        fit.untold.append("physics: the recording has no nameplate with rated_kw")
    else:
        fit.storage = _storage(recording, fitted, power, rated_kw, fit.untold)
    if fit.storage is not None and rated_kw is not None:
        fit.parameters = parameters_of(fit.storage, fit.response, rated_kw, source)
    return fit


def _power(recording: Recording, fitted: FittedMap) -> Quantity | None:
    """Return the power as the instrument had it."""
    for quantity in known_quantities(recording, fitted.map.kind):
        if quantity.name == "power_kw":
            return quantity
    return None


def _storage(
    recording: Recording, fitted: FittedMap, power: Quantity, rated_kw: float, untold: list[str]
) -> StorageFit | None:
    whole = longest_stretch(power.time_s)
    if whole.stop - whole.start < len(power.time_s):
        untold.append(f"physics before and after the longest stretch without a gap: from "
                      f"{power.time_s[whole.start]:g} s to {power.time_s[whole.stop - 1]:g} s of "
                      "the recording is used")  # fmt: skip
    power = replace(power, time_s=power.time_s[whole], value=power.value[whole])
    reference = recording.references.get("soc")
    shown = fitted.series("soc")
    if shown is not None:
        match = next(m for m in fitted.matches if m.quantity.name == "soc")
        return fit_storage(power, *shown, rated_kw, abs(match.factor))
    if reference is not None:
        return fit_storage(power, *reference, rated_kw, 0.0)
    untold.append("physics: no state of charge, in registers or as a reference")
    return None


def write_fit(fit: Fit, out: Path, site: str) -> list[Path]:
    """Write ``map.json``, ``fit.json``, ``fleet.csv`` and, where there are any, parameters.

    Parameters
    ----------
    out : folder, made where it is not there; files in it are replaced
    site : row or name of the customer account for the fleet file

    Raises InputProblems where the folder cannot be written.
    """
    fleet = _fleet(fit, site)
    files = {
        f"{fit.map.map.name}.json": _text(
            fit.map.map.model_dump(by_alias=True, exclude_defaults=True, mode="json")
        ),
        "fit.json": _text(report(fit)),
        "fleet.csv": fleet,
    }
    if fit.parameters:
        files["parameters.toml"] = "\n".join(p.toml(n) for n, p in fit.parameters.items())
    written = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            partial = out / (name + ".part")
            partial.write_text(text, encoding="utf-8")
            written.append(partial.replace(out / name))
    except OSError as error:
        problem = Problem("--out", str(out), error.strerror or str(error), "a folder to write")
        raise InputProblems([problem]) from None
    return written


def report(fit: Fit) -> dict[str, Any]:
    """Return everything as JSON can hold it; what is not told is null."""
    response, storage = fit.response, fit.storage
    return {
        "kind": fit.kind, "recording": fit.source, "nameplate": dict(fit.nameplate),
        "map": fit.map.map.name,
        "points": [
            {
                "point": m.quantity.name, "from": m.quantity.source, "table": m.candidate.table,
                "address": m.candidate.address, "type": m.candidate.form.type,
                "order": m.candidate.form.order, "factor": m.factor, "factor_fitted": m.exact,
                "agrees_share": m.share, "residual": m.residual, "unit": m.quantity.unit,
                "moments": len(m.candidate.raw),
            }
            for m in fit.map.matches
        ],
        "doubts": fit.map.doubts,
        "figures": [
            {
                "name": f.name, "unit": f.unit, "value": _number(f.value),
                "plus_minus_95": _number(f.plus_minus), "told": f.told, "note": f.note,
            }
            for f in fit.figures()
        ],
        "residuals": {
            "response_rms_kw": None if response is None else _number(response.rms_kw),
            "soc_rms": None if storage is None else _number(storage.soc_rms),
            **{f"replay_{name}": _number(value) for name, value in fit.replay.items()},
        },
        "parameters": {
            n: {"value": _number(p.value), "plus_minus_95": _number(p.plus_minus), "unit": p.unit}
            for n, p in fit.parameters.items()
        },
        "rests_on": [] if storage is None else list(storage.doubts),
        "not_told": fit.untold,
    }  # fmt: skip


def _fleet(fit: Fit, site: str) -> str:
    """Return one row as `city.fleet` takes it; columns that are not known are left out."""
    own = ("rated_kw", *KIND_FIELDS.get(fit.kind, ()))
    columns = {name: fit.nameplate[name] for name in own if name in fit.nameplate}
    if fit.kind == "storage" and "capacity_kwh" not in columns and fit.storage is not None:
        capacity = fit.storage.value("capacity_kwh")
        if math.isfinite(capacity):
            columns["capacity_kwh"] = float(f"{capacity:.4g}")
    missing = [name for name in own if name not in columns]
    if missing:
        fit.untold.append(f"fleet.csv is not whole: the nameplate lacks {', '.join(missing)}")
    header = ",".join(["kind", "site", *columns])
    return f"{header}\n{','.join([fit.kind, site, *(f'{v:.10g}' for v in columns.values())])}\n"


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _text(data: object) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
