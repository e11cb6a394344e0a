"""One point to registers and back, in every type and order."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sunspec2 import mb

from hil.registers.codec import decode, encode, not_implemented, span
from tests.registers.wirepoint import point

ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
NUMBERS = ("u16", "i16", "u32", "i32", "u64", "bits")
WORDS = {
    "u16": (0x1234, {"ABCD": [0x1234], "CDAB": [0x1234], "BADC": [0x3412], "DCBA": [0x3412]}),
    "u32": (
        0x12345678,
        {
            "ABCD": [0x1234, 0x5678],
            "CDAB": [0x5678, 0x1234],
            "BADC": [0x3412, 0x7856],
            "DCBA": [0x7856, 0x3412],
        },
    ),
    "u64": (
        0x0123456789ABC000,
        {
            "ABCD": [0x0123, 0x4567, 0x89AB, 0xC000],
            "CDAB": [0xC000, 0x89AB, 0x4567, 0x0123],
            "BADC": [0x2301, 0x6745, 0xAB89, 0x00C0],
            "DCBA": [0x00C0, 0xAB89, 0x6745, 0x2301],
        },
    ),
}


@pytest.mark.parametrize("type_", WORDS)
@pytest.mark.parametrize("order", ORDERS)
def test_orders_of_one_two_and_four_registers(type_, order):
    value, words = WORDS[type_]
    assert encode(point(type_), order, float(value)) == words[order]
    assert decode(point(type_), order, words[order]) == value


def test_the_points_own_order_goes_first():
    assert encode(point("u32", order="CDAB"), "ABCD", 1.0) == [1, 0]


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        ("u16", [0xFFFF]),
        ("i16", [0x8000]),
        ("u32", [0xFFFF] * 2),
        ("i32", [0x8000, 0]),
        ("u64", [0xFFFF] * 4),
        ("f32", [0x7FC0, 0]),
        ("bits", [0xFFFF]),
        ("string", [0, 0]),
    ],
)
@pytest.mark.parametrize("value", [None, math.nan])
def test_not_implemented_has_a_pattern_by_type(type_, words, value):
    assert encode(point(type_), "ABCD", value) == words
    assert decode(point(type_), "ABCD", words) is None


def test_the_pattern_can_be_another_over_the_whole_width():
    counter = point("u32", na=0)
    assert encode(counter, "ABCD", math.nan) == [0, 0]
    assert decode(counter, "ABCD", [0, 0]) is None
    assert span(counter) == (0, 2**32 - 1)
    lowest = point("i16", na=0x7FFF)
    assert span(lowest) == (-(2**15), 2**15 - 2)
    assert encode(lowest, "ABCD", 1e9) == [0x7FFE]
    assert not_implemented(lowest) == 0x7FFF


def test_a_nan_of_any_payload_is_not_implemented():
    assert decode(point("f32"), "ABCD", [0xFFC1, 0x0203]) is None


@pytest.mark.parametrize(
    ("type_", "value", "raw"),
    [
        ("u16", 1e9, 0xFFFE),
        ("u16", -1.0, 0),
        ("i16", 1e9, 0x7FFF),
        ("i16", -1e9, 0x8001),
        ("u32", math.inf, 0xFFFF_FFFE),
        ("i32", -math.inf, 0x8000_0001),
        ("u64", 1e30, 9_200_000_000_000_000_000),
        ("bits", 70000.0, 0xFFFE),
    ],
)
def test_what_does_not_fit_stops_short_of_the_pattern(type_, value, raw):
    words = encode(point(type_), "ABCD", value)
    assert int.from_bytes(b"".join(w.to_bytes(2, "big") for w in words), "big") == raw


@pytest.mark.parametrize(("value", "raw"), [(0.25, 0), (0.75, 2), (1.25, 2), (1.3, 3), (-0.2, 0)])
def test_rounds_half_to_even_as_numpy_does(value, raw):
    assert encode(point("u16", scale=0.5), "ABCD", value) == [raw]
    assert raw == int(np.rint(value / 0.5))


@pytest.mark.parametrize(("value", "bit"), [(0.0, 0), (1.0, 1), (0.49, 0), (7.0, 1), (math.nan, 0)])
def test_bits_are_nought_or_one(value, bit):
    assert encode(point("bit"), "DCBA", value) == [bit]
    inside = point("bits", bit=9)
    assert encode(inside, "ABCD", value) == [bit << 9]
    assert encode(inside, "BADC", value) == [bit << 9]
    assert decode(inside, "BADC", [bit << 9]) == bit


def test_text_is_cut_padded_and_swapped_within_registers_only():
    text = point("string", length=3)
    assert encode(text, "ABCD", "SunS") == [0x5375, 0x6E53, 0]
    assert encode(text, "CDAB", "SunS") == [0x5375, 0x6E53, 0]
    assert encode(text, "DCBA", "SunS") == [0x7553, 0x536E, 0]
    assert encode(text, "ABCD", "much too long") == encode(text, "ABCD", "much t")
    assert decode(text, "DCBA", [0x7553, 0x536E, 0]) == "SunS"


def test_the_wrong_number_of_registers_and_text_for_a_number_are_errors():
    with pytest.raises(ValueError, match="p: 1 registers, not 2"):
        decode(point("u32"), "ABCD", [1])
    with pytest.raises(TypeError, match="text for type u16"):
        encode(point("u16"), "ABCD", "1")
    with pytest.raises(ValueError, match="no whole numbers"):
        span(point("f32"))


@given(st.data(), st.sampled_from(NUMBERS), st.sampled_from(ORDERS))
def test_whole_numbers_come_back(data, type_, order):
    one = point(type_)
    least, most = span(one)
    # A double holds 53 bits; no counter of ours has more.
    raw = data.draw(st.integers(max(least, -(2**53)), min(most, 2**53)))
    assert decode(one, order, encode(one, order, float(raw))) == raw


@given(st.sampled_from(ORDERS), st.floats(width=32, allow_nan=False))
def test_floats_come_back(order, value):
    assert decode(point("f32"), order, encode(point("f32"), order, value)) == value


@given(
    st.sampled_from(NUMBERS),
    st.sampled_from(ORDERS),
    st.sampled_from([0.001, 0.01, 0.1, 1.0, 10.0]),
    st.floats(-30000.0, 60000.0),
)
def test_what_fits_comes_back_within_half_a_step(type_, order, scale, value):
    one = point(type_, scale=scale)
    least, most = span(one)
    shown = decode(one, order, encode(one, order, value))
    kept = min(max(value, least * scale), most * scale)
    assert shown == pytest.approx(kept, abs=0.5 * scale * (1.0 + 1e-6))


@given(st.sampled_from(ORDERS), st.text(st.characters(codec="ascii", exclude_characters="\0")))
def test_text_comes_back(order, text):
    one = point("string", length=8)
    assert decode(one, order, encode(one, order, text)) == (text[:16] or None)


SUNSPEC = {
    "uint16": point("u16"), "enum16": point("u16"), "bitfield16": point("bits"),
    "int16": point("i16"), "sunssf": point("i16"), "uint32": point("u32"),
    "bitfield32": point("u32"), "acc32": point("u32", na=0), "int32": point("i32"),
    "uint64": point("u64"), "acc64": point("u64", na=0), "float32": point("f32"),
}  # fmt: skip


@pytest.mark.parametrize("type_", SUNSPEC)
@given(data=st.data())
def test_equals_the_encoders_of_pysunspec2(type_, data):
    one, info = SUNSPEC[type_], mb.point_type_info[type_]
    if type_ == "float32":
        value = data.draw(st.floats(width=32, allow_nan=False))
    else:
        least, most = span(one)
        value = data.draw(st.integers(max(least, -(2**53)), min(most, 2**53)))
    words = encode(one, "ABCD", float(value))
    wire = struct.pack(f">{len(words)}H", *words)
    assert wire == info.to_data(value)
    assert info.data_to(wire) == value


@pytest.mark.parametrize("type_", SUNSPEC)
def test_not_implemented_is_what_pysunspec2_takes_for_it(type_):
    words = encode(SUNSPEC[type_], "ABCD", math.nan)
    assert struct.pack(f">{len(words)}H", *words) == mb.create_unimpl_value(type_)
