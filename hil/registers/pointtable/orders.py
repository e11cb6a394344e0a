"""Byte orders, as words, as columns, as notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hil.registers.pointtable.addresses import Located
from hil.registers.pointtable.findings import Choices, Notes
from hil.registers.pointtable.headers import Layout, Row
from hil.registers.pointtable.words import lookup, shape, statements, type_words

__all__ = ["Order", "order_in", "order_of_word", "settle_orders"]

NAMES = {
    ("high", "high"): "ABCD",
    ("low", "high"): "CDAB",
    ("high", "low"): "BADC",
    ("low", "low"): "DCBA",
}
# After '#' in EMQX Neuron's addresses; two of them have changed their meaning between versions.
NEURON = {"ll": "high_high", "lb": "high_low", "l": "any_high", "b": "any_low"}
NEURON_OPEN = ("bl", "bb")


@dataclass(frozen=True, slots=True)
class Order:
    """What is said of a byte order.

    Attributes
    ----------
    word : which register comes first, ``high``, ``low`` or None
    byte : which byte of a register comes first, ``high``, ``low`` or None
    open : the word is used for several orders of bytes
    """

    word: str | None
    byte: str | None
    open: bool = False

    def merged(self, other: Order) -> Order | None:
        """Return what both say together, None where they contradict each other."""
        for mine, theirs in ((self.word, other.word), (self.byte, other.byte)):
            if mine is not None and theirs is not None and mine != theirs:
                return None
        byte = self.byte or other.byte
        return Order(self.word or other.word, byte, (self.open or other.open) and byte is None)

    def names(self) -> tuple[str, ...]:
        """Return the orders of two registers that fit.

        Where only the order of registers is said, bytes are high first, as Modbus has them.
        """
        byte = self.byte if self.open or self.byte is not None or self.word is None else "high"
        return tuple(
            name
            for (word, low), name in NAMES.items()
            if self.word in (None, word) and byte in (None, low)
        )


NOTHING = Order(None, None)


def order_of_word(text: str) -> Order | None:
    """Return what a word says of the byte order, None where it says nothing.

    >>> order_of_word("CDAB").names(), order_of_word("小端").names()
    (('CDAB',), ('CDAB', 'DCBA'))
    >>> order_of_word("低字在前").names()
    ('CDAB',)
    """
    key = lookup("orders", text)
    return None if key is None else _order(key)


def settle_orders(
    layout: Layout,
    located: Mapping[int, Located],
    widths: Mapping[int, int],
    texts: Iterable[int],
    choices: Choices,
    notes: Notes,
) -> tuple[str, dict[int, str | None]]:
    """Return the map's order and, by row, the order of points that differ from it.

    Parameters
    ----------
    widths : by index of the row, registers of each point that lies in registers
    texts : rows that are strings: they keep the order of registers
    """
    default = _default(layout, notes)
    text_rows = frozenset(texts)
    general = _general(layout, notes)
    found: dict[int, tuple[str, bool]] = {}
    narrow: dict[int, str] = {}
    for index, width in widths.items():
        row = layout.rows[index]
        own = _own(row, located[index], notes)
        if width == 1 or index in text_rows:
            if own is not None and own.byte is not None:
                narrow[index] = own.byte
            continue
        if default is not None and own is None:
            continue
        names = (own or general or NOTHING).names()
        if own is None and general is not None and len(names) == 1:
            notes.find(row.place, f"byte order {names[0]}", "a note in the table")
        if len(names) > 1 and choices.order in names:
            notes.find(row.place, f"byte order {choices.order}", "--order")
            names = (choices.order,)
        if len(names) > 1:
            what = "the byte order of values of two and more registers is not stated"
            said = own or general
            evidence = "no column, no note" if said is None else "the word is used for several"
            notes.doubt("order", row.place, what, evidence, names)
        found[index] = (names[0], own is not None)
    if default is not None:
        orders: dict[int, str | None] = {i: name for i, (name, _) in found.items()}
        orders |= {i: "ABCD" if byte == "high" else "BADC" for i, byte in narrow.items()}
        return default, orders | _exact(layout)
    names_ = [name for name, _ in found.values()]
    common = max(dict.fromkeys(names_), key=names_.count, default="ABCD")
    # Registers of their own and text keep the high byte first, whatever wide values do.
    default = common if common in ("ABCD", "CDAB") else "ABCD"
    for index, width in widths.items():
        if index not in narrow and (index in text_rows or (width == 1 and default != common)):
            what = "values of one register and text have the high byte first"
            notes.find(layout.rows[index].place, what, "Modbus", ("low byte first",))
    orders = {i: None if name == default else name for i, (name, _) in found.items()}
    orders |= {i: "BADC" for i, byte in narrow.items() if byte == "low"}
    return default, orders


def order_in(text: str) -> tuple[str, Order | None]:
    """Return a data type without its byte order, and the order.

    >>> order_in("float_CDAB")[0], order_in("float_CDAB")[1].names()
    ('float_', ('CDAB',))
    """
    _, parts = type_words()
    text = shape(text)
    match = parts["order"].search(text)
    if match is None:
        return text, None
    return text.replace(match.group(), ""), order_of_word(match.group())


def _order(key: str) -> Order:
    word, byte = key.split("_")
    return Order(
        None if word == "any" else word,
        byte if byte in ("high", "low") else None,
        byte == "unknown",
    )


def _default(layout: Layout, notes: Notes) -> str | None:
    """Return the order that a column gives for the whole map, as an export has it."""
    for row in layout.rows:
        text = row.get("map_order")
        if text != "":
            order = order_of_word(text)
            if order is not None and len(order.names()) == 1:
                return order.names()[0]
            notes.wrong(row.place, "map_order", repr(text), "ABCD, CDAB, BADC or DCBA")
    return None


def _exact(layout: Layout) -> dict[int, str | None]:
    """Return the orders that a column of an export names, even where they change nothing."""
    return {
        i: row.get("order").strip().upper()
        for i, row in enumerate(layout.rows)
        if row.get("order").strip().upper() in NAMES.values()
    }


def _general(layout: Layout, notes: Notes) -> Order | None:
    """Return what notes and titles say of the order, None where they say nothing."""
    said = {}
    for text in layout.texts:
        for key, words in statements("order", text).items():
            said[key] = words
    total = NOTHING
    for key in said:
        merged = total.merged(_order(key))
        if merged is None:
            place = layout.rows[0].place
            notes.find(
                type(place)(place.sheet), "notes on byte order set aside",
                "they contradict each other: " + ", ".join(said.values()),
            )  # fmt: skip
            return None
        total = merged
    return total if said else None


def _own(row: Row, one: Located, notes: Notes) -> Order | None:
    """Return what a row itself says: columns, address, data type, note."""
    said = []
    for meaning in ("order", "word_order"):
        text = row.get(meaning)
        if text == "":
            continue
        order = order_of_word(text)
        if order is None:
            allowed = "ABCD, CDAB, BADC, DCBA, 大端, 高字在前, 低字在前, big endian ..."
            notes.wrong(row.place, meaning, repr(text), allowed)
        else:
            said.append(order)
    if one.written.order is not None:
        letters = one.written.order
        said.append(_order(NEURON[letters]) if letters in NEURON else Order("low", None, open=True))
    in_type = order_in(row.get("type"))[1]
    if in_type is not None:
        said.append(in_type)
    said += [_order(key) for key in statements("order", row.get("note"))]
    total: Order | None = NOTHING
    for order in said:
        total = None if total is None else total.merged(order)
    if total is None:
        notes.wrong(row.place, "order", row.get("order") or row.get("type"), "one byte order")
    return total if said else None
