"""The program `activeclient`: its commands, and what its help says.

Law of this file: a command is a line here and a file beside it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from activeclient.cli.broker import broker
from activeclient.cli.browse import browse
from activeclient.cli.check import check
from activeclient.cli.demo import demo
from activeclient.cli.doctor import doctor
from activeclient.cli.exits import MEANING
from activeclient.cli.explain import explain
from activeclient.cli.perf import perf
from activeclient.cli.queue import queue
from activeclient.cli.receive import receive
from activeclient.cli.run import run
from activeclient.cli.send import send
from activeclient.cli.stat import stat
from activeclient.version import __version__

EPILOG = "Exit codes: " + " · ".join(f"{int(code)} {meaning}" for code, meaning in MEANING.items()) + "."

app: typer.Typer = typer.Typer(
    name="activeclient",
    help="A messaging client for Apache ActiveMQ Artemis whose users do not notice that connections break.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,  # they would show the values of local variables: passwords among them
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"activeclient {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


for _body in (demo, broker, run, send, receive, browse, stat, check, perf, doctor, explain):
    app.command(epilog="Exit codes: activeclient --help")(_body)
app.add_typer(queue, name="queue", epilog="Exit codes: activeclient --help", no_args_is_help=True)
