"""A session for users of the core API (ClientSession): blocking calls over an engine session.

Law of this file: every call that needs the broker's answer waits by `Calls`; callbacks run on the dispatcher, one at a
time for each session, never under the lock; nothing here knows whether the session was reattached or recreated.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from activeclient import arguments
from activeclient.client.callbacks import Callbacks
from activeclient.client.calls import NEVER, Calls
from activeclient.client.closing import close_sessions, leave, report, tell
from activeclient.client.consumer import ClientConsumer
from activeclient.client.producer import ClientProducer
from activeclient.client.xa_resource import XAResource
from activeclient.drivers import dispatch
from activeclient.engine.consumer import Consumer
from activeclient.engine.requests import Request
from activeclient.engine.session import Session, State
from activeclient.engine.unsettled import NOTHING, Unsettled
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    ConfigError,
    IllegalStateError,
    TransactionRolledBackError,
)
from activeclient.java_names import JavaNames
from activeclient.masking import never_raises
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
    from activeclient.client.listeners import FailoverEventListener, FailureListener
    from activeclient.client.session_factory import ClientSessionFactory
    from activeclient.drivers.threads import Pump
    from activeclient.settings import Settings

L = TypeVar("L")
RoutingType = Literal["ANYCAST", "MULTICAST"]
ROUTING: dict[str, int] = {"MULTICAST": 0, "ANYCAST": 1}
SendHandler = Callable[[CoreMessage, ActiveClientError | None], object]
"""Called as `handler(message, error)`: error is None when the broker has the message."""


class ClientSession(XAResource, JavaNames):
    """A session (ClientSession). Thread-safe, but one thread at a time is the natural use, as in JMS.

    Made by `ClientSessionFactory.create_session`. A context manager: leaving it closes it.
    """

    def __init__(self, factory: ClientSessionFactory, engine: Session, ack_batch_size: int | None) -> None:
        settings = factory.settings
        self.factory = factory
        self.settings: Settings = settings
        self.engine = engine
        self.pump: Pump = factory.pump
        self.calls: Calls = Calls(
            factory.pump,
            engine,
            settings.call_timeout / 1000 if settings.call_timeout > 0 else NEVER,
            settings.call_failover_timeout / 1000,
        )
        self.callbacks: Callbacks = Callbacks(self)
        self.draining: bool = False
        """Does it receive nothing more, until it is closed?"""
        self.callback_errors = 0
        self.last_callback_error: BaseException | None = None
        self.send_acknowledgement_handler: SendHandler | None = None
        self.large_sender: object | None = None
        self._ack_batch_size = settings.ack_batch_size if ack_batch_size is None else ack_batch_size
        self._consumers: dict[int, ClientConsumer] = {}
        self._producer_ids = 0
        self._turn = 0
        self._failure_listeners: list[FailureListener] = []
        self._failover_listeners: list[FailoverEventListener] = []

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
        self.wait_for_callbacks()

    def stop_receiving(self) -> None:
        """Receive nothing more, for good: no listener is called again, and `receive` returns None, now and later.

        What was received can still be acknowledged and committed. Does not wait for the broker.
        """
        engine = self.engine
        with self.pump.lock, self.pump.motion:
            self.draining = True
            if self.is_closed or self.pump.closed:
                return
            if engine.started:
                engine.started = False
                engine.submit(engine.request_of(SessionStop()))
                self.pump.process()
            self.pump.notify()

    @property
    def is_working(self) -> bool:
        """Was something received or sent that is not acknowledged, committed or rolled back yet?"""
        engine = self.engine
        if self.is_closed:
            return False
        return (
            engine.transaction.work
            or engine.branch is not None
            or any(consumer.taken for consumer in engine.consumers.values())
        )

    @property
    def callbacks_idle(self) -> bool:
        """Does no callback run, and is none due?"""
        return dispatch.current().wait_idle(self.callbacks, 0)

    def close(self, timeout: float | None = None) -> None:
        """Close the session, once what it has under way is settled: sends, acknowledgements, commits of other threads.

        Waits for them while the connection is won back too, closeTimeout at most; with nothing under way it does not
        wait for a broker that is away: the session is closed there when the connection is back. A running listener is
        waited for (onMessageCloseTimeout), except by itself, and every completion handler has been called when this
        returns. Closing again does nothing.

        Args:
            timeout: Seconds to wait for the broker instead of closeTimeout, after which the session is dropped.

        Raises:
            UnsettledError: What was under way could not be settled; the session is closed all the same.
        """
        if self.pump.forked:
            return  # the parent goes on using it
        self._forget_listeners()
        left = close_sessions(self.factory, [self], timeout, finally_=False)
        client = self.engine.client
        tell(report(f"session {self.engine.name}", left, client.last_error), client.gave_up)

    def close_dropped(self) -> None:
        """Close the session after it was dropped, perhaps with its connection."""
        self.pump.keep()
        self.close()

    def stop_listening(self, consumer_id: int | None = None) -> None:
        """No further call of a message listener begins: of one consumer, or of all."""
        for consumer in list(self._consumers.values()):
            if consumer_id is None or consumer.engine.id == consumer_id:
                consumer.stop_listening()

    def begin_closing(self) -> None:
        """Take nothing new, and have the server close the session when all is settled (lock held)."""
        engine = self.engine
        if engine.state is State.CLOSED or engine.closing or self.pump.closed:
            return
        self._flush_acknowledgements()
        engine.begin_closing(self._closed)
        self._consumers.clear()

    @property
    def closed_on_server(self) -> bool:
        """Has the server closed the session, or has it ended otherwise?"""
        farewell = self.engine.farewell
        return self.engine.state is State.CLOSED or (farewell is not None and farewell.done)

    def take_unsettled(self) -> Unsettled:
        """What could not be settled when the session ended; reported once."""
        left, self.engine.unsettled = self.engine.unsettled, NOTHING
        return left

    def _closed(self, request: Request) -> None:
        """The server has closed the session (called amid its answer)."""
        self.engine.life.end(ClosedError("the session is closed"), self.engine.client.now)
        self.forget_if_idle()

    def end(self) -> Unsettled:
        """End the session here, whatever the server knows; returns what could not be settled (lock held)."""
        self.engine.life.end(ClosedError("the session is closed"), time.monotonic())
        self._consumers.clear()
        left = self.take_unsettled()
        self.forget_if_idle()
        return left

    def forget_if_idle(self) -> None:
        """A closed session with no callback to come is known no more (lock held)."""
        if self.engine.state is State.CLOSED and not self.engine.work:
            self.factory.forget(self.engine)

    def wait_for_callbacks(self, limit: float | None = None) -> None:
        """Wait until no callback runs or is due: for each at most onMessageCloseTimeout. A callback does not wait.

        Args:
            limit: Seconds to wait for all of them, instead.
        """
        dispatcher = dispatch.current()
        if dispatcher.running_in_current_thread(self.callbacks):
            return
        if limit is not None:
            dispatcher.wait_idle(self.callbacks, limit)
            return
        limit = self.settings.on_message_close_timeout / 1000
        called = -1
        while not dispatcher.wait_idle(self.callbacks, limit) and called != self.callbacks.called:
            called = self.callbacks.called  # others have returned meanwhile

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
        arguments.text("address", address)
        if routing_types is not None and not isinstance(routing_types, list | tuple):
            raise ConfigError("routing_types", None, f"must be a list, not {type(routing_types).__name__}")
        types = [arguments.one_of("routing_types", kind, ROUTING) for kind in routing_types or ["MULTICAST"]]
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
        arguments.text("address", address)
        arguments.text("name", name, optional=True)
        arguments.text("filter", filter, optional=True)
        arguments.whole("max_consumers", max_consumers, -1)
        packet = CreateQueue(
            address=address,
            queue_name=name or address,
            filter_string=filter,
            durable=durable,
            temporary=temporary,
            requires_response=True,
            auto_created=auto_created,
            routing_type=arguments.one_of("routing_type", routing_type, ROUTING),
            max_consumers=max_consumers,
            purge_on_no_consumers=purge_on_no_consumers,
        )
        if attributes is not None:
            arguments.mapping("attributes", attributes)
            _set_attributes(packet, attributes)
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
        arguments.text("address", address)
        arguments.text("name", name)
        arguments.text("filter", filter, optional=True)
        self.request(
            CreateSharedQueue(
                address=address,
                queue_name=name,
                filter_string=filter,
                durable=durable,
                routing_type=arguments.one_of("routing_type", routing_type, ROUTING),
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
        arguments.text("name", name)
        self.request(DeleteQueue(name))

    def delete_queue_soon(self, name: str) -> None:
        """Delete a queue; in an outage this does not wait: it is deleted when the connection is back.

        Raises:
            InvalidDestinationError: There is none.
        """
        engine = self.engine
        with self.pump.lock, self.pump.motion:
            engine.check_open()
            self.calls.closed(engine.submit(engine.request_of(DeleteQueue(name))), lambda: False, 0)

    def query_queue(self, name: str) -> QueueQueryResponse:
        """What the broker knows of a queue; `exists` says whether there is one."""
        arguments.text("name", name)
        return self._ask(QueueQuery(name), QueueQueryResponse)

    def query_address(self, address: str) -> BindingQueryResponse:
        """What the broker knows of an address: its queues, what it would create."""
        arguments.text("address", address)
        return self._ask(BindingQuery(address), BindingQueryResponse)

    def add_metadata(self, key: str, value: str) -> None:
        """Tell the broker something of this session; told again when it is recreated."""
        arguments.text("key", key)
        arguments.text("value", value)
        self.request(AddCountedMetadata(key, value, True))
        self.engine.metadata[key] = value

    def add_unique_metadata(self, key: str, value: str) -> None:
        """As `add_metadata`, but refused when another session has said the same.

        Raises:
            InvalidClientIDError: Another session holds the pair.
        """
        arguments.text("key", key)
        arguments.text("value", value)
        self.request(UniqueAddMetadata(key, value, True))
        self.engine.metadata[key] = value

    # --- producers and consumers ----------------------------------------------------------------------------------

    def create_message(self, durable: bool = True, *, body: bytes = b"", body_type: int = BYTES) -> CoreMessage:
        """A message to send."""
        return CoreMessage(body, body_type, durable=durable)

    def create_producer(self, address: str | None = None) -> ClientProducer:
        """A producer for an address; without one, each send names it."""
        arguments.text("address", address, optional=True)
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
        arguments.text("queue", queue)
        arguments.text("filter", filter, optional=True)
        arguments.whole("priority", priority)
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
                refused = engine.transaction.refused
                # All of it: what was delivered since the recreation goes back to the server, so it must not stay here.
                self._roll_back(False)
                if refused is not None:
                    error = TransactionRolledBackError(
                        f"the broker refused a message of the transaction: {refused}", code=111
                    )
                    raise error from refused
                raise TransactionRolledBackError(
                    "the session was lost and recreated during the transaction, which was rolled back",
                    code=ServerCode.TRANSACTION_ROLLED_BACK,
                )
            request = engine.submit(engine.request_of(Commit(0), _end_transaction(engine), correlated=True))
            try:
                self.calls.outcome(request)
            except TransactionRolledBackError:
                if engine.held.partly_acknowledged or _to_be_rolled_back(engine):
                    self._roll_back(False)
                raise

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

    # --- listeners ------------------------------------------------------------------------------------------------

    def add_failure_listener(self, listener: FailureListener) -> None:
        """Have `listener` told of outages of the connection until the session is closed (addFailureListener).

        Raises:
            JMSError: The session is closed, the connection was given up, or is a parent process's.
        """
        self.engine.check_open()
        self.factory.add_failure_listener(listener)
        self._failure_listeners.append(listener)

    def remove_failure_listener(self, listener: FailureListener) -> bool:
        """Tell it no more; False when it was not told before."""
        return _taken(self._failure_listeners, listener) and self.factory.remove_failure_listener(listener)

    def add_failover_listener(self, listener: FailoverEventListener) -> None:
        """Have `listener` called with what happens to the connection until the session is closed (addFailoverListener).

        Raises:
            JMSError: As `add_failure_listener`.
        """
        self.engine.check_open()
        self.factory.add_failover_listener(listener)
        self._failover_listeners.append(listener)

    def remove_failover_listener(self, listener: FailoverEventListener) -> bool:
        """Call it no more; False when it was not called before."""
        return _taken(self._failover_listeners, listener) and self.factory.remove_failover_listener(listener)

    def _forget_listeners(self) -> None:
        while self._failure_listeners:
            self.factory.remove_failure_listener(self._failure_listeners.pop())
        while self._failover_listeners:
            self.factory.remove_failover_listener(self._failover_listeners.pop())

    # --- else -----------------------------------------------------------------------------------------------------

    def set_send_acknowledgement_handler(self, handler: SendHandler | None) -> None:
        """Have `handler(message, error)` called for every send of this session without a handler of its own.

        Raises:
            IllegalStateError: confirmationWindowSize is -1: nothing would ever be confirmed (as in Artemis).
        """
        arguments.call("a send acknowledgement handler", handler)
        self.engine.check_open()
        if handler is not None and self.settings.confirmation_window_size < 0:
            raise IllegalStateError("confirmationWindowSize is -1: send acknowledgements need a confirmation window")
        self.send_acknowledgement_handler = handler

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<ClientSession {self.engine.name} channel {self.engine.channel_id} {self.state}>"


def _taken(listeners: list[L], listener: L) -> bool:
    """Take a listener out of a list; False when it is not there."""
    if listener not in listeners:
        return False
    listeners.remove(listener)
    return True


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


def _to_be_rolled_back(engine: Session) -> bool:
    return engine.transaction.rollback_only


def _end_transaction(engine: Session) -> Callable[[Request], None]:
    def ended(request: Request) -> None:
        # Unknown outcomes end the transaction too: what comes next is another one.
        engine.transaction.reset()

    return ended


_ATTRIBUTES: dict[str, str] = {each.name: str(each.type) for each in dataclasses.fields(CreateQueue)}
"""Field of the packet to its type on the wire."""


def _set_attributes(packet: CreateQueue, attributes: Mapping[str, object]) -> None:
    for key, value in attributes.items():
        kind = _ATTRIBUTES.get(key) if isinstance(key, str) and key in QUEUE_ATTRIBUTES else None
        if kind is None:
            raise ConfigError(
                "attributes", str(key)[:100], f"no attribute of a queue; known are {', '.join(QUEUE_ATTRIBUTES)}"
            )
        if value is not None or "Nullable" not in kind:
            if "Bool" in kind:
                arguments.flag(key, value)
            elif "String" in kind:
                arguments.text(key, value)
            else:
                high = (1 << int(kind.rpartition("I")[2]) - 1) - 1
                arguments.whole(key, value, -high - 1, high)
        setattr(packet, key, value)
