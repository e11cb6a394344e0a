"""How totals are shared out: whole numbers, capped sizes, keyed choices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from twin.errors import InputProblems, Problem


def whole_shares(total: int, weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return int64 counts that sum to `total`, in proportion to `weights` (largest remainder)."""
    exact = total * weights / weights.sum()
    counts = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return np.asarray(counts, dtype=np.int64)


def share_out(
    what: str,
    total: float,
    weights: NDArray[np.float64],
    caps: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return sizes that sum to `total`: in proportion to `weights`, none above its cap.

    Raises InputProblems where all caps together are below `total`; `what` names it.
    """
    room = float(caps.sum())
    if total > room * (1.0 + 1e-12):
        allowed = f"at most {room / 1000.0:.4g} MW at the sites of this city"
        raise InputProblems([Problem("scenario", what, f"{total / 1000.0:.4g} MW", allowed)])
    sizes = np.zeros_like(weights)
    free = np.ones(len(weights), dtype=np.bool_)
    while free.any():
        rest = total - float(sizes[~free].sum())
        sizes[free] = rest * weights[free] / weights[free].sum()
        over = free & (sizes > caps)
        if not over.any():
            break
        sizes[over] = caps[over]
        free &= ~over
    return sizes


def choose(
    draws: np.random.Generator,
    what: str,
    candidates: NDArray[np.int64],
    weights: NDArray[np.float64],
    count: int,
    caps: NDArray[np.float64] | None = None,
    need: float = 0.0,
) -> NDArray[np.int64]:
    """Return `count` different candidates, drawn by weight, ascending.

    Efraimidis and Spirakis 2006. Where `caps` of the candidates drawn do not hold `need` with a
    tenth to spare (small cities), the smallest drawn give way to the largest not drawn.

    Raises InputProblems where there are too few candidates.
    """
    if count > len(candidates):
        raise InputProblems(
            [Problem("scenario", what, str(count), f"at most {len(candidates)} in this city")]
        )
    keys = np.log(1.0 - draws.random(len(candidates))) / np.maximum(weights, 1e-300)
    order = np.argsort(-keys, kind="stable")
    best, rest = order[:count], order[count:]
    if caps is not None:
        best, rest = (
            best[np.argsort(caps[best], kind="stable")],
            rest[np.argsort(-caps[rest], kind="stable")],
        )
        for k in range(min(len(best), len(rest))):
            if float(caps[best].sum()) >= 1.1 * need or caps[rest[k]] <= caps[best[k]]:
                break
            best[k] = rest[k]
    return np.sort(candidates[best])


def near_share(
    draws: np.random.Generator, sizes: NDArray[np.float64], share: float
) -> NDArray[np.bool_]:
    """Return a random set that holds just below `share` of the sum of `sizes`."""
    chosen = np.zeros(len(sizes), dtype=np.bool_)
    left = share * float(sizes.sum())
    for row in draws.permutation(len(sizes)):
        if sizes[row] <= left:
            chosen[row] = True
            left -= float(sizes[row])
    return chosen


def to_mean(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    mean: float,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return `values` scaled so that their weighted mean is `mean`, kept between low and high."""
    total = float(weights.sum())
    if total <= 0.0:
        return np.clip(values, low, high)
    for _ in range(50):
        values = np.clip(values, low, high)
        now = float((values * weights).sum()) / total
        if now <= 0.0 or abs(now - mean) <= 1e-12 * mean:
            break
        values = values * (mean / now)
    return np.clip(values, low, high)
