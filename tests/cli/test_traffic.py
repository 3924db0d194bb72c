"""The demo's counting: what is lost, doubled or out of order is seen, and nothing else is called so."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.cli.traffic import Numbers, Traffic
from activeclient.errors import ActiveClientError, ReconnectGaveUp
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.consumer import MessageConsumer
from activeclient.jms.message import Message
from activeclient.jms.producer import MessageProducer
from activeclient.testing import wait_until

PATIENCE = 30.0


class Wire:
    """Producer and consumer in one; `tamper` says what becomes of each message: copies, and whether they are marked."""

    def __init__(self, tamper: Callable[[bytes], list[tuple[bytes, bool]]] = lambda body: [(body, False)]) -> None:
        self.tamper = tamper
        self.confirms = True
        self.error: ActiveClientError | None = None
        self.traffic: Traffic | None = None
        self._waiting: queue.SimpleQueue[tuple[bytes, bool]] = queue.SimpleQueue()

    def send(self, message: BytesMessage, *, on_complete: Callable[[Message, ActiveClientError | None], None]) -> None:
        if self.error is not None:
            raise self.error
        for copy in self.tamper(message.data):
            self._waiting.put(copy)
        if self.confirms:
            on_complete(message, None)
        if self.traffic is not None and self.traffic.tally.sent == 50:
            self.traffic.stop()

    def receive(self, timeout: float) -> Received | None:
        try:
            return Received(*self._waiting.get(timeout=timeout))
        except queue.Empty:
            return None


class Received:
    """A message that came."""

    def __init__(self, body: bytes, redelivered: bool) -> None:
        self.core = BytesMessage(body).core
        self.core.body = body
        self.jms_redelivered = redelivered


def run(wire: Wire, *, whole: bool = True) -> Traffic:
    traffic = Traffic(cast("MessageProducer", wire), cast("MessageConsumer", wire), size=8)
    wire.traffic = traffic
    traffic.start()
    try:
        assert traffic.ended.wait(PATIENCE) is whole or not whole
    finally:
        traffic.join(PATIENCE)
    return traffic


def test_what_arrives_once_and_in_order_is_counted_so() -> None:
    traffic = run(Wire())
    tally = traffic.tally
    assert tally.sent == tally.confirmed == tally.received >= 50
    assert (tally.missing, tally.duplicates, tally.again, tally.in_order, tally.errors) == (0, 0, 0, True, [])
    assert traffic.settled


def test_a_duplicate_is_seen_and_a_marked_one_is_told_apart() -> None:
    def twice(body: bytes) -> list[tuple[bytes, bool]]:
        number = int.from_bytes(body, "big")
        return [(body, False), *([(body, False)] if number == 7 else [(body, True)] if number == 9 else [])]

    tally = run(Wire(twice)).tally
    assert (tally.missing, tally.duplicates, tally.again, tally.in_order) == (0, 1, 1, True)


def test_a_step_back_is_seen() -> None:
    kept: list[bytes] = []

    def swapped(body: bytes) -> list[tuple[bytes, bool]]:
        if int.from_bytes(body, "big") == 3:
            kept.append(body)
            return []
        return [(body, False), *((late, False) for late in [kept.pop()] if late)] if kept else [(body, False)]

    tally = run(Wire(swapped)).tally
    assert (tally.missing, tally.steps_back, tally.in_order) == (0, 1, False)


def test_a_loss_is_seen() -> None:
    wire = Wire(lambda body: [] if int.from_bytes(body, "big") == 5 else [(body, False)])
    traffic = Traffic(cast("MessageProducer", wire), cast("MessageConsumer", wire), size=8)
    wire.traffic = traffic
    traffic.start()
    assert traffic.stopped.wait(PATIENCE)
    wait_until(lambda: traffic._all_sent.is_set() and traffic.tally.missing == 1, PATIENCE)
    assert not traffic.ended.wait(0.5)
    traffic.join(PATIENCE)
    assert traffic.tally.missing == 1


def test_what_is_not_confirmed_is_not_settled() -> None:
    wire = Wire()
    wire.confirms = False
    traffic = run(wire)
    assert traffic.tally.confirmed == 0
    assert not traffic.settled


def test_an_error_of_the_application_ends_it_and_is_told() -> None:
    wire = Wire()
    wire.error = ReconnectGaveUp("gave up")
    traffic = run(wire)
    assert traffic.tally.errors == ["produce: ReconnectGaveUp: gave up"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("demo-")]


def test_errors_are_kept_up_to_a_limit() -> None:
    tally = run(Wire()).tally
    for number in range(100):
        tally.fail(str(number))
    assert len(tally.errors) == 20


@given(st.lists(st.integers(0, 30)))
def test_numbers_are_a_set(numbers: list[int]) -> None:
    seen: set[int] = set()
    found = Numbers()
    for number in numbers:
        assert found.add(number) is (number not in seen)
        seen.add(number)
        assert len(found) == len(seen)


@pytest.mark.parametrize("order", [range(1000), [*range(1, 1000), 0]])
def test_numbers_without_gaps_take_no_memory(order: list[int]) -> None:
    found = Numbers()
    for number in order:
        found.add(number)
    assert found.below == 1000
    assert not found._beyond
