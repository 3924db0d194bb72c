"""A queue: messages wait in it, are with a consumer, or rest until their time comes.

Law of this file: a reference is in exactly one place: in a chain, scheduled, or delivered (counted by `delivering`); a
message given back takes its old place. Nothing is handed out before what stands before it, but for a consumer that does
not want it. Two ways to deliver give the same result: the short one for queues without filters, groups and the like
(hot path), and one in which every consumer looks on from where it stopped. Source: QueueImpl and
LastValueQueue of Artemis.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from activeclient.broker.chain import Chain, Reference
from activeclient.broker.configuration import AddressSettings, QueueConfiguration
from activeclient.broker.consumers import LEVELS, Consumer, Entry, Filter, Rotation, Tier
from activeclient.broker.groups import Groups
from activeclient.broker.message import GROUP_ID, LAST_VALUE, StoredMessage
from activeclient.broker.store import Acknowledged, DeliveryCounted, Done, Store
from activeclient.errors import ResourceAllocationError

if TYPE_CHECKING:
    from activeclient.broker.clock import Clock
    from activeclient.broker.transaction import Transaction


class Host(Protocol):
    """What a queue asks of the post office."""

    clock: Clock
    store: Store

    def expire(self, ref: Reference) -> None:
        """Its time is over: a copy to the expiry address, and done with it. It is in no chain."""

    def dead_letter(self, ref: Reference) -> None:
        """Its attempts are used up: a copy to the dead letter address, and done with it. It is in no chain."""

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


class Queue:
    """A queue of an address; made by the post office.

    Args:
        configuration: With nothing left open (`QueueConfiguration.resolved`).
        filter: What it accepts when messages are routed; None accepts all.
        owner: With whom a temporary queue goes.
    """

    __slots__ = (
        "_active",
        "_count",
        "_dispatching",
        "_groups",
        "_host",
        "_last_values",
        "_levels",
        "_max_groups",
        "_order",
        "_ready",
        "_rotation",
        "_simple",
        "_top",
        "acknowledged",
        "added",
        "address",
        "configuration",
        "dead_lettered",
        "deleted",
        "delivering",
        "durable",
        "expired",
        "filter",
        "id",
        "name",
        "non_destructive",
        "owner",
        "paused",
        "plain",
        "replaced",
        "routing_type",
        "scheduled",
        "settings",
        "swept",
        "unused_since",
    )

    def __init__(
        self,
        queue_id: int,
        configuration: QueueConfiguration,
        settings: AddressSettings,
        host: Host,
        *,
        filter: Filter | None = None,
        owner: object = None,
        max_groups: int = 65_536,
    ) -> None:
        self.id = queue_id
        self.name = configuration.name
        self.address = configuration.address
        self.configuration = configuration
        self.settings = settings
        self.routing_type = configuration.routing_type
        self.durable = configuration.durable and not configuration.temporary
        self.filter = filter
        self.owner = owner
        self.non_destructive = bool(configuration.non_destructive)
        self._host = host
        self._max_groups = max_groups
        self._levels = [Chain() for _ in range(LEVELS)]
        self._top = 0
        self._count = 0
        self._order = 0
        self._rotation = Rotation()
        self._ready = 0
        self._groups: Groups | None = None
        keeps_last = configuration.last_value or configuration.last_value_key is not None
        self._last_values: dict[str, Reference] | None = {} if keeps_last else None
        self._active = False
        self.plain = filter is None and not configuration.purge_on_no_consumers and configuration.enabled is not False
        """Does it accept every message that is for its address?"""
        self.paused = False
        self.deleted = False
        self._dispatching = not configuration.consumers_before_dispatch
        self._simple = True
        self.delivering = 0
        """Messages that consumers have and did not acknowledge, those acknowledged in an open transaction included."""
        self.scheduled: set[Reference] = set()
        self.added = 0
        self.acknowledged = 0
        self.expired = 0
        self.dead_lettered = 0
        self.replaced = 0
        self.swept = False
        """Found unused by the last look for unused queues."""
        self.unused_since = host.clock.monotonic()
        self._choose()

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def message_count(self) -> int:
        """Messages waiting, scheduled and being delivered."""
        return self._count + self.delivering + len(self.scheduled)

    @property
    def waiting_count(self) -> int:
        """Messages that could be delivered now."""
        return self._count

    @property
    def consumer_count(self) -> int:
        """Consumers, browsers not included."""
        return len(self._rotation)

    @property
    def consumers(self) -> list[Consumer]:
        """In the order in which they came."""
        return self._rotation.consumers

    @property
    def groups(self) -> Groups:
        """Its message groups."""
        if self._groups is None:
            self._groups = Groups(self.configuration.group_buckets or -1, self._max_groups)
            self._choose()
        return self._groups

    def waiting(self) -> Iterator[Reference]:
        """What waits, in the order of delivery; whoever takes some out meanwhile makes a list first."""
        for chain in reversed(self._levels):
            yield from chain

    def browse(self, filter: Filter | None = None) -> Iterator[Reference]:
        """What waits now and passes the filter, in the order of delivery; later changes are not seen, but what has left
        meanwhile is left out."""
        for ref in list(self.waiting()):
            if ref.chain is not None and (filter is None or filter.matches(ref.message)):
                yield ref

    def __repr__(self) -> str:
        return f"<Queue {self.name} of {self.address}: {self._count} messages, {self.delivering} being delivered>"

    def accepts(self, message: StoredMessage) -> bool:
        """Is the message for this queue, if it is for its address?"""
        if self.plain:
            return True
        configuration = self.configuration
        if configuration.enabled is False or (configuration.purge_on_no_consumers and not self._rotation):
            return False
        return self.filter is None or self.filter.matches(message)

    # --- messages come -----------------------------------------------------------------------------------------------

    def add(self, ref: Reference) -> None:
        """A new message (hot path); `scheduled_ms` is set if it has to rest."""
        self._order = ref.order = self._order + 1
        self.added += 1
        self.swept = False
        message = ref.message
        if message.special and self._groups is None and message.special_property(GROUP_ID) is not None:
            _ = self.groups
        if ref.scheduled_ms:
            self._rest(ref)
            return
        if not self._simple or self._count or not self._ready or not self._dispatching or self.paused or self._active:
            self._put(ref)
        elif message.expiration and message.expiration <= self._host.clock.wall_ms():
            self._expire(ref)
        else:
            self._active = True
            try:
                taken = self._offer(ref)
            finally:
                self._active = False
            if not taken:
                self._link(ref)

    def _put(self, ref: Reference) -> None:
        if self._last_values is not None and self._replace(ref):
            self.deliver_waiting()
            return
        self._link(ref)
        ring = self.configuration.ring_size
        if ring is not None and ring >= 0:
            while self._count > ring:
                self._drop_oldest()
        if self._ready:
            self.deliver_waiting()

    def _link(self, ref: Reference) -> None:
        level = ref.message.priority
        self._levels[level].append(ref)
        if level > self._top:
            self._top = level
        self._count += 1

    def _unlink(self, ref: Reference) -> None:
        chain = ref.chain
        assert chain is not None
        if not self._simple:
            level = ref.message.priority
            for entry in self._rotation.entries:
                if entry.cursors[level] is ref:
                    entry.cursors[level] = ref.previous
        chain.unlink(ref)
        self._count -= 1

    def _replace(self, ref: Reference) -> bool:
        """Take the place of the waiting value of the same key; false when none waits."""
        values = self._last_values
        assert values is not None
        given = ref.message.properties.get(self.configuration.last_value_key or LAST_VALUE)
        if given is None:
            return False
        key = ref.last_value = str(given)
        old = values.get(key)
        values[key] = ref
        if old is None:
            return False
        self.replaced += 1
        if old.chain is None:
            # With a consumer, or resting: it is dropped when it would come back.
            if old in self.scheduled:
                self.scheduled.discard(old)
                self._host.unschedule(old)
                self.forget(old)
            return False
        if old.message.priority == ref.message.priority and not self.non_destructive:
            ref.order = old.order
            self._insert([ref])
        else:
            self._link(ref)
        self._unlink(old)
        self.forget(old)
        return True

    def _drop_oldest(self) -> None:
        chain = next(each for each in self._levels if each.head is not None)
        ref = chain.head
        assert ref is not None
        self._unlink(ref)
        self.replaced += 1
        self.forget(ref)

    def _rest(self, ref: Reference) -> None:
        self.scheduled.add(ref)
        self._host.schedule(ref)

    def due(self, refs: Iterable[Reference]) -> None:
        """The time of these has come: they take the place that they would have had."""
        back = [ref for ref in refs if ref in self.scheduled]
        for ref in back:
            self.scheduled.discard(ref)
            ref.scheduled_ms = 0
        if self._last_values is not None:
            for ref in back:
                if not self._replace(ref):
                    self._insert([ref])
        else:
            self._insert(back)
        self._fit_ring()
        self.deliver_waiting()

    def _insert(self, refs: list[Reference]) -> None:
        """Back to their old places, the last one first: the next place is then a few steps before."""
        hints: dict[int, Reference] = {}
        for ref in sorted(refs, key=lambda each: -each.order):
            level = ref.message.priority
            self._levels[level].insert(ref, hints.get(level))
            hints[level] = ref
            if level > self._top:
                self._top = level
            self._count += 1
            if not self._simple:
                for entry in self._rotation.entries:
                    cursor = entry.cursors[level]
                    if cursor is not None and cursor.order >= ref.order:
                        entry.cursors[level] = ref.previous

    def _fit_ring(self) -> None:
        ring = self.configuration.ring_size
        if ring is not None and ring >= 0:
            while self._count > ring:
                self._drop_oldest()

    # --- consumers ---------------------------------------------------------------------------------------------------

    def add_consumer(self, consumer: Consumer) -> None:
        """One more consumer; messages come when `deliver` is called.

        Raises:
            ResourceAllocationError: The queue has as many as it may have (code 214).
        """
        most = self.configuration.max_consumers
        if most is not None and 0 <= most <= len(self._rotation):
            raise ResourceAllocationError(
                f"AMQ229200: Maximum Consumer Limit Reached on Queue:(address={self.address},queue={self.name})",
                code=214,
            )
        self._rotation.add(consumer)
        self.swept = False
        if self._groups is not None and self.configuration.group_rebalance:
            self._groups.reset()
            self._rewind()
        self._choose()
        self._begin_dispatch()

    def remove_consumer(self, consumer: Consumer) -> None:
        """It is gone. What it has not acknowledged is given back with `cancel` by whoever knows it, before this."""
        entry = self._rotation.remove(consumer)
        if entry is None:
            return
        if self._groups is not None:
            self._groups.leave(entry)
            self._rewind()
        self._choose()
        if not self._rotation:
            self.unused_since = self._host.clock.monotonic()
            self._dispatching = not self.configuration.consumers_before_dispatch
            if self.configuration.purge_on_no_consumers:
                self.purge()
            self._host.last_consumer_left(self)
        self.deliver_waiting()

    def _begin_dispatch(self) -> None:
        """A queue may wait for several consumers, or for a time after the first."""
        if self._dispatching:
            return
        if len(self._rotation) >= (self.configuration.consumers_before_dispatch or 0):
            self.start_dispatch()
        elif len(self._rotation) == 1 and (self.configuration.delay_before_dispatch or -1) >= 0:
            self._host.dispatch_later(self, self.configuration.delay_before_dispatch or 0)

    def start_dispatch(self) -> None:
        """From now on messages are delivered, if there is a consumer."""
        if self._rotation:
            self._dispatching = True
            self.deliver_waiting()

    def _choose(self) -> None:
        """Which way to deliver: the short one, unless something makes consumers or messages different."""
        entries = self._rotation.entries
        simple = (
            self._groups is None
            and self._last_values is None
            and not self.configuration.exclusive
            and not self.non_destructive
            and (self.configuration.ring_size is None or self.configuration.ring_size < 0)
            and all(entry.filter is None for entry in entries)
        )
        if not simple and self._simple:
            self._rewind()
        self._simple = simple
        self._ready = sum(entry.ready for entry in entries)

    def _rewind(self) -> None:
        """What a consumer passed by may be for it now."""
        if not self.non_destructive:
            for entry in self._rotation.entries:
                entry.cursors = [None] * LEVELS

    def pause(self) -> None:
        """Deliver nothing until `resume`; messages still come."""
        self.paused = True

    def resume(self) -> None:
        """Deliver again."""
        self.paused = False
        self.deliver_waiting()

    # --- delivery ----------------------------------------------------------------------------------------------------

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
                self._expire(ref)
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
                    self._expire(ref)
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

    # --- messages leave ----------------------------------------------------------------------------------------------

    def acknowledge(self, ref: Reference, tx: Transaction | None = None, done: Done | None = None) -> None:
        """A consumer is done with it (hot path); in a transaction when that commits. `done` when it is safe."""
        if tx is not None:
            tx.acknowledge(ref)
        else:
            if self.is_stored(ref):
                self._host.store.append(Acknowledged(ref.message.id, self.id))
            self.settle(ref)
        if done is not None:
            self._host.store.when_complete(done)

    def settle(self, ref: Reference) -> None:
        """A consumer is done with it, and the store knows (hot path)."""
        if not self.non_destructive:
            self.delivering -= 1
            self.acknowledged += 1
            self.drop(ref)

    def is_stored(self, ref: Reference) -> bool:
        """Does an acknowledgement of it concern the store?"""
        return ref.message.durable and self.durable and not self.non_destructive

    def forget(self, ref: Reference) -> None:
        """This queue does not hold it any more; it is in no chain."""
        if ref.message.durable and self.durable:
            self._host.store.append(Acknowledged(ref.message.id, self.id))
        self.drop(ref)

    def drop(self, ref: Reference) -> None:
        """This queue does not hold it any more, and the store knows (hot path); it is in no chain."""
        values = self._last_values
        if values is not None and ref.last_value is not None and values.get(ref.last_value) is ref:
            del values[ref.last_value]
        message = ref.message
        message.references -= 1
        if not message.references:
            self._host.release(message)

    def cancel(self, refs: Iterable[Reference], *, count_delivery: bool, delay: bool = True) -> None:
        """Consumers give these back: to their places, to rest, or to the dead letters, and out to others again.

        Args:
            count_delivery: Was it an attempt? A delivery that nobody looked at is not.
            delay: Does the redelivery delay count? Not when a consumer closes.
        """
        self.give_back(refs, count_delivery=count_delivery, delay=delay)
        self.deliver_waiting()

    def give_back(self, refs: Iterable[Reference], *, count_delivery: bool, delay: bool = True) -> None:
        """As `cancel`, without delivering them again."""
        back = []
        now = self._host.clock.wall_ms()
        for ref in sorted(refs, key=lambda each: each.order):
            if not count_delivery:
                ref.delivery_count -= 1
            if self.non_destructive:
                continue
            self.delivering -= 1
            if self.deleted or self._stale(ref):
                self.forget(ref)
                continue
            most = self.settings.max_delivery_attempts
            if 0 < most <= ref.delivery_count:
                self.dead_lettered += 1
                self._host.dead_letter(ref)
                continue
            rest = self.settings.redelivery_delay_ms(ref.delivery_count) if delay else 0
            ref.scheduled_ms = now + rest if rest else 0
            if ref.message.durable and self.durable:
                self._host.store.append(DeliveryCounted(ref.message.id, self.id, ref.delivery_count, ref.scheduled_ms))
            if rest:
                self._rest(ref)
            else:
                back.append(ref)
        self._insert(back)
        self._fit_ring()

    def _stale(self, ref: Reference) -> bool:
        """Is there a newer value of its key?"""
        return (
            self._last_values is not None
            and ref.last_value is not None
            and self._last_values.get(ref.last_value) is not ref
        )

    def expire(self, ref: Reference) -> None:
        """A consumer found it expired: it has it, and is done with it."""
        self.delivering -= 1
        self._expire(ref)

    def _expire(self, ref: Reference) -> None:
        self.expired += 1
        self._host.expire(ref)

    def expire_waiting(self, now_ms: int) -> int:
        """Expire what waits or rests and is over; how many that were."""
        over = [ref for ref in self.waiting() if 0 < ref.message.expiration <= now_ms]
        over += [ref for ref in self.scheduled if 0 < ref.message.expiration <= now_ms]
        for ref in over:
            self.take_out(ref)
            self._expire(ref)
        return len(over)

    def take_out(self, ref: Reference) -> None:
        """Out of its chain, or of those that rest; the caller says what becomes of it."""
        if ref.chain is not None:
            self._unlink(ref)
        else:
            self.scheduled.discard(ref)
            self._host.unschedule(ref)

    def purge(self, filter: Filter | None = None) -> int:
        """Remove what waits or rests and passes the filter; how many that were."""
        gone = [ref for ref in [*self.waiting(), *self.scheduled] if filter is None or filter.matches(ref.message)]
        for ref in gone:
            self.take_out(ref)
            self.forget(ref)
        return len(gone)

    def closed(self) -> None:
        """It was deleted: its messages go, its consumers are told. What they have, they keep to themselves."""
        self.purge()
        self.deleted = True
        for consumer in self._rotation.consumers:
            self._rotation.remove(consumer)
            consumer.queue_deleted()
        self._ready = 0
