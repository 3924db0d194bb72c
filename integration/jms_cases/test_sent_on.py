"""Received messages that are sent on, and copies of received messages."""

from __future__ import annotations

import copy
import pickle

import pytest

from activeclient import Connection, Message, Queue, Session, connect
from activeclient.errors import IllegalStateError, MessageNotWriteableError
from integration.jms_cases.support import CLIENT, SOON, TRANSACTED, count, fill, left, text_of


def next_of(session: Session, queue: Queue) -> Message:
    """The next message of a queue."""
    with session.create_consumer(queue) as consumer:
        message = consumer.receive(SOON)
    assert message is not None
    return message


def test_a_send_overwrites_what_belongs_to_it_and_keeps_the_rest(
    connection: Connection, session: Session, queue: Queue, name: str
) -> None:
    replies, further = Queue(f"{name}::{name}.replies"), Queue(f"{name}::{name}.further")
    fill(
        connection, queue, "x", priority=7, time_to_live=60, delivery_mode=1, delivery_delay=0.05, correlation_id="c",
        reply_to=replies, type="t", duplicate_id="first journey", properties={"own": 1, "JMSXGroupID": "g"},
    )  # fmt: skip
    message = next_of(session, queue)
    before = (message.jms_message_id, message.jms_timestamp)
    session.create_producer(further).send(message)
    assert message.jms_destination == further
    arrived = next_of(session, further)
    assert arrived.jms_message_id == message.jms_message_id != before[0]
    assert arrived.jms_timestamp == message.jms_timestamp >= before[1]
    assert (arrived.jms_priority, arrived.jms_expiration, int(arrived.jms_delivery_mode)) == (4, 0, 2)
    assert arrived.jms_delivery_time == arrived.jms_timestamp
    assert (arrived.jms_correlation_id, arrived.jms_reply_to, arrived.jms_type) == ("c", replies, "t")
    assert arrived.properties["own"] == 1
    assert arrived.properties["JMSXGroupID"] == "g"
    assert (arrived.delivery_count, arrived.jms_redelivered) == (1, False)


def test_a_redelivered_message_that_is_sent_on_begins_anew_and_reads_as_before(
    connection: Connection, queue: Queue
) -> None:
    fill(connection, queue, "x", duplicate_id="same")
    with connection.create_session(TRANSACTED) as session, session.create_consumer(queue) as consumer:
        assert consumer.receive(SOON) is not None
        session.rollback()
        message = consumer.receive(SOON)
        assert message is not None
        assert (message.jms_redelivered, message.properties["JMSXDeliveryCount"]) == (True, 2)
        session.create_producer(queue).send(message, properties={"more": 1})
        session.commit()
        assert (message.jms_redelivered, message.properties["JMSXDeliveryCount"]) == (True, 2)
        with pytest.raises(MessageNotWriteableError):
            message.properties["yet more"] = 1
        again = consumer.receive(SOON)
        assert again is not None
        assert (again.jms_redelivered, again.delivery_count, again.properties["more"]) == (False, 1, 1)
        session.commit()
    left(connection, queue.name, 0)


def test_a_dead_message_is_sent_back_with_its_origin_and_dies_again(
    connection: Connection, session: Session, queue: Queue
) -> None:
    def dies() -> Message:
        with connection.create_session(TRANSACTED) as failing, failing.create_consumer(queue) as consumer:
            while consumer.receive(1) is not None:
                failing.rollback()
        with session.create_consumer(Queue("DLQ"), f"_AMQ_ORIG_QUEUE = '{queue.name}'") as dead:
            found = dead.receive(SOON)
        assert found is not None
        return found

    fill(connection, queue, "poison")
    first = dies()
    session.create_producer(queue).send(first)
    second = dies()
    assert text_of(second) == "poison"
    assert second.properties["_AMQ_ORIG_ADDRESS"] == queue.name
    assert second.properties["_AMQ_ORIG_MESSAGE_ID"] != first.properties["_AMQ_ORIG_MESSAGE_ID"]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("size", [10, 300_000])
def test_copies_outlive_their_session(broker_url: str, queue: Queue, size: int, compressed: bool) -> None:
    body = bytes(range(256)) * (size // 256) + b"end"
    compress = "&compressLargeMessage=true" if compressed else ""
    with connect(f"{broker_url}?minLargeMessageSize=20000{compress}") as connection:
        fill(connection, queue, body, properties={"own": 1})
        with connection.create_session(CLIENT) as session, session.create_consumer(queue) as consumer:
            message = consumer.receive(SOON)
            assert message is not None
            copies = [copy.copy(message), copy.deepcopy(message), pickle.loads(pickle.dumps(message))]
            for each in copies:
                with pytest.raises(IllegalStateError, match="copy"):
                    each.acknowledge()
            assert count(connection, queue) == 1
            message.acknowledge()
        core_session = connection.factory.create_session()
        for each in copies:
            assert each.body == body
            assert each.properties["own"] == 1
            assert each.jms_destination == queue
            fill(connection, queue, each)
        with connection.create_session() as session:
            consumer = session.create_consumer(queue)
            for _ in range(3):
                arrived = consumer.receive(SOON)
                assert arrived is not None
                assert arrived.body == body
        fill(connection, queue, body)
        core_consumer = core_session.create_consumer(queue.name)
        core_session.start()
        core = core_consumer.receive(SOON)
        assert core is not None
        core_copies = [copy.copy(core), copy.deepcopy(core), pickle.loads(pickle.dumps(core))]
        core.acknowledge()
        core_session.close()
        for each_core in core_copies:
            assert (each_core.body, each_core.address, each_core.message_id) == (body, queue.name, core.message_id)
            with pytest.raises(IllegalStateError):
                each_core.acknowledge()
