"""The store's tables, and what each operation changes in them.

Law of this file: operations are applied as MemoryStore does, in a transaction that the caller begins and commits. A
database that is not ours, is of a newer format or is damaged is refused by name and never changed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

from activeclient.broker.configuration import QueueConfiguration
from activeclient.broker.folder import create_private, sync_folder
from activeclient.broker.large import Snapshot
from activeclient.broker.large_files import KeptFile, LargeFiles
from activeclient.broker.message import StoredMessage
from activeclient.broker.store import (
    Acknowledged,
    AddressCreated,
    AddressDeleted,
    DeliveryCounted,
    DuplicateRecorded,
    DuplicatesForgotten,
    Forgotten,
    MessageStored,
    Operation,
    Prepared,
    QueueCreated,
    QueueDeleted,
    Resolved,
)
from activeclient.errors import ActiveClientError, StoreError
from activeclient.wire.fields import Xid, read_xid, write_xid

APPLICATION_ID: Final = 0x41434252
FORMAT: Final = 2
"""Raised when the tables change; older ones are converted."""
DUPLICATES_SLACK: Final = 1000
"""Duplicate ids of an address beyond its capacity before the oldest are deleted, all at once."""

_SCHEMA: Final = f"""
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE addresses (name TEXT PRIMARY KEY, routing_types INTEGER NOT NULL, auto_created INTEGER NOT NULL);
CREATE TABLE queues (id INTEGER PRIMARY KEY, configuration TEXT NOT NULL);
CREATE TABLE messages (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, large INTEGER, content BLOB NOT NULL,
    checksum INTEGER, large_checksum INTEGER);
CREATE TABLE places (
    message_id INTEGER NOT NULL, queue_id INTEGER NOT NULL, count INTEGER NOT NULL, scheduled_ms INTEGER NOT NULL,
    PRIMARY KEY (message_id, queue_id)) WITHOUT ROWID;
CREATE TABLE duplicates (
    number INTEGER PRIMARY KEY, address TEXT NOT NULL, value BLOB NOT NULL, capacity INTEGER NOT NULL,
    UNIQUE (address, value));
