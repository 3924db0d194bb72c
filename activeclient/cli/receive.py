"""`activeclient receive`: messages from a queue or a topic to stdout.

Law of this file: a message is acknowledged only after it was written and flushed; what was not goes back to the queue.
"""

from __future__ import annotations

from typing import Annotated

import typer
from cachetools import LRUCache

from activeclient.cli.existing import CreateOption, require
from activeclient.cli.exits import Exit
from activeclient.cli.messages import show
from activeclient.cli.options import (
    DestinationArgument,
    JsonOption,
    PasswordFileOption,
    SelectorOption,
    UrlOption,
    UserOption,
    destination,
    target,
)
from activeclient.cli.output import Output, seconds_of
from activeclient.cli.running import command
from activeclient.errors import ConfigError, TransactionOutcomeUnknownError, TransactionRolledBackError
from activeclient.jms.connection_factory import connect
from activeclient.jms.consumer import MessageConsumer
from activeclient.jms.message import Message
from activeclient.jms.modes import AcknowledgeMode

FEW = 100
"""Up to so many messages nothing is fetched ahead: other consumers keep what this one does not print."""
BATCH = 100
"""Messages that are acknowledged together, when many are received."""
REMEMBERED = 10_000
"""Printed messages, of those whose acknowledgement was lost, that are recognised when they come again."""
AGAIN = 5.0
"""Seconds to wait, at the end, for what a lost session gives back."""
MORE_SOON = 0.01
"""Seconds without a message after which those that were written are acknowledged."""


@command
def receive(
    source: DestinationArgument,
    url: UrlOption = None,
    user: UserOption = None,
    password_file: PasswordFileOption = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="So many messages.")] = 1,
    drain: Annotated[
        bool, typer.Option("--all", "-a", help="All that is there, until none comes for a while.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", "-t", help="Seconds to wait for each message; 0 for ever.")
    ] = 5.0,
    selector: SelectorOption = None,
    headers: Annotated[bool, typer.Option("--headers", "-H", help="Print headers and properties too.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Bodies byte for byte, with nothing between them.")] = False,
    create: CreateOption = False,
    as_json: JsonOption = False,
) -> Exit:
    """Receive messages, print their bodies, and acknowledge what was printed.

    Ends with exit code 1 when fewer came than were asked for, and when the destination does not exist.
    """
    output = Output(as_json)
    where = destination(source)
    if drain and follow:
        raise ConfigError("--follow", None, "give either --all or --follow")
    if timeout < 0:
        raise ConfigError("--timeout", timeout, "must be 0 or more seconds")
    named = target(url, user, password_file)
    wanted = None if drain or follow else count
    ahead = None if wanted is None or wanted > FEW else 0
    # Only the connection is closed, which takes no time: a consumer's closing would wait for a broker that is away.
    with connect(named.url, **named.settings) as connection:
        session = connection.create_session(AcknowledgeMode.CLIENT_ACKNOWLEDGE)
        if not create:
            require(session, where)
        consumer = session.create_consumer(where, selector, window_size=ahead)
        printing = Printing(output, headers=headers, raw=raw, batch=1 if ahead == 0 else BATCH)
        limit = None if follow else seconds_of(timeout)
        got = printing.run(consumer, wanted, limit)
    if wanted is not None and got < wanted:
        output.note(f"{got} of {wanted} came within {timeout:g} s")
        return Exit.NO
    return Exit.OK


class Printing:
    """Receives, prints, acknowledges.

    What ends it in the middle, Ctrl-C or a reader that went away, leaves the batch unacknowledged: an acknowledgement
    covers all that was received, and the newest may not have been written. Rather twice than never. A batch whose
    acknowledgement was lost with its session comes again; it is recognised, and acknowledged without being printed.
    """

    def __init__(self, output: Output, *, headers: bool, raw: bool, batch: int) -> None:
        self._output = output
        self._headers = headers
        self._raw = raw
        self._batch = batch
        self._newest: Message | None = None
        self._unacknowledged: list[str] = []
        self._printed: LRUCache[str, bool] = LRUCache(REMEMBERED)

    def run(self, consumer: MessageConsumer, wanted: int | None, timeout: float | None) -> int:
        """Until `wanted` came, or none within `timeout` seconds; returns how many."""
        got = 0
        while wanted is None or got < wanted:
            message = consumer.receive(MORE_SOON if self._newest is not None else timeout)
            if message is not None:
                got += self._take(message)
            elif self._newest is not None:
                self._acknowledge()
            else:
                return got
        self._acknowledge()
        self._settle(consumer)
        return got

    def _settle(self, consumer: MessageConsumer) -> None:
        """Where the last acknowledgement was lost: what comes again is acknowledged, nothing else is."""
        while self._printed and (message := consumer.receive(AGAIN)) is not None:
            if not self._was_printed(message):
                return  # not acknowledged, so it goes back
            message.acknowledge()

    def _take(self, message: Message) -> int:
        """Print it unless that was done; how many more were printed."""
        again = self._was_printed(message)
        if not again:
            show(self._output, message, headers=self._headers, raw=self._raw)
        self._newest = message
        self._unacknowledged.append(message.jms_message_id or "")
        if len(self._unacknowledged) >= self._batch:
            self._acknowledge()
        return 0 if again else 1

    def _was_printed(self, message: Message) -> bool:
        name = message.jms_message_id
        return name is not None and message.jms_redelivered and self._printed.pop(name, False)

    def _acknowledge(self) -> None:
        """Acknowledge all that was printed; if its session was lost before the broker could say so, remember it."""
        message, self._newest = self._newest, None
        names, self._unacknowledged = self._unacknowledged, []
        if message is not None:
            try:
                message.acknowledge()
            except (TransactionRolledBackError, TransactionOutcomeUnknownError):
                self._printed.update((name, True) for name in names if name)
