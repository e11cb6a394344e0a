"""Twenty inputs that broke real Modbus servers, as data.

Each comes from a public report that the case names. What a device may do with an input is the
standard's: refuse it with an exception, end the connection, or say nothing; it may not execute it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag, auto

__all__ = ["Attack", "Case", "May", "Target", "adu", "cases"]

ILLEGAL = (1, 2, 3)
OTHER_UNITS = (*ILLEGAL, 10, 11)  # what a gateway may say of a unit that is not there


class May(Flag):
    """What may come of an attack."""

    REFUSE = auto()  # an exception
    CLOSE = auto()
    IGNORE = auto()  # no answer, and the next request is answered
    ANSWER = auto()  # a normal answer
    BREAK = auto()  # the next request on the same connection may stay without an answer


NO = May.REFUSE | May.CLOSE | May.IGNORE
LOST = NO | May.BREAK


@dataclass(frozen=True, slots=True)
class Target:
    """A device under test; addresses are those on the wire.

    Attributes
    ----------
    address, port, unit : where it answers
    read : function, first address and count of a read that it answers
    setting : a holding register that can be written and that nobody else writes
    coil : a coil that can be written, None where there is none
    last : the last holding register of its map
    """

    address: str = "127.0.0.1"
    port: int = 502
    unit: int = 1
    read: tuple[int, int, int] = (3, 0, 1)
    setting: int = 0
    coil: int | None = None
    last: int = 0

    @property
    def good(self) -> bytes:
        """Return the PDU of the read that is answered."""
        return struct.pack(">BHH", *self.read)


@dataclass(frozen=True, slots=True)
class Attack:
    """Bytes to be sent on a fresh connection.

    Attributes
    ----------
    name : within its case
    pieces : sent one after the other, `pause_s` apart
    may : what may come of it
    codes : exceptions that are right, where one comes
    answers : how many answers must come first (of ANSWER)
    pause_s : between pieces
    half_close : the sending side is closed then
    reset : the connection is reset instead
    """

    name: str
    pieces: tuple[bytes, ...]
    may: May = NO
    codes: tuple[int, ...] = ILLEGAL
    answers: int = 0
    pause_s: float = 0.0
    half_close: bool = False
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One of the twenty.

    Attributes
    ----------
    number : in the project's list
    title, title_zh : what it is
    source : who broke, and where that is written
    expectation : in words
    side : ``server`` (Modbus TCP), ``client``, ``serial`` or ``files``
    frames : attacks; none where the case is no bytes to a server
    """

    number: int
    title: str
    title_zh: str
    source: str
    expectation: str
    side: str
    frames: tuple[Attack, ...]


def adu(pdu: bytes, unit: int = 1, tid: int = 1, length: int | None = None) -> bytes:
    """Return a request with its header; `length` lies about how long it is."""
    return struct.pack(">HHHB", tid, 0, len(pdu) + 1 if length is None else length, unit) + pdu


def _requests(t: Target) -> dict[str, bytes]:
    """Return a right PDU of each function that writes or reads."""
    coil = 0 if t.coil is None else t.coil
    return {
        "1": struct.pack(">BHH", 1, coil, 1),
        "2": struct.pack(">BHH", 2, 0, 1),
        "3": struct.pack(">BHH", 3, t.setting, 1),
        "4": struct.pack(">BHH", 4, 0, 1),
        "5": struct.pack(">BHH", 5, coil, 0xFF00),
        "6": struct.pack(">BHH", 6, t.setting, 0x0101),
        "15": struct.pack(">BHHBB", 15, coil, 1, 1, 1),
        "16": struct.pack(">BHHBH", 16, t.setting, 1, 2, 0x0101),
        "22": struct.pack(">BHHH", 22, t.setting, 0, 0x0101),
        "23": struct.pack(">BHHHHBH", 23, t.setting, 1, t.setting, 1, 2, 0x0101),
        "43/14": bytes([43, 14, 1, 0]),
    }


def _lengths(t: Target) -> Iterator[Attack]:
    for length in (0, 1, 0x1000, 0xFFFF):
        yield Attack(f"length {length:#x}", (adu(t.good, t.unit, length=length),), LOST)
    yield Attack("length 2", (adu(t.good, t.unit, length=2),), LOST)


def _short_and_long(t: Target) -> Iterator[Attack]:
    good = adu(t.good, t.unit, 2)
    yield Attack("shorter than the request", (adu(t.good, t.unit, length=4) + good,), LOST)
    yield Attack("longer than the request", (adu(t.good, t.unit, length=8),), LOST)
    yield Attack("longer, the next one absorbed", (adu(t.good, t.unit, length=18) + good,), LOST)


