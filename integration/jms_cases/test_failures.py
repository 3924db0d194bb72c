"""Completions, client ids, and who is told of failures."""

from __future__ import annotations

import io
import uuid

import pytest

import activeclient
from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    BytesMessage,
    Connection,
    DeliveryMode,
    Message,
    Queue,
    Recovery,
    TextMessage,
    connect,
)
from activeclient.client.listeners import ConnectionFailure
from activeclient.errors import (
    ActiveClientError,
    IllegalStateError,
    InvalidClientIDError,
    InvalidDestinationError,
    ResourceAllocationError,
)
from activeclient.events import ConsumerLost
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.jms_cases.support import (
    AUTO,
    CLIENT,
    INDIVIDUAL,
    SOON,
    TRANSACTED,
    count,
    eventually,
    fill,
    texts,
)


def test_a_completion_comes_when_the_broker_has_the_message(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    told: list[tuple[object, object]] = []
    refused: list[bool] = []

    def complete(message: Message, error: ActiveClientError | None) -> None:
        told.append((message.body, error))
        try:
            session.close()
        except IllegalStateError:
            refused.append(True)

    producer = session.create_producer(queue)
    for n in range(20):
        producer.send(str(n), on_complete=complete)
    future = producer.send_async("last")
    assert future.result(SOON).body == "last"
    assert told == [(str(n), None) for n in range(20)]
    assert len(refused) == 20
    eventually(lambda: count(connection, queue) == 21)


def test_a_client_id_is_unique_and_set_first(broker_url: str) -> None:
    name = f"client-{uuid.uuid4()}"
    factory = ActiveMQConnectionFactory(broker_url)
    with factory.create_connection() as one, pytest.raises(IllegalStateError):
        one.client_id = name  # it was started
    with factory.create_connection(client_id=name) as one:
        assert one.client_id == name
        with pytest.raises(InvalidClientIDError):
            factory.create_connection(client_id=name)
        with pytest.raises(IllegalStateError):
            one.client_id = "another"
    with factory.create_connection(client_id=name) as one:
        assert one.metadata.jms_major_version == 3


@pytest.mark.parametrize("mode", [AUTO, CLIENT])
def test_the_exception_listener_is_told_once_for_each_cut_and_work_goes_on(
    artemis: Broker, cutter: Cutter, queue: Queue, mode: AcknowledgeMode
) -> None:
    if mode is CLIENT and not artemis.reattaches:
        pytest.skip("a recreated session's messages come again: that has tests of its own")
    told: list[ConnectionFailure] = []
    with connect(cutter.url()) as connection:
        connection.exception_listener = told.append
        session = connection.create_session(mode)
        consumer, producer = session.create_consumer(queue), session.create_producer(queue)
        for n in range(3):
            producer.send(f"before {n}")
            message = consumer.receive(SOON)
            assert isinstance(message, TextMessage)
            assert message.text == f"before {n}"
            cutter.cut_now()
            producer.send(f"after {n}")
            assert texts(consumer, 1) == [f"after {n}"]
            message.acknowledge()
            eventually(lambda: len(told) == n + 1)  # noqa: B023 - called at once
    recovery = Recovery.REATTACHED if artemis.reattaches else Recovery.RECREATED
    assert [error.recovery for error in told] == [recovery] * 3
    assert {error.error_code for error in told} == {"FAILOVER"}


def test_a_refused_send_that_nobody_waits_for_is_told_to_the_exception_listener_once(broker_url: str) -> None:
    told: list[ConnectionFailure] = []
    with connect(broker_url, producer_window_size=-1) as connection:
        connection.exception_listener = told.append
        session = connection.create_session()
        queue = session.create_queue(f"full.fail.{uuid.uuid4()}")
        with session.create_producer(queue) as producer:
            for n in range(300):
                producer.send(bytes(2000), delivery_mode=DeliveryMode.NON_PERSISTENT, properties={"n": n})
        session.core.query_queue(queue.name)  # answered behind the sends: each of them was stored or refused
        with session.create_consumer(queue) as consumer:
            stored = len(list(consumer.messages(timeout=0)))
        assert 0 < stored < 300
        eventually(lambda: len(told) == 300 - stored)
        assert all(isinstance(error.reason, ResourceAllocationError) for error in told)
        assert {(error.code, error.error_code, error.recovery) for error in told} == {(210, "ADDRESS_FULL", None)}
        session.create_temporary_queue()  # the connection is as well as before
        with connection.factory.create_session() as core:
            core.delete_queue(queue.name)
        assert len(told) == 300 - stored


def test_a_refused_send_is_told_to_its_owner_and_to_nobody_else(broker_url: str) -> None:
    told: list[ConnectionFailure] = []
    ended: list[ActiveClientError | None] = []
    with connect(broker_url, producer_window_size=-1) as connection:
        connection.exception_listener = told.append
        session = connection.create_session()
        queue = session.create_queue(f"full.fail.{uuid.uuid4()}")
        producer = session.create_producer(queue)

        def fill_up() -> None:
            for _ in range(300):
                producer.send(bytes(2000))

        with pytest.raises(ResourceAllocationError):
            fill_up()
        producer.send(bytes(2000), on_complete=lambda _, error: ended.append(error))
        eventually(lambda: len(ended) == 1)
        assert isinstance(ended[0], ResourceAllocationError)
        with connection.factory.create_session() as core:
            core.delete_queue(queue.name)
        assert told == []


@pytest.mark.parametrize("listening", [False, True])
def test_a_consumer_whose_queue_is_deleted_is_told_to_the_exception_listener_once(
    connection: Connection, queue: Queue, listening: bool
) -> None:
    told: list[ConnectionFailure] = []
    connection.exception_listener = told.append
    session = connection.create_session()
    consumer, other = session.create_consumer(queue), session.create_consumer(session.create_temporary_queue())
    if listening:
        consumer.message_listener = lambda message: None
    with connection.management() as management:
        management.invoke("broker", "destroyQueue", queue.name, True)
    eventually(lambda: len(told) == 1)
    assert (told[0].code, told[0].error_code, told[0].recovery) == (100, "QUEUE_DOES_NOT_EXIST", None)
    assert queue.name in str(told[0])
    assert isinstance(told[0].event, ConsumerLost)
    assert consumer.is_closed
    if not listening:
        with pytest.raises(InvalidDestinationError, match="deleted"):
            consumer.receive(SOON)
    assert other.receive(0) is None
    assert len(told) == 1


def test_what_is_received_is_remembered_until_the_server_confirms_its_acknowledgement(
    connection: Connection, queue: Queue
) -> None:
    fill(connection, queue, "a", "b")
    consumer = connection.create_session().create_consumer(queue)
    assert texts(consumer, 1) == ["a"]
    message = consumer.receive(SOON)  # it was here already: the short way
    assert message is not None
    remembered = message.core.origin.consumer.acknowledged
    with connection.factory.pump.lock:
        remembered.session_lost()
        assert remembered.comes_again(message.core)


def test_the_public_names_are_there() -> None:
    assert all(hasattr(activeclient, name) for name in activeclient.__all__)


@pytest.mark.parametrize("mode", [AUTO, CLIENT, INDIVIDUAL, TRANSACTED])
def test_a_body_larger_than_what_is_read_at_receipt_streams_and_is_acknowledged_later(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    piece = bytes(range(256)) * 4096
    fill(connection, queue, io.BytesIO(piece * 6), "next")
    with connection.create_session(mode) as session:
        consumer = session.create_consumer(queue)
        message = consumer.receive(SOON)
        assert isinstance(message, BytesMessage)
        with message.open_body() as body:
            for _ in range(6):
                assert body.read(len(piece)) == piece
            assert body.read() == b""
        if mode is TRANSACTED:
            session.commit()
        else:
            message.acknowledge()
    assert count(connection, queue) == 1
