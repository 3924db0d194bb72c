"""The attributes of a queue: what can be said of one when it is made, and what the broker tells of one.

Law of this file: the attributes stand here once. Packets inherit them, and everything that names, reads or copies
attributes goes by `QUEUE_ATTRIBUTES`. None leaves an attribute to the settings of the address. Source:
QueueConfiguration and CreateQueueMessage_V2 of Artemis.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, Final, get_type_hints

from activeclient.wire.fields import (
    I32,
    Bool,
    NullableBool,
    NullableI32,
    NullableI64,
    NullableSimpleString,
)
from activeclient.wire.packet import Packet, shared_fields, wire
from activeclient.wire.versions import V2_0


@shared_fields
class QueueAttributes(Packet):
    """The attributes that packets about queues end with. Brokers before 2.0 (129) know none of them, and early 2.x
    brokers not all: these stop in front of the first that they do not know."""

    exclusive: NullableBool = wire(default=None, since=V2_0, needed=True, optional=True)
    last_value: NullableBool = wire(default=None, since=V2_0, needed=True, optional=True)
    last_value_key: NullableSimpleString = wire(default=None, since=V2_0, needed=True, optional=True)
    non_destructive: NullableBool = wire(default=None, since=V2_0, needed=True, optional=True)
    consumers_before_dispatch: NullableI32 = wire(default=None, since=V2_0, needed=True, optional=True)
    delay_before_dispatch: NullableI64 = wire(default=None, since=V2_0, needed=True, optional=True)
    group_rebalance: NullableBool = wire(default=None, since=V2_0, needed=True, optional=True)
    group_buckets: NullableI32 = wire(default=None, since=V2_0, needed=True, optional=True)
    auto_delete: NullableBool = wire(default=None, since=V2_0, needed=True, optional=True)
    auto_delete_delay: NullableI64 = wire(default=None, since=V2_0, needed=True, optional=True)
    auto_delete_message_count: NullableI64 = wire(default=None, since=V2_0, needed=True, optional=True)
    group_first_key: NullableSimpleString = wire(default=None, since=V2_0, needed=True, optional=True)
    ring_size: NullableI64 = wire(default=None, since=V2_0, needed=True, optional=True)
    enabled: NullableBool = wire(default=None, since=V2_0, needed=True, optional=True)
    group_rebalance_pause_dispatch: NullableBool = wire(default=None, since=V2_0, needed=True, optional=True)


_FIRST: Final[dict[str, Any]] = {
    "filter_string": NullableSimpleString,
    "durable": Bool,
    "max_consumers": I32,
    "purge_on_no_consumers": Bool,
}
"""The attributes that stand among a packet's own fields, because each packet has them at another place."""

QUEUE_ATTRIBUTES: Final[tuple[str, ...]] = (
    *_FIRST,
    *(each.name for each in dataclasses.fields(QueueAttributes)),
)
"""The names of all attributes."""


@cache
def attribute_types() -> dict[str, tuple[type, int]]:
    """Name to Python type, and for numbers their size in bits (0 for others)."""
    hints = _FIRST | get_type_hints(QueueAttributes, include_extras=True)
    return {name: _TYPES[hints[name]] for name in QUEUE_ATTRIBUTES}


_TYPES: Final[dict[Any, tuple[type, int]]] = {
    Bool: (bool, 0),
    NullableBool: (bool, 0),
    I32: (int, 32),
    NullableI32: (int, 32),
    NullableI64: (int, 64),
    NullableSimpleString: (str, 0),
}
