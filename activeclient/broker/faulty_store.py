"""A store whose disk is slow, or hangs.

Law of this file: what the store behind it holds is the same; only the news that something is complete comes late, and
still in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from activeclient.broker.clock import Clock
from activeclient.broker.store import Done, Operation, Store


class FaultyStore:
    """In front of a store (`store.Store`)."""

    __slots__ = ("_clock", "_delay", "_held", "_holding", "_last", "_store")

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._delay = 0.0
        self._holding = False
        self._last: float | None = None
        """When the last thing that was appended is complete; None when nothing is pending."""
        self._held: deque[tuple[float, Done]] = deque()

    @property
    def busy(self) -> bool:
        """Is something appended and not complete?"""
        return self._last is not None or self._store.busy

    @property
    def due(self) -> float | None:
        """When something will be complete; None: nothing, or nobody knows."""
        if self._holding or self._last is None:
            return None
        return self._held[0][0] if self._held else self._last

    @property
    def highest_id(self) -> int:
        """As the store behind it."""
        return self._store.highest_id

    @property
    def on_progress(self) -> Done | None:
        """Called when the store behind it has something to collect."""
        return self._store.on_progress

    @on_progress.setter
    def on_progress(self, tell: Done | None) -> None:
        self._store.on_progress = tell

    def collect(self) -> None:
        """Run what is due of the store behind it."""
        self._store.collect()

    def append(self, *operations: Operation) -> None:
        """Keep these, together."""
        self._store.append(*operations)
        if self._holding or self._delay:
            self._last = self._clock.monotonic() + self._delay

    def when_complete(self, callback: Done) -> None:
        """Call when all that was appended is complete."""
        if self._last is None:
            self._store.when_complete(callback)
        else:
            self._held.append((self._last, callback))

    def handle_timeout(self, now: float) -> None:
        """Tell of what is complete by now."""
        if self._holding:
            return
        while self._held and self._held[0][0] <= now:
            self._store.when_complete(self._held.popleft()[1])
        if not self._held and self._last is not None and self._last <= now:
            self._last = None

    def hold(self) -> None:
        """Complete nothing from now on."""
        self._holding = True

    def release(self) -> None:
        """Complete everything, and what comes at once."""
        self._holding = False
        self._delay = 0.0
        self.handle_timeout(float("inf"))

    def delay(self, seconds: float) -> None:
        """From now on everything takes so long."""
        self._delay = seconds
        if not seconds:
            self.release()

    def load(self) -> Iterable[Operation]:
        """What the store holds."""
        return self._store.load()

    def close(self) -> None:
        """Complete everything and let go of the files."""
        self.release()
        self._store.close()
