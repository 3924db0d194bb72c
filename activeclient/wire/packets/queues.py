"""Packets that make, delete and describe addresses and queues, on session channels.

Law of this file: a null setting means that the address's own setting applies, so null and a value are never merged.
Routing types: 0 multicast, 1 anycast, -1 none. Source: CreateQueueMessage_V2, SessionQueueQueryResponseMessage_V3 and
their relatives.
"""

from __future__ import annotations

from typing import Final

from activeclient.wire.fields import (
    I8,
    I32,
    I64,
    Bool,
    NullableBool,
    NullableI32,
    NullableI64,
    NullableSimpleString,
    RoutingTypeList,
    SimpleString,
    SimpleStringList,
)
from activeclient.wire.packet import Packet, packet, wire
from activeclient.wire.packets.connection import NULL
from activeclient.wire.queue_attributes import QueueAttributes
from activeclient.wire.versions import V1_3, V1_5, V2_0, V2_29

BY_ADDRESS: Final = -2
"""The routing type where the version has none: the server goes by the address's name."""
UNTOLD: Final = -1
"""The routing type of a described queue where the version has none."""


@packet({34: 0, -12: V2_0}, reply=NULL)
class CreateQueue(QueueAttributes):
    """Make a queue; an error when it exists. Before 129 the server chooses the routing type by the address."""

    address: SimpleString
    queue_name: SimpleString
    filter_string: NullableSimpleString = None
    durable: Bool = True
    temporary: Bool = False
    requires_response: Bool = True
    auto_created: Bool = wire(default=False, since=V2_0)
    routing_type: I8 = wire(default=-1, missing=BY_ADDRESS, since=V2_0)
    max_consumers: I32 = wire(default=-1, since=V2_0, needed=True)
    purge_on_no_consumers: Bool = wire(default=False, since=V2_0, needed=True)


@packet(35, reply=NULL)
class DeleteQueue(Packet):
    """Delete a queue."""

    queue_name: SimpleString


@packet({36: 0, -13: V2_0}, reply=NULL)
class CreateSharedQueue(QueueAttributes):
    """Make a queue that several share; no error when an equal one exists. Before 129 the server chooses the routing
    type by the address."""

    address: SimpleString
    queue_name: SimpleString
    filter_string: NullableSimpleString = None
    durable: Bool = True
    routing_type: I8 = wire(default=-1, missing=BY_ADDRESS, since=V2_0)
    requires_response: Bool = True
    max_consumers: NullableI32 = wire(default=None, since=V2_0, needed=True, optional=True)
    purge_on_no_consumers: NullableBool = wire(default=None, since=V2_0, needed=True, optional=True)


@packet({-11: V2_0}, reply=NULL)
class CreateAddress(Packet):
    """Make an address (129 and later; before, an address is there as soon as it has a queue)."""

    address: SimpleString
    routing_types: RoutingTypeList
    requires_response: Bool = True
    auto_created: Bool = False


@packet({46: 0, -7: V1_3, -14: V2_0}, sent_by="server")
class QueueQueryResponse(QueueAttributes):
    """A queue's description; for a queue that does not exist, what it would be if it were made. A server before 126
    does not say whether it creates queues, so try; one before 129 says nothing of routing type and attributes."""

    exists: Bool
    durable: Bool = False
    temporary: Bool = False
    consumer_count: I32 = 0
    message_count: I64 = 0
    filter_string: NullableSimpleString = None
    address: NullableSimpleString = None
    name: NullableSimpleString = wire(default=None, optional=True)
    auto_create_queues: Bool = wire(default=False, missing=True, since=V1_3)
    auto_created: Bool = wire(default=False, since=V2_0)
    purge_on_no_consumers: Bool = wire(default=False, since=V2_0)
    routing_type: I8 = wire(default=0, missing=UNTOLD, since=V2_0)
    max_consumers: I32 = wire(default=-1, since=V2_0)
    default_consumer_window_size: NullableI32 = wire(default=None, since=V2_0, optional=True, after="last_value")
    configuration_managed: NullableBool = wire(
        default=None, since=V2_0, optional=True, after="group_rebalance_pause_dispatch"
    )


@packet(45, reply=(QueueQueryResponse,))
class QueueQuery(Packet):
    """Does this queue exist, and how is it made?"""

    queue_name: SimpleString


@packet({50: 0, -8: V1_3, -10: V1_5, -15: V2_0, -22: V2_29}, sent_by="server")
class BindingQueryResponse(Packet):
    """An address's description. What a version does not tell, the server may well do, so try: that it creates queues
    (told from 126 on) and addresses (127), and that the address supports multicast and anycast (135)."""

    exists: Bool
    queue_names: SimpleStringList = ()
    auto_create_queues: Bool = wire(default=False, missing=True, since=V1_3)
    auto_create_addresses: Bool = wire(default=False, missing=True, since=V1_5)
    default_purge_on_no_consumers: Bool = wire(default=False, since=V2_0)
    default_max_consumers: I32 = wire(default=-1, since=V2_0)
    default_exclusive: NullableBool = wire(default=None, since=V2_0, optional=True)
    default_last_value: NullableBool = wire(default=None, since=V2_0, optional=True)
    default_last_value_key: NullableSimpleString = wire(default=None, since=V2_0, optional=True)
    default_non_destructive: NullableBool = wire(default=None, since=V2_0, optional=True)
    default_consumers_before_dispatch: NullableI32 = wire(default=None, since=V2_0, optional=True)
    default_delay_before_dispatch: NullableI64 = wire(default=None, since=V2_0, optional=True)
    supports_multicast: Bool = wire(default=False, missing=True, since=V2_29, optional=True)
    supports_anycast: Bool = wire(default=False, missing=True, since=V2_29, optional=True)


@packet(49, reply=(BindingQueryResponse,))
class BindingQuery(Packet):
    """Does this address exist, and which queues are bound to it?"""

    address: SimpleString
