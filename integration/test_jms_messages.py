"""Every kind of message through a real broker: bodies small, large and compressed, headers, sending again and on."""

from __future__ import annotations

import io
import math
import time
import uuid
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TypeVar

import pytest

from activeclient import (
    AcknowledgeMode,
    BytesMessage,
    Connection,
    DeliveryMode,
    MapMessage,
    Message,
    ObjectMessage,
    Queue,
    ServerLocator,
    Session,
    StreamMessage,
    TextMessage,
    Topic,
    connect,
)
from activeclient.errors import MessageFormatError, MessageNotWriteableError
from activeclient.wire.message import CoreMessage, text_body
from activeclient.wire.names import LARGE_COMPRESSED
from activeclient.wire.properties import Byte, Char, Float32, Int, PropertyValue, Short
from tests.jms.theirs import Theirs

SOON = 30.0
M = TypeVar("M", bound=Message)

VALUES: list[PropertyValue] = [
    None, True, False, Byte(-128), Byte(127), Short(-(2**15)), Short(2**15 - 1), Int(-(2**31)), Int(2**31 - 1),
    -(2**63), 2**63 - 1, Float32(0.1), Float32(math.inf), Float32(-0.0), 0.1, -math.inf, 5e-324, 1.7976931348623157e308,
    Char("x"), Char("\0"), Char("\uffff"), "", "h\u00e9 \U0001f600", "\ud800", "x" * 5000, b"", bytes(range(256)),
]  # fmt: skip
"""Of each type, with its edges."""
LARGE = 3 * 1024 * 1024


@pytest.fixture
def connection(broker_url: str) -> Iterator[Connection]:
    with connect(broker_url) as made:
        yield made


@pytest.fixture
def session(connection: Connection) -> Session:
    return connection.create_session()


@pytest.fixture
def queue(connection: Connection, broker_url: str) -> Iterator[Queue]:
    made = Queue(f"jms-messages-{uuid.uuid4()}")
    yield made
    connection.close()
    with ServerLocator(broker_url) as locator, locator.create_session_factory() as factory:
        cleaner = factory.create_session()
        if cleaner.query_queue(made.name).exists:
            cleaner.delete_queue(made.name)


def exchanged(session: Session, queue: Queue, message: M) -> M:
    """What arrives of `message`."""
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        producer.send(message)
        arrived = consumer.receive(SOON)
        assert type(arrived) is type(message)
        _ = arrived.raw_body  # all of it: what streams ends with its consumer
    return arrived


def same(one: PropertyValue, other: PropertyValue) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_a_map_arrives_with_every_type_of_value(session: Session, queue: Queue) -> None:
    entries = {f"value {index}": value for index, value in enumerate(VALUES)}
    arrived = exchanged(session, queue, MapMessage(entries))
    assert list(arrived) == list(entries)
    assert all(same(arrived[name], value) for name, value in entries.items())
    with pytest.raises(MessageNotWriteableError):
        arrived["more"] = 1


def test_a_stream_arrives_with_every_type_of_value(session: Session, queue: Queue) -> None:
    arrived = exchanged(session, queue, StreamMessage(VALUES))
    assert len(arrived) == len(VALUES)
    assert all(same(arrived.read_object(), value) for value in VALUES)


def test_properties_arrive_with_every_type_of_value(session: Session, queue: Queue) -> None:
    properties = {f"p{index}": value for index, value in enumerate(VALUES)}
    arrived = exchanged(session, queue, Message(properties=properties))
    assert all(same(arrived.properties[name], value) for name, value in properties.items())
    assert set(arrived.properties) == {*properties, "JMSXDeliveryCount"}


def test_an_object_arrives_as_it_was(session: Session, queue: Queue) -> None:
    value = {"list": [1, 2.5, None, True], "text": "\U0001f600", "": {}}
    arrived = exchanged(session, queue, session.create_object_message(value))
    assert arrived.object == value
    assert arrived.content_type == "application/json"


class Upper:
    name = "text/x-upper"

    def dumps(self, value: object, /) -> bytes:
        return str(value).upper().encode()

    def loads(self, data: bytes, /) -> object:
        return data.decode()


