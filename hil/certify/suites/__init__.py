"""Suites by name: the literal table of them."""

from hil.certify.procedure import Suite
from hil.certify.suites import (
    aircon,
    charger,
    interconnection,
    onboarding,
    protocol,
    register_map,
    robustness,
    storage,
    terminal,
)

__all__ = ["SUITES"]

SUITES: dict[str, Suite] = {
    "register-map": register_map.SUITE,
    "protocol": protocol.SUITE,
    "robustness": robustness.SUITE,
    "storage": storage.SUITE,
    "interconnection": interconnection.SUITE,
    "terminal": terminal.SUITE,
    "charger": charger.SUITE,
    "aircon": aircon.SUITE,
    "onboarding": onboarding.SUITE,
}
