"""What must survive, as operations on a store; and the store that keeps it in memory.

Law of this file: operations given in one `append` take effect together or not at all, in the order of the calls;
`when_complete` calls back, in order, once everything appended before is as safe as this store makes it. What `load`
gives, appended to an empty store, makes the same store; messages come in the order in which they were appended, which
is that of their queues.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from activeclient.broker.configuration import QueueConfiguration
from activeclient.broker.message import StoredMessage
from activeclient.wire.fields import Xid

if TYPE_CHECKING:
    from activeclient.broker.queue import Queue

Done = Callable[[], None]


class AddressCreated(NamedTuple):
    """An address, or other routing types of one."""

    name: str
    routing_types: frozenset[int]
    auto_created: bool


class AddressDeleted(NamedTuple):
    """An address is gone, with its duplicate ids."""

    name: str


class QueueCreated(NamedTuple):
    """A durable queue; its id names it in all that follows."""

    queue_id: int
    configuration: QueueConfiguration


class QueueDeleted(NamedTuple):
    """A durable queue is gone, with its messages."""

    queue_id: int


class MessageStored(NamedTuple):
    """A durable message, in these durable queues; `counts` when it was delivered before."""

    message: StoredMessage
    queue_ids: tuple[int, ...]
    counts: tuple[int, ...] = ()


class Acknowledged(NamedTuple):
    """A durable message left a durable queue; with its last queue it is gone."""

    message_id: int
    queue_id: int


class DeliveryCounted(NamedTuple):
    """How often a durable message was delivered, and when it may be again (ms since 1970, 0 at once)."""

    message_id: int
    queue_id: int
    deliveries: int
    scheduled_ms: int = 0


class DuplicateRecorded(NamedTuple):
    """A duplicate id that an address has seen; `capacity` is how many it remembers."""

    address: str
    value: bytes
    capacity: int


class DuplicatesForgotten(NamedTuple):
    """An address has forgotten all duplicate ids."""

    address: str


class Prepared(NamedTuple):
    """A transaction that is prepared: what its commit will append, which no queue shows before."""

    xid: Xid
    operations: tuple[Operation, ...]


class Resolved(NamedTuple):
    """A prepared transaction is over; `heuristic` when an administrator decided and the manager does not know yet."""

    xid: Xid
    committed: bool
    heuristic: bool = False


class Forgotten(NamedTuple):
    """The manager knows of the heuristic outcome."""

    xid: Xid


Operation = (
    AddressCreated
    | AddressDeleted
    | QueueCreated
    | QueueDeleted
    | MessageStored
    | Acknowledged
    | DeliveryCounted
    | DuplicateRecorded
    | DuplicatesForgotten
    | Prepared
    | Resolved
    | Forgotten
)


def stored(message: StoredMessage, queues: Iterable[Queue]) -> tuple[Operation, ...]:
    """What it takes to keep a message that goes to these queues; nothing, unless it and one of them is durable."""
    if not message.durable:
        return ()
    queue_ids = tuple([queue.id for queue in queues if queue.durable])
    return (MessageStored(message, queue_ids),) if queue_ids else ()


class Store(Protocol):
    """Where the broker keeps what must survive it."""

    on_progress: Done | None
    """Called when `collect` has something to do, by whatever thread found out; must neither block nor raise."""

    @property
    def busy(self) -> bool:
        """Is something appended and not complete? Read on the hot path."""

    @property
    def highest_id(self) -> int:
        """The highest id of a message or queue that it held when it was opened, also of those that are gone."""

    def append(self, *operations: Operation) -> None:
        """Keep these, together. Never waits for a disk."""

    def when_complete(self, callback: Done) -> None:
        """Call when all that was appended is complete; at once, if nothing is pending."""

    def collect(self) -> None:
        """Run the callbacks that are due, in order, on the thread that calls: the broker's.

        Raises:
            StoreError: What is not complete never will be.
        """

    def load(self) -> Iterable[Operation]:
        """The shortest operations that make what this store holds."""

    def close(self) -> None:
        """Complete everything and let go of the files."""


_NEW: Final = (0, 0)
"""Not delivered yet, not scheduled."""


class MemoryStore:
    """A store for as long as the process lives: a broker that is restarted on it finds its durable messages again.

    Completes at once, unless `hold` was called.
    """

    def __init__(self) -> None:
        self.busy: bool = False
        self.on_progress: Done | None = None
        self.highest_id: int = 0
        self._held: deque[Done] = deque()
        self._holding = False
        self._addresses: dict[str, AddressCreated] = {}
        self._queues: dict[int, QueueConfiguration] = {}
        self._messages: dict[int, tuple[StoredMessage, dict[int, tuple[int, int]]]] = {}
        """Id to message and, by queue, its delivery count and schedule."""
        self._duplicates: dict[str, dict[bytes, None]] = {}
        self._prepared: dict[Xid, tuple[Operation, ...]] = {}
        self._heuristic: dict[Xid, bool] = {}

    def append(self, *operations: Operation) -> None:
        """Keep these, together."""
        if self._holding:
            self.busy = True
        for operation in operations:
            # The first two are the hot path, and the order of a match is the order of its costs.
            if type(operation) is Acknowledged:
                self._leave(operation[0], operation[1])
            elif type(operation) is MessageStored:
                self._keep(operation[0], operation[1], operation[2])
            else:
                self._apply(operation)

    def _keep(self, message: StoredMessage, queue_ids: tuple[int, ...], counts: tuple[int, ...]) -> None:
        queues = dict.fromkeys(queue_ids, _NEW)
        if counts:
            queues.update((queue_id, (count, 0)) for queue_id, count in zip(queue_ids, counts, strict=True))
        self._messages[message.id] = (message, queues)
        if message.id > self.highest_id:
            self.highest_id = message.id

    def _apply(self, operation: Operation) -> None:
        match operation:
            case MessageStored(message, queue_ids, counts):
                self._keep(message, queue_ids, counts)
            case Acknowledged(message_id, queue_id):
                self._leave(message_id, queue_id)
            case DeliveryCounted(message_id, queue_id, count, scheduled_ms):
                found = self._messages.get(message_id)
                if found is not None and queue_id in found[1]:
                    found[1][queue_id] = (count, scheduled_ms)
            case DuplicateRecorded(address, value, capacity):
                seen = self._duplicates.setdefault(address, {})
                seen[value] = None
                while len(seen) > capacity:
                    del seen[next(iter(seen))]
            case QueueDeleted(queue_id):
                self._queues.pop(queue_id, None)
                for message_id in [key for key, (_, queues) in self._messages.items() if queue_id in queues]:
                    self._leave(message_id, queue_id)
            case Prepared(xid, held):
                self._prepared[xid] = held
                ids = [each.message.id for each in held if isinstance(each, MessageStored)]
                self.highest_id = max(self.highest_id, *ids, 0)
            case Resolved():
                self._resolve(operation)
            case _:
                self._apply_names(operation)

    def _apply_names(self, operation: Operation) -> None:
        match operation:
            case AddressCreated():
                self._addresses[operation.name] = operation
            case AddressDeleted(name):
                self._addresses.pop(name, None)
                self._duplicates.pop(name, None)
            case QueueCreated(queue_id, configuration):
                self._queues[queue_id] = configuration
                self.highest_id = max(self.highest_id, queue_id)
            case DuplicatesForgotten(address):
                self._duplicates.pop(address, None)
            case Forgotten(xid):
                self._heuristic.pop(xid, None)

    def _resolve(self, operation: Resolved) -> None:
        held = self._prepared.pop(operation.xid, ())
        if operation.heuristic:
            self._heuristic[operation.xid] = operation.committed
        if operation.committed:
            for each in held:
                self._apply(each)

    def _leave(self, message_id: int, queue_id: int) -> None:
        found = self._messages.get(message_id)
        if found is not None:
            found[1].pop(queue_id, None)
            if not found[1]:
                del self._messages[message_id]

    def when_complete(self, callback: Done) -> None:
        """Call when all that was appended is complete; at once, if nothing is pending."""
        if self.busy:
            self._held.append(callback)
        else:
            callback()

    def collect(self) -> None:
        """Nothing to do: callbacks run when what they wait for is complete."""

    def hold(self) -> None:
        """From now on nothing completes: a disk that hangs."""
        self._holding = True

    def release(self) -> None:
        """Complete what is pending, in order, and everything after it at once."""
        self._holding = self.busy = False
        while self._held and not self.busy:
            self._held.popleft()()

    def load(self) -> Iterator[Operation]:
        """The shortest operations that make what this store holds."""
        yield from self._addresses.values()
        for queue_id, configuration in self._queues.items():
            yield QueueCreated(queue_id, configuration)
        for message_id, (message, queues) in self._messages.items():
            yield MessageStored(message, tuple(queues), tuple(count for count, _ in queues.values()))
            for queue_id, (count, scheduled_ms) in queues.items():
                if scheduled_ms:
                    yield DeliveryCounted(message_id, queue_id, count, scheduled_ms)
        for address, seen in self._duplicates.items():
            for value in seen:
                yield DuplicateRecorded(address, value, len(seen))
        for xid, held in self._prepared.items():
            yield Prepared(xid, held)
        for xid, committed in self._heuristic.items():
            yield Resolved(xid, committed, heuristic=True)

    def close(self) -> None:
        """Complete everything."""
        self.release()
