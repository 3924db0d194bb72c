"""Which class a message gets: by its body type when it comes, by the body's Python type when it is made.

Law of this file: each kind is declared once, in `KINDS`; a body type without a class becomes a plain `Message` with its
raw body; nothing that comes is ever executed or deserialized into objects of foreign classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO, cast

from activeclient.destination import Destination
from activeclient.errors import JMSError, MessageFormatError
from activeclient.jms.bodies import is_typed, typed_message
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.foreign import ForeignMessage, copy_headers, is_foreign
from activeclient.jms.map_message import MapMessage
from activeclient.jms.message import Acknowledger, Message
from activeclient.jms.object_message import ObjectMessage
from activeclient.jms.serializers import JSON_ONLY, Serializers
from activeclient.jms.stream_message import StreamMessage
from activeclient.jms.text_message import TextMessage
from activeclient.jms.typed import K
from activeclient.wire.message import CoreMessage

KINDS: tuple[type[Message], ...] = (TextMessage, BytesMessage, MapMessage, StreamMessage, ObjectMessage, Message)
"""All kinds of messages. Each says its `body_type` and of which Python values it is made (`made_of`)."""
_BY_BODY_TYPE = {kind.body_type: kind for kind in KINDS}
_BY_VALUE: tuple[tuple[type, Callable[..., Message]], ...] = tuple(
    (accepted, kind) for kind in KINDS for accepted in kind.made_of
)


def consumer_kind(kind: type[K]) -> type[K] | None:
    """The class of message that a consumer is restricted to; None: any.

    Raises:
        JMSError: No class of received messages.
    """
    if kind not in KINDS:
        known = ", ".join(each.__name__ for each in KINDS)
        raise JMSError(f"kind={kind!r}: must be one of {known}")
    return None if kind is Message else kind


def received_message(core: CoreMessage, owner: Acknowledger, destination: Destination) -> Message:
    """The message of a core message that came (hot path)."""
    return _BY_BODY_TYPE.get(core.body_type, Message).received(core, owner, destination)


def message_of(body: object, serializers: Serializers = JSON_ONLY) -> Message:
    """The message itself; or a new one with this body, or with what a message of another implementation holds.

    Args:
        serializers: The first one serializes objects with declared fields.

    Raises:
        MessageFormatError: No message has such a body.
    """
    if isinstance(body, Message):
        return body
    if type(body) is bytes:
        return BytesMessage.to_send(body)
    if isinstance(body, str):
        return TextMessage(body)
    if is_foreign(body):
        given = cast(ForeignMessage, body)
        made = new_message(given.body, serializers=serializers)
        copy_headers(given, made)
        return made
    return new_message(body, serializers=serializers)


def new_message(
    body: object = None,
    *,
    properties: Mapping[str, object] | None = None,
    serializers: Serializers = JSON_ONLY,
) -> Message:
    """A message with this body: text, bytes or a binary file, a mapping, a list or a tuple (a stream), None, or an
    object with declared fields (a dataclass, a pydantic model, an attrs class, a struct), which is serialized.

    Raises:
        MessageFormatError: No message has such a body.
    """
    for accepted, kind in _BY_VALUE:
        if isinstance(body, accepted):
            return kind(body, properties=properties)
    if body is None:
        return Message(properties=properties)
    if is_typed(body):
        return typed_message(body, serializers=serializers, properties=properties)
    if hasattr(body, "read"):
        return BytesMessage(cast(BinaryIO, body), properties=properties)
    raise MessageFormatError(
        f"a {type(body).__name__} cannot be sent: give a message, text, bytes, a binary file, a mapping, a list,"
        " a tuple, None or a dataclass; other objects need a serializer: create_typed_message, create_object_message"
    )
