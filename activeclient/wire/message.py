"""Core messages: in a SEND, in a RECEIVE, and the header of a large one.

Law of this file: a received message is its frame until somebody asks for something in it; what is decoded then is kept,
and nothing is decoded twice. Trailers are found from the end of the frame, never by reading through the message.

A message inside a frame: the position of the body's end (counted from the packet type byte), the body, the headers, the
trailer of its packet. Messages have this layout from version 129 on; `activeclient.wire.old_layout` converts frames of
older versions, of which only the trailer is written here. Source: CoreMessage,
SessionSendMessage_V3, SessionReceiveMessage of Artemis.
"""

from __future__ import annotations

import io
import struct
from codecs import utf_16_le_encode
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from activeclient.errors import (
    IllegalStateError,
    LocalProtocolError,
    MessageFormatError,
    RemoteProtocolError,
    UnreadableMessageError,
)
from activeclient.masking import never_raises
from activeclient.wire.fields import read_simple, write_simple
from activeclient.wire.frames import FRAME, HEADER_SIZE, MIN_LENGTH
from activeclient.wire.names import DUPLICATE_ID, LARGE_COMPRESSED, LARGE_SIZE
from activeclient.wire.properties import PropertyValue, decode_properties, encode_properties
from activeclient.wire.versions import NEWEST, V2_7, V2_28

SEND: Final = 71
SEND_LARGE: Final = 72
RECEIVE: Final = 75
RECEIVE_LARGE: Final = 76
_WITH_BODY: Final = (RECEIVE, SEND)

DEFAULT: Final = 0
OBJECT: Final = 2
TEXT: Final = 3
BYTES: Final = 4
MAP: Final = 5
STREAM: Final = 6

_DEFLATED: Final = 0x78
"""How deflated bodies begin, and no text, map or stream (RFC 1950; Deflater's window is always of 32 KiB)."""
_DEFLATED_NEXT: Final = b"\x01\x5e\x9c\xda"
"""What comes then, by level: of few bodies that are not deflated the properties are looked at for it."""

DEFAULT_PRIORITY: Final = 4
USER_ID_SIZE: Final = 16
FORCED_DELIVERY: Final = "_hornetq.forced.delivery.seq"
"""The property that makes a message the marker of a forced delivery (ClientConsumerImpl.FORCED_DELIVERY_MESSAGE)."""

_BODY_AT: Final = HEADER_SIZE + 4
_LARGE_HEADER_AT: Final = HEADER_SIZE + 8 + 4 + 8
"""Behind consumer id, delivery count and size of SESS_RECEIVE_LARGE_MSG."""
EMPTY_END: Final = 13
"""Body end of an empty body: the type byte, the channel id, and the position itself."""
_END_TO_FRAME: Final = 4
"""The position of the body's end does not count the frame's length bytes."""

_SMALL: Final = struct.Struct(">bbqqb")
"""Body type, durable, expiration, timestamp, priority."""
_RECEIVE_TAIL: Final = struct.Struct(">qi")
_LARGE_HEAD: Final = struct.Struct(">qiq")
SEND_TAIL: Final = struct.Struct(">bqi")
_SEND_TAIL_130: Final = struct.Struct(">bq")
_I32: Final = struct.Struct(">i")
_I64: Final = struct.Struct(">q")
_unpack_i32 = _I32.unpack_from
_unpack_i64 = _I64.unpack_from
_new = object.__new__


class _Delivered:
    """What only a received message has, for one that was made here."""

    __slots__ = ()

    origin: Any = None
    """Who delivered it; None for a message made here. The engine's business."""
    stream: Any = None
    """The body on its way in, for a large message; its pieces come through `origin`."""
    large_size: int = -1
    """Bytes of body that follow in pieces; -1 when the body is in the frame, or when the sender does not say."""


