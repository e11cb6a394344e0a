"""How power is ordered, as points and commands of a register map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hil.bench.fit.orders import Companion, Orders
from hil.bench.recording import Block
from twin.record.exchange import Point

__all__ = ["Commanding", "gained", "plain"]


class Commanding:
    """Points and commands by which a set-point is ordered.

    Parameters
    ----------
    orders : what was told of the recording
    setpoint, twin : of the kind, by name, and what it is
    sign : turns a power into the grid into the set-point
    rated_kw : for percentages, None: not known
    blocks : what was read, for what registers held at first

    Attributes
    ----------
    points, commands : as a map's file has them
    doubts : by point
    """

    def __init__(
        self,
        orders: Orders,
        setpoint: str,
        twin: Point,
        sign: float,
        rated_kw: float | None,
        blocks: Sequence[Block],
    ) -> None:
        self.orders, self.setpoint, self.twin = orders, setpoint, twin
        self.blocks = [b for b in blocks if b.table == "holding"]
        self.points: list[dict[str, Any]] = []
        self.commands: list[dict[str, Any]] = []
        self.doubts: dict[str, list[str]] = {}
        self.name = f"set_{setpoint}"
        # Unit, step and gain of the register; limits are counted in its unit too.
        self.gain, self.scale, self.unit = sign, abs(orders.factor), "kW"
        self.per_kw = 1.0
        self.source: dict[str, Any] = {}
        if orders.per_rating and rated_kw is not None:
            self.per_kw = 100.0 / rated_kw
            self.gain, self.scale, self.unit = 100.0 * sign, self.scale * self.per_kw, "%"
            self.source["per_rating"] = True
        if orders.factor < 0.0:
            self.gain = -self.gain
        self._value()

    def _value(self) -> None:
        orders = self.orders
        switched = len(orders.companions) > 0 or orders.mirror is not None
        held = {"held": self._value_at_first(orders.address)}
        behind = held if switched else {"setpoint": self.setpoint}
        self._add(self.name, orders.address, {**behind, **self.source, **gained(self.gain)})
        self.points[-1] |= self._limits()
        self._doubt(self.name, list(orders.doubts))
        if not switched:
            return
        command: dict[str, Any] = {"setpoint": self.setpoint, "value": self.name}
        if orders.mirror is not None:
            command["low"] = f"{self.name}_low"
            low = {"held": self._value_at_first(orders.mirror), **self.source}
            self._add(command["low"], orders.mirror, {**low, **gained(-self.gain)})
        after = [c for c in orders.companions if c.after]
        enable = (after or list(orders.companions))[-1:]
        for companion in orders.companions:
            self._switch(companion, companion in enable, command)
        self.commands.append(command)

    def _add(self, name: str, address: int, source: dict[str, Any]) -> None:
        read = any(b.address <= address < b.address + b.count for b in self.blocks)
        self.points.append({
            "name": name, "class": "yt", "table": "holding", "address": address,
            "type": self.orders.form.type, "scale": plain(self.scale),
            "order": self.orders.form.order, "unit": self.unit, "access": "rw" if read else "w",
            "meaning": self.twin.title, "meaning_zh": self.twin.title_zh, "source": source,
        })  # fmt: skip

    def _switch(self, companion: Companion, enables: bool, command: dict[str, Any]) -> None:
        own = f"{self.name}_switch_{companion.address}"
        first = self._word_at_first(companion.address)
        self.points.append({
            "name": own, "class": "yk", "table": "holding", "address": companion.address,
            "type": "u16", "access": "rw", "meaning": "Written with every order",
            "meaning_zh": "随每次指令写入", "source": {"held": first},
        })  # fmt: skip
        if not enables:
            command.setdefault("also", {})[own] = companion.on
            return
        off = first
        if off == companion.on:
            off = 0.0 if companion.on != 0 else 1.0
            self._doubt(own, [f"what switches the order off was not seen; {off:g} is assumed"])
        command |= {"enable": own, "on": companion.on, "off": int(off)}

    def _limits(self) -> dict[str, float]:
        """Return the ends of what the device takes, where a refusal beyond each was seen."""
        sign = np.sign(self.orders.factor) * self.per_kw
        taken, refused = self.orders.power_kw * sign, self.orders.refused_kw * sign
        found = {}
        beyond, below = refused[refused > taken.max()], refused[refused < taken.min()]
        if len(beyond):
            found["high"] = plain(float(taken.max()))
            self._doubt(self.name, [f"its upper limit lies between {taken.max():g} (accepted) and "
                                    f"{beyond.min():g} (refused)"])  # fmt: skip
        if len(below):
            found["low"] = plain(float(taken.min()))
            self._doubt(self.name, [f"its lower limit lies between {below.max():g} (refused) and "
                                    f"{taken.min():g} (accepted)"])  # fmt: skip
        if not found:
            self._doubt(self.name, ["its limits: no order beyond them was refused"])
        return found

    def _value_at_first(self, address: int) -> float:
        """Return what a register of orders held before the first of them, in its own unit."""
        word = self._word_at_first(address)
        signed = word - 65536.0 if word >= 32768.0 else word
        return plain(signed * self.scale) if self.orders.form.width == 1 else 0.0

    def _word_at_first(self, address: int) -> float:
        for block in self.blocks:
            if block.address <= address < block.address + block.count:
                return float(block.words[0, address - block.address])
        return 0.0

    def _doubt(self, name: str, doubts: list[str]) -> None:
        if doubts:
            self.doubts.setdefault(name, []).extend(doubts)


def gained(gain: float) -> dict[str, Any]:
    """Return a source's gain, nothing where it is 1."""
    return {} if gain == 1.0 else {"gain": gain}


def plain(value: float) -> float:
    """Return a number without the digits that binary fractions leave."""
    return float(f"{value:.9g}")
