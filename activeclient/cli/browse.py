"""`activeclient browse`: look at a queue without taking anything.

Law of this file: nothing is acknowledged.
"""

from __future__ import annotations

import itertools
from typing import Annotated

import typer

from activeclient.cli.existing import require
from activeclient.cli.exits import Exit
from activeclient.cli.messages import show
from activeclient.cli.options import (
    DestinationArgument,
    JsonOption,
    PasswordFileOption,
    SelectorOption,
    UrlOption,
    UserOption,
    queue,
    target,
)
from activeclient.cli.output import Output
from activeclient.cli.running import command
from activeclient.jms.connection_factory import connect


@command
def browse(
    source: DestinationArgument,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="At most so many.", show_default="all")
    ] = None,
    selector: SelectorOption = None,
    headers: Annotated[bool, typer.Option("--headers", "-H", help="Print headers and properties too.")] = False,
    as_json: JsonOption = False,
) -> Exit:
    """Print the messages of a queue, and leave them there.

    Ends with exit code 1 when the queue does not exist.
    """
    output = Output(as_json)
    where = queue(source)
    named = target(url, user, password_file)
    with (
        connect(named.url, **named.settings) as connection,
        connection.create_session() as session,
    ):
        require(session, where)
        with session.create_browser(where, selector) as browser:
            for message in itertools.islice(browser, count):
                show(output, message, headers=headers, raw=False)
    return Exit.OK
