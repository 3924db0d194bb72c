"""The defects that were found in the Java client or the broker, each with what ours does instead."""

from __future__ import annotations

import functools
import hashlib
import io
import random
import time
from collections import Counter

import pytest

from activeclient.client.listeners import Recovery
from activeclient.errors import (
    IllegalStateError,
    JMSError,
    Outcome,
    ReconnectGaveUp,
    ResourceAllocationError,
)
from activeclient.events import (
    ConnectAttemptFailed,
    Detached,
    Reconnected,
    SendFailed,
    SessionRecreated,
    StaleAcknowledgement,
)
from activeclient.testing.cuts import Cut, Direction, How, random_cuts
from activeclient.testing.cutter import Cutter
from activeclient.wire.message import CoreMessage
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
    number_of,
    numbered,
    outage,
    pause,
)

TO_BROKER, TO_CLIENT = Direction.TO_BROKER, Direction.TO_CLIENT


@pytest.mark.reattach
@pytest.mark.parametrize("parameters", [WINDOW, RELIABLE], ids=["window", "reliable"])
def test_1_immediate_resets_at_random_bytes_keep_the_count(
    line: Cutter, opened: Opened, queue: str, parameters: dict[str, object]
) -> None:
    line.plan(random_cuts(7, 2_000, 60_000, hows=(How.RESET, How.FIN, How.ABANDON)))
    factory = opened.factory(line.url(), parameters)
    session, receiving = factory.create_session(), factory.create_session(ack_batch_size=0).start()
    inbox = Inbox(receiving.create_consumer(queue))
    producer = session.create_producer(queue)
    outcomes = Outcomes()
    sent = 0
    # How many bytes a reattachment sends again depends on the time: work until the cuts have happened.
    while sent < 3000 or (line.cuts < 20 and sent < 30_000):
        for index in range(sent, sent + 500):
            producer.send(numbered(session, index, 1024), outcomes)
        sent += 500
    outcomes.wait(sent)
    inbox.exactly(sent)
    line.plan([])
    assert line.cuts >= 20
    assert not outcomes.failed
    assert inbox.redelivered == 0


@pytest.mark.reattach
def test_2_a_recreation_followed_by_cuts_loses_nothing(
    line: Cutter, opened: Opened, queue: str, management: ServerManagement
) -> None:
    factory = opened.factory(line.url(), RELIABLE)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    inboxes = [Inbox(session.create_consumer(queue)) for _ in range(8)]
    producer = session.create_producer(queue)
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            producer.send(numbered(session, sent), outcomes)
            sent += 1

    outcomes = Outcomes()
    send(200)
    management.fail_connection_of(session.name)
    recorder.wait(SessionRecreated)
    for _ in range(6):
        send(200)
        line.cut_now()
        send(200)
    outcomes.wait(sent)
    assert not outcomes.failed
    eventually(lambda: len({n for inbox in inboxes for n in inbox.numbers}) == sent, "all messages")
    times = Counter(number for inbox in inboxes for number in inbox.numbers)
    # What was received and unacknowledged at the recreation may come again; nothing after it.
    assert all(number < 200 for number, count in times.items() if count > 1)
    recorder.all_told()
    assert recorder.recoveries().count(Recovery.RECREATED) == 1
    for inbox in inboxes:
        assert inbox.numbers[-1] >= 0


