"""Objects that are dropped without `close`: a ResourceWarning that names them, and their end.

Law of this file: a finalizer may run amid any other call of its thread, also one that holds a lock. So it locks nothing
and waits for nothing: the keeper's thread hands the closing to a thread that may wait.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar
from weakref import ref

from activeclient.drivers import dispatch, keeper
from activeclient.errors import ActiveClientError

T = TypeVar("T")


def warn_dropped(thing: object) -> None:
    """Warn that `thing` was not closed. The warning does not hold it: whoever records it would keep it open."""
    if not sys.is_finalizing():
        warnings.warn(f"unclosed {thing!r}: close it, or use a with block", ResourceWarning, stacklevel=2)


def close_dropped(thing: object, close: Callable[[], object], *, warn: bool = True) -> None:
    """Warn that `thing` was not closed, and call `close` on another thread (called by finalizers)."""
    if sys.is_finalizing():
        return
    try:
        if warn:
            warn_dropped(thing)
    finally:
        keeper.current().later(lambda: dispatch.current().submit(lambda: _close(close)))


def _close(close: Callable[[], object]) -> None:
    with contextlib.suppress(ActiveClientError):  # logged, and there is nobody to be told
        close()


class Members(Generic[T]):
    """Objects that belong to another one and that it does not keep alive. Thread-safe."""

    __slots__ = ("_refs",)

    def __init__(self) -> None:
        self._refs: dict[int, ref[T]] = {}

    def add(self, member: T) -> None:
        """Add an object; it leaves by `discard`, or when nobody else has it."""
        key, refs = id(member), self._refs

        def gone(dead: ref[T]) -> None:
            if refs.get(key) is dead:
                del refs[key]

        refs[key] = ref(member, gone)

    def discard(self, member: T) -> None:
        """Remove an object, if it is there."""
        self._refs.pop(id(member), None)

    def clear(self) -> None:
        """Remove all."""
        self._refs.clear()

    def __iter__(self) -> Iterator[T]:
        members = [each() for each in list(self._refs.values())]
        return iter([member for member in members if member is not None])
