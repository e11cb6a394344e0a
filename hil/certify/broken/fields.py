"""Faults of the register map: what a device serves that differs from its documentation.

Each function takes the map that a device is documented by, and returns the one that it serves.
Exactly one thing differs.
"""

from __future__ import annotations

from collections.abc import Mapping

from hil.registers.schema import RegisterMap, Source, WirePoint

__all__ = [
    "answering_for_others", "at_other_address", "counted_from_one", "filled_gaps",
    "of_other_maker", "of_other_type", "scaled", "turned_sign", "with_hole", "with_limits",
    "with_order", "with_text", "with_values", "without", "without_read", "without_write",
]  # fmt: skip


def scaled(one: RegisterMap, name: str, factor: float) -> RegisterMap:
    """Return a map whose point counts in steps `factor` times as large as documented."""
    return _changed(one, name, {"scale": one.point(name).scale * factor})


def with_order(one: RegisterMap, name: str, order: str) -> RegisterMap:
    """Return a map that has the words or bytes of a point in another order."""
    return _changed(one, name, {"order": order})


def of_other_type(one: RegisterMap, name: str, type_: str) -> RegisterMap:
    """Return a map that has a point as another type of equal width, unscaled."""
    return _changed(one, name, {"type": type_, "scale": 1.0})


def at_other_address(one: RegisterMap, name: str, address: int) -> RegisterMap:
    """Return a map that has one point elsewhere."""
    return _changed(one, name, {"address": address})


def counted_from_one(one: RegisterMap, table: str) -> RegisterMap:
    """Return a map whose addresses of a table all stand one higher: built counting from 1."""
    moved = tuple(
        p.model_copy(update={"address": p.address + 1}) if p.table == table else p
        for p in one.points
    )
    return one.model_copy(update={"points": moved})


def turned_sign(one: RegisterMap, name: str) -> RegisterMap:
    """Return a map that shows a point with the other sign."""
    source = _source(one, name)
    return _changed(one, name, {"source": source.model_copy(update={"gain": -source.gain})})


def with_limits(one: RegisterMap, name: str, low: float | None, high: float | None) -> RegisterMap:
    """Return a map that accepts another range of a written point."""
    return _changed(one, name, {"low": low, "high": high})


def with_values(one: RegisterMap, name: str, values: Mapping[float, float]) -> RegisterMap:
    """Return a map that shows other codes for a state, twin's code to register's."""
    pairs = tuple(values.items())
    source = _source(one, name).model_copy(update={"values": pairs})
    return _changed(one, name, {"source": source})


def with_text(one: RegisterMap, name: str, text: str) -> RegisterMap:
    """Return a map that shows another text."""
    return _changed(one, name, {"source": Source(text=text)})


def without(one: RegisterMap, name: str) -> RegisterMap:
    """Return a map that lacks a point: its registers do not exist."""
    return one.model_copy(update={"points": tuple(p for p in one.points if p.name != name)})


def without_write(one: RegisterMap, name: str) -> RegisterMap:
    """Return a map whose point is shown and cannot be written."""
    return _changed(one, name, {"access": "r", "cls": "yc"})


def without_read(one: RegisterMap, name: str) -> RegisterMap:
    """Return a map whose point can be written and not read back."""
    return _changed(one, name, {"access": "w"})


def with_hole(one: RegisterMap) -> RegisterMap:
    """Return the storage table with its reversion time two registers further on: a hole."""
    return at_other_address(one, "set_revert_s", one.point("set_revert_s").address + 2)


def filled_gaps(one: RegisterMap) -> RegisterMap:
    """Return a map that answers reads over registers that do not exist, with 0."""
    return one.model_copy(update={"gaps": "zero"})


def of_other_maker(one: RegisterMap) -> RegisterMap:
    """Return a map that names another vendor and product in function 43/14."""
    other = one.identity.model_copy(update={"vendor": "somebody", "product": "something"})
    return one.model_copy(update={"identity": other})


def answering_for_others(one: RegisterMap) -> RegisterMap:
    """Return a map that meets unit numbers which are not there with a gateway's exception."""
    return one.model_copy(update={"unknown_unit": "gateway"})


def _source(one: RegisterMap, name: str) -> Source:
    source = one.point(name).source
    if source is None:
        raise ValueError(f"{one.name}: nothing stands behind {name}")
    return source


def _changed(one: RegisterMap, name: str, update: Mapping[str, object]) -> RegisterMap:
    """Return the map with one point changed; KeyError where there is no such point."""
    point = one.point(name)
    # Through the schema again: a fault is one of the device, not of the program.
    data = {**point.model_dump(by_alias=False), **update}
    data["class"] = data.pop("cls")
    other = WirePoint.model_validate(data)
    return one.model_copy(update={"points": tuple(other if p is point else p for p in one.points)})
