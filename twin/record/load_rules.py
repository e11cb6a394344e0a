"""Rules of orderly use (有序用电) as data: warning levels, measures in order, switching times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twin.record.orders import Order, OrderForm

LEVEL_NAMES: Mapping[int, str] = {1: "I", 2: "II", 3: "III", 4: "IV"}


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: which means it uses, and from which warning level on.

    Attributes
    ----------
    name, title, title_zh : e.g. ``restrict``, Restrict, 限电
    level : mildest warning level at which it may be used, 1 (red) to 4 (blue: always)
    kinds : flexible device kinds that it uses
    rounds : circuits that it opens, by number from 1; those with enrolled devices behind apart
    enrolled : it opens circuits with enrolled devices behind as well, after all others
    restricted_first : registered restricted customers (限制类) go before the others
    """

    name: str
    title: str
    title_zh: str
    level: int
    kinds: tuple[str, ...] = ()
    rounds: tuple[int, ...] = ()
    enrolled: bool = False
    restricted_first: bool = False


@dataclass(frozen=True, slots=True)
class Switching:
    """How often a customer's circuit may be switched [min].

    Attributes
    ----------
    min_off_min, min_on_min : least time open, least time closed before it is opened again
    most_off_min : longest time open while another one can take its turn
    """

    min_off_min: float
    min_on_min: float
    most_off_min: float


@dataclass(frozen=True, slots=True)
class LoadRules:
    """Everything a load-management order goes by.

    Attributes
    ----------
    level_pct : gap in percent of the maximum load from which on levels 1, 2 and 3 hold; 4 below
    measures : in the order in which they are used
    district_spread : part by which a plan may take more or less of a district than its fair share
    ledger_weight_per_h : what a customer loses weighs more by this part for each hour of
        contracted demand that he gave before
    ledger_kwh : float64[sites], energy cut from each site under earlier orders, None for none
    """

    level_pct: tuple[float, float, float]
    measures: tuple[Measure, ...]
    switching: Switching
    district_spread: float
    ledger_weight_per_h: float
    ledger_kwh: NDArray[np.float64] | None = field(default=None)

    def level_of(self, gap_mw: float, max_load_mw: float) -> int:
        """Return the warning level of a gap: 1 where it is largest.

        A gap that equals a threshold has the graver level.
        """
        percent = 100.0 * gap_mw / max_load_mw
        above = [percent >= limit - 1e-9 for limit in self.level_pct]
        return above.index(True) + 1 if any(above) else 4

    def gap_mw(self, order: Order, typical_load_mw: NDArray[np.float64]) -> float:
        """Return what `order` takes off the load at most, by the forecast where it is a cap [MW].

        Parameters
        ----------
        typical_load_mw : float64[1440]
        """
        size = 0.0 if order.mw is None else order.mw
        if order.form is OrderForm.REDUCTION:
            return size
        minutes = np.arange(order.start_ms // 60_000, max(order.end_ms // 60_000, 1))
        load = typical_load_mw[minutes % len(typical_load_mw)]
        return max(float(np.max(load, initial=0.0)) - size, 0.0)

    def level(self, order: Order, max_load_mw: float, typical_load_mw: NDArray[np.float64]) -> int:
        """Return the level of `order`: as stated, else by its gap."""
        if order.level in LEVEL_NAMES:
            return order.level
        return self.level_of(self.gap_mw(order, typical_load_mw), max_load_mw)
