"""Sessions that were made anew and are cut again, and everything that may be in flight at once.

Law: a recreation must leave the counts right: on a broker that reattaches, every cut after it reattaches.
"""

from __future__ import annotations

import threading
import time

from activeclient.client.locator import ServerLocator
from activeclient.client.session import ClientSession
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import TransactionOutcomeUnknownError, TransactionRolledBackError
from activeclient.testing.cuts import How
from activeclient.testing.cutter import Cutter
from activeclient.wire.message import CoreMessage
from integration.artemis import Broker
from integration.cases.support import ServerManagement, eventually
from integration.chaos.chopper import ALL, Chopper
from integration.chaos.conftest import Amount
from integration.chaos.ledger import Ledger, body_of
from integration.chaos.report import Report, Watch, drops
from integration.chaos.test_resets import NOTICED
from integration.chaos.traffic import (
    STALL,
    Traffic,
    check_buffers,
    check_empty,
    exact,
    fresh,
    receive_numbers,
    send_numbers,
    stuck_in,
    wait_settled,
)

STREAMS = 8
WORKERS = 6
PATIENCE = 20.0


def test_a_recreation_followed_by_cuts_with_eight_consumers(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    ledgers = [Ledger(f"stream {number}:") for number in range(STREAMS)]
    hows = ALL if artemis.reattaches else NOTICED
    with (
        ServerLocator(artemis.url(profile="reliable")) as direct,
        direct.create_session_factory() as steady,
        steady.create_session() as plain,
        # With duplicate detection: the recreation leaves sends in doubt.
        ServerLocator(cutter.url() + exact(artemis) + "&duplicateDetection=true") as locator,
        locator.create_session_factory() as factory,
        factory.create_session() as sending,
        factory.create_session(ack_batch_size=0) as receiving,
    ):
        plain.start()
        management = ServerManagement(steady)
        watch = Watch.of(factory)
        report = Report("recreated, then cut, 8 consumers", artemis.generation, ledgers, [watch])
        queues = [fresh("recreated") for _ in ledgers]
        for queue in queues:
            plain.create_queue(queue)
        producers = [sending.create_producer(queue) for queue in queues]
        consumers = [receiving.create_consumer(queue) for queue in queues]
        receiving.start()
        traffic = Traffic()
        enough = threading.Event()
        senders = []
        for ledger, producer, consumer in zip(ledgers, producers, consumers, strict=True):

            def send(ledger: Ledger = ledger, producer: object = producer) -> None:
                send_numbers(sending, producer, ledger, enough.is_set, in_flight=400)  # type: ignore[arg-type]

            sender = traffic.run(ledger, send)
            senders.append(sender)

            def receive(
                ledger: Ledger = ledger, consumer: object = consumer, sender: threading.Thread = sender
            ) -> None:
                receive_numbers(consumer, ledger, lambda: not sender.is_alive())  # type: ignore[arg-type]

            traffic.run(ledger, receive)
        management.fail_connection_of(receiving.name)
        eventually(lambda: watch.counts["SessionRecreated"] >= 2, "both sessions are recreated")
        factory.wait_until_connected(STALL)
        watch.all_told()
        recreated = watch.counts["SessionRecreated"]
        with Chopper(cutter, amount.seed + 11, amount.share(2), hows=hows) as chopper:
            chopper.done.wait(240)
        enough.set()
        traffic.join()
        report.cuts, report.inside = chopper.main, chopper.further
        for ledger in ledgers:
            wait_settled(ledger)
        factory.wait_until_connected(STALL)
        for consumer in consumers:
            consumer.flush_acknowledgements()
        check_buffers(ledgers[0], sending, receiving)
        for ledger, queue in zip(ledgers, queues, strict=True):
            check_empty(ledger, plain, queue)
        for consumer, queue in zip(consumers, queues, strict=True):
            consumer.close()
            plain.delete_queue(queue)
        watch.all_told()
        if artemis.reattaches and watch.counts["SessionRecreated"] - recreated > drops(chopper.main + chopper.further):
            report.notes.append(f"{watch.counts['SessionRecreated'] - recreated} sessions were recreated by the cuts")
    report.check(reattached=False)


def test_many_threads_with_requests_and_commits_in_flight(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    ledgers = [Ledger(f"worker {number}:") for number in range(WORKERS)]
    # Half-open cuts last for the broker's TTL where nothing is reattached: not what is looked at here.
    hows = NOTICED if not artemis.reattaches else (How.RESET, How.FIN, How.ABANDON)
    with (
        ServerLocator(cutter.url() + exact(artemis) + "&callTimeout=20000") as locator,
        locator.create_session_factory() as factory,
    ):
        watch = Watch.of(factory)
        report = Report("requests and commits in flight", artemis.generation, ledgers, [watch])
        traffic = Traffic()
        with Chopper(cutter, amount.seed + 12, amount.share(2), hows=hows, high=30_000) as chopper:
            for ledger in ledgers:

                def work(ledger: Ledger = ledger) -> None:
                    _rounds(factory, ledger, chopper.done, reattached=artemis.reattaches)

                traffic.run(ledger, work)
            traffic.join()
        report.cuts, report.inside = chopper.main, chopper.further
    # A session whose close the broker has carried out before the cut is recreated, to be closed again.
    report.check(reattached=False)


def _rounds(factory: ClientSessionFactory, ledger: Ledger, enough: threading.Event, *, reattached: bool) -> None:
    """Queues made, filled in a transaction, counted, emptied and deleted, until *enough*."""
    number = 0
    while number < 25 or not enough.is_set():
        queue = fresh("requests")
        five = list(range(number, number + 5))
        number += 5
        with factory.create_session(auto_commit_sends=False, auto_commit_acks=False) as session:
            session.create_queue(queue)
            assert session.query_queue(queue).exists
            for one in five:
                ledger.sent[one] = 200
                ledger.settled[one] += 1
            try:
                _send(session, queue, five)
            except TransactionRolledBackError as error:
                if reattached:
                    ledger.loss(error)
                ledger.withdrawn.update(five)
            except TransactionOutcomeUnknownError as error:
                if reattached:
                    ledger.loss(error)
                ledger.in_doubt.update(five)
            else:
                _empty(session, queue, five, ledger, reattached=reattached)
            session.delete_queue(queue)
            if session.query_queue(queue).exists:
                ledger.error(f"{queue} is there after it was deleted")


def _send(session: ClientSession, queue: str, numbers: list[int]) -> None:
    producer = session.create_producer(queue)
    for number in numbers:
        producer.send(session.create_message(True, body=body_of(number, 200)), lambda *_: None)
    session.commit()
    producer.close()


def _empty(session: ClientSession, queue: str, numbers: list[int], ledger: Ledger, *, reattached: bool) -> None:
    """Receive and commit; what a recreation undoes comes again and is counted when its commit returned."""
    session.start()
    deadline = time.monotonic() + PATIENCE
    committed: list[CoreMessage] = []
    while True:
        with session.create_consumer(queue) as consumer:
            taken: list[CoreMessage] = []
            while (
                len(committed) + len(taken) < len(numbers)
                and (message := consumer.receive(PATIENCE if reattached else 2)) is not None
            ):
                taken.append(message)
                message.acknowledge()
            try:
                session.commit()
            except (TransactionRolledBackError, TransactionOutcomeUnknownError) as error:
                if reattached:
                    ledger.loss(error)
                if isinstance(error, TransactionOutcomeUnknownError):
                    ledger.in_doubt.update(numbers)
                    return
                taken.clear()
        committed += taken
        if len(committed) == len(numbers):
            for message in committed:
                ledger.took(message)
            return
        if time.monotonic() > deadline:
            missing = len(numbers) - len(committed)
            if reattached or stuck_in(session.factory, queue) != missing:
                ledger.error(f"{missing} of {len(numbers)} committed messages did not come")
            ledger.stuck += missing
            for message in committed:
                ledger.took(message)
            return
