"""The command line of the testbed: ``hil --help`` lists its commands.

Exit status: 0 done, 1 a verdict is false or the lateness limit is passed (with ``--strict``), a
measurement failed or a certificate does not hold, 2 bad input, 3 broken off.
"""

from __future__ import annotations

import typer

from hil.cli.bench import app as bench
from hil.cli.certificate import sign, verify_certificate
from hil.cli.certify import certify
from hil.cli.fit import fit, record
from hil.cli.keys import app as keys
from hil.cli.maps import app as maps
from hil.cli.runs import replay, run
from hil.cli.serving import poll, preflight, serve
from twin.cli import guarded

__all__ = ["app", "main"]

app = typer.Typer(
    help="The hardware-in-the-loop testbed: the twin's devices on Modbus, on wall time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (serve, run, replay, poll, preflight):
    app.command()(command)
app.command()(certify)
app.command()(record)
app.command()(fit)
app.command()(sign)
app.command("verify-certificate")(verify_certificate)
app.add_typer(maps, name="map")
app.add_typer(bench, name="bench")
app.add_typer(keys, name="keys")


def main() -> None:
    """Run the command line of the testbed."""
    guarded(app)
