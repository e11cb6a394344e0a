"""The compiled encoder and decoder equal the plain codec."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from hil.kernels import image as im
from hil.kernels import pack
from hil.registers.codec import decode, encode, not_implemented
from hil.registers.layout import ORDERS, TYPES
from tests.registers.wirepoint import point

POINTS = [
    *(point(t) for t in ("u16", "i16", "u32", "i32", "u64", "f32", "bits", "bit")),
    *(point("bits", bit=b) for b in (0, 7, 8, 15)),
    point("u32", na=0),
    point("i16", scale=0.1),
]


@given(st.sampled_from(POINTS), st.sampled_from(sorted(ORDERS)), st.floats())
@example(POINTS[0], "ABCD", math.nan)
@example(POINTS[1], "BADC", -32768.0)
@example(POINTS[4], "DCBA", 1e19)
@example(POINTS[-2], "CDAB", 4294967295.0)
def test_compiled_words_equal_plain_ones(one, order, value):
    kind = im.BIT_OF if one.bit is not None else TYPES[one.type]
    row = np.zeros(im.POINT_COLUMNS, np.int64)
    row[im.TYPE], row[im.WIDTH], row[im.ORDER] = kind, one.width, ORDERS[order]
    row[im.BIT_NUMBER] = 0 if one.bit is None else one.bit
    na = np.uint64(not_implemented(one))
    image = np.zeros(2 * one.width, np.uint8)
    pack.put_raw(image, 0, row, pack.raw_of(value / one.scale, kind, na))
    words = encode(one, order, value)
    given_bytes = (
        bytes(words) if one.type == "bit" else b"".join(w.to_bytes(2, "big") for w in words)
    )
    assert image.tobytes()[: len(given_bytes)] == given_bytes
    back = pack.value_of(pack.get_raw(image, 0, row), kind, na) * one.scale
    plain = decode(one, order, words)
    assert math.isnan(back) if plain is None else back == plain
