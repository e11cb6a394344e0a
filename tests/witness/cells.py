"""Cells of the conformance table: a request, and the answer that map and standard ask for."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from hil.registers import codec
from hil.registers.schema import WirePoint
from tests.witness.fleet import OWN_ADDRESS, REFUSING, SILENT, WITNESS, Fleet
from tests.witness.places import Place, Places
from tests.witness.values import Words

READS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
WRITES = {5: "coil", 6: "holding", 15: "coil", 16: "holding", 22: "holding", 23: "holding"}
TOO_MANY = {1: 2001, 2: 2001, 3: 126, 4: 126, 15: 1969, 16: 124, 23: 122}
LONGEST_PDU = 253
NOBODY = 9
UNKNOWN = (7, 8, 11, 12, 17, 20, 21, 24, 65, 100)
FUNCTIONS = (*READS, *WRITES, 43, *UNKNOWN)
PROBE = bytes([43, 14, 1, 0])
RAW = {1: "u16", 2: "u32", 4: "u64"}  # by width
Registers = dict[tuple[str, int], int]


@dataclass(frozen=True)
class Cell:
    """A request and what must become of it.

    Attributes
    ----------
    row : of the device whose connection it is sent on; unit : whom it names
    answer : PDU; None is silence, nothing at all is the end of the connection
    wrote : points that are to be queued, with their raw values
    """

    function: int
    case: str
    row: int
    unit: int
    pdu: bytes
    answer: bytes | None
    wrote: tuple[tuple[int, str, int], ...] = ()


def label(answer: bytes | None) -> str:
    """Return an answer as the table shows it."""
    if answer is None:
        return "silence"
    if not answer:
        return "closed"
    return f"exception {answer[1]}" if answer[0] & 0x80 else "ok"


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def packed(bits: Words | list[int]) -> bytes:
    out = bytearray((len(bits) + 7) // 8)
    for i, bit in enumerate(bits):
        out[i // 8] |= bit << i % 8
    return bytes(out)


def refusal(function: int, code: int) -> bytes:
    return bytes([function | 0x80, code])


class Expected:
    """The devices of a map as the standard has them; `registers` follow what is written."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet, self.spots = fleet, fleet.spots[name]
        self.one = self.spots[0].one
        self.registers = [fleet.image(spot) for spot in self.spots]
        self.tables = {t: [Places(s, t) for s in self.spots] for t in dict.fromkeys(READS.values())}

    def cells(self) -> Iterator[Cell]:
        """Yield all cells; each is to be sent before the next one is taken."""
        for function, table in READS.items():
            yield from self._reads(function, table)
        for number in UNKNOWN:
            plain = bytes([number]) + words(0, 1)
            refused = refusal(number, 1)
            yield Cell(number, "unknown function", OWN_ADDRESS, self._unit(0), plain, refused)
            yield from self._units(number, plain, refused)
        yield from self._identities()
        for function, table in WRITES.items():
            yield from self._writes(function, table)

    def _unit(self, row: int) -> int:
        return self.spots[row].unit

    def _units(self, function: int, pdu: bytes, answer: bytes) -> Iterator[Cell]:
        """Yield what does not depend on the function: nobody there, or nobody who talks."""
        nobody = None if self.one.unknown_unit == "silence" else refusal(function, 11)
        yield Cell(function, "unknown unit", OWN_ADDRESS, NOBODY, pdu, nobody)
        yield Cell(function, "unknown unit behind a gateway", WITNESS, NOBODY, pdu, nobody)
        yield Cell(function, "unit 255 behind a gateway", WITNESS, 255, pdu, nobody)
        yield Cell(function, "unit 0", OWN_ADDRESS, 0, pdu, None)
        yield Cell(function, "unit 0 behind a gateway", WITNESS, 0, pdu, None)
        yield Cell(function, "silent", SILENT, self._unit(SILENT), pdu, None)

    def _plain(self, function: int, case: str, pdu: bytes, code: int) -> Cell:
        answer = refusal(function, code)
        return Cell(function, case, OWN_ADDRESS, self._unit(OWN_ADDRESS), pdu, answer)

    # -- reads ---------------------------------------------------------------------------------

    def shown(self, function: int, row: int, first: int, count: int) -> bytes:
        """Return the answer to a read; what is missing reads 0."""
        table = READS.get(function, "holding")
        values = [self.registers[row].get((table, first + i), 0) for i in range(count)]
        data = packed(values) if function in (1, 2) else words(*values)
        return bytes([function, len(data)]) + data

    def _reads(self, function: int, table: str) -> Iterator[Cell]:
        def read(first: int, count: int) -> bytes:
            return bytes([function]) + words(first, count)

        places = self.tables[table][OWN_ADDRESS]
        first = places.good[0] if places.there else 0
        yield self._plain(function, "quantity 0", read(first, 0), 3)
        yield self._plain(function, "too many", read(first, TOO_MANY[function]), 3)
        yield self._plain(function, "wrong length", read(first, 1)[:-1], 3)
        yield self._plain(function, "past 65535", read(65535, 2), 2)
        if not places.there:
            yield self._plain(function, "no such table", read(0, 1), 2)
            yield from self._units(function, read(0, 1), b"")
            return
        good = places.good
        for case, row, unit in (
            ("good", OWN_ADDRESS, None), ("good", WITNESS, None), ("unit 255", OWN_ADDRESS, 255),
            ("refused by state", REFUSING, None),
        ):  # fmt: skip
            answer = self.shown(function, row, *good)
            yield Cell(function, case, row, unit or self._unit(row), read(*good), answer)
        yield from self._units(function, read(*good), b"")
        yield self._plain(function, "beyond the map", read(places.there[-1], 2), 2)
        yield self._plain(function, "beyond the map alone", read(places.there[-1] + 1, 1), 2)
        if places.across is None or places.hole is None:
            return
        inside = (places.hole[0] + 1, 1)
        for case, span, served in (
            ("across a gap", places.across, ("all", "zero")), ("in a gap", inside, ("zero",)),
        ):  # fmt: skip
            answer = refusal(function, 2)
            if self.one.gaps in served:
                answer = self.shown(function, OWN_ADDRESS, *span)
            unit = self._unit(OWN_ADDRESS)
            yield Cell(function, case, OWN_ADDRESS, unit, read(*span), answer)

    # -- identity ------------------------------------------------------------------------------

    def objects(self, row: int) -> dict[int, bytes]:
        told, serial = self.one.identity, self.fleet.serials[self.spots[row].number]
        model = told.model or told.product
        texts = {0: told.vendor, 1: told.product, 2: told.revision, 4: self.one.title, 5: model}
        return {number: text.encode() for number, text in (texts | {6: serial}).items()}

    def identity(self, row: int, code: int, wanted: range) -> bytes:
        mine = [(n, text) for n, text in self.objects(row).items() if n in wanted]
        data = b"".join(bytes([n, len(text)]) + text for n, text in mine)
        answer = bytes([43, 14, code, 0x82, 0, 0, len(mine)]) + data
        assert len(answer) <= LONGEST_PDU
        return answer

    def _identities(self) -> Iterator[Cell]:
        for row in (OWN_ADDRESS, WITNESS, REFUSING):
            unit = self._unit(row)
            for code, wanted in ((1, range(3)), (2, range(128)), (3, range(256)), (4, range(6, 7))):
                case = "refused by state" if row == REFUSING else "good"
                pdu = bytes([43, 14, code, 6 if code == 4 else 0])
                yield Cell(43, case, row, unit, pdu, self.identity(row, code, wanted))
        yield self._plain(43, "unknown object", bytes([43, 14, 4, 99]), 2)
        yield self._plain(43, "unknown code", bytes([43, 14, 5, 0]), 3)
        yield self._plain(43, "another kind", bytes([43, 13, 0, 0]), 1)
        yield self._plain(43, "wrong length", bytes([43, 14, 1]), 3)
        answer = self.identity(OWN_ADDRESS, 1, range(3))
        yield Cell(43, "unit 255", OWN_ADDRESS, 255, PROBE, answer)
        yield from self._units(43, PROBE, b"")

    # -- writes --------------------------------------------------------------------------------

    def request(self, function: int, row: int, place: Place) -> bytes:
        """Return a request that puts words at a place."""
        first, values = place
        if function == 5:
            return b"\x05" + words(first, 0xFF00 * values[0])
        if function == 6:
            return b"\x06" + words(first, values[0])
        if function == 22:
            now = self.registers[row].get(("holding", first), 0)
            keep = ~(now ^ values[0]) & 0xFFFF
            # What the first mask keeps, the second one must not touch.
            return b"\x16" + words(first, keep, (values[0] & ~keep) | (keep & 0x5555))
        data = packed(values) if function == 15 else words(*values)
        head = words(first, len(values)) + bytes([len(data)])
        ahead = b"\x17" + words(first, len(values)) if function == 23 else bytes([function])
        return ahead + head + data

    def good(self, function: int, row: int, place: Place) -> tuple[bytes, bytes]:
        """Return a request, and its answer once it is done."""
        pdu = self.request(function, row, place)
        if function == 23:
            data = words(*place[1])
            return pdu, bytes([23, len(data)]) + data
        return pdu, pdu if function == 22 else pdu[:5]

    def done(self, row: int, table: str, place: Place) -> tuple[tuple[int, str, int], ...]:
        """Note what is written; return it as it comes out of the bank."""
        first, values = place
        for i, value in enumerate(values):
            self.registers[row][table, first + i] = value
        number = self.spots[row].number
        return tuple(
            (number, p.name, self._raw(row, p))
            for p in self.one.points
            if p.table == table and first <= p.address < first + len(values)
        )

    def _raw(self, row: int, point: WirePoint) -> int:
        mine = [self.registers[row][point.table, point.address + i] for i in range(point.width)]
        if point.type == "bit":
            return mine[0]
        plain = point.model_copy(update={"type": RAW[point.width], "scale": 1.0, "na": 0})
        value = codec.decode(plain, self.one.order, mine)
        return 0 if value is None else int(value)  # type: ignore[arg-type]

    def _writes(self, function: int, table: str) -> Iterator[Cell]:
        single = function in (5, 6, 22)
        places = self.tables[table][OWN_ADDRESS]
        mine, some = self._unit(OWN_ADDRESS), (1, 1) if not single else (1,)
        if not places.there:
            pdu = self.request(function, OWN_ADDRESS, (0, some))
            yield self._plain(function, "no such table", pdu, 2)
            yield from self._units(function, pdu, b"")
            yield from self._shapes(function, pdu)
            return
        target = places.one if single else places.several
        if target is not None:
            yield from self._taken(function, table, single)
            pdu = self.request(function, OWN_ADDRESS, target)
            yield from self._units(function, pdu, b"")
            yield from self._shapes(function, pdu)
        wrong = places.one_wrong if single else places.several_wrong
        if wrong is not None:
            pdu = self.request(function, OWN_ADDRESS, wrong)
            yield self._plain(function, "out of limits", pdu, 3)
        last = places.there[-1]
        at = (last + 1, some) if single else (last, some)
        yield self._plain(function, "beyond the map", self.request(function, OWN_ADDRESS, at), 2)
        if places.hole is not None:
            at = (places.hole[0] + (1 if single else 0), some)
            pdu = self.request(function, OWN_ADDRESS, at)
            yield self._plain(function, "across a gap", pdu, 2)
        fixed = places.read_only
        if fixed is not None:
            at = (fixed.address, (1,) * (1 if single else fixed.width))
            pdu = self.request(function, OWN_ADDRESS, at)
            yield self._plain(function, "read-only", pdu, 2)
        wide = places.wide
        if wide is not None:
            at = (wide.address, (0,) * (1 if single else wide.width - 1))
            pdu, answer = self.good(function, OWN_ADDRESS, at)
            if wide.partial == "refuse":
                answer = refusal(function, 2)
            elif function == 23:  # the register itself waits for its other half
                answer = self.shown(23, OWN_ADDRESS, at[0], len(at[1]))
            yield Cell(function, "partial", OWN_ADDRESS, mine, pdu, answer)
        if function == 23:
            yield from self._mixed(places)

    def _taken(self, function: int, table: str, single: bool) -> Iterator[Cell]:
        """Yield writes that are good but for whom they are sent to."""
        for case, row, unit in (
            ("good", OWN_ADDRESS, None), ("good", WITNESS, None), ("unit 255", OWN_ADDRESS, 255),
        ):  # fmt: skip
            places = self.tables[table][row]
            place = places.one if single else places.several
            assert place is not None
            pdu, answer = self.good(function, row, place)
            wrote = self.done(row, table, place)
            yield Cell(function, case, row, unit or self._unit(row), pdu, answer, wrote)
        places = self.tables[table][REFUSING]
        place = places.one if single else places.several
        assert place is not None
        pdu, answer = self.request(function, REFUSING, place), refusal(function, self.one.refusal)
        yield Cell(function, "refused by state", REFUSING, self._unit(REFUSING), pdu, answer)

    def _shapes(self, function: int, pdu: bytes) -> Iterator[Cell]:
        """Yield requests whose numbers do not fit together."""
        yield self._plain(function, "wrong length", pdu[:-1], 3)
        if function == 5:
            yield self._plain(function, "neither on nor off", pdu[:3] + words(1), 3)
        if function not in TOO_MANY:
            return
        at = 7 if function == 23 else 3
        none = pdu[:at] + words(0) + b"\0"
        many = TOO_MANY[function]
        yield self._plain(function, "quantity 0", none, 3)
        data = bytes((many + 7) // 8 if function == 15 else 2 * many)
        over = pdu[:at] + words(many) + bytes([len(data)]) + data
        if len(over) <= LONGEST_PDU:
            yield self._plain(function, "too many", over, 3)
        else:
            yield self._plain(function, "too many", over[:LONGEST_PDU], 3)
            unit = self._unit(OWN_ADDRESS)
            yield Cell(function, "longer than a frame", OWN_ADDRESS, unit, over, b"")
        if function == 23:
            yield self._plain(23, "reads nothing", pdu[:3] + words(0) + pdu[5:], 3)
            yield self._plain(23, "reads too many", pdu[:3] + words(126) + pdu[5:], 3)

    def _mixed(self, places: Places) -> Iterator[Cell]:
        """Yield writes that are good, with a read that is not: nothing is written."""
        if places.several is None:
            return
        pdu = self.request(23, OWN_ADDRESS, places.several)
        beyond = pdu[:1] + words(places.there[-1], 2) + pdu[5:]
        yield self._plain(23, "reads beyond the map", beyond, 2)
        if places.across is not None:
            mixed = pdu[:1] + words(*places.across) + pdu[5:]
            if self.one.gaps == "any":
                yield self._plain(23, "reads across a gap", mixed, 2)
                return
            wrote = self.done(OWN_ADDRESS, "holding", places.several)
            answer = self.shown(23, OWN_ADDRESS, *places.across)
            unit = self._unit(OWN_ADDRESS)
            yield Cell(23, "reads across a gap", OWN_ADDRESS, unit, mixed, answer, wrote)
