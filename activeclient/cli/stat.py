"""`activeclient stat`: the broker's queues and what is in them, asked by management messages.

Law of this file: it only reads.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from activeclient.cli.exits import Exit
from activeclient.cli.options import JsonOption, PasswordFileOption, UrlOption, UserOption, target
from activeclient.cli.output import Output
from activeclient.cli.running import command
from activeclient.client.locator import ServerLocator
from activeclient.client.management import Management, QueueStatus

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("messages", "delivering", "scheduled", "consumers", "added", "acknowledged", "expired", "killed")
RARE = ("scheduled", "expired", "killed")
"""Columns that a terminal shows only when there is something in them."""
LESS_NEEDED = ("killed", "expired", "scheduled", "acknowledged", "added", "kind", "delivering", "consumers")
"""Columns that a narrow terminal does without, the first of them first: names are never cut for them."""
NAME_WIDTH = 30
"""Characters of a line that names get at least; longer ones go on in the next line."""
GAP = 2
"""Blanks between two columns."""


@command
def stat(
    containing: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Only queues whose name contains this.", show_default="all")
    ] = "",
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    internal: Annotated[bool, typer.Option("--internal", help="The broker's own queues too.")] = False,
    watch: Annotated[
        float | None,
        typer.Option("--watch", "-w", min=0.1, metavar="SECONDS", help="Again every so many seconds, until Ctrl-C."),
    ] = None,
    as_json: JsonOption = False,
) -> Exit:
    """Show the queues of a broker: messages, consumers, totals.

    Ends with exit code 1 when a name was given and no queue has it.
    """
    output = Output(as_json)
    named = target(url, user, password_file)
    with (
        ServerLocator.reliable(named.url, **named.settings) as locator,
        locator.create_session_factory() as connection,
        Management(connection) as management,
    ):

        def look() -> list[QueueStatus]:
            queues = (queue for queue in management.queues(containing) if internal or not queue.internal)
            return sorted(queues, key=lambda queue: queue.name)

        if watch is not None:
            _watch(output, look, watch)
        found = look()
        show_queues(output, found)
    return Exit.NO if containing and not found else Exit.OK


def _watch(output: Output, look: object, seconds: float) -> None:
    """Until something ends it from outside."""
    assert callable(look)
    if not output.on_terminal:
        while True:
            show_queues(output, look())
            time.sleep(seconds)
    from rich.live import Live

    console = output.console()
    with Live(table(look(), console.width), console=console, screen=False, auto_refresh=False) as live:
        while True:
            time.sleep(seconds)
            live.update(table(look(), console.width), refresh=True)


def show_queues(output: Output, queues: Sequence[QueueStatus]) -> None:
    """Print queues: JSON, a table for a terminal, or lines for a pipe."""
    if output.as_json:
        output.record({"queues": [dataclasses.asdict(queue) for queue in queues]})
    elif output.on_terminal:
        console = output.console()
        console.print(table(queues, console.width))
    else:
        for line in columns(queues):
            output.line(line)


def table(queues: Sequence[QueueStatus], width: int) -> Table:
    """For a terminal of `width` characters a line."""
    from rich.table import Table
    from rich.text import Text

    shown = fitting(queues, width)
    made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    made.add_column("queue", overflow="fold")
    for column in shown:
        made.add_column(column, justify="left" if column == "kind" else "right", no_wrap=True)
    for queue in queues:
        # Text: names are no markup.
        made.add_row(Text(full_name(queue)), *(_cell(queue, column) for column in shown))
    return made


def fitting(queues: Sequence[QueueStatus], width: int) -> list[str]:
    """The columns beside the names that have room in `width` characters."""
    shown = ["kind", *COLUMNS]
    shown = [column for column in shown if column not in RARE or any(getattr(queue, column) for queue in queues)]
    names = min(max((len(full_name(queue)) for queue in queues), default=0), NAME_WIDTH)

    def needed(column: str) -> int:
        return GAP + max(len(column), *(len(_cell(queue, column)) for queue in queues)) if queues else 0

    for column in LESS_NEEDED:
        if names + sum(map(needed, shown)) <= width:
            break
        if column in shown:
            shown.remove(column)
    return shown


def _cell(queue: QueueStatus, column: str) -> str:
    return kind(queue) if column == "kind" else str(getattr(queue, column))


def columns(queues: Sequence[QueueStatus]) -> list[str]:
    """For pipes: one line a queue, in columns whose values hold no blanks."""
    rows = [["queue", "kind", *COLUMNS]]
    for queue in queues:
        rows.append([full_name(queue), kind(queue), *(str(getattr(queue, column)) for column in COLUMNS)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def full_name(queue: QueueStatus) -> str:
    """`address::queue`, or the one name of both."""
    return queue.name if queue.address == queue.name else f"{queue.address}::{queue.name}"


def kind(queue: QueueStatus) -> str:
    """Queue or topic, and what is special, in one word."""
    special = [word for word in ("temporary", "paused") if getattr(queue, word)]
    if not queue.durable and not queue.temporary:
        special.append("non-durable")
    return ",".join([queue.routing_type.lower(), *special])
