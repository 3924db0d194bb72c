"""Messages whose attempts or whose time are used up: what goes to the dead letter and to the expiry address.

Law of this file: the copy says where it came from, under the first of its names when it was disposed of before; it does
not expire, and it is delivered at once. Source: QueueImpl.makeCopy and CoreMessage.referenceOriginalMessage of Artemis.
"""

from __future__ import annotations

from activeclient.broker.chain import Reference
from activeclient.broker.message import (
    ACTUAL_EXPIRY,
    ORIGINAL_ADDRESS,
    ORIGINAL_MESSAGE_ID,
    ORIGINAL_QUEUE,
    ORIGINAL_ROUTING_TYPE,
    ROUTING_TYPE,
    SCHEDULED_DELIVERY,
    StoredMessage,
)
from activeclient.wire.properties import Byte


def moved(ref: Reference, address: str, *, expired_ms: int | None = None) -> StoredMessage:
    """A copy for another address, with its origin.

    Args:
        expired_ms: When it expired, ms since 1970; None when it did not.

    Raises:
        RemoteProtocolError: Its properties cannot be read.
    """
    message = ref.message
    copy = message.to_core()
    properties = copy.properties
    if ORIGINAL_MESSAGE_ID not in properties:
        properties[ORIGINAL_ADDRESS] = message.address
        properties[ORIGINAL_MESSAGE_ID] = message.id
    properties.setdefault(ORIGINAL_QUEUE, ref.queue.name)
    routing_type = message.routing_type
    if routing_type is not None:
        properties.setdefault(ORIGINAL_ROUTING_TYPE, Byte(routing_type))
        # The other address decides who gets it.
        del properties[ROUTING_TYPE]
    properties.pop(SCHEDULED_DELIVERY, None)
    if expired_ms is not None:
        properties[ACTUAL_EXPIRY] = expired_ms
    copy.address = address
    copy.expiration = 0
    copy.message_id = 0
    return message.rewritten(copy)
