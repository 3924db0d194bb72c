"""Large bodies that survive: a file for each, beside the database.

Law of this file: a body is whole on the disk before the commit that names its message, and its file goes after the
commit that forgets it, when nobody reads it any more; what a crash leaves between the two is removed at the next start.
Files are opened when they are read, and few stay open. A body that is damaged is set aside, never removed.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Container
from pathlib import Path
from typing import Final, TypeVar

from activeclient.broker.folder import make_private, sync_folder
from activeclient.broker.large import LargeBody, Snapshot
from activeclient.broker.limits import OPEN_FILES
from activeclient.errors import StoreError

PIECE: Final = 1 << 20
"""Bytes that are copied at a time."""
DAMAGED: Final = ".damaged"
"""Ending of a body that was set aside."""
_UNFINISHED: Final = ".part"
_OUT_OF_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE)
PATIENCE_SECONDS: Final = 600.0
"""How long the store waits for a free descriptor: other parts of the process may use them all for a while."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 1.0
_log = logging.getLogger("activeclient.broker")
T = TypeVar("T")


def patiently(call: Callable[[], T]) -> T:
    """Do what needs a descriptor, as soon as there is one.

    Raises:
        OSError: Whatever else it raises; none was free for `PATIENCE_SECONDS`.
    """
    pause = _FIRST_PAUSE
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call()
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS or time.monotonic() > end:
                raise
            if pause == _FIRST_PAUSE:
                _log.warning("the store waits for a file descriptor: %s", error.strerror)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


class OpenFiles:
    """Reads files, and keeps those that were read last open. May be used by any thread.

    Args:
        most: Files that stay open.
    """

    def __init__(self, most: int = OPEN_FILES) -> None:
        self._most = most
        self._open: OrderedDict[Path, int] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._open)

    def read(self, path: Path, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on.

        Raises:
            OSError: The file cannot be read.
        """
        with self._lock:
            descriptor = self._open.pop(path, -1)
            if descriptor < 0:
                while len(self._open) >= self._most:
                    os.close(self._open.popitem(last=False)[1])
                descriptor = self._opened(path)
            self._open[path] = descriptor
            return os.pread(descriptor, size, at)

    def _opened(self, path: Path) -> int:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in _OUT_OF_DESCRIPTORS or not self._open:
                raise
        os.close(self._open.popitem(last=False)[1])  # one of ours is the oldest resource there is
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self, path: Path | None = None) -> None:
        """Close a file, or all."""
        with self._lock:
            paths = list(self._open) if path is None else [path]
            for each in paths:
                descriptor = self._open.pop(each, -1)
                if descriptor >= 0:
                    os.close(descriptor)


class KeptFile:
    """The file of one body (`large.BodyFile`)."""

    __slots__ = ("_files", "gone", "path", "read_by")

    def __init__(self, files: LargeFiles, path: Path) -> None:
        self._files = files
        self.path: Path = path
        self.read_by: bool = True
        """False when the body that read it has been released."""
        self.gone: bool = False
        """True when its message is gone."""

    def read(self, at: int, size: int) -> bytes:
        """Up to `size` bytes from `at` on.

        Raises:
            OSError: The file cannot be read.
        """
        return self._files.open.read(self.path, at, size)

    def release(self) -> None:
        """The body that reads it is gone."""
        self._files.released(self)

    def set_aside(self) -> Path:
        """It is damaged: keep it under another name, whatever becomes of its message. Gives the name."""
        return self._files.set_aside(self)


class LargeFiles:
    """The files of a store. `keep` and `sweep` are used by its thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open: OpenFiles = OpenFiles()
        self._lock = threading.Lock()
        self._kept: dict[Path, KeptFile] = {}
        """Files that a body reads."""

    def _path(self, message_id: int) -> Path:
        return self.folder / str(message_id)

    def keep(self, message_id: int, body: bytes | Snapshot) -> None:
        """Have the body of a message on the disk.

        Raises:
            OSError: The disk does not take it.
        """
        patiently(lambda: self._keep(message_id, body))

    def _keep(self, message_id: int, body: bytes | Snapshot) -> None:
        if not self.folder.exists():
            self.folder.mkdir(mode=0o700)
            sync_folder(self.folder.parent)
        path = self._path(message_id)
        part = path.with_suffix(_UNFINISHED)
        with open(part, "wb", opener=_private) as file:
            if isinstance(body, bytes):
                file.write(body)
            else:
                at = 0
                while piece := body.read(at, PIECE):
                    file.write(piece)
                    at += len(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        sync_folder(self.folder)

    def file(self, message_id: int) -> KeptFile:
        """The file of a message's body, for the one body that reads it."""
        path = self._path(message_id)
        with self._lock:
            made = self._kept[path] = KeptFile(self, path)
        return made

    def body(self, message_id: int, size: int, checksum: int | None = None) -> LargeBody:
        """The body of a stored message.

        Raises:
            StoreError: It is not there, or not of this size.
        """
        path = self._path(message_id)
        try:
            found = path.stat().st_size
        except OSError as error:
            raise StoreError(
                f"{path}: the body of a message is missing: {error.strerror}; put the file back from a copy of the"
                " folder, or start with an empty folder"
            ) from error
        if found != size:
            raise StoreError(
                f"{path}: the body of a message has {found} bytes, not {size}; put the file back from a copy of the"
                " folder, or start with an empty folder"
            )
        return LargeBody.stored(self.file(message_id), size, checksum)

    def remove(self, message_id: int) -> None:
        """The message is gone; its file goes when nobody reads it."""
        path = self._path(message_id)
        with self._lock:
            kept = self._kept.get(path)
            if kept is not None:
                kept.gone = True
                return
        path.unlink(missing_ok=True)

    def released(self, file: KeptFile) -> None:
        """The body that read this file is gone."""
        with self._lock:
            file.read_by = False
            self._kept.pop(file.path, None)
        self.open.close(file.path)
        if file.gone:
            file.path.unlink(missing_ok=True)

    def set_aside(self, file: KeptFile) -> Path:
        """Keep a damaged file under another name. Gives the name."""
        aside = file.path.with_name(file.path.name + DAMAGED)
        self.open.close(file.path)
        try:
            os.link(file.path, aside)
        except FileExistsError:
            pass
        except OSError as error:
            _log.error("%s: cannot be set aside: %s", file.path, error.strerror)
        return aside

    def count(self) -> int:
        """Bodies that are there."""
        if not self.folder.is_dir():
            return 0
        return sum(entry.name.isdecimal() for entry in os.scandir(self.folder))

    def sweep(self, known: Container[int]) -> None:
        """Remove what belongs to none of the known messages, and is not set aside."""
        if not self.folder.is_dir():
            return
        make_private(self.folder)
        for entry in list(os.scandir(self.folder)):
            kept = entry.name.removesuffix(DAMAGED)
            if kept.isdecimal() and (kept != entry.name or int(kept) in known):
                make_private(Path(entry.path))
            else:
                os.unlink(entry.path)

    def close(self) -> None:
        """Close what is open."""
        self.open.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
