"""Consumers of one class of messages: they hand out no other, and lose none."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from activeclient import AcknowledgeMode, BytesMessage, Connection, Message, Queue, TextMessage, connect
from activeclient.broker.embedded import EmbeddedBroker
from activeclient.errors import JMSError, MessageFormatError, NoTextError

SOON = 30.0
QUEUE = Queue("kinds")


@pytest.fixture
def connection() -> Iterator[Connection]:
    with EmbeddedBroker() as broker, connect(broker.url) as made:
        yield made


def test_messages_of_the_class_are_handed_out(connection: Connection) -> None:
    session = connection.create_session()
    producer = session.create_producer(QUEUE)
    consumer = session.create_consumer(QUEUE, kind=TextMessage)
    for number in range(3):
        producer.send(str(number))
    assert consumer.receive(SOON).text == "0"
    assert [message.text for message in consumer.messages(0)] == ["1", "2"]


@pytest.mark.parametrize("mode", [AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.DUPS_OK_ACKNOWLEDGE])
def test_a_message_of_another_class_is_an_error_and_not_lost(connection: Connection, mode: AcknowledgeMode) -> None:
    session = connection.create_session(mode)
    session.create_producer(QUEUE).send(b"bytes")
    consumer = session.create_consumer(QUEUE, kind=TextMessage)
    for _ in range(2):
        with pytest.raises(MessageFormatError, match="a BytesMessage came, and the consumer is for TextMessage"):
            consumer.receive(SOON)
    with pytest.raises(MessageFormatError):
        next(consumer.messages(SOON))
    consumer.close()
    assert session.create_consumer(QUEUE, kind=BytesMessage).receive(SOON).data == b"bytes"


def test_a_listener_is_not_called_with_a_message_of_another_class(connection: Connection) -> None:
    session = connection.create_session()
    called: list[Message] = []
    done = threading.Event()
    consumer = session.create_consumer(QUEUE, kind=TextMessage)

    @consumer.on_message
    def listen(message: TextMessage) -> None:
        called.append(message)
        done.set()

    producer = session.create_producer(QUEUE)
    producer.send(b"bytes", priority=9)  # redelivered until the broker's limit
    producer.send("text", priority=0)
    assert done.wait(SOON)
    consumer.close()
    assert [type(message) for message in called] == [TextMessage]


def test_only_classes_of_messages_are_kinds(connection: Connection) -> None:
    session = connection.create_session()
    with pytest.raises(JMSError, match="kind=<class 'str'>: must be one of TextMessage, BytesMessage"):
        session.create_consumer(QUEUE, kind=str)  # type: ignore[type-var]


def test_other_messages_have_no_text() -> None:
    message = BytesMessage(b"x")
    with pytest.raises(NoTextError, match="a BytesMessage has no text"):
        _ = message.text
    assert not hasattr(message, "text")
    assert getattr(Message(), "text", "none") == "none"
