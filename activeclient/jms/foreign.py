"""Messages of other implementations: objects with the attributes of a message, sent by way of a copy.

Law of this file: the other object is read by attributes alone, before the send; what a send decides (id, times, mode,
priority, destination) is written back into it afterwards, as JMS 2.0, 3.12 has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from activeclient.destination import Destination
from activeclient.jms.message import Message
from activeclient.jms.modes import DeliveryMode
from activeclient.jms.properties import DELIVERY_COUNT, check_name


class ForeignMessage(Protocol):
    """What an object needs to be sent as a message; what it has besides is not looked at.

    Its kind is that of its `body`, by the rules of `MessageProducer.send`. It is told `jms_message_id`,
    `jms_timestamp`, `jms_expiration`, `jms_priority`, `jms_delivery_mode`, `jms_delivery_time` and `jms_destination`
    of its send, so these must be settable.
    """

    jms_type: str | None
    jms_correlation_id: str | bytes | None
    jms_reply_to: Destination | None
    jms_destination: Destination | None
    jms_message_id: str | None
    jms_timestamp: int
    jms_expiration: int
    jms_priority: int
    jms_delivery_mode: DeliveryMode
    jms_delivery_time: int

    @property
    def body(self) -> object:
        """Text, bytes, a mapping, a list, None."""

    @property
    def properties(self) -> Mapping[str, object]:
        """By name."""


NEEDED = ("jms_correlation_id", "jms_reply_to", "jms_type", "properties", "body")
TOLD = (
    "jms_message_id",
    "jms_timestamp",
    "jms_expiration",
    "jms_priority",
    "jms_delivery_mode",
    "jms_delivery_time",
    "jms_destination",
)


def is_foreign(given: object) -> bool:
    """Is it a message of another implementation?"""
    return hasattr(given, NEEDED[0]) and all(hasattr(given, name) for name in NEEDED)  # bytes and texts: told at once


def copy_headers(given: ForeignMessage, made: Message) -> None:
    """Give `made` the headers and the properties of `given` that travel.

    Raises:
        MessageFormatError: A property has a name or a value that none can have.
    """
    made.jms_type = given.jms_type
    made.jms_correlation_id = given.jms_correlation_id
    made.jms_reply_to = given.jms_reply_to
    for name, value in given.properties.items():
        if name != DELIVERY_COUNT:
            made.properties[check_name(name)] = value


def tell_sender(given: object, sent: Message) -> None:
    """Write what the send decided into the message that was given (called by producers)."""
    for name in TOLD:
        setattr(given, name, getattr(sent, name))
