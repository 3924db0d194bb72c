"""A post office for tests: a clock that stands still, consumers that remember, messages in one call.

Law of this file: nothing here sleeps or reads the real time; a consumer takes what it has room for, and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from activeclient.broker.chain import Reference
from activeclient.broker.configuration import AddressSettings, BrokerConfiguration, QueueConfiguration
from activeclient.broker.consumers import Filter
from activeclient.broker.message import StoredMessage
from activeclient.broker.postoffice import PostOffice
from activeclient.broker.queue import Queue
from activeclient.broker.store import MemoryStore
from activeclient.destination import ANYCAST
from activeclient.errors import InvalidSelectorError
from activeclient.wire.message import CoreMessage, encode_send
from activeclient.wire.properties import PropertyValue
from activeclient.wire.versions import NEWEST

START_MS = 1_700_000_000_000


class StandingClock:
    """A clock that only moves when it is told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.skew_ms = 0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return START_MS + round((self.now - 1000) * 1000) + self.skew_ms


@dataclass
class Equals:
    """A filter of the form `name = value`."""

    name: str
    value: PropertyValue

    def matches(self, message: StoredMessage) -> bool:
        return message.property(self.name) == self.value


def compile_filter(text: str) -> Filter:
    name, sign, value = text.partition("=")
    if not sign:
        raise InvalidSelectorError(f"{text!r}: no comparison")
    value = value.strip()
    return Equals(name.strip(), int(value) if value.lstrip("-").isdigit() else value.strip("'"))


@dataclass(eq=False)
class Taker:
    """A consumer with room for `room` messages; what it took and has not settled is in `held`."""

    queue: Queue
    room: int = 1_000_000
    priority: int = 0
    filter: Filter | None = None
    held: list[Reference] = field(default_factory=list)
    taken: list[tuple[bytes, int]] = field(default_factory=list)
    """Body and delivery count of each delivery."""
    gone: bool = False

    def handle(self, ref: Reference) -> bool:
        if len(self.held) >= self.room:
            return False
        self.held.append(ref)
        self.taken.append((ref.message.body, ref.delivery_count))
        return True

    def queue_deleted(self) -> None:
        self.gone = True

    def bodies(self) -> list[str]:
        return [body.decode() for body, _ in self.taken]

    def acknowledge(self, count: int = 1_000_000) -> None:
        for ref in self.held[:count]:
            self.queue.acknowledge(ref)
        del self.held[:count]
        self.queue.deliver(self)

    def give_back(self, *, count_delivery: bool = True, delay: bool = True) -> None:
        held, self.held = self.held, []
        self.queue.cancel(held, count_delivery=count_delivery, delay=delay)

    def close(self) -> None:
        held, self.held = self.held, []
        self.room = 0
        self.queue.cancel(held, count_delivery=False, delay=False)
        self.queue.remove_consumer(self)


def message(
    body: bytes | str = b"",
    address: str = "q",
    *,
    durable: bool = True,
    priority: int = 4,
    expiration: int = 0,
    **properties: PropertyValue,
) -> StoredMessage:
    """A message as it comes off the wire."""
    core = CoreMessage(
        body.encode() if isinstance(body, str) else body,
        4,
        address,
        durable=durable,
        priority=priority,
        expiration=expiration,
        properties=properties,
    )
    return StoredMessage.from_send(encode_send(core, 10, NEWEST), 13)


class Office:
    """A post office, its clock and its store."""

    def __init__(self, store: MemoryStore | None = None, **options: object) -> None:
        settings = options.pop("settings", None)
        if isinstance(settings, AddressSettings):
            settings = {"#": settings}
        self.configuration = BrokerConfiguration(settings=settings or {}, **options)
        self.clock = StandingClock()
        self.store = store or MemoryStore()
        self.post = PostOffice(self.configuration, self.store, self.clock, compile_filter)

    def restart(self) -> None:
        """Another post office on the same store."""
        self.post = PostOffice(self.configuration, self.store, self.clock, compile_filter)

    def queue(self, name: str = "q", routing_type: int | None = ANYCAST, **options: object) -> Queue:
        return self.post.create_queue(QueueConfiguration(name=name, routing_type=routing_type, **options))

    def consume(self, queue: Queue | str = "q", **options: object) -> Taker:
        if isinstance(queue, str):
            found = self.post.find(queue)
            assert found is not None
            queue = found
        taker = Taker(queue, **options)
        queue.add_consumer(taker)
        queue.deliver(taker)
        return taker

    def send(self, *bodies: str, address: str = "q", tx: object = None, **options: object) -> None:
        for body in bodies:
            self.post.route(message(body, address, **options), tx)

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self.clock.now + seconds + 1e-9  # rounding of many small steps
        while (due := self.post.next_timeout()) is not None and due <= end:
            self.clock.now = max(self.clock.now, due)
            self.post.handle_timeout()
        self.clock.now = end

    def waiting(self, queue: str = "q") -> list[str]:
        found = self.post.find(queue)
        assert found is not None
        return [ref.message.body.decode() for ref in found.browse()]
