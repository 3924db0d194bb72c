"""The kinds of fields that packets are made of: how each is written and read.

Law of this file: a reader looks at what is left of the frame before it believes a length or a count, so no input makes
it allocate more than the frame's own size; what cannot be read is a `RemoteProtocolError`, nothing else. Text survives
whatever it is, lone surrogates included: Java strings are UTF-16 units, not characters.

Readers take `(frame, position)` and return `(value, position behind it)`; writers return bytes. Source: SimpleString,
UTF8Util, BufferHelper, XidCodecSupport and TransportConfiguration of Artemis.
"""

from __future__ import annotations

import re
import struct
from codecs import utf_16_le_decode, utf_16_le_encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Generic, TypeVar

from activeclient.arguments import whole
from activeclient.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from activeclient.masking import always_shown

T = TypeVar("T")
Reader = Callable[[bytes, int], tuple[T, int]]
Writer = Callable[[T], bytes]

I32_STRUCT: Final = struct.Struct(">i")
I64_STRUCT: Final = struct.Struct(">q")
U16_STRUCT: Final = struct.Struct(">H")
_XID_STRUCT: Final = struct.Struct(">ii")

_i32 = I32_STRUCT.unpack_from
_i64 = I64_STRUCT.unpack_from

SHORT_STRING: Final = 9
"""Strings of fewer units are written as plain big-endian units."""
LONG_STRING: Final = 4095
"""Strings of this many units and more are written as a SimpleString; between, as modified UTF-8."""

_BEYOND_BMP: Final = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Fixed:
    """A kind of constant size: neighbours are packed by one `struct.Struct`."""

    write_format: str
    read_format: str
    write_expression: str = "{}"
    """What is packed, made of the value."""


@dataclass(frozen=True, slots=True)
class Sized(Generic[T]):
    """A kind whose size depends on its value."""

    write: Writer[T]
    read: Reader[T]


