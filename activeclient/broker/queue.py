"""A queue: messages wait in it, are with a consumer, or rest until their time comes.

Law of this file: a reference is in exactly one place: in the line, scheduled, or delivered (counted by `delivering`); a
message given back takes its old place, unless its attempts are used up, its queue is gone, or a newer value took over.
Source: QueueImpl, LastValueQueue and RingQueue of Artemis.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from activeclient.broker.chain import Reference
from activeclient.broker.configuration import AddressSettings, QueueConfiguration
from activeclient.broker.consumers import Consumer, Filter
from activeclient.broker.delivery import Delivery, Host
from activeclient.broker.groups import Groups
from activeclient.broker.message import StoredMessage
from activeclient.broker.store import Acknowledged, DeliveryCounted, Done
from activeclient.errors import ResourceAllocationError
from activeclient.masking import never_raises
from activeclient.server_code import ServerCode
from activeclient.wire.names import GROUP_ID, LAST_VALUE

if TYPE_CHECKING:
    from activeclient.broker.transaction import Transaction


class Queue(Delivery):
    """A queue of an address; made by the post office.

    Args:
        configuration: With nothing left open (`QueueConfiguration.resolved`).
        filter: What it accepts when messages are routed; None accepts all.
        owner: With whom a temporary queue goes.
    """

    __slots__ = (
        "__weakref__",
        "_last_values",
        "_max_groups",
        "_order",
        "acknowledged",
        "added",
        "address",
        "dead_lettered",
        "deleted",
        "durable",
        "filter",
        "id",
        "name",
        "owner",
        "plain",
        "replaced",
        "routing_type",
        "scheduled",
        "settings",
        "swept",
        "unused_since",
    )
    delivering: int
    paused: bool

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
        super().__init__(configuration, host)
        self.id: int = queue_id
        self.name: str = configuration.name
        self.address: str = configuration.address
        self.settings: AddressSettings = settings
        self.routing_type: int | None = configuration.routing_type
        self.durable: bool = configuration.durable and not configuration.temporary
        self.filter: Filter | None = filter
        self.owner: object = owner
        self._max_groups = max_groups
        self._order = 0
        keeps_last = configuration.last_value or configuration.last_value_key is not None
        self._last_values: dict[str, Reference] | None = {} if keeps_last else None
        purged = configuration.purge_on_no_consumers
        self.plain: bool = filter is None and not purged and configuration.enabled is not False
        """Does it accept every message that is for its address?"""
        self.deleted: bool = False
        self.scheduled: set[Reference] = set()
        self.added: int = 0
        self.acknowledged: int = 0
        self.dead_lettered: int = 0
        self.replaced: int = 0
        self.swept: bool = False
        """Found unused by the last look for unused queues."""
        self.unused_since: float = host.clock.monotonic()
        self._choose()

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def message_count(self) -> int:
        """Messages waiting, scheduled and being delivered."""
        return self._count + self.delivering + len(self.scheduled)

    @property
    def consumer_count(self) -> int:
        """Consumers, browsers not included."""
        return len(self._rotation)

    @property
    def consumers(self) -> list[Consumer]:
        """In the order in which they came."""
        return self._rotation.consumers

    @property
    def group_count(self) -> int:
        """Message groups that have a consumer."""
        return 0 if self._groups is None else len(self._groups)

    def reset_groups(self, key: str | None = None) -> None:
        """Forget which consumer has a group, or all of them."""
        if self._groups is not None:
            self._groups.reset(key)
            self._rewind()
            self.deliver_waiting()

    @property
    def groups(self) -> Groups:
        """Its message groups; whoever asks for them makes the queue look at the group of each message."""
        if self._groups is None:
            buckets = self.configuration.group_buckets
            self._groups = Groups(-1 if buckets is None else buckets, self._max_groups)
            self._choose()
        return self._groups

    @never_raises
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
            self.expire_taken(ref)
        else:
            self._active = True
            try:
                taken = self._offer(ref)
            finally:
                self._active = False
            if not taken:
                self._link(ref)
            if self.waiting_count:
                # Something came while this was taken.
                self.deliver_waiting()

    def _put(self, ref: Reference) -> None:
        if self._last_values is not None:
            self._supersede(ref)
        self._link(ref)
        self._fit_ring()
        if self._ready:
            self.deliver_waiting()

    def _supersede(self, ref: Reference) -> None:
        """It is the value of its key now. The one before goes, where it waits or rests; one that a consumer has is
        dropped when it would come back."""
        values = self._last_values
        assert values is not None
        ref.last_value = None
        given = ref.message.property(self.configuration.last_value_key or LAST_VALUE)
        if given is None:
            return
        key = ref.last_value = str(given)
        old = values.get(key)
        values[key] = ref
        if old is None:
            return
        self.replaced += 1
        if old.chain is not None or old in self.scheduled:
            self.take_out(old)
            self.forget(old)

    def _drop_oldest(self) -> None:
        # As a ring of Artemis does it: what would be delivered next goes first.
        chain = next(each for each in reversed(self._levels) if each.head is not None)
        ref = chain.head
        assert ref is not None
        self._unlink(ref)
        self.replaced += 1
        self.forget(ref)

    def _rest(self, ref: Reference) -> None:
        self.scheduled.add(ref)
        self._host.schedule(ref)

    def due(self, refs: Iterable[Reference]) -> None:
        """The time of these has come, in this order: they take the place that they would have had.

        However late the timer is: each moment's are delivered before those of the next one come.
        """
        for _, moment in groupby(refs, key=attrgetter("scheduled_ms")):
            back = [ref for ref in moment if ref in self.scheduled]
            for ref in back:
                self.scheduled.discard(ref)
                ref.scheduled_ms = 0
                if self._last_values is not None:
                    self._supersede(ref)
            self._insert(back)
            self._fit_ring()
            self.deliver_waiting()

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
                code=ServerCode.MAX_CONSUMER_LIMIT_EXCEEDED,
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

    def _uniform(self) -> bool:
        ring = self.configuration.ring_size
        return super()._uniform() and self._last_values is None and (ring is None or ring < 0)

    def pause(self) -> None:
        """Deliver nothing until `resume`; messages still come."""
        self.paused = True

    def resume(self) -> None:
        """Deliver again."""
        self.paused = False
        self.deliver_waiting()

    # --- delivery ----------------------------------------------------------------------------------------------------

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
                self.kill_taken(ref)
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
        self.expire_taken(ref)

    def kill_taken(self, ref: Reference) -> None:
        """To the dead letters with one that was taken out."""
        self.dead_lettered += 1
        self._host.dead_letter(ref)

    def bury(self, ref: Reference) -> None:
        """A consumer was to get it, and its body is damaged: to the dead letters, without the body."""
        if not self.non_destructive:
            self.delivering -= 1
            self.dead_lettered += 1
            self._host.bury(ref)

    def expire_waiting(self, now_ms: int) -> int:
        """Expire what waits and is over; how many that were. What rests is looked at when its time comes."""
        over = [ref for ref in self.waiting() if 0 < ref.message.expiration <= now_ms]
        for ref in over:
            self.take_out(ref)
            self.expire_taken(ref)
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
        """It was deleted, and the store knows: its messages go, its consumers are told."""
        for ref in [*self.waiting(), *self.scheduled]:
            self.take_out(ref)
            self.drop(ref)
        self.deleted = True
        for consumer in self._rotation.consumers:
            self._rotation.remove(consumer)
            consumer.queue_deleted()
        self._ready = 0
