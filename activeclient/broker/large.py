"""The body of a large message: appended piece by piece, read from anywhere, in memory or in a temporary file.

Law of this file: what is kept in memory has a bound; what is beyond it is in a file without a name, which is gone when
the last message that shares the body is, or with the body itself.
"""

from __future__ import annotations

import os
from typing import IO


class LargeBody:
    """A body that arrives in pieces.

    Args:
        memory_limit: Bytes that are kept in memory; 0 keeps nothing there.
    """

    __slots__ = ("_file", "_limit", "_memory", "_owners", "size")

    def __init__(self, memory_limit: int) -> None:
        self._limit = memory_limit
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._owners = 1
        self.size = 0

    @property
    def memory(self) -> int:
        """Bytes in memory."""
        return len(self._memory)

    def append(self, piece: bytes) -> None:
        """The next piece.

        Raises:
            OSError: The temporary file cannot take it.
        """
        file = self._file
        if file is None:
            if self.size + len(piece) <= self._limit:
                self._memory += piece
                self.size += len(piece)
                return
            # Costs time to import, and few brokers need it.
            from tempfile import TemporaryFile

            file = self._file = TemporaryFile()  # noqa: SIM115 (lives as long as the message)
            file.write(self._memory)
            self._memory = bytearray()
        file.seek(self.size)
        file.write(piece)
        self.size += len(piece)

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on.

        Raises:
            ValueError: The last message that had it is gone.
        """
        if self._owners <= 0:
            raise ValueError("this body was released")
        if self._file is None:
            return bytes(self._memory[at : at + size])
        self._file.seek(at)
        return self._file.read(size)

    def snapshot(self) -> bytes | int:
        """All of it, to be read by another thread: the bytes, or a descriptor of the file, which the caller closes."""
        if self._file is None:
            return bytes(self._memory)
        self._file.flush()
        return os.dup(self._file.fileno())

    def share(self) -> None:
        """One message more has this body."""
        self._owners += 1

    def release(self) -> None:
        """One message less has it; with the last the bytes are gone."""
        self._owners -= 1
        if self._owners <= 0:
            self._memory = bytearray()
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self._close()
