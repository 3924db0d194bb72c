"""Addresses and queues come and go: creation, deletion, queries, and what goes by itself.

Law of this file: what is durable is in the store before anybody can use it. Queues with consumers, and addresses with
queues, do not go by accident. What was made automatically goes when it was found unused twice in a row.
Source: ActiveMQServerImpl.createQueue, QueueManagerImpl and PostOfficeImpl.reapAddresses of Artemis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from activeclient.broker.addresses import Address, Addresses
from activeclient.broker.clock import Clock
from activeclient.broker.configuration import AddressSettings, BrokerConfiguration, QueueConfiguration
from activeclient.broker.consumers import Filter
from activeclient.broker.limits import MAX_NAME, MAX_QUEUES
from activeclient.broker.queue import Queue
from activeclient.broker.store import AddressCreated, AddressDeleted, QueueCreated, QueueDeleted, Store
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.errors import (
    IllegalStateError,
    InvalidDestinationError,
    InvalidSelectorError,
    JMSError,
    ResourceAllocationError,
)
from activeclient.server_code import ServerCode

CompileFilter = Callable[[str], Filter]
_TYPE_NAMES = {ANYCAST: "ANYCAST", MULTICAST: "MULTICAST"}


@dataclass(frozen=True, slots=True)
class QueueInfo:
    """The answer to a query for a queue; of one that does not exist, what it would be."""

    exists: bool
    name: str
    address: str
    settings: AddressSettings
    configuration: QueueConfiguration | None = None
    consumer_count: int = 0
    message_count: int = 0
    auto_create_queues: bool = True


@dataclass(frozen=True, slots=True)
class AddressInfo:
    """The answer to a query for an address; of one that does not exist, what it would be."""

    exists: bool
    name: str
    settings: AddressSettings
    routing_types: frozenset[int] = frozenset()
    queue_names: tuple[str, ...] = ()


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME:
        raise InvalidDestinationError(
            f"a name of {len(name)} characters; {MAX_NAME} are allowed", code=ServerCode.QUEUE_DOES_NOT_EXIST
        )


class Registry:
    """All addresses and queues of a broker, and how they are made.

    Args:
        compile_filter: Makes a filter of a queue's selector; raises `InvalidSelectorError`.
    """

    def __init__(
        self, configuration: BrokerConfiguration, store: Store, clock: Clock, compile_filter: CompileFilter
    ) -> None:
        self.configuration = configuration
        self.store = store
        self.clock = clock
        self.addresses: Addresses = Addresses(configuration)
        self.compile_filter = compile_filter
        self._ids = itertools.count(1)
        self._temporary: dict[object, dict[str, Queue]] = {}
        """Temporary queues by owner."""

    def _make_queue(
        self, queue_id: int, configuration: QueueConfiguration, settings: AddressSettings, owner: object
    ) -> Queue:
        """The queue itself, bound to nothing."""
        raise NotImplementedError

    def forget_duplicates(self, address: str) -> None:
        """An address is gone."""
        raise NotImplementedError

    def owns_temporary(self, owner: object) -> bool:
        """True if this owner has temporary queues."""
        return owner in self._temporary

    def start_ids(self, first: int) -> None:
        """Ids of messages and queues go on from here: a store knows all before."""
        self._ids = itertools.count(first)

    # --- addresses ---------------------------------------------------------------------------------------------------

    def create_address(
        self, name: str, routing_types: Iterable[int], auto_created: bool = False, *, ignore_if_exists: bool = False
    ) -> Address:
        """Make an address, or add routing types to one that may exist.

        Raises:
            JMSError: It exists (code 107).
        """
        kinds = frozenset(routing_types)
        found = self.addresses.get(name)
        if found is not None:
            if not ignore_if_exists:
                raise JMSError(f"AMQ229204: Address already exists: {name}", code=ServerCode.ADDRESS_EXISTS)
            self._add_types(found, kinds)
            return found
        _check_name(name)
        if len(self.addresses) >= MAX_QUEUES:
            raise ResourceAllocationError(
                f"the broker has {MAX_QUEUES} addresses, no more are allowed", code=ServerCode.ADDRESS_FULL
            )
        self.store.append(AddressCreated(name, kinds, auto_created))
        made = self.addresses.add(name, kinds, auto_created)
        made.unused_since = self.clock.monotonic()
        return made

    def _add_types(self, address: Address, kinds: frozenset[int]) -> None:
        if not kinds <= address.routing_types:
            address.routing_types |= kinds
            self.store.append(AddressCreated(address.name, address.routing_types, address.auto_created))

    def delete_address(self, name: str, *, force: bool = False) -> None:
        """Delete an address; with `force` its queues and their consumers too.

        Raises:
            InvalidDestinationError: There is none (code 106).
            JMSError: It has queues (code 217).
        """
        address = self.addresses.get(name)
        if address is None:
            raise InvalidDestinationError(
                f"AMQ229203: Address Does Not Exist: {name}", code=ServerCode.ADDRESS_DOES_NOT_EXIST
            )
        if address.queues and not force:
            raise JMSError(f"AMQ229205: Address {name} has bindings", code=ServerCode.DELETE_ADDRESS_ERROR)
        for queue in list(address.queues.values()):
            self._delete(queue)
        if self.addresses.get(name) is address:
            self._delete_address(address)

    def _delete_address(self, address: Address) -> None:
        self.store.append(AddressDeleted(address.name))
        self.addresses.remove(address.name)
        self.forget_duplicates(address.name)

    def query_address(self, name: str) -> AddressInfo:
        """What is this address? Of `address::queue`, the address is asked for."""
        name = name.partition("::")[0]
        address = self.addresses.get(name)
        if address is not None:
            queues = tuple(queue.name for queue in self.addresses.bound(name))
            return AddressInfo(True, name, address.settings, address.routing_types, queues)
        settings = self.configuration.settings_for(name)
        if name == self.configuration.management_address:
            return AddressInfo(True, name, settings, frozenset((ANYCAST, MULTICAST)))
        return AddressInfo(False, name, settings)

    # --- queues ------------------------------------------------------------------------------------------------------

    def create_queue(
        self, configuration: QueueConfiguration, *, owner: object = None, ignore_if_exists: bool = False
    ) -> Queue:
        """Make a queue, and its address, if that may be.

        Args:
            owner: With whom a temporary queue goes (`delete_temporary`).

        Raises:
            JMSError: It exists (code 101), or its address does not have its routing type (215).
            InvalidDestinationError: Its address does not exist and is not to be made (106).
            InvalidSelectorError: Its filter cannot be read (103).
        """
        found = self.find(configuration.name)
        if found is not None:
            if ignore_if_exists:
                return found
            raise JMSError(
                f"AMQ229019: Queue {found.name} already exists on address {found.address}", code=ServerCode.QUEUE_EXISTS
            )
        _check_name(configuration.name)
        if len(self.addresses.queues) >= MAX_QUEUES:
            raise ResourceAllocationError(
                f"the broker has {MAX_QUEUES} queues, no more are allowed", code=ServerCode.ADDRESS_FULL
            )
        settings = self.configuration.settings_for(configuration.address)
        address = self.addresses.get(configuration.address)
        routing_type = configuration.routing_type
        if routing_type is None:
            only = tuple(address.routing_types) if address is not None else ()
            routing_type = only[0] if len(only) == 1 else MULTICAST
        resolved = configuration.resolved(settings, routing_type)
        queue = self._make_queue(next(self._ids), resolved, settings, owner)
        self._ready_address(resolved, address, settings, routing_type)
        if queue.durable:
            self.store.append(QueueCreated(queue.id, resolved))
        self.addresses.bind(queue)
        if owner is not None and configuration.temporary:
            self._temporary.setdefault(owner, {})[queue.name] = queue
        return queue

    def restore_queue(self, queue_id: int, configuration: QueueConfiguration) -> None:
        """A queue out of the store, which knows its address too."""
        settings = self.configuration.settings_for(configuration.address)
        self.addresses.bind(self._make_queue(queue_id, configuration, settings, None))

    def _ready_address(
        self, configuration: QueueConfiguration, address: Address | None, settings: AddressSettings, routing_type: int
    ) -> None:
        name = configuration.address
        if address is None:
            if not settings.auto_create_addresses and not configuration.temporary:
                raise InvalidDestinationError(
                    f"AMQ229203: Address Does Not Exist: {name}", code=ServerCode.ADDRESS_DOES_NOT_EXIST
                )
            self.create_address(name, (routing_type,), auto_created=True)
        elif routing_type not in address.routing_types:
            if not settings.auto_create_addresses:
                kind = _TYPE_NAMES.get(routing_type, str(routing_type))
                raise JMSError(
                    f"Address {name} exists, but does not support {kind} routing",
                    code=ServerCode.UNEXPECTED_ROUTING_TYPE_FOR_ADDRESS,
                )
            self._add_types(address, frozenset((routing_type,)))

    def create_shared_queue(self, configuration: QueueConfiguration) -> Queue:
        """Make a queue that several share, unless an equal one exists; one that is not durable goes with its last
        consumer.

        Raises:
            JMSError: One of this name has another address or filter (code 118); and as `create_queue`.
        """
        found = self.find(configuration.name)
        if found is None:
            return self.create_queue(configuration)
        if found.address != configuration.address:
            raise JMSError(
                f"Queue {found.name} already exists on another subscription: address {found.address}",
                code=ServerCode.INVALID_TRANSIENT_QUEUE_USE,
            )
        if (found.configuration.filter_string or None) != (configuration.filter_string or None):
            raise JMSError(
                f"Queue {found.name} has a different filter than requested", code=ServerCode.INVALID_TRANSIENT_QUEUE_USE
            )
        if found.configuration.durable != configuration.durable:
            raise JMSError(
                f"Queue {found.name} is durable, or is not, other than requested",
                code=ServerCode.INVALID_TRANSIENT_QUEUE_USE,
            )
        return found

    def delete_queue(self, name: str, check_consumers: bool = True, *, auto_delete_address: bool = True) -> None:
        """Delete a queue with its messages.

        Raises:
            InvalidDestinationError: There is none (code 100).
            IllegalStateError: It has consumers, and they were to be respected (code 104).
        """
        queue = self.find(name)
        if queue is None:
            raise InvalidDestinationError(
                f"AMQ229017: Queue {name} does not exist", code=ServerCode.QUEUE_DOES_NOT_EXIST
            )
        if check_consumers and queue.consumer_count:
            raise IllegalStateError(
                f"AMQ229025: Cannot delete queue {queue.name} on binding {queue.name} - it has consumers = "
                f"{queue.consumer_count}",
                code=ServerCode.ILLEGAL_STATE,
            )
        self._delete(queue)
        address = self.addresses.get(queue.address)
        if auto_delete_address and queue.configuration.temporary and address is not None and not address.queues:
            self._delete_address(address)

    def _delete(self, queue: Queue) -> None:
        if queue.durable:
            self.store.append(QueueDeleted(queue.id))
        self.addresses.unbind(queue)
        owned = self._temporary.get(queue.owner)
        if owned is not None:
            owned.pop(queue.name, None)
            if not owned:
                del self._temporary[queue.owner]
        address = self.addresses.get(queue.address)
        if address is not None:
            address.unused_since = self.clock.monotonic()
        queue.closed()

    def find(self, name: str) -> Queue | None:
        """The queue of this name, which may stand behind its address: `address::queue`."""
        address, _, queue_name = name.rpartition("::")
        found = self.addresses.queues.get(queue_name)
        return found if found is None or not address or found.address == address else None

    def query_queue(self, name: str) -> QueueInfo:
        """What is this queue? Its own name counts; the answer has its address, whichever stands before the name."""
        queue = self.addresses.queues.get(name.rpartition("::")[2])
        if queue is not None:
            return QueueInfo(
                True,
                queue.name,
                queue.address,
                queue.settings,
                queue.configuration,
                queue.consumer_count,
                queue.message_count,
                queue.settings.auto_create_queues,
            )
        address, _, queue_name = name.rpartition("::")
        settings = self.configuration.settings_for(address or queue_name)
        return QueueInfo(
            False, queue_name, address or queue_name, settings, auto_create_queues=settings.auto_create_queues
        )

    def delete_temporary(self, owner: object) -> None:
        """Whoever owned temporary queues is gone: they go too, with whatever they hold."""
        for queue in list(self._temporary.pop(owner, {}).values()):
            if self.find(queue.name) is queue:
                self.delete_queue(queue.name, check_consumers=False)

    # --- what goes by itself -----------------------------------------------------------------------------------------

    def last_consumer_left(self, queue: Queue) -> None:
        """A queue without consumers: a shared subscription that is not durable goes with the last one."""
        if queue.configuration.transient and not queue.deleted:
            self._delete(queue)

    def sweep(self) -> None:
        """Delete what was made automatically and was found unused the last time too."""
        now = self.clock.monotonic()
        for queue in list(self.addresses.queues.values()):
            if not self._unused(queue, now):
                queue.swept = False
            elif queue.swept:
                self._delete(queue)
            else:
                queue.swept = True
        for address in self.addresses:
            if not self._empty(address, now):
                address.swept = False
            elif address.swept:
                self._delete_address(address)
            else:
                address.swept = True

    @staticmethod
    def _unused(queue: Queue, now: float) -> bool:
        configuration = queue.configuration
        if not configuration.auto_delete or configuration.temporary or queue.consumer_count:
            return False
        most = configuration.auto_delete_message_count or 0
        if 0 <= most < queue.message_count:
            return False
        return now - queue.unused_since >= (configuration.auto_delete_delay or 0) / 1000

    @staticmethod
    def _empty(address: Address, now: float) -> bool:
        settings = address.settings
        if not address.auto_created or not settings.auto_delete_addresses or address.queues:
            return False
        return now - address.unused_since >= settings.auto_delete_addresses_delay / 1000

    def compiled(self, configuration: QueueConfiguration) -> Filter | None:
        """The filter of a queue.

        Raises:
            InvalidSelectorError: It cannot be read (code 103).
        """
        text = (configuration.filter_string or "").strip()
        if not text:
            return None
        try:
            return self.compile_filter(text)
        except InvalidSelectorError as error:
            raise InvalidSelectorError(str(error), code=ServerCode.INVALID_FILTER_EXPRESSION) from error
