"""Listeners across cuts: one call at a time and in order, one outcome for each send, and a life that goes on."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter

import pytest

from activeclient import AcknowledgeMode, Message
from activeclient.errors import ActiveClientError, UnsettledError
from activeclient.testing.cuts import How
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.cases.support import eventually
from integration.chaos.conftest import Amount
from integration.chaos.jms import NOTICED, SIZE, Stage, number_in, send_numbers, staged, took
from integration.chaos.ledger import body_of
from integration.chaos.traffic import STALL, Traffic, wait_settled


class Listener:
    """Takes what comes; with *raising* every tenth message is refused when it comes first."""

    def __init__(self, stage: Stage, *, raising: bool = False) -> None:
        self._stage, self._raising = stage, raising
        self._running = threading.Lock()
        self._refused: set[int] = set()
        self._wanted_next: int | None = None

    def __call__(self, message: Message) -> None:
        ledger = self._stage.ledger
        if not self._running.acquire(blocking=False):
            ledger.error("two calls at a time")
            return
        try:
            number = number_in(message)
            if self._wanted_next is not None and number != self._wanted_next:
                ledger.error(f"{self._wanted_next} was refused, and {number} came before it")
            self._wanted_next = None
            if self._raising and number % 10 == 3 and number not in self._refused:
                self._refused.add(number)
                self._wanted_next = number
                raise ValueError(f"not {number} yet")
            if number in self._refused and not message.jms_redelivered:
                ledger.error(f"{number} was refused and is not marked")
            took(ledger, message)
            ledger.acknowledged.add(number)
            message.acknowledge()
        finally:
            self._running.release()


@pytest.mark.parametrize("raising", [False, True], ids=["", "raising"])
@pytest.mark.parametrize("mode", [AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.DUPS_OK_ACKNOWLEDGE])
@pytest.mark.filterwarnings("ignore")
def test_a_listener_is_called_once_for_each_message_and_in_order(
    artemis: Broker, cutter: Cutter, amount: Amount, mode: AcknowledgeMode, raising: bool
) -> None:
    case = f"listener{' that raises' if raising else ''}, {mode.name}"
    with staged(case, artemis, cutter, amount) as stage:
        ledger, traffic, queue = stage.ledger, Traffic(), stage.queue("listeners")
        sending, receiving = stage.shaken.create_session(), stage.shaken.create_session(mode)
        producer, consumer = sending.create_producer(queue), receiving.create_consumer(queue)
        stage.shaken.start()
        consumer.message_listener = Listener(stage, raising=raising)
        with stage.cut(seed=80 + raising) as chopper:
            traffic.run(ledger, lambda: send_numbers(producer, ledger, chopper.done.is_set))
            traffic.join()
        await_all(stage, queue.name)
        wait_settled(ledger)
        consumer.close()
        stage.check_left(queue.name)
    # A message that its listener refused is marked when it comes again.
    stage.report.check(reattached=stage.reattached and not raising)


def await_all(stage: Stage, queue: str) -> None:
    """Until everything was acknowledged; what the broker keeps from everybody is told apart."""
    ledger = stage.ledger
    try:
        eventually(lambda: ledger.expected <= ledger.acknowledged, "everything acknowledged", STALL)
    except AssertionError:
        stage.stalled(queue, len(ledger.expected - ledger.acknowledged))


class Outcomes:
    """A `CompletionListener` of class: which method was called for which number, how often, and one at a time."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._running = threading.Lock()
        self.ended: Counter[int] = Counter()
        self.order: list[int] = []

    def _told(self, message: Message, error: ActiveClientError | None) -> None:
        if not self._running.acquire(blocking=False):
            self._stage.ledger.error("two completion listeners at a time")
            return
        try:
            number = number_in(message)
            self.order.append(number)
            self.ended[number] += 1
            self._stage.ledger.settled[number] += 1
            if error is not None:
                self._stage.ledger.failed.append(f"{number}: {error!r}")
        finally:
            self._running.release()

    def on_completion(self, message: Message) -> None:
        self._told(message, None)

    def on_exception(self, message: Message, error: ActiveClientError) -> None:
        self._told(message, error)


