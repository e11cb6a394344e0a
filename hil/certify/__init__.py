"""What devices are certified with: suites, procedures, evidence, records, certificates.

The twenty inputs that broke others, and the hostile server, can be used alone.
"""

from hil.certify.cases import Attack, Case, May, Target, cases
from hil.certify.hostile import LIES, HostileServer, Lie
from hil.certify.robustness import Finding, run

__all__ = [
    "LIES", "Attack", "Case", "Finding", "HostileServer", "Lie", "May", "Target", "cases", "run",
]  # fmt: skip
