"""A head-end for thousands of Modbus devices: polls, commands, connections, counters."""

from hil.headend.commands import Outcomes
from hil.headend.link import DeviceEntry, Habits
from hil.headend.poller import HeadEnd

__all__ = ["DeviceEntry", "Habits", "HeadEnd", "Outcomes"]
