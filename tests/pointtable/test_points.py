"""Types, tables, classes, access; names and meanings; bits, codes, limits, spare rows."""

from __future__ import annotations

import pytest

from tests.pointtable.tables import OPEN, PLAIN, doubted, found_text, points, read, wrong


def typed(found):
    return [point["type"] for point in found.data["points"]]


@pytest.mark.parametrize(
    ("word", "type_"),
    [
        ("UINT16", "u16"), ("无符号16位", "u16"), ("U16", "u16"), ("uint16_t", "u16"),
        ("unsigned short", "u16"), ("WORD", "u16"), ("INT16", "i16"), ("有符号16位整型", "i16"),
        ("S16", "i16"), ("short", "i16"), ("UINT32", "u32"), ("无符号32位整数", "u32"),
        ("int32", "i32"), ("DINT", "i32"), ("UDINT", "u32"), ("Signed Int 32", "i32"),
        ("UINT64", "u64"), ("float", "f32"), ("单精度浮点", "f32"), ("FLOAT32", "f32"),
        ("REAL", "f32"), ("浮点型", "f32"), ("bitmap", "bits"), ("位域", "bits"),
    ],
)  # fmt: skip
def test_type_words(tmp_path, word, type_):
    found = read(tmp_path, f"名称,地址,类型\nx,1,{word}\n")
    assert typed(found) == [type_]


@pytest.mark.parametrize("word", ["BCD", "INT64", "double", "UINT8", "电压"])
def test_types_that_maps_do_not_hold(tmp_path, word):
    ((place, value),) = wrong(read(tmp_path, f"名称,地址,类型\nx,1,{word}\n"))
    assert (place, value) == ("row 2: type", repr(word))


def test_a_bare_int(tmp_path):
    text = "名称,地址,类型\na,1,INT\nb,3,INT\n"
    assert doubted(read(tmp_path, text)) == {"int_bits": ("16", "32")}
    assert typed(read(tmp_path, text, int_bits="32")) == ["i32", "i32"]
    # The next point one register on leaves no room for 32 bits.
    found = read(tmp_path, text + "c,4,INT\n")
    assert typed(found) == ["i16", "i16", "i16"]
    assert "INT has 16 bits" in found_text(found)


def test_registers_tell_the_bits(tmp_path):
    text = "名称,地址,类型,寄存器个数\na,1,INT,2\nb,3,无符号整型,1\nc,4,UINT,4\n"
    assert typed(read(tmp_path, text)) == ["i32", "u16", "u64"]
    found = read(tmp_path, "名称,地址,类型,寄存器个数\na,1,U32,1\nb,3,F32,4\nc,9,U16,x\n")
    assert wrong(found) == [
        ("row 4: count", "'x'"),
        ("row 2: type", "'U32' in 1 registers"),
        ("row 3: type", "'F32', 4 registers"),
    ]


def test_signs(tmp_path):
    text = "名称,地址,类型\na,1,16位\n"
    assert doubted(read(tmp_path, text, sign=None)) == {"sign": ("unsigned", "signed")}
    assert typed(read(tmp_path, text, sign="signed")) == ["i16"]
    found = read(tmp_path, "名称,地址,类型,范围\na,1,16位,-100~100\n", sign=None)
    assert typed(found) == ["i16"]
    assert typed(read(tmp_path, "名称,地址,有无符号,寄存器个数\na,1,有,2\n")) == ["i32"]
    found = read(tmp_path, "名称,地址,类型,有无符号\na,1,U16,有\n")
    assert wrong(found) == [("row 2: type", "'U16' with sign '有'")]


def test_no_type_at_all(tmp_path):
    found = read(tmp_path, "名称,地址\na,1\n", type=None)
    assert doubted(found) == {"type": ("u16", "i16")}
    assert typed(read(tmp_path, "名称,地址\na,1\n", type="i16")) == ["i16"]


@pytest.mark.parametrize(("lengths", "registers"), [("1,2,8", 8), ("2,4,16", 8), ("16,32,128", 8)])
def test_a_column_of_lengths_counts_what_fits_the_types(tmp_path, lengths, registers):
    one, two, three = lengths.split(",")
    text = f"名称,地址,类型,长度\na,1,U16,{one}\nb,2,U32,{two}\nSN,10,string,{three}\n"
    found = read(tmp_path, text)
    assert found.map is not None, (found.doubts, found.problems)
    assert found.map.point("SN").length == registers


