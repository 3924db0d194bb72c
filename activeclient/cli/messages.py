"""Received messages as a program and as a person want to see them.

Law of this file: nothing of a message is left out of its record, and nothing is converted that cannot be told apart
afterwards: bytes are marked as base 64.
"""

from __future__ import annotations

from activeclient.cli.output import Output
from activeclient.errors import MessageFormatError
from activeclient.jms.message import Message


def record(message: Message) -> dict[str, object]:
    """Every header, property and the body; times in milliseconds since 1970."""
    found: dict[str, object] = {
        "id": message.jms_message_id,
        "destination": None if message.jms_destination is None else str(message.jms_destination),
        "timestamp": message.jms_timestamp,
        "persistent": message.core.durable,
        "priority": message.jms_priority,
        "redelivered": message.jms_redelivered,
        "delivery_count": message.delivery_count,
        "expiration": message.jms_expiration,
        "delivery_time": message.jms_delivery_time,
        "correlation_id": message.jms_correlation_id,
        "reply_to": None if message.jms_reply_to is None else str(message.jms_reply_to),
        "type": message.jms_type,
        "properties": dict(message.properties),
        "kind": type(message).__name__,
    }
    found["body"] = body_of(message)
    return found


def body_of(message: Message) -> object:
    """The body: a text, bytes, a map, a list, an object; the raw bytes of kinds that have no class here, and of bodies
    that are damaged or were serialized by something that is not known here."""
    if type(message) is Message:
        return message.raw_body
    try:
        return message.body
    except MessageFormatError:
        return message.raw_body


def show(output: Output, message: Message, *, headers: bool, raw: bool) -> None:
    """Print one message: as JSON, or its body on a line, its headers before it if they are wanted.

    Args:
        raw: The body alone, byte for byte, and no line end behind it.
    """
    if output.as_json:
        output.record(record(message))
        return
    if headers:
        for name, value in _headers(message):
            output.line(f"{name}: {value}")
        output.line()
    body = body_of(message)
    if isinstance(body, bytes):
        data = body
    else:
        data = ("" if body is None else str(body)).encode("utf-8", "backslashreplace")
    if raw:
        output.raw(data)
    elif output.on_terminal:
        output.line(data.decode("utf-8", "backslashreplace"))
    else:
        output.raw(data + b"\n")


def _headers(message: Message) -> list[tuple[str, object]]:
    found = record(message)
    properties = found.pop("properties")
    del found["body"]
    shown = [(name, value) for name, value in found.items() if value not in (None, 0, False)]
    assert isinstance(properties, dict)
    return [*shown, *((f"property {name}", value) for name, value in properties.items())]
