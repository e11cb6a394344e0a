"""Devices with one fault each: what a certification must find, and the test of its suites.

``BROKEN`` is the catalogue by name; ``hil certify broken:NAME`` runs a suite on one of them.
"""

from hil.certify.broken.device import Broken
from hil.certify.broken.in_behaviour import IN_BEHAVIOUR
from hil.certify.broken.in_registers import IN_REGISTERS
from hil.certify.broken.on_the_wire import ON_THE_WIRE

__all__ = ["BROKEN", "Broken"]

BROKEN = {one.name: one for one in (*IN_REGISTERS, *ON_THE_WIRE, *IN_BEHAVIOUR)}