@pytest.mark.reattach
@pytest.mark.parametrize("window", [1048576, -1], ids=["prefetch", "unlimited"])
def test_3_a_large_message_received_over_cuts_has_its_own_body(
    line: Cutter, artemis: Broker, opened: Opened, queue: str, window: int
) -> None:
    direct = opened.session(artemis.url())
    bodies = [random.Random(seed).randbytes(6 << 20) for seed in range(2)]
    producer = direct.create_producer(queue)
    for body in bodies:
        producer.send(direct.create_message(body=body))
    factory = opened.factory(line.url(), RELIABLE, consumerWindowSize=window)
    session = factory.create_session(ack_batch_size=0).start()
    line.plan([Cut(TO_CLIENT, 1 << 20)])  # with unlimited credits everything may have come before the body is read
    line.cut_after(TO_CLIENT, 2 << 20)
    consumer = session.create_consumer(queue)
    for body in bodies:
        message = consumer.receive(PATIENCE)
        assert message is not None
        digest, length = hashlib.sha256(), 0
        with message.open_body() as stream:
            while chunk := stream.read(100_000):
                before, length = length, length + len(chunk)
                digest.update(chunk)
                if before // (1 << 20) != length // (1 << 20) and length < 4 << 20:
                    line.cut_after(TO_CLIENT, 300_000)
        assert length == len(body)
        assert digest.digest() == hashlib.sha256(body).digest()
        message.acknowledge()
    assert line.cuts >= 2
    assert consumer.receive(0) is None


def test_3_a_large_message_sent_over_a_cut_arrives_whole(line: Cutter, opened: Opened, queue: str) -> None:
    session = opened.session(line.url(), RELIABLE)
    body = random.Random(3).randbytes(8 << 20)
    producer = session.create_producer(queue)
    line.cut_after(TO_BROKER, 3 << 20)
    message = session.create_message()
    message.body_input = io.BytesIO(body)
    producer.send(message)
    assert line.cuts == 1
    received = session.create_consumer(queue).receive(PATIENCE)
    assert received is not None
    assert received.body == body
    received.acknowledge()


def test_4_a_late_acknowledgement_never_reaches_the_new_session(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), NO_WINDOW)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    producer = session.create_producer(queue)
    for index in range(4):
        producer.send(numbered(session, index))
    consumer = session.create_consumer(queue)
    held = consumer.receive(PATIENCE)
    assert held is not None
    line.cut_now()
    recorder.wait(Reconnected)
    held.acknowledge()
    session.query_queue(queue)
    recorder.wait(StaleAcknowledgement)
    # It settles the next delivery of its message instead, which the application has done with.
    again = []
    for _ in range(3):
        message = consumer.receive(PATIENCE)
        assert message is not None
        again.append(number_of(message))
        message.acknowledge()
    assert again == [1, 2, 3]
    assert consumer.receive(0) is None
    eventually(lambda: session.query_queue(queue).message_count == 0, "an empty queue")


def test_4_a_slow_listener_over_a_recreation_sees_each_message_in_order(
    line: Cutter, opened: Opened, queue: str
) -> None:
    factory = opened.factory(line.url(), NO_WINDOW)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    feeding = factory.create_session()
    producer = feeding.create_producer(queue)
    for index in range(4):
        producer.send(numbered(feeding, index))
    seen: list[int] = []

    def slow(message: CoreMessage) -> None:
        seen.append(number_of(message))
        if len(seen) == 1:
            line.cut_now()
            recorder.wait(Reconnected)
        message.acknowledge()

    session.create_consumer(queue).message_handler = slow
    eventually(lambda: len(seen) >= 4, "four calls")
    eventually(lambda: session.query_queue(queue).message_count == 0, "an empty queue")
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("how", [How.RESET, How.FIN], ids=["reset", "fin"])
def test_5_a_connect_that_opens_and_dies_costs_a_retry_interval_only(line: Cutter, opened: Opened, how: How) -> None:
    factory = opened.factory(line.url(), WINDOW, callTimeout=30000, retryInterval=100, maxRetryInterval=100)
    recorder = Recorder(factory)
    session = factory.create_session()
    line.plan([Cut(TO_CLIENT, 0, how)] * 5)  # accepted, then closed, as a load balancer without a server does
    began = time.monotonic()
    line.cut_now()
    recorder.wait(Reconnected)
    assert 0.4 <= recorder.time_of(Reconnected) - began < 0.5 + SLACK
    assert len(recorder.of(ConnectAttemptFailed)) == 5
    assert line.accepted == 1 + 6
    session.query_address("any")


