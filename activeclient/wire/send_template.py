"""What stays the same from send to send of a producer, packed once.

Law of this file: `SendTemplate.encode` gives the same bytes as `encode_send`, the general way to write a SESS_SEND.
"""

from __future__ import annotations

import struct
from typing import Final

from activeclient.errors import MessageFormatError
from activeclient.wire.message import (
    BYTES,
    DEFAULT_PRIORITY,
    EMPTY_END,
    SEND,
    SEND_TAIL,
    USER_ID_SIZE,
    CoreMessage,
    check_version,
    write_address,
    write_header,
    write_send_trailer,
)
from activeclient.wire.properties import NO_PROPERTIES
from activeclient.wire.versions import V2_28

_SEND_HEAD: Final = struct.Struct(">ibqi")
_TIMES: Final = struct.Struct(">qqb")
_I64: Final = struct.Struct(">q")


class SendTemplate:
    """Everything that stays the same from send to send of one producer, packed once (hot path).

    Args:
        expiration: Absolute, ms; 0 never. `encode` takes another for messages that live for a time.

    Raises:
        MessageFormatError: A value that has no place on the wire.
        LocalProtocolError: No such version.
    """

    __slots__ = (
        "_after_body",
        "_after_user_id",
        "_channel_id",
        "_expiration",
        "_fixed",
        "_middle",
        "_priority",
        "_sender_id",
        "_version",
    )

    def __init__(
        self,
        channel_id: int,
        version: int,
        address: str | None,
        body_type: int = BYTES,
        durable: bool = True,
        priority: int = DEFAULT_PRIORITY,
        expiration: int = 0,
        sender_id: int = 0,
    ) -> None:
        check_version(version)
        write_header(CoreMessage(b"", body_type, address, durable=durable, priority=priority, expiration=expiration))
        self._channel_id = channel_id
        self._version = version
        self._priority = priority
        self._expiration = expiration
        self._sender_id = sender_id
        self._after_body = _I64.pack(0) + write_address(address)
        """Message id, address; the user id follows."""
        self._after_user_id = struct.pack(">bb", body_type, 1 if durable else 0)
        self._middle = self._after_body + b"\x00" + self._after_user_id
        """From the body to the times, of a message without a user id."""
        # 32 = 13 (type byte to the body) + 2 (body type, durable) + 17 (times and priority)
        self._fixed = 32 + len(self._after_body) + 1 + (13 if version >= V2_28 else 0)
        """What the length field counts of such a message in the newest layout, without body and properties."""

    def encode(
        self,
        body: bytes,
        timestamp_ms: int,
        properties_bytes: bytes = NO_PROPERTIES,
        user_id: bytes | None = None,
        correlation_id: int = 0,
        requires_response: bool = False,
        expiration: int | None = None,
    ) -> bytes:
        """The whole SESS_SEND frame.

        Args:
            properties_bytes: An encoded set, as `encode_properties` gives it, leading byte included.
            user_id: 16 bytes or None.
        """
        if user_id is None and self._version >= V2_28:
            length = len(body)
            return b"".join(
                (
                    _SEND_HEAD.pack(
                        self._fixed + length + len(properties_bytes), SEND, self._channel_id, length + EMPTY_END
                    ),
                    body,
                    self._middle,
                    _TIMES.pack(self._expiration if expiration is None else expiration, timestamp_ms, self._priority),
                    properties_bytes,
                    SEND_TAIL.pack(-1 if requires_response else 0, correlation_id, self._sender_id),
                )
            )
        if user_id is None:
            marked = b"\x00"
        elif len(user_id) == USER_ID_SIZE:
            marked = b"\x01" + user_id
        else:
            raise MessageFormatError(f"user_id of {len(user_id)} bytes, must be {USER_ID_SIZE}")
        if self._version >= V2_28:
            trailer = SEND_TAIL.pack(-1 if requires_response else 0, correlation_id, self._sender_id)
        else:
            trailer = write_send_trailer(self._version, requires_response, correlation_id, 0)
        after_body = self._after_body
        length = len(body)
        size = 32 + length + len(after_body) + len(marked) + len(properties_bytes) + len(trailer)
        return b"".join(
            (
                _SEND_HEAD.pack(size, SEND, self._channel_id, length + EMPTY_END),
                body,
                after_body,
                marked,
                self._after_user_id,
                _TIMES.pack(self._expiration if expiration is None else expiration, timestamp_ms, self._priority),
                properties_bytes,
                trailer,
            )
        )
