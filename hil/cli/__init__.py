"""The command line: ``hil serve | run | replay | poll | preflight | map``.

Exit status: 0 done, 1 a verdict is false or the lateness limit is passed (with ``--strict``),
2 bad input, 3 broken off.
"""

from __future__ import annotations

import typer

from hil.cli import maps, runs, serving
from twin.cli import guarded

__all__ = ["app", "main"]

app = typer.Typer(
    help="The hardware-in-the-loop testbed: the twin's devices on Modbus, on wall time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serving.serve)
app.command()(runs.run)
app.command()(runs.replay)
app.command()(serving.poll)
app.command()(serving.preflight)
app.add_typer(maps.app, name="map")


def main() -> None:
    """Run the command line of the testbed."""
    guarded(app)