def test_5_a_connect_that_stays_silent_costs_the_handshake_timeout_only(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW, callTimeout=30000, handshakeTimeout=400)
    recorder = Recorder(factory)
    factory.create_session()
    line.plan([Cut(TO_CLIENT, 0, How.BLACK_HOLE)] * 2)
    began = time.monotonic()
    line.cut_now()
    recorder.wait(Reconnected)
    assert 0.8 <= recorder.time_of(Reconnected) - began < 1.0 + SLACK


def test_5_sessions_that_cannot_be_handed_over_are_retried_with_pauses(
    line: Cutter, opened: Opened, management: ServerManagement
) -> None:
    """TCP and ping work and the sessions never come: no busy loop."""
    factory = opened.factory(
        line.url(), WINDOW, retryInterval=50, retryIntervalMultiplier=2, maxRetryInterval=400, handshakeTimeout=5000
    )
    recorder = Recorder(factory)
    factory.create_session()
    line.plan([Cut(TO_CLIENT, 30, How.RESET)] * 5)
    began = time.monotonic()
    line.cut_now()
    recorder.wait(Reconnected)
    assert recorder.time_of(Reconnected) - began >= 0.05 + 0.1 + 0.2 + 0.4
    assert line.accepted <= 7


def test_6_without_window_no_completion_comes_before_the_answer(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), NO_WINDOW, producerWindowSize=-1)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    outcomes = Outcomes()
    line.cut_now(How.HALF_OPEN, TO_CLIENT)  # sends arrive, answers do not
    for index in range(50):
        producer.send(numbered(session, index), outcomes)
    producer.flush()
    pause(0.2)
    assert not outcomes.ended
    line.cut_now()
    outcomes.wait(50)
    stored = drain(session.create_consumer(queue))
    assert set(outcomes.done) <= set(stored)


def test_6_a_handler_for_a_session_needs_a_window(line: Cutter, opened: Opened) -> None:
    session = opened.session(line.url(), NO_WINDOW)
    with pytest.raises(IllegalStateError, match="confirmationWindowSize"):
        session.set_send_acknowledgement_handler(lambda message, error: None)


@pytest.mark.parametrize("ids", [True, False], ids=["with-ids", "without-ids"])
def test_7_a_recreation_sends_again_or_fails_each_visibly(
    line: Cutter, opened: Opened, queue: str, management: ServerManagement, ids: bool
) -> None:
    factory = opened.factory(line.url(), WINDOW, duplicateDetection=str(ids).lower(), producerWindowSize=-1)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    outcomes = Outcomes()
    producer.send(numbered(session, 0))
    with outage(line):
        recorder.wait(Detached)
        for index in range(1, 500):
            producer.send(numbered(session, index), outcomes)
        management.fail_connection_of(session.name)
    recorder.wait(SessionRecreated)
    outcomes.wait(499)
    # Never written to a link, so they are sent even without ids.
    assert not outcomes.failed
    assert drain(session.create_consumer(queue)) == list(range(500))


@pytest.mark.parametrize("ids", [True, False], ids=["with-ids", "without-ids"])
def test_7_sends_written_and_unconfirmed_are_in_doubt_without_ids_and_repeated_with_them(
    line: Cutter, opened: Opened, queue: str, management: ServerManagement, ids: bool
) -> None:
    factory = opened.factory(line.url(), WINDOW, duplicateDetection=str(ids).lower(), producerWindowSize=-1)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    producer.send(numbered(session, 0))
    outcomes = Outcomes()
    line.cut_now(How.HALF_OPEN, TO_CLIENT)
    for index in range(1, 51):
        producer.send(numbered(session, index), outcomes)
    producer.flush()
    eventually(lambda: int(str(_count(management, queue))) >= 51, "the sends on the broker")
    management.fail_connection_of(session.name)
    line.cut_now()
    recorder.wait(SessionRecreated)
    outcomes.wait(50)
    assert drain(session.create_consumer(queue)) == list(range(51))
    if ids:
        assert not outcomes.failed
    else:
        assert len(outcomes.failed) == 50
        assert all(error.outcome is Outcome.UNKNOWN for error in outcomes.failed.values())
        assert len(recorder.of(SessionRecreated)[0].in_doubt) == 50


