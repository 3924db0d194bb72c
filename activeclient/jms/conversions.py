"""Which types of values JMS converts into which, and how texts and numbers become each other.

Law of this file: a conversion that the table of the specification (JMS 2.0, 3.5.4) does not have raises
MessageFormatError; one that it has never loses a bit. `None` is a text and an object; as a boolean it is false, as
`Boolean.valueOf` has it, and as a number an error.
"""

from __future__ import annotations

from typing import NoReturn

from activeclient.errors import MessageFormatError
from activeclient.values import (
    LONG_HIGH,
    LONG_LOW,
    Byte,
    Char,
    Float32,
    Int,
    PropertyValue,
    Short,
    decimal_number,
    java_text,
    single_precision,
    whole_number,
)


def _refuse(name: str, value: object, wanted: str) -> NoReturn:
    raise MessageFormatError(f"{name}: {_kind(value)} cannot be read as {wanted}")


def _kind(value: object) -> str:
    if value is None:
        return "no value"
    if isinstance(value, str) and not isinstance(value, Char):
        return f"the text {value[:40]!r}"
    return f"a {wire_type(value)}"


def wire_type(value: object) -> str:
    """The name of the Java type that a value travels as."""
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    return type(value).__name__


_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (Byte, "byte"),
    (Short, "short"),
    (Int, "int"),
    (int, "long"),
    (Float32, "float"),
    (float, "double"),
    (Char, "char"),
    (str, "String"),
    (bytes, "byte[]"),
)


def to_boolean(name: str, value: PropertyValue) -> bool:
    """From boolean and text; no value is false."""
    if isinstance(value, bool):
        return value
    if value is None:
        return False
    if isinstance(value, str) and not isinstance(value, Char):
        return value.lower() == "true"
    _refuse(name, value, "boolean")


def _to_whole(name: str, value: PropertyValue, wanted: str, kinds: tuple[type, ...], low: int, high: int) -> int:
    if isinstance(value, kinds) and not isinstance(value, bool):
        return int(value)  # type: ignore[arg-type]
    if isinstance(value, str) and not isinstance(value, Char):
        number = whole_number(value)
        if number is not None and low <= number <= high:
            return number
    _refuse(name, value, wanted)


def to_byte(name: str, value: PropertyValue) -> int:
    """From byte and text."""
    return _to_whole(name, value, "byte", (Byte,), Byte.LOW, Byte.HIGH)


def to_short(name: str, value: PropertyValue) -> int:
    """From byte, short and text."""
    return _to_whole(name, value, "short", (Byte, Short), Short.LOW, Short.HIGH)


def to_int(name: str, value: PropertyValue) -> int:
    """From byte, short, int and text."""
    return _to_whole(name, value, "int", (Byte, Short, Int), Int.LOW, Int.HIGH)


def to_long(name: str, value: PropertyValue) -> int:
    """From byte, short, int, long and text."""
    return _to_whole(name, value, "long", (int,), LONG_LOW, LONG_HIGH)


def _from_text(name: str, value: str, wanted: str) -> float:
    number = decimal_number(value)
    if number is None:
        _refuse(name, value, wanted)
    return number


def to_float(name: str, value: PropertyValue) -> float:
    """From float and text; a text is rounded to single precision."""
    if isinstance(value, Float32):
        return float(value)
    if isinstance(value, str) and not isinstance(value, Char):
        return float(single_precision(_from_text(name, value, "float")))
    _refuse(name, value, "float")


def to_double(name: str, value: PropertyValue) -> float:
    """From float, double and text."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str) and not isinstance(value, Char):
        return _from_text(name, value, "double")
    _refuse(name, value, "double")


def to_string(name: str, value: PropertyValue) -> str | None:
    """From everything but bytes, in the form that Java gives it."""
    if value is None:
        return None
    if isinstance(value, bytes):
        _refuse(name, value, "String")
    return java_text(value)


def to_char(name: str, value: PropertyValue) -> str:
    """From char alone."""
    if isinstance(value, Char):
        return str(value)
    _refuse(name, value, "char")


def to_bytes(name: str, value: PropertyValue) -> bytes | None:
    """From bytes alone."""
    if value is None or isinstance(value, bytes):
        return value
    _refuse(name, value, "byte[]")


def property_value(name: str, value: object) -> PropertyValue:
    """A Python value as a property: an int becomes an int where it fits and a long elsewhere, a float a double.

    Raises:
        MessageFormatError: No property can hold it.
    """
    if value is None or isinstance(value, bool | Byte | Short | Int | Float32 | Char):
        return value
    if isinstance(value, int):
        number = int(value)
        if Int.LOW <= number <= Int.HIGH:
            return Int(number)
        if LONG_LOW <= number <= LONG_HIGH:
            return number
        raise MessageFormatError(f"{name}: {number} does not fit 64 bits")
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise MessageFormatError(f"{name}: a {type(value).__name__} cannot be a property")
