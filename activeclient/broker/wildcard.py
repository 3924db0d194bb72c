"""Wildcards in addresses: `*` stands for one word, `#` for any number of them, words are divided by dots.

Law of this file: the rules are those of Artemis' wildcard syntax with its default characters (AddressImpl.matches,
Match); `#` also matches no word at all.
"""

from __future__ import annotations

import re
from functools import lru_cache

PATTERNS_KEPT = 1024
"""Compiled patterns that are remembered."""


def is_wildcard(address: str) -> bool:
    """Does the name stand for several addresses?"""
    return any(word in ("*", "#") for word in address.split("."))


@lru_cache(maxsize=PATTERNS_KEPT)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts: list[str] = []
    for word in pattern.split("."):
        match word:
            case "#":
                parts.append(r"(?:\.[^.]*)*")
            case "*":
                parts.append(r"\.[^.]+")
            case _:
                parts.append(r"\." + re.escape(word))
    return re.compile("".join(parts), re.DOTALL)


def matches(pattern: str, address: str) -> bool:
    """Is `address` one of those that `pattern` stands for? A pattern without wildcards stands for itself."""
    return pattern == address or _compiled(pattern).fullmatch("." + address) is not None


def precedence(pattern: str) -> tuple[tuple[int, ...], int]:
    """Sorts patterns, the most specific last: word by word `#` is vaguer than `*`, and `*` than a word."""
    words = pattern.split(".")
    return tuple({"#": 0, "*": 1}.get(word, 2) for word in words), len(words)
