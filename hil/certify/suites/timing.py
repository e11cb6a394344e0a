"""When something happened, as far as samples can tell: brackets, not single moments.

A value is known to within the half width of its instrument and a moment to within the time that
asking took (and the age that the value may have had). What a sample cannot decide is left open,
so that every time found here is an interval which holds the true one; half its width is the
uncertainty of the measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = [
    "CLOCK_S",
    "Moment",
    "Sampled",
    "at_least",
    "at_most",
    "first",
    "settled",
    "since",
    "within",
]


# Clocks of benches and devices count milliseconds or finer.
CLOCK_S = 1e-3


@dataclass(frozen=True, slots=True)
class Moment:
    """An interval of time [s] that holds the true moment; also a span of time."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """Middle of the interval [s]."""
        return 0.5 * (self.low + self.high)

    @property
    def half_width(self) -> float:
        """Half the interval's width [s]."""
        return 0.5 * (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Sampled:
    """One sample.

    Attributes
    ----------
    after_s, before_s : the sample shows the state of a moment between these [s]
    value : as read
    half_width : of the reading's error: class and resolution, in the value's unit
    """

    after_s: float
    before_s: float
    value: float
    half_width: float

    @property
    def low(self) -> float:
        """Least the true value may be."""
        return self.value - self.half_width

    @property
    def high(self) -> float:
        """Most the true value may be."""
        return self.value + self.half_width


Judge = Callable[[Sampled], bool | None]


def at_least(limit: float) -> Judge:
    """Return what says of a sample whether its true value is `limit` or more; None: open."""

    def judge(sample: Sampled) -> bool | None:
        if sample.low >= limit:
            return True
        return False if sample.high < limit else None

    return judge


def at_most(limit: float) -> Judge:
    """Return what says of a sample whether its true value is `limit` or less; None: open."""

    def judge(sample: Sampled) -> bool | None:
        if sample.high <= limit:
            return True
        return False if sample.low > limit else None

    return judge


def within(centre: float, half_band: float) -> Judge:
    """Return what says of a sample whether its true value lies within a band; None: open."""

    def judge(sample: Sampled) -> bool | None:
        if sample.low >= centre - half_band and sample.high <= centre + half_band:
            return True
        if sample.high < centre - half_band or sample.low > centre + half_band:
            return False
        return None

    return judge


def first(samples: Sequence[Sampled], judge: Judge) -> Moment | None:
    """Return when `judge` became true for the first time; None where it is at no sample.

    It became true after the last sample that is certainly not so before the first that may be.
    """
    low = samples[0].after_s if samples else 0.0
    open_yet = True
    for sample in samples:
        said = judge(sample)
        if said:
            return Moment(min(low, sample.before_s), sample.before_s)
        if said is False and open_yet:
            low = sample.after_s
        elif said is None:
            open_yet = False
    return None


def settled(samples: Sequence[Sampled], judge: Judge) -> Moment | None:
    """Return from when on `judge` is true for good; None where it is not at the last sample."""
    low, begin = (samples[0].after_s if samples else 0.0), None
    for sample in samples:
        said = judge(sample)
        if said is False:
            low = sample.after_s
        if not said:
            begin = None
        elif begin is None:
            begin = sample.before_s
    return None if begin is None else Moment(min(low, begin), begin)


def since(moment: Moment, start: Moment) -> Moment:
    """Return the span from `start` to `moment`; not below 0, the clocks' resolution in it."""
    low, high = moment.low - start.high - CLOCK_S, moment.high - start.low + CLOCK_S
    return Moment(max(low, 0.0), max(high, 0.0))
