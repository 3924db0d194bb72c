"""Messages as the broker keeps them: the bytes that came, and what was asked of them.

Law of this file: a message goes out with the bytes with which it came in, its id alone is written over; it is only
encoded anew as a copy, for another address. Header fields are read once, when it comes; properties when one of them
matters. Source of the layout: CoreMessage of Artemis.
"""

from __future__ import annotations

import re
import struct
from codecs import utf_16_le_decode
from functools import lru_cache
from typing import Final
from uuid import UUID

from activeclient.broker.large import LargeBody
from activeclient.broker.limits import KEPT_PROPERTIES
from activeclient.broker.memory import Account
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.errors import RemoteProtocolError
from activeclient.masking import never_raises
from activeclient.wire.fields import write_simple
from activeclient.wire.frames import FRAME, HEADER_SIZE, MIN_LENGTH
from activeclient.wire.message import RECEIVE, RECEIVE_LARGE, SEND, SEND_LARGE, USER_ID_SIZE, CoreMessage, write_message
from activeclient.wire.names import DUPLICATE_ID, GROUP_ID, LAST_VALUE, ROUTING_TYPE, SCHEDULED_DELIVERY
from activeclient.wire.properties import BYTE, BYTES, Int, PropertyValue, decode_properties

MEMORY_OVERHEAD: Final = 512
"""Bytes that a message costs beside its frame: the objects that hold it."""
ADDRESSES_KEPT: Final = 4096
"""Decoded addresses that are remembered: producers use few, over and over."""
_SHORT_ADDRESS: Final = 512
"""Bytes of an address that is remembered; longer ones would take memory that belongs to no message."""

HIGHEST_PRIORITY: Final = 9

_BODY_AT: Final = HEADER_SIZE + 4
_END_TO_FRAME: Final = 4
_HEAD: Final = struct.Struct(">ibqi")
"""Length, type, channel, end of the body."""
_LARGE_HEAD: Final = struct.Struct(">ibqqiqq")
"""Length, type, channel, consumer id, delivery count, size, message id."""
_SMALL: Final = struct.Struct(">bbqqb")
_TAIL: Final = struct.Struct(">qi")
_I64: Final = struct.Struct(">q")
_unpack_i32 = struct.Struct(">i").unpack_from
_pack_id = _I64.pack
_pack_head = _HEAD.pack
_pack_tail = _TAIL.pack
_unpack_small = _SMALL.unpack_from
_RESERVED: Final = "_AMQ_".encode("utf-16-le")
_MARKS: Final = {
    name: write_simple(name) for name in (GROUP_ID, SCHEDULED_DELIVERY, DUPLICATE_ID, LAST_VALUE, ROUTING_TYPE)
}
_search_special = re.compile(
    b"|".join(re.escape(_MARKS[name]) for name in (GROUP_ID, SCHEDULED_DELIVERY, DUPLICATE_ID, LAST_VALUE))
).search


@lru_cache(maxsize=ADDRESSES_KEPT)
def _text(units: bytes) -> str:
    return utf_16_le_decode(units, "surrogatepass", True)[0]


