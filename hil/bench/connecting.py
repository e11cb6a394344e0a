"""How a line is reached, and why it cannot be."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import serial
from pymodbus.client import ModbusSerialClient, ModbusTcpClient, ModbusTlsClient
from pymodbus.exceptions import ConnectionException

from twin.errors import InputProblems, Problem

__all__ = ["Connection", "LineSpec", "connection", "tls_context", "why_not"]

MOST_BYTES = 4096
HEAD = 6  # of an MBAP frame, the length included
LONGEST = 254  # that it may say
Trace = Callable[[bool, bytes], bytes]


@dataclass(frozen=True, slots=True)
class LineSpec:
    """Where a unit is reached.

    Attributes
    ----------
    transport : ``tcp``, ``tls`` or ``rtu``
    host, port : IPv4 address or name, for TCP (502) and TLS (802)
    serial : device of a serial line, such as ``/dev/ttyUSB0``, or a pseudo-terminal
    baud, parity, stopbits : of the serial line
    unit : 1 to 247, by TCP 0 to 255
    timeout_s : for a connection, and for each answer
    gap_s : from an answer to the next request at least; some devices lose what comes sooner
        (evcc-io/evcc#32235: 50 ms)
    multiple_only : also one register is written by function 16, one coil by function 15
    settle_s : from a connection to the first request (Akulatraxas/ha-modbusproxy#8: 1 to 2 s)
    ca : PEM file of who signed the device's certificate (or the certificate itself), TLS
    certificate, key : PEM files of our own certificate, where the device asks for one
    """

    transport: Literal["tcp", "tls", "rtu"] = "tcp"
    host: str = "127.0.0.1"
    port: int = 502
    serial: str = ""
    baud: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    unit: int = 1
    timeout_s: float = 1.0
    ca: str = ""
    certificate: str = ""
    key: str = ""
    gap_s: float = 0.0
    settle_s: float = 0.0
    multiple_only: bool = False

    @property
    def place(self) -> str:
        """Return the connection, without the unit, as a person would write it."""
        if self.transport == "rtu":
            return self.serial
        return f"{'tls:' if self.transport == 'tls' else ''}{self.host}:{self.port}"


class _Waiting(ModbusTcpClient):
    """Waits for data in the socket: pymodbus's select knows no descriptor above 1023.

    A testbed that serves thousands of devices has more.
    """

    def recv(self, size: int | None) -> bytes:
        """Return what has come, nothing at the time-out; ConnectionException at the end."""
        one = self.socket
        if one is None:
            raise ConnectionException(str(self))
        try:
            one.settimeout(self.comm_params.timeout_connect)
            data = one.recv(MOST_BYTES if size is None else size)
        except TimeoutError:
            return b""
        except OSError:
            data = b""
        if data == b"":
            self.close()  # type: ignore[no-untyped-call]
            raise ConnectionException(str(self))
        return data


class _Secret(_Waiting, ModbusTlsClient):
    """The same inside TLS; waits for a whole frame, which pymodbus takes every record for."""

    def recv(self, size: int | None) -> bytes:
        """Return a frame, or what there is of it when time is out."""
        end_s = time.monotonic() + self.comm_params.timeout_connect
        data = part = super().recv(size)
        while part and len(data) < _announced(data) and time.monotonic() < end_s:
            part = super().recv(size)
            data += part
        return data


def _announced(data: bytes) -> int:
    """Return how long the frame at the beginning of `data` says that it is."""
    if len(data) < HEAD:
        return HEAD
    length = int.from_bytes(data[4:HEAD], "big")
    return HEAD + length if length <= LONGEST else 0


Connection = ModbusTcpClient | ModbusSerialClient


def connection(spec: LineSpec, trace: Trace) -> Connection:
    """Return a client that is not connected and asks nothing twice.

    Raises InputProblems where the files of a TLS line cannot be used.
    """
    if spec.transport == "rtu":
        return ModbusSerialClient(
            spec.serial, baudrate=spec.baud, parity=spec.parity, stopbits=spec.stopbits,
            timeout=spec.timeout_s, retries=0, trace_packet=trace,
        )  # fmt: skip
    if spec.transport == "tls":
        return _Secret(
            spec.host, port=spec.port, sslctx=tls_context(spec), timeout=spec.timeout_s,
            retries=0, trace_packet=trace,
        )  # fmt: skip
    return _Waiting(
        spec.host, port=spec.port, timeout=spec.timeout_s, retries=0, trace_packet=trace
    )


def tls_context(spec: LineSpec) -> ssl.SSLContext:
    """Return the TLS settings of a line: 1.2 or newer, the device's certificate is checked.

    It is held against `ca` alone and not against the host's name, which field devices do not
    have. Raises InputProblems.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    found = []
    try:
        context.load_verify_locations(cafile=spec.ca)
    except (OSError, ValueError) as error:
        found.append(Problem(spec.place, "ca", _told(spec.ca, error), "a PEM file"))
    if spec.certificate:
        try:
            context.load_cert_chain(spec.certificate, spec.key or None)
        except (OSError, ValueError) as error:
            told = _told(spec.certificate, error)
            allowed = "a PEM file, and its private key in `key`"
            found.append(Problem(spec.place, "certificate", told, allowed))
    if found:
        raise InputProblems(found)
    return context


def why_not(spec: LineSpec) -> str:
    """Return why a line cannot be opened, by trying once more; call it after a failure only."""
    try:
        if spec.transport == "rtu":
            serial.Serial(spec.serial, spec.baud, exclusive=True).close()
        else:
            with socket.create_connection((spec.host, spec.port), spec.timeout_s) as plain:
                if spec.transport == "tls":
                    tls_context(spec).wrap_socket(plain).close()
    except ssl.SSLCertVerificationError as error:
        return f"the device's certificate is not trusted: {error.verify_message}"
    except TimeoutError:
        return f"nobody there: no connection within {spec.timeout_s:g} s"
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        return f"cannot be opened: {text}"
    return "cannot be opened, and could be a moment later"


def _told(path: str, error: Exception) -> str:
    if not path:
        return "missing"
    if not Path(path).is_file():
        return f"{path!r} does not exist"
    return f"{path!r}: {getattr(error, 'strerror', None) or error}"
