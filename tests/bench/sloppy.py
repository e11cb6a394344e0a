"""A device in memory that takes every write, however broken, and a clock that a test moves."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hil.bench.errors import LineDown, Refused
from hil.registers.schema import RegisterMap, TableName


class TestClock:
    __test__ = False

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += max(seconds, 0.0)


class SloppyLine:
    """Registers and coils by address; a read of anything is answered, a write of anything taken."""

    name = "in memory"

    def __init__(self, one: RegisterMap) -> None:
        self.map = one
        self.words: dict[tuple[TableName, int], int] = {}
        self.sent: list[tuple[TableName, int, tuple[int, ...]]] = []
        self.down = False
        self.refuse: dict[tuple[TableName, int], int] = {}

    def read(self, table: TableName, address: int, count: int) -> list[int]:
        self._there()
        if (table, address) in self.refuse:
            raise Refused(self.name, 3, self.refuse[table, address])
        return [self.words.get((table, address + i), 0) for i in range(count)]

    def write(self, table: TableName, address: int, words: Sequence[int]) -> None:
        self._there()
        if (table, address) in self.refuse:
            raise Refused(self.name, 16, self.refuse[table, address])
        self.sent.append((table, address, tuple(words)))
        for i, word in enumerate(words):
            self.words[table, address + i] = word

    def raw(self, function: int, data: bytes) -> bytes:
        """Make the most of a request, as a careless device would."""
        self._there()
        if function in (5, 6) and len(data) >= 4:
            address, word = struct.unpack(">HH", data[:4])
            table: TableName = "coil" if function == 5 else "holding"
            self.write(table, address, [int(word != 0) if function == 5 else word])
        elif function in (16, 23):
            at = 4 if function == 23 else 0
            body = data[at + 5 :] if len(data) > at + 5 else b""
            if len(data) >= at + 2:
                address = int.from_bytes(data[at : at + 2], "big")
                for i in range(len(body) // 2):
                    if address + i < 65536:
                        word = int.from_bytes(body[2 * i : 2 * i + 2], "big")
                        self.write("holding", address + i, [word])
        elif function == 15 and len(data) > 5:
            address = int.from_bytes(data[:2], "big")
            for i, byte in enumerate(data[5:]):
                for bit in range(8):
                    if address + 8 * i + bit < 65536:
                        self.write("coil", address + 8 * i + bit, [byte >> bit & 1])
        elif function == 22 and len(data) >= 6:
            address, keep, given = struct.unpack(">HHH", data[:6])
            old = self.words.get(("holding", address), 0)
            self.write("holding", address, [(old & keep) | (given & ~keep & 0xFFFF)])
        return data

    def close(self) -> None:
        pass

    def _there(self) -> None:
        if self.down:
            raise LineDown(self.name, "cut")