class CoreMessage(_Delivered):
    """A message as it is on the wire.

    Args:
        body: Raw bytes, in the form that the body type asks for.
        body_type: One of the constants of this module; 0 has no body.
        address: Where it goes; None leaves it to the producer.
        user_id: 16 bytes, JMSMessageID without its prefix.
        expiration: Absolute, ms since 1970; 0 never.
        timestamp: ms since 1970; 0 none.
        priority: 0 to 9.
        message_id: Given by the broker; 0 before.
        properties: Name to value; see `activeclient.wire.properties` for the types.

    One that was received is a `ReceivedMessage`.
    """

    __slots__ = (
        "address",
        "body",
        "body_input",
        "body_type",
        "consumer_id",
        "delivery_count",
        "durable",
        "expiration",
        "message_id",
        "priority",
        "properties",
        "timestamp",
        "user_id",
    )

    body: bytes
    """Raw bytes; of a large message all of them, which waits until they have come (see `open_body`)."""
    body_type: int
    address: str | None
    user_id: bytes | None
    durable: bool
    expiration: int
    timestamp: int
    priority: int
    properties: dict[str, PropertyValue]
    message_id: int
    consumer_id: int
    delivery_count: int
    body_input: BinaryIO | None
    """Where the body of a message to be sent is read from, instead of `body`: for bodies larger than memory."""

    def __init__(
        self,
        body: bytes = b"",
        body_type: int = DEFAULT,
        address: str | None = None,
        *,
        user_id: bytes | None = None,
        durable: bool = True,
        expiration: int = 0,
        timestamp: int = 0,
        priority: int = DEFAULT_PRIORITY,
        properties: Mapping[str, PropertyValue] | None = None,
        message_id: int = 0,
        consumer_id: int = -1,
        delivery_count: int = 0,
    ) -> None:
        self.body = body
        self.body_input = None
        self.body_type = body_type
        self.address = address
        self.user_id = user_id
        self.durable = durable
        self.expiration = expiration
        self.timestamp = timestamp
        self.priority = priority
        self.properties = {} if properties is None else dict(properties)
        self.message_id = message_id
        self.consumer_id = consumer_id
        self.delivery_count = delivery_count

    @property
    def fingerprint(self) -> int:
        """A number that two deliveries of one message share and two messages do not, in this process; 0 for a message
        that was made here. Of a body that streams its size stands for it."""
        return 0

    @property
    def frame_size(self) -> int:
        """Bytes of the frame that brought it, which is what credits count; 0 for a message made here."""
        return 0

    def load(self) -> CoreMessage:
        """Decode everything now.

        Raises:
            RemoteProtocolError: The frame does not hold a message.
        """
        return self

    def load_if_received(self) -> CoreMessage:
        """Decode everything of a received message, so that its fields can be changed."""
        return self.load()

    def acknowledge(self) -> None:
        """Acknowledge this message and all that its consumer delivered before it.

        Raises:
            IllegalStateError: Nobody delivered it: it was made here.
        """
        if self.origin is None:
            raise IllegalStateError("only a received message can be acknowledged")
        self.origin.consumer.owner.acknowledge(self)

    def individual_acknowledge(self) -> None:
        """Acknowledge this message only.

        Raises:
            IllegalStateError: Nobody delivered it: it was made here.
        """
        if self.origin is None:
            raise IllegalStateError("only a received message can be acknowledged")
        self.origin.consumer.owner.individual_acknowledge(self)

    def detached(self) -> CoreMessage:
        """Return a copy that belongs to nobody, with its whole body: it cannot be acknowledged, only read and sent.

        Raises:
            LargeMessageError: The body is larger than maxLargeMessageSize, or does not come any more.
            TypeError: The body of a message to be sent is a file.
        """
        if self.body_input is not None:
            raise TypeError("a message whose body is a file cannot be copied")
        copy = CoreMessage(
            self.body,  # inflated
            self.body_type,
            self.address,
            user_id=self.user_id,
            durable=self.durable,
            expiration=self.expiration,
            timestamp=self.timestamp,
            priority=self.priority,
            properties=self.properties,
            message_id=self.message_id,
            delivery_count=self.delivery_count,
        )
        if self.origin is not None:
            for name in (LARGE_COMPRESSED, LARGE_SIZE):
                copy.properties.pop(name, None)
        return copy

    def __copy__(self) -> CoreMessage:
        return self.detached()

    def __deepcopy__(self, memo: dict[int, object]) -> CoreMessage:
        memo[id(self)] = copy = self.detached()
        return copy

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], CoreMessage], tuple[dict[str, Any]]]:
        copy = self.detached()
        return _unpickled, ({name: getattr(copy, name) for name in CoreMessage.__slots__ if name != "body_input"},)

    def open_body(self) -> BinaryIO:
        """The body as a file, read once and forwards: for bodies larger than memory."""
        if self.stream is None:
            return io.BytesIO(self.body)
        opened: BinaryIO = self.origin.consumer.owner.open_body(self)
        return opened

    @never_raises
    def __repr__(self) -> str:
        size = f"{len(self.body)} bytes" if self.stream is None else f"{self.stream.size} bytes in pieces"
        try:
            _ = self.properties, self.address
        except RemoteProtocolError as error:
            return f"<CoreMessage, unreadable: {error}>"
        kind = f"type {self.body_type}, {size}, {len(self.properties)} properties"
        return f"<CoreMessage {self.message_id} to {self.address}: {kind}>"


