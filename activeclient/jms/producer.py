"""Sending in JMS's terms (jakarta.jms.MessageProducer).

Law of this file: what a send decides (id, times, mode, priority, destination) is written into the message that was
given, so its sender sees it afterwards; a completion is told once, after the broker has answered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from activeclient.client.closing import leave, report
from activeclient.destination import Destination, Topic
from activeclient.engine.session import State
from activeclient.engine.unsettled import Unsettled
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    IllegalStateError,
    InvalidDestinationError,
    MessageFormatError,
    UnsupportedOperationError,
)
from activeclient.java_names import Sealed
from activeclient.jms.addressing import usable
from activeclient.jms.completions import check_completion
from activeclient.jms.foreign import is_foreign, tell_sender
from activeclient.jms.kinds import message_of
from activeclient.jms.message import Message, delivery_mode, priority
from activeclient.jms.message_id import UserIds
from activeclient.jms.modes import DEFAULT_DELIVERY_MODE, DEFAULT_PRIORITY, DeliveryMode
from activeclient.jms.times import Duration, in_milliseconds, timeout_seconds
from activeclient.masking import never_raises
from activeclient.wire.message import CoreMessage
from activeclient.wire.names import CONNECTION_ID, DUPLICATE_ID, ROUTING_TYPE
from activeclient.wire.properties import Byte, PropertyValue

if TYPE_CHECKING:
    from concurrent.futures import Future

    from activeclient.jms.session import Session

_MULTICAST, _ANYCAST = Byte(0), Byte(1)
_CLOSED = State.CLOSED
OnComplete = Callable[[Message, ActiveClientError | None], object]
"""Called as `on_complete(message, error)`; error is None when the broker has the message."""


class CompletionListener(Protocol):
    """Told how an asynchronous send ended (jakarta.jms.CompletionListener)."""

    def on_completion(self, message: Message) -> None:
        """The broker has the message."""

    def on_exception(self, message: Message, error: ActiveClientError) -> None:
        """It has not, or may not have (`error.outcome`)."""


class MessageProducer(Sealed):
    """Sends to a destination, or without one of its own to those that each send names.

    Made by `Session.create_producer`. A context manager.
    """

    disable_message_id: bool
    """Send without JMSMessageID."""
    disable_message_timestamp: bool
    """Send without JMSTimestamp."""

    def __init__(self, session: Session, destination: Destination | None) -> None:
        self._session = session
        self._routed = session.core.engine.has_routing_types
        self._destination = destination
        self._core = session.core.create_producer(None if destination is None else destination.name)
        self._core.stamps = False
        self._engine = session.core.engine
        self._in_branches = self._engine.config.xa
        self._ids = UserIds()
        if destination is not None:
            self._core.add_to_bare(self._marks(destination))
        self._known_in = -1
        """The generation in which its own destination was known to exist."""
        self._live = 0
        self._delay = 0
        """The two durations in milliseconds."""
        self._delivery_mode = DEFAULT_DELIVERY_MODE
        self._priority = DEFAULT_PRIORITY
        self._time_to_live: Duration = 0
        self._delivery_delay: Duration = 0
        self.disable_message_id = False
        self.disable_message_timestamp = False

    # --- defaults -------------------------------------------------------------------------------------------------

    @property
    def destination(self) -> Destination | None:
        """What it was made for."""
        return self._destination

    @property
    def delivery_mode(self) -> DeliveryMode:
        """Default PERSISTENT."""
        return self._delivery_mode

    @delivery_mode.setter
    def delivery_mode(self, value: int) -> None:
        self._check_open()
        self._delivery_mode = delivery_mode(value)

    @property
    def priority(self) -> int:
        """0 to 9; default 4."""
        return self._priority

    @priority.setter
    def priority(self, value: int) -> None:
        self._check_open()
        self._priority = priority(value)

    @property
    def time_to_live(self) -> Duration:
        """Seconds until a message expires; 0, the default, never."""
        return self._time_to_live

    @time_to_live.setter
    def time_to_live(self, value: Duration) -> None:
        self._check_open()
        self._live = in_milliseconds("time_to_live", value)
        self._time_to_live = value

    @property
    def delivery_delay(self) -> Duration:
        """Seconds before which a message is not delivered; default 0."""
        return self._delivery_delay

    @delivery_delay.setter
    def delivery_delay(self, value: Duration) -> None:
        self._check_open()
        self._delay = in_milliseconds("delivery_delay", value)
        self._delivery_delay = value

    # --- sending --------------------------------------------------------------------------------------------------

    def send(
        self,
        message: object,
        destination: Destination | None = None,
        *,
        delivery_mode: int | None = None,
        priority: int | None = None,
        time_to_live: Duration | None = None,
        delivery_delay: Duration | None = None,
        properties: Mapping[str, object] | None = None,
        correlation_id: str | bytes | None = None,
        reply_to: Destination | None = None,
        type: str | None = None,
        duplicate_id: str | bytes | None = None,
        on_complete: OnComplete | CompletionListener | None = None,
        timeout: Duration | None = None,
    ) -> Message:
        """Send a message and return it, with the headers that it was sent with.

        Durable messages wait until the broker has stored them, others do not (blockOnDurableSend,
        blockOnNonDurableSend), and in a transaction none does: there `commit` waits.

        Args:
            message: A message; or text, bytes, a binary file, a mapping (a map message), a list or a tuple (a stream
                message), None: a message is made of it. A dataclass, a pydantic model, an attrs class or a struct is
                serialized: as JSON text, unless the session has another serializer. A message of another
                implementation is copied and told its headers (`activeclient.jms.foreign`).
            destination: Where to; only for a producer without a destination of its own.
            delivery_mode: This and the next three: for this send only.
            time_to_live: Seconds until it expires; 0 never.
            delivery_delay: Seconds before which it is not delivered.
            properties: Added to the message's.
            duplicate_id: By which the broker recognises a repeat; to send again what ended in `OutcomeUnknown`.
            on_complete: Called when the broker has answered, as `on_complete(message, error)`, or a
                `CompletionListener`; then the call does not wait. Until then the message must be left alone.
            timeout: Seconds to wait instead of callTimeout and callFailoverTimeout.

        Raises:
            OutcomeUnknown: The broker may have it: send again only with its `duplicate_id`.
            InvalidDestinationError: No destination, or one that does not exist and is not created.
            UnsupportedOperationError: The producer has another destination.
            IllegalStateError: The session is an XA session, and outside of a branch.
            JMSError: The broker refused it.
            CallTimeout, OutageTimeout: It was not sent and will not be.
        """
        if self._engine.state is _CLOSED or self._core.closed:
            self._check_open()
        if self._in_branches and self._engine.branch is None:
            raise IllegalStateError(
                "outside of a branch a message of an XA session would be lost; see XAResource.start"
            )
        given = message_of(message, self._session.serializers)
        to = self._destination
        if destination is not None or to is None or self._known_in != self._session.known.generation:
            to = self._target(destination)
        mode = self._delivery_mode if delivery_mode is None else _mode(delivery_mode)
        level = self._priority if priority is None else _priority(priority)
        live = self._live if time_to_live is None else in_milliseconds("time_to_live", time_to_live)
        delay = self._delay if delivery_delay is None else in_milliseconds("delivery_delay", delivery_delay)
        limit = None if timeout is None else timeout_seconds("timeout", timeout)
        core = given.outgoing()
        if properties is not None:
            given.add_properties(properties)
        if correlation_id is not None:
            given.jms_correlation_id = correlation_id
        if reply_to is not None:
            given.jms_reply_to = reply_to
        if type is not None:
            given.jms_type = type
        if duplicate_id is not None and not isinstance(duplicate_id, str | bytes):
            raise MessageFormatError(f"duplicate_id: must be text or bytes, not {duplicate_id.__class__.__name__}")
        self._stamp(given, core, to, mode, level, live, delay, duplicate_id)
        handler = None if on_complete is None else self._handler(given, on_complete)
        try:
            self._core.send(core, handler, address=to.name if self._destination is None else None, timeout=limit)
        except BaseException:
            if handler is not None:
                self._session.completions.withdraw()
            raise
        finally:
            if duplicate_id is not None:
                core.properties.pop(DUPLICATE_ID, None)
        if given is not message and is_foreign(message):
            tell_sender(message, given)
        return given

    def send_async(self, message: object, destination: Destination | None = None, **options: object) -> Future[Message]:
        """Send as `send` with `on_complete`; the future has the message when the broker has it, or the error."""
        return outcome_of(lambda told: self.send(message, destination, on_complete=told, **options))  # type: ignore[arg-type]

    def _target(self, destination: Destination | None) -> Destination:
        own = self._destination
        if own is not None:
            if destination is not None and destination != own:
                raise UnsupportedOperationError(f"this producer sends to {own}; one without a destination can choose")
            to = own
        elif destination is None:
            raise InvalidDestinationError("this producer has no destination: each send needs one")
        else:
            to = usable(destination, "a send")
        known = self._session.known
        generation = known.generation
        known.for_sending(self._session.core, to)
        if own is not None:
            self._known_in = generation
        return to

    def _marks(self, to: Destination) -> dict[str, PropertyValue]:
        """What each message carries: whose it is, and for queues or topics."""
        if not self._routed:
            return {CONNECTION_ID: self._session.connection_tag}
        routing = _MULTICAST if isinstance(to, Topic) else _ANYCAST
        return {CONNECTION_ID: self._session.connection_tag, ROUTING_TYPE: routing}

    def _stamp(
        self,
        message: Message,
        core: CoreMessage,
        to: Destination,
        mode: DeliveryMode,
        level: int,
        live: int,
        delay: int,
        duplicate_id: str | bytes | None,
    ) -> None:
        now = int(time.time() * 1000)
        core.durable = mode is DeliveryMode.PERSISTENT
        core.priority = level
        core.timestamp = 0 if self.disable_message_timestamp else now
        core.expiration = now + live if live else 0
        core.user_id = None if self.disable_message_id else self._ids.new()
        message._id = None
        message._destination = to
        if message._scheduled:
            message.forget_schedule()
        properties = core.properties
        if delay:
            message.schedule(now + delay)
        if duplicate_id is not None:
            properties[DUPLICATE_ID] = duplicate_id
        if properties or self._destination is None:  # else the core producer adds them
            properties.update(self._marks(to))

    def _handler(
        self, message: Message, on_complete: OnComplete | CompletionListener
    ) -> Callable[[CoreMessage, ActiveClientError | None], object]:
        completions = self._session.completions

        def told(_: CoreMessage, error: ActiveClientError | None) -> None:
            with completions.told():
                if callable(on_complete):
                    on_complete(message, error)
                elif error is None:
                    on_complete.on_completion(message)
                else:
                    on_complete.on_exception(message, error)

        check_completion(on_complete)
        completions.begin()
        return told

    # --- closing --------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._core.closed:
            raise ClosedError(self._session.closed_by_user or "the producer is closed")
        self._session.check_open()

    @property
    def is_closed(self) -> bool:
        """Closed, itself or what it belongs to."""
        return self._core.is_closed

    def close(self) -> None:
        """Close the producer; what it has sent is not affected. Waits for the completion listeners of its session.

        While the connection is won back it waits for them too: for the next one closeTimeout at most.

        Raises:
            IllegalStateError: Called by a completion listener of its session.
            UnsettledError: Sends have no outcome yet. Their completion listeners are called when they have one, at the
                latest when the session is closed.
        """
        session = self._session
        if session.is_forked:
            return  # the parent goes on using it
        session.completions.check_not_inside("close a producer")
        told = self.is_closed or session.wait_for_completions()
        self._core.close()
        if not told:
            left = Unsettled(unknown=session.completions.outstanding)
            error = report(repr(self), left, self._engine.client.last_error)
            if error is not None:
                raise error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<MessageProducer {self._destination or 'anonymous'}{' closed' if self.is_closed else ''}>"


def outcome_of(send: Callable[[OnComplete], object]) -> Future[Message]:
    """The outcome of an asynchronous send, which `send` begins with the completion listener that it is given."""
    from concurrent.futures import Future

    future: Future[Message] = Future()
    future.set_running_or_notify_cancel()

    def ended(sent: Message, error: ActiveClientError | None) -> None:
        if error is None:
            future.set_result(sent)
        else:
            future.set_exception(error)

    send(ended)
    return future


_mode = delivery_mode
_priority = priority
