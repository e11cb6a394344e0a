"""Notations of addresses, and what address counts as the first."""

from __future__ import annotations

import pytest

from tests.pointtable.tables import OPEN, PLAIN, doubted, found_text, points, read, wrong

REST = {"tables": (("yc", "holding"),), "access": "r"}


def addresses(found):
    return [point["address"] for point in found.data["points"]]


@pytest.mark.parametrize(
    ("written", "wire"),
    [
        ("1000", 1000),
        ("0x5B02", 0x5B02),
        ("5B02H", 0x5B02),
        ("5B02h", 0x5B02),
        ("0X10", 16),
        ("1000-1000", 1000),
    ],
)
def test_notations(tmp_path, written, wire):
    found = read(tmp_path, f"名称,地址,类型\n电压,{written},U16\n")
    assert addresses(found) == [wire]


def test_letters_make_a_column_hexadecimal(tmp_path):
    found = read(tmp_path, "名称,地址,类型\na,1000,U16\nb,100A,U16\n")
    assert addresses(found) == [0x1000, 0x100A]
    assert "unmarked addresses are hexadecimal [100a]" in found_text(found)


def test_a_header_says_hexadecimal(tmp_path):
    found = read(tmp_path, "名称,地址(HEX),类型\na,1000,U16\n")
    assert addresses(found) == [0x1000]


@pytest.mark.parametrize("text", ["a,0x1000,U16\nb,1001,U16", "a,0001,U16\nb,0020,U16"])
def test_digits_that_may_be_hexadecimal_are_a_doubt(tmp_path, text):
    found = read(tmp_path, f"名称,地址,类型\n{text}\n", base="0")
    if "0x" in text:
        # 1001 after 0x1000 ascends as hexadecimal only.
        assert addresses(found) == [0x1000, 0x1001]
        assert "ascend as hexadecimal" in found_text(found)
    else:
        assert doubted(found) == {"notation": ("decimal", "hex")}
        assert addresses(read(tmp_path, f"名称,地址,类型\n{text}\n", notation="hex")) == [1, 0x20]


def test_mixed_marks_that_ascend_both_ways_are_a_doubt(tmp_path):
    text = "名称,地址,类型\na,0x0010,U16\nb,2000,U16\n"
    assert doubted(read(tmp_path, text)) == {"notation": ("decimal", "hex")}
    assert addresses(read(tmp_path, text, notation="decimal")) == [16, 2000]


def test_four_digits_that_count_on_from_9_to_10_are_decimal(tmp_path):
    found = read(tmp_path, "名称,地址,类型\na,0009,U16\nb,0010,U16\n")
    assert addresses(found) == [9, 10]
    assert doubted(found) == {}


def test_the_base_is_a_doubt_and_shows_what_each_answer_means(tmp_path):
    text = "名称,地址,类型\n电压,100,U16\n"
    found = read(tmp_path, text, OPEN, **REST)
    assert found.map is None
    assert doubted(found) == {"base": ("0", "1")}
    assert [o.reading for o in found.doubts[0].options] == ["电压: address 100", "电压: address 99"]
    assert [o.text for o in found.doubts[0].options] == ["--base 0", "--base 1"]
    assert addresses(read(tmp_path, text, OPEN, **REST, base="1")) == [99]
    assert addresses(read(tmp_path, text, OPEN, **REST, base="0")) == [100]


def test_samples_show_which_base_is_right(tmp_path):
    text = "名称,地址,类型,系数,单位\n电压,100,U16,0.1,V\n"
    found = read(tmp_path, text, OPEN, **REST, samples={99: 7, 100: 2301})
    assert [o.reading for o in found.doubts[0].options] == ["电压 = 230.1 V", "电压 = 0.7 V"]


@pytest.mark.parametrize(
    ("note", "wire"),
    [
        ("注：寄存器地址从1开始", 99),
        ("地址从0开始编址", 100),
        ("Registers start at 1", 99),
        ("all addresses are zero-based", 100),
        ("以下为PLC地址", 99),
    ],
)
@pytest.mark.parametrize("above", [True, False])
def test_a_note_settles_the_base(tmp_path, note, wire, above):
    table = "名称,地址,类型\n电压,100,U16\n"
    text = f"{note}\n{table}" if above else f"{table}\n{note}\n"
    found = read(tmp_path, text, OPEN, **REST)
    assert found.map is not None, (found.doubts, found.problems)
    assert addresses(found) == [wire]


