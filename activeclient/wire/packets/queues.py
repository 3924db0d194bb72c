"""Packets that make, delete and describe addresses and queues, on session channels.

Law of this file: a null setting means that the address's own setting applies, so null and a value are never merged.
Versions with another packet type are other classes; each answers the request of the peer's version. Routing types: 0
multicast, 1 anycast, -1 none. Source: CreateQueueMessage_V2, SessionQueueQueryResponseMessage_V3 and their relatives.
"""

from __future__ import annotations

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
from activeclient.wire.packet import NULL_RESPONSE, Packet, packet, wire

_NULL = (NULL_RESPONSE,)
_QUEUE_ANSWERS = (46, -7, -14)
_BINDING_ANSWERS = (50, -8, -10, -15, -22)


@packet(34, reply=_NULL)
class CreateQueue(Packet):
    """Make a queue, in the form of versions before 129: the routing type is guessed from the address's prefix."""

    address: SimpleString
    queue_name: SimpleString
    filter_string: NullableSimpleString = None
    durable: Bool = True
    temporary: Bool = False
    requires_response: Bool = True


@packet(35, reply=_NULL)
class DeleteQueue(Packet):
    """Delete a queue."""

    queue_name: SimpleString


@packet(36, reply=_NULL)
class CreateSharedQueue(Packet):
    """Make a queue that several share, unless it exists, in the form of versions before 129."""

    address: SimpleString
    queue_name: SimpleString
    filter_string: NullableSimpleString = None
    durable: Bool = True
    requires_response: Bool = True


@packet(-11, reply=_NULL)
class CreateAddress(Packet):
    """Make an address."""

    address: SimpleString
    routing_types: RoutingTypeList
    requires_response: Bool = True
    auto_created: Bool = False


@packet(-12, reply=_NULL)
class CreateQueueV2(Packet):
    """Make a queue; an error when it exists."""

    address: SimpleString
    queue_name: SimpleString
    filter_string: NullableSimpleString = None
    durable: Bool = True
    temporary: Bool = False
    requires_response: Bool = True
    auto_created: Bool = False
    routing_type: I8 = -1
    max_consumers: I32 = -1
    purge_on_no_consumers: Bool = False
    exclusive: NullableBool = wire(default=None, optional=True)
    last_value: NullableBool = wire(default=None, optional=True)
    last_value_key: NullableSimpleString = wire(default=None, optional=True)
    non_destructive: NullableBool = wire(default=None, optional=True)
    consumers_before_dispatch: NullableI32 = wire(default=None, optional=True)
    delay_before_dispatch: NullableI64 = wire(default=None, optional=True)
    group_rebalance: NullableBool = wire(default=None, optional=True)
    group_buckets: NullableI32 = wire(default=None, optional=True)
    auto_delete: NullableBool = wire(default=None, optional=True)
    auto_delete_delay: NullableI64 = wire(default=None, optional=True)
    auto_delete_message_count: NullableI64 = wire(default=None, optional=True)
    group_first_key: NullableSimpleString = wire(default=None, optional=True)
    ring_size: NullableI64 = wire(default=None, optional=True)
    enabled: NullableBool = wire(default=None, optional=True)
    group_rebalance_pause_dispatch: NullableBool = wire(default=None, optional=True)


@packet(-13, reply=_NULL)
class CreateSharedQueueV2(Packet):
    """Make a queue that several share; no error when an equal one exists."""

    address: SimpleString
    queue_name: SimpleString
    filter_string: NullableSimpleString = None
    durable: Bool = True
    routing_type: I8 = -1
    requires_response: Bool = True
    max_consumers: NullableI32 = wire(default=None, optional=True)
    purge_on_no_consumers: NullableBool = wire(default=None, optional=True)
    exclusive: NullableBool = wire(default=None, optional=True)
    last_value: NullableBool = wire(default=None, optional=True)
    last_value_key: NullableSimpleString = wire(default=None, optional=True)
    non_destructive: NullableBool = wire(default=None, optional=True)
    consumers_before_dispatch: NullableI32 = wire(default=None, optional=True)
    delay_before_dispatch: NullableI64 = wire(default=None, optional=True)
    group_rebalance: NullableBool = wire(default=None, optional=True)
    group_buckets: NullableI32 = wire(default=None, optional=True)
    auto_delete: NullableBool = wire(default=None, optional=True)
    auto_delete_delay: NullableI64 = wire(default=None, optional=True)
    auto_delete_message_count: NullableI64 = wire(default=None, optional=True)
    group_first_key: NullableSimpleString = wire(default=None, optional=True)
    ring_size: NullableI64 = wire(default=None, optional=True)
    enabled: NullableBool = wire(default=None, optional=True)
    group_rebalance_pause_dispatch: NullableBool = wire(default=None, optional=True)


@packet(45, reply=_QUEUE_ANSWERS)
class QueueQuery(Packet):
    """Does this queue exist, and how is it made?"""

    queue_name: SimpleString


