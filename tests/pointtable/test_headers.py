"""Where tables begin, and what their columns mean."""

from __future__ import annotations

import pytest

from hil.registers.pointtable.words import column_of
from tests.pointtable.tables import OPEN, PLAIN, found_text, points, read, workbook, wrong


@pytest.mark.parametrize(
    ("header", "meaning"),
    [
        ("寄存器地址", "address"), ("地址\n(HEX)", "address"), ("Reg. Addr", "address"),
        ("PCS寄存器地址", "address"), ("Address/地址", "address"), ("从机地址", "slave"),
        ("信号名称", "name"), ("Signal Name", "name"), ("英文名称", "name_en"), ("R/W", "access"),
        ("读写属性", "access"), ("数据类型", "type"), ("Data Type", "type"), ("倍率", "scale"),
        ("换算系数", "scale"), ("精度", "precision"), ("功能码", "fc"), ("字节序", "order"),
        ("位偏移", "bit"), ("寄存器个数", "count"), ("字节数", "bytes"), ("备注", "note"),
        ("取值范围", "range"), ("单位", "unit"), ("\uff2eame", "name"), ("心情", None), ("", None),
    ],
)  # fmt: skip
def test_words_of_headers(header, meaning):
    found = column_of(header)
    assert (None if found is None else found.meaning) == meaning


def test_a_header_stands_where_it_stands(tmp_path):
    text = "XX公司,,,\n储能系统点表,,,\n,,,\n备注：内部资料,,,\n名称,地址,类型,单位\n电压,1,U16,V\n"
    found = read(tmp_path, text)
    assert found.dialect.blocks[0].row == 5
    assert list(points(found)) == ["p_1"]


def test_an_offset_is_the_address_where_nothing_else_is(tmp_path):
    found = read(tmp_path, "名称,offset (PDU),类型\na,7,U16\n", OPEN, access="r", tables=())
    assert [p["address"] for p in found.data["points"]] == [7]
    text = found_text(found)
    assert "column 'offset (PDU)' is address" in text
    assert "addresses count from 0, as on the wire [the header of the address column]" in text


def test_two_names_are_chinese_and_english(tmp_path):
    found = read(tmp_path, "名称,Name,地址,类型\n电压,Ua,1,U16\n电流,Ia,2,U16\n")
    got = [(p["name"], p["meaning"], p["meaning_zh"]) for p in found.data["points"]]
    assert got == [("Ua", "Ua", "电压"), ("Ia", "Ia", "电流")]
    found = read(tmp_path, "名称,描述,地址,类型\n电压,线电压,1,U16\n")
    assert points(found)["p_1"]["meaning_zh"] == "电压（线电压）"


@pytest.mark.parametrize(
    ("columns", "cells", "cls", "type_"),
    [
        ("类型", "遥信", "yx", "u16"),
        ("类型", "U32", "yc", "u32"),
        ("类型,数据类型", "遥测,I16", "yc", "i16"),
        ("类型,数据类型", "保持寄存器,I16", "yc", "i16"),
    ],
)
def test_a_column_called_type_is_what_it_holds(tmp_path, columns, cells, cls, type_):
    found = read(tmp_path, f"名称,地址,{columns}\na,1,{cells}\n")
    assert found.map is not None, (found.doubts, found.problems)
    assert (found.map.points[0].cls, found.map.points[0].type) == (cls, type_)


def test_what_is_not_used_is_said(tmp_path):
    found = read(tmp_path, "名称,地址,类型,默认值,心情\na,1,U16,5,好\n")
    text = found_text(found)
    assert "columns not used: 默认值 [maps have no place for them]" in text
    assert "columns not used: 心情 [headers not known]" in text


def test_rows_are_counted_as_a_spreadsheet_counts(tmp_path):
    found = read(tmp_path, '名称,地址,备注,类型\na,1,"one\ntwo\nthree",U16\nb,x,,U16\n')
    assert wrong(found) == [("row 3: address", "'x'")]


def test_two_tables_beside_each_other_are_refused(tmp_path):
    found = read(tmp_path, "名称,地址,类型,名称,地址,类型\na,1,U16,b,2,U16\n")
    values = [value for _, value in wrong(found)]
    assert "'地址' and '地址' both mean address" in values


def test_cells_of_other_kinds(tmp_path):
    import datetime

    day = datetime.date(2026, 7, 8)
    rows = [["名称", "地址", "类型", "备注"], ["a", 1, "U16", True], ["b", day, "U16", None]]
    found = recognise_book(tmp_path, rows)
    assert points(found)["a"]["meaning_zh"] == "a（TRUE）"
    assert wrong(found) == [("sheet a, row 3: address", "'2026-07-08T00:00:00'")]


def recognise_book(tmp_path, rows):
    from hil.registers.pointtable import recognise

    return recognise(workbook(tmp_path, {"a": rows}), PLAIN)


def test_a_table_and_a_function_code_that_contradict_each_other(tmp_path):
    found = read(tmp_path, "名称,地址,类型,功能码,寄存器类型\na,1,U16,04,保持寄存器\n")
    assert wrong(found) == [("row 2: table", "'保持寄存器' with function code '04'")]
    found = read(tmp_path, "名称,地址,类型,功能码\na,400001,U16,04\n", base="modicon")
    assert wrong(found) == [("row 2: table", "holding by its address or bit, input by the rest")]
