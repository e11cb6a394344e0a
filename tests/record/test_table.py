"""State as data: copies are independent, bits decide, shapes are kept."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from twin.record.columns import Columns
from twin.record.table import Table

ROWS = ("power_kw", "soc")
blocks = hnp.arrays(np.float64, st.tuples(st.just(2), st.integers(0, 6)))


def table(block: np.ndarray) -> Table:
    n = block.shape[1]
    made = Table(ROWS, n, {"flag": np.zeros(n, np.uint8), "count": np.zeros((2, 3), np.int64)})
    made.block[...] = block
    return made


def test_rows_are_views_of_one_contiguous_block() -> None:
    made = table(np.arange(8.0).reshape(2, 4))
    assert made.n == 4
    assert made.block.flags.c_contiguous
    assert tuple(made) == (*ROWS, "flag", "count")
    made["soc"][2] = -1.0
    assert made.block[1, 2] == -1.0
    made.block[0] = 9.0
    assert (made["power_kw"] == 9.0).all()
    view = made["power_kw"]
    made["power_kw"] = [1.0, 2.0, 3.0, 4.0]  # in place: a kernel's view stays true
    assert view.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert "soc" in made
    assert "energy" not in made


def test_an_unknown_row_and_a_row_of_another_length_are_refused() -> None:
    made = table(np.zeros((2, 4)))
    with pytest.raises(KeyError):
        made["energy"]
    with pytest.raises(KeyError):
        made["energy"] = 0.0
    with pytest.raises(ValueError, match="broadcast"):
        made["soc"] = np.zeros(3)


@pytest.mark.parametrize(
    ("rows", "extra"),
    [(("a", "a"), {}), (("a",), {"a": np.zeros(2)})],
)
def test_a_name_that_stands_twice_is_refused(
    rows: tuple[str, ...], extra: dict[str, np.ndarray]
) -> None:
    with pytest.raises(ValueError, match="twice"):
        Table(rows, 2, extra)


def test_a_table_owns_its_block_and_the_extra_arrays_given_to_it() -> None:
    given_array = np.zeros(3)
    made = Table((), 0, {"x": given_array})
    made["x"][0] = 5.0
    assert made.copy()["x"][0] == 5.0
    assert made.arrays()["x"] is made.extra["x"]


@given(blocks)
def test_a_copy_has_the_same_bits_and_a_life_of_its_own(block: np.ndarray) -> None:
    made = table(block)
    twin = made.copy()
    assert twin.digest() == made.digest()
    before = made.digest()
    twin["count"][1, 2] += 1
    twin["power_kw"] = 7.25
    twin["flag"] = 1
    assert made.digest() == before
    assert twin.digest() != before
    for name in made:
        assert not np.shares_memory(made[name], twin[name])
    # The rows of a copy are views of its own block.
    assert np.shares_memory(twin["power_kw"], twin.block) or twin.n == 0


@given(blocks)
def test_a_table_survives_pickle_and_a_file(block: np.ndarray) -> None:
    made = table(block)
    made["count"][0, 1] = 3
    other = pickle.loads(pickle.dumps(made))
    assert other.digest() == made.digest()
    other["power_kw"] = 3.5
    assert (other.block[0] == 3.5).all()  # its rows are views again, not copies

    file = io.BytesIO()
    np.savez(file, **made.arrays())
    file.seek(0)
    fresh = table(np.zeros_like(block))
    view = fresh["soc"]
    with np.load(file) as held:
        fresh.restore(held)
    assert fresh.digest() == made.digest()
    assert view.tobytes() == block[1].tobytes()  # in place: older views see it


def test_restore_refuses_what_does_not_fit_and_names_it() -> None:
    made = table(np.zeros((2, 4)))
    arrays = made.arrays()
    with pytest.raises(ValueError, match="count"):
        made.restore({**arrays, "count": np.zeros((2, 3), np.float64)})
    with pytest.raises(ValueError, match="block"):
        made.restore({**arrays, "block": np.zeros((2, 5))})
    with pytest.raises(KeyError):
        made.restore({"block": made.block})


@given(blocks.filter(lambda b: b.size > 0), st.data())
def test_the_digest_sees_every_bit(block: np.ndarray, data: st.DataObject) -> None:
    made = table(block)
    before = made.digest()
    at = data.draw(st.integers(0, block.size - 1))
    bits = made.block.reshape(-1).view(np.uint64)
    bits[at] ^= np.uint64(1 << data.draw(st.integers(0, 63)))
    assert made.digest() != before


def test_the_digest_tells_zero_from_minus_zero_and_shape_from_shape() -> None:
    here, there = table(np.zeros((2, 3))), table(np.zeros((2, 3)))
    there["soc"] = -0.0
    assert here.digest() != there.digest()
    flat, tall = Table((), 0, {"x": np.zeros((2, 3))}), Table((), 0, {"x": np.zeros((3, 2))})
    assert flat.digest() != tall.digest()
    assert Table((), 0, {"x": np.zeros(2)}).digest() != Table((), 0, {"y": np.zeros(2)}).digest()


# -- columns ---------------------------------------------------------------------------------


def test_columns_are_read_only_and_own_their_values() -> None:
    source = np.array([1.0, 2.0])
    columns = Columns({"rated_kw": source, "site": np.array([3, 4], np.int8)})
    source[0] = 99.0
    assert columns["rated_kw"].tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        columns.f8("rated_kw")[0] = 5.0
    assert (columns.n, len(columns), list(columns)) == (2, 2, ["rated_kw", "site"])
    assert "site" in columns
    assert "district" not in columns


def test_columns_come_in_the_type_that_is_asked_for() -> None:
    columns = Columns({"site": np.array([3, 4], np.int8), "enrolled": np.array([0, 1], np.uint8)})
    assert columns.i8("site").dtype == np.int64
    assert columns.f8("site").dtype == np.float64
    assert columns.flag("enrolled").tolist() == [False, True]


def test_columns_of_other_lengths_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="column b has 3 rows, not 2"):
        Columns({"a": np.zeros(2), "b": np.zeros(3)})
    with pytest.raises(ValueError, match="column a"):
        Columns({"a": np.zeros(2)}, n=4)
    assert Columns({}).n == 0
    assert Columns({}, n=3).n == 3


def test_the_digest_of_columns_sees_values_types_and_names_and_no_order() -> None:
    one = Columns({"a": np.zeros(2), "b": np.ones(2)})
    assert one.digest() == Columns({"b": np.ones(2), "a": np.zeros(2)}).digest()
    for other in (
        {"a": np.zeros(2), "b": np.ones(2, np.float32)},
        {"a": np.zeros(2), "c": np.ones(2)},
        {"a": np.zeros(2), "b": np.array([1.0, np.nextafter(1.0, 2.0)])},
    ):
        assert Columns(other).digest() != one.digest()


def test_columns_survive_pickle() -> None:
    """Child processes are given inventories."""
    columns = pickle.loads(pickle.dumps(Columns({"a": np.arange(3)})))
    assert columns.n == 3
    assert columns["a"].tolist() == [0, 1, 2]
