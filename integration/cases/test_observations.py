"""What was observed with the Java client, case by case: cuts, silence, kills, transactions, attempts, connects."""

from __future__ import annotations

import time

import pytest

from activeclient.client.listeners import Recovery
from activeclient.errors import (
    ClosedError,
    ConnectFailed,
    ConnectionLost,
    Outcome,
    OutcomeUnknown,
    ReconnectGaveUp,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
)
from activeclient.events import Detached, GaveUp, Reconnected, SendFailed
from activeclient.testing.cuts import Direction, How
from activeclient.testing.cutter import Cutter
from activeclient.testing.ports import free_port
from integration.artemis import Broker
from integration.cases.support import (
    NO_WINDOW,
    PATIENCE,
    RELIABLE,
    RETRY,
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
    number_of,
    numbered,
    outage,
    pause,
    send_numbers,
    settled,
)
from integration.conftest import MakeBroker
from integration.faults import Link

TO_BROKER, TO_CLIENT = Direction.TO_BROKER, Direction.TO_CLIENT


# --- a, b: an outage under blocking and asynchronous sends ------------------------------------------------------------


@pytest.mark.reattach
def test_a_blocking_sends_with_a_window_go_on_after_an_outage(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    recorder = Recorder(factory)
    session, receiving = factory.create_session(), factory.create_session(ack_batch_size=0)
    inbox = Inbox(receiving.create_consumer(queue))
    receiving.start()
    names = session.name, receiving.name
    producer = session.create_producer(queue)
    for index in range(100):
        producer.send(numbered(session, index))
    with outage(line):
        began = time.monotonic()
        late = in_thread(lambda: producer.send(numbered(session, 100)))
        pause(1.0)
        assert late.running
    up = time.monotonic()
    late.value()
    assert late.seconds >= 1.0
    for index in range(101, 200):
        producer.send(numbered(session, index))
    inbox.exactly(200)
    assert inbox.redelivered == 0
    assert (session.name, receiving.name) == names
    recorder.told_once(Recovery.REATTACHED)
    assert recorder.time_of(Detached) - began < SLACK
    assert recorder.time_of(Reconnected) - up < 2.0 + SLACK  # maxRetryInterval and a little
    assert recorder.ended[0][0].error_code == "FAILOVER"


@pytest.mark.reattach
def test_a_asynchronous_sends_with_a_window_lose_nothing(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW, blockOnDurableSend="false")
    session = factory.create_session(ack_batch_size=0).start()
    inbox = Inbox(session.create_consumer(queue))
    producer = session.create_producer(queue)
    for index in range(500):
        producer.send(numbered(session, index))
    with outage(line):
        rest = in_thread(lambda: send_numbers(producer, range(500, 3000)))
        pause(0.5)
    rest.value()
    inbox.exactly(3000)


def test_b_without_window_the_send_in_flight_is_in_doubt_and_says_so(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), NO_WINDOW)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    producer.send(numbered(session, 0))
    name = session.name
    settled(factory)
    line.cut_after(TO_CLIENT, 1)  # the request arrives, its answer does not
    with pytest.raises(OutcomeUnknown) as caught:
        producer.send(numbered(session, 1))
    assert caught.value.outcome is Outcome.UNKNOWN
    assert caught.value.duplicate_id is None
    producer.send(numbered(session, 2))
    assert session.name != name
    assert drain(session.create_consumer(queue)) == [0, 1, 2]
    recorder.told_once(Recovery.RECREATED)
    assert recorder.ended[0][0].in_doubt == (None,)


@pytest.mark.parametrize("direction", [TO_BROKER, TO_CLIENT], ids=["request-lost", "answer-lost"])
def test_b_with_a_duplicate_id_the_send_in_flight_is_repeated(
    line: Cutter, opened: Opened, queue: str, direction: Direction
) -> None:
    factory = opened.factory(line.url(), NO_WINDOW, duplicateDetection="true")
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    for index in range(10):
        if index == 5:
            line.cut_after(direction, 1)
        producer.send(numbered(session, index))
    assert line.cuts == 1
    assert drain(session.create_consumer(queue)) == list(range(10))


