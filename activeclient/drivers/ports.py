"""What the pump asks of whoever carries its bytes: a transport, and how one is opened.

Law of this file: nothing that a transport does once it is open may block; opening may, within its time, and can be
cancelled from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from activeclient.events import Endpoint


class Transport(Protocol):
    """A stream of bytes that never blocks. Methods are called with the pump's lock held, `fileno` apart."""

    @property
    def stuck(self) -> int:
        """Bytes taken by `send` that the system has not taken yet."""

    @property
    def wants_write(self) -> bool:
        """Shall `on_writable` be called when the descriptor is writable?"""

    @property
    def pending(self) -> bool:
        """Are there bytes that `recv` gives although the descriptor is not readable?"""

    def fileno(self) -> int:
        """What to poll."""

    def recv(self, buffer: memoryview) -> bytes | None:
        """Bytes through `buffer`, None when there are none now, b"" at the end of the stream.

        Raises:
            ConnectionLost: The stream broke.
        """

    def send(self, chunks: list[bytes]) -> None:
        """Write in order what can be written now and keep the rest. Raises ConnectionLost."""

    def on_writable(self) -> None:
        """Go on with the rest. Raises ConnectionLost."""

    def close(self) -> None:
        """End the stream, at once; a second time does nothing."""

    def abandon(self) -> None:
        """In a child process: give the descriptor back so that the peer notices nothing."""


class CancelToken:
    """Ends the opening of a transport from another thread."""

    __slots__ = ("_action", "_lock", "cancelled")

    def __init__(self) -> None:
        self.cancelled: bool = False
        self._action: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """Call the action, if there is one; later ones are called as they are set."""
        with self._lock:
            self.cancelled = True
            action, self._action = self._action, None
        if action is not None:
            action()

    def on_cancel(self, action: Callable[[], None] | None) -> None:
        """What ends the step that is running now; None: nothing is."""
        with self._lock:
            if not self.cancelled:
                self._action = action
                return
        if action is not None:
            action()


Opener = Callable[[Endpoint, float, CancelToken], Transport]
"""Opens a transport within the given seconds, or raises an ActiveClientError; runs on a thread that may block."""
