"""JMSMessageID: `ID:` and a UUID, made here and read from the 16 bytes that a core message carries.

Law of this file: all clients see the same id. The broker and its Java client read any 16 bytes as a time-based UUID,
version and variant bits overwritten (org.apache.activemq.artemis.utils.UUID), so ids have these bits from the start,
and those of others are read the same way.
"""

from __future__ import annotations

import os
import uuid

SIZE = 16
DRAWN_AT_ONCE = 128
"""Ids for which random bytes are asked of the system in one call: a call for each would be most of a send's cost."""
_VERSION = bytes(byte & 0x0F | 0x10 for byte in range(256))
_VARIANT = bytes(byte & 0x3F | 0x80 for byte in range(256))


def _time_based(data: bytes) -> bytes:
    """One id or several, with the bits set."""
    made = bytearray(data)
    made[6::SIZE] = made[6::SIZE].translate(_VERSION)
    made[8::SIZE] = made[8::SIZE].translate(_VARIANT)
    return bytes(made)


class UserIds:
    """Fresh ids for messages, as core messages carry them. Thread-safe; never used on in a forked child."""

    __slots__ = ("_drawn",)

    def __init__(self) -> None:
        self._drawn: list[bytes] = []

    def new(self) -> bytes:
        """An id that no message has."""
        try:
            return self._drawn.pop()
        except IndexError:
            made = _time_based(os.urandom(SIZE * DRAWN_AT_ONCE))
            self._drawn += [made[at : at + SIZE] for at in range(SIZE, len(made), SIZE)]
            return made[:SIZE]


def message_id(user_id: bytes | None) -> str | None:
    """The JMSMessageID of a core message's user id."""
    return None if user_id is None else f"ID:{uuid.UUID(bytes=_time_based(user_id))}"
