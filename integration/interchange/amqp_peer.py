"""An AMQP 1.0 client as a peer (python-qpid-proton): the broker converts between its messages and ours.

Law: a dump shows the AMQP type of every value, as far as proton tells it; what the broker adds on the way is shown too.
"""

from __future__ import annotations

import contextlib
import struct
from typing import Any, Self
from urllib.parse import urlsplit

import proton
from proton.utils import BlockingConnection

from integration.interchange.notation import Dump

PATIENCE = 30.0
_PLAIN = ("id", "user_id", "address", "subject", "reply_to", "correlation_id", "content_type", "group_id")
_NUMBERS = (
    "priority",
    "durable",
    "ttl",
    "expiry_time",
    "creation_time",
    "group_id",
    "group_sequence",
    "delivery_count",
)


class AmqpPeer:
    """A connection. The queues must exist: a sender to an unknown name would create a multicast address.

    Args:
        url: The broker, as our client has it.
    """

    name = "amqp"

    def __init__(self, url: str, user: str, password: str) -> None:
        parts = urlsplit(url)
        self._connection = BlockingConnection(
            f"amqp://{parts.hostname}:{parts.port}", timeout=PATIENCE, user=user, password=password
        )

    def send(self, queue: str, messages: list[proton.Message]) -> None:
        """Send, and wait until the broker has accepted each."""
        sender = self._connection.create_sender(queue)
        for message in messages:
            sender.send(message)
        sender.close()

    def receive(self, queue: str, count: int, timeout: float = PATIENCE) -> list[proton.Message]:
        """The next *count* messages; fewer when none comes for *timeout* seconds."""
        receiver = self._connection.create_receiver(queue, credit=1000)
        got: list[proton.Message] = []
        with contextlib.suppress(proton.Timeout):
            while len(got) < count:
                got.append(receiver.receive(timeout))
                receiver.accept()
        receiver.close()
        return got

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def dump(message: proton.Message) -> Dump:
    """All that is to be seen of a message."""
    found: Dump = {name: told(getattr(message, name)) for name in (*_PLAIN, *_NUMBERS)}
    found["inferred"] = message.inferred
    found["properties"] = {str(name): told(value) for name, value in (message.properties or {}).items()}
    found["annotations"] = {str(name): told(value) for name, value in (message.annotations or {}).items()}
    found["body"] = told(message.body)
    return found


def told(value: Any) -> Any:
    """A value with its AMQP type; maps and lists with those of their elements."""
    match value:
        case dict():
            return {"map": {str(name): told(each) for name, each in value.items()}}
        case list() | tuple() | proton.Array():
            return {"list": [told(each) for each in value]}
        case proton.Described():
            return {"described": [told(value.descriptor), told(value.value)]}
        case None:
            return ["NoneType"]
        case proton.float32():
            return ["float32", struct.pack(">f", value).hex()]
        case float():
            return ["float", struct.pack(">d", value).hex()]
        case bytes() | memoryview() | bytearray():
            return ["bytes", bytes(value).hex()]
    return [type(value).__name__, str(value)]
