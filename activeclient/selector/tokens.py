"""A selector's text as tokens.

Law of this file: the longest token wins, as in a scanner made by JavaCC; the alternatives of the pattern stand in an
order that makes the first match the longest. Keywords in any case, ASCII alone; blanks and comments between tokens mean
nothing, and a line comment needs its line end. Source: the token definitions of Artemis' StrictParser, and of
HyphenatedParser, which has hyphens in names and no names in double quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from activeclient.selector.problem import problem

MAX_LENGTH: Final = 1 << 16
"""Characters of a selector: parsing takes a second at worst."""

CONVERT: Final = "convert_string_expressions:"
HYPHENATED: Final = "hyphenated_props:"
_PREFIX: Final = re.compile(f"(no_)?({CONVERT}|{HYPHENATED})")

KEYWORDS: Final = frozenset(
    {"NOT", "AND", "OR", "BETWEEN", "LIKE", "ESCAPE", "IN", "IS", "TRUE", "FALSE", "NULL", "XPATH", "XQUERY"}
)
SYMBOLS: Final = {
    "=": "EQ",
    "<>": "NE",
    ">": "GT",
    ">=": "GE",
    "<": "LT",
    "<=": "LE",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "/": "SLASH",
    "%": "PERCENT",
    "(": "OPEN",
    ")": "CLOSE",
    ",": "COMMA",
}
END: Final = "END"

_PATTERN: Final = r"""
    (?P<blank> [ \t\n\r\f]+ | /\*(?s:.*?)\*/ )
  | (?P<dashes> -- )
  | (?P<STRING> '[^']*(?:''[^']*)*' )
  | (?P<FLOAT> (?: [0-9]+\.[0-9]* | \.[0-9]+ ) (?:[eE][+-]?[0-9]+)? | [0-9]+[eE][+-]?[0-9]+ )
  | (?P<HEX> 0[xX][0-9a-fA-F]+ )
  | (?P<OCTAL> 0[0-7]* )
  | (?P<DECIMAL> [1-9][0-9]*[lL]? )
  | (?P<symbol> <> | >= | <= | [=<>+\-*/%(),] )
"""
_LINE_END: Final = re.compile(r"[\n\r]")
_STRICT: Final = re.compile(
    _PATTERN + r"""| (?P<NAME> [A-Za-z_$][A-Za-z0-9_$]* ) | (?P<QUOTED> "[^"]*(?:""[^"]*)*" )""", re.VERBOSE
)
_WITH_HYPHENS: Final = re.compile(_PATTERN + r"| (?P<NAME> [A-Za-z_$][A-Za-z0-9_$-]* )", re.VERBOSE)


class Token(NamedTuple):
    """One token: its kind, what stands in the text, and where that begins (characters from 0)."""

    kind: str
    text: str
    at: int


class Prefixes(NamedTuple):
    """What the prefixes before a selector ask for, and where they end."""

    convert: bool
    """Do texts that mean numbers compare with numbers?"""
    hyphenated: bool
    """May names have hyphens?"""
    end: int


def prefixes(text: str) -> Prefixes:
    """The prefixes at the very beginning; the last word of each kind counts."""
    convert = hyphenated = False
    end = 0
    while found := _PREFIX.match(text, end):
        if found[2] == CONVERT:
            convert = not found[1]
        else:
            hyphenated = not found[1]
        end = found.end()
    return Prefixes(convert, hyphenated, end)


def tokens(text: str, begin: int, *, hyphenated: bool) -> Iterator[Token]:
    """The tokens from `begin` on, END as the last.

    Raises:
        InvalidSelectorError: A character that begins no token; the text is longer than MAX_LENGTH.
    """
    if len(text) > MAX_LENGTH:
        raise problem(text, MAX_LENGTH, f"{len(text)} characters, allowed are {MAX_LENGTH}")
    match = (_WITH_HYPHENS if hyphenated else _STRICT).match
    # Asked once: two dashes without a line end behind them are no comment, however many stand there.
    last_line = max(text.rfind("\n"), text.rfind("\r"))
    at = begin
    while found := match(text, at):
        kind = found.lastgroup or ""
        image = found[0]
        if kind == "dashes":
            ended = _LINE_END.search(text, at) if at < last_line else None
            if ended:
                at = ended.end()
                continue
            yield Token("MINUS", "-", at)
            at += 1
            continue
        if kind == "symbol":
            yield Token(SYMBOLS[image], image, at)
        elif kind == "NAME":
            upper = image.upper()
            yield Token(upper if upper in KEYWORDS else kind, image, at)
        elif kind != "blank":
            yield Token(kind, image, at)
        at = found.end()
    if at < len(text):
        raise problem(text, at, _why_not(text, at))
    yield Token(END, "", at)


def _why_not(text: str, at: int) -> str:
    if text[at] in "'\"":
        return f"no {text[at]} ends what begins here"
    return f"{text[at]!r} (U+{ord(text[at]):04X}) cannot stand here"


def unquoted(image: str) -> str:
    """What a literal or name in quotes means: without the quotes, the doubled ones single."""
    quote = image[0]
    return image[1:-1].replace(quote * 2, quote)
