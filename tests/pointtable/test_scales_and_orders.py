"""Factor, divisor or decimals; which register and which byte comes first."""

from __future__ import annotations

import pytest

from tests.pointtable.tables import doubted, found_text, points, read, wrong


def scale_of(found, name="p_1"):
    return points(found)[name].get("scale", 1.0)


def scaled(tmp_path, header, *values, **given):
    rows = "".join(f"电压,{i},U16,{value}\n" for i, value in enumerate(values, start=1))
    return read(tmp_path, f"名称,地址,类型,{header}\n{rows}", **given)


@pytest.mark.parametrize(
    ("header", "value", "scale"),
    [
        ("系数", "0.1", 0.1),
        ("系数", "×0.1", 0.1),
        ("系数", "1/10", 0.1),
        ("系数", "/100", 0.01),
        ("系数", "10^-2", 0.01),
        ("系数", "0.01V", 0.01),
        ("系数", "", 1.0),
        ("系数", "/", 1.0),
        ("乘系数", "10", 10.0),
        ("除系数", "10", 0.1),
        ("除数", "1000", 0.001),
        ("小数位数", "2", 0.01),
        ("小数位", "0", 1.0),
        ("分辨率", "0.5", 0.5),
        ("精度", "0.1", 0.1),
        ("Scale", "0.001", 0.001),
    ],
)
def test_what_settles_itself(tmp_path, header, value, scale):
    found = scaled(tmp_path, header, value)
    assert found.map is not None, (found.doubts, found.problems)
    assert scale_of(found) == scale


@pytest.mark.parametrize(
    ("header", "values", "options"),
    [
        ("系数", ["10", "1"], ("factor", "divisor")),
        ("倍率", ["100"], ("factor", "divisor")),
        ("精度", ["10", "100"], ("divisor", "factor")),
        ("精度", ["1"], ("decimals", "divisor", "factor")),
        ("precision", ["1", "2"], ("decimals", "divisor", "factor")),
    ],
)
def test_what_is_a_doubt(tmp_path, header, values, options):
    found = scaled(tmp_path, header, *values)
    assert found.map is None
    assert doubted(found) == {"scale": options}


@pytest.mark.parametrize(
    ("choice", "scale"), [("factor", 10.0), ("divisor", 0.1), ("decimals", 1e-10)]
)
def test_a_choice_settles_it(tmp_path, choice, scale):
    found = scaled(tmp_path, "精度", "10", scale=choice)
    if choice == "decimals":
        assert wrong(found) == [("row 2: precision", "10")]
    else:
        assert scale_of(found) == scale


def test_no_decimals_can_only_be_decimals(tmp_path):
    found = scaled(tmp_path, "精度", "0", "1", "2")
    assert [scale_of(found, f"p_{i}") for i in (1, 2, 3)] == [1.0, 0.1, 0.01]
    assert "0 occurs, which neither multiplies nor divides" in found_text(found)


def test_the_reading_shows_both_scales(tmp_path):
    found = scaled(tmp_path, "系数", "10", samples={1: 2200})
    assert [o.reading for o in found.doubts[0].options] == ["电压 = 22000", "电压 = 220"]


def test_a_unit_with_a_number_is_a_factor(tmp_path):
    found = read(tmp_path, "名称,地址,类型,单位\n电压,1,U16,0.1V\n功率,2,I16,0.01 kW\n")
    assert [(p["scale"], p["unit"]) for p in found.data["points"]] == [(0.1, "V"), (0.01, "kW")]
    found = read(tmp_path, "名称,地址,类型,系数,单位\n电压,1,U16,0.01,0.1V\n")
    assert wrong(found) == [("row 2: unit", "'0.1V' beside a factor 0.01")]


@pytest.mark.parametrize("value", ["0", "-0.1", "abc", "1e999"])
def test_no_coefficient(tmp_path, value):
    assert [place for place, _ in wrong(scaled(tmp_path, "乘系数", value))] == ["row 2: scale"]


def test_precision_beside_a_coefficient_is_not_used_and_said(tmp_path):
    found = read(tmp_path, "名称,地址,类型,系数,精度\n电压,1,U16,0.1,1\n")
    assert scale_of(found) == 0.1
    assert "column '精度' not used" in found_text(found)


def test_something_added_is_refused(tmp_path):
    found = read(tmp_path, "名称,地址,类型,偏移量\n温度,1,U16,-40\n湿度,2,U16,0\n")
    assert wrong(found) == [("row 2: offset", "'-40'")]


