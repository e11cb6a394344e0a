"""The conformance table: every function by every map by every case, over both bodies.

Each cell is asserted against what map and standard ask for; the table goes to the file that
SUITWIN_CONFORMANCE names, else to a temporary one.
"""

from __future__ import annotations

import csv
import os
import socket
import struct
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hil.registers.files import shipped_maps
from tests.witness.cells import FUNCTIONS, PROBE, READS, UNKNOWN, WRITES, Cell, Expected, label
from tests.witness.fleet import OWN_ADDRESS, REFUSING, SILENT, WITNESS, Fleet

MAPS = tuple(shipped_maps())
BODIES = ("compiled", "portable")
COLUMNS = ("kind", "map", "function", "case", "expected", *BODIES)
TIMEOUT_S = 20.0
PROBE_ID = 0xFFFF
# Cases that each function must have on some map.
READ_CASES = (
    "good", "quantity 0", "too many", "wrong length", "past 65535", "no such table",
    "beyond the map", "across a gap", "in a gap", "refused by state",
)  # fmt: skip
WRITE_CASES = (
    "good", "wrong length", "no such table", "beyond the map", "refused by state", "read-only",
    "out of limits", "partial",
)  # fmt: skip
EVERYBODY = (
    "unknown unit", "unit 0", "silent",
    *(f"{who} behind a gateway" for who in ("unknown unit", "unit 0", "unit 255")),
)  # fmt: skip
NEVER = {
    # Coils are single bits without limits; those of the shipped maps have no gap.
    *((f, case) for f in (5, 15) for case in ("read-only", "out of limits", "partial")),
    *((f, case) for f in (1, 2) for case in ("across a gap", "in a gap")),
}


@dataclass
class Row:
    """A line of the table; several requests may share it, and must then agree."""

    kind: str
    map: str
    function: int
    case: str
    expected: set[str] = field(default_factory=set)
    seen: dict[str, set[str]] = field(default_factory=lambda: {body: set() for body in BODIES})

    def cells(self) -> list[object]:
        shown = ["; ".join(sorted(part)) or "-" for part in (self.expected, *self.seen.values())]
        return [self.kind, self.map, self.function, self.case, *shown]


@dataclass
class Table:
    """All rows, and what was wrong beyond them."""

    rows: dict[tuple[str, int, str], Row] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in MAPS})


