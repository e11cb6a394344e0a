"""Devices with one fault each: what a certification must find, and the test of its suites.

``BROKEN`` is the catalogue by name; ``hil certify broken:NAME`` runs a suite on one of them.
``GOOD`` are devices without a fault, in which nothing may be found.
"""

from hil.certify.broken.good import GOOD as _GOOD
from hil.certify.broken.in_behaviour import IN_BEHAVIOUR
from hil.certify.broken.in_registers import IN_REGISTERS
from hil.certify.broken.of_other_kinds import OF_OTHER_KINDS
from hil.certify.broken.on_the_wire import ON_THE_WIRE
from hil.certify.broken.specimen import Specimen

__all__ = ["BROKEN", "GOOD", "Specimen"]

BROKEN = {one.name: one for one in (*IN_REGISTERS, *ON_THE_WIRE, *IN_BEHAVIOUR, *OF_OTHER_KINDS)}
GOOD = {one.name: one for one in _GOOD}
