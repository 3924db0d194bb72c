"""Which class a message gets: by its body type when it comes, by the body's Python type when it is made.

Law of this file: a body type without a row here becomes a plain `Message` with its raw body; nothing that comes is ever
executed or deserialised into objects of foreign classes.
"""

from __future__ import annotations

from activeclient.destination import Destination
from activeclient.errors import MessageFormatError
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.message import Acknowledger, Message, TextMessage
from activeclient.wire.message import BYTES, TEXT, CoreMessage

_KINDS: dict[int, type[Message]] = {TEXT: TextMessage, BYTES: BytesMessage}


def received_message(core: CoreMessage, owner: Acknowledger, destination: Destination) -> Message:
    """The message of a core message that came (hot path)."""
    return _KINDS.get(core.body_type, Message).received(core, owner, destination)


def message_of(body: object) -> Message:
    """The message itself, or a new one with this body: text, bytes, a binary file, or None.

    Raises:
        MessageFormatError: No message has such a body.
    """
    if isinstance(body, Message):
        return body
    if type(body) is bytes:
        return BytesMessage.to_send(body)
    if body is None:
        return Message()
    if isinstance(body, str):
        return TextMessage(body)
    if isinstance(body, bytes | bytearray | memoryview) or hasattr(body, "read"):
        return BytesMessage(body)  # type: ignore[arg-type]
    raise MessageFormatError(
        f"a {type(body).__name__} cannot be sent: give a message, text, bytes, a binary file or None"
    )
