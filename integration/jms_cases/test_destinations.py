"""Queues, topics, temporary ones, their names and attributes."""

from __future__ import annotations

import uuid

import pytest

from activeclient import (
    Connection,
    Message,
    Queue,
    Session,
    TemporaryQueue,
    TextMessage,
    connect,
)
from activeclient.errors import (
    IllegalStateError,
    InvalidDestinationError,
    InvalidSelectorError,
    UnsupportedOperationError,
)
from integration.jms_cases.support import (
    SOON,
    count,
    fill,
    texts,
)


def test_every_subscriber_of_a_topic_gets_a_message(connection: Connection) -> None:
    session = connection.create_session()
    topic = session.create_topic(f"jms-topic-{uuid.uuid4()}")
    one, two = session.create_consumer(topic), session.create_consumer(topic, "colour = 'red'")
    producer = session.create_producer(topic)
    producer.send("blue", properties={"colour": "blue"})
    producer.send("red", properties={"colour": "red"})
    assert texts(one, 2) == ["blue", "red"]
    assert texts(two, 1) == ["red"]
    message = two.receive(0)
    assert message is None
    queue = one.close
    queue()
    with connection.factory.create_session() as core:
        assert len(core.query_address(topic.address).queue_names) == 1


def test_no_local_leaves_out_what_the_connection_sends(connection: Connection, broker_url: str) -> None:
    session = connection.create_session()
    topic = session.create_topic(f"jms-topic-{uuid.uuid4()}")
    consumer = session.create_consumer(topic, no_local=True)
    session.create_producer(topic).send("own")
    with connect(broker_url) as other, other.create_session() as theirs:
        theirs.create_producer(topic).send("theirs")
    assert texts(consumer, 1) == ["theirs"]


def test_a_selector_by_headers_and_properties(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    producer = session.create_producer(queue)
    producer.send("low", priority=2, properties={"n": 5})
    producer.send("high", priority=8, properties={"n": 5})
    wanted = producer.send("by id", properties={"n": 1})
    assert texts(session.create_consumer(queue, "JMSPriority > 4 AND n = 5"), 1) == ["high"]
    assert texts(session.create_consumer(queue, f"JMSMessageID = '{wanted.jms_message_id}'"), 1) == ["by id"]
    with pytest.raises(InvalidSelectorError):
        session.create_consumer(queue, "n = = 5")


def test_request_and_reply_over_a_temporary_queue(connection: Connection, broker_url: str, queue: Queue) -> None:
    with connect(broker_url) as server, server.create_session() as serving:
        answers = serving.create_producer()

        def answer(request: Message) -> None:
            assert isinstance(request, TextMessage)
            answers.send(f"re: {request.text}", request.jms_reply_to, correlation_id=request.jms_message_id)

        serving.create_consumer(queue).message_listener = answer
        session = connection.create_session()
        with session.create_temporary_queue() as replies:
            with session.create_consumer(replies) as consumer:
                request = session.create_producer(queue).send("question", reply_to=replies)
                reply = consumer.receive(SOON)
            assert isinstance(reply, TextMessage)
            assert reply.text == "re: question"
            assert reply.jms_correlation_id == request.jms_message_id
            with pytest.raises(InvalidDestinationError):
                serving.create_consumer(TemporaryQueue(replies.name))


def test_a_temporary_destination_is_deleted_only_without_consumers(session: Session) -> None:
    for made in (session.create_temporary_queue(), session.create_temporary_topic()):
        consumer = session.create_consumer(made)
        session.create_producer(made).send("x")
        assert texts(consumer, 1) == ["x"]
        with pytest.raises(IllegalStateError, match="consumers"):
            made.delete()
        consumer.close()
        made.delete()
        with pytest.raises(IllegalStateError):
            made.delete()


def test_attributes_behind_a_name_count_when_its_consumer_creates_the_queue(
    connection: Connection, session: Session, queue: Queue
) -> None:
    session.create_consumer(Queue(f"{queue.name}?ring-size=2&max-consumers=1"))
    with connection.factory.create_session() as core:
        found = core.query_queue(queue.name)
    assert (found.ring_size, found.max_consumers, found.auto_created) == (2, 1, True)


def test_a_queue_is_not_a_topic(session: Session, queue: Queue) -> None:
    session.create_producer(queue)
    with pytest.raises(InvalidDestinationError, match="MULTICAST"):
        session.create_producer(queue.as_topic())


def test_producers_know_their_destination(session: Session, queue: Queue) -> None:
    bound, free = session.create_producer(queue), session.create_producer()
    with pytest.raises(UnsupportedOperationError):
        bound.send("x", Queue("other"))
    with pytest.raises(InvalidDestinationError):
        free.send("x")
    free.send("x", queue)
    assert texts(session.create_consumer(queue), 1) == ["x"]


def test_a_browser_looks_and_takes_nothing(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b", "c")
    session = connection.create_session()
    with session.create_browser(queue) as browser:
        assert [message.body for message in browser] == ["a", "b", "c"]
        assert [message.body for message in browser] == ["a", "b", "c"]
    assert count(connection, queue) == 3
    first = session.create_consumer(queue).receive(SOON)
    assert first is not None
    assert first.delivery_count == 1
