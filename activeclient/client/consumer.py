"""Receiving (ClientConsumer): blocking calls, iteration and listeners over an engine consumer.

Law of this file: a message is handed out once; `receive` returns None only when its time is over, and raises when the
consumer or the connection is closed; a listener and `receive` exclude each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar

from activeclient.arguments import call, instance, seconds
from activeclient.client.closing import leave, report
from activeclient.client.kept_body import KeptBody
from activeclient.client.large_message import (
    BodyReader,
    announced_size,
    inflate,
    inflated,
    read_whole,
    whole_pieces,
)
from activeclient.client.rate import RateLimit
from activeclient.engine.consumer import Consumer
from activeclient.engine.requests import Request
from activeclient.engine.session import State
from activeclient.engine.unsettled import Unsettled
from activeclient.errors import (
    ClosedError,
    ConnectionLost,
    IllegalStateError,
    LargeMessageError,
    Outcome,
    OutcomeUnknown,
    UnreadableMessageError,
)
from activeclient.masking import never_raises
from activeclient.wire.message import CoreMessage
from activeclient.wire.packets import Acknowledge, DeleteQueue, Expired, IndividualAcknowledge

if TYPE_CHECKING:
    from activeclient.client.session import ClientSession

MessageHandler = Callable[[CoreMessage], object]
ATTACHED = State.ATTACHED
M = TypeVar("M")
STREAM_MESSAGES = 8
"""As many in one read are a stream; whoever takes them faster than they come would be woken for a few each time."""
STREAM_PATIENCE = 0.0003
"""Seconds in which the messages of a stream may gather before they are read: less than ten of them take to be used."""


class ClientConsumer:
    """A consumer of one session (ClientConsumer). Made by `ClientSession.create_consumer`. Iterable."""

    def __init__(self, session: ClientSession, engine: Consumer) -> None:
        self.session = session
        self.engine = engine
        self._pump = session.pump
        self._calls = session.calls
        self._handler: MessageHandler | None = None
        self._block_on_acknowledge = session.settings.block_on_acknowledge
        self._streaming = False
        """Did many messages come at once, when one was waited for last?"""
        self._receiving = 0
        """Threads in `receive` that wait for a message."""
        rate = session.settings.consumer_max_rate
        self._rate = RateLimit(rate) if rate > 0 else None
        engine.owner = self

    # --- receiving ------------------------------------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> CoreMessage | Any:
        """Return the next message, or None when `timeout` passes without one (of which type checkers are told nothing).

        Works through reconnects: while the link is down the call goes on waiting, and the time spent counts.

        Args:
            timeout: Seconds; None waits until a message arrives; 0 asks the broker once whether it has one.

        Raises:
            IllegalStateError: The consumer has a message handler.
            ClosedError: The consumer was closed, perhaps meanwhile.
            CallTimeout, OutageTimeout: `timeout` is 0, and the broker has not answered within callTimeout, or was not
                there for callFailoverTimeout: None would say that it has no message.
            ReconnectGaveUp: No attempts are left. Messages not acknowledged are delivered again to the next consumer.
        """
        if self._handler is not None:
            raise IllegalStateError("the consumer has a message handler; receive() is not allowed")
        engine = self.engine
        session = engine.session
        if self._rate is not None:
            self._wait_for_place(self._rate)
        pump = self._pump
        message = None
        try:
            with pump.lock:
                if engine.buffer and (session.started or engine.browse_only) and not pump.moving:
                    client = session.client
                    pending = client.pending_bytes
                    pump.moving = True
                    try:
                        message = engine.take()
                        if client.pending_bytes != pending:  # credits; acknowledgements have seen to their write
                            pump.after_submit()
                    except BaseException:
                        pump.settle()
                        raise
                    pump.moving = False
                    return message
                with pump.motion:
                    message = self._receive_slowly(timeout)
            return message
        except BaseException:
            if message is not None:
                engine.kept.append(message)
            self.restore_kept()
            raise

    def receive_settled(self, body_type: int | None = None) -> CoreMessage | None:
        """Take a message that waits here and acknowledge it, under one lock (hot path of JMS's `receive`).

        None when there is none, or when it needs more than that: it is too old, or damaged, not of `body_type` (one of
        the constants of `wire.message`; None: any), its body streams, its acknowledgement has to wait. It is still
        there then, for `receive`.
        """
        engine = self.engine
        session = engine.session
        if self._block_on_acknowledge or self._rate is not None:
            return None
        pump = self._pump
        taken = None
        try:
            with pump.lock:
                buffer = engine.buffer
                if (
                    not buffer
                    or not session.started
                    or session.state is not ATTACHED
                    or (session.windowed and session.buffer.full)
                    or pump.moving
                ):
                    return None
                message = buffer[0]
                if message.stream is not None or (body_type is not None and message.body_type != body_type):
                    return None
                try:
                    if message.expiration and time.time() * 1000 >= message.expiration:
                        return None
                except UnreadableMessageError:
                    return None
                pump.moving = True
                try:
                    taken = engine.take()
                    if session.transacted_acks:
                        session.transaction.acked()
                    engine.acknowledge(message)
                    if session.client.pending_bytes:
                        pump.after_submit()
                except BaseException:
                    pump.settle()
                    raise
                pump.moving = False
            return taken
        except BaseException:
            if taken is not None:
                engine.kept.append(taken)
            self.restore_kept()
            raise

    def keep(self, message: CoreMessage) -> None:
        """An interrupt came before the application got the message that it took last: `receive` gives it next."""
        self.engine.kept.append(message)
        self.restore_kept()

    def restore_kept(self) -> None:
        """Give back what interrupted calls had taken."""
        if self.engine.kept:
            with self._pump.lock, self._pump.motion:
                self.engine.restore_kept()
                if self.engine.refreshing and not self._pump.closed:
                    self._pump.process()

    def receive_immediate(self) -> CoreMessage | Any:
        """Return a message if the broker has one for us now (receiveImmediate)."""
        return self.receive(0)

    def _receive_slowly(self, timeout: float | None) -> CoreMessage | None:
        engine = self.engine
        if timeout is not None:
            seconds("timeout", timeout)
        self._check()
        engine.restore_kept()  # should that have been interrupted itself
        engine.reading.go_on()
        message = self._receive_one(timeout) if engine.window == 0 else self._next(timeout)
        try:
            if message is None:
                self._check()
            elif engine.session.client.pending_bytes:
                self._pump.after_submit()
        except BaseException:
            if message is not None:
                engine.kept.append(message)
            raise
        return message

    def _next(self, timeout: float | None) -> CoreMessage | None:
        """Wait for a message and take it."""
        engine = self.engine
        if timeout == 0:
            self._wait_for_marker()
            return engine.take() if self._delivers else None
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            self._pump.wait(
                lambda: (bool(engine.buffer) and self._delivers) or engine.closed or self._drained,
                left,
                STREAM_PATIENCE if self._streaming else 0.0,
            )
            self._streaming = len(engine.buffer) >= STREAM_MESSAGES
            # Another thread may have been quicker: then the wait goes on.
            message = engine.take() if self._delivers else None
            if message is not None:
                return message
            self._check()
            if self._drained:
                return None

    def _receive_one(self, timeout: float | None) -> CoreMessage | None:
        """Without prefetch: ask for one message, and take that back when the wait for it is over."""
        engine = self.engine
        engine.ask_for_one()
        self._receiving += 1
        message = None
        try:
            message = self._next(timeout)
        finally:
            self._receiving -= 1
            try:
                if self._receiving:
                    if message is not None and not engine.buffer:
                        engine.ask_for_one()  # it was for one of those who wait
                    sequence = None
                else:
                    sequence = engine.withdraw()
                    if sequence is not None:
                        self._pump.after_submit()
            except BaseException:
                if message is not None:
                    engine.kept.append(message)
                raise
        if message is None and sequence is not None:
            session = engine.session
            self._calls.wait_for(
                lambda: engine.forced_seen >= sequence or engine.closed or not session.usable or self._receiving > 0
            )
            message = engine.take() if self._delivers else None
        return message

    def _wait_for_marker(self) -> None:
        """Wait until a message is here, or the broker says that it has none."""
        engine = self.engine
        while True:
            early = engine.body_came
            sequence = engine.force_delivery()
            error = self._calls.wait_for(
                lambda asked=sequence: (  # type: ignore[misc]
                    bool(engine.buffer) or engine.closed or engine.forced_seen >= asked or self._drained
                )
            )
            if error is not None and not engine.buffer and not engine.closed:
                error.outcome = Outcome.NOT_SENT  # nothing was taken
                raise error  # "nothing there" and "nobody to ask" must not look alike
            if error is not None or not early or not self._wait_for_body():
                return

    def _wait_for_body(self) -> bool:
        """Wait until the body that is coming in is here, however long it takes while it comes; False when there is no
        need to ask again: it stops, a message came, or nothing is delivered any more."""
        engine = self.engine
        error = self._calls.wait_while_it_comes(
            lambda: engine.large is None or bool(engine.buffer) or engine.closed or not self._delivers,
            lambda: 0 if engine.large is None else engine.large.stream.received,
        )
        return error is None and not engine.buffer and not engine.closed and self._delivers

    @property
    def _delivers(self) -> bool:
        """Is the session started? Looking at a queue needs no start, here as on the server."""
        return self.engine.session.started or self.engine.browse_only

    @property
    def _drained(self) -> bool:
        """Does it hand out nothing more, because its connection is drained?"""
        return self.session.draining and not self.engine.browse_only

    def _wait_for_place(self, rate: RateLimit) -> None:
        with self._pump.lock, self._pump.motion:
            left = rate.take(time.monotonic())
            if left > 0 and not self._pump.closed:
                self._pump.wait(lambda: self.engine.closed or self.engine.session.error is not None, left)

    def _check(self) -> None:
        engine = self.engine
        if engine.closed:
            if engine.error is not None:
                raise engine.error.again()
            raise ClosedError("the consumer is closed")
        engine.session.check_open()
        if self._pump.closed:
            raise ClosedError("the connection is closed")

    def messages(self, timeout: float | None = None) -> Iterator[CoreMessage]:
        """Iterate over messages until none came for `timeout` seconds, or the consumer is closed.

        Only time with a connection counts: an outage is no empty queue, so it does not end the iteration.

        Raises:
            OutageTimeout: The connection was not back within callFailoverTimeout.
            ReconnectGaveUp: No attempts are left.
        """
        while True:
            try:
                message = self.next_within(timeout, self.receive)
            except ClosedError:
                return
            if message is None:
                return
            yield message

    def next_within(self, limit: float | None, receive: Callable[[float | None], M | None]) -> M | None:
        """Call `receive(seconds)` until it returns a message, or the session was usable for `limit` seconds meanwhile.

        Raises:
            OutageTimeout: The connection was not back within callFailoverTimeout.
            ReconnectGaveUp: No attempts are left.
        """
        if limit is None or limit == 0:
            return receive(limit)
        calls = self._calls
        begun = calls.usable_seconds()
        left = limit
        while True:
            message = receive(left)
            if message is not None:
                return message
            if self.is_closed:
                self._check()  # a give-up is no end of the messages
                return None
            if self._drained:
                return None
            left = limit - (calls.usable_seconds() - begun)
            if left <= 0:
                return None
            calls.until_usable()

    def __iter__(self) -> Iterator[CoreMessage]:
        return self.messages()

    # --- a handler ------------------------------------------------------------------------------------------------

    @property
    def message_handler(self) -> MessageHandler | None:
        """Called with each message, one at a time for the session, on a thread of the dispatcher."""
        return self._handler

    @message_handler.setter
    def message_handler(self, handler: MessageHandler | None) -> None:
        call("message_handler", handler)
        with self._pump.lock, self._pump.motion:
            self._check()
            self._handler = handler
            self.engine.has_listener = handler is not None
            if handler is None:
                _listening.discard(self)
            else:
                _listening.add(self)
            if handler is not None:
                self.engine.ask_for_one()
                self.engine.session.work_ready()
                self._pump.process()
            elif self.engine.withdraw() is not None:
                self._pump.process()

    def stop_listening(self) -> None:
        """No further call of the handler begins."""
        self.engine.has_listener = False
        self._handler = None
        _listening.discard(self)

    @property
    def may_call(self) -> bool:
        """Is a call of the handler due, or a request for a message, when the session starts (lock held)?"""
        return bool(self.engine.buffer) or (self._handler is not None and self.engine.window == 0)

    def next_call(self) -> Callable[[], None] | None:
        """The next call of the handler, or None (lock held)."""
        handler = self._handler
        engine = self.engine
        if handler is None:
            return None
        if engine.reading.message is not None:  # the last call has returned
            engine.reading.go_on()
            self._pump.after_submit()
        message = engine.take()
        if message is None:
            if engine.window == 0:  # not before the last call has returned: an idle consumer is to get the next one
                engine.ask_for_one()
                self._pump.after_submit()
            return None
        rate = self._rate
        if rate is None:
            return lambda: _discard(handler(message))

        def in_its_place() -> None:
            self._wait_for_place(rate)
            handler(message)

        return in_its_place

    # --- acknowledging --------------------------------------------------------------------------------------------

    def acknowledge(self, message: CoreMessage) -> None:
        """Acknowledge every message delivered up to this one, on the wire when ackBatchSize is reached.

        Late acknowledgements, of messages that an earlier session generation delivered, are dropped: those messages
        come again, and are acknowledged then without being seen twice.

        Raises:
            OutcomeUnknown: With blockOnAcknowledge: the session was lost before the broker confirmed it; the messages
                may come again, so go on receiving.
        """
        self._acknowledge(message, individual=False)

    def acknowledge_at_close(self, message: CoreMessage) -> None:
        """Acknowledge as `acknowledge` does, without waiting: what closes next waits for it."""
        engine = self.engine
        session = engine.session
        with self._pump.lock:
            if engine.closed or session.closing or session.state is State.CLOSED:
                return
            if session.transacted_acks:
                session.transaction.acked()
            engine.acknowledge(message)
            self._pump.after_submit()

    def acknowledge_late(self, message: CoreMessage) -> None:
        """`acknowledge` raised OutcomeUnknown, and the application goes on as if it had not: when the message comes
        again, it is acknowledged again without being seen."""
        with self._pump.lock, self._pump.motion:
            self.engine.settle_taken(message, cumulative=True)

    def individual_acknowledge(self, message: CoreMessage) -> None:
        """Acknowledge this message only."""
        self._acknowledge(message, individual=True)

    def _acknowledge(self, message: CoreMessage, *, individual: bool) -> None:
        instance("message", message, CoreMessage)
        engine = self.engine
        session = engine.session
        pump = self._pump
        with pump.lock:
            if session.state is not ATTACHED or session.closing:
                session.check_open()
            buffer = session.buffer
            if pump.moving or self._block_on_acknowledge or (buffer.used >= buffer.limit and session.windowed):
                with pump.motion:
                    self._acknowledge_slowly(message, individual=individual)
                return
            pump.moving = True
            try:
                if session.transacted_acks:
                    session.transaction.acked()
                if individual:
                    engine.individual_acknowledge(message)
                else:
                    engine.acknowledge(message)
                if session.client.pending_bytes:
                    pump.after_submit()
            except BaseException:
                pump.settle()
                raise
            pump.moving = False

    def _acknowledge_slowly(self, message: CoreMessage, *, individual: bool) -> None:
        session = self.engine.session
        if session.windowed and session.buffer.full:
            self._calls.room()
        if session.transacted_acks:
            session.transaction.acked()
        if self._block_on_acknowledge:
            self._acknowledge_and_wait(message, individual=individual)
        elif individual:
            self.engine.individual_acknowledge(message)
        else:
            self.engine.acknowledge(message)
        if session.client.pending_bytes:
            self._pump.after_submit()

    def _acknowledge_and_wait(self, message: CoreMessage, *, individual: bool) -> None:
        engine = self.engine
        session = engine.session
        late = self._came_before_the_loss(message)
        if not engine.settle_taken(message, cumulative=not individual, told=True):
            if late and not session.transacted_acks:  # in a transaction `commit` says it
                raise OutcomeUnknown("the session was lost since the message came; it comes again")
            return
        kind = IndividualAcknowledge if individual else Acknowledge
        request: Request = session.submit(session.request_of(kind(engine.id, message.message_id, True)))
        self._calls.outcome(request)

    def _came_before_the_loss(self, message: CoreMessage) -> bool:
        origin = message.origin
        return origin is not None and origin.consumer is self.engine and origin.epoch != self.engine.session.epoch

    def put_back(self, message: CoreMessage) -> None:
        """What was taken last and is not acknowledged will be received again, as if it had not been."""
        with self._pump.lock, self._pump.motion:
            self.engine.put_back(message)

    def holds(self, message: CoreMessage) -> bool:
        """True if the application holds a message of this consumer: acknowledging it is no news of a lost session."""
        with self._pump.lock:
            return self.engine.holds(message)

    def expire(self, message: CoreMessage) -> None:
        """Tell the broker that a message was too old when it came: it goes where expired messages go."""
        engine = self.engine
        session = engine.session
        with self._pump.lock, self._pump.motion:
            session.check_open()
            if session.windowed and session.buffer.full:
                self._calls.room()
            if engine.settle_taken(message, cumulative=False, told=True, acknowledges=False):
                session.command(session.encode(Expired(engine.id, message.message_id)))
                self._pump.after_submit()

    def flush_acknowledgements(self) -> None:
        """Send what was acknowledged and waits for its batch."""
        with self._pump.lock, self._pump.motion:
            self.engine.session.check_open()
            self.engine.flush_acknowledgements()
            self._pump.process()

    # --- large bodies (called by messages) ------------------------------------------------------------------------

    def read_whole(self, message: CoreMessage) -> bytes:
        """The whole body of a large message."""
        settings = self.session.settings
        if settings.cache_large_messages_client:
            kept = self._kept(message)
            if 0 < settings.max_large_message_size < kept.size:
                raise LargeMessageError(
                    f"the body of {kept.size} bytes is larger than maxLargeMessageSize"
                    f"={settings.max_large_message_size} bytes: read it piece by piece instead"
                )
            with kept.open() as file:
                return file.read()
        self._check_unread(message)
        return read_whole(self._pump, self._calls, message, settings.max_large_message_size)

    @staticmethod
    def _check_unread(message: CoreMessage) -> None:
        """The rest of a body must not pass for all of it."""
        stream = message.stream
        if stream.begun and stream.error is None and not stream.discarded:
            raise LargeMessageError("a part of the body was read already, and is not kept: it can be read once")

    def _kept(self, message: CoreMessage) -> KeptBody:
        """The body in a temporary file, where it is received when it is first asked for."""
        kept = message.stream.kept
        if kept is None:
            kept = message.stream.kept = KeptBody(whole_pieces(self._pump, self._calls, message))
        assert isinstance(kept, KeptBody)
        return kept

    def inflate(self, message: CoreMessage, body: bytes) -> bytes:
        """The compressed body of a message that came in one frame."""
        return inflate(body, self.session.settings.max_large_message_size, announced_size(message))

    def open_body(self, message: CoreMessage) -> BinaryIO:
        """The body of a large message as a file: read once and forwards, or whole, from a temporary file, with
        cacheLargeMessagesClient."""
        if self.session.settings.cache_large_messages_client:
            return self._kept(message).open()
        self._check_unread(message)
        return BodyReader(inflated(self._pump, self._calls, message))

    # --- closing --------------------------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Closed, itself or what it belongs to."""
        return self.engine.closed or self.session.is_closed

    def abandon(self) -> None:
        """Close the consumer with nobody waiting for it: an interrupt came before its user got it."""
        self.session.abandon_consumer(self.engine)

    @property
    def is_active(self) -> bool:
        """Is it on the server now, as far as we know?"""
        return not self.is_closed and self.engine.session.usable

    def close(self) -> None:
        """Close the consumer; what it did not acknowledge goes to others. A blocked `receive` raises ClosedError.

        Waits until its acknowledgements are confirmed, closeTimeout at most in an outage. With none under way it waits
        no longer than a moment there: the broker hears of it when the connection is back.

        Raises:
            UnsettledError: Acknowledgements were not confirmed in time. They still are when the connection is back,
                unless the session is closed before.
        """
        if self._pump.forked:
            return  # the parent goes on using it
        with self._pump.lock, self._pump.motion:
            engine = self.engine
            request = (
                self.begin_closing() or engine.farewell
            )  # that one, should an interrupt have ended an earlier call
            if request is None or request.done or engine.session.state is State.CLOSED or self._pump.closed:
                return
            patience = self.session.factory.patience
            try:
                if not self._calls.closed(request, lambda: engine.owes_acknowledgements, patience.limit()):
                    patience.ran_out()
                    left = Unsettled(acknowledgements=engine.acknowledgements_owed)
                    error = report(repr(self), left, engine.session.client.last_error)
                    if error is not None:
                        raise error
            except ConnectionLost:
                pass  # nothing is left to close
            finally:
                self._pump.notify()

    def close_with_session(self, queue: str | None) -> None:
        """Begin to close the consumer, and to delete the queue that ends with it, if any; the session closes next."""
        with self._pump.lock, self._pump.motion:
            request = self.begin_closing()
            if request is not None and queue is not None and not self._pump.closed:
                session = self.engine.session
                session.submit(session.request_of(DeleteQueue(queue)))
                self._pump.process()

    def begin_closing(self) -> Request | None:
        """Take nothing more and have the server close the consumer once its acknowledgements are settled (lock held).

        Returns the request, or None when there is nothing to wait for: it is closed, or its session is.
        """
        engine = self.engine
        session = engine.session
        self.stop_listening()
        if engine.closed:
            return None
        engine.flush_acknowledgements()
        engine.buffer.clear()  # what waits there is not ours any more
        self.session.forget_consumer(engine.id)
        engine.reading.fail(ClosedError("the consumer is closed"))
        if session.state.value == "closed" or self._pump.closed:
            engine.closed = True
            session.consumers.pop(engine.id, None)
            self._pump.notify()
            return None
        request = session.close_consumer(engine)
        self._pump.process()
        return request

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<ClientConsumer {self.engine.queue}{' closed' if self.is_closed else ''}>"


_listening: set[ClientConsumer] = set()
"""Consumers with a handler: with their connection they go on although nobody else has them."""


def _discard(_: object) -> None:
    """A handler's result is of no use."""
