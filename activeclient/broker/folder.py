"""The folder of a persistent broker: one process at a time, and nobody else's files.

Law of this file: nothing is written into a folder that is not empty and not ours; the lock is held by the operating
system, so it ends with the process however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
from pathlib import Path
from typing import Final

from activeclient.errors import StoreError

_log = logging.getLogger("activeclient.broker")
DATABASE: Final = "activeclient.sqlite"
LARGE: Final = "large"
_LOCK: Final = "lock"


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk: without it a file may be nameless after a power cut, synchronised or not.

    Raises:
        OSError: The disk does not take it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private(path: Path) -> None:
    """Have a file or folder for its user alone, whatever made it; a warning if that cannot be."""
    try:
        status = path.stat()
        wanted = status.st_mode & (0o700 if stat.S_ISDIR(status.st_mode) else 0o600)
        if wanted != stat.S_IMODE(status.st_mode):
            path.chmod(wanted)
    except FileNotFoundError:
        return
    except OSError as error:
        _log.warning("%s: others may read it: %s", path, error.strerror)


def create_private(database: Path) -> None:
    """Make the file of a database, for its user alone, unless it is there; and have its companions so: SQLite makes
    them with the mode of the database.

    Raises:
        StoreError: It cannot be made, or its write-ahead log is there without it.
    """
    companions = [database.with_name(database.name + ending) for ending in ("-wal", "-shm")]
    if companions[0].exists() and companions[0].stat().st_size and not database.exists():
        raise StoreError(
            f"{database}: the database is missing, and {companions[0].name} holds commits that belong to it; put the"
            " database back from a copy, or remove that file to start with nothing"
        )
    try:
        os.close(os.open(database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"{database}: cannot be opened: {error.strerror}") from error
    for path in (database, *companions):
        make_private(path)


class Folder:
    """A folder that this process alone uses until `close`; made when it is missing, for its user alone.

    Raises:
        StoreError: Another broker uses it, it holds something else, or it cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path).absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = {entry.name for entry in os.scandir(self.path)}
            if names and not names & {DATABASE, _LOCK}:
                raise StoreError(f"{self.path}: not empty, and no broker's folder")
            self.abandoned: bool = False
            """Does a parent process go on using it?"""
            self._descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            make_private(self.path / _LOCK)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be used: {error.strerror or error}") from error
        try:
            self._lock()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 20, 0).decode("ascii", "replace").strip()
            raise StoreError(f"{self.path}: in use by another broker, of process {holder or 'unknown'}") from None
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be locked: {error.strerror}") from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.path / DATABASE

    @property
    def large(self) -> Path:
        """The folder of large bodies, which need not exist."""
        return self.path / LARGE

    def abandon(self) -> None:
        """In a child process: the lock is the parent's, and ends with it alone."""
        self.abandoned = True
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def close(self) -> None:
        """Others may use it."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1
