"""A session for users of the core API (ClientSession): blocking calls over an engine session.

Law of this file: every call that needs the broker's answer waits by `Calls`; callbacks run on the dispatcher, one at a
time for each session, never under the lock; nothing here knows whether the session was reattached or recreated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from activeclient.client.callbacks import Callbacks
from activeclient.client.calls import NEVER, Calls
from activeclient.client.consumer import ClientConsumer
from activeclient.client.producer import ClientProducer
from activeclient.client.xa_resource import XAResource
from activeclient.drivers import dispatch
from activeclient.engine.consumer import Consumer
from activeclient.engine.requests import Request
from activeclient.engine.session import Session, State
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    ConfigError,
    IllegalStateError,
    TransactionRolledBackError,
)
from activeclient.server_code import ServerCode
from activeclient.wire.message import BYTES, CoreMessage
from activeclient.wire.packet import Packet
from activeclient.wire.packets import (
    AddCountedMetadata,
    BindingQuery,
    BindingQueryResponse,
    Commit,
    CreateAddress,
    CreateQueue,
    CreateSharedQueue,
    DeleteQueue,
    QueueQuery,
    QueueQueryResponse,
    Rollback,
    SessionStart,
    SessionStop,
    UniqueAddMetadata,
)
from activeclient.wire.queue_attributes import QUEUE_ATTRIBUTES

if TYPE_CHECKING:
    from activeclient.client.session_factory import ClientSessionFactory

RoutingType = Literal["ANYCAST", "MULTICAST"]
ROUTING: dict[str, int] = {"MULTICAST": 0, "ANYCAST": 1}
SendHandler = Callable[[CoreMessage, ActiveClientError | None], object]
"""Called as `handler(message, error)`: error is None when the broker has the message."""


class ClientSession(XAResource):
    """A session (ClientSession). Thread-safe, but one thread at a time is the natural use, as in JMS.

    Made by `ClientSessionFactory.create_session`. A context manager: leaving it closes it.
    """

    def __init__(self, factory: ClientSessionFactory, engine: Session, ack_batch_size: int | None) -> None:
        settings = factory.settings
        self.factory = factory
        self.settings = settings
        self.engine = engine
        self.pump = factory.pump
        self.calls = Calls(
            factory.pump,
            engine,
            settings.call_timeout / 1000 if settings.call_timeout > 0 else NEVER,
            settings.call_failover_timeout / 1000,
        )
        self.callbacks = Callbacks(self)
        self.callback_errors = 0
        self.last_callback_error: BaseException | None = None
        self.send_acknowledgement_handler: SendHandler | None = None
        self.large_sender: object | None = None
        self._ack_batch_size = settings.ack_batch_size if ack_batch_size is None else ack_batch_size
        self._consumers: dict[int, ClientConsumer] = {}
        self._producer_ids = 0
        self._turn = 0

    # --- life -----------------------------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Closed by its user, or lost with the connection."""
        return self.engine.closing or self.engine.state is State.CLOSED

    @property
    def state(self) -> str:
        """Where the session is: new, attached, detached, reattaching, settling, recreating, rebuilding, closed."""
        return self.engine.state.value

    @property
    def name(self) -> str:
        """The session's name on the server; another one after a recreation."""
        return self.engine.name

    def start(self) -> Self:
        """Begin deliveries."""
        with self.pump.lock, self.pump.motion:
            self.engine.check_open()
            if not self.engine.started:
                self.engine.started = True
                if self.engine.may_command:
                    self.engine.command(self.engine.encode(SessionStart()))
                if any(consumer.may_call for consumer in self._consumers.values()):
                    self.engine.work_ready()
                self.pump.process()
        return self

    def stop(self) -> None:
        """Pause deliveries; returns when the server has stopped and no listener runs (unless a listener calls)."""
        with self.pump.lock, self.pump.motion:
            self.engine.check_open()
            if not self.engine.started:
                return
            self.engine.started = False
            self._request(SessionStop())
        self._wait_for_callbacks()

    def close(self, timeout: float | None = None) -> None:
        """Close the session: sends before it are on the broker when it returns, unless there is no connection.

        While disconnected it does not wait: when the connection is back, what was sent is settled, and the session is
        closed on the server too.

        Args:
            timeout: Seconds to wait for the broker, after which the session is dropped; default callTimeout.

        A running listener is waited for (onMessageCloseTimeout), except by itself. Never raises for a lost connection.
        """
        engine = self.engine
        pump = self.pump
        for consumer in list(self._consumers.values()):
            consumer.stop_listening()
        self._wait_for_callbacks()
        with pump.lock, pump.motion:
            if engine.state is State.CLOSED or pump.closed:
                self._ended()
                return
            if engine.closing:
                return
            self._flush_acknowledgements()
            request = engine.begin_closing(self._closed)
            self._consumers.clear()
            try:
                limit = self.calls.call_timeout if timeout is None else timeout
                pump.flush()
                pump.notify()
                pump.wait(lambda: request.done or not engine.usable, min(limit, NEVER))
            finally:
                if request.done or engine.usable or timeout is not None:
                    self._ended()
                # Else there is no connection: the closing goes on by itself when it is back.
        self._wait_for_callbacks()  # every send has told its handler when this returns

    def _closed(self, request: Request) -> None:
        """The server has closed the session (called amid its answer)."""
        self.engine.life.end(ClosedError("the session is closed"), self.engine.client.now)
        self.forget_if_idle()

    def _ended(self) -> None:
        self.engine.life.end(ClosedError("the session is closed"), time.monotonic())
        self._consumers.clear()
        if not self.pump.closed:
            self.pump.process()  # the last completions find their session
        self.forget_if_idle()

    def forget_if_idle(self) -> None:
        """A closed session with no callback to come is known no more (lock held)."""
        if self.engine.state is State.CLOSED and not self.engine.work:
            self.factory.forget(self.engine)

    def _wait_for_callbacks(self) -> None:
        dispatcher = dispatch.current()
        if not dispatcher.running_in_current_thread(self.callbacks):
            dispatcher.wait_idle(self.callbacks, self.settings.on_message_close_timeout / 1000)

    # --- requests -------------------------------------------------------------------------------------------------

    def request(self, packet: Packet, *, correlated: bool = False) -> Packet | None:
        """Send a packet that is answered and wait for the answer; None for NULL_RESPONSE.

        Raises:
            JMSError: The broker refused it.
            CallTimeout, OutageTimeout: The limits of `Calls`.
        """
        with self.pump.lock, self.pump.motion:
            return self._request(packet, correlated=correlated).result

    def _request(self, packet: Packet, *, correlated: bool = False) -> Request:
        engine = self.engine
        engine.check_open()
        request = engine.submit(engine.request_of(packet, correlated=correlated))
        self.calls.outcome(request)
        return request

    def create_address(self, address: str, routing_types: list[RoutingType] | None = None) -> None:
        """Create an address; one that exists already is no error.

        Brokers before 2.0 know no addresses without queues: there nothing is done, and it exists with its first queue.
        """
        types = [ROUTING[kind] for kind in routing_types or ["MULTICAST"]]
        if not self.engine.has_routing_types or self.query_address(address).exists:
            return
        self.request(CreateAddress(address, types, True, False))

    def create_queue(
        self,
        address: str,
        name: str | None = None,
        *,
        routing_type: RoutingType = "ANYCAST",
        filter: str | None = None,
        durable: bool = True,
        temporary: bool = False,
        auto_created: bool = False,
        max_consumers: int = -1,
        purge_on_no_consumers: bool = False,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        """Create a queue.

        Args:
            name: Default: the address.
            attributes: Further queue attributes by name: `exclusive`, `last_value`, `ring_size`, ...

        Raises:
            JMSError: It exists (code 101), or is not allowed.
        """
        packet = CreateQueue(
            address=address,
            queue_name=name or address,
            filter_string=filter,
            durable=durable,
            temporary=temporary,
            requires_response=True,
            auto_created=auto_created,
            routing_type=ROUTING[routing_type],
            max_consumers=max_consumers,
            purge_on_no_consumers=purge_on_no_consumers,
        )
        for key, value in (attributes or {}).items():
            if key not in QUEUE_ATTRIBUTES:
                raise ConfigError(key, value, f"is no attribute of a queue; known are {', '.join(QUEUE_ATTRIBUTES)}")
            setattr(packet, key, value)
        self.request(packet)

    def create_shared_queue(
        self,
        address: str,
        name: str,
        *,
        routing_type: RoutingType = "MULTICAST",
        filter: str | None = None,
        durable: bool,
    ) -> None:
        """Create a queue that others may have created alike; an equal one is no error."""
        self.request(
            CreateSharedQueue(
                address=address,
                queue_name=name,
                filter_string=filter,
                durable=durable,
                routing_type=ROUTING[routing_type],
                requires_response=True,
            )
        )

    def create_temporary_queue(
        self, address: str, name: str | None = None, *, routing_type: RoutingType = "ANYCAST"
    ) -> None:
        """Create a queue that lives as long as the connection; recreated under the same name when the session is."""
        self.create_queue(address, name, routing_type=routing_type, durable=False, temporary=True)

    def delete_queue(self, name: str) -> None:
        """Delete a queue; its consumers end.

        Raises:
            InvalidDestinationError: There is none.
        """
        self.request(DeleteQueue(name))

    def query_queue(self, name: str) -> QueueQueryResponse:
        """What the broker knows of a queue; `exists` says whether there is one."""
        return self._ask(QueueQuery(name), QueueQueryResponse)

    def query_address(self, address: str) -> BindingQueryResponse:
        """What the broker knows of an address: its queues, what it would create."""
        return self._ask(BindingQuery(address), BindingQueryResponse)

    def add_metadata(self, key: str, value: str) -> None:
        """Tell the broker something of this session; told again when it is recreated."""
        self.request(AddCountedMetadata(key, value, True))
        self.engine.metadata[key] = value

    def add_unique_metadata(self, key: str, value: str) -> None:
        """As `add_metadata`, but refused when another session has said the same.

        Raises:
            InvalidClientIDError: Another session holds the pair.
        """
        self.request(UniqueAddMetadata(key, value, True))
        self.engine.metadata[key] = value

    # --- producers and consumers ----------------------------------------------------------------------------------

    def create_message(self, durable: bool = True, *, body: bytes = b"", body_type: int = BYTES) -> CoreMessage:
        """A message to send."""
        return CoreMessage(body, body_type, durable=durable)

    def create_producer(self, address: str | None = None) -> ClientProducer:
        """A producer for an address; without one, each send names it."""
        with self.pump.lock, self.pump.motion:
            self.engine.check_open()
            self._producer_ids += 1
            return ClientProducer(self, address, self._producer_ids)

    def abandon(self) -> None:
        """Close the session with nobody waiting for it: an interrupt came before its user got it."""
        with self.pump.lock, self.pump.motion:
            self.engine.close_unattended()
            if not self.pump.closed:
                self.pump.process()

    def delete_abandoned_queue(self, name: str) -> None:
        """Delete a queue with nobody waiting for it: an interrupt came before its user got it."""
        engine = self.engine
        with self.pump.lock, self.pump.motion:
            if not engine.closing and engine.state is not State.CLOSED:
                engine.submit(engine.request_of(DeleteQueue(name)))
                self.pump.process()

    def create_consumer(
        self,
        queue: str,
        filter: str | None = None,
        *,
        browse_only: bool = False,
        window_size: int | None = None,
        priority: int = 0,
        queue_packet: CreateSharedQueue | None = None,
    ) -> ClientConsumer:
        """A consumer of a queue.

        Args:
            filter: Only messages that match, in the core filter language.
            browse_only: Look at messages without taking them.
            window_size: Bytes of prefetch instead of consumerWindowSize; 0 none, -1 unlimited.
            queue_packet: What made the queue, if that ends with its last consumer: repeated when the session is lost.

        Raises:
            InvalidDestinationError: No such queue.
            InvalidSelectorError: The filter is wrong.
            ConfigError: No such window.
        """
        engine = self.engine
        if window_size is not None and not (type(window_size) is int and -1 <= window_size < 1 << 31):
            raise ConfigError("window_size", window_size, "must be -1 or 0 to 2147483647 bytes")
        consumer: Consumer | None = None
        request: Request | None = None
        try:
            with self.pump.lock, self.pump.motion:
                engine.check_open()
                consumer = Consumer(
                    engine,
                    engine.new_consumer_id(),
                    queue,
                    filter,
                    window=self.settings.consumer_window_size if window_size is None else window_size,
                    ack_batch=self._ack_batch_size,
                    browse_only=browse_only,
                    priority=priority,
                )
                consumer.queue_packet = queue_packet
                request = engine.request_of(consumer.create_packet(), _created(consumer))
                engine.submit(request)
                self.calls.outcome(request)
                self.pump.process()
                facade = ClientConsumer(self, consumer)
                self._consumers[consumer.id] = facade
            return facade
        except ActiveClientError:
            raise
        except BaseException:
            if consumer is not None and request is not None:
                self.abandon_consumer(consumer, request)
            raise

    def abandon_consumer(self, consumer: Consumer, creation: Request | None = None) -> None:
        """Close a consumer with nobody waiting for it: an interrupt came before its user got it."""
        engine = self.engine
        with self.pump.lock, self.pump.motion:
            self._consumers.pop(consumer.id, None)
            if consumer.closed or engine.closing or engine.state is State.CLOSED:
                return
            consumer.closed = True
            if creation is None or (creation.done and creation.error is None):
                engine.let_go(consumer)
                engine.close_consumer(consumer)
            elif creation in engine.pending:
                engine.pending.remove(creation)  # no link has taken it yet
            if not self.pump.closed:  # else `_created` closes it
                self.pump.process()

    def forget_consumer(self, consumer_id: int) -> None:
        """A consumer was closed (called by it, lock held)."""
        self._consumers.pop(consumer_id, None)

    def next_for_listener(self) -> Callable[[], None] | None:
        """The next call of a message listener, in turn between the consumers (lock held)."""
        if not self.engine.started:
            return None
        facades = list(self._consumers.values())
        for offset in range(len(facades)):
            facade = facades[(self._turn + offset) % len(facades)]
            call = facade.next_call()
            if call is not None:
                self._turn = (self._turn + offset + 1) % len(facades)
                return call
        return None

    # --- transactions ---------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Commit what was sent and acknowledged since the last commit.

        Raises:
            TransactionRolledBackError: It was certainly rolled back: the session had to be recreated meanwhile.
            TransactionOutcomeUnknownError: The session was lost while the commit was on its way.
        """
        engine = self.engine
        with self.pump.lock, self.pump.motion:
            engine.check_open()
            self._flush_acknowledgements()
            if engine.transaction.rollback_only:
                # All of it: what was delivered since the recreation goes back to the server, so it must not stay here.
                self._roll_back(False)
                raise TransactionRolledBackError(
                    "the session was lost and recreated during the transaction, which was rolled back",
                    code=ServerCode.TRANSACTION_ROLLED_BACK,
                )
            request = engine.submit(engine.request_of(Commit(0), _end_transaction(engine), correlated=True))
            self.calls.outcome(request)

    def rollback(
        self, *, consider_last_message_as_delivered: bool = False, consider_all_as_delivered: bool = False
    ) -> None:
        """Undo what was sent and acknowledged since the last commit; what was not acknowledged comes again too.

        Args:
            consider_last_message_as_delivered: What was received and not acknowledged, if anything, comes again marked
                redelivered: one message, the first of them.
            consider_all_as_delivered: All of it does; for sessions whose acknowledgements are committed.
        """
        with self.pump.lock, self.pump.motion:
            self.engine.check_open()
            self._flush_acknowledgements()
            if consider_all_as_delivered:
                for consumer in self.engine.consumers.values():
                    consumer.acknowledge_taken()
            # Else the server counts the first message that it has sent ahead, which nobody has seen.
            held = any(consumer.taken for consumer in self.engine.consumers.values())
            self._roll_back(consider_last_message_as_delivered and held)

    def _roll_back(self, consider_last_message_as_delivered: bool) -> None:
        # Deliveries are stopped and dropped first: what comes again must not come behind what was prefetched.
        engine = self.engine
        was_started = engine.started
        try:
            if was_started:
                self._request(SessionStop())
            for consumer in engine.consumers.values():
                consumer.rolled_back()
            request = engine.submit(
                engine.request_of(Rollback(consider_last_message_as_delivered), _end_transaction(engine))
            )
            self.calls.outcome(request)
        finally:  # interrupted, too: else nothing is delivered any more
            if was_started and engine.may_command:
                engine.command(engine.encode(SessionStart()))
                self.pump.process()

    # --- else -----------------------------------------------------------------------------------------------------

    def set_send_acknowledgement_handler(self, handler: SendHandler | None) -> None:
        """Have `handler(message, error)` called for every send of this session without a handler of its own.

        Raises:
            IllegalStateError: confirmationWindowSize is -1: nothing would ever be confirmed (as in Artemis).
        """
        if handler is not None and self.settings.confirmation_window_size < 0:
            raise IllegalStateError("confirmationWindowSize is -1: send acknowledgements need a confirmation window")
        self.send_acknowledgement_handler = handler

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ClientSession {self.engine.name} channel {self.engine.channel_id} {self.state}>"


def _created(consumer: Consumer) -> Callable[[Request], None]:
    engine = consumer.session

    def created(request: Request) -> None:
        if request.error is not None:
            return
        if consumer.closed:  # nobody waits for it any more (`abandon_consumer`)
            engine.close_consumer(consumer)
            return
        if isinstance(request.result, QueueQueryResponse):
            consumer.queue_info = request.result
        consumer.new_generation()
        engine.consumers[consumer.id] = consumer
        consumer.grant_window()

    return created


def _end_transaction(engine: Session) -> Callable[[Request], None]:
    def ended(request: Request) -> None:
        # Unknown outcomes end the transaction too: what comes next is another one.
        engine.transaction.reset()

    return ended
