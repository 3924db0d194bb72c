"""Who waits for what: sends and requests from the moment they are submitted until their outcome is known.

Law of this file: each of these objects ends exactly once, in `done` with or without an `error`; nothing else sets
`done`. On a counted session (window >= 0) the *confirmation* of a command is its success, because the server does not
count a command that it refuses while it was asked for an answer; the answer itself may be thrown away by the server
while a session moves to another connection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from activeclient.errors import ActiveClientError, OutcomeUnknown
from activeclient.events import SendFailed
from activeclient.server_code import ServerCode
from activeclient.wire.packet import Packet
from activeclient.wire.packets import (
    NULL,
    BindingQuery,
    CreateAddress,
    CreateQueue,
    DeleteQueue,
    QueueQuery,
    XAGetTimeout,
    XAIndoubtXids,
    XASetTimeout,
)

if TYPE_CHECKING:
    from activeclient.engine.session import Session


class Pending:
    """Something whose outcome is not known yet."""

    __slots__ = ("correlation_id", "done", "error")

    def __init__(self, correlation_id: int = -1) -> None:
        self.correlation_id: int = correlation_id
        self.done: bool = False
        self.error: ActiveClientError | None = None

    def settled(self, session: Session) -> None:
        """The server has counted the command: it took effect."""
        raise NotImplementedError

    def failed(self, session: Session, error: ActiveClientError) -> None:
        """The outcome is `error`, whose `outcome` says whether it may have taken effect."""
        raise NotImplementedError


class SendToken(Pending):
    """One send that somebody wants to hear of: a blocked sender, or a handler called as `handler(message, error)`."""

    __slots__ = ("handler", "message")

    def __init__(
        self,
        correlation_id: int,
        handler: Callable[[Any, ActiveClientError | None], object] | None = None,
        message: object = None,
    ) -> None:
        self.correlation_id = correlation_id
        self.done: bool = False
        self.error: ActiveClientError | None = None
        self.handler: Callable[[Any, ActiveClientError | None], object] | None = handler
        self.message: object = message

    def settled(self, session: Session) -> None:
        # No call stands between `done` and the queue: an interrupt must not leave a handler that is never called.
        if not self.done:
            self.done = True
            if self.handler is not None:
                session.work.append(self)
                session.work_ready()

    def failed(self, session: Session, error: ActiveClientError) -> None:
        if not self.done:
            self.error = error
            self.done = True
            if self.handler is not None:
                session.work.append(self)
                session.work_ready()

    def run(self) -> None:
        """Call the handler; on a worker, never under the lock."""
        if self.handler is not None:
            self.handler(self.message, self.error)


class UnattendedToken(SendToken):
    """A send that nobody waits for, on a session without a command buffer: its failure is told to event listeners."""

    __slots__ = ()
    done: bool
    error: ActiveClientError | None

    def failed(self, session: Session, error: ActiveClientError) -> None:
        if not self.done:
            self.done = True
            self.error = error
            session.emit(SendFailed(session.channel_id, error))


class UnheardFailures:
    """The sends that nobody waits for and that fail together with their session: told of once, not for each."""

    __slots__ = ("_first", "_ids", "count")

    def __init__(self) -> None:
        self.count: int = 0
        self._first: ActiveClientError | None = None
        self._ids: list[bytes | str | None] = []

    def take(self, token: Pending | None, error: ActiveClientError) -> bool:
        """Is it such a send? Then it has failed with `error`."""
        if token is not None:
            if type(token) is not UnattendedToken or token.done:
                return False
            token.done = True
            token.error = error
        self.count += 1
        self._first = self._first or error
        if isinstance(error, OutcomeUnknown):
            self._ids.append(error.duplicate_id)
        return True

    def tell(self, session: Session) -> None:
        """Emit the event, if there were any."""
        if self._first is not None:
            ids = tuple(self._ids) if self.count > 1 else ()
            session.emit(SendFailed(session.channel_id, self._first, self.count, ids))


REPEATABLE = (QueueQuery, BindingQuery, XAIndoubtXids, XAGetTimeout, XASetTimeout)
"""Requests that change nothing: when the server counted one and threw its answer away, it is sent again."""


TOOK_EFFECT: dict[type[Packet], int] = {
    CreateAddress: ServerCode.ADDRESS_EXISTS,
    CreateQueue: ServerCode.QUEUE_EXISTS,
    DeleteQueue: ServerCode.QUEUE_DOES_NOT_EXIST,
}
"""The refusal of a request that was repeated in a new session by which the server says that the first one was
carried out: it exists, or it does not exist any more."""


class Request(Pending):
    """A packet that is answered: one without correlation id may be outstanding on a session at a time.

    Args:
        packet: What to send; it says which packets answer it.
        on_done: Called when it ended, before anybody who waits for it; must not raise.
    """

    __slots__ = ("answered", "bound", "mark", "on_done", "packet", "recreated", "result", "sends_before", "sent")
    done: bool
    error: ActiveClientError | None

    def __init__(
        self,
        packet: Packet,
        on_done: Callable[[Request], None] | None = None,
        correlation_id: int = -1,
    ) -> None:
        super().__init__(correlation_id)
        self.packet: Packet = packet
        self.on_done: Callable[[Request], None] | None = on_done
        self.result: Packet | None = None
        self.sent: bool = False
        """It was given a place among the commands of the present session."""
        self.answered: bool = False
        """The server has counted it; an answer other than NULL_RESPONSE may still be on its way."""
        self.recreated: bool = False
        """It was sent in an earlier session generation too: it may have taken effect there."""
        self.bound: bool = False
        """It concerns the present session on the server alone, and is over with it."""
        self.mark: int = 0
        self.sends_before: int = 0
        """The correlation id of the last send before it; later sends are answered after it."""

    @property
    def answered_by_null(self) -> bool:
        """Is it answered by no more than that it is done?"""
        return self.packet.REPLY is NULL

    def settled(self, session: Session) -> None:
        self.answered = True
        if self.answered_by_null:
            self.complete(session, None)

    def complete(self, session: Session, result: Packet | None) -> None:
        """End well."""
        if not self.done:
            session.ending.append(self)
            self.result = result
            self.done = True
            session.request_ended(self)
            session.ending.pop()

    def failed(self, session: Session, error: ActiveClientError) -> None:
        if self.recreated and error.code is not None and TOOK_EFFECT.get(type(self.packet)) == error.code:
            self.complete(session, None)
        elif not self.done:
            session.ending.append(self)
            self.error = error
            self.done = True
            session.request_ended(self)
            session.ending.pop()
