"""``hil keys new``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hil.certify.keys import new_pair
from twin.cli import OUT

__all__ = ["app"]

app = typer.Typer(help="Keys that sign certificates.", no_args_is_help=True)


@app.callback()
def keys() -> None:
    """Make the keys that sign certificates."""


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="of the two files: NAME.key and NAME.pub")],
    folder: Annotated[Path, typer.Option("--dir", help="folder to write them to")] = Path(),
) -> None:
    """Make an Ed25519 key pair; the private key's file is for its owner only."""
    made = new_pair(name, folder)
    OUT.print(f"private key {made.private}: keep it to yourself", soft_wrap=True, highlight=False)
    OUT.print(f"public key {made.public}: hand it out", soft_wrap=True, highlight=False)
    OUT.print(f"key id {made.keyid}", soft_wrap=True, highlight=False)
