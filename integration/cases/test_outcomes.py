"""How sends, acknowledgements, commits and branches end when the connection fails: done, not done, or unknown."""

from __future__ import annotations

import contextlib
import io
import uuid

import pytest

from activeclient.client import session_factory
from activeclient.client.listeners import Recovery
from activeclient.client.session import ClientSession
from activeclient.errors import (
    CallTimeout,
    ClosedError,
    DuplicateIDError,
    NotSent,
    OutageTimeout,
    Outcome,
    OutcomeUnknown,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
    XAError,
)
from activeclient.events import Detached, Reconnected, SessionRecreated
from activeclient.testing.cuts import Direction, How
from activeclient.testing.cutter import Cutter
from activeclient.wire.fields import Xid
from activeclient.wire.message import CoreMessage
from integration.artemis import Broker
from integration.cases.support import (
    NO_WINDOW,
    PATIENCE,
    RELIABLE,
    SLACK,
    WINDOW,
    Opened,
    Outcomes,
    Recorder,
    Result,
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

TO_BROKER, TO_CLIENT = Direction.TO_BROKER, Direction.TO_CLIENT
DUPLICATE_ID = "_AMQ_DUPL_ID"


# --- handlers ---------------------------------------------------------------------------------------------------------


def test_acknowledged_sends_are_on_the_broker_after_it_died(private_broker_of: MakeBroker, opened: Opened) -> None:
    broker = private_broker_of()
    with Cutter(broker.host, broker.port) as line:
        for each in (0, 1048576):
            factory = opened.factory(line.url(), WINDOW, confirmationWindowSize=each, callTimeout=30000)
            session = factory.create_session().start()
            name = f"died.{each}"
            session.create_queue(name)
            outcomes = Outcomes()
            session.set_send_acknowledgement_handler(outcomes)
            producer = session.create_producer(name)
            for index in range(500):
                producer.send(numbered(session, index))
                if index == 300:
                    broker.kill()
                    rest = in_thread(broker.start)
            rest.value(60)
            outcomes.wait(500)
            stored = drain(session.create_consumer(name))
            assert set(outcomes.done) <= set(stored)
            assert len(stored) == len(set(stored))
            assert all(error.outcome is Outcome.UNKNOWN for error in outcomes.failed.values())
            factory.close()


@pytest.mark.reattach
@pytest.mark.parametrize("kind", ["plain", "large", "anonymous", "reused"])
def test_a_handler_is_called_once_for_each_message(line: Cutter, opened: Opened, queue: str, kind: str) -> None:
    session = opened.session(line.url(), WINDOW)
    outcomes = Outcomes()
    session.set_send_acknowledgement_handler(outcomes)
    producer = session.create_producer(None if kind == "anonymous" else queue)
    again = numbered(session, 0)
    for index in range(30):
        message = again if kind == "reused" else numbered(session, index, 200_000 if kind == "large" else 100)
        if index % 10 == 5:
            line.cut_after(TO_CLIENT, 1)
        producer.send(message, address=queue if kind == "anonymous" else None)
    eventually(lambda: sum(outcomes.ended.values()) >= 30, "thirty calls")
    assert sum(outcomes.ended.values()) == 30
    assert not outcomes.failed
    assert line.cuts >= 1
    assert session.query_queue(queue).message_count == 30


@pytest.mark.reattach
def test_a_handler_may_send_and_may_raise(line: Cutter, opened: Opened, queue: str) -> None:
    session = opened.session(line.url(), WINDOW)
    producer = session.create_producer(queue)
    outcomes = Outcomes()

    def sends_again(message: CoreMessage, error: Exception | None) -> None:
        producer.send(numbered(session, number_of(message) + 100), outcomes)
        raise RuntimeError("a handler's own fault")

    for index in range(20):
        producer.send(numbered(session, index), sends_again)
    line.cut_now()
    outcomes.wait(20)
    assert sorted(drain(session.create_consumer(queue))) == [*range(20), *range(100, 120)]
    assert session.callback_errors == 20


def test_the_missing_answer_of_a_commit_is_not_taken_from_a_send(line: Cutter, opened: Opened, queue: str) -> None:
    """The commit's answer never comes, late answers of asynchronous sends do: the commit must not be done by them."""
    factory = opened.factory(line.url(), NO_WINDOW, callTimeout=3000, producerWindowSize=-1)
    session = factory.create_session(auto_commit_sends=False)
    producer = session.create_producer(queue)
    producer.send(numbered(session, 0))
    session.commit()  # from now on a commit does not wait until its sends are answered
    outcomes = Outcomes()
    line.cut_now(How.HALF_OPEN, TO_CLIENT)
    for index in range(1, 6):
        producer.send(numbered(session, index), outcomes)
    with pytest.raises((CallTimeout, OutcomeUnknown, TransactionOutcomeUnknownError)) as caught:
        session.commit()
    assert caught.value.outcome is Outcome.UNKNOWN
    outcomes.wait(5)


# --- waiting in an outage ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [WINDOW, NO_WINDOW], ids=["window", "no-window"])
def test_the_clock_of_a_call_stands_still_in_an_outage(
    line: Cutter, opened: Opened, queue: str, parameters: dict[str, object]
) -> None:
    factory = opened.factory(line.url(), parameters, callTimeout=3000, duplicateDetection="true")
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    producer.send(numbered(session, 0))
    with outage(line):
        calls: list[Result[object]] = [
            in_thread(lambda: producer.send(numbered(session, 1))),
            in_thread(lambda: session.query_queue(queue)),
        ]
        pause(3.5)
        assert all(call.running for call in calls)
    for call in calls:
        call.value()
        assert call.seconds > 3.0
    assert drain(session.create_consumer(queue)) == [0, 1]


@pytest.mark.parametrize("parameters", [WINDOW, NO_WINDOW], ids=["window", "no-window"])
def test_a_call_ends_when_the_outage_lasts_too_long_and_is_not_done_later(
    line: Cutter, opened: Opened, queue: str, parameters: dict[str, object]
) -> None:
    factory = opened.factory(line.url(), parameters, callFailoverTimeout=500)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    producer = session.create_producer(queue)
    producer.send(numbered(session, 0))
    with outage(line):
        recorder.wait(Detached)
        with pytest.raises(OutageTimeout) as caught:
            producer.send(numbered(session, 1))
        assert caught.value.outcome is Outcome.NOT_SENT
        with pytest.raises(OutageTimeout):
            session.create_queue(f"{queue}.never")
    recorder.wait(Reconnected)
    producer.send(numbered(session, 2))
    assert drain(session.create_consumer(queue)) == [0, 2]
    assert not session.query_queue(f"{queue}.never").exists


def test_a_call_in_flight_when_the_outage_begins_ends_unknown_when_it_lasts_too_long(
    line: Cutter, opened: Opened, queue: str
) -> None:
    factory = opened.factory(line.url(), RELIABLE, callFailoverTimeout=500)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    producer = session.create_producer(queue)
    producer.send(numbered(session, 0))
    line.cut_now(How.HALF_OPEN, TO_CLIENT)
    before = line.forwarded[0]
    sending = in_thread(lambda: producer.send(numbered(session, 1)))
    eventually(lambda: line.forwarded[0] > before, "the send on its way")
    with outage(line):
        sending.join()
    recorder.wait(Reconnected)  # a pause between two attempts may be longer than callFailoverTimeout
    assert isinstance(sending.error, OutcomeUnknown)
    assert sending.error.duplicate_id is not None
    repeat = numbered(session, 1)
    repeat.properties[DUPLICATE_ID] = sending.error.duplicate_id
    producer.send(repeat)
    assert drain(session.create_consumer(queue)) == [0, 1]


def test_a_sender_waits_at_the_window_in_an_outage_and_goes_on(line: Cutter, opened: Opened, queue: str) -> None:
    """The buffer is bounded: the Java client's is not."""
    factory = opened.factory(line.url(), WINDOW, confirmationWindowSize=10_000, producerWindowSize=-1)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    producer = session.create_producer(queue)
    outcomes = Outcomes()
    with outage(line):
        recorder.wait(Detached)  # what is sent before may be in doubt where nothing is reattached
        sending = in_thread(lambda: send_numbers(producer, range(200), outcomes, size=1000))
        pause(0.3)
        assert sending.running
        assert session.engine.buffer.used < 10_000 + 2_000
    sending.value()
    outcomes.wait(200)
    assert drain(session.create_consumer(queue)) == list(range(200))


@pytest.mark.reattach
@pytest.mark.parametrize("window", [1, 100, 5_000])
def test_any_window_passes_messages_larger_than_itself(line: Cutter, opened: Opened, queue: str, window: int) -> None:
    factory = opened.factory(line.url(), WINDOW, confirmationWindowSize=window)
    session = factory.create_session(ack_batch_size=0).start()
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    for index in range(30):
        if index % 10 == 5:
            line.cut_after(TO_BROKER, 3_000)
        producer.send(numbered(session, index, 20_000))
        message = consumer.receive(PATIENCE)
        assert message is not None
        assert number_of(message) == index
        message.acknowledge()
    assert line.cuts == 3


# --- given up ---------------------------------------------------------------------------------------------------------


def test_when_it_is_given_up_every_send_ends_and_says_whether_it_may_be_stored(
    line: Cutter, artemis: Broker, opened: Opened, queue: str
) -> None:
    factory = opened.factory(line.url(), RELIABLE, reconnectAttempts=4, retryInterval=1000)
    recorder = Recorder(factory)
    session = factory.create_session().start()
    producer = session.create_producer(queue)
    outcomes = Outcomes()
    for index in range(100):
        producer.send(numbered(session, index), outcomes)
    line.cut_now(How.HALF_OPEN, TO_CLIENT)
    for index in range(100, 150):
        producer.send(numbered(session, index), outcomes)
    producer.flush()
    pause(0.2)
    line.down()
    line.cut_now()
    recorder.wait(Detached)
    for index in range(150, 200):
        producer.send(numbered(session, index), outcomes)
    outcomes.wait(200)
    unknown = {number for number, error in outcomes.failed.items() if isinstance(error, OutcomeUnknown)}
    not_sent = {number for number, error in outcomes.failed.items() if isinstance(error, NotSent)}
    assert unknown | not_sent == set(outcomes.failed)
    assert not_sent == set(range(150, 200))
    assert all(getattr(outcomes.failed[number], "duplicate_id", None) for number in unknown)
    recorder.told_once(Recovery.GAVE_UP)
    assert len(recorder.ended[0][0].in_doubt) == len(unknown)
    direct = opened.session(artemis.url())
    stored = set(drain(direct.create_consumer(queue)))
    assert set(outcomes.done) <= stored <= set(outcomes.done) | unknown


def test_closing_ends_every_wait_at_once(
    line: Cutter, opened: Opened, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During a reconnect with a blocked send, receive, request and creation of a session."""
    monkeypatch.setattr(session_factory, "CLOSE_SECONDS", 2 * PATIENCE)  # who waited for the broker would be noticed
    factory = opened.factory(line.url(), NO_WINDOW, callFailoverTimeout=-1)
    recorder = Recorder(factory)
    session, other = factory.create_session().start(), factory.create_session().start()
    consumer, producer = session.create_consumer(queue), other.create_producer(queue)
    with outage(line):
        recorder.wait(Detached)
        calls: list[Result[object]] = [
            in_thread(consumer.receive),
            in_thread(lambda: producer.send(numbered(other, 0))),
            in_thread(lambda: other.query_queue(queue)),
            in_thread(factory.create_session),
        ]
        pause(0.2)
        assert all(call.running for call in calls)
        closing = in_thread(factory.close)
        closing.value()
        assert closing.seconds < SLACK
        for call in calls:
            call.join()
            assert isinstance(call.error, ClosedError), call.error


def test_closing_from_a_message_listener(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    session = factory.create_session().start()
    ended: list[float] = []

    def close(message: CoreMessage) -> None:
        factory.close()
        ended.append(1)

    session.create_producer(queue).send(numbered(session, 0))
    session.create_consumer(queue).message_handler = close
    eventually(lambda: ended, "the end of close", 8)  # onMessageCloseTimeout, 10 s, must not strike
    assert factory.is_closed


@pytest.mark.reattach
def test_closing_a_consumer_and_a_session_in_an_outage(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), WINDOW)
    recorder = Recorder(factory)
    session, other = factory.create_session().start(), factory.create_session(ack_batch_size=0).start()
    consumer, kept = session.create_consumer(queue), session.create_consumer(queue)
    gone = other.create_consumer(queue)
    with outage(line):
        recorder.wait(Detached)
        closing = in_thread(consumer.close)
        other.close()
        pause(0.1)
    closing.value()
    recorder.wait(Reconnected)
    assert gone.is_closed
    session.create_producer(queue).send(numbered(session, 1))
    message = kept.receive(PATIENCE)
    assert message is not None
    message.acknowledge()


@pytest.mark.reattach
def test_the_answer_to_the_closing_of_a_consumer_is_withheld(
    line: Cutter, opened: Opened, queue: str, management: ServerManagement
) -> None:
    factory = opened.factory(line.url(), WINDOW, callTimeout=3000)
    session = factory.create_session().start()
    first, second = session.create_consumer(queue), session.create_consumer(queue)
    line.cut_now(How.HALF_OPEN, TO_CLIENT)
    with pytest.raises(CallTimeout):
        first.close()
    assert session.query_queue(queue).consumer_count == 1
    assert not second.is_closed


# --- transactions -----------------------------------------------------------------------------------------------------


def transacted(opened: Opened, line: Cutter) -> tuple[Recorder, ClientSession]:
    factory = opened.factory(line.url(), NO_WINDOW)
    session = factory.create_session(auto_commit_sends=False, auto_commit_acks=False, ack_batch_size=0)
    return Recorder(factory), session


def test_a_transaction_is_rolled_back_exactly_when_work_was_done(line: Cutter, opened: Opened, queue: str) -> None:
    recorder, session = transacted(opened, line)
    session.start()
    producer = session.create_producer(queue)

    lost = 0

    def lose() -> None:
        nonlocal lost
        lost += 1
        line.cut_now()
        recorder.wait(Reconnected, lost)

    lose()
    session.commit()  # nothing was done: nothing is lost
    producer.send(numbered(session, 1))
    lose()
    with pytest.raises(TransactionRolledBackError):
        session.commit()
    producer.send(numbered(session, 2))
    session.commit()
    lose()
    session.commit()  # nothing since the last commit
    producer.send(numbered(session, 3))
    lose()
    session.rollback()  # what was wished happened
    producer.send(numbered(session, 4))
    session.commit()
    consumer = session.create_consumer(queue)
    message = consumer.receive(PATIENCE)
    assert message is not None
    lose()
    session.commit()  # received and not acknowledged: no work
    assert [number_of(received) for received in (consumer.receive(PATIENCE),) if received is not None] == [2]


def test_consumed_in_a_transaction_comes_again(line: Cutter, opened: Opened, queue: str) -> None:
    recorder, session = transacted(opened, line)
    producer = session.create_producer(queue)
    for index in range(10):
        producer.send(numbered(session, index))
    session.commit()
    session.start()
    consumer = session.create_consumer(queue)
    for _ in range(5):
        message = consumer.receive(PATIENCE)
        assert message is not None
        message.acknowledge()
    line.cut_now()
    recorder.wait(Reconnected)
    with pytest.raises(TransactionRolledBackError):
        session.commit()
    again = []
    for _ in range(10):
        message = consumer.receive(PATIENCE)
        assert message is not None
        again.append(number_of(message))
        message.acknowledge()
    assert again == list(range(10))
    session.commit()
    assert consumer.receive(0) is None


@pytest.mark.parametrize("direction", [TO_BROKER, TO_CLIENT], ids=["request-lost", "answer-lost"])
def test_an_unknown_commit_repeated_with_duplicate_ids_is_stored_once(
    line: Cutter, opened: Opened, queue: str, direction: Direction
) -> None:
    """Work that cannot be settled by the client, as it acknowledged too: the user repeats it with the same ids."""
    factory = opened.factory(line.url(), NO_WINDOW)
    session = factory.create_session(auto_commit_sends=False, auto_commit_acks=False, ack_batch_size=0).start()
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    ids = [uuid.uuid4().bytes for _ in range(3)]

    def work() -> None:
        for index, identifier in enumerate(ids):
            message = numbered(session, index)
            message.properties[DUPLICATE_ID] = identifier
            producer.send(message)

    producer.send(numbered(session, 99))
    session.commit()
    work()
    message = consumer.receive(PATIENCE)
    assert message is not None
    message.acknowledge()
    session.query_queue(queue)
    settled(factory)
    line.cut_after(direction, 1)
    with pytest.raises(TransactionOutcomeUnknownError):
        session.commit()
    work()
    if direction is TO_CLIENT:
        with pytest.raises((DuplicateIDError, TransactionRolledBackError)):
            session.commit()
        session.rollback()
    else:
        session.commit()
    found = []
    while (message := consumer.receive(0)) is not None:
        found.append(number_of(message))
        message.acknowledge()
    session.commit()
    assert sorted(found) == ([0, 1, 2, 99] if direction is TO_BROKER else [0, 1, 2])


def test_a_large_message_of_a_transaction_whose_session_is_lost_is_rolled_back(
    line: Cutter, opened: Opened, queue: str
) -> None:
    _, session = transacted(opened, line)
    producer = session.create_producer(queue)
    message = session.create_message()
    message.body_input = io.BytesIO(bytes(4 << 20))
    line.cut_after(TO_BROKER, 1 << 20)
    with pytest.raises(TransactionRolledBackError):
        producer.send(message)
    with pytest.raises(TransactionRolledBackError):
        session.commit()
    producer.send(numbered(session, 1))
    session.commit()
    assert session.query_queue(queue).message_count == 1


# --- XA ---------------------------------------------------------------------------------------------------------------


def branch() -> Xid:
    return Xid(1, uuid.uuid4().bytes, b"branch")


@pytest.mark.parametrize("ids", [False, True], ids=["without-ids", "with-ids"])
@pytest.mark.parametrize("last", ["roll back", "prepare", "commit"])
def test_a_branch_whose_session_is_lost_amid_its_work_is_never_visible(
    line: Cutter, artemis: Broker, opened: Opened, queue: str, last: str, ids: bool
) -> None:
    factory = opened.factory(line.url(), NO_WINDOW, duplicateDetection=str(ids).lower())
    recorder = Recorder(factory)
    session = factory.create_session(xa=True).start()
    producer = session.create_producer(queue)
    xid = branch()
    session.xa_start(xid)
    for index in range(5):
        producer.send(numbered(session, index))
    line.cut_now()
    recorder.wait(SessionRecreated)
    producer.send(numbered(session, 5))
    session.xa_end(xid, failed=last == "roll back")
    if last == "roll back":
        session.xa_rollback(xid)
    elif last == "prepare":
        with pytest.raises(XAError):
            session.xa_prepare(xid)
    else:
        with pytest.raises(XAError):
            session.xa_commit(xid, one_phase=True)
    looking = opened.session(artemis.url()).create_consumer(queue)
    assert drain(looking) == []
    with contextlib.suppress(XAError):
        session.xa_rollback(xid)
    another = branch()
    session.xa_start(another)
    producer.send(numbered(session, 7))
    session.xa_end(another)
    assert drain(looking) == []
    session.xa_commit(another, one_phase=True)
    assert drain(looking) == [7]


def test_a_branch_that_was_ended_and_not_prepared_is_rolled_back_with_its_connection(
    line: Cutter, artemis: Broker, opened: Opened, queue: str
) -> None:
    factory = opened.factory(line.url(), NO_WINDOW)
    recorder = Recorder(factory)
    session = factory.create_session(xa=True).start()
    xid = branch()
    session.xa_start(xid)
    session.create_producer(queue).send(numbered(session, 0))
    session.xa_end(xid)
    line.cut_now()
    recorder.wait(SessionRecreated)
    with pytest.raises(XAError):
        session.xa_prepare(xid)
    with pytest.raises(XAError):
        session.xa_commit(xid, one_phase=True)
    assert drain(opened.session(artemis.url()).create_consumer(queue)) == []


@pytest.mark.parametrize("direction", [TO_BROKER, TO_CLIENT], ids=["request-lost", "answer-lost"])
def test_the_commit_of_a_prepared_branch_is_repeated_after_a_recreation(
    line: Cutter, artemis: Broker, opened: Opened, queue: str, direction: Direction
) -> None:
    factory = opened.factory(line.url(), NO_WINDOW)
    session = factory.create_session(xa=True)
    xid = branch()
    session.xa_start(xid)
    session.create_producer(queue).send(numbered(session, 0))
    session.xa_end(xid)
    session.xa_prepare(xid)
    settled(factory)
    line.cut_after(direction, 1)
    session.xa_commit(xid)
    assert line.cuts == 1
    assert drain(opened.session(artemis.url()).create_consumer(queue)) == [0]


@pytest.mark.reattach
@pytest.mark.parametrize("direction", [TO_BROKER, TO_CLIENT], ids=["request-lost", "answer-lost"])
@pytest.mark.parametrize("step", ["start", "end", "prepare", "commit"])
def test_a_branch_over_a_reattachment_continues(
    line: Cutter, artemis: Broker, opened: Opened, queue: str, direction: Direction, step: str
) -> None:
    factory = opened.factory(line.url(), WINDOW)
    session = factory.create_session(xa=True).start()
    producer = session.create_producer(queue)
    xid = branch()

    def cut_at(name: str) -> None:
        if name == step:
            line.cut_after(direction, 1)

    cut_at("start")
    session.xa_start(xid)
    for index in range(3):
        producer.send(numbered(session, index))
    cut_at("end")
    session.xa_end(xid)
    cut_at("prepare")
    prepared = True
    try:
        session.xa_prepare(xid)
    except XAError:
        prepared = False  # executed, its answer lost: the branch is there, as recover tells
        assert step == "prepare"
        assert xid in session.xa_recover()
    cut_at("commit")
    try:
        session.xa_commit(xid)
    except XAError:
        assert step == "commit"
        assert prepared
        assert xid not in session.xa_recover()
    direct = opened.session(artemis.url())
    assert drain(direct.create_consumer(queue)) == [0, 1, 2]
    assert line.cuts == 1


def test_a_prepared_branch_survives_the_loss_of_its_session(
    line: Cutter, artemis: Broker, opened: Opened, queue: str
) -> None:
    factory = opened.factory(line.url(), NO_WINDOW)
    recorder = Recorder(factory)
    session = factory.create_session(xa=True).start()
    xid = branch()
    session.xa_start(xid)
    session.create_producer(queue).send(numbered(session, 0))
    session.xa_end(xid)
    session.xa_prepare(xid)
    line.cut_now()
    recorder.wait(Reconnected)
    assert xid in session.xa_recover()
    session.xa_commit(xid)
    direct = opened.session(artemis.url())
    assert drain(direct.create_consumer(queue)) == [0]
