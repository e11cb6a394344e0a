"""``hil map``: a vendor's table with doubts is not guessed at; our own comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hil.registers.files import load_map, shipped_maps
from tests.testbed.conftest import Call

VENDOR = "名称,地址,类型,系数,读写\n有功功率,1,INT16,10,R\nSOC,2,UINT16,10,R\n"
MAPS = tuple(shipped_maps())


def test_a_table_with_doubts_lists_the_options_and_writes_nothing(
    hil: Call, tmp_path: Path
) -> None:
    table, out = tmp_path / "vendor.csv", tmp_path / "map.json"
    table.write_text(VENDOR, encoding="gbk")
    said = hil("map", "import", table, "--kind", "storage", "--name", "x", "--out", out)
    assert said.status == 2
    assert len(said.problems) == 3
    for option in ("--base 0", "--base 1", "--table yc=input", "--table yc=holding",
                   "--scale factor", "--scale divisor"):  # fmt: skip
        assert sum(option in p for p in said.problems) == 1
    assert "Traceback" not in said.err
    assert not out.exists()


def test_choices_settle_the_doubts(hil: Call, tmp_path: Path) -> None:
    table, out = tmp_path / "vendor.csv", tmp_path / "new" / "map.json"
    table.write_text(VENDOR, encoding="gbk")
    said = hil(
        "map", "import", table, "--kind", "storage", "--name", "x", "--out", out, "--base", 1,
        "--table", "yc=input", "--scale", "divisor",
    )  # fmt: skip
    assert said.status == 0, said.err
    points = json.loads(out.read_text("utf-8"))["points"]
    assert [(p.get("address"), p["scale"]) for p in points] == [(0, 0.1), (1, 0.1)]
    assert hil("map", "check", out).status == 0
    assert [p.name for p in out.parent.iterdir()] == ["map.json"]


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
@pytest.mark.parametrize("name", MAPS)
def test_a_map_comes_back_as_it_was(hil: Call, tmp_path: Path, name: str, ending: str) -> None:
    table, out = tmp_path / f"table.{ending}", tmp_path / "map.json"
    assert hil("map", "export", name, table).status == 0
    said = hil("map", "import", table, "--out", out)
    assert said.status == 0, said.err
    assert load_map(out) == load_map(name)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("export", "storage-own", "table.doc"), "table.doc: name: .doc"),
        (("export", "storage-own", "file/table.csv"), "file/table.csv: file: "),
        (("export", "storage-one", "table.csv"), "storage-one: map: not found"),
        (("import", "nowhere.csv"), "nowhere.csv: "),
        (("import", "table.csv", "--sample", "x=y"), "--sample: words: 'x=y'"),
        (("import", "table.csv", "--out", "file/map.json"), "--out: file/map.json: "),
        (("check", "nowhere.json"), "nowhere.json: map: not found"),
    ],
)  # fmt: skip
def test_bad_words(
    hil: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    if words[0] == "import" and words[1] != "nowhere.csv":
        assert hil("map", "export", "meter-own", "table.csv").status == 0
    said = hil("map", *words)
    assert said.status == 2
    assert any(p.startswith(problem) for p in said.problems), said.err
    assert "Traceback" not in said.err
    assert not (tmp_path / "map.json").exists()


def test_the_list_names_every_map(hil: Call) -> None:
    said = hil("map", "list")
    assert said.status == 0
    for name in MAPS:
        assert name in said.out
