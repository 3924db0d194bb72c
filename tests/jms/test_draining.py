"""Draining: nothing new is received, what was received is finished, and the limit holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

import activeclient
from activeclient import AcknowledgeMode, Connection, EmbeddedBroker, Session
from activeclient.errors import ClosedError, IllegalStateError
from activeclient.testing import BrokerUnderTest, wait_until

PATIENCE = 30.0


@pytest.fixture
def connection(embedded_broker: EmbeddedBroker) -> Iterator[Connection]:
    with activeclient.connect(embedded_broker.url, retry_interval=10, max_retry_interval=50) as made:
        yield made


def in_background(work: object) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def fill(session: Session, count: int) -> None:
    producer = session.create_producer(session.create_queue("q"))
    for number in range(count):
        producer.send(str(number))
    if session.transacted:
        session.commit()


@pytest.mark.parametrize("window", [0, None])
def test_a_blocked_receive_and_a_loop_end(connection: Connection, window: int | None) -> None:
    ended: list[object] = []

    def receive(body: object) -> None:
        with connection.create_session() as session:
            consumer = session.create_consumer(session.create_queue("q"), window_size=window)
            ready.release()
            ended.append(body(consumer))  # type: ignore[operator]

    ready = threading.Semaphore(0)
    bodies = [
        lambda consumer: consumer.receive(),
        lambda consumer: consumer.receive(timeout=300.0),
        lambda consumer: list(consumer),
        lambda consumer: list(consumer.messages(timeout=300.0)),
    ]
    threads = [in_background(lambda body=body: receive(body)) for body in bodies]  # type: ignore[misc]
    for _ in threads:
        assert ready.acquire(timeout=PATIENCE)
    assert connection.drain(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(map(str, ended)) == ["None", "None", "[]", "[]"]
    assert connection.is_closed


@pytest.mark.parametrize("window", [0, None])
def test_what_was_received_is_finished_and_nothing_more_comes(
    connection: Connection, embedded_broker: EmbeddedBroker, window: int | None
) -> None:
    session = connection.create_session(transacted=True)
    fill(session, 5)
    consumer = session.create_consumer(session.create_queue("q"), window_size=window)
    assert consumer.receive(PATIENCE).text == "0"
    drained: list[bool] = []
    draining = in_background(lambda: drained.append(connection.drain(PATIENCE)))
    wait_until(lambda: session.core.draining, PATIENCE)
    assert consumer.receive(PATIENCE) is None
    assert consumer.receive_no_wait() is None
    session.create_producer(session.create_queue("done")).send("0 done")
    assert not drained
    session.commit()
    draining.join(PATIENCE)
    assert drained == [True]
    assert embedded_broker.message_count("q") == 4
    assert embedded_broker.message_count("done") == 1


@pytest.mark.parametrize("mode", [AcknowledgeMode.CLIENT_ACKNOWLEDGE, AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE])
def test_messages_that_wait_for_an_acknowledgement_are_waited_for(
    connection: Connection, embedded_broker: EmbeddedBroker, mode: AcknowledgeMode
) -> None:
    session = connection.create_session(mode)
    fill(session, 3)
    message = session.create_consumer(session.create_queue("q")).receive(PATIENCE)
    drained: list[bool] = []
    draining = in_background(lambda: drained.append(connection.drain(PATIENCE)))
    wait_until(lambda: session.core.draining, PATIENCE)
    assert not drained
    message.acknowledge()
    draining.join(PATIENCE)
    assert drained == [True]
    assert embedded_broker.message_count("q") == 2


def test_a_running_listener_is_waited_for_and_called_no_more(
    connection: Connection, embedded_broker: EmbeddedBroker
) -> None:
    session = connection.create_session()
    fill(connection.create_session(), 3)
    inside, go_on = threading.Event(), threading.Event()
    heard = []

    @session.create_consumer(session.create_queue("q")).on_message
    def listener(message: activeclient.TextMessage) -> None:
        heard.append(message.text)
        inside.set()
        assert go_on.wait(PATIENCE)

    assert inside.wait(PATIENCE)
    drained: list[bool] = []
    draining = in_background(lambda: drained.append(connection.drain(PATIENCE)))
    wait_until(lambda: session.core.draining, PATIENCE)
    assert not drained
    go_on.set()
    draining.join(PATIENCE)
    assert (drained, heard) == ([True], ["0"])
    assert embedded_broker.message_count("q") == 2


def test_at_the_limit_an_open_transaction_is_rolled_back(
    connection: Connection, embedded_broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    session = connection.create_session(transacted=True)
    fill(session, 1)
    assert session.create_consumer(session.create_queue("q")).receive(PATIENCE) is not None
    assert connection.drain(0.05) is False
    assert "1 of 2 sessions had not finished" in caplog.text
    assert embedded_broker.message_count("q") == 1
    with pytest.raises(ClosedError):
        session.commit()


def test_at_the_limit_a_listener_that_hangs_is_left_behind(connection: Connection) -> None:
    session = connection.create_session()
    fill(connection.create_session(), 1)
    inside, go_on = threading.Event(), threading.Event()

    @session.create_consumer(session.create_queue("q")).on_message
    def listener(message: object) -> None:
        inside.set()
        go_on.wait(2 * PATIENCE)

    assert inside.wait(PATIENCE)
    try:
        assert connection.drain(0.05) is False  # onMessageCloseTimeout is 10 s
        assert not go_on.is_set()
        assert connection.is_closed
    finally:
        go_on.set()


def test_an_outage_is_waited_for(artemis_broker: BrokerUnderTest) -> None:
    with artemis_broker.connect() as connection:
        session = connection.create_session(transacted=True)
        fill(session, 2)
        assert session.create_consumer(session.create_queue("q")).receive(PATIENCE) is not None
        with artemis_broker.outage():
            drained: list[bool] = []
            draining = in_background(lambda: drained.append(connection.drain(2 * PATIENCE)))
            committing = in_background(session.commit)
            wait_until(lambda: session.core.draining, PATIENCE)
            assert not drained
        committing.join(PATIENCE)
        draining.join(PATIENCE)
        assert drained == [True]
    artemis_broker.wait_for_messages("q", 1, PATIENCE)


def test_draining_twice_and_a_start_meanwhile(connection: Connection) -> None:
    session = connection.create_session(transacted=True)
    fill(session, 1)
    assert session.create_consumer(session.create_queue("q")).receive(PATIENCE) is not None
    draining = in_background(lambda: connection.drain(PATIENCE))
    wait_until(lambda: session.core.draining, PATIENCE)
    with pytest.raises(IllegalStateError, match="drained"):
        connection.start()
    session.rollback()
    draining.join(PATIENCE)
    assert connection.drain(PATIENCE)
    connection.close()


def test_a_listener_cannot_drain_its_own_connection(connection: Connection) -> None:
    session = connection.create_session()
    fill(connection.create_session(), 1)
    raised: list[BaseException] = []
    done = threading.Event()

    @session.create_consumer(session.create_queue("q")).on_message
    def listener(message: object) -> None:
        try:
            connection.drain(1)
        except IllegalStateError as error:
            raised.append(error)
        done.set()

    assert done.wait(PATIENCE)
    assert len(raised) == 1
