"""Who is told what: once for each event, in order, and a listener that raises or blocks harms nothing else."""

from __future__ import annotations

import threading

import pytest

from activeclient.client.listeners import ConnectionFailure, FailoverEventType, Recovery
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import ClosedError, ConnectionLost, HeartbeatMissed
from activeclient.events import Closed, Connected, Detached, Event, Reconnected
from activeclient.jms.connection_factory import ActiveMQConnectionFactory
from activeclient.testing.cuts import How
from activeclient.testing.cutter import Cutter
from activeclient.wire.message import CoreMessage
from integration.cases.support import (
    NO_WINDOW,
    PATIENCE,
    RELIABLE,
    WINDOW,
    Inbox,
    Opened,
    Recorder,
    drain,
    eventually,
    number_of,
    numbered,
    outage,
    pause,
)
from integration.conftest import MakeBroker


@pytest.mark.reattach
@pytest.mark.parametrize("parameters", [WINDOW, NO_WINDOW], ids=["window", "no-window"])
def test_each_listener_is_told_once_of_each_outage_and_which_it_was(
    line: Cutter, opened: Opened, parameters: dict[str, object]
) -> None:
    factory = opened.factory(line.url(), parameters)
    recorder = Recorder(factory)
    sessions = [factory.create_session() for _ in range(3)]
    expected = Recovery.REATTACHED if "confirmationWindowSize" in parameters else Recovery.RECREATED
    for round_ in range(1, 4):
        line.cut_now()
        recorder.wait(Reconnected, round_)
        for session in sessions:
            session.query_address("any")
    recorder.told_once(expected, expected, expected)
    for failure in recorder.before:
        assert failure.recovery is None
        assert isinstance(failure.reason, ConnectionLost)
    for failure, failed_over in recorder.ended:
        assert failed_over
        assert failure.error_code == "FAILOVER"
    assert not recorder.of(Closed)


def test_the_cause_of_an_outage_is_told(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW, connectionTTL=3000, clientFailureCheckPeriod=300)
    recorder = Recorder(factory)
    factory.create_session()
    line.cut_now(How.RESET)
    recorder.wait(Reconnected)
    line.cut_now(How.FIN)
    recorder.wait(Reconnected, 2)
    line.cut_now(How.BLACK_HOLE)
    recorder.wait(Reconnected, 3)
    reasons = [str(event.reason) for event in recorder.of(Detached)]
    assert "reset" in reasons[0]
    assert "closed" in reasons[1]
    assert isinstance(recorder.of(Detached)[2].reason, HeartbeatMissed)


def test_a_server_that_stops_says_so(private_broker_of: MakeBroker, opened: Opened) -> None:
    broker = private_broker_of()
    factory = opened.factory(broker.url(), RELIABLE)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    session.create_queue("stopping")
    broker.restart(clean=True)
    session.create_producer("stopping").send(numbered(session, 0))
    assert drain(session.create_consumer("stopping")) == [0]
    recorder.told_once(Recovery.RECREATED)
    assert "going away" in str(recorder.before[0].reason)
    factory.close()


@pytest.mark.reattach
def test_a_listener_that_raises_harms_nothing(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)

    class Raising:
        def before_reconnect(self, error: ConnectionFailure) -> None:
            raise RuntimeError("before")

        def connection_failed(self, error: ConnectionFailure, failed_over: bool) -> None:
            raise RuntimeError("after")

    def raising(event: object) -> None:
        raise RuntimeError("event")

    factory.add_failure_listener(Raising())
    factory.add_event_listener(raising)
    factory.add_failover_listener(raising)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    line.cut_now()
    session.create_producer(queue).send(numbered(session, 0))
    assert drain(session.create_consumer(queue)) == [0]
    recorder.told_once(Recovery.REATTACHED)


