"""`activeclient queue`: what an operator does to queues.

Law of this file: what destroys messages asks first, or takes --yes; without a terminal to ask on, it is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from activeclient.cli.exits import Exit
from activeclient.cli.options import (
    JsonOption,
    PasswordFileOption,
    SelectorOption,
    UrlOption,
    UserOption,
    stdin_is_terminal,
    target,
)
from activeclient.cli.output import Output
from activeclient.cli.running import Failed, command
from activeclient.cli.stat import show_queues
from activeclient.client.locator import ServerLocator
from activeclient.client.management import Management, QueueStatus
from activeclient.errors import ConfigError
from activeclient.jms.selector import core_filter

NameArgument = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's name.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

queue: typer.Typer = typer.Typer(
    name="queue", help="List, create, delete, purge, move, retry, pause and resume queues."
)


@contextlib.contextmanager
def managing(url: str | None, user: str | None, password_file: Path | None) -> Iterator[Management]:
    """The management of the broker that the options name."""
    named = target(url, user, password_file)
    with (
        ServerLocator.reliable(named.url, **named.settings) as locator,
        locator.create_session_factory() as connection,
        Management(connection) as management,
    ):
        yield management


def confirm(question: str, yes: bool) -> None:
    """Ask whether to do what cannot be undone.

    Raises:
        ConfigError: Nobody can be asked.
        Failed: The answer is no.
    """
    if yes:
        return
    if not stdin_is_terminal():
        raise ConfigError("--yes", None, "is needed where nobody can be asked")
    if not typer.confirm(question, err=True):
        raise Failed("nothing was done", Exit.NO)


def _count_of(management: Management, name: str) -> int:
    found: QueueStatus | None = next((each for each in management.queues(name) if each.name == name), None)
    if found is None:
        raise Failed(f"there is no queue {name}", Exit.NO)
    return found.messages


def _done(output: Output, text: str, **values: object) -> Exit:
    if output.as_json:
        output.record(values)
    else:
        output.line(text)
    return Exit.OK


@queue.command("list")
@command
def list_(
    containing: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Only queues whose name contains this.", show_default="all")
    ] = "",
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Show queues, as `activeclient stat`."""
    with managing(url, user, password_file) as management:
        queues = [each for each in management.queues(containing) if not each.internal]
        found = sorted(queues, key=lambda each: each.name)
    show_queues(Output(as_json), found)
    return Exit.NO if containing and not found else Exit.OK


@queue.command()
@command
def create(
    name: NameArgument,
    address: Annotated[
        str | None, typer.Option("--address", help="The address that it is bound to.", show_default="its name")
    ] = None,
    topic: Annotated[bool, typer.Option("--topic", help="Of a topic (MULTICAST): a copy of each message.")] = False,
    selector: SelectorOption = None,
    durable: Annotated[bool, typer.Option("--durable/--not-durable", help="It outlives the broker's restart.")] = True,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Create a queue, and its address if there is none."""
    wanted = core_filter(selector)
    with managing(url, user, password_file) as management:
        management.create(
            name, address, routing_type="MULTICAST" if topic else "ANYCAST", durable=durable, filter=wanted
        )
    return _done(Output(as_json), f"{name} was created", created=name)


@queue.command()
@command
def delete(
    name: NameArgument,
    with_consumers: Annotated[bool, typer.Option("--with-consumers", help="End its consumers.")] = False,
    yes: YesOption = False,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Delete a queue with its messages."""
    with managing(url, user, password_file) as management:
        confirm(f"Delete the queue {name} with {_count_of(management, name)} messages?", yes)
        management.delete(name, with_consumers=with_consumers)
    return _done(Output(as_json), f"{name} was deleted", deleted=name)


@queue.command()
@command
def purge(
    name: NameArgument,
    selector: SelectorOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Remove the messages of a queue that no consumer has."""
    wanted = core_filter(selector)
    with managing(url, user, password_file) as management:
        which = f"the messages that match {selector!r}" if wanted else f"all {_count_of(management, name)} messages"
        confirm(f"Remove {which} of the queue {name}?", yes)
        count = management.purge(name, wanted)
    return _done(Output(as_json), f"{count} messages of {name} were removed", removed=count)


@queue.command()
@command
def move(
    name: NameArgument,
    to: Annotated[str, typer.Argument(metavar="TARGET", help="The queue that gets them; it must exist.")],
    selector: SelectorOption = None,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Move messages to another queue."""
    wanted = core_filter(selector)
    with managing(url, user, password_file) as management:
        count = management.move(name, to, wanted)
    return _done(Output(as_json), f"{count} messages were moved from {name} to {to}", moved=count)


@queue.command()
@command
def retry(
    name: NameArgument,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Send dead letters back to the queues that they came from."""
    with managing(url, user, password_file) as management:
        count = management.retry(name)
    return _done(Output(as_json), f"{count} messages of {name} were sent back", retried=count)


@queue.command()
@command
def pause(
    name: NameArgument,
    persist: Annotated[bool, typer.Option("--persist", help="Also after a restart of Artemis.")] = False,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Let a queue deliver nothing; it still takes messages."""
    with managing(url, user, password_file) as management:
        management.pause(name, persist=persist)
    return _done(Output(as_json), f"{name} is paused", paused=name)


@queue.command()
@command
def resume(
    name: NameArgument,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Let a paused queue deliver again."""
    with managing(url, user, password_file) as management:
        management.resume(name)
    return _done(Output(as_json), f"{name} delivers", resumed=name)
