"""Receiving in JMS's terms (jakarta.jms.MessageConsumer).

Law of this file: in AUTO and DUPS_OK mode a message is acknowledged before `receive` returns it, and after its listener
has returned; a listener that raises has its message delivered again. At most one listener of a session runs at a time,
and closing waits for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from activeclient.arguments import call, instance
from activeclient.client.closing import leave
from activeclient.destination import Destination
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    IllegalStateError,
    LargeMessageError,
    MessageFormatError,
    OutcomeUnknown,
    UnsettledError,
)
from activeclient.java_names import Sealed
from activeclient.jms.kinds import received_message
from activeclient.jms.message import Message
from activeclient.jms.modes import AcknowledgeMode
from activeclient.jms.times import Duration, timeout_seconds
from activeclient.jms.typed import Listener, M
from activeclient.masking import never_raises
from activeclient.wire.message import DEFAULT, STREAM
from activeclient.wire.names import LARGE_COMPRESSED

if TYPE_CHECKING:
    from activeclient.client.consumer import ClientConsumer
    from activeclient.jms.session import Session
    from activeclient.wire.message import CoreMessage

logger: logging.Logger = logging.getLogger("activeclient.callbacks")
MessageListener = Callable[[Any], object]
"""Called with each message (jakarta.jms.MessageListener). `Any`: the parameter may be annotated with the class of
message that is expected, `TextMessage` for example."""
READ_AT_RECEIPT = 4 * 1024 * 1024
"""Bytes of a body up to which `receive` waits for the whole of it."""
_AUTOMATIC = (AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.DUPS_OK_ACKNOWLEDGE)
_AT_RECEIPT = (*_AUTOMATIC, AcknowledgeMode.CLIENT_ACKNOWLEDGE, AcknowledgeMode.SESSION_TRANSACTED)
_BODILESS = (DEFAULT, STREAM)
T = TypeVar("T")


class MessageConsumer(Generic[M], Sealed):
    """Receives from a queue, or from a subscription of a topic.

    Made by `Session.create_consumer`. A context manager, and iterable: `for message in consumer` ends when it closes.

    With a `kind`, every message that it hands out is of that class. One of another class raises `MessageFormatError`,
    and is not lost: in AUTO and DUPS_OK mode the next call gets it again, in the others it counts as received. A
    listener is not called with it, which counts as a listener that raised.
    """

    def __init__(
        self,
        session: Session,
        core: ClientConsumer,
        destination: Destination,
        selector: str | None,
        *,
        no_local: bool,
        subscription: str | None,
        kind: type[M] | None = None,
    ) -> None:
        self._kind = kind
        self._body_type = None if kind is None else kind.body_type
        self._session = session
        self._core = core
        self._destination = destination
        self._selector = selector
        self._no_local = no_local
        self._subscription = subscription
        """The queue that ends with this consumer."""
        self._listener: MessageListener | None = None
        self._turn = threading.Lock()
        """Held while the listener runs."""
        self._receiving = 0
        self._unsettled: CoreMessage | None = None
        self._closed = False
        self._ended = False
        self._mode = session.acknowledge_mode
        self._settles = self._mode in _AT_RECEIPT
        self._automatic = self._mode in _AUTOMATIC

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def destination(self) -> Destination:
        """What it consumes from."""
        return self._destination

    @property
    def message_selector(self) -> str | None:
        """The selector that it was made with."""
        return self._selector

    @property
    def no_local(self) -> bool:
        """Does it leave out what its connection sends?"""
        return self._no_local

    @property
    def is_closed(self) -> bool:
        """Closed, itself or what it belongs to."""
        return self._closed or self._core.is_closed

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(self._session.closed_by_user or "the consumer is closed")
        self._session.check_open()

    # --- receiving ------------------------------------------------------------------------------------------------

    def receive(self, timeout: Duration | None = None) -> M | Any:
        """Return the next message, or None when `timeout` passes without one, or when the consumer is closed meanwhile.

        Type checkers are told nothing of the None (`M | Any`): code that knows that a message is there needs no cast.

        Works through reconnects: while the link is down the call goes on waiting, and the time spent counts. Messages
        that are too old when they come are skipped. Nothing is delivered before the connection is started.

        Args:
            timeout: Seconds or a timedelta; None waits until a message arrives, 0 asks the broker once.

        Raises:
            IllegalStateError: The consumer has a listener, or was closed before.
            ReconnectGaveUp: No attempts are left. Messages not acknowledged are delivered again to the next consumer.
        """
        if self._closed:
            self._check_open()
        left = None if timeout is None else timeout_seconds("timeout", timeout)
        if self._listener is None and self._settles and self._unsettled is None:
            ready = self._core.receive_settled(self._body_type)
            if ready is not None:
                try:
                    return received_message(ready, self._session, self._destination)
                except ActiveClientError:
                    raise
                except BaseException:
                    self._core.keep(ready)
                    raise
        return self._receive(left, self._check_kind)

    def receive_body(
        self, kind: type[T], timeout: Duration | None = None, seen: Callable[[Message], object] | None = None
    ) -> T | None:
        """Receive a message and return its body as `kind`; None as for `receive`, or when it has no body.

        When the next message's body is something else, it is not lost: in AUTO and DUPS_OK mode the next call gets it
        again, as if this one had not been made; in the others it counts as received, and comes again after `recover`
        or `rollback`.

        Args:
            seen: Called with the message, before its body is looked at.

        Raises:
            MessageFormatError: The body is not of this kind; or the message is of a kind without one (JMS 2.0).
            IllegalStateError: The consumer has a listener, or was closed before.
        """
        left = None if timeout is None else timeout_seconds("timeout", timeout)
        instance("kind", kind, type)
        body: T | None = None

        def check(message: Message) -> None:
            nonlocal body
            if seen is not None:
                seen(message)
            if message.body_type in _BODILESS:
                raise MessageFormatError(f"a {type(message).__name__} has no body to receive")
            body = message.get_body(kind)

        return None if self._receive(left, check) is None else body

    def receive_body_no_wait(self, kind: type[T]) -> T | None:
        """As `receive_body`, if the broker has a message for us now."""
        return self.receive_body(kind, 0)

    def _receive(self, left: float | None, check: Callable[[Message], None]) -> Message | None:
        """Receive a message that passes `check`, which raises MessageFormatError else, within `left` seconds."""
        self._check_open()
        if self._listener is not None:
            raise IllegalStateError("the consumer has a message listener; receive() is not allowed")
        if left == 0 and not self._session.is_started:
            return None
        deadline = None if not left else time.monotonic() + left
        core: CoreMessage | None = None
        try:
            self._receiving += 1
            try:
                self.settle()
                while True:
                    core = self._core.receive(left)
                    if core is None:
                        return None
                    message = None if self._expired(core) else self._received(core, check)
                    if message is not None:
                        return message
                    core = None
                    if deadline is not None:
                        left = max(0.0, deadline - time.monotonic())
            except ClosedError:
                return None
            finally:
                self._receiving -= 1
        except ActiveClientError:
            raise
        except BaseException:  # wherever it came, as long as the caller has not got the message
            if core is not None:
                if self._unsettled is core:
                    self._unsettled = None
                self._core.keep(core)
            raise

    def _received(self, core: CoreMessage, check: Callable[[Message], None]) -> Message | None:
        message = received_message(core, self._session, self._destination)
        try:
            check(message)
        except LargeMessageError:
            return None
        except MessageFormatError:
            if self._automatic:
                self._core.put_back(core)
            else:
                self._at_receipt(core)
            raise
        return message if self._at_receipt(core) else None

    def _at_receipt(self, core: CoreMessage) -> bool:
        """Acknowledge where the mode wants it now; False when a body broke off: its message comes again.

        Acknowledging ends the transport of a body, so small large messages are read first, and those that may not fit
        into memory are acknowledged when the application goes on to the next message, or commits, or closes.
        """
        if not self._settles:
            return True
        if core.stream is not None and (
            not 0 <= core.large_size <= READ_AT_RECEIPT or core.properties.get(LARGE_COMPRESSED)  # how large, then?
        ):
            self._unsettled = core
            return True
        try:
            _ = core.body if core.stream is not None else None
        except LargeMessageError:
            return False
        self._acknowledge(core)
        return True

    def _acknowledge(self, core: CoreMessage) -> None:
        """Acknowledge what the application has, or gets now.

        When the answer is waited for and lost with the session, the broker may have done it, and never deliver the
        message again: so it counts as acknowledged. In a transaction the commit will tell.
        """
        try:
            self._core.acknowledge(core)
        except OutcomeUnknown:
            self._core.acknowledge_late(core)

    def settle(self) -> None:
        """Acknowledge the streamed message that is still open, if any (called when the application goes on)."""
        core = self._unsettled
        if core is not None and (self._core.holds(core) or core.stream.read):
            self._acknowledge(core)
        self._unsettled = None  # then: interrupted before it, the next call does it

    def unsettle(self) -> None:
        """The session rolled back: the streamed message comes again."""
        self._unsettled = None

    def keep(self, message: Message) -> None:
        """An interrupt came before the application got the message that was received last: the next call returns it."""
        self._core.keep(message.delivered)

    def _check_kind(self, message: Message) -> None:
        if self._kind is not None and not isinstance(message, self._kind):
            raise MessageFormatError(
                f"{self._destination}: a {type(message).__name__} came, and the consumer is for {self._kind.__name__}"
            )

    def receive_no_wait(self) -> M | Any:
        """Return a message if the broker has one for us now, else None, as `receive`."""
        return self.receive(0)

    def _expired(self, core: CoreMessage) -> bool:
        if core.expiration and time.time() * 1000 >= core.expiration:
            self._core.expire(core)
            return True
        return False

    def messages(self, timeout: Duration | None = None) -> Iterator[M]:
        """Iterate over messages until none came for `timeout`, or the consumer is closed by its user.

        Only time with a connection counts: an outage is no empty queue, so it does not end the iteration.

        Args:
            timeout: Seconds or a timedelta; None iterates until the consumer is closed, 0 until the broker has no more.

        Raises:
            OutageTimeout: The connection was not back within callFailoverTimeout.
            ReconnectGaveUp: No attempts are left.
        """
        limit = None if timeout is None else timeout_seconds("timeout", timeout)
        while not self._closed:
            try:
                message = self._next(limit)
            except ClosedError:
                return
            if message is None:
                return
            yield message  # no call between: an interrupt there would lose it

    def _next(self, limit: float | None) -> M | Any:
        """The next message, or None when none came in `limit` seconds of a working connection."""
        if self._listener is None and self._settles and self._unsettled is None:
            ready = self._core.receive_settled(self._body_type)
            if ready is not None:
                try:
                    return received_message(ready, self._session, self._destination)
                except ActiveClientError:
                    raise
                except BaseException:
                    self._core.keep(ready)
                    raise
        return self._core.next_within(limit, lambda left: self._receive(left, self._check_kind))

    def __iter__(self) -> Iterator[M]:
        return self.messages()

    # --- a listener -----------------------------------------------------------------------------------------------

    @property
    def message_listener(self) -> MessageListener | None:
        """Called with each message, one at a time for the session. None stops that, and waits for the running call.

        When it raises: in AUTO, DUPS_OK and INDIVIDUAL mode the session recovers, so the message comes again, marked
        redelivered, until the broker's limit; in the others the application decides. The exception is logged.

        Raises:
            IllegalStateError: Another thread is in `receive`.
        """
        return self._listener

    @message_listener.setter
    def message_listener(self, listener: MessageListener | None) -> None:
        call("message_listener", listener)
        self._check_open()
        if self._receiving and listener is not None:
            raise IllegalStateError("a thread is in receive(); a message listener is not allowed")
        self._listener = listener
        self._core.message_handler = None if listener is None else self._deliver
        if listener is None:
            self._wait_for_listener()

    def on_message(self, listener: Listener) -> Listener:
        """Set the listener; as a decorator: `@consumer.on_message`."""
        self.message_listener = listener
        return listener

    def _deliver(self, core: CoreMessage) -> None:
        with self._turn:
            listener = self._listener
            if listener is None or self._closed:
                self._core.put_back(core)  # unset since: `receive` gets it, or closing gives it back
                return
            if self._expired(core):
                return
            try:
                self.settle()
                self._call(listener, core)
            except ActiveClientError:
                # Acknowledging or recovering failed with its session: what was not acknowledged comes again.
                logger.exception("a message could not be acknowledged")
        self._close_if_wanted()

    def _close_if_wanted(self) -> None:
        if self._closed:
            self._close_core()

    def _call(self, listener: MessageListener, core: CoreMessage) -> None:
        mode = self._mode
        explicit = mode in (AcknowledgeMode.CLIENT_ACKNOWLEDGE, AcknowledgeMode.SESSION_TRANSACTED)
        if explicit and not self._at_receipt(core):
            return
        session = self._session
        session.recovered = False
        try:
            message = received_message(core, session, self._destination)
            self._check_kind(message)
            listener(message)
        except BaseException:  # on a thread of ours there is nobody else whom SystemExit or CancelledError could reach
            logger.exception("the message listener of %r raised", self)
            if not explicit and not session.is_closed:
                session.recover()
            return
        if self._automatic and not session.recovered and not session.is_closed:
            self._acknowledge(core)

    def _wait_for_listener(self) -> None:
        if not self._session.in_callback and self._turn.acquire(timeout=self._session.close_timeout):
            self._turn.release()

    # --- closing --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the consumer: waits for a running listener, ends a blocked `receive`; a non-durable subscription ends.

        Waits until its acknowledgements are confirmed, while the connection is won back too: closeTimeout at most.
        Called by its own listener it closes when that returns, with its message acknowledged. A streamed message whose
        body is not here yet as a whole is not acknowledged, and is delivered again.

        Raises:
            UnsettledError: Acknowledgements were not confirmed in time. They still are when the connection is back,
                unless the session is closed before.
        """
        if self._ended or self._session.is_forked:
            return
        self._closed = True
        self._core.stop_listening()
        if self._session.in_callback and self._turn.locked():
            return  # by its own listener: `_deliver` goes on
        self._wait_for_listener()
        self._close_core()

    def _close_core(self) -> None:
        if self._ended:
            return
        self._session.forget_consumer(self)
        self.settle_read_body()
        try:
            self._core.close()
            if self._subscription is not None and not self._session.core.is_closed:
                self._session.core.delete_queue_soon(self._subscription)
        except UnsettledError:
            self._ended = True
            raise
        except ActiveClientError as error:
            # Temporary: the broker deletes it with the connection.
            logger.debug("closing %r: %s", self, error)
        self._ended = True  # then: a call that was interrupted is gone on with by the next one

    def abandon(self) -> None:
        """Close the consumer with nobody waiting for it: an interrupt came before its user got it."""
        self._closed = self._ended = True
        self._session.forget_consumer(self)
        self._core.abandon()
        if self._subscription is not None:
            self._session.core.delete_abandoned_queue(self._subscription)

    def close_with_session(self) -> None:
        """Close the consumer without waiting for the broker: closing its session does (called by the session)."""
        self._closed = True
        self._core.stop_listening()
        self._wait_for_listener()
        if self._ended:
            return
        self._session.forget_consumer(self)
        self.settle_read_body()
        self._core.close_with_session(self._subscription)
        self._ended = True

    def settle_read_body(self) -> None:
        """Acknowledge the streamed message that is still open if its body is here as a whole, and so stays readable.

        Of any other one a part would be lost with the consumer: it stays the broker's, which delivers it again.
        """
        core, self._unsettled = self._unsettled, None
        if core is not None and core.stream.complete and (self._core.holds(core) or core.stream.read):
            self._core.acknowledge_at_close(core)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<MessageConsumer {self._destination}{' closed' if self.is_closed else ''}>"