# --- reading ----------------------------------------------------------------------------------------------------------


def _unpickled(fields: dict[str, Any]) -> CoreMessage:
    return CoreMessage(**fields)


class ReceivedMessage(CoreMessage):
    """A message that came, which is its frame until somebody asks for something in it.

    Header fields and properties are read when they are first asked for. Call `load` before header fields are changed.
    `origin` and `stream` belong to whoever received it.
    """

    # No __getattr__: with one, every access to any attribute would be slow.
    __slots__ = ("_frame", "_header_at", "_properties_at", "_read_body", "large_size", "origin", "stream")

    _frame: bytes
    _header_at: int
    _properties_at: int
    """0 until the header was read."""
    stream: Any
    _read_body: bytes | None
    """None until somebody asked for it."""

    @property
    def fingerprint(self) -> int:
        same = self._frame[self._header_at : -_RECEIVE_TAIL.size]
        return hash(same) if self.stream is None else hash((same, self.stream.size))

    @property
    def frame_size(self) -> int:
        return len(self._frame)

    def open_body(self) -> BinaryIO:
        # Read whole before, perhaps by whoever received it, the body comes in no pieces any more.
        return super().open_body() if self._read_body is None else io.BytesIO(self._read_body)

    def load(self) -> ReceivedMessage:
        _ = self.consumer_id, self.body_type, self.address, self.properties
        return self

    def body_follows(self, stream: object) -> None:
        """The body comes in pieces: it is read through `stream` when it is first asked for."""
        self.stream = stream
        self._read_body = None


def received(frame: bytes) -> ReceivedMessage:
    """The message of a whole frame (71, 72, 75 or 76), of which only `message_id` is decoded (hot path).

    Raises:
        RemoteProtocolError: The frame is of another type, or its body ends outside of it.
    """
    self = _new(ReceivedMessage)
    self._frame = frame
    self._read_body = None
    self._properties_at = 0
    self.origin = None
    self.stream = None
    try:
        # The id is needed for each acknowledgement, and reading it proves where the body ends.
        if frame[4] == RECEIVE:
            self._header_at = at = _unpack_i32(frame, HEADER_SIZE)[0] + _END_TO_FRAME
            if at < _BODY_AT:
                raise RemoteProtocolError(f"the body ends at {at}", offset=HEADER_SIZE, kind=RECEIVE)
        else:
            self._header_at = at = _locate(frame)
        self.message_id = _unpack_i64(frame, at)[0]
    except (struct.error, IndexError):
        raise RemoteProtocolError("the message does not fit its frame", kind=_kind(frame)) from None
    return self


def _kind(frame: bytes) -> int | None:
    return frame[4] if len(frame) > 4 else None


def _locate(frame: bytes) -> int:
    """Where the headers begin: at the message id."""
    kind = frame[4]
    if kind in _WITH_BODY:
        at: int = _unpack_i32(frame, HEADER_SIZE)[0] + _END_TO_FRAME
        if at < _BODY_AT or at > len(frame):
            raise RemoteProtocolError(f"the body ends at {at} of {len(frame)} bytes", offset=HEADER_SIZE, kind=kind)
        return at
    if kind == RECEIVE_LARGE:
        return _LARGE_HEADER_AT
    if kind == SEND_LARGE:
        return HEADER_SIZE
    raise RemoteProtocolError("no packet that holds a message", kind=kind)


