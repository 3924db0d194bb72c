"""The messages that wait in a queue: by priority, then in the order in which they came.

Law of this file: whatever enters or leaves a chain does it here, so that the count is right and no consumer's cursor
stands on what is gone, or behind what came back.
"""

from __future__ import annotations

from collections.abc import Iterator

from activeclient.broker.chain import Chain, Reference
from activeclient.broker.consumers import LEVELS, Filter, Rotation


class Line:
    """What waits, and how far each consumer has looked.

    While `_simple` is true consumers look at the head only, and cursors are not kept.
    """

    __slots__ = ("_count", "_levels", "_rotation", "_simple", "_top")

    def __init__(self) -> None:
        self._levels = [Chain() for _ in range(LEVELS)]
        self._top = 0
        """No message of a higher priority waits."""
        self._count = 0
        self._rotation = Rotation()
        self._simple = True

    @property
    def waiting_count(self) -> int:
        """Messages that could be delivered now."""
        return self._count

    def waiting(self) -> Iterator[Reference]:
        """What waits, in the order of delivery; whoever takes some out meanwhile makes a list first."""
        for chain in reversed(self._levels):
            yield from chain

    def browse(self, filter: Filter | None = None) -> Iterator[Reference]:
        """What waits now and passes the filter, in the order of delivery; later changes are not seen, but what has left
        meanwhile is left out."""
        for ref in list(self.waiting()):
            if ref.chain is not None and (filter is None or filter.matches(ref.message)):
                yield ref

    def _link(self, ref: Reference) -> None:
        level = ref.message.priority
        self._levels[level].append(ref)
        if level > self._top:
            self._top = level
        self._count += 1

    def _unlink(self, ref: Reference) -> None:
        chain = ref.chain
        assert chain is not None
        if not self._simple:
            level = ref.message.priority
            for entry in self._rotation.entries:
                if entry.cursors[level] is ref:
                    entry.cursors[level] = ref.previous
        chain.unlink(ref)
        self._count -= 1

    def _insert(self, refs: list[Reference]) -> None:
        """Back to their old places, the last one first: the next place is then a few steps before."""
        hints: dict[int, Reference] = {}
        for ref in sorted(refs, key=lambda each: -each.order):
            level = ref.message.priority
            self._levels[level].insert(ref, hints.get(level))
            hints[level] = ref
            if level > self._top:
                self._top = level
            self._count += 1
            if not self._simple:
                for entry in self._rotation.entries:
                    cursor = entry.cursors[level]
                    if cursor is not None and cursor.order >= ref.order:
                        entry.cursors[level] = ref.previous

    def _rewind(self) -> None:
        """What a consumer passed by may be for it now."""
        for entry in self._rotation.entries:
            entry.cursors = [None] * LEVELS
