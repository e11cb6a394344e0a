"""Symbolic factorisation of a network's matrix: elimination order and fill-in, once per network."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from twin.kernels.flow_newton import Symbolic

__all__ = ["factor_pattern", "minimum_degree"]

I4 = NDArray[np.int32]


def minimum_degree(indices: I4, indptr: I4) -> tuple[list[int], list[set[int]]]:
    """Return the elimination order and, for each eliminated bus, its neighbours at that time.

    Always the bus with the fewest neighbours left, the lowest number of equals.
    """
    n = len(indptr) - 1
    near = [set(indices[indptr[j] : indptr[j + 1]].tolist()) - {j} for j in range(n)]
    queue = [(len(near[j]), j) for j in range(n)]
    heapq.heapify(queue)
    order: list[int] = []
    above: list[set[int]] = []
    done = np.zeros(n, dtype=bool)
    while queue:
        degree, j = heapq.heappop(queue)
        if done[j] or degree != len(near[j]):
            continue  # an entry that is out of date
        done[j] = True
        order.append(j)
        above.append(near[j])
        for i in near[j]:
            near[i] |= near[j]
            near[i] -= {i, j}
            heapq.heappush(queue, (len(near[i]), i))
    return order, above


def factor_pattern(indices: I4, indptr: I4) -> Symbolic:
    """Return the pattern of the factors of a matrix with symmetric pattern.

    Parameters
    ----------
    indices, indptr : compressed columns with a full diagonal

    Returns
    -------
    row_start, column, diagonal
        rows of the factors in elimination order, columns ascending, place of the diagonal
    place
        of each entry of the matrix in the factors
    order, rank
        bus of each row, row of each bus
    """
    order, above = minimum_degree(indices, indptr)
    n = len(order)
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    rows: list[set[int]] = [{r} for r in range(n)]
    for r, later in enumerate(above):
        for bus in later:
            c = int(rank[bus])
            rows[r].add(c)
            rows[c].add(r)
    ordered = [sorted(row) for row in rows]
    row_start = np.zeros(n + 1, dtype=np.int64)
    row_start[1:] = np.cumsum([len(row) for row in ordered])
    column = np.array([c for row in ordered for c in row], dtype=np.int64)
    diagonal = np.array([row_start[r] + row.index(r) for r, row in enumerate(ordered)])
    of_column = np.repeat(np.arange(n), np.diff(indptr))
    place = np.empty(len(indices), dtype=np.int64)
    for k, (i, j) in enumerate(zip(indices.tolist(), of_column.tolist(), strict=True)):
        r, c = int(rank[i]), int(rank[j])
        first, last = row_start[r], row_start[r + 1]
        place[k] = first + int(np.searchsorted(column[first:last], c))
    order_rows = np.array(order, dtype=np.int64)
    return row_start, column, diagonal.astype(np.int64), place, order_rows, rank
