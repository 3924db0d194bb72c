"""The store that survives a crash: SQLite beside files for large bodies, written by a thread of its own.

Law of this file: what one `append` was given is committed together, in the order of the calls, and no callback runs
before the commit that it waits for is on the disk (WAL, synchronous=FULL). Callbacks run on the thread that calls
`collect` or `close`, never on the storage thread. What comes while a commit runs goes with the next one, so the disk is
waited for once for many. After a failure of the disk nothing completes any more.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Final

from activeclient.broker.folder import Folder
from activeclient.broker.large import Snapshot
from activeclient.broker.large_files import KeptFile, LargeFiles
from activeclient.broker.sqlite_tables import Captured, Tables, captured, snapshots
from activeclient.broker.store import Done, Operation
from activeclient.errors import StoreError

BATCH: Final = 10_000
"""Operations in one commit at most; those of one `append` are never parted."""


class SqliteStore:
    """A store in a folder.

    Args:
        path: The folder; made when it is missing.

    Raises:
        StoreError: Another broker uses it, it is no broker's folder, of a newer format, or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.busy: bool = False
        """Is something appended whose callbacks did not run yet?"""
        self._folder = Folder(path)
        try:
            self._files = LargeFiles(self._folder.large)
            self._tables = Tables(self._folder.database, self._files)
        except BaseException:
            self._folder.close()
            raise
        self.highest_id: int = self._tables.highest_id()
        """The highest id of a message or queue that was ever stored when this was opened."""
        self._callbacks: deque[tuple[int, Done]] = deque()
        self._read: deque[tuple[Snapshot, KeptFile | None]] = deque()
        """Snapshots that the storage thread does not need any more, and the files that have their bodies now."""
        self._appended = 0
        self._condition = threading.Condition()
        self._pending: deque[tuple[Captured, ...]] = deque()
        self._backlog = 0
        self._completed = 0
        self._failure: StoreError | None = None
        self._closing = False
        self._closed = False
        self._on_progress: Done | None = None
        self._telling = threading.Lock()
        # Held while the database is used.
        self._using = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="activeclient-store", daemon=True)
        self._thread.start()
        _stores.add(self)

    # --- the broker's thread ------------------------------------------------------------------------------------------

    @property
    def on_progress(self) -> Done | None:
        """Called by the storage thread when `collect` has something to do; must neither block nor raise, nor set this.
        Once another value was set, the one before is not called any more."""
        return self._on_progress

    @on_progress.setter
    def on_progress(self, tell: Done | None) -> None:
        with self._telling:
            self._on_progress = tell

    @property
    def backlog(self) -> int:
        """Operations that wait for the disk: what a server that reads on must bound."""
        return self._backlog

    def append(self, *operations: Operation) -> None:
        """Keep these, together. Never waits for a disk.

        Raises:
            StoreError: The disk failed before, or the store is closed.
        """
        self._check()
        if not operations:
            return
        kept = tuple(captured(operation) for operation in operations)
        self.busy = True
        self._appended += 1
        with self._condition:
            self._pending.append(kept)
            self._backlog += len(kept)
            if len(self._pending) == 1:
                self._condition.notify_all()

    def when_complete(self, callback: Done) -> None:
        """Call when all that was appended is on the disk; at once, if nothing is pending."""
        if self.busy:
            self._callbacks.append((self._appended, callback))
        else:
            callback()

    def collect(self) -> None:
        """Run the callbacks that are due, in order.

        Raises:
            StoreError: The disk failed: what is not complete never will be.
        """
        with self._condition:
            completed, failure = self._completed, self._failure
        while self._read:
            snapshot, file = self._read.popleft()
            if file is not None:
                snapshot.body.adopt(file)
            snapshot.release()
        callbacks = self._callbacks
        while callbacks and callbacks[0][0] <= completed:
            callbacks.popleft()[1]()
        if completed == self._appended:
            self.busy = False
        if failure is not None:
            raise failure.again()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was appended is on the disk, then `collect`; False when the seconds are over before.

        Raises:
            StoreError: The disk failed.
        """
        appended = self._appended
        with self._condition:
            ended = self._condition.wait_for(lambda: self._completed >= appended or self._failure is not None, timeout)
        self.collect()
        return ended

    def load(self) -> Iterator[Operation]:
        """The shortest operations that make what this store holds. Callbacks that wait belong to a broker that has
        ended, and are forgotten.

        Raises:
            StoreError: What it holds cannot be read.
        """
        self._check()
        self._callbacks.clear()
        self.wait()
        with self._using, self._tables.refusing():
            yield from self._tables.operations()

    def close(self) -> None:
        """Complete everything, run the callbacks, and let go of the files.

        Raises:
            StoreError: The disk failed; the files are let go all the same.
        """
        if self._closed or self._folder.abandoned:
            return
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        self._thread.join()
        self._closed = True
        try:
            with self._tables.refusing():
                self._tables.database.close()
        finally:
            self._files.close()
            self._folder.close()
        self.collect()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure.again()
        if self._closed:
            raise StoreError(f"{self._folder.path}: the store is closed")

    # --- the storage thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                with self._using, self._tables.refusing():
                    self._write(batch)
            except Exception as error:  # whatever it is, nothing may be confirmed after it
                failure = error if isinstance(error, StoreError) else StoreError(f"{self._folder.path}: {error!r}")
                self._fail(failure, batch)
                return
            with self._condition:
                self._completed += len(batch)
                self._backlog -= sum(map(len, batch))
                self._condition.notify_all()
            self._tell()

    def _next_batch(self) -> list[tuple[Captured, ...]]:
        """What goes into the next commit; nothing when it is over."""
        with self._condition:
            self._condition.wait_for(lambda: self._pending or self._closing)
            batch: list[tuple[Captured, ...]] = []
            size = 0
            while self._pending and size < BATCH:
                batch.append(self._pending.popleft())
                size += len(batch[-1])
            return batch

    def _write(self, batch: list[tuple[Captured, ...]]) -> None:
        tables = self._tables
        tables.begin()
        try:
            tables.apply(chain.from_iterable(batch))
            tables.commit()
        except BaseException:
            tables.roll_back()
            raise
        copied, tables.copied = tables.copied, []
        self._read.extend(copied)

    def _fail(self, failure: StoreError, batch: list[tuple[Captured, ...]]) -> None:
        with self._condition:
            self._failure = failure
            left = [operation for operations in [*batch, *self._pending] for operation in operations]
            self._pending.clear()
            self._condition.notify_all()
        for operation in left:
            self._read.extend((snapshot, None) for snapshot in snapshots(operation))
        self._tell()

    def _tell(self) -> None:
        with self._telling:
            if self._on_progress is not None:
                self._on_progress()


_stores: Final[weakref.WeakSet[SqliteStore]] = weakref.WeakSet()
_inherited: Final[list[SqliteStore]] = []
"""Those of a parent process: SQLite wants their databases neither used nor closed here."""


def _after_fork_in_child() -> None:
    for store in list(_stores):
        store._folder.abandon()
        _inherited.append(store)
    _stores.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
