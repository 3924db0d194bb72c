"""Messages whose attempts or whose time are used up: what goes to the dead letter and to the expiry address.

Law of this file: the copy says where it came from, the last time it moved; it does not expire. One that rests,
rests on. Source: QueueImpl.makeCopy and CoreMessage.referenceOriginalMessage of Artemis.
"""

from __future__ import annotations

from activeclient.broker.chain import Reference
from activeclient.broker.message import StoredMessage
from activeclient.wire.names import (
    ACTUAL_EXPIRY,
    ORIGINAL_ADDRESS,
    ORIGINAL_MESSAGE_ID,
    ORIGINAL_QUEUE,
    ORIGINAL_ROUTING_TYPE,
    ROUTING_TYPE,
)
from activeclient.wire.properties import Byte


def moved(ref: Reference, address: str, *, expired_ms: int | None = None, retried: bool = False) -> StoredMessage:
    """A copy for another address, with its origin.

    Args:
        expired_ms: When it expired, ms since 1970; None when it did not.
        retried: It goes back to where it came from, as what it was.

    Raises:
        RemoteProtocolError: Its properties cannot be read.
    """
    message = ref.message
    copy = message.to_core()
    properties = copy.properties
    properties[ORIGINAL_ADDRESS] = message.address
    properties[ORIGINAL_QUEUE] = ref.queue.name
    properties[ORIGINAL_MESSAGE_ID] = message.id
    if message.routing_type is not None:
        properties[ORIGINAL_ROUTING_TYPE] = Byte(message.routing_type)
        # The other address decides who gets it.
        del properties[ROUTING_TYPE]
    elif retried and ORIGINAL_ROUTING_TYPE in properties:
        properties[ROUTING_TYPE] = properties[ORIGINAL_ROUTING_TYPE]
    if expired_ms is not None:
        properties[ACTUAL_EXPIRY] = expired_ms
    copy.address = address
    copy.expiration = 0
    copy.message_id = 0
    return message.rewritten(copy)