def test_a_serializer_is_named_where_objects_are_made_and_where_they_are_read(broker_url: str) -> None:
    with (
        connect(broker_url, serializers=[Upper()]) as knowing,
        connect(broker_url) as other,
        knowing.create_session() as sender,
        other.create_session() as reader,
    ):
        queue = sender.create_queue(f"jms-messages-{uuid.uuid4()}?auto-delete=true")
        producer = sender.create_producer(queue)
        for _ in range(2):
            producer.send(sender.create_object_message("abc"))
        with sender.create_consumer(queue) as consumer:
            known = consumer.receive(SOON)
        assert isinstance(known, ObjectMessage)
        assert known.object == "ABC"
        with reader.create_consumer(queue) as consumer:
            unknown = consumer.receive(SOON)
        assert isinstance(unknown, ObjectMessage)
        assert unknown.raw == b"ABC"
        with pytest.raises(MessageFormatError, match="text/x-upper"):
            _ = unknown.object
        unknown.serializer = Upper()
        assert unknown.object == "ABC"


def empty_messages() -> list[Message]:
    return [Message(), TextMessage(), TextMessage(""), BytesMessage(), MapMessage(), StreamMessage(), ObjectMessage()]


def large_messages() -> list[Message]:
    text, data = "h\u00e9\u20ac" * (LARGE // 6), bytes(range(256)) * (LARGE // 256)
    raw = ObjectMessage()
    raw.raw = data
    return [
        TextMessage(text),
        BytesMessage(data),
        BytesMessage(io.BytesIO(data)),
        MapMessage({"text": text, "data": data, "n": 1}),
        StreamMessage([text, data, 1, *range(10_000)]),
        ObjectMessage({"text": text}),
        raw,
    ]


@pytest.mark.parametrize("index", range(7))
def test_empty_bodies_of_every_kind_arrive(session: Session, queue: Queue, index: int) -> None:
    message = empty_messages()[index]
    arrived = exchanged(session, queue, message)
    assert arrived.body == message.body
    assert arrived.is_received


@pytest.mark.parametrize("index", range(7))
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "compressed"])
def test_large_bodies_of_every_kind_arrive(broker_url: str, queue: Queue, index: int, compress: bool) -> None:
    with connect(broker_url, compress_large_message=compress) as connection, connection.create_session() as session:
        arrived = exchanged(session, queue, large_messages()[index])
        expected = large_messages()[1 if index == 2 else index]  # the file that the third one is made of holds the same
        assert arrived.body == expected.body


def test_a_body_that_fits_one_frame_once_it_is_compressed_is_inflated(
    session: Session, connection: Connection, queue: Queue
) -> None:
    # Artemis' Java client sends a large text that compresses well in this form.
    session.create_producer(queue).send("first, for the queue to be there")
    text = "x" * 300_000
    with connection.factory.create_session() as core, core.create_producer(queue.address) as producer:
        deflated = zlib.compress(text_body(text))
        producer.send(CoreMessage(deflated, TextMessage.body_type, properties={LARGE_COMPRESSED: True}))
        producer.send(CoreMessage(deflated, BytesMessage.body_type))
    consumer = session.create_consumer(queue)
    assert consumer.receive(SOON) is not None
    compressed, plain = consumer.receive(SOON), consumer.receive(SOON)
    assert isinstance(compressed, TextMessage)
    assert compressed.text == text
    assert plain is not None
    assert plain.body == deflated
    consumer.close()
    assert exchanged(session, queue, compressed).text == text


# --- what send accepts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "arrives"),
    [
        ("text", TextMessage, "text"), (b"data", BytesMessage, b"data"), (bytearray(b"data"), BytesMessage, b"data"),
        ({"a": 1, "b": None}, MapMessage, {"a": 1, "b": None}), ([1, "x", None], StreamMessage, [1, "x", None]),
        ((1.5, b"y"), StreamMessage, [1.5, b"y"]), ({}, MapMessage, {}), ([], StreamMessage, []),
        (None, Message, None),
    ],
)  # fmt: skip
def test_bodies_are_sent_as_the_messages_that_they_mean(
    session: Session, queue: Queue, body: object, kind: type[Message], arrives: object
) -> None:
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        producer.send(body)
        sent = producer.send(session.create_message(body, properties={"own": 1}))
        for arrived in (consumer.receive(SOON), consumer.receive(SOON)):
            assert type(arrived) is type(sent) is kind
            assert arrived is not None
            assert arrived.body == arrives


