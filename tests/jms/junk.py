"""Calls of the public API with one argument left open, and values that do not belong there."""

from __future__ import annotations

import io
import linecache
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any

import activeclient
from activeclient import (
    ActiveMQConnectionFactory,
    ActiveMQXAConnectionFactory,
    BytesMessage,
    Connection,
    EmbeddedBroker,
    JMSContext,
    MapMessage,
    ObjectMessage,
    Queue,
    Requestor,
    ServerLocator,
    Session,
    StreamMessage,
    TextMessage,
    Topic,
    Xid,
    errors,
)
from activeclient.client.session import ClientSession

HERE = activeclient.__path__[0]


class Foreign:
    """A class that nobody here knows."""

    def __repr__(self) -> str:
        return "<Foreign>"


VALUES: tuple[Any, ...] = (
    True,
    False,
    None,
    -1,
    0,
    7,
    1 << 31,
    1 << 70,
    0.5,
    1e30,
    math.nan,
    -math.inf,
    1j,
    "",
    "x",
    "\ud800",
    "a\0b",
    "x" * 70_000,
    "\u20ac" * 70_000,
    b"x",
    memoryview(b"x"),
    [],
    [Foreign()],
    {},
    {1: 2},
    {"a": Foreign()},
    {"\ud800": "\ud800"},
    {"x" * 70_000: 1},
    Foreign(),
    io.StringIO("x"),
    io.BytesIO(b"x"),
    timedelta.max,
    timedelta(seconds=-1),
    print,
    Queue("junk.other"),
    TextMessage("x"),
)


@dataclass(frozen=True)
class Objects:
    """What the calls are made on."""

    factory: ActiveMQConnectionFactory
    connection: Connection
    session: Session
    transacted: Session
    context: JMSContext
    core: ClientSession
    requestor: Requestor
    broker: EmbeddedBroker


QUEUE = Queue("junk")
Call = Callable[[Objects, Any], object]


def _assign(target: Callable[[Objects], object], name: str) -> Call:
    return lambda o, value: setattr(target(o), name, value)


def _producer(o: Objects) -> Any:
    return o.session.create_producer(QUEUE)


def _closing(made: Any) -> None:
    made.close()


def _core_message(o: Objects, **fields: Any) -> Any:
    message = o.core.create_message()
    for name, value in fields.items():
        setattr(message, name, value)
    return o.core.create_producer("junk").send(message)