CREATE TABLE branches (xid BLOB PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE prepared (
    number INTEGER PRIMARY KEY, xid BLOB NOT NULL, kind TEXT NOT NULL, fields TEXT NOT NULL, content BLOB,
    checksum INTEGER);
CREATE INDEX prepared_by_xid ON prepared (xid);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
"""
_FROM_1: Final = f"""
ALTER TABLE messages ADD COLUMN checksum INTEGER;
ALTER TABLE messages ADD COLUMN large_checksum INTEGER;
ALTER TABLE prepared ADD COLUMN checksum INTEGER;
PRAGMA user_version = {FORMAT};
"""
"""What is stored already has no checksum, and is not checked."""
_PREPARED, _COMMITTED, _ROLLED_BACK = "prepared", "committed", "rolled back"


class Capture(NamedTuple):
    """A message as it was when it was to be stored: it may be released before that is done."""

    message_id: int
    content: bytes
    large: bytes | Snapshot | None
    """Its large body: bytes, or what reads it, to be released. None also when the disk has it."""
    large_size: int | None
    queue_ids: tuple[int, ...]
    counts: tuple[int, ...]
    large_checksum: int | None = None


class CapturedBranch(NamedTuple):
    """A prepared transaction with captured messages."""

    xid: Xid
    operations: tuple[Captured, ...]


Captured = Operation | Capture | CapturedBranch


def captured(operation: Operation) -> Captured:
    """What to give to the storage thread for an operation."""
    if isinstance(operation, MessageStored):
        message, queue_ids, counts = operation
        large = message.large
        return Capture(
            message.id,
            message.encoded(),
            None if large is None else large.snapshot(),
            None if large is None else large.size,
            queue_ids,
            counts or (0,) * len(queue_ids),
            None if large is None else large.checksum,
        )
    if isinstance(operation, Prepared):
        return CapturedBranch(operation.xid, tuple(captured(each) for each in operation.operations))
    return operation


def checksum(message_id: int, content: bytes) -> int:
    """What tells a row whose bytes were altered, or that is another message's."""
    return crc32(content, message_id & 0xFFFFFFFF)


def snapshots(operation: Captured) -> Iterator[Snapshot]:
    """What of large bodies a capture holds."""
    if isinstance(operation, Capture) and isinstance(operation.large, Snapshot):
        yield operation.large
    elif isinstance(operation, CapturedBranch):
        for each in operation.operations:
            yield from snapshots(each)


class Tables:
    """The tables of one database.

    Raises:
        StoreError: It is no database of ours, is in use, or damaged.
    """

    def __init__(self, path: Path, files: LargeFiles) -> None:
        self._path = path
        self._files = files
        create_private(path)
        self._gone: list[int] = []
        self.copied: list[tuple[Snapshot, KeptFile]] = []
        """Bodies that have a file, which counts with the commit. The store hands them to the broker's thread."""
        self.database: sqlite3.Connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=0
        )
        self._execute = self.database.execute
        self._execute_many = self.database.executemany
        try:
            with self.refusing():
                self._open()
        except BaseException:
            self.database.close()
            raise

    def refusing(self) -> Refusing:
        """Errors of SQLite become StoreError, with the file's name."""
        return Refusing(self._path)

    def _open(self) -> None:
        execute = self._execute
        found = execute("PRAGMA application_id").fetchone()[0], execute("PRAGMA user_version").fetchone()[0]
        fresh = found == (0, 0) and not execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not fresh and found[0] != APPLICATION_ID:
            raise StoreError(f"{self._path}: a database of another application")
        if not fresh and found[1] not in (1, FORMAT):
            raise StoreError(f"{self._path}: of format {found[1]}; this version knows {FORMAT}")
        if fresh:
            self._refuse_loss()
        execute("PRAGMA locking_mode = EXCLUSIVE")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        if fresh:
            self.database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            sync_folder(self._path.parent)
        elif found[1] < FORMAT:
            self.database.executescript(f"BEGIN IMMEDIATE; {_FROM_1} COMMIT;")
        self._highest = self._saved_highest = self.highest_id()
        # Messages come back in the order of their commits, which need not be that of their ids.
        self._number = execute("SELECT coalesce(max(number), 0) FROM messages").fetchone()[0]
        self._duplicates = dict(execute("SELECT address, count(*) FROM duplicates GROUP BY address"))
        self._large = dict(execute("SELECT id, large FROM messages WHERE large IS NOT NULL"))
        for fields in execute("SELECT fields FROM prepared WHERE kind = 'message'"):
            message_id, large_size, *_ = json.loads(fields[0])
            if large_size is not None:
                self._large[message_id] = large_size
        self._files.sweep(self._large)

    def _refuse_loss(self) -> None:
        """An empty database beside bodies of messages is not a new folder: something took the database away."""
        count = self._files.count()
        if count:
            raise StoreError(
                f"{self._path}: the database is missing or empty, and {count} large bodies of its messages are in"
                f" {self._files.folder}; put the database back from a copy (with its -wal), or remove that folder to"
                " start with nothing"
            )

    def highest_id(self) -> int:
        """The highest id of a message or queue that was ever stored."""
        found = self._execute("SELECT value FROM counters WHERE name = 'highest id'").fetchone()
        return 0 if found is None else int(found[0])

    # --- changing -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A transaction begins."""
        self._execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """All that was applied since is on the disk."""
        if self._highest > self._saved_highest:
            self._execute("INSERT OR REPLACE INTO counters VALUES ('highest id', ?)", (self._highest,))
        self._execute("COMMIT")
        self._saved_highest = self._highest
        gone, self._gone = self._gone, []
        for message_id in gone:
            if message_id not in self._large:
                self._files.remove(message_id)

    def roll_back(self) -> None:
        """Nothing of what was applied since counts."""
        if self.database.in_transaction:
            self._execute("ROLLBACK")

    def apply(self, operations: Iterable[Captured]) -> None:
        """Change what the operations say (hot path). Runs of messages and acknowledgements, which are most of them, go
        together: no message is stored behind its acknowledgement."""
        messages: list[Capture] = []
        acknowledged: list[Acknowledged] = []
        for operation in operations:
            kind = type(operation)
            if kind is Capture:
                messages.append(operation)  # type: ignore[arg-type]
            elif kind is Acknowledged:
                acknowledged.append(operation)  # type: ignore[arg-type]
            else:
                self._store(messages)
                self._acknowledge(acknowledged)
                messages, acknowledged = [], []
                self._apply_rare(operation)
        self._store(messages)
        self._acknowledge(acknowledged)

    def _apply_rare(self, operation: Captured) -> None:
        execute = self._execute
        match operation:
            case DeliveryCounted(message_id, queue_id, count, scheduled_ms):
                execute(
                    "UPDATE places SET count = ?, scheduled_ms = ? WHERE message_id = ? AND queue_id = ?",
                    (count, scheduled_ms, message_id, queue_id),
                )
            case DuplicateRecorded(address, value, capacity):
                self._record(address, value, capacity)
            case AddressCreated(name, routing_types, auto_created):
                bits = sum(1 << each for each in routing_types)
                execute("INSERT OR REPLACE INTO addresses VALUES (?, ?, ?)", (name, bits, auto_created))
            case AddressDeleted(name):
                execute("DELETE FROM addresses WHERE name = ?", (name,))
                self._forget(name)
            case DuplicatesForgotten(name):
                self._forget(name)
            case QueueCreated(queue_id, configuration):
                self._highest = max(self._highest, queue_id)
                execute("INSERT OR REPLACE INTO queues VALUES (?, ?)", (queue_id, json.dumps(asdict(configuration))))
            case QueueDeleted(queue_id):
                execute("DELETE FROM queues WHERE id = ?", (queue_id,))
                held = execute("SELECT message_id FROM places WHERE queue_id = ?", (queue_id,)).fetchall()
                self._acknowledge([(message_id, queue_id) for (message_id,) in held])
            case CapturedBranch(xid, operations):
                self._prepare(write_xid(xid), operations)
            case Resolved(xid, committed, heuristic):
                self._resolve(write_xid(xid), committed, heuristic)
            case Forgotten(xid):
                execute("DELETE FROM branches WHERE xid = ?", (write_xid(xid),))

    def _store(self, messages: list[Capture]) -> None:
        rows = []
        places = []
        for message_id, content, large, large_size, queue_ids, counts, large_checksum in messages:
            if message_id > self._highest:
                self._highest = message_id
            if large_size is not None:
                self._keep_body(message_id, large, large_size)
            self._number += 1
            rows.append((message_id, self._number, large_size, content, checksum(message_id, content), large_checksum))
            for queue_id, count in zip(queue_ids, counts, strict=True):
                places.append((message_id, queue_id, count))
        if rows:
            self._execute_many("INSERT OR REPLACE INTO messages VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._execute_many("INSERT OR REPLACE INTO places VALUES (?, ?, ?, 0)", places)

    def _keep_body(self, message_id: int, large: bytes | Snapshot | None, size: int) -> None:
        self._large[message_id] = size
        if large is not None:
            self._files.keep(message_id, large)
        if isinstance(large, Snapshot):
            self.copied.append((large, self._files.file(message_id)))

    def _acknowledge(self, pairs: Sequence[tuple[int, int]]) -> None:
        if not pairs:
            return
        # A body that belongs to a prepared transaction is not among the messages yet.
        large = {message_id for message_id, _ in pairs if message_id in self._large and self._has(message_id)}
        self._execute_many("DELETE FROM places WHERE message_id = ? AND queue_id = ?", pairs)
        self._execute_many(
            "DELETE FROM messages WHERE id = ? AND NOT EXISTS (SELECT 1 FROM places WHERE message_id = messages.id)",
            [(message_id,) for message_id, _ in pairs],
        )
        for message_id in large:
            if not self._has(message_id):
                del self._large[message_id]
                self._gone.append(message_id)

    def _has(self, message_id: int) -> bool:
        return self._execute("SELECT 1 FROM messages WHERE id = ?", (message_id,)).fetchone() is not None

    def _forget(self, address: str) -> None:
        self._execute("DELETE FROM duplicates WHERE address = ?", (address,))
        self._duplicates.pop(address, None)

    def _record(self, address: str, value: bytes, capacity: int) -> None:
        row = (address, value, capacity)
        insert = "INSERT OR IGNORE INTO duplicates (address, value, capacity) VALUES (?, ?, ?)"
        if not self._execute(insert, row).rowcount:
            return
        count = self._duplicates.get(address, 0) + 1
        if count > capacity + DUPLICATES_SLACK:
            self._execute(
                "DELETE FROM duplicates WHERE address = ? AND number <= (SELECT number FROM duplicates"
                " WHERE address = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
                (address, address, capacity),
            )
            count = capacity
        self._duplicates[address] = count

    # --- prepared transactions ----------------------------------------------------------------------------------------

    def _prepare(self, xid: bytes, operations: Iterable[Captured]) -> None:
        self._execute("INSERT OR REPLACE INTO branches VALUES (?, ?)", (xid, _PREPARED))
        for operation in operations:
            content: bytes | None = None
            sum_: int | None = None
            fields: list[object]
            if isinstance(operation, Capture):
                self._highest = max(self._highest, operation.message_id)
                if operation.large_size is not None:
                    self._keep_body(operation.message_id, operation.large, operation.large_size)
                content = operation.content
                sum_ = checksum(operation.message_id, content)
                kind = "message"
                fields = [
                    operation.message_id,
                    operation.large_size,
                    operation.queue_ids,
                    operation.counts,
                    operation.large_checksum,
                ]
            elif isinstance(operation, Acknowledged):
                kind, fields = "acknowledged", list(operation)
            elif isinstance(operation, DeliveryCounted):
                kind, fields = "counted", list(operation)
            elif isinstance(operation, DuplicateRecorded):
                content = operation.value
                kind, fields = "duplicate", [operation.address, operation.capacity]
            else:
                raise TypeError(f"{type(operation).__name__} cannot be prepared")
            self._execute(
                "INSERT INTO prepared (xid, kind, fields, content, checksum) VALUES (?, ?, ?, ?, ?)",
                (xid, kind, json.dumps(fields), content, sum_),
            )

    def _held(self, xid: bytes) -> list[Captured]:
        rows = self._execute(
            "SELECT kind, fields, content, checksum FROM prepared WHERE xid = ? ORDER BY number", (xid,)
        )
        return [self._held_operation(*row) for row in rows]

    def _held_operation(self, kind: str, text: str, content: bytes, sum_: int | None) -> Captured:
        fields = json.loads(text)
        if kind == "message":
            self._check(fields[0], content, sum_)
        return _HELD[kind](fields, content)

    def _resolve(self, xid: bytes, committed: bool, heuristic: bool) -> None:
        held = self._held(xid)
        self._execute("DELETE FROM prepared WHERE xid = ?", (xid,))
        self._execute("DELETE FROM branches WHERE xid = ?", (xid,))
        if heuristic:
            state = _COMMITTED if committed else _ROLLED_BACK
            self._execute("INSERT INTO branches VALUES (?, ?)", (xid, state))
        if committed:
            self.apply(held)
            return
        for operation in held:
            if isinstance(operation, Capture) and self._large.pop(operation.message_id, None) is not None:
                self._gone.append(operation.message_id)

    # --- reading ------------------------------------------------------------------------------------------------------

    def operations(self) -> Iterator[Operation]:
        """The shortest operations that make what is stored."""
        execute = self._execute
        for name, bits, auto_created in execute("SELECT name, routing_types, auto_created FROM addresses"):
            yield AddressCreated(name, frozenset(n for n in range(2) if bits >> n & 1), bool(auto_created))
        for queue_id, configuration in execute("SELECT id, configuration FROM queues ORDER BY id"):
            yield QueueCreated(queue_id, QueueConfiguration(**json.loads(configuration)))
        yield from self._messages()
        for (address,) in execute("SELECT DISTINCT address FROM duplicates").fetchall():
            yield from self._remembered(address)
        for xid, state in execute("SELECT xid, state FROM branches").fetchall():
            name = read_xid(xid, 0)[0]
            if state == _PREPARED:
                yield Prepared(name, tuple(self._restored(each) for each in self._held(xid)))
            else:
                yield Resolved(name, state == _COMMITTED, heuristic=True)

    def _messages(self) -> Iterator[Operation]:
        rows = self._execute("SELECT id, content, large, checksum, large_checksum FROM messages ORDER BY number")
        for message_id, content, large_size, sum_, large_checksum in rows:
            self._check(message_id, content, sum_)
            places = self._execute(
                "SELECT queue_id, count, scheduled_ms FROM places WHERE message_id = ?", (message_id,)
            ).fetchall()
            message = self._message(message_id, content, large_size, large_checksum)
            yield MessageStored(message, tuple(row[0] for row in places), tuple(row[1] for row in places))
            for queue_id, count, scheduled_ms in places:
                if scheduled_ms:
                    yield DeliveryCounted(message_id, queue_id, count, scheduled_ms)

    def _remembered(self, address: str) -> Iterator[Operation]:
        newest = self._execute(
            "SELECT value, capacity FROM duplicates WHERE address = ? ORDER BY number DESC", (address,)
        ).fetchall()
        capacity = newest[0][1]
        for value, _ in reversed(newest[:capacity]):
            yield DuplicateRecorded(address, value, capacity)

    def _check(self, message_id: int, content: bytes, sum_: int | None) -> None:
        if sum_ is not None and sum_ != checksum(message_id, content):
            raise StoreError(
                f"{self._path}: message {message_id} is damaged: its bytes are not those that were stored; put the"
                f" folder back from a copy, or delete the message (DELETE FROM messages WHERE id = {message_id})"
            )

    def _message(
        self, message_id: int, content: bytes, large_size: int | None, large_checksum: int | None
    ) -> StoredMessage:
        large = None if large_size is None else self._files.body(message_id, large_size, large_checksum)
        try:
            return StoredMessage.from_encoded(content, large)
        except ActiveClientError as error:
            raise StoreError(f"{self._path}: message {message_id} is damaged: {error}") from error

    def _restored(self, operation: Captured) -> Operation:
        if isinstance(operation, Capture):
            message = self._message(
                operation.message_id, operation.content, operation.large_size, operation.large_checksum
            )
            return MessageStored(message, operation.queue_ids, operation.counts)
        assert not isinstance(operation, CapturedBranch)
        return operation


_HELD: Final[dict[str, Callable[[list[Any], bytes], Captured]]] = {
    # The checksum of the body is missing in format 1.
    "message": lambda f, content: Capture(f[0], content, None, f[1], tuple(f[2]), tuple(f[3]), (*f, None)[4]),
    "acknowledged": lambda f, _: Acknowledged(*f),
    "counted": lambda f, _: DeliveryCounted(*f),
    "duplicate": lambda f, content: DuplicateRecorded(f[0], content, f[1]),
}


class Refusing:
    """What SQLite raises within becomes StoreError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise StoreError(f"{self._path}: in use by another process") from error
        if isinstance(error, sqlite3.OperationalError | OSError):
            raise StoreError(f"{self._path}: {error}") from error
        if isinstance(error, sqlite3.DatabaseError):
            raise StoreError(f"{self._path}: no database, or a damaged one: {error}") from error
        if isinstance(error, ValueError | TypeError | KeyError):
            raise StoreError(f"{self._path}: holds what this version cannot read: {error}") from error
