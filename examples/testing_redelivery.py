"""How to test what a consumer does with a message that comes again.

Run it with `pytest examples/testing_redelivery.py`.
"""

from __future__ import annotations

import threading

from activeclient import Connection, Message, Queue
from activeclient.testing import BrokerUnderTest

# --- the program ------------------------------------------------------------------------------------------------------


class Cashier:
    """Charges each order once, also when its message comes again after a failure."""

    def __init__(self, charge: Charge) -> None:
        self._charge = charge
        self._done: set[str] = set()

    def handle(self, message: Message) -> None:
        """A message listener: what it raises makes the message come again."""
        order = str(message.body)
        if order not in self._done:
            self._charge(order)
            self._done.add(order)


class Charge:
    """A bank that is not always there."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.charged: list[str] = []
        self.changed = threading.Event()

    def __call__(self, order: str) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the bank does not answer")
        self.charged.append(order)
        self.changed.set()


# --- its tests --------------------------------------------------------------------------------------------------------


def test_an_order_whose_charge_failed_is_charged_when_it_comes_again(
    artemis_broker: BrokerUnderTest, jms_connection: Connection, jms_queue: Queue
) -> None:
    charge = Charge(failures=2)
    with jms_connection.create_session() as session:
        session.create_producer(jms_queue).send("order 1")
        session.create_consumer(jms_queue).on_message(Cashier(charge).handle)
        assert charge.changed.wait(10)
        artemis_broker.wait_for_messages(jms_queue.name, 0)
    assert charge.charged == ["order 1"]


def test_an_order_that_comes_again_is_charged_once(jms_connection: Connection, jms_queue: Queue) -> None:
    charge = Charge(failures=0)
    cashier = Cashier(charge)
    with jms_connection.create_session(transacted=True) as session:
        session.create_producer(jms_queue).send("order 1")
        session.commit()
        consumer = session.create_consumer(jms_queue)
        counts = []
        for _ in range(2):
            message = consumer.receive(timeout=5)
            assert message is not None
            counts.append(message.delivery_count)
            cashier.handle(message)
            session.rollback()
    assert counts == [1, 2]
    assert charge.charged == ["order 1"]
