"""Load flow around Newton's method: admittances under taps, branch flows, regulators.

Plain loops over one network's arrays, serial; the rows of grouped arrays are named below.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
C16 = NDArray[np.complex128]

# rows of `where` (int64) in write_admittances: per tapped branch
BRANCH, FROM_FROM, FROM_TO, TO_FROM, GROUP = range(5)
# rows of `y` (complex128): per branch
YFF, YFT, YTF, YTT = range(4)
# rows of `rule` (float64) and `status` (int64) of regulators
TARGET, HALF_BAND, TAP_DELAY_MS = range(3)
POSITION, TIMER_MS, MOVES = range(3)
LOWEST, HIGHEST = range(2)
LOW_VM, HIGH_VM, Q_BAND, CAPACITOR_DELAY_MS = range(4)
IDLE = -(2**62)  # a timer that does not run


@njit(cache=True)
def write_admittances(ratio: F8, where: I8, y_start: C16, y: C16, ybus: C16) -> None:
    """Put tap ratios into branch admittances and into Ybus.

    MATPOWER's branch model with the tap on the from side: yff / r**2, yft / r, ytf / r.

    Parameters
    ----------
    ratio : (groups,) present ratio over the starting one
    where : (5, tapped branches) branch row, places in `ybus`, group
    y_start : (4, branches) admittances at the starting taps
    y : (4, branches) written at the tapped branches
    ybus : (nnz,) added to; the caller has put there what is not tapped
    """
    for k in range(where.shape[1]):
        b = where[BRANCH, k]
        r = ratio[where[GROUP, k]]
        y[YFF, b] = y_start[YFF, b] / (r * r)
        y[YFT, b] = y_start[YFT, b] / r
        y[YTF, b] = y_start[YTF, b] / r
        ybus[where[FROM_FROM, k]] += y[YFF, b]
        ybus[where[FROM_TO, k]] += y[YFT, b]
        ybus[where[TO_FROM, k]] += y[YTF, b]


@njit(cache=True)
def bus_power(
    data: C16, indices: NDArray[np.int32], indptr: NDArray[np.int32], v: C16, s: C16
) -> None:
    """Write V * conj(Ybus V) into `s` (per unit); Ybus in compressed columns."""
    for i in range(v.shape[0]):
        s[i] = 0.0
    for j in range(v.shape[0]):
        for k in range(indptr[j], indptr[j + 1]):
            s[indices[k]] += data[k] * v[j]
    for i in range(v.shape[0]):
        s[i] = v[i] * np.conj(s[i])


@njit(cache=True)
def branch_loading(ends: I8, y: C16, limit: F8, v: C16, loading_pct: F8) -> None:
    """Write the larger current of both ends over its rating [%].

    Parameters
    ----------
    ends : (2, branches) from and to bus
    limit : (2, branches) rated currents [pu]
    """
    for b in range(ends.shape[1]):
        vf, vt = v[ends[0, b]], v[ends[1, b]]
        at_from = abs(y[YFF, b] * vf + y[YFT, b] * vt) / limit[0, b]
        at_to = abs(y[YTF, b] * vf + y[YTT, b] * vt) / limit[1, b]
        loading_pct[b] = 100.0 * max(at_from, at_to)


@njit(cache=True)
def branch_power(ends: I8, y: C16, v: C16, power: C16) -> None:
    """Write complex power into each branch at both ends, (2, branches) [pu]."""
    for b in range(ends.shape[1]):
        vf, vt = v[ends[0, b]], v[ends[1, b]]
        power[0, b] = vf * np.conj(y[YFF, b] * vf + y[YFT, b] * vt)
        power[1, b] = vt * np.conj(y[YTF, b] * vf + y[YTT, b] * vt)


@njit(cache=True)
def group_reactive(where: I8, ends: I8, y: C16, v: C16, q: F8) -> None:
    """Write the reactive power that each tap group draws on its high side [pu]."""
    for g in range(q.shape[0]):
        q[g] = 0.0
    for k in range(where.shape[1]):
        b = where[BRANCH, k]
        vf, vt = v[ends[0, b]], v[ends[1, b]]
        q[where[GROUP, k]] += (vf * np.conj(y[YFF, b] * vf + y[YFT, b] * vt)).imag


@njit(cache=True)
def regulate_taps(now_ms: int, vm: F8, rule: F8, span: I8, status: I8) -> int:
    """Move tap changers by at most one step each; return how many moved.

    A voltage outside target +- half band starts the timer; the delay shrinks with the error
    (inverse-time characteristic), a move starts the timer anew. The tap is on the high side: a
    higher position has a higher ratio and so a lower voltage.

    Parameters
    ----------
    vm : (groups,) regulated voltage [pu]
    rule : (3, groups) target, half band, delay
    span : (2, groups) lowest and highest position
    status : (3, groups) position, timer, count of moves; written
    """
    moved = 0
    for g in range(vm.shape[0]):
        error = vm[g] - rule[TARGET, g]
        if not abs(error) > rule[HALF_BAND, g]:  # a dead bus measures no number
            status[TIMER_MS, g] = IDLE
            continue
        if status[TIMER_MS, g] == IDLE:
            status[TIMER_MS, g] = now_ms
        delay = rule[TAP_DELAY_MS, g] * rule[HALF_BAND, g] / abs(error)
        if now_ms - status[TIMER_MS, g] < delay:
            continue
        step = 1 if error > 0.0 else -1
        position = status[POSITION, g] + step
        if span[LOWEST, g] <= position <= span[HIGHEST, g]:
            status[POSITION, g] = position
            status[TIMER_MS, g] = now_ms
            status[MOVES, g] += 1
            moved += 1
    return moved


@njit(cache=True)
def regulate_capacitors(now_ms: int, measured: F8, rule: F8, span: I8, status: I8) -> int:
    """Switch capacitor banks by at most one step each; return how many moved.

    Voltage outside its own band has precedence; inside it the reactive power drawn decides.

    Parameters
    ----------
    measured : (2, banks) voltage [pu], reactive power drawn from above [Mvar]
    rule : (4, banks) low and high voltage, reactive band, delay
    span : (2, banks) lowest and highest step
    status : (3, banks) step, timer, count of moves; written
    """
    moved = 0
    for c in range(measured.shape[1]):
        vm, q = measured[0, c], measured[1, c]
        want = 0
        if vm < rule[LOW_VM, c]:
            want = 1
        elif vm > rule[HIGH_VM, c]:
            want = -1
        elif q > rule[Q_BAND, c]:
            want = 1
        elif q < -rule[Q_BAND, c]:
            want = -1
        step = status[POSITION, c] + want
        if want == 0 or step < span[LOWEST, c] or step > span[HIGHEST, c]:
            status[TIMER_MS, c] = IDLE
            continue
        if status[TIMER_MS, c] == IDLE:
            status[TIMER_MS, c] = now_ms
        if now_ms - status[TIMER_MS, c] < rule[CAPACITOR_DELAY_MS, c]:
            continue
        status[POSITION, c] = step
        status[TIMER_MS, c] = now_ms
        status[MOVES, c] += 1
        moved += 1
    return moved
