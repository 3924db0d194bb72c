"""The simplified API (jakarta.jms.JMSContext): a connection and one session in one object.

Law of this file: what a context does is what its session does, with the same errors; contexts made from one another
share a connection, which ends with the last of them; a closed context refuses everything.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from activeclient.client.closing import leave
from activeclient.client.dropped import warn_dropped
from activeclient.destination import Destination, Queue, Topic
from activeclient.errors import ClosedError, UnsettledError
from activeclient.java_names import Sealed
from activeclient.jms.connection import Connection, ExceptionListener, acknowledge_mode
from activeclient.jms.context_consumer import JMSConsumer
from activeclient.jms.context_producer import JMSProducer
from activeclient.jms.message import Message
from activeclient.jms.message_factory import MessageFactory
from activeclient.jms.modes import AcknowledgeMode
from activeclient.jms.producer import MessageProducer
from activeclient.masking import never_raises

if TYPE_CHECKING:
    from activeclient.jms.browser import QueueBrowser
    from activeclient.jms.consumer import MessageConsumer
    from activeclient.jms.metadata import ConnectionMetaData
    from activeclient.jms.serializers import Serializer, Serializers
    from activeclient.jms.session import Session
    from activeclient.jms.temporary import OwnTemporaryQueue, OwnTemporaryTopic
    from activeclient.jms.times import Duration
    from activeclient.jms.typed import K


class _Shared:
    """A connection and the number of contexts on it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._contexts = 0
        self._lock = threading.Lock()

    def join(self) -> None:
        with self._lock:
            self._contexts += 1

    def leave(self) -> bool:
        """Was it the last?"""
        with self._lock:
            self._contexts -= 1
            return self._contexts == 0


