"""Stores keep order, ids and counts; a file keeps them when the program ends."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import StoreError
from activeclient.writer.store import ENTRY_BYTES, FileStore, MemoryStore, Store

Make = Callable[[], Store]


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[Store] = []

    def one() -> Store:
        made.append(MemoryStore() if request.param == "memory" else FileStore(tmp_path / f"store{len(made)}"))
        return made[-1]

    yield one
    for store in made:
        store.close()


def test_entries_keep_their_order_and_have_ids_of_their_own(make: Make) -> None:
    store = make()
    written = [store.append(bytes([number])) for number in range(5)]
    assert store.after(0, 10) == written
    assert store.after(written[1].number, 2) == written[2:4]
    assert len({entry.duplicate_id for entry in written}) == 5
    assert (store.count, store.size) == (5, 5 * (1 + ENTRY_BYTES))
    assert store.remove([written[0].number, written[2].number, 999]) == 2 * (1 + ENTRY_BYTES)
    assert store.after(0, 10) == [written[1], written[3], written[4]]
    assert store.oldest_ms() == written[1].stored_ms


def test_an_empty_store_has_no_oldest_entry(make: Make) -> None:
    store = make()
    assert (store.oldest_ms(), store.after(0, 10), store.count, store.size, store.remove([])) == (None, [], 0, 0, 0)


def test_numbers_are_never_used_twice(make: Make) -> None:
    store = make()
    first = store.append(b"x")
    store.remove([first.number])
    second = store.append(b"y")
    assert second.number > first.number
    assert second.duplicate_id != first.duplicate_id


@given(st.lists(st.one_of(st.binary(max_size=20), st.integers(0, 10)), max_size=40))
def test_a_store_is_a_list_with_numbers(steps: list[bytes | int]) -> None:
    store = MemoryStore()
    expected: list[tuple[int, bytes]] = []
    for step in steps:
        if isinstance(step, bytes):
            expected.append((store.append(step).number, step))
        elif step < len(expected):
            number, _ = expected.pop(step)
            store.remove([number])
        assert [(entry.number, entry.content) for entry in store.after(0, 100)] == expected
        assert store.size == sum(len(content) + ENTRY_BYTES for _, content in expected)


def test_a_file_keeps_its_entries(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = FileStore(path)
    written = [store.append(bytes([number])) for number in range(3)]
    store.remove([written[0].number])
    store.close()
    again = FileStore(path)
    assert again.after(0, 10) == written[1:]
    assert (again.count, again.size) == (2, 2 * (1 + ENTRY_BYTES))
    assert again.append(b"new").number > written[2].number
    again.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_is_for_one_process(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    with pytest.raises(StoreError, match="in use by another process"):
        FileStore(tmp_path / "store")
    store.close()
    FileStore(tmp_path / "store").close()


def _another_database(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE theirs (x)")
    database.commit()
    database.close()


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (lambda path: path.write_bytes(b"no database, and longer than a header of one" * 10), "cannot be used"),
        (_another_database, "is no store of a writer"),
        (lambda path: path.mkdir(), "cannot be opened|cannot be used"),
    ],
)
def test_what_is_no_store_is_refused_by_name(tmp_path: Path, prepare: Callable[[Path], object], reason: str) -> None:
    path = tmp_path / "store"
    prepare(path)
    with pytest.raises(StoreError, match=reason) as raised:
        FileStore(path)
    assert str(path) in str(raised.value)
