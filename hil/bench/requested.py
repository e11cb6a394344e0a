"""What a Modbus request would write, from its bytes."""

from __future__ import annotations

import struct

from hil.registers.schema import TableName

__all__ = ["Target", "only_reads", "reach_of", "target_of", "writes"]

# Table, first address, words or bits.
Target = tuple[TableName, int, list[int]]

# Functions that change nothing: reading, and what a device says of itself.
READING = (1, 2, 3, 4, 7, 11, 12, 17, 20, 24)
DIAGNOSTICS, ENCAPSULATED, IDENTIFICATION = 8, 43, 14
HARMLESS_DIAGNOSTICS = (0, 2, *range(11, 19))
SINGLE = {5: "coil", 6: "holding"}
MULTIPLE = {15: "coil", 16: "holding"}
MASK, BOTH = 22, 23
MOST_BITS = 1968
ON = 0xFF00


def only_reads(function: int, data: bytes) -> bool:
    """Return whether a request changes nothing."""
    if function == DIAGNOSTICS:
        return len(data) >= 2 and int.from_bytes(data[:2], "big") in HARMLESS_DIAGNOSTICS
    if function == ENCAPSULATED:  # by which other bus messages may come as well
        return data[:1] == bytes([IDENTIFICATION])
    return function in READING


def writes(function: int) -> bool:
    """Return whether a function writes registers or coils."""
    return function in SINGLE or function in MULTIPLE or function in (MASK, BOTH)


def reach_of(function: int, data: bytes) -> tuple[TableName, int, int]:
    """Return table, first address and count of all that a malformed write might reach."""
    table: TableName = "coil" if function in (5, 15) else "holding"
    at = 4 if function == BOTH else 0
    if len(data) < at + 2:
        return table, 0, 65536
    return table, int.from_bytes(data[at : at + 2], "big"), MOST_BITS


def target_of(function: int, data: bytes) -> Target | None:
    """Return table, address and words of a well-formed write, None for anything else."""
    if function in SINGLE and len(data) == 4:
        address, word = struct.unpack(">HH", data)
        if function == 5:
            return ("coil", address, [int(word == ON)]) if word in (0, ON) else None
        return "holding", address, [word]
    at = 4 if function == BOTH else 0
    if (function in MULTIPLE or function == BOTH) and len(data) > at + 5:
        address, count, size = struct.unpack(">HHB", data[at : at + 5])
        body = data[at + 5 :]
        bits = function == 15
        if len(body) != size or size != (-(-count // 8) if bits else 2 * count) or count == 0:
            return None
        if bits:
            return "coil", address, [body[i // 8] >> i % 8 & 1 for i in range(count)]
        return "holding", address, list(struct.unpack(f">{count}H", body))
    return None
