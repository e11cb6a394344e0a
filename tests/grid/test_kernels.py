"""Kernels: factorisation, regulators, limits; properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tests.grid.cases import peak
from twin.chance import generator
from twin.grid import GridOperation, Limits, Network, violations
from twin.grid.ordering import factor_pattern
from twin.kernels import flow as kernel
from twin.kernels.flow_newton import ORDER, PLACE, factorise, substitute

MINUTE_MS = 60_000


@settings(max_examples=30)
@given(n=st.integers(1, 40), density=st.floats(0.0, 0.3), seed=st.integers(0, 2**31))
def test_block_factors_solve_what_numpy_solves(n: int, density: float, seed: int) -> None:
    """Random symmetric patterns of 2 x 2 blocks with strong diagonals."""
    chance = generator(seed, "tests.blocks")
    mask = chance.random((n, n)) < density
    mask = mask | mask.T | np.eye(n, dtype=bool)
    pattern = sparse.csc_matrix(mask.astype(float))
    pattern.sort_indices()
    symbolic = factor_pattern(pattern.indices, pattern.indptr)
    blocks = chance.normal(size=(pattern.nnz, 4))
    rows, columns = pattern.indices, np.repeat(np.arange(n), np.diff(pattern.indptr))
    blocks[rows == columns] += np.array([4.0 * n, 0.0, 0.0, 4.0 * n])
    dense = np.zeros((2 * n, 2 * n))
    for (i, j), block in zip(zip(rows, columns, strict=True), blocks, strict=True):
        dense[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = block.reshape(2, 2)
    lu = np.zeros((len(symbolic[1]), 4))
    lu[symbolic[PLACE]] = blocks
    assert factorise(symbolic, lu, np.empty((n, 4)))
    b = chance.normal(size=(n, 2))
    x = np.ascontiguousarray(b[symbolic[ORDER]])
    substitute(symbolic, lu, x)
    expected = np.linalg.solve(dense, b.ravel()).reshape(n, 2)
    np.testing.assert_allclose(x, expected[symbolic[ORDER]], rtol=1e-9, atol=1e-12)


def test_a_singular_block_is_said() -> None:
    symbolic = factor_pattern(np.zeros(1, np.int32), np.array([0, 1], np.int32))
    assert not factorise(symbolic, np.zeros((1, 4)), np.empty((1, 4)))


def test_kernel_and_library_agree(city: Network) -> None:
    """lightsim2grid stands by where the fixed order fails: both must give the same."""
    operation, point = GridOperation(city), peak(city)
    operation.settle(0, *point.arguments)
    ours, source_mw, power = operation.solve(*point.arguments)
    limits = operation.reactive_limits(source_mw)
    start, target, kind = operation.flow.problem(power, operation.v * 0.99, ours.mode, *limits)
    good, v = operation.flow.klu(start, target, kind)
    assert good
    np.testing.assert_allclose(v, ours.v, rtol=0, atol=1e-8)


def taps(vm: float, now_ms: int, status: np.ndarray) -> int:
    rule = np.array([[1.035], [0.0125], [120_000.0]])
    span = np.array([[-8], [8]])
    return int(kernel.regulate_taps(now_ms, np.array([vm]), rule, span, status))


def fresh() -> np.ndarray:
    return np.array([[0], [kernel.IDLE], [0]], dtype=np.int64)


@given(error=st.floats(-0.2, 0.2), period_ms=st.sampled_from([1_000, 5_000, 60_000]))
def test_tap_waits_its_delay(error: float, period_ms: int) -> None:
    """Simulated time counts, not the number of calls; the delay shrinks with the error."""
    status, moved_at = fresh(), None
    for now_ms in range(0, 130_000, period_ms):
        if taps(1.035 + error, now_ms, status) > 0:
            moved_at = now_ms
            break
    if abs(error) <= 0.0125 - 1e-12:
        assert moved_at is None
    elif abs(error) >= 0.0125 + 1e-12:
        assert moved_at is not None
        due = 120_000.0 * 0.0125 / abs(error)
        assert due - 1.0 <= moved_at <= due + period_ms
        assert status[kernel.POSITION, 0] == (1 if error > 0 else -1)
        assert status[kernel.MOVES, 0] == 1


def test_tap_forgets_a_short_excursion_and_stops_at_its_end() -> None:
    status = fresh()
    assert taps(1.05, 0, status) == 0
    assert taps(1.035, 60_000, status) == 0
    assert taps(1.05, 120_000, status) == 0  # the timer has started anew
    for k in range(100):
        taps(0.90, 200_000 + k * MINUTE_MS, status)
    assert status[kernel.POSITION, 0] == -8


@given(
    vm=st.floats(0.95, 1.10),
    q=st.floats(-20.0, 20.0),
    step=st.integers(-1, 4),
)
def test_capacitors_step_by_one_within_their_span(vm: float, q: float, step: int) -> None:
    rule = np.array([[1.01], [1.06], [4.0], [240_000.0]])
    span = np.array([[-1], [4]])
    status = np.array([[step], [kernel.IDLE], [0]], dtype=np.int64)
    measured = np.array([[vm], [q]])
    assert kernel.regulate_capacitors(0, measured, rule, span, status) == 0
    moved = int(kernel.regulate_capacitors(240_000, measured, rule, span, status))
    after = int(status[kernel.POSITION, 0])
    assert abs(after - step) == moved
    assert -1 <= after <= 4
    if vm > 1.06:
        assert after <= step  # voltage has precedence
    elif vm < 1.01:
        assert after >= step
    elif abs(q) < 4.0:
        assert moved == 0


def test_violations_are_counted(city: Network) -> None:
    operation, point = GridOperation(city), peak(city)
    shot = operation.settle(0, *point.arguments)
    limits = Limits(city)
    before = violations(shot, limits)
    assert (before.buses, before.branches) == (0, 0)
    assert before.max_loading_pct == pytest.approx(shot.loading_pct.max())
    at_10 = np.flatnonzero(city.buses.kv == 10.0)[:3]
    shot.vm_pu[at_10[0]] = 0.9999
    shot.vm_pu[at_10[1]] = 1.0701
    shot.vm_pu[at_10[2]] = 1.0699
    shot.loading_pct[5] = 100.1
    shot.loading_pct[6] = 100.0
    after = violations(shot, limits)
    assert (after.buses, after.branches, after.worst_branch) == (2, 1, 5)
    level = limits.kv.tolist().index(10.0)
    assert after.low_pu[level] == 0.9999
    assert after.high_pu[level] == 1.0701
    assert np.isnan(after.low_pu[limits.kv.tolist().index(0.4)])