def _short(needed: int, pos: int, frame: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(f"{needed} bytes announced, {len(frame) - pos} left", offset=pos)


def read_byte(frame: bytes, pos: int) -> tuple[int, int]:
    """One unsigned byte."""
    if pos >= len(frame):
        raise RemoteProtocolError("the frame ends too early", offset=pos)
    return frame[pos], pos + 1


def read_i32(frame: bytes, pos: int) -> tuple[int, int]:
    """A signed 32-bit integer."""
    if len(frame) - pos < 4:
        raise RemoteProtocolError("the frame ends too early", offset=pos)
    return _i32(frame, pos)[0], pos + 4


def read_count(frame: bytes, pos: int, smallest: int) -> tuple[int, int]:
    """A count of elements that take at least `smallest` bytes each."""
    count, pos = read_i32(frame, pos)
    if count < 0 or count * smallest > len(frame) - pos:
        raise RemoteProtocolError(f"{count} elements announced, {len(frame) - pos} bytes left", offset=pos - 4)
    return count, pos


def write_bytes(value: bytes) -> bytes:
    """Count, then the bytes."""
    return I32_STRUCT.pack(len(value)) + value


def read_bytes(frame: bytes, pos: int) -> tuple[bytes, int]:
    """Count, then the bytes."""
    size, pos = read_i32(frame, pos)
    if size < 0 or size > len(frame) - pos:
        raise _short(size, pos, frame)
    return frame[pos : pos + size], pos + size


# --- text -------------------------------------------------------------------------------------------------------------


def write_simple(value: str) -> bytes:
    """SimpleString: count of *bytes*, then UTF-16 units, little-endian."""
    units = utf_16_le_encode(value, "surrogatepass")[0]  # half the price of str.encode for short texts
    return I32_STRUCT.pack(len(units)) + units


def read_simple(frame: bytes, pos: int) -> tuple[str, int]:
    """SimpleString."""
    size, pos = read_i32(frame, pos)
    if size < 0 or size > len(frame) - pos:
        raise _short(size, pos, frame)
    if size & 1:
        raise RemoteProtocolError(f"text of {size} bytes, an odd number", offset=pos - 4)
    end = pos + size
    return utf_16_le_decode(frame[pos:end], "surrogatepass", True)[0], end


def _pair(match: re.Match[str]) -> str:
    code = ord(match[0]) - 0x10000
    return chr(0xD800 | code >> 10) + chr(0xDC00 | code & 0x3FF)


def modified_utf8(value: str) -> bytes:
    """Each UTF-16 unit for itself in one to three bytes; NUL is one zero byte, unlike Java's DataOutput."""
    return _BEYOND_BMP.sub(_pair, value).encode("utf-8", "surrogatepass")


def from_modified_utf8(data: bytes, offset: int = 0) -> str:
    """The text of modified UTF-8; `offset` is where it stood, for the error."""
    try:
        text = data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        raise RemoteProtocolError(f"text is not modified UTF-8: {exc.reason}", offset=offset + exc.start) from None
    if text.isascii():
        return text
    # Surrogates that form a pair become the one character that they mean.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def write_utf(value: str) -> bytes:
    """Byte length in 16 bits, then modified UTF-8 (writeUTF).

    Raises:
        LocalProtocolError: More than 65535 bytes.
    """
    data = modified_utf8(value)
    if len(data) > 0xFFFF:
        raise LocalProtocolError(f"text of {len(data)} bytes: writeUTF takes at most 65535")
    return U16_STRUCT.pack(len(data)) + data


def read_utf(frame: bytes, pos: int) -> tuple[str, int]:
    """What `write_utf` wrote."""
    if len(frame) - pos < 2:
        raise RemoteProtocolError("the frame ends too early", offset=pos)
    (size,) = U16_STRUCT.unpack_from(frame, pos)
    pos += 2
    if size > len(frame) - pos:
        raise _short(size, pos, frame)
    return from_modified_utf8(frame[pos : pos + size], pos), pos + size


def write_string(value: str) -> bytes:
    """String: count of UTF-16 units, then one of three forms by that count."""
    units = value.encode("utf-16-be", "surrogatepass")
    count = len(units) // 2
    if count < SHORT_STRING:
        return I32_STRUCT.pack(count) + units
    if count < LONG_STRING:
        return I32_STRUCT.pack(count) + write_utf(value)
    return I32_STRUCT.pack(count) + write_simple(value)


def read_string(frame: bytes, pos: int) -> tuple[str, int]:
    """String."""
    start = pos
    count, pos = read_i32(frame, pos)
    if count < 0 or count > len(frame) - pos:
        raise RemoteProtocolError(f"text of {count} units announced, {len(frame) - pos} bytes left", offset=start)
    if count < SHORT_STRING:
        end = pos + 2 * count
        if end > len(frame):
            raise _short(2 * count, pos, frame)
        return frame[pos:end].decode("utf-16-be", "surrogatepass"), end
    text, pos = read_utf(frame, pos) if count < LONG_STRING else read_simple(frame, pos)
    units = len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
    if units != count:
        raise RemoteProtocolError(f"text of {count} units announced, {units} found", offset=start)
    return text, pos


# --- nullable, lists --------------------------------------------------------------------------------------------------


def nullable(kind: Sized[T], present: bytes = b"\x01") -> Sized[T | None]:
    """One byte that says whether a value follows. Text has 01 there, numbers and records FF."""
    write, read = kind.write, kind.read

    def write_nullable(value: T | None) -> bytes:
        return b"\x00" if value is None else present + write(value)

    def read_nullable(frame: bytes, pos: int) -> tuple[T | None, int]:
        if pos >= len(frame):
            raise RemoteProtocolError("the frame ends too early", offset=pos)
        return read(frame, pos + 1) if frame[pos] else (None, pos + 1)

    return Sized(write_nullable, read_nullable)


def listed(kind: Sized[T], smallest: int) -> Sized[Sequence[T]]:
    """A count, then that many elements of at least `smallest` bytes."""
    write, read = kind.write, kind.read

    def write_list(values: Sequence[T]) -> bytes:
        return I32_STRUCT.pack(len(values)) + b"".join(map(write, values))

    def read_list(frame: bytes, pos: int) -> tuple[Sequence[T], int]:
        count, pos = read_count(frame, pos, smallest)
        values: list[T] = []
        for _ in range(count):
            value, pos = read(frame, pos)
            values.append(value)
        return values, pos

    return Sized(write_list, read_list)


def write_bool(value: bool) -> bytes:
    """FF or 00."""
    return b"\xff" if value else b"\x00"


def read_bool(frame: bytes, pos: int) -> tuple[bool, int]:
    """Anything but zero is true."""
    value, pos = read_byte(frame, pos)
    return value != 0, pos


def write_i8(value: int) -> bytes:
    """A signed byte."""
    return value.to_bytes(1, "big", signed=True)


def read_i8(frame: bytes, pos: int) -> tuple[int, int]:
    """A signed byte."""
    value, pos = read_byte(frame, pos)
    return value - 256 if value > 127 else value, pos


def read_i64(frame: bytes, pos: int) -> tuple[int, int]:
    """A signed 64-bit integer."""
    if len(frame) - pos < 8:
        raise RemoteProtocolError("the frame ends too early", offset=pos)
    return _i64(frame, pos)[0], pos + 8


# --- records ----------------------------------------------------------------------------------------------------------


@always_shown
@dataclass(frozen=True, slots=True)
class Xid:
    """The name of a branch of a distributed transaction (javax.transaction.xa.Xid).

    Raises:
        ConfigError: The format is no number of 32 bits, or an id is not bytes.
    """

    format_id: int
    global_transaction_id: bytes
    branch_qualifier: bytes

    def __post_init__(self) -> None:
        whole("format_id", self.format_id)
        for name in ("global_transaction_id", "branch_qualifier"):
            value = getattr(self, name)
            if not isinstance(value, bytes):
                raise ConfigError(name, None, f"must be bytes, not {type(value).__name__}")


def write_xid(value: Xid) -> bytes:
    """Format, branch qualifier, global transaction id: in this order."""
    branch, name = value.branch_qualifier, value.global_transaction_id
    return _XID_STRUCT.pack(value.format_id, len(branch)) + branch + write_bytes(name)


def read_xid(frame: bytes, pos: int) -> tuple[Xid, int]:
    """What `write_xid` wrote."""
    format_id, pos = read_i32(frame, pos)
    branch, pos = read_bytes(frame, pos)
    name, pos = read_bytes(frame, pos)
    return Xid(format_id, name, branch), pos


class Long(int):
    """A transport parameter that is a Java long; a plain int is a Java int as long as it fits."""

    __slots__ = ()


@always_shown
@dataclass(frozen=True, slots=True)
class TransportConfiguration:
    """How to reach a server: what a connector of it is configured with. `host` and `port` are texts in `params`."""

    name: str
    factory_class_name: str
    params: Mapping[str, bool | int | str] = field(default_factory=dict)


def _write_parameter(value: bool | int | str) -> bytes:
    if isinstance(value, bool):
        return b"\x00" + write_bool(value)
    if isinstance(value, int):
        if isinstance(value, Long) or not -0x80000000 <= value <= 0x7FFFFFFF:
            return b"\x02" + I64_STRUCT.pack(value)
        return b"\x01" + I32_STRUCT.pack(value)
    return b"\x03" + write_string(value)


def _read_parameter(frame: bytes, pos: int) -> tuple[bool | int | str, int]:
    kind, pos = read_byte(frame, pos)
    match kind:
        case 0:
            return read_bool(frame, pos)
        case 1:
            return read_i32(frame, pos)
        case 2:
            value, pos = read_i64(frame, pos)
            return Long(value), pos
        case 3:
            return read_string(frame, pos)
    raise RemoteProtocolError(f"transport parameter of unknown type {kind}", offset=pos - 1)


def write_transport(value: TransportConfiguration) -> bytes:
    """Name, factory class, count of parameters, parameters."""
    parts = [write_string(value.name), write_string(value.factory_class_name), I32_STRUCT.pack(len(value.params))]
    for key, parameter in value.params.items():
        parts += (write_string(key), _write_parameter(parameter))
    return b"".join(parts)


def read_transport(frame: bytes, pos: int) -> tuple[TransportConfiguration, int]:
    """What `write_transport` wrote."""
    name, pos = read_string(frame, pos)
    factory, pos = read_string(frame, pos)
    count, pos = read_count(frame, pos, 6)
    params: dict[str, bool | int | str] = {}
    for _ in range(count):
        key, pos = read_string(frame, pos)
        params[key], pos = _read_parameter(frame, pos)
    return TransportConfiguration(name, factory, params), pos


# --- what packets are annotated with ----------------------------------------------------------------------------------

_BOOL: Final = Fixed("b", "?", "-1 if {} else 0")  # struct's own `?` would write 01
_SIMPLE: Final = Sized(write_simple, read_simple)
_STRING: Final = Sized(write_string, read_string)
_XID: Final = Sized(write_xid, read_xid)
_NULLABLE_STRING: Final = nullable(_STRING)
write_nullable_string: Final = _NULLABLE_STRING.write
read_nullable_string: Final = _NULLABLE_STRING.read

Bool = Annotated[bool, _BOOL]
I8 = Annotated[int, Fixed("b", "b")]
I32 = Annotated[int, Fixed("i", "i")]
I64 = Annotated[int, Fixed("q", "q")]
OptionalI64 = Annotated[int | None, Fixed("q", "q")]
"""For an optional field only: None leaves it out."""
SimpleString = Annotated[str, _SIMPLE]
NullableSimpleString = Annotated[str | None, nullable(_SIMPLE)]
String = Annotated[str, _STRING]
NullableString = Annotated[str | None, _NULLABLE_STRING]
NullableBool = Annotated[bool | None, nullable(Sized(write_bool, read_bool), b"\xff")]
NullableI32 = Annotated[int | None, nullable(Sized(I32_STRUCT.pack, read_i32), b"\xff")]
NullableI64 = Annotated[int | None, nullable(Sized(I64_STRUCT.pack, read_i64), b"\xff")]
Bytes = Annotated[bytes, Sized(write_bytes, read_bytes)]
XidField = Annotated[Xid, _XID]
XidList = Annotated[Sequence[Xid], listed(_XID, 12)]
SimpleStringList = Annotated[Sequence[str], listed(_SIMPLE, 4)]
RoutingTypeList = Annotated[Sequence[int], listed(Sized(write_i8, read_i8), 1)]
_TRANSPORT: Final = Sized(write_transport, read_transport)
NullableTransport = Annotated[TransportConfiguration | None, nullable(_TRANSPORT, b"\xff")]
