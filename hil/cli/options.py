"""Options that several commands share, and their checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from hil.testbed.setup import Options
from twin.errors import InputProblems, Problem

__all__ = [
    "Address", "Assignments", "Kinds", "Lanes", "Limit", "Rate", "ScenarioName", "options_of",
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
    if found:
        raise InputProblems(found)
    given = None if not kinds else [k for text in kinds for k in text.split(",") if k]
    return Options(rate, address, given, limit, lanes)
