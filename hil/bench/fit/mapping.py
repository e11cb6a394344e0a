"""A register map from a recording, and what could not be told from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hil.bench.fit.candidates import BIT_TABLES, Candidate
from hil.bench.fit.commanding import Commanding, gained, plain
from hil.bench.fit.matching import Match, best_match
from hil.bench.fit.orders import Orders, orders_of, untold_writes
from hil.bench.fit.quantities import Quantity, known_quantities
from hil.bench.fit.states import State, constants_of, states_of
from hil.bench.recording import Recording
from hil.registers.files import check_map
from hil.registers.kinds import catalogue, unit_of_column
from hil.registers.schema import Order, RegisterMap
from twin.errors import InputProblems, Problem
from twin.record.exchange import Point

__all__ = ["FittedMap", "fit_map"]

# What a register shows of a quantity: unit and gain from the twin's unit.
SHOWN = {"1": ("%", 100.0), "C": ("°C", 1.0)}
SHARES = ("soc", "tank_soc", "load_fraction")
MOST_UNTOLD = 60
STILL = 0.02  # of its largest value: a reference that moved by less tells nothing


@dataclass(slots=True)
class FittedMap:
    """What was made of a recording's registers.

    Attributes
    ----------
    map : loads and checks as any register map does
    matches : quantities found in registers
    orders : by which register power is ordered, None: not told
    doubts : by point, what could not be told of it
    untold : what could not be told at all
    """

    map: RegisterMap
    matches: list[Match]
    orders: Orders | None
    doubts: dict[str, list[str]] = field(default_factory=dict)
    untold: list[str] = field(default_factory=list)

    def series(self, name: str) -> tuple[Any, Any] | None:
        """Return (times [s], values) of a quantity as the registers had it, None: not found."""
        for match in self.matches:
            if match.quantity.name == name:
                return match.candidate.block.time_s, match.values()
        return None


def fit_map(recording: Recording, kind: str, name: str, source: str, unit: int = 1) -> FittedMap:
    """Return the register map that explains a recording best.

    Parameters
    ----------
    kind : of the twin
    name : of the map, small letters, digits and hyphens
    source : where the recording comes from, for the map
    unit : at which the device answers

    Raises
    ------
    InputProblems : nothing that is known of the device was found in any register, or the
        nameplate cannot be one
    """
    wrong = [
        Problem(source, f"nameplate {n}", f"{v:g}", "above 0")
        for n in ("rated_kw", "capacity_kwh")
        if not (v := recording.nameplate.get(n, 1.0)) > 0.0
    ]
    if wrong:
        raise InputProblems(wrong)
    making = _Making(recording, kind)
    making.readings()
    making.ordered()
    making.states()
    making.constants()
    if not making.points:
        known = ", ".join(q.name for q in making.quantities)
        said = f"nothing found of {known}" if known else "no reference at all"
        allowed = "references (power_kw from a meter) and a nameplate, over 20 readings or more"
        raise InputProblems([Problem(source, "recording", said, allowed)])
    return making.finished(name, source, unit)


class _Making:
    """A map in the making."""

    def __init__(self, recording: Recording, kind: str) -> None:
        self.recording, self.kind = recording, kind
        self.known = catalogue()[kind]
        self.rated_kw = recording.nameplate.get("rated_kw")
        self.quantities = known_quantities(recording, kind)
        self.taken: set[tuple[str, int]] = set()
        self.echoes: set[tuple[str, int]] = set()
        self.matches: list[Match] = []
        self.orders: Orders | None = None
        self.points: list[dict[str, Any]] = []
        self.commands: list[dict[str, Any]] = []
        self.doubts: dict[str, list[str]] = {}
        self.untold: list[str] = []

    # -- what it shows -------------------------------------------------------------------------

    def readings(self) -> None:
        """Find the quantities that are known otherwise, the power first."""
        power = self._power()
        if power is not None:
            bounds = self._setpoint() == "limit_kw"
            self.orders = orders_of(self.recording, power, self.rated_kw, bounds)
            if self.orders is not None:
                self.taken |= self.orders.places()
        order = self._in_force()
        if power is not None:
            self._power_and_order(power, order)
        for quantity in self.quantities:
            if quantity is not power:
                self._found(quantity, self._best(quantity))

    def _power_and_order(self, power: Quantity, order: Quantity | None) -> None:
        """Tell the power that is measured from the order in force, which it follows closely.

        What shows the orders to the last digit is no measurement: it is looked for first, and
        given up where nothing else shows the power.
        """
        match = None if order is None else self._best(order)
        echo = set() if match is None else match.candidate.places()
        measured = self._best(power, echo)
        if measured is None and match is not None:
            match, measured = None, self._best(power)
        self._found(power, measured)
        if order is not None:
            self._found(order, match)

    def _in_force(self) -> Quantity | None:
        shown = {"power_kw": "setpoint_kw", "limit_kw": "limit_kw"}.get(self._setpoint() or "")
        if self.orders is None or shown is None or shown not in self.known.points:
            return None
        return self.orders.in_force(shown, self._sign())

    def _best(self, quantity: Quantity, but: set[tuple[str, int]] | None = None) -> Match | None:
        taken = self.taken if but is None else self.taken | but
        return best_match(quantity, self.recording.blocks, taken, self.rated_kw)

    def _power(self) -> Quantity | None:
        return next((q for q in self.quantities if q.name == "power_kw"), None)

    def _found(self, quantity: Quantity, match: Match | None) -> None:
        if match is None:
            still = float(np.ptp(quantity.value)) <= STILL * float(np.abs(quantity.value).max())
            why = ": it hardly moved" if still else ""
            self.untold.append(f"{quantity.name} ({quantity.source}) was found in no register{why}")
            return
        self.taken |= match.candidate.places()
        self.matches.append(match)
        twin = self.known.points[quantity.name]
        unit, gain = _shown(twin)
        scale = abs(match.factor) * gain
        source: dict[str, Any] = {"point": quantity.name}
        if match.per_rating and self.rated_kw is not None:
            unit, gain, scale = "%", 100.0, abs(match.factor) / self.rated_kw * 100.0
            source["per_rating"] = True
        self._add(match.candidate, quantity.name, twin, scale, unit,
                  source | gained(gain if match.factor > 0.0 else -gain))  # fmt: skip
        self._doubt(quantity.name, [
            *match.doubts, *(f"{t} {a} as {form} shows it as well" for t, a, form in match.rivals),
        ])  # fmt: skip
        self.echoes |= {(t, a) for t, a, _ in match.rivals}

    def states(self) -> None:
        """Find what follows the direction of power, where the kind has such a status."""
        power = self._power()
        if power is None or not {"status", "soc"} <= set(self.known.points):
            return
        found = states_of(power, self.recording.blocks, self.taken)
        for state in sorted(found, key=lambda s: (s.table in BIT_TABLES, s.address)):
            self._state(state)
        if found:
            self._doubt("status", ["the code of a fault was not seen"])
        else:
            self.untold.append("status: no register follows charging, discharging and standby")

    def _state(self, state: State) -> None:
        self.taken.add((state.table, state.address))
        bit = state.table in BIT_TABLES
        name = f"state_{state.table}_{state.address}" if bit else "status"
        if any(p["name"] == name for p in self.points):
            name = f"status_{state.address}"
        codes = [] if all(a == b for a, b in state.codes) else [list(c) for c in state.codes]
        if bit:
            codes.append([3, 0])
        twin = self.known.points["status"]
        self.points.append({
            "name": name, "class": "yx", "table": state.table, "address": state.address,
            "type": "bit" if bit else "u16", "meaning": twin.title, "meaning_zh": twin.title_zh,
            "source": {"point": "status", **({"values": codes} if codes else {})},
        })  # fmt: skip

    def constants(self) -> None:
        """Find the nameplate."""
        # A column that is a point as well (an air conditioner's set-point) may be either.
        points = {*self.known.points, *self.known.setpoints}
        mine = {
            n: v for n, v in self.recording.nameplate.items()
            if n in self.known.columns and n not in points
        }  # fmt: skip
        found, doubts = constants_of(mine, self.recording.blocks, self.taken, self._order())
        self.untold += doubts
        for one in found:
            self.taken |= one.candidate.places()
            unit = unit_of_column(one.name) or ""
            title = Point(one.name, unit, f"Nameplate: {one.name}", f"铭牌：{one.name}")
            self._add(one.candidate, one.name, title, one.step, unit, {"nameplate": one.name})
            self._doubt(one.name, [f"{rival} shows the same number" for rival in one.rivals])

    def _add(
        self, at: Candidate, name: str, twin: Point, scale: float, unit: str, source: dict[str, Any]
    ) -> None:
        self.points.append({
            "name": name, "class": "yc", "table": at.table, "address": at.address,
            "type": at.form.type, "scale": plain(scale), "order": at.form.order, "unit": unit,
            "meaning": twin.title, "meaning_zh": twin.title_zh, "source": source,
        })  # fmt: skip

    # -- what it takes -------------------------------------------------------------------------

    def ordered(self) -> None:
        """Write down how power is ordered."""
        orders, setpoint = self.orders, self._setpoint()
        if orders is None or setpoint is None:
            self.untold.append("how power is ordered: too few accepted writes that power followed")
        else:
            found = Commanding(
                orders, setpoint, self.known.setpoints[setpoint], self._sign(), self.rated_kw,
                self.recording.blocks,
            )  # fmt: skip
            self.points += found.points
            self.commands += found.commands
            for name, doubts in found.doubts.items():
                self._doubt(name, doubts)
        self.untold += untold_writes(self.recording, orders)

    def _setpoint(self) -> str | None:
        return next((s for s in ("power_kw", "limit_kw") if s in self.known.setpoints), None)

    def _sign(self) -> float:
        """Return what turns a power into the grid into the set-point.

        A limit bounds what is drawn, but for the sun's feed-in.
        """
        return -1.0 if self._setpoint() == "limit_kw" and self.kind != "solar" else 1.0

    # -- the whole -----------------------------------------------------------------------------

    def finished(self, name: str, source: str, unit: int) -> FittedMap:
        """Return the map, checked, with everything that remains in doubt."""
        order = self._order()
        if all(p["type"] in NARROW for p in self.points):
            self.untold.append("order of registers: no point takes more than one; ABCD assumed")
        for point in self.points:
            if point.get("order") == order or (
                point["type"] in NARROW and point.get("order") == "ABCD" and order == "CDAB"
            ):
                point.pop("order")
        data: dict[str, Any] = {
            "name": name, "kind": self.kind, "title": f"Fitted: {name}",
            "title_zh": f"由实测记录推得的点表：{name}", "source": f"hil fit of {source}",
            "identity": {"vendor": "fitted", "product": name}, "unit": unit, "order": order,
            "points": self.points,
        }  # fmt: skip
        if self.commands:
            data["commands"] = self.commands
        self.untold.append(
            "how it treats gaps, other units and refusals by state: the map's defaults stand"
        )
        self.untold += self._untold_registers()
        return FittedMap(
            check_map(data, f"{name}.json"), self.matches, self.orders, self.doubts, self.untold
        )

    def _order(self) -> Order:
        """Return the order of most points that take more than one register."""
        wide: list[Order] = [
            p["order"] for p in self.points if p.get("order") and p["type"] not in NARROW
        ]
        return max(sorted(set(wide)), key=wide.count) if wide else "ABCD"

    def _untold_registers(self) -> list[str]:
        """Return what was read and has no meaning yet, as far as it moved."""
        found = []
        for block in self.recording.blocks:
            for column in range(block.count):
                words = block.words[:, column]
                place = (block.table, block.address + column)
                if place in self.taken | self.echoes or np.ptp(words) == 0:
                    continue
                found.append(
                    f"{place[0]} {place[1]}: moved between {words.min()} and {words.max()}, "
                    f"{len(np.unique(words))} values; meaning not known"
                )
        more = len(found) - MOST_UNTOLD
        return [*found[:MOST_UNTOLD], *([f"and {more} registers more"] if more > 0 else [])]

    def _doubt(self, name: str, doubts: list[str]) -> None:
        if doubts:
            self.doubts.setdefault(name, []).extend(doubts)


NARROW = ("u16", "i16", "bit", "bits")


def _shown(twin: Point) -> tuple[str, float]:
    if twin.unit == "1" and twin.name not in SHARES:
        return "", 1.0
    return SHOWN.get(twin.unit, (twin.unit, 1.0))
