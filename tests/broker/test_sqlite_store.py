"""The store on disk: the same as the one in memory, also after it was closed; and what it refuses."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activeclient.broker.configuration import QueueConfiguration
from activeclient.broker.large import LargeBody
from activeclient.broker.large_files import PIECE
from activeclient.broker.message import StoredMessage
from activeclient.broker.sqlite_store import SqliteStore
from activeclient.broker.sqlite_tables import DUPLICATES_SLACK
from activeclient.broker.store import (
    Acknowledged,
    AddressCreated,
    AddressDeleted,
    DeliveryCounted,
    DuplicateRecorded,
    DuplicatesForgotten,
    Forgotten,
    MemoryStore,
    MessageStored,
    Operation,
    Prepared,
    QueueCreated,
    QueueDeleted,
    Resolved,
    Store,
)
from activeclient.errors import StoreError
from activeclient.wire.fields import Xid
from activeclient.wire.message import CoreMessage

LIMIT = 100
SOON = 30.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "store")
    yield made
    made.close()


_bodies: list[LargeBody] = []


@pytest.fixture(autouse=True)
def _released() -> Iterator[None]:
    yield
    while _bodies:
        _bodies.pop().release()


def body_of(content: bytes) -> LargeBody:
    made = LargeBody(LIMIT)
    made.append(content)
    _bodies.append(made)
    return made


def message(message_id: int, large: bytes | None = None) -> StoredMessage:
    core = CoreMessage(b"" if large else b"body", 4, "q", message_id=message_id, properties={"n": message_id})
    return StoredMessage.from_core(core, None if large is None else body_of(large))


def plain(operation: Operation) -> object:
    """Something that compares."""
    if isinstance(operation, MessageStored):
        large = operation.message.large
        body = None if large is None else large.read(0, large.size)
        places = sorted(zip(operation.queue_ids, operation.counts, strict=True))
        return "message", operation.message.encoded(), body, places
    if isinstance(operation, Prepared):
        return "prepared", operation.xid, [plain(each) for each in operation.operations]
    if isinstance(operation, DuplicateRecorded):
        return "duplicate", operation.address, operation.value
    return type(operation).__name__, operation


def held(store: Store) -> tuple[list[object], list[object]]:
    """The messages in their order, and everything else in any."""
    operations = list(store.load())
    messages = [plain(each) for each in operations if isinstance(each, MessageStored)]
    return messages, sorted((plain(each) for each in operations if not isinstance(each, MessageStored)), key=repr)


def reopened(store: SqliteStore, path: Path) -> SqliteStore:
    store.close()
    return SqliteStore(path)


# --- the same as in memory --------------------------------------------------------------------------------------------


class Work:
    """Random operations, as a broker would make them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._id = 0
        self._places: list[tuple[int, int]] = []
        self._queues: list[int] = []
        self._branches: list[Xid] = []
        self._heuristic: list[Xid] = []

    def _new_id(self) -> int:
        self._id += self._rng.randint(1, 3)
        return self._id

    def operations(self) -> tuple[Operation, ...]:
        """What goes into one append."""
        return tuple(self._one() for _ in range(self._rng.randint(1, 4)))

    def _one(self) -> Operation:
        rng = self._rng
        kind = rng.randrange(14)
        if kind == 0 or not self._queues:
            queue_id = self._new_id()
            self._queues.append(queue_id)
            return QueueCreated(queue_id, QueueConfiguration(name=f"q{queue_id}", filter_string="a = 1", ring_size=3))
        if kind == 1:
            return AddressCreated(
                rng.choice("ab"), frozenset(rng.sample([0, 1], rng.randint(0, 2))), rng.random() < 0.5
            )
        if kind == 2:
            return AddressDeleted(rng.choice("ab"))
        if kind == 3 and len(self._queues) > 2:
            return QueueDeleted(self._queues.pop())
        if kind == 4:
            if rng.random() < 0.1:
                return DuplicatesForgotten(rng.choice("ab"))
            return DuplicateRecorded(rng.choice("ab"), bytes([rng.randrange(9)]), 5)
        if kind == 5 and self._places:
            return DeliveryCounted(*rng.choice(self._places), rng.randrange(5), rng.choice([0, 7]))
        if kind == 6:
            xid = Xid(rng.randrange(3), b"global", rng.randbytes(3))
            self._branches.append(xid)
            return Prepared(xid, tuple(self._preparable() for _ in range(rng.randrange(4))))
        if kind == 7 and self._branches:
            xid = self._branches.pop(rng.randrange(len(self._branches)))
            heuristic = rng.random() < 0.3
            if heuristic:
                self._heuristic.append(xid)
            return Resolved(xid, rng.random() < 0.5, heuristic)
        if kind == 8 and self._heuristic:
            return Forgotten(self._heuristic.pop())
        if kind < 11 and self._places:
            return Acknowledged(*self._places.pop(rng.randrange(len(self._places))))
        return self._message()

    def _preparable(self) -> Operation:
        kind = self._rng.randrange(4)
        if kind == 0 and self._places:
            return Acknowledged(*self._rng.choice(self._places))
        if kind == 1:
            return DuplicateRecorded("a", self._rng.randbytes(1), 5)
        return self._message()

    def _message(self) -> MessageStored:
        rng = self._rng
        large = rng.choice([None, None, None, b"", b"x" * LIMIT, rng.randbytes(LIMIT + 1)])
        made = message(self._new_id(), large)
        queue_ids = tuple(rng.sample(self._queues, rng.randint(1, min(2, len(self._queues)))))
        self._places += [(made.id, queue_id) for queue_id in queue_ids]
        return MessageStored(made, queue_ids, tuple(rng.randrange(3) for _ in queue_ids))