def _load_header(self: ReceivedMessage) -> None:
    frame = self._frame
    pos = self._header_at + 8
    if frame[pos]:
        size = _unpack_i32(frame, pos + 1)[0]
        if size < 0:
            raise RemoteProtocolError(f"an address of {size} bytes", offset=pos + 1, kind=_kind(frame))
        pos += 5 + size
    else:
        pos += 1
    if frame[pos]:
        end = pos + 1 + USER_ID_SIZE
        self.user_id = frame[pos + 1 : end]
        pos = end
    else:
        self.user_id = None
        pos += 1
    self.body_type, durable, self.expiration, self.timestamp, self.priority = _SMALL.unpack_from(frame, pos)
    self.durable = durable != 0
    self._properties_at = pos + _SMALL.size


def _load_address(self: ReceivedMessage) -> None:
    pos = self._header_at + 8
    self.address = read_simple(self._frame, pos + 1)[0] if self._frame[pos] else None


def _load_properties(self: ReceivedMessage) -> None:
    if not self._properties_at:
        _load_header(self)
    self.properties, _ = decode_properties(self._frame, self._properties_at)


def _load_delivery(self: ReceivedMessage) -> None:
    frame = self._frame
    match frame[4]:
        case 75:
            if len(frame) < _BODY_AT + _RECEIVE_TAIL.size:
                raise RemoteProtocolError("the message does not fit its frame", kind=RECEIVE)
            self.consumer_id, self.delivery_count = _RECEIVE_TAIL.unpack_from(frame, len(frame) - _RECEIVE_TAIL.size)
            self.large_size = -1
        case 76:
            self.consumer_id, self.delivery_count, self.large_size = _LARGE_HEAD.unpack_from(frame, HEADER_SIZE)
        case _:
            self.consumer_id, self.delivery_count, self.large_size = -1, 0, -1


def _load_body_input(self: ReceivedMessage) -> None:
    self.body_input = None


def _body(self: ReceivedMessage) -> bytes:
    body = self._read_body
    if body is not None:
        return body
    if self.stream is not None:
        body = self.origin.consumer.owner.read_whole(self)
    else:
        frame = self._frame
        body = frame[_BODY_AT : self._header_at] if frame[4] in _WITH_BODY else b""
        if (
            frame[_BODY_AT] == _DEFLATED
            and body[1:2] in _DEFLATED_NEXT
            and self.origin is not None
            and self.properties.get(LARGE_COMPRESSED) is True
        ):
            # Large when it was sent, and small enough for one frame once it was compressed.
            body = self.origin.consumer.owner.inflate(self, body)
    self._read_body = body
    return body


def _set_body(self: ReceivedMessage, body: bytes) -> None:
    self._read_body = body


def _lazily(home: type, name: str, load: Callable[[ReceivedMessage], None]) -> property:
    """An attribute that `load` fills when it is first asked for; the slot of that name in `home` keeps it."""
    slot = home.__dict__[name]
    read = slot.__get__

    def get(self: ReceivedMessage) -> object:
        try:
            return read(self)
        except AttributeError:
            pass
        try:
            load(self)
        except RemoteProtocolError as exc:
            raise UnreadableMessageError(f"message {self.message_id} is damaged: {exc}") from exc
        except (struct.error, IndexError):
            raise UnreadableMessageError(
                f"message {self.message_id} does not fit its frame", kind=_kind(self._frame)
            ) from None
        return read(self)

    return property(get, slot.__set__)


for _name, _load in {
    "body_input": _load_body_input,
    "address": _load_address,
    "user_id": _load_header,
    "body_type": _load_header,
    "durable": _load_header,
    "expiration": _load_header,
    "timestamp": _load_header,
    "priority": _load_header,
    "properties": _load_properties,
    "consumer_id": _load_delivery,
    "delivery_count": _load_delivery,
}.items():
    setattr(ReceivedMessage, _name, _lazily(CoreMessage, _name, _load))
setattr(ReceivedMessage, "body", property(_body, _set_body))  # noqa: B010
setattr(ReceivedMessage, "large_size", _lazily(ReceivedMessage, "large_size", _load_delivery))  # noqa: B010


def decode_large_header(frame: bytes) -> CoreMessage:
    """The message that SESS_RECEIVE_LARGE_MSG or SESS_SEND_LARGE opens: all but the body, which follows in pieces;
    `large_size` says how many bytes (-1 in a SEND_LARGE).

    Raises:
        RemoteProtocolError: The frame cannot be read.
    """
    if len(frame) <= HEADER_SIZE or frame[4] not in (RECEIVE_LARGE, SEND_LARGE):
        raise RemoteProtocolError("no packet that opens a large message", kind=_kind(frame))
    return received(frame).load()