def _hidden(t: Target) -> Iterator[Attack]:
    write = adu(struct.pack(">BHHBH", 16, t.setting, 1, 2, 0x0101), t.unit, 2)
    yield Attack("length 0x1d00", (adu(t.good, t.unit, length=0x1D00) + write,), LOST)
    yield Attack(
        "length of the longest request",
        (adu(t.good + write + bytes(254 - 1 - len(t.good) - len(write)), t.unit),),
        NO,
    )


def _unfinished(t: Target) -> Iterator[Attack]:
    half = adu(t.good, t.unit, length=200)
    yield Attack("then silence", (half,), LOST)
    yield Attack("then half-closed", (half,), LOST, half_close=True)
    yield Attack("header only, half-closed", (half[:6],), LOST, half_close=True)


def _too_long(t: Target) -> Iterator[Attack]:
    for size in (254, 260, 300, 1000):
        words = (size - 6) // 2
        pdu = struct.pack(">BHHB", 16, t.setting, words, 2 * words & 0xFF) + bytes(2 * words)
        yield Attack(f"PDU of {len(pdu)}", (adu(pdu, t.unit),), LOST)


def _bare(t: Target) -> Iterator[Attack]:
    asks_for_nothing = (7, 11, 12, 17)  # functions whose request is their number
    for function in range(256):
        may = NO | May.ANSWER if function in asks_for_nothing else NO
        yield Attack(f"function {function}", (adu(bytes([function]), t.unit),), may)


def _truncated(t: Target) -> Iterator[Attack]:
    for name, pdu in _requests(t).items():
        for cut in range(1, len(pdu)):
            yield Attack(f"function {name}, {cut} of {len(pdu)}", (adu(pdu[:cut], t.unit),))


def _quantities(t: Target) -> Iterator[Attack]:
    for function, most in ((1, 2000), (2, 2000), (3, 125), (4, 125)):
        for count in (0, most + 1, 2001, 0xFFFF):
            pdu = struct.pack(">BHH", function, 0, count)
            yield Attack(f"function {function}, quantity {count}", (adu(pdu, t.unit),))
        pdu = struct.pack(">BHH", function, 0xFFFF, 2)
        yield Attack(f"function {function}, past 65535", (adu(pdu, t.unit),))
    yield Attack("function 15, quantity 0", (adu(bytes([15, 0, 0, 0, 0, 0]), t.unit),))
    yield Attack("function 16, quantity 0", (adu(bytes([16, 0, 0, 0, 0, 0]), t.unit),))


def _byte_counts(t: Target) -> Iterator[Attack]:
    coil = 0 if t.coil is None else t.coil
    for said, sent in ((0, 2), (1, 2), (4, 2), (2, 4), (255, 2), (2, 0)):
        pdu = struct.pack(">BHHB", 16, t.setting, 1, said) + bytes(sent)
        yield Attack(f"function 16, says {said}, brings {sent}", (adu(pdu, t.unit),))
        pdu = struct.pack(">BHHB", 15, coil, 9, said) + bytes(sent)
        if (said, sent) != (2, 2):
            yield Attack(f"function 15, says {said}, brings {sent}", (adu(pdu, t.unit),))
    pdu = struct.pack(">BHHB", 16, t.setting, 123, 2) + bytes(2)
    yield Attack("function 16, 123 registers in 2 bytes", (adu(pdu, t.unit),))


def _read_write(t: Target) -> Iterator[Attack]:
    outside = struct.pack(">BHHHHBH", 23, t.setting, 1, (t.last + 1) & 0xFFFF, 1, 2, 0x0101)
    yield Attack("write outside", (adu(outside, t.unit),))
    far = struct.pack(">BHHHHBH", 23, t.setting, 1, 0xFFFF, 1, 2, 0x0101)
    yield Attack("write at the end of everything", (adu(far, t.unit),))
    yield Attack("truncated, as reported", (bytes.fromhex("03dd00000005ff17020000"),))
    overflow = bytes.fromhex("03dd0000000dff1701620001006a000102d711")
    yield Attack("below the map's start, as reported", (overflow,))


def _overflowing_answers(t: Target) -> Iterator[Attack]:
    for function in (1, 2, 3, 4):
        most = 2000 if function < 3 else 125
        pdu = struct.pack(">BHH", function, 0, most) + bytes(200)
        yield Attack(f"function {function}, most and 200 bytes behind", (adu(pdu, t.unit),))
    pdu = struct.pack(">BHHHHB", 23, t.setting, 125, t.setting, 121, 242) + bytes(100)
    yield Attack("function 23, most of both, cut", (adu(pdu, t.unit),))


