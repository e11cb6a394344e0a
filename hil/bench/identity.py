"""What a device says of itself by function 43/14 (Modbus Application Protocol 1.1b3, 6.21)."""

from __future__ import annotations

from hil.bench.errors import Garbage, Refused
from hil.bench.line import Speaking

__all__ = ["NAMES", "identity_of"]

ENCAPSULATED, MEI = 43, 14
BASIC, REGULAR = 1, 2
HEAD = 6
MORE = 0xFF
MOST_ANSWERS = 64
NAMES = {
    0: "vendor", 1: "product", 2: "revision", 3: "url", 4: "name", 5: "model", 6: "application",
}  # fmt: skip


def identity_of(line: Speaking) -> dict[str, str]:
    """Return vendor, product, revision and what else a device tells; empty where it refuses.

    Basic objects and, where the device has them, regular ones; text that is no UTF-8 has marks in
    it. Raises LineDown, NoAnswer and Garbage.
    """
    found: dict[int, bytes] = {}
    for code in (BASIC, REGULAR):
        try:
            found |= _objects(line, code)
        except Refused:
            break
    return {
        NAMES.get(number, f"object {number}"): text.decode("utf-8", "replace")
        for number, text in sorted(found.items())
    }


def _objects(line: Speaking, code: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    following = 0
    for _ in range(MOST_ANSWERS):
        data = line.raw(ENCAPSULATED, bytes([MEI, code, following]))
        if len(data) < HEAD or data[0] != MEI:
            raise Garbage(line.name, "no device identification", data)
        more, following, count = data[3:HEAD]
        at = HEAD
        for _ in range(count):
            end = at + 2 + data[at + 1] if len(data) > at + 1 else len(data) + 1
            if len(data) < end:
                raise Garbage(line.name, "a device identification cut short", data)
            found[data[at]] = data[at + 2 : end]
            at = end
        if more != MORE or count == 0:
            break
    return found