CALLS: dict[str, Call] = {
    # --- sending
    "send": lambda o, v: _producer(o).send(v),
    "send to": lambda o, v: o.session.create_producer().send("x", v),
    "send delivery_mode": lambda o, v: _producer(o).send("x", delivery_mode=v),
    "send priority": lambda o, v: _producer(o).send("x", priority=v),
    "send time_to_live": lambda o, v: _producer(o).send("x", time_to_live=v),
    "send delivery_delay": lambda o, v: _producer(o).send("x", delivery_delay=v),
    "send properties": lambda o, v: _producer(o).send("x", properties=v),
    "send correlation_id": lambda o, v: _producer(o).send("x", correlation_id=v),
    "send reply_to": lambda o, v: _producer(o).send("x", reply_to=v),
    "send type": lambda o, v: _producer(o).send("x", type=v),
    "send duplicate_id": lambda o, v: _producer(o).send("x", duplicate_id=v),
    "send on_complete": lambda o, v: _producer(o).send("x", on_complete=v),
    "send timeout": lambda o, v: _producer(o).send("x", timeout=v),
    "send_async": lambda o, v: _producer(o).send_async(v).result(20),
    "producer delivery_mode": _assign(_producer, "delivery_mode"),
    "producer priority": _assign(_producer, "priority"),
    "producer time_to_live": _assign(_producer, "time_to_live"),
    "producer delivery_delay": _assign(_producer, "delivery_delay"),
    "JMSProducer to": lambda o, v: o.context.create_producer().send(v, "x"),
    "JMSProducer send": lambda o, v: o.context.create_producer().send(QUEUE, v),
    "JMSProducer delivery_mode": lambda o, v: o.context.create_producer().set_delivery_mode(v),
    "JMSProducer priority": lambda o, v: o.context.create_producer().set_priority(v),
    "JMSProducer time_to_live": lambda o, v: o.context.create_producer().set_time_to_live(v).send(QUEUE, "x"),
    "JMSProducer delivery_delay": lambda o, v: o.context.create_producer().set_delivery_delay(v).send(QUEUE, "x"),
    "JMSProducer correlation_id": lambda o, v: o.context.create_producer().set_jms_correlation_id(v).send(QUEUE, "x"),
    "JMSProducer reply_to": lambda o, v: o.context.create_producer().set_jms_reply_to(v).send(QUEUE, "x"),
    "JMSProducer type": lambda o, v: o.context.create_producer().set_jms_type(v).send(QUEUE, "x"),
    "JMSProducer property": lambda o, v: o.context.create_producer().set_property("p", v).send(QUEUE, "x"),
    "JMSProducer property name": lambda o, v: o.context.create_producer().set_property(v, 1).send(QUEUE, "x"),
    "JMSProducer async": lambda o, v: o.context.create_producer().set_async(v).send(QUEUE, "x"),
    "JMSProducer duplicate_id": lambda o, v: o.context.create_producer().send(QUEUE, "x", duplicate_id=v),
    "JMSProducer timeout": lambda o, v: o.context.create_producer().send(QUEUE, "x", timeout=v),
    # --- receiving
    "receive": lambda o, v: o.session.create_consumer(Queue("junk.full")).receive(v),
    "receive_body": lambda o, v: o.session.create_consumer(Queue("junk.full")).receive_body(v, 0),
    "receive_body timeout": lambda o, v: o.session.create_consumer(Queue("junk.full")).receive_body(str, v),
    "messages": lambda o, v: next(o.session.create_consumer(Queue("junk.full")).messages(v), None),
    "message_listener": _assign(lambda o: o.session.create_consumer(Queue("junk.none")), "message_listener"),
    "on_message": lambda o, v: o.session.create_consumer(Queue("junk.none")).on_message(v),
    "JMSConsumer receive": lambda o, v: o.context.create_consumer(Queue("junk.full")).receive(v),
    "JMSConsumer listener": _assign(lambda o: o.context.create_consumer(Queue("junk.none")), "message_listener"),
    # --- sessions and what they make
    "create_session": lambda o, v: _closing(o.connection.create_session(v)),
    "create_session transacted": lambda o, v: _closing(o.connection.create_session(transacted=v)),
    "create_queue": lambda o, v: o.session.create_producer(o.session.create_queue(v)),
    "create_topic": lambda o, v: o.session.create_producer(o.session.create_topic(v)),
    "Queue": lambda o, v: o.session.create_consumer(Queue(v)),
    "Topic": lambda o, v: o.session.create_consumer(Topic(v)),
    "create_producer": lambda o, v: o.session.create_producer(v),
    "create_consumer": lambda o, v: o.session.create_consumer(v),
    "create_consumer selector": lambda o, v: o.session.create_consumer(QUEUE, v),
    "create_consumer window_size": lambda o, v: o.session.create_consumer(QUEUE, window_size=v),
    "create_consumer no_local": lambda o, v: o.session.create_consumer(QUEUE, no_local=v),
    "create_durable_consumer": lambda o, v: o.session.create_durable_consumer(v, "n"),
    "create_shared_consumer": lambda o, v: o.session.create_shared_consumer(v, "n"),
    "create_shared_consumer name": lambda o, v: o.session.create_shared_consumer(Topic("junk.t"), v),
    "create_shared_consumer selector": lambda o, v: o.session.create_shared_consumer(Topic("junk.t"), "s", v),
    "create_shared_durable_consumer name": lambda o, v: o.session.create_shared_durable_consumer(Topic("junk.t"), v),
    "unsubscribe": lambda o, v: o.session.unsubscribe(v),
    "create_browser": lambda o, v: o.session.create_browser(v),
    "create_browser selector": lambda o, v: o.session.create_browser(QUEUE, v),
    "create_message": lambda o, v: o.session.create_message(v),
    "create_message properties": lambda o, v: o.session.create_message("x", properties=v),
    "create_text_message": lambda o, v: o.session.create_text_message(v),
    "create_bytes_message": lambda o, v: o.session.create_bytes_message(v),
    "create_map_message": lambda o, v: _producer(o).send(o.session.create_map_message(v)),
    "create_stream_message": lambda o, v: _producer(o).send(o.session.create_stream_message(v)),
    "create_object_message": lambda o, v: _producer(o).send(o.session.create_object_message(v)),
    "create_object_message serializer": lambda o, v: o.session.create_object_message(1, serializer=v),
    "serializers": lambda o, v: setattr(o.connection.create_session(), "serializers", v),
    "Requestor": lambda o, v: _closing(Requestor(o.session, v)),
    "request timeout": lambda o, v: o.requestor.request("x", v),
    # --- messages
    "map entry": lambda o, v: _producer(o).send(MapMessage({"a": v})),
    "map name": lambda o, v: _producer(o).send(MapMessage(_named(v))),
    "map set_int": lambda o, v: MapMessage().set_int("a", v),
    "map set_string": lambda o, v: MapMessage().set_string("a", v),
    "stream item": lambda o, v: _producer(o).send(StreamMessage([v])),
    "object": lambda o, v: _producer(o).send(ObjectMessage(v)),
    "bytes write_int": lambda o, v: BytesMessage().write_int(v),
    "bytes write_utf": lambda o, v: _producer(o).send(_written(v)),
    "bytes write_object": lambda o, v: BytesMessage().write_object(v),
    "property": lambda o, v: _producer(o).send("x", properties={"a": v}),
    "property name": lambda o, v: _producer(o).send("x", properties=_named(v)),
    "property group": lambda o, v: _producer(o).send("x", properties={"JMSXGroupID": v}),
    "jms_priority": lambda o, v: setattr(TextMessage("x"), "jms_priority", v),
    "jms_delivery_mode": lambda o, v: setattr(TextMessage("x"), "jms_delivery_mode", v),
    "jms_expiration": lambda o, v: setattr(TextMessage("x"), "jms_expiration", v),
    "jms_timestamp": lambda o, v: setattr(TextMessage("x"), "jms_timestamp", v),
    "jms_delivery_time": lambda o, v: setattr(TextMessage("x"), "jms_delivery_time", v),
    "jms_destination": lambda o, v: setattr(TextMessage("x"), "jms_destination", v),
    "jms_reply_to": lambda o, v: setattr(TextMessage("x"), "jms_reply_to", v),
    "jms_message_id": lambda o, v: setattr(TextMessage("x"), "jms_message_id", v),
    "jms_correlation_id": lambda o, v: setattr(TextMessage("x"), "jms_correlation_id", v),
    "jms_type": lambda o, v: setattr(TextMessage("x"), "jms_type", v),
    "get_body": lambda o, v: TextMessage("x").get_body(v),
    # --- connections
    "exception_listener": _assign(lambda o: o.connection, "exception_listener"),
    "on_exception": lambda o, v: o.connection.on_exception(v),
    "client_id": lambda o, v: _closing(_with_client_id(o, v)),
    "add_event_listener": lambda o, v: o.connection.add_event_listener(v),
    "core add_failure_listener": lambda o, v: o.connection.factory.add_failure_listener(v),
    "core add_failover_listener": lambda o, v: o.connection.factory.add_failover_listener(v),
    "create_connection user": lambda o, v: _closing(o.factory.create_connection(v)),
    "create_connection password": lambda o, v: _closing(o.factory.create_connection("u", v)),
    "create_connection client_id": lambda o, v: _closing(o.factory.create_connection(client_id=v)),
    "create_context": lambda o, v: _closing(o.factory.create_context(v)),
    "context create_context": lambda o, v: _closing(o.context.create_context(v)),
    "connect url": lambda o, v: activeclient.connect(v, initial_connect_attempts=1) if v != "" else None,
    "factory url": lambda o, v: ActiveMQConnectionFactory(v),
    "locator url": lambda o, v: ServerLocator(v),
    "factory serializers": lambda o, v: ActiveMQConnectionFactory(o.broker.vm_url, serializers=v),
    "factory retry_interval": lambda o, v: ActiveMQConnectionFactory(o.broker.vm_url, retry_interval=v),
    "factory set retry_interval": lambda o, v: setattr(ActiveMQConnectionFactory(), "retry_interval", v),
    "factory user": lambda o, v: ActiveMQConnectionFactory(o.broker.vm_url, user=v),
    "management timeout": lambda o, v: _closing(o.connection.management(timeout=v)),
    "invoke": lambda o, v: _managed(o, lambda m: m.invoke("broker", "listQueues", v)),
    "invoke resource": lambda o, v: _managed(o, lambda m: m.invoke(v, "listQueues")),
    "invoke operation": lambda o, v: _managed(o, lambda m: m.invoke("broker", v)),
    "attribute": lambda o, v: _managed(o, lambda m: m.attribute("broker", v)),
    "queues": lambda o, v: _managed(o, lambda m: list(m.queues(v))),
    # --- XA
    "xid format_id": lambda o, v: _in_branch(o, lambda r: r.start(Xid(v, b"g", b"b"))),
    "xid global": lambda o, v: _in_branch(o, lambda r: r.start(Xid(1, v, b"b"))),
    "xid branch": lambda o, v: _in_branch(o, lambda r: r.start(Xid(1, b"g", v))),
    "xa start": lambda o, v: _in_branch(o, lambda r: r.start(v)),
    "xa prepare": lambda o, v: _in_branch(o, lambda r: r.prepare(v)),
    "xa timeout": lambda o, v: _in_branch(o, lambda r: r.set_transaction_timeout(v)),
    # --- the core API
    "core create_session user": lambda o, v: _closing(o.core.factory.create_session(v)),
    "core create_session ack_batch_size": lambda o, v: _closing(o.core.factory.create_session(ack_batch_size=v)),
    "core create_queue": lambda o, v: o.core.create_queue(v),
    "core create_queue name": lambda o, v: o.core.create_queue("junk.q", v),
    "core create_queue filter": lambda o, v: o.core.create_queue("junk.q", filter=v),
    "core create_queue routing_type": lambda o, v: o.core.create_queue("junk.q", routing_type=v),
    "core create_queue max_consumers": lambda o, v: o.core.create_queue("junk.q", max_consumers=v),
    "core create_queue attributes": lambda o, v: o.core.create_queue("junk.q", attributes=v),
    "core create_queue ring_size": lambda o, v: o.core.create_queue("junk.q", attributes={"ring_size": v}),
    "core create_address": lambda o, v: o.core.create_address(v),
    "core create_address routing_types": lambda o, v: o.core.create_address("junk.a", v),
    "core create_shared_queue": lambda o, v: o.core.create_shared_queue(v, "s", durable=False),
    "core create_shared_queue routing_type": lambda o, v: o.core.create_shared_queue(
        "junk.s", "s", routing_type=v, durable=False
    ),
    "core delete_queue": lambda o, v: o.core.delete_queue(v),
    "core query_queue": lambda o, v: o.core.query_queue(v),
    "core query_address": lambda o, v: o.core.query_address(v),
    "core add_metadata": lambda o, v: o.core.add_metadata(v, "v"),
    "core add_metadata value": lambda o, v: o.core.add_metadata("k", v),
    "core create_producer": lambda o, v: o.core.create_producer(v).send(o.core.create_message()),
    "core create_consumer": lambda o, v: o.core.create_consumer(v),
    "core create_consumer filter": lambda o, v: o.core.create_consumer("junk", v),
    "core create_consumer priority": lambda o, v: o.core.create_consumer("junk", priority=v),
    "core create_consumer window_size": lambda o, v: o.core.create_consumer("junk", window_size=v),
    "core send": lambda o, v: o.core.create_producer("junk").send(v),
    "core send address": lambda o, v: o.core.create_producer().send(o.core.create_message(), address=v),
    "core send handler": lambda o, v: o.core.create_producer("junk").send(o.core.create_message(), v),
    "core send timeout": lambda o, v: o.core.create_producer("junk").send(o.core.create_message(), timeout=v),
    "core body": lambda o, v: _core_message(o, body=v),
    "core priority": lambda o, v: _core_message(o, priority=v),
    "core expiration": lambda o, v: _core_message(o, expiration=v),
    "core timestamp": lambda o, v: _core_message(o, timestamp=v),
    "core user_id": lambda o, v: _core_message(o, user_id=v),
    "core durable": lambda o, v: _core_message(o, durable=v),
    "core body_type": lambda o, v: _core_message(o, body_type=v),
    "core properties": lambda o, v: _core_message(o, properties=v),
    "core property": lambda o, v: _core_message(o, properties={"a": v}),
    "core property name": lambda o, v: _core_message(o, properties=_named(v)),
    "core receive": lambda o, v: o.core.start().create_consumer("junk.full").receive(v),
    "core message_handler": _assign(lambda o: o.core.create_consumer("junk.none"), "message_handler"),
    "core acknowledge": lambda o, v: o.core.create_consumer("junk.none").acknowledge(v),
    "core xa_set_timeout": lambda o, v: o.core.xa_set_timeout(v),
    "core xa_commit": lambda o, v: o.core.xa_commit(v),
    "core set_send_acknowledgement_handler": lambda o, v: _closing(_acknowledged(o, v)),
    "wait_until_connected": lambda o, v: o.core.factory.wait_until_connected(v),
    # --- the embedded broker
    "EmbeddedBroker name": lambda o, v: EmbeddedBroker(v).start().stop(),
    "EmbeddedBroker port": lambda o, v: EmbeddedBroker(port=v).start().stop(),
    "EmbeddedBroker host": lambda o, v: EmbeddedBroker(port=0, host=v).start().stop(),
    "EmbeddedBroker users": lambda o, v: EmbeddedBroker(users=v).start().stop(),
    "EmbeddedBroker limits": lambda o, v: EmbeddedBroker(limits=v).start().stop(),
    "EmbeddedBroker configuration": lambda o, v: EmbeddedBroker(configuration=v).start().stop(),
    "message_count": lambda o, v: o.broker.message_count(v),
}


