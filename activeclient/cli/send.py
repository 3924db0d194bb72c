"""`activeclient send`: messages from the command line, a file or a pipe to a queue or a topic.

Law of this file: what is reported as sent was confirmed by the broker; the command ends only when each message has had
its answer.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from activeclient.cli.exits import Exit
from activeclient.cli.options import (
    DestinationArgument,
    JsonOption,
    PasswordFileOption,
    UrlOption,
    UserOption,
    destination,
    pairs,
    stdin_is_terminal,
    target,
)
from activeclient.cli.output import Output
from activeclient.cli.running import command
from activeclient.errors import ActiveClientError, ConfigError
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.connection_factory import connect
from activeclient.jms.message import Message
from activeclient.jms.modes import DeliveryMode
from activeclient.jms.text_message import TextMessage
from activeclient.jms.times import Duration

AHEAD = 1000
"""Messages that may wait for the broker's answer."""
LONGEST_LINE = 64 * 1024 * 1024
"""Bytes of a line of input, which is one message."""


class Answers:
    """What the broker answered; told by the client's own thread, awaited by the command."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.sent: int = 0
        self.confirmed: int = 0
        self.first: str | None = None
        self.last: str | None = None
        self.error: ActiveClientError | None = None

    def begin(self) -> None:
        """One more is about to be sent; waits while too many are unanswered, raises what went wrong before."""
        with self._changed:
            while self.sent - self.confirmed >= AHEAD and self.error is None:
                self._changed.wait()
            if self.error is not None:
                raise self.error.again()
            self.sent += 1

    def told(self, message: Message, error: ActiveClientError | None) -> None:
        """A send ended."""
        with self._changed:
            if error is None:
                self.confirmed += 1
                self.first = self.first or message.jms_message_id
                self.last = message.jms_message_id
            elif self.error is None:
                self.error = error
            self._changed.notify()

    def wait(self) -> None:
        """Wait until each was answered; raises the first failure."""
        with self._changed:
            while self.confirmed < self.sent and self.error is None:
                self._changed.wait()
            if self.error is not None:
                raise self.error.again()


@command
def send(
    to: DestinationArgument,
    body: Annotated[
        str | None, typer.Argument(metavar="[BODY]", help="The message's text. Without it, what comes on stdin.")
    ] = None,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Send what is in this file.")] = None,
    lines: Annotated[bool, typer.Option("--lines", "-l", help="Each line of the input is a message.")] = False,
    as_bytes: Annotated[bool, typer.Option("--bytes", "-b", help="Send bytes messages instead of text.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Send each message so many times.")] = 1,
    properties: Annotated[
        list[str] | None, typer.Option("--property", "-p", metavar="NAME=VALUE", help="A property; may be repeated.")
    ] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="0 to 9.")] = 4,
    time_to_live: Annotated[float, typer.Option("--ttl", min=0, help="Seconds until it expires; 0 never.")] = 0,
    delay: Annotated[float, typer.Option(min=0, help="Seconds before which it is not delivered.")] = 0,
    non_persistent: Annotated[
        bool, typer.Option("--non-persistent", help="Need not survive the broker's restart.")
    ] = False,
    correlation_id: Annotated[str | None, typer.Option(help="JMSCorrelationID.")] = None,
    reply_to: Annotated[str | None, typer.Option(metavar="DESTINATION", help="JMSReplyTo.")] = None,
    jms_type: Annotated[str | None, typer.Option("--type", help="JMSType.")] = None,
    as_json: JsonOption = False,
) -> Exit:
    """Send messages to a queue or a topic.

    Returns when the broker has confirmed all of them: through cuts too.
    """
    output = Output(as_json)
    where = destination(to)
    answer_to = None if reply_to is None else destination(reply_to)
    named = target(url, user, password_file)
    values = pairs("--property", properties)
    if body is not None and (file is not None or lines):
        raise ConfigError("BODY", None, "give either a text, or --file, or --lines")
    answers = Answers()
    live: Duration = time_to_live
    with ExitStack() as stack:
        source = _bodies(stack, body, file, lines=lines, as_bytes=as_bytes, output=output)
        connection = stack.enter_context(connect(named.url, **named.settings))
        session = stack.enter_context(connection.create_session())
        with session.create_producer(where) as producer:
            for content, _ in itertools.product(source, range(count)):
                message = BytesMessage(content) if isinstance(content, bytes) else TextMessage(content)
                answers.begin()
                producer.send(
                    message,
                    delivery_mode=DeliveryMode.NON_PERSISTENT if non_persistent else DeliveryMode.PERSISTENT,
                    priority=priority,
                    time_to_live=live,
                    delivery_delay=delay,
                    properties=values,
                    correlation_id=correlation_id,
                    reply_to=answer_to,
                    type=jms_type,
                    on_complete=answers.told,
                )
            answers.wait()
    if as_json:
        output.record(
            {
                "destination": str(where),
                "sent": answers.confirmed,
                "first_id": answers.first,
                "last_id": answers.last,
            }
        )
    elif answers.confirmed == 1:
        output.line(f"sent {answers.last} to {where}")
    else:
        output.line(f"sent {answers.confirmed} messages to {where}")
    return Exit.OK


def _bodies(
    stack: ExitStack, body: str | None, file: Path | None, *, lines: bool, as_bytes: bool, output: Output
) -> Iterator[str | bytes]:
    """The bodies to send, read as they are needed; what is read first is read before anything is connected."""
    if body is not None:
        return iter([body.encode("utf-8", "surrogateescape") if as_bytes else body])
    name = "stdin" if file is None else str(file)
    if file is None:
        if stdin_is_terminal():
            output.note("reading the message from the terminal; end it with Ctrl-D")
        source = sys.stdin.buffer
    else:
        try:
            source = stack.enter_context(file.open("rb"))
        except OSError as error:
            raise ConfigError("--file", str(file), f"cannot be read: {error.strerror}") from None
    if lines:
        pieces = (line.removesuffix(b"\n").removesuffix(b"\r") for line in iter(lambda: _line(source, name), b""))
        return (piece if as_bytes else _text(piece, name) for piece in pieces)
    whole = source.read()
    return iter([whole if as_bytes else _text(whole, name)])


def _line(source: object, name: str) -> bytes:
    line: bytes = source.readline(LONGEST_LINE)  # type: ignore[attr-defined]
    if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
        raise ConfigError("--lines", None, f"{name} has a line of more than {LONGEST_LINE} bytes")
    return line


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            "BODY", None, f"{name} is not UTF-8 at byte {error.start}; --bytes sends it as it is"
        ) from None
