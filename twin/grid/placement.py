"""Where stations stand and which one feeds which: assignment with equal slots."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from twin.grid.equipment import StationName

__all__ = [
    "centres",
    "feed",
    "largest_remainder",
    "loops",
    "names_near",
    "one_each",
    "ring",
    "route_km",
    "scatter",
]

Points = NDArray[np.float64]  # (n, 2) km
_EXTRA_SLOT = 1e4  # km; an extra slot is used only where the equal ones are full


def largest_remainder(shares: Sequence[float], total: int, least: int = 1) -> list[int]:
    """Return whole numbers that sum to `total`, each `least` or more, nearest to the shares."""
    weight = np.asarray(shares, dtype=np.float64)
    exact = weight / weight.sum() * (total - least * len(shares))
    whole = np.floor(exact).astype(np.int64)
    for k in np.argsort(whole - exact, kind="stable")[: total - least * len(shares) - whole.sum()]:
        whole[k] += 1
    return [int(w) + least for w in whole]


def scatter(chance: np.random.Generator, x: float, y: float, radius: float, n: int) -> Points:
    """Return `n` points, uniform in a disc."""
    r = radius * np.sqrt(chance.random(n))
    angle = 2.0 * math.pi * chance.random(n)
    return np.column_stack([x + r * np.cos(angle), y + r * np.sin(angle)])


def distances(a: Points, b: Points) -> NDArray[np.float64]:
    """Return straight distances (len(a), len(b)) in km."""
    return np.asarray(np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1]))


def feed(lower: Points, upper: Points) -> NDArray[np.int64]:
    """Return for each lower station the upper one that feeds it.

    Every upper station gets the same number, give or take one; the total distance is least.
    """
    base, rest = divmod(len(lower), len(upper))
    cost = np.repeat(distances(lower, upper), base, axis=1)
    owner = np.repeat(np.arange(len(upper)), base)
    if rest > 0:
        cost = np.hstack([cost, distances(lower, upper) + _EXTRA_SLOT])
        owner = np.concatenate([owner, np.arange(len(upper))])
    _, slot = linear_sum_assignment(cost)
    return owner[slot].astype(np.int64)


def one_each(gates: Points, stations: Points) -> list[int]:
    """Return a different station for each gate, with the least distance in all."""
    return [int(k) for k in linear_sum_assignment(distances(gates, stations))[1]]


def centres(points: Points, n: int, rounds: int = 8) -> Points:
    """Return `n` places each central to an equal number of points."""
    chosen = [int(np.argmin(np.hypot(*(points - points.mean(axis=0)).T)))]
    while len(chosen) < n:  # farthest point next
        chosen.append(int(np.argmax(distances(points, points[chosen]).min(axis=1))))
    at = points[chosen].copy()
    for _ in range(rounds):
        own = feed(points, at)
        at = np.array([points[own == k].mean(axis=0) for k in range(n)])
    return at


def names_near(at: Points, names: Sequence[StationName]) -> list[str]:
    """Give each place the nearest name, each name once; synthetic names where they run out."""
    given = [f"500-{k + 1:02d}" for k in range(len(at))]
    known = np.array([[s.x_km, s.y_km] for s in names])
    for row, column in zip(*linear_sum_assignment(distances(at, known)), strict=True):
        given[int(row)] = names[int(column)].name
    return given


def ring(at: Points) -> list[tuple[int, int]]:
    """Return links of a ring by angle, and one chord more for every four stations."""
    middle = at.mean(axis=0)
    order = np.argsort(np.arctan2(*(at - middle).T[::-1]), kind="stable").tolist()
    n = len(order)
    links = {tuple(sorted((order[k], order[(k + 1) % n]))) for k in range(n)}
    apart = distances(at, at)
    others = [(i, j) for i in range(n) for j in range(i + 1, n) if (i, j) not in links]
    others.sort(key=lambda p: (apart[p], p))
    return sorted([(int(a), int(b)) for a, b in links]) + others[: n // 4]


def loops(
    members: NDArray[np.int64], points: Points, hub: Points, most: int = 3
) -> list[list[int]]:
    """Split an area's stations into loops of at most `most`, neighbours by angle around the hub."""
    away = points[members] - hub
    ordered = members[np.argsort(np.arctan2(away[:, 1], away[:, 0]), kind="stable")]
    return [part.tolist() for part in np.array_split(ordered, math.ceil(len(members) / most))]


def route_km(a: Points, b: Points, detour: float, least_km: float = 2.0) -> float:
    """Return the length of a route between two points."""
    return max(least_km, detour * float(np.hypot(*(a - b))))
