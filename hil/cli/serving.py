"""``hil serve``, ``hil poll`` and ``hil preflight``."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from hil.cli.options import (
    Address,
    Assignments,
    Kinds,
    Lanes,
    Limit,
    Rate,
    ScenarioName,
    all_wrong,
    language_problems,
    line_problems,
    options_of,
    to_write,
)  # fmt: skip
from hil.cli.runs import carry, columns
from hil.testbed.outside import Outside
from hil.testbed.places import Places, write_inventory
from hil.testbed.polling import poll_once
from hil.testbed.preflight import check as check_machine
from hil.testbed.preflight import need_of
from hil.testbed.serve import serve as serve_only
from hil.testbed.setup import Options, Serving, beats, wired
from twin.cli import ERR, OUT, reporter
from twin.errors import InputProblems, Problem, RunBroken
from twin.run import Prepared, prepare
from twin.scenario.build import calibrated
from twin.scenario.files import find_scenario
from twin.scenario.inputs import attempt
from twin.scenario.warm_start import warmed

__all__ = ["poll", "preflight", "serve"]

LONGEST_PAUSE_S = 86_400.0


def serve(
    scenario: ScenarioName,
    rate: Rate = 1.0,
    address: Address = None,
    kinds: Kinds = None,
    limit: Limit = None,
    lanes: Lanes = 1,
    inventory: Annotated[Path | None, typer.Option(help="CSV that a platform can import")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="say what listens as JSON")] = False,
    duration: Annotated[float | None, typer.Option(help="wall time to serve [s]")] = None,
    judge: Annotated[
        bool, typer.Option("--judge", help="judge whoever writes the registers")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="run directory of --judge, default out/<scenario>; without it, folder of "
            "orders.jsonl and served.csv"
        ),
    ] = None,
    counterfactual: Annotated[
        str, typer.Option(help="hold: what was in force runs out; rerun: a second pass")
    ] = "hold",
    strict: Annotated[
        bool, typer.Option("--strict", help="status 1 when a verdict fails or ticks are late")
    ] = False,
    reliable: Annotated[
        bool, typer.Option("--reliable", help="every device answers: no lost poll, no lost contact")
    ] = False,
    serial: Annotated[
        Path | None, typer.Option(help="serial line on which the devices answer as well (RTU)")
    ] = None,
    baud: Annotated[int, typer.Option(min=1_200, max=1_000_000, help="of the line")] = 9_600,
    assignments: Assignments = None,
    seed: Annotated[int | None, typer.Option(min=0, help="chance of the day")] = None,
    lang: Annotated[str, typer.Option(help="language of the page: en or zh")] = "en",
) -> None:
    """Stand a scenario's devices on the network, on wall time."""
    extra = [*(assignments or []), *([] if seed is None else [f"seed={seed}"])]
    found = _problems(counterfactual, duration, judge) + language_problems(lang)
    found += to_write("--inventory", inventory, "file") + line_problems(serial)
    found += [] if judge else to_write("--out", out, "folder")
    options = attempt(found, lambda: options_of(rate, address, kinds, limit, lanes))
    if found or options is None:
        raise all_wrong(found, scenario, extra, options, out if judge else None)
    line = None if serial is None else str(serial)
    options = replace(options, reliable=reliable, serial=line, baud=baud)

    def opened(served: Serving) -> None:
        places = served.field.places
        if inventory is not None:
            write_inventory(places, inventory)
        _say(places, as_json, options)

    path = find_scenario(scenario)
    if judge:
        carrier = Outside(options, "rerun" if counterfactual == "rerun" else "hold", opened)
        carry(carrier, path, out, extra, lang, strict)
        return
    try:
        prepared, places = _ready(path, extra, options)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / "orders.jsonl").unlink(missing_ok=True)
        late, counts = serve_only(prepared, places, options, duration, out, opened)
    except KeyboardInterrupt:
        raise RunBroken("interrupted before anything was served") from None
    ERR.print(
        f"served {counts['reads']:,} reads, {counts['writes']:,} writes, {counts['refused']:,} "
        f"refused; {late.ticks:,} ticks, lateness p99 {late.p99_ms:.2f} ms, max "
        f"{late.max_ms:.1f} ms (limit {late.limit_ms:g})",
        highlight=False,
    )
    if strict and not late.within:
        raise typer.Exit(1)