def test_lengths_without_a_known_type_are_a_doubt(tmp_path):
    text = "名称,地址,类型,长度\nSN,10,string,16\n"
    assert doubted(read(tmp_path, text)) == {"length": ("registers", "bytes")}
    found = read(tmp_path, text, length="bytes")
    assert found.map is not None
    assert found.map.point("SN").length == 8


def test_lengths_that_fit_nothing(tmp_path):
    found = read(tmp_path, "名称,地址,类型,长度\na,1,U16,1\nb,2,U32,4\n")
    assert wrong(found) == [("row 3: length", "4")]


def test_text(tmp_path):
    found = read(tmp_path, "名称,地址,类型,寄存器个数,读写\nSN,1,ASCII,8,RW\n")
    assert found.map is not None, found.problems
    assert (found.map.points[0].access, found.map.points[0].cls) == ("r", "yc")
    assert "text is read only" in found_text(found)
    assert wrong(read(tmp_path, "名称,地址,类型\nSN,1,ASCII\n")) == [("row 2: count", "empty")]


@pytest.mark.parametrize(
    ("columns", "cells", "expected"),
    [
        ("功能码", "03", ("holding", "yc", "r")),
        ("功能码", "04", ("input", "yc", "r")),
        ("功能码", "0x03/0x10", ("holding", "yt", "rw")),
        ("功能码", "03 06 10H", ("holding", "yt", "rw")),
        ("功能码", "06", ("holding", "yt", "w")),
        ("寄存器类型,读写", "保持寄存器,只读", ("holding", "yc", "r")),
        ("寄存器类型", "输入寄存器", ("input", "yc", "r")),
        ("寄存器类型,读写", "4x,RW", ("holding", "yt", "rw")),
        ("读写", "可读可写", ("holding", "yt", "rw")),
        ("点类", "遥调", ("holding", "yt", "rw")),
    ],
)
def test_table_class_and_access(tmp_path, columns, cells, expected):
    text = f"名称,地址,类型,{columns}\nx,1,I16,{cells}\n"
    found = read(tmp_path, text, OPEN, base="0")
    assert found.map is not None, (found.doubts, found.problems)
    point = found.map.points[0]
    assert (point.table, point.cls, point.access) == expected


def test_one_bit_tables(tmp_path):
    text = "名称,地址,类型,功能码\na,1,BOOL,01\nb,1,BOOL,02\nc,2,BOOL,01/05\n"
    found = read(tmp_path, text, OPEN, base="0")
    assert found.map is not None, (found.doubts, found.problems)
    got = [(p.table, p.cls, p.type, p.access) for p in found.map.points]
    assert got == [
        ("coil", "yx", "bit", "r"), ("discrete", "yx", "bit", "r"), ("coil", "yk", "bit", "rw"),
    ]  # fmt: skip


def test_a_table_that_is_not_stated_is_a_doubt_by_class(tmp_path):
    text = "名称,地址,类型,读写\n电压,1,U16,R\n运行,2,BOOL,R\n设定,3,U16,RW\n启停,4,BOOL,RW\n"
    found = read(tmp_path, text, OPEN, base="0")
    assert [(d.field, d.place, [o.value for o in d.options]) for d in found.doubts] == [
        ("tables", "row 2", ["yc=input", "yc=holding"]),
        ("tables", "row 3", ["yx=discrete", "yx=coil", "yx=input", "yx=holding"]),
        ("tables", "row 5", ["yt=holding", "yt=coil"]),
    ]


def test_numbers_and_bits_of_one_class_may_lie_in_two_tables(tmp_path):
    text = "名称,地址,类型,点类\n运行,1,BOOL,遥信\n状态字,2,位域,遥信\n"
    found = read(tmp_path, text, OPEN, base="0")
    assert [(d.place, len(d.options)) for d in found.doubts] == [("row 2", 4), ("row 3", 2)]
    found = read(tmp_path, text, OPEN, base="0", tables=(("yx", "discrete"), ("yx", "holding")))
    assert found.map is not None, (found.doubts, found.problems)
    assert [p.table for p in found.map.points] == ["discrete", "holding"]


