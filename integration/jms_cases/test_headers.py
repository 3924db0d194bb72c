"""Headers and properties, and what a send makes of them."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from activeclient import (
    BytesMessage,
    Connection,
    DeliveryMode,
    Message,
    Queue,
    Session,
    TextMessage,
    Topic,
)
from activeclient.wire.properties import Byte, Float32, Short
from integration.jms_cases.support import (
    SOON,
    in_time,
    texts,
)


def test_a_text_travels_with_its_headers_and_properties(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    sent = TextMessage(
        "hé \U0001f600",
        properties={"flag": True, "b": Byte(-3), "s": Short(300), "i": 7, "l": 2**40, "d": 0.5, "f": Float32(1.5)},
    )
    sent.jms_type = "greeting"
    sent.jms_reply_to = Topic("answers")
    sent.jms_correlation_id = b"\x00\x01"
    sent.properties["JMSXGroupID"] = "group"
    sent.properties["nothing"] = None
    producer.send(sent, priority=7, time_to_live=60)
    message = session.create_consumer(queue).receive(SOON)
    assert isinstance(message, TextMessage)
    assert message.text == "hé \U0001f600"
    assert message.jms_message_id == sent.jms_message_id
    assert message.jms_message_id is not None
    assert message.jms_message_id.startswith("ID:")
    assert message.jms_type == "greeting"
    assert message.jms_reply_to == Topic("answers")
    assert message.jms_correlation_id == b"\x00\x01"
    assert message.jms_priority == 7
    assert message.jms_delivery_mode is DeliveryMode.PERSISTENT
    assert message.jms_destination == queue == sent.jms_destination
    assert message.jms_timestamp == sent.jms_timestamp > 0
    assert message.jms_expiration == sent.jms_timestamp + 60_000
    assert message.jms_delivery_time == message.jms_timestamp
    assert message.jms_redelivered is False
    assert dict(message.properties) == {
        "flag": True, "b": -3, "s": 300, "i": 7, "l": 2**40, "d": 0.5, "f": 1.5, "nothing": None,
        "JMSXGroupID": "group", "JMSXDeliveryCount": 1,
    }  # fmt: skip
    assert message.properties.get_long("b") == -3
    assert message.properties.get_string("flag") == "true"


@pytest.mark.parametrize("size", [0, 1, 50_000, 300_000])
def test_bytes_of_every_size_travel(session: Session, queue: Queue, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    session.create_producer(queue).send(data)
    message = session.create_consumer(queue).receive(SOON)
    assert isinstance(message, BytesMessage)
    assert message.data == data
    assert message.body_length == size


def test_values_written_are_values_read(session: Session, queue: Queue) -> None:
    sent = session.create_bytes_message()
    sent.write_boolean(True)
    sent.write_utf("hé")
    sent.write_long(-(2**63))
    session.create_producer(queue).send(sent)
    message = session.create_consumer(queue).receive(SOON)
    assert isinstance(message, BytesMessage)
    assert (message.read_boolean(), message.read_utf(), message.read_long()) == (True, "hé", -(2**63))


def test_a_message_without_a_body_and_one_without_a_text_travel(session: Session, queue: Queue) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    producer.send(None)
    producer.send(TextMessage())
    plain, text = consumer.receive(SOON), consumer.receive(SOON)
    assert type(plain) is Message
    assert plain.body is None
    assert isinstance(text, TextMessage)
    assert text.text is None


def test_a_received_message_is_sent_on_to_the_same_queue_and_not_taken_for_a_repeat(
    session: Session, queue: Queue
) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    producer.send("again", properties={"kept": 1})
    first = consumer.receive(SOON)
    assert first is not None
    earlier = first.jms_message_id
    producer.send(first)
    second = consumer.receive(SOON)
    assert isinstance(second, TextMessage)
    assert (second.text, second.properties["kept"]) == ("again", 1)
    assert second.jms_message_id not in (None, earlier)


def test_a_send_with_a_known_duplicate_id_is_dropped(session: Session, queue: Queue) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    producer.send("one", duplicate_id="same")
    producer.send("two", duplicate_id="same")
    producer.send("three")
    assert texts(consumer, 2) == ["one", "three"]


def test_ids_and_timestamps_can_be_switched_off(session: Session, queue: Queue) -> None:
    with session.create_producer(queue) as producer:
        producer.disable_message_id = producer.disable_message_timestamp = True
        producer.send("x")
    message = session.create_consumer(queue).receive(SOON)
    assert message is not None
    assert message.jms_message_id is None
    assert message.jms_timestamp == 0


def test_higher_priorities_come_first(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    producer = session.create_producer(queue)
    for level in (1, 9, 4, 9, 0):
        producer.send(str(level), priority=level)
    assert texts(session.create_consumer(queue), 5) == ["9", "9", "4", "1", "0"]


def test_a_message_that_is_too_old_is_not_received(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    consumer = session.create_consumer(queue)  # prefetches it before it expires
    producer.send("old", time_to_live=timedelta(milliseconds=50))
    producer.send("young")
    time.sleep(0.1)
    assert texts(consumer, 1) == ["young"]
    assert consumer.receive(0) is None


def test_a_delayed_message_comes_later(session: Session, queue: Queue) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)

    def attempt(seconds: float) -> bool:
        sent = producer.send("later", delivery_delay=seconds)
        producer.send("now")
        first = texts(consumer, 1)
        early = time.time() * 1000 < sent.jms_delivery_time
        found = first + texts(consumer, 1)
        assert time.time() * 1000 >= sent.jms_timestamp + seconds * 1000 - 5
        assert sent.jms_delivery_time == pytest.approx(sent.jms_timestamp + seconds * 1000, abs=2)
        assert sorted(str(text) for text in found) == ["later", "now"]
        assert not early or found == ["now", "later"]
        return early

    in_time(attempt)
