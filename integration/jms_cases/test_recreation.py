"""What outlives the loss of a session."""

from __future__ import annotations

import contextlib
import io
import random
import uuid
from collections.abc import Iterator

import pytest

from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    BytesMessage,
    Connection,
    Recovery,
    connect,
)
from activeclient.client.listeners import ConnectionFailure
from activeclient.errors import (
    ConnectionLost,
    TransactionRolledBackError,
)
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.cases.support import in_thread
from integration.jms_cases.support import (
    AUTO,
    CLIENT,
    DUPS_OK,
    INDIVIDUAL,
    RECREATING,
    SOON,
    TRANSACTED,
    eventually,
    fill,
    left,
    text_of,
    texts,
)


@contextlib.contextmanager
def recreating(cutter: Cutter) -> Iterator[tuple[Connection, list[ConnectionFailure]]]:
    """A connection whose sessions are made anew when it is cut, and what its exception listener was told."""
    told: list[ConnectionFailure] = []
    with ActiveMQConnectionFactory(cutter.url() + RECREATING).create_connection() as connection:
        connection.exception_listener = told.append
        yield connection, told


@pytest.mark.parametrize("mode", [CLIENT, INDIVIDUAL])
def test_what_a_lost_session_delivered_is_acknowledged_in_the_next_one_and_not_received_again(
    cutter: Cutter, mode: AcknowledgeMode
) -> None:
    with recreating(cutter) as (connection, told):
        session = connection.create_session(mode)
        queue = session.create_queue(f"jms-{uuid.uuid4()}?auto-delete=true")
        consumer = session.create_consumer(queue)
        fill(connection, queue, "a", "b", "c", "d")
        held = [consumer.receive(SOON) for _ in range(2)]
        cutter.cut_now()
        eventually(lambda: len(told) == 1)
        assert told[0].recovery is Recovery.RECREATED
        if mode is INDIVIDUAL:
            cutter.cut_now()
            for message in reversed(held):
                assert message is not None
                message.acknowledge()
        else:
            assert held[0] is not None
            held[0].acknowledge()  # all that the session has received
        third = consumer.receive(SOON)
        assert third is not None
        assert (text_of(third), third.jms_redelivered) == ("c", True)  # it was fetched ahead
        third.acknowledge()
        assert texts(consumer, 1) == ["d"]
        session.recover()
        assert texts(consumer, 1) == ["d"]
        assert consumer.receive_no_wait() is None
        session.close()
        left(connection, queue.address, 1)


@pytest.mark.parametrize("mode", [CLIENT, INDIVIDUAL])
def test_acknowledging_a_message_that_another_consumer_has_got_since_fails(
    cutter: Cutter, artemis: Broker, mode: AcknowledgeMode
) -> None:
    with (
        recreating(cutter) as (connection, told),
        ActiveMQConnectionFactory(artemis.url()).create_connection() as steady,
    ):
        session = connection.create_session(mode)
        queue = session.create_queue(f"jms-{uuid.uuid4()}?auto-delete=true")
        consumer = session.create_consumer(queue)
        fill(connection, queue, "a", "b")
        first = consumer.receive(SOON)
        assert first is not None
        other = steady.create_session().create_consumer(queue)
        steady.start()
        cutter.down()
        cutter.cut_now()
        assert texts(other, 2) == ["a", "b"]
        cutter.up()
        eventually(lambda: len(told) == 1)
        with pytest.raises(TransactionRolledBackError):
            first.acknowledge()
        fill(connection, queue, "c")
        other.close()
        assert texts(consumer, 1) == ["c"]


@pytest.mark.parametrize("mode", [CLIENT, INDIVIDUAL])
def test_a_consumer_that_acknowledges_across_many_cuts_gets_each_message_once_and_in_order(
    cutter: Cutter, mode: AcknowledgeMode
) -> None:
    numbers = [str(n) for n in range(60)]
    with recreating(cutter) as (connection, _):
        session = connection.create_session(mode)
        queue = session.create_queue(f"jms-{uuid.uuid4()}?auto-delete=true")
        consumer, producer = session.create_consumer(queue), session.create_producer(queue)
        got = []
        for start in range(0, 60, 6):
            for number in numbers[start : start + 6]:
                producer.send(number)
            held = [consumer.receive(SOON) for _ in range(3)]
            cutter.cut_now()
            held += [consumer.receive(SOON) for _ in range(3)]
            cutting = in_thread(cutter.cut_now)  # amid the acknowledgements
            for message in held if mode is INDIVIDUAL else held[-1:]:
                assert message is not None
                message.acknowledge()
            cutting.join()
            got += [text_of(message) for message in held]
        assert got == numbers
        session.close()
        left(connection, queue.address, 0)


