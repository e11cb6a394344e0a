"""``hil verify-certificate`` and ``hil sign``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from hil.certify.issue import countersign
from hil.certify.keys import load_publics, load_signer
from hil.certify.verify import Verification, verify
from twin.cli import OUT
from twin.errors import InputProblems, Problem
from twin.scenario.inputs import attempt

__all__ = ["sign", "verify_certificate"]

Certificate = Annotated[Path, typer.Argument(help="certificate.json of `hil certify`")]


def verify_certificate(
    file: Certificate,
    key: Annotated[list[Path], typer.Option(help="public key that has to have signed; several")],
    threshold: Annotated[
        int | None, typer.Option(help="so many of the keys are enough, other signatures may be")
    ] = None,
    evidence: Annotated[
        Path | None, typer.Option(help="folder of the evidence; default: the certificate's own")
    ] = None,
    signatures_only: Annotated[
        bool, typer.Option("--signatures-only", help="do not look at the evidence")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="say what was found as JSON")] = False,
) -> None:
    """Check a certificate's signatures and every file of its evidence; status 1 if one is off."""
    found: list[Problem] = []
    keys = attempt(found, lambda: load_publics(key))
    if signatures_only and evidence is not None:
        place, allowed = "with --signatures-only", "one of them"
        found.append(Problem("--evidence", place, str(evidence), allowed))
    here = file.parent if file.is_file() else None  # else the missing certificate is told, once
    folder = None if signatures_only else here if evidence is None else evidence
    result = None
    if keys is not None:
        result = attempt(found, lambda: verify(file, keys, threshold=threshold, evidence=folder))
    if found or result is None:
        raise InputProblems(found)
    if as_json:
        sys.stdout.write(json.dumps(_as_data(result), ensure_ascii=False) + "\n")
    else:
        _say(result)
    if not result.good:
        raise typer.Exit(1)


def sign(
    file: Certificate,
    key: Annotated[Path, typer.Option(help="private key: a .key file of `hil keys new`")],
) -> None:
    """Sign a certificate that lies beside its evidence, after a look at that evidence."""
    keyid = countersign(file, load_signer(key))
    OUT.print(f"{file}: signed by {keyid}", soft_wrap=True, highlight=False)


def _as_data(result: Verification) -> dict[str, object]:
    """Return what was found as JSON can say it."""
    said: dict[str, object] = {
        "good": result.good,
        "flaws": [{"place": f.place, "wrong": f.wrong} for f in result.flaws],
        "signed_by": list(result.signed_by),
        "others": list(result.others),
        "evidence_checked": result.evidence_checked,
        "files": result.files,
    }
    if result.statement is not None:
        certified = result.statement.predicate.suitwin
        said |= {
            "title": certified.title, "outcome": certified.outcome,
            "result": result.statement.predicate.result, "unsafe": list(certified.unsafe),
        }  # fmt: skip
    return said


def _say(result: Verification) -> None:
    """Say what was found; what is certified is said only where nothing is wrong."""

    def line(text: str) -> None:
        OUT.print(text, soft_wrap=True, highlight=False)

    for flaw in result.flaws:
        line(f"[red]wrong[/red] {escape(str(flaw))}")
        if flaw.place == "evidence":
            line("      --evidence FOLDER says where it is, --signatures-only leaves it out")
    for keyid in result.signed_by:
        line(f"signed by {keyid}")
    for keyid in result.others:
        line(f"[yellow]note[/yellow] also signed by {keyid}, which was not checked")
    if result.evidence_checked:
        line(f"evidence: {result.files} files as certified")
    else:
        line("[yellow]note[/yellow] the evidence was not looked at")
    if not result.good:
        count = len(result.flaws)
        line(f"[red]NOT VERIFIED[/red] {count} thing{'s' if count != 1 else ''} wrong")
    elif result.statement is not None:
        said = result.statement.predicate
        certified = said.suitwin
        line(f"device: {escape(_named(result.statement.device()))}")
        line(f"tested: {certified.started} to {certified.ended}, {escape(certified.time)}")
        for name in certified.unsafe:
            line(f"[red]not seen at its safe state[/red] after {escape(name)}")
        outcome = f"{certified.outcome} ({said.result})"
        line(f"[green]verified[/green] {escape(certified.title)}: {outcome}")


def _named(device: dict[str, object]) -> str:
    """Return name, place and identity of a certified device."""
    identity = device.get("identity")
    said = identity if isinstance(identity, dict) else {}
    parts = [str(device.get("name", "")), str(device.get("place", ""))]
    parts += [f"{name} {text}" for name, text in said.items()]
    return ", ".join(p for p in parts if p)
