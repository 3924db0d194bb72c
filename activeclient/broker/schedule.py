"""What is to be delivered later, by its time.

Law of this file: a reference is due at most once for each time it was added; one that was removed, or got another time,
is not due at the old one. Rubbish that removals leave is bounded by what is scheduled.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from activeclient.broker.chain import Reference

SMALLEST = 64
"""Entries below which rubbish does not matter."""


class Schedule:
    """References by the time at which they are due (ms since 1970)."""

    __slots__ = ("_heap", "_live", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Reference]] = []
        self._live: dict[Reference, int] = {}
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._live)

    def add(self, ref: Reference) -> None:
        """Due at its `scheduled_ms`."""
        self._sequence += 1
        self._live[ref] = self._sequence
        heappush(self._heap, (ref.scheduled_ms, self._sequence, ref))

    def remove(self, ref: Reference) -> None:
        """Not due any more."""
        self._live.pop(ref, None)
        if len(self._heap) > SMALLEST + 2 * len(self._live):
            self._heap = [entry for entry in self._heap if self._live.get(entry[2]) == entry[1]]
            heapify(self._heap)

    def next_ms(self) -> int | None:
        """When the first one is due; None when nothing is scheduled."""
        heap = self._heap
        while heap and self._live.get(heap[0][2]) != heap[0][1]:
            heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now_ms: int) -> list[Reference]:
        """Take those whose time has come, in the order of their times."""
        taken: list[Reference] = []
        while (first := self.next_ms()) is not None and first <= now_ms:
            _, _, ref = heappop(self._heap)
            del self._live[ref]
            taken.append(ref)
        return taken
