"""Modbus servers over a bank: TCP in two bodies, manners of bytes, serial lines."""

from hil.server.behaviour import WireManner
from hil.server.fastpath import Server
from hil.server.listen import Endpoint
from hil.server.rtu import SerialLine, SerialServer

__all__ = ["Endpoint", "SerialLine", "SerialServer", "Server", "WireManner"]
