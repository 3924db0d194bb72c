"""The same exactness behind Toxiproxy: slow, sliced, silent, limited and refused connections.

Law: each fault is on while traffic runs, and off at its end; the verdict is that of the cuts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from activeclient.client.locator import ServerLocator
from integration.artemis import Broker
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
from integration.faults import Link

Fault = Callable[[Link], contextlib.AbstractContextManager[None]]
FAULTS: dict[str, tuple[Fault, float]] = {
    "reset_peer": (lambda link: link.reset_peer(0.05), 0.4),
    "timeout": (lambda link: link.black_hole(), 1.6),
    "half open": (lambda link: link.half_open(), 1.6),
    "slicer": (lambda link: link.slicer(64, variation=40), 0.6),
    "latency": (lambda link: link.latency(0.03, jitter=0.02), 0.6),
    "bandwidth": (lambda link: link.bandwidth(200), 0.6),
    "limit_data": (lambda link: link.limit_data(30_000), 0.5),
    "down and up": (lambda link: link.down(), 0.3),
}
"""Name to the fault and the seconds that it lasts."""


@pytest.mark.parametrize("name", FAULTS)
def test_toxics_lose_and_repeat_nothing(artemis: Broker, proxied: Link, amount: Amount, name: str) -> None:
    fault, seconds = FAULTS[name]
    ledger = Ledger()
    url = proxied.url() + exact(artemis)
    if artemis.reattaches:
        url += "&connectionTTL=20000&clientFailureCheckPeriod=500"
    else:
        url = url.replace("connectionTTL=3000", "connectionTTL=6000")  # silence of 1.6 s must not end a connection
    with (
        ServerLocator(url) as locator,
        locator.create_session_factory() as factory,
        factory.create_session() as sending,
        factory.create_session(ack_batch_size=0) as receiving,
        queue_of(sending, "toxic") as queue,
    ):
        watch = Watch.of(factory)
        report = Report(f"toxic {name}", artemis.generation, [ledger], [watch])
        traffic = Traffic()
        producer = sending.create_producer(queue)
        consumer = receiving.create_consumer(queue)
        receiving.start()
        done = False
        sender = traffic.run(
            ledger, lambda: send_numbers(sending, producer, ledger, lambda: done, minimum=100, in_flight=400)
        )
        traffic.run(ledger, lambda: receive_numbers(consumer, ledger, lambda: not sender.is_alive()))
        for _ in range(2 if not amount.full else 10):
            time.sleep(0.15)
            with fault(proxied):
                time.sleep(seconds)
            report.cuts += 1
        done = True
        traffic.join()
        wait_settled(ledger)
        factory.wait_until_connected(STALL)
        check_buffers(ledger, sending, receiving)
        consumer.close()
    report.check(reattached=artemis.reattaches)
