"""Transactions across cuts: a third rolled back, each consumed message moved exactly once.

Law: a transaction counts as committed only when `commit` returned; what was rolled back must never be seen.
"""

from __future__ import annotations

import time

from activeclient.client.locator import ServerLocator
from activeclient.errors import TransactionOutcomeUnknownError, TransactionRolledBackError
from activeclient.testing.cuts import How
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.cases.support import eventually
from integration.chaos.chopper import Chopper
from integration.chaos.conftest import Amount
from integration.chaos.ledger import Ledger, body_of
from integration.chaos.report import Report, Watch
from integration.chaos.traffic import STALL, exact, queue_of, receive_numbers, stuck_in


def test_transactions_of_five_are_whole_or_not_at_all(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    ledger = Ledger()
    hows = (How.RESET, How.FIN) if not artemis.reattaches else (How.RESET, How.FIN, How.ABANDON)
    with (
        ServerLocator(cutter.url() + exact(artemis)) as locator,
        locator.create_session_factory() as factory,
        factory.create_session() as plain,
        factory.create_session(auto_commit_sends=False, auto_commit_acks=False) as session,
        queue_of(plain, "tx") as queue,
    ):
        watch = Watch.of(factory)
        report = Report("transactions of 5, a third rolled back", artemis.generation, [ledger], [watch])
        producer = session.create_producer(queue)
        number = 0
        with Chopper(cutter, amount.seed, amount.share(2), hows=hows, high=12_000) as chopper:
            for round_ in range(20_000):
                if chopper.done.is_set() and round_ > 60:
                    break
                five = range(number, number + 5)
                number += 5
                for one in five:
                    ledger.sent[one] = 512
                    ledger.settled[one] += 1
                    producer.send(session.create_message(True, body=body_of(one, 512)), lambda *_: None)
                try:
                    if round_ % 3 == 2:
                        session.rollback()
                        ledger.withdrawn.update(five)
                    else:
                        session.commit()
                except TransactionRolledBackError as error:
                    ledger.withdrawn.update(five)
                    if artemis.reattaches:
                        ledger.loss(error)
                except TransactionOutcomeUnknownError as error:
                    ledger.in_doubt.update(five)
                    if artemis.reattaches:
                        ledger.loss(error)
        report.cuts, report.inside = chopper.main, chopper.further
        consumer = plain.create_consumer(queue)
        plain.start()
        receive_numbers(consumer, ledger, lambda: True)
        consumer.close()
    torn = [first for first in range(0, number, 5) if len(set(range(first, first + 5)) & set(ledger.stored_as)) % 5]
    if torn:
        report.notes.append(f"torn transactions begin at {torn[:5]}")
    report.check(reattached=artemis.reattaches)


def test_consume_and_send_moves_each_message_once(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    ledger = Ledger()
    count = 600
    hows = (How.RESET, How.FIN) if not artemis.reattaches else (How.RESET, How.FIN, How.ABANDON)
    with (
        ServerLocator(artemis.url(profile="reliable")) as direct,
        direct.create_session_factory() as steady,
        steady.create_session() as plain,
        queue_of(plain, "from") as source,
        queue_of(plain, "to") as target,
        ServerLocator(cutter.url() + exact(artemis)) as locator,
        locator.create_session_factory() as factory,
        factory.create_session(auto_commit_sends=False, auto_commit_acks=False) as session,
    ):
        watch = Watch.of(factory)
        report = Report("consume and send", artemis.generation, [ledger], [watch])
        filling = plain.create_producer(source)
        for number in range(count):
            ledger.sent[number] = 512
            ledger.settled[number] += 1
            filling.send(plain.create_message(True, body=body_of(number, 512)), lambda *_: None)
        # The broker counts a message when it is on the disk, which on a busy machine is long after a query that follows
        # the sends: without this the loop below found an empty queue at its first look, in one of twenty runs.
        eventually(lambda: plain.query_queue(source).message_count == count, "the messages that are to be moved")
        consumer = session.create_consumer(source)
        producer = session.create_producer(target)
        session.start()
        with Chopper(cutter, amount.seed + 1, amount.share(3), hows=hows, high=8_000) as chopper:
            patience = STALL if artemis.reattaches else 8.0  # what is stuck never comes
            moved = time.monotonic()
            while plain.query_queue(source).message_count and time.monotonic() - moved < patience:
                batch = 0
                while batch < 5 and (message := consumer.receive(0.3)) is not None:
                    producer.send(session.create_message(True, body=message.body), lambda *_: None)
                    message.acknowledge()
                    batch += 1
                if batch:
                    moved = time.monotonic()
                try:
                    session.commit()
                except (TransactionRolledBackError, TransactionOutcomeUnknownError) as error:
                    if artemis.reattaches:
                        ledger.loss(error)
        report.cuts, report.inside = chopper.main, chopper.further
        session.close()
        if not artemis.reattaches:
            ledger.stuck = stuck_in(plain.factory, source)
        arrived = plain.create_consumer(target)
        plain.start()
        receive_numbers(arrived, ledger, lambda: True)
        arrived.close()
    report.check(reattached=artemis.reattaches)
