"""``hil map list | show | check | import | export``."""

from __future__ import annotations

import typer

app = typer.Typer(help="Register maps: check, import and export.", no_args_is_help=True)


@app.command("list")
def list_maps() -> None:
    """List the maps that ship."""
