"""Patterns of LIKE.

Law of this file: `%` is any characters, `_` is one, and the escape character takes the meaning of these two and of
itself. A match costs at most the length of the text times that of the pattern, however many `%` stand in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Find = Callable[[str, int, int], int]
"""Where a piece without `%` is first found in text[begin:end]; -1 nowhere."""


def matcher(pattern: str, escape: str | None) -> Callable[[str], bool]:
    """Does a text match the pattern as a whole?"""
    pieces = _pieces(pattern, escape)
    if len(pieces) == 1:
        length, find = pieces[0]
        return lambda text: len(text) == length and find(text, 0, length) == 0
    (first_length, find_first), *middle, (last_length, find_last) = pieces
    shortest = sum(length for length, _ in pieces)

    def matches(text: str) -> bool:
        end = len(text) - last_length
        if len(text) < shortest or find_first(text, 0, first_length) < 0 or find_last(text, end, len(text)) < 0:
            return False
        at = first_length
        for length, find in middle:
            at = find(text, at, end)
            if at < 0:
                return False
            at += length
        return True

    return matches


def _pieces(pattern: str, escape: str | None) -> list[tuple[int, Find]]:
    """Length and finder of each piece between `%`."""
    pieces: list[list[str | None]] = [[]]
    characters = iter(range(len(pattern)))
    for at in characters:
        char = pattern[at]
        if char == escape and pattern[at + 1 : at + 2] in ("%", "_", escape) and at + 1 < len(pattern):
            pieces[-1].append(pattern[next(characters)])
        elif char == "%":
            pieces.append([])
        else:
            pieces[-1].append(None if char == "_" else char)
    # Between two `%` that stand together there is nothing to find.
    return [(len(piece), _finder(piece)) for n, piece in enumerate(pieces) if piece or n in (0, len(pieces) - 1)]


def _finder(piece: list[str | None]) -> Find:
    if None not in piece:
        literal = "".join(char for char in piece if char is not None)
        return lambda text, begin, end: text.find(literal, begin, end)
    search = re.compile("".join("." if char is None else re.escape(char) for char in piece), re.DOTALL).search

    def find(text: str, begin: int, end: int) -> int:
        found = search(text, begin, end)
        return found.start() if found else -1

    return find
