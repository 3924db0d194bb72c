"""What a session that was lost and made anew must not show, on the embedded broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    ActiveMQXAConnectionFactory,
    Connection,
    MessageConsumer,
    Queue,
)
from activeclient.broker.embedded import EmbeddedBroker

SOON = 30.0


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as made:
        yield made


@pytest.fixture
def connection(broker: EmbeddedBroker) -> Iterator[Connection]:
    url = f"{broker.url}?reconnectAttempts=-1&retryInterval=10"
    with ActiveMQConnectionFactory(url).create_connection() as made:
        yield made


def received(consumer: MessageConsumer, count: int) -> list[tuple[object, int]]:
    """(body, deliveries) of the next messages."""
    found = [consumer.receive(SOON) for _ in range(count)]
    return [(message.body, message.delivery_count) for message in found if message is not None]


def fill(connection: Connection, queue: Queue, count: int) -> None:
    with connection.create_session() as session, session.create_producer(queue) as producer:
        for number in range(count):
            producer.send(str(number))


@pytest.mark.parametrize("looked_at", [0, 1, 3, 4])
def test_a_look_at_a_queue_shows_each_message_once_whatever_becomes_of_the_session(
    broker: EmbeddedBroker, connection: Connection, looked_at: int
) -> None:
    queue = Queue("browsed")
    fill(connection, queue, 4)
    session = connection.create_session()
    look = iter(session.create_browser(queue))
    shown = [next(look).body for _ in range(looked_at)]
    broker.restart()
    shown += [message.body for message in look]
    assert shown == ["0", "1", "2", "3"]


@pytest.mark.parametrize("mode", [AcknowledgeMode.CLIENT_ACKNOWLEDGE, AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE])
def test_recovering_marks_all_that_was_received_and_nothing_else(connection: Connection, mode: AcknowledgeMode) -> None:
    queue = Queue("recovered")
    fill(connection, queue, 5)
    with connection.create_session(mode) as session:
        consumer = session.create_consumer(queue)
        for turn in range(1, 4):
            assert received(consumer, 3) == [("0", turn), ("1", turn), ("2", turn)]
            session.recover()
        assert received(consumer, 5)[3:] == [("3", 1), ("4", 1)]


def test_recovering_leaves_alone_what_was_acknowledged_by_itself(connection: Connection) -> None:
    queue = Queue("recovered")
    fill(connection, queue, 5)
    with connection.create_session(AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE) as session:
        consumer = session.create_consumer(queue)
        messages = [consumer.receive(SOON) for _ in range(4)]
        assert messages[1] is not None
        messages[1].acknowledge()
        session.recover()
        assert received(consumer, 4) == [("0", 2), ("2", 2), ("3", 2), ("4", 1)]


@pytest.mark.parametrize("mode", [AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.DUPS_OK_ACKNOWLEDGE])
@pytest.mark.parametrize("lost", ["the acknowledgement", "its answer"])
def test_receiving_goes_on_when_the_answer_to_an_acknowledgement_is_lost(
    broker: EmbeddedBroker, mode: AcknowledgeMode, lost: str
) -> None:
    queue = Queue("waiting")
    url = f"{broker.url}?reconnectAttempts=-1&retryInterval=10&blockOnAcknowledge=true"
    with ActiveMQConnectionFactory(url).create_connection() as connection:
        fill(connection, queue, 3)
        consumer = connection.create_session(mode).create_consumer(queue)
        assert received(consumer, 1) == [("0", 1)]
        broker.faults.cut("Acknowledge", after=lost == "its answer")
        assert received(consumer, 1) == [("1", 1)]
        message = consumer.receive(SOON)
        assert message is not None
        assert message.body == "2"
        assert consumer.receive(0) is None


def test_rolling_a_branch_back_hands_nothing_out_that_the_broker_took_back(broker: EmbeddedBroker) -> None:
    queue = Queue("branches")
    with ActiveMQXAConnectionFactory(broker.url).create_xa_connection() as connection:
        fill(connection, queue, 6)
        session = connection.create_xa_session()
        consumer, resource = session.create_consumer(queue), session.xa_resource
        for turn in range(1, 4):
            with resource.branch() as xid:
                assert received(consumer, 2) == [("0", turn), ("1", turn)]
            resource.prepare(xid)
            resource.rollback(xid)
        with resource.branch() as xid:
            assert [body for body, _ in received(consumer, 6)] == ["0", "1", "2", "3", "4", "5"]
        resource.commit(xid, one_phase=True)
        assert broker.message_count(queue.name) == 0
