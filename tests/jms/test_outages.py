"""What an application sees of an outage without asking for it: an outage is no empty queue, and is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from activeclient import ActiveMQConnectionFactory, Connection, Queue, connect
from activeclient.broker.embedded import EmbeddedBroker
from activeclient.errors import ConnectFailed, JMSSecurityError, OutageTimeout
from activeclient.testing import wait_until
from activeclient.testing.ports import free_port

SOON = 30.0
QUEUE = Queue("outages")
IDLE = 0.05
"""An idle limit, seconds, that every outage here is longer than."""
AWHILE = 0.5
"""Seconds in which a call that wrongly ends at an outage has ended."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(port=0, folder=tmp_path / "broker") as made:
        yield made


def lose(connection: Connection, broker: EmbeddedBroker) -> None:
    broker.stop(abrupt=True)
    wait_until(lambda: not connection.is_connected, SOON)


@pytest.mark.parametrize("core", [False, True], ids=["jms", "core"])
def test_an_iteration_with_an_idle_limit_does_not_end_in_an_outage(broker: EmbeddedBroker, core: bool) -> None:
    with connect(broker.url) as connection, connection.create_session() as session:
        producer, consumer = session.create_producer(QUEUE), session.create_consumer(QUEUE)
        producer.send("before")
        found: list[object] = []

        def work() -> None:
            for message in consumer._core.messages(IDLE) if core else consumer.messages(IDLE):
                found.append(message.body)
                if core:
                    consumer._core.acknowledge(message)  # type: ignore[arg-type]

        assert consumer.receive(SOON)
        lose(connection, broker)
        worker = threading.Thread(target=work)
        worker.start()
        worker.join(AWHILE)
        assert worker.is_alive()
        sender = threading.Thread(target=producer.send, args=("after",))
        sender.start()  # waits for the connection, as the worker does
        broker.start()
        worker.join(SOON)
        sender.join(SOON)
        assert not worker.is_alive()
        left = consumer.receive(1)  # it may have been sent after the limit of the worker
        assert len(found) + (left is not None) == 1


@pytest.mark.parametrize("call", ["messages", "receive_no_wait"])
def test_nobody_to_ask_is_not_nothing_there(broker: EmbeddedBroker, call: str) -> None:
    url = f"{broker.url}?callFailoverTimeout=100"
    with connect(url) as connection, connection.create_session() as session:
        consumer = session.create_consumer(QUEUE)
        lose(connection, broker)
        with pytest.raises(OutageTimeout):
            next(consumer.messages(IDLE)) if call == "messages" else consumer.receive_no_wait()
        broker.start()


def test_an_empty_queue_ends_an_iteration(broker: EmbeddedBroker) -> None:
    with connect(broker.url) as connection, connection.create_session() as session:
        session.create_producer(QUEUE).send("one")
        assert [message.body for message in session.create_consumer(QUEUE).messages(0.2)] == ["one"]


def test_a_broker_that_comes_later_is_waited_for() -> None:
    port = free_port()
    connected: list[bool] = []

    def work() -> None:
        with connect(f"tcp://localhost:{port}", wait=SOON) as connection:
            connected.append(connection.is_connected)

    worker = threading.Thread(target=work)
    worker.start()
    with EmbeddedBroker(port=port):
        worker.join(SOON)
    assert connected == [True]


def test_a_broker_that_does_not_come_is_waited_for_no_longer() -> None:
    url = f"tcp://localhost:{free_port()}"
    with pytest.raises(ConnectFailed, match=r"no connection within 0\.2 s: .*refused"):
        connect(url, wait=0.2)
    with pytest.raises(ConnectFailed, match=r"no connection within 0\.2 s"):
        ActiveMQConnectionFactory(url).create_context(wait=0.2)


def test_wrong_credentials_are_not_tried_again() -> None:
    with EmbeddedBroker(users={"me": "secret"}) as broker:
        began = time.monotonic()
        with pytest.raises(JMSSecurityError):
            connect(broker.url, user="me", password="wrong", wait=10 * SOON)
        assert time.monotonic() - began < SOON


def test_a_connection_says_whether_it_stands(broker: EmbeddedBroker) -> None:
    with connect(broker.url) as connection:
        assert connection.is_connected
        connection.wait_until_connected(0)
        lose(connection, broker)
        with pytest.raises(OutageTimeout):
            connection.wait_until_connected(0.05)
        broker.start()
        connection.wait_until_connected(SOON)
        assert connection.is_connected
    assert not connection.is_connected


def test_calls_wait_longer_than_a_broker_takes_to_restart() -> None:
    with EmbeddedBroker() as broker, connect(broker.url) as connection:
        assert connection.factory.settings.call_failover_timeout >= 120_000


@pytest.mark.parametrize("variable", ["ACTIVECLIENT_URL"])
def test_the_environment_names_the_broker(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with EmbeddedBroker() as broker:
        monkeypatch.setenv(variable, f"{broker.url}?clientID=from-environment")
        with connect() as connection:
            assert connection.client_id == "from-environment"
        with ActiveMQConnectionFactory().create_connection() as connection:
            assert connection.client_id == "from-environment"


def test_a_timeout_that_looks_like_milliseconds_draws_a_warning(broker: EmbeddedBroker) -> None:
    with connect(broker.url) as connection, connection.create_session() as session:
        session.create_producer(QUEUE).send("one")
        consumer = session.create_consumer(QUEUE)
        with pytest.warns(UserWarning, match=r"timeout=5000 is in seconds, .*write timeout=5") as warned:
            assert consumer.receive(5000)
        assert warned[0].filename == __file__
        session.create_producer(QUEUE).send("two")
        assert consumer.receive(5000.0)
