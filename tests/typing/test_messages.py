"""What type checkers know of messages: checked by mypy, and run to see that it is true.

Law of this file: nothing here is cast or ignored; a user's own code would infer the same.
"""

from __future__ import annotations

import io
from typing import assert_type

from activeclient import (
    BytesMessage,
    Destination,
    MapMessage,
    Message,
    MessageProducer,
    ObjectMessage,
    Serializer,
    Session,
    StreamMessage,
    TextMessage,
    connect,
)
from activeclient.jms.message_factory import MessageFactory
from activeclient.jms.modes import DeliveryMode
from activeclient.wire.properties import PropertyValue


class Maker(MessageFactory):
    """As a session, without a connection."""

    def check_open(self) -> None:
        """It always is."""


def test_the_kind_of_a_message_follows_the_type_of_its_body() -> None:
    assert type(assert_type(Maker().create_message(), Message)) is Message
    assert isinstance(assert_type(Maker().create_message("text"), TextMessage), TextMessage)
    assert isinstance(assert_type(Maker().create_message(b"data"), BytesMessage), BytesMessage)
    assert isinstance(assert_type(Maker().create_message(io.BytesIO()), BytesMessage), BytesMessage)
    assert isinstance(assert_type(Maker().create_message({"a": 1}), MapMessage), MapMessage)
    assert isinstance(assert_type(Maker().create_message([1, "x"]), StreamMessage), StreamMessage)
    assert isinstance(assert_type(Maker().create_message((1, "x")), StreamMessage), StreamMessage)


def test_headers_have_types() -> None:
    message = Message()
    assert_type(message.jms_message_id, str | None)
    assert_type(message.jms_correlation_id, str | bytes | None)
    assert_type(message.jms_reply_to, Destination | None)
    assert_type(message.jms_destination, Destination | None)
    assert_type(message.jms_delivery_mode, DeliveryMode)
    assert_type(message.jms_priority, int)
    assert_type(message.jms_timestamp, int)
    assert_type(message.jms_type, str | None)


def test_bodies_have_types() -> None:
    assert_type(TextMessage("x").text, str | None)
    assert_type(TextMessage("x").get_body(str), str | None)
    assert_type(BytesMessage(b"x").data, bytes)
    assert_type(BytesMessage(b"x").get_body(bytes), bytes | None)
    assert_type(MapMessage({"a": 1})["a"], PropertyValue)
    assert_type(MapMessage({"a": 1}).get_int("a"), int)
    assert_type(MapMessage({"a": "x"}).get_string("a"), str | None)
    assert_type(MapMessage().body, dict[str, PropertyValue])
    assert_type(StreamMessage([1])[0], PropertyValue)
    assert_type(StreamMessage([1])[:1], list[PropertyValue])
    assert_type(StreamMessage().body, list[PropertyValue])
    assert_type(ObjectMessage([1]).object, object)
    assert_type(ObjectMessage([1]).raw, bytes | None)


def test_properties_have_types() -> None:
    properties = Message(properties={"a": 1}).properties
    assert_type(properties["a"], PropertyValue)
    assert_type(properties.get("b"), PropertyValue)
    assert_type(properties.get_int("a"), int)
    assert_type(properties.get_boolean("b"), bool)
    assert_type(properties.get_string("b"), str | None)


class Own:
    """A serializer by its shape."""

    name = "text/x-own"

    def dumps(self, value: object, /) -> bytes:
        return str(value).encode()

    def loads(self, data: bytes, /) -> object:
        return data.decode()


def test_a_serializer_is_what_has_its_shape() -> None:
    own: Serializer = Own()
    assert ObjectMessage("x", serializer=own).raw == b"x"


def sends_and_makes(session: Session, producer: MessageProducer) -> None:
    """Never called: it needs a broker."""
    assert_type(session.create_text_message("x"), TextMessage)
    assert_type(session.create_map_message({"a": 1}), MapMessage)
    assert_type(session.create_stream_message([1, "x"]), StreamMessage)
    assert_type(session.create_object_message({"a": [1]}), ObjectMessage)
    assert_type(session.create_message("x"), TextMessage)
    assert_type(session.create_message({"a": 1}), MapMessage)
    assert_type(producer.send({"a": 1}), Message)
    connect(serializers=[Own()])