@pytest.mark.parametrize("duplicate_ids", [False, True], ids=["without-ids", "with-ids"])
def test_b_asynchronous_sends_without_window_each_end_in_one_way(
    line: Cutter, opened: Opened, queue: str, duplicate_ids: bool
) -> None:
    factory = opened.factory(line.url(), NO_WINDOW, duplicateDetection=str(duplicate_ids).lower())
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    outcomes = Outcomes()
    for index in range(2000):
        if index == 1500:
            eventually(lambda: line.cuts == 1 and line.connections, "the first cut and the connection after it")
        if index in (500, 1500):
            line.cut_after(TO_BROKER, 20_000)
        producer.send(numbered(session, index), outcomes)
    outcomes.wait(2000)
    stored = drain(session.create_consumer(queue))
    assert line.cuts == 2
    assert len(stored) == len(set(stored))
    # The lost session's last sends may be stored behind the first of the new one: those are the ones in doubt.
    completed = [number for number in stored if number in set(outcomes.done)]
    assert completed == sorted(completed)
    assert set(outcomes.done) <= set(stored), "completed and not stored"
    if duplicate_ids:
        assert not outcomes.failed
        assert stored == list(range(2000))
    else:
        missing = set(range(2000)) - set(stored)
        assert missing <= set(outcomes.failed), "lost without a word"
        assert all(isinstance(error, OutcomeUnknown) for error in outcomes.failed.values())


def test_b_a_send_that_nobody_waits_for_is_reported_when_its_fate_is_unknown(
    line: Cutter, opened: Opened, queue: str
) -> None:
    factory = opened.factory(line.url(), NO_WINDOW, blockOnDurableSend="false")
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    line.cut_after(TO_BROKER, 5_000)
    for index in range(200):
        producer.send(numbered(session, index))
    recorder.wait(Reconnected)
    session.query_queue(queue)
    stored = set(drain(session.create_consumer(queue)))
    missing = set(range(200)) - stored
    assert missing
    failed = recorder.of(SendFailed)
    assert sum(event.count for event in failed) >= len(missing)
    assert all(event.error.outcome is Outcome.UNKNOWN for event in failed)


# --- c: the broker is killed ------------------------------------------------------------------------------------------


def test_c_broker_killed_and_restarted_loses_and_repeats_nothing(private_broker_of: MakeBroker, opened: Opened) -> None:
    broker = private_broker_of()
    with Cutter(broker.host, broker.port) as line:
        factory = opened.factory(line.url(), RELIABLE, callTimeout=30000)
        recorder = Recorder(factory)
        session, receiving = factory.create_session(), factory.create_session(ack_batch_size=0)
        session.create_queue("killed")
        inbox = Inbox(receiving.create_consumer("killed"))
        receiving.start()
        producer = session.create_producer("killed")
        outcomes = Outcomes()
        for index in range(1000):
            producer.send(numbered(session, index), outcomes)
        broker.kill()  # behind the line: connections open and are closed, as with a load balancer
        rest = in_thread(lambda: send_numbers(producer, range(1000, 2000), outcomes))
        broker.start()
        ready = time.monotonic()
        recorder.wait(Reconnected)
        assert recorder.time_of(Reconnected) - ready < 1.0 + SLACK
        rest.value()
        outcomes.wait(2000)
        assert not outcomes.failed
        inbox.wait(2000)
        stored = sorted(set(inbox.numbers))
        assert stored == list(range(2000))
        recorder.told_once(Recovery.RECREATED)
        factory.close()


# --- d: the outage lasts longer than the server keeps the session -----------------------------------------------------