@settings(max_examples=20, deadline=None)
@given(rng=st.randoms(use_true_random=True), reopen=st.booleans())
def test_random_work_leaves_what_it_leaves_in_memory(
    tmp_path_factory: pytest.TempPathFactory, rng: random.Random, reopen: bool
) -> None:
    path = tmp_path_factory.mktemp("random") / "store"
    memory, disk = MemoryStore(), SqliteStore(path)
    try:
        work = Work(rng)
        for _ in range(30):
            operations = work.operations()
            memory.append(*operations)
            disk.append(*operations)
            if reopen and rng.random() < 0.1:
                disk = reopened(disk, path)
        disk = reopened(disk, path)
        assert held(disk) == held(memory)
        assert disk.highest_id == memory.highest_id
        copy = MemoryStore()
        for operation in disk.load():
            copy.append(operation)
        assert held(copy) == held(memory)
        known = {int(name) for name in os.listdir(path / "large")} if (path / "large").exists() else set()
        assert known == {
            int(operation.message.id)
            for found in disk.load()
            for operation in (found.operations if isinstance(found, Prepared) else (found,))
            if isinstance(operation, MessageStored) and operation.message.large is not None
        }
    finally:
        disk.close()


# --- completion -------------------------------------------------------------------------------------------------------


def test_callbacks_wait_for_the_disk_and_run_in_order_on_the_collecting_thread(store: SqliteStore) -> None:
    ran: list[tuple[int, threading.Thread]] = []
    progress = threading.Event()
    store.on_progress = progress.set
    store.append(QueueCreated(1, QueueConfiguration(name="q")))
    for number in range(3):
        store.append(MessageStored(message(number + 10), (1,)))
        store.when_complete(lambda number=number: ran.append((number, threading.current_thread())))  # type: ignore[misc]
    assert store.busy
    assert progress.wait(SOON)
    assert ran == []
    assert store.wait(SOON)
    assert ran == [(number, threading.current_thread()) for number in range(3)]
    assert not store.busy
    assert store.backlog == 0
    store.when_complete(lambda: ran.append((3, threading.current_thread())))
    assert ran[-1][0] == 3


def test_a_callback_may_append(store: SqliteStore) -> None:
    ran: list[str] = []

    def first() -> None:
        store.append(Acknowledged(10, 1))
        store.when_complete(lambda: ran.append("second"))
        ran.append("first")

    store.append(MessageStored(message(10), (1,)))
    store.when_complete(first)
    assert store.wait(SOON)
    assert ran[0] == "first"
    assert store.wait(SOON)
    assert ran == ["first", "second"]
    assert list(store.load()) == []


def test_closing_completes_everything_and_is_for_good(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    ran: list[int] = []
    for number in range(100):
        store.append(MessageStored(message(number + 1), (1,)))
        store.when_complete(lambda number=number: ran.append(number))  # type: ignore[misc]
    store.close()
    assert ran == list(range(100))
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.append(Acknowledged(1, 1))
    assert not [thread for thread in threading.enumerate() if thread.name == "activeclient-store"]


def test_a_failing_disk_confirms_nothing_more(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    store.append(MessageStored(message(10), (1,)))
    store.when_complete(lambda: ran.append("before"))
    store.wait(SOON)

    def full() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store._tables, "commit", full)
    progress = threading.Event()
    store.on_progress = progress.set
    store.append(MessageStored(message(11, b"x" * (LIMIT + 1)), (1,)))
    store.when_complete(lambda: ran.append("after"))
    with pytest.raises(StoreError, match="disk is full"):
        store.wait(SOON)
    assert progress.wait(SOON)
    with pytest.raises(StoreError, match="disk is full"):
        store.append(Acknowledged(10, 1))
    with pytest.raises(StoreError, match="disk is full"):
        store.close()
    assert ran == ["before"]
    monkeypatch.undo()
    again = SqliteStore(store._folder.path)
    assert [type(operation) for operation in again.load()] == [MessageStored]
    again.close()


# --- large bodies -----------------------------------------------------------------------------------------------------


def test_a_large_body_may_be_released_before_it_is_stored_and_is_readable_after_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = SqliteStore(path)
    content = random.Random(1).randbytes(2 * PIECE + 5)
    kept = message(10, content)
    store.append(MessageStored(kept, (1,)))
    _bodies.pop().release()
    store = reopened(store, path)
    [operation] = store.load()
    assert isinstance(operation, MessageStored)
    large = operation.message.large
    assert large is not None
    assert (large.size, large.memory) == (len(content), 0)
    assert large.read(PIECE - 1, 5) == content[PIECE - 1 : PIECE + 4]
    # A copy, as for a dead letter address, is stored under its own id; the first one goes.
    core = operation.message.to_core()
    core.message_id = 11
    store.append(MessageStored(operation.message.rewritten(core), (2,)), Acknowledged(10, 1))
    store.wait(SOON)
    assert os.listdir(path / "large") == ["11"]
    assert large.read(0, 3) == content[:3]
    large.release()
    large.release()
    store = reopened(store, path)
    [operation] = store.load()
    assert isinstance(operation, MessageStored)
    assert operation.message.large is not None
    assert operation.message.large.read(0, len(content)) == content
    operation.message.large.release()
    store.close()


def test_what_a_crash_left_of_large_bodies_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = SqliteStore(path)
    store.append(MessageStored(message(10, b"x" * 200), (1,)))
    store.close()
    for name in ("11", "12.part"):
        (path / "large" / name).write_bytes(b"half")
    store = SqliteStore(path)
    assert os.listdir(path / "large") == ["10"]
    store.close()


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"short")])
def test_a_missing_or_shortened_body_is_named(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "store"
    store = SqliteStore(path)
    store.append(MessageStored(message(10, b"x" * 200), (1,)))
    store.close()
    damage(path / "large" / "10")  # type: ignore[operator]
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="the body of a message"):
        list(store.load())
    store.close()