@pytest.mark.parametrize("note", ["功能码：04", "读输入寄存器", "Function code 0x04", "FC 04"])
def test_a_title_states_the_table(tmp_path, note):
    found = read(tmp_path, f"{note}\n名称,地址,类型\nx,1,I16\n", OPEN, base="0")
    assert found.map is not None, (found.doubts, found.problems)
    assert found.map.points[0].table == "input"


def test_sections_of_one_sheet(tmp_path):
    text = (
        "名称,地址,类型\n一、遥测（功能码04）\n电压,1,U16\n"
        "二、遥信（功能码02）\n运行,1,BOOL\n三、遥调（功能码03、06）\n设定,1,I16\n"
    )
    found = read(tmp_path, text, OPEN, base="0")
    assert found.map is not None, (found.doubts, found.problems)
    got = [(p.cls, p.table, p.access) for p in found.map.points]
    assert got == [("yc", "input", "r"), ("yx", "discrete", "r"), ("yt", "holding", "rw")]


def test_a_point_called_address_is_no_header(tmp_path):
    text = "名称,地址,类型,读写\n电压,1,U16,只读\n通讯地址,2,U16,读写\n"
    found = read(tmp_path, text)
    assert [p["address"] for p in found.data["points"]] == [1, 2]


def test_a_second_header_in_the_same_sheet(tmp_path):
    text = "名称,地址,类型\na,1,U16\n\n地址,点名,单位\n5,b,V\n"
    found = read(tmp_path, text)
    assert {n: p["address"] for n, p in points(found).items()} == {"a": 1, "b": 5}
    assert len(found.dialect.blocks) == 2


def test_what_does_not_fit_together(tmp_path):
    text = (
        "名称,地址,类型,功能码,读写\na,1,U16,04,RW\nb,2,U16,01,R\nc,3,U16,99,R\nd,4,U16,03,也许\n"
    )
    found = read(tmp_path, text)
    assert wrong(found) == [
        ("row 4: fc", "'99'"),
        ("row 5: access", "'也许'"),
        ("row 2: access", "rw in table input"),
        ("row 3: type", "'U16'"),
    ]


@pytest.mark.parametrize(
    ("name", "english", "expected"),
    [
        ("A相电压", "", ("p_1", "A相电压", "A相电压")),
        ("A相电压", "Phase A voltage", ("Phase_A_voltage", "Phase A voltage", "A相电压")),
        ("Ua", "", ("Ua", "Ua", "Ua")),
        ("3rd alarm!", "", ("p_3rd_alarm", "3rd alarm!", "3rd alarm!")),
        ("", "SOC", ("SOC", "SOC", "SOC")),
    ],
)
def test_names_and_meanings(tmp_path, name, english, expected):
    found = read(tmp_path, f"名称,英文名,地址,类型\n{name},{english},1,U16\n")
    (point,) = found.data["points"]
    assert (point["name"], point["meaning"], point["meaning_zh"]) == expected


def test_identifier_first_and_each_name_once(tmp_path):
    text = "标识符,名称,地址,类型\nua,电压,1,U16\nua,电压,2,U16\n,SOC,3,U16\n,SOC,4,U16\n"
    assert list(points(read(tmp_path, text))) == ["ua", "ua_2", "SOC", "SOC_4"]


def test_a_row_without_a_name(tmp_path):
    assert wrong(read(tmp_path, "名称,地址,类型\n,1,U16\nb,2,U16\n"))[0] == ("row 2: name", "empty")


BITS = "名称,地址,类型,读写,备注\n告警,7,{},{},{}\n"


@pytest.mark.parametrize(
    "note",
    [
        "bit0: 过压 bit1: 欠压",
        "Bit0：过压；Bit1：欠压；Bit2~15：预留",
        "B0:过压、B1:欠压",
        "第0位 过压，第1位 欠压",
        '"bit0=过压\nbit1=欠压\nbit2 保留"',
    ],
)
def test_bits_in_a_note_become_points(tmp_path, note):
    found = read(tmp_path, BITS.format("U16", "R", note))
    assert found.map is not None, (found.doubts, found.problems)
    got = [(p.name, p.bit, p.cls, p.type, p.meaning_zh) for p in found.map.points]
    assert got == [
        ("p_7_0", 0, "yx", "bits", "告警：过压"), ("p_7_1", 1, "yx", "bits", "告警：欠压"),
    ]  # fmt: skip


