"""Queues and addresses between packets and the model: how one is to be made, and what is told of one.

Law of this file: a setting that a packet leaves open stays open; of what does not exist, what it would be is told.
Source: SessionQueueQueryResponseMessage_V3, QueueQueryResult.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from activeclient.broker.configuration import QueueConfiguration, default_setting
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.wire import packets as p
from activeclient.wire.packets.queues import BY_ADDRESS
from activeclient.wire.queue_attributes import QUEUE_ATTRIBUTES

if TYPE_CHECKING:
    from activeclient.broker.registry import AddressInfo, QueueInfo

_ANYCAST_PREFIXES: Final = ("jms.queue.", "jms.tempqueue.")
"""By which clients before 129 named queues."""
_SAME: Final = ("address", "temporary", "auto_created", *QUEUE_ATTRIBUTES)
"""What is called the same in the packets and in the configuration."""


_TOLD: Final = tuple(
    each.name.removeprefix("default_")
    for each in dataclasses.fields(p.BindingQueryResponse)
    if each.name.startswith("default_")
)
"""The attributes whose defaults are told with an address."""


def queue_configuration(packet: p.CreateQueue | p.CreateSharedQueue, user: str) -> QueueConfiguration:
    """The queue that a packet asks for.

    Raises:
        ConfigError: A name or number that cannot be.
    """
    shared = isinstance(packet, p.CreateSharedQueue)
    given = {name: getattr(packet, name) for name in _SAME if hasattr(packet, name)}
    kind = packet.routing_type
    if kind == BY_ADDRESS:
        kind = ANYCAST if packet.address.startswith(_ANYCAST_PREFIXES) else MULTICAST
    return QueueConfiguration(
        name=packet.queue_name,
        routing_type=kind if kind in (ANYCAST, MULTICAST) else None,
        transient=shared and not packet.durable,
        user=user or None,
        **given,
    )


def describe_queue(info: QueueInfo) -> p.QueueQueryResponse:
    """The answer to a query for a queue."""
    settings = info.settings
    made = info.configuration
    exists = made is not None
    if made is None:
        # The name is told from `info`: whoever asks may ask for an empty one.
        made = QueueConfiguration(name="none", auto_created=True).resolved(settings, MULTICAST)
    return p.QueueQueryResponse(
        exists=info.exists,
        temporary=made.temporary,
        consumer_count=info.consumer_count,
        message_count=info.message_count,
        address=info.address,
        name=info.name,
        auto_create_queues=info.auto_create_queues,
        auto_created=exists and made.auto_created,
        routing_type=MULTICAST if made.routing_type is None else made.routing_type,
        default_consumer_window_size=settings.default_consumer_window_size,
        configuration_managed=False,
        **_attributes(made),
    )


def _attributes(made: QueueConfiguration) -> dict[str, Any]:
    """All attributes of a queue; two have no place for None in the packets."""
    told = {name: getattr(made, name) for name in QUEUE_ATTRIBUTES}
    if made.max_consumers is None:
        told["max_consumers"] = -1
    told["purge_on_no_consumers"] = bool(made.purge_on_no_consumers)
    return told


def describe_address(info: AddressInfo) -> p.BindingQueryResponse:
    """The answer to a query for an address."""
    settings = info.settings
    defaults: dict[str, Any] = {f"default_{name}": getattr(settings, default_setting(name)) for name in _TOLD}
    return p.BindingQueryResponse(
        exists=info.exists,
        queue_names=info.queue_names,
        auto_create_queues=settings.auto_create_queues,
        auto_create_addresses=settings.auto_create_addresses,
        supports_multicast=MULTICAST in info.routing_types,
        supports_anycast=ANYCAST in info.routing_types,
        **defaults,
    )
