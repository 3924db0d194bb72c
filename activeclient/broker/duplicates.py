"""Which duplicate ids an address has seen.

Law of this file: an id is remembered with the message, also when that was routed nowhere, or when its transaction
commits; the oldest ids are forgotten, and the addresses that used none for longest. Source: DuplicateIDCache of
Artemis.
"""

from __future__ import annotations

from collections.abc import Iterator

from cachetools import FIFOCache, LRUCache

ADDRESSES = 10_000
"""Addresses whose duplicate ids are remembered."""


class DuplicateIds:
    """The duplicate ids of all addresses."""

    __slots__ = ("_by_address",)

    def __init__(self) -> None:
        self._by_address: LRUCache[str, FIFOCache[bytes, bool]] = LRUCache(ADDRESSES)

    def __contains__(self, key: tuple[str, bytes]) -> bool:
        """Has this address seen this id?"""
        seen = self._by_address.get(key[0])
        return seen is not None and key[1] in seen

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
        seen[value] = True

    def of(self, address: str) -> Iterator[bytes]:
        """What the address remembers, the oldest first."""
        return iter(self._by_address.get(address, ()))

    def forget(self, address: str) -> int:
        """The address remembers nothing any more; how many ids that were."""
        seen = self._by_address.pop(address, None)
        return 0 if seen is None else len(seen)