# --- duplicate ids ----------------------------------------------------------------------------------------------------


def test_the_newest_duplicate_ids_are_kept_and_the_oldest_deleted_now_and_then(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = SqliteStore(path)
    number = 10 + DUPLICATES_SLACK + 5
    for value in range(number):
        store.append(DuplicateRecorded("a", value.to_bytes(4), 10))
    store.append(DuplicateRecorded("a", (number - 1).to_bytes(4), 10))
    store = reopened(store, path)
    found = [operation for operation in store.load() if isinstance(operation, DuplicateRecorded)]
    assert [int.from_bytes(each.value) for each in found] == list(range(number - 10, number))
    assert {each.capacity for each in found} == {10}
    assert store._tables.database.execute("SELECT count(*) FROM duplicates").fetchone()[0] < 20
    store.close()


# --- folders ----------------------------------------------------------------------------------------------------------


def test_one_broker_at_a_time(store: SqliteStore, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"in use by another broker, of process {os.getpid()}"):
        SqliteStore(tmp_path / "store")


def test_a_folder_is_for_its_user_alone(store: SqliteStore, tmp_path: Path) -> None:
    assert (tmp_path / "store").stat().st_mode & 0o077 == 0


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="not empty, and no broker's folder"):
        SqliteStore(tmp_path)
    assert os.listdir(tmp_path) == ["letter.txt"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        SqliteStore(tmp_path / "file")


def database(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store" / "activeclient.sqlite"


def test_garbage_is_no_database(tmp_path: Path) -> None:
    content = b"garbage" * 1000
    database(tmp_path).write_bytes(content)
    with pytest.raises(StoreError, match="no database, or a damaged one"):
        SqliteStore(tmp_path / "store")
    assert database_bytes(tmp_path) == content


def database_bytes(tmp_path: Path) -> bytes:
    return (tmp_path / "store" / "activeclient.sqlite").read_bytes()


def test_a_database_of_another_application_is_left_alone(tmp_path: Path) -> None:
    other = sqlite3.connect(database(tmp_path))
    other.execute("CREATE TABLE theirs (a)")
    other.commit()
    other.close()
    before = database_bytes(tmp_path)
    with pytest.raises(StoreError, match="of another application"):
        SqliteStore(tmp_path / "store")
    assert database_bytes(tmp_path) == before


def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "store").close()
    newer = sqlite3.connect(tmp_path / "store" / "activeclient.sqlite")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="of format 99; this version knows 2"):
        SqliteStore(tmp_path / "store")


def test_an_empty_file_is_a_start_that_was_interrupted(tmp_path: Path) -> None:
    database(tmp_path).touch()
    store = SqliteStore(tmp_path / "store")
    assert list(store.load()) == []
    store.close()


def test_damage_inside_is_found_when_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = SqliteStore(path)
    for number in range(500):
        store.append(MessageStored(message(number + 1), (1,)))
    store.close()
    file = path / "activeclient.sqlite"
    content = bytearray(file.read_bytes())
    content[len(content) // 3 : len(content) // 3 * 2] = os.urandom(len(content) // 3)
    file.write_bytes(content)

    def load() -> None:
        store = SqliteStore(path)
        try:
            list(store.load())
        finally:
            store.close()

    with pytest.raises(StoreError, match=r"activeclient\.sqlite: "):
        load()


def test_a_message_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = SqliteStore(path)
    store.append(MessageStored(message(7), (1,)))
    store.wait(SOON)
    store._tables.database.execute("UPDATE messages SET content = x'00ff'")
    with pytest.raises(StoreError, match="message 7 is damaged"):
        list(store.load())
    store.close()
