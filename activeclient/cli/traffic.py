"""The demo's application: a producer and a consumer of numbered messages, and what became of each number.

Law of this file: `produce` and `consume` are code as a user writes it, without a word about connections: no retry, no
error handling. The tally looks only at what was confirmed to the one and handed to the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from activeclient.errors import ActiveClientError
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.consumer import MessageConsumer
from activeclient.jms.message import Message
from activeclient.jms.producer import MessageProducer

AHEAD = 2000
"""Messages that the producer may be ahead of the consumer."""
HEAD = 8
"""Bytes of a body that are its number."""
MAX_ERRORS = 20
"""Errors that are kept."""


class Numbers:
    """Which of the numbers 0, 1, 2, ... have come; in little memory as long as they come about in order."""

    def __init__(self) -> None:
        self.below: int = 0
        """All numbers below this have come."""
        self._beyond: set[int] = set()

    def add(self, number: int) -> bool:
        """Note a number; False when it had come before."""
        if number < self.below or number in self._beyond:
            return False
        self._beyond.add(number)
        while self.below in self._beyond:
            self._beyond.remove(self.below)
            self.below += 1
        return True

    def __len__(self) -> int:
        return self.below + len(self._beyond)


@dataclass(slots=True)
class Tally:
    """What became of the messages. Each field has one thread that writes it."""

    sent: int = 0
    confirmed: int = 0
    received: int = 0
    """Different ones."""
    again: int = 0
    """Received before and marked as redelivered: what a session that was made anew gives back."""
    duplicates: int = 0
    """Received before and not marked."""
    steps_back: int = 0
    """First receptions of a number below one that had come."""
    errors: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """Sent and not received: under way, and at the end lost."""
        return self.sent - self.received

    @property
    def in_order(self) -> bool:
        return self.steps_back == 0

    def fail(self, text: str) -> None:
        """Something went wrong that should not have."""
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(text)


class Traffic:
    """Two threads that send and receive until they are told to stop, and the tally.

    Args:
        producer: For the queue that `consumer` consumes from; each of a session of its own.
        size: Bytes of each body, at least 8.
    """

    def __init__(self, producer: MessageProducer, consumer: MessageConsumer, size: int) -> None:
        self.tally: Tally = Tally()
        self.stopped: threading.Event = threading.Event()
        """Nothing more is sent."""
        self.ended: threading.Event = threading.Event()
        """The consumer has all that was sent, or one of the two threads has failed."""
        self._producer = producer
        self._consumer = consumer
        self._padding = bytes(size - HEAD)
        self._ahead = threading.Semaphore(AHEAD)
        self._numbers = Numbers()
        self._highest = -1
        self._all_sent = threading.Event()
        self._newest = time.monotonic()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"demo-{work.__name__}")
            for work in (self.produce, self.consume)
        ]

    # --- as a user writes it --------------------------------------------------------------------------------------

    def produce(self) -> None:
        """Send numbers until told to stop."""
        while not self.stopped.is_set():
            if self._ahead.acquire(timeout=0.1):
                number = self.tally.sent
                self.tally.sent = number + 1
                self._producer.send(
                    BytesMessage(number.to_bytes(HEAD, "big") + self._padding), on_complete=self._completed
                )
        self._all_sent.set()

    def consume(self) -> None:
        """Receive until all that was sent has come."""
        while not (self._all_sent.is_set() and self.tally.missing <= 0) and not self.ended.is_set():
            message = self._consumer.receive(0.2)
            if message is not None:
                self._take(message)
        self.ended.set()

    # --- keeping count --------------------------------------------------------------------------------------------

    def _completed(self, message: Message, error: ActiveClientError | None) -> None:
        if error is None:
            self.tally.confirmed += 1
        else:
            self.tally.fail(f"a send failed: {error}")

    def _take(self, message: Message) -> None:
        tally = self.tally
        self._newest = time.monotonic()
        number = int.from_bytes(message.core.body[:HEAD], "big")
        if self._numbers.add(number):
            tally.received += 1
            if number < self._highest:
                tally.steps_back += 1
            self._highest = max(self._highest, number)
            self._ahead.release()
        elif message.jms_redelivered:
            tally.again += 1
        else:
            tally.duplicates += 1

    # --- beginning and end ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to send and to receive."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more; what was sent is still received."""
        self.stopped.set()

    @property
    def quiet(self) -> float:
        """Seconds since a message came."""
        return time.monotonic() - self._newest

    @property
    def settled(self) -> bool:
        """Was everything confirmed and received?"""
        return self.ended.is_set() and self.tally.confirmed >= self.tally.sent

    def join(self, timeout: float) -> bool:
        """End both threads, whatever is still missing; False when one still waits for the connection."""
        self.stopped.set()
        self.ended.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(timeout)
        return not any(thread.is_alive() for thread in self._threads)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ActiveClientError as error:
            self.tally.fail(f"{work.__name__}: {type(error).__name__}: {error}")
            self.stopped.set()
            self.ended.set()