def test_d_outage_beyond_the_ttl_recreates_and_sends_again(
    line: Cutter, opened: Opened, queue: str, management: ServerManagement
) -> None:
    factory = opened.factory(line.url(), RELIABLE, connectionTTL=3000, clientFailureCheckPeriod=300)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    outcomes = Outcomes()
    name = session.name
    for index in range(100):
        producer.send(numbered(session, index), outcomes)
    with outage(line):
        for index in range(100, 500):
            producer.send(numbered(session, index), outcomes)
        eventually(lambda: management.connection_of(name) is None, "the end of the session on the server")
    blocking = in_thread(lambda: producer.send(numbered(session, 500)))
    blocking.value()
    outcomes.wait(500)
    assert not outcomes.failed
    assert session.name != name
    assert drain(session.create_consumer(queue)) == list(range(501))
    recorder.told_once(Recovery.RECREATED)


# --- e: silence -------------------------------------------------------------------------------------------------------


@pytest.mark.reattach
def test_e_a_silent_line_is_found_within_one_ttl(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW, connectionTTL=4000, clientFailureCheckPeriod=1000)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    asked = time.monotonic()
    session.query_address("any")
    line.cut_now(How.BLACK_HOLE)
    began = time.monotonic()
    recorder.wait(Reconnected)
    assert recorder.time_of(Detached) - asked >= 4.0
    assert recorder.time_of(Detached) - began < 4.0 + SLACK
    session.query_address("any")
    recorder.told_once(Recovery.REATTACHED)


def test_e_after_the_silence_the_connection_is_back_soon_whatever_call_timeout_is(
    proxied: Link, opened: Opened, queue: str
) -> None:
    factory = opened.factory(
        proxied.url(), WINDOW, connectionTTL=3000, clientFailureCheckPeriod=300, handshakeTimeout=500, callTimeout=30000
    )
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    with proxied.black_hole():
        recorder.wait(Detached)
        waiting = in_thread(lambda: producer.send(numbered(session, 0)))
        pause(1.0)
    healthy = time.monotonic()
    recorder.wait(Reconnected)
    assert recorder.time_of(Reconnected) - healthy < 2.0 + SLACK
    waiting.value()
    assert drain(session.create_consumer(queue)) == [0]


def test_e4_a_check_period_longer_than_the_ttl_does_not_kill_an_idle_connection(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW, connectionTTL=3000, clientFailureCheckPeriod=18000)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    pause(7.5)  # the server looks every 2 s
    session.query_address("any")
    recorder.all_told()
    assert not recorder.of(Detached)
    assert line.accepted == 1


@pytest.mark.parametrize("parameters", [WINDOW, NO_WINDOW], ids=["window", "no-window"])
def test_e5_a_call_without_answer_ends_at_call_timeout_with_an_unknown_outcome(
    line: Cutter, opened: Opened, queue: str, parameters: dict[str, object]
) -> None:
    factory = opened.factory(line.url(), parameters, callTimeout=3000, duplicateDetection="true")
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    producer.send(numbered(session, 0))
    line.cut_now(How.BLACK_HOLE)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown) as caught:
        producer.send(numbered(session, 1))
    assert 2.9 < time.monotonic() - began < 3.0 + SLACK
    assert caught.value.duplicate_id is not None
    line.release()
    repeated = numbered(session, 1)
    repeated.properties["_AMQ_DUPL_ID"] = caught.value.duplicate_id
    producer.send(repeated)
    assert drain(session.create_consumer(queue)) == [0, 1]


# --- f: transactions --------------------------------------------------------------------------------------------------


