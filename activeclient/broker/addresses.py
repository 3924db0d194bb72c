"""Addresses, the queues bound to them, and the way of a message to its queues.

Law of this file: where a message can go is worked out once for its address and remembered until any address or queue
comes or goes; of the anycast queues of an address one gets it, in turn, of the multicast ones all. An address with
wildcards shares its queues with the addresses it stands for. Source: SimpleAddressManager, WildcardAddressManager and
BindingsImpl of Artemis.
"""

from __future__ import annotations

from collections.abc import Iterator

from activeclient.broker.configuration import AddressSettings, BrokerConfiguration
from activeclient.broker.limits import MAX_NAME
from activeclient.broker.memory import Account, Memory
from activeclient.broker.message import StoredMessage
from activeclient.broker.queue import Queue
from activeclient.broker.wildcard import is_wildcard, matches
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.errors import InvalidDestinationError
from activeclient.server_code import ServerCode

PLANS_KEPT = 10_000
"""Addresses whose ways are remembered; beyond it all are worked out again."""


class Address:
    """An address, and the queues that were made on it."""

    __slots__ = (
        "auto_created",
        "name",
        "queues",
        "routing_types",
        "settings",
        "swept",
        "unrouted",
        "unused_since",
        "wildcard",
    )

    def __init__(self, name: str, routing_types: frozenset[int], settings: AddressSettings, auto_created: bool) -> None:
        self.name: str = name
        self.routing_types: frozenset[int] = routing_types
        self.settings: AddressSettings = settings
        self.auto_created: bool = auto_created
        self.wildcard: bool = is_wildcard(name)
        self.queues: dict[str, Queue] = {}
        self.unrouted: int = 0
        self.swept: bool = False
        """Found unused by the last look for unused addresses."""
        self.unused_since: float = 0.0


class Plan:
    """Where messages for one name can go."""

    __slots__ = ("_next", "account", "address", "alters", "anycast", "multicast", "name", "settings", "single")

    def __init__(
        self, name: str, address: Address | None, queues: list[Queue], account: Account, settings: AddressSettings
    ) -> None:
        self.settings: AddressSettings = settings
        self.alters: bool = settings.alters
        """Do the settings add something to each message?"""
        self.name: str = name
        """The address, without a queue's name behind it."""
        self.address: Address | None = address
        self.account: Account = account
        self.anycast: list[Queue] = [queue for queue in queues if queue.routing_type == ANYCAST]
        self.multicast: list[Queue] = [queue for queue in queues if queue.routing_type != ANYCAST]
        self._next = 0
        self.single: tuple[Queue] | None = (queues[0],) if len(queues) == 1 and queues[0].plain else None
        """The one queue there is, when it takes whatever comes (hot path)."""

    def queues(self, message: StoredMessage) -> tuple[Queue, ...]:
        """Where this message goes (hot path)."""
        kind = message.routing_type
        single = self.single
        if single is not None:
            return single if kind is None or kind == single[0].routing_type else ()
        found: list[Queue] = []
        if kind != ANYCAST:
            found += [queue for queue in self.multicast if queue.accepts(message)]
        if kind != MULTICAST and self.anycast:
            number = len(self.anycast)
            for step in range(number):
                queue = self.anycast[(self._next + step) % number]
                if queue.accepts(message):
                    self._next = (self._next + step + 1) % number
                    found.append(queue)
                    break
        return tuple(found)


class Addresses:
    """All addresses and queues of a broker."""

    __slots__ = ("_accounts", "_by_name", "_configuration", "_plans", "memory", "queues", "queues_by_id")

    def __init__(self, configuration: BrokerConfiguration) -> None:
        self._configuration = configuration
        self._by_name: dict[str, Address] = {}
        self._plans: dict[str | None, Plan] = {}
        self._accounts: dict[str, Account] = {}
        self.memory: Memory = Memory(configuration.global_max_size)
        self.queues: dict[str, Queue] = {}
        """By name, which is unique in the broker."""
        self.queues_by_id: dict[int, Queue] = {}

    def __iter__(self) -> Iterator[Address]:
        return iter(list(self._by_name.values()))

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Address | None:
        """The address of this name."""
        return self._by_name.get(name)

    def add(self, name: str, routing_types: frozenset[int], auto_created: bool) -> Address:
        """A new address."""
        settings = self._configuration.settings_for(name)
        made = self._by_name[name] = Address(name, routing_types, settings, auto_created)
        self._changed()
        return made

    def remove(self, name: str) -> None:
        """It is gone; it has no queues."""
        del self._by_name[name]
        self._changed()

    def bind(self, queue: Queue) -> None:
        """A new queue, on its address, which exists."""
        address = self._by_name[queue.address]
        address.queues[queue.name] = queue
        address.swept = False
        self.queues[queue.name] = queue
        self.queues_by_id[queue.id] = queue
        self._changed()

    def unbind(self, queue: Queue) -> None:
        """The queue is gone."""
        del self._by_name[queue.address].queues[queue.name]
        del self.queues[queue.name]
        del self.queues_by_id[queue.id]
        self._changed()

    def _changed(self) -> None:
        self._plans.clear()
        if len(self._accounts) > PLANS_KEPT:
            self._accounts = {name: each for name, each in self._accounts.items() if each.used}

    def account(self, name: str) -> Account:
        """The memory of an address, which need not exist."""
        found = self._accounts.get(name)
        if found is None:
            found = self._accounts[name] = Account(name, self._configuration.settings_for(name), self.memory)
        return found

    def bound(self, name: str) -> list[Queue]:
        """The queues that messages for this address can go to."""
        own = self._by_name.get(name)
        found = [] if own is None else list(own.queues.values())
        for other in self._by_name.values():
            if other.wildcard and other is not own and matches(other.name, name):
                found += other.queues.values()
        return found

    def plan(self, name: str | None) -> Plan:
        """Where messages for this name, `address` or `address::queue`, can go (hot path).

        Raises:
            InvalidDestinationError: The name is too long (code 106).
        """
        return self._plans.get(name) or self._make_plan(name or "")

    def _make_plan(self, name: str) -> Plan:
        if len(self._plans) >= PLANS_KEPT:
            self._changed()
        if len(name) > 2 * MAX_NAME:
            raise InvalidDestinationError(
                f"an address of {len(name)} characters; {MAX_NAME} are allowed", code=ServerCode.ADDRESS_DOES_NOT_EXIST
            )
        address_name, _, queue_name = name.partition("::")
        if queue_name:
            queues = [queue for queue in self.bound(address_name) if queue.name == queue_name]
        elif name == self._configuration.management_address:
            queues = []  # what is sent there is carried out, and never kept (ServerSessionImpl.send)
        else:
            queues = self.bound(address_name)
        settings = self._configuration.settings_for(address_name)
        plan = Plan(address_name, self._by_name.get(address_name), queues, self.account(address_name), settings)
        self._plans[name] = plan
        return plan
