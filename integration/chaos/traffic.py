"""Producers and consumers of numbered messages, each a thread of its own.

Law: traffic goes on until the case says enough (cuts are done, not messages); it stops by itself when nothing moves
for `STALL` seconds, which is an error of the client, and never waits for ever.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator

from activeclient.client.consumer import ClientConsumer
from activeclient.client.management import Management
from activeclient.client.producer import ClientProducer
from activeclient.client.session import ClientSession
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import LargeMessageError, OutcomeUnknown
from activeclient.wire.names import DUPLICATE_ID
from integration.artemis import Broker
from integration.chaos.ledger import Ledger, body_of

STALL = 30.0
IN_FLIGHT = 3000
"""Messages sent and not yet received before a sender waits, so that a run does not measure the broker's memory."""

EXACT = "?profile=reliable&retryInterval=1"
"""Quick retries; see `exact`."""


def exact(broker: Broker) -> str:
    """The URL's parameters: where sessions are reattached without duplicate detection, so that a command that is
    replayed twice shows; else with it, and with a short TTL, which ends sessions whose socket the broker still has."""
    more = "&duplicateDetection=false" if broker.reattaches else "&connectionTTL=3000&clientFailureCheckPeriod=1000"
    return EXACT + more


_numbers = itertools.count(1)


def fresh(prefix: str) -> str:
    """A queue name that nobody else has."""
    return f"chaos.{prefix}.{time.time_ns()}.{next(_numbers)}"


class Traffic:
    """The threads of one case: what raises in one becomes an error of its ledger."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def run(self, ledger: Ledger, work: Callable[[], None]) -> threading.Thread:
        """Start *work* in a thread."""

        def guarded() -> None:
            try:
                work()
            except BaseException as error:
                ledger.error(f"{getattr(work, 'func', work).__name__} ended: {error!r}")

        thread = threading.Thread(target=guarded, name=f"traffic-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def join(self, timeout: float = 240.0) -> None:
        """Wait for all of them."""
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))
        alive = [thread.name for thread in self._threads if thread.is_alive()]
        assert not alive, f"threads hang: {alive}"


def send_numbers(
    session: ClientSession,
    producer: ClientProducer,
    ledger: Ledger,
    enough: Callable[[], bool],
    *,
    size: int | Callable[[int], int] = 1024,
    minimum: int = 100,
    maximum: int = 10_000_000,
    durable: bool = True,
    blocking: bool = False,
    in_flight: int = IN_FLIGHT,
    identified: bool = False,
) -> None:
    """Send 0, 1, 2, ... until *enough*, with a completion handler or *blocking*; check the buffer's bound.

    *identified*: with duplicate ids of our own, which messages that are not durable do not get by themselves."""
    number = 0
    run = uuid.uuid4().bytes
    bound_checked = session.engine.windowed
    limit = session.engine.buffer.limit
    while (number < minimum or not enough()) and number < maximum:
        _wait_for_consumers(ledger, in_flight)
        length = size if isinstance(size, int) else size(number)
        message = session.create_message(durable, body=body_of(number, length))
        if identified:
            message.properties[DUPLICATE_ID] = run + number.to_bytes(8, "big")
        ledger.sent[number] = length
        if blocking:
            producer.send(message)
            ledger.settled[number] += 1
        else:
            producer.send(message, ledger.completed)
        if bound_checked:
            used = session.engine.buffer.used
            if used > limit + length + 4096:
                ledger.error(f"the buffer holds {used} bytes, its window is {limit}, a message has {length}")
                bound_checked = False
        number += 1


def _wait_for_consumers(ledger: Ledger, in_flight: int) -> None:
    if len(ledger.sent) - len(ledger.received) < in_flight:
        return
    deadline = time.monotonic() + STALL
    before = len(ledger.received)
    while len(ledger.sent) - len(ledger.received) >= in_flight:
        if len(ledger.received) != before:
            before, deadline = len(ledger.received), time.monotonic() + STALL
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing was received for {STALL} s")
        time.sleep(0.001)


def receive_numbers(
    consumer: ClientConsumer,
    ledger: Ledger,
    enough: Callable[[], bool],
    *,
    read: Callable[[object], bytes] | None = None,
    confirmed: bool = False,
    recreated: bool = False,
) -> None:
    """Receive and acknowledge until *enough* and everything expected is there. *confirmed*: an acknowledgement that
    returns is confirmed by the broker (blockOnAcknowledge). *recreated*: sessions may be lost, and then a body that is
    still streaming in, or an acknowledgement that is waited for, says so; the message comes again."""
    moved = time.monotonic()
    while True:
        message = consumer.receive(0.25)
        if message is None:
            if enough() and ledger.complete:
                return
            if time.monotonic() - moved > STALL:
                raise AssertionError(f"nothing came for {STALL} s: {ledger.lost} of {len(ledger.sent)} are missing")
            continue
        moved = time.monotonic()
        try:
            number = ledger.took(message, read(message) if read is not None else None)
            message.acknowledge()
        except (LargeMessageError, OutcomeUnknown):
            if not recreated:
                raise
            continue
        if confirmed:
            ledger.acknowledged.add(number)


def wait_settled(ledger: Ledger) -> None:
    """Wait until each send has its completion."""
    deadline = time.monotonic() + STALL
    while sum(ledger.settled.values()) < len(ledger.sent) and time.monotonic() < deadline:
        time.sleep(0.005)


def check_buffers(ledger: Ledger, *sessions: ClientSession, timeout: float = 15.0) -> None:
    """The command buffers must get empty by themselves."""
    deadline = time.monotonic() + timeout
    for session in sessions:
        buffer = session.engine.buffer
        # Both: a confirmation that is being taken has freed the commands, and not counted their bytes yet.
        while (len(buffer) or buffer.used) and time.monotonic() < deadline:
            time.sleep(0.005)
        if len(buffer) or buffer.used:
            ledger.error(f"{len(buffer)} commands of {buffer.used} bytes stay in the buffer: {session!r}")


def stuck_in(factory: ClientSessionFactory, queue: str) -> int:
    """Messages that the broker counts as being delivered although nobody can have them: a defect of brokers that end a
    session while its last acknowledgement is still being carried out. They come again when the broker is restarted."""
    with Management(factory) as management:
        return int(str(management.attribute(f"queue.{queue}", "deliveringCount")))


def check_empty(ledger: Ledger, session: ClientSession, queue: str, timeout: float = 15.0) -> None:
    """The queue must be empty: everything was acknowledged, and the broker knows."""
    deadline = time.monotonic() + timeout
    while (left := session.query_queue(queue).message_count) and time.monotonic() < deadline:
        time.sleep(0.02)
    if left and session.engine.client.reattaches is not True:
        left -= stuck_in(session.factory, queue)
    if left:
        ledger.error(f"{left} messages are left in {queue}")


@contextlib.contextmanager
def queue_of(session: ClientSession, prefix: str) -> Iterator[str]:
    """A queue of our own, deleted at the end."""
    name = fresh(prefix)
    session.create_queue(name)
    yield name
    with contextlib.suppress(Exception):
        session.delete_queue(name)