@pytest.mark.reattach
@pytest.mark.parametrize("lost", [False, True], ids=["reattached", "recreated"])
def test_f_a_transaction_over_a_cut(line: Cutter, opened: Opened, queue: str, lost: bool) -> None:
    factory = opened.factory(line.url(), NO_WINDOW if lost else WINDOW)
    recorder = Recorder(factory)
    preparing = factory.create_session()
    preparing.create_queue(f"{queue}.out")
    feed = preparing.create_producer(queue)
    for index in range(10):
        feed.send(numbered(preparing, index))
    session = factory.create_session(auto_commit_sends=False, auto_commit_acks=False, ack_batch_size=0).start()
    consumer = session.create_consumer(queue)
    producer = session.create_producer(f"{queue}.out")

    def take() -> int:
        message = consumer.receive(PATIENCE)
        assert message is not None
        message.acknowledge()
        return number_of(message)

    assert [take() for _ in range(5)] == [0, 1, 2, 3, 4]
    for index in range(10):
        producer.send(numbered(session, index))
    with outage(line):
        recorder.wait(Detached)
        pause(0.3)
    for index in range(10, 20):
        producer.send(numbered(session, index))
    assert take() == (0 if lost else 5)
    looking = preparing.start().create_consumer(f"{queue}.out")
    if lost:
        with pytest.raises(TransactionRolledBackError):
            session.commit()
        assert drain(looking) == []
        assert [take() for _ in range(10)] == list(range(10))
        producer.send(numbered(session, 77))
        session.commit()
        assert drain(looking) == [77]
    else:
        session.commit()
        assert drain(looking) == list(range(20))
        assert [take() for _ in range(4)] == [6, 7, 8, 9]
        session.commit()
    preparing.close()
    session.close()
    with factory.create_session() as last:
        last.delete_queue(f"{queue}.out")


@pytest.mark.reattach
@pytest.mark.parametrize("direction", [TO_BROKER, TO_CLIENT], ids=["request-lost", "answer-lost"])
@pytest.mark.parametrize("kind", ["window", "ids", "neither"])
def test_f_a_commit_in_flight(line: Cutter, opened: Opened, queue: str, direction: Direction, kind: str) -> None:
    parameters = WINDOW if kind == "window" else NO_WINDOW
    factory = opened.factory(line.url(), parameters, duplicateDetection="true" if kind == "ids" else "false")
    session = factory.create_session(auto_commit_sends=False, auto_commit_acks=False)
    producer = session.create_producer(queue)
    for index in range(5):
        producer.send(numbered(session, index))
    session.query_queue(queue)  # everything is on the server
    settled(factory)
    line.cut_after(direction, 1)
    if kind == "neither":
        with pytest.raises(TransactionOutcomeUnknownError) as caught:
            session.commit()
        assert caught.value.outcome is Outcome.UNKNOWN
    else:
        session.commit()
    with factory.create_session().start() as looking:
        stored = drain(looking.create_consumer(queue))
    happened = kind != "neither" or direction is TO_CLIENT
    assert stored == (list(range(5)) if happened else [])
    producer.send(numbered(session, 9))
    session.commit()


# --- g: attempts are used up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [3, 0])
def test_g_attempts_used_up_end_every_call(line: Cutter, opened: Opened, queue: str, attempts: int) -> None:
    factory = opened.factory(line.url(), WINDOW, reconnectAttempts=attempts, retryInterval=200)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    consumer = session.create_consumer(f"{queue}")
    waiting = in_thread(consumer.receive)
    eventually(lambda: waiting.running, "a receive")
    began = time.monotonic()
    line.down()
    line.cut_now()
    recorder.wait(Detached)  # what is sent before may have been written
    if attempts:
        sending = in_thread(lambda: producer.send(numbered(session, 0)))
        sending.join()
        assert isinstance(sending.error, ReconnectGaveUp) or sending.error is not None
        assert getattr(sending.error, "outcome", None) is Outcome.NOT_SENT
    waiting.join()
    assert isinstance(waiting.error, (ReconnectGaveUp, ConnectionLost)), waiting.error
    spent = time.monotonic() - began
    assert (0.4 if attempts else 0.0) <= spent < 0.6 + SLACK
    recorder.told_once(Recovery.GAVE_UP)
    assert recorder.ended[0][0].error_code == "DISCONNECT"
    assert recorder.ended[0][1] is False
    line.up()
    for call in (
        lambda: producer.send(numbered(session, 1)),
        consumer.receive,
        factory.create_session,
        session.start,
        session.commit,
        lambda: session.query_queue(queue),
    ):
        with pytest.raises((ConnectionLost, ClosedError)):
            call()
    session.close()
    factory.close()
    assert len(recorder.of(GaveUp)) == 1


