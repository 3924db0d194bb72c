"""A selector as a tree.

Law of this file: nodes are equal when they mean the same, wherever they stand (`at`, characters from 0) and however
deep; `str()` of a node is a selector that parses to an equal one. Chains of AND and of OR are one node each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar


class Big(int):
    """A literal that does not fit a long (a BigDecimal in Java): equal to itself, comparable with nothing else."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Any node."""

    at: int = field(default=0, compare=False, repr=False)
    depth: int = field(default=1, compare=False, repr=False)
    boolean: ClassVar[bool] = True
    """Can it be what a selector, AND, OR, NOT asks about?"""


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Node):
    """A text, a number, TRUE, FALSE or NULL."""

    value: bool | int | float | str | None
    boolean: ClassVar[bool] = False

    def __eq__(self, other: object) -> bool:
        # The types too: 1, 1.0 and TRUE are equal in Python.
        return isinstance(other, Literal) and (type(self.value), self.value) == (type(other.value), other.value)

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))

    def __str__(self) -> str:
        value = self.value
        if isinstance(value, str):
            return _quoted(value, "'")
        if value is None or isinstance(value, bool):
            return str(value).upper().replace("NONE", "NULL")
        if isinstance(value, float):
            return "1e999" if value == float("inf") else repr(value)
        # A negative one was written with more than 64 bits: see `grammar`.
        return str(int(value if value >= 0 else value + 2**64))


@dataclass(frozen=True, slots=True)
class Property(Node):
    """The value of a property or header; None when the message has none."""

    name: str

    def __str__(self) -> str:
        return _quoted(self.name, '"')


@dataclass(frozen=True, slots=True)
class Negation(Node):
    """`-x`."""

    of: Node
    boolean: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"(- {self.of})"


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """`x + y`, `-`, `*`, `/`, `%`."""

    operator: str
    left: Node
    right: Node
    boolean: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """`x = y`, `<`, `<=`, `>`, `>=`."""

    operator: str
    left: Node
    right: Node

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"


@dataclass(frozen=True, slots=True)
class IsNull(Node):
    """`x IS NULL`."""

    of: Node

    def __str__(self) -> str:
        return f"({self.of} IS NULL)"


@dataclass(frozen=True, slots=True)
class Like(Node):
    """`x LIKE 'pattern' ESCAPE 'c'`; no escape: None."""

    of: Node
    pattern: str
    escape: str | None

    def __str__(self) -> str:
        escape = "" if self.escape is None else f" ESCAPE {_quoted(self.escape, chr(39))}"
        return f"({self.of} LIKE {_quoted(self.pattern, chr(39))}{escape})"


@dataclass(frozen=True, slots=True)
class Among(Node):
    """`x IN ('a', 'b')`, or NOT IN, which is no negation of it: both are unknown for what is no text."""

    of: Property
    texts: frozenset[str]
    negated: bool

    def __str__(self) -> str:
        texts = ", ".join(_quoted(text, "'") for text in sorted(self.texts))
        return f"({self.of} {'NOT ' * self.negated}IN ({texts}))"


@dataclass(frozen=True, slots=True)
class Not(Node):
    """`NOT x`."""

    of: Node

    def __str__(self) -> str:
        return f"(NOT {self.of})"


@dataclass(frozen=True, slots=True)
class Every(Node):
    """`x AND y AND ...`."""

    terms: tuple[Node, ...]

    def __str__(self) -> str:
        return f"({' AND '.join(map(str, self.terms))})"


@dataclass(frozen=True, slots=True)
class Some(Node):
    """`x OR y OR ...`."""

    terms: tuple[Node, ...]

    def __str__(self) -> str:
        return f"({' OR '.join(map(str, self.terms))})"


@dataclass(frozen=True, slots=True)
class Query(Node):
    """`XPATH '...'` or `XQUERY '...'` over the body: left to brokers that have it."""

    language: str
    text: str

    def __str__(self) -> str:
        return f"({self.language} {_quoted(self.text, chr(39))})"


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace(quote, quote * 2) + quote


def is_boolean(node: Node) -> bool:
    """Can it stand where a condition is asked for?"""
    return node.boolean or (isinstance(node, Literal) and (node.value is None or isinstance(node.value, bool)))
