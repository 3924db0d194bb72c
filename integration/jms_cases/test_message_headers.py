"""Headers: what a send decides, what travels, and what the receiver sees."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta

import pytest

from activeclient import (
    AcknowledgeMode,
    Connection,
    DeliveryMode,
    Destination,
    Message,
    Queue,
    Session,
    TemporaryQueue,
    TemporaryTopic,
    TextMessage,
    Topic,
)
from activeclient.errors import InvalidDestinationError, MessageFormatError
from integration.jms_cases.exchange import SOON, exchanged, sent_and_received
from integration.jms_cases.support import drained

LATER = 2**62


def now() -> int:
    return int(time.time() * 1000)


# --- id and timestamp -------------------------------------------------------------------------------------------------


def test_an_id_begins_with_its_prefix_is_given_by_the_send_and_another_for_each(session: Session, queue: Queue) -> None:
    message = TextMessage("x")
    ids: list[str | None] = [message.jms_message_id]
    for _ in range(3):
        arrived = exchanged(session, queue, message)
        assert arrived.jms_message_id == message.jms_message_id
        ids.append(arrived.jms_message_id)
    assert ids[0] is None
    assert len(set(ids)) == 4
    for each in ids[1:]:
        assert each is not None
        assert each.startswith("ID:")
        uuid.UUID(each[3:])


def test_an_id_of_ones_own_is_kept_here_and_overwritten_by_a_send(session: Session, queue: Queue) -> None:
    message = Message()
    message.jms_message_id = "ID:mine"
    assert message.jms_message_id == "ID:mine"
    for wrong in ("mine", "id:mine", ""):
        with pytest.raises(MessageFormatError):
            message.jms_message_id = wrong
    assert exchanged(session, queue, message).jms_message_id not in ("ID:mine", None)
    assert message.jms_message_id != "ID:mine"


def test_without_ids_there_is_none_also_of_an_earlier_send(session: Session, queue: Queue) -> None:
    message = Message()
    exchanged(session, queue, message)
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        producer.disable_message_id = True
        producer.send(message)
        arrived = consumer.receive(SOON)
    assert arrived is not None
    assert message.jms_message_id is arrived.jms_message_id is None


def test_a_timestamp_is_that_of_the_send_or_none(session: Session, queue: Queue) -> None:
    before = now()
    message = Message()
    message.jms_timestamp = 5
    assert before <= exchanged(session, queue, message).jms_timestamp <= now()
    assert before <= message.jms_timestamp <= now()
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        producer.disable_message_timestamp = True
        producer.send(message)
        arrived = consumer.receive(SOON)
    assert arrived is not None
    assert message.jms_timestamp == arrived.jms_timestamp == 0


# --- priority, mode ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", range(10))
def test_each_priority_arrives(session: Session, queue: Queue, level: int) -> None:
    assert sent_and_received(session, queue, "x", priority=level).jms_priority == level


def test_priorities_are_those_of_the_send_then_of_the_producer_and_4_else(session: Session, queue: Queue) -> None:
    message = Message()
    message.jms_priority = 9
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        producer.send(message)
        producer.priority = 2
        producer.send(message)
        producer.send(message, priority=7)
        found = [consumer.receive(SOON) for _ in range(3)]
        assert sorted(each.jms_priority for each in found if each is not None) == [2, 4, 7]
        for wrong in (-1, 10, "4", True, None):
            with pytest.raises(MessageFormatError):
                producer.priority = wrong  # type: ignore[assignment]
            with pytest.raises(MessageFormatError):
                message.jms_priority = wrong  # type: ignore[assignment]


def test_priorities_order_what_waits_and_one_priority_keeps_its_order(session: Session, queue: Queue) -> None:
    with session.create_producer(queue) as producer:
        for index in range(30):
            producer.send(str(index), priority=index % 10)
    with session.create_consumer(queue) as consumer:
        found = [message.body for message in (consumer.receive(SOON) for _ in range(30)) if message is not None]
    assert found == [str(level + 10 * turn) for level in range(9, -1, -1) for turn in range(3)]


def test_delivery_modes_arrive_and_others_are_refused(session: Session, queue: Queue) -> None:
    message = Message()
    assert exchanged(session, queue, message).jms_delivery_mode is DeliveryMode.PERSISTENT
    arrived = exchanged(session, queue, message, delivery_mode=DeliveryMode.NON_PERSISTENT)
    assert arrived.jms_delivery_mode is message.jms_delivery_mode is DeliveryMode.NON_PERSISTENT
    assert exchanged(session, queue, message).jms_delivery_mode is DeliveryMode.PERSISTENT
    with session.create_producer(queue) as producer:
        assert producer.delivery_mode is DeliveryMode.PERSISTENT
        for wrong in (0, 3, -1, "PERSISTENT"):
            with pytest.raises(MessageFormatError):
                producer.delivery_mode = wrong  # type: ignore[assignment]
            with pytest.raises(MessageFormatError):
                producer.send(message, delivery_mode=wrong)  # type: ignore[arg-type]


# --- destination, reply to --------------------------------------------------------------------------------------------


def test_the_destination_is_that_of_the_send(session: Session, queue: Queue) -> None:
    message = Message()
    elsewhere: Destination = Topic("elsewhere")
    message.jms_destination = elsewhere
    arrived = exchanged(session, queue, message)
    assert [arrived.jms_destination, message.jms_destination] == [queue, queue]


def test_each_kind_of_destination_arrives_as_itself(session: Session, connection: Connection) -> None:
    destinations: list[Destination] = [session.create_temporary_queue(), session.create_temporary_topic()]
    for destination in destinations:
        with session.create_consumer(destination) as consumer, session.create_producer() as producer:
            producer.send("x", destination)
            arrived = consumer.receive(SOON)
        assert arrived is not None
        assert arrived.jms_destination == destination


@pytest.mark.parametrize(
    "reply_to", [Queue("a.b"), Topic("a.b"), TemporaryQueue("t"), TemporaryTopic("t"), Queue("a::b"), None], ids=str
)
def test_each_kind_of_answering_destination_arrives_as_itself(
    session: Session, queue: Queue, reply_to: Destination | None
) -> None:
    message = Message()
    message.jms_reply_to = reply_to
    arrived = exchanged(session, queue, message)
    assert arrived.jms_reply_to == reply_to
    assert type(arrived.jms_reply_to) is type(reply_to)
    message.jms_reply_to = None
    assert exchanged(session, queue, message).jms_reply_to is None


def test_a_name_alone_is_a_destination_of_unknown_kind_and_cannot_be_sent_to(session: Session, queue: Queue) -> None:
    message = Message()
    message.core.properties["JMSReplyTo"] = "plain"
    arrived = exchanged(session, queue, message)
    assert arrived.jms_reply_to == Destination("plain")
    assert arrived.jms_reply_to is not None
    with session.create_producer() as producer, pytest.raises(InvalidDestinationError, match="as_queue"):
        producer.send("x", arrived.jms_reply_to)
    assert arrived.jms_reply_to.as_queue() == Queue("plain")


# --- type, correlation id ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Trade", "", "a b \U0001f600", None])
def test_a_type_arrives(session: Session, queue: Queue, kind: str | None) -> None:
    message = Message()
    message.jms_type = kind
    assert exchanged(session, queue, message).jms_type == kind
    message.jms_type = None
    assert exchanged(session, queue, message).jms_type is None


def test_the_last_correlation_id_counts_whether_text_or_bytes(session: Session, queue: Queue) -> None:
    message = Message()
    for value in ("text", b"\x01\x00", "again", None):
        message.jms_correlation_id = value
        assert message.jms_correlation_id == value
        assert exchanged(session, queue, message).jms_correlation_id == value
    for wrong in (b"", 5):
        with pytest.raises(MessageFormatError):
            message.jms_correlation_id = wrong  # type: ignore[assignment]


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("live", [0, timedelta()])
def test_no_time_to_live_is_no_expiration(session: Session, queue: Queue, live: float | timedelta) -> None:
    message = Message()
    message.jms_expiration = LATER
    assert exchanged(session, queue, message, time_to_live=live).jms_expiration == message.jms_expiration == 0


def test_the_expiration_is_the_time_of_the_send_and_the_time_to_live(session: Session, queue: Queue) -> None:
    message = Message()
    arrived = exchanged(session, queue, message, time_to_live=timedelta(minutes=2))
    assert arrived.jms_expiration == message.jms_expiration == message.jms_timestamp + 120_000
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        producer.time_to_live = 60
        producer.send(message)
        assert message.jms_expiration == message.jms_timestamp + 60_000
        producer.send(message, time_to_live=0)
        assert message.jms_expiration == 0
        assert len([consumer.receive(SOON) for _ in range(2)]) == 2


def test_what_expired_is_skipped_and_a_timed_receive_takes_no_longer(session: Session, queue: Queue) -> None:
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        sent = [producer.send(str(index), time_to_live=0.001 if index % 2 else 60) for index in range(10)]
        while now() <= sent[9].jms_expiration:
            time.sleep(0.001)
        assert [message.body for message in drained(consumer)] == ["0", "2", "4", "6", "8"]
        producer.send("soon too old", time_to_live=0.05)
        began = time.monotonic()
        message = consumer.receive(0.4)
        assert message is None or message.body == "soon too old"
        assert time.monotonic() - began < SOON
        assert consumer.receive(0.1) is None


def test_a_delay_is_kept_and_the_delivery_time_is_seen_by_both(session: Session, queue: Queue) -> None:
    message = TextMessage("x")
    arrived = exchanged(session, queue, message, delivery_delay=0.25)
    assert now() >= arrived.jms_delivery_time == message.jms_delivery_time == message.jms_timestamp + 250
    again = exchanged(session, queue, arrived)
    assert again.jms_delivery_time == again.jms_timestamp


# --- redelivery -------------------------------------------------------------------------------------------------------


def test_deliveries_are_counted_and_marked_from_the_second_on(connection: Connection, queue: Queue) -> None:
    with connection.create_session(AcknowledgeMode.SESSION_TRANSACTED) as session:
        session.create_producer(queue).send("x")
        session.commit()
        consumer = session.create_consumer(queue)
        for count in (1, 2, 3):
            message = consumer.receive(SOON)
            assert message is not None
            assert (message.delivery_count, message.jms_redelivered) == (count, count > 1)
            assert message.properties.get_int("JMSXDeliveryCount") == count
            assert "JMSXDeliveryCount" in list(message.properties)
            session.rollback()
        message = consumer.receive(SOON)
        session.commit()
    assert message is not None
    with connection.create_session() as session:
        again = exchanged(session, queue, message)
        assert (again.delivery_count, again.jms_redelivered) == (1, False)
