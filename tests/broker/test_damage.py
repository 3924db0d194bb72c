"""What became of a broker's folder while nobody looked: altered, taken away, readable by others."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from activeclient import EmbeddedBroker, ServerLocator
from activeclient.broker.configuration import AddressSettings, BrokerConfiguration
from activeclient.broker.sqlite_store import SqliteStore
from activeclient.broker.store import MessageStored, Prepared
from activeclient.client.session import ClientSession
from activeclient.errors import StoreError
from activeclient.wire.fields import Xid
from tests.broker.test_sqlite_store import message

BODY = bytes(range(256)) * 8000
DEAD_LETTERS = BrokerConfiguration(settings={"#": AddressSettings(dead_letter_address="DLQ")})


def session_of(broker: EmbeddedBroker) -> ClientSession:
    factory = ServerLocator(broker.vm_url).create_session_factory()
    return factory.create_session().start()


def filled(folder: Path, body: bytes = BODY) -> None:
    """A folder with a queue `q` of three messages, and a queue of dead letters."""
    with EmbeddedBroker(folder=folder, configuration=DEAD_LETTERS) as broker:
        session = session_of(broker)
        for name in ("q", "DLQ"):
            session.create_queue(name)
        producer = session.create_producer("q")
        for number in range(3):
            message = session.create_message(body=body)
            message.properties["number"] = number
            producer.send(message)
        session.factory.close()


def alter(path: Path, old: bytes, new: bytes, at: int = 0) -> None:
    """Change bytes of a file in place."""
    content = bytearray(path.read_bytes())
    found = content.index(old, at)
    content[found : found + len(new)] = new
    path.write_bytes(content)


def test_a_body_that_was_altered_on_the_disk_is_never_delivered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path / "store")
    (first, second, third) = sorted((tmp_path / "store" / "large").iterdir(), key=lambda path: int(path.name))
    alter(second, BODY[:100], b"x", 1_000_000)
    damaged = second.read_bytes()
    with EmbeddedBroker(folder=tmp_path / "store", configuration=DEAD_LETTERS) as broker:
        session = session_of(broker)
        with caplog.at_level(logging.ERROR):
            for browse_only in (True, False):
                consumer = session.create_consumer("q", browse_only=browse_only)
                for number in (0, 2):
                    message = consumer.receive(10)
                    assert message is not None
                    assert (message.properties["number"], message.body) == (number, BODY)
                assert consumer.receive(0) is None
                consumer.close()
        assert "its body is not what was stored" in caplog.text
        assert f"{second.name}.damaged" in caplog.text
        letter = session.create_consumer("DLQ").receive(10)
        assert letter is not None
        assert (letter.body, letter.properties["number"]) == (b"", 1)
        assert letter.properties["activeclient_damaged"] is True
        letter.acknowledge()
        session.factory.close()
    # What is left of it is kept, also when the broker starts again.
    with EmbeddedBroker(folder=tmp_path / "store", configuration=DEAD_LETTERS) as broker:
        aside = second.with_name(f"{second.name}.damaged")
        assert aside.read_bytes() == damaged
        assert broker.message_count("q") == 2
    assert first.exists()
    assert third.exists()


@pytest.mark.parametrize("prepared", [False, True])
def test_a_message_that_was_altered_in_the_database_is_named_at_the_start(tmp_path: Path, prepared: bool) -> None:
    store = SqliteStore(tmp_path / "store")
    stored = MessageStored(message(10), (1,))
    store.append(Prepared(Xid(1, b"g", b"b"), (stored,)) if prepared else stored)
    store.close()
    alter(tmp_path / "store" / "activeclient.sqlite", b"body", b"BODY")
    store = SqliteStore(tmp_path / "store")
    with pytest.raises(StoreError, match="message 10 is damaged: its bytes are not those that were stored"):
        list(store.load())
    store.close()


def test_the_message_of_another_row_is_not_taken_for_this_one(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    for number in (10, 11):
        store.append(MessageStored(message(number, b"body"), (1,)))
    store.close()
    database = sqlite3.connect(tmp_path / "store" / "activeclient.sqlite")
    database.execute("UPDATE messages SET content = (SELECT content FROM messages WHERE id = 11) WHERE id = 10")
    database.commit()
    database.close()
    store = SqliteStore(tmp_path / "store")
    with pytest.raises(StoreError, match="message 10 is damaged"):
        list(store.load())
    store.close()


def test_a_folder_of_the_format_before_is_converted(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store")
    store.append(MessageStored(message(10, b"x" * 200), (1,)))
    store.append(Prepared(Xid(1, b"g", b"b"), (MessageStored(message(11, b"y" * 200), (1,)),)))
    store.close()
    database = sqlite3.connect(tmp_path / "store" / "activeclient.sqlite")
    for column in ("messages DROP COLUMN checksum", "messages DROP COLUMN large_checksum"):
        database.execute(f"ALTER TABLE {column}")
    database.execute("ALTER TABLE prepared DROP COLUMN checksum")
    database.execute("UPDATE prepared SET fields = replace(fields, ', ' || (SELECT 1), '')")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()
    store = SqliteStore(tmp_path / "store")
    found = [type(operation) for operation in store.load()]
    store.append(MessageStored(message(12, b"z" * 200), (1,)))
    store.close()
    assert found == [MessageStored, Prepared]
    store = SqliteStore(tmp_path / "store")
    bodies = [each.message.large.read(0, 1) for each in store.load() if isinstance(each, MessageStored)]
    store.close()
    assert bodies == [b"x", b"z"]


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_database_that_is_gone_beside_its_bodies_is_no_new_folder(tmp_path: Path, how: str) -> None:
    filled(tmp_path / "store")
    database = tmp_path / "store" / "activeclient.sqlite"
    database.unlink()
    if how == "empty":
        database.touch()
    with (
        pytest.raises(StoreError, match=r"missing or empty, and 3 large bodies .* put the database back"),
        EmbeddedBroker(folder=tmp_path / "store"),
    ):
        pass
    assert len(list((tmp_path / "store" / "large").iterdir())) == 3
    # As the error says: without the bodies it begins with nothing.
    shutil.rmtree(tmp_path / "store" / "large")
    with EmbeddedBroker(folder=tmp_path / "store") as broker:
        assert broker.queue_names() == []


def test_a_database_that_is_gone_beside_its_log_is_no_new_folder(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "store").close()
    database = tmp_path / "store" / "activeclient.sqlite"
    database.unlink()
    log = database.with_name("activeclient.sqlite-wal")
    log.write_bytes(b"commits")
    with pytest.raises(StoreError, match=r"the database is missing, and activeclient\.sqlite-wal holds commits"):
        SqliteStore(tmp_path / "store")
    assert log.exists()


def test_files_in_an_existing_folder_are_for_their_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    before = os.umask(0o022)
    try:
        folder.mkdir(mode=0o755)
        filled(folder)
        _check_modes(folder)
        # What an older version left is no longer open to others.
        for path in folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        with EmbeddedBroker(folder=folder):
            _check_modes(folder)
    finally:
        os.umask(before)


def _check_modes(folder: Path) -> None:
    found = {path.relative_to(folder): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert len(found) >= 5
    assert {path: oct(mode) for path, mode in found.items() if mode & 0o077} == {}


def test_many_open_branches_cost_each_start_the_same() -> None:
    """The time to begin one does not depend on those that are open: none of them is looked at."""
    from tests.broker.office import Office

    office = Office()
    looked_at = 0

    class Watched(dict[Xid, object]):
        def values(self):  # type: ignore[no-untyped-def]
            nonlocal looked_at
            looked_at += len(self)
            return super().values()

    office.post.xa._branches = Watched()  # type: ignore[assignment]
    for number in range(1000):
        xid = Xid(1, b"%d" % number, b"b")
        tx = office.post.xa.start(xid)
        office.post.xa.end(xid, tx)
    assert looked_at <= 1


def test_many_branches_that_are_rolled_back_one_by_one_cost_the_same_each() -> None:
    """Each message goes back to its place beside those before it, which are not passed by."""
    from tests.broker.office import Office
    from tests.broker.office import message as sent

    office = Office()
    queue = office.queue()
    taker = office.consume(queue)
    for _ in range(20_000):
        office.post.route(sent(b""))
    held, taker.held = taker.held, []
    taker.room = 0
    xids = []
    for number, ref in enumerate(held):
        xid = Xid(1, b"%d" % number, b"b")
        tx = office.post.xa.start(xid)
        queue.acknowledge(ref, tx)
        office.post.xa.end(xid, tx)
        xids.append(xid)
    began = time.process_time()
    for xid in xids[:2000]:
        office.post.xa.rollback(xid)
    first = time.process_time() - began
    for xid in xids[2000:-2000]:
        office.post.xa.rollback(xid)
    began = time.process_time()
    for xid in xids[-2000:]:
        office.post.xa.rollback(xid)
    # 200 times as long where every message before it was passed by.
    assert time.process_time() - began < 4 * first + 0.2
    assert [ref.order for ref in queue.waiting()] == sorted(ref.order for ref in held)
