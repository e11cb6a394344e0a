"""``hil record`` and ``hil fit``: from a device to a map and parameters for its twin."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from hil.bench.assembly import banner, chosen, device_of, lines_of, permit_of
from hil.bench.clock import WallClock
from hil.bench.drivers.opening import Means, open_instrument
from hil.bench.errors import BenchError
from hil.bench.files import load_bench
from hil.bench.fit.outcome import Fit, fit_recording, write_fit
from hil.bench.fit.parameters import load_parameters
from hil.bench.journal import NoJournal
from hil.bench.recorder import RecordedLine, RecordedMeter, RecordingFile
from hil.bench.recording import TABLES, Recording, load_recording
from hil.bench.roles import Meter
from hil.bench.run_recording import is_run, load_run
from hil.cli.options import to_write
from hil.registers.kinds import catalogue
from hil.registers.schema import TableName
from hil.testbed.exercise import exercise
from hil.testbed.fitted import held_against, with_parameters
from hil.testbed.stage import Stage
from twin.assets import KINDS
from twin.assets.storage import Storage
from twin.city.spelling import did_you_mean
from twin.cli import ERR, OUT
from twin.errors import InputProblems, Problem, RunBroken
from twin.scenario.inputs import attempt

__all__ = ["fit", "record"]

FORMS = "emulated:KIND, emulated:KIND:MAP, or a bench file's device as bench.toml:NAME"
Raw = tuple[TableName, int, int]
MOST_READ = 125  # registers of one request (Modbus Application Protocol 1.1b3, 6.3)
NAME = "small letters, digits and hyphens, a letter or digit first"


def record(
    device: Annotated[str, typer.Argument(help=FORMS)],
    out: Annotated[Path, typer.Option(help="recording to write, CSV")],
    minutes: Annotated[float, typer.Option(help="how long a bench device is watched")] = 60.0,
    every: Annotated[float, typer.Option(help="seconds between two readings")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="of an emulated device")] = 0,
    parameters: Annotated[
        Path | None, typer.Option(help="parameters.toml of a fit, for emulated:storage")
    ] = None,
    blocks: Annotated[
        list[str] | None,
        typer.Option(help="TABLE:FIRST-LAST of a bench device, in place of what its map names"),
    ] = None,
) -> None:
    """Record a device's registers and its meter over time, for `hil fit`.

    A bench device is only read; an emulated one is worked through its range.
    """
    found = to_write("--out", out, "file")
    if out.exists() and not found:
        found.append(Problem("--out", str(out), "is there already", "a new file"))
    if not 0.0 < minutes <= 10_000.0:
        found.append(Problem("--minutes", "minutes", f"{minutes:g}", "above 0, at most 10000"))
    if not 0.1 <= every <= 3600.0:
        found.append(Problem("--every", "seconds", f"{every:g}", "0.1 to 3600"))
    raw = attempt(found, lambda: read_blocks(blocks or []))
    where, _, rest = device.rpartition(":")
    if device.startswith("emulated:"):
        kind, _, map_name = device.removeprefix("emulated:").partition(":")
        sort = attempt(found, lambda: _sort(kind, parameters))
        stage = attempt(found, lambda: Stage(sort or kind, map_name or None, seed=seed))
        if found or stage is None:
            raise InputProblems(found)
        _emulated(stage, out, max(round(every), 1))
    elif where and rest:
        if parameters is not None:
            allowed = "none: a bench device is what it is"
            found.append(Problem("--parameters", "file", str(parameters), allowed))
        if found or raw is None:
            raise InputProblems(found)
        _watched(Path(where), rest, out, (minutes * 60.0, every), raw)
    else:
        raise InputProblems([*found, Problem("DEVICE", "device", device, FORMS)])


def _sort(kind: str, parameters: Path | None) -> str | type[Storage]:
    """Return the kind that is emulated, with the parameters of a fit where there are any."""
    if parameters is None:
        return kind
    if kind != Storage.name:
        problem = Problem("--parameters", "kind", kind, f"of kind {Storage.name} only")
        raise InputProblems([problem])
    return with_parameters(load_parameters(parameters))


def _emulated(stage: Stage, out: Path, every_s: int) -> None:
    file = RecordingFile(out)
    try:
        with stage:
            journal = out.with_name(out.name + ".journal.jsonl")
            exercise(stage, file, journal, None, every_s, lambda text: ERR.print(text))
        length_s = stage.clock.now_s()
    finally:
        file.close()
    OUT.print(
        f"{length_s:g} s of device time (time-compressed) in {out}", highlight=False, soft_wrap=True
    )


def _watched(
    bench_file: Path, name: str, out: Path, pace_s: tuple[float, float], raw: list[Raw]
) -> None:
    """Record a bench device; `pace_s` is (how long, how often)."""
    length_s, every_s = pace_s
    bench = load_bench(bench_file)
    entry = chosen(bench, [name])[0]
    ERR.print(escape(banner(bench)), style="yellow", highlight=False, soft_wrap=True)
    clock, lost = WallClock(), 0
    with ExitStack() as stack:
        file = RecordingFile(out)
        stack.callback(file.close)
        line = RecordedLine(lines_of([entry])[name], clock, file)
        stack.callback(line.close)
        one = device_of(entry, line, NoJournal(), clock, permit_of(bench, True))
        meters = []
        # The device's own meter before one that is the bench's.
        for instrument in sorted(bench.instruments, key=lambda i: i.device != name):
            if instrument.device in ("", name) and instrument.driver.startswith("meter_"):
                meter = open_instrument(instrument, Means(clock))
                if isinstance(meter, Meter):
                    stack.callback(meter.release)
                    meters.append(RecordedMeter(meter, file))
        file.quantity("nameplate", 0.0, "rated_kw", entry.rated_kw)
        if entry.capacity_kwh is not None:
            file.quantity("nameplate", 0.0, "capacity_kwh", entry.capacity_kwh)
        try:
            while clock.now_s() < length_s:
                begun_s = time.monotonic()
                try:
                    for meter in meters[:1]:
                        meter.power_kw()
                    for table, first, count in raw:
                        line.read(table, first, count)
                    if not raw:
                        one.read()
                except BenchError as error:
                    lost += 1
                    ERR.print(escape(str(error)), style="yellow", highlight=False)
                clock.sleep(begun_s + every_s - time.monotonic())
        except KeyboardInterrupt:
            raise RunBroken(f"interrupted; what was recorded stands in {out}") from None
    with_meter = "with its meter" if meters else "without a meter: only the nameplate is known"
    OUT.print(
        f"{name} {with_meter} in {out}; {lost} readings were lost", highlight=False, soft_wrap=True
    )


def fit(
    recording: Annotated[
        Path, typer.Argument(help="a recording, CSV or JSON lines, or a certification's folder")
    ],
    kind: Annotated[
        str | None, typer.Option(help="device kind of the twin; a certification says its own")
    ] = None,
    name: Annotated[str, typer.Option(help="of the map")] = "fitted",
    out: Annotated[
        Path | None, typer.Option(help="folder to write; default out/fit/<name>")
    ] = None,
    site: Annotated[str, typer.Option(help="customer account in the fleet file")] = "0",
    unit: Annotated[int, typer.Option(min=1, max=247, help="at which the device answers")] = 1,
    nameplate: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER beside the recording's own")
    ] = None,
) -> None:
    """Make a register map and parameters of the twin from a recorded device, with residuals."""
    found: list[Problem] = []
    read = attempt(found, lambda: _read(recording))
    known = [k for k in catalogue() if k in KINDS]
    sort = kind if kind is not None or read is None else read[1]
    if sort not in known and read is not None:
        allowed = ", ".join(known) + did_you_mean(sort or "", known)
        found.append(Problem("--kind", "kind", "missing" if sort is None else repr(sort), allowed))
    if not _is_name(name):
        found.append(Problem("--name", "map", repr(name), NAME))
    folder = Path("out/fit") / name if out is None else out
    found += to_write("--out", folder, "folder")
    plate = attempt(found, lambda: _nameplate(nameplate or []))
    if found or read is None or plate is None or sort is None:
        raise InputProblems(found)
    one = read[0]
    one.nameplate |= plate
    result = fit_recording(one, sort, name, str(recording), unit)
    held_against(one, result)
    files = write_fit(result, folder, site)
    _show(result)
    OUT.print(f"wrote {', '.join(str(f) for f in files)}", highlight=False, soft_wrap=True)


def _read(path: Path) -> tuple[Recording, str | None]:
    """Return a recording and, where it says so, the kind of its device."""
    return load_run(path) if is_run(path) else (load_recording(path), None)


def read_blocks(given: list[str]) -> list[Raw]:
    """Return blocks as (table, first address, count); raises InputProblems.

    >>> read_blocks(["input:0-40", "holding:100"])
    [('input', 0, 41), ('holding', 100, 1)]
    """
    found: list[Raw] = []
    wrong = []
    for text in given:
        table, _, span = text.partition(":")
        first, _, last = span.partition("-")
        sort = next((t for t in TABLES if t == table), None)
        ends = [int(end) if end.isdecimal() else -1 for end in (first, last or first)]
        if sort is None or not 0 <= ends[0] <= ends[1] <= min(65535, ends[0] + MOST_READ - 1):
            allowed = f"{', '.join(TABLES)}, with at most {MOST_READ} addresses, e.g. input:0-40"
            wrong.append(Problem("--blocks", "block", repr(text), allowed))
        else:
            found.append((sort, ends[0], ends[1] - ends[0] + 1))
    if wrong:
        raise InputProblems(wrong)
    return found


def _is_name(name: str) -> bool:
    plain = name.replace("-", "")
    return plain.isascii() and plain.isalnum() and plain == plain.lower() and name[0] != "-"


def _nameplate(given: list[str]) -> dict[str, float]:
    """Return numbers by name; raises InputProblems with those that are none."""
    found, wrong = {}, []
    for text in given:
        name, _, number = text.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError:
            wrong.append(Problem("--nameplate", "number", repr(text), "NAME=NUMBER"))
    if wrong:
        raise InputProblems(wrong)
    return found


def _show(result: Fit) -> None:
    table = Table(box=SIMPLE, pad_edge=False, title=f"{result.map.map.name}: registers")
    for title in ("point", "place", "type", "step", "agrees", "residual", "in doubt"):
        table.add_column(title)
    seen = {m.quantity.name: m for m in result.map.matches}
    for point in result.map.map.points:
        match = seen.get(point.name)
        agrees = "" if match is None else f"{match.share:.1%} of {len(match.candidate.raw)}"
        left = "" if match is None else f"{match.residual:.3g} {match.quantity.unit}"
        table.add_row(
            point.name, f"{point.table} {point.address}", f"{point.type} {point.order or ''}",
            f"{point.scale:g} {point.unit}", agrees, left,
            escape("; ".join(result.map.doubts.get(point.name, []))),
        )  # fmt: skip
    OUT.print(table)
    for figure in result.figures():
        OUT.print(escape(str(figure)), highlight=False, soft_wrap=True)
    if result.storage is not None and result.storage.points:
        OUT.print(f"residual of the energy balance: {result.storage.soc_rms:.3%} of SOC over "
                  f"{result.storage.points} moments", highlight=False, soft_wrap=True)  # fmt: skip
    if "seconds" in result.replay:
        r = result.replay
        OUT.print(
            f"the twin beside the recording, {r['seconds']:g} s: power {r['power_rms_kw']:.3g} kW, "
            f"SOC {r['soc_rms']:.2%} (root mean square); a new one by its nameplate "
            f"{r['plain_power_rms_kw']:.3g} kW, {r['plain_soc_rms']:.2%}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    for name, one in result.parameters.items():
        spread = "" if math.isnan(one.plus_minus) else f" ± {one.plus_minus:.2g}"
        OUT.print(f"the twin takes {name} = {one.value:.5g}{spread} {one.unit}",
                  highlight=False, soft_wrap=True)  # fmt: skip
    for text in result.storage.doubts if result.storage is not None else ():
        OUT.print(f"[yellow]rests on[/yellow] {escape(text)}", highlight=False, soft_wrap=True)
    for text in result.untold:
        OUT.print(f"[yellow]not told[/yellow] {escape(text)}", highlight=False, soft_wrap=True)
