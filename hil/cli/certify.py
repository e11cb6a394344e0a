"""``hil certify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table

from hil.bench.assembly import banner
from hil.bench.files import load_bench
from hil.certify.issue import issue
from hil.certify.junit import safe_state_of
from hil.certify.keys import load_signers
from hil.certify.measurement import Outcome, Taken
from hil.certify.named import FORMS, bench_of, named
from hil.certify.record import CertificationRecord
from hil.certify.runfolder import JOURNAL_FILE, check_folder
from hil.certify.runner import certify as run_suite
from hil.certify.runner import seal
from hil.certify.suites import SUITES
from twin.city.spelling import did_you_mean
from twin.cli import ERR, OUT
from twin.errors import InputProblems, Problem, RunBroken
from twin.scenario.inputs import attempt

__all__ = ["certify"]

MARK = {
    Outcome.PASS: "[green]pass[/green]", Outcome.FAIL: "[red]fail[/red]",
    Outcome.INCONCLUSIVE: "[yellow]inconclusive[/yellow]",
    Outcome.NOT_APPLICABLE: "not applicable", Outcome.FIGURE: "figure",
}  # fmt: skip


def certify(
    device: Annotated[str, typer.Argument(help=FORMS)],
    suite: Annotated[str, typer.Option(help="one of: " + ", ".join(SUITES))],
    out: Annotated[
        Path | None, typer.Option(help="folder of the run; default out/certify/<device>-<suite>")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with a run that was stopped between steps")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="of whatever is drawn")] = 0,
    transport: Annotated[str, typer.Option(help="of an emulated device: tcp, tls or rtu")] = "tcp",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="nothing is written to a device of a bench")
    ] = False,
    key: Annotated[
        list[Path] | None, typer.Option(help="private key that signs the certificate; several")
    ] = None,
) -> None:
    """Run a suite on a device, keep its evidence, sign; status 1 when anything fails."""
    found: list[Problem] = []
    if suite not in SUITES:
        allowed = ", ".join(SUITES) + did_you_mean(suite, SUITES)
        found.append(Problem("--suite", "suite", suite, allowed))
    folder = Path("out/certify") / f"{_plain(device)}-{suite}" if out is None else out
    attempt(found, lambda: check_folder(folder, resume))
    signers = attempt(found, lambda: load_signers(key or []))
    bench = bench_of(device)
    file = None if bench is None else attempt(found, lambda: load_bench(bench[0]))
    subject = attempt(
        found,
        lambda: named(
            device, folder / JOURNAL_FILE, seed=seed, transport=transport, dry_run=dry_run
        ),
    )
    if found or subject is None or signers is None:
        raise InputProblems(found)
    if file is not None:
        ERR.print(banner(file), highlight=False)
    try:
        with subject as one:
            record = run_suite(SUITES[suite], one, folder, seed=seed, resume=resume, report=_told)
    except KeyboardInterrupt:
        raise RunBroken(
            f"stopped; finished steps stand in {folder}: --resume goes on with them"
        ) from None
    record = seal(record, folder)
    certificate = issue(folder, signers)
    _show(record, folder)
    by = ", ".join(s.public_key.keyid[:12] for s in signers)
    signed = f"signed by {by}" if signers else "not signed: hil sign"
    OUT.print(f"{certificate} ({signed}), page and JUnit file beside it", soft_wrap=True,
              highlight=False)  # fmt: skip
    unsafe = any(safe_state_of(p) is Outcome.FAIL for p in record.procedures)
    if record.outcome is Outcome.FAIL or unsafe:
        raise typer.Exit(1)


def _plain(device: str) -> str:
    return "".join(ch if ch.isalnum() or ch in "-_." else "-" for ch in device)


def _told(procedure: str, step: str, outcome: Outcome | None) -> None:
    if outcome is None:
        ERR.print(f"{procedure} / {step} ...", highlight=False)


def _show(record: CertificationRecord, folder: Path) -> None:
    OUT.print(f"{record.title} / {record.title_zh}", highlight=False)
    OUT.print(f"{record.subject.name}, map {record.subject.map}, {record.subject.time}",
              highlight=False)  # fmt: skip
    table = Table(box=SIMPLE, pad_edge=False)
    for title in ("procedure", "measurement", "value", "limit", "outcome"):
        table.add_column(title, no_wrap=title in ("procedure", "measurement"))
    told = []
    for procedure in record.procedures:
        for one in procedure.measurements:
            d = one.declared
            table.add_row(
                procedure.id, d.id, escape(_value(one)), escape(_limit(one)), MARK[one.outcome]
            )
            if one.note and one.outcome not in (Outcome.PASS, Outcome.FIGURE):
                told.append(f"{d.id} ({escape(d.name)}): {MARK[one.outcome]}: {escape(one.note)}")
    OUT.print(table)
    for line in told:
        OUT.print(line, highlight=False, soft_wrap=True)
    unsafe = [p for p in record.procedures if safe_state_of(p) is Outcome.FAIL]
    for procedure in unsafe:
        OUT.print(f"[red]safe state after {procedure.id}[/red]: {escape(procedure.safe_state)}")
    counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in record.counts.items() if n)
    OUT.print(f"{MARK[record.outcome]}: {counts}; evidence in {folder}", highlight=False)


def _value(one: Taken) -> str:
    if one.value is None:
        return ""
    if isinstance(one.value, str):
        return one.value
    plus = f" ± {one.uncertainty:.2g}" if one.uncertainty else ""
    return f"{one.value:.4g}{plus} {one.declared.unit}".strip()


def _limit(one: Taken) -> str:
    limit, d = one.declared.limit, one.declared
    if limit is None:
        return ""
    if isinstance(limit, tuple):
        return f"{limit[0]:g} to {limit[1]:g} {d.unit}".strip()
    shown = limit if isinstance(limit, str) else f"{limit:g}"
    return f"{d.comparison} {shown} {d.unit}".strip()