def _ready(path: Path, extra: list[str], options: Options) -> tuple[Prepared, Places]:
    """Return a scenario calibrated and warm, and where its devices will stand."""
    with Progress(*columns(), console=ERR, transient=True, auto_refresh=False) as bar:
        report = reporter(bar)
        report("building", 0.0)
        prepared = prepare(path, extra)
        places = wired(prepared, options, path)
        report("calibrating the city (once)", 0.0)
        built = calibrated(prepared.built)
        report("running the day before (once)", 0.0)
        return beats(replace(prepared, built=warmed(built))), places


def _problems(counterfactual: str, duration: float | None, judge: bool) -> list[Problem]:
    found = []
    if counterfactual not in ("hold", "rerun"):
        found.append(Problem("--counterfactual", "mode", repr(counterfactual), "hold or rerun"))
    if duration is not None and not duration > 0.0:
        found.append(Problem("--duration", "seconds", f"{duration:g}", "above 0"))
    if judge and duration is not None:
        found.append(Problem("--duration", "with --judge", f"{duration:g}", "the scenario's end"))
    return found


def _say(places: Places, as_json: bool, options: Options) -> None:
    """Say what listens where."""
    if as_json:
        rows = [d.columns() for d in places.devices]
        said: dict[str, object] = {"devices": rows}
        if options.serial is not None:
            said["serial"] = {"port": options.serial, "baud": options.baud, "first_unit": 1}
        sys.stdout.write(json.dumps(said, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    table = Table(box=SIMPLE, pad_edge=False, title="listening", title_justify="left")
    for name in ("kind", "devices", "first", "last", "maps"):
        table.add_column(name, justify="right" if name == "devices" else "left")
    for kind in dict.fromkeys(d.kind for d in places.devices):
        mine = [d for d in places.devices if d.kind == kind]
        ends = [f"{d.address}:{d.port} unit {d.unit}" for d in (mine[0], mine[-1])]
        maps = ", ".join(dict.fromkeys(d.map for d in mine))
        table.add_row(kind, f"{len(mine):,}", ends[0], ends[1], escape(maps))
    OUT.print(table)
    if options.serial is not None:
        OUT.print(f"serial line {options.serial}, {options.baud} baud: units from 1 on, in the "
                  "order of the inventory", highlight=False)  # fmt: skip
    OUT.print(f"{len(places.devices):,} devices; Ctrl-C ends.", highlight=False)


def poll(
    inventory: Annotated[Path, typer.Argument(help="CSV as `hil serve --inventory` writes it")],
    kind: Annotated[str | None, typer.Option(help="one kind only")] = None,
    name: Annotated[str | None, typer.Option(help="one device only")] = None,
    seconds: Annotated[float, typer.Option(help="between two rounds")] = 1.0,
    rounds: Annotated[int, typer.Option(help="rounds to read; 0: until Ctrl-C")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a round")] = False,
) -> None:
    """Show live values of devices that stand on the network."""
    found = []
    if not 0.0 < seconds <= LONGEST_PAUSE_S:
        allowed = f"above 0, at most {LONGEST_PAUSE_S:g}"
        found.append(Problem("--seconds", "seconds", f"{seconds:g}", allowed))
    if rounds < 0:
        found.append(Problem("--rounds", "rounds", f"{rounds}", "0 or more"))
    if found:
        raise InputProblems(found)
    poll_once(inventory, kind, name, seconds, rounds, as_json)


def preflight(
    devices: Annotated[int, typer.Argument(min=1, help="devices to be served")],
    address: Annotated[str, typer.Option(help="ip, port or unit")] = "ip",
    port: Annotated[int, typer.Option(min=1, max=65535, help="port, or the first one")] = 1502,
    units: Annotated[int, typer.Option(min=1, max=247, help="devices behind a gateway")] = 100,
) -> None:
    """Check open files, ports, loopback addresses and memory; print the exact fix."""
    options_of(1.0, address)
    found = check_machine(need_of(address, devices, "127.0.0.1", port, units))
    table = Table(box=SIMPLE, pad_edge=False)
    for title in ("", "what", "there is", "needed", "fix"):
        table.add_column(title)
    for row in found:
        mark = "[green]ok[/green]" if row.good else "[red]no[/red]"
        table.add_row(mark, row.what, escape(row.value), escape(row.needed), escape(row.fix))
    OUT.print(table)
    if not all(row.good for row in found):
        raise typer.Exit(1)