def _errors(t: Target) -> Iterator[Attack]:
    stream = b"".join(adu(b"\x63", t.unit, i) for i in range(200))
    yield Attack("200 errors of 8 bytes", (stream,), May.REFUSE | May.CLOSE | May.BREAK)


def _connections(t: Target) -> Iterator[Attack]:
    for i in range(50):
        yield Attack(f"opened and closed, {i}", (), half_close=True, may=LOST)
    for i in range(10):
        yield Attack(f"reset, {i}", (adu(t.good, t.unit)[:5],), LOST, reset=True)
    drops = adu(t.good, t.unit)[:6]
    single = tuple(bytes([b]) for b in drops)
    # What comes next completes it, as a request to some unit: a gateway may say so.
    yield Attack("one byte at a time, never whole", single, LOST, OTHER_UNITS, pause_s=0.05)


def _units_and_streams(t: Target) -> Iterator[Attack]:
    other = struct.pack(">HHHB", 1, 1, 6, t.unit) + t.good
    yield Attack("protocol 1", (other,), LOST)
    for unit in (0, *range(248, 256)):
        if unit != t.unit:
            anything = NO | May.ANSWER
            yield Attack(f"unit {unit}", (adu(t.good, unit),), anything, OTHER_UNITS)
    good = [adu(t.good, t.unit, i) for i in range(50)]
    two = adu(t.good, (t.unit + 100) % 247 + 1, 7) + good[1]
    yield Attack("two units in one segment", (two,), May.ANSWER | May.REFUSE, OTHER_UNITS, 1)
    yield Attack("50 in one segment", (b"".join(good),), May.ANSWER, answers=50)
    yield Attack("two in one segment", (good[1] + good[2],), May.ANSWER, answers=2)
    for cut in range(1, len(good[0])):
        pieces = (good[0][:cut], good[0][cut:])
        yield Attack(f"split after {cut}", pieces, May.ANSWER, answers=1, pause_s=0.01)


def _rare_functions(t: Target) -> Iterator[Attack]:
    tries = {
        "8, unknown sub-function": bytes([8, 0x7F, 0xFF, 0, 0]),
        "8, clears counters, bytes behind": bytes([8, 0, 10, 1, 2, 3, 4]),
        "20, reference type 0": bytes([20, 7, 0, 0, 1, 0, 1, 0, 2]),
        "20, list that says 255": bytes([20, 255, 6, 0, 1, 0, 1, 0, 2]),
        "21, record longer than the request": bytes([21, 9, 6, 0, 4, 0, 7, 0, 99, 1, 2]),
        "22, nowhere": bytes([22, 0xFF, 0xFF, 0, 0, 0, 0]),
        "24, queue nowhere": bytes([24, 0xFF, 0xFF]),
        "43/14, code 0": bytes([43, 14, 0, 0]),
        "43/14, code 9": bytes([43, 14, 9, 0]),
        "43/14, unknown object": bytes([43, 14, 4, 0x70]),
        "43/13": bytes([43, 13, 0, 0, 0]),
        "43, nothing else": bytes([43]),
        "90, private": bytes([90, 0, 2]),
        "90, private and long": bytes([90, 0, 16]) + bytes(200),
    }
    for name, pdu in tries.items():
        may = NO | May.ANSWER if pdu[0] == 8 else NO
        yield Attack(f"function {name}", (adu(pdu, t.unit),), may)


def _unused(t: Target) -> Iterator[Attack]:
    beyond = (t.last + 1) & 0xFFFF
    yield Attack("read after the last", (adu(struct.pack(">BHH", 3, beyond, 1), t.unit),))
    yield Attack("read over the last", (adu(struct.pack(">BHH", 3, t.last, 2), t.unit),))
    yield Attack("write after the last", (adu(struct.pack(">BHH", 6, beyond, 1), t.unit),))
    pdu = struct.pack(">BHHBHH", 16, t.last, 2, 4, 1, 1)
    yield Attack("write over the last", (adu(pdu, t.unit),))
    yield Attack("coil 65535", (adu(struct.pack(">BHH", 5, 0xFFFF, 0xFF00), t.unit),))


def _other_protocols(t: Target) -> Iterator[Attack]:
    del t
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(194)
    yield Attack("TLS hello", (hello,), LOST)
    yield Attack("HTTP", (b"GET / HTTP/1.1\r\nHost: device\r\n\r\n",), LOST)
    yield Attack("IEC 60870-5-104 start", (bytes.fromhex("680407000000"),), LOST)
    yield Attack("SSH", (b"SSH-2.0-OpenSSH_9.6\r\n",), LOST)


