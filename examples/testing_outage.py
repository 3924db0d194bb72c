"""How to test that a program outlives its broker's outages: cut, gone for a while, restarted, an answer that is lost.

Run it with `pytest examples/testing_outage.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from itertools import islice

from activeclient import Connection, Queue
from activeclient.testing import BrokerUnderTest

# --- the program ------------------------------------------------------------------------------------------------------


def forward(connection: Connection, queue: Queue, readings: Iterable[int]) -> None:
    """Send readings, each once. Not a word about connections."""
    with connection.create_session() as session, session.create_producer(queue) as producer:
        for reading in readings:
            producer.send(str(reading))


# --- its tests --------------------------------------------------------------------------------------------------------


def received(broker: BrokerUnderTest, connection: Connection, queue: Queue) -> list[int]:
    """Everything in the queue."""
    count = broker.message_count(queue.name)
    with connection.create_session() as session, session.create_consumer(queue) as consumer:
        return [int(str(message.body)) for message in islice(consumer.messages(timeout=10), count)]


def test_cuts_in_the_middle_lose_and_double_nothing(
    artemis_broker: BrokerUnderTest, jms_connection: Connection, jms_queue: Queue
) -> None:
    for size in (1_000, 5_000, 20_000):
        artemis_broker.cut_after(size)
        forward(jms_connection, jms_queue, range(100))
    assert received(artemis_broker, jms_connection, jms_queue) == [*range(100)] * 3


def test_an_outage_is_waited_for(artemis_broker: BrokerUnderTest, jms_connection: Connection, jms_queue: Queue) -> None:
    sending = threading.Thread(target=forward, args=(jms_connection, jms_queue, range(100)))
    with artemis_broker.outage():
        sending.start()
        sending.join(0.2)
        assert sending.is_alive()
    sending.join(30)
    assert received(artemis_broker, jms_connection, jms_queue) == [*range(100)]


def test_a_lost_answer_is_no_second_message(
    artemis_broker: BrokerUnderTest, jms_connection: Connection, jms_queue: Queue
) -> None:
    artemis_broker.faults.cut("Send", after=True)  # the broker gets it, and its answer has no way back
    forward(jms_connection, jms_queue, [1])
    assert received(artemis_broker, jms_connection, jms_queue) == [1]


def test_a_broker_that_was_killed_has_what_it_confirmed(
    artemis_broker: BrokerUnderTest, jms_connection: Connection, jms_queue: Queue
) -> None:
    forward(jms_connection, jms_queue, range(10))
    artemis_broker.restart()
    forward(jms_connection, jms_queue, range(10, 20))
    assert received(artemis_broker, jms_connection, jms_queue) == [*range(20)]
