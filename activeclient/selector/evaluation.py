"""From a tree to functions that evaluate it.

Law of this file: conditions are true, false or unknown (None), and a message matches when the whole is true. As in
Artemis, the conditions above every NOT are asked only whether they are true, and so an AND ends at the first that is
not; below a NOT, AND goes on behind an unknown one, and may then meet what makes the message unmatchable.
"""

from __future__ import annotations

from collections.abc import Callable

from activeclient.selector.like import matcher
from activeclient.selector.nodes import (
    Among,
    Arithmetic,
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
)
from activeclient.selector.problem import Unmatchable
from activeclient.selector.relations import calculated, negated, relations
from activeclient.values import PropertyValue

Get = Callable[[str], PropertyValue]
"""The value of a property of the message at hand, by its name."""
Value = Callable[[Get], PropertyValue]
Truth = Callable[[Get], bool | None]
Test = Callable[[Get], bool]


class QueryRefused(Exception):
    """XPATH or XQUERY, which is not evaluated here."""

    def __init__(self, query: Query) -> None:
        super().__init__(query.language)
        self.query = query


class Evaluation:
    """Makes the functions of one selector.

    Args:
        convert: Texts that mean numbers compare with numbers (`convert_string_expressions:`).
    """

    def __init__(self, *, convert: bool) -> None:
        self._convert = convert

    def test(self, node: Node) -> Test:
        """Is the condition true?

        Raises:
            QueryRefused: There is an XPATH or XQUERY in it.
        """
        if isinstance(node, Every):
            return _all_of([self.test(term) for term in node.terms])
        if isinstance(node, Some):
            return _any_of([self.test(term) for term in node.terms])
        if isinstance(node, Property):
            name = node.name
            return lambda get: get(name) is True
        truth = self.truth(node)
        return lambda get: truth(get) is True

    def truth(self, node: Node) -> Truth:
        """The condition: True, False, or None for unknown."""
        if isinstance(node, Comparison):
            return self._equality(node) if node.operator == "=" else self._ordering(node)
        if isinstance(node, Every | Some):
            return _chain([self.truth(term) for term in node.terms], ends=isinstance(node, Some))
        if isinstance(node, Not):
            return _opposite(self.truth(node.of))
        if isinstance(node, Property):
            return _flag(node.name)
        if isinstance(node, Query):
            raise QueryRefused(node)
        if isinstance(node, Literal):
            constant = node.value if isinstance(node.value, bool) else None
            return lambda get: constant
        assert isinstance(node, IsNull | Like | Among)
        return self._of_one(node)

    def value(self, node: Node) -> Value:
        """The value of any node."""
        if isinstance(node, Property):
            name = node.name
            return lambda get: get(name)
        if isinstance(node, Literal):
            constant = node.value
            return lambda get: constant
        if isinstance(node, Negation):
            return self._negation(node)
        if isinstance(node, Arithmetic):
            return self._arithmetic(node)
        return self.truth(node)

    # --- conditions -----------------------------------------------------------------------------------------------

    def _of_one(self, node: IsNull | Like | Among) -> Truth:
        of = self.value(node.of)
        if isinstance(node, IsNull):
            return lambda get: of(get) is None
        if isinstance(node, Like):
            matches = matcher(node.pattern, node.escape)

            def like(get: Get) -> bool | None:
                value = of(get)
                return None if value is None else type(value) is str and matches(value)

            return like
        texts, negated = node.texts, node.negated

        def among(get: Get) -> bool | None:
            value = of(get)
            return (value in texts) is not negated if type(value) is str else None

        return among

    def _ordering(self, node: Comparison) -> Truth:
        left, right = self.value(node.left), self.value(node.right)
        table = relations(node.operator, convert=self._convert)

        def ordering(get: Get) -> bool | None:
            one = left(get)
            if one is None:
                return None
            two = right(get)
            if two is None:
                if isinstance(one, bytes):
                    raise Unmatchable
                return None
            relation = table.get((one.__class__, two.__class__))
            return relation is not None and relation(one, two)

        return ordering

    def _equality(self, node: Comparison) -> Truth:
        left, right = self.value(node.left), self.value(node.right)
        table = relations("=", convert=self._convert)
        same = isinstance(node.left, Property) and node.left == node.right

        def equality(get: Get) -> bool | None:
            one, two = left(get), right(get)
            if one is None:
                # Two absent values are equal; absent on the left alone is unknown, on the right alone it is unequal.
                return True if two is None else None
            relation = table.get((one.__class__, two.__class__))
            # Arrays are equal to themselves alone.
            return relation(one, two) if relation is not None else same and isinstance(one, bytes)

        return equality

    # --- values ---------------------------------------------------------------------------------------------------

    def _negation(self, node: Negation) -> Value:
        of = self.value(node.of)
        if isinstance(node.of, Literal):
            constant = negated(node.of.value)
            return lambda get: constant
        return lambda get: negated(of(get))

    def _arithmetic(self, node: Arithmetic) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        sign, convert = node.operator, self._convert

        def arithmetic(get: Get) -> PropertyValue:
            one = left(get)
            if one is None:
                return None
            two = right(get)
            return None if two is None else calculated(sign, one, two, convert=convert)

        return arithmetic


def _all_of(tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return lambda get: one(get) and two(get)
    return lambda get: all(test(get) for test in tests)


def _any_of(tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return lambda get: one(get) or two(get)
    return lambda get: any(test(get) for test in tests)


def _chain(terms: list[Truth], *, ends: bool) -> Truth:
    """AND ends at a false term, OR at a true one; unknown ones make the whole unknown when nothing ended it."""

    def chain(get: Get) -> bool | None:
        unknown = False
        for term in terms:
            value = term(get)
            if value is ends:
                return ends
            unknown = unknown or value is None
        return None if unknown else not ends

    return chain


def _opposite(of: Truth) -> Truth:
    def opposite(get: Get) -> bool | None:
        value = of(get)
        return None if value is None else not value

    return opposite


def _flag(name: str) -> Truth:
    """A property as a condition: what is no boolean is false."""

    def flag(get: Get) -> bool | None:
        value = get(name)
        return None if value is None else value is True

    return flag