class Link:
    """A connection on which each request is followed by one that is always answered."""

    def __init__(self, address: str, port: int, probe_unit: int) -> None:
        self.where, self.probe_unit = (address, port), probe_unit
        self.socket = socket.create_connection(self.where, TIMEOUT_S)

    def ask(self, unit: int, pdu: bytes) -> bytes | None:
        """Return the answer's PDU: None where only the second request got one, empty for an end."""
        self.socket.sendall(
            self._frame(1, unit, pdu) + self._frame(PROBE_ID, self.probe_unit, PROBE)
        )
        found: bytes | None = None
        while True:
            head = self._receive(7)
            if head is None:
                self.socket.close()
                self.socket = socket.create_connection(self.where, TIMEOUT_S)
                return b""
            number, protocol, length, whose = struct.unpack(">HHHB", head)
            answer = self._receive(length - 1)
            assert answer is not None
            assert protocol == 0
            if number == PROBE_ID:
                assert answer[:2] == PROBE[:2]
                return found
            assert (number, whose, found) == (1, unit, None)
            found = answer

    @staticmethod
    def _frame(number: int, unit: int, pdu: bytes) -> bytes:
        return struct.pack(">HHHB", number, 0, len(pdu) + 1, unit) + pdu

    def _receive(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            try:
                part = self.socket.recv(size - len(data))
            except ConnectionResetError:
                return None
            if not part:
                return None
            data += part
        return data

    def close(self) -> None:
        self.socket.close()


def ask_all(fleet: Fleet, name: str, table: Table) -> None:
    """Send every cell of a map to one body."""
    fleet.reset()
    spots, one = fleet.spots[name], fleet.maps[name]
    bank = fleet.bank.arrays
    bank.refusal[spots[REFUSING].number] = one.refusal
    bank.silent[spots[SILENT].number] = 1
    own, gateway = spots[OWN_ADDRESS], spots[WITNESS]
    expected = Expected(fleet, name)
    wrong, wrote = table.wrong[name], []
    with (
        closing(Link(own.address, own.port, own.unit)) as direct,
        closing(Link(gateway.address, gateway.port, gateway.unit)) as shared,
    ):
        for cell in expected.cells():
            answer = (direct if cell.row == OWN_ADDRESS else shared).ask(cell.unit, cell.pdu)
            note(table, name, fleet.body, cell, answer)
            wrote += cell.wrote
        fleet.tick()
        if fleet.taken.writes != wrote:
            wrong.append(f"{fleet.body}: wrote {fleet.taken.writes}, not {wrote}")
        bank.silent[:] = 0
        for row in (OWN_ADDRESS, WITNESS, REFUSING, SILENT):
            link = direct if row == OWN_ADDRESS else shared
            for function, part in READS.items():
                places = expected.tables[part][row]
                if places.there:
                    asked = bytes([function]) + struct.pack(">HH", *places.good)
                    got = link.ask(spots[row].unit, asked)
                    if got != expected.shown(function, row, *places.good):
                        wrong.append(f"{fleet.body}: afterwards row {row} {part} reads {got!r}")
    fleet.reset()


def note(table: Table, name: str, body: str, cell: Cell, answer: bytes | None) -> None:
    one = shipped_maps()[name]
    key = (name, cell.function, cell.case)
    row = table.rows.setdefault(key, Row(one.kind, name, cell.function, cell.case))
    row.expected.add(label(cell.answer))
    row.seen[body].add(label(answer))
    if answer != cell.answer:
        table.wrong[name].append(
            f"{body}: function {cell.function}, {cell.case}, unit {cell.unit}: "
            f"{cell.pdu.hex(' ')} got {show(answer)}, not {show(cell.answer)}"
        )


def show(answer: bytes | None) -> str:
    return label(answer) if not answer else f"{label(answer)} {answer.hex(' ')}"


@pytest.fixture(scope="module")
def table(
    compiled_fleet: Fleet, portable_fleet: Fleet, tmp_path_factory: pytest.TempPathFactory
) -> Table:
    table = Table()
    for name in MAPS:
        for fleet in (compiled_fleet, portable_fleet):
            ask_all(fleet, name, table)
    path = Path(os.environ.get("SUITWIN_CONFORMANCE") or tmp_path_factory.mktemp("table") / "t.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(row.cells() for row in table.rows.values())
    return table


@pytest.mark.parametrize("name", MAPS)
def test_each_cell_is_as_map_and_standard_ask(table: Table, name: str) -> None:
    assert table.wrong[name] == []
    mine = [row for row in table.rows.values() if row.map == name]
    assert all(row.seen == dict.fromkeys(BODIES, row.expected) for row in mine)


def test_no_function_and_no_case_is_left_out(table: Table) -> None:
    found = {(function, case) for _, function, case in table.rows}
    wanted = {(f, case) for f in READS for case in READ_CASES}
    wanted |= {(f, case) for f in WRITES for case in WRITE_CASES}
    wanted |= {(f, case) for f in FUNCTIONS for case in EVERYBODY}
    wanted |= {(f, case) for f in (15, 16, 23) for case in ("quantity 0", "too many")}
    wanted |= {(f, "longer than a frame") for f in (16, 23)}
    wanted |= {(f, "unknown function") for f in UNKNOWN}
    wanted |= {(43, case) for case in ("good", "unknown object", "unknown code", "another kind")}
    assert wanted - found == NEVER & wanted
    assert {(name, f) for name, f, _ in table.rows} == {(n, f) for n in MAPS for f in FUNCTIONS}


def test_the_table_shows_every_kind_of_outcome(table: Table) -> None:
    seen = {outcome for row in table.rows.values() for outcome in row.expected}
    assert seen == {
        "ok", "silence", "closed", *(f"exception {code}" for code in (1, 2, 3, 4, 6, 11)),
    }  # fmt: skip