def decode_send(frame: bytes, version: int) -> tuple[CoreMessage, bool, int, int]:
    """Message, requires_response, correlation id and sender id of a SESS_SEND, for the receiving side of it.
    The message is decoded lazily, as every received one.

    Raises:
        RemoteProtocolError: The frame cannot be read.
    """
    if len(frame) < _BODY_AT or frame[4] != SEND:
        raise RemoteProtocolError("no SESS_SEND", kind=_kind(frame))
    size = _trailer_size(version)
    at = len(frame) - size
    if at < _locate(frame):
        raise RemoteProtocolError("the message does not fit its frame", kind=SEND)
    correlation_id = _unpack_i64(frame, at + 1)[0] if version >= V2_7 else 0
    sender_id = _unpack_i32(frame, at + 9)[0] if version >= V2_28 else 0
    return received(frame), frame[at] != 0, correlation_id, sender_id


def _trailer_size(version: int) -> int:
    return 13 if version >= V2_28 else 9 if version >= V2_7 else 1


def send_correlation_id(frame: bytes) -> int:
    """The correlation id in a SESS_SEND that was encoded for version 134 or later."""
    correlation_id: int = _unpack_i64(frame, len(frame) - 12)[0]
    return correlation_id


def message_address(frame: bytes) -> str | None:
    """The address in a frame that holds a message or opens a large one.

    Raises:
        RemoteProtocolError: The frame cannot be read.
    """
    try:
        at = _locate(frame) + 8
        return read_simple(frame, at + 1)[0] if frame[at] else None
    except (struct.error, IndexError):
        raise RemoteProtocolError("the message does not fit its frame", kind=_kind(frame)) from None


_DUPLICATE_ID_MARK: Final = write_simple(DUPLICATE_ID)


def may_have_duplicate_id(frame: bytes) -> bool:
    """Does the frame of a send seem to carry a duplicate id? Certain only when it says no (hot path)."""
    return _DUPLICATE_ID_MARK in frame


def duplicate_id_of(frame: bytes) -> bytes | str | None:
    """The duplicate id that a SEND or SEND_LARGE frame carries, or None."""
    if _DUPLICATE_ID_MARK not in frame:
        return None
    found = received(frame).properties.get(DUPLICATE_ID)
    return found if isinstance(found, (bytes, str)) else None if found is None else str(found)


def correlation_of(frame: bytes, version: int) -> int:
    """The correlation id behind a SEND, or behind a piece of a large message, of version 2.7 or newer."""
    trailer = 12 if version >= V2_28 else 8
    return int.from_bytes(frame[-trailer : len(frame) - trailer + 8], "big", signed=True)


def forced_delivery_sequence(message: CoreMessage) -> int | None:
    """The sequence of a forced delivery's marker; None for a message. (A browser's messages have count 0 too.)"""
    if message.delivery_count != 0:
        return None
    sequence = message.properties.get(FORCED_DELIVERY)
    return sequence if isinstance(sequence, int) else None


# --- writing ----------------------------------------------------------------------------------------------------------


def check_version(version: int) -> None:
    """Raise LocalProtocolError for a protocol version that does not exist."""
    if not 0 <= version <= NEWEST:
        raise LocalProtocolError(f"{version} is no protocol version that we know")


def _write_user_id(user_id: bytes | None) -> bytes:
    if user_id is None:
        return b"\x00"
    if len(user_id) != USER_ID_SIZE:
        raise MessageFormatError(f"user_id of {len(user_id)} bytes, must be {USER_ID_SIZE}")
    return b"\x01" + user_id


def write_address(address: str | None) -> bytes:
    """An address as a header has it."""
    return b"\x00" if address is None else b"\x01" + write_simple(address)


_RANGES: Final = {
    "message_id": ">q",
    "body_type": ">b",
    "expiration": ">q",
    "timestamp": ">q",
    "priority": ">b",
}


