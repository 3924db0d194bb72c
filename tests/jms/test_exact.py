"""Values of exactly one type: their ranges, and what is no such value."""

from __future__ import annotations

import fractions
from collections.abc import Callable

import pytest

from activeclient.errors import MessageFormatError
from activeclient.jms import exact
from activeclient.wire.properties import Byte, Char, Float32, Int, Short

WHOLE: list[tuple[Callable[[str, object], int], type, int]] = [
    (exact.byte, Byte, 8), (exact.short, Short, 16), (exact.int32, Int, 32), (exact.long, int, 64),
]  # fmt: skip


@pytest.mark.parametrize(("made", "kind", "bits"), WHOLE)
def test_whole_numbers_keep_to_their_range(made: Callable[[str, object], int], kind: type, bits: int) -> None:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    for value in (low, -1, 0, 1, high):
        assert made("x", value) == value
        assert type(made("x", value)) is kind
    for wrong in (low - 1, high + 1, 10**5000):
        with pytest.raises(MessageFormatError, match=r"x: .* does not fit"):
            made("x", wrong)
    for none in (True, 1.0, "1", None, b"1", [1]):
        with pytest.raises(MessageFormatError, match="x: must be a whole number, not"):
            made("x", none)


def test_what_can_be_an_index_is_a_whole_number() -> None:
    class Index:
        def __index__(self) -> int:
            return 5

    assert exact.byte("x", Index()) == 5


@pytest.mark.parametrize(("made", "kind"), [(exact.single, Float32), (exact.double, float)])
def test_numbers_are_what_float_takes_but_texts_and_truths(made: Callable[[str, object], float], kind: type) -> None:
    for value in (1.5, 1, Byte(1), fractions.Fraction(1, 2), float("inf")):
        assert made("x", value) == float(value)
        assert type(made("x", value)) is kind
    for wrong in ("1", True, None, b"1", 1j):
        with pytest.raises(MessageFormatError, match="x: must be a number"):
            made("x", wrong)
    with pytest.raises(MessageFormatError, match="x: "):
        made("x", 10**400)


def test_a_double_beyond_single_precision_is_no_float() -> None:
    with pytest.raises(MessageFormatError, match="does not fit a float"):
        exact.single("x", 1e39)


def test_truths_texts_chars_and_bytes_are_themselves() -> None:
    assert exact.boolean("x", True) is True
    assert exact.text("x", "t") == "t"
    assert exact.char("x", "c") == Char("c")
    for data in (b"d", bytearray(b"d"), memoryview(b"d")):
        assert exact.data("x", data) == b"d"
    refused: list[tuple[Callable[[str, object], object], tuple[object, ...]]] = [
        (exact.boolean, (1, "true", None)),
        (exact.text, (b"t", 5, None)),
        (exact.char, ("", "ab", "\U0001f600", 5, None)),
        (exact.data, ("d", 5, None, [1])),
    ]
    for made, values in refused:
        for value in values:
            with pytest.raises(MessageFormatError, match="x: must be"):
                made("x", value)
