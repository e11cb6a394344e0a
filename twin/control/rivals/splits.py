"""Who gives how much of a reduction: everybody alike, kind after kind, the cheapest first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twin.control.capability import flexibility as flex
from twin.record.costs import costs
from twin.record.exchange import Inventory

Floats = NDArray[np.float64]
ByKind = dict[str, Floats]

# Fast and exact kinds first, those that stop somebody's work last (assumed).
KIND_LIST = (
    "storage", "icestore", "swap", "charging", "shorepower", "hydrogen", "aircon", "industry",
)  # fmt: skip


class Split(Protocol):
    """Shares a reduction out."""

    def __init__(self, inventory: Inventory) -> None: ...

    def __call__(self, want_kw: float, up_kw: Mapping[str, Floats]) -> ByKind:
        """Return by kind what each device is asked for, at most `up_kw` [kW].

        Parameters
        ----------
        want_kw : the reduction of all devices together
        up_kw : what each device can sustain to the end of the order, 0 who takes no part
        """
        ...


class EqualSplit(Split):
    """Everybody gives the same share of his rating, as far as he can."""

    def __init__(self, inventory: Inventory) -> None:
        self.rated = {
            k: kind.columns.f8("rated_kw")
            for k, kind in inventory.kinds.items()
            if "rated_kw" in kind.columns
        }

    def __call__(self, want_kw: float, up_kw: Mapping[str, Floats]) -> ByKind:
        """Return equal shares; what one cannot give is asked of the others."""
        if not up_kw:
            return {}
        most = np.concatenate(list(up_kw.values()))
        rated = np.concatenate([self.rated[kind] for kind in up_kw])
        return _apart(flex.share_out(want_kw, most, np.maximum(rated, 1e-6)), up_kw)


class ListedSplit(Split):
    """Kind after kind down `KIND_LIST`, all devices of a kind alike, until it is enough."""

    def __init__(self, inventory: Inventory) -> None:
        self.kinds = tuple(k for k in KIND_LIST if k in inventory.kinds)

    def __call__(self, want_kw: float, up_kw: Mapping[str, Floats]) -> ByKind:
        """Return whole kinds and a part of the last one."""
        left, out = want_kw, {}
        for kind in (*self.kinds, *sorted(up_kw.keys() - set(self.kinds))):
            if kind not in up_kw:
                continue
            total = float(up_kw[kind].sum())
            part = min(max(left, 0.0) / total, 1.0) if total > 0.0 else 0.0
            out[kind] = part * up_kw[kind]
            left -= part * total
        return out


class CheapestSplit(Split):
    """The lowest asking price first, whatever is behind it."""

    def __init__(self, inventory: Inventory) -> None:
        table = costs()
        self.price = {k: table.offers(k, kind.columns) for k, kind in inventory.kinds.items()}

    def __call__(self, want_kw: float, up_kw: Mapping[str, Floats]) -> ByKind:
        """Return whole devices in order of price, and a part of the last one."""
        if not up_kw:
            return {}
        most = np.concatenate(list(up_kw.values()))
        price = np.concatenate([self.price[kind] for kind in up_kw])
        order = np.argsort(price, kind="stable")
        before = np.cumsum(most[order]) - most[order]
        given = np.empty_like(most)
        given[order] = np.clip(want_kw - before, 0.0, most[order])
        return _apart(given, up_kw)


def _apart(given: Floats, up_kw: Mapping[str, Floats]) -> ByKind:
    """Return `given` by kind, in the order of `up_kw`."""
    ends = np.cumsum([len(v) for v in up_kw.values()])[:-1]
    return dict(zip(up_kw, np.split(given, ends), strict=True))
