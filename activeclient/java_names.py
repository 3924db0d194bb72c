"""Attributes that are not there, Java's setters and getters above all: an error that says what to write instead.

Law of this file: type checkers see none of it, so they refuse what is not declared. A name of an object's own inside,
beginning with `_`, is none of its business. A class with `__getattr__` pays for each of its attributes (Python 3.11
does not specialise the access), so the core producer and consumer, which are on every message's way, go without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NoReturn

from activeclient.errors import UnknownSettingError

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")
_JAVA = re.compile(r"(set|get|is)([A-Z].*)")


def in_python(name: str) -> str:
    """A Java name as Python writes it: `dupsOKBatchSize` is `dups_ok_batch_size`."""
    return "_".join(_WORDS.findall(name)).lower()


def no_attribute(kind: type, name: str, settings: Iterable[str] = (), *, setting: bool = False) -> NoReturn:
    """Say that objects of a class have no attribute of a name, and which one is meant.

    Args:
        settings: Names of attributes that the class does not declare itself.
        setting: A setting was to be set.

    Raises:
        AttributeError: Always; as UnknownSettingError for a setting.
    """
    text = f"{kind.__name__!r} object has no attribute {name!r}"
    if not name.startswith("_"):
        declared = (name for each in kind.__mro__ for name in getattr(each, "__annotations__", ()))
        text += _hint(kind, name, [each for each in (*dir(kind), *declared, *settings) if not each.startswith("_")])
    if setting:
        raise UnknownSettingError(name, None, text)
    raise AttributeError(text, name=name)


def _hint(kind: type, name: str, known: list[str]) -> str:
    java = _JAVA.fullmatch(name)
    wanted = [in_python(name)]
    if java is not None:
        wanted += [in_python(java[2]), f"is_{in_python(java[2])}"]
    for each in wanted:
        if each in known and each != name:
            if callable(getattr(kind, each, None)):
                return f"; write .{each}(...)"
            return f"; write .{each} = ..." if java is not None and java[1] == "set" else f"; write .{each}"
    import difflib  # only a wrong name needs it

    near = difflib.get_close_matches(wanted[-1] if java is None else wanted[1], known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _declares(kind: type, name: str) -> bool:
    return any(name in vars(each) or name in getattr(each, "__annotations__", ()) for each in kind.__mro__)


class JavaNames:
    """A class whose missing attributes are explained when they are read."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            no_attribute(type(self), name)


class Sealed(JavaNames):
    """As `JavaNames`, and setting a public attribute that the class does not declare is an error too."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def __setattr__(self, name, value):
            if name[0] != "_" and not _declares(type(self), name):
                no_attribute(type(self), name)
            object.__setattr__(self, name, value)
