"""The values that properties can have, and their forms as texts.

Law of this file: where Python has one type for several of Java's, the subclasses here (`Byte`, `Short`, `Int`,
`Float32`, `Char`) say which is meant; a plain int is a long, a plain float a double. A text becomes a number, and a
number a text, exactly as in Java (`Long.valueOf`, `Double.valueOf`, `Double.toString`).
"""

from __future__ import annotations

import re
import struct
from typing import ClassVar, Final, SupportsFloat, SupportsIndex

from activeclient.errors import MessageFormatError

PropertyValue = bool | int | float | str | bytes | None
"""What a property can be; the subclasses of int, float and str in this file choose the narrower wire types."""

LONG_LOW: Final = -(2**63)
LONG_HIGH: Final = 2**63 - 1

_F32: Final = struct.Struct(">f")
_F64: Final = struct.Struct(">d")
_U32: Final = struct.Struct(">I")
_U64: Final = struct.Struct(">Q")
_BLANKS: Final = "".join(map(chr, range(0x21)))
"""What `String.trim` takes away."""
_WHOLE: Final = re.compile(r"[+-]?0*[0-9]{1,20}")
_DECIMAL: Final = re.compile(r"[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?)")


class _Ranged(int):
    """An int that fits a Java type."""

    __slots__ = ()
    LOW: ClassVar[int]
    HIGH: ClassVar[int]

    def __new__(cls, value: SupportsIndex = 0) -> _Ranged:
        number = value.__index__()
        if not cls.LOW <= number <= cls.HIGH:
            raise MessageFormatError(f"{number} does not fit {cls.__name__}: {cls.LOW} to {cls.HIGH}")
        return super().__new__(cls, number)


class Byte(_Ranged):
    """A Java byte: -128 to 127."""

    __slots__ = ()
    LOW: ClassVar[int] = -0x80
    HIGH: ClassVar[int] = 0x7F


class Short(_Ranged):
    """A Java short: 16 bits, signed."""

    __slots__ = ()
    LOW: ClassVar[int] = -0x8000
    HIGH: ClassVar[int] = 0x7FFF


class Int(_Ranged):
    """A Java int: 32 bits, signed."""

    __slots__ = ()
    LOW: ClassVar[int] = -0x80000000
    HIGH: ClassVar[int] = 0x7FFFFFFF


class Float32(float):
    """A Java float: rounded to single precision when it is made. A NaN keeps what of its payload fits."""

    __slots__ = ()

    def __new__(cls, value: SupportsFloat = 0.0) -> Float32:
        number = float(value)
        try:
            return super().__new__(cls, from_float_bits(float_bits(number)))
        except OverflowError:
            raise MessageFormatError(f"{number!r} is too large for Float32") from None


class Char(str):
    """A Java char: one UTF-16 unit, so no character beyond U+FFFF."""

    __slots__ = ()

    def __new__(cls, value: str = "\0") -> Char:
        if len(value) != 1 or value > "\uffff":
            raise MessageFormatError(f"{value!r} is not one UTF-16 unit, as Char must be")
        return super().__new__(cls, value)


def float_bits(value: float) -> int:
    """The bits of `value` as a Java float. The processor would make a signalling NaN quiet, so NaNs go by hand."""
    if value == value:  # false for a NaN alone
        bits: int = _U32.unpack(_F32.pack(value))[0]
        return bits
    wide: int = _U64.unpack(_F64.pack(value))[0]
    mantissa = (wide >> 29) & 0x7FFFFF
    return (wide >> 32) & 0x80000000 | 0x7F800000 | (mantissa or 0x400000)


def from_float_bits(bits: int) -> float:
    """The double of the same value as a Java float of these bits."""
    if bits & 0x7F800000 == 0x7F800000 and bits & 0x7FFFFF:
        wide = (bits & 0x80000000) << 32 | 0x7FF << 52 | (bits & 0x7FFFFF) << 29
        value: float = _F64.unpack(_U64.pack(wide))[0]
    else:
        value = _F32.unpack(_U32.pack(bits))[0]
    return value


# --- as texts ---------------------------------------------------------------------------------------------------------


def whole_number(text: str) -> int | None:
    """The integer that a text means, as `Long.valueOf` reads it; up to 20 digits. None: no integer."""
    return int(text) if _WHOLE.fullmatch(text) else None


def decimal_number(text: str) -> float | None:
    """The double that a text means, as `Double.valueOf` reads it: with blanks around and a suffix. None: no number."""
    text = text.strip(_BLANKS)
    if not _DECIMAL.fullmatch(text):
        return None
    return float(text if text.endswith(("NaN", "Infinity")) else text.rstrip("dDfF"))


def single_precision(value: float) -> float:
    """The nearest Java float; beyond its range infinite, as `Float.parseFloat` has it."""
    try:
        return Float32(value)
    except MessageFormatError:
        return float("inf") if value > 0 else float("-inf")


def java_text(value: bool | float | str) -> str:
    """The text that Java makes of a value (`String.valueOf`)."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    return _decimal_text(value)


def _decimal_text(value: float) -> str:
    """Double.toString: at least one digit on each side of the point, an exponent outside 0.001 to 10,000,000."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    digits, exponent = _shortest(value)
    sign = "-" if str(float(value)).startswith("-") else ""
    if digits == "0":
        return f"{sign}0.0"
    if -3 <= exponent < 7:
        if exponent < 0:
            return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
        padded = digits.ljust(exponent + 2, "0")
        return f"{sign}{padded[: exponent + 1]}.{padded[exponent + 1 :]}"
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"


def _shortest(value: float) -> tuple[str, int]:
    """The fewest digits that mean the value, and the power of ten of the first one."""
    if isinstance(value, Float32):
        text = next(
            (text for text in (f"{float(value):.{n}e}" for n in range(9)) if single_precision(float(text)) == value),
            f"{float(value):.9e}",
        )
    else:
        text = next(text for text in (f"{value:.{n}e}" for n in range(18)) if float(text) == value)
    mantissa, _, exponent = text.partition("e")
    return mantissa.lstrip("-").replace(".", "").rstrip("0") or "0", int(exponent)
