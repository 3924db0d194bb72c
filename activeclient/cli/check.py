"""`activeclient check`: is the broker, or a queue, as it should be? For probes and monitoring.

Law of this file: it changes nothing on the broker, and ends within its limit; the answer is the exit code.
"""

from __future__ import annotations

from typing import Annotated

import typer

from activeclient.cli.exits import Exit
from activeclient.cli.options import JsonOption, PasswordFileOption, UrlOption, UserOption, target
from activeclient.cli.output import Output
from activeclient.cli.running import command
from activeclient.client.locator import ServerLocator


@command
def check(
    queue: Annotated[
        str | None, typer.Argument(metavar="[QUEUE]", help="A queue that must exist.", show_default="none")
    ] = None,
    max_messages: Annotated[
        int | None, typer.Option("--max-messages", min=0, help="The queue must not have more messages.")
    ] = None,
    min_consumers: Annotated[
        int | None, typer.Option("--min-consumers", min=0, help="The queue must have as many consumers.")
    ] = None,
    timeout: Annotated[float, typer.Option("--timeout", "-t", min=0.1, help="Seconds for each answer.")] = 5.0,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Check that the broker takes a login and answers, and that a queue is as it should be.

    Exit code 0: all is well; 1: the queue is not; 3: the broker cannot be reached; 4: it refuses the user.
    """
    output = Output(as_json)
    if queue is None and (max_messages is not None or min_consumers is not None):
        from activeclient.errors import ConfigError

        raise ConfigError("QUEUE", None, "name the queue that is to be checked")
    named = target(url, user, password_file)
    limit = round(timeout * 1000)
    limits = {"call_timeout": limit, "call_failover_timeout": limit, "connect_timeout": limit}
    settings = {**named.settings, **limits, "reconnect_attempts": 0}
    wrong: list[str] = []
    told: dict[str, object] = {}
    with (
        ServerLocator.reliable(named.url, **settings) as locator,
        locator.create_session_factory() as connection,
        connection.create_session() as session,
    ):
        found = session.query_queue(queue or "")
        if queue is not None:
            told = {"queue": queue, "exists": found.exists, "messages": found.message_count}
            told["consumers"] = found.consumer_count
            if not found.exists:
                wrong.append(f"there is no queue {queue}")
            elif max_messages is not None and found.message_count > max_messages:
                wrong.append(f"{queue} has {found.message_count} messages, more than {max_messages}")
            if found.exists and min_consumers is not None and found.consumer_count < min_consumers:
                wrong.append(f"{queue} has {found.consumer_count} consumers, fewer than {min_consumers}")
    if as_json:
        output.record({"ok": not wrong, "wrong": wrong, **told})
    else:
        output.line("; ".join(wrong) or "ok")
    return Exit.NO if wrong else Exit.OK
