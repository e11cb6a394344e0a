"""Modbus RTU over a serial line or pseudo-terminal, through pymodbus, from the same bank.

pymodbus carries the line. What it would answer from its own data store is answered by our kernel
instead: every function is registered as a custom request that keeps its bytes (documented), and
the server's `context` and `framer` are replaced after it is made. These two are the only place
where this project leans on what pymodbus does not promise; a test fails when it changes.

A request ends where its checksum is right, by its function's size or with all that has come. What
is not a request is thrown away after a silence, as the standard has it: nothing in a broken frame
tells where the next one begins.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pymodbus.exceptions import NoSuchIdException
from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from hil.kernels import modbus as mb
from hil.kernels.image import Bank, Layout
from hil.kernels.protocol import answer
from hil.server.behaviour import GAPS, Act, Behaviour, Link, WireManner
from twin.errors import InputProblems, Problem

__all__ = ["SerialLine", "SerialServer"]

SHORTEST, LONGEST = 4, 256
MOST_UNITS = 247
# Silence that ends a request [s]; the standard's 3.5 characters are lost in an operating system.
GAP_S = 0.05
JOIN_S = 10.0
# Bytes of a request by function, checksum and unit included; in the second table the place of the
# byte count and what comes beside the bytes it counts.
FIXED = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 22: 10, 43: 7}
COUNTED = {15: (6, 9), 16: (6, 9), 23: (10, 13)}


@dataclass(frozen=True, slots=True)
class SerialLine:
    """A serial line; `port` is a device such as ``/dev/ttyUSB0``, or a pseudo-terminal."""

    port: str
    baudrate: int = 9600
    bytesize: int = 8
    parity: Literal["N", "E", "O"] = "N"
    stopbits: int = 1


def _size(data: bytes) -> int:
    """Return how long the request at the beginning of `data` is by its function; 0: not known."""
    if len(data) < 2:
        return 0
    if data[1] in COUNTED:
        place, beside = COUNTED[data[1]]
        return beside + data[place] if len(data) > place else 0
    return FIXED.get(data[1], 0)


class _Framer(FramerRTU):
    """Finds requests by checksum and silence."""

    def __init__(self, decoder: DecodePDU) -> None:
        super().__init__(decoder)
        self._seen, self._seen_s = 0, 0.0

    def decode(self, data: bytes) -> tuple[int, int, int, bytes]:
        """Return bytes used, unit, 0, PDU; nothing used: wait for more."""
        now_s = time.monotonic()
        old = self._seen if now_s - self._seen_s > GAP_S and self._seen <= len(data) else 0
        self._seen, self._seen_s = 0, now_s
        fresh = data[old:]
        for size in (_size(fresh), len(fresh)):
            if SHORTEST <= size <= min(len(fresh), LONGEST) and self._right(fresh[:size]):
                if fresh[1] & 0x80:  # another device's refusal
                    return old + size, 0, 0, b""
                return old + size, fresh[0], 0, fresh[1 : size - 2]
        self._seen = len(fresh)
        return old, 0, 0, b""

    def _right(self, whole: bytes) -> bool:
        return self.check_CRC(whole[:-2], int.from_bytes(whole[-2:], "big"))


class _Answer(ModbusPDU):
    """A PDU that is made already; it keeps its unit whatever comes meanwhile."""

    def __init__(self, unit: int, pdu: bytes) -> None:
        self.unit, self.pdu = unit, pdu
        super().__init__()
        self.function_code = pdu[0]

    @property
    def dev_id(self) -> int:
        return self.unit

    @dev_id.setter
    def dev_id(self, given: int) -> None:
        """Keep the unit that was asked."""

    def encode(self) -> bytes:
        return self.pdu[1:]


class _Request(ModbusPDU):
    """Any request, as bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = b""

    def decode(self, data: bytes) -> None:
        self.body = data

    async def datastore_update(self, context: Any, device_id: int) -> ModbusPDU:
        """Answer through `context`, the server's `_Context`."""
        pdu = await context.answer(device_id, bytes([self.function_code]) + self.body)
        if pdu is None:
            # With `ignore_missing_devices` this is pymodbus's way to say nothing.
            raise NoSuchIdException("silence")
        return _Answer(device_id, pdu)


REQUESTS: list[type[ModbusPDU]] = [
    type(f"_Request{number}", (_Request,), {"function_code": number}) for number in range(128)
]


class _Context:
    """Answers PDUs from the bank, manners included."""

    CLOSED: ClassVar[tuple[Act, ...]] = (Act.LOSE, Act.HANG_UP)  # a line cannot hang up

    def __init__(self, server: SerialServer) -> None:
        self.server = server
        self.out = np.zeros(mb.LONGEST_ADU, np.uint8)
        self.links: dict[int, Link] = {}

    def device_ids(self) -> list[int]:
        """Return the units on the line, as pymodbus asks for them."""
        return list(self.server.device_of)

    async def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """Return the PDU that answers another, None for silence."""
        server = self.server
        device = server.device_of.get(unit)
        if device is None:
            return None
        server.requests += 1
        if server.bank.silent[device] == 1:
            return None
        behaviour = server.behaviours.get(device)
        if behaviour is not None:
            now_s = time.monotonic()
            reaction = behaviour.react(self.links.setdefault(device, Link()), False, now_s)
            if reaction.act in self.CLOSED:
                return None
            await asyncio.sleep(max(reaction.due_s - now_s, 0.0))
            if reaction.act == Act.REFUSE:
                server.bank.refused[server.lane, device] += 1
                return bytes([pdu[0] | 0x80, reaction.code])
        own = int(server.bank.unit[device])  # which it may have elsewhere, by TCP
        head = bytes(4) + (len(pdu) + 1).to_bytes(2, "big") + bytes([own])
        frame = np.frombuffer(head + pdu, np.uint8).copy()  # the kernel is compiled for writable
        end = answer(
            server.bank, server.layout, (server.lane, device, 1), frame, (0, len(frame)),
            time.monotonic_ns(), self.out, 0,
        )  # fmt: skip
        return self.out[mb.PDU_AT : end].tobytes() if end > 0 else None


