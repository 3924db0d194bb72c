"""Typed properties: the name-value pairs of messages and the entries of map bodies.

Law of this file: a value keeps its wire type and its bits on the way through Python and back: a Java byte stays a byte,
a NaN keeps its payload, half a surrogate pair stays half. The types are those of `activeclient.values`, importable from
here as well. Source: TypedProperties and DataConstants of Artemis.
"""

from __future__ import annotations

import struct
from codecs import utf_16_le_decode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from activeclient.errors import ActiveClientError, MessageFormatError, RemoteProtocolError
from activeclient.values import Byte as Byte
from activeclient.values import Char as Char
from activeclient.values import Float32 as Float32
from activeclient.values import Int as Int
from activeclient.values import PropertyValue as PropertyValue
from activeclient.values import Short as Short
from activeclient.values import float_bits, from_float_bits
from activeclient.wire.fields import read_bytes, read_nullable_string, write_nullable_string, write_simple
from activeclient.wire.names import DUPLICATE_ID

NULL, BOOLEAN, BYTE, BYTES, SHORT, INT, LONG, FLOAT, DOUBLE, STRING, CHAR = 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
"""Wire types; 1 is not used."""

NO_PROPERTIES: Final = b"\x00"
"""An empty set."""
SMALLEST_PROPERTY: Final = 5
"""Bytes of a property with an empty name and the value null."""
NAME_CACHE_SIZE: Final = 512
"""Encoded names that are remembered: programs use few, over and over."""


_LENGTH: Final = struct.Struct(">i")
_BYTE: Final = struct.Struct(">bb")
_SHORT: Final = struct.Struct(">bh")
_INT: Final = struct.Struct(">bi")
_LONG: Final = struct.Struct(">bq")
_FLOAT_BITS: Final = struct.Struct(">bI")
_DOUBLE: Final = struct.Struct(">bd")
_F64: Final = struct.Struct(">d")
_U32: Final = struct.Struct(">I")
_CHAR: Final = struct.Struct(">bH")
_i16 = struct.Struct(">h").unpack_from
_u16 = struct.Struct(">H").unpack_from
_i32 = _LENGTH.unpack_from
_i64 = struct.Struct(">q").unpack_from


# --- writing ----------------------------------------------------------------------------------------------------------

_WRITERS: Final[dict[type, Callable[[Any], bytes]]] = {
    type(None): lambda value: b"\x00",
    bool: lambda value: b"\x02\x01" if value else b"\x02\x00",
    Byte: lambda value: _BYTE.pack(BYTE, value),
    bytes: lambda value: _INT.pack(BYTES, len(value)) + value,
    Short: lambda value: _SHORT.pack(SHORT, value),
    Int: lambda value: _INT.pack(INT, value),
    int: lambda value: _LONG.pack(LONG, value),
    Float32: lambda value: _FLOAT_BITS.pack(FLOAT, float_bits(value)),
    float: lambda value: _DOUBLE.pack(DOUBLE, value),
    str: lambda value: b"\x0a" + write_simple(value),
    Char: lambda value: _CHAR.pack(CHAR, ord(value)),
}


def _writer(value: object) -> Callable[[Any], bytes] | None:
    """The writer of the nearest base: an enum of ints is an int, a str subclass a text."""
    if isinstance(value, bytearray | memoryview):
        return lambda given: _WRITERS[bytes](bytes(given))
    return next((_WRITERS[base] for base in type(value).__mro__ if base in _WRITERS), None)


def _encode_value(name: str, value: object) -> bytes:
    write = _WRITERS.get(type(value)) or _writer(value)
    if write is None:
        raise MessageFormatError(f"property {name!r}: a {type(value).__name__} cannot be a property")
    try:
        return write(value)
    except (struct.error, OverflowError):
        raise MessageFormatError(f"property {name!r}: {value!r} does not fit 64 bits") from None


@lru_cache(maxsize=NAME_CACHE_SIZE)
def _encode_name(name: str) -> bytes:
    if not isinstance(name, str):
        raise MessageFormatError(f"property {name!r}: its name must be a str, not a {type(name).__name__}")
    return write_simple(name)


def encode_properties(properties: Mapping[str, PropertyValue]) -> bytes:
    """The whole set, with its leading byte (00 for none).

    Raises:
        MessageFormatError: A value that has no wire type, or an int beyond 64 bits; names the property.
    """
    if not properties:
        return NO_PROPERTIES
    parts = [_INT.pack(1, len(properties))]
    for name, value in properties.items():
        parts += (_encode_name(name), _encode_value(name, value))
    return b"".join(parts)


def append_property(blob: bytes, name: str, value: PropertyValue) -> bytes:
    """`blob`, an encoded set, with one property more; the others are not touched. The caller knows that the name
    is new.

    Raises:
        MessageFormatError: As `encode_properties`.
    """
    entry = _encode_name(name) + _encode_value(name, value)
    if blob == NO_PROPERTIES:
        return _INT.pack(1, 1) + entry
    (count,) = _i32(blob, 1)
    return b"".join((_INT.pack(1, count + 1), blob[5:], entry))


