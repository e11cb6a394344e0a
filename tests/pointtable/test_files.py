"""Encodings, delimiters, workbooks, and files that are no tables."""

from __future__ import annotations

import zipfile

import pytest

from hil.registers.pointtable import Choices, import_table, recognise
from tests.pointtable.tables import (
    OPEN,
    PLAIN,
    doubted,
    found_text,
    points,
    read,
    text_file,
    workbook,
    wrong,
)
from twin.errors import InputProblems

CHINESE = "名称,地址,数据类型,单位\nA相电压,100,UINT16,V\n"
ENGLISH = "Name,Address,Type,Unit\nVoltage,100,UINT16,V\n"


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", "encoding utf-8 [every byte fits"),
        ("utf-8-sig", "encoding utf-8 [byte order mark]"),
        ("gbk", "encoding gb18030 [not UTF-8"),
        ("gb18030", "encoding gb18030 [not UTF-8"),
        ("utf-16", "encoding utf-16 [byte order mark]"),
    ],
)
def test_an_encoding_is_found_and_said(tmp_path, encoding, said):
    found = recognise(text_file(tmp_path, CHINESE, encoding), PLAIN)
    assert found.map is not None
    assert found.map.points[0].meaning_zh == "A相电压"
    assert said in found_text(found)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_delimiter_is_found(tmp_path, delimiter):
    path = text_file(tmp_path, CHINESE.replace(",", delimiter), name="table.txt")
    found = recognise(path, PLAIN)
    assert points(found)["p_100"]["unit"] == "V"


def test_quotes_and_line_breaks_in_cells(tmp_path):
    found = read(tmp_path, '名称,"寄存器\n地址",类型\n"电压, ""A""相",100,UINT16\n')
    assert points(found)["p_100"]["meaning_zh"] == '电压, "A"相'


def test_letters_that_fit_two_encodings_are_a_doubt_that_shows_both(tmp_path):
    # Without a Chinese header, bytes of a Latin degree sign are a rare Chinese character too.
    path = text_file(tmp_path, ENGLISH.replace(",V\n", ",°C\n"), "cp1252")
    found = recognise(path, PLAIN)
    assert doubted(found) == {"encoding": ("gb18030", "cp1252")}
    assert [o.reading for o in found.doubts[0].options] == [
        "Voltage,100,UINT16,癈", "Voltage,100,UINT16,°C",
    ]  # fmt: skip
    settled = recognise(path, Choices(kind="storage", base="0", tables=(("yc", "input"),),
                                      encoding="cp1252"))  # fmt: skip
    assert settled.map is not None
    assert settled.map.points[0].unit == "°C"


def test_gbk_pairs_that_happen_to_be_utf_8_are_a_doubt(tmp_path):
    path = text_file(tmp_path, ENGLISH.replace("Voltage", "沤拢"), "gbk")
    assert path.read_bytes().decode("utf-8")  # it is
    assert doubted(recognise(path, PLAIN)) == {"encoding": ("gb18030", "utf-8")}


def test_a_stated_encoding_that_does_not_fit_names_byte_and_line(tmp_path):
    path = text_file(tmp_path, CHINESE, "gbk")
    found = recognise(path, Choices(kind="storage", encoding="utf-8"))
    assert wrong(found) == [("file: encoding", "byte 0xC3 in line 1 is not utf-8")]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"", "nothing in it"),
        (b"\xef\xbb\xbf\r\n ,,\r\n", "nothing in it"),
        (bytes(range(256)) * 8, "neither UTF-8 nor GB18030 (GBK)"),
        (b"a,b\n\0\1\2,c\n", "binary data"),
        (
            b"\xd0\xcf\x11\xe0" + b"\0" * 500,
            "an xls workbook of before 2007, or one with a password",
        ),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"just a sentence\nand one more\n", "none found"),
        (b"name,value\nspeed,3\n", "none found"),
    ],
)
def test_what_is_no_table_is_a_problem_that_says_so(tmp_path, data, value):
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    with pytest.raises(InputProblems) as raised:
        import_table(path, PLAIN)
    assert [p.value for p in raised.value.problems] == [value]
    assert raised.value.problems[0].file == str(path)


@pytest.mark.parametrize("data", [b"PK\x03\x04 and junk", None])
def test_a_zip_that_is_no_workbook(tmp_path, data):
    path = tmp_path / "table.xlsx"
    if data is None:
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("hello.txt", "no workbook")
    else:
        path.write_bytes(data)
    ((place, value),) = wrong(recognise(path, PLAIN))
    assert place == "file"
    assert value.startswith("not readable (")


def test_no_file_and_a_folder(tmp_path):
    assert wrong(recognise(tmp_path / "no.csv", PLAIN)) == [("file", "No such file or directory")]
    assert wrong(recognise(tmp_path, PLAIN)) == [("file", "Is a directory")]


def test_a_header_and_nothing_below(tmp_path):
    found = read(tmp_path, "名称,地址\n")
    assert wrong(found) == [("file", "a header and no points")]


def test_too_many_columns(tmp_path):
    found = read(tmp_path, CHINESE + "x," * 300)
    assert wrong(found) == [("file", "3 rows, 301 columns")]


def test_a_sheet_that_reaches_too_far_says_what_to_delete(tmp_path):
    path = workbook(tmp_path, {"a": [["名称", "地址"], ["电压", 1]]})
    import openpyxl

    book = openpyxl.load_workbook(path)
    book["a"].cell(30_000, 1, "end")
    book.save(path)
    (problem,) = recognise(path, PLAIN).problems
    assert problem.value == "30000 rows, 2 columns (with formatting)"
    assert "delete the empty ones" in problem.allowed


