"""Whether bytes answer a request: stricter than the library, which forgives what tests look for.

A reply by TCP or TLS is one MBAP frame (Modbus Messaging on TCP/IP 1.0b, 3.1.3), by RTU an
address, a PDU and a checksum (Modbus over Serial Line 1.02, 2.5.1).
"""

from __future__ import annotations

from collections.abc import Sequence

from pymodbus.framer.rtu import FramerRTU

__all__ = [
    "Wrong",
    "check_echo",
    "count_bits",
    "count_registers",
    "pdu_of_rtu",
    "pdu_of_tcp",
    "size_of_rtu",
]

HEAD = 7
LONGEST = 254  # unit and PDU
# Answers on a serial line: with a count in their third byte, and of fixed length.
COUNTED = (1, 2, 3, 4, 12, 17, 20, 21, 23)
FIXED = {5: 8, 6: 8, 7: 5, 11: 8, 15: 8, 16: 8, 22: 10}
IDENTIFICATION = (43, 14)
OBJECTS = 8  # where the first object of an identification stands


class Wrong(Exception):
    """The bytes are no answer; the text says why. `late`: only answers to earlier requests."""

    def __init__(self, text: str, late: bool = False) -> None:
        self.late = late
        super().__init__(text)


def pdu_of_tcp(sent: bytes, got: bytes) -> bytes:
    """Return the PDU that answers the MBAP frame `sent`; answers to earlier ones are passed over.

    Raises Wrong.
    """
    tid, unit = int.from_bytes(sent[:2], "big"), sent[6]
    late = False
    while got:
        if len(got) < HEAD + 1:
            raise Wrong("half an answer")
        if got[2:4] != b"\0\0":
            raise Wrong(f"protocol {int.from_bytes(got[2:4], 'big')}, not 0")
        length = int.from_bytes(got[4:6], "big")
        if not 2 <= length <= LONGEST:
            raise Wrong(f"length {length} in the header, not 2 to {LONGEST}")
        if len(got) < 6 + length:
            raise Wrong(f"length {length} in the header, {len(got) - 6} came")
        frame, got = got[: 6 + length], got[6 + length :]
        its = int.from_bytes(frame[:2], "big")
        if its == tid:
            if frame[6] != unit:
                raise Wrong(f"unit {frame[6]} answers for unit {unit}")
            if got:
                raise Wrong("bytes after the answer")
            return _of_function(sent[HEAD], frame[HEAD:])
        if not 0 < its < tid:
            raise Wrong(f"transaction {its}, not {tid}")
        late = True
    raise Wrong("an answer to an earlier request only", late)


def pdu_of_rtu(sent: bytes, got: bytes) -> bytes:
    """Return the PDU that answers the RTU frame `sent`; noise before it is passed over.

    Raises Wrong.
    """
    unit = sent[0]
    for first in range(len(got) - 4):
        frame = got[first:]
        check = int.from_bytes(frame[-2:], "big")
        if FramerRTU.check_CRC(frame[:-2], check):
            if frame[0] != unit:
                raise Wrong(f"unit {frame[0]} answers for unit {unit}")
            return _of_function(sent[1], frame[1:-2])
    raise Wrong("no right checksum")


def size_of_rtu(got: bytes) -> int:
    """Return how long the RTU answer at the beginning of `got` is; 0 while that is not known.

    The standard's own functions say it; of any other function all that came is the answer.
    """
    if len(got) < 3:
        return 0
    function = got[1]
    if function in COUNTED:
        return 5 + got[2]
    if function in FIXED:
        return FIXED[function]
    if function == IDENTIFICATION[0] and got[2] == IDENTIFICATION[1]:
        return _size_of_identity(got)
    return len(got)


def _size_of_identity(got: bytes) -> int:
    """Return the length of an answer to function 43/14, 0 while that is not known."""
    at = OBJECTS
    if len(got) < at:
        return 0
    for _ in range(got[at - 1]):
        if len(got) < at + 2:
            return 0
        at += 2 + got[at + 1]
    return at + 2


def _of_function(function: int, pdu: bytes) -> bytes:
    if pdu[0] & 0x7F != function:
        raise Wrong(f"function {pdu[0]} answers function {function}")
    if pdu[0] & 0x80:
        if len(pdu) != 2:
            raise Wrong(f"an exception of {len(pdu)} bytes, not 2")
        if pdu[1] == 0:
            raise Wrong("exception 0")
    return pdu


def count_registers(pdu: bytes, count: int) -> list[int]:
    """Return the `count` registers that a read was answered with; raises Wrong."""
    _counted(pdu, 2 * count)
    return [int.from_bytes(pdu[2 + 2 * i : 4 + 2 * i], "big") for i in range(count)]


def count_bits(pdu: bytes, count: int) -> list[int]:
    """Return the `count` bits that a read was answered with; raises Wrong."""
    _counted(pdu, -(-count // 8))
    return [pdu[2 + i // 8] >> i % 8 & 1 for i in range(count)]


def _counted(pdu: bytes, size: int) -> None:
    if len(pdu) < 2 or pdu[1] != size or len(pdu) != 2 + size:
        says = pdu[1] if len(pdu) > 1 else "no"
        raise Wrong(f"{says} bytes announced, {max(len(pdu) - 2, 0)} came, {size} asked for")


def check_echo(pdu: bytes, address: int, second: int | Sequence[int]) -> None:
    """Raise Wrong where a write's answer does not repeat its address and value or count."""
    allowed = [second] if isinstance(second, int) else list(second)
    if len(pdu) != 5:
        raise Wrong(f"an answer of {len(pdu)} bytes to a write, not 5")
    its, value = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
    if its != address or value not in allowed:
        raise Wrong(f"answers address {its} and {value}, not {address} and {allowed[0]}")
