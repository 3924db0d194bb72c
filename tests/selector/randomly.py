"""Random selectors and random messages, for the grammar here and for a real broker.

Law of this file: what comes out depends on the random numbers alone. The names, values and literals are few and near
each other, so that comparisons are often true.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from activeclient.values import Byte, Char, Float32, Int, PropertyValue, Short

NAMES = ("a", "b", "c", "flag", "n", "s", "t_1", "$x")
TEXTS = (
    "",
    "a",
    "ab",
    "abc",
    "a_c",
    "a%c",
    "A",
    "it's",
    "5",
    "5.0",
    "-3",
    "true",
    "é",
    "\uffee",
    "\U0001f600",
    " ",
    "\n",
)
WHOLE = (0, 1, 2, 5, -3, 100, 127, -128, 32767, 2**31 - 1, -(2**31), 2**31, 2**53 + 1, 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 0.5, 1.0, 5.0, -3.0, 1e300, 16777217.0, float("inf"), float("-inf"), float("nan"))
LITERALS = (
    *("0", "1", "2", "5", "5L", "100", "127", "0x7f", "0X1F", "017", "00", "1.5", "5.", ".5", "5e0", "1E2", "5.0E-1"),
    *("2147483647", "2147483648", "9007199254740993", "9223372036854775807", "9223372036854775808", "16777217l"),
    *("18446744073709551617", "18446744073709551611", "99999999999999999999", "1e400", "0x7fffffffffffffff"),
)
PATTERNS = ("%", "_", "a%", "%c", "a_c", "a!_c", "a!%%", "!!%", "%b%", "__", "", "a%%c", "!", "%_", "!a%")
BAD = (
    *("a = = 5", "= 5", "a >", "a > 'x'", "a LIKE b", "a IN ()", "a IN (1)", "5 IN ('a')", "NULL = a", "a = NULL"),
    *("TRUE = 5", "1 + 2", "'x'", "a BETWEEN 1", "a BETWEEN 'x' AND 'y'", "a AND 5", "NOT 5", "-a", "a = 09", "a = 0x"),
    *(
        "a = 0x8000000000000000",
        "a = 0777777777777777777777777",
        "a = 'x",
        "(a",
        "a)",
        "a = 1 /* x",
        "é = 1",
    ),
    *(
        "a LIKE 'x' ESCAPE 'xy'",
        "a LIKE 'x' ESCAPE ''",
        "a != 1",
        "a == 1",
        "a = 1;",
        "a IS 5",
        "a IS NOT 5",
        "a NOT 5",
    ),
    *(
        "TRUE > 1",
        "a > TRUE",
        "(a = 1) > 2",
        "a < b < c",
        "a IS NULL LIKE 'x'",
        "XPATH x",
        "\x00",
        "a\xa0= 1",
        '"a',
        "()",
    ),
    *(
        "a = 1.5f",
        "a = 1..2",
        "hyphenated_props:",
        " hyphenated_props:a-b = 1",
        "hyphenated_props:no_hyphenated_props:a-b",
    ),
    *("Hyphenated_props:a", 'hyphenated_props:"a"', "a LIKE 'x' ESCAPE '\U0001f600'", "AND", "NOT", "a OR", "a LIKE 5"),
)
"""No selectors, each for a reason of its own."""


def message(rng: random.Random) -> dict[str, PropertyValue]:
    """The properties of a message: of each name none, or a value of any type."""
    kinds: tuple[Callable[[], PropertyValue], ...] = (
        lambda: rng.random() < 0.5,
        lambda: Byte(_fitting(rng, Byte.LOW, Byte.HIGH)),
        lambda: Short(_fitting(rng, Short.LOW, Short.HIGH)),
        lambda: Int(_fitting(rng, Int.LOW, Int.HIGH)),
        lambda: rng.choice(WHOLE),
        lambda: rng.choice(FLOATS),
        lambda: Float32(rng.choice([value for value in FLOATS if abs(value) != 1e300])),
        lambda: rng.choice(TEXTS),
        lambda: rng.choice(TEXTS),
        lambda: Char(rng.choice("a5\uffee")),
        lambda: b"\x01\x02",
        lambda: None,
    )
    return {name: rng.choice(kinds)() for name in NAMES if rng.random() < 0.8}


def _fitting(rng: random.Random, low: int, high: int) -> int:
    return rng.choice([value for value in WHOLE if low <= value <= high])


class Selectors:
    """Makes valid selectors.

    Args:
        rng: Where chance comes from.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def selector(self, depth: int = 3) -> str:
        """One, with Artemis' prefixes now and then."""
        prefix = self._rng.choice(["", "", "", "convert_string_expressions:", "no_convert_string_expressions:"])
        if self._rng.random() < 0.2:
            prefix += "hyphenated_props:"
        return prefix + self.condition(depth, quoted=not prefix.endswith("hyphenated_props:"))

    def condition(self, depth: int, *, quoted: bool = True) -> str:
        """Something true, false or unknown."""
        self._quoted = quoted
        return self._condition(depth)

    def _condition(self, depth: int) -> str:
        rng = self._rng
        if depth <= 0:
            return rng.choice([self._comparison, self._comparison, self._comparison, self._name, self._constant])(0)
        kind = rng.randrange(8)
        if kind == 0:
            return f"({self._condition(depth - 1)}){self._blank()}"
        if kind == 1:
            return f"{self._word('NOT')} ({self._condition(depth - 1)})"
        if kind == 2:
            return f"{self._word('NOT')} {self._condition(depth - 1)}"
        if kind in (3, 4):
            return f"{self._condition(depth - 1)} {self._word('AND')} {self._condition(depth - 1)}"
        if kind in (5, 6):
            return f"({self._condition(depth - 1)}) {self._word('OR')} {self._condition(depth - 1)}"
        return self._comparison(depth)

    def _comparison(self, depth: int) -> str:
        rng = self._rng
        kind = rng.randrange(9)
        blank = self._blank
        if kind in (0, 1, 2):
            sign = rng.choice(["<", "<=", ">", ">="])
            return f"{self._number(depth)}{blank()}{sign}{blank()}{self._number(depth)}"
        if kind in (3, 4):
            left = self._value(depth)
            return f"{left}{blank()}{rng.choice(['=', '<>'])}{blank()}{self._value(depth)}"
        negation = rng.choice(["", f"{self._word('NOT')} "])
        if kind == 5:
            return f"{self._value(depth)} {self._word('IS')} {negation}{self._word('NULL')}"
        if kind == 6:
            low, high = self._number(depth), self._number(depth)
            return f"{self._number(depth)} {negation}{self._word('BETWEEN')} {low} {self._word('AND')} {high}"
        if kind == 7:
            texts = ", ".join(self._text(0) for _ in range(rng.randint(1, 7)))
            return f"{self._name(0)} {negation}{self._word('IN')} ({texts})"
        escape = rng.choice(["", f" {self._word('ESCAPE')} '!'"])
        pattern = _quoted(rng.choice(PATTERNS))
        return f"{rng.choice([self._name, self._value])(0)} {negation}{self._word('LIKE')}{blank()}{pattern}{escape}"

    def _value(self, depth: int) -> str:
        return self._rng.choice([self._number, self._text, self._name, self._name])(depth)

    def _number(self, depth: int) -> str:
        rng = self._rng
        kind = rng.randrange(7 if depth > 0 else 5)
        if kind < 2:
            return rng.choice(["", "", "", "-", "+", "- "]) + rng.choice(LITERALS)
        if kind < 5:
            return rng.choice(["", "", "", "", "-", "+"]) + self._name(0)
        left, right = self._number(depth - 1), rng.choice([self._number, self._value])(depth - 1)
        if rng.random() < 0.2:
            left = self._text(0)
        made = f"{left}{self._blank()}{rng.choice('+-*/%')} {right}"
        return f"({made})" if rng.random() < 0.7 else made

    def _name(self, _depth: int) -> str:
        name = self._rng.choice(NAMES)
        if self._quoted and self._rng.random() < 0.1:
            return f'"{name}"'
        return name

    def _text(self, _depth: int) -> str:
        return _quoted(self._rng.choice(TEXTS))

    def _constant(self, _depth: int) -> str:
        return self._word(self._rng.choice(["TRUE", "FALSE", "NULL"]))

    def _word(self, word: str) -> str:
        return self._rng.choice([word, word.lower(), word.capitalize()])

    def _blank(self) -> str:
        return self._rng.choice(["", " ", " ", "\t", " \n", "/* a * comment */", " -- a comment\r\n"])


def broken(rng: random.Random, selector: str) -> str:
    """The selector with something taken away, put in or doubled; it may still be valid."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(selector) + 1)
        piece = rng.choice(
            ["", "'", '"', "(", ")", "=", "<>", "-", "--", "/*", "*/", "e", "0", "9", ".", "NOT ", " NULL "]
        )
        piece = rng.choice(
            [piece, piece, rng.choice(["ſ", "K", "ı", "İ", "\x00", "\xa0", "é", "\U0001f600", "\\", "#"])]
        )
        selector = selector[:at] + piece + selector[at + rng.choice([0, 0, 1, 1, 5]) :]
    return selector


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
