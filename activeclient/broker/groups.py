"""Message groups: which consumer gets all messages of a group.

Law of this file: a group belongs to the first consumer that took a message of it, until that one is gone or a message
closes the group (`_AMQ_GROUP_SEQUENCE` -1). What is remembered has a bound: the group unused for longest is forgotten.
Source: MessageGroups and QueueImpl of Artemis.
"""

from __future__ import annotations

from hashlib import sha256
from zlib import crc32

from cachetools import LRUCache

from activeclient.broker.consumers import Entry
from activeclient.broker.limits import LONG_KEY
from activeclient.broker.message import StoredMessage
from activeclient.wire.names import GROUP_ID, GROUP_SEQUENCE

CLOSES = -1
"""The sequence that closes a group."""


class Groups:
    """The groups of one queue.

    Args:
        buckets: Groups with equal hashes share a consumer; -1 gives each group its own, 0 has no groups at all.
        limit: Groups that are remembered.
    """

    __slots__ = ("_buckets", "_owners")

    def __init__(self, buckets: int, limit: int) -> None:
        self._buckets = buckets
        self._owners: LRUCache[str | int, Entry] = LRUCache(limit)

    def __len__(self) -> int:
        return len(self._owners)

    def key(self, message: StoredMessage) -> str | int | None:
        """What its group is remembered by; None for a message of no group."""
        if self._buckets == 0 or not message.special:
            return None
        group = message.special_property(GROUP_ID)
        if group is None:
            return None
        text = str(group)
        if self._buckets < 0:
            return text if len(text) <= LONG_KEY else sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        return crc32(text.encode("utf-8", "surrogatepass")) % self._buckets

    def owner(self, key: str | int) -> Entry | None:
        """Whose the group is."""
        found: Entry | None = self._owners.get(key)
        return found

    def taken(self, key: str | int, entry: Entry, message: StoredMessage) -> bool:
        """A consumer took a message of the group. True when that closed the group."""
        if message.property(GROUP_SEQUENCE) == CLOSES:
            self._owners.pop(key, None)
            return True
        self._owners[key] = entry
        return False

    def leave(self, entry: Entry) -> None:
        """A consumer is gone: its groups go to whoever takes their next message."""
        for key in [key for key, owner in self._owners.items() if owner is entry]:
            del self._owners[key]

    def reset(self, key: str | None = None) -> None:
        """Forget a group's consumer, or that of all."""
        if key is None:
            self._owners.clear()
        else:
            self._owners.pop(key, None)

    def owners(self) -> dict[str | int, Entry]:
        """Group to consumer, for management."""
        return dict(self._owners)
