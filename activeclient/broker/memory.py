"""How much memory messages take, by address and all together, and who waits for room.

Law of this file: a message is charged once, whatever number of queues holds it, and released once. Whoever waits for
room is called in the order in which they came, as soon as there is some. Source:
PagingStoreImpl.checkMemory of Artemis.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from activeclient.broker.configuration import AddressSettings, FullPolicy
from activeclient.broker.limits import OVERDRAFT_BYTES, OVERDRAFT_MESSAGES, OVERDRAFT_SHARE

_UNBOUNDED: Final = 1 << 62


def with_overdraft(limit: int, least: int) -> int:
    """How much may be taken where producers are only asked to wait; -1 has no bound."""
    return limit + max(int(limit * OVERDRAFT_SHARE), least) if limit >= 0 else _UNBOUNDED


class Memory:
    """The memory of all addresses together.

    Args:
        limit: Bytes; -1 has no bound.
    """

    __slots__ = ("limit", "most", "size", "starving")

    def __init__(self, limit: int) -> None:
        self.limit: int = limit
        self.most: int = with_overdraft(limit, OVERDRAFT_BYTES)
        """Bytes at which even addresses that block refuse messages."""
        self.size: int = 0
        self.starving: dict[Account, None] = {}
        """Accounts for which somebody waits."""

    @property
    def full(self) -> bool:
        """Is there no room at all?"""
        return 0 <= self.limit <= self.size

    @property
    def percent(self) -> int:
        """How much of the bound is taken; 0 without one."""
        return 100 * self.size // self.limit if self.limit > 0 else 0

    def wake(self) -> None:
        """There may be room again: call whoever waits, as long as there is."""
        for account in list(self.starving):
            account.wake()


class Account:
    """The memory of one address."""

    __slots__ = (
        "_blocked",
        "_memory",
        "_most_bytes",
        "_most_messages",
        "_waiters",
        "charged",
        "count",
        "most_bytes",
        "most_messages",
        "name",
        "policy",
        "size",
    )

    def __init__(self, name: str, settings: AddressSettings, memory: Memory) -> None:
        self.name: str = name
        self.policy: FullPolicy = settings.address_full_policy
        self._most_bytes = settings.max_size_bytes
        self._most_messages = settings.max_size_messages
        self.most_bytes: int = with_overdraft(settings.max_size_bytes, OVERDRAFT_BYTES)
        self.most_messages: int = with_overdraft(settings.max_size_messages, OVERDRAFT_MESSAGES)
        """Where even an address that blocks refuses messages."""
        self._memory = memory
        self._waiters: deque[Callable[[], None]] = deque()
        self.size: int = 0
        self.count: int = 0
        self._blocked = False
        self.charged: int = 0
        """Messages that came to a queue at least, ever."""

    @property
    def full(self) -> bool:
        """Is there no room for its messages (hot path)?"""
        memory = self._memory
        return (
            self._blocked
            or 0 <= self._most_bytes <= self.size
            or 0 <= self._most_messages <= self.count
            or 0 <= memory.limit <= memory.size
        )

    @property
    def at_limit(self) -> bool:
        """Are the bounds of this very address reached?"""
        return 0 <= self._most_bytes <= self.size or 0 <= self._most_messages <= self.count

    @property
    def percent(self) -> int:
        """How much of its own bound is taken; 0 without one."""
        return 100 * self.size // self._most_bytes if self._most_bytes > 0 else 0

    def block(self, blocked: bool) -> None:
        """An administrator closes the address for producers, or opens it again."""
        self._blocked = blocked
        self.wake()

    @property
    def used(self) -> bool:
        """Does it hold a message, or does somebody wait for it?"""
        return bool(self.count or self._waiters)

    def charge(self, size: int) -> None:
        """A message came (hot path)."""
        self.size += size
        self.count += 1
        self.charged += 1
        self._memory.size += size

    def release(self, size: int) -> None:
        """A message has gone (hot path)."""
        self.size -= size
        self.count -= 1
        memory = self._memory
        memory.size -= size
        if memory.starving:
            memory.wake()

    def when_room(self, run: Callable[[], None]) -> bool:
        """Run this now, or as soon as there is room; false when this address fails its senders instead."""
        if not self._waiters and (not self.full or self.policy is FullPolicy.DROP):
            run()
        elif self.policy is FullPolicy.FAIL:
            return False
        else:
            self._waiters.append(run)
            self._memory.starving[self] = None
        return True

    def wake(self) -> None:
        """Call whoever waits, as long as there is room."""
        while self._waiters and not self.full:
            self._waiters.popleft()()
        if not self._waiters:
            self._memory.starving.pop(self, None)
