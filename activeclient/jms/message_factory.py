"""The messages that sessions and contexts make.

Law of this file: making a message asks nobody; `TextMessage("x")` does the same without a session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import BinaryIO, overload

from activeclient.jms import exact
from activeclient.jms.bodies import typed_message
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.kinds import new_message
from activeclient.jms.map_message import MapMessage
from activeclient.jms.message import Message
from activeclient.jms.object_message import ObjectMessage
from activeclient.jms.serializers import Serializer, SerializersAttribute
from activeclient.jms.stream_message import StreamMessage
from activeclient.jms.text_message import TextMessage

Values = Mapping[str, object]


class MessageFactory:
    """What `Session` and `JMSContext` have in common."""

    serializers: SerializersAttribute = SerializersAttribute()
    """By which the objects of its object messages become bytes and back; those of the connection, unless set here."""

    def check_open(self) -> None:
        """Raise ClosedError when it is closed, or what closed it."""
        raise NotImplementedError

    @overload
    def create_message(self, body: None = None, *, properties: Values | None = None) -> Message: ...
    @overload
    def create_message(self, body: str, *, properties: Values | None = None) -> TextMessage: ...
    @overload
    def create_message(
        self, body: bytes | bytearray | memoryview | BinaryIO, *, properties: Values | None = None
    ) -> BytesMessage: ...
    @overload
    def create_message(self, body: Values, *, properties: Values | None = None) -> MapMessage: ...
    @overload
    def create_message(
        self, body: list[object] | tuple[object, ...], *, properties: Values | None = None
    ) -> StreamMessage: ...
    @overload
    def create_message(self, body: object, *, properties: Values | None = None) -> Message: ...
    def create_message(self, body: object = None, *, properties: Values | None = None) -> Message:
        """A message without a body; or of the kind that `send` would make of `body`.

        Raises:
            MessageFormatError: No message has such a body.
        """
        self.check_open()
        return new_message(body, properties=properties, serializers=self.serializers)

    def create_text_message(self, text: str | None = None, *, properties: Values | None = None) -> TextMessage:
        """A message with a text."""
        self.check_open()
        return TextMessage(text, properties=properties)

    def create_bytes_message(
        self, data: exact.BytesLike | BinaryIO = b"", *, properties: Values | None = None
    ) -> BytesMessage:
        """A message with bytes, perhaps those of a file."""
        self.check_open()
        return BytesMessage(data, properties=properties)

    def create_map_message(self, values: Values | None = None, *, properties: Values | None = None) -> MapMessage:
        """A message with values by name."""
        self.check_open()
        return MapMessage(values, properties=properties)

    def create_stream_message(
        self, values: Iterable[object] = (), *, properties: Values | None = None
    ) -> StreamMessage:
        """A message with values one after the other."""
        self.check_open()
        return StreamMessage(values, properties=properties)

    def create_object_message(
        self,
        value: object = None,
        *,
        serializer: Serializer | None = None,
        properties: Values | None = None,
    ) -> ObjectMessage:
        """A message with an object.

        Args:
            serializer: For this message alone; without it the first of `serializers`, and that is JSON unless the
                application named another.

        Raises:
            MessageFormatError: The serializer does not take the object.
        """
        self.check_open()
        return ObjectMessage(value, serializer=serializer, serializers=self.serializers, properties=properties)

    def create_typed_message(
        self,
        value: object,
        *,
        serializer: Serializer | None = None,
        properties: Values | None = None,
    ) -> Message:
        """A message with `value` serialized as its body: by default JSON text, which `message.read(kind)` reads.

        So a dict becomes JSON, not the map message that `create_message` makes of it.

        Args:
            value: A dataclass, a pydantic model, an attrs class, a struct, or what the serializer takes.
            serializer: For this message alone; without it the first of `serializers`.

        Raises:
            MessageFormatError: The serializer does not take the value.
            ConfigError: msgspec is needed and not installed.
        """
        self.check_open()
        return typed_message(value, serializer, serializers=self.serializers, properties=properties)