class JMSContext(MessageFactory, Sealed):
    """A connection with one session. For one thread at a time, `close` excepted.

    Made by `ActiveMQConnectionFactory.create_context`, and by `create_context` of another one, which then shares its
    connection. A context manager: leaving it closes it.
    """

    auto_start: bool
    """Start the connection when the first consumer or browser is made."""

    def __init__(self, shared: _Shared, mode: AcknowledgeMode) -> None:
        self._session: Session | None = None
        self._closed = False
        self._shared = shared  # behind those: an interrupt may leave the rest out, and `__del__` finds them
        self._mode = mode
        self._closing = threading.Lock()
        self._producers: dict[tuple[bool, bool], MessageProducer] = {}
        self._last: Message | None = None
        self.auto_start = True
        shared.join()

    @classmethod
    def of(cls, connection: Connection, mode: int = AcknowledgeMode.SESSION_TRANSACTED) -> Self:
        """A context that owns `connection` (called by factories)."""
        return cls(_Shared(connection), acknowledge_mode(mode))

    def create_context(self, mode: int = AcknowledgeMode.AUTO_ACKNOWLEDGE) -> JMSContext:
        """Another context, with a session of its own, on the same connection.

        Raises:
            JMSError: No such mode.
        """
        self.check_open()
        return JMSContext(self._shared, acknowledge_mode(mode))

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def connection(self) -> Connection:
        """The connection below."""
        return self._shared.connection

    @property
    def is_connected(self) -> bool:
        """As `Connection.is_connected`."""
        return not self._closed and self.connection.is_connected

    def wait_until_connected(self, timeout: Duration | None = None) -> None:
        """As `Connection.wait_until_connected`."""
        self.check_open()
        self.connection.wait_until_connected(timeout)

    @property
    def session(self) -> Session:
        """The session below; made when it is first needed, so that a client id can be set before."""
        self.check_open()
        if self._session is None:
            made = self._new_session()
            with self._closing:
                if not self._closed:
                    self._session = made
                    return made
            made.close()  # of a context that another thread has closed meanwhile
            raise ClosedError("the context is closed")
        return self._session

    def _new_session(self) -> Session:
        return self.connection.create_session(self._mode)

    @property
    def serializers(self) -> Serializers:
        """By which the objects of its object messages become bytes and back; those of the connection, unless set."""
        return self.session.serializers

    @serializers.setter
    def serializers(self, value: Serializers | Iterable[Serializer]) -> None:
        self.session.serializers = value

    @property
    def session_mode(self) -> AcknowledgeMode:
        """Who acknowledges, and when."""
        return self._mode

    @property
    def transacted(self) -> bool:
        """Is the mode SESSION_TRANSACTED?"""
        return self._mode is AcknowledgeMode.SESSION_TRANSACTED

    @property
    def client_id(self) -> str | None:
        """Names the connection among those of all clients; see `Connection.client_id`."""
        return self.connection.client_id

    @client_id.setter
    def client_id(self, value: str) -> None:
        self.check_open()
        self.connection.client_id = value

    @property
    def exception_listener(self) -> ExceptionListener | None:
        """Called when an outage has ended; see `Connection.exception_listener`."""
        return self.connection.exception_listener

    @exception_listener.setter
    def exception_listener(self, listener: ExceptionListener | None) -> None:
        self.check_open()
        self.connection.exception_listener = listener

    @property
    def metadata(self) -> ConnectionMetaData:
        """The API's version and its provider."""
        self.check_open()
        return self.connection.metadata

    @property
    def is_closed(self) -> bool:
        """Closed, or its connection given up."""
        return self._closed or self.connection.is_closed

    def check_open(self) -> None:
        """Raise ClosedError when its user has closed it, else what ended it: ReconnectGaveUp, ForkedError."""
        if self._closed:
            raise ClosedError("the context is closed")
        if self._session is not None:
            self._session.check_open()
        else:
            self.connection.check_open()

    # --- destinations ---------------------------------------------------------------------------------------------

    def create_queue(self, name: str) -> Queue:
        """The queue of this name, with attributes behind `?` perhaps. Nothing is asked or created yet."""
        return self.session.create_queue(name)

    def create_topic(self, name: str) -> Topic:
        """The topic of this name. Nothing is asked or created yet."""
        return self.session.create_topic(name)

    def create_temporary_queue(self) -> OwnTemporaryQueue:
        """A queue that lives as long as the connection; others may send to it."""
        return self.session.create_temporary_queue()

    def create_temporary_topic(self) -> OwnTemporaryTopic:
        """A topic that lives as long as the connection; others may publish to it."""
        return self.session.create_temporary_topic()

    # --- producers, consumers, browsers ---------------------------------------------------------------------------

    def create_producer(self) -> JMSProducer:
        """A producer; each send names its destination. As many as one likes: they cost nothing."""
        self.check_open()
        return JMSProducer(self)

    def producer_for(self, *, disable_id: bool, disable_timestamp: bool) -> MessageProducer:
        """The producer that does the sending for all of this context's (called by them)."""
        key = (disable_id, disable_timestamp)
        producer = self._producers.get(key)
        if producer is None:
            producer = self._producers[key] = self.session.create_producer()
            producer.disable_message_id, producer.disable_message_timestamp = key
        return producer

    def create_consumer(
        self,
        destination: Destination,
        selector: str | None = None,
        *,
        no_local: bool = False,
        window_size: int | None = None,
        kind: type[K] = Message,  # type: ignore[assignment]  # the default of K, which mypy does not see here
    ) -> JMSConsumer[K]:
        """As `Session.create_consumer`."""
        made = self.session.create_consumer(
            destination, selector, no_local=no_local, window_size=window_size, kind=kind
        )
        return self._consumer(made)

    def create_durable_consumer(
        self,
        topic: Topic,
        name: str,
        selector: str | None = None,
        *,
        no_local: bool = False,
        window_size: int | None = None,
        replace: bool = True,
        kind: type[K] = Message,  # type: ignore[assignment]
    ) -> JMSConsumer[K]:
        """As `Session.create_durable_consumer`."""
        made = self.session.create_durable_consumer(
            topic, name, selector, no_local=no_local, window_size=window_size, replace=replace, kind=kind
        )
        return self._consumer(made)

    def create_shared_consumer(
        self,
        topic: Topic,
        name: str,
        selector: str | None = None,
        *,
        window_size: int | None = None,
        kind: type[K] = Message,  # type: ignore[assignment]
    ) -> JMSConsumer[K]:
        """As `Session.create_shared_consumer`."""
        made = self.session.create_shared_consumer(topic, name, selector, window_size=window_size, kind=kind)
        return self._consumer(made)

    def create_shared_durable_consumer(
        self,
        topic: Topic,
        name: str,
        selector: str | None = None,
        *,
        window_size: int | None = None,
        replace: bool = True,
        kind: type[K] = Message,  # type: ignore[assignment]
    ) -> JMSConsumer[K]:
        """As `Session.create_shared_durable_consumer`."""
        made = self.session.create_shared_durable_consumer(
            topic, name, selector, window_size=window_size, replace=replace, kind=kind
        )
        return self._consumer(made)

    def _consumer(self, made: MessageConsumer[K]) -> JMSConsumer[K]:
        try:
            self._start_if_wanted()
            return JMSConsumer(self, made)
        except BaseException:
            made.abandon()
            raise

    def _start_if_wanted(self) -> None:
        if self.auto_start:
            self.connection.start()

    def unsubscribe(self, name: str) -> None:
        """As `Session.unsubscribe`."""
        self.session.unsubscribe(name)

    def create_browser(self, queue: Queue, selector: str | None = None) -> QueueBrowser:
        """As `Session.create_browser`."""
        browser = self.session.create_browser(queue, selector)
        self._start_if_wanted()
        return browser

    # --- acknowledging, transactions ------------------------------------------------------------------------------

    def handed_out(self, message: Message) -> None:
        """A consumer has given this message to the application (called by it)."""
        self._last = message

    def acknowledge(self) -> None:
        """Acknowledge what was received: in CLIENT mode all of it, in INDIVIDUAL mode the last message; nothing in
        others.

        Raises:
            IllegalStateError: The context is closed.
            TransactionRolledBackError: The session was recreated since: the messages come again.
        """
        self.check_open()
        if self._last is not None:
            self._last.acknowledge()

    def commit(self) -> None:
        """As `Session.commit`."""
        self.session.commit()

    def rollback(self) -> None:
        """As `Session.rollback`."""
        self.session.rollback()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Self]:
        """Commit at the end of the block, or roll back when it raises."""
        with self.session.transaction():
            yield self

    def recover(self) -> None:
        """As `Session.recover`."""
        self.session.recover()

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to deliver messages, to all contexts of the connection."""
        self.check_open()
        self.connection.start()
        return self

    def stop(self) -> None:
        """Pause deliveries to all contexts of the connection; returns when no listener runs.

        Raises:
            IllegalStateError: A listener of this connection calls.
        """
        self.check_open()
        self.connection.stop()

    def close(self) -> None:
        """Close the session, and with the last context the connection; see `Session.close` and `Connection.close`.

        Raises:
            IllegalStateError: A listener of this context calls.
            UnsettledError: Something could not be settled; the context is closed all the same.
        """
        if self.connection.factory.is_forked:
            return  # the parent goes on using it
        session = self._session
        if session is not None and not self._closed:
            session.check_may_close("close")
        with self._closing:
            if self._closed:
                return
            session = self._session
            failures: list[UnsettledError] = []
            try:
                if session is not None:
                    session.close()
            except UnsettledError as failure:
                failures.append(failure)
            self._closed = True
            self._last = None
            self._producers.clear()
        if self._shared.leave():
            try:
                self.connection.close()
            except UnsettledError as failure:
                failures.append(failure)
        if failures:
            raise failures[0] if len(failures) == 1 else UnsettledError.of("the context", failures)

    def __del__(self) -> None:
        shared = self.__dict__.get("_shared")
        if shared is None or self._closed:
            return
        # The connection and the session are closed by their own finalizers, without a warning of their own: the
        # application has made neither.
        if self._session is not None:
            self._session._dropped = True
        shared.connection._dropped = shared.leave()
        if not shared.connection.is_closed:
            warn_dropped(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._mode.name} {'closed' if self.is_closed else self.connection!r}>"
