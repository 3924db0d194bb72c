"""What is wrong with a selector, and where, for people.

Law of this file: the text of an error shows one line of the selector at most, shortened, with a caret under the place.
"""

from __future__ import annotations

from typing import Final

from activeclient.errors import InvalidSelectorError

SHOWN: Final = 60
"""Characters of the selector in the text of an error."""


class Unmatchable(Exception):
    """The selector cannot be evaluated for this message, which therefore does not match it."""


def problem(text: str, offset: int, what: str) -> InvalidSelectorError:
    """An error for the place `offset` (characters from 0) of the selector `text`."""
    begin = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    column = offset - begin
    first = max(0, column - SHOWN // 2)
    line = text[begin : None if end < 0 else end]
    shown = "".join(char if char.isprintable() else " " for char in line[first : first + SHOWN])
    before = "..." if first else ""
    after = "..." if first + SHOWN < len(line) else ""
    number = text.count("\n", 0, offset) + 1
    error = InvalidSelectorError(
        f"selector, line {number}, column {column + 1}: {what}\n"
        f"    {before}{shown}{after}\n"
        f"    {' ' * (len(before) + column - first)}^"
    )
    error.offset, error.line, error.column = offset, number, column + 1
    return error
