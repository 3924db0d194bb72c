"""Asynchronous sends: who is told what, when, and what is not allowed then."""

from __future__ import annotations

import threading
import uuid

import pytest

from activeclient import ActiveMQConnectionFactory, Connection, JMSContext, Message, Queue, Session
from activeclient.errors import ActiveClientError, IllegalStateError, ResourceAllocationError
from integration.jms_cases.support import SOON, TRANSACTED, count, drained, eventually, outcome, rest

WINDOWS = ["-1", "0", "1048576"]


class Listener:
    """A CompletionListener as an object."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.failed: list[ActiveClientError] = []

    def on_completion(self, message: Message) -> None:
        self.done.append(message.body)

    def on_exception(self, message: Message, error: ActiveClientError) -> None:
        self.failed.append(error)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_completion_is_told_when_the_broker_has_the_message(broker_url: str, queue: Queue, window: str) -> None:
    factory = ActiveMQConnectionFactory(f"{broker_url}?confirmationWindowSize={window}")
    listener = Listener()
    with factory.create_connection() as connection:
        producer = connection.create_session().create_producer(queue)
        for n in range(50):
            producer.send(str(n), on_complete=listener)
        eventually(lambda: len(listener.done) == 50, "fifty completions")
        assert listener.done == [str(n) for n in range(50)]
        eventually(lambda: count(connection, queue) == 50)
    assert listener.failed == []


@pytest.mark.parametrize("window", WINDOWS)
def test_a_refusal_is_told_to_the_completion_listener(broker_url: str, window: str) -> None:
    factory = ActiveMQConnectionFactory(f"{broker_url}?confirmationWindowSize={window}&producerWindowSize=-1")
    listener = Listener()
    with factory.create_connection() as connection:
        session = connection.create_session()
        queue = Queue(f"full.fail.{uuid.uuid4()}")
        producer = session.create_producer(queue)
        for _ in range(300):
            producer.send(bytes(2000), on_complete=listener)
        eventually(lambda: len(listener.done) + len(listener.failed) == 300, "three hundred outcomes")
        assert listener.done
        assert {type(error) for error in listener.failed} == {ResourceAllocationError}
        assert {error.code for error in listener.failed} == {210}
        with session.create_consumer(queue) as consumer:
            assert len(drained(consumer)) == len(listener.done)
        with connection.factory.create_session() as core:
            core.delete_queue(queue.name)


def test_what_would_wait_for_a_completion_listener_is_refused_inside_it(
    factory: ActiveMQConnectionFactory, queue: Queue
) -> None:
    told: dict[str, BaseException | None] = {}
    finished = threading.Event()
    with factory.create_connection() as connection:
        session = connection.create_session(TRANSACTED)
        producer = session.create_producer(queue)

        def complete(message: Message, error: ActiveClientError | None) -> None:
            calls = {
                "producer": producer.close, "session": session.close, "connection": connection.close,
                "commit": session.commit, "rollback": session.rollback,
            }  # fmt: skip
            told.update({name: outcome(call) for name, call in calls.items()})
            finished.set()

        producer.send("x", on_complete=complete)
        assert finished.wait(SOON)
        assert all(isinstance(error, IllegalStateError) for error in told.values()), told
        session.commit()
        assert count(connection, queue) == 1


def test_a_context_must_not_be_closed_by_its_completion_listener(context: JMSContext, queue: Queue) -> None:
    told: list[BaseException | None] = []
    context.create_producer().set_async(lambda message, error: told.append(outcome(context.close))).send(queue, "x")
    eventually(lambda: told)
    assert isinstance(told[0], IllegalStateError)


@pytest.mark.parametrize("how", ["commit", "rollback", "producer", "session", "connection"])
def test_what_ends_the_work_waits_for_completion_listeners(
    factory: ActiveMQConnectionFactory, queue: Queue, how: str
) -> None:
    ended: list[int] = []
    go_on = threading.Event()

    def complete(message: Message, error: ActiveClientError | None) -> None:
        go_on.wait(SOON)
        ended.append(1)

    with factory.create_connection() as connection:
        session = connection.create_session(TRANSACTED)
        producer = session.create_producer(queue)
        for _ in range(5):
            producer.send("x", on_complete=complete)
        threading.Timer(0.1, go_on.set).start()
        {
            "commit": session.commit, "rollback": session.rollback, "producer": producer.close,
            "session": session.close, "connection": connection.close,
        }[how]()  # fmt: skip
        assert len(ended) == 5


def test_a_listener_that_raises_harms_nobody(connection: Connection, queue: Queue) -> None:
    told: list[object] = []

    def complete(message: Message, error: ActiveClientError | None) -> None:
        told.append(message.body)
        raise ValueError("not mine")

    session = connection.create_session()
    producer = session.create_producer(queue)
    for n in range(3):
        producer.send(str(n), on_complete=complete)
    eventually(lambda: len(told) == 3)
    producer.close()
    assert rest(session.create_consumer(queue)) == ["0", "1", "2"]


@pytest.mark.parametrize("listener", [7, "text", object()])
def test_what_cannot_be_told_is_refused_before_the_send(session: Session, queue: Queue, listener: object) -> None:
    with pytest.raises(TypeError):
        session.create_producer(queue).send("x", on_complete=listener)  # type: ignore[arg-type]
    assert session.create_consumer(queue).receive(0) is None


def test_sends_of_a_closed_producer_are_refused_and_not_told(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    producer.close()
    listener = Listener()
    with pytest.raises(IllegalStateError):
        producer.send("x", on_complete=listener)
    assert (listener.done, listener.failed) == ([], [])


def test_completions_of_one_session_come_on_one_thread_at_a_time(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    running, most = 0, 0

    def complete(message: Message, error: ActiveClientError | None) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        running -= 1

    producers = [session.create_producer(queue) for _ in range(3)]
    for n in range(60):
        producers[n % 3].send(str(n), on_complete=complete)
    for producer in producers:
        producer.close()
    assert most == 1
