"""The consumers of a queue: who is asked next.

Law of this file: consumers of a higher priority are asked first, those of one priority in turn, and one that said that
it is busy not again until it is called ready. Source: QueueConsumersImpl of Artemis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from activeclient.broker.chain import Reference
    from activeclient.broker.message import StoredMessage

LEVELS = 10
"""Priorities of messages."""


class Filter(Protocol):
    """A compiled selector."""

    def matches(self, message: StoredMessage) -> bool:
        """Does the message pass?"""


class Consumer(Protocol):
    """What a queue knows of whoever consumes from it. The queue calls; no method may raise."""

    @property
    def priority(self) -> int:
        """Higher ones are served first; 0 is usual."""

    @property
    def filter(self) -> Filter | None:
        """What it wants; None is everything."""

    def handle(self, ref: Reference) -> bool:
        """Take this message: true, or false when it has no credits or is stopped. `ref.delivery_count` includes this
        delivery. It may acknowledge at once; it must not cancel, nor change the consumers of the queue."""

    def queue_deleted(self) -> None:
        """The queue is gone. What was delivered of it may still be acknowledged or cancelled, which drops it."""


class Entry:
    """A consumer in its queue."""

    __slots__ = ("consumer", "cursors", "filter", "handle", "priority", "ready")

    def __init__(self, consumer: Consumer) -> None:
        self.consumer: Consumer = consumer
        self.handle: Callable[[Reference], bool] = consumer.handle
        self.filter: Filter | None = consumer.filter
        self.priority: int = consumer.priority
        self.ready: bool = True
        self.cursors: list[Reference | None] = [None] * LEVELS
        """By priority: the last message that was looked at and is not for it; None begins at the head."""


class Tier:
    """Consumers of one priority."""

    __slots__ = ("entries", "position", "priority")

    def __init__(self, priority: int) -> None:
        self.priority: int = priority
        self.entries: list[Entry] = []
        self.position: int = 0


class Rotation:
    """The consumers of one queue."""

    __slots__ = ("_by_consumer", "entries", "tiers")

    def __init__(self) -> None:
        self._by_consumer: dict[Consumer, Entry] = {}
        self.entries: tuple[Entry, ...] = ()
        """In the order in which they came."""
        self.tiers: list[Tier] = []
        """Highest priority first."""

    def __len__(self) -> int:
        return len(self._by_consumer)

    @property
    def consumers(self) -> list[Consumer]:
        """In the order in which they came."""
        return list(self._by_consumer)

    def find(self, consumer: Consumer) -> Entry | None:
        """The entry of a consumer that was added."""
        return self._by_consumer.get(consumer)

    def add(self, consumer: Consumer) -> Entry:
        """One more, ready."""
        entry = self._by_consumer[consumer] = Entry(consumer)
        self.entries = tuple(self._by_consumer.values())
        tier = next((each for each in self.tiers if each.priority == entry.priority), None)
        if tier is None:
            tier = Tier(entry.priority)
            self.tiers.append(tier)
            self.tiers.sort(key=lambda each: -each.priority)
        tier.entries.append(entry)
        return entry

    def remove(self, consumer: Consumer) -> Entry | None:
        """It is gone; None if it was not here."""
        entry = self._by_consumer.pop(consumer, None)
        if entry is not None:
            self.entries = tuple(self._by_consumer.values())
            tier = next(each for each in self.tiers if each.priority == entry.priority)
            at = tier.entries.index(entry)
            del tier.entries[at]
            if at < tier.position:
                tier.position -= 1
            if tier.position >= len(tier.entries):
                tier.position = 0
            if not tier.entries:
                self.tiers.remove(tier)
        return entry

    def first(self) -> Entry | None:
        """The one that an exclusive queue serves: the oldest of the highest priority."""
        return self.tiers[0].entries[0] if self.tiers else None