def write_header(message: CoreMessage) -> bytes:
    """Message id to properties: what opens a large message, and what follows the body of another.

    Raises:
        MessageFormatError: A header field or property that has no place on the wire; names it.
    """
    try:
        small = _SMALL.pack(
            message.body_type, 1 if message.durable else 0, message.expiration, message.timestamp, message.priority
        )
        message_id = _I64.pack(message.message_id)
    except struct.error as exc:
        for name, format_ in _RANGES.items():
            try:
                struct.pack(format_, getattr(message, name))
            except struct.error:
                raise MessageFormatError(f"{name}={getattr(message, name)!r} has no place on the wire") from exc
        raise
    address, user_id = write_address(message.address), _write_user_id(message.user_id)
    return b"".join((message_id, address, user_id, small, encode_properties(message.properties)))


def write_message(message: CoreMessage) -> bytes:
    """End of the body, body, headers: the message inside SEND and RECEIVE.

    Raises:
        MessageFormatError: As `write_header`.
    """
    return b"".join((_I32.pack(len(message.body) + EMPTY_END), message.body, write_header(message)))


def read_message(frame: bytes, pos: int) -> tuple[CoreMessage, int]:
    """The field kind's reader: the message and the position of its packet's trailer."""
    message = received(frame)
    _ = message.body_type  # decodes the header
    message.properties, pos = decode_properties(frame, message._properties_at)
    return message, pos


def read_header(frame: bytes, pos: int) -> tuple[CoreMessage, int]:
    """The same for the header of a large message."""
    message = received(frame)
    _ = message.body_type  # decodes the header
    message.properties, pos = decode_properties(frame, message._properties_at)
    return message, pos


def write_send_trailer(version: int, requires_response: bool, correlation_id: int, sender_id: int) -> bytes:
    """What follows the message in a SESS_SEND."""
    flag = -1 if requires_response else 0
    if version >= V2_28:
        return SEND_TAIL.pack(flag, correlation_id, sender_id)
    if version >= V2_7:
        return _SEND_TAIL_130.pack(flag, correlation_id)
    return b"\xff" if requires_response else b"\x00"


def encode_send(
    message: CoreMessage,
    channel_id: int,
    version: int,
    requires_response: bool = False,
    correlation_id: int = 0,
    sender_id: int = 0,
) -> bytes:
    """The whole SESS_SEND frame of any message.

    Raises:
        MessageFormatError: A header field or property that has no place on the wire.
        LocalProtocolError: No such version.
    """
    check_version(version)
    content = write_message(message)
    trailer = write_send_trailer(version, requires_response, correlation_id, sender_id)
    return b"".join((FRAME.pack(len(content) + len(trailer) + MIN_LENGTH, SEND, channel_id), content, trailer))


def encode_send_large_header(message: CoreMessage, channel_id: int, version: int) -> bytes:
    """The whole SESS_SEND_LARGE frame, which opens a large message; the body of `message` is not in it.

    Raises:
        MessageFormatError, LocalProtocolError: As `encode_send`.
    """
    check_version(version)
    header = write_header(message)
    return FRAME.pack(len(header) + MIN_LENGTH, SEND_LARGE, channel_id) + header


def encode_receive(message: CoreMessage, consumer_id: int, delivery_count: int, channel_id: int) -> bytes:
    """The whole SESS_RECEIVE_MSG frame, for a server's side.

    Raises:
        MessageFormatError: As `write_header`.
    """
    content = write_message(message)
    trailer = _RECEIVE_TAIL.pack(consumer_id, delivery_count)
    return b"".join((FRAME.pack(len(content) + len(trailer) + MIN_LENGTH, RECEIVE, channel_id), content, trailer))


# --- text bodies ------------------------------------------------------------------------------------------------------


def text_body(text: str | None) -> bytes:
    """The body of a text message."""
    if text is None:
        return b"\x00"
    units = utf_16_le_encode(text, "surrogatepass")[0]
    return b"".join((b"\x01", _I32.pack(len(units)), units))


def text_of(body: bytes) -> str | None:
    """The text of a text message's body; no body at all reads as no text.

    Raises:
        MessageFormatError: The body is no text body.
    """
    if not body or body[0] == 0:
        return None
    try:
        return read_simple(body, 1)[0]
    except RemoteProtocolError as exc:
        raise MessageFormatError(f"{len(body)} bytes are not the body of a text message: {exc}") from exc
