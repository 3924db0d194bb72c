"""The post office: what the protocol side of the broker asks of its model.

Law of this file: every change goes to the store in the order in which it takes effect here, one `append` for what must
happen together. A durable message is delivered when the store is done with it, and nothing overtakes it on the way.
No method blocks. Errors carry the codes of Artemis (ActiveMQExceptionType). Source: PostOfficeImpl of Artemis.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from enum import Enum
from functools import partial
from heapq import heappop, heappush

from activeclient.broker.addresses import Plan
from activeclient.broker.chain import Reference
from activeclient.broker.clock import Clock
from activeclient.broker.configuration import (
    GUEST,
    AddressSettings,
    BrokerConfiguration,
    FullPolicy,
    QueueConfiguration,
    User,
)
from activeclient.broker.disposal import Disposal, Warn, moved
from activeclient.broker.duplicates import DuplicateIds
from activeclient.broker.limits import MAX_HELD_IDS, MAX_TIMERS
from activeclient.broker.management import Management
from activeclient.broker.memory import Account
from activeclient.broker.message import StoredMessage
from activeclient.broker.queue import Queue
from activeclient.broker.recovery import recover
from activeclient.broker.registry import CompileFilter, Registry
from activeclient.broker.schedule import Schedule
from activeclient.broker.spill import SpillFile
from activeclient.broker.store import Acknowledged, DuplicateRecorded, DuplicatesForgotten, Store, stored
from activeclient.broker.transaction import Send, Transaction
from activeclient.broker.xa import XaTransactions
from activeclient.errors import (
    DuplicateIDError,
    JMSSecurityError,
    RemoteProtocolError,
    ResourceAllocationError,
)
from activeclient.server_code import ServerCode
from activeclient.wire.names import INGRESS_TIMESTAMP, ORIGINAL_ADDRESS, ORIGINAL_MESSAGE_ID, ORIGINAL_QUEUE

_NOBODY = User("", "")
"""Compared by identity."""


class RoutingResult(Enum):
    """What became of a message; the sender is told of success whichever it is."""

    ROUTED = "routed"
    UNROUTED = "unrouted"
    """No queue wanted it."""
    DUPLICATE = "duplicate"
    """Its duplicate id was seen before."""
    DROPPED = "dropped"
    """Its address is full, and drops."""


DAMAGED = "activeclient_damaged"
"""Property of a dead letter whose body was damaged on the disk, and is not in it."""
_ROUTED = RoutingResult.ROUTED
_BLOCK = FullPolicy.BLOCK


class PostOffice(Registry):
    """The model of a broker: authenticates, makes and describes addresses and queues (see `Registry`), routes messages,
    begins transactions, and does what time brings.

    Args:
        compile_filter: Makes a filter of a queue's selector; raises `InvalidSelectorError`.
        warn: Called with a line for the log when messages are dropped.

    What the store holds is there when this returns.
    """

    def __init__(
        self,
        configuration: BrokerConfiguration,
        store: Store,
        clock: Clock,
        compile_filter: CompileFilter,
        warn: Warn | None = None,
    ) -> None:
        super().__init__(configuration, store, clock, compile_filter)
        self.disposal: Disposal = Disposal(self, warn)
        self._memory = self.addresses.memory
        self.started: float = clock.monotonic()
        self._users = {user.name: user for user in configuration.users}
        self._recovered = False
        self.duplicates: DuplicateIds = DuplicateIds(self._ids_forgotten)
        self.held_ids: int = 0
        """Duplicate ids in transactions that are open."""
        self.xa: XaTransactions = XaTransactions(self, configuration.transaction_timeout / 1000)
        self.management: Management = Management(self)
        self.spill: SpillFile = SpillFile()
        """Where large bodies are that have no place in memory."""
        self._schedule = Schedule()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_ids = 0
        self.routed: int = 0
        """Messages that came, whatever became of them."""
        recover(self)
        self._recovered = True
        self._every(configuration.message_expiry_scan_period, self.expire_all)
        self._every(configuration.address_queue_scan_period, self.sweep)

    def is_open_to(self, user: User) -> bool:
        """True if nobody needs credentials to be this user: no users are configured, or it is the guest among them."""
        return not self._users or (user.name == GUEST.name and self._users.get(GUEST.name) == GUEST)

    def authenticate(self, user: str | None, password: str | None) -> User:
        """Who is it?

        Raises:
            JMSSecurityError: Nobody of this name and password (code 105). The text does not say which.
        """
        if not self._users:
            return User(user or "", "")
        found = self._users.get(user or "", _NOBODY)
        if not found.has_password(password) or found is _NOBODY:
            raise JMSSecurityError(
                f"AMQ229031: Unable to validate user. Username: {user}", code=ServerCode.SECURITY_EXCEPTION
            )
        return found

    def _make_queue(
        self, queue_id: int, configuration: QueueConfiguration, settings: AddressSettings, owner: object
    ) -> Queue:
        return Queue(
            queue_id,
            configuration,
            settings,
            self,
            filter=self.compiled(configuration),
            owner=owner,
            max_groups=self.configuration.max_groups,
        )

    def forget_duplicates(self, address: str) -> None:
        """An address is gone, or somebody wants it to forget."""
        if self.duplicates.forget(address):
            self.store.append(DuplicatesForgotten(address))

    def _ids_forgotten(self, address: str) -> None:
        """There were too many: the store forgets them too, unless they come from it just now."""
        if self._recovered:
            self.store.append(DuplicatesForgotten(address))

    # --- messages ----------------------------------------------------------------------------------------------------

    def route(self, message: StoredMessage, tx: Transaction | None = None) -> RoutingResult:
        """A message came (hot path): to its queues, in a transaction when that commits.

        A repeat outside a transaction is dropped without a word; inside it makes the transaction rollback-only.

        Raises:
            ResourceAllocationError: Its address is full, and fails its senders (code 210).
        """
        message.id = next(self._ids)
        self.routed += 1
        plan = self.addresses.plan(message.address)
        if plan.alters:
            message = self._altered(message, plan)
        duplicate: DuplicateRecorded | None = None
        if message.special:
            value = message.duplicate_id
            if value is not None:
                if (plan.name, value) in self.duplicates:
                    return self._refuse_repeat(message, tx)
                duplicate = DuplicateRecorded(plan.name, value, plan.settings.id_cache_size)
        queues = plan.queues(message)
        if not queues:
            return self._unrouted(message, plan, tx, duplicate)
        account = plan.account
        if account.policy is not _BLOCK:
            if account.full:
                return self._full(account, message, tx)
        elif (
            self._memory.size >= self._memory.most
            or account.size >= account.most_bytes
            or account.count >= account.most_messages
        ):
            return self._full(account, message, tx)
        if message.large is not None:
            message.count_body()
        account.charge(message.memory)
        message.holder = account
        if tx is not None:
            if duplicate is not None:
                self._hold_id(duplicate, tx)
            tx.sends.append(Send(message, queues))
            return _ROUTED
        operations = stored(message, queues) if message.durable else ()
        if duplicate is not None:
            self.duplicates.record(*duplicate)
            self.store.append(duplicate, *operations)
        elif operations:
            self.store.append(*operations)
        self.enqueue(message, queues)
        return _ROUTED

    def enqueue(self, message: StoredMessage, queues: tuple[Queue, ...]) -> None:
        """Into its queues, when the store is done with all that came before (hot path). It is charged and stored."""
        message.references = len(queues)
        if self.store.busy:
            self.store.when_complete(partial(self._enqueue, message, queues))
        else:
            self._enqueue(message, queues)

    def _enqueue(self, message: StoredMessage, queues: tuple[Queue, ...]) -> None:
        scheduled_ms = message.scheduled_ms if message.special else 0
        if scheduled_ms and scheduled_ms <= self.clock.wall_ms():
            scheduled_ms = 0
        for queue in queues:
            ref = Reference(message, queue)
            if scheduled_ms:
                ref.scheduled_ms = scheduled_ms
            if queue.deleted:
                queue.drop(ref)
            else:
                queue.add(ref)

    def _altered(self, message: StoredMessage, plan: Plan) -> StoredMessage:
        """The message with what the settings of its address add to it."""
        settings = plan.settings
        now = self.clock.wall_ms()
        copy = message.to_core()
        if settings.enable_ingress_timestamp:
            copy.properties[INGRESS_TIMESTAMP] = now
        copy.expiration = settings.expiration_ms(copy.expiration, now)
        changed = message.rewritten(copy)
        self.release(message)
        return changed

    def _refuse_repeat(self, message: StoredMessage, tx: Transaction | None) -> RoutingResult:
        self.release(message)
        if tx is not None:
            text = f"Duplicate message detected - message will not be routed. Message {message.id} to {message.address}"
            tx.rollback_only(DuplicateIDError(text, code=ServerCode.DUPLICATE_ID_REJECTED))
        return RoutingResult.DUPLICATE

    def _unrouted(
        self, message: StoredMessage, plan: Plan, tx: Transaction | None, duplicate: DuplicateRecorded | None
    ) -> RoutingResult:
        if duplicate is not None:
            if tx is not None:
                self._hold_id(duplicate, tx)
            else:
                self.duplicates.record(*duplicate)
                self.store.append(duplicate)
        if plan.name == self.configuration.management_address:
            self.management.handle(message)
            self.release(message)
            return RoutingResult.ROUTED
        if plan.address is not None:
            plan.address.unrouted += 1
        dead_letters = plan.settings.dead_letter_address
        if plan.settings.send_to_dla_on_no_route and dead_letters and dead_letters != plan.name:
            copy = message.to_core()
            copy.properties.setdefault(ORIGINAL_ADDRESS, message.address)
            copy.properties.setdefault(ORIGINAL_MESSAGE_ID, message.id)
            copy.address = dead_letters
            self.disposal.ready(dead_letters)
            self.route(message.rewritten(copy), tx)
        self.release(message)
        return RoutingResult.UNROUTED

    def _hold_id(self, duplicate: DuplicateRecorded, tx: Transaction) -> None:
        """Remember it when the transaction commits."""
        if self.held_ids >= MAX_HELD_IDS:
            tx.rollback_only(
                ResourceAllocationError("open transactions hold too many duplicate ids", code=ServerCode.ADDRESS_FULL)
            )
            return
        self.held_ids += 1
        tx.duplicates.append(duplicate)

    def _full(self, account: Account, message: StoredMessage, tx: Transaction | None) -> RoutingResult:
        self.release(message)
        if account.policy is FullPolicy.DROP:
            self.disposal.dropped(f"address {account.name!r}", f"message {message.id} was dropped: the address is full")
            return RoutingResult.DROPPED
        error = ResourceAllocationError(f'AMQ229102: Address "{account.name}" is full.', code=ServerCode.ADDRESS_FULL)
        if tx is not None:
            tx.rollback_only(error)
        raise error

    def when_room(self, address: str, run: Callable[[], None]) -> bool:
        """Run this now, or as soon as the address has room for messages; false when it fails its senders instead."""
        return self.addresses.plan(address).account.when_room(run)

    def release(self, message: StoredMessage) -> None:
        """Nobody holds it any more (hot path)."""
        account = message.holder
        if account is not None:
            message.holder = None
            account.release(message.memory)
        if message.large is not None:
            message.large.release()

    def begin(self) -> Transaction:
        """A local transaction."""
        return Transaction(self)

    # --- messages that go elsewhere ----------------------------------------------------------------------------------

    def move(
        self,
        ref: Reference,
        target: str | None,
        *,
        expired_ms: int | None = None,
        retried: bool = False,
        damaged: bool = False,
    ) -> bool:
        """It leaves its queue, a copy goes to another address or `address::queue`; false when no queue there took it.

        The reference is in no chain. The copy and the end of the original are stored together.
        """
        queue = ref.queue
        try:
            address = (target or "").partition("::")[0]
            copy = moved(ref, address, expired_ms=expired_ms, retried=retried) if target else None
            if copy is not None and damaged:
                copy = self._without_body(copy)
        except RemoteProtocolError:
            # A damaged message cannot be copied; it has to go all the same.
            copy = None
        queues: tuple[Queue, ...] = ()
        if copy is not None:
            copy.id = next(self._ids)
            plan = self.addresses.plan(target)
            queues = plan.queues(copy)
            if queues:
                copy.count_body()
                plan.account.charge(copy.memory)
                copy.holder = plan.account
        operations = stored(copy, queues) if copy is not None else ()
        if ref.message.durable and queue.durable:
            operations += (Acknowledged(ref.message.id, queue.id),)
        if operations:
            self.store.append(*operations)
        queue.drop(ref)
        if copy is None:
            return False
        if not queues:
            self.release(copy)
            return False
        self.enqueue(copy, queues)
        return True

    def expire(self, ref: Reference) -> None:
        """Its time is over: a copy to the expiry address, and done with it."""
        self.disposal.expire(ref)

    def dead_letter(self, ref: Reference) -> None:
        """Its attempts are used up: a copy to the dead letter address, and done with it."""
        self.disposal.dead_letter(ref)

    def bury(self, ref: Reference) -> None:
        """Its body is damaged: a copy without it to the dead letter address, and done with it."""
        self.disposal.bury(ref)

    def _without_body(self, message: StoredMessage) -> StoredMessage:
        core = message.to_core()
        core.properties = dict(core.properties) | {DAMAGED: True}
        self.release(message)
        return StoredMessage.from_core(core)

    def retry(self, ref: Reference) -> bool:
        """A dead or expired message goes back to where it came from; false when no queue there took it."""
        properties = ref.message.properties
        address, queue = properties.get(ORIGINAL_ADDRESS), properties.get(ORIGINAL_QUEUE)
        if not isinstance(address, str):
            return self.move(ref, None)
        address = address.partition("::")[0]  # it may have been sent to this very queue
        whole = f"{address}::{queue}" if isinstance(queue, str) else address
        return self.move(ref, whole if self.find(whole) is not None else address, retried=True)

    # --- time --------------------------------------------------------------------------------------------------------

    def schedule(self, ref: Reference) -> None:
        """Give it back to its queue at its `scheduled_ms`."""
        self._schedule.add(ref)

    def unschedule(self, ref: Reference) -> None:
        """It is not to come back."""
        self._schedule.remove(ref)

    def dispatch_later(self, queue: Queue, delay_ms: int) -> None:
        """Begin to deliver after so long."""
        if len(self._timers) >= MAX_TIMERS:
            delay_ms = 0
        waiting = weakref.ref(queue)  # one that is deleted meanwhile is not held

        def start() -> None:
            found = waiting()
            if found is not None:
                found.start_dispatch()

        self.after(delay_ms / 1000, start)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once that much time has passed."""
        self._timer_ids += 1
        heappush(self._timers, (self.clock.monotonic() + seconds, self._timer_ids, call))

    def _every(self, period_ms: int, call: Callable[[], object]) -> None:
        if period_ms > 0:

            def again() -> None:
                call()
                self.after(period_ms / 1000, again)

            self.after(period_ms / 1000, again)

    def expire_all(self) -> int:
        """Expire what waits anywhere and is over; how many that were."""
        now = self.clock.wall_ms()
        return sum(queue.expire_waiting(now) for queue in list(self.addresses.queues.values()))

    def next_timeout(self) -> float | None:
        """When `handle_timeout` has something to do (monotonic seconds); None never."""
        found = self._timers[0][0] if self._timers else None
        due_ms = self._schedule.next_ms()
        if due_ms is not None:
            left_ms = due_ms - self.clock.wall_ms()
            # What is due is due at any time: "now" would lie after the caller's own reading of the clock.
            due = self.clock.monotonic() + left_ms / 1000 if left_ms > 0 else 0.0
            found = due if found is None else min(found, due)
        return found

    def handle_timeout(self) -> None:
        """Do what time has brought: scheduled messages, expiry, unused queues, transactions that took too long."""
        by_queue: dict[Queue, list[Reference]] = {}
        for ref in self._schedule.due(self.clock.wall_ms()):
            by_queue.setdefault(ref.queue, []).append(ref)
        for queue, refs in by_queue.items():
            queue.due(refs)
        now = self.clock.monotonic()
        while self._timers and self._timers[0][0] <= now:
            heappop(self._timers)[2]()
