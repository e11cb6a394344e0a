"""Which registers show a quantity, and in which steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hil.bench.fit.candidates import Candidate, candidates
from hil.bench.fit.quantities import Quantity
from hil.bench.recording import Block

__all__ = ["Match", "best_match", "plain_power", "plain_scale"]

F8 = NDArray[np.float64]
# What follows are choices of this fit (assumed), not limits of any standard.
LEAST_ROWS = 20  # moments at which both are known
LEAST_SHARE = 0.85  # of the moments, at which a register must agree with what it is to show
LEVER = 0.2  # moments with at least this share of the largest value tell the scale
CLOSE = 0.04  # a scale this near to a plain number is taken to be it: single errors are smaller
# The same for a charge that was counted over the nameplate's capacity: cells age, and the sensor
# errs; then only powers of ten count as plain.
CLOSE_COUNTED = 0.4
RIVALRY = 0.02  # shares that differ by less are held against each other where they disagree
NO_TRUER = 1.2  # a residual this many times as large is no larger
OWN_ERROR = 0.01  # of the largest value: what the device's own sensor may err


@dataclass(frozen=True, slots=True)
class Match:
    """A quantity found in registers: ``quantity = factor * raw + offset``.

    Attributes
    ----------
    candidate : where and how it stands
    quantity : what it shows
    factor : plain number where one is near, in the quantity's unit per step; sign included
    plain : whether `factor` is a plain number (1, 2, 2.5 or 5 times a power of ten)
    per_rating : factor is in the quantity's unit per percent of the rating, taken times 100
    exact : the factor as fitted
    offset : 0 but for counters that began before the recording
    share : of the moments, at which register and quantity agree
    residual : median of their difference, in the quantity's unit
    rivals : other places that agree as well, (table, address, type)
    doubts : what could not be told
    """

    candidate: Candidate
    quantity: Quantity
    factor: float
    plain: bool
    per_rating: bool
    exact: float
    offset: float
    share: float
    residual: float
    rivals: tuple[tuple[str, int, str], ...] = ()
    doubts: tuple[str, ...] = ()

    def values(self) -> F8:
        """Return float64[n], the quantity as the registers have it."""
        return self.factor * self.candidate.raw + self.offset


def plain_scale(factor: float, close: float = CLOSE) -> float | None:
    """Return the plain number nearest to a factor above 0, None where none is near.

    >>> plain_scale(0.0998), plain_scale(0.0258), plain_scale(3.0)
    (0.1, 0.025, None)
    """
    power = math.floor(math.log10(factor))
    for head in (1.0, 2.0, 5.0, 2.5):
        for exponent in (power, power + 1):
            number = float(f"{head:g}e{exponent:d}")
            if abs(factor / number - 1.0) <= close:
                return number
    return None


def plain_power(exact: float, rated_kw: float | None) -> tuple[float | None, bool]:
    """Return the plain number of kilowatts near a factor, and whether it is one of percents.

    A power of ten goes before a percentage of the rating that is one, and that before other
    plain numbers.

    >>> plain_power(0.0251, 250.0), plain_power(0.1, 100.0), plain_power(0.37, 250.0)
    ((0.025, True), (0.1, False), (None, False))
    """
    kilowatts = plain_scale(exact)
    per_cent = None if rated_kw is None else plain_scale(exact / rated_kw * 100.0)
    if kilowatts is not None and (per_cent is None or _is_power_of_ten(kilowatts)):
        return kilowatts, False
    if per_cent is None or rated_kw is None:
        return None, False
    if kilowatts is not None and not _is_power_of_ten(per_cent):
        return kilowatts, False
    return per_cent * rated_kw / 100.0, True


def _is_power_of_ten(number: float) -> bool:
    return f"{number:e}".startswith("1.000000e")


def best_match(
    quantity: Quantity,
    blocks: Sequence[Block],
    taken: set[tuple[str, int]],
    rated_kw: float | None,
) -> Match | None:
    """Return the place that shows a quantity best, None where none does.

    Parameters
    ----------
    taken : registers that show something else already
    rated_kw : for registers in percent of the rating, None: not known
    """
    sights = {id(b): _Sight.of(quantity, b) for b in blocks}
    found = [
        match
        for candidate in candidates(blocks)
        if (sight := sights[id(candidate.block)]) is not None
        and not candidate.places() & taken
        and (match := _match(candidate, sight, rated_kw)) is not None
    ]
    if not found:
        return None
    # Where any scale is plain, one that is not reads a neighbour into the number.
    found = [m for m in found if m.plain] or found
    found = [m for m in found if not any(_upper_half(n, m) for n in found)]
    most = max(m.share for m in found)
    near = [m for m in found if m.share >= most - RIVALRY]
    near.sort(key=lambda m: (abs(m.factor), -m.share, m.residual))
    best = _where_they_differ(near, quantity)
    same = [m for m in near if _says_the_same(m, best)]
    chosen, doubts = _form(same, quantity)
    rivals: dict[tuple[str, int], tuple[str, int, str]] = {}
    for match in near:
        one = match.candidate
        if not _says_the_same(match, best) and not one.places() & chosen.candidate.places():
            rivals.setdefault((one.table, one.address), (one.table, one.address, one.form.type))
    return _noted(chosen, tuple(rivals.values()), doubts)


@dataclass(frozen=True, slots=True)
class _Sight:
    """A quantity at the moments of a block at which it is known; `known` are the rows."""

    quantity: Quantity
    known: NDArray[np.bool_]
    wanted: F8
    losses: F8

    @classmethod
    def of(cls, quantity: Quantity, block: Block) -> _Sight | None:
        """Return it, None where too little is known."""
        wanted = quantity.at(block.time_s)
        known = np.isfinite(wanted)
        if int(known.sum()) < LEAST_ROWS:
            return None
        losses = quantity.losses_at(block.time_s)[known] if quantity.lossy else np.empty(0)
        return cls(quantity, known, wanted[known], losses)


def _match(candidate: Candidate, sight: _Sight, rated_kw: float | None) -> Match | None:
    quantity, wanted = sight.quantity, sight.wanted
    raw = candidate.raw[sight.known]
    if quantity.lossy:
        line = _with_losses(raw, wanted, sight.losses)
    else:
        line = _counted(raw, wanted) if quantity.counts else _level(raw, wanted)
    if line is None or (line[0] < 0.0 and not quantity.signed):
        return None
    exact, offset, error = line
    plain, per_rating = _plain(exact, quantity, rated_kw)
    if candidate.form.type == "f32" and plain is None:
        return None
    factor = math.copysign(exact if plain is None else plain, exact)
    if quantity.bounds is not None:
        low, high = quantity.bounds
        if not (low - 1e-9 <= factor * raw.min() and factor * raw.max() <= high + 1e-9):
            return None
    if quantity.lossy:
        offset = 0.0  # the register shows the level itself, of which only changes are known
    else:
        offset = float(np.median(wanted - factor * raw)) if quantity.counts else 0.0
        error = np.abs(wanted - factor * raw - offset)
    step = 0.0 if candidate.form.type == "f32" else abs(factor)
    largest = float(np.abs(wanted).max() if not quantity.counts else np.ptp(wanted))
    own_error = OWN_ERROR if quantity.own_error is None else quantity.own_error
    tolerance = 0.5 * step + quantity.error + own_error * largest
    if step > 0.5 * float(np.ptp(wanted)):
        return None
    share = float((error <= tolerance).mean())
    if share < LEAST_SHARE:
        return None
    return Match(
        candidate, quantity, factor, plain is not None, per_rating, exact, offset, share,
        float(np.median(error)),
    )  # fmt: skip


def _plain(exact: float, quantity: Quantity, rated_kw: float | None) -> tuple[float | None, bool]:
    """Return the plain factor nearest to a fitted one, and whether it is one of the rating."""
    if quantity.lossy:
        power = 10.0 ** round(math.log10(exact))
        near = quantity.rough or abs(exact / power - 1.0) <= CLOSE_COUNTED
        return (power if near else None), False
    if quantity.unit == "kW":
        return plain_power(abs(exact), rated_kw)
    return plain_scale(abs(exact)), False


def _level(raw: F8, wanted: F8) -> tuple[float, float, F8] | None:
    """Return (factor, 0, error) by the median of ratios where the lever is long."""
    lever = np.abs(wanted) >= LEVER * np.abs(wanted).max()
    lever &= raw != 0.0
    if int(lever.sum()) < LEAST_ROWS // 2:
        return None
    factor = float(np.median(wanted[lever] / raw[lever]))
    if factor == 0.0 or not math.isfinite(factor):
        return None
    return factor, 0.0, np.abs(wanted - factor * raw)


def _counted(raw: F8, wanted: F8) -> tuple[float, float, F8] | None:
    """Return (factor, offset, error) by least squares; None where either does not move."""
    return _regressed(raw, wanted, np.ones((len(raw), 1)))


def _with_losses(raw: F8, wanted: F8, losses: F8) -> tuple[float, float, F8] | None:
    """Return (factor, offset, error) where the register loses a share of what goes through."""
    return _regressed(raw, wanted, np.column_stack([np.ones(len(raw)), losses]))


def _regressed(raw: F8, wanted: F8, rest: F8) -> tuple[float, float, F8] | None:
    if np.ptp(raw) == 0.0 or np.ptp(wanted) == 0.0:
        return None
    matrix = np.column_stack([raw - raw[0], rest])
    weights, *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    factor, level = float(weights[0]), float(weights[1])
    if factor == 0.0 or not math.isfinite(factor):
        return None
    return factor, level - factor * raw[0], np.abs(wanted - matrix @ weights)


def _where_they_differ(near: list[Match], quantity: Quantity) -> Match:
    """Return the match that is nearer at the moments at which near matches disagree."""
    best = near[0]
    for other in near[1:]:
        if other.candidate.block is not best.candidate.block:
            continue
        wanted = quantity.at(best.candidate.block.time_s)
        apart = np.abs(other.values() - best.values()) > 2.0 * max(
            abs(best.factor), abs(other.factor), quantity.error
        )
        apart &= np.isfinite(wanted)
        if int(apart.sum()) < 3:
            continue
        ours, theirs = (
            float(np.mean(np.abs(m.values()[apart] - wanted[apart]))) for m in (best, other)
        )
        if theirs < ours:
            best = other
    return best


def _upper_half(narrow: Match, wide: Match) -> bool:
    """Return whether the upper registers of a wide reading say as much without the lower ones.

    The lower ones are then a neighbour: they make the steps finer and nothing truer.
    """
    own, whole = narrow.candidate, wide.candidate
    first = whole.form.order in ("ABCD", "BADC")
    upper = whole.address + (0 if first else whole.form.width - own.form.width)
    return (
        own.form.width < whole.form.width
        and own.block is whole.block
        and own.address == upper
        and (narrow.factor < 0.0) == (wide.factor < 0.0)
        and abs(narrow.factor) > 100.0 * abs(wide.factor)
        and narrow.residual <= NO_TRUER * wide.residual
    )


def _says_the_same(one: Match, other: Match) -> bool:
    return one.candidate.block is other.candidate.block and np.array_equal(
        one.candidate.raw, other.candidate.raw
    )


def _form(same: list[Match], quantity: Quantity) -> tuple[Match, tuple[str, ...]]:
    """Return the likelier of readings that say the same, and what remains in doubt.

    A pair of registers that are both at work can be read in one way only; where the upper one
    is idle the recording cannot tell a pair from a single register.
    """
    at_work = [m for m in same if m.candidate.form.width > 1 and not m.candidate.upper_is_idle()]
    pairs = [m for m in same if m.candidate.form.width == 2]
    singles = [m for m in same if m.candidate.form.width == 1]
    doubts = []
    if at_work:
        kept = at_work
    elif pairs and (quantity.wide or any(_sign_extended(m) for m in pairs)):
        kept = pairs
    elif singles:
        kept = singles
    else:
        kept = same
    if kept is not at_work and pairs and singles and not any(_sign_extended(m) for m in kept):
        size = 16 * kept[0].candidate.form.width
        doubts.append(
            f"16 or 32 bits cannot be told, the other register was always 0; taken as {size}"
        )
    negative = bool((kept[0].candidate.raw < 0.0).any())
    signed = [m for m in kept if m.candidate.form.type.startswith("i")]
    plain = [m for m in kept if not m.candidate.form.type.startswith("i")]
    if signed and plain and not negative:
        kept = signed if quantity.signed else plain
        if quantity.signed:
            form = kept[0].candidate.form.type
            doubts.append(f"signed or not cannot be told, it was never below 0; taken as {form}")
    return kept[0], tuple(doubts)


def _sign_extended(match: Match) -> bool:
    """Return whether a signed pair was negative, so that its upper register moved."""
    return match.candidate.form.width > 1 and bool((match.candidate.raw < 0.0).any())


def _noted(match: Match, rivals: tuple[tuple[str, int, str], ...], doubts: Iterable[str]) -> Match:
    more = [] if match.plain else [f"its scale is no plain number: {match.exact:.4g}"]
    if match.quantity.rough:
        more.append(f"its scale is a guess: {match.quantity.source}")
    return Match(
        match.candidate, match.quantity, match.factor, match.plain, match.per_rating, match.exact,
        match.offset, match.share, match.residual, rivals, (*doubts, *more),
    )  # fmt: skip
