"""The types that users of the JMS API see. The functions with a leading underscore are for mypy alone."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, assert_type

from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    ActiveMQXAConnectionFactory,
    BytesMessage,
    Connection,
    ConnectionFailure,
    ConnectionMetaData,
    DeliveryMode,
    JMSConsumer,
    JMSContext,
    JMSProducer,
    Management,
    Message,
    MessageConsumer,
    MessageProducer,
    Queue,
    QueueBrowser,
    Requestor,
    Session,
    TextMessage,
    Topic,
    XAConnection,
    XAJMSContext,
    XAResource,
    XASession,
    Xid,
    connect,
)
from activeclient.client.management import Json
from activeclient.jms.temporary import OwnTemporaryQueue, OwnTemporaryTopic
from activeclient.jms.xa import Vote
from activeclient.wire.properties import PropertyValue


def _classic(factory: ActiveMQConnectionFactory) -> None:
    assert_type(connect("tcp://h:1", client_id="c"), Connection)
    connection = assert_type(factory.create_connection("user", "password", client_id="c"), Connection)
    with connection as started:
        assert_type(started, Connection)
    assert_type(connection.client_id, str | None)
    assert_type(connection.metadata, ConnectionMetaData)
    session = assert_type(connection.create_session(AcknowledgeMode.CLIENT_ACKNOWLEDGE), Session)
    assert_type(session.acknowledge_mode, AcknowledgeMode)
    with session.transaction() as same:
        assert_type(same, Session)
    queue, topic = assert_type(session.create_queue("q"), Queue), assert_type(session.create_topic("t"), Topic)
    assert_type(session.create_temporary_queue(), OwnTemporaryQueue)
    assert_type(session.create_temporary_topic(), OwnTemporaryTopic)
    producer = assert_type(session.create_producer(queue), MessageProducer)
    assert_type(producer.send("text", time_to_live=timedelta(seconds=1), priority=3), Message)
    assert_type(producer.send_async(b"bytes"), Future[Message])
    assert_type(producer.delivery_mode, DeliveryMode)
    assert_type(session.create_text_message("x"), TextMessage)
    assert_type(session.create_bytes_message(b"x"), BytesMessage)
    assert_type(session.create_durable_consumer(topic, "n", "a = 1", no_local=True), MessageConsumer)
    assert_type(session.create_shared_consumer(topic, "n"), MessageConsumer)
    assert_type(session.create_shared_durable_consumer(topic, "n", replace=False), MessageConsumer)
    assert_type(session.create_browser(queue), QueueBrowser)
    assert_type(iter(session.create_browser(queue)), Iterator[Message])
    _receiving(session.create_consumer(queue))


def _receiving(consumer: MessageConsumer) -> None:
    assert_type(consumer.receive(1.5), Message | Any)
    assert_type(consumer.receive_body(str, timedelta(seconds=1)), str | None)
    assert_type(consumer.receive_body_no_wait(bytes), bytes | None)
    assert_type(consumer.messages(timeout=1), Iterator[Message])
    with consumer as entered:
        assert_type(entered, MessageConsumer)

    @consumer.on_message
    def listen(message: Message) -> None:
        assert_type(message.properties["a"], PropertyValue)
        assert_type(message.jms_correlation_id, str | bytes | None)


def _simplified(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    context = assert_type(factory.create_context(AcknowledgeMode.AUTO_ACKNOWLEDGE, client_id="c"), JMSContext)
    assert_type(context.create_context(), JMSContext)
    assert_type(context.session, Session)
    producer = assert_type(context.create_producer().set_priority(3).set_property("a", 1), JMSProducer)
    assert_type(producer.send(queue, "x").send(queue, "y"), JMSProducer)
    assert_type(producer.send_async(queue, "x"), Future[Message])
    assert_type(producer.properties, MutableMapping[str, PropertyValue])
    consumer = assert_type(context.create_consumer(queue), JMSConsumer)
    assert_type(consumer.receive_body(str, 1), str | None)
    assert_type(list(consumer), list[Message])
    with context.transaction() as same:
        assert_type(same, JMSContext)


def _distributed(factory: ActiveMQXAConnectionFactory) -> None:
    connection = assert_type(factory.create_xa_connection(), XAConnection)
    session = assert_type(connection.create_xa_session(), XASession)
    context = assert_type(factory.create_xa_context(), XAJMSContext)
    assert_type(context.xa_resource, XAResource)
    resource = session.xa_resource
    with resource.branch() as xid:
        assert_type(xid, Xid)
    assert_type(resource.prepare(xid), Vote)
    assert_type(resource.recover(), list[Xid])


def _helpers(connection: Connection, session: Session, queue: Queue) -> None:
    with Requestor(session, queue) as requestor:
        assert_type(requestor.request("x", timeout=1), Message | Any)
    with assert_type(connection.management(timeout=5), Management) as management:
        assert_type(management.attribute("broker", "Version"), Json)

    @connection.on_exception
    def told(error: ConnectionFailure) -> None:
        assert_type(error.error_code, str)


def test_the_names_of_these_types_can_be_imported() -> None:
    assert issubclass(XASession, Session)
    assert issubclass(XAConnection, Connection)
    assert issubclass(XAJMSContext, JMSContext)
    assert issubclass(ActiveMQXAConnectionFactory, ActiveMQConnectionFactory)
