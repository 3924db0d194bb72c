"""Every acknowledge mode across cuts: what was acknowledged never comes again, the rest comes marked and in order."""

from __future__ import annotations

import random

import pytest

from activeclient import AcknowledgeMode, Message
from activeclient.errors import TransactionOutcomeUnknownError, TransactionRolledBackError
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.chaos.conftest import Amount
from integration.chaos.jms import Stage, number_in, receive_all, send_numbers, staged, took
from integration.chaos.traffic import Traffic, wait_settled

BATCH = 5


class Batches:
    """Takes messages in batches and acknowledges them as a mode wants it; a ledger has what came of it."""

    def __init__(self, stage: Stage, mode: AcknowledgeMode, recover: object = None) -> None:
        self._stage, self._ledger = stage, stage.ledger
        self._random = random.Random(stage.amount.seed)
        self._individual = mode is AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE
        self._recover = recover
        self._batch: list[Message] = []
        self._turn = 0
        self._first_again: int | None = None

    def take(self, message: Message) -> None:
        number = took(self._ledger, message)
        expected, self._first_again = self._first_again, None
        if expected is not None and number != expected:
            self._ledger.error(f"after recover() {number} came first, not {expected}")
        self._batch.append(message)
        if len(self._batch) == BATCH:
            self.finish()

    def finish(self) -> None:
        """Acknowledge the batch, or have every third one delivered again."""
        batch, self._batch = self._batch, []
        if not batch:
            return
        self._turn += 1
        if callable(self._recover) and self._turn % 3 == 0:
            self._recover()
            self._first_again = number_in(batch[0])
        elif self._individual:
            self._random.shuffle(batch)
            for message in batch:
                self._acknowledge(message, [message])
        else:
            self._acknowledge(batch[-1], batch)

    def _acknowledge(self, by: Message, batch: list[Message]) -> None:
        try:
            by.acknowledge()
        except (TransactionRolledBackError, TransactionOutcomeUnknownError) as error:
            self._stage.loss(error)
            if isinstance(error, TransactionOutcomeUnknownError):
                self._ledger.unsure.update(map(number_in, batch))
        else:
            self._ledger.acknowledged.update(map(number_in, batch))


def run(stage: Stage, mode: AcknowledgeMode, *, high: int = 10_000, recover: bool = False, seed: int = 0) -> None:
    """One producer and one consumer in *mode*, until the cuts are done."""
    ledger, traffic = stage.ledger, Traffic()
    queue = stage.queue("modes")
    sending, receiving = stage.shaken.create_session(), stage.shaken.create_session(mode)
    producer, consumer = sending.create_producer(queue), receiving.create_consumer(queue)
    stage.shaken.start()
    batches = Batches(stage, mode, receiving.recover if recover else None)
    automatic = mode in (
        AcknowledgeMode.AUTO_ACKNOWLEDGE,
        AcknowledgeMode.DUPS_OK_ACKNOWLEDGE,
        AcknowledgeMode.PRE_ACKNOWLEDGE,
    )

    def take(message: Message) -> None:
        if automatic:
            ledger.acknowledged.add(took(ledger, message))
        else:
            batches.take(message)

    with stage.cut(high=high, seed=seed) as chopper:
        sender = traffic.run(ledger, lambda: send_numbers(producer, ledger, chopper.done.is_set))
        over = lambda: not sender.is_alive()  # noqa: E731
        traffic.run(ledger, lambda: receive_all(stage, consumer, take, over, queue=queue.name, idle=batches.finish))
        traffic.join()
    wait_settled(ledger)
    consumer.close()
    stage.check_left(queue.name)


@pytest.mark.parametrize("mode", [AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.DUPS_OK_ACKNOWLEDGE])
@pytest.mark.parametrize("block", [False, True], ids=["", "waiting"])
def test_automatic_modes_show_each_message_once(
    artemis: Broker, cutter: Cutter, amount: Amount, mode: AcknowledgeMode, block: bool
) -> None:
    more = "&blockOnAcknowledge=true" if block else ""
    with staged(f"{mode.name}{' waiting' if block else ''}", artemis, cutter, amount, more) as stage:
        run(stage, mode, seed=20 + mode)
    stage.report.check(reattached=stage.reattached)


@pytest.mark.parametrize("mode", [AcknowledgeMode.CLIENT_ACKNOWLEDGE, AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE])
@pytest.mark.parametrize("recover", [False, True], ids=["", "recover"])
def test_what_the_application_acknowledged_never_comes_again(
    artemis: Broker, cutter: Cutter, amount: Amount, mode: AcknowledgeMode, recover: bool
) -> None:
    with staged(f"{mode.name}{' recover()' if recover else ''}", artemis, cutter, amount) as stage:
        run(stage, mode, recover=recover, seed=40 + mode % 7)
    stage.report.check(reattached=stage.reattached and not recover, once=stage.reattached and not recover)
