"""An address, managed: Artemis' AddressControl.

Law of this file: an address that is blocked takes what is sent all the same; its producers get no credits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final

from activeclient.broker.addresses import Address
from activeclient.broker.control import Destination, Getters, Json, compact, operation, texts
from activeclient.broker.queue_control import routing_type_name

if TYPE_CHECKING:
    from activeclient.broker.postoffice import PostOffice


def routing_types(address: Address) -> list[str]:
    """As Artemis writes them."""
    return [routing_type_name(each) for each in sorted(address.routing_types)]


def _message_count(address: Address) -> int:
    return sum(queue.message_count for queue in address.queues.values())


ATTRIBUTES: Final[dict[str, Callable[[PostOffice, Address], Json]]] = {
    "address": lambda office, address: address.name,
    "routingTypes": lambda office, address: routing_types(address),
    "routingTypesAsJSON": lambda office, address: compact(routing_types(address)),
    "queueNames": lambda office, address: list(address.queues),
    "allQueueNames": lambda office, address: [queue.name for queue in office.addresses.bound(address.name)],
    "bindingNames": lambda office, address: list(address.queues),
    "queueCount": lambda office, address: len(address.queues),
    "addressSize": lambda office, address: office.addresses.account(address.name).size,
    "numberOfMessages": lambda office, address: _message_count(address),
    "messageCount": lambda office, address: _message_count(address),
    "routedMessageCount": lambda office, address: office.addresses.account(address.name).charged,
    "unRoutedMessageCount": lambda office, address: address.unrouted,
    "paging": lambda office, address: False,
    "numberOfPages": lambda office, address: 0,
    "autoCreated": lambda office, address: address.auto_created,
    "internal": lambda office, address: False,
    "temporary": lambda office, address: _temporary(address),
    "paused": lambda office, address: bool(address.queues) and all(each.paused for each in address.queues.values()),
    "retroactiveResource": lambda office, address: False,
    "currentDuplicateIdCacheSize": lambda office, address: len(list(office.duplicates.of(address.name))),
    "addressLimitPercent": lambda office, address: office.addresses.account(address.name).percent,
}


def _temporary(address: Address) -> bool:
    queues = address.queues.values()
    return bool(queues) and all(queue.configuration.temporary for queue in queues)


def address_row(office: PostOffice, address: Address) -> dict[str, Json]:
    """An address as `listAddresses` shows it."""
    columns = ("queueCount", "internal", "temporary", "autoCreated", "paused", "currentDuplicateIdCacheSize")
    counts = ("messageCount", "addressLimitPercent", "numberOfPages", "addressSize", "paging", "retroactiveResource")
    row: dict[str, Json] = {name: ATTRIBUTES[name](office, address) for name in columns + counts}
    account = office.addresses.account(address.name)
    return texts(
        {
            "name": address.name,
            "routingTypes": compact(routing_types(address)),
            "routedMessageCount": account.charged,
            "unroutedMessageCount": address.unrouted,
            **row,
        }
    )


class AddressControl(Destination[Address]):
    """The management of one address."""

    ATTRIBUTES: ClassVar[Getters] = ATTRIBUTES

    def target(self) -> str:
        """What messages for it are sent to."""
        return self.subject.name

    @operation("pause")
    def pause(self, persist: Json = False) -> None:
        """Deliver nothing from its queues."""
        for queue in self.subject.queues.values():
            queue.pause()

    @operation("resume")
    def resume(self) -> None:
        """Deliver again."""
        for queue in list(self.subject.queues.values()):
            queue.resume()

    @operation("purge")
    def purge(self) -> int:
        """Remove everything from its queues that no consumer has."""
        return sum(queue.purge() for queue in list(self.subject.queues.values()))

    @operation("block")
    def block(self) -> bool:
        """Give producers no credits until `unblock`."""
        self.office.addresses.account(self.subject.name).block(True)
        return True

    @operation("unblock")
    def unblock(self) -> None:
        """Give credits again."""
        self.office.addresses.account(self.subject.name).block(False)

    @operation("clearDuplicateIdCache")
    def clear_duplicate_ids(self) -> bool:
        """Forget the duplicate ids that it has seen."""
        self.office.forget_duplicates(self.subject.name)
        return True
