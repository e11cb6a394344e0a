"""An export, imported, is the same map, in every form of file."""

from __future__ import annotations

import csv

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.registers.check import SENSIBLE
from hil.registers.codec import span
from hil.registers.files import check_map, shipped_maps
from hil.registers.pointtable import Choices, export_table, import_table
from hil.registers.pointtable.words import column_of, export_columns
from hil.registers.schema import WHOLE, RegisterMap, WirePoint
from twin.errors import InputProblems

ENDINGS = ("csv", "txt", "xlsx")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", sorted(shipped_maps()))
def test_every_shipped_map_comes_back_without_a_choice(tmp_path, name, ending):
    one = shipped_maps()[name]
    path = tmp_path / f"table.{ending}"
    export_table(one, path)
    assert import_table(path).map == one


TEXT = st.text("Aa 1=|,;'\"+-@电压（：\t", min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())
).filter(lambda text: text != "")  # fmt: skip
NUMBER = st.floats(allow_nan=False, allow_infinity=False, width=32)


@st.composite
def _point(draw: st.DrawFn, address: int) -> dict[str, object]:
    cls = draw(st.sampled_from(sorted(SENSIBLE)))
    table = draw(st.sampled_from(sorted(SENSIBLE[cls])))
    type_ = draw(st.sampled_from(SENSIBLE[cls][table]))
    access = draw(st.sampled_from(("w", "rw"))) if cls in ("yk", "yt") else "r"
    point: dict[str, object] = {
        "name": f"x{address}.{draw(st.sampled_from('aB_'))}", "class": cls, "table": table,
        "address": address, "type": type_, "access": access,
        "scale": draw(st.sampled_from((1.0, 0.1, 10.0, 1e-7, 1 / 3, 12345.678))),
        "unit": draw(st.sampled_from(("", "kW", "%", "°C", "1", "S"))),
        "partial": draw(st.sampled_from(("refuse", "latch"))),
        "order": draw(st.sampled_from((None, "ABCD", "CDAB", "BADC", "DCBA"))),
        "meaning": draw(TEXT), "meaning_zh": draw(TEXT),
    }  # fmt: skip
    if type_ == "string":
        point["length"] = draw(st.integers(1, 20))
        point["source"] = draw(st.none() | st.just({"text": "{serial} = 1|'\""[:2]}))
        return point
    if type_ == "bits" and access == "r":
        point["bit"] = draw(st.none() | st.integers(0, 15))
    if type_ not in ("bit",) and point.get("bit") is None and draw(st.booleans()):
        point["na"] = draw(st.integers(0, 65535))
    if type_ in WHOLE and draw(st.booleans()):
        bare = {key: value for key, value in point.items() if key != "na"}
        bare |= {"source": {"held": 0.0}} if access != "r" else {}
        least, most = (int(end) for end in span(WirePoint.model_validate(bare)))
        point["low"] = max(least, -9) * float(str(point["scale"]))
        point["high"] = min(most, 1000) * float(str(point["scale"]))
    if access != "r":
        point["source"] = {"held": point.get("low", 0.0)}
    elif draw(st.booleans()):
        point["source"] = {"constant": 0.0}
    return point


@st.composite
def _map(draw: st.DrawFn) -> RegisterMap:
    addresses = draw(st.lists(st.integers(0, 600), min_size=1, max_size=8, unique=True))
    points = [draw(_point(100 * a)) for a in addresses]
    for point in points:
        # A pattern that says 'not implemented' must not lie within the limits.
        if "na" in point and ("low" in point or "source" in point):
            del point["na"]
    reserved = [
        {"table": draw(st.sampled_from(("coil", "input"))), "first": 60_100, "last": 60_100 + i}
        for i in range(draw(st.integers(0, 3)))
    ]
    return check_map(
        {
            "name": "any-map", "kind": "storage", "title": draw(TEXT), "title_zh": draw(TEXT),
            "source": draw(TEXT), "order": draw(st.sampled_from(("ABCD", "CDAB", "BADC", "DCBA"))),
            "identity": {"vendor": draw(TEXT), "product": draw(TEXT), "revision": "1.10"},
            "unit": draw(st.integers(1, 247)),
            "gaps": draw(st.sampled_from(("any", "all", "zero"))),
            "refusal": draw(st.integers(1, 11)), "longest_read": draw(st.integers(1, 125)),
            "unknown_unit": draw(st.sampled_from(("silence", "gateway"))),
            "points": points, "reserved": reserved,
        },
        "drawn",
    )  # fmt: skip


@settings(max_examples=60)
@given(one=_map(), ending=st.sampled_from(ENDINGS))
def test_any_map_comes_back(tmp_path_factory, one, ending):
    path = tmp_path_factory.mktemp("export") / f"table.{ending}"
    export_table(one, path)
    assert import_table(path).map == one


def test_every_column_of_an_export_is_known_to_the_import():
    for meaning, header in export_columns().items():
        found = column_of(header)
        assert found is not None, header
        assert found.exact, header
        expected = "scale" if meaning == "factor" else meaning
        assert (found.meaning, found.scale) == (expected, "factor" if meaning == "factor" else None)


def test_excel_opens_the_csv_and_a_sheet_a_class(tmp_path):
    one = shipped_maps()["storage-own"]
    export_table(one, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["点类"] for row in rows} >= {"遥测", "遥调"}
    export_table(one, tmp_path / "a.xlsx")
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert book.sheetnames == ["遥测", "遥信", "遥控", "遥调"]
    assert book["遥测"].max_row > 1


def test_text_stays_text_in_a_workbook(tmp_path):
    data = shipped_maps()["meter-own"].model_dump(mode="json", by_alias=True)
    data["points"][0]["meaning_zh"] = "=1+1"
    one = check_map(data, "meter")
    export_table(one, tmp_path / "a.xlsx")
    assert import_table(tmp_path / "a.xlsx").map == one


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("meaning_zh", "预留"),
        ("meaning", "two  blanks"),
        ("meaning", "line\nbreak"),
        ("title", " x"),
    ],
)
def test_a_text_that_would_not_come_back_is_refused(tmp_path, field, text):
    data = shipped_maps()["meter-own"].model_dump(mode="json", by_alias=True)
    target = data if field == "title" else data["points"][0]
    target[field] = text
    with pytest.raises(InputProblems) as raised:
        export_table(RegisterMap.model_validate(data), tmp_path / "a.csv")
    assert [p.value for p in raised.value.problems] == [repr(text)]
    assert not (tmp_path / "a.csv").exists()


def test_where_no_file_can_be_written(tmp_path):
    one = shipped_maps()["meter-own"]
    with pytest.raises(InputProblems, match=r"\.csv, \.txt, \.xlsx"):
        export_table(one, tmp_path / "a.pdf")
    for ending in ("csv", "xlsx"):
        with pytest.raises(InputProblems, match="No such file or directory"):
            export_table(one, tmp_path / "no" / f"a.{ending}")


def test_an_export_that_excel_saved_in_gbk_still_comes_back(tmp_path):
    one = shipped_maps()["storage-own"]
    export_table(one, tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text("utf-8-sig")
    (tmp_path / "a.csv").write_bytes(text.encode("gb18030"))
    assert import_table(tmp_path / "a.csv", Choices()).map == one