_ONLY_DUPLICATE_ID: Final = _INT.pack(1, 1) + write_simple(DUPLICATE_ID) + _INT.pack(BYTES, 16)
_DUPLICATE_ID_ENTRY: Final = write_simple(DUPLICATE_ID) + _INT.pack(BYTES, 16)


def duplicate_id_properties(id16: bytes) -> bytes:
    """The encoded set of a message whose only property is this duplicate id of 16 bytes (hot path)."""
    if len(id16) != 16:
        raise MessageFormatError(f"property {DUPLICATE_ID!r}: {len(id16)} bytes, must be 16 here")
    return _ONLY_DUPLICATE_ID + id16


def append_duplicate_id(blob: bytes, id16: bytes) -> bytes:
    """`blob`, an encoded set without a duplicate id, with this one of 16 bytes (hot path)."""
    if len(id16) != 16:
        raise MessageFormatError(f"property {DUPLICATE_ID!r}: {len(id16)} bytes, must be 16 here")
    if blob == NO_PROPERTIES:
        return _ONLY_DUPLICATE_ID + id16
    return b"".join((_INT.pack(1, _i32(blob, 1)[0] + 1), blob[5:], _DUPLICATE_ID_ENTRY, id16))


# --- reading ----------------------------------------------------------------------------------------------------------


def _read_string(frame: bytes, pos: int) -> tuple[str, int]:
    size = _i32(frame, pos)[0]
    pos += 4
    end = pos + size
    if size < 0 or size & 1 or end > len(frame):
        raise RemoteProtocolError(f"text of {size} bytes, {len(frame) - pos} left", offset=pos)
    return utf_16_le_decode(frame[pos:end], "surrogatepass", True)[0], end


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


_READERS: Final[dict[int, Callable[[bytes, int], tuple[PropertyValue, int]]]] = {
    NULL: lambda frame, pos: (None, pos),
    BOOLEAN: lambda frame, pos: (frame[pos] != 0, pos + 1),
    BYTE: lambda frame, pos: (Byte(_signed(frame[pos])), pos + 1),
    BYTES: read_bytes,
    SHORT: lambda frame, pos: (Short(_i16(frame, pos)[0]), pos + 2),
    INT: lambda frame, pos: (Int(_i32(frame, pos)[0]), pos + 4),
    LONG: lambda frame, pos: (_i64(frame, pos)[0], pos + 8),
    FLOAT: lambda frame, pos: (Float32(from_float_bits(_U32.unpack_from(frame, pos)[0])), pos + 4),
    DOUBLE: lambda frame, pos: (_F64.unpack_from(frame, pos)[0], pos + 8),
    STRING: _read_string,
    CHAR: lambda frame, pos: (Char(chr(_u16(frame, pos)[0])), pos + 2),
}


def decode_properties(frame: bytes, pos: int) -> tuple[dict[str, PropertyValue], int]:
    """The set that begins at `pos`, and the position behind it; the order is that of the bytes.

    Raises:
        RemoteProtocolError: It cannot be read.
    """
    try:
        if frame[pos] == 0:
            return {}, pos + 1
        count = _i32(frame, pos + 1)[0]
        pos += 5
        if count < 0 or count * SMALLEST_PROPERTY > len(frame) - pos:
            raise RemoteProtocolError(f"{count} properties announced, {len(frame) - pos} bytes left", offset=pos - 4)
        found: dict[str, PropertyValue] = {}
        for _ in range(count):
            name, pos = _read_string(frame, pos)
            read = _READERS.get(frame[pos])
            if read is None:
                raise RemoteProtocolError(f"property of unknown type {frame[pos]}", offset=pos)
            found[name], pos = read(frame, pos + 1)
        return found, pos
    except (struct.error, IndexError):
        raise RemoteProtocolError("the properties end too early", offset=pos) from None


# --- stream bodies ----------------------------------------------------------------------------------------------------


def encode_stream_value(value: PropertyValue) -> bytes:
    """One element of a stream body: as a property, but true is FF and texts have the form of packets.

    Raises:
        MessageFormatError: A value that has no wire type, or an int beyond 64 bits.
    """
    if isinstance(value, bool):
        return b"\x02\xff" if value else b"\x02\x00"
    if value is None or (isinstance(value, str) and not isinstance(value, Char)):
        return b"\x0a" + write_nullable_string(value)
    try:
        return _encode_value("stream element", value)
    except ActiveClientError as exc:
        raise MessageFormatError(str(exc)) from None


def decode_stream_value(body: bytes, pos: int) -> tuple[PropertyValue, int]:
    """One element of a stream body, and the position behind it.

    Raises:
        MessageFormatError: There is no element at `pos`, or it cannot be read.
    """
    try:
        kind = body[pos]
        if kind == STRING:
            return read_nullable_string(body, pos + 1)
        return _READERS[kind](body, pos + 1)
    except (struct.error, IndexError, KeyError, RemoteProtocolError) as exc:
        raise MessageFormatError(f"no stream element at byte {pos} of {len(body)}") from exc