def test_contradicting_notes_are_a_doubt(tmp_path):
    found = read(tmp_path, "地址从0开始\n名称,地址,类型\na,5,U16\n地址从1开始\n", OPEN, **REST)
    assert doubted(found) == {"base": ("0", "1")}


@pytest.mark.parametrize(("address", "base"), [("0", 0), ("65536", 1)])
def test_an_address_that_only_one_base_has(tmp_path, address, base):
    found = read(tmp_path, f"名称,地址,类型\na,{address},U16\nb,7,U16\n", OPEN, **REST)
    assert addresses(found) == [int(address) - base, 7 - base]


def test_40001_names_the_table(tmp_path):
    text = "名称,地址,类型,读写\na,40001,U16,RW\nb,30001,U16,R\nc,10001,BOOL,R\nd,00001,BOOL,RW\n"
    found = read(tmp_path, text, OPEN)
    assert found.map is not None, (found.doubts, found.problems)
    assert [(p.table, p.address) for p in found.map.points] == [
        ("holding", 0), ("input", 0), ("discrete", 0), ("coil", 0),
    ]  # fmt: skip
    assert "first digits of several tables" in found_text(found)


@pytest.mark.parametrize("first", ["400001", "4x0001", "4X00001"])
def test_six_digits_and_a_written_area(tmp_path, first):
    found = read(tmp_path, f"名称,地址,类型,读写\na,{first},U16,R\n", OPEN)
    assert found.map is not None, (found.doubts, found.problems)
    assert [(p.table, p.address) for p in found.map.points] == [("holding", 0)]


def test_the_first_register_of_an_area_settles_five_digits(tmp_path):
    found = read(tmp_path, "名称,地址,类型,读写\na,40001,U16,R\nb,40010,U16,R\n", OPEN)
    assert addresses(found) == [0, 9]
    assert "40001, the first of its table, occurs" in found_text(found)


def test_a_note_that_names_areas_settles_nothing_where_addresses_do_not_fit(tmp_path):
    found = read(tmp_path, "4x区\n名称,地址,类型\na,50001,U16\n", OPEN, **REST)
    assert doubted(found) == {"base": ("0", "1")}
    found = read(tmp_path, "4x区\n名称,地址,类型\na,40010,U16\n", OPEN, **REST)
    assert addresses(found) == [9]


def test_numbers_padded_to_six_digits_are_a_doubt(tmp_path):
    found = read(tmp_path, "名称,地址,类型,功能码\na,000100,BOOL,01\n", OPEN)
    assert doubted(found) == {"base": ("0", "1", "modicon")}


def test_41984_may_be_a_wire_address(tmp_path):
    # Seen in the field: 0xA400 as decimal, base 0.
    text = "名称,地址,类型,功能码\na,41984,U16,03\n"
    found = read(tmp_path, text, OPEN)
    assert doubted(found) == {"base": ("0", "1", "modicon")}
    assert [o.reading for o in found.doubts[0].options] == [
        "a: address 41984", "a: address 41983", "a: address 1983",
    ]  # fmt: skip
    assert addresses(read(tmp_path, text, OPEN, base="modicon")) == [1983]


def test_32000_read_by_function_3_is_no_input_register(tmp_path):
    found = read(tmp_path, "名称,地址,类型,功能码\na,32001,U16,03\n", OPEN)
    assert doubted(found) == {"base": ("0", "1")}


def test_a_chosen_base_that_an_address_cannot_have(tmp_path):
    found = read(tmp_path, "名称,地址,类型\na,40001,U16\nb,50001,U16\n", base="modicon")
    assert wrong(found) == [("row 3: address", "'50001'")]
    found = read(tmp_path, "名称,地址,类型\na,0,U16\n", base="1")
    assert wrong(found) == [("row 2: address", "'0'")]


def test_the_hexadecimal_column_settles_the_base(tmp_path):
    text = "名称,地址,十六进制地址,类型\na,{},0x0000,U16\nb,{},0x000A,U16\n"
    found = read(tmp_path, text.format(1, 11), OPEN, **REST)
    assert addresses(found) == [0, 10]
    assert "the hexadecimal column gives the wire address" in found_text(found)
    found = read(tmp_path, text.format(40001, 40011), OPEN, access="r")
    assert addresses(found) == [0, 10]


