"""How two values compare, and what they add up to, in Java.

Law of this file: which types compare, and in which width, stands in one table by both types, as in Artemis'
ComparisonExpression. The table is not symmetric: a byte on the left compares with an int on the right, an int on the
left with no byte. What does not compare is neither equal nor less nor greater: every relation is false.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from activeclient.selector.nodes import Big
from activeclient.selector.problem import Unmatchable
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

Relation = Callable[[Any, Any], bool]
"""Does it hold between two values of the types that it was looked up by?"""
Relations = dict[tuple[type, type], Relation]


# --- comparing --------------------------------------------------------------------------------------------------------

_OPERATORS: Final[dict[str, Relation]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WHOLE: Final = (Byte, Short, Int, int)
_RANGES: Final = {Byte: (Byte.LOW, Byte.HIGH), Short: (Short.LOW, Short.HIGH), Int: (Int.LOW, Int.HIGH)}


def _total(value: float) -> tuple[float, float]:
    """A key by which floats sort as in Java: -0.0 before 0.0, NaN equal to itself and behind all others."""
    return (math.inf, 1.0) if value != value else (value, 0.0 if value else math.copysign(0.5, value))


def _floats(holds: Relation) -> Relation:
    return lambda left, right: holds(_total(left), _total(right))


def _texts(holds: Relation) -> Relation:
    return lambda left, right: holds(_units(left), _units(right))


def _units(text: str) -> bytes:
    """A key by which texts sort as in Java: by UTF-16 units, where U+10000 comes before U+FFFF."""
    return text.encode("utf-16-be", "surrogatepass")


def single(value: int) -> float:
    """A long as a Java float, rounded once."""
    if abs(value) >= 2**53:
        # Through a double it would be rounded twice: keep what decides, and that something follows.
        shift = abs(value).bit_length() - 50
        kept = abs(value) >> shift | bool(abs(value) & (1 << shift) - 1)
        return single_precision(math.copysign(kept, value) * 2**shift)
    return single_precision(value)


@cache
def relations(sign: str, *, convert: bool) -> Relations:
    """By the types of both sides: the relation that a comparison stands for. Missing: it never holds.

    Args:
        convert: Compare a text that means a number or a boolean with one (`convert_string_expressions:`).
    """
    holds = _OPERATORS[sign]
    floats = _floats(holds)
    table: Relations = {(kind, kind): holds for kind in (*_WHOLE, Big, bool)}
    texts = holds if sign == "=" else _texts(holds)
    table[str, str] = table[Char, Char] = texts
    table[Float32, Float32] = table[float, float] = floats
    table[Float32, float] = table[float, Float32] = floats
    for place, narrow in enumerate(_WHOLE):
        for wide in _WHOLE[place + 1 :]:
            table[narrow, wide] = holds
        table[narrow, Float32] = lambda left, right: floats(single(left), right)
        table[narrow, float] = lambda left, right: floats(float(left), right)
    table[int, Int] = holds
    for whole in _WHOLE[2:]:
        table[Float32, whole] = lambda left, right: floats(left, single(right))
        table[float, whole] = lambda left, right: floats(left, float(right))
    if sign != "=":
        for any_kind in (bool, *_WHOLE, Big, Float32, float, Char, str, bytes):
            table[bytes, any_kind] = table[any_kind, bytes] = _incomparable
    if convert:
        for kind, read in _READERS.items():
            table[str, kind] = _reading_left(read, table[kind, kind])
            table[kind, str] = _reading_right(read, table[kind, kind])
    return table


def _incomparable(left: object, right: object) -> bool:
    raise Unmatchable


def _reading_left(read: Callable[[str], PropertyValue], holds: Relation) -> Relation:
    def relation(left: str, right: object) -> bool:
        value = read(left)
        return value is not None and holds(value, right)

    return relation


def _reading_right(read: Callable[[str], PropertyValue], holds: Relation) -> Relation:
    def relation(left: object, right: str) -> bool:
        value = read(right)
        return value is not None and holds(left, value)

    return relation


def _reader(low: int, high: int) -> Callable[[str], PropertyValue]:
    def read(text: str) -> PropertyValue:
        value = whole_number(text)
        return value if value is not None and low <= value <= high else None

    return read


def _single_of(text: str) -> PropertyValue:
    value = decimal_number(text)
    return None if value is None else single_precision(value)


_READERS: Final[dict[type, Callable[[str], PropertyValue]]] = {
    bool: lambda text: text.lower() == "true",
    **{kind: _reader(*bounds) for kind, bounds in _RANGES.items()},
    int: _reader(LONG_LOW, LONG_HIGH),
    Float32: _single_of,
    float: decimal_number,
}


# --- calculating ------------------------------------------------------------------------------------------------------


def _wrapped_int(value: int) -> Int:
    return Int((value - Int.LOW) % 2**32 + Int.LOW)


def _wrapped_long(value: int) -> int:
    return (value - LONG_LOW) % 2**64 + LONG_LOW


def _as_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def _quotient(left: float, right: float) -> float:
    if right:
        return left / right
    return math.nan if not left or left != left else math.copysign(math.inf, left) * math.copysign(1.0, right)


def _remainder(left: float, right: float) -> float:
    try:
        return math.fmod(left, right)
    except ValueError:
        return math.nan


_EXACT: Final[dict[str, Callable[[Any, Any], Any]]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_DIVISIONS: Final[dict[str, Callable[[float, float], float]]] = {"/": _quotient, "%": _remainder}


def calculated(sign: str, left: PropertyValue, right: PropertyValue, *, convert: bool) -> PropertyValue:
    """`left sign right`, neither None: in doubles when one is a float or by division, else in longs or ints that wrap.

    Raises:
        Unmatchable: One is no number; `+` behind a text takes anything.
    """
    if sign == "+" and type(left) is str:
        # An array's text in Java has a hash in it that nobody can ask for.
        return left + ("[B@" if isinstance(right, bytes) or right is None else java_text(right))
    one, two = _number(left, convert), _number(right, convert)
    if sign in _DIVISIONS:
        return _DIVISIONS[sign](_as_float(one), _as_float(two))
    calculate = _EXACT[sign]
    if isinstance(one, float) or isinstance(two, float):
        result: float = calculate(_as_float(one), _as_float(two))
        return result
    if type(one) is int or type(two) is int:
        return _wrapped_long(calculate(int(one), int(two)))
    return _wrapped_int(calculate(int(one), int(two)))


def _number(value: PropertyValue, convert: bool) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if convert and type(value) is str:
        number = decimal_number(value) if "." in value else _READERS[int](value)
        if isinstance(number, int | float):
            return number
    raise Unmatchable


def negated(value: PropertyValue) -> PropertyValue:
    """`-value`; None when it is no number.

    Raises:
        Unmatchable: A byte or a short, for which Artemis has no negation.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        return Float32(-value) if isinstance(value, Float32) else -value
    if isinstance(value, Byte | Short):
        raise Unmatchable
    if isinstance(value, Int):
        return _wrapped_int(-value)
    if isinstance(value, Big):
        # The smallest long is written as a literal that fits none, negated.
        return LONG_LOW if value == -LONG_LOW else Big(-value)
    return _wrapped_long(-value)
