"""Transacted sessions across cuts: each message is moved once, whatever was rolled back between.

Law: the application is a good one: what a failed commit or a rollback undid, it does again when it comes again.
"""

from __future__ import annotations

import time

from activeclient import AcknowledgeMode, Message, MessageConsumer, MessageProducer, Queue, Session
from activeclient.errors import (
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
)
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.chaos.conftest import Amount
from integration.chaos.jms import SIZE, Stage, number_in, receive_all, staged, took
from integration.chaos.ledger import body_of
from integration.chaos.report import Report
from integration.chaos.traffic import STALL

BATCH = 4


def fill(stage: Stage, queue: Queue, count: int) -> None:
    """Numbered messages, past the cutter."""
    with stage.steady.create_session(transacted=True) as session, session.create_producer(queue) as producer:
        for number in range(count):
            stage.ledger.sent[number] = SIZE
            stage.ledger.settled[number] += 1
            producer.send(body_of(number, SIZE), properties={"n": number})
        session.commit()


def take(consumer: MessageConsumer, patience: float) -> list[Message]:
    """The next messages: a batch, or less at the end."""
    batch: list[Message] = []
    while len(batch) < BATCH and (message := consumer.receive(0.5 if batch else patience)) is not None:
        batch.append(message)
    return batch


def pass_on(producer: MessageProducer, batch: list[Message]) -> None:
    """Send them on; the broker is not waited for: the end of the transaction tells."""
    for message in batch:
        producer.send(message.body, properties={"n": number_in(message)})


def judge(stage: Stage, source: Queue, target: Queue) -> Report:
    """Everything must have got to the target, once."""
    ledger = stage.ledger
    with stage.steady.create_session() as session, session.create_consumer(target) as consumer:
        receive_all(
            stage, consumer, lambda m: ledger.acknowledged.add(took(ledger, m)), lambda: True, queue=source.name
        )
    stage.check_left(source.name)
    return stage.report


def test_a_transacted_session_moves_each_message_once(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    with staged("SESSION_TRANSACTED, a third rolled back", artemis, cutter, amount) as stage:
        source, target = stage.queue("from"), stage.queue("to")
        fill(stage, source, 2400)
        session = stage.shaken.create_session(AcknowledgeMode.SESSION_TRANSACTED)
        consumer, producer = session.create_consumer(source), session.create_producer(target)
        stage.shaken.start()
        first_again: int | None = None
        turn = 0
        with stage.cut(seed=60, high=8_000) as chopper:
            while not chopper.done.is_set():
                turn += 1
                batch = take(consumer, STALL if stage.reattached else 2)
                if not batch:
                    break
                if first_again is not None and number_in(batch[0]) != first_again:
                    stage.ledger.error(f"after a rollback {number_in(batch[0])} came first, not {first_again}")
                if first_again is not None and not batch[0].jms_redelivered:
                    stage.ledger.error(f"{first_again} was rolled back and is not marked")
                first_again = None
                pass_on(producer, batch)
                try:
                    if turn % 3 == 0:
                        session.rollback()
                        first_again = number_in(batch[0])
                    else:
                        session.commit()
                except (TransactionRolledBackError, TransactionOutcomeUnknownError) as error:
                    stage.loss(error)
        drain(stage, source, session, consumer, producer)
        session.close()
        report = judge(stage, source, target)
    report.check(reattached=stage.reattached)


def drain(stage: Stage, source: Queue, session: Session, consumer: MessageConsumer, producer: MessageProducer) -> None:
    """Move the rest, when there are no cuts any more."""
    moved = time.monotonic()
    while True:
        batch = take(consumer, 2)
        if not batch and (stage.is_empty(source.name) or time.monotonic() - moved > STALL):
            return
        if batch:
            moved = time.monotonic()
        pass_on(producer, batch)
        try:
            session.commit()
        except (TransactionRolledBackError, TransactionOutcomeUnknownError) as error:
            stage.loss(error)