class StoredMessage:
    """A message of the broker.

    Made by `from_send`, `from_send_large` or `from_core`. `id` is 0 until the post office gives one.
    """

    __slots__ = (
        "_body_end",
        "_end",
        "_frame",
        "_header_at",
        "_properties",
        "_properties_at",
        "address",
        "body_type",
        "durable",
        "expiration",
        "holder",
        "id",
        "large",
        "memory",
        "priority",
        "references",
        "routing_type",
        "special",
        "timestamp",
        "user_id",
    )

    _frame: bytes
    _header_at: int
    _properties_at: int
    _end: int
    _properties: dict[str, PropertyValue] | None
    id: int
    address: str | None
    user_id: bytes | None
    body_type: int
    durable: bool
    expiration: int
    """Absolute, ms since 1970; 0 never."""
    timestamp: int
    priority: int
    large: LargeBody | None
    """The body, when it came in pieces."""
    special: bool
    """Does a property beside the routing type matter to the broker? Certain only when false (hot path)."""
    routing_type: int | None
    """For which queues of its address it is: ANYCAST, MULTICAST, or None for all."""
    references: int
    """Queues that hold it."""
    memory: int
    """Bytes of memory that it costs; a large body is added when it is complete (`count_body`)."""
    holder: Account | None
    """Whose memory it fills."""

    @classmethod
    def from_send(cls, frame: bytes, trailer_size: int) -> StoredMessage:
        """The message in a SESS_SEND frame, whose trailer has that many bytes: 13 from version 134 on (hot path).

        Raises:
            RemoteProtocolError: The frame cannot be read.
        """
        try:
            at = _unpack_i32(frame, HEADER_SIZE)[0] + _END_TO_FRAME
            if at < _BODY_AT or frame[4] != SEND:
                raise RemoteProtocolError("no SESS_SEND", kind=frame[4])
            return cls._read(frame, at, len(frame) - trailer_size)
        except (struct.error, IndexError, UnicodeDecodeError):
            raise RemoteProtocolError("the message does not fit its frame", kind=SEND, data=frame) from None

    @classmethod
    def from_send_large(cls, frame: bytes, body: LargeBody) -> StoredMessage:
        """The message that a SESS_SEND_LARGE frame opens; its body comes through `body.append`.

        Raises:
            RemoteProtocolError: The frame cannot be read.
        """
        try:
            if frame[4] != SEND_LARGE:
                raise RemoteProtocolError("no SESS_SEND_LARGE", kind=frame[4])
            message = cls._read(frame, HEADER_SIZE, len(frame))
        except (struct.error, IndexError, UnicodeDecodeError):
            raise RemoteProtocolError("the message does not fit its frame", kind=SEND_LARGE, data=frame) from None
        message.large = body
        return message

    @classmethod
    def from_core(cls, message: CoreMessage, large: LargeBody | None = None) -> StoredMessage:
        """A message made by the broker itself, or out of its store.

        Raises:
            MessageFormatError: A field or property that has no place on the wire.
        """
        content = write_message(message)
        frame = FRAME.pack(len(content) + MIN_LENGTH, SEND, 0) + content
        made = cls._read(frame, _BODY_AT + len(message.body), len(frame))
        made.id = message.message_id
        made.large = large
        return made

    @classmethod
    def _read(cls, frame: bytes, at: int, end: int) -> StoredMessage:
        self = cls.__new__(cls)
        pos = at + 8
        if frame[pos]:
            size = _unpack_i32(frame, pos + 1)[0]
            if size < 0 or size & 1:
                raise RemoteProtocolError(f"an address of {size} bytes", offset=pos + 1, kind=frame[4])
            pos += 5
            units = frame[pos : pos + size]
            self.address = _text(units) if size <= _SHORT_ADDRESS else utf_16_le_decode(units, "surrogatepass", True)[0]
            pos += size
        else:
            self.address = None
            pos += 1
        if frame[pos]:
            pos += 1
            self.user_id = frame[pos : pos + USER_ID_SIZE]
            pos += USER_ID_SIZE
        else:
            self.user_id = None
            pos += 1
        self.body_type, durable, self.expiration, self.timestamp, self.priority = _unpack_small(frame, pos)
        self.durable = durable != 0
        if not 0 <= self.priority <= HIGHEST_PRIORITY:
            self.priority = HIGHEST_PRIORITY if self.priority > 0 else 0
        pos += _SMALL.size
        if pos >= end:
            raise RemoteProtocolError("the message does not fit its frame", kind=frame[4])
        self._frame = frame
        self._header_at = at
        self._properties_at = pos
        self._end = end
        self._properties = None
        self.routing_type = None
        if frame.find(_RESERVED, pos, end) < 0:
            self.special = False
        else:
            self.special = _search_special(frame, pos, end) is not None
            self._read_routing_type()
        self.id = 0
        self.large = None
        self.references = 0
        self.memory = len(frame) + MEMORY_OVERHEAD
        self.holder = None
        return self

    def _read_routing_type(self) -> None:
        at = self._peek(ROUTING_TYPE, BYTE)
        given = self._frame[at] if at else None
        self.routing_type = given if given in (MULTICAST, ANYCAST) else None

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def properties(self) -> dict[str, PropertyValue]:
        """Name to value, decoded when first asked for; not to be changed (see `copy`).

        Raises:
            RemoteProtocolError: They cannot be read.
        """
        found = self._properties
        if found is None:
            found, _ = decode_properties(self._frame[: self._end], self._properties_at)
            if self._end - self._properties_at <= KEPT_PROPERTIES:
                self._properties = found
        return found

    def _peek(self, name: str, kind: int) -> int:
        """Where the value of a property begins, if it is there and of this wire type; else 0 (hot path).

        A text that reads like the name may deceive this, but only a sender about its own message.
        """
        mark = _MARKS[name]
        at = self._frame.find(mark, self._properties_at, self._end) + len(mark)
        return at + 1 if at >= self._properties_at + len(mark) and self._frame[at] == kind else 0

    def special_property(self, name: str) -> PropertyValue | None:
        """A property that matters to the broker, without decoding the others when it is not there (hot path); None when
        the properties cannot be read."""
        if not self.special or (self._properties is None and self._frame.find(_MARKS[name], self._properties_at) < 0):
            return None
        return self.property(name)

    @property
    def body(self) -> bytes:
        """The body of a message that is not large."""
        return self._frame[_BODY_AT : self._header_at] if self._frame[4] == SEND else b""

    @property
    def scheduled_ms(self) -> int:
        """When it is to be delivered, ms since 1970; 0 at once."""
        value = self.special_property(SCHEDULED_DELIVERY)
        return value if isinstance(value, int) else 0

    @property
    def duplicate_id(self) -> bytes | None:
        """The id by which a repeat is recognised. A text is compared by its UTF-16LE bytes, as Artemis does."""
        if not self.special:
            return None
        at = self._peek(DUPLICATE_ID, BYTES)
        if at:
            size = _unpack_i32(self._frame, at)[0]
            return self._frame[at + 4 : at + 4 + size] if 0 <= size <= self._end - at - 4 else None
        value = self.special_property(DUPLICATE_ID)
        if value is None or isinstance(value, bytes):
            return value
        return str(value).encode("utf-16-le", "surrogatepass")

    @property
    def size(self) -> int:
        """Bytes of the encoded message (AMQSize in a filter)."""
        return self._end - HEADER_SIZE + (self.large.size if self.large is not None else 0)

    def count_body(self) -> None:
        """The large body is complete: what of it is not in a file counts as memory."""
        if self.large is not None:
            self.memory = len(self._frame) + MEMORY_OVERHEAD + self.large.memory

    def property(self, name: str) -> PropertyValue | None:
        """What a filter sees under this name: an `AMQ` identifier (FilterImpl) or a property; None when absent, or when
        the properties cannot be read: no queue may stop at a damaged message."""
        if name.startswith("AMQ"):
            match name:
                case "AMQUserID":
                    return None if self.user_id is None else f"ID:{UUID(bytes=self.user_id)}"
                case "AMQPriority":
                    return Int(self.priority)
                case "AMQTimestamp":
                    return self.timestamp
                case "AMQDurable":
                    return "DURABLE" if self.durable else "NON_DURABLE"
                case "AMQExpiration":
                    return self.expiration
                case "AMQSize":
                    return Int(self.size)
                case "AMQAddress":
                    return self.address
                case "AMQGroupID":
                    name = GROUP_ID
        try:
            return self.properties.get(name)
        except RemoteProtocolError:
            return None

    # --- what goes out -----------------------------------------------------------------------------------------------

    def encode_receive(self, consumer_id: int, delivery_count: int, channel_id: int) -> bytes:
        """The SESS_RECEIVE_MSG frame (hot path)."""
        frame = self._frame
        at = self._header_at
        end = self._end
        return b"".join(
            (
                _pack_head(end - 4 + 12, RECEIVE, channel_id, at - _END_TO_FRAME),
                frame[_BODY_AT:at],
                _pack_id(self.id),
                frame[at + 8 : end],
                _pack_tail(consumer_id, delivery_count),
            )
        )

    def encode_receive_large(self, consumer_id: int, delivery_count: int, channel_id: int) -> bytes:
        """The SESS_RECEIVE_LARGE_MSG frame; the pieces of `large` are to follow."""
        header = self._frame[self._header_at + 8 : self._end]
        size = self.large.size if self.large is not None else len(self.body)
        length = len(header) + _LARGE_HEAD.size - 4
        head = _LARGE_HEAD.pack(length, RECEIVE_LARGE, channel_id, consumer_id, delivery_count, size, self.id)
        return head + header

    def to_core(self) -> CoreMessage:
        """An own copy of it, all decoded; a large body is not in it."""
        return CoreMessage(
            self.body,
            self.body_type,
            self.address,
            user_id=self.user_id,
            durable=self.durable,
            expiration=self.expiration,
            timestamp=self.timestamp,
            priority=self.priority,
            properties=self.properties,
            message_id=self.id,
        )

    def rewritten(self, core: CoreMessage) -> StoredMessage:
        """A new message of this changed copy, with this one's large body, which both share."""
        if self.large is not None:
            self.large.share()
        return StoredMessage.from_core(core, self.large)

    def encoded(self) -> bytes:
        """Body's end, body, headers and properties with the id, as a store keeps it: see `from_encoded`."""
        frame, at = self._frame, self._header_at
        body = self.body
        return b"".join(
            (_pack_end(len(body) + HEADER_SIZE), body, _pack_id(self.id), frame[at + 8 : self._end]),
        )

    @classmethod
    def from_encoded(cls, content: bytes, large: LargeBody | None = None) -> StoredMessage:
        """What `encoded` gave.

        Raises:
            RemoteProtocolError: It cannot be read.
        """
        frame = FRAME.pack(len(content) + MIN_LENGTH, SEND, 0) + content
        made = cls.from_send(frame, 0)
        made.id = _I64.unpack_from(frame, made._header_at)[0]
        made.large = large
        return made

    @never_raises
    def __repr__(self) -> str:
        size = f"{len(self.body)} bytes" if self.large is None else f"{self.large.size} bytes in pieces"
        return f"<StoredMessage {self.id} to {self.address}: {size}>"


_pack_end = struct.Struct(">i").pack
