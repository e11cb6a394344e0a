"""What the twin's storage takes of a fit, as a data sheet of its own: value, unit, source, grade.

Names are the twin's: rows of `twin.kernels.battery.PLATE_ROWS` for one station, and of
twin/assets/data/storage.toml for what all stations of a simulation share.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

from hil.bench.fit.figures import Figure
from hil.bench.fit.response import Response
from hil.bench.fit.storage import StorageFit
from twin.assets.datasheet import GRADES, Datasheet
from twin.city.spelling import did_you_mean
from twin.errors import InputProblems, Problem

__all__ = ["PARAMETERS", "Parameter", "load_parameters", "new_station", "parameters_of"]

# (unit, whether it is of one station alone)
PARAMETERS = {
    "charge_kah": ("kAh", True),
    "resistance_v_per_ka": ("V/kA", True),
    "no_load": ("of rating", True),
    "linear": ("of rating", True),
    "square": ("of rating", True),
    "pcs_ramp_per_s": ("rating/s", False),
    "auxiliary_standby": ("of rating", False),
}
DERIVED = "D"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One entry; `plus_minus` is the half width of its 95 % interval, NaN: none."""

    value: float
    unit: str
    source: str
    grade: str
    plus_minus: float = math.nan

    def toml(self, name: str) -> str:
        """Return it as a table of a TOML file."""
        lines = [f"[{name}]", f"value = {self.value:.6g}", f"unit = {_quoted(self.unit)}",
                 f"source = {_quoted(self.source)}", f"grade = {_quoted(self.grade)}"]  # fmt: skip
        if math.isfinite(self.plus_minus):
            lines.append(f"plus_minus = {self.plus_minus:.3g}")
        return "\n".join(lines) + "\n"


def parameters_of(
    storage: StorageFit, response: Response | None, rated_kw: float, source: str
) -> dict[str, Parameter]:
    """Return what could be told, in the twin's terms; what could not is left to the twin's own.

    The square loss is parted into cells and PCS, and the fixed loss into auxiliaries and PCS, by
    the twin's data sheet: the terminals show their sums only.
    """
    sheet = Datasheet("storage")
    nominal_v, found = sheet.number("cell_nominal_v"), {}

    def add(name: str, value: float, spread: float, how: str) -> None:
        unit = PARAMETERS[name][0]
        found[name] = Parameter(value, unit, f"{how}; {source}", DERIVED, spread)

    figures = {f.name: f for f in storage.figures}
    capacity = figures.get("capacity_kwh")
    if capacity is not None and capacity.told:
        add("charge_kah", capacity.value / nominal_v, capacity.plus_minus / nominal_v,
            "fitted capacity over nominal cell voltage")  # fmt: skip
        square = figures.get("square_loss")
        if square is not None and square.told:
            resistance, rest = _parted(sheet, capacity.value, rated_kw, square.value)
            add("resistance_v_per_ka", resistance, math.nan, "data sheet for the fitted capacity")
            add("square", rest, square.plus_minus, "fitted square loss less that of the cells")
    fixed = figures.get("fixed_loss")
    if fixed is not None and fixed.told:
        auxiliaries = sheet.number("auxiliary_standby") + sheet.number("auxiliary_running")
        add("no_load", max(fixed.value - auxiliaries, 0.0), fixed.plus_minus,
            "fitted fixed loss less the data sheet's auxiliaries")  # fmt: skip
    standing = figures.get("standing_loss_kw")
    if standing is not None and math.isfinite(standing.value) and standing.value > 0.0:
        add("auxiliary_standby", standing.value / rated_kw, standing.plus_minus / rated_kw,
            "median power at rest")  # fmt: skip
    ramp = _ramp(response)
    if ramp is not None:
        add("pcs_ramp_per_s", ramp.value / rated_kw, ramp.plus_minus / rated_kw, ramp.note)
    return found


def new_station(capacity_kwh: float) -> dict[str, Parameter]:
    """Return the parameters of a station that is as its nameplate and the data sheet say."""
    sheet, source = Datasheet("storage"), "twin/assets/data/storage.toml"
    kah = capacity_kwh / sheet.number("cell_nominal_v")
    cells = kah / (sheet.number("cell_capacity_ah") / 1000.0)
    values = {
        "charge_kah": kah, "resistance_v_per_ka": sheet.number("cell_resistance_mohm") / cells,
        "no_load": sheet.number("pcs_no_load"), "linear": sheet.number("pcs_linear"),
        "square": sheet.number("pcs_square"),
    }  # fmt: skip
    return {n: Parameter(v, PARAMETERS[n][0], source, "GK") for n, v in values.items()}


def _ramp(response: Response | None) -> Figure | None:
    if response is None:
        return None
    return next((f for f in response.figures if f.name == "ramp_kw_s" and f.told), None)


def _parted(
    sheet: Datasheet, capacity_kwh: float, rated_kw: float, square: float
) -> tuple[float, float]:
    """Return (resistance of all cells [V/kA], what is left of the square loss for the PCS)."""
    nominal_v = sheet.number("cell_nominal_v")
    cells = capacity_kwh / nominal_v / (sheet.number("cell_capacity_ah") / 1000.0)
    resistance = sheet.number("cell_resistance_mohm") / cells
    of_cells = resistance * rated_kw / nominal_v**2
    if of_cells > square:  # all of it is the cells'
        return resistance * square / of_cells, 0.0
    return resistance, square - of_cells


def load_parameters(path: Path) -> dict[str, Parameter]:
    """Return the parameters of a file that a fit has written, or a person.

    Raises InputProblems with everything that is wrong with it.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputProblems([Problem(str(path), "file", str(error.strerror), "TOML")]) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputProblems([Problem(str(path), "file", str(error), "TOML")]) from None
    found, problems = {}, []
    for name, entry in data.items():
        if name not in PARAMETERS:
            allowed = ", ".join(PARAMETERS) + did_you_mean(name, PARAMETERS)
            problems.append(Problem(str(path), name, "unknown parameter", allowed))
        elif not isinstance(entry, dict) or not {"value", "source", "grade"} <= entry.keys():
            problems.append(Problem(str(path), name, "incomplete", "value, source and grade"))
        elif not _sound(entry):
            allowed = f"a number, 0 or more; a grade of {', '.join(GRADES)}"
            value = f"{entry['value']!r}, grade {entry['grade']!r}"
            problems.append(Problem(str(path), name, value, allowed))
        else:
            found[name] = Parameter(
                float(entry["value"]), PARAMETERS[name][0], str(entry["source"]), entry["grade"],
                float(entry.get("plus_minus", math.nan)),
            )  # fmt: skip
    if problems:
        raise InputProblems(problems)
    return found


def _sound(entry: dict[str, object]) -> bool:
    value = entry["value"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0.0 <= value < math.inf and entry["grade"] in GRADES


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