def _count(management: ServerManagement, queue: str) -> object:
    return management.invoke(f"queue.{queue}", "getMessageCount")


def test_8_receive_raises_when_the_connection_is_given_up(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW, reconnectAttempts=1)
    session = factory.create_session().start()
    waiting = [in_thread(functools.partial(session.create_consumer(queue).receive, PATIENCE)) for _ in range(2)]
    immediate = session.create_consumer(queue)
    line.down()
    line.cut_now()
    for call in waiting:
        call.join()
        assert isinstance(call.error, ReconnectGaveUp)
    with pytest.raises(ReconnectGaveUp):
        immediate.receive(0)


@pytest.mark.parametrize("parameters", [WINDOW, NO_WINDOW], ids=["window", "no-window"])
def test_9_the_error_of_one_command_does_not_end_another(
    artemis: Broker, opened: Opened, management: ServerManagement, parameters: dict[str, object]
) -> None:
    address = f"full.fail.{management.invoke('broker', 'getNodeID')}.{len(parameters)}.{time.monotonic_ns()}"
    factory = opened.factory(
        artemis.url(), parameters, blockOnDurableSend="false", producerWindowSize=-1, duplicateDetection="false"
    )
    recorder = Recorder(factory)
    session = factory.create_session().start()
    session.create_queue(address)
    producer = session.create_producer(address)
    for index in range(300):
        producer.send(numbered(session, index, 2000))
        if index % 20 == 0:
            assert session.query_queue(address).exists
    session.query_queue(address)
    stored = len(drain(session.create_consumer(address)))
    assert 0 < stored < 300
    eventually(lambda: len(recorder.of(SendFailed)) == 300 - stored, "a report for each refused send")
    assert all(isinstance(event.error, ResourceAllocationError) for event in recorder.of(SendFailed))
    management.invoke("broker", "destroyQueue", address, True)


def test_9_the_handler_of_a_refused_send_hears_of_it_once(artemis: Broker, opened: Opened) -> None:
    address = f"full.fail.{time.monotonic_ns()}"
    session = opened.session(artemis.url(), WINDOW, producerWindowSize=-1)
    session.create_queue(address)
    producer = session.create_producer(address)
    outcomes = Outcomes()
    for index in range(300):
        producer.send(numbered(session, index, 2000), outcomes)
    outcomes.wait(300)
    assert outcomes.failed
    assert all(isinstance(error, ResourceAllocationError) for error in outcomes.failed.values())
    consumer = session.create_consumer(address)
    assert drain(consumer) == sorted(outcomes.done)
    consumer.close()
    session.delete_queue(address)


@pytest.mark.reattach
def test_10_commands_that_failed_do_not_shift_the_count(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    producer = session.create_producer(queue)
    inbox = Inbox(session.create_consumer(queue))
    outcomes = Outcomes()
    sent = 0
    for _ in range(10):
        for _ in range(3):
            with pytest.raises(JMSError) as caught:
                session.create_queue(queue)
            assert caught.value.code == 101
        line.cut_after(TO_BROKER, 2_000)
        for _ in range(50):
            producer.send(numbered(session, sent), outcomes)
            sent += 1
        with pytest.raises(JMSError):
            session.create_consumer(f"{queue}.nowhere")
    outcomes.wait(sent)
    inbox.exactly(sent)
    assert line.cuts == 10
    recorder.told_once(*[Recovery.REATTACHED] * 10)
    assert len(recorder.of(Detached)) == 10
