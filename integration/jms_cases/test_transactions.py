"""Transactions of a session."""

from __future__ import annotations

import pytest

from activeclient import (
    Connection,
    Queue,
    TextMessage,
)
from activeclient.errors import (
    IllegalStateError,
    JMSError,
)
from integration.jms_cases.support import (
    SOON,
    TRANSACTED,
    count,
    fill,
    texts,
)


def test_a_commit_makes_sends_visible_and_receipts_final(connection: Connection, queue: Queue) -> None:
    session, other = connection.create_session(TRANSACTED), connection.create_session()
    producer, watcher = session.create_producer(queue), other.create_consumer(queue)
    producer.send("a")
    assert watcher.receive(0) is None
    session.commit()
    assert texts(watcher, 1) == ["a"]


def test_a_rollback_undoes_sends_and_receipts(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    session = connection.create_session(transacted=True)
    consumer, producer = session.create_consumer(queue), session.create_producer(queue)
    assert texts(consumer, 1) == ["a"]
    producer.send("never")
    session.rollback()
    again, second = consumer.receive(SOON), consumer.receive(SOON)
    assert isinstance(again, TextMessage)
    assert isinstance(second, TextMessage)
    assert (again.text, again.jms_redelivered) == ("a", True)
    assert second.text == "b"
    session.commit()
    assert count(connection, queue) == 0


def test_a_transaction_block_commits_or_rolls_back(connection: Connection, queue: Queue) -> None:
    session = connection.create_session(TRANSACTED)
    producer = session.create_producer(queue)
    with session.transaction():
        producer.send("kept")

    def fail() -> None:
        with session.transaction():
            producer.send("dropped")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert count(connection, queue) == 1


def test_calls_that_the_mode_does_not_have_are_refused(connection: Connection) -> None:
    auto, transacted = connection.create_session(), connection.create_session(TRANSACTED)
    with pytest.raises(IllegalStateError, match="AUTO_ACKNOWLEDGE"):
        auto.commit()
    with pytest.raises(IllegalStateError):
        auto.rollback()
    with pytest.raises(IllegalStateError):
        transacted.recover()
    with pytest.raises(JMSError, match="INDIVIDUAL_ACKNOWLEDGE"):
        connection.create_session(7)