def order_of(found, name="p_1"):
    return points(found)[name].get("order", found.data.get("order", "ABCD"))


@pytest.mark.parametrize(
    ("word", "order"),
    [
        ("ABCD", "ABCD"), ("CDAB", "CDAB"), ("badc", "BADC"), ("DC BA", "DCBA"),
        ("1234", "ABCD"), ("3412", "CDAB"), ("大端", "ABCD"), ("高字在前", "ABCD"),
        ("低字在前", "CDAB"), ("Big-Endian", "ABCD"), ("word swap", "CDAB"),
        ("小端字节交换", "CDAB"),
    ],
)  # fmt: skip
def test_words_for_orders(tmp_path, word, order):
    found = read(tmp_path, f"名称,地址,类型,字节序\n电能,1,U32,{word}\n", order=None)
    assert found.map is not None, (found.doubts, found.problems)
    assert order_of(found) == order


@pytest.mark.parametrize(
    ("note", "order"),
    [
        ("32位数据高字在前，低字在后", "ABCD"),
        ("双字数据：低字在前", "CDAB"),
        ("Float is CDAB", "CDAB"),
        ("all values little-endian byte swap", "CDAB"),
    ],
)
def test_a_note_states_the_order(tmp_path, note, order):
    found = read(tmp_path, f"{note}\n名称,地址,类型\n电能,1,U32\n", order=None)
    assert found.map is not None, (found.doubts, found.problems)
    assert order_of(found) == order


def test_an_order_that_is_not_stated_is_a_doubt_for_wide_values_only(tmp_path):
    text = "名称,地址,类型\n电能,1,{}\n电压,5,U16\n"
    found = read(tmp_path, text.format("U32"), order=None)
    assert doubted(found) == {"order": ("ABCD", "CDAB", "BADC", "DCBA")}
    assert found.doubts[0].place == "row 2"
    assert found.doubts[0].options[1].reading == "电能: order CDAB (0001 0002 is 131073)"
    assert order_of(read(tmp_path, text.format("U32"), order="CDAB")) == "CDAB"
    assert read(tmp_path, text.format("I16"), order=None).map is not None


@pytest.mark.parametrize("word", ["小端", "little endian", "低位在前"])
def test_little_endian_is_said_of_two_orders(tmp_path, word):
    found = read(tmp_path, f"名称,地址,类型,字节序\n电能,1,F32,{word}\n", order=None)
    assert doubted(found) == {"order": ("CDAB", "DCBA")}


def test_byte_order_and_word_order_in_two_columns(tmp_path):
    text = "名称,地址,类型,字节序,字序\n电能,1,U32,低字节在前,低字在前\n"
    assert order_of(read(tmp_path, text, order=None)) == "DCBA"
    text = "名称,地址,类型,字节序,字序\n电能,1,U32,高字节在前,低字在前\n"
    assert order_of(read(tmp_path, text, order=None)) == "CDAB"


def test_an_order_in_the_type(tmp_path):
    found = read(tmp_path, "名称,地址,类型\na,1,Float_CDAB\nb,3,Float AB CD\n", order=None)
    assert found.map is not None, found.doubts
    assert [order_of(found, n) for n in ("a", "b")] == ["CDAB", "ABCD"]


def test_registers_of_their_own_keep_the_high_byte_first(tmp_path):
    # DCBA of a 32-bit value says nothing of 16-bit ones.
    text = "名称,地址,类型,字节序\n电能,1,U32,DCBA\n电压,5,U16,\n电流,6,U16,BA\n"
    found = read(tmp_path, text, order=None)
    assert [order_of(found, n) for n in ("p_1", "p_5", "p_6")] == ["DCBA", "ABCD", "BADC"]
    assert "values of one register and text have the high byte first" in found_text(found)


def test_orders_that_contradict_each_other(tmp_path):
    text = "名称,地址,类型,字节序\n电能,1,float_ABCD,CDAB\n"
    assert wrong(read(tmp_path, text)) == [("row 2: order", "CDAB")]
    text = "高字在前\n名称,地址,类型\n电能,1,U32\n低字在前\n"
    found = read(tmp_path, text, order=None)
    assert "they contradict each other" in found_text(found)
    assert "order" in doubted(found)


def test_an_unknown_order(tmp_path):
    text = "名称,地址,类型,字节序\n电能,1,U32,随便\n"
    assert ("row 2: order", "'随便'") in wrong(read(tmp_path, text))
