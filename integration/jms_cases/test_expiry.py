"""Messages that grow too old, and messages that come later."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from activeclient import AcknowledgeMode, Connection, Queue, Session, Topic
from integration.jms_cases.support import (
    AUTO,
    CLIENT,
    INDIVIDUAL,
    PRE,
    SOON,
    TRANSACTED,
    Inbox,
    fill,
    in_time,
    left,
    rest,
    text_of,
    texts,
)

MODES = [AUTO, CLIENT, INDIVIDUAL, TRANSACTED, PRE]


@pytest.fixture
def session(connection: Connection) -> Session:
    return connection.create_session()


def test_a_message_without_time_to_live_does_not_expire(session: Session, queue: Queue) -> None:
    sent = session.create_producer(queue).send("x", time_to_live=0)
    assert sent.jms_expiration == 0
    got = session.create_consumer(queue).receive(SOON)
    assert got is not None
    assert got.jms_expiration == 0


@pytest.mark.parametrize("live", [60, 60.0, timedelta(seconds=60)])
def test_the_time_to_live_counts_from_the_send(session: Session, queue: Queue, live: float | timedelta) -> None:
    producer = session.create_producer(queue)
    producer.time_to_live = live
    sent = producer.send("x")
    assert sent.jms_expiration == sent.jms_timestamp + 60_000
    got = session.create_consumer(queue).receive(SOON)
    assert got is not None
    assert got.jms_expiration == sent.jms_expiration


@pytest.mark.parametrize("mode", MODES)
def test_what_expired_after_it_was_fetched_is_skipped(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    with connection.create_session(mode) as session:
        consumer = session.create_consumer(queue)
        fill(connection, queue, "old", time_to_live=0.05)
        fill(connection, queue, "young", time_to_live=60)
        fill(connection, queue, "old too", time_to_live=0.05)
        fill(connection, queue, "ageless")
        time.sleep(0.15)
        assert rest(consumer) == ["young", "ageless"]
        if mode is TRANSACTED:
            session.commit()


@pytest.mark.parametrize("mode", MODES)
def test_a_listener_does_not_get_what_expired(connection: Connection, queue: Queue, mode: AcknowledgeMode) -> None:
    with connection.create_session(mode) as session:
        connection.stop()
        fill(connection, queue, "old", time_to_live=0.05)
        fill(connection, queue, "young")
        inbox = Inbox()
        session.create_consumer(queue).message_listener = inbox
        time.sleep(0.1)
        connection.start()
        assert inbox.wait(1) == ["young"]


def test_what_expired_goes_where_the_broker_says(connection: Connection, session: Session, queue: Queue) -> None:
    consumer = session.create_consumer(queue)
    sent = session.create_producer(queue).send("old", time_to_live=0.05, properties={"n": 1})
    time.sleep(0.1)
    assert consumer.receive(0) is None
    with session.create_consumer(Queue("ExpiryQueue"), f"_AMQ_ORIG_ADDRESS = '{queue.name}'") as expired:
        message = expired.receive(SOON)
    assert text_of(message) == "old"
    assert message is not None
    assert (message.jms_expiration, message.properties["n"]) == (0, 1)
    assert message.properties["_AMQ_ACTUAL_EXPIRY"] >= sent.jms_expiration  # type: ignore[operator]
    left(connection, queue.name, 0)


def test_a_timed_receive_keeps_its_time_across_what_expired(session: Session, queue: Queue) -> None:
    consumer = session.create_consumer(queue)
    producer = session.create_producer(queue)
    for _ in range(5):
        producer.send("old", time_to_live=0.01)
    time.sleep(0.1)
    began = time.monotonic()
    assert consumer.receive(0.4) is None
    assert 0.39 <= time.monotonic() - began < SOON


def test_a_message_that_expires_during_a_receive_is_not_returned_late(session: Session, queue: Queue) -> None:
    consumer = session.create_consumer(queue)
    session.create_producer(queue).send("in time", time_to_live=60)
    assert texts(consumer, 1) == ["in time"]


def test_the_subscribers_of_a_topic_do_not_get_what_expired(session: Session, topic: Topic) -> None:
    consumer = session.create_consumer(topic)
    producer = session.create_producer(topic)
    producer.send("old", time_to_live=0.05)
    producer.send("young")
    time.sleep(0.1)
    assert rest(consumer) == ["young"]


# --- later ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("persistent", [1, 2])
def test_delayed_messages_come_in_the_order_of_their_times(session: Session, queue: Queue, persistent: int) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)

    def attempt(seconds: float) -> bool:
        began = time.monotonic()
        for text, delay in (("third", 2 * seconds), ("second", seconds), ("first", 0.0)):
            producer.send(text, delivery_delay=delay, delivery_mode=persistent)
        found, at = [], []
        for _ in range(3):
            found += texts(consumer, 1)
            at.append(time.monotonic() - began)
        assert sorted(str(text) for text in found) == ["first", "second", "third"]
        assert at[2] >= 2 * seconds - 0.01
        early = at[0] < seconds and at[1] < 2 * seconds
        assert not early or found == ["first", "second", "third"]
        return early

    in_time(attempt)


def test_a_delay_belongs_to_a_send_and_not_to_the_message(session: Session, queue: Queue) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    message = session.create_text_message("x")
    producer.send(message, delivery_delay=60)
    assert message.jms_delivery_time == pytest.approx(message.jms_timestamp + 60_000, abs=2)
    producer.send(message)
    assert message.jms_delivery_time == message.jms_timestamp
    assert texts(consumer, 1) == ["x"]


def test_a_delayed_message_that_lives_shorter_is_never_delivered(session: Session, queue: Queue) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    producer.send("never", delivery_delay=0.3, time_to_live=0.1)
    assert consumer.receive(0.8) is None


def test_a_delayed_send_of_a_transaction_is_delayed_from_the_send(connection: Connection, queue: Queue) -> None:
    consumer = connection.create_session().create_consumer(queue)
    with connection.create_session(TRANSACTED) as session:
        session.create_producer(queue).send("x", delivery_delay=0.2)
        session.commit()
    assert texts(consumer, 1) == ["x"]
