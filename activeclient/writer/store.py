"""What a writer has taken and the broker has not confirmed: in memory, or in a file that outlives the program.

Law of this file: an entry keeps its place and its duplicate id for ever, and never comes back once it is removed. A
store does not bound itself: it says what it holds. Thread-safe.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import OrderedDict
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from activeclient.errors import StoreError

APPLICATION_ID: Final = 0x41435753
FORMAT: Final = 1
ENTRY_BYTES: Final = 128
"""What an entry weighs besides its content: its row, its keys."""
BUSY_SECONDS: Final = 0.2
"""How long another process may hold the file before it is called in use."""


class Entry(NamedTuple):
    """One message in a store."""

    number: int
    """Its place in the order; grows, and is never used twice."""
    duplicate_id: bytes
    """By which the broker recognises a repeat."""
    content: bytes
    stored_ms: int
    """When it was stored: ms since 1970."""

    @property
    def weight(self) -> int:
        """Bytes that it counts for."""
        return len(self.content) + ENTRY_BYTES


class Store(Protocol):
    """Where a writer keeps entries."""

    def append(self, content: bytes) -> Entry:
        """Add an entry at the end; when this returns, the entry is as safe as the store can make it."""

    def after(self, number: int, most: int) -> list[Entry]:
        """The next entries behind `number`, in order, at most so many."""

    def remove(self, numbers: list[int]) -> int:
        """Remove entries; returns the bytes that are free again. Numbers that are not there are passed over."""

    def oldest_ms(self) -> int | None:
        """When the oldest entry was stored; None when there is none."""

    @property
    def count(self) -> int:
        """Entries."""

    @property
    def size(self) -> int:
        """Bytes."""

    def close(self) -> None:
        """Use it no more; a file keeps its entries."""


def _now_ms() -> int:
    return int(time.time() * 1000)


class MemoryStore:
    """Entries that live as long as the program."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._next = 1
        self._prefix = os.urandom(12)
        self._size = 0

    def append(self, content: bytes) -> Entry:
        with self._lock:
            number = self._next
            self._next += 1
            entry = Entry(number, self._prefix + number.to_bytes(8, "big"), content, _now_ms())
            self._entries[number] = entry
            self._size += entry.weight
            return entry

    def after(self, number: int, most: int) -> list[Entry]:
        with self._lock:
            found: list[Entry] = []
            for key, entry in self._entries.items():
                if key > number:
                    found.append(entry)
                    if len(found) >= most:
                        break
            return found

    def remove(self, numbers: list[int]) -> int:
        freed = 0
        with self._lock:
            for number in numbers:
                entry = self._entries.pop(number, None)
                if entry is not None:
                    freed += entry.weight
            self._size -= freed
        return freed

    def oldest_ms(self) -> int | None:
        with self._lock:
            return next((entry.stored_ms for entry in self._entries.values()), None)

    @property
    def count(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        return self._size

    def close(self) -> None:
        """Nothing is kept."""


_SCHEMA: Final = f"""
CREATE TABLE entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, content BLOB NOT NULL, stored_ms INTEGER NOT NULL);
CREATE TABLE identity (prefix BLOB NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""


class FileStore:
    """Entries in a SQLite file, which one process at a time may use. They outlive the program however it ends.

    Args:
        path: The file; made when it is missing, for its user alone.

    Raises:
        StoreError: It is no store, damaged, in use, or the disk does not take it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path).absolute()
        self._lock = threading.Lock()
        try:
            if not self.path.exists():
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(
                self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._error("cannot be opened", error) from error
        try:
            self._open()
        except sqlite3.Error as error:
            self._database.close()
            raise self._error("cannot be used", error) from error
        except BaseException:
            self._database.close()
            raise

    def _error(self, what: str, error: Exception) -> StoreError:
        busy = "locked" in str(error)
        return StoreError(f"{self.path}: {'in use by another process' if busy else f'{what}: {error}'}")

    def _open(self) -> None:
        database = self._database
        # One process: the lock is taken with the first access and held until the file is closed.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        application = database.execute("PRAGMA application_id").fetchone()[0]
        if application == 0 and not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            database.executescript(f"BEGIN EXCLUSIVE; {_SCHEMA} COMMIT;")
            database.execute("INSERT INTO identity VALUES (?)", (os.urandom(12),))
        elif application != APPLICATION_ID:
            raise StoreError(f"{self.path}: is no store of a writer")
        elif database.execute("PRAGMA user_version").fetchone()[0] != FORMAT:
            raise StoreError(f"{self.path}: was written by another version of activeclient")
        row = database.execute("SELECT prefix FROM identity").fetchone()
        if row is None:  # made by a program that was killed between the two statements above
            row = (os.urandom(12),)
            database.execute("INSERT INTO identity VALUES (?)", row)
        self._prefix = bytes(row[0])
        count, size = database.execute(
            "SELECT count(*), coalesce(sum(length(content) + ?), 0) FROM entries", (ENTRY_BYTES,)
        ).fetchone()
        self._count, self._size = int(count), int(size)

    def append(self, content: bytes) -> Entry:
        stored = _now_ms()
        with self._lock:
            try:
                cursor = self._database.execute(
                    "INSERT INTO entries (content, stored_ms) VALUES (?, ?)", (content, stored)
                )
            except sqlite3.Error as error:
                raise self._error("cannot be written", error) from error
            number = int(cursor.lastrowid or 0)
            entry = Entry(number, self._prefix + number.to_bytes(8, "big"), content, stored)
            self._count += 1
            self._size += entry.weight
            return entry

    def after(self, number: int, most: int) -> list[Entry]:
        with self._lock:
            try:
                with closing(
                    self._database.execute(
                        "SELECT number, content, stored_ms FROM entries WHERE number > ? ORDER BY number LIMIT ?",
                        (number, most),
                    )
                ) as rows:
                    return [
                        Entry(found, self._prefix + int(found).to_bytes(8, "big"), bytes(content), stored)
                        for found, content, stored in rows
                    ]
            except sqlite3.Error as error:
                raise self._error("cannot be read", error) from error

    def remove(self, numbers: list[int]) -> int:
        if not numbers:
            return 0
        freed = removed = 0
        with self._lock:
            try:
                self._database.execute("BEGIN")
                for number in numbers:
                    row = self._database.execute(
                        "DELETE FROM entries WHERE number = ? RETURNING length(content)", (number,)
                    ).fetchone()
                    if row is not None:
                        freed += int(row[0]) + ENTRY_BYTES
                        removed += 1
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._error("cannot be written", error) from error
            self._count -= removed
            self._size -= freed
        return freed

    def oldest_ms(self) -> int | None:
        with self._lock:
            try:
                row = self._database.execute("SELECT stored_ms FROM entries ORDER BY number LIMIT 1").fetchone()
            except sqlite3.Error as error:
                raise self._error("cannot be read", error) from error
        return None if row is None else int(row[0])

    @property
    def count(self) -> int:
        return self._count

    @property
    def size(self) -> int:
        return self._size

    def close(self) -> None:
        """Use the file no more; its entries stay."""
        with self._lock:
            self._database.close()
