"""From tokens to a tree.

Law of this file: precedence and rules are those of Artemis' parser, surprises included: NOT binds tighter than a
comparison, so `NOT a = 1` is `(NOT a) = 1`. What cannot be compared is refused here, as there, not when messages come.
The parser is a table and a stack: nesting costs no recursion, and no node is deeper than MAX_DEPTH.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from lark import Lark, Transformer
from lark import Token as Fed
from lark.exceptions import UnexpectedToken

from activeclient.errors import InvalidSelectorError
from activeclient.selector.nodes import (
    Among,
    Arithmetic,
    Big,
    Comparison,
    Every,
    IsNull,
    Like,
    Literal,
    Negation,
    Node,
    Not,
    Property,
    Query,
    Some,
    is_boolean,
)
from activeclient.selector.problem import problem
from activeclient.selector.tokens import END, KEYWORDS, SYMBOLS, Token, tokens, unquoted
from activeclient.values import LONG_HIGH, LONG_LOW, Int

MAX_DEPTH: Final = 100
"""Of nodes in nodes, and of parentheses: evaluation recurses once for each, and Python allows 1,000 calls in all."""
MAX_DIGITS: Final = 1000
"""Of a literal that fits no long."""

_GRAMMAR: Final = """
    start: either END
    ?either: both | either OR both -> some
    ?both: equality | both AND equality -> every
    ?equality: ordering
        | equality (EQ | NE) ordering -> equal
        | equality IS NOT? NULL -> null
    ?ordering: sum
        | ordering (GT | GE | LT | LE) sum -> compared
        | ordering NOT? LIKE STRING (ESCAPE STRING)? -> like
        | ordering NOT? BETWEEN sum AND sum -> between
        | ordering NOT? IN OPEN STRING (COMMA STRING)* CLOSE -> among
    ?sum: product | sum (PLUS | MINUS) product -> arithmetic
    ?product: unary | product (STAR | SLASH | PERCENT) unary -> arithmetic
    ?unary: primary
        | PLUS unary -> positive
        | MINUS unary -> negative
        | NOT unary -> negated
        | (XPATH | XQUERY) STRING -> query
    ?primary: STRING -> text
        | DECIMAL -> decimal
        | HEX -> hexadecimal
        | OCTAL -> octal
        | FLOAT -> decimal_fraction
        | TRUE -> true
        | FALSE -> false
        | NULL -> unknown
        | (NAME | QUOTED) -> name
        | OPEN either CLOSE -> parenthesised
    %declare END STRING DECIMAL HEX OCTAL FLOAT NAME QUOTED
