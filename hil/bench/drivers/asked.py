"""What a fake remembers of what it was asked."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Asked"]


@dataclass(frozen=True, slots=True)
class Asked:
    """One call: when [s, the bench's clock], which method, with what."""

    at_s: float
    method: str
    values: tuple[float | str | bool, ...] = ()