@packet(46, sent_by="server")
class QueueQueryResponse(Packet):
    """A queue's description (before 126)."""

    exists: Bool
    durable: Bool = False
    temporary: Bool = False
    consumer_count: I32 = 0
    message_count: I64 = 0
    filter_string: NullableSimpleString = None
    address: NullableSimpleString = None
    name: NullableSimpleString = wire(default=None, optional=True)


@packet(-7, sent_by="server")
class QueueQueryResponseV2(Packet):
    """A queue's description (126 to 128)."""

    exists: Bool
    durable: Bool = False
    temporary: Bool = False
    consumer_count: I32 = 0
    message_count: I64 = 0
    filter_string: NullableSimpleString = None
    address: NullableSimpleString = None
    name: NullableSimpleString = None
    auto_create_queues: Bool = False


@packet(-14, sent_by="server")
class QueueQueryResponseV3(Packet):
    """A queue's description (129 and later); for a queue that does not exist, what it would be if it were made."""

    exists: Bool
    durable: Bool = False
    temporary: Bool = False
    consumer_count: I32 = 0
    message_count: I64 = 0
    filter_string: NullableSimpleString = None
    address: NullableSimpleString = None
    name: NullableSimpleString = None
    auto_create_queues: Bool = False
    auto_created: Bool = False
    purge_on_no_consumers: Bool = False
    routing_type: I8 = 0
    max_consumers: I32 = -1
    exclusive: NullableBool = wire(default=None, optional=True)
    last_value: NullableBool = wire(default=None, optional=True)
    default_consumer_window_size: NullableI32 = wire(default=None, optional=True)
    last_value_key: NullableSimpleString = wire(default=None, optional=True)
    non_destructive: NullableBool = wire(default=None, optional=True)
    consumers_before_dispatch: NullableI32 = wire(default=None, optional=True)
    delay_before_dispatch: NullableI64 = wire(default=None, optional=True)
    group_rebalance: NullableBool = wire(default=None, optional=True)
    group_buckets: NullableI32 = wire(default=None, optional=True)
    auto_delete: NullableBool = wire(default=None, optional=True)
    auto_delete_delay: NullableI64 = wire(default=None, optional=True)
    auto_delete_message_count: NullableI64 = wire(default=None, optional=True)
    group_first_key: NullableSimpleString = wire(default=None, optional=True)
    ring_size: NullableI64 = wire(default=None, optional=True)
    enabled: NullableBool = wire(default=None, optional=True)
    group_rebalance_pause_dispatch: NullableBool = wire(default=None, optional=True)
    configuration_managed: NullableBool = wire(default=None, optional=True)


@packet(49, reply=_BINDING_ANSWERS)
class BindingQuery(Packet):
    """Does this address exist, and which queues are bound to it?"""

    address: SimpleString


@packet(50, sent_by="server")
class BindingQueryResponse(Packet):
    """An address's description (before 126)."""

    exists: Bool
    queue_names: SimpleStringList = ()


@packet(-8, sent_by="server")
class BindingQueryResponseV2(Packet):
    """An address's description (126)."""

    exists: Bool
    queue_names: SimpleStringList = ()
    auto_create_queues: Bool = False


@packet(-10, sent_by="server")
class BindingQueryResponseV3(Packet):
    """An address's description (127 and 128)."""

    exists: Bool
    queue_names: SimpleStringList = ()
    auto_create_queues: Bool = False
    auto_create_addresses: Bool = False


@packet(-15, sent_by="server")
class BindingQueryResponseV4(Packet):
    """An address's description (129 to 134)."""

    exists: Bool
    queue_names: SimpleStringList = ()
    auto_create_queues: Bool = False
    auto_create_addresses: Bool = False
    default_purge_on_no_consumers: Bool = False
    default_max_consumers: I32 = -1
    default_exclusive: NullableBool = wire(default=None, optional=True)
    default_last_value: NullableBool = wire(default=None, optional=True)
    default_last_value_key: NullableSimpleString = wire(default=None, optional=True)
    default_non_destructive: NullableBool = wire(default=None, optional=True)
    default_consumers_before_dispatch: NullableI32 = wire(default=None, optional=True)
    default_delay_before_dispatch: NullableI64 = wire(default=None, optional=True)


@packet(-22, sent_by="server")
class BindingQueryResponseV5(Packet):
    """An address's description (135 and later)."""

    exists: Bool
    queue_names: SimpleStringList = ()
    auto_create_queues: Bool = False
    auto_create_addresses: Bool = False
    default_purge_on_no_consumers: Bool = False
    default_max_consumers: I32 = -1
    default_exclusive: NullableBool = None
    default_last_value: NullableBool = None
    default_last_value_key: NullableSimpleString = None
    default_non_destructive: NullableBool = None
    default_consumers_before_dispatch: NullableI32 = None
    default_delay_before_dispatch: NullableI64 = None
    supports_multicast: Bool = wire(default=False, optional=True)
    supports_anycast: Bool = wire(default=False, optional=True)
