"""Receiving, starting, stopping and closing."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from activeclient import (
    ActiveMQConnectionFactory,
    Connection,
    Queue,
    Session,
    connect,
)
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    IllegalStateError,
)
from integration.jms_cases.support import (
    SOON,
    eventually,
    fill,
    texts,
)


def test_nothing_is_delivered_before_the_start_and_while_stopped(broker_url: str) -> None:
    with ActiveMQConnectionFactory(broker_url).create_connection() as connection:
        connection.stop()
        session = connection.create_session()
        queue = session.create_temporary_queue()
        consumer = session.create_consumer(queue)
        session.create_producer(queue).send("a")
        assert consumer.receive(0.1) is None
        assert consumer.receive_no_wait() is None
        connection.start()
        connection.start()
        assert texts(consumer, 1) == ["a"]


def test_receive_honours_its_time(session: Session, queue: Queue) -> None:
    consumer = session.create_consumer(queue)
    before = time.monotonic()
    assert consumer.receive(timedelta(seconds=0.2)) is None
    assert 0.19 <= time.monotonic() - before < SOON


def test_receive_no_wait_never_misses_a_message_that_is_there(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, *"abcdefghij")
    with connection.create_session() as session:
        consumer = session.create_consumer(queue)
        got = [consumer.receive_no_wait() for _ in range(11)]
    assert [message is not None for message in got] == [True] * 10 + [False]


def test_iterating_ends_when_nothing_comes(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    with connection.create_session() as session, session.create_consumer(queue) as consumer:
        assert [message.body for message in consumer.messages(timeout=2)] == ["a", "b"]


@pytest.mark.parametrize("what", ["consumer", "session", "connection"])
def test_closing_ends_a_blocked_receive_with_none(broker_url: str, what: str) -> None:
    with connect(broker_url) as connection:
        session = connection.create_session()
        consumer = session.create_consumer(session.create_temporary_queue())
        got: list[object] = []

        def receive() -> None:
            try:
                got.append(consumer.receive())
            except ActiveClientError as error:
                got.append(error)

        thread = threading.Thread(target=receive)
        thread.start()
        eventually(lambda: consumer._receiving, "a thread in receive")
        {"consumer": consumer.close, "session": session.close, "connection": connection.close}[what]()
        thread.join(SOON)
        assert got == [None]
        with pytest.raises(ClosedError):
            consumer.receive(0)


def test_closed_objects_refuse_work_and_close_again(broker_url: str) -> None:
    connection = connect(broker_url)
    session = connection.create_session()
    queue = session.create_temporary_queue()
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    connection.close()
    for thing in (consumer, producer, session, connection):
        assert thing.is_closed
        thing.close()
    for call in (
        connection.create_session, connection.start, connection.stop, lambda: connection.metadata,
        session.create_producer, session.create_text_message, session.recover, session.create_temporary_queue,
        lambda: producer.send("x"), lambda: consumer.receive(0),
    ):  # fmt: skip
        with pytest.raises(IllegalStateError):
            call()


def test_closing_an_untouched_and_an_unstarted_connection_is_quick(broker_url: str) -> None:
    before = time.monotonic()
    ActiveMQConnectionFactory(broker_url).create_connection().close()
    assert time.monotonic() - before < 8  # shorter than what any part of closing waits for
