from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.headend.plan import READ, blocks_of, plan_map
from hil.kernels import image as im
from hil.registers.files import reading_points, shipped_maps
from hil.registers.layout import TABLES, Compiled, compile_maps
from hil.registers.schema import RegisterMap
from tests.headend.worlds import inventory

WIDTHS = {"u16": 1, "i32": 2, "u64": 4}


@st.composite
def register_maps(draw: st.DrawFn) -> RegisterMap:
    """Points of all widths with gaps between them; some cannot be read."""
    points = []
    for table in draw(st.sets(st.sampled_from(["coil", "input", "holding"]), min_size=1)):
        at = draw(st.integers(0, 20))
        for _ in range(draw(st.integers(1, 12))):
            kind = "bit" if table == "coil" else draw(st.sampled_from(sorted(WIDTHS)))
            mute = table == "holding" and draw(st.integers(0, 4)) == 0
            points.append({
                "name": f"p{len(points)}", "class": "yt" if mute else "yx", "table": table,
                "address": at, "type": kind, "access": "w" if mute else "r", "meaning": "x",
                "meaning_zh": "x", "source": {"held": 0},
            })  # fmt: skip
            at += WIDTHS.get(kind, 1) + draw(st.sampled_from([0, 0, 1, 3, 60, 300]))
    return RegisterMap.model_validate({
        "name": "drawn", "kind": "meter", "title": "x", "title_zh": "x", "source": "x",
        "identity": {"vendor": "x", "product": "x"}, "points": points,
        "gaps": draw(st.sampled_from(["any", "all", "zero"])),
        "longest_read": draw(st.integers(4, 125)),
    })  # fmt: skip


def readable(compiled: Compiled) -> np.ndarray:
    point = compiled.layout.point
    return np.flatnonzero(point[:, im.READABLE] == 1)


def defined(one: RegisterMap, table: int, access: str) -> set[int]:
    return {
        p.address + i
        for p in one.points
        if TABLES[p.table] == table and access in p.access
        for i in range(p.width)
    }


@given(register_maps(), st.data())
def test_blocks_hold_every_wanted_point_and_nothing_that_is_refused(
    one: RegisterMap, data: st.DataObject
) -> None:
    compiled = compile_maps([one], {})
    rows = readable(compiled)
    wanted = np.array(
        sorted(data.draw(st.sets(st.sampled_from(rows.tolist()))) if len(rows) else ()), np.int64
    )
    blocks = blocks_of(compiled, 0, wanted)
    table_of = {code: table for table, code in READ.items()}
    for row in wanted:
        table, address, width, byte = compiled.layout.point[
            row, [im.TABLE, im.ADDRESS, im.WIDTH, im.BYTE]
        ]
        unit = 1 if table in (im.COIL, im.DISCRETE) else 2
        assert any(
            table_of[b.function] == table
            and b.address <= address
            and address + width <= b.address + b.count
            and b.byte + unit * (address - b.address) == byte
            for b in blocks
        )
    for b in blocks:
        table = table_of[b.function]
        asked = set(range(b.address, b.address + b.count))
        assert len(asked) <= (2000 if table == im.COIL else one.longest_read)
        mute = defined(one, table, "w") - defined(one, table, "r")
        assert not asked & mute
        if one.gaps == "any":
            assert asked <= defined(one, table, "r")


@given(register_maps())
def test_no_two_neighbouring_blocks_could_be_one(one: RegisterMap) -> None:
    compiled = compile_maps([one], {})
    blocks = blocks_of(compiled, 0, readable(compiled))
    segments = compiled.layout.segment
    for left, right in pairwise(blocks):
        if left.function != right.function:
            continue
        table = {code: t for t, code in READ.items()}[left.function]
        joined = set(range(left.address, right.address + right.count))
        mute = defined(one, table, "w") - defined(one, table, "r")
        missing = joined - defined(one, table, "r")
        apart = not any(
            s[im.SEG_TABLE] == table
            and s[im.SEG_START] <= left.address
            and right.address + right.count <= s[im.SEG_START] + s[im.SEG_COUNT]
            for s in segments
        )
        # A block may grow by whole points only, so the first point of the next one must not fit.
        first = min(
            (p for p in one.points if p.address == right.address and TABLES[p.table] == table),
            key=lambda p: p.width,
        )
        most = 2000 if table == im.COIL else one.longest_read
        longer = right.address + first.width - left.address
        between = set(range(left.address, right.address + first.width))
        assert longer > most or apart or between & mute or (one.gaps == "any" and between & missing)


@pytest.mark.parametrize("name", sorted(shipped_maps()))
def test_every_shipped_map_is_read_with_few_requests(name: str) -> None:
    one = shipped_maps()[name]
    kind = inventory(one.kind, 1)
    plan = plan_map(compile_maps([one], {one.kind: kind}), 0, kind.points)
    shown = reading_points(one)
    assert [row >= 0 for row in plan.wanted] == [p.name in shown for p in kind.points]
    assert len(plan.blocks) == (1 if shown else 0)
