"""The body of a large message: appended piece by piece, read from anywhere, in memory or in a temporary file.

Law of this file: what is kept in memory has a bound; what is beyond it is in a file without a name, which is gone when
the last message that shares the body is.
"""

from __future__ import annotations

import os
from tempfile import SpooledTemporaryFile


class LargeBody:
    """A body that arrives in pieces.

    Args:
        memory_limit: Bytes that are kept in memory; 0 keeps nothing there.
    """

    __slots__ = ("_file", "_limit", "_owners", "size")

    def __init__(self, memory_limit: int) -> None:
        self._limit = memory_limit
        self._file = SpooledTemporaryFile(max_size=memory_limit)  # noqa: SIM115 (lives as long as the message)
        if memory_limit == 0:
            self._file.rollover()
        self._owners = 1
        self.size = 0

    @property
    def memory(self) -> int:
        """Bytes in memory."""
        return self.size if self.size <= self._limit else 0

    def append(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            OSError: The temporary file cannot take it.
        """
        self._file.seek(self.size)
        self._file.write(piece)
        self.size += len(piece)

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on."""
        self._file.seek(at)
        return self._file.read(size)

    def snapshot(self) -> bytes | int:
        """All of it, to be read by another thread: the bytes, or a descriptor of the file, which the caller closes."""
        if self.size <= self._limit:
            return self.read(0, self.size)
        self._file.flush()
        return os.dup(self._file.fileno())

    def share(self) -> None:
        """One message more has this body."""
        self._owners += 1

    def release(self) -> None:
        """One message less has it; with the last the bytes are gone."""
        self._owners -= 1
        if self._owners == 0:
            self._file.close()
