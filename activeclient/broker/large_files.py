"""Large bodies that survive: a file for each, beside the database.

Law of this file: a body is whole on the disk before the commit that names its message, and its file goes after the
commit that forgets it; what a crash leaves between the two is removed at the next start.
"""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path
from typing import Final

from activeclient.broker.folder import sync_folder
from activeclient.broker.large import LargeBody
from activeclient.errors import StoreError

PIECE: Final = 1 << 20
"""Bytes that are copied at a time."""
_UNFINISHED: Final = ".part"


class KeptBody(LargeBody):
    """A body read from its file. The file is opened when first asked for, and then stays readable until `release`, also
    when it is removed meanwhile."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: Path, size: int) -> None:
        # Not the parent's: there is no temporary file.
        self._path = path
        self._descriptor = -1
        self._owners = 1
        self.size = size

    @property
    def memory(self) -> int:
        """Bytes in memory: none."""
        return 0

    def _opened(self) -> int:
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        return self._descriptor

    def append(self, piece: bytes) -> None:
        """Not any more."""
        raise TypeError("a stored body is complete")

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on.

        Raises:
            OSError: The file cannot be read.
            ValueError: The last message that had it is gone.
        """
        if self._owners <= 0:
            raise ValueError("this body was released")
        return os.pread(self._opened(), size, at)

    def snapshot(self) -> bytes | int:
        """A descriptor of the file, which the caller closes."""
        return os.dup(self._opened())

    def share(self) -> None:
        """One message more has this body."""
        self._opened()
        super().share()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class LargeFiles:
    """The files of a store. Used by its thread, `body` excepted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, message_id: int) -> Path:
        return self._folder / str(message_id)

    def keep(self, message_id: int, body: bytes | int) -> None:
        """Have the body of a message on the disk: its bytes, or what a descriptor reads.

        Raises:
            OSError: The disk does not take it.
        """
        if not self._folder.exists():
            self._folder.mkdir(mode=0o700)
            sync_folder(self._folder.parent)
        path = self._path(message_id)
        part = path.with_suffix(_UNFINISHED)
        with open(part, "wb") as file:
            if isinstance(body, bytes):
                file.write(body)
            else:
                at = 0
                while piece := os.pread(body, PIECE, at):
                    file.write(piece)
                    at += len(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(self._folder)

    def body(self, message_id: int, size: int) -> KeptBody:
        """The body of a stored message.

        Raises:
            StoreError: It is not there, or not of this size.
        """
        path = self._path(message_id)
        try:
            found = path.stat().st_size
        except OSError as error:
            raise StoreError(f"{path}: the body of a message is missing: {error.strerror}") from error
        if found != size:
            raise StoreError(f"{path}: the body of a message has {found} bytes, not {size}")
        return KeptBody(path, size)

    def remove(self, message_id: int) -> None:
        """The message is gone."""
        self._path(message_id).unlink(missing_ok=True)

    def sweep(self, known: Container[int]) -> None:
        """Remove what belongs to none of the known messages."""
        if not self._folder.is_dir():
            return
        for entry in list(os.scandir(self._folder)):
            if not (entry.name.isdecimal() and int(entry.name) in known):
                os.unlink(entry.path)
