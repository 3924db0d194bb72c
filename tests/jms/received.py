"""Messages as they come, without a broker: what tests of message classes share.

Law of this file: nothing here knows more of a message than a session does.
"""

from __future__ import annotations

from typing import TypeVar

from activeclient.destination import Destination, Queue
from activeclient.jms.kinds import received_message
from activeclient.jms.message import Message
from activeclient.jms.serializers import JSON_ONLY, Serializers
from activeclient.wire.message import CoreMessage
from activeclient.wire.properties import PropertyValue

M = TypeVar("M", bound=Message)


class Owner:
    """Stands for a session."""

    def __init__(self, serializers: Serializers = JSON_ONLY) -> None:
        self.acknowledged: list[Message] = []
        self.serializers = serializers

    def acknowledge(self, message: Message) -> None:
        self.acknowledged.append(message)


def received(core: CoreMessage, destination: Destination | None = None, *, owner: Owner | None = None) -> Message:
    """What a consumer makes of `core`."""
    return received_message(core, owner or Owner(), destination or Queue("q"))


def received_as(
    kind: type[M], body: bytes, *, properties: dict[str, PropertyValue] | None = None, owner: Owner | None = None
) -> M:
    """A received message of this kind with this body."""
    message = received(
        CoreMessage(body, kind.body_type, "q", properties=properties, delivery_count=1), owner=owner or Owner()
    )
    assert type(message) is kind
    return message


def travelled(message: M, *, owner: Owner | None = None) -> M:
    """What arrives of `message`."""
    core = message.outgoing()
    return received_as(type(message), core.body, properties=core.properties, owner=owner)
