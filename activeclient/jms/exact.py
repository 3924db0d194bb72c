"""Python values as values of exactly one Java type: what `set_byte`, `write_long` and their kin accept.

Law of this file: nothing is guessed or rounded on the way in, single precision excepted: a bool is no number, a text is
no number, a number that does not fit its type is an error. Every error names what was set.
"""

from __future__ import annotations

import operator
from typing import SupportsFloat, SupportsIndex

from activeclient.errors import MessageFormatError
from activeclient.wire.properties import Byte, Char, Float32, Int, Short

_LONG_LOW, _LONG_HIGH = -(2**63), 2**63 - 1
BytesLike = bytes | bytearray | memoryview


def _wrong(what: str, value: object, wanted: str) -> MessageFormatError:
    return MessageFormatError(f"{what}: must be {wanted}, not {type(value).__name__}")


def boolean(what: str, value: object) -> bool:
    """A bool.

    Raises:
        MessageFormatError: It is something else; as all functions here.
    """
    if not isinstance(value, bool):
        raise _wrong(what, value, "True or False")
    return value


def _whole(what: str, value: object, low: int, high: int, kind: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | SupportsIndex):
        raise _wrong(what, value, "a whole number")
    number = operator.index(value)
    if not low <= number <= high:
        raise MessageFormatError(f"{what}: {_shown(number)} does not fit {kind}: {low} to {high}")
    return number


def _shown(number: int) -> str:
    return str(number) if number.bit_length() <= 128 else f"a number of {number.bit_length()} bits"


def byte(what: str, value: object) -> Byte:
    """A whole number of 8 bits, signed."""
    return Byte(_whole(what, value, Byte.LOW, Byte.HIGH, "a byte"))


def short(what: str, value: object) -> Short:
    """A whole number of 16 bits, signed."""
    return Short(_whole(what, value, Short.LOW, Short.HIGH, "a short"))


def int32(what: str, value: object) -> Int:
    """A whole number of 32 bits, signed."""
    return Int(_whole(what, value, Int.LOW, Int.HIGH, "an int"))


def long(what: str, value: object) -> int:
    """A whole number of 64 bits, signed."""
    return _whole(what, value, _LONG_LOW, _LONG_HIGH, "a long")


def double(what: str, value: object) -> float:
    """A number."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bool | str | bytes | bytearray) or not isinstance(value, SupportsFloat):
        raise _wrong(what, value, "a number")
    try:
        return float(value)
    except OverflowError:
        raise MessageFormatError(f"{what}: too large for a double") from None


def single(what: str, value: object) -> Float32:
    """A number, rounded to single precision."""
    number = double(what, value)
    try:
        return Float32(number)
    except MessageFormatError:
        raise MessageFormatError(f"{what}: {number!r} does not fit a float") from None


def char(what: str, value: object) -> Char:
    """A text of one UTF-16 unit."""
    if not isinstance(value, str) or len(value) != 1 or value > "\uffff":
        raise MessageFormatError(f"{what}: must be one character of the Basic Multilingual Plane")
    return Char(value)


def text(what: str, value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise _wrong(what, value, "text")
    return str(value)


def data(what: str, value: object) -> bytes:
    """Bytes."""
    if not isinstance(value, BytesLike):
        raise _wrong(what, value, "bytes")
    return bytes(value)
