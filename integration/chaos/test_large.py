"""Large messages across cuts, small ones between them: every body intact, with little and with unlimited prefetch."""

from __future__ import annotations

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.testing.cuts import How
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.chaos.chopper import Chopper
from integration.chaos.conftest import Amount
from integration.chaos.ledger import Ledger
from integration.chaos.report import Report, Watch
from integration.chaos.traffic import (
    STALL,
    Traffic,
    check_buffers,
    exact,
    queue_of,
    receive_numbers,
    send_numbers,
    wait_settled,
)


def _size(number: int) -> int:
    return 500 if number % 3 else 55_000 + number


@pytest.mark.parametrize("prefetch", [20_000, -1])
def test_large_bodies_arrive_whole(artemis: Broker, cutter: Cutter, amount: Amount, prefetch: int) -> None:
    ledger = Ledger()
    hows = (How.RESET, How.FIN) if not artemis.reattaches else (How.RESET, How.FIN, How.ABANDON)
    url = cutter.url() + exact(artemis) + f"&minLargeMessageSize=10240&consumerWindowSize={prefetch}"
    with (
        ServerLocator(url) as locator,
        locator.create_session_factory() as factory,
        factory.create_session() as sending,
        factory.create_session(ack_batch_size=0) as receiving,
        queue_of(sending, "large") as queue,
    ):
        watch = Watch.of(factory)
        report = Report(f"large and small, prefetch {prefetch}", artemis.generation, [ledger], [watch])
        traffic = Traffic()
        producer = sending.create_producer(queue)
        consumer = receiving.create_consumer(queue)
        receiving.start()
        with Chopper(cutter, amount.seed, amount.share(3), hows=hows, high=300_000) as chopper:
            sender = traffic.run(
                ledger,
                lambda: send_numbers(
                    sending, producer, ledger, chopper.done.is_set, size=_size, minimum=60, in_flight=60
                ),
            )
            traffic.run(
                ledger,
                lambda: receive_numbers(
                    consumer, ledger, lambda: not sender.is_alive(), recreated=not artemis.reattaches
                ),
            )
            traffic.join()
        report.cuts, report.inside = chopper.main, chopper.further
        wait_settled(ledger)
        factory.wait_until_connected(STALL)
        check_buffers(ledger, sending, receiving)
        consumer.close()
    # A body damaged by the broker's replay is delivered anew, so a large message may come flagged as redelivered.
    report.check(reattached=False)
