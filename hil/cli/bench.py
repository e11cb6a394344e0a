"""``hil bench check | read | example | schema``: look at a bench and write nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from hil.bench.assembly import banner, chosen, device_of, lines_of, permit_of
from hil.bench.clock import WallClock
from hil.bench.device import BenchDevice, Sample
from hil.bench.errors import LineError
from hil.bench.files import load_bench
from hil.bench.journal import NoJournal
from hil.bench.look import Seen, look_at
from hil.bench.schema import BenchFile, DeviceEntry
from hil.bench.survey import Survey, survey
from twin.cli import ERR, OUT

__all__ = ["app"]

app = typer.Typer(
    help="A bench of real devices: check its file and devices, read them.", no_args_is_help=True
)

BenchPath = Annotated[Path, typer.Argument(help="bench file such as bench.toml")]
Devices = Annotated[list[str] | None, typer.Argument(help="devices of the bench; default: all")]
AsJson = Annotated[bool, typer.Option("--json", help="say it as JSON")]
OK, WRONG, NOTE = "[green]ok[/green]", "[red]wrong[/red]", "[yellow]note[/yellow]"


@app.command("check")
def check(path: BenchPath, names: Devices = None, as_json: AsJson = False) -> None:
    """Read a bench file, reach every device and instrument, and say what does not fit.

    Nothing is written. Status 1 where something is wrong.
    """
    bench, entries = _opened(path, names)
    found: list[Survey] = []
    with _devices(bench, entries) as devices:
        for entry, device in zip(entries, devices, strict=True):
            found.append(survey(device, _plate(entry), entry.identity))
            if not as_json:
                _say(found[-1])
    seen = look_at([i for i in bench.instruments if not names or i.device in ("", *names)])
    if as_json:
        _print_json({"devices": [_row(one) for one in found], "instruments": _rows(seen)})
    else:
        for one in seen:
            _line(OK if one.well else WRONG, one.instrument, one.text)
    if not (all(one.well for one in found) and all(one.well for one in seen)):
        raise typer.Exit(1)


@app.command("read")
def read(path: BenchPath, names: Devices = None, as_json: AsJson = False) -> None:
    """Show every point of a bench's devices as it stands. Status 1 where one cannot be read."""
    bench, entries = _opened(path, names)
    told: dict[str, object] = {}
    whole = True
    with _devices(bench, entries) as devices:
        for device in devices:
            try:
                samples = device.read()
            except LineError as error:
                whole = False
                ERR.print(f"{WRONG} {escape(f'{device.name}: {error}')}", highlight=False,
                          soft_wrap=True)  # fmt: skip
                continue
            told[device.name] = {name: _cell(sample) for name, sample in samples.items()}
            if not as_json:
                OUT.print(_table(device, samples))
    if as_json:
        _print_json(told)
    if not whole:
        raise typer.Exit(1)


@app.command("example")
def example() -> None:
    """Print a bench file to start from."""
    sys.stdout.write(files("hil.bench").joinpath("example.toml").read_text(encoding="utf-8"))


@app.command("schema")
def schema() -> None:
    """Print the JSON schema of bench files, for editors."""
    _print_json(BenchFile.model_json_schema())


def _opened(path: Path, names: Sequence[str] | None) -> tuple[BenchFile, list[DeviceEntry]]:
    bench = load_bench(path)
    entries = chosen(bench, names or None)
    ERR.print(escape(banner(bench)), style="yellow", highlight=False, soft_wrap=True)
    return bench, entries


@contextmanager
def _devices(bench: BenchFile, entries: Sequence[DeviceEntry]) -> Iterator[list[BenchDevice]]:
    """Yield devices that can be read and not written."""
    lines = lines_of(entries)
    permit, clock = permit_of(bench, dry_run=True), WallClock()
    try:
        yield [device_of(e, lines[e.name], NoJournal(), clock, permit) for e in entries]
    finally:
        for line in lines.values():
            line.close()


def _plate(entry: DeviceEntry) -> dict[str, float]:
    plate = {"rated_kw": entry.rated_kw}
    if entry.capacity_kwh is not None:
        plate["capacity_kwh"] = entry.capacity_kwh
    return plate


def _say(one: Survey) -> None:
    who = " ".join(one.identity.get(key, "") for key in ("vendor", "product", "revision")).strip()
    read = sum(bool(sample.words) for sample in one.samples.values())
    shown = f"{read} points read" + (f"; {who}" if who else "")
    _line(OK if one.well else WRONG, one.device, f"{one.line}: {shown}")
    for finding in one.findings:
        _line(WRONG if finding.wrong else NOTE, f"  {finding.place}", finding.text)


def _line(mark: str, place: str, text: str) -> None:
    OUT.print(f"{mark} {escape(f'{place}: {text}')}", highlight=False, soft_wrap=True)


def _table(device: BenchDevice, samples: dict[str, Sample]) -> Table:
    table = Table(box=SIMPLE, pad_edge=False, title=f"{device.name} ({device.line.name})")
    for title in ("point", "value", "unit", "registers", "meaning", "含义"):
        right = title == "value"
        table.add_column(
            title, justify="right" if right else "left", no_wrap=title in ("point", "value")
        )
    for name, sample in samples.items():
        point = device.map.point(name)
        value = sample.value
        shown = f"{value:g}" if isinstance(value, float) else (value or "-")
        if sample.code > 0:
            shown = f"exception {sample.code}"
        words = " ".join(f"{word:04X}" for word in sample.words)
        table.add_row(
            escape(name), escape(shown), escape(point.unit), words, escape(point.meaning),
            escape(point.meaning_zh),
        )  # fmt: skip
    return table


def _cell(sample: Sample) -> dict[str, object]:
    return {"value": sample.value, "words": list(sample.words), "code": sample.code}


def _row(one: Survey) -> dict[str, object]:
    return {
        "device": one.device, "line": one.line, "well": one.well, "identity": dict(one.identity),
        "points": sum(bool(sample.words) for sample in one.samples.values()),
        "findings": [{"wrong": f.wrong, "place": f.place, "text": f.text} for f in one.findings],
    }  # fmt: skip


def _rows(seen: Sequence[Seen]) -> list[dict[str, object]]:
    return [{"instrument": s.instrument, "well": s.well, "text": s.text} for s in seen]


def _print_json(what: object) -> None:
    sys.stdout.write(json.dumps(what, ensure_ascii=False, indent=1) + "\n")
