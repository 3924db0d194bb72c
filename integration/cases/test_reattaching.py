"""Reattachment: at once, late, never, again while it is going on, with many sessions and many threads."""

from __future__ import annotations

import contextlib
import functools
import random
import threading
import time

import pytest

from activeclient.client.consumer import ClientConsumer
from activeclient.client.listeners import Recovery
from activeclient.client.session import ClientSession
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import ConnectionLost, IllegalStateError, OutcomeUnknown, ReconnectGaveUp, SessionUnanswered
from activeclient.events import ConnectAttemptFailed, Detached, Reconnected, SessionReattached, SessionRecreated
from activeclient.testing.cuts import Cut, Direction, How, random_cuts
from activeclient.testing.cutter import Cutter
from activeclient.wire.packet import encode
from activeclient.wire.packets import ReattachSession, ReattachSessionResponse, SubscribeTopology
from activeclient.wire.versions import NEWEST
from integration.artemis import Broker
from integration.cases.support import (
    NO_WINDOW,
    PATIENCE,
    RELIABLE,
    SLACK,
    WINDOW,
    Inbox,
    Opened,
    Outcomes,
    Recorder,
    ServerManagement,
    drain,
    eventually,
    in_thread,
    numbered,
    outage,
    pause,
)
from integration.handshake import Handshake

TO_BROKER, TO_CLIENT = Direction.TO_BROKER, Direction.TO_CLIENT


class Cutting:
    """Cuts the line again and again, at random moments, until the block ends.

    *most* times: a machine so busy that winning the connection back takes longer than the pauses would never get on.
    """

    def __init__(self, line: Cutter, seed: int, pauses: tuple[float, float] = (0.01, 0.08), *, most: int = 200) -> None:
        self._line, self._pauses, self._most = line, pauses, most
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        for _ in range(self._most):
            if self._stop.wait(self._random.uniform(*self._pauses)):
                return
            self._line.cut_now(self._random.choice([How.RESET, How.FIN]))

    def __enter__(self) -> Cutting:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


# --- one session ------------------------------------------------------------------------------------------------------


@pytest.mark.reattach
def test_immediate_reattach(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0)
    for round_ in range(10):
        producer = session.create_producer(queue)
        for index in range(100):
            producer.send(numbered(session, index))
        producer.close()
        consumer = session.create_consumer(queue)
        line.cut_now()
        session.start()
        assert [drain_one(consumer) for _ in range(100)] == list(range(100))
        assert consumer.receive(0) is None
        session.stop()
        consumer.close()
        recorder.wait(Reconnected, round_ + 1)
    recorder.told_once(*[Recovery.REATTACHED] * 10)


@pytest.mark.reattach
def test_the_sessions_of_a_user_are_reattached(line: Cutter, artemis: Broker, opened: Opened, queue: str) -> None:
    """The login that goes before them (`CONNECT` of 2.57) is passed over by servers that do not know it."""
    factory = opened.factory(line.url(), WINDOW, user=artemis.user, password=artemis.password)
    recorder = Recorder(factory)
    sessions = [factory.create_session() for _ in range(2)]
    for round_ in range(3):
        line.cut_now()
        for index, session in enumerate(sessions):
            producer = session.create_producer(queue)
            producer.send(numbered(session, 2 * round_ + index))
            producer.close()
        recorder.wait(Reconnected, round_ + 1)
    recorder.told_once(*[Recovery.REATTACHED] * 3)
    assert sorted(drain(sessions[0].start().create_consumer(queue), 6)) == list(range(6))


def drain_one(consumer: ClientConsumer) -> int:
    message = consumer.receive(PATIENCE)
    assert message is not None
    message.acknowledge()
    return int.from_bytes(message.body[:8], "big")


@pytest.mark.reattach
def test_credits_that_are_lost_in_a_cut_are_asked_for_again(line: Cutter, opened: Opened, queue: str) -> None:
    session = opened.session(line.url(), WINDOW, producerWindowSize=20_000)
    producer = session.create_producer(queue)
    for index in range(40):
        if index % 4 == 1:
            line.cut_after(TO_CLIENT if index % 8 == 1 else TO_BROKER, 1)  # an answer, or a request, is lost
        producer.send(numbered(session, index, 5_000))
    assert drain(session.create_consumer(queue)) == list(range(40))
    assert line.cuts == 10


