"""Queues and addresses between packets and the model: how one is to be made, and what is told of one.

Law of this file: a setting that a packet leaves open stays open; of what does not exist, what it would be is told. The
form of an answer is that of the client's version. Source: SessionQueueQueryResponseMessage_V3, QueueQueryResult.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from activeclient.broker.configuration import QueueConfiguration
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.wire import packets as p
from activeclient.wire.packet import Packet
from activeclient.wire.versions import V1_3, V1_5, V2_0, V2_29

if TYPE_CHECKING:
    from activeclient.broker.registry import AddressInfo, QueueInfo

_ANYCAST_PREFIXES: Final = ("jms.queue.", "jms.tempqueue.")
"""By which clients before 129 named queues."""
_SAME: Final = frozenset(each.name for each in dataclasses.fields(QueueConfiguration)) - {
    "name",
    "routing_type",
    "transient",
    "user",
}
"""What is called the same in the packets and in the configuration."""

_TOLD: Final = (
    "purge_on_no_consumers",
    "max_consumers",
    "exclusive",
    "last_value",
    "last_value_key",
    "non_destructive",
    "consumers_before_dispatch",
    "delay_before_dispatch",
)
"""Defaults of an address's queues that are told with it."""
_SETTING: Final = {"exclusive": "default_exclusive_queue", "last_value": "default_last_value_queue"}
"""Where the settings' name is another."""

QueuePacket = p.CreateQueue | p.CreateQueueV2 | p.CreateSharedQueue | p.CreateSharedQueueV2


def queue_configuration(packet: QueuePacket, user: str) -> QueueConfiguration:
    """The queue that a packet asks for.

    Raises:
        ConfigError: A name or number that cannot be.
    """
    given: dict[str, Any] = {
        each.name: getattr(packet, each.name) for each in dataclasses.fields(packet) if each.name in _SAME
    }
    kind = getattr(packet, "routing_type", None)
    if kind is None:
        kind = ANYCAST if packet.address.startswith(_ANYCAST_PREFIXES) else MULTICAST
    shared = isinstance(packet, p.CreateSharedQueue | p.CreateSharedQueueV2)
    return QueueConfiguration(
        name=packet.queue_name,
        routing_type=kind if kind in (ANYCAST, MULTICAST) else None,
        transient=shared and not packet.durable,
        user=user or None,
        **given,
    )


def describe_queue(info: QueueInfo, version: int) -> Packet:
    """The answer to a query for a queue."""
    made = info.configuration
    first = (
        info.exists,
        made.durable if made is not None else True,
        made.temporary if made is not None else False,
        info.consumer_count,
        info.message_count,
        made.filter_string if made is not None else None,
        info.address,
        info.name,
    )
    if version < V1_3:
        return p.QueueQueryResponse(*first)
    if version < V2_0:
        return p.QueueQueryResponseV2(*first, info.auto_create_queues)
    settings = info.settings
    if made is None:
        return p.QueueQueryResponseV3(
            *first,
            auto_create_queues=info.auto_create_queues,
            purge_on_no_consumers=settings.default_purge_on_no_consumers,
            max_consumers=settings.default_max_consumers,
            exclusive=settings.default_exclusive_queue,
            last_value=settings.default_last_value_queue,
            default_consumer_window_size=settings.default_consumer_window_size,
            last_value_key=settings.default_last_value_key,
            non_destructive=settings.default_non_destructive,
            consumers_before_dispatch=settings.default_consumers_before_dispatch,
            delay_before_dispatch=settings.default_delay_before_dispatch,
            group_rebalance=settings.default_group_rebalance,
            group_buckets=settings.default_group_buckets,
            auto_delete=settings.auto_delete_queues,
            auto_delete_delay=settings.auto_delete_queues_delay,
            auto_delete_message_count=settings.auto_delete_queues_message_count,
            group_first_key=settings.default_group_first_key,
            ring_size=settings.default_ring_size,
            enabled=True,
            group_rebalance_pause_dispatch=settings.default_group_rebalance_pause_dispatch,
            configuration_managed=False,
        )
    return p.QueueQueryResponseV3(
        *first,
        auto_create_queues=info.auto_create_queues,
        auto_created=made.auto_created,
        purge_on_no_consumers=bool(made.purge_on_no_consumers),
        routing_type=MULTICAST if made.routing_type is None else made.routing_type,
        max_consumers=-1 if made.max_consumers is None else made.max_consumers,
        exclusive=made.exclusive,
        last_value=made.last_value,
        default_consumer_window_size=settings.default_consumer_window_size,
        last_value_key=made.last_value_key,
        non_destructive=made.non_destructive,
        consumers_before_dispatch=made.consumers_before_dispatch,
        delay_before_dispatch=made.delay_before_dispatch,
        group_rebalance=made.group_rebalance,
        group_buckets=made.group_buckets,
        auto_delete=made.auto_delete,
        auto_delete_delay=made.auto_delete_delay,
        auto_delete_message_count=made.auto_delete_message_count,
        group_first_key=made.group_first_key,
        ring_size=made.ring_size,
        enabled=made.enabled,
        group_rebalance_pause_dispatch=made.group_rebalance_pause_dispatch,
        configuration_managed=False,
    )


def describe_address(info: AddressInfo, version: int) -> Packet:
    """The answer to a query for an address."""
    settings = info.settings
    if version < V1_3:
        return p.BindingQueryResponse(info.exists, info.queue_names)
    if version < V1_5:
        return p.BindingQueryResponseV2(info.exists, info.queue_names, settings.auto_create_queues)
    both = (info.exists, info.queue_names, settings.auto_create_queues, settings.auto_create_addresses)
    if version < V2_0:
        return p.BindingQueryResponseV3(*both)
    defaults: dict[str, Any] = {
        f"default_{name}": getattr(settings, _SETTING.get(name, f"default_{name}")) for name in _TOLD
    }
    if version < V2_29:
        return p.BindingQueryResponseV4(*both, **defaults)
    kinds = info.routing_types
    return p.BindingQueryResponseV5(
        *both, **defaults, supports_multicast=MULTICAST in kinds, supports_anycast=ANYCAST in kinds
    )
