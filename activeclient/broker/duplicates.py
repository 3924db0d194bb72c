"""Which duplicate ids an address has seen.

Law of this file: an id is remembered with the message, also when that was routed nowhere, or when its transaction
commits; the oldest ids are forgotten, and the addresses that used none for longest. Source: DuplicateIDCache of
Artemis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256

from cachetools import FIFOCache, LRUCache

from activeclient.broker.limits import LONG_KEY, MAX_IDS

ADDRESSES = 10_000
"""Addresses whose duplicate ids are remembered."""


def _key(value: bytes) -> bytes:
    """What an id is remembered by: itself, or, of a long one, its hash."""
    return value if len(value) <= LONG_KEY else sha256(value).digest()


class DuplicateIds:
    """The duplicate ids of all addresses.

    Args:
        forgotten: Called when the ids of an address are forgotten because there are too many.
        most: Ids of all addresses; the count is looked at now and then.
    """

    __slots__ = ("_by_address", "_forgotten", "_most", "_new")

    def __init__(self, forgotten: Callable[[str], object] = lambda _: None, most: int = MAX_IDS) -> None:
        self._by_address: LRUCache[str, FIFOCache[bytes, bool]] = LRUCache(ADDRESSES + 1)
        self._forgotten = forgotten
        self._most = most
        self._new = 0
        """Ids that came since all were counted."""

    def __contains__(self, key: tuple[str, bytes]) -> bool:
        """Has this address seen this id?"""
        seen = self._by_address.get(key[0])
        return seen is not None and _key(key[1]) in seen

    def record(self, address: str, value: bytes, capacity: int) -> None:
        """The address has seen it; it remembers `capacity` of them."""
        if capacity <= 0:
            return
        seen = self._by_address.get(address)
        if seen is None or seen.maxsize != capacity:
            old = () if seen is None else list(seen)
            seen = self._by_address[address] = FIFOCache(capacity)
            for each in old:
                seen[each] = True
            if len(self._by_address) > ADDRESSES:
                self._forget_oldest()
        seen[_key(value)] = True
        self._new += 1
        if self._new > self._most // 16:
            self._keep_to_bound()

    def _keep_to_bound(self) -> None:
        self._new = 0
        total = sum(map(len, self._by_address.values()))
        while total > self._most and len(self._by_address) > 1:
            total -= self._forget_oldest()

    def _forget_oldest(self) -> int:
        address, seen = self._by_address.popitem()
        self._forgotten(address)
        return len(seen)

    def of(self, address: str) -> Iterator[bytes]:
        """What the address remembers, the oldest first."""
        return iter(self._by_address.get(address, ()))

    def forget(self, address: str) -> int:
        """The address remembers nothing any more; how many ids that were."""
        seen = self._by_address.pop(address, None)
        return 0 if seen is None else len(seen)
