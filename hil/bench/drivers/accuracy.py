"""From an accuracy class to the error of one reading."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Accuracy"]

# Below this share of its range a meter is taken to err by its class at this share. Our rule, no
# standard's: it is no smaller than the wider limits of class 0.2 S to 1 meters at small current
# (IEC 62053-21 and -22, general knowledge) down to a hundredth of the range.
SMALL_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How far an instrument's reading may be from the truth.

    Attributes
    ----------
    class_pct : accuracy class [%], of the reading
    range : the value at which the instrument is nominally loaded, in the reading's unit
    resolution : smallest step of the reading, in its unit
    """

    class_pct: float
    range: float
    resolution: float = 0.0

    def at(self, value: float) -> float:
        """Return the half width of the error at `value`, in the reading's unit."""
        loaded = max(abs(value), SMALL_SHARE * self.range)
        return self.class_pct / 100.0 * loaded + 0.5 * self.resolution
