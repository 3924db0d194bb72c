"""Numbered messages and what became of them: the judge of every case.

Law: a number is judged by what was sent and what was received only. A body is a function of its number, so a wrong
byte anywhere is seen; the broker's message id tells a message stored twice from one delivered twice.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass, field

from activeclient.errors import ActiveClientError, OutcomeUnknown
from activeclient.wire.message import CoreMessage


def body_of(number: int, size: int) -> bytes:
    """*size* bytes (at least 8) that belong to *number* and to no other."""
    head = number.to_bytes(8, "big")
    pattern = hashlib.blake2b(head, digest_size=61).digest()  # 61: no piece of a round size looks like its neighbour
    return head + (pattern * ((size - 8) // 61 + 1))[: size - 8]


def number_of(body: bytes) -> int:
    """The number of a body; it may be damaged behind it."""
    return int.from_bytes(body[:8], "big")


@dataclass
class Ledger:
    """What one stream of numbers went through. Thread-safe where two threads meet."""

    name: str = ""
    sent: dict[int, int] = field(default_factory=dict)
    """Number to body size, of every send that was accepted."""
    withdrawn: set[int] = field(default_factory=set)
    """Numbers that must not arrive: rolled back, refused."""
    in_doubt: set[int] = field(default_factory=set)
    """Numbers whose send ended with an unknown outcome: they may arrive once."""
    settled: Counter[int] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    unknown: int = 0
    """Of the failed ones, those whose outcome is unknown."""
    received: list[int] = field(default_factory=list)
    stored_as: dict[int, set[int]] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)
    """Numbers whose acknowledgement the broker has confirmed."""
    again: int = 0
    """Received again after its acknowledgement was confirmed."""
    redelivered: int = 0
    """Received with a delivery count above 1."""
    unsure: set[int] = field(default_factory=set)
    """Numbers whose acknowledgement ended with an unknown outcome: they may come again, or not."""
    stuck: int = 0
    """Messages that the broker keeps from everybody until it is restarted (see `stuck_in`): not lost, not to be had."""
    corrupted: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    """What user code saw that only the loss of a session excuses."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    # -- telling it -------------------------------------------------------------------------------------------------

    def completed(self, message: CoreMessage, error: ActiveClientError | None) -> None:
        """A completion handler for sends."""
        self.ended(number_of(message.body), error)

    def ended(self, number: int, error: Exception | None) -> None:
        """The send of a number is done, or failed."""
        with self.lock:
            self.settled[number] += 1
            if error is not None:
                self.failed.append(f"{number}: {error!r}")
                self.unknown += isinstance(error, OutcomeUnknown)
                self.in_doubt.add(number)

    def took(self, message: CoreMessage, body: bytes | None = None) -> int:
        """A message was received; returns its number."""
        body = message.body if body is None else body
        number = number_of(body)
        with self.lock:
            self.received.append(number)
            self.stored_as.setdefault(number, set()).add(message.message_id)
            if number in self.acknowledged:
                self.again += 1
            if message.delivery_count > 1:
                self.redelivered += 1
            if body != body_of(number, self.sent.get(number, 0) or max(8, len(body))):
                self.corrupted.append(number)
        return number

    def error(self, text: str) -> None:
        """User code saw something that it must not see."""
        with self.lock:
            self.errors.append(f"{self.name}: {text}" if self.name else text)

    def loss(self, error: Exception) -> None:
        """User code saw that a session was lost; its event comes later, so whether one was is judged in the end."""
        with self.lock:
            self.losses.append(repr(error))

    # -- the verdict ------------------------------------------------------------------------------------------------

    @property
    def expected(self) -> set[int]:
        """Numbers that must arrive."""
        return set(self.sent) - self.withdrawn - self.in_doubt

    @property
    def complete(self) -> bool:
        """Did everything that must arrive?"""
        return self.lost == 0

    @property
    def lost(self) -> int:
        return max(0, len(self.expected - set(self.stored_as)) - self.stuck)

    @property
    def duplicated(self) -> int:
        """Receptions beyond the first of each number, flagged or not."""
        return len(self.received) - len(self.stored_as)

    @property
    def stored_twice(self) -> int:
        """Numbers that the broker held under more than one message id."""
        return sum(len(ids) - 1 for ids in self.stored_as.values())

    @property
    def unexpected(self) -> int:
        """Numbers that must not have arrived."""
        return len(set(self.stored_as) - set(self.sent)) + len(set(self.stored_as) & self.withdrawn)

    @property
    def disordered(self) -> int:
        """First receptions that step back."""
        seen: set[int] = set()
        highest = -1
        steps = 0
        for number in self.received:
            if number not in seen:
                seen.add(number)
                if number < highest:
                    steps += 1
                highest = max(highest, number)
        return steps

    @property
    def unsettled(self) -> int:
        """Sends whose completion did not come, and completions beyond one."""
        wrong = sum(1 for number in self.sent if self.settled[number] != 1)
        return wrong + len(set(self.settled) - set(self.sent))