# --- h: two brokers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["list", "failoverAttempts"])
def test_h_another_broker_takes_over_and_back(private_broker_of: MakeBroker, opened: Opened, way: str) -> None:
    first, second = private_broker_of(), private_broker_of()
    with Cutter(first.host, first.port) as one, Cutter(second.host, second.port) as two:
        more = {"reconnectAttempts": -1} if way == "list" else {"reconnectAttempts": 1, "failoverAttempts": -1}
        # A lost session keeps its consumer on its broker, and messages with it, until the TTL is over.
        ttl = {"connectionTTL": 3000, "clientFailureCheckPeriod": 300}
        factory = opened.factory(f"({one.url()},{two.url()})", {**RELIABLE, **more, **ttl})
        recorder = Recorder(factory)
        session = factory.create_session(ack_batch_size=0).start()
        session.create_queue("moving")
        producer, consumer = session.create_producer("moving"), session.create_consumer("moving")
        current, other = (one, two) if one.connections else (two, one)
        with opened.session(other.url()) as elsewhere:
            elsewhere.create_queue("moving")
        for _ in range(2):
            current.down()
            current.cut_now()
            recorder.wait(Reconnected, len(recorder.ended) + 1)
            producer.send(numbered(session, 1))
            message = consumer.receive(PATIENCE)
            assert message is not None
            message.acknowledge()
            current.up()
            current, other = other, current
            eventually(lambda: len(recorder.ended) == len(recorder.of(Reconnected)), "listeners")
        recorder.told_once(Recovery.FAILED_OVER, Recovery.FAILED_OVER)
        factory.close()


# --- j: a receive with a limit ----------------------------------------------------------------------------------------


@pytest.mark.reattach
@pytest.mark.parametrize("parameters", [WINDOW, NO_WINDOW], ids=["window", "no-window"])
def test_j_a_receive_goes_on_over_a_cut(
    line: Cutter, artemis: Broker, opened: Opened, queue: str, parameters: dict[str, object]
) -> None:
    consumer = opened.session(line.url(), parameters).create_consumer(queue)
    direct = opened.session(artemis.url())
    receiving = in_thread(lambda: consumer.receive(PATIENCE))
    with outage(line):
        pause(0.5)
        assert receiving.running
        direct.create_producer(queue).send(numbered(direct, 5))
    message = receiving.value()
    assert message is not None
    assert number_of(message) == 5
    message.acknowledge()
    began = time.monotonic()
    assert consumer.receive(0.3) is None
    assert 0.25 < time.monotonic() - began < 0.3 + SLACK
    assert consumer.receive(0) is None


# --- k: the first connect ---------------------------------------------------------------------------------------------


def test_k_a_dead_address_is_an_error_that_names_it(opened: Opened) -> None:
    port = free_port()
    for attempts, tries in ((0, 1), (1, 1), (3, 3)):
        began = time.monotonic()
        with pytest.raises(ConnectFailed, match=str(port)):
            opened.factory(f"tcp://127.0.0.1:{port}", RETRY, initialConnectAttempts=attempts, retryInterval=100)
        spent = time.monotonic() - began
        assert (tries - 1) * 0.1 <= spent < (tries - 1) * 0.1 + SLACK


def test_k_of_a_dead_and_a_living_address_the_second_is_used(line: Cutter, opened: Opened, queue: str) -> None:
    session = opened.session(f"(tcp://127.0.0.1:{free_port()},{line.url()})", RELIABLE)
    session.create_producer(queue).send(numbered(session, 1))
    assert line.connections == 1
