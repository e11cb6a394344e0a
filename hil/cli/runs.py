"""``hil run`` and ``hil replay``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hil.bench.assembly import banner
from hil.bench.files import load_bench
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
    options_of,
)  # fmt: skip
from hil.testbed.bench_records import bench_lines
from hil.testbed.bench_setup import Bench
from hil.testbed.closed import Closed
from hil.testbed.outside import Outside
from hil.testbed.replay import replay_run
from hil.testbed.setup import wired
from twin.cli import ERR, OUT, print_result, reporter
from twin.errors import InputProblems, Problem, RunBroken
from twin.run import Prepared, run_scenario
from twin.scenario.files import find_scenario
from twin.scenario.inputs import attempt

__all__ = ["carry", "columns", "failed", "replay", "run"]


def columns() -> tuple[TextColumn | BarColumn | TimeRemainingColumn, ...]:
    """Return the columns of a progress bar."""
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[clock]} {task.fields[speed]}"),
        TimeRemainingColumn(),
    )


def failed(directory: Path) -> bool:
    """Return whether a run has a false verdict or passed the limit of lateness."""
    summary = json.loads((directory / "summary.json").read_text("utf-8"))
    late = not summary.get("wire", {}).get("pacing", {}).get("within_limit", True)
    return late or any(v["passed"] is False for v in summary["verdicts"])


def run(
    scenario: ScenarioName,
    rate: Rate = 1.0,
    out: Annotated[Path | None, typer.Option(help="run directory; default: out/<scenario>")] = None,
    assignments: Assignments = None,
    seed: Annotated[int | None, typer.Option(min=0, help="chance of the day")] = None,
    logic: Annotated[str | None, typer.Option(help="package.module:Class")] = None,
    address: Address = None,
    kinds: Kinds = None,
    limit: Limit = None,
    lanes: Lanes = 1,
    lang: Annotated[str, typer.Option(help="language of the page: en or zh")] = "en",
    strict: Annotated[
        bool, typer.Option("--strict", help="status 1 when a verdict fails or ticks are late")
    ] = False,
    bench: Annotated[
        Path | None, typer.Option(help="bench file: real devices take part, see `hil bench check`")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="devices of the bench are read, nothing is written")
    ] = False,
) -> None:
    """Close the loop over Modbus on wall time with our head-end, judge and report."""
    found = language_problems(lang)
    if dry_run and bench is None:
        found.append(Problem("--dry-run", "bench", "none", "--bench bench.toml beside it"))
    real = None if bench is None else attempt(found, lambda: load_bench(bench))
    options = attempt(found, lambda: options_of(rate, address, kinds, limit, lanes))
    extra = list(assignments or [])
    if seed is not None:
        extra.append(f"seed={seed}")
    if logic is not None:
        extra.append(f"logic={json.dumps(logic)}")
    if found or options is None:
        raise all_wrong(found, scenario, extra, options, out)
    beside = None if real is None else Bench(real, dry_run)
    if real is not None:
        ERR.print(banner(real), highlight=False)
    carry(Closed(options, bench=beside), find_scenario(scenario), out, extra, lang, strict)


def carry(
    carrier: Closed | Outside,
    path: Path,
    out: Path | None,
    extra: list[str],
    lang: str,
    strict: bool,
) -> None:
    """Run a scenario over a carrier with a wire, and say how it went."""

    def check(prepared: Prepared) -> Prepared:
        found: list[Problem] = []
        places = attempt(found, lambda: wired(prepared, carrier.options, path))
        if isinstance(carrier, Closed) and (bench := carrier.bench) is not None:
            rate = carrier.options.rate
            attempt(found, lambda: bench.check(prepared, rate, places))
        if found or places is None:
            raise InputProblems(found)
        carrier.stand(places, Path("out") / prepared.scenario.name if out is None else out)
        return prepared

    try:
        with Progress(*columns(), console=ERR, transient=True, auto_refresh=False) as bar:
            result = run_scenario(path, out, extra, lang, reporter(bar), carrier, check)
    except KeyboardInterrupt:
        raise RunBroken("interrupted before the run began; nothing was written") from None
    print_result(result)
    if carrier.records is not None:
        OUT.print(carrier.records.line(), highlight=False)
    if isinstance(carrier, Closed) and carrier.loop is not None:
        for line in bench_lines(carrier.loop):
            OUT.print(line, highlight=False)
        if carrier.loop.unsafe:
            raise typer.Exit(1)
    if strict and failed(result.directory):
        raise typer.Exit(1)


def replay(
    directory: Annotated[Path, typer.Argument(help="run directory of a run over the wire")],
) -> None:
    """Run a finished run's command log again without the wire, and compare every bit."""
    found = replay_run(directory)
    OUT.print(found.text, highlight=False)
    if not found.equal:
        raise typer.Exit(1)
