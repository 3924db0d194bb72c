"""Checks of what callers give: of the right type, no bool for a number, and an error that says what is wanted instead.

Law of this file: an argument is used as it was given, or refused before anything is sent, by an error that names it.
No secret is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, TypeVar

from activeclient.errors import ConfigError

T = TypeVar("T")
MAX_TEXT: Final = 65536
"""Characters of a user's name, a password, or a client id."""
INT: Final = 2**31 - 1


def text(what: str, value: object, *, optional: bool = False, secret: bool = False, longest: int | None = None) -> None:
    """Refuse what is no text, or is longer than `longest` characters; None passes when it is `optional`.

    Raises:
        ConfigError: It is something else; as all functions here, unless they say otherwise.
    """
    if value is None and optional:
        return
    if not isinstance(value, str):
        raise ConfigError(what, None, f"must be text, not {_kind(value)}")
    if longest is not None and len(value) > longest:
        raise ConfigError(what, None, f"must be at most {longest} characters, not {len(value)}")


def whole(what: str, value: object, low: int = -INT - 1, high: int = INT, unit: str = "") -> None:
    """Refuse what is no whole number from `low` to `high`; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        shown = value if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 128) else None
        raise ConfigError(what, shown, f"must be a whole number from {low} to {high}{unit and f' {unit}'}{_not(value)}")


def seconds(what: str, value: object) -> None:
    """Refuse what is no number of seconds, 0 or more; infinity and a bool are none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        shown = value if isinstance(value, bool | float) else None
        raise ConfigError(what, shown, f"must be seconds, not negative{_not(value)}")


def flag(what: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise ConfigError(what, None, f"must be True or False, not {_kind(value)}")


def mapping(what: str, value: object) -> None:
    """Refuse what is no mapping."""
    if not isinstance(value, Mapping):
        raise ConfigError(what, None, f"must be a mapping, not {_kind(value)}")


def one_of(what: str, value: object, known: Mapping[str, T]) -> T:
    """What `known` has for a text."""
    if not isinstance(value, str) or value not in known:
        shown = value[:100] if isinstance(value, str) else None
        raise ConfigError(what, shown, f"must be one of {', '.join(known)}{_not(value)}")
    return known[value]


def call(what: str, value: object, *, optional: bool = True) -> None:
    """Refuse what cannot be called; None passes when it is `optional`.

    Raises:
        TypeError: It cannot.
    """
    if not callable(value) and not (value is None and optional):
        raise TypeError(f"{what} must be callable{' or None' if optional else ''}, not {_kind(value)}")


def instance(what: str, value: object, kind: type) -> None:
    """Refuse what is not of a class.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be {_article(kind.__name__)}, not {_kind(value)}")


def _kind(value: object) -> str:
    return "None" if value is None else _article(type(value).__name__)


def _article(name: str) -> str:
    return f"{'an' if name[:1] in 'aeiouAEIOUX' else 'a'} {name}"


def _not(value: object) -> str:
    return "" if isinstance(value, int | float | str) and not isinstance(value, bool) else f", not {_kind(value)}"
