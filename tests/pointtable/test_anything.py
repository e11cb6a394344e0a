"""Whatever stands in a file: findings, doubts and problems, and no exception."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.registers.pointtable import Choices, describe, import_table, recognise
from hil.registers.pointtable.words import table_of_words
from twin.errors import InputProblems

HEADERS = sorted({words[0] for words in table_of_words()["columns"].values()})
CELLS = (
    "", "/", "0", "1", "10", "0.1", "100", "40001", "40002", "0x10", "5B02H", "D100", "4x0001",
    "1000.3", "1000.10", "1000-1001", "1!40001#BB", "-1", "65536", "9" * 30, "x", "电压", "U_a",
    "预留", "UINT16", "INT", "U32", "float_CDAB", "BOOL", "string", "bits", "位域", "BCD", "kW",
    "0.1V", "V", "R", "RW", "只读", "03", "03/06", "0x10H", "FF", "遥测", "遥控", "线圈", "4x",
    "CDAB", "小端", "低字在前", "bit0: 启 bit1: 停", "0:停 1:启", "0~100", "-5~5", "bit3", "16",
    "1e400", "nan", "inf", "soc", "held:0", "point:soc", "text:x", "setpoint=a on=1", "'", "是",
    "地址从1开始", "地址从0开始",
    "4x区", "高字在前", "功能码03", "输入寄存器", "=1+1", "\n", "۴", "²", "\uff11\uff12", "storage",
)  # fmt: skip
CELL = st.sampled_from(CELLS)
NAMES = ("电压", "U_a", "预留", "x", "")
ADDRESSES = (*map(str, range(1, 12)), "40001", "0x10", "5B02H", "1000.3", "30-31", "y", "")
CHOICES = st.sampled_from(
    (
        Choices(),
        Choices(kind="storage", base="0", order="CDAB", type="u16", access="rw"),
        Choices(kind="solar", base="1", notation="hex", scale="divisor", unit="1", length="bytes"),
        Choices(base="modicon", scale="decimals", notation="decimal", bit_base="1", limits="raw"),
    )
)


@settings(max_examples=100)
@given(
    headers=st.lists(st.sampled_from(HEADERS), min_size=1, max_size=10),
    cells=st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(ADDRESSES), st.lists(CELL, max_size=10)),
        max_size=8,
    ),
    above=st.lists(CELL, max_size=3),
    choices=CHOICES,
)
def test_no_table_breaks_the_import(tmp_path_factory, headers, cells, above, choices):
    text = io.StringIO()
    csv.writer(text).writerows(
        [
            *([text] for text in above),
            ["名称", "地址", *headers],
            *([name, address, *rest] for name, address, rest in cells),
        ]
    )
    path = tmp_path_factory.mktemp("any") / "table.csv"
    path.write_text(text.getvalue(), "utf-8")
    found = recognise(path, choices, {1: 1, 2: 2, 1000: 3})
    assert describe(found) is not None
    # Exactly one of the two: a map, or something to say about why there is none.
    assert (found.map is not None) != bool(found.doubts or found.problems)


@settings(max_examples=60)
@given(data=st.binary(max_size=400))
def test_no_bytes_break_the_import(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "table.csv"
    path.write_bytes(data)
    with pytest.raises(InputProblems) as raised:
        import_table(path)
    assert raised.value.problems
