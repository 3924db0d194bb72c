"""Storms of recreations: producers and consumers in every acknowledge mode side by side, on every broker without a
window, so that each cut makes all sessions of its connection anew.

Law: what is judged is what one consumer of one queue received of one producer; each has nobody beside it, so the broker
owes it the order. `ACTIVECLIENT_CHAOS_BUSY` processes compute beside it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from activeclient import AcknowledgeMode, Connection, Message, Queue, connect
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.chaos.chopper import Chopper
from integration.chaos.conftest import Amount
from integration.chaos.jms import NOTICED, number_in, send_numbers, took
from integration.chaos.ledger import Ledger
from integration.chaos.report import Report, Watch
from integration.chaos.traffic import STALL, Traffic, fresh, wait_settled

MODES = (
    AcknowledgeMode.AUTO_ACKNOWLEDGE,
    AcknowledgeMode.CLIENT_ACKNOWLEDGE,
    AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE,
    AcknowledgeMode.DUPS_OK_ACKNOWLEDGE,
)
BATCH = 7
IN_FLIGHT = 400
"""Enough for a backlog that the next session finds behind what returns."""
HIGH = 40_000
"""Bytes of a connection within which it is cut."""
URL = "?profile=reliable&retryInterval=1&confirmationWindowSize=-1&callTimeout=60000&consumerWindowSize=16384"


@contextlib.contextmanager
def busy_machine() -> Iterator[None]:
    """Processes that compute beside the case, as many as the environment says."""
    count = int(os.environ.get("ACTIVECLIENT_CHAOS_BUSY", "0"))
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def produce(connection: Connection, queue: Queue, ledger: Ledger, chopper: Chopper, *, waiting: bool) -> None:
    """Send until the cuts are over, each send *waiting* for the broker or with a listener."""
    with connection.create_session() as session:
        producer = session.create_producer(queue)
        send_numbers(producer, ledger, chopper.done.is_set, waiting=waiting, in_flight=IN_FLIGHT)
        wait_settled(ledger)


def consume(
    connection: Connection, queue: Queue, mode: AcknowledgeMode, ledger: Ledger, sender: threading.Thread
) -> None:
    """Receive and acknowledge as the mode wants it, until the sender is done and everything was acknowledged."""
    batch: list[Message] = []

    def acknowledge() -> None:
        for message in batch if mode is AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE else batch[-1:]:
            message.acknowledge()
        ledger.acknowledged.update(map(number_in, batch))
        batch.clear()

    automatic = mode in (AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.DUPS_OK_ACKNOWLEDGE)
    with connection.create_session(mode) as session, session.create_consumer(queue) as consumer:
        moved = time.monotonic()
        while sender.is_alive() or ledger.expected - ledger.acknowledged:
            message = consumer.receive(0.2)
            if message is None:
                if batch:
                    acknowledge()
                if time.monotonic() - moved > STALL:
                    missing = len(ledger.expected - ledger.acknowledged)
                    raise AssertionError(f"nothing came for {STALL} s: {missing} of {len(ledger.sent)} are missing")
                continue
            moved = time.monotonic()
            number = took(ledger, message)
            if automatic:
                ledger.acknowledged.add(number)
                continue
            batch.append(message)
            if len(batch) == BATCH:
                acknowledge()


def test_a_storm_of_recreations_keeps_order_and_hands_out_everything_once(
    artemis: Broker, cutter: Cutter, amount: Amount
) -> None:
    ledgers = [Ledger(f"{mode.name}:") for mode in MODES]
    queues = [Queue(fresh("storm")) for _ in MODES]
    with (
        busy_machine(),
        connect(artemis.url()) as steady,
        steady.factory.create_session() as core,
        connect(cutter.url() + URL) as sending,
        connect(cutter.url() + URL) as receiving,
    ):
        for queue in queues:
            core.create_queue(queue.address)
        watches = [Watch.of(connection.factory) for connection in (sending, receiving)]
        report = Report("storm of recreations", artemis.generation, ledgers, watches)
        traffic = Traffic()
        with Chopper(
            cutter, amount.seed + 60, amount.share(4), hows=NOTICED, high=HIGH, inside=0.1, inside_bytes=3000
        ) as chopper:
            for number, (mode, queue, ledger) in enumerate(zip(MODES, queues, ledgers, strict=True)):
                sender = traffic.run(
                    ledger, functools.partial(produce, sending, queue, ledger, chopper, waiting=number % 2 == 0)
                )
                traffic.run(ledger, functools.partial(consume, receiving, queue, mode, ledger, sender))
            traffic.join(240 + amount.cuts * 2.0)
        report.cuts, report.inside = chopper.main, chopper.further
        for queue in queues:
            core.delete_queue(queue.address)
    report.check(reattached=False)