@pytest.mark.reattach
def test_consumer_credits_lost_in_cuts_leave_nobody_starving(
    line: Cutter, artemis: Broker, opened: Opened, queue: str
) -> None:
    direct = opened.session(artemis.url())
    producer = direct.create_producer(queue)
    for index in range(400):
        producer.send(numbered(direct, index, 1000))
    line.plan(random_cuts(3, 3_000, 40_000, directions=(TO_CLIENT,)))
    factory = opened.factory(line.url(), WINDOW, consumerWindowSize=5_000)
    session = factory.create_session(ack_batch_size=0).start()
    consumer = session.create_consumer(queue)
    assert [drain_one(consumer) for _ in range(400)] == list(range(400))
    assert line.cuts > 5
    line.plan([])


def test_delayed_reattach(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW, retryInterval=100, maxRetryInterval=100)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0)
    producer = session.create_producer(queue)
    for index in range(300):
        producer.send(numbered(session, index))
    consumer = session.create_consumer(queue)
    with outage(line):
        recorder.wait(ConnectAttemptFailed, 3)
    session.start()
    assert [drain_one(consumer) for _ in range(300)] == list(range(300))
    assert consumer.receive(0) is None


@pytest.mark.reattach
def test_a_second_loss_while_sessions_are_handed_over_is_one_outage(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    recorder = Recorder(factory)
    sessions = [factory.create_session(ack_batch_size=0) for _ in range(5)]
    producer = sessions[0].create_producer(queue)
    for index in range(100):
        producer.send(numbered(sessions[0], index))
    # The handshake is about 100 bytes, each answer to a reattachment a few: cuts in the middle of it, several times.
    line.plan([Cut(TO_CLIENT, position) for position in (40, 90, 110, 130, 150)])
    line.cut_now()
    recorder.wait(Reconnected)
    consumer = sessions[4].start().create_consumer(queue)
    assert [drain_one(consumer) for _ in range(100)] == list(range(100))
    for session in sessions:
        assert session.query_queue(queue).exists
    recorder.all_told()
    assert set(recorder.recoveries()) == {Recovery.REATTACHED}
    assert len(recorder.before) == len(recorder.ended)


def test_attempts_that_are_used_up_close_everything_with_one_kind_of_error(
    line: Cutter, opened: Opened, queue: str
) -> None:
    factory = opened.factory(line.url(), WINDOW, reconnectAttempts=3, retryInterval=50)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    with outage(line):
        eventually(lambda: recorder.ended, "the end")
    for _ in range(3):
        with pytest.raises(ReconnectGaveUp):
            producer.send(numbered(session, 0))
    session.close()
    assert recorder.recoveries() == [Recovery.GAVE_UP]
    assert factory.is_closed


def test_back_within_the_attempts_the_session_is_usable(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW, reconnectAttempts=45, retryInterval=100)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    for round_ in range(1, 4):  # each outage has all its attempts
        failed = len(recorder.of(ConnectAttemptFailed))
        with outage(line):
            recorder.wait(ConnectAttemptFailed, failed + 16)
        session.create_producer(queue).send(numbered(session, 0))
        recorder.wait(Reconnected, round_)


@pytest.mark.parametrize("direction", [TO_BROKER, TO_CLIENT], ids=["before-it-is-sent", "after-it-is-sent"])
@pytest.mark.parametrize("parameters", [WINDOW, NO_WINDOW], ids=["window", "no-window"])
def test_many_threads_create_sessions_while_the_connection_fails(
    line: Cutter, opened: Opened, queue: str, direction: Direction, parameters: dict[str, object]
) -> None:
    factory = opened.factory(line.url(), parameters)
    go = threading.Barrier(51)

    def create() -> ClientSession:
        go.wait()
        return factory.create_session()

    creating = [in_thread(create) for _ in range(50)]
    line.cut_after(direction, 500 if direction is TO_BROKER else 200)
    go.wait()
    for each in creating:
        assert each.value().query_queue(queue).exists
    assert line.cuts == 1


def test_create_queue_right_after_a_failure(line: Cutter, opened: Opened, queue: str) -> None:
    for parameters in (WINDOW, NO_WINDOW):
        session = opened.session(line.url(), parameters)
        for index in range(10):
            line.cut_after((TO_BROKER, TO_CLIENT)[index % 2], 1)
            session.create_queue(queue, f"{queue}.{index}")
        for index in range(10):
            session.delete_queue(f"{queue}.{index}")


@pytest.mark.parametrize(
    ("interval", "multiplier", "maximum", "pauses"),
    [
        (150, 1.0, 2000, [0.15] * 4),
        (50, 2.0, 2000, [0.05, 0.1, 0.2, 0.4]),
        (50, 2.0, 120, [0.05, 0.1, 0.12, 0.12, 0.12]),
    ],
    ids=["constant", "growing", "capped"],
)
def test_pauses_between_attempts(
    line: Cutter,
    opened: Opened,
    interval: int,
    multiplier: float,
    maximum: int,
    pauses: list[float],
) -> None:
    factory = opened.factory(
        line.url(), WINDOW, retryInterval=interval, retryIntervalMultiplier=multiplier, maxRetryInterval=maximum
    )
    recorder = Recorder(factory)
    factory.create_session()
    with outage(line):
        recorder.wait(ConnectAttemptFailed, len(pauses))
    seconds = recorder.wait(Reconnected).seconds
    failed = recorder.of(ConnectAttemptFailed)
    assert [event.retry_in for event in failed[: len(pauses)]] == pytest.approx(pauses)
    # A busy machine may be late to end the outage: then there were more attempts.
    assert sum(pauses) <= seconds < sum(event.retry_in for event in failed) + SLACK


@pytest.mark.reattach
def test_the_answer_to_a_reattachment_is_withheld(line: Cutter, opened: Opened, queue: str) -> None:
    """Given up after the attempts, not half alive; and with attempts left it comes back."""
    limits = {**WINDOW, "handshakeTimeout": 300, "initialConnectAttempts": -1}
    factory = opened.factory(line.url(), limits, reconnectAttempts=20)
    recorder = Recorder(factory)
    session = factory.create_session()
    line.plan([Cut(TO_CLIENT, 0, How.BLACK_HOLE)] * 2)
    line.cut_now()
    session.create_producer(queue).send(numbered(session, 0))
    recorder.told_once(Recovery.REATTACHED)
    assert len(recorder.of(ConnectAttemptFailed)) >= 2
    factory.close()
    factory = opened.factory(line.url(), limits, reconnectAttempts=3)
    session = factory.create_session()
    producer = session.create_producer(queue)
    line.plan([Cut(TO_CLIENT, 0, How.BLACK_HOLE)] * 3)
    line.cut_now()
    with pytest.raises((ConnectionLost, OutcomeUnknown)):  # it may have been written before the cut was noticed
        producer.send(numbered(session, 1))
    assert session.is_closed
    assert factory.is_closed


@pytest.mark.reattach
def test_one_session_that_cannot_be_reattached_leaves_no_other_behind(
    line: Cutter, opened: Opened, queue: str, management: ServerManagement
) -> None:
    """Of several sessions the server has closed one: it is recreated, the others are reattached."""
    factory = opened.factory(line.url(), WINDOW)
    recorder = Recorder(factory)
    sessions = [factory.create_session(ack_batch_size=0).start() for _ in range(4)]
    connection = management.connection_of(sessions[1].name)
    management.invoke("broker", "closeSessionWithID", connection, sessions[1].name)
    line.cut_now()
    recorder.wait(Reconnected)
    for index, session in enumerate(sessions):
        session.create_producer(queue).send(numbered(session, index))
    assert drain(sessions[3].create_consumer(queue)) == [0, 1, 2, 3]
    assert len(recorder.of(SessionReattached)) == 3
    assert len(recorder.of(SessionRecreated)) == 1
    for _ in range(3):  # all are on the new connection: they are told of the next failures too
        line.cut_now()
        for session in sessions:
            assert session.query_queue(queue).exists
    eventually(lambda: len(recorder.ended) == 4, "the end of each outage")
    assert set(recorder.recoveries()[1:]) == {Recovery.REATTACHED}
    names = {session.name for session in sessions}
    connection = management.connection_of(sessions[0].name)
    listed = management.invoke("broker", "listSessions", connection)
    assert isinstance(listed, list)
    assert names <= set(listed), "sessions of one connection are on one connection of the server"


@pytest.mark.reattach
def test_nothing_is_written_between_the_attempts(line: Cutter, opened: Opened, queue: str) -> None:
    """A connection whose sessions are not handed over yet carries nothing of the application."""
    factory = opened.factory(line.url(), WINDOW, blockOnDurableSend="false", handshakeTimeout=400)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    producer.send(numbered(session, 0))
    line.plan([Cut(TO_CLIENT, 0, How.BLACK_HOLE)])
    line.cut_now()
    recorder.wait(Detached)
    eventually(lambda: len(line.happened) >= 2, "the second connection")
    for index in range(1, 200):
        producer.send(numbered(session, index))
    producer.flush()
    to_broker = [happened.to_broker for happened in line.happened]
    recorder.wait(Reconnected)
    assert to_broker[-1] < 1000
    assert drain(session.create_consumer(queue)) == list(range(200))


# --- order and counts under repeated failures -------------------------------------------------------------------------


@pytest.mark.reattach
def test_order_of_each_sender_is_kept(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    receiving = factory.create_session(ack_batch_size=0).start()
    inbox = Inbox(receiving.create_consumer(queue))

    def send(thread: int) -> None:
        session = factory.create_session()
        producer = session.create_producer(queue)
        for index in range(150):
            producer.send(numbered(session, thread * 1000 + index))

    with Cutting(line, 11):
        sending = [in_thread(functools.partial(send, thread)) for thread in range(5)]
        for each in sending:
            each.value(40)
        inbox.wait(750, 40)
    assert len(inbox.numbers) == 750
    for thread in range(5):
        mine = [number % 1000 for number in inbox.numbers if number // 1000 == thread]
        assert mine == list(range(150))
    assert inbox.redelivered == 0


def _delete(session: ClientSession, name: str) -> None:
    """Delete a queue, unless a session that was closed in an outage still has its consumer there until the TTL ends."""
    with contextlib.suppress(IllegalStateError):
        session.delete_queue(name)


class Program:
    """The bodies of the random reattachment tests: each is run by several threads on one connection while it fails."""

    def __init__(self, factory: ClientSessionFactory, queue: str) -> None:
        self.factory, self.queue = factory, queue

    def subscriptions(self, thread: int, *, transacted: bool, handler: bool) -> None:
        """Two queues of one address; each gets every message once, in order; with a transaction: roll back first."""
        factory = self.factory
        address = f"{self.queue}.s{thread}"
        sending = factory.create_session(auto_commit_sends=not transacted)
        names = [f"{address}.{number}" for number in range(2)]
        for name in names:
            sending.create_queue(address, name, routing_type="MULTICAST")
        producer = sending.create_producer(address)
        sessions = [factory.create_session(auto_commit_acks=not transacted, ack_batch_size=0).start() for _ in names]
        consumers = [session.create_consumer(name) for session, name in zip(sessions, names, strict=True)]
        inboxes = [Inbox(consumer) for consumer in consumers] if handler else []
        for repeat in range(2 if transacted else 1):
            for index in range(20):
                producer.send(numbered(sending, index))
            if transacted and repeat == 0:
                sending.rollback()
        if transacted:
            sending.commit()
        if handler:
            for inbox in inboxes:
                inbox.exactly(20)
        else:
            for session, consumer in zip(sessions, consumers, strict=True):
                if transacted:
                    assert [drain_one(consumer) for _ in range(20)] == list(range(20))
                    session.rollback()
                assert [drain_one(consumer) for _ in range(20)] == list(range(20))
                if transacted:
                    session.commit()
                assert consumer.receive(0) is None
        for session in sessions:
            session.close()
        for name in names:
            _delete(sending, name)
        sending.close()

    def one_message(self, thread: int) -> None:
        """Create queue, send and receive one message, delete queue."""
        for number in range(5):
            with self.factory.create_session(ack_batch_size=0) as session:
                name = f"{self.queue}.o{thread}.{number}"
                session.start().create_queue(name)
                session.create_producer(name).send(numbered(session, 7))
                with session.create_consumer(name) as consumer:
                    assert drain_one(consumer) == 7
                _delete(session, name)

    def many_consumers(self, thread: int) -> None:
        """Create and close consumers."""
        with self.factory.create_session() as session:
            for _ in range(30):
                session.create_consumer(self.queue).close()

    def many_sessions(self, thread: int) -> None:
        """Create and close sessions."""
        for _ in range(30):
            self.factory.create_session().close()

    def start_and_stop(self, thread: int) -> None:
        """Start and stop around a receive."""
        name = f"{self.queue}.n{thread}"
        with self.factory.create_session(ack_batch_size=0) as session:
            session.create_queue(name)
            producer, consumer = session.create_producer(name), session.create_consumer(name)
            for index in range(10):
                producer.send(numbered(session, index))
                session.stop()
                session.start()
                session.stop()
                session.start()
                assert drain_one(consumer) == index
            consumer.close()
            _delete(session, name)

    def immediate(self, thread: int) -> None:
        """An empty queue has nothing."""
        name = f"{self.queue}.e{thread}"
        with self.factory.create_session() as session:
            session.create_queue(name)
            with session.start().create_consumer(name) as consumer:
                for _ in range(200):
                    assert consumer.receive_immediate() is None
            _delete(session, name)


PROGRAMS = {
    "A-B-handlers": lambda p, t: p.subscriptions(t, transacted=False, handler=True),
    "E-F-receive": lambda p, t: p.subscriptions(t, transacted=False, handler=False),
    "G-H-receive-transacted": lambda p, t: p.subscriptions(t, transacted=True, handler=False),
    "I-J-one-message": lambda p, t: p.one_message(t),
    "K-consumers": lambda p, t: p.many_consumers(t),
    "L-sessions": lambda p, t: p.many_sessions(t),
    "N-start-stop": lambda p, t: p.start_and_stop(t),
    "O-immediate": lambda p, t: p.immediate(t),
}


@pytest.mark.reattach
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_random_reattachment_with_threads(line: Cutter, opened: Opened, queue: str, program: object) -> None:
    assert callable(program)
    factory = opened.factory(line.url(), WINDOW)
    running = Program(factory, queue)
    with Cutting(line, 5, (0.002, 0.02), most=800):
        threads = [in_thread(functools.partial(program, running, number)) for number in range(5)]
        for thread in threads:
            thread.join(40)
    for thread in threads:
        if thread.error is not None:
            raise thread.error
    assert line.cuts > 0


def test_producer_and_consumer_run_while_the_connection_fails_without_window(
    line: Cutter, opened: Opened, queue: str, management: ServerManagement
) -> None:
    """Every failure recreates; sends are repeated with the same duplicate id by the client itself."""
    factory = opened.factory(line.url(), NO_WINDOW, duplicateDetection="true")
    sending, receiving = factory.create_session(), factory.create_session(ack_batch_size=0).start()
    inbox = Inbox(receiving.create_consumer(queue))
    producer = sending.create_producer(queue)
    outcomes = Outcomes()
    with Cutting(line, 2, (0.02, 0.1), most=100):
        for index in range(1500):
            producer.send(numbered(sending, index), outcomes)
        outcomes.wait(1500)
    assert not outcomes.failed
    inbox.wait(1500)
    assert sorted(set(inbox.numbers)) == list(range(1500))
    name = sending.name
    factory.close()
    eventually(lambda: management.connection_of(name) is None, "the end of the sessions on the server")


# --- liveness ---------------------------------------------------------------------------------------------------------


def test_pings_keep_an_idle_connection(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW, connectionTTL=3000, clientFailureCheckPeriod=500)
    recorder = Recorder(factory)
    session = factory.create_session()
    pause(7.5)  # the server looks every 2 s
    session.query_address("any")
    recorder.all_told()
    assert not recorder.of(Detached)


def test_pings_that_are_lost_make_the_server_close_and_the_client_return(
    line: Cutter, opened: Opened, queue: str
) -> None:
    """Only the way to the broker is dead: the server gives up after the TTL, the client is told and comes back."""
    factory = opened.factory(line.url(), RELIABLE, connectionTTL=3000, clientFailureCheckPeriod=300)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    line.cut_now(How.HALF_OPEN, TO_BROKER)
    session.create_producer(queue).send(numbered(session, 0))
    recorder.wait(Reconnected)
    assert drain(session.create_consumer(queue)) == [0]
    recorder.all_told()
    assert len(recorder.before) == 1


def test_a_connection_that_carries_calls_is_not_given_up_for_silence_between_them(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW, connectionTTL=-1, clientFailureCheckPeriod=-1)
    recorder = Recorder(factory)
    session = factory.create_session()
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        session.query_address("any")
    assert not recorder.of(Detached)


@pytest.mark.reattach
def test_a_session_that_a_late_request_takes_away_comes_back(
    artemis: Broker, line: Cutter, opened: Opened, queue: str
) -> None:
    """What a frozen broker reads last may be an abandoned connection's: nothing tells that the session has moved."""
    factory = opened.factory(line.url(), RELIABLE, callTimeout=4000)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    inbox = Inbox(session.create_consumer(queue))
    producer = opened.session(artemis.url(), RELIABLE).create_producer(queue)
    producer.send(numbered(session, 0))
    inbox.wait(1)
    line.cut_now()
    recorder.wait(Reconnected)
    with Handshake(artemis.host, artemis.port, timeout=PATIENCE) as thief:
        hello = encode(SubscribeTopology(False, NEWEST), 0, NEWEST)
        thief.socket.sendall(hello + encode(ReattachSession(session.name, session.engine.received), 1, NEWEST))
        while thief.read(int.from_bytes(thief.read(4), "big"))[0] != ReattachSessionResponse.KIND:
            pass
        for index in range(1, 20):
            producer.send(numbered(session, index))
        inbox.exactly(20)
    recorder.told_once(Recovery.REATTACHED, Recovery.REATTACHED)
    assert isinstance(recorder.of(Detached)[1].reason, SessionUnanswered)
