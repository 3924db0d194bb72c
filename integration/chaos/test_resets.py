"""Cuts at random bytes while durable messages are sent and consumed: nothing lost, nothing twice, order kept.

Law: duplicate detection is off in these cases. Only so does a command that is replayed twice show.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.testing.cuts import Direction, How
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.chaos.chopper import ALL, Chopper
from integration.chaos.conftest import Amount
from integration.chaos.ledger import Ledger
from integration.chaos.report import Report, Watch
from integration.chaos.traffic import (
    STALL,
    Traffic,
    check_buffers,
    check_empty,
    exact,
    queue_of,
    receive_numbers,
    send_numbers,
    wait_settled,
)

NOTICED = (How.RESET, How.FIN)
"""Cuts that the broker notices: it ends a session that cannot be reattached, and the next one continues exactly."""


def send_and_consume(
    broker: Broker,
    cutter: Cutter,
    case: str,
    cuts: int,
    seed: int,
    *,
    url: str | None = None,
    more: str = "",
    hows: Sequence[How] | None = None,
    one_session: bool = False,
    size: int = 1024,
    durable: bool = True,
    minimum: int = 1000,
    in_flight: int = 3000,
    inside: float = 0.3,
    high: int = 120_000,
    blocking: bool = False,
) -> Report:
    """One producer and one consumer through a cutter; returns what was found."""
    if not broker.reattaches:
        high *= 3  # each cut costs a whole recreation, which must get through now and then
    if hows is None:
        # A broker that does not notice keeps the session, and its messages, until the TTL is over: a case of its own.
        hows = ALL if broker.reattaches else NOTICED
    ledger = Ledger()
    with (
        ServerLocator(cutter.url() + (url or exact(broker)) + more) as locator,
        locator.create_session_factory() as factory,
        factory.create_session() as sending,
        factory.create_session(ack_batch_size=0) as other,
        queue_of(sending, "resets") as queue,
    ):
        receiving = sending if one_session else other
        watch = Watch.of(factory)
        report = Report(case, broker.generation, [ledger], [watch])
        traffic = Traffic()
        producer = sending.create_producer(queue)
        consumer = receiving.create_consumer(queue)
        receiving.start()
        with Chopper(cutter, seed, cuts, hows=hows, inside=inside, high=high) as chopper:
            sender = traffic.run(
                ledger,
                lambda: send_numbers(
                    sending,
                    producer,
                    ledger,
                    chopper.done.is_set,
                    size=size,
                    durable=durable,
                    identified=not durable and not broker.reattaches,
                    minimum=minimum,
                    in_flight=in_flight,
                    blocking=blocking,
                ),
            )
            traffic.run(ledger, lambda: receive_numbers(consumer, ledger, lambda: not sender.is_alive()))
            traffic.join()
        report.cuts, report.inside = chopper.main, chopper.further
        wait_settled(ledger)
        factory.wait_until_connected(STALL)
        consumer.flush_acknowledgements()
        check_buffers(ledger, sending, receiving)
        # Before the consumer closes: what it acknowledged to a lost session comes again, and is acknowledged again.
        check_empty(ledger, sending, queue)
        consumer.close()
        if chopper.main < cuts - max(1, cuts // 100):  # a connection may end otherwise before its cut
            report.notes.append(f"only {chopper.main} of {cuts} cuts took place")
    return report


@pytest.mark.parametrize("how", [How.RESET, How.FIN, How.ABANDON], ids=lambda how: how.value)
def test_cuts_of_one_kind_lose_and_repeat_nothing(artemis: Broker, cutter: Cutter, amount: Amount, how: How) -> None:
    unnoticed = how is How.ABANDON and not artemis.reattaches
    cuts = 3 if unnoticed else amount.share(2)  # each lasts until the broker's TTL is over
    report = send_and_consume(
        artemis,
        cutter,
        f"{how.value}, sent and consumed",
        cuts,
        amount.seed,
        hows=[how],
        inside=0 if unnoticed else 0.3,
    )
    report.check(reattached=artemis.reattaches, ordered=not unnoticed)


def test_the_full_run_of_mixed_cuts_loses_and_repeats_nothing(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    send_and_consume(artemis, cutter, "mixed cuts, sent and consumed", amount.cuts, amount.seed + 1).check(
        reattached=artemis.reattaches
    )


def test_one_session_that_sends_and_consumes_is_exact(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    send_and_consume(
        artemis, cutter, "mixed cuts, one session", amount.share(2), amount.seed + 2, one_session=True
    ).check(reattached=artemis.reattaches)


def test_messages_that_are_not_durable_are_exact_too(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    send_and_consume(artemis, cutter, "mixed cuts, not durable", amount.share(3), amount.seed + 3, durable=False).check(
        reattached=artemis.reattaches
    )


def test_many_cuts_inside_of_reattachments_are_exact(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    send_and_consume(
        artemis, cutter, "many cuts inside of reattachments", amount.share(3), amount.seed + 4, inside=0.7
    ).check(reattached=artemis.reattaches)


def test_blocking_sends_return_as_soon_as_the_reattachment_is_through(
    artemis: Broker, cutter: Cutter, amount: Amount
) -> None:
    began = time.monotonic()
    report = send_and_consume(
        artemis,
        cutter,
        "mixed cuts, blocking sends",
        amount.share(3),
        amount.seed + 5,
        blocking=True,
        more="&callTimeout=120000&callFailoverTimeout=120000",
        minimum=200,
        high=8000,
    )
    report.check(reattached=artemis.reattaches)
    assert time.monotonic() - began < 100 + report.cuts, "a call waited for its timeout"


def test_a_queue_of_20000_messages_streams_through_cuts(artemis: Broker, cutter: Cutter, amount: Amount) -> None:
    ledger = Ledger()
    count = 20_000
    hows = ALL if artemis.reattaches else NOTICED
    with (
        ServerLocator(artemis.url(profile="reliable", consumerWindowSize=-1)) as filling,
        filling.create_session_factory() as direct,
        direct.create_session() as session,
        queue_of(session, "stream") as queue,
        ServerLocator(cutter.url() + exact(artemis) + "&consumerWindowSize=-1") as locator,
        locator.create_session_factory() as factory,
    ):
        producer = session.create_producer(queue)
        send_numbers(session, producer, ledger, lambda: True, minimum=count, in_flight=count + 1)
        wait_settled(ledger)
        watch = Watch.of(factory)
        report = Report("stream, unlimited credits", artemis.generation, [ledger], [watch])
        with factory.create_session(ack_batch_size=0) as receiving:
            consumer = receiving.create_consumer(queue)
            receiving.start()
            with Chopper(
                cutter, amount.seed, 10_000, hows=hows, directions=[Direction.TO_CLIENT], high=2_000_000, first=400_000
            ) as chopper:
                receive_numbers(consumer, ledger, lambda: True)
            report.cuts, report.inside = chopper.main, chopper.further
            factory.wait_until_connected(STALL)
            check_buffers(ledger, receiving)
            check_empty(ledger, session, queue)
            consumer.close()
    cutter.release()
    assert report.cuts + report.inside > 3
    report.check(reattached=artemis.reattaches)


WINDOWS = {
    "window 1": {"more": "&confirmationWindowSize=1"},
    "window 100": {"more": "&confirmationWindowSize=100"},
    "window 1 MiB": {"more": "&confirmationWindowSize=1048576"},
    "window 10,000, messages of 50,000": {"more": "&confirmationWindowSize=10000", "size": 50_000, "high": 400_000},
}


@pytest.mark.parametrize("window", WINDOWS)
def test_no_window_deadlocks_and_each_is_exact(artemis: Broker, cutter: Cutter, amount: Amount, window: str) -> None:
    send_and_consume(
        artemis,
        cutter,
        window,
        amount.share(4),
        amount.seed + 6,
        minimum=300,
        in_flight=300,
        **WINDOWS[window],  # type: ignore[arg-type]
    ).check(reattached=artemis.reattaches)


@pytest.mark.parametrize("window", [0, -1])
def test_without_reattachment_nothing_is_lost_or_stored_twice(
    artemis: Broker, cutter: Cutter, amount: Amount, window: int
) -> None:
    send_and_consume(
        artemis,
        cutter,
        f"window {window}, recreated each time",
        min(60, amount.share(4)),
        amount.seed + 7,
        url=f"?profile=reliable&retryInterval=1&confirmationWindowSize={window}",
        hows=[How.RESET, How.FIN],
        minimum=300,
        in_flight=300,
        inside=0.1,
    ).check(reattached=False)
