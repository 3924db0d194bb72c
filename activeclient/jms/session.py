"""One thread of control for sending and receiving (jakarta.jms.Session).

Law of this file: the mode decides what a core session commits by itself and in which batches, as in Artemis' client
(ActiveMQConnection.createSessionInternal); `acknowledge`, `commit` and `rollback` return when the broker has answered.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from cachetools import LRUCache

from activeclient.client.closing import leave
from activeclient.client.dropped import close_dropped
from activeclient.client.session import ClientSession
from activeclient.destination import Destination, Queue, Topic
from activeclient.drivers import dispatch
from activeclient.errors import (
    ClosedError,
    IllegalStateError,
    InvalidDestinationError,
    TransactionRolledBackError,
)
from activeclient.java_names import JavaNames
from activeclient.jms import subscriptions
from activeclient.jms.addressing import MAX_KNOWN, Known, usable
from activeclient.jms.browser import QueueBrowser
from activeclient.jms.completions import Completions
from activeclient.jms.consumer import MessageConsumer
from activeclient.jms.kinds import consumer_kind
from activeclient.jms.message import Message
from activeclient.jms.message_factory import MessageFactory
from activeclient.jms.modes import AcknowledgeMode
from activeclient.jms.producer import MessageProducer
from activeclient.jms.selector import core_filter, without_own
from activeclient.jms.serializers import SerializersAttribute
from activeclient.jms.temporary import OwnTemporaryQueue, OwnTemporaryTopic
from activeclient.jms.typed import K
from activeclient.masking import never_raises
from activeclient.server_code import ServerCode

if TYPE_CHECKING:
    from activeclient.client.management import Management
    from activeclient.jms.connection import Connection
    from activeclient.jms.times import Duration
    from activeclient.wire.packets import CreateSharedQueue

D = TypeVar("D", Queue, Topic)


class Session(MessageFactory, JavaNames):
    """A session of a connection. For one thread at a time, `close` excepted. Made by `Connection.create_session`.

    A context manager: leaving it closes it, and so rolls back an open transaction.
    """

    serializers = SerializersAttribute()
    """Those of its connection, unless set. Declared here: pyright takes an assignment in `__init__` for one."""

    def __init__(self, connection: Connection, mode: AcknowledgeMode, core: ClientSession, known: Known) -> None:
        self._closed = False  # these two before `core`: an interrupt may leave the rest out, and `__del__` finds those
        self._dropped = False
        """Has its owner, which was dropped, warned of it?"""
        self._connection = connection
        self._mode = mode
        self.core = core
        """The core session below: for what JMS does not have."""
        self.known = known
        self.connection_tag: str = connection.tag
        self.serializers = connection.serializers
        self.close_timeout: float = core.settings.on_message_close_timeout / 1000
        self.recovered: bool = False
        """Did the running listener, or its failure, recover the session?"""
        cached = core.settings.cache_destinations
        self._destinations: LRUCache[tuple[type, str], Destination] | None = LRUCache(MAX_KNOWN) if cached else None
        self._closed_with_connection = False
        callbacks = core.callbacks
        self.completions: Completions = Completions(lambda: dispatch.current().running_in_current_thread(callbacks))
        self._consumers: set[MessageConsumer] = set()
        self._browsers: set[QueueBrowser] = set()
        self._closing = threading.Lock()

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def acknowledge_mode(self) -> AcknowledgeMode:
        """Who acknowledges, and when."""
        return self._mode

    @property
    def transacted(self) -> bool:
        """Is the mode SESSION_TRANSACTED?"""
        return self._mode is AcknowledgeMode.SESSION_TRANSACTED

    @property
    def is_closed(self) -> bool:
        """Closed, itself or its connection, or lost with it."""
        return self._closed or self.core.is_closed

    @property
    def is_started(self) -> bool:
        """Are messages delivered?"""
        return self._connection.is_started

    @property
    def in_callback(self) -> bool:
        """Is the caller a listener of this session, of messages or completions?"""
        return dispatch.current().running_in_current_thread(self.core.callbacks)

    def check_open(self) -> None:
        """Raise ClosedError when its user has closed it, or its connection; else what ended it: ReconnectGaveUp,
        ForkedError."""
        closed = self.closed_by_user
        if closed is not None:
            raise ClosedError(closed)
        self.core.engine.check_open()

    @property
    def closed_by_user(self) -> str | None:
        """What its user has closed, it or its connection, in words; None: neither."""
        if not self._closed:
            return None
        return "the session is closed" + (": its connection was closed" if self._closed_with_connection else "")

    @property
    def is_forked(self) -> bool:
        """Does it belong to a parent process?"""
        return self.core.pump.forked

    # --- destinations ---------------------------------------------------------------------------------------------

    def create_queue(self, name: str) -> Queue:
        """The queue of this name, with attributes behind `?` perhaps. Nothing is asked or created yet."""
        self.check_open()
        return self._destination(Queue, f"jms.queue.{name}" if self.core.settings.enable_1x_prefixes else name)

    def create_topic(self, name: str) -> Topic:
        """The topic of this name. Nothing is asked or created yet."""
        self.check_open()
        return self._destination(Topic, f"jms.topic.{name}" if self.core.settings.enable_1x_prefixes else name)

    def _destination(self, kind: type[D], name: str) -> D:
        """A destination; of one name always the same object with cacheDestinations."""
        made = self._destinations.get((kind, name)) if self._destinations is not None else None
        if not isinstance(made, kind):
            made = kind(name)
            if self._destinations is not None:
                self._destinations[kind, name] = made
        return made

    def create_temporary_queue(self) -> OwnTemporaryQueue:
        """A queue that lives as long as the connection; others may send to it."""
        self.check_open()
        return self._connection.new_temporary_queue()

    def create_temporary_topic(self) -> OwnTemporaryTopic:
        """A topic that lives as long as the connection; others may publish to it."""
        self.check_open()
        return self._connection.new_temporary_topic()

    # --- producers, consumers, browsers ---------------------------------------------------------------------------

    def create_producer(self, destination: Destination | None = None) -> MessageProducer:
        """A producer; without a destination, each send names one.

        Raises:
            InvalidDestinationError: It does not exist and the broker creates none, or it is of the other kind.
        """
        self.check_open()
        if destination is not None:
            self.known.for_sending(self.core, usable(destination, "a producer"))
        return MessageProducer(self, destination)

    def create_consumer(
        self,
        destination: Destination,
        selector: str | None = None,
        *,
        no_local: bool = False,
        window_size: int | None = None,
        kind: type[K] = Message,  # type: ignore[assignment]  # the default of K, which mypy does not see here
    ) -> MessageConsumer[K]:
        """A consumer of a queue, or of a topic: a subscription that begins now and ends with the consumer.

        Args:
            selector: Only messages that match, in JMS's selector language; blank: all.
            no_local: Leave out what this connection sends.
            window_size: Bytes of prefetch instead of consumerWindowSize; 0 none.
            kind: The class of the messages that are expected, `TextMessage` for example: the consumer is typed by it,
                and does not hand out others (see `MessageConsumer`).

        Raises:
            InvalidDestinationError: None, or it does not exist and the broker creates none; another connection's
                temporary one.
            InvalidSelectorError: It is no selector: nothing was sent, and `offset`, `line`, `column` say where. Or the
                broker refuses it.
        """
        self.check_open()
        wanted = self._filter(selector, no_local=no_local)
        to = usable(destination, "a consumer")
        if to.temporary and not self._connection.owns(to):
            raise InvalidDestinationError(f"{to}: only the connection that made it may consume from it")
        if isinstance(to, Topic) and to.queue_name is None:
            queue = str(uuid.uuid4())
            try:
                subscriptions.for_one_consumer(self.core, to, queue, wanted)
                return self._consumer(queue, None, to, selector, kind, no_local=no_local, window=window_size, ends=True)
            except BaseException:
                self.core.delete_abandoned_queue(queue)  # what went wrong first is told
                raise
        queue = to.queue_name or to.address
        self.known.for_receiving(self.core, to, queue)
        return self._consumer(queue, wanted, to, selector, kind, no_local=no_local, window=window_size)

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
    ) -> MessageConsumer[K]:
        """A consumer of a durable subscription, which keeps messages while nobody consumes from it (unshared).

        With another topic, selector or `no_local` than before the subscription begins anew, without its backlog.

        Args:
            name: The subscription's, among those of the connection's client id.
            replace: False: raise instead of beginning it anew.

        Raises:
            IllegalStateError: The connection has no client id; the subscription has a consumer already, or is shared.
            InvalidDestinationError: No topic, or a temporary one.
            InvalidSelectorError: It is no selector, or the broker refuses it.
        """
        to, queue = self._subscription(topic, name, durable=True)
        if self._connection.client_id is None:
            raise IllegalStateError(f"subscription {name!r}: durable and unshared, it needs a client id")
        wanted = self._filter(selector, no_local=no_local)
        subscriptions.for_durable(self.core, to, queue, wanted, replace=replace)
        return self._consumer(queue, None, to, selector, kind, no_local=no_local, window=window_size)

    def create_shared_consumer(
        self,
        topic: Topic,
        name: str,
        selector: str | None = None,
        *,
        window_size: int | None = None,
        kind: type[K] = Message,  # type: ignore[assignment]
    ) -> MessageConsumer[K]:
        """A consumer of a subscription that several share: each message goes to one of them. It ends with the last.

        Args:
            name: The subscription's, among those of the connection's client id, or of all without one.

        Raises:
            IllegalStateError: It has consumers with another topic or selector.
            InvalidDestinationError: No topic, or a temporary one.
            InvalidSelectorError: It is no selector, or the broker refuses it.
        """
        return self._shared(topic, name, selector, window_size, kind, durable=False, replace=True)

    def create_shared_durable_consumer(
        self,
        topic: Topic,
        name: str,
        selector: str | None = None,
        *,
        window_size: int | None = None,
        replace: bool = True,
        kind: type[K] = Message,  # type: ignore[assignment]
    ) -> MessageConsumer[K]:
        """As `create_shared_consumer`, with a subscription that stays until `unsubscribe`.

        With another topic or selector than before, and no consumer, it begins anew, without its backlog.

        Args:
            replace: False: raise instead of beginning it anew.

        Raises:
            IllegalStateError: It has consumers with another topic or selector; a durable subscription of this name
                is not shared.
        """
        return self._shared(topic, name, selector, window_size, kind, durable=True, replace=replace)

    def _shared(
        self,
        topic: Topic,
        name: str,
        selector: str | None,
        window: int | None,
        kind: type[K],
        *,
        durable: bool,
        replace: bool,
    ) -> MessageConsumer[K]:
        to, queue = self._subscription(topic, name, durable=durable)
        wanted = self._filter(selector, no_local=False)
        packet = subscriptions.for_shared(self.core, to, queue, wanted, durable=durable, replace=replace)
        made_by = None if durable else packet
        return self._consumer(queue, None, to, selector, kind, no_local=False, window=window, made_by=made_by)

    def _subscription(self, topic: Topic, name: str, *, durable: bool) -> tuple[Topic, str]:
        self.check_open()
        to = usable(topic, "a subscription")
        if not isinstance(to, Topic):
            raise InvalidDestinationError(f"only topics have subscriptions, not {to}")
        queue = subscriptions.subscription_queue(name, self._connection.client_id, durable=durable)
        return subscriptions.subscribable(to, name), queue

    def _filter(self, selector: str | None, *, no_local: bool) -> str | None:
        filter_string = core_filter(selector)
        return without_own(filter_string, self.connection_tag) if no_local else filter_string

    def _consumer(
        self,
        queue: str,
        filter_string: str | None,
        to: Destination,
        selector: str | None,
        kind: type[K],
        *,
        no_local: bool,
        window: int | None,
        ends: bool = False,
        made_by: CreateSharedQueue | None = None,
    ) -> MessageConsumer[K]:
        expected = consumer_kind(kind)
        core = self.core.create_consumer(
            queue, filter_string, window_size=window, priority=to.consumer_priority, queue_packet=made_by
        )
        consumer = None
        try:
            consumer = MessageConsumer(
                self,
                core,
                to,
                selector if selector and selector.strip() else None,
                no_local=no_local,
                subscription=queue if ends else None,
                kind=expected,
            )
            self._consumers.add(consumer)
            return consumer
        except BaseException:
            if consumer is not None:
                self._consumers.discard(consumer)
            core.abandon()
            raise

    def unsubscribe(self, name: str) -> None:
        """End a durable subscription, shared or not, with what waits in it.

        Raises:
            InvalidDestinationError: There is none of this name for the connection's client id.
            IllegalStateError: It has consumers.
        """
        self.check_open()
        queue = subscriptions.subscription_queue(name, self._connection.client_id, durable=True)
        subscriptions.unsubscribe(self.core, queue, name)

    def consumes_from(self, destination: Destination) -> bool:
        """Has it an open consumer of `destination`?"""
        return any(consumer.destination == destination for consumer in list(self._consumers))

    def forget_consumer(self, consumer: MessageConsumer) -> None:
        """A consumer was closed (called by it)."""
        self._consumers.discard(consumer)

    def management(self, *, timeout: Duration = 10.0) -> Management:
        """The broker's management, as `Connection.management`."""
        self.check_open()
        return self._connection.management(timeout=timeout)

    def keep_browser(self, browser: QueueBrowser) -> None:
        """A browser looks (called by it): closing the session ends that."""
        self._browsers.add(browser)

    def forget_browser(self, browser: QueueBrowser) -> None:
        """A browser does not look any more (called by it)."""
        self._browsers.discard(browser)

    def create_browser(self, queue: Queue, selector: str | None = None) -> QueueBrowser:
        """Look at a queue without taking anything: iterate over it.

        Raises:
            InvalidDestinationError: It does not exist and the broker creates none.
            InvalidSelectorError: It is no selector: nothing was sent, and `offset`, `line`, `column` say where.
        """
        self.check_open()
        wanted = core_filter(selector)
        if not isinstance(queue, Queue):
            raise InvalidDestinationError(f"only queues can be browsed, not {queue!r}")
        self.known.for_receiving(self.core, queue, queue.queue_name or queue.address)
        return QueueBrowser(self, queue, selector, wanted)

    # --- acknowledging, transactions ------------------------------------------------------------------------------

    def acknowledge(self, message: Message) -> None:
        """`message.acknowledge()` was called."""
        self.check_open()
        if self._mode is AcknowledgeMode.CLIENT_ACKNOWLEDGE:
            self._settle()
            self.core.commit()
        elif self._mode is AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE:
            self._acknowledge_one(message)

    def _acknowledge_one(self, message: Message) -> None:
        core = message.delivered
        owner = core.origin.consumer.owner
        if owner.is_closed or not owner.holds(core):
            raise TransactionRolledBackError(
                "the session was recreated, or the consumer closed, since the message came: it is delivered again",
                code=ServerCode.TRANSACTION_ROLLED_BACK,
            )
        owner.individual_acknowledge(core)
        self.core.commit()

    def commit(self) -> None:
        """Make what was sent visible, and acknowledge what was received, since the last commit; all or nothing.

        Raises:
            IllegalStateError: The session is not transacted, or a completion listener calls.
            TransactionRolledBackError: Certainly rolled back; the messages come again.
            TransactionOutcomeUnknownError: The session was lost while the commit was on its way.
        """
        self._check_transacted("commit")
        self._settle()
        self.core.commit()
        self.wait_for_completions()

    def rollback(self) -> None:
        """Undo what was sent and received since the last commit; the messages come again, marked redelivered.

        Raises:
            IllegalStateError: The session is not transacted, or a completion listener calls.
        """
        self._check_transacted("roll back")
        self._unsettle()
        self.core.rollback()
        self.wait_for_completions()

    def wait_for_completions(self) -> bool:
        """Let the completion listeners of all sends return; False when they did not in time."""
        patience = self.core.factory.patience
        told = self.completions.wait(patience.limit())
        if not told:
            patience.ran_out()
        return told

    def _settle(self) -> None:
        for consumer in list(self._consumers):
            consumer.settle()

    def _unsettle(self) -> None:
        for consumer in list(self._consumers):
            consumer.unsettle()

    def _check_transacted(self, what: str) -> None:
        self.check_open()
        self.completions.check_not_inside(what)
        if not self.transacted:
            raise IllegalStateError(f"a session in mode {self._mode.name} cannot {what}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Self]:
        """Commit at the end of the block, or roll back when it raises."""
        self._check_transacted("commit")
        try:
            yield self
        except BaseException:
            if not self.is_closed:
                self.rollback()
            raise
        self.commit()

    def recover(self) -> None:
        """Have delivered again, marked redelivered, all that was received and not acknowledged.

        Raises:
            IllegalStateError: The session is transacted: there it is `rollback`.
        """
        self.check_open()
        if self.transacted:
            raise IllegalStateError("a transacted session cannot recover; roll it back")
        if self._mode is AcknowledgeMode.PRE_ACKNOWLEDGE:
            return  # the broker has nothing to deliver again, and what was fetched ahead is here only
        self.recovered = True
        self._unsettle()
        # In CLIENT mode what was received is in the transaction already, in the automatic ones it is one message.
        individual = self._mode is AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE
        self.core.rollback(consider_last_message_as_delivered=True, consider_all_as_delivered=individual)

    # --- closing --------------------------------------------------------------------------------------------------

    def check_may_close(self, what: str) -> None:
        """Raise IllegalStateError when a listener of this session calls: closing would wait for itself."""
        if self.in_callback:
            raise IllegalStateError(f"a listener must not {what} its own session or connection")

    def close(self) -> None:
        """Close the session, once what it has under way is settled; an open transaction is rolled back.

        Waits for a running listener, and while the connection is won back too, closeTimeout at most, for sends and
        acknowledgements to be confirmed; every completion listener has been called when it returns. Ends a blocked
        `receive`. Any thread may call it, but no listener of the session.

        Raises:
            IllegalStateError: A listener of this session calls.
            UnsettledError: Something could not be settled; the session is closed all the same.
        """
        if self.is_forked:
            return  # the parent goes on using it
        self.check_may_close("close")
        with self._closing:
            if self._closed and self.core.is_closed:  # else an interrupt ended the call before
                return
            try:
                for consumer in list(self._consumers):
                    consumer.close_with_session()
                for browser in list(self._browsers):
                    browser.close_with_session()
            finally:
                self._closed = True
                try:
                    self.core.close()
                finally:
                    self._connection.forget_session(self)

    def settle_read_bodies(self) -> None:
        """Acknowledge the streamed messages that are here whole (called before the connection closes)."""
        for consumer in list(self._consumers):
            consumer.settle_read_body()

    def connection_closed(self) -> None:
        """The connection was closed (called by it)."""
        self._closed_with_connection = not self._closed
        self._closed = True

    def __del__(self) -> None:
        core = self.__dict__.get("core")
        if core is None or self._closed:
            return
        if core.factory.dropped or not (core.is_closed or core.pump.closed):
            close_dropped(self, core.close_dropped, warn=not self._dropped)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<Session {self._mode.name} {'closed' if self.is_closed else self.core.state}>"
