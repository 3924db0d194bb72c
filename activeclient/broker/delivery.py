"""How the messages of a queue get to its consumers.

Law of this file: nothing is handed out before what stands before it, but for a consumer that does not want it. Two ways
to deliver give the same result: the short one for queues without filters, groups and the like (hot path), and one in
which every consumer looks on from where it stopped, so that nobody looks at a message twice. Source: QueueImpl.deliver
of Artemis.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from activeclient.broker.chain import Reference
from activeclient.broker.configuration import QueueConfiguration
from activeclient.broker.consumers import Consumer, Entry, Tier
from activeclient.broker.groups import Groups
from activeclient.broker.line import Line
from activeclient.broker.message import StoredMessage
from activeclient.broker.store import Store

if TYPE_CHECKING:
    from activeclient.broker.clock import Clock
    from activeclient.broker.queue import Queue


class Host(Protocol):
    """What a queue asks of the post office."""

    clock: Clock
    store: Store

    def expire(self, ref: Reference) -> None:
        """Its time is over: a copy to the expiry address, and done with it. It is in no chain."""

    def dead_letter(self, ref: Reference) -> None:
        """Its attempts are used up: a copy to the dead letter address, and done with it. It is in no chain."""

    def bury(self, ref: Reference) -> None:
        """Its body is damaged: a copy without it to the dead letter address, and done with it."""

    def schedule(self, ref: Reference) -> None:
        """Give it to `Queue.due` at its `scheduled_ms`."""

    def unschedule(self, ref: Reference) -> None:
        """It is not to come again."""

    def dispatch_later(self, queue: Queue, delay_ms: int) -> None:
        """Call `Queue.start_dispatch` after so long."""

    def release(self, message: StoredMessage) -> None:
        """No queue holds it any more."""

    def last_consumer_left(self, queue: Queue) -> None:
        """A queue without consumers; it may have to go."""


class Delivery(Line):
    """What waits, and its way to the consumers."""

    __slots__ = (
        "_active",
        "_dispatching",
        "_groups",
        "_host",
        "_ready",
        "configuration",
        "delivering",
        "expired",
        "non_destructive",
        "paused",
    )

    def __init__(self, configuration: QueueConfiguration, host: Host) -> None:
        super().__init__()
        self.configuration: QueueConfiguration = configuration
        self.non_destructive: bool = bool(configuration.non_destructive)
        self.paused: bool = False
        self.delivering: int = 0
        """Messages that consumers have and did not acknowledge, those acknowledged in an open transaction included."""
        self.expired: int = 0
        self._host = host
        self._groups: Groups | None = None
        self._active = False
        """Is something being handed out?"""
        self._dispatching = not configuration.consumers_before_dispatch
        self._ready = 0
        """Consumers that are not busy."""

    def _choose(self) -> None:
        """Which way to deliver: the short one, unless something makes consumers or messages different."""
        entries = self._rotation.entries
        simple = self._uniform() and all(entry.filter is None for entry in entries)
        if not simple and self._simple:
            self._rewind()
        self._simple = simple
        self._ready = sum(entry.ready for entry in entries)

    def _uniform(self) -> bool:
        """Is every message like any other to this queue?"""
        return self._groups is None and not self.configuration.exclusive and not self.non_destructive

    def start_dispatch(self) -> None:
        """From now on messages are delivered, if there is a consumer."""
        if self._rotation:
            self._dispatching = True
            self.deliver_waiting()

    def expire_taken(self, ref: Reference) -> None:
        """Its time is over, and it is in no chain."""
        self.expired += 1
        self._host.expire(ref)

    def deliver(self, consumer: Consumer | None = None) -> None:
        """This consumer, or all, may have become ready: hand out what is wanted."""
        if consumer is None:
            for entry in self._rotation.entries:
                entry.ready = True
            self._ready = len(self._rotation)
        else:
            found = self._rotation.find(consumer)
            if found is not None and not found.ready:
                found.ready = True
                self._ready += 1
        if self._count:
            self.deliver_waiting()

    def deliver_waiting(self) -> None:
        """Hand out what is wanted by consumers that are ready."""
        if self._active or not self._ready or not self._dispatching or self.paused or not self._count:
            return
        self._active = True
        try:
            if self._simple:
                self._deliver_in_turn()
            else:
                self._deliver_by_cursor()
        finally:
            self._active = False

    def _deliver_in_turn(self) -> None:
        levels = self._levels
        while self._count and self._ready:
            chain = levels[self._top]
            ref = chain.head
            if ref is None:
                self._top -= 1
                continue
            expiration = ref.message.expiration
            chain.unlink(ref)
            self._count -= 1
            if expiration and expiration <= self._host.clock.wall_ms():
                self.expire_taken(ref)
            elif not self._offer(ref):
                self._insert([ref])

    def _offer(self, ref: Reference) -> bool:
        """To the consumer whose turn it is and who is not busy (hot path); the reference is in no chain."""
        ref.delivery_count += 1
        self.delivering += 1
        for tier in self._rotation.tiers:
            entries = tier.entries
            last = len(entries)
            at = tier.position
            for _ in range(last):
                entry = entries[at]
                at += 1
                if at == last:
                    at = 0
                if entry.ready:
                    if entry.handle(ref):
                        tier.position = at
                        return True
                    entry.ready = False
                    self._ready -= 1
        ref.delivery_count -= 1
        self.delivering -= 1
        return False

    def _deliver_by_cursor(self) -> None:
        first = self._rotation.first() if self.configuration.exclusive else None
        for tier in list(self._rotation.tiers):
            entries = tier.entries[tier.position :] + tier.entries[: tier.position]
            asked = deque(each for each in entries if each.ready and (first is None or each is first))
            while asked and self._count:
                entry = asked.popleft()
                ref = self._next_for(entry)
                if ref is not None and self._hand(entry, ref):
                    asked.append(entry)
                    self._turn(tier, entry)

    @staticmethod
    def _turn(tier: Tier, served: Entry) -> None:
        tier.position = (tier.entries.index(served) + 1) % len(tier.entries)

    def _next_for(self, entry: Entry) -> Reference | None:
        """The next message for this consumer; what it passes by on the way it does not look at again."""
        for level in range(self._top, -1, -1):
            cursor = entry.cursors[level]
            ref = self._levels[level].head if cursor is None else cursor.next
            while ref is not None:
                following = ref.next
                expiration = ref.message.expiration
                if expiration and expiration <= self._host.clock.wall_ms():
                    self._unlink(ref)
                    self.expire_taken(ref)
                elif self._suits(entry, ref):
                    return ref
                else:
                    entry.cursors[level] = ref
                ref = following
        return None

    def _suits(self, entry: Entry, ref: Reference) -> bool:
        if self._groups is not None:
            key = self._groups.key(ref.message)
            owner = None if key is None else self._groups.owner(key)
            if owner is not None and owner is not entry:
                return False
        return entry.filter is None or entry.filter.matches(ref.message)

    def _hand(self, entry: Entry, ref: Reference) -> bool:
        counts = not self.non_destructive
        ref.delivery_count += 1
        self.delivering += counts
        if not entry.handle(ref):
            ref.delivery_count -= 1
            self.delivering -= counts
            entry.ready = False
            self._ready -= 1
            return False
        if counts:
            self._unlink(ref)
        else:
            entry.cursors[ref.message.priority] = ref
        self._took(entry, ref)
        return True

    def _took(self, entry: Entry, ref: Reference) -> None:
        if self._groups is not None:
            key = self._groups.key(ref.message)
            if key is not None and self._groups.taken(key, entry, ref.message):
                self._rewind()