def test_a_send_in_client_mode_outlives_the_session(cutter: Cutter) -> None:
    with ActiveMQConnectionFactory(cutter.url() + RECREATING).create_connection() as connection:
        session = connection.create_session(CLIENT)
        queue = session.create_queue(f"jms-{uuid.uuid4()}?auto-delete=true")
        consumer, producer = session.create_consumer(queue), session.create_producer(queue)
        for n in range(10):
            cutter.cut_now()
            producer.send(str(n))
        got: list[object] = []
        for _ in range(10):
            message = consumer.receive(SOON)
            assert message is not None
            message.acknowledge()
            got.append(message.body)
        assert got == [str(n) for n in range(10)]


def test_a_transaction_of_a_lost_session_rolls_back_and_the_next_one_commits(cutter: Cutter) -> None:
    with recreating(cutter) as (connection, told):
        session = connection.create_session(TRANSACTED)
        queue = session.create_queue(f"jms-{uuid.uuid4()}?auto-delete=true")
        fill(connection, queue, "a", "b", "c")
        consumer = session.create_consumer(queue)
        assert texts(consumer, 1) == ["a"]
        cutter.cut_now()
        eventually(lambda: len(told) == 1)
        assert texts(consumer, 1) == ["a"]
        with pytest.raises(TransactionRolledBackError):
            session.commit()
        assert texts(consumer, 3) == ["a", "b", "c"]
        session.commit()
        assert consumer.receive(0) is None


def test_temporary_destinations_and_subscriptions_outlive_the_session(cutter: Cutter) -> None:
    with recreating(cutter) as (connection, told):
        session = connection.create_session()
        queue, topic = session.create_temporary_queue(), session.create_topic(f"jms-topic-{uuid.uuid4()}")
        one, two = session.create_consumer(queue), session.create_consumer(topic, "n = 1")
        unused = session.create_temporary_queue()
        cutter.cut_now()
        eventually(lambda: len(told) == 1)
        producer = session.create_producer()
        producer.send("to queue", queue)
        producer.send("unwanted", topic, properties={"n": 2})
        producer.send("to topic", topic, properties={"n": 1})
        producer.send("to unused", unused)
        assert texts(one, 1) == ["to queue"]
        assert texts(two, 1) == ["to topic"]
        assert texts(session.create_consumer(unused), 1) == ["to unused"]


def test_a_connection_that_is_given_up_tells_its_listener_and_ends_receive_with_an_error(cutter: Cutter) -> None:
    told: list[ConnectionFailure] = []
    with ActiveMQConnectionFactory(cutter.url()).create_connection() as connection:
        connection.exception_listener = told.append
        session = connection.create_session()
        consumer = session.create_consumer(session.create_temporary_queue())

        def cut_a_blocked_receive() -> None:
            eventually(lambda: consumer._receiving, "a thread in receive")
            cutter.cut_now()

        cutting = in_thread(cut_a_blocked_receive)
        with pytest.raises(ConnectionLost):
            consumer.receive()
        cutting.join()
        eventually(lambda: len(told) == 1)
        assert (told[0].error_code, told[0].recovery) == ("DISCONNECT", Recovery.GAVE_UP)


@pytest.mark.parametrize("mode", [AUTO, CLIENT, DUPS_OK, INDIVIDUAL])
def test_every_mode_works_with_waiting_acknowledgements(broker_url: str, mode: AcknowledgeMode) -> None:
    with connect(broker_url, block_on_acknowledge=True) as connection, connection.create_session(mode) as session:
        queue = session.create_temporary_queue()
        fill(connection, queue, "a", "b")
        consumer = session.create_consumer(queue)
        for text in ("a", "b"):
            message = consumer.receive(SOON)
            assert message is not None
            assert message.body == text
            message.acknowledge()
        session.recover()
        assert consumer.receive(0) is None


@pytest.mark.parametrize("whole", [False, True], ids=["amid the body", "behind the body"])
def test_a_body_that_is_read_piece_by_piece_is_received_once_though_its_session_is_lost(
    cutter: Cutter, whole: bool
) -> None:
    """Such a message is acknowledged when the application goes on."""
    piece = random.Random(5).randbytes(1 << 20)
    name = f"jms-{uuid.uuid4()}?auto-delete=true"
    with recreating(cutter) as (connection, told):
        session = connection.create_session(AUTO)
        queue = session.create_queue(name)
        consumer, producer = session.create_consumer(queue), session.create_producer(queue)
        producer.send(io.BytesIO(piece * 6))
        producer.send("next")
        message = consumer.receive(SOON)
        assert isinstance(message, BytesMessage)
        with message.open_body() as body:
            for number in range(6):
                if number == 3 and not whole:
                    cutter.cut_now()
                    eventually(lambda: told)
                assert body.read(len(piece)) == piece
            assert body.read() == b""
        if whole:
            cutter.cut_now()
            eventually(lambda: told)
        assert texts(consumer, 1) == ["next"]
        assert consumer.receive_no_wait() is None
        assert [failure.recovery for failure in told] == [Recovery.RECREATED]