@pytest.mark.parametrize("body", [None, "text", b"data", {"a": 1}, {}, [1, "x"]], ids=repr)
def test_a_message_of_another_library_is_sent_and_told_its_headers(
    session: Session, queue: Queue, body: object
) -> None:
    theirs = Theirs(body, {"colour": "red"}, "kind", b"\x01\x02", Topic("answers"))
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        producer.send(theirs, priority=7, time_to_live=60)
        arrived = consumer.receive(SOON)
    assert arrived is not None
    assert arrived.body == body
    assert (arrived.jms_type, arrived.jms_correlation_id, arrived.jms_reply_to) == (
        "kind",
        b"\x01\x02",
        Topic("answers"),
    )
    assert arrived.properties["colour"] == "red"
    assert theirs.jms_message_id == arrived.jms_message_id
    assert theirs.jms_timestamp == arrived.jms_timestamp
    assert theirs.jms_expiration == arrived.jms_expiration == theirs.jms_timestamp + 60_000
    assert (theirs.jms_priority, theirs.jms_delivery_mode) == (7, DeliveryMode.PERSISTENT)
    assert theirs.jms_destination == queue


# --- sending again, and on --------------------------------------------------------------------------------------------


def kinds_of_messages() -> list[Message]:
    made: list[Message] = [
        Message(), TextMessage("t"), BytesMessage(b"d"), MapMessage({"a": 1}), StreamMessage([1, "x"]),
        ObjectMessage({"a": [1]}),
    ]  # fmt: skip
    for message in made:
        message.properties["own"] = "kept"
        message.jms_type = "kind"
    return made


@pytest.mark.parametrize("index", range(6))
def test_a_message_is_sent_again_with_a_new_id(session: Session, queue: Queue, index: int) -> None:
    message = kinds_of_messages()[index]
    first = exchanged(session, queue, message)
    second = exchanged(session, queue, message)
    assert first.body == second.body == kinds_of_messages()[index].body
    assert None is not first.jms_message_id != second.jms_message_id == message.jms_message_id
    assert (second.properties["own"], second.jms_type) == ("kept", "kind")


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("looked_at", [False, True])
def test_a_received_message_is_sent_on_whole(session: Session, queue: Queue, index: int, looked_at: bool) -> None:
    first = exchanged(session, queue, kinds_of_messages()[index])
    if looked_at:
        assert first.body == kinds_of_messages()[index].body
        assert first.properties["own"] == "kept"
    second = exchanged(session, queue, first)
    assert second.body == kinds_of_messages()[index].body
    assert (second.properties["own"], second.jms_type) == ("kept", "kind")
    assert second.delivery_count == 1


@pytest.mark.parametrize("index", range(7))
def test_a_large_received_message_is_sent_on_whole(session: Session, queue: Queue, index: int) -> None:
    first = exchanged(session, queue, large_messages()[index])
    second = exchanged(session, queue, first)
    assert second.body == first.body


