"""Options that several commands share, and their checks."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hil.testbed.setup import Options, wired
from twin.errors import InputProblems, Problem
from twin.run import prepare
from twin.scenario.files import find_scenario
from twin.scenario.inputs import attempt

__all__ = [
    "Address", "Assignments", "Kinds", "Lanes", "Limit", "Rate", "ScenarioName", "all_wrong",
    "language_problems", "line_problems", "options_of", "to_write",
]  # fmt: skip

ScenarioName = Annotated[str, typer.Argument(help="path, folder or name of a shipped scenario")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", help="key.subkey=VALUE, VALUE as in TOML")
]
Rate = Annotated[float, typer.Option(help="simulated seconds in a second of wall time")]
Address = Annotated[
    str | None,
    typer.Option(help="ip: an own loopback address each; port: an own port; unit: gateways"),
]
Kinds = Annotated[list[str] | None, typer.Option(help="device kinds to serve; default: all")]
Limit = Annotated[int | None, typer.Option(help="devices of a kind that are served at most")]
Lanes = Annotated[int, typer.Option(help="serving threads")]

MODES = ("ip", "port", "unit")


def options_of(
    rate: float,
    address: str | None = None,
    kinds: Sequence[str] | None = None,
    limit: int | None = None,
    lanes: int = 1,
) -> Options:
    """Return the options; raises InputProblems with every one that is out of range."""
    found = []
    if not 0.01 <= rate <= 1000.0:
        found.append(Problem("--rate", "rate", f"{rate:g}", "0.01 to 1000"))
    if address is not None and address not in MODES:
        found.append(Problem("--address", "mode", repr(address), ", ".join(MODES)))
    if limit is not None and limit < 1:
        found.append(Problem("--limit", "devices", f"{limit}", "1 or more"))
    if not 1 <= lanes <= 16:
        found.append(Problem("--lanes", "threads", f"{lanes}", "1 to 16"))
    given = None
    if kinds:
        given = [name for text in kinds for k in text.split(",") if (name := k.strip())]
        if not given:
            found.append(Problem("--kinds", "names", repr(",".join(kinds)), "one kind at least"))
    if found:
        raise InputProblems(found)
    return Options(rate, address, given, limit, lanes)


def language_problems(lang: str) -> list[Problem]:
    """Return what is wrong with a language of the page."""
    return [] if lang in ("en", "zh") else [Problem("--lang", "language", repr(lang), "en or zh")]


def to_write(option: str, path: Path | None, what: str) -> list[Problem]:
    """Return why `path` cannot be written; nothing is made.

    Parameters
    ----------
    option : by which it was given, None: it was not
    what : ``file`` or ``folder``, what it is going to be
    """
    if path is None:
        return []
    if path.exists() and path.is_dir() != (what == "folder"):
        there = "is a folder" if path.is_dir() else "is a file"
        return [Problem(option, str(path), there, f"a {what} to write")]
    home = path if path.is_dir() else next(p for p in path.absolute().parents if p.exists())
    if not home.is_dir():
        return [Problem(option, str(path), f"{home} is a file", f"a {what} to write")]
    if not os.access(home, os.W_OK | os.X_OK):
        return [Problem(option, str(path), f"{home} cannot be written to", f"a {what} to write")]
    return []


def all_wrong(
    found: list[Problem],
    scenario: str,
    extra: Sequence[str],
    options: Options | None,
    out: Path | None = None,
) -> InputProblems:
    """Return everything wrong with a call, where `found` has something already.

    Parameters
    ----------
    scenario, extra : looked over as well, as far as each can be
    options : None where they are wrong themselves
    out : run directory to be checked, None: none
    """
    path = attempt(found, lambda: find_scenario(scenario))
    prepared = None if path is None else attempt(found, lambda: prepare(path, extra, out))
    if path is not None and prepared is not None and options is not None:
        attempt(found, lambda: wired(prepared, options, path))
    return InputProblems(found)


def line_problems(path: Path | None) -> list[Problem]:
    """Return why `path` is no serial line; it is not opened, which could hang up the other end."""
    if path is None:
        return []
    allowed = "a serial line such as /dev/ttyUSB0, or a pseudo-terminal"
    if not path.exists():
        return [Problem("--serial", str(path), "does not exist", allowed)]
    if not stat.S_ISCHR(path.stat().st_mode):
        return [Problem("--serial", str(path), "is no serial line", allowed)]
    return []
