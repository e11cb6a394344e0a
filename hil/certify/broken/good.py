"""Good devices beside the broken ones: with all that their makers state, and no fault."""

from __future__ import annotations

from collections.abc import Callable

from hil.certify.broken import fields
from hil.certify.broken.specimen import Specimen
from hil.certify.emulated import rest_s
from hil.registers.schema import RegisterMap
from twin.assets.manners import Manner

__all__ = ["GOOD", "HEARTBEAT_S", "MIN_OFF_S"]

HEARTBEAT_S, MIN_OFF_S = 60, 180  # of their timers (assumed)


def _good(
    name: str,
    documented: str,
    edit: Callable[[RegisterMap], RegisterMap] = lambda one: one,
    manner: Manner | None = None,
    **declared: float,
) -> Specimen:
    return Specimen(
        name, documented, "", "", "", "it has no fault",
        edit=edit, manner=manner, declared=declared,
    )  # fmt: skip


GOOD = (
    _good(
        "good-storage", "storage-own", manner=Manner(heartbeat_s=HEARTBEAT_S),
        heartbeat_s=HEARTBEAT_S,
    ),
    _good("good-storage-hole", "storage-own", fields.with_hole),
    _good("good-storage-sunspec", "storage-sunspec-7xx"),
    _good("good-terminal", "terminal-own"),
    _good("good-charging", "charging-own"),
    _good("good-charging-post", "charging-post"),
    _good(
        "good-aircon", "aircon-own", manner=Manner(min_off_s=MIN_OFF_S),
        min_off_s=rest_s(MIN_OFF_S),
    ),
    _good("good-solar", "solar-sunspec-7xx"),
)  # fmt: skip
