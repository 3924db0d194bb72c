"""consumerWindowSize=0: no consumer holds a message that another one could work on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from activeclient import Connection, Message, Queue, connect
from integration.jms_cases.support import CLIENT, SOON, TRANSACTED, Inbox, fill, left, text_of, texts

SHORT = 0.05


@pytest.fixture
def unbuffered(broker_url: str) -> Iterator[Connection]:
    with connect(f"{broker_url}?consumerWindowSize=0") as made:
        yield made


@pytest.mark.parametrize("timeout", [SHORT, 0, 0.0001])
def test_a_receive_that_got_nothing_keeps_no_claim(
    unbuffered: Connection, connection: Connection, queue: Queue, timeout: float
) -> None:
    idle, busy = (unbuffered.create_session().create_consumer(queue) for _ in range(2))
    for round_ in range(3):
        assert idle.receive(timeout) is None
        fill(connection, queue, *"abc")
        assert texts(busy, 3) == ["a", "b", "c"], round_
        assert busy.receive(timeout) is None
    fill(connection, queue, "d", "e")
    assert texts(idle, 2) == ["d", "e"]


def test_a_message_that_crosses_the_end_of_a_receive_is_received(
    unbuffered: Connection, connection: Connection, queue: Queue
) -> None:
    """Whatever the moment: each message once, in order, and the grants stay at one message."""
    consumer = unbuffered.create_session().create_consumer(queue)
    with connection.create_session() as session, session.create_producer(queue) as producer:
        got: list[str | None] = []
        for number in range(150):
            producer.send(str(number), delivery_mode=1)
            message = consumer.receive(0.0002 * (number % 5) + 0.0001)
            if message is not None:
                got.append(text_of(message))
        while (message := consumer.receive(SHORT)) is not None or (message := consumer.receive_no_wait()) is not None:
            got.append(text_of(message))
    assert got == [str(number) for number in range(150)]
    other = unbuffered.create_session().create_consumer(queue)
    fill(connection, queue, *"abcd")
    assert texts(consumer, 1) == ["a"]
    assert texts(other, 3) == ["b", "c", "d"]


def test_who_waits_beside_one_whose_time_ran_out_gets_the_next(
    unbuffered: Connection, connection: Connection, queue: Queue
) -> None:
    consumer = unbuffered.create_session().create_consumer(queue)
    got: list[Message | None] = []
    waiting = threading.Thread(target=lambda: got.append(consumer.receive(SOON)))
    waiting.start()
    assert consumer.receive(SHORT) is None
    fill(connection, queue, "a")
    waiting.join(SOON)
    assert [text_of(message) for message in got] == ["a"]


def test_a_busy_listener_leaves_the_next_message_to_an_idle_one(
    unbuffered: Connection, connection: Connection, queue: Queue
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Message) -> None:
        begun.set()
        go_on.wait(SOON)

    busy = unbuffered.create_session().create_consumer(queue)
    busy.message_listener = hold
    fill(connection, queue, "held")
    assert begun.wait(SOON)
    inbox = Inbox()
    idle = unbuffered.create_session().create_consumer(queue)
    idle.message_listener = inbox
    try:
        fill(connection, queue, *"abc")
        assert inbox.wait(3) == ["a", "b", "c"]
    finally:
        go_on.set()
    idle.close()
    fill(connection, queue, "d")
    left(connection, queue.name, 0)


def test_a_listener_that_was_taken_away_claims_nothing(
    unbuffered: Connection, connection: Connection, queue: Queue
) -> None:
    former = unbuffered.create_session().create_consumer(queue)
    former.message_listener = Inbox()
    former.message_listener = None
    assert former.receive(SHORT) is None
    consumer = unbuffered.create_session().create_consumer(queue)
    fill(connection, queue, *"ab")
    assert texts(consumer, 2) == ["a", "b"]
    inbox = Inbox()
    consumer.close()
    former.message_listener = inbox
    fill(connection, queue, *"cd")
    assert inbox.wait(2) == ["c", "d"]


def test_a_listener_goes_on_after_a_stop_and_a_rollback(
    unbuffered: Connection, connection: Connection, queue: Queue
) -> None:
    session = unbuffered.create_session(TRANSACTED)
    inbox = Inbox()

    def listen(message: Message) -> None:
        inbox(message)
        if len(inbox.messages) == 2:
            session.rollback()
        else:
            session.commit()

    session.create_consumer(queue).message_listener = listen
    fill(connection, queue, *"ab")
    assert inbox.wait(3) == ["a", "b", "b"]
    unbuffered.stop()
    fill(connection, queue, "c")
    unbuffered.start()
    assert inbox.wait(4)[3:] == ["c"]


def test_a_stopped_connection_ends_a_receive_in_time(broker_url: str, connection: Connection, queue: Queue) -> None:
    with connect(f"{broker_url}?consumerWindowSize=0") as stopped:
        consumer = stopped.create_session().create_consumer(queue)
        stopped.stop()
        fill(connection, queue, "a")
        began = time.monotonic()
        assert consumer.receive(SHORT) is None
        assert time.monotonic() - began < SOON
        stopped.start()
        assert texts(consumer, 1) == ["a"]


def test_a_group_stays_with_its_consumer_whose_receive_ran_out(
    unbuffered: Connection, connection: Connection, queue: Queue
) -> None:
    one, two = (unbuffered.create_session().create_consumer(queue) for _ in range(2))
    fill(connection, queue, "g1", properties={"JMSXGroupID": "g"})
    assert texts(one, 1) == ["g1"]
    assert one.receive(SHORT) is None
    fill(connection, queue, "free")  # behind g2 it would wait: Artemis looks no further than at the first of a group
    fill(connection, queue, "g2", properties={"JMSXGroupID": "g"})
    assert texts(two, 1) == ["free"]
    assert two.receive(SHORT) is None
    assert texts(one, 1) == ["g2"]


def test_unacknowledged_messages_of_a_closed_consumer_go_to_the_other(
    unbuffered: Connection, connection: Connection, queue: Queue
) -> None:
    session = unbuffered.create_session(CLIENT)
    one, two = session.create_consumer(queue), unbuffered.create_session().create_consumer(queue)
    fill(connection, queue, *"ab")
    assert texts(one, 1) == ["a"]
    assert one.receive(SHORT) is not None
    assert one.receive(SHORT) is None
    session.close()
    assert texts(two, 2) == ["a", "b"]


def test_large_messages_go_to_who_receives(unbuffered: Connection, connection: Connection, queue: Queue) -> None:
    idle, busy = (unbuffered.create_session().create_consumer(queue) for _ in range(2))
    assert idle.receive(SHORT) is None
    bodies = [bytes([number]) * 300_000 for number in range(6)]
    fill(connection, queue, *bodies)
    for consumer in (busy, busy, idle, busy):
        message = consumer.receive(SOON)
        assert message is not None
        assert message.body == bodies.pop(0)
    assert [message.body for message in (busy.receive(SOON), idle.receive(SOON)) if message is not None] == bodies
