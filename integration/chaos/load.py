"""Three streams of numbered durable messages on a pair of brokers: AUTO, CLIENT and transacted consumers.

Law: the application is a plain one. It repeats only what it was told to repeat (a transaction that was rolled back),
and every other exception is a fault.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from activeclient import AcknowledgeMode, Message, MessageConsumer, connect
from activeclient.errors import TransactionOutcomeUnknownError, TransactionRolledBackError
from integration.chaos.jms import SIZE, number_in, settling, took
from integration.chaos.ledger import Ledger, body_of
from integration.chaos.report import Watch
from integration.chaos.traffic import Traffic, fresh

PATIENCE = 180.0
"""Seconds in which something must come: a backup takes a few to take over, a busy machine several times as many."""
BATCH = 5
RATE = 100
"""Messages a second and stream: a load, not a benchmark."""
IN_FLIGHT = 400


class Load:
    """The streams, on one connection for sending and one for receiving. `stop` ends them when everything has come."""

    def __init__(self, url: str) -> None:
        self.sending = connect(url, producer_max_rate=RATE)
        self.receiving = connect(url)
        self.watches = [Watch.of(connection.factory) for connection in (self.sending, self.receiving)]
        self.ledgers = [Ledger(f"{name}:") for name in ("AUTO", "CLIENT", "transacted")]
        self._queues = [fresh(f"pair.{name}") for name in ("auto", "client", "source", "target")]
        self._enough = threading.Event()
        self._traffic = Traffic()
        self._senders: list[threading.Thread] = []
        auto, client, transacted = self.ledgers
        for ledger, queue in zip(self.ledgers, self._queues, strict=False):
            self._senders.append(self._run(ledger, self._send, queue))
        self._run(auto, self._receive, self._queues[0])
        self._run(client, self._receive_in_batches, self._queues[1])
        self._run(transacted, self._move, *self._queues[2:])
        self._run(transacted, self._receive, self._queues[3])

    def _run(self, ledger: Ledger, work: Callable[..., None], *queues: str) -> threading.Thread:
        def run() -> None:
            work(ledger, *queues)

        run.__name__ = work.__name__
        return self._traffic.run(ledger, run)

    @property
    def received(self) -> tuple[int, ...]:
        """Messages that came, in each stream."""
        return tuple(len(ledger.received) for ledger in self.ledgers)

    def wait_for_traffic(self, count: int = 50) -> None:
        """Return when each stream has got *count* messages from now on; AssertionError when one stands still."""
        before = self.received
        deadline = time.monotonic() + PATIENCE
        while any(now - then < count for now, then in zip(self.received, before, strict=True)):
            errors = [error for ledger in self.ledgers for error in ledger.errors]
            assert not errors, errors
            if time.monotonic() > deadline:
                raise AssertionError(f"a stream stands still: {before} messages, {PATIENCE:g} s later {self.received}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Send no more, receive the rest, close."""
        self._enough.set()
        self._traffic.join(2 * PATIENCE)
        for ledger, queue in zip(self.ledgers, self._queues, strict=False):
            self._check_empty(ledger, queue)
        self._check_empty(self.ledgers[2], self._queues[3])
        for watch in self.watches:
            watch.all_told()
        self.close()

    def close(self) -> None:
        """End it at once, if it runs."""
        self._enough.set()
        self.receiving.close()
        self.sending.close()

    def _check_empty(self, ledger: Ledger, queue: str) -> None:
        with self.sending.factory.create_session() as core:
            deadline = time.monotonic() + PATIENCE
            while (left := core.query_queue(queue).message_count) and time.monotonic() < deadline:
                time.sleep(0.02)
        if left:
            ledger.error(f"{left} messages are left in {queue}")

    # --- the streams ----------------------------------------------------------------------------------------------

    def _send(self, ledger: Ledger, queue: str) -> None:
        with self.sending.create_session() as session:
            producer = session.create_producer(session.create_queue(queue))
            number = 0
            while not self._enough.is_set():
                deadline = time.monotonic() + PATIENCE
                while len(ledger.sent) - len(ledger.stored_as) >= IN_FLIGHT:
                    assert time.monotonic() < deadline, f"nothing was received for {PATIENCE:g} s"
                    time.sleep(0.005)
                ledger.sent[number] = SIZE
                producer.send(body_of(number, SIZE), properties={"n": number}, on_complete=settling(ledger, number))
                number += 1

    def _messages(
        self, ledger: Ledger, consumer: MessageConsumer, idle: Callable[[], None], come: Callable[[], bool]
    ) -> Iterator[Message]:
        """What comes, until everything that was sent has *come*; *idle* is called when nothing does for a moment."""
        moved = time.monotonic()
        while True:
            message = consumer.receive(timeout=0.3)
            if message is not None:
                moved = time.monotonic()
                yield message
                continue
            idle()
            if not any(sender.is_alive() for sender in self._senders) and come():
                return
            if time.monotonic() - moved > PATIENCE:
                raise AssertionError(
                    f"nothing came for {PATIENCE:g} s: {ledger.lost} of {len(ledger.sent)} are missing"
                )

    def _receive(self, ledger: Ledger, queue: str) -> None:
        with self.receiving.create_session() as session:
            consumer = session.create_consumer(session.create_queue(queue))
            for message in self._messages(ledger, consumer, lambda: None, lambda: ledger.complete):
                took(ledger, message)

    def _receive_in_batches(self, ledger: Ledger, queue: str) -> None:
        with self.receiving.create_session(AcknowledgeMode.CLIENT_ACKNOWLEDGE) as session:
            consumer = session.create_consumer(session.create_queue(queue))
            held: list[Message] = []
            numbers: list[int] = []

            def acknowledge() -> None:
                if held:
                    held[-1].acknowledge()
                    ledger.acknowledged.update(numbers)
                    held.clear()
                    numbers.clear()

            for message in self._messages(ledger, consumer, acknowledge, lambda: ledger.complete):
                held.append(message)
                numbers.append(took(ledger, message))
                if len(held) >= BATCH:
                    acknowledge()

    def _move(self, ledger: Ledger, source: str, target: str) -> None:
        with self.receiving.create_session(AcknowledgeMode.SESSION_TRANSACTED) as session:
            consumer = session.create_consumer(session.create_queue(source))
            producer = session.create_producer(session.create_queue(target))
            moved = 0

            def commit() -> None:
                nonlocal moved
                moved = 0
                try:
                    session.commit()
                except (TransactionRolledBackError, TransactionOutcomeUnknownError) as error:
                    ledger.losses.append(repr(error))

            for message in self._messages(ledger, consumer, commit, lambda: ledger.complete):
                producer.send(message.body, properties={"n": number_in(message)})
                moved += 1
                if moved == BATCH:
                    commit()