def test_bits_that_are_written_or_fields_stay_one_register(tmp_path):
    for access, note in (("RW", "bit0: 启动 bit1: 复位"), ("R", "bit0-2: 模式 bit3: 故障")):
        found = read(tmp_path, BITS.format("U16", access, note))
        assert found.map is not None, (found.doubts, found.problems)
        assert [(p.type, p.bit) for p in found.map.points] == [("bits", None)]
        assert "stay one register" in found_text(found)


def test_a_column_of_bits(tmp_path):
    text = "名称,地址,位\na,1,bit0\nb,1,3\nc,1,16\n"
    found = read(tmp_path, text)
    assert wrong(found) == []
    assert [p["bit"] for p in found.data["points"]] == [0, 2, 15]
    assert "bits count from 1 [bit 16 occurs, bit 0 not]" in found_text(found)
    text = "名称,地址,位\na,1,1\nb,1,2\n"
    assert doubted(read(tmp_path, text)) == {"bit_base": ("0", "1")}
    assert [p["bit"] for p in read(tmp_path, text, bit_base="1").data["points"]] == [0, 1]
    assert wrong(read(tmp_path, "名称,地址,位\na,1,0\nb,1,20\n")) == [("row 3: bit", "'20'")]


def test_a_blank_address_beside_a_bit_is_the_one_above(tmp_path):
    found = read(tmp_path, "名称,地址,位\na,1,0\nb,,1\n")
    assert [(p["address"], p["bit"]) for p in found.data["points"]] == [(1, 0), (1, 1)]
    assert "address as in the row above" in found_text(found)


def test_codes_stand_in_the_meaning(tmp_path):
    found = read(tmp_path, "名称,地址,类型,备注\n状态,1,U16,0:停止 1:运行 2：故障\n")
    assert points(found)["p_1"]["meaning_zh"] == "状态（0:停止 1:运行 2：故障）"
    assert "codes 0 停止, 1 运行, 2 故障" in found_text(found)


def test_spare_rows_are_kept_free(tmp_path):
    text = (
        "名称,地址,类型,寄存器个数\na,1,U16,1\n预留,2,U16,8\n备用1,10-19,,\nReserved,20,U32,\n"
        "备用电源电压,30,U16,1\n"
    )
    found = read(tmp_path, text)
    assert found.map is not None, (found.doubts, found.problems)
    assert [(r.table, r.first, r.last) for r in found.map.reserved] == [
        ("holding", 2, 9), ("holding", 10, 19), ("holding", 20, 21),
    ]  # fmt: skip
    assert [p.address for p in found.map.points] == [1, 30]


def test_collisions_name_both_rows(tmp_path):
    found = read(tmp_path, "名称,地址,类型\na,1,U32\nb,2,U16\n预留,2,U16\nc,1,U16\n")
    assert found.map is None
    assert wrong(found) == [
        ("row 3: address (b)", "holding 2 overlaps a (row 2) at 2"),
        ("row 5: address (c)", "holding 1 overlaps a (row 2) at 1"),
        ("row 2: address (a)", "holding 1..2"),
        ("row 3: address (b)", "holding 2"),
    ]


LIMITS = "名称,地址,类型,系数,范围,读写\n设定,1,{},{},{},RW\n"


@pytest.mark.parametrize(
    ("type_", "scale", "given", "expected"),
    [
        ("I16", "1", "-100~100", (-100.0, 100.0)),
        ("U16", "0.1", "0~60000", (0.0, 6000.0)),
        ("U16", "0.1", "0.5~100", (0.5, 100.0)),
        ("F32", "1", "[0,1e3]", (0.0, 1000.0)),
        ("U16", "1", "若干", (None, None)),
        ("I16", "1", "-5到5", (-5.0, 5.0)),
    ],
)
def test_ranges(tmp_path, type_, scale, given, expected):
    found = read(tmp_path, LIMITS.format(type_, scale, f'"{given}"'))
    point = points(found)["p_1"]
    assert (point.get("low"), point.get("high")) == expected


def test_limits_that_fit_as_raw_and_as_value_are_a_doubt(tmp_path):
    text = LIMITS.format("U16", "0.1", "0~1000")
    found = read(tmp_path, text)
    assert doubted(found) == {"limits": ("value", "raw")}
    assert [o.reading for o in found.doubts[0].options] == ["设定: high 1000.0", "设定: high 100.0"]
    assert points(read(tmp_path, text, limits="raw"))["p_1"]["high"] == 100.0


