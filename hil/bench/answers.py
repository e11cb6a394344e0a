"""Whether bytes answer a request: stricter than the library, which forgives what tests look for.

A reply by TCP or TLS is one MBAP frame (Modbus Messaging on TCP/IP 1.0b, 3.1.3), by RTU an
address, a PDU and a checksum (Modbus over Serial Line 1.02, 2.5.1).
"""

from __future__ import annotations

from collections.abc import Sequence

from pymodbus.framer.rtu import FramerRTU

__all__ = ["Wrong", "check_echo", "count_bits", "count_registers", "pdu_of_rtu", "pdu_of_tcp"]

HEAD = 7
LONGEST = 254  # unit and PDU


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
