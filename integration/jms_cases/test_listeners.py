"""Message listeners, and what waits for them."""

from __future__ import annotations

import threading

import pytest

from activeclient import (
    AcknowledgeMode,
    Connection,
    Message,
    Queue,
    Session,
    TextMessage,
    connect,
)
from activeclient.errors import (
    IllegalStateError,
)
from integration.jms_cases.support import (
    AUTO,
    CLIENT,
    DUPS_OK,
    SOON,
    TRANSACTED,
    count,
    eventually,
    fill,
    texts,
)


@pytest.mark.parametrize("mode", [AUTO, DUPS_OK])
def test_a_listener_gets_messages_in_order_one_at_a_time(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    got: list[str | None] = []
    with connection.create_session(mode) as session:
        consumer = session.create_consumer(queue)

        @consumer.on_message
        def listen(message: Message) -> None:
            assert isinstance(message, TextMessage)
            got.append(message.text)

        fill(connection, queue, *(str(n) for n in range(100)))
        eventually(lambda: len(got) == 100)
    assert got == [str(n) for n in range(100)]
    assert count(connection, queue) == 0


def test_a_listener_that_raises_gets_its_message_again(connection: Connection, queue: Queue) -> None:
    got: list[tuple[str | None, int]] = []

    def listen(message: Message) -> None:
        assert isinstance(message, TextMessage)
        got.append((message.text, message.delivery_count))
        if message.delivery_count < 3:
            raise ValueError("not yet")

    with connection.create_session() as session:
        session.create_consumer(queue).message_listener = listen
        fill(connection, queue, "a", "b")
        eventually(lambda: len(got) >= 6)
    assert got[:3] == [("a", 1), ("a", 2), ("a", 3)]
    assert [text for text, _ in got].count("b") >= 1
    assert count(connection, queue) == 0


def test_a_listener_commits_and_rolls_back(connection: Connection, queue: Queue) -> None:
    got: list[tuple[str | None, bool]] = []
    session = connection.create_session(TRANSACTED)

    def listen(message: Message) -> None:
        assert isinstance(message, TextMessage)
        got.append((message.text, message.jms_redelivered))
        if message.jms_redelivered:
            session.commit()
        else:
            session.rollback()

    session.create_consumer(queue).message_listener = listen
    fill(connection, queue, "a")
    eventually(lambda: len(got) == 2)
    eventually(lambda: count(connection, queue) == 0)
    assert got == [("a", False), ("a", True)]


def test_a_listener_acknowledges_in_client_mode(connection: Connection, queue: Queue) -> None:
    done = threading.Event()

    def listen(message: Message) -> None:
        message.acknowledge()
        done.set()

    connection.create_session(CLIENT).create_consumer(queue).message_listener = listen
    fill(connection, queue, "a")
    assert done.wait(SOON)
    eventually(lambda: count(connection, queue) == 0)


def test_receive_and_a_listener_exclude_each_other(session: Session, queue: Queue) -> None:
    consumer = session.create_consumer(queue)
    consumer.message_listener = lambda message: None
    with pytest.raises(IllegalStateError, match="listener"):
        consumer.receive(0)
    consumer.message_listener = None
    assert consumer.receive(0) is None


def test_a_consumer_closed_by_its_listener_acknowledges_the_message(connection: Connection, queue: Queue) -> None:
    got: list[Message] = []
    session = connection.create_session()
    consumer = session.create_consumer(queue)

    def listen(message: Message) -> None:
        got.append(message)
        consumer.close()

    consumer.message_listener = listen
    fill(connection, queue, "a", "b")
    eventually(lambda: count(connection, queue) == 1)
    with connection.create_session() as other:
        assert texts(other.create_consumer(queue), 1) == ["b"]
    assert len(got) == 1
    assert consumer.is_closed


def test_a_listener_must_not_close_or_stop_what_waits_for_it(connection: Connection, queue: Queue) -> None:
    errors: list[Exception] = []
    session = connection.create_session()

    def listen(message: Message) -> None:
        for call in (session.close, connection.close, connection.stop):
            try:
                call()
            except IllegalStateError as error:
                errors.append(error)

    session.create_consumer(queue).message_listener = listen
    fill(connection, queue, "a")
    eventually(lambda: len(errors) == 3)


@pytest.mark.parametrize("what", ["consumer", "session", "connection", "stop"])
def test_closing_waits_for_a_running_listener(broker_url: str, what: str) -> None:
    with connect(broker_url) as connection:
        session = connection.create_session()
        queue = session.create_temporary_queue()
        consumer = session.create_consumer(queue)
        running, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        def listen(message: Message) -> None:
            running.set()
            go_on.wait(SOON)
            ended.set()

        consumer.message_listener = listen
        fill(connection, queue, "a")
        assert running.wait(SOON)
        order: list[bool] = []
        close = {
            "consumer": consumer.close, "session": session.close, "connection": connection.close,
            "stop": connection.stop,
        }[what]  # fmt: skip

        def close_and_look() -> None:
            close()
            order.append(ended.is_set())

        closer = threading.Thread(target=close_and_look)
        closer.start()
        closer.join(0.2)
        assert closer.is_alive()
        go_on.set()
        closer.join(SOON)
        assert order == [True]
