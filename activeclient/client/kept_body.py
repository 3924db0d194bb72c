"""Large bodies in temporary files (cacheLargeMessagesClient).

Law of this file: a file has no name and no other user, and is gone with the last that holds it: the message, or
somebody who reads it.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterable
from typing import BinaryIO, cast

from activeclient.errors import LargeMessageError

_BUFFER = 64 * 1024


class KeptBody:
    """A whole body on disk, which can be opened any number of times.

    Args:
        pieces: The body, inflated, in order; they are taken until their end.

    Raises:
        LargeMessageError: The disk does not take it.
    """

    __slots__ = ("_descriptor", "size")

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._descriptor = -1
        self.size: int = 0
        """Bytes."""
        try:
            with tempfile.TemporaryFile(prefix="activeclient-") as file:
                for piece in pieces:
                    file.write(piece)
                    self.size += len(piece)
                file.flush()
                self._descriptor = os.dup(file.fileno())
        except OSError as error:
            rule = f"the temporary file for the body cannot be written: {error.strerror or error}"
            raise LargeMessageError(rule) from error

    def open(self) -> BinaryIO:
        """The body as a file of its own position, from the first byte on."""
        return cast("BinaryIO", io.BufferedReader(_View(self), _BUFFER))

    def read(self, buffer: memoryview, position: int) -> int:
        """Fill `buffer` with what lies behind `position`; returns how many bytes that are."""
        return os.preadv(self._descriptor, [buffer], position)

    def __del__(self) -> None:
        descriptor, self._descriptor = getattr(self, "_descriptor", -1), -1
        if descriptor >= 0:
            os.close(descriptor)


class _View(io.RawIOBase):
    """One reader of a kept body."""

    def __init__(self, body: KeptBody) -> None:
        self._body = body
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._body.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        count = self._body.read(buffer, self._position)
        self._position += count
        return count