def test_what_is_written_keeps_a_value_within_its_limits(tmp_path):
    found = read(tmp_path, "名称,地址,类型,读写,下限,上限\n设定,1,U16,RW,45,55\n")
    assert found.map is not None, (found.doubts, found.problems)
    source = found.map.points[0].source
    assert source is not None
    assert source.held == 45.0


def test_units_are_spelt_as_maps_spell_them(tmp_path):
    text = "名称,地址,类型,单位\na,1,U16,KW\nb,2,U16,℃\nc,3,U16,KWH\nd,4,U16,furlong\n"
    found = read(tmp_path, text)
    assert [p["unit"] for p in found.data["points"]] == ["kW", "℃", "kWh", "furlong"]
    assert wrong(found) == [("row 5: unit (d)", "'furlong'")]


def test_twin_columns_bind_points(tmp_path):
    text = (
        "名称,地址,类型,单位,系数,读写,孪生点,孪生增益\n"
        "SOC,1,U16,%,0.1,R,soc,100\n功率,2,I16,kW,0.1,RW,power_kw,\nX,3,U16,,1,R,nonsense,\n"
    )
    found = read(tmp_path, text)
    assert points(found)["SOC"]["source"] == {"point": "soc", "gain": 100}
    assert points(found)["p_2"]["source"] == {"setpoint": "power_kw"}
    assert [place for place, _ in wrong(found)] == ["row 4: source.point (X)"]


@pytest.mark.parametrize(
    ("column", "cell"),
    [("孪生点", "who:me"), ("孪生点", "held:x"), ("孪生命令", "setpoint"), ("孪生命令", "on=1"),
     ("孪生命令", "'open"), ("无效值", "many"), ("部分写入", "半"), ("下限", "low"),
     ("点类", "遥感"), ("数据区", "云"), ("孪生增益", "x"), ("状态对应", "1-2")],
)  # fmt: skip
def test_cells_that_say_nothing_known(tmp_path, column, cell):
    extra = ",孪生点" if column in ("孪生增益", "状态对应") else ""
    text = f"名称,地址,类型,{column}{extra}\na,1,U16,{cell}{',soc' if extra else ''}\n"
    assert [place.split(":")[0] for place, _ in wrong(read(tmp_path, text))][:1] == ["row 2"]


def test_the_kind_must_be_told(tmp_path):
    text = "名称,地址,类型\na,1,U16\n"
    found = read(tmp_path, text, kind=None)
    assert list(doubted(found)) == ["kind"]
    assert "storage" in doubted(found)["kind"]
    assert [v for _, v in wrong(read(tmp_path, text, kind="storag"))] == ["'storag'"]
    found = read(tmp_path, "名称,地址,类型,设备类型\na,1,U16,PCS\n", kind=None)
    assert "the table says 'PCS'" in found.doubts[0].evidence
    assert read(tmp_path, "名称,地址,类型,设备类型\na,1,U16,solar\n", kind=None).map is not None


def test_rows_stand_in_the_order_of_their_numbers(tmp_path):
    found = read(tmp_path, "序号,名称,地址,类型\n2,b,1,U16\n1,a,2,U16\n")
    assert list(points(found)) == ["a", "b"]


def test_unknown_columns_and_two_of_one_meaning(tmp_path):
    found = read(tmp_path, "名称,地址,类型,心情\na,1,U16,好\n")
    assert "columns not used: 心情" in found_text(found)
    found = read(tmp_path, "名称,地址,类型,单位,量纲\na,1,U16,V,V\n")
    assert wrong(found) == [("row 1: columns", "'单位' and '量纲' both mean unit")]


def test_every_row_with_a_problem_is_named_at_once(tmp_path):
    text = "名称,地址,类型,系数\na,x,U16,1\nb,2,BCD,1\nc,3,U16,y\nd,4,U16,1\n"
    found = read(tmp_path, text, base=None)
    assert [place for place, _ in wrong(found)] == [
        "row 2: address", "row 3: type", "row 4: scale",
    ]  # fmt: skip
    assert doubted(found) == {"base": ("0", "1")}
    assert PLAIN.base == "0"
