"""A network on paper: rows as they are drawn, before pandapower computes admittances."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from twin.grid.equipment import Compensation, LineType, TransformerType

__all__ = ["BusRow", "BusbarRow", "CapacitorRow", "Draft", "LineRow", "SourceRow", "TransformerRow"]

SourceKind = Literal["infeed", "plant", "pumped_storage"]


@dataclass(frozen=True, slots=True)
class BusRow:
    """A bus; `district` is -1 outside the districts."""

    name: str
    kv: float
    station: str
    district: int
    x_km: float
    y_km: float


@dataclass(frozen=True, slots=True)
class LineRow:
    """One circuit, or `parallel` alike circuits as one branch."""

    name: str
    from_bus: int
    to_bus: int
    length_km: float
    type: LineType
    parallel: int


@dataclass(frozen=True, slots=True)
class TransformerRow:
    """One transformer, or `parallel` alike ones; rows with the same `group` move taps together."""

    name: str
    hv_bus: int
    lv_bus: int
    mva: float
    type: TransformerType
    parallel: int
    group: int  # -1: tap is fixed


@dataclass(frozen=True, slots=True)
class CapacitorRow:
    """A bank on `bus` that steps from `step_min` (reactors) to `step_max`.

    Its rule sees the reactive power that tap group `group` draws (-1: voltage only).
    """

    bus: int
    rule: str
    step_mvar: float
    step_min: int
    step_max: int
    group: int

    @property
    def start(self) -> int:
        """Step at which the network is handed over: half of the bank."""
        return self.step_max // 2


@dataclass(frozen=True, slots=True)
class SourceRow:
    """What holds voltage: import, plant, pumped storage."""

    name: str
    kind: SourceKind
    plant_kind: str
    bus: int
    share: float
    rated_mw: float
    vm_pu: float


@dataclass(frozen=True, slots=True)
class BusbarRow:
    """A place for load; `parent` is the row of the station's busbar, its own where it is one."""

    bus: int
    district: int
    kind: str  # busbar, feeder, low_voltage
    weight_mw: float
    capacity_mw: float
    parent: int
    feeder: int


@dataclass(slots=True)
class Draft:
    """Rows in order of drawing; the order is the network's."""

    buses: list[BusRow] = field(default_factory=list)
    lines: list[LineRow] = field(default_factory=list)
    transformers: list[TransformerRow] = field(default_factory=list)
    capacitors: list[CapacitorRow] = field(default_factory=list)
    sources: list[SourceRow] = field(default_factory=list)
    busbars: list[BusbarRow] = field(default_factory=list)
    group_rules: list[str] = field(default_factory=list)
    feeders: int = 0

    def bus(self, name: str, kv: float, station: str, district: int, x: float, y: float) -> int:
        """Add a bus and return its row."""
        self.buses.append(BusRow(name, kv, station, district, float(x), float(y)))
        return len(self.buses) - 1

    def circuits(
        self, a: int, b: int, count: int, line: LineType, km: float, *, apart: bool
    ) -> None:
        """Add `count` circuits; `apart` makes each a branch that can be lost alone."""
        name = f"{self.buses[a].station} - {self.buses[b].station} {line.kv:g} kV"
        if apart:
            already = sum({r.from_bus, r.to_bus} == {a, b} for r in self.lines)
            for k in range(already, already + count):
                self.lines.append(LineRow(f"{name} #{k + 1}", a, b, km, line, 1))
        else:
            self.lines.append(LineRow(name, a, b, km, line, count))

    def units(
        self, hv: int, lv: int, count: int, mva: float, kind: TransformerType, *, apart: bool
    ) -> int:
        """Add `count` transformers of `mva` each; return their tap group (-1: tap is fixed)."""
        group = -1
        if kind.on_load:
            group = len(self.group_rules)
            self.group_rules.append(kind.name)
        name = f"{self.buses[lv].station} {kind.vn_hv_kv:g}/{kind.vn_lv_kv:g} kV"
        if apart:
            for k in range(count):
                row = TransformerRow(f"{name} #{k + 1}", hv, lv, mva, kind, 1, group)
                self.transformers.append(row)
        else:
            self.transformers.append(TransformerRow(name, hv, lv, mva, kind, count, group))
        return group

    def bank(self, bus: int, kind: Compensation, rating_mva: float, group: int) -> None:
        """Add shunt compensation for transformers of `rating_mva` in all."""
        step = min(kind.step_mvar, kind.rating_share * rating_mva / 3.0)  # three steps at least
        up = round(kind.rating_share * rating_mva / step)
        down = round(kind.reactor_share * rating_mva / step)
        if up + down > 0:
            row = CapacitorRow(bus, kind.name, step, -down, up, group)
            self.capacitors.append(row)
