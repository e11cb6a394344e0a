"""What a user sees of an import, and what a command line may choose."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hil.registers.pointtable import Choices, describe, import_table, read_choices
from hil.registers.pointtable.findings import OPTIONS
from tests.pointtable.tables import OPEN, PLAIN, read, text_file, workbook
from twin.errors import InputProblems

TABLE = (
    "名称,地址,类型,系数,单位,读写\n"
    "电压[L1],100,U16,0.1,V,R\n"
    "电能,101,U32,1,kWh,R\n设定,103,U16,1,,RW\n"
)


def shown(imported):
    out = io.StringIO()
    Console(file=out, width=200).print(describe(imported))
    return out.getvalue()


def test_dialect_findings_doubts_samples_and_counts(tmp_path):
    text = shown(read(tmp_path, TABLE, OPEN, samples={100: 2301, 101: 0, 102: 9}))
    for part in (
        "(utf-8 comma)", "'系数' scale", "row 1", "column '系数' holds a factor",
        "电压[L1] = 230.1 V", "08FD", "电能 = 9 kWh", "遥测 2, 遥信 0, 遥控 0, 遥调 1",
        "--base 0", "--order CDAB", "电能 = 589824 kWh", "--table yc=input",
    ):  # fmt: skip
        assert part in text


def test_problems_and_workbooks_are_shown(tmp_path):
    path = workbook(tmp_path, {"遥测": [["名称", "地址"], ["a", "x"]]})
    with pytest.raises(InputProblems):
        import_table(path, PLAIN)
    from hil.registers.pointtable import recognise

    text = shown(recognise(path, PLAIN))
    assert "(workbook)" in text
    assert "sheet 遥测, row 2: address: 'x'" in text


def test_a_refusal_lists_each_doubt_with_its_options_and_each_problem(tmp_path):
    path = text_file(tmp_path, TABLE + "坏,x,U16,1,,R\n")
    with pytest.raises(InputProblems) as raised:
        import_table(path, Choices())
    places = [(p.place, p.allowed) for p in raised.value.problems]
    allowed = " ".join(text for _, text in places)
    for option in ("--base 0", "--base 1", "--table yc=holding", "--order DCBA", "--kind storage"):
        assert option in allowed
    assert ("row 5: address", "'x'") in [(p.place, p.value) for p in raised.value.problems]
    assert {p.file for p in raised.value.problems} == {str(path)}


def test_settled_doubts_are_findings(tmp_path):
    found = read(tmp_path, TABLE, PLAIN, base="1")
    assert found.map is not None
    evidence = {f.evidence for f in found.findings}
    assert {"--base", "--order", "--table", "--kind"} <= evidence


def test_a_choice_that_decided_nothing_is_said(tmp_path):
    found = read(tmp_path, "名称,地址,类型,字节序\na,0,U32,CDAB\n", order="ABCD", base="0")
    told = [f.what for f in found.findings if "decided nothing" in f.what]
    assert "--order ABCD decided nothing" in told
    assert "--type u16 decided nothing" in told
    assert not any("--base" in text or "--kind" in text for text in told)


def test_bad_samples(tmp_path):
    found = read(tmp_path, TABLE, samples={70000: 1, 1: -1})
    assert [(p.place, p.value) for p in found.problems] == [("70000", "1"), ("1", "-1")]


def test_choices_of_a_command_line():
    choices = read_choices(
        {
            "base": "1",
            "tables": ["yc=input", "yx=coil"],
            "sheets": ["遥测"],
            "order": None,
            "unit": "3",
        }
    )
    assert choices == Choices(
        base="1", tables=(("yc", "input"), ("yx", "coil")), sheets=("遥测",), unit="3"
    )
    assert choices.table("yc", ("input", "holding")) == "input"
    assert choices.table("yc", ("coil",)) is None


def test_choices_that_are_not_allowed_come_all_at_once():
    with pytest.raises(InputProblems) as raised:
        read_choices({"base": "2", "tables": "yc", "order": "ACDC", "unit": "900", "scale": "half"})
    assert [p.place for p in raised.value.problems] == [
        "--base", "--table", "--order", "--unit", "--scale",
    ]  # fmt: skip


def test_every_choice_has_an_option():
    assert tuple(OPTIONS) == tuple(Choices.__dataclass_fields__)
