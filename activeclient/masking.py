"""Secrets in values and in texts: what is shown instead of them.

Law of this file: a value is shown only if its key is declared as public; whatever else stands in a URL, a mistyped
key's value among it, is masked, rather too much of it than a piece too little. Nothing else in this package decides
what of a text may be shown.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Container, Mapping
from typing import Any, Final, SupportsIndex, TypeVar, cast
from urllib.parse import unquote

MASK: Final = "***"
MAX_SHOWN: Final = 500
"""Characters of a URL that are shown."""
_MAX_READ: Final = 16384

PUBLIC_KEYS: Final[set[str]] = set()
"""Keys of URLs whose values may be shown: each declaration of one adds it (`parameter.param`, `foreign_keys`)."""
SECRET_KEYS: Final[set[str]] = set()
"""Keys that are declared as secrets."""

_SENSITIVE: Final = re.compile(r"pass|pwd|secret|token|credential|kennwort", re.IGNORECASE)
_BEFORE_NAME: Final = re.compile(r"[?&;#,()]")
_AFTER_VALUE: Final = re.compile(r"[&;]")
_NO_PORT: Final = re.compile(r"\(?(?:[A-Za-z0-9+.-]+://)?[^/?#&;,()@:\[\]]+:(?!//|[0-9]{1,5}(?:$|[/?#&;,()]))")
"""What begins with a host and a port that is none, but perhaps a password."""
_NAMED: Final = re.compile(r"(?:^|[?&;])([^=?&;#,()]*)=")

F = TypeVar("F", bound=Callable[[Any], str])
T = TypeVar("T")


def is_sensitive(name: str) -> bool:
    """Whether a setting of this name is a secret, or something like one."""
    return _SENSITIVE.search(unquote(name)) is not None


class Secret(str):
    """A text that no representation shows: not of itself, nor of what holds it, nor of a frame of a traceback.

    It is the text in every other way: compare, encode, join it, or ask `str()` for a plain one.
    """

    __slots__ = ()

    @classmethod
    def of(cls, value: Any) -> Any:
        """`value` as a secret; None, which is no secret, and what is no text become what shows nothing either."""
        if value is None or isinstance(value, Secret | _Unshown):
            return value
        return cls(value) if isinstance(value, str) else _Unshown(type(value).__name__)

    def __repr__(self) -> str:
        return repr(MASK)

    def __getitem__(self, index: SupportsIndex | slice) -> str:
        return type(self)(super().__getitem__(index))  # who shortens a text before showing it gets a secret


class SecretURL(Secret):
    """A URL, or a text that should be one: shown with its secrets masked."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(masked(self))

    def __getitem__(self, index: SupportsIndex | slice) -> str:
        return Secret(str.__getitem__(self, index))


class _Unshown:
    """Stands for a secret of a wrong type, until that is said."""

    __slots__ = ("kind",)

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return MASK


def kind_of(value: object) -> str:
    """The name of a value's type, for the error that says it is the wrong one."""
    return value.kind if isinstance(value, _Unshown) else type(value).__name__


def concealed(values: Mapping[str, Any], public: Container[str]) -> dict[str, Any]:
    """A copy of named values in which all are secrets whose name is not in `public`, or is that of a secret."""
    return {
        name: value if name in public and not is_sensitive(name) else Secret.of(value) for name, value in values.items()
    }


def masked(url: str) -> str:
    """`url` without what stands before an @, and without values that are not known to be harmless; cut to a bearable
    length.

    Works on text that is no URL too, for it stands in the error that says so.
    """
    text = _without_user_info(str.__str__(url)[:_MAX_READ])
    parts: list[str] = []
    position = 0
    while (equals := text.find("=", position)) >= 0:
        parts.append(text[position : equals + 1])
        name = unquote(_BEFORE_NAME.split(text[position:equals])[-1])
        position = equals + 1
        if name in PUBLIC_KEYS:
            continue
        parts.append(MASK)
        position = _end_of_secret(text, position)
    parts.append(text[position:])
    text = "".join(parts)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def _without_user_info(text: str) -> str:
    """Without what may be user and password before a host: all up to the last @ in front of the parameters."""
    known = (found for found in _NAMED.finditer(text) if unquote(found[1]) in PUBLIC_KEYS or is_sensitive(found[1]))
    first = next(known, None)
    end = len(text) if first is None or _NO_PORT.match(text) else first.start()
    at = text.rfind("@", 0, end)
    if at < 0:
        return text
    slashes = text.find("//", 0, at)
    begin = slashes + 2 if slashes >= 0 else 1 if text.startswith("(") else 0
    # Behind a key that is unknown, an @ may be a part of its value.
    return f"{text[:begin]}{MASK}{text[end if '=' in text[begin:at] else at :]}"


def _end_of_secret(text: str, position: int) -> int:
    """Where the next parameter begins that is one of ours: what stands before it may be a piece of the secret."""
    while (end := _AFTER_VALUE.search(text, position)) is not None:
        position = end.start()
        name, equals, _ = text[position + 1 :].partition("=")
        if equals and (unquote(name) in PUBLIC_KEYS or name in SECRET_KEYS):
            return position
        position += 1
    return len(text)


_SECRET_SAID: Final = re.compile(
    r"""(?ix)
    (["']? \b [\w.-]* (?:pass|pwd|secret|token|credential|kennwort|api[_-]?key|authorization) [\w.-]* ["']?
        \s* [=:] \s* (?:(?:basic|bearer)\s+)?)
    ("[^"]*"|'[^']*'|[^\s,;&)}\]]+)
    | ((?:basic|bearer)\s+) ([\w+/=.~-]{8,})
    | (://) [^/\s@]* @
    """
)


def without_secrets(text: str) -> str:
    """`text`, an error's say, without what looks like a secret: `password=...`, `"token": "..."`, `://user:pw@host`."""
    return _SECRET_SAID.sub(_hidden, text[:_MAX_READ])


def _hidden(found: re.Match[str]) -> str:
    said, value, scheme, _, slashes = found.groups()
    if said is not None:
        quote = value[0] if value[0] in "\"'" else ""
        return f"{said}{quote}{MASK}{quote}"
    return f"{scheme}{MASK}" if scheme is not None else f"{slashes}{MASK}@"


def never_raises(method: F) -> F:
    """A `__repr__` for objects that may be shown before they are complete, or after their constructor has failed, as
    tools do that report the values of local variables."""

    @functools.wraps(method)
    def shown(self: Any) -> str:
        try:
            return method(self)
        except Exception:
            return f"<{type(self).__name__}, incomplete>"

    return cast("F", shown)


def always_shown(kind: type[T]) -> type[T]:
    """A class, mostly a dataclass, whose representation never raises (see `never_raises`)."""
    kind.__repr__ = never_raises(kind.__repr__)  # type: ignore[method-assign]
    return kind