@pytest.mark.reattach
def test_a_listener_that_blocks_delays_no_message_and_no_reconnection(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    release, called = threading.Event(), threading.Event()

    def blocking(event: Event) -> None:
        called.set()
        release.wait(PATIENCE)

    factory.add_event_listener(blocking)
    session = factory.create_session(ack_batch_size=0).start()
    inbox = Inbox(session.create_consumer(queue))
    producer = session.create_producer(queue)
    for index in range(20):
        if index % 5 == 0:
            line.cut_now()
        producer.send(numbered(session, index))
    inbox.exactly(20)
    assert called.wait(PATIENCE)
    assert not release.is_set()
    release.set()


@pytest.mark.reattach
def test_a_message_listener_that_blocks_delays_no_other_session(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    release = threading.Event()
    blocked = factory.create_session(ack_batch_size=0).start()
    free = factory.create_session(ack_batch_size=0).start()
    seen: list[int] = []

    def blocking(message: CoreMessage) -> None:
        seen.append(number_of(message))
        release.wait(PATIENCE)
        message.acknowledge()

    producer = free.create_producer(queue)
    producer.send(numbered(free, 0))
    blocked.create_consumer(queue).message_handler = blocking
    eventually(lambda: seen, "the first message")
    line.cut_now()
    name = f"{queue}.free"
    free.create_temporary_queue(name)
    inbox = Inbox(free.create_consumer(name))
    other = free.create_producer(name)
    for index in range(10):
        other.send(numbered(free, index))
    inbox.exactly(10)
    release.set()
    eventually(lambda: blocked.query_queue(queue).message_count == 0, "the late acknowledgement")
    assert seen == [0]


def test_a_message_listener_that_raises_is_called_for_the_next_message(
    line: Cutter, opened: Opened, queue: str
) -> None:
    session = opened.session(line.url(), WINDOW)
    seen: list[int] = []

    def raising(message: CoreMessage) -> None:
        seen.append(number_of(message))
        raise RuntimeError("a listener's own fault")

    session.create_consumer(queue).message_handler = raising
    producer = session.create_producer(queue)
    for index in range(5):
        producer.send(numbered(session, index))
    eventually(lambda: session.callback_errors >= 5, "five calls that raised")  # counted after they have raised
    assert seen == [0, 1, 2, 3, 4]
    assert session.callback_errors == 5


def test_a_listener_may_use_and_close_the_connection(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    session = factory.create_session().start()
    done: list[object] = []

    def using(kind: FailoverEventType) -> None:
        if kind is FailoverEventType.FAILOVER_COMPLETED:
            done.append(session.query_queue(queue).exists)
            factory.close()
            done.append("closed")

    factory.add_failover_listener(using)
    line.cut_now()
    eventually(lambda: len(done) == 2, "the listener's end")
    assert done == [True, "closed"]
    with pytest.raises(ClosedError):
        session.query_queue(queue)


def test_user_code_reconnects_when_it_is_told_of_the_end(line: Cutter, opened: Opened, queue: str) -> None:
    """reconnectAttempts=0, and a new connection made by the listener: all messages are received."""
    received: list[int] = []
    factories: list[ClientSessionFactory] = []
    ends: list[Recovery | None] = []

    class Again:
        def connection_failed(self, error: ConnectionFailure, failed_over: bool) -> None:
            ends.append(error.recovery)
            if not failed_over:
                connect()

    def connect() -> None:
        factory = opened.factory(line.url(), reconnectAttempts=0, initialConnectAttempts=-1, retryInterval=50)
        factory.add_failure_listener(Again())
        session = factory.create_session(ack_batch_size=0).start()

        def take(message: CoreMessage) -> None:
            message.acknowledge()
            received.append(number_of(message))

        session.create_consumer(queue).message_handler = take
        factories.append(factory)

    connect()
    sending = opened.session(line.url(), RELIABLE)
    producer = sending.create_producer(queue)
    for index in range(200):
        producer.send(numbered(sending, index))
        if index % 50 == 25:
            line.cut_now()
            eventually(lambda count=index // 50 + 2: len(factories) == count, "a new connection")
    eventually(lambda: set(received) == set(range(200)), "all messages")
    assert ends == [Recovery.GAVE_UP] * 4
    for factory in factories[:-1]:
        factory.close()  # after it was given up: no error, no hanging


def test_the_exception_listener_is_called_once_for_a_connection(line: Cutter, queue: str) -> None:
    with ActiveMQConnectionFactory(f"{line.url()}?profile=reliable").create_connection() as connection:
        told: list[Exception] = []
        connection.exception_listener = told.append
        for _ in range(3):
            connection.create_session()
        connection.start()
        line.cut_now()
        eventually(lambda: told, "the exception listener")
        line.cut_now()
        eventually(lambda: len(told) == 2, "the second call")
        pause(0.2)
        assert len(told) == 2
        assert {getattr(error, "error_code", None) for error in told} == {"FAILOVER"}


def test_the_exception_listener_hears_of_the_end_and_closing_is_fine(line: Cutter) -> None:
    with ActiveMQConnectionFactory(f"{line.url()}?reconnectAttempts=1&retryInterval=50").create_connection() as made:
        told: list[Exception] = []
        made.exception_listener = told.append
        made.create_session()
        topic = made.create_session().create_temporary_topic()
        with outage(line):
            eventually(lambda: told, "the exception listener")
        assert getattr(told[0], "error_code", None) == "DISCONNECT"
        del topic
        made.close()
        made.close()


def test_connected_is_told_once(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW)
    recorder = Recorder(factory)
    factory.create_session()
    line.cut_now()
    recorder.wait(Reconnected)
    # It stood before the listener was added, and is told of when the server has said its version.
    assert len(recorder.of(Connected)) <= 1
