"""A Modbus device as the standard tells it: plain Python, slow, one dictionary of registers."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field

from hil.registers import codec
from hil.registers.schema import RegisterMap, WirePoint
from tests.registers.picture import Device, picture

READS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
WRITES = {5: "coil", 15: "coil", 6: "holding", 16: "holding"}
FAR = 256


class Refused(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


@dataclass
class Reference:
    """One device behind an address of its own.

    `written` collects what was accepted: name and raw value.
    """

    one: RegisterMap
    device: Device
    objects: dict[int, bytes]
    bounds: dict[str, tuple[float, float]]
    unit: int = 1
    refusal: int = 0
    written: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.first = picture(self.one, self.device)
        self.registers = dict(self.first)
        self.owner: dict[tuple[str, int], WirePoint] = {}
        for point in self.one.points:
            for i in range(point.width):
                self.owner.setdefault((point.table, point.address + i), point)
        self.parts: dict[str, dict[int, int]] = {}
        self.blocks = self._blocks()

    def reset(self, refusal: int = 0) -> Reference:
        """Return the device as it was at first."""
        self.registers, self.parts, self.written = dict(self.first), {}, []
        self.refusal = refusal
        return self

    def _blocks(self) -> list[tuple[str, int, int]]:
        """Return table, first and last address of registers that are near each other."""
        found: list[tuple[str, int, int]] = []
        for table, address in sorted(self.registers):
            if found and found[-1][0] == table and address - found[-1][2] <= FAR:
                found[-1] = (table, found[-1][1], address)
            else:
                found.append((table, address, address))
        return found

    def serve(self, data: bytes) -> tuple[bytes, bool]:
        """Answer a stream's bytes; return the answers, and whether the stream is broken."""
        answers = b""
        while True:
            if len(data) >= 4 and data[2:4] != b"\0\0":
                return answers, True
            if len(data) < 6:
                return answers, False
            length = int.from_bytes(data[4:6], "big")
            if not 2 <= length <= 254:
                return answers, True
            if len(data) < 6 + length:
                return answers, False
            answers += self.one_frame(data[: 6 + length])
            data = data[6 + length :]

    def one_frame(self, frame: bytes) -> bytes:
        unit, pdu = frame[6], frame[7:]
        if unit == 0:
            return b""
        if unit not in (self.unit, 255):
            if self.one.unknown_unit == "silence":
                return b""
            answer = bytes([pdu[0] | 0x80, 11])
        else:
            try:
                answer = self.pdu(pdu)
            except Refused as refused:
                answer = bytes([pdu[0] | 0x80, refused.code])
        return frame[:4] + struct.pack(">HB", len(answer) + 1, unit) + answer

    def pdu(self, pdu: bytes) -> bytes:
        function, body = pdu[0], pdu[1:]
        if function in READS:
            return self._read(function, body)
        if function in WRITES:
            return self._write(function, body)
        if function == 22:
            return self._mask(pdu)
        if function == 23:
            return self._both(body)
        if function == 43:
            return self._identity(body)
        raise Refused(1)

    # -- reads ---------------------------------------------------------------------------------

    def _read(self, function: int, body: bytes) -> bytes:
        if len(body) != 4:
            raise Refused(3)
        first, count = struct.unpack(">HH", body)
        table = READS[function]
        if not 1 <= count <= (2000 if function < 3 else 125):
            raise Refused(3)
        self._may_read(table, first, count)
        values = [self.registers.get((table, first + i), 0) for i in range(count)]
        if function < 3:
            packed = bytearray((count + 7) // 8)
            for i, value in enumerate(values):
                packed[i // 8] |= value << i % 8
            return bytes([function, len(packed)]) + packed
        return bytes([function, 2 * count]) + struct.pack(f">{count}H", *values)

    def _may_read(self, table: str, first: int, count: int) -> None:
        wanted = range(first, first + count)
        if not any(t == table and a <= first and wanted[-1] <= b for t, a, b in self.blocks):
            raise Refused(2)
        there = [(table, a) in self.registers for a in wanted]
        if self.one.gaps == "any" and not all(there):
            raise Refused(2)
        if self.one.gaps == "all" and not any(there):
            raise Refused(2)
        points = (self.owner.get((table, a)) for a in wanted)
        if any(p is not None and "r" not in p.access for p in points):
            raise Refused(2)

    # -- writes --------------------------------------------------------------------------------

    def _write(self, function: int, body: bytes) -> bytes:
        if len(body) < 4:
            raise Refused(3)
        first, second = struct.unpack(">HH", body[:4])
        values = [second]
        if function == 5:
            if second not in (0, 0xFF00):
                raise Refused(3)
            values = [second >> 15]
        if function in (5, 6):
            if len(body) != 4:
                raise Refused(3)
        else:
            if not 1 <= second <= (1968 if function == 15 else 123):
                raise Refused(3)
            size = (second + 7) // 8 if function == 15 else 2 * second
            if len(body) != 5 + size or body[4] != size:
                raise Refused(3)
            if function == 15:
                values = [body[5 + i // 8] >> i % 8 & 1 for i in range(second)]
            else:
                values = list(struct.unpack(f">{second}H", body[5:]))
        self._accept(WRITES[function], first, values)
        return bytes([function]) + body[:4]

    def _mask(self, pdu: bytes) -> bytes:
        if len(pdu) != 7:
            raise Refused(3)
        address, keep, given = struct.unpack(">HHH", pdu[1:])
        if not any(t == "holding" and a <= address <= b for t, a, b in self.blocks):
            raise Refused(2)
        now = self.registers.get(("holding", address), 0)
        point = self.owner.get(("holding", address))
        if point is not None:
            now = self.parts.get(point.name, {}).get(address, now)
        self._accept("holding", address, [(now & keep) | (given & ~keep & 0xFFFF)])
        return pdu

    def _both(self, body: bytes) -> bytes:
        if len(body) < 9:
            raise Refused(3)
        read, many, first, count, size = struct.unpack(">HHHHB", body[:9])
        if not 1 <= many <= 125 or not 1 <= count <= 121:
            raise Refused(3)
        if size != 2 * count or len(body) != 9 + size:
            raise Refused(3)
        self._may_read("holding", read, many)
        self._accept("holding", first, list(struct.unpack(f">{count}H", body[9:])))
        return b"\x17" + self._read(3, body[:4])[1:]

    def _accept(self, table: str, first: int, values: list[int]) -> None:
        """Write all of it or nothing."""
        wanted = {first + i: v for i, v in enumerate(values)}
        last = first + len(values) - 1
        if not any(t == table and a <= first and last <= b for t, a, b in self.blocks):
            raise Refused(2)
        points: list[WirePoint] = []
        for address in wanted:
            point = self.owner.get((table, address))
            if point is None or "w" not in point.access:
                raise Refused(2)
            whole = all(point.address + i in wanted for i in range(point.width))
            if not whole and point.partial != "latch":
                raise Refused(2)
            if point not in points:
                points.append(point)
        done: list[tuple[WirePoint, list[int]]] = []
        for point in points:
            own = range(point.address, point.address + point.width)
            known = self.parts.get(point.name, {}) | {a: wanted[a] for a in own if a in wanted}
            if len(known) == point.width:
                words = [known[a] for a in own]
                self._may_hold(point, words)
                done.append((point, words))
        if self.refusal:
            raise Refused(self.refusal)
        for point in points:
            own = range(point.address, point.address + point.width)
            self.parts.setdefault(point.name, {}).update({a: wanted[a] for a in own if a in wanted})
        for point, words in done:
            self.parts.pop(point.name)
            for i, word in enumerate(words):
                self.registers[(table, point.address + i)] = word
            self.written.append((point.name, _raw(point, self.one, words)))

    def _may_hold(self, point: WirePoint, words: list[int]) -> None:
        value = codec.decode(point, self.one.order, words)
        if not isinstance(value, float | int) or math.isinf(value):
            raise Refused(3)
        if point.low is not None and value < point.low - 1e-9 * abs(point.low):
            raise Refused(3)
        if point.high is not None and value > point.high + 1e-9 * abs(point.high):
            raise Refused(3)
        source = point.source
        if source is None or source.setpoint is None:
            return
        twin = (value - source.offset) / source.gain
        if source.per_rating:
            twin *= self.device.nameplate["rated_kw"]
        low, high = self.bounds[source.setpoint]
        if not low - 1e-9 * abs(low) <= twin <= high + 1e-9 * abs(high):
            raise Refused(3)

    # -- identity ------------------------------------------------------------------------------

    def _identity(self, body: bytes) -> bytes:
        if not body:
            raise Refused(3)
        if body[0] != 14:
            raise Refused(1)
        if len(body) != 3 or not 1 <= body[1] <= 4:
            raise Refused(3)
        code, wanted = body[1], body[2]
        if code == 4:
            if wanted not in self.objects:
                raise Refused(2)
            parts = [wanted]
        else:
            most = {1: 2, 2: 0x7F, 3: 0xFF}[code]
            if wanted not in self.objects or wanted > most:
                wanted = 0
            parts = [n for n in sorted(self.objects) if wanted <= n <= most]
        highest = max(self.objects)
        level = 0x81 if highest <= 2 else 0x82 if highest < 0x80 else 0x83
        answer, shown, more, following = b"", 0, 0, 0
        for number in parts:
            one = bytes([number, len(self.objects[number])]) + self.objects[number]
            if 7 + len(answer) + len(one) > 253:
                more, following = 255, number
                break
            answer += one
            shown += 1
        return bytes([43, 14, code, level, more, following, shown]) + answer


def _raw(point: WirePoint, one: RegisterMap, words: list[int]) -> int:
    """Return the number that the words of a point make in its byte order."""
    if point.type == "bit":
        return words[0]
    order = point.order or one.order
    if order in ("CDAB", "DCBA"):
        words = words[::-1]
    if order in ("BADC", "DCBA"):
        words = [(w & 0xFF) << 8 | w >> 8 for w in words]
    raw = 0
    for word in words:
        raw = raw << 16 | word
    return raw