HEAD = ["序号", "名称", "寄存器地址", "数据类型", "功能码"]


def test_four_sheets_give_the_classes(tmp_path):
    path = workbook(
        tmp_path,
        {
            "封面": [["储能系统通信点表 V1.2"], ["地址从0开始"]],
            "遥测": [HEAD, [1, "电压", 1, "UINT16", 4]],
            "遥信": [HEAD, [1, "运行", 1, "BOOL", 2]],
            "遥控": [HEAD, [1, "启动", 1, "BOOL", 5]],
            "遥调": [HEAD, [1, "功率设定", 1, "INT16", "03/06"]],
        },
    )
    found = recognise(path, OPEN)
    assert found.map is not None, found.problems or found.doubts
    assert [(p.cls, p.table, p.address, p.access) for p in found.map.points] == [
        ("yc", "input", 1, "r"),
        ("yx", "discrete", 1, "r"),
        ("yk", "coil", 1, "w"),
        ("yt", "holding", 1, "rw"),
    ]
    text = found_text(found)
    assert "sheet 封面: no points here, only text" in text
    assert "addresses count from 0, as on the wire [the table says '地址从0开始']" in text
    # One Chinese name a table: the same address four times needs four names.
    assert [p.name for p in found.map.points] == ["p_1", "p_1_discrete", "p_1_coil", "p_1_holding"]


def test_merged_cells_carry_down(tmp_path):
    rows = [
        ["储能点表", None, None, None],
        ["名称", "地址", "位", "功能码"],
        ["过压", 1000, 0, "03"],
        ["欠压", None, 1, None],
        ["过流", None, 2, None],
    ]
    path = workbook(tmp_path, {"告警": rows}, {"告警": ["A1:D1", "B3:B5", "D3:D5"]})
    found = recognise(path, PLAIN)
    assert [(p["address"], p["bit"], p["class"]) for p in found.data["points"]] == [
        (1000, 0, "yx"), (1000, 1, "yx"), (1000, 2, "yx"),
    ]  # fmt: skip


def test_a_value_drawn_over_two_rows_is_one_point(tmp_path):
    rows = [
        ["名称", "地址", "数据类型"],
        ["电能", 10, "UINT32"],
        [None, 11, None],
        ["电压", 12, "UINT16"],
    ]
    path = workbook(tmp_path, {"a": rows}, {"a": ["A2:A3", "C2:C3"]})
    found = recognise(path, PLAIN)
    assert found.map is not None, found.problems
    assert [(p.address, p.type) for p in found.map.points] == [(10, "u32"), (12, "u16")]
    assert "row 3: goes on the value above" in found_text(found)


def test_headers_of_two_levels(tmp_path):
    rows = [
        ["名称", "寄存器地址", None, "类型"],
        [None, "十进制", "十六进制", None],
        ["电压", 23298, "5B02", "U16"],
    ]
    path = workbook(tmp_path, {"a": rows}, {"a": ["A1:A2", "B1:C1", "D1:D2"]})
    found = recognise(path, PLAIN)
    assert [p["address"] for p in found.data["points"]] == [0x5B02]
    assert "give each address twice" in found_text(found)


def test_cells_are_taken_as_excel_shows_them(tmp_path):
    rows = [["名称", "地址", "类型"], ["a", 1000.0, "BOOL"], ["b", 1000.1, "BOOL"]]
    path = workbook(tmp_path, {"a": rows}, formats={"B2": "0.00", "B3": "0.00"})
    found = recognise(path, PLAIN)
    assert [(p["address"], p.get("bit")) for p in found.data["points"]] == [
        (1000, None),
        (1000, 10),
    ]


def test_a_hex_address_that_excel_made_a_number_is_refused(tmp_path):
    rows = [["名称", "地址(HEX)", "类型"], ["a", 500, "U16"], ["b", "5E03", "U16"]]
    path = workbook(tmp_path, {"a": rows}, formats={"B2": "0.00E+00"})
    assert ("sheet a, row 2: address", "'5E+2'") in wrong(recognise(path, PLAIN))


def test_a_formula_without_a_stored_value_is_refused(tmp_path):
    rows = [["名称", "地址", "类型"], ["a", 1, "U16"], ["b", "=B2+1", "U16"]]
    found = recognise(workbook(tmp_path, {"a": rows}), PLAIN)
    assert ("sheet a, row 3: B3", "=B2+1") in wrong(found)


def test_a_hidden_sheet_with_points_is_a_doubt(tmp_path):
    rows = [["名称", "地址", "类型"], ["a", 1, "U16"]]
    path = workbook(tmp_path, {"新": rows, "旧": rows}, hidden=["旧"])
    assert doubted(recognise(path, PLAIN)) == {"sheets": ("新", "旧")}
    found = recognise(path, Choices(**{**_fields(PLAIN), "sheets": ("新",)}))
    assert found.map is not None


def test_a_sheet_that_is_not_there(tmp_path):
    path = workbook(tmp_path, {"a": [["名称", "地址"], ["x", 1]]})
    found = recognise(path, Choices(kind="storage", sheets=("b",)))
    assert wrong(found)[0] == ("sheet b: --sheet", "'b'")


def _fields(choices: Choices) -> dict[str, object]:
    return {name: getattr(choices, name) for name in choices.__dataclass_fields__}
