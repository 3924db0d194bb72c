"""The grammar: what a selector means, what is none, and where."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import InvalidSelectorError
from activeclient.selector.grammar import MAX_DEPTH, MAX_DIGITS, parse
from activeclient.selector.nodes import Big, Literal
from activeclient.selector.tokens import MAX_LENGTH, prefixes
from activeclient.values import Int
from tests.selector.randomly import BAD, Selectors, broken


def parsed(text: str) -> str:
    found = prefixes(text)
    return str(parse(text, found.end, hyphenated=found.hyphenated))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a = 1", '("a" = 1)'),
        ("a<>1", '(NOT ("a" = 1))'),
        ("NOT a = 1", '((NOT "a") = 1)'),
        ("a = 1 OR b AND NOT c", '(("a" = 1) OR ("b" AND (NOT "c")))'),
        ("a OR b OR (c OR d)", '("a" OR "b" OR ("c" OR "d"))'),
        ("a + b * -c % 2 > 1", '(("a" + (("b" * (- "c")) % 2)) > 1)'),
        ("a - b - c = 1", '((("a" - "b") - "c") = 1)'),
        ("a not between 1 and 2 and b", '((("a" < 1) OR ("a" > 2)) AND "b")'),
        ("a Between 1 And 2", '(("a" >= 1) AND ("a" <= 2))'),
        ("a NOT IN ('y', 'x''s')", "(\"a\" NOT IN ('x''s', 'y'))"),
        ("a LIKE '!%' ESCAPE '!'", "(\"a\" LIKE '!%' ESCAPE '!')"),
        ("a IS NOT NULL", '(NOT ("a" IS NULL))'),
        ("a = b > c", '("a" = ("b" > "c"))'),
        ("a > b = c", '(("a" > "b") = "c")'),
        ('"a ""b""" = \'NOT\'', '("a ""b""" = \'NOT\')'),
        ("a -- comment\r\n= /* b */ 1", '("a" = 1)'),
        ("a = 1 -- 2", '("a" = (1 - (- 2)))'),
        ("+a", '"a"'),
        ("TRUE", "TRUE"),
        ("nothing", '"nothing"'),
        ("a$_1 = null1", '("a$_1" = "null1")'),
        ("hyphenated_props:a-b = c - d", '("a-b" = ("c" - "d"))'),
        ("xpath 'b'", "(XPATH 'b')"),
    ],
)
def test_precedence_and_forms(text: str, tree: str) -> None:
    assert parsed(text) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", Int(5)),
        ("5L", Int(5)),
        ("2147483648", 2**31),
        ("0x7FFFFFFF", Int(2**31 - 1)),
        ("017", Int(15)),
        ("00", Int(0)),
        ("5.", 5.0),
        (".5e-1", 0.05),
        ("5E1", 50.0),
        ("1e999", float("inf")),
        ("9223372036854775808", Big(2**63)),
        ("18446744073709551617", Int(1)),
        ("18446744073709551611", Int(-5)),
    ],
)
def test_a_number_has_the_type_that_artemis_gives_it(text: str, value: float) -> None:
    node = parse(f"a = {text}").right  # type: ignore[attr-defined]
    assert node == Literal(value)
    assert parse(f"a = {node}").right == node  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_selector_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InvalidSelectorError) as raised:
        parsed(text)
    error = raised.value
    assert error.offset is not None
    assert 0 <= error.offset <= len(text)
    assert (error.line, error.column) == (1, error.offset + 1)
    assert f"line 1, column {error.column}: " in str(error)
    assert str(error).splitlines()[-1].strip() == "^"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("n = = 5", 1, 5, "found '=', expected a value"),
        ("n = 1 AND\n  m >", 2, 6, "found the end, expected a value"),
        ("n 5", 1, 3, "found '5', expected a comparison or AND or OR or the end"),
        ("a IN (5)", 1, 7, "found '5', expected a text in single quotes"),
        ("(a = 1", 1, 7, "expected a comparison or ')' or AND or OR"),
        ("a = 'it", 1, 5, "no ' ends what begins here"),
        ("a > 'x'", 1, 5, "'x' cannot be compared by >"),
        ("a = NULL", 1, 5, "use IS NULL"),
        ("a AND 5", 1, 7, "5 is no condition"),
        ("a + 1 OR b", 1, 1, "the result of an arithmetic expression is no condition"),
        ("a \N{RIGHT SINGLE QUOTATION MARK}", 1, 3, "(U+2019) cannot stand here"),
        ("a LIKE 'x' ESCAPE 'xy'", 1, 19, "ESCAPE needs one character"),
        ("hyphenated_props:a-b = = 1", 1, 24, "found '='"),
    ],
)
def test_an_error_says_what_was_expected_and_where(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(InvalidSelectorError) as raised:
        parsed(text)
    assert (raised.value.line, raised.value.column) == (line, column)
    first, shown, caret = str(raised.value).splitlines()
    assert words in first
    assert shown[caret.index("^") :] == text.splitlines()[line - 1][column - 1 :]


def test_the_text_of_an_error_is_short_and_has_no_control_characters() -> None:
    with pytest.raises(InvalidSelectorError) as raised:
        parsed("a = 1 OR " * 1000 + "\x1b[31m" + " OR a = 1" * 1000)
    assert len(str(raised.value)) < 300
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(" * 30_000 + "a" + ")" * 30_000, "levels deep"),
        ("NOT " * 15_000 + "a", "levels deep"),
        ("a = " + "-" * 60_000 + "1", "levels deep"),
        ("a = " + "+".join("b" * 30_000), "levels deep"),
        ("a=" * 30_000 + "a", "levels deep"),
        ("a OR (b AND (" * 1_000, "levels deep"),
        ("a IN (" + "'x'," * 20_000 + "'y')", "characters, allowed are"),
        ("a" * (MAX_LENGTH + 1), "characters, allowed are"),
        ("a = " + "9" * (MAX_DIGITS + 1), "digits, allowed are"),
        ("a = " + "'" * 60_001, "no ' ends"),
        ("a = 1 " + "/*" * 30_000, "found '\\*'"),
    ],
    ids=lambda value: value[:12],
)
def test_what_is_too_deep_or_too_long_is_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidSelectorError, match=words):
        parsed(text)


def test_what_is_long_alone_is_none_too_deep() -> None:
    assert parsed(" OR ".join(["a = 1"] * 5_000)).count(" OR ") == 4_999
    assert parsed("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH) == '"a"'


@given(st.randoms(use_true_random=False))
def test_a_tree_as_a_text_parses_to_the_same_tree(rng: random.Random) -> None:
    text = Selectors(rng).selector()
    found = prefixes(text)
    try:
        tree = parse(text, found.end, hyphenated=found.hyphenated)
    except InvalidSelectorError:  # a comparison of constants, perhaps
        return
    assert parse(str(tree)) == tree


@given(st.one_of(st.text(), st.text(alphabet="aNOT IN()'\"-+*/.<>=0x9eE,\n"), st.randoms(use_true_random=False)))
def test_any_text_is_a_selector_or_refused_with_a_place_in_it(made: str | random.Random) -> None:
    text = made if isinstance(made, str) else broken(made, Selectors(made).selector())
    place: int | None = 0
    try:
        parsed(text)
    except InvalidSelectorError as error:
        place = error.offset
    assert place is not None
    assert 0 <= place <= len(text)