class SerialServer:
    """Serves devices on one serial line, from `start` to `stop` or inside a ``with``.

    Raises InputProblems: for every unit, device and lane that cannot be, and in `start` where the
    line cannot be opened.

    Parameters
    ----------
    bank, layout : what devices hold
    line : where
    units : devices by unit number, 1 to 247; or devices, each with the number that the bank has
    lane : of the bank's queue; no other server may write to it
    manners, seed : by device
    """

    def __init__(
        self,
        bank: Bank,
        layout: Layout,
        line: SerialLine,
        units: Mapping[int, int] | Sequence[int],
        lane: int,
        manners: Mapping[int, WireManner] | None = None,
        seed: int = 0,
    ) -> None:
        self.bank, self.layout, self.line, self.lane, self.seed = bank, layout, line, lane, seed
        if isinstance(units, Mapping):
            self.device_of = dict(units)
        else:
            self.device_of = {int(bank.unit[d]): d for d in units}
            if len(self.device_of) < len(units):
                raise ValueError(f"{line.port}: two devices with one unit number")
        self._check()
        self._own_gaps = bank.gaps.copy()
        self.behaviours: dict[int, Behaviour] = {}
        for device, manner in (manners or {}).items():
            self.set_manner(device, manner)
        self.requests = self.spoilt = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._error: BaseException | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=line.port, daemon=True)

    def _check(self) -> None:
        port = self.line.port
        known, lanes = len(self.bank.base), len(self.bank.queue_count)
        found = [
            Problem(
                port,
                f"unit {unit}",
                f"device {device}",
                f"units 1 to 247, devices 0 to {known - 1}",
            )
            for unit, device in self.device_of.items()
            if not (1 <= unit <= MOST_UNITS and 0 <= device < known)
        ]
        if not 0 <= self.lane < lanes:
            found.append(Problem(port, "lane", str(self.lane), f"0 to {lanes - 1}"))
        if found:
            raise InputProblems(found)

    def start(self) -> None:
        """Open the line and serve."""
        frame, out = np.zeros(12, np.uint8), np.zeros(mb.LONGEST_ADU, np.uint8)
        # Compiled before the first client asks: to unit 0 nobody answers.
        answer(self.bank, self.layout, (self.lane, 0, 1), frame, (0, 12), 0, out, 0)
        self._thread.start()
        self._ready.wait()
        if self._error is not None:
            self._thread.join(JOIN_S)
            fix = "a serial line that nobody else has open, in one of `ls /dev/tty*`"
            problem = Problem("serial line", self.line.port, str(self._error), fix)
            raise InputProblems([problem]) from self._error

    def stop(self) -> None:
        """Close the line."""
        if self._loop is not None and self._error is None:
            self._loop.call_soon_threadsafe(self._done.set)
        if self._thread.is_alive():
            self._thread.join(JOIN_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def set_manner(self, device: int, manner: WireManner | None) -> None:
        """Give a device a manner, or take it away."""
        if manner is None:
            self.behaviours.pop(device, None)
        else:
            self.behaviours[device] = Behaviour(manner, self.seed, device)
        gaps = None if manner is None else manner.gaps
        self.bank.gaps[device] = self._own_gaps[device] if gaps is None else GAPS[gaps]

    def stats(self) -> dict[str, int]:
        """Return counters.

        ``requests`` to our units, answers ``spoilt``, ``violations`` of least gaps, requests
        ``lost`` by manners.
        """
        known = self.behaviours.values()
        return {
            "requests": self.requests,
            "spoilt": self.spoilt,
            "violations": sum(b.violations for b in known),
            "lost": sum(b.lost for b in known),
        }

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:  # whatever a line has: start() says so
            self._error = error
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._done = asyncio.get_running_loop(), asyncio.Event()
        line = self.line
        server = ModbusSerialServer(
            SimDevice(1, [SimData(0, datatype=DataType.REGISTERS)]),
            port=line.port,
            baudrate=line.baudrate,
            bytesize=line.bytesize,
            parity=line.parity,
            stopbits=line.stopbits,
            ignore_missing_devices=True,
            trace_packet=self._trace,
            custom_pdu=REQUESTS,
        )
        server.context = _Context(self)  # type: ignore[assignment]
        server.framer = _Framer
        await server.serve_forever(background=True)
        self._ready.set()
        await self._done.wait()
        await server.shutdown()  # type: ignore[no-untyped-call]

    def _trace(self, sending: bool, data: bytes) -> bytes:
        """Spoil the checksum of an answer where the device's manner says so."""
        behaviour = self.behaviours.get(self.device_of.get(data[0], -1)) if sending else None
        if behaviour is None or not behaviour.bad_crc():
            return data
        self.spoilt += 1
        return data[:-1] + bytes([data[-1] ^ 0xFF])
