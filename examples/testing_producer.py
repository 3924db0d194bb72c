"""How to test code that sends: no broker is installed, none is mocked.

Run it with `pytest examples/testing_producer.py`; `--artemis-url tcp://host:port` runs it on a real one. The fixtures
come with activeclient.
"""

from __future__ import annotations

from activeclient import DeliveryMode, Queue, Session
from activeclient.testing import BrokerUnderTest

# --- the program ------------------------------------------------------------------------------------------------------


def place_order(session: Session, queue: Queue, item: str, count: int) -> None:
    """Order something; urgent when it is a lot."""
    with session.create_producer(queue) as producer:
        producer.send(item, properties={"count": count}, priority=9 if count > 100 else 4)


# --- its tests --------------------------------------------------------------------------------------------------------


def test_an_order_is_stored_with_its_count(
    artemis_broker: BrokerUnderTest, jms_session: Session, jms_queue: Queue
) -> None:
    place_order(jms_session, jms_queue, "apples", 3)
    assert artemis_broker.message_count(jms_queue.name) == 1
    message = jms_session.create_consumer(jms_queue, "count = 3").receive(timeout=5)
    assert message is not None
    assert message.body == "apples"
    assert message.jms_delivery_mode is DeliveryMode.PERSISTENT


def test_a_large_order_overtakes_a_small_one(jms_session: Session, jms_queue: Queue) -> None:
    place_order(jms_session, jms_queue, "apples", 3)
    place_order(jms_session, jms_queue, "pears", 300)
    bodies = [message.body for message in jms_session.create_browser(jms_queue)]
    assert bodies == ["pears", "apples"]
