"""The command line: ``twin run | compare | validate | schema``.

Exit status: 0 the run finished, 1 a verdict is false (with ``--strict``), 2 bad input, 3 the
run broke off.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from twin.clock import format_time_of_day
from twin.errors import InputProblems, RunBroken
from twin.results.compare import compare_runs
from twin.run import Report, RunResult, prepare, run_scenario
from twin.scenario.breakage import traceback_text
from twin.scenario.files import find_scenario
from twin.scenario.schema import json_schema

app = typer.Typer(
    help="A digital twin of the Guangzhou grid.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
OUT = Console()
ERR = Console(stderr=True)
MARKS = {True: "[green]pass[/green]", False: "[red]FAIL[/red]", None: "[dim]·[/dim]"}

ScenarioName = Annotated[str, typer.Argument(help="path, folder or name of a shipped scenario")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="key.subkey=VALUE, VALUE as in TOML")
]


def main() -> None:
    """Run the command line of the twin."""
    guarded(app)


def guarded(command: Callable[[], object]) -> None:
    """Run a command line; bad input ends in status 2, a broken run in 3."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)
    try:
        command()
    except InputProblems as error:
        for problem in error.problems:
            ERR.print(f"[red]error[/red] {escape(str(problem))}", soft_wrap=True, highlight=False)
        count = len(error.problems)
        ERR.print(f"{count} problem{'s' if count != 1 else ''}; nothing was run.")
        sys.exit(2)
    except RunBroken as error:
        ERR.print(f"[red]broken off[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(3)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Let a termination end a run as Ctrl-C does, with what there is written."""
    raise KeyboardInterrupt(signal.Signals(number).name)


@app.command()
def run(
    scenario: ScenarioName,
    out: Annotated[Path | None, typer.Option(help="run directory; default: out/<scenario>")] = None,
    assignments: Assignments = None,
    seed: Annotated[int | None, typer.Option(min=0, help="chance of the day")] = None,
    logic: Annotated[str | None, typer.Option(help="package.module:Class")] = None,
    lang: Annotated[str, typer.Option(help="language of the page: en or zh")] = "en",
    strict: Annotated[bool, typer.Option("--strict", help="status 1 when a verdict fails")] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="SUITWIN_DEBUG", help="traceback where a run breaks off"),
    ] = False,
) -> None:
    """Simulate, control, judge and report a scenario."""
    if lang not in ("en", "zh"):
        raise typer.BadParameter("en or zh", param_hint="--lang")
    extra = list(assignments or [])
    if seed is not None:
        extra.append(f"seed={seed}")
    if logic is not None:
        extra.append(f"logic={json.dumps(logic)}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[clock]} {task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    try:
        # No refresh thread: runs go on in forked children, which want a process of one thread.
        with Progress(*columns, console=ERR, transient=True, auto_refresh=False) as bar:
            result = run_scenario(find_scenario(scenario), out, extra, lang, reporter(bar))
    except KeyboardInterrupt:
        raise RunBroken("interrupted before the run began; nothing was written") from None
    except RunBroken as error:
        if debug and error.__cause__ is not None:
            ERR.print(escape(traceback_text(error.__cause__)), soft_wrap=True, highlight=False)
        raise
    print_result(result)
    if strict and any(v["passed"] is False for v in result.verdicts):
        raise typer.Exit(1)


def reporter(bar: Progress) -> Report:
    """Return a callback (phase, fraction, simulated time, times real time) for the bar."""
    task = bar.add_task("preparing", total=1.0, clock="", speed="")

    def report(
        phase: str, fraction: float, now_ms: int | None = None, speed: float | None = None
    ) -> None:
        bar.update(
            task,
            description=phase,
            completed=fraction,
            clock="" if now_ms is None else format_time_of_day(now_ms),
            speed="" if speed is None else f"{speed:,.0f}x",
            refresh=True,
        )

    return report


def print_result(result: RunResult) -> None:
    """Print the verdicts in 80 columns, then why those that failed did."""
    orders = len({row["order"] for row in result.verdicts if row["order"] is not None})
    table = Table(
        title=f"{result.name}: verdicts", title_justify="left", box=SIMPLE, pad_edge=False
    )
    table.add_column("", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    if orders > 0:
        table.add_column("order", overflow="fold", max_width=12)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("limit", justify="right", no_wrap=True)
    for row in result.verdicts:
        value, limit = row["value"], row["limit"]
        unit = "" if row["unit"] == "1" else f" {row['unit']}"
        shown = "–" if value is None else f"{value:,.4g}{unit}"
        sign = {"<=": "≤", ">=": "≥"}.get(row["comparison"], row["comparison"])
        cells = [MARKS[row["passed"]], escape(str(row["id"]))]
        if orders > 0:
            cells.append(escape(str(row["order"] or "")))
        table.add_row(*cells, escape(shown), "" if limit is None else f"{sign} {limit:g}")
    OUT.print(table)
    for row in result.verdicts:
        if row["passed"] is False and row["reason"]:
            name = " ".join(str(row[k]) for k in ("id", "order") if row[k] is not None)
            why = f"{name}: {row['reason']}"
            OUT.print(f"[red]FAIL[/red] {escape(why)}", highlight=False)
    passed = [row["passed"] for row in result.verdicts]
    OUT.print(
        f"{passed.count(True)} passed, {passed.count(False)} failed, {passed.count(None)} figures"
    )
    for line in result.warnings:
        OUT.print(f"[yellow]note[/yellow] {escape(line)}", highlight=False)
    OUT.print(f"page: {result.directory / 'report.html'}", soft_wrap=True, highlight=False)


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="run directories, the first is the base")],
) -> None:
    """Compare the verdicts and curves of runs on the same base."""
    found = compare_runs(*runs)
    OUT.print(found.table())
    OUT.print(found.curves())


@app.command()
def validate(scenario: ScenarioName, assignments: Assignments = None) -> None:
    """Check a scenario and everything that it names, without running it."""
    built = prepare(find_scenario(scenario), list(assignments or [])).built
    devices = sum(columns.n for columns in built.city.nameplates.values())
    OUT.print(
        f"{built.scenario.name}: {built.city.sites.n:,} sites, {devices:,} devices beside "
        f"{built.terminals.n:,} terminals, {built.network.n_bus} buses; nothing wrong."
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of a scenario file, for editors."""
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