@pytest.mark.parametrize("mode", [AcknowledgeMode.CLIENT_ACKNOWLEDGE, AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE])
def test_a_message_is_acknowledged_after_it_was_sent_on(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    with connection.create_session(mode) as session:
        onward = session.create_temporary_queue()
        session.create_producer(queue).send("job")
        message = session.create_consumer(queue).receive(SOON)
        assert message is not None
        session.create_producer(onward).send(message)
        message.acknowledge()
        arrived = session.create_consumer(onward).receive(SOON)
        assert arrived is not None
        assert arrived.body == "job"
    with connection.create_session() as session:
        assert session.create_consumer(queue).receive(0) is None


# --- headers ----------------------------------------------------------------------------------------------------------


def test_the_sender_sees_the_headers_of_the_send_and_the_receiver_the_same(session: Session, queue: Queue) -> None:
    message = TextMessage("x")
    message.jms_priority, message.jms_timestamp, message.jms_expiration = 9, 5, 5
    message.jms_message_id = "ID:mine"
    message.jms_delivery_mode = DeliveryMode.NON_PERSISTENT
    message.jms_destination = Topic("other")
    before = time.time() * 1000
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        assert producer.send(message, time_to_live=timedelta(minutes=1)) is message
        arrived = consumer.receive(SOON)
    assert arrived is not None
    for each in (message, arrived):
        assert (each.jms_priority, each.jms_delivery_mode) == (4, DeliveryMode.PERSISTENT)
        assert each.jms_destination == queue
        assert before - 1 <= each.jms_timestamp <= time.time() * 1000
        assert each.jms_expiration == message.jms_timestamp + 60_000
        assert each.jms_delivery_time == message.jms_timestamp
        assert each.jms_message_id == message.jms_message_id != "ID:mine"


def test_a_delay_is_seen_by_both_sides_and_only_for_its_send(session: Session, queue: Queue) -> None:
    message = TextMessage("x")
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        producer.send(message, delivery_delay=timedelta(milliseconds=200))
        assert message.jms_delivery_time == message.jms_timestamp + 200
        arrived = consumer.receive(SOON)
        assert arrived is not None
        assert arrived.jms_delivery_time == message.jms_delivery_time <= time.time() * 1000 + 1
        producer.send(message)
        assert message.jms_delivery_time == message.jms_timestamp


@pytest.mark.parametrize("correlation", ["ID:1234", "any text \U0001f600", b"\x00", bytes(range(256)), ""])
def test_correlation_ids_are_texts_or_bytes(session: Session, queue: Queue, correlation: str | bytes) -> None:
    message = Message()
    message.jms_correlation_id = correlation
    assert exchanged(session, queue, message).jms_correlation_id == correlation


def test_answers_go_where_they_are_expected(connection: Connection, queue: Queue) -> None:
    with connection.create_session() as asking, connection.create_session() as answering:
        own = asking.create_temporary_queue()
        question = asking.create_producer(queue).send("2 + 2", reply_to=own)
        with answering.create_consumer(queue) as consumer, answering.create_producer() as producer:
            arrived = consumer.receive(SOON)
            assert arrived is not None
            producer.send("4", arrived.jms_reply_to, correlation_id=arrived.jms_message_id)
        answer = asking.create_consumer(own).receive(SOON)
        assert answer is not None
        assert (answer.body, answer.jms_correlation_id) == ("4", question.jms_message_id)


@pytest.mark.parametrize("kind", [TextMessage, BytesMessage, MapMessage, StreamMessage, ObjectMessage])
def test_a_received_body_is_read_only_until_it_is_cleared_and_then_another_one_is_sent(
    session: Session, queue: Queue, kind: type[Message]
) -> None:
    bodies: dict[type[Message], object] = {
        TextMessage: "one", BytesMessage: b"one", MapMessage: {"a": 1}, StreamMessage: ["one"], ObjectMessage: ["one"],
    }  # fmt: skip
    arrived = exchanged(
        session,
        queue,
        session.create_object_message(["one"]) if kind is ObjectMessage else session.create_message(bodies[kind]),
    )

    def write() -> None:
        match arrived:
            case TextMessage():
                arrived.text = "two"
            case BytesMessage():
                arrived.write_bytes(b"two")
            case MapMessage():
                arrived["b"] = 2
            case StreamMessage():
                arrived.write_string("two")
            case ObjectMessage():
                arrived.object = "two"

    with pytest.raises(MessageNotWriteableError):
        write()
    assert arrived.body == bodies[kind]
    arrived.clear_body()
    write()
    expected: dict[type[Message], object] = {
        TextMessage: "two", BytesMessage: b"two", MapMessage: {"b": 2}, StreamMessage: ["two"], ObjectMessage: "two",
    }  # fmt: skip
    assert exchanged(session, queue, arrived).body == expected[kind]
