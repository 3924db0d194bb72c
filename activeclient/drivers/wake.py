"""A file descriptor that ends a poll from another thread.

Law of this file: `wake` never blocks and is never lost: after it the descriptor is readable until `drain`.
"""

from __future__ import annotations

import contextlib
import os


class Waker:
    """An eventfd where the system has one, else a pipe."""

    __slots__ = ("_read", "_write")

    def __init__(self) -> None:
        if hasattr(os, "eventfd"):
            self._read = self._write = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:  # pragma: no cover
            self._read, self._write = os.pipe()
            os.set_blocking(self._read, False)
            os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """The descriptor to poll for reading; -1 when closed."""
        return self._read

    def wake(self) -> None:
        """Make the descriptor readable."""
        # A full counter is readable already.
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"\1\0\0\0\0\0\0\0")

    def drain(self) -> None:
        """Make the descriptor unreadable."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)

    def close(self) -> None:
        """Give the descriptors back; also right in a child process."""
        read, write = self._read, self._write
        self._read = self._write = -1
        if read >= 0:
            os.close(read)
        if write not in (read, -1):  # pragma: no cover
            os.close(write)
