"""What comes again, how often, how it is marked, and where it ends."""

from __future__ import annotations

import threading

import pytest

from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    Connection,
    Message,
    MessageConsumer,
    Queue,
    TextMessage,
)
from integration.jms_cases.support import (
    AUTO,
    CLIENT,
    DUPS_OK,
    INDIVIDUAL,
    PRE,
    SOON,
    TRANSACTED,
    Inbox,
    count,
    eventually,
    fill,
    left,
    rest,
    text_of,
    texts,
)

Seen = tuple[str | None, bool, int]


def seen(consumer: MessageConsumer, count: int) -> list[Seen]:
    """(text, redelivered, deliveries) of the next messages."""
    found: list[Seen] = []
    for _ in range(count):
        message = consumer.receive(SOON)
        assert isinstance(message, TextMessage)
        assert message.properties["JMSXDeliveryCount"] == message.delivery_count
        found.append((message.text, message.jms_redelivered, message.delivery_count))
    return found


def test_a_recovery_marks_all_that_was_delivered(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    with connection.create_session(CLIENT) as session:
        consumer = session.create_consumer(queue)
        for turn in range(1, 4):
            assert seen(consumer, 2) == [("a", turn > 1, turn), ("b", turn > 1, turn)]
            session.recover()


def test_a_rollback_marks_what_the_application_had(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    with connection.create_session(TRANSACTED) as session:
        consumer = session.create_consumer(queue)
        assert seen(consumer, 1) == [("a", False, 1)]
        session.rollback()
        assert seen(consumer, 2) == [("a", True, 2), ("b", False, 1)]
        session.rollback()
        assert [entry[2] for entry in seen(consumer, 2)] == [3, 2]
        session.commit()
    assert count(connection, queue) == 0


@pytest.mark.parametrize("mode", [CLIENT, INDIVIDUAL, TRANSACTED])
def test_what_a_closed_session_did_not_acknowledge_goes_to_the_next(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    fill(connection, queue, "a", "b", "c")
    with connection.create_session(mode) as session:
        assert texts(session.create_consumer(queue), 2) == ["a", "b"]
    with connection.create_session() as session:
        assert rest(session.create_consumer(queue)) == ["a", "b", "c"]


def test_what_a_closed_consumer_delivered_is_still_the_sessions(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    with connection.create_session(TRANSACTED) as session:
        with session.create_consumer(queue) as consumer:
            assert texts(consumer, 1) == ["a"]
        with session.create_consumer(queue) as consumer:
            assert texts(consumer, 1) == ["b"]
        session.commit()
    assert count(connection, queue) == 0


@pytest.mark.parametrize("mode", [AUTO, DUPS_OK, INDIVIDUAL])
def test_a_message_whose_listener_always_raises_ends_among_the_dead(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    bad: list[int] = []
    good = threading.Event()

    def listen(message: Message) -> None:
        if message.body == "bad":
            bad.append(message.delivery_count)
            raise ValueError("not this one")
        message.acknowledge()
        good.set()

    with connection.create_session(mode) as session:
        session.create_consumer(queue).message_listener = listen
        fill(connection, queue, "bad", "good")
        assert good.wait(SOON)
        eventually(lambda: len(bad) >= 10 or count(connection, queue) == 0)
    assert bad == list(range(1, len(bad) + 1))
    assert len(bad) == 10
    with (
        connection.create_session() as session,
        session.create_consumer(Queue("DLQ"), f"_AMQ_ORIG_ADDRESS = '{queue.name}'") as dead,
    ):
        message = dead.receive(SOON)
        assert text_of(message) == "bad"
        assert message is not None
        assert message.properties["_AMQ_ORIG_ADDRESS"] == queue.name
        assert message.jms_message_id is not None


@pytest.mark.parametrize("mode", [CLIENT, TRANSACTED, PRE])
def test_where_the_application_decides_a_listener_that_raises_gets_the_next_message(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    inbox = Inbox(raises=lambda message: message.body == "a")
    with connection.create_session(mode) as session:
        session.create_consumer(queue).message_listener = inbox
        fill(connection, queue, "a", "b")
        assert inbox.wait(2) == ["a", "b"]
    left(connection, queue.name, 0 if mode is PRE else 2)


@pytest.mark.parametrize("mode", [AUTO, DUPS_OK, CLIENT])
def test_a_listener_that_recovers_gets_its_message_again(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    got: list[int] = []
    with connection.create_session(mode) as session:

        def listen(message: Message) -> None:
            got.append(message.delivery_count)
            if message.delivery_count < 3:
                session.recover()
            else:
                message.acknowledge()

        consumer = session.create_consumer(queue)
        consumer.message_listener = listen
        fill(connection, queue, "a")
        eventually(lambda: len(got) == 3)
        consumer.close()
    assert got == [1, 2, 3]
    left(connection, queue.name, 0)


def test_competing_consumers_get_each_message_once(connection: Connection, queue: Queue) -> None:
    inboxes = [Inbox() for _ in range(4)]
    for inbox in inboxes:
        connection.create_session().create_consumer(queue).message_listener = inbox
    fill(connection, queue, *(str(n) for n in range(200)))
    eventually(lambda: sum(len(inbox.messages) for inbox in inboxes) >= 200)
    got = [text for inbox in inboxes for text in inbox.texts]
    assert sorted(got) == sorted(str(n) for n in range(200))  # type: ignore[type-var]


def test_consumers_of_one_session_get_each_message_once(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    consumers = [session.create_consumer(queue, window_size=0) for _ in range(3)]
    fill(connection, queue, *"abcdef")
    got = [text_of(consumers[n % 3].receive(SOON)) for n in range(6)]
    assert sorted(got) == list("abcdef")  # type: ignore[type-var]


def test_selectors_share_a_queue_out_and_keep_to_it_after_a_recovery(connection: Connection, queue: Queue) -> None:
    with connection.create_session(CLIENT) as session:
        even, odd = (session.create_consumer(queue, f"n = {n}") for n in range(2))
        for n in range(6):
            fill(connection, queue, str(n), properties={"n": n % 2})
        for _ in range(2):
            assert texts(even, 3) == ["0", "2", "4"]
            assert texts(odd, 3) == ["1", "3", "5"]
            session.recover()
        assert rest(even) == ["0", "2", "4"]


def test_acknowledging_early_leaves_later_messages(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, *"abcd")
    with connection.create_session(CLIENT) as session:
        consumer = session.create_consumer(queue)
        messages = [consumer.receive(SOON) for _ in range(2)]
        assert messages[0] is not None
        messages[0].acknowledge()  # the second one too: it was received
        assert texts(consumer, 1) == ["c"]
        session.recover()
        assert rest(consumer) == ["c", "d"]


def test_individual_acknowledgements_in_any_order(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, *"abcde")
    with connection.create_session(INDIVIDUAL) as session:
        consumer = session.create_consumer(queue)
        messages = [consumer.receive(SOON) for _ in range(5)]
        for number in (3, 0):
            message = messages[number]
            assert message is not None
            message.acknowledge()
            message.acknowledge()  # once more does nothing
        session.recover()
        assert rest(consumer) == ["b", "c", "e"]


def test_higher_priorities_overtake_and_keep_their_order(connection: Connection, queue: Queue) -> None:
    with connection.create_session() as session:
        producer = session.create_producer(queue)
        for n in range(30):
            producer.send(f"{n % 10}-{n // 10}", priority=n % 10)
        got = texts(session.create_consumer(queue), 30)
    assert got == [f"{level}-{turn}" for level in range(9, -1, -1) for turn in range(3)]


def test_everything_is_acknowledged_whatever_the_priorities(connection: Connection, queue: Queue) -> None:
    with connection.create_session(CLIENT) as session:
        consumer = session.create_consumer(queue)
        for level in (4, 9, 0, 9, 4):
            fill(connection, queue, str(level), priority=level)
        messages = [consumer.receive(SOON) for _ in range(5)]
        assert messages[-1] is not None
        messages[-1].acknowledge()
    assert count(connection, queue) == 0


# --- pre-acknowledged -------------------------------------------------------------------------------------------------


def test_what_was_delivered_is_gone_where_the_broker_acknowledges_before(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, *"abc")
    with connection.create_session(PRE) as session:
        consumer = session.create_consumer(queue)
        message = consumer.receive(SOON)
        assert text_of(message) == "a"
        assert message is not None
        left(connection, queue.name, 0)
        message.acknowledge()
        session.recover()
        assert texts(consumer, 2) == ["b", "c"]


@pytest.mark.parametrize("mode", [AUTO, CLIENT, DUPS_OK, PRE])
def test_the_setting_makes_the_broker_acknowledge_before_in_every_mode_but_individual(
    broker_url: str, connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    fill(connection, queue, *"abc")
    factory = ActiveMQConnectionFactory(f"{broker_url}?preAcknowledge=true")
    with factory.create_connection() as pre, pre.create_session(mode) as session:
        consumer = session.create_consumer(queue)
        message = consumer.receive(SOON)
        assert message is not None
        left(connection, queue.name, 0)
        message.acknowledge()
        assert texts(consumer, 2) == ["b", "c"]


def test_a_large_message_is_received_where_the_broker_acknowledges_before(connection: Connection, queue: Queue) -> None:
    data = bytes(range(256)) * 2000
    fill(connection, queue, data, "next")
    with connection.create_session(PRE) as session:
        consumer = session.create_consumer(queue)
        first, second = consumer.receive(SOON), consumer.receive(SOON)
        assert first is not None
        assert second is not None
        assert (first.body == data or first.body is not None, second.body) == (True, "next")
