"""The conversion table of JMS, every cell of it, and numbers as Java writes them."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import MessageFormatError
from activeclient.jms import conversions as c
from activeclient.wire.properties import Byte, Char, Float32, Int, PropertyValue, Short

VALUES: dict[str, PropertyValue] = {
    "boolean": True,
    "byte": Byte(5),
    "short": Short(5),
    "int": Int(5),
    "long": 5,
    "float": Float32(5.0),
    "double": 5.0,
    "String": "5",
    "char": Char("5"),
    "byte[]": b"5",
}
READERS: dict[str, tuple[Callable[[str, PropertyValue], object], str]] = {
    "boolean": (c.to_boolean, "boolean String"),
    "byte": (c.to_byte, "byte String"),
    "short": (c.to_short, "byte short String"),
    "int": (c.to_int, "byte short int String"),
    "long": (c.to_long, "byte short int long String"),
    "float": (c.to_float, "float String"),
    "double": (c.to_double, "float double String"),
    "String": (c.to_string, "boolean byte short int long float double String char"),
}


@pytest.mark.parametrize("to", READERS)
@pytest.mark.parametrize("source", VALUES)
def test_a_value_is_read_as_the_table_says(source: str, to: str) -> None:
    read, allowed = READERS[to]
    if source not in allowed.split():
        with pytest.raises(MessageFormatError, match="cannot be read as"):
            read("property 'p'", VALUES[source])
        return
    result = read("property 'p'", VALUES[source])
    if to == "String":
        assert result == {"boolean": "true", "float": "5.0", "double": "5.0"}.get(source, "5")
    elif to == "boolean":
        assert result is (source == "boolean")
    else:
        assert result == 5
        assert type(result) in (int, float)


def test_no_value_is_a_text_and_false_and_no_number() -> None:
    assert c.to_string("p", None) is None
    assert c.to_boolean("p", None) is False
    for read in (c.to_byte, c.to_short, c.to_int, c.to_long, c.to_float, c.to_double):
        with pytest.raises(MessageFormatError, match="no value"):
            read("p", None)


@pytest.mark.parametrize("text", ["", " 5", "5 ", "5_0", "0x5", "5.0", "five", "\u0665", "+-5", "9" * 21, "128"])
def test_a_text_that_java_would_not_parse_is_no_byte(text: str) -> None:
    with pytest.raises(MessageFormatError):
        c.to_byte("p", text)


@pytest.mark.parametrize(("text", "value"), [("-128", -128), ("+7", 7), ("007", 7)])
def test_a_text_that_java_would_parse_is_a_byte(text: str, value: int) -> None:
    assert c.to_byte("p", text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), (" 1.5 ", 1.5), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("1d", 1.0), ("-Infinity", -math.inf)],
)
def test_texts_are_doubles_as_in_java(text: str, value: float) -> None:
    assert c.to_double("p", text) == value


@pytest.mark.parametrize("text", ["", "inf", "nan", "1_0", "0x1", "1e", "infinity"])
def test_other_texts_are_no_doubles(text: str) -> None:
    with pytest.raises(MessageFormatError):
        c.to_double("p", text)


def test_a_text_beyond_a_float_is_infinite() -> None:
    assert c.to_float("p", "1e39") == math.inf
    assert c.to_float("p", "-1e39") == -math.inf


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"), (-0.0, "-0.0"), (0.1, "0.1"), (100.0, "100.0"), (1234567.0, "1234567.0"), (1e7, "1.0E7"),
        (0.001, "0.001"), (0.00099, "9.9E-4"), (123456789.125, "1.23456789125E8"), (1.7976931348623157e308,
        "1.7976931348623157E308"), (math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity"),
        (Float32(0.1), "0.1"), (Float32(3.4028235e38), "3.4028235E38"), (Float32(16777216.0), "1.6777216E7"),
    ],
)  # fmt: skip
def test_decimals_are_written_as_java_writes_them(value: float, text: str) -> None:
    assert c.to_string("p", value) == text


@given(st.floats(allow_nan=False))
def test_a_double_survives_its_text(value: float) -> None:
    assert c.to_double("p", c.to_string("p", value)) == value


@given(st.floats(width=32, allow_nan=False))
def test_a_float_survives_its_text(value: float) -> None:
    assert c.to_float("p", c.to_string("p", Float32(value))) == value


@given(st.integers(-(2**63), 2**63 - 1))
def test_ints_take_the_narrowest_of_int_and_long(value: int) -> None:
    made = c.property_value("p", value)
    assert made == value
    assert isinstance(made, Int) is (-(2**31) <= value < 2**31)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, object(), [], {}, 1j])
def test_what_no_property_can_hold_is_refused(value: object) -> None:
    with pytest.raises(MessageFormatError):
        c.property_value("p", value)
