"""Who acknowledges, when, and what comes again."""

from __future__ import annotations

import pytest

from activeclient import (
    AcknowledgeMode,
    Connection,
    Queue,
    Session,
    TextMessage,
)
from activeclient.errors import (
    IllegalStateError,
)
from integration.jms_cases.support import (
    AUTO,
    CLIENT,
    DUPS_OK,
    INDIVIDUAL,
    SOON,
    count,
    fill,
    texts,
)


@pytest.mark.parametrize("mode", [AUTO, DUPS_OK])
def test_received_is_acknowledged(connection: Connection, queue: Queue, mode: AcknowledgeMode) -> None:
    fill(connection, queue, "a", "b", "c")
    with connection.create_session(mode) as session:
        assert texts(session.create_consumer(queue), 2) == ["a", "b"]
    with connection.create_session() as session:
        consumer = session.create_consumer(queue)
        assert texts(consumer, 1) == ["c"]
        assert consumer.receive(0) is None


def test_client_mode_acknowledges_all_that_the_session_received(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b", "c", "d")
    with connection.create_session(CLIENT) as session:
        consumer = session.create_consumer(queue)
        messages = [consumer.receive(SOON) for _ in range(3)]
        assert messages[0] is not None
        messages[0].acknowledge()
    with connection.create_session() as session:
        assert texts(session.create_consumer(queue), 1) == ["d"]
    assert count(connection, queue) == 0


def test_client_mode_without_acknowledging_keeps_everything(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    with connection.create_session(CLIENT) as session:
        assert texts(session.create_consumer(queue), 2) == ["a", "b"]
    assert count(connection, queue) == 2


def test_individual_mode_acknowledges_one(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b", "c")
    with connection.create_session(INDIVIDUAL) as session:
        consumer = session.create_consumer(queue)
        messages = [consumer.receive(SOON) for _ in range(3)]
        assert messages[1] is not None
        messages[1].acknowledge()
    with connection.create_session() as session:
        assert texts(session.create_consumer(queue), 2) == ["a", "c"]


@pytest.mark.parametrize("mode", [CLIENT, INDIVIDUAL])
def test_recover_brings_back_what_was_not_acknowledged(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    fill(connection, queue, "a", "b", "c")
    with connection.create_session(mode) as session:
        consumer = session.create_consumer(queue)
        first = consumer.receive(SOON)
        assert first is not None
        first.acknowledge()
        assert texts(consumer, 1) == ["b"]
        session.recover()
        again = consumer.receive(SOON)
        assert isinstance(again, TextMessage)
        assert (again.text, again.jms_redelivered, again.delivery_count) == ("b", True, 2)
        assert texts(consumer, 1) == ["c"]


def test_acknowledging_does_nothing_in_auto_mode_and_is_refused_for_a_message_of_ones_own(
    session: Session, queue: Queue
) -> None:
    message = session.create_producer(queue).send("x")
    with pytest.raises(IllegalStateError):
        message.acknowledge()
    received = session.create_consumer(queue).receive(SOON)
    assert received is not None
    received.acknowledge()


def test_acknowledging_after_the_session_was_closed_is_refused(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a")
    session = connection.create_session(CLIENT)
    message = session.create_consumer(queue).receive(SOON)
    assert message is not None
    session.close()
    with pytest.raises(IllegalStateError):
        message.acknowledge()