"""
_WANTED: Final = {
    **{kind: f"'{symbol}'" for symbol, kind in SYMBOLS.items()},
    **{word: word for word in KEYWORDS},
    END: "the end",
    "STRING": "a text in single quotes",
    "NAME": "a name",
}
_VALUES: Final = frozenset(
    {"STRING", "DECIMAL", "HEX", "OCTAL", "FLOAT", "TRUE", "FALSE", "NULL", "NAME", "QUOTED", "OPEN", "PLUS", "MINUS"}
    | {"NOT", "XPATH", "XQUERY"}
)
"""What can begin a value; errors name them together."""
_COMPARING: Final = frozenset({"EQ", "NE", "GT", "GE", "LT", "LE", "LIKE", "BETWEEN", "IN", "IS", "NOT"})
_REST: Final = frozenset({"PLUS", "MINUS", "STAR", "SLASH", "PERCENT"})

_Given = Sequence["Node | Fed"]


class _Refused(Exception):
    """A rule beyond the grammar is broken; becomes an InvalidSelectorError where the text is known."""

    def __init__(self, at: int, what: str) -> None:
        super().__init__(what)
        self.at = at
        self.what = what


@cache
def _parser() -> Lark:
    declared = " ".join(sorted(KEYWORDS | set(SYMBOLS.values())))
    return Lark(f"{_GRAMMAR}%declare {declared}\n", parser="lalr", lexer="basic", transformer=_Builder())


def parse(text: str, begin: int = 0, *, hyphenated: bool = False) -> Node:
    """The tree of a selector's text from `begin` on.

    Raises:
        InvalidSelectorError: It is no selector, or too long, or nested too deeply.
    """
    parser = _parser().parse_interactive()
    nesting = 0
    try:
        for token in tokens(text, begin, hyphenated=hyphenated):
            if token.kind == "OPEN":
                nesting += 1
                _check_depth(nesting, token.at)
            elif token.kind == "CLOSE":
                nesting -= 1
            parser.feed_token(Fed(token.kind, token.text, start_pos=token.at))
        tree = parser.feed_eof()  # type: ignore[no-untyped-call]
    except _Refused as refused:
        raise problem(text, refused.at, refused.what) from None
    except UnexpectedToken:
        raise _unexpected(text, token, _wanted(text, begin, token.at, hyphenated)) from None
    assert isinstance(tree, Node)
    return tree


def _wanted(text: str, begin: int, at: int, hyphenated: bool) -> set[str]:
    """What could have come at `at`. Parsed again: with the wrong token, the parser has left the state that knew it."""
    parser = _parser().parse_interactive()
    for token in tokens(text, begin, hyphenated=hyphenated):
        if token.at == at:
            break
        parser.feed_token(Fed(token.kind, token.text, start_pos=token.at))
    wanted: set[str] = parser.accepts()  # type: ignore[no-untyped-call]
    return wanted


def _unexpected(text: str, token: Token, wanted: set[str]) -> InvalidSelectorError:
    found = repr(token.text[:40]) if token.text else "the end"
    names = []
    if "DECIMAL" in wanted:
        names.append("a value")
        wanted = wanted - _VALUES
    if wanted >= _COMPARING:
        names.append("a comparison")
        wanted = wanted - _COMPARING - _REST
    names += sorted({_WANTED[kind] for kind in wanted if kind in _WANTED})
    return problem(text, token.at, f"found {found}, expected {' or '.join(names)}")


def _check_depth(depth: int, at: int) -> None:
    if depth > MAX_DEPTH:
        raise _Refused(at, f"nested more than {MAX_DEPTH} levels deep")


def _above(*below: Node, at: int | None = None) -> dict[str, int]:
    """Place and depth of a node over `below`."""
    depth = 1 + max(node.depth for node in below)
    place = below[0].at if at is None else at
    _check_depth(depth, place)
    return {"at": place, "depth": depth}


def _condition(node: Node) -> Node:
    if not is_boolean(node):
        raise _Refused(node.at, f"{_described(node)} is no condition")
    return node


def _described(node: Node) -> str:
    if isinstance(node, Literal):
        shown = str(node)
        return shown if len(shown) <= 40 else f"{shown[:40]}..."
    return "the result of an arithmetic expression" if not node.boolean else "a condition"


def _comparison(operator: str, left: Node, right: Node) -> Comparison:
    for side in (left, right):
        if isinstance(side, Literal):
            allowed = isinstance(side.value, int | float) and not isinstance(side.value, bool)
        else:
            allowed = isinstance(side, Property) or not side.boolean
        if not allowed:
            raise _Refused(side.at, f"{_described(side)} cannot be compared by {operator}")
    return Comparison(operator, left, right, **_above(left, right))


def _number(token: Fed, value: int) -> Literal:
    return Literal(Int(value) if Int.LOW <= value <= Int.HIGH else value, at=token.start_pos or 0)


def _from_base(token: Fed, digits: str, base: int) -> Literal:
    value = int(digits, base)
    if value > LONG_HIGH:
        raise _Refused(token.start_pos or 0, f"{token[:40]} does not fit 64 bits")
    return _number(token, value)


class _Builder(Transformer[Fed, Node]):
    """One method for each name behind an arrow of the grammar; called when the rule is complete."""

    def start(self, given: _Given) -> Node:
        return _condition(_node(given[0]))

    def some(self, given: _Given) -> Node:
        left, right = _condition(_node(given[0])), _condition(_node(given[2]))
        # Not when the chain stands in parentheses on the right: the order of evaluation would be another.
        terms = left.terms if isinstance(left, Some) else (left,)
        return Some((*terms, right), **_chain(left, right, isinstance(left, Some)))

    def every(self, given: _Given) -> Node:
        left, right = _condition(_node(given[0])), _condition(_node(given[2]))
        terms = left.terms if isinstance(left, Every) else (left,)
        return Every((*terms, right), **_chain(left, right, isinstance(left, Every)))

    def equal(self, given: _Given) -> Node:
        left, operator, right = _node(given[0]), given[1], _node(given[2])
        for side in (left, right):
            if isinstance(side, Literal) and side.value is None:
                raise _Refused(side.at, f"NULL cannot be compared by {operator}: use IS NULL")
        if (
            isinstance(left, Literal)
            and isinstance(right, Literal)
            and isinstance(left.value, bool)
            and not isinstance(right.value, bool)
        ):
            raise _Refused(right.at, f"{left} cannot be compared with {_described(right)}")
        made = Comparison("=", left, right, **_above(left, right))
        return made if operator == "=" else Not(made, **_above(made))

    def null(self, given: _Given) -> Node:
        made = IsNull(_node(given[0]), **_above(_node(given[0])))
        return Not(made, **_above(made)) if len(given) == 4 else made

    def compared(self, given: _Given) -> Node:
        return _comparison(str(given[1]), _node(given[0]), _node(given[2]))

    def between(self, given: _Given) -> Node:
        value, low, high = (node for node in given if isinstance(node, Node))
        if _is(given[1], "NOT"):
            below, above = _comparison("<", value, low), _comparison(">", value, high)
            return Some((below, above), **_above(below, above))
        least, most = _comparison(">=", value, low), _comparison("<=", value, high)
        return Every((least, most), **_above(least, most))

    def like(self, given: _Given) -> Node:
        texts = [token for token in given if _is(token, "STRING")]
        escape: str | None = None
        if len(texts) == 2:
            escape = unquoted(str(texts[1]))
            if len(escape.encode("utf-16-le", "surrogatepass")) != 2:
                raise _Refused(_place(texts[1]), "ESCAPE needs one character, no more than U+FFFF")
        made = Like(_node(given[0]), unquoted(str(texts[0])), escape, **_above(_node(given[0])))
        return Not(made, **_above(made)) if _is(given[1], "NOT") else made

    def among(self, given: _Given) -> Node:
        of = given[0]
        if not isinstance(of, Property):
            raise _Refused(_place(of), f"only a property can be searched for by IN, not {_described(_node(of))}")
        texts = frozenset(unquoted(str(token)) for token in given if _is(token, "STRING"))
        return Among(of, texts, _is(given[1], "NOT"), **_above(of))

    def arithmetic(self, given: _Given) -> Node:
        left, right = _node(given[0]), _node(given[2])
        return Arithmetic(str(given[1]), left, right, **_above(left, right))

    def positive(self, given: _Given) -> Node:
        return _node(given[1])

    def negative(self, given: _Given) -> Node:
        of = _node(given[1])
        return Negation(of, **_above(of, at=_place(given[0])))

    def negated(self, given: _Given) -> Node:
        of = _condition(_node(given[1]))
        return Not(of, **_above(of, at=_place(given[0])))

    def query(self, given: _Given) -> Node:
        return Query(str(given[0]).upper(), unquoted(str(given[1])), at=_place(given[0]))

    def parenthesised(self, given: _Given) -> Node:
        return _node(given[1])

    def text(self, given: _Given) -> Node:
        return Literal(unquoted(str(given[0])), at=_place(given[0]))

    def decimal(self, given: _Given) -> Node:
        token = _token(given[0])
        digits = token.rstrip("lL")
        if len(digits) > MAX_DIGITS:
            raise _Refused(_place(token), f"a number of {len(digits)} digits, allowed are {MAX_DIGITS}")
        value = int(digits)
        if value <= LONG_HIGH:
            return _number(token, value)
        # A BigDecimal, unless its low 64 bits happen to be those of an int (ConstantExpression.createFromDecimal).
        low = (value - LONG_LOW) % 2**64 + LONG_LOW
        return Literal(Int(low) if Int.LOW <= low <= Int.HIGH else Big(value), at=_place(token))

    def hexadecimal(self, given: _Given) -> Node:
        return _from_base(_token(given[0]), str(given[0])[2:], 16)

    def octal(self, given: _Given) -> Node:
        return _from_base(_token(given[0]), str(given[0]), 8)

    def decimal_fraction(self, given: _Given) -> Node:
        return Literal(float(str(given[0])), at=_place(given[0]))

    def true(self, given: _Given) -> Node:
        return Literal(True, at=_place(given[0]))

    def false(self, given: _Given) -> Node:
        return Literal(False, at=_place(given[0]))

    def unknown(self, given: _Given) -> Node:
        return Literal(None, at=_place(given[0]))

    def name(self, given: _Given) -> Node:
        image = str(given[0])
        return Property(unquoted(image) if image[0] == '"' else image, at=_place(given[0]))


def _chain(left: Node, right: Node, longer: bool) -> dict[str, int]:
    """Place and depth of a chain: one level however long, not one for each term."""
    if not longer:
        return _above(left, right)
    depth = max(left.depth, right.depth + 1)
    _check_depth(depth, right.at)
    return {"at": left.at, "depth": depth}


def _node(given: Node | Fed) -> Node:
    assert isinstance(given, Node)
    return given


def _token(given: Node | Fed) -> Fed:
    assert isinstance(given, Fed)
    return given


def _is(given: Node | Fed, kind: str) -> bool:
    return isinstance(given, Fed) and given.type == kind


def _place(given: Node | Fed) -> int:
    return given.at if isinstance(given, Node) else given.start_pos or 0
