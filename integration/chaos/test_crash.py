"""The broker killed and restarted: durable messages are neither lost nor stored twice, listeners hear each event once.

Law: the clock of "back" starts when the broker accepts connections again.
"""

from __future__ import annotations

import statistics
import time

import pytest

from activeclient.client.listeners import ConnectionFailure, FailoverEventType
from activeclient.client.locator import ServerLocator
from integration.artemis import Broker
from integration.cases.support import SLACK, eventually
from integration.chaos.conftest import Amount
from integration.chaos.ledger import Ledger
from integration.chaos.report import Report, Watch
from integration.chaos.traffic import STALL, Traffic, check_empty, queue_of, receive_numbers, send_numbers, wait_settled


class Listener:
    """Counts what a failure listener of a session is told."""

    def __init__(self) -> None:
        self.before = 0
        self.after: list[bool] = []
        self.kinds: list[FailoverEventType] = []

    def before_reconnect(self, error: ConnectionFailure) -> None:
        self.before += 1

    def connection_failed(self, error: ConnectionFailure, failed_over: bool) -> None:
        self.after.append(failed_over)


@pytest.mark.soak
@pytest.mark.parametrize("window", [1048576, -1])
def test_a_broker_that_is_killed_loses_and_repeats_nothing(private_broker: Broker, amount: Amount, window: int) -> None:
    broker, kills = private_broker, amount.kills
    ledger = Ledger()
    listener = Listener()
    back: list[float] = []
    url = broker.url(profile="reliable", confirmationWindowSize=window, blockOnAcknowledge="true")
    with (
        ServerLocator(url) as locator,
        locator.create_session_factory() as factory,
        factory.create_session() as sending,
        factory.create_session() as receiving,
        queue_of(sending, "crash") as queue,
    ):
        watch = Watch.of(factory)
        factory.add_failure_listener(listener)
        factory.add_failover_listener(listener.kinds.append)
        report = Report(f"SIGKILL, window {window}", broker.generation, [ledger], [watch])
        traffic = Traffic()
        producer = sending.create_producer(queue)
        consumer = receiving.create_consumer(queue)
        receiving.start()
        kills_done = False
        sender = traffic.run(
            ledger,
            lambda: send_numbers(sending, producer, ledger, lambda: kills_done, in_flight=500),
        )
        traffic.run(
            ledger,
            lambda: receive_numbers(consumer, ledger, lambda: not sender.is_alive(), confirmed=True, recreated=True),
        )
        for _ in range(kills):
            seen = len(ledger.received)
            eventually(lambda: len(ledger.received) > seen + 50, "traffic between the kills", STALL)  # noqa: B023
            broker.kill()
            broker.start()
            began = time.monotonic()
            factory.wait_until_connected(STALL)
            back.append(time.monotonic() - began)
        kills_done = True
        traffic.join()
        wait_settled(ledger)
        consumer.close()
        check_empty(ledger, sending, queue)
        report.cuts = kills
    watch.all_told()
    if (listener.before, listener.after) != (kills, [True] * kills):
        report.notes.append(f"listeners: {listener.before} before, {listener.after} after {kills} kills")
    pairs = [FailoverEventType.FAILURE_DETECTED, FailoverEventType.FAILOVER_COMPLETED] * kills
    if listener.kinds != pairs:
        report.notes.append(f"failover events: {listener.kinds}")
    # The longest pause between attempts is 1 s; a machine may stand still once, but not each time.
    if statistics.median(back) > 2.0 or max(back) > 1.0 + SLACK:
        report.notes.append(f"back {max(back):.1f} s after the broker")
    # Acknowledgements are waited for, and the outcome of one that the crash met is unknown: its message may come again.
    report.check(reattached=False, once=False)
