"""What ends a run under guard; each ends it in order, with every device told its safe state."""

from __future__ import annotations

from hil.bench.errors import BenchError
from twin.errors import RunBroken

__all__ = ["GuardLost", "GuardTripped"]


class GuardTripped(BenchError, RunBroken):
    """The guard has acted; the text says why. Nothing may be written any more."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the guard has brought the bench to its safe state: {why}")


class GuardLost(BenchError, RunBroken):
    """There is no guard, or it answers no more; nothing may be written but the safe state."""
