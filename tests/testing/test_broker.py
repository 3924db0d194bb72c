"""A broker under test: what its faults do to a connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from activeclient import Connection, Queue
from activeclient.errors import (
    CallTimeout,
    ConfigError,
    ConnectionLost,
    InvalidDestinationError,
    UnsupportedOperationError,
)
from activeclient.events import Event, Reconnected
from activeclient.testing import BrokerUnderTest, Cutter, Direction, EmbeddedBroker, wait_until

PATIENCE = 30.0
"""Seconds after which what should have come is missing; a busy machine needs some."""


@pytest.fixture
def broker() -> Iterator[BrokerUnderTest]:
    with BrokerUnderTest() as made:
        yield made


@pytest.fixture
def connection(broker: BrokerUnderTest) -> Iterator[Connection]:
    with broker.connect() as made:
        yield made


def comebacks(connection: Connection) -> list[Reconnected]:
    """The outages that ended, as they end."""
    found: list[Reconnected] = []

    def hear(event: Event) -> None:
        if isinstance(event, Reconnected):
            found.append(event)

    connection.add_event_listener(hear)
    return found


def exchange(connection: Connection, queue: Queue) -> None:
    with connection.create_session() as session:
        session.create_producer(queue).send("x")
        message = session.create_consumer(queue).receive(PATIENCE)
        assert message is not None
        assert message.body == "x"


def test_dropped_connections_come_back(broker: BrokerUnderTest, connection: Connection) -> None:
    back = comebacks(connection)
    assert broker.drop_connections() == 1
    wait_until(lambda: len(back) == 1, PATIENCE)
    exchange(connection, broker.new_queue())


@pytest.mark.parametrize("direction", list(Direction))
def test_a_cut_comes_when_so_many_bytes_have_passed(
    broker: BrokerUnderTest, connection: Connection, direction: Direction
) -> None:
    back = comebacks(connection)
    broker.cut_after(1, direction)
    exchange(connection, broker.new_queue())
    wait_until(lambda: len(back) == 1, PATIENCE)


def test_in_an_outage_nobody_connects_and_the_sessions_live_on(broker: BrokerUnderTest, connection: Connection) -> None:
    back = comebacks(connection)
    sessions = broker.embedded.session_count()
    with broker.outage():
        wait_until(lambda: broker.connections == 0, PATIENCE)
        with pytest.raises(ConnectionLost):
            broker.connect()
        assert back == []
        assert broker.embedded.session_count() == sessions
    wait_until(lambda: len(back) == 1, PATIENCE)
    assert back[0].recreated == 0


def test_in_a_silence_calls_wait_and_go_on_after_it(broker: BrokerUnderTest, connection: Connection) -> None:
    queue = broker.new_queue()
    exchanging = threading.Thread(target=exchange, args=(connection, queue))
    with broker.silence():
        exchanging.start()
        exchanging.join(0.2)
        assert exchanging.is_alive()
    exchanging.join(PATIENCE)
    assert not exchanging.is_alive()


def test_a_restart_makes_sessions_anew_and_keeps_what_is_durable(
    broker: BrokerUnderTest, connection: Connection
) -> None:
    back = comebacks(connection)
    queue = broker.new_queue()
    with connection.create_session() as session:
        session.create_producer(queue).send("kept")
        broker.restart()
        wait_until(lambda: len(back) == 1, PATIENCE)
        assert back[0].recreated > 0
        message = session.create_consumer(queue).receive(PATIENCE)
        assert message is not None
        assert message.body == "kept"


def test_a_lost_packet_is_named_by_its_class(broker: BrokerUnderTest) -> None:
    with broker.connect(call_timeout=1500) as connection, connection.create_session() as session:
        broker.lose_next("QueueQuery")
        with pytest.raises(CallTimeout):
            session.core.query_queue("q")
        assert any("drop" in text for text in broker.faults.history)
        assert not session.core.query_queue("q").exists
    with pytest.raises(ConfigError, match="did you mean"):
        broker.lose_next("QueueQuerry")


def test_messages_are_counted_and_waited_for(broker: BrokerUnderTest, connection: Connection) -> None:
    queue = broker.new_queue()
    with pytest.raises(InvalidDestinationError):
        broker.message_count(queue.name)
    with connection.create_session() as session:
        session.create_producer(queue).send("x")
    broker.wait_for_messages(queue.name, 1, PATIENCE)
    with pytest.raises(AssertionError, match=rf"not within 0.05 s: 2 messages in {queue.name}"):
        broker.wait_for_messages(queue.name, 2, timeout=0.05)


def test_what_is_left_open_is_told(broker: BrokerUnderTest) -> None:
    connection = broker.connect()
    assert broker.left(0.05) == "1 connections to the broker"
    connection.close()
    assert broker.left(PATIENCE) is None


def test_a_broker_of_ones_own_is_left_running() -> None:
    with EmbeddedBroker("own", port=0) as own:
        with BrokerUnderTest(embedded=own) as broker:
            broker.connect().close()
        assert own.running


def test_a_running_broker_can_be_cut_and_looked_at_but_not_restarted() -> None:
    with EmbeddedBroker("remote", port=0) as own, BrokerUnderTest(own.url) as broker:
        queue = broker.new_queue()
        with broker.connect() as connection:
            with connection.create_session() as session:
                session.create_producer(queue).send("x")
            assert broker.message_count(queue.name) == 1
            assert broker.drop_connections() == 1
            exchange_all(connection, queue)
        with pytest.raises(UnsupportedOperationError):
            broker.restart()
        broker.close()
        assert queue.name not in own.queue_names()


def exchange_all(connection: Connection, queue: Queue) -> None:
    with connection.create_session() as session:
        assert session.create_consumer(queue).receive(PATIENCE) is not None


def test_what_cannot_be_a_broker_is_refused() -> None:
    for wrong in ("vm://0", "tcp://h:x"):
        with pytest.raises(ConfigError):
            BrokerUnderTest(wrong)
    with EmbeddedBroker("memory-only") as own, pytest.raises(ConfigError, match="must have a port"):
        BrokerUnderTest(embedded=own)


def test_the_url_keeps_its_parameters() -> None:
    with Cutter("localhost", 1) as cutter:
        made = BrokerUnderTest(f"{cutter.url()}?user=me&password=a%26b")
        try:
            assert made.url.endswith("?user=me&password=a%26b")
            assert "a%26b" not in repr(made)
        finally:
            made.close()
