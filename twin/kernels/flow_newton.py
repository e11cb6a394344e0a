"""Newton's method for the load flow with a static pattern of 2 x 2 blocks.

Every bus keeps both unknowns, angle and relative voltage change. What a bus does not solve for
(the voltage of a regulated bus, both of the slack) is an identity row, so that a change of bus
types changes numbers and no pattern. Blocks are eliminated in a fixed order without pivoting.
The Jacobian is built and factorised at the first iteration and again only where the mismatch
does not fall tenfold. Nothing is kept between calls: the result depends on the arguments only.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
I4 = NDArray[np.int32]
C16 = NDArray[np.complex128]

# bus types
LOAD, REGULATED, SLACK = range(3)
# the parts of a symbolic factorisation, see twin.grid.ordering
ROW_START, COLUMN, DIAGONAL, PLACE, ORDER, RANK = range(6)
_REFRESH = 0.1  # least fall of the mismatch in one iteration that keeps the factors
_LEAST_PIVOT = 1e-12

Matrix = tuple[C16, I4, I4]  # data, indices, indptr; compressed columns, symmetric pattern
Symbolic = tuple[I8, I8, I8, I8, I8, I8]


@njit(cache=True)
def power_gap(ybus: Matrix, target: C16, kind: I8, v: C16, found: C16) -> tuple[float, int]:
    """Write V * conj(Ybus V) into `found`; return the largest mismatch [pu] and its bus."""
    data, indices, indptr = ybus
    n = v.shape[0]
    for i in range(n):
        found[i] = 0.0
    for j in range(n):
        for k in range(indptr[j], indptr[j + 1]):
            found[indices[k]] += data[k] * v[j]
    worst, at = 0.0, -1
    for i in range(n):
        found[i] = v[i] * np.conj(found[i])
        if kind[i] == SLACK:
            continue
        gap = abs(found[i].real - target[i].real)
        if kind[i] == LOAD:
            gap = max(gap, abs(found[i].imag - target[i].imag))
        if not gap <= worst:  # also where the gap is no number
            worst, at = gap, i
    return worst, at


@njit(cache=True)
def jacobian(ybus: Matrix, symbolic: Symbolic, kind: I8, v: C16, found: C16, lu: F8) -> None:
    """Write the Jacobian's blocks into the pattern of its factors.

    With s = V_i conj(Y_ij V_j), d(P_i, Q_i) / d(angle_j, ln V_j) is ((Im s, Re s), (-Re s, Im s))
    off the diagonal (Van Ness and Griffin's form, relative voltages).
    """
    data, indices, indptr = ybus
    place, diagonal, rank = symbolic[PLACE], symbolic[DIAGONAL], symbolic[RANK]
    lu[:, :] = 0.0
    for j in range(v.shape[0]):
        for k in range(indptr[j], indptr[j + 1]):
            i = indices[k]
            if kind[i] == SLACK:
                continue
            s = v[i] * np.conj(data[k] * v[j])
            b = place[k]
            if i == j:
                lu[b, 0] = s.imag - found[i].imag
                lu[b, 1] = s.real + found[i].real
                lu[b, 2] = found[i].real - s.real
                lu[b, 3] = s.imag + found[i].imag
            else:
                lu[b, 0] = s.imag
                lu[b, 1] = s.real
                lu[b, 2] = -s.real
                lu[b, 3] = s.imag
            if kind[i] == REGULATED:
                lu[b, 2] = 0.0
                lu[b, 3] = 1.0 if i == j else 0.0
    for i in range(v.shape[0]):
        if kind[i] == SLACK:
            b = diagonal[rank[i]]
            lu[b, 0] = 1.0
            lu[b, 3] = 1.0


@njit(cache=True)
def factorise(symbolic: Symbolic, lu: F8, work: F8) -> bool:
    """Factorise in place, row by row; diagonal blocks are left inverted.

    Returns False at a block that cannot be inverted.
    """
    row_start, column, diagonal = symbolic[ROW_START], symbolic[COLUMN], symbolic[DIAGONAL]
    for r in range(diagonal.shape[0]):
        for b in range(row_start[r], row_start[r + 1]):
            for q in range(4):
                work[column[b], q] = lu[b, q]
        for b in range(row_start[r], diagonal[r]):
            k = column[b]
            d = diagonal[k]
            w0, w1, w2, w3 = work[k, 0], work[k, 1], work[k, 2], work[k, 3]
            l0 = w0 * lu[d, 0] + w1 * lu[d, 2]
            l1 = w0 * lu[d, 1] + w1 * lu[d, 3]
            l2 = w2 * lu[d, 0] + w3 * lu[d, 2]
            l3 = w2 * lu[d, 1] + w3 * lu[d, 3]
            lu[b, 0], lu[b, 1], lu[b, 2], lu[b, 3] = l0, l1, l2, l3
            for u in range(d + 1, row_start[k + 1]):
                c = column[u]
                work[c, 0] -= l0 * lu[u, 0] + l1 * lu[u, 2]
                work[c, 1] -= l0 * lu[u, 1] + l1 * lu[u, 3]
                work[c, 2] -= l2 * lu[u, 0] + l3 * lu[u, 2]
                work[c, 3] -= l2 * lu[u, 1] + l3 * lu[u, 3]
        d = diagonal[r]
        a, b01, b10, e = work[r, 0], work[r, 1], work[r, 2], work[r, 3]
        determinant = a * e - b01 * b10
        if not abs(determinant) > _LEAST_PIVOT:
            return False
        lu[d, 0] = e / determinant
        lu[d, 1] = -b01 / determinant
        lu[d, 2] = -b10 / determinant
        lu[d, 3] = a / determinant
        for u in range(d + 1, row_start[r + 1]):
            for q in range(4):
                lu[u, q] = work[column[u], q]
    return True


@njit(cache=True)
def substitute(symbolic: Symbolic, lu: F8, x: F8) -> None:
    """Solve for the right-hand side in `x`, (buses in order, 2), in place."""
    row_start, column, diagonal = symbolic[ROW_START], symbolic[COLUMN], symbolic[DIAGONAL]
    n = diagonal.shape[0]
    for r in range(n):
        a, e = x[r, 0], x[r, 1]
        for b in range(row_start[r], diagonal[r]):
            k = column[b]
            a -= lu[b, 0] * x[k, 0] + lu[b, 1] * x[k, 1]
            e -= lu[b, 2] * x[k, 0] + lu[b, 3] * x[k, 1]
        x[r, 0], x[r, 1] = a, e
    for r in range(n - 1, -1, -1):
        a, e = x[r, 0], x[r, 1]
        d = diagonal[r]
        for b in range(d + 1, row_start[r + 1]):
            k = column[b]
            a -= lu[b, 0] * x[k, 0] + lu[b, 1] * x[k, 1]
            e -= lu[b, 2] * x[k, 0] + lu[b, 3] * x[k, 1]
        x[r, 0] = lu[d, 0] * a + lu[d, 1] * e
        x[r, 1] = lu[d, 2] * a + lu[d, 3] * e


@njit(cache=True)
def newton(
    ybus: Matrix, symbolic: Symbolic, target: C16, kind: I8, v: C16, stop: tuple[float, int]
) -> tuple[bool, int]:
    """Solve the load flow from the voltages in `v`, in place.

    Parameters
    ----------
    target : (buses,) complex power into each bus [pu]
    kind : (buses,) LOAD, REGULATED or SLACK
    stop : tolerance of the mismatch [pu], greatest number of iterations

    Returns whether it converged, and the iterations.
    """
    tolerance, most = stop
    n = v.shape[0]
    found = np.empty(n, np.complex128)
    lu = np.empty((symbolic[COLUMN].shape[0], 4))
    work, x = np.empty((n, 4)), np.empty((n, 2))
    order = symbolic[ORDER]
    before = np.inf
    for iteration in range(most):
        gap, _ = power_gap(ybus, target, kind, v, found)
        if gap <= tolerance:
            return True, iteration
        if not np.isfinite(gap):
            return False, iteration
        if not gap <= _REFRESH * before or iteration == 0:
            jacobian(ybus, symbolic, kind, v, found, lu)
            if not factorise(symbolic, lu, work):
                return False, iteration
        before = gap
        for r in range(n):
            i = order[r]
            x[r, 0], x[r, 1] = 0.0, 0.0
            if kind[i] != SLACK:
                x[r, 0] = target[i].real - found[i].real
            if kind[i] == LOAD:
                x[r, 1] = target[i].imag - found[i].imag
        substitute(symbolic, lu, x)
        for r in range(n):
            i = order[r]
            if kind[i] != SLACK:
                turn, grow = x[r, 0], 1.0 + x[r, 1]
                v[i] *= grow * complex(np.cos(turn), np.sin(turn))
    gap, _ = power_gap(ybus, target, kind, v, found)
    return gap <= tolerance, most
