"""What devices are certified with: so far the robustness suite, twenty inputs that broke others."""

from hil.certify.cases import Attack, Case, May, Target, cases
from hil.certify.hostile import LIES, HostileServer, Lie
from hil.certify.robustness import Finding, run

__all__ = [
    "LIES", "Attack", "Case", "Finding", "HostileServer", "Lie", "May", "Target", "cases", "run",
]  # fmt: skip