def _lines(t: Target) -> Iterator[Attack]:
    """Yield what is put on a serial line: bytes that are no request."""
    unit = bytes([t.unit])
    yield Attack("wrong checksum", (unit + t.good + b"\0\0",), May.IGNORE)
    yield Attack("half a request", (unit + t.good[:3],), May.IGNORE)
    yield Attack("odd hex of ASCII mode", (b":0103000000A\r\n",), May.IGNORE)
    yield Attack("bad hex of ASCII mode", (b":01GG00000001FB\r\n",), May.IGNORE)
    yield Attack("noise", (bytes([0x55, 0xAA] * 20),), May.IGNORE)
    yield Attack("a promise of 255 bytes", (unit + bytes([16, 0, 0, 0, 123, 255, 1]),), May.IGNORE)


TITLES = (
    (1, "Header length 0, 1, 2, 4096, 65535", "报文头长度异常", _lengths,
     "libmodbus#810; CVE-2013-5741; ModbusForge#44", "an exception or close; no normal answer"),
    (2, "Length shorter or longer than the request", "长度与内容不符", _short_and_long,
     "libmodbus#848", "the length is the only boundary: an exception or close"),
    (3, "A read whose length hides a write", "读请求中夹带写请求", _hidden,
     "libmodbus#514", "the hidden write is not executed"),
    (4, "More promised than sent, then silence or half-close", "半截报文", _unfinished,
     "freemodbus#49; modbus-esp8266#387; conpot#623", "others are served; closed in the end"),
    (5, "PDU above 253 bytes", "超长报文", _too_long, "freemodbus#63", "close; nothing written"),
    (6, "A bare function code, all 256", "只有功能码", _bare,
     "libmodbus#837; modbus-esp8266#387", "an exception, never read past the end"),
    (7, "Every request cut at every byte", "逐字节截断", _truncated,
     "pymodbus#2698, #317; uModbus#53; givenergy-modbus#88", "an exception; the service goes on"),
    (8, "Quantity 0, too large, past 65535", "数量越限", _quantities,
     "CVE-2013-2784; libmodbus PR 105", "exception 2 or 3"),
    (9, "Byte count and quantity differ", "字节数与数量不符", _byte_counts,
     "CVE-2019-14462, CVE-2019-14463", "exception 3; nothing written"),
    (10, "Function 23 that writes outside or is cut", "读写请求越界", _read_write,
     "CVE-2022-0367; libmodbus#612, #614", "an exception; nothing written"),
    (11, "Requests whose answer would overflow", "应答溢出", _overflowing_answers,
     "CVE-2024-10918", "an exception"),
    (12, "A stream of errors", "连续错误请求", _errors,
     "libmodbus#874", "answered at once, others are not slowed"),
    (13, "Connections opened, closed, reset, dripping", "反复连接与慢速发送", _connections,
     "VDE-2026-042 (CVE-2026-35227)", "connections come back"),
    (14, "Protocol, units, many and split requests", "协议号、站号、粘包与拆包", _units_and_streams,
     "pymodbus#1949, #1922, #2933", "every whole request is answered, in order"),
    (15, "Rare functions with bad lists and sub-codes", "少用功能码与错误子码", _rare_functions,
     "CVE-2018-7849, -7852, -7853, -7846", "an exception"),
    (16, "A hostile server", "恶意从站", None,
     "CVE-2026-29972; CVE-2023-26793; CVE-2024-34244", "the client drops the answer"),
    (17, "Unused parts of the map", "未用地址区", _unused,
     "CVE-2018-20818; CVE-2024-36843", "exception 2; nothing written"),
    (18, "Files and the web side", "配置文件与网页", None,
     "CVE-2022-1068; CVE-2025-34226; CVE-2026-28205", "all problems said, nothing executed"),
    (19, "Noise on a serial line", "串行线路噪声", _lines,
     "pymodbus#2917", "ignored; the next request is answered"),
    (20, "Another protocol on the port", "端口上的其他协议", _other_protocols,
     "general knowledge", "close or silence, no answer"),
)  # fmt: skip
SIDES = {16: "client", 18: "files", 19: "serial"}


def cases(target: Target | None = None) -> list[Case]:
    """Return the twenty cases with the attacks for a device."""
    aimed = Target() if target is None else target
    return [
        Case(
            number, title, title_zh, source, expectation, SIDES.get(number, "server"),
            () if attacks is None else tuple(attacks(aimed)),
        )
        for number, title, title_zh, attacks, source, expectation in TITLES
    ]  # fmt: skip