def test_two_columns_that_disagree(tmp_path):
    text = "名称,地址,地址(HEX),类型\na,100,0x64,U16\nb,101,0x66,U16\n"
    assert wrong(read(tmp_path, text)) == [("row 3: address", "101 and 0x66")]


def test_address_and_bit_in_one(tmp_path):
    text = "名称,地址,类型\na,1000.0,BOOL\nb,1000.3,BOOL\nc,1000.15,BOOL\n"
    assert [(p["address"], p["bit"]) for p in read(tmp_path, text).data["points"]] == [
        (1000, 0), (1000, 3), (1000, 15),
    ]  # fmt: skip


def test_bit_10_that_lost_its_zero(tmp_path):
    text = "名称,地址,类型\na,1000.0,BOOL\nb,1000.9,BOOL\nc,1000.1,BOOL\n"
    assert ("row 4: address", "'1000.1' beside bit 9 or 11") in wrong(read(tmp_path, text))


def test_a_range_is_as_wide_as_its_type(tmp_path):
    assert addresses(read(tmp_path, "名称,地址,类型\na,1000~1001,U32\n")) == [1000]
    found = read(tmp_path, "名称,地址,类型\na,1000~1002,U32\nb,9-8,U16\n")
    assert wrong(found) == [
        ("row 3: address", "9-8"),
        ("row 2: type", "'U32' in 3 registers"),
    ]


def test_station_address_of_emqx_neuron(tmp_path):
    text = (
        "group,name,address,attribute,type,description,decimal,precision\n"
        "g,U_a,1!400001,Read,UINT16,phase voltage,0.1,1\n"
        "g,E,1!400003#LL,Read,UINT32,energy,,\n"
        "g,SN,1!400010.20H,Read,STRING,serial,,\n"
        "g,run,1!400030.4,Read,BIT,running,,\n"
    )
    found = read(tmp_path, text, OPEN)
    assert found.map is not None, (found.doubts, found.problems)
    got = [(p.name, p.address, p.type, p.scale, p.length, p.bit) for p in found.map.points]
    assert got == [
        ("U_a", 0, "u16", 0.1, None, None),
        ("E", 2, "u32", 1.0, None, None),
        ("SN", 9, "string", 1.0, 10, None),
        ("run", 29, "bits", 1.0, None, 4),
    ]


def test_a_letter_order_that_changed_its_meaning_between_versions(tmp_path):
    text = "name,address,type,attribute\nE,1!400003#BB,UINT32,Read\n"
    assert doubted(read(tmp_path, text, OPEN)) == {"order": ("CDAB", "DCBA")}


def test_two_stations_in_one_table(tmp_path):
    text = "名称,地址,类型,站号\na,1,U16,1\nb,1,U16,2\n"
    found = read(tmp_path, text)
    assert doubted(found) == {"unit": ("1", "2")}
    found = read(tmp_path, text, unit="2")
    assert found.map is not None
    assert (found.map.unit, found.map.points[0].meaning_zh) == (2, "b")
    assert wrong(read(tmp_path, text, unit="3"))[0] == ("file: --unit", "3")
    assert ("row 2: slave", "'x'") in wrong(read(tmp_path, text.replace("U16,1", "U16,x")))


@pytest.mark.parametrize(
    "written", ["电压", "M100", '"1,000"', "3:100", "12 V", "1.2.3", "-1", "70000"]
)
def test_what_is_no_address(tmp_path, written):
    found = read(tmp_path, f"名称,地址,类型\na,{written},U16\nb,2,U16\n")
    assert [place for place, _ in wrong(found)] == ["row 2: address"]


def test_a_row_without_an_address(tmp_path):
    found = read(tmp_path, "名称,地址,类型\na,,U16\nb,2,U16\n")
    assert wrong(found) == [("row 2: address", "empty")]
    assert list(points(found)) == ["b"]
    assert PLAIN.base == "0"


def test_d100_may_be_a_register_of_a_plc(tmp_path):
    text = "名称,地址,类型\na,D100,U16\nb,D102,U16\n"
    assert doubted(read(tmp_path, text)) == {"notation": ("hex",)}
    assert addresses(read(tmp_path, text, notation="hex")) == [0xD100, 0xD102]
    found = read(tmp_path, text.replace("D102", "D10A"))
    assert addresses(found) == [0xD100, 0xD10A]
