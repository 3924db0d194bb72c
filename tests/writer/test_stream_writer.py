"""Writers whose brokers are there, come later, go away, hang, refuse, and come back."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from activeclient import Queue, Topic, connect
from activeclient.broker.embedded import EmbeddedBroker
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    ConfigError,
    JMSSecurityError,
    NotSent,
    ReconnectGaveUp,
    ResourceAllocationError,
    StoreError,
)
from activeclient.testing import wait_until
from activeclient.testing.ports import free_port
from activeclient.writer import ReconnectOptions, StreamWriter, WriterState, WriterStatus

SOON = 30.0
QUICK = ReconnectOptions(unlimited=True, period=100)
NAME = "writes"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(port=0, folder=tmp_path / "broker") as made:
        yield made


def bodies(broker: EmbeddedBroker, count: int) -> list[object]:
    """The next `count` messages, and whatever is behind them."""
    with connect(broker.url) as connection, connection.create_session() as session:
        consumer = session.create_consumer(Queue(NAME))
        found = [consumer.receive(SOON).body for _ in range(count)]
        return [*found, *(message.body for message in consumer.messages(0))]


def test_what_is_written_is_delivered_in_order(broker: EmbeddedBroker) -> None:
    with StreamWriter(broker.url, NAME) as writer:
        ids = [writer.write(str(number), properties={"n": number}) for number in range(50)]
        assert writer.flush(SOON)
    with connect(broker.url) as connection, connection.create_session() as session:
        found = list(session.create_consumer(Queue(NAME)).messages(0))
    assert [message.text for message in found] == [str(number) for number in range(50)]
    assert [message.jms_message_id for message in found] == ids
    assert found[7].properties["n"] == 7


def test_a_broker_that_comes_later_gets_everything(tmp_path: Path) -> None:
    port = free_port()
    with StreamWriter(f"tcp://localhost:{port}", NAME, reconnect=QUICK) as writer:
        for number in range(20):
            writer.write(str(number))
        assert writer.state is WriterState.CONNECTING
        assert writer.status.depth == 20
        with EmbeddedBroker(port=port, folder=tmp_path / "broker") as broker:
            assert writer.flush(SOON)
            assert bodies(broker, 20) == [str(number) for number in range(20)]
            writer.close()


def test_local_work_goes_on_in_an_outage(broker: EmbeddedBroker) -> None:
    heard: list[WriterStatus] = []
    with StreamWriter(broker.url, NAME, reconnect=QUICK) as writer:
        writer.add_listener(heard.append)
        writer.write("before")
        assert writer.flush(SOON)
        broker.stop(abrupt=True)
        wait_until(lambda: writer.state is WriterState.RECONNECTING, SOON)
        began = time.monotonic()
        for number in range(100):
            writer.write(str(number))
        assert time.monotonic() - began < SOON
        status = writer.status
        assert (status.depth, status.error is not None) == (100, True)
        assert status.oldest_age >= 0
        broker.start()
        assert writer.flush(SOON)
        wait_until(lambda: writer.state is WriterState.CONNECTED and heard and heard[-1].depth == 0, SOON)
    assert bodies(broker, 101) == ["before", *(str(number) for number in range(100))]
    states = [status.state for status in heard]
    assert WriterState.RECONNECTING in states
    assert any(status.state is WriterState.RECONNECTING and status.depth == 1 for status in heard)


def test_without_internal_reconnect_the_pipeline_stops_and_starts(broker: EmbeddedBroker) -> None:
    told: list[object] = []
    with StreamWriter(
        broker.url,
        NAME,
        reconnect=ReconnectOptions(unlimited=True, period=100, internal=False),
        on_stop=told.append,
        on_start=lambda: told.append("start"),
    ) as writer:
        wait_until(lambda: told == ["start"], SOON)
        writer.write("before")
        assert writer.flush(SOON)
        broker.stop(abrupt=True)
        wait_until(lambda: len(told) == 2, SOON)
        assert isinstance(told[1], ActiveClientError)
        with pytest.raises(NotSent, match="the writer is reconnecting"):
            writer.write("lost")
        assert writer.status.depth == 0
        broker.start()
        wait_until(lambda: told[2:] == ["start"], SOON)
        writer.write("after")
        assert writer.flush(SOON)
    assert bodies(broker, 2) == ["before", "after"]


def test_when_attempts_are_used_up_the_writer_stops_and_can_begin_anew(broker: EmbeddedBroker) -> None:
    with StreamWriter(broker.url, NAME, reconnect=ReconnectOptions(attempts=2, period=100)) as writer:
        writer.write("before")
        assert writer.flush(SOON)
        broker.stop(abrupt=True)
        writer.write("in the outage")
        wait_until(lambda: writer.state is WriterState.STOPPED, SOON)
        with pytest.raises(ReconnectGaveUp, match="2 attempts are used up"):
            writer.write("too late")
        with pytest.raises(ReconnectGaveUp):
            writer.flush(SOON)
        broker.start()
        writer.restart()
        assert writer.flush(SOON)
        writer.write("after")
        assert writer.flush(SOON)
    assert bodies(broker, 3) == ["before", "in the outage", "after"]


def test_each_success_gives_all_attempts_back(broker: EmbeddedBroker) -> None:
    with StreamWriter(broker.url, NAME, reconnect=ReconnectOptions(attempts=2, period=100)) as writer:
        for number in range(4):
            writer.write(str(number))
            assert writer.flush(SOON)
            broker.drop_connections()
            wait_until(lambda: writer.state is not WriterState.CONNECTED or broker.connection_count() == 1, SOON)
        writer.write("4")
        assert writer.flush(SOON)
    assert bodies(broker, 5) == [str(number) for number in range(5)]


def test_a_short_period_switches_reconnection_off(broker: EmbeddedBroker) -> None:
    with StreamWriter(broker.url, NAME, reconnect=ReconnectOptions(unlimited=True, period=99)) as writer:
        writer.write("x")
        assert writer.flush(SOON)
        broker.drop_connections()
        wait_until(lambda: writer.state is WriterState.STOPPED, SOON)


def test_options_can_be_changed_while_it_works(broker: EmbeddedBroker) -> None:
    with StreamWriter(broker.url, NAME) as writer:
        writer.set_config("ReconnectPeriod", 100)
        writer.set_config("UseUnlimitedReconnect", "1")
        writer.reconnect_attempts = 9
        writer.internal_reconnect = True
        assert writer.reconnect == ReconnectOptions(attempts=9, period=100, unlimited=True)
        assert (writer.reconnect_period, writer.unlimited_reconnect, writer.internal_reconnect) == (100, True, True)
        with pytest.raises(ConfigError, match="ReconnectPeriod"):
            writer.reconnect_period = 5
        writer.write("x")
        assert writer.flush(SOON)
        broker.drop_connections()
        writer.write("y")
        assert writer.flush(SOON)
    assert bodies(broker, 2) == ["x", "y"]


def test_a_full_store_holds_the_writer_up_or_drops_the_oldest() -> None:
    url = f"tcp://localhost:{free_port()}"
    with StreamWriter(url, NAME, capacity=1000, reconnect=QUICK) as writer:
        weight = 0
        while writer.status.size + weight <= 1000:
            before = writer.status.size
            writer.write("x" * 100)
            weight = writer.status.size - before
        with pytest.raises(ResourceAllocationError, match="the store is full"):
            writer.write("x" * 100, timeout=0.01)
        with pytest.raises(ResourceAllocationError, match="the message needs"):
            writer.write("x" * 1000)
        with pytest.raises(NotSent, match="were not confirmed"):
            writer.close()
    with StreamWriter(url, NAME, capacity=1000, when_full="drop-oldest", reconnect=QUICK) as dropping:
        for number in range(20):
            dropping.write(str(number))
        status = dropping.status
        assert status.size <= 1000
        assert status.dropped + status.depth == 20
        assert status.dropped > 0
        with pytest.raises(NotSent):
            dropping.close()


def test_a_writer_that_waits_for_room_goes_on_when_the_broker_comes(tmp_path: Path) -> None:
    port = free_port()
    with StreamWriter(f"tcp://localhost:{port}", NAME, capacity=2000, reconnect=QUICK) as writer:
        while writer.status.size < 1600:
            writer.write("x")
        with EmbeddedBroker(port=port):
            for _ in range(20):
                writer.write("x", timeout=SOON)
            assert writer.flush(SOON)
            writer.close()


def test_a_file_outlives_the_writer(tmp_path: Path) -> None:
    port = free_port()
    path = tmp_path / "store"
    with StreamWriter(f"tcp://localhost:{port}", NAME, store=path, reconnect=QUICK) as writer:
        writer.write("first")
        with pytest.raises(StoreError, match="in use"):
            StreamWriter(f"tcp://localhost:{port}", NAME, store=path)
    with EmbeddedBroker(port=port, folder=tmp_path / "broker") as broker:
        with StreamWriter(broker.url, NAME, store=path) as writer:
            writer.write("second")
            assert writer.flush(SOON)
        assert bodies(broker, 2) == ["first", "second"]


def test_what_may_have_been_delivered_is_not_delivered_twice(broker: EmbeddedBroker, tmp_path: Path) -> None:
    path = tmp_path / "store"
    with StreamWriter(broker.url, NAME, store=path) as writer:
        writer.write("once")
        assert writer.flush(SOON)
        kept = writer._store.append(writer._encoded("again", None, 4, 0)[0])
        wait_until(lambda: broker.message_count(NAME) == 1, SOON)
    # As if the program had been killed after the broker had stored it, and before the store had removed it.
    for _ in range(2):
        with StreamWriter(broker.url, NAME, store=path) as writer:
            assert writer.flush(SOON)
            store = writer._store
            store._database.execute(  # type: ignore[attr-defined]
                "INSERT INTO entries VALUES (?, ?, ?)", (kept.number, kept.content, kept.stored_ms)
            )
            store._count += 1  # type: ignore[attr-defined]
    assert bodies(broker, 2) == ["once", "again"]


def test_wrong_credentials_stop_it_at_once() -> None:
    with EmbeddedBroker(port=0, users={"me": "secret"}) as broker:
        url = f"{broker.url}?user=me&password=wrong"
        with StreamWriter(url, NAME, reconnect=QUICK) as writer:
            wait_until(lambda: writer.state is WriterState.STOPPED, SOON)
            with pytest.raises(JMSSecurityError):
                writer.write("x")


def test_a_closed_writer_takes_nothing(broker: EmbeddedBroker) -> None:
    writer = StreamWriter(broker.url, NAME)
    writer.close()
    writer.close()
    writer.restart()
    with pytest.raises(ClosedError):
        writer.write("x")
    assert writer.state is WriterState.CLOSED


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"capacity": 0}, "capacity"),
        ({"when_full": "explode"}, "when_full"),
        ({"retryIntervall": 5}, "retryIntervall"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        StreamWriter("tcp://localhost:1", NAME, **arguments)  # type: ignore[arg-type]


def test_large_messages_and_topics_are_written_too(broker: EmbeddedBroker) -> None:
    topic = Topic("writes.topic")
    with connect(broker.url) as connection, connection.create_session() as session:
        consumer = session.create_consumer(topic)
        with StreamWriter(broker.url, topic) as writer:
            writer.write(b"x" * 300_000)
            writer.write({"a": 1})
            assert writer.flush(SOON)
        assert len(consumer.receive(SOON).body) == 300_000
        assert dict(consumer.receive(SOON)) == {"a": 1}


def test_one_destination_that_is_down_disturbs_no_other(broker: EmbeddedBroker, tmp_path: Path) -> None:
    """A stuck, a dead and a healthy broker side by side, and a recording on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as stuck:  # takes connections, and never answers
        where = f"tcp://127.0.0.1:{stuck.getsockname()[1]}"
        dead = f"tcp://127.0.0.1:{free_port()}"
        recording = tmp_path / "recording"
        writers = [StreamWriter(url, NAME, reconnect=QUICK) for url in (where, dead, broker.url)]
        began = time.monotonic()
        with recording.open("w") as file:
            for number in range(200):
                for writer in writers:
                    writer.write(str(number))
                file.write(f"{number}\n")
        assert writers[2].flush(SOON)
        assert time.monotonic() - began < SOON
        assert [writer.status.depth for writer in writers] == [200, 200, 0]
        for writer in writers[:2]:
            with pytest.raises(NotSent, match="200 messages"):
                writer.close()
        writers[2].close()
    assert bodies(broker, 200) == recording.read_text().split()
