"""What an order costs people and network: comfort, mobility, voltages and loadings.

Used for the order itself and for the capability call, which only counts where these hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twin.clock import HOUR_MS
from twin.record.exchange import Inventory
from twin.record.history import History
from twin.record.orders import Order
from twin.verify.counterfactual import Floats, Pair, Span, weighted_percentile

__all__ = ["Finding", "comfort", "comfort_drift", "mobility", "network"]

COMFORT_MAX_C = 28.0  # upper end of the event band (general knowledge)
DRIFT_MIN = 60  # a drift is a rise over one hour
SHORT_SHARE = 0.10  # a session is short when more than this of what it asked for is missing


@dataclass(frozen=True, slots=True)
class Finding:
    """A value, or why there is none, and the window it was taken over."""

    value: float | None
    reason: str | None = None
    window_min: float | None = None


# -- comfort ---------------------------------------------------------------------------------


def _enrolled(inventory: Inventory, kind: str) -> NDArray[np.int64]:
    known = inventory.kinds.get(kind)
    if known is None:
        return np.empty(0, np.int64)
    return np.flatnonzero(known.columns.flag("enrolled"))


def _buildings(pair: Pair, order: Order) -> tuple[Span, NDArray[np.int64], Finding | None]:
    """Return start to end + 1 h, the enrolled buildings, and a finding where there is nothing."""
    span = pair.span(order.start_ms, order.end_ms + HOUR_MS)
    rows = _enrolled(pair.inventory, "aircon")
    if len(rows) == 0:
        return span, rows, Finding(0.0, "no building takes part", span.minutes)
    if not (pair.has("aircon.temperature_c") and pair.has("aircon.occupied")):
        return span, rows, Finding(None, "no record of indoor temperatures")
    if span.minutes == 0:
        return span, rows, Finding(None, "the run ends before the order starts")
    return span, rows, None


def _rows(run: History, name: str, span: Span, rows: NDArray[np.int64]) -> Floats:
    return run.table(name, span.first, span.stop)[:, rows].astype(np.float64)


def comfort(pair: Pair, order: Order) -> Finding:
    """Return the share of occupied building-hours above 28 °C, in excess [%].

    Weighted by floor area over the enrolled buildings, from start to end + 1 h; the
    counterfactual's share is taken off, and less than none is none.
    """
    span, rows, nothing = _buildings(pair, order)
    if nothing is not None:
        return nothing
    area = pair.inventory.kinds["aircon"].columns.f8("floor_m2")[rows]
    share = []
    for run in (pair.run, pair.base):
        weight = _rows(run, "aircon.occupied", span, rows) * area
        hot = _rows(run, "aircon.temperature_c", span, rows) > COMFORT_MAX_C
        total = float(weight.sum())
        share.append(float((weight * hot).sum()) / total if total > 0.0 else 0.0)
    return Finding(100.0 * max(share[0] - share[1], 0.0), None, span.minutes)


def comfort_drift(pair: Pair, order: Order) -> Finding:
    """Return the 95th percentile of warming over one hour [°C/h], weighted by floor area.

    Hours lie within start to end + 1 h and begin each minute; a building counts where it is
    occupied at both ends. Cooling down is a negative drift and no discomfort.
    """
    span, rows, nothing = _buildings(pair, order)
    if nothing is not None:
        return nothing
    if span.minutes <= DRIFT_MIN:
        return Finding(None, "the run holds no whole hour after the start", span.minutes)
    area = pair.inventory.kinds["aircon"].columns.f8("floor_m2")[rows]
    temperature = _rows(pair.run, "aircon.temperature_c", span, rows)
    occupied = _rows(pair.run, "aircon.occupied", span, rows)
    drift = temperature[DRIFT_MIN:] - temperature[:-DRIFT_MIN]
    weight = np.minimum(occupied[DRIFT_MIN:], occupied[:-DRIFT_MIN]) * area
    value = weighted_percentile(drift.ravel(), weight.ravel(), 0.95)
    if value is None:
        return Finding(0.0, "no building is occupied", span.minutes)
    return Finding(value, None, span.minutes)


# -- mobility --------------------------------------------------------------------------------


def mobility(pair: Pair, order: Order) -> tuple[Finding, Finding]:
    """Return energy missing at departure [% of asked] and share of short sessions [%].

    Both in excess of the counterfactual, session by session, over the sessions that were
    touched by remote control and ended after the order's notice.
    """
    span = pair.span(order.notice_ms)
    if len(_enrolled(pair.inventory, "charging")) == 0:
        none = Finding(0.0, "no charging station takes part", span.minutes)
        return none, none
    run, base = pair.run.events("charging.sessions"), pair.base.events("charging.sessions")
    end_ms = pair.begin_ms(Span(span.stop, span.stop))
    touched = np.zeros(0, np.bool_)
    if len(run) > 0:
        ended = np.asarray(run["now_ms"])
        touched = np.asarray(run["touched"]) != 0
        touched = touched & (ended > order.notice_ms) & (ended <= end_ms)
    if not touched.any():
        none = Finding(0.0, "no session was touched", span.minutes)
        return none, none
    keys = np.stack([np.asarray(run[k], np.int64)[touched] for k in ("station", "number")])
    asked = np.asarray(run["asked_kwh"], np.float64)[touched]
    missing = np.maximum(asked - np.asarray(run["got_kwh"], np.float64)[touched], 0.0)
    would_miss = _missing(base, keys)
    excess = np.maximum(missing - would_miss, 0.0)
    if not (np.isfinite(excess).all() and np.isfinite(asked).all()) or asked.sum() <= 0.0:
        failed = Finding(None, "the record of sessions has no usable energies", span.minutes)
        return failed, failed
    short = (missing > SHORT_SHARE * asked) & ~(would_miss > SHORT_SHARE * asked)
    about = f"{len(asked)} sessions touched"
    return (
        Finding(100.0 * float(excess.sum() / asked.sum()), about, span.minutes),
        Finding(100.0 * float(short.mean()), about, span.minutes),
    )


def _missing(sessions: dict[str, NDArray[np.generic]], keys: NDArray[np.int64]) -> Floats:
    """Return what the sessions `keys` miss in `sessions` [kWh]; 0 where they are not found."""
    out = np.zeros(keys.shape[1])
    if len(sessions) == 0:
        return out
    own = np.stack([np.asarray(sessions[k], np.int64) for k in ("station", "number")])
    # One number for each (station, number) of both, so that they can be searched.
    _, code = np.unique(np.concatenate([own, keys], axis=1), axis=1, return_inverse=True)
    code = code.ravel()
    here, wanted = code[: own.shape[1]], code[own.shape[1] :]
    order = np.argsort(here, kind="stable")
    at = np.minimum(np.searchsorted(here[order], wanted), len(here) - 1)
    asked = np.asarray(sessions["asked_kwh"], np.float64)
    missing = np.maximum(asked - np.asarray(sessions["got_kwh"], np.float64), 0.0)[order][at]
    return np.where(here[order][at] == wanted, missing, out)


# -- network ---------------------------------------------------------------------------------


def network(pair: Pair, order: Order) -> Finding:
    """Return bus-minutes outside the band and branch-minutes above 100 %, in excess [min].

    From the notice to the end of the run, minute by minute: what the order mends in one
    minute does not pay for what it breaks in another. A load flow that did not converge where
    the counterfactual's did leaves the value open.
    """
    span = pair.span(order.notice_ms)
    if span.minutes == 0:
        return Finding(None, "the run ends before the notice")
    excess = 0.0
    for name in ("violations_bus", "violations_branch"):
        run, base = pair.series(name, span)
        if not np.isfinite(run).all() or not np.isfinite(base).all():
            return Finding(None, f"the record of {name} has gaps", span.minutes)
        excess += float(np.maximum(run - base, 0.0).sum())
    solved, would_solve = pair.series("converged", span)
    lost = int(((solved < 0.5) & (would_solve >= 0.5)).sum())
    if lost > 0:
        return Finding(None, f"the load flow did not converge in {lost} minutes", span.minutes)
    return Finding(excess, None, span.minutes)
