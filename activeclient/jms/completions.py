"""Sends whose completion listeners have not returned yet, and what these listeners must not do.

Law of this file: each send that began ends once; closing and committing wait for all that have begun, as the
specification demands (JMS 2.0, 7.3).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from activeclient.errors import IllegalStateError


class Completions:
    """The asynchronous sends of one session. Thread-safe.

    Args:
        in_callback: Is the caller a callback of the session?
    """

    def __init__(self, in_callback: Callable[[], bool]) -> None:
        self._in_callback = in_callback
        self._changed = threading.Condition()
        self._open = 0
        self._running = False

    def begin(self) -> None:
        """A send with a completion listener goes out."""
        with self._changed:
            self._open += 1

    def withdraw(self) -> None:
        """It did not: its caller has the error."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Its listener runs."""
        self._running = True
        try:
            yield
        finally:
            self._running = False
            self.withdraw()

    def check_not_inside(self, what: str) -> None:
        """Raise IllegalStateError when a completion listener of this session is the caller."""
        if self._running and self._in_callback():
            raise IllegalStateError(f"a completion listener must not {what}")

    @property
    def outstanding(self) -> int:
        """Sends whose listener has not returned."""
        return self._open

    def wait(self, timeout: float) -> bool:
        """Wait until every listener has returned; False after `timeout` seconds in which none has.

        A listener itself does not wait.
        """
        if self._in_callback():
            return True
        with self._changed:
            while left := self._open:
                if not self._changed.wait_for(lambda: self._open < left, timeout):
                    return False
        return True


def check_completion(listener: object) -> None:
    """Refuse what can be told of no completion; None passes.

    Raises:
        TypeError: It is neither callable nor a `CompletionListener`.
    """
    if listener is None or callable(listener):
        return  # hot path
    methods = (getattr(listener, name, None) for name in ("on_completion", "on_exception"))
    if not all(map(callable, methods)):
        raise TypeError(
            f"on_complete must be callable, or have on_completion and on_exception, not {type(listener).__name__}"
        )
