"""Values as texts, and texts as values, as Java has them."""

from __future__ import annotations

import pytest

from activeclient.values import Float32, decimal_number, java_text, single_precision, whole_number


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("+5", 5), ("-0", 0), ("0" * 30 + "7", 7), ("", None), (" 5", None), ("1_0", None)]
)
def test_whole_numbers(text: str, value: int | None) -> None:
    assert whole_number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5.0), ("\x1f-.5e1d ", -5.0), ("Infinity", float("inf")), ("1e999", float("inf")), ("x", None)],
)
def test_decimal_numbers(text: str, value: float | None) -> None:
    assert decimal_number(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (5, "5"), (1e7, "1.0E7"), (0.001, "0.001"), (-0.0, "-0.0"), (Float32(0.1), "0.1"), ("x", "x")],
)
def test_texts_of_values(value: bool | float | str, text: str) -> None:
    assert java_text(value) == text


def test_what_is_beyond_single_precision_is_infinite() -> None:
    assert single_precision(-1e300) == float("-inf")
