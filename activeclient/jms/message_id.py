"""JMSMessageID: `ID:` and a UUID, made here and read from the 16 bytes that a core message carries.

Law of this file: all clients see the same id. The broker and its Java client read any 16 bytes as a time-based UUID,
version and variant bits overwritten (org.apache.activemq.artemis.utils.UUID), so ids have these bits from the start,
and those of others are read the same way.
"""

from __future__ import annotations

import os
import uuid


def _time_based(data: bytes) -> bytes:
    return b"".join((data[:6], bytes((data[6] & 0x0F | 0x10, data[7], data[8] & 0x3F | 0x80)), data[9:]))


def new_user_id() -> bytes:
    """A fresh id for a message, as the core message carries it."""
    return _time_based(os.urandom(16))


def message_id(user_id: bytes | None) -> str | None:
    """The JMSMessageID of a core message's user id."""
    return None if user_id is None else f"ID:{uuid.UUID(bytes=_time_based(user_id))}"
