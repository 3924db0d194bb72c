"""How messages are described to peers, and how peers tell what they see: plain data that JSON carries.

Law: nothing is rounded or escaped. A value is `[type, text]`: whole numbers in decimal, floats and doubles as the hex
of their bits, chars as the hex of the code unit, bytes in hex, texts with every surrogate as it is. Both sides write
the same thing for the same value, so that comparing dumps compares values.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any, TypedDict

from activeclient.wire.properties import Byte, Char, Float32, Int, PropertyValue, Short

Value = list[str]
"""`[type, text]`, or `[type, text, times]` for a text or bytes that are repeated (in descriptions only)."""
Dump = dict[str, Any]
"""What a peer sees of a message: headers, `properties`, `type`, `body`, and what is below JMS (`core_...`)."""
LONGEST = 65536
"""Beyond so many UTF-16 units or bytes a value is told as `[type, sha256, length]`."""


class Description(TypedDict, total=False):
    """A message to be sent. All scalars are texts, as on the lines to the Java peer."""

    type: str
    """message, text, bytes, map, stream or object."""
    body: Any
    """text: a value; bytes: values written one after another; map: [name, value] pairs; stream: values; object: a
    value."""
    properties: list[list[Any]]
    """[name, value] pairs."""
    correlation_id: Value
    reply_to: str
    """With its prefix: `temp-queue://name`."""
    jms_type: str
    delivery_mode: str
    priority: str
    time_to_live: str
    """Milliseconds, as the next."""
    delivery_delay: str
    no_id: str
    no_timestamp: str


def told(value: object) -> Value:
    """The notation of a value with its Java type."""
    match value:
        case None:
            return ["null"]
        case bool():
            return ["boolean", "true" if value else "false"]
        case Byte() | Short() | Int():
            return [type(value).__name__.lower(), str(int(value))]
        case int():
            return ["long", str(int(value))]
        case Float32():
            return ["float", f"{_float_bits(value):08x}"]
        case float():
            return ["double", struct.pack(">d", value).hex()]
        case Char():
            return ["char", f"{ord(value):04x}"]
        case str():
            units = value.encode("utf-16-be", "surrogatepass")
            if len(units) // 2 > LONGEST:
                return ["string", "sha256:" + hashlib.sha256(units).hexdigest(), str(len(units) // 2)]
            return ["string", units.decode("utf-16-be", "surrogatepass")]
        case bytes():
            if len(value) > LONGEST:
                return ["bytes", "sha256:" + hashlib.sha256(value).hexdigest(), str(len(value))]
            return ["bytes", value.hex()]
    raise TypeError(f"no notation for {type(value).__name__}")


def value_of(told_value: Value) -> PropertyValue:
    """The value of a notation."""
    kind = told_value[0]
    text = told_value[1] if len(told_value) > 1 else ""
    times = told_value[2] if len(told_value) > 2 else "1"
    match kind:
        case "null":
            return None
        case "boolean":
            return text == "true"
        case "byte":
            return Byte(int(text))
        case "short":
            return Short(int(text))
        case "int":
            return Int(int(text))
        case "long":
            return int(text)
        case "float":
            return float32_of_bits(int(text, 16))
        case "double":
            return float(struct.unpack(">d", bytes.fromhex(text))[0])
        case "char":
            return Char(chr(int(text, 16)))
        case "string":
            return text * int(times)
        case "bytes":
            return bytes.fromhex(text) * int(times)
    raise ValueError(f"no such type: {kind}")


def expected(described: Value) -> Value:
    """How a value that was described is told: repeated ones in full, or as their digest."""
    return told(value_of(described))


def float32_of_bits(bits: int) -> Float32:
    """The Java float with these bits, signalling NaNs and payloads included."""
    from activeclient.wire.properties import decode_properties

    blob = b"\x01\x00\x00\x00\x01" + b"\x00\x00\x00\x02f\x00" + b"\x08" + bits.to_bytes(4, "big")
    value = decode_properties(blob, 0)[0]["f"]
    assert isinstance(value, Float32)
    return value


def _float_bits(value: Float32) -> int:
    from activeclient.wire.properties import encode_properties

    return int.from_bytes(encode_properties({"f": value})[-4:], "big")
