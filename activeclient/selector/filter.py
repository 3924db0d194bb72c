"""A selector that messages can be held against.

Law of this file: a message matches, or it does not; what a message holds never makes `matches` raise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from activeclient.masking import never_raises
from activeclient.selector.problem import Unmatchable, problem
from activeclient.selector.tokens import prefixes

if TYPE_CHECKING:
    from activeclient.selector.evaluation import Test
    from activeclient.values import PropertyValue


class Selectable(Protocol):
    """What a filter asks of a message."""

    def property(self, name: str) -> PropertyValue:
        """The value of a property, in the types of `activeclient.values`; None when there is none.

        The headers are asked for by the broker's names: `AMQPriority` and `AMQSize` are `Int`, `AMQTimestamp` and
        `AMQExpiration` int; `AMQDurable` is 'DURABLE' or 'NON_DURABLE', `AMQUserID` begins with 'ID:', `AMQAddress` and
        `AMQGroupID` are texts.
        """
        ...


class Filter:
    """A selector in the broker's names, ready to be used from any thread. Made by `compile_filter`."""

    __slots__ = ("_test", "text")

    def __init__(self, text: str, test: Test) -> None:
        self.text: Final = text
        self._test = test

    def matches(self, message: Selectable) -> bool:
        """Is the selector true for the message? Not when it is unknown, or cannot be evaluated."""
        try:
            return self._test(message.property)
        except Unmatchable:
            return False

    @never_raises
    def __repr__(self) -> str:
        return f"Filter({self.text!r})"


def compile_filter(text: str) -> Filter:
    """The filter that a text in the broker's names means, with Artemis' prefixes.

    Raises:
        InvalidSelectorError: It is no selector, is too long or nested too deeply, or has XPATH or XQUERY in it.
    """
    from activeclient.selector.evaluation import Evaluation, QueryRefused
    from activeclient.selector.grammar import parse

    found = prefixes(text)
    tree = parse(text, found.end, hyphenated=found.hyphenated)
    try:
        return Filter(text, Evaluation(convert=found.convert).test(tree))
    except QueryRefused as refused:
        query = refused.query
        raise problem(text, query.at, f"{query.language} is not evaluated here; Artemis does") from None
