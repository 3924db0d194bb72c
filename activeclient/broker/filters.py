"""Selectors held against stored messages.

Law of this file: a message whose properties cannot be read matches nothing; its sender's damage never reaches whoever
consumes beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.broker.limits import MAX_SELECTOR
from activeclient.errors import InvalidSelectorError, RemoteProtocolError
from activeclient.masking import never_raises
from activeclient.server_code import ServerCode

if TYPE_CHECKING:
    from activeclient.broker.message import StoredMessage
    from activeclient.selector import Filter


class MessageFilter:
    """A compiled selector (`consumers.Filter`)."""

    __slots__ = ("_filter", "_matches")

    def __init__(self, compiled: Filter) -> None:
        self._filter = compiled
        self._matches = compiled.matches

    def matches(self, message: StoredMessage) -> bool:
        """Is the selector true for the message?"""
        try:
            return self._matches(message)
        except RemoteProtocolError:
            return False

    def __str__(self) -> str:
        return self._filter.text

    @never_raises
    def __repr__(self) -> str:
        return repr(self._filter)


def compile_filter(text: str) -> MessageFilter:
    """The filter that a selector means.

    Raises:
        InvalidSelectorError: It cannot be read, or is too long.
    """
    if len(text) > MAX_SELECTOR:
        raise InvalidSelectorError(
            f"a selector of {len(text)} characters; {MAX_SELECTOR} are allowed",
            code=ServerCode.INVALID_FILTER_EXPRESSION,
        )
    from activeclient.selector import compile_filter  # the grammar is loaded by the first who needs it

    return MessageFilter(compile_filter(text))