def test_each_send_completes_once_and_in_order_and_closing_waits_for_all(
    artemis: Broker, cutter: Cutter, amount: Amount
) -> None:
    with staged("CompletionListener", artemis, cutter, amount) as stage:
        ledger, queue = stage.ledger, stage.queue("completions")
        session = stage.shaken.create_session()
        producer = session.create_producer(queue)
        outcomes = Outcomes(stage)
        number = 0
        with stage.cut(seed=90, high=16_000) as chopper:
            while number < 60 or not chopper.done.is_set():
                ledger.sent[number] = SIZE
                producer.send(body_of(number, SIZE), properties={"n": number}, on_complete=outcomes)
                number += 1
                if number - len(outcomes.order) > 500:
                    eventually(lambda: number - len(outcomes.order) < 100, "completions", STALL)  # noqa: B023
        stage.shaken.factory.wait_until_connected(STALL)
        producer.close()
        if len(outcomes.order) != number:
            ledger.error(f"close() returned with {number - len(outcomes.order)} completions missing")
        if outcomes.order != sorted(outcomes.order):
            ledger.error("completions out of order")
        with stage.steady.create_session() as steady, steady.create_consumer(queue) as consumer:
            while not ledger.complete and (missing := consumer.receive(STALL)) is not None:
                took(ledger, missing)
            for message in consumer.messages(1):
                took(ledger, message)
    stage.report.check(reattached=stage.reattached)


@pytest.mark.parametrize("how", NOTICED, ids=lambda how: how.value)
def test_start_stop_and_close_do_their_work_during_an_outage(
    artemis: Broker, cutter: Cutter, amount: Amount, how: How
) -> None:
    with staged("start, stop, close in an outage", artemis, cutter, amount) as stage:
        queue, ledger = stage.queue("life"), stage.ledger
        session, closing = stage.shaken.create_session(), stage.shaken.create_session()
        listener = Listener(stage)
        consumer = session.create_consumer(queue)
        consumer.message_listener = listener
        other = closing.create_consumer(stage.queue("closing"))
        with stage.steady.create_session() as steady, steady.create_producer(queue) as producer:

            def send(first: int) -> None:
                for number in range(first, first + 5):
                    ledger.sent[number] = SIZE
                    producer.send(body_of(number, SIZE), properties={"n": number})
                    ledger.settled[number] += 1

            send(0)
            await_all(stage, queue.name)
            # Stopped while it is away: nothing is delivered when it is back.
            cutter.down()
            cutter.cut_now(how)
            stage.report.cuts += 1
            eventually(lambda: not session.core.engine.usable, "the loss is noticed")
            stopping = threading.Thread(target=stage.shaken.stop)
            stopping.start()
            cutter.up()
            stopping.join(STALL)
            assert not stopping.is_alive()
            send(5)
            stage.shaken.factory.wait_until_connected(STALL)
            assert consumer.message_listener is listener
            if ledger.acknowledged & set(range(5, 10)):
                ledger.error("a stopped connection delivers")
            # Started while it is away: everything comes when it is back.
            cutter.down()
            cutter.cut_now(how)
            stage.report.cuts += 1
            eventually(lambda: not session.core.engine.usable, "the loss is noticed")
            starting = threading.Thread(target=stage.shaken.start)
            starting.start()

            # Closed while it is away: it does not wait for the broker for ever, and its sibling goes on.
            def end() -> None:
                other.close()
                closing.close()

            ending = threading.Thread(target=end)
            ending.start()
            cutter.up()
            starting.join(STALL)
            ending.join(STALL)
            assert not starting.is_alive()
            assert not ending.is_alive()
            await_all(stage, queue.name)
            send(10)
            await_all(stage, queue.name)
            # The whole connection is closed while it is away: soon; what was under way at the cut is told of.
            cutter.down()
            cutter.cut_now(how)
            stage.report.cuts += 1
            with contextlib.suppress(UnsettledError):
                stage.shaken.close()
            cutter.up()
        consumer.close()
    stage.report.check(reattached=stage.reattached)
