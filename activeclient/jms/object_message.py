"""Messages whose body is an object (jakarta.jms.ObjectMessage).

Law of this file: nothing that comes is deserialized but by JSON, or by a serializer that the application named; a body
that nobody marked, Java's serialization above all, stays the bytes that it is. An object is serialized when it is set:
what becomes of it later does not change the message.

On the wire: the count of bytes in 32 bits, then the bytes, as Artemis' client has it; no body at all is no object. The
property `_AMQ_CONTENT_TYPE` names the serializer.
"""

from __future__ import annotations

import struct
from builtins import object as Anything  # noqa: N812 - in the class `object` is the attribute
from typing import TYPE_CHECKING, Any

from activeclient.errors import MessageFormatError
from activeclient.jms import exact
from activeclient.jms.message import Message
from activeclient.jms.serializers import JSON_ONLY, dumped, loaded
from activeclient.wire.message import OBJECT, CoreMessage
from activeclient.wire.names import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from activeclient.jms.serializers import Serializer, Serializers

_LENGTH = struct.Struct(">i")


class ObjectMessage(Message):
    """A message whose body is an object, or None.

    Args:
        value: The object; without a serializer of the application's it must have a form in JSON.
        serializer: For this message alone; instead of those of its session.
        serializers: Those of a session (given by `Session.create_object_message`).
        properties: To begin with.

    Raises:
        MessageFormatError: The serializer does not take the object.
    """

    __slots__ = ("_content_type", "_data", "_serializer", "_serializers")

    body_type = OBJECT
    _not_pickled = ("_serializer", "_serializers")
    _data: bytes | None
    _content_type: str | None

    def __init__(
        self,
        value: Anything = None,
        *,
        serializer: Serializer | None = None,
        serializers: Serializers = JSON_ONLY,
        properties: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(properties=properties)
        self._serializers = serializers
        self._serializer = serializer
        self._data = self._content_type = None
        self.object = value

    # --- the object -----------------------------------------------------------------------------------------------

    @property
    def object(self) -> Anything:
        """The object, deserialized anew each time; the bytes themselves when nothing says what they are.

        Raises:
            MessageFormatError: It was serialized by something that this application did not name, or is damaged.
        """
        data = self.raw
        if data is None:
            return None
        chosen = self.serializer
        if chosen is not None:
            return loaded(chosen, data)
        name = self.content_type
        if name is None:
            return data
        known = self._known().get(name)
        if known is None:
            raise MessageFormatError(
                f"the object was serialized as {name[:100]!r}, and no serializer of this name was given;"
                " its bytes are in `raw`"
            )
        return loaded(known, data)

    @object.setter  # noqa: A003
    def object(self, value: Anything) -> None:
        self._check_body_writeable()
        if value is None:
            self._data = self._content_type = None
            return
        chosen = self.serializer or self._known().default
        self._data = dumped(chosen, value)
        self._content_type = chosen.name

    @property
    def raw(self) -> bytes | None:
        """The serialized object; None when there is none. Bytes that are set here are sent without a content type, for
        instance a stream of Java's serialization, unless `content_type` is set afterwards."""
        try:
            return self._data
        except AttributeError:  # a received one, looked at for the first time
            self._data = _data_of(self.core.body)
            return self._data

    @raw.setter
    def raw(self, value: exact.BytesLike | None) -> None:
        self._check_body_writeable()
        self._data = None if value is None else exact.data("raw", value)
        self._content_type = None

    @property
    def content_type(self) -> str | None:
        """The name of the serializer of the body; None when nothing says it, as in messages of Java's client."""
        try:
            return self._content_type
        except AttributeError:
            value = self.core.properties.get(CONTENT_TYPE)
            self._content_type = value if isinstance(value, str) and value else None
            return self._content_type

    @content_type.setter
    def content_type(self, value: str | None) -> None:
        self._check_body_writeable()
        self._content_type = None if value is None else exact.text("content_type", value)

    @property
    def serializer(self) -> Serializer | None:
        """The serializer of this message alone; it reads the body whatever its content type says. None: those of the
        session."""
        try:
            return self._serializer
        except AttributeError:
            return None

    @serializer.setter
    def serializer(self, value: Serializer | None) -> None:
        self._serializer = value

    def _known(self) -> Serializers:
        try:
            return self._serializers
        except AttributeError:
            self._serializers = JSON_ONLY if self._owner is None else self._owner.serializers
            return self._serializers

    # --- as a message ---------------------------------------------------------------------------------------------

    @property
    def body(self) -> Anything:
        """The object."""
        return self.object

    def clear_body(self) -> None:
        """No object; one can be set then."""
        _ = self._known()
        super().clear_body()
        self._data = self._content_type = None

    def clear_properties(self) -> None:
        """Remove the properties; the body keeps its content type."""
        _ = self.content_type
        super().clear_properties()

    def outgoing(self) -> CoreMessage:
        """As every message; a body that was read before is known afterwards by the same serializers."""
        _ = self._known()
        return super().outgoing()

    def _state(self) -> dict[str, Any]:
        _ = self._known()
        return super()._state()

    def write_body(self) -> None:
        """The bytes with their count, and their content type."""
        properties = self.core.properties
        if self.content_type is not None:
            properties[CONTENT_TYPE] = self.content_type
        elif not self._body_read_only:
            properties.pop(CONTENT_TYPE, None)
        if not self._body_read_only:
            self.core.body = b"" if self._data is None else _LENGTH.pack(len(self._data)) + self._data

    def _summary(self) -> str:
        return f"{self.content_type or 'no content type'}, {self._body_size()}"


def _data_of(body: bytes) -> bytes | None:
    if not body:
        return None
    data = body[_LENGTH.size :]
    if len(body) < _LENGTH.size or _LENGTH.unpack_from(body)[0] != len(data):
        raise MessageFormatError(f"{len(body)} bytes are not the body of an object message: the length in it is wrong")
    return data
