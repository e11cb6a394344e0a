"""A run beside its counterfactual, and the arithmetic of windows.

The counterfactual is the same city with the same chance without the order that is judged and
without any later one. Delta is run minus counterfactual; a reduction is counterfactual minus
run, at the meters of sites. Windows are [from, to) and end with the run at the latest; 15-minute
means are aligned with the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twin.clock import MINUTE_MS
from twin.record.exchange import Inventory
from twin.record.history import History
from twin.record.orders import Order, OrderForm
from twin.units import KW_PER_MW

__all__ = ["Evidence", "Pair", "Span", "quarter_means"]

Floats: TypeAlias = NDArray[np.float64]
QUARTER_MIN = 15
_CHUNK_MINUTES = 64  # keeps the float64 copy of a table of 30 000 sites small


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one order is judged on.

    Attributes
    ----------
    order : as last changed
    run : R_i, with this order and those before it
    counterfactual : R_(i-1), the fork at the notice without this order and any later one
    capability : fork at the notice with the capability call in the order's place, or None
    undisturbed : R_0, the day without any order
    inventory : what is registered
    end_ms : end of the scenario
    outside : the platform was outside (on the wire) and could not be asked what it has
    sustained : the calls in which each device was to hold what it can, with their forks
    history_days : days before the event whose meters the logic was given
    gaming : int64[sites]  group of owners who bend their baseline, -1: honest; None where nobody
        does
    """

    order: Order
    run: History
    counterfactual: History
    capability: History | None
    undisturbed: History
    inventory: Inventory
    end_ms: int
    outside: bool = False
    sustained: Sequence[tuple[Order, History]] = ()
    history_days: int = 0
    gaming: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Rows ``first:stop`` of a pair, one a minute."""

    first: int
    stop: int

    @property
    def minutes(self) -> int:
        """Length; 0 where nothing of the window lies within the run."""
        return max(self.stop - self.first, 0)


@dataclass(frozen=True, slots=True)
class Pair:
    """A run and what would have been without the order.

    Raises ValueError where the two do not begin together.
    """

    run: History
    base: History
    inventory: Inventory
    end_ms: int

    def __post_init__(self) -> None:
        if self.run.start_ms != self.base.start_ms:
            raise ValueError(f"runs begin at {self.run.start_ms} and {self.base.start_ms} ms")

    @property
    def filled(self) -> int:
        """Minutes that both runs have, within the scenario."""
        whole = (self.end_ms - self.run.start_ms) // MINUTE_MS
        return min(self.run.filled, self.base.filled, max(whole, 0))

    def span(self, from_ms: int, to_ms: int | None = None) -> Span:
        """Return the whole minutes within [from, to), to the end of the run where `to` is None."""
        first = -((self.run.start_ms - from_ms) // MINUTE_MS)
        last = self.filled if to_ms is None else (to_ms - self.run.start_ms) // MINUTE_MS
        first = min(max(first, 0), self.filled)
        return Span(first, max(min(max(last, 0), self.filled), first))

    def begin_ms(self, span: Span) -> int:
        """Return when the first minute of `span` begins."""
        return self.run.start_ms + span.first * MINUTE_MS

    def has(self, name: str) -> bool:
        """Return whether both runs keep series or table `name`."""
        return all(name in h.scalars or name in h.tables for h in (self.run, self.base))

    def series(self, name: str, span: Span) -> tuple[Floats, Floats]:
        """Return scalar `name` of run and counterfactual over `span`."""
        return (
            self.run.series(name, span.first, span.stop),
            self.base.series(name, span.first, span.stop),
        )

    def reduction_mw(self, span: Span, sites: NDArray[np.bool_] | None = None) -> Floats:
        """Return float64[minutes], the reduction at the meters of `sites` (None: all) [MW]."""
        run = demand_mw(self.run, span, sites)
        return demand_mw(self.base, span, sites) - run

    def enrolled(self) -> NDArray[np.bool_]:
        """Return bool[sites]: takes part in demand response."""
        return self.inventory.sites.flag("enrolled")

    def needed_mw(self, order: Order, span: Span) -> Floats:
        """Return float64[minutes], the reduction that `order` asks for.

        Under a cap that is what the counterfactual's load lies above it.
        """
        size = float("nan") if order.mw is None else order.mw
        if order.form is OrderForm.CAP:
            load = self.base.series("load_mw", span.first, span.stop)
            return np.maximum(load - size, 0.0)
        return np.full(span.minutes, size)


def demand_mw(run: History, span: Span, sites: NDArray[np.bool_] | None = None) -> Floats:
    """Return float64[minutes], metered demand of `sites` (None: all) [MW]."""
    rows = None if sites is None else np.flatnonzero(sites)
    out = np.empty(span.minutes)
    for first in range(span.first, span.stop, _CHUNK_MINUTES):
        stop = min(first + _CHUNK_MINUTES, span.stop)
        kw = run.table("site.demand_kw", first, stop)
        kw = kw if rows is None else kw[:, rows]
        out[first - span.first : stop - span.first] = kw.sum(axis=1, dtype=np.float64)
    return out / KW_PER_MW


def quarter_means(values: Floats, begin_ms: int) -> Floats:
    """Return the means of the whole clock quarters within minutes that begin at `begin_ms`.

    Empty where no quarter lies wholly within.

    Examples
    --------
    >>> quarter_means(np.arange(40.0), begin_ms=10 * 60_000)
    array([12., 27.])
    """
    skip = -(begin_ms // MINUTE_MS) % QUARTER_MIN
    whole = max(len(values) - skip, 0) // QUARTER_MIN
    quarters = values[skip : skip + whole * QUARTER_MIN].reshape(whole, QUARTER_MIN)
    return np.asarray(quarters.mean(axis=1))


def weighted_percentile(values: Floats, weights: Floats, share: float) -> float | None:
    """Return the smallest value at or below which `share` of the weight lies, or None."""
    total = float(weights.sum())
    if total <= 0.0:
        return None
    order = np.argsort(values, kind="stable")
    at = int(np.searchsorted(np.cumsum(weights[order]), share * total * (1.0 - 1e-12)))
    return float(values[order][min(at, len(values) - 1)])
