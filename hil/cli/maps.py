"""``hil map list | check | import | export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from hil.cli.options import to_write
from hil.registers.files import load_map, shipped_maps, unreached
from hil.registers.pointtable import describe, export_table, read_choices, recognise
from twin.cli import ERR, OUT
from twin.errors import InputProblems, Problem

__all__ = ["app"]

app = typer.Typer(help="Register maps: list, check, import and export.", no_args_is_help=True)

ENDINGS = (".csv", ".txt", ".xlsx")
CLASSES = {"yc": "遥测", "yx": "遥信", "yk": "遥控", "yt": "遥调"}
MapName = Annotated[str, typer.Argument(help="name of a shipped map, or a JSON file")]


@app.command("list")
def list_maps() -> None:
    """List the maps that ship."""
    table = Table(box=SIMPLE, pad_edge=False)
    for title in ("name", "kind", "遥测", "遥信", "遥控", "遥调", "title"):
        right = title in CLASSES.values()
        table.add_column(title, justify="right" if right else "left", no_wrap=title == "name")
    for name, one in sorted(shipped_maps().items()):
        count = [str(sum(p.cls == cls for p in one.points)) for cls in CLASSES]
        table.add_row(name, one.kind, *count, escape(one.title))
    OUT.print(table)


@app.command("check")
def check(name: MapName) -> None:
    """Check a map as a whole: overlap, reserved ranges, limits, sources, commands."""
    one = load_map(name)
    missing = unreached(one)
    OUT.print(f"{one.name}: {len(one.points)} points of kind {one.kind}; nothing wrong.")
    for text in missing:
        OUT.print(f"[yellow]note[/yellow] not reached: {escape(text)}", highlight=False)


@app.command("export")
def export(
    name: MapName,
    to: Annotated[Path, typer.Argument(help="file to write: .csv, .txt or .xlsx")],
) -> None:
    """Write a map as a point table (点表), in the columns that import reads."""
    if to.suffix.lower() not in ENDINGS:
        allowed = ", ".join(ENDINGS)
        raise InputProblems([Problem(str(to), "name", to.suffix or "no ending", allowed)])
    export_table(load_map(name), to)
    OUT.print(f"wrote {to}", highlight=False)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="a vendor's point table: .xlsx, .csv or .txt")],
    out: Annotated[Path | None, typer.Option(help="JSON file to write the map to")] = None,
    kind: Annotated[str | None, typer.Option(help="device kind of the twin")] = None,
    name: Annotated[str | None, typer.Option(help="name of the map")] = None,
    base: Annotated[str | None, typer.Option(help="of addresses: 0, 1 or modicon")] = None,
    notation: Annotated[str | None, typer.Option(help="of addresses: decimal or hex")] = None,
    scale: Annotated[
        str | None, typer.Option(help="what coefficients are: factor, divisor or decimals")
    ] = None,
    order: Annotated[str | None, typer.Option(help="ABCD, CDAB, BADC or DCBA")] = None,
    encoding: Annotated[str | None, typer.Option(help="of a text file")] = None,
    sheet: Annotated[list[str] | None, typer.Option(help="sheets to read")] = None,
    unit: Annotated[str | None, typer.Option(help="rows of this station number only")] = None,
    table: Annotated[
        list[str] | None, typer.Option(help="CLASS=TABLE, e.g. yc=input, where none is stated")
    ] = None,
    access: Annotated[str | None, typer.Option(help="of holding registers: r or rw")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="of points without one")] = None,
    int_bits: Annotated[str | None, typer.Option(help="what a bare INT is: 16 or 32")] = None,
    sign: Annotated[str | None, typer.Option(help="unsigned or signed")] = None,
    length: Annotated[str | None, typer.Option(help="registers or bytes")] = None,
    bit_base: Annotated[str | None, typer.Option(help="number of the least bit: 0 or 1")] = None,
    limits: Annotated[str | None, typer.Option(help="value or raw")] = None,
    sample: Annotated[
        list[str] | None, typer.Option(help="ADDRESS=WORD read from a real device")
    ] = None,
) -> None:
    """Read a vendor's point table; show its dialect and every doubt, and guess nothing."""
    choices = read_choices({
        "kind": kind, "name": name, "base": base, "notation": notation, "scale": scale,
        "order": order, "encoding": encoding, "sheets": sheet, "unit": unit, "tables": table,
        "access": access, "type": type_, "int_bits": int_bits, "sign": sign, "length": length,
        "bit_base": bit_base, "limits": limits,
    })  # fmt: skip
    found = recognise(path, choices, _samples(sample or []))
    ERR.print(describe(found))
    problems = [doubt.problem(found.file) for doubt in found.doubts] + list(found.problems)
    problems += to_write("--out", out, "file")
    if problems or found.map is None:
        raise InputProblems(problems)
    text = found.map.model_dump_json(by_alias=True, exclude_defaults=True, indent=1)
    if out is None:
        OUT.print(f"{len(found.map.points)} points; --out FILE.json keeps the map")
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".part")
    partial.write_text(
        json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    partial.replace(out)
    OUT.print(f"{len(found.map.points)} points; wrote {out}", highlight=False)


def _samples(given: list[str]) -> dict[int, int]:
    """Return words by address; hexadecimal where they begin with 0x."""
    found: dict[int, int] = {}
    wrong = []
    for text in given:
        address, _, word = text.partition("=")
        try:
            found[int(address, 0)] = int(word, 0)
        except ValueError:
            wrong.append(Problem("--sample", "words", repr(text), "ADDRESS=WORD, e.g. 0x10=501"))
    if wrong:
        raise InputProblems(wrong)
    return found