def _named(value: Any) -> dict[Any, Any]:
    try:
        return {value: 1}
    except TypeError:
        return {"unhashable": 1}


def _written(value: Any) -> BytesMessage:
    message = BytesMessage()
    message.write_utf(value)
    return message


def _with_client_id(o: Objects, value: Any) -> Connection:
    connection = o.factory.create_connection()
    try:
        connection.client_id = value
    except BaseException:
        connection.close()
        raise
    return connection


def _acknowledged(o: Objects, value: Any) -> ClientSession:
    session = o.core.factory.create_session()
    session.set_send_acknowledgement_handler(value)
    return session


def _managed(o: Objects, ask: Callable[[Any], object]) -> None:
    with o.connection.management(timeout=20) as management:
        ask(management)


def _in_branch(o: Objects, call: Callable[[Any], object]) -> None:
    with ActiveMQXAConnectionFactory(o.broker.vm_url).create_xa_connection() as connection:
        call(connection.create_xa_session().xa_resource)


WAITS = {
    "receive",
    "receive_body",
    "receive_body timeout",
    "messages",
    "JMSConsumer receive",
    "core receive",
    "request timeout",
    "wait_until_connected",
}
"""What waits as long as the value says, if it is one."""
BOOLS = {
    name
    for name in CALLS
    if name.rpartition(" ")[2]
    in {
        "acknowledge",
        "ack_batch_size",
        "client_id",
        "create_context",
        "create_session",
        "delivery_delay",
        "delivery_mode",
        "duplicate_id",
        "format_id",
        "host",
        "jms_delivery_mode",
        "jms_delivery_time",
        "jms_expiration",
        "jms_priority",
        "jms_timestamp",
        "limits",
        "listener",
        "max_consumers",
        "name",
        "port",
        "priority",
        "retry_interval",
        "ring_size",
        "routing_type",
        "set_int",
        "time_to_live",
        "timeout",
        "user",
        "users",
        "window_size",
        "write_int",
        "xa_set_timeout",
    }
} - {"core priority", "property name", "map name", "core property name"}
"""Calls that refuse bools: where a number, a mode, a duration, or a name is taken."""


def long_wait(name: str, value: Any) -> bool:
    """Would the call wait, as it is told to?"""
    if name not in WAITS:
        return False
    if value is None or value == timedelta.max:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and 3 < value < math.inf


def is_ours(error: BaseException) -> bool:
    """Is the exception one of ours, or the system's, or a TypeError or ValueError with a text of our own?"""
    if isinstance(error, errors.ActiveClientError | OSError):  # of a host that is not there
        return True
    if not isinstance(error, TypeError | ValueError) or isinstance(error, UnicodeError) or not str(error):
        return False
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    file = trace.tb_frame.f_code.co_filename
    return file.startswith(HERE) and linecache.getline(file, trace.tb_lineno).strip().startswith("raise ")
