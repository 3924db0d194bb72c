"""The embedded broker with a folder: what was confirmed is there again, and failures of the disk end it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import activeclient
from activeclient.broker.embedded import EmbeddedBroker
from activeclient.broker.sqlite_store import SqliteStore
from activeclient.broker.store import MemoryStore
from activeclient.errors import ActiveClientError, ConfigError, StoreError
from activeclient.testing import wait_until

SOON = 30.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(folder=tmp_path / "broker") as made:
        yield made


def send(broker: EmbeddedBroker, *texts: str) -> None:
    with activeclient.connect(broker.url) as connection, connection.create_session() as session:
        producer = session.create_producer(session.create_queue("q"))
        for text in texts:
            producer.send(text)


def receive(broker: EmbeddedBroker, count: int) -> list[str | None]:
    with activeclient.connect(broker.url) as connection, connection.create_session() as session:
        consumer = session.create_consumer(session.create_queue("q"))
        return [getattr(consumer.receive(SOON), "text", None) for _ in range(count)]


def test_messages_and_acknowledgements_outlive_the_broker(broker: EmbeddedBroker, tmp_path: Path) -> None:
    send(broker, "one", "two", "three")
    assert receive(broker, 1) == ["one"]
    broker.stop()
    with EmbeddedBroker(folder=tmp_path / "broker") as again:
        assert again.message_count("q") == 2
        assert receive(again, 2) == ["two", "three"]
    broker.start()
    assert broker.message_count("q") == 0


def test_a_transaction_is_there_as_a_whole_or_not_at_all(broker: EmbeddedBroker) -> None:
    with activeclient.connect(broker.url) as connection:
        session = connection.create_session(transacted=True)
        producer = session.create_producer(session.create_queue("q"))
        producer.send("kept")
        producer.send("too")
        session.commit()
        producer.send("undone")
        broker.restart(abrupt=True)
    assert broker.message_count("q") == 2


def test_a_large_message_outlives_the_broker(broker: EmbeddedBroker) -> None:
    content = bytes(range(256)) * 20_000
    with activeclient.connect(broker.url) as connection, connection.create_session() as session:
        session.create_producer(session.create_queue("q")).send(content)
    broker.restart()
    with activeclient.connect(broker.url) as connection, connection.create_session() as session:
        message = session.create_consumer(session.create_queue("q")).receive(SOON)
        assert message is not None
        assert message.get_body(bytes) == content


def test_a_repeat_is_recognised_after_a_restart(broker: EmbeddedBroker) -> None:
    for _ in range(2):
        with activeclient.connect(broker.url) as connection, connection.create_session() as session:
            session.create_producer(session.create_queue("q")).send("once", duplicate_id="the same")
        broker.restart()
    assert broker.message_count("q") == 1


def test_a_folder_has_one_broker(broker: EmbeddedBroker, tmp_path: Path) -> None:
    second = EmbeddedBroker(folder=tmp_path / "broker")
    with pytest.raises(StoreError, match="in use by another broker"):
        second.start()
    assert not second.running


def test_a_folder_and_a_store_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder"):
        EmbeddedBroker(folder=tmp_path, store=MemoryStore())


def test_when_the_disk_fails_nothing_is_confirmed_and_the_broker_ends(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(broker, "before")
    store = broker._store
    assert isinstance(store, SqliteStore)

    def full() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(store._tables, "commit", full)
    with (
        activeclient.connect(f"{broker.url}?reconnectAttempts=0") as connection,
        connection.create_session() as session,
        pytest.raises(ActiveClientError),
    ):
        session.create_producer(session.create_queue("q")).send("after", timeout=SOON)
    wait_until(lambda: not broker.running, SOON)  # its thread lets go of the clients first
    monkeypatch.undo()
    broker.start()
    assert receive(broker, 1) == ["before"]
    assert broker.message_count("q") == 0
