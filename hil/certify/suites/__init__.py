"""Suites by name: the literal table of them."""

from hil.certify.procedure import Suite
from hil.certify.suites import protocol

__all__ = ["SUITES"]

SUITES: dict[str, Suite] = {
    "protocol": protocol.SUITE,
}
