"""What was sent and is not confirmed: the ring of commands that a reattachment replays.

Law of this file: ids are positions, never stored; a confirmation of what was never sent is refused; nothing leaves the
buffer but by a confirmation, by a withdrawal (the peer refused the command and did not count it), or by taking
everything out for a new session. `used` is at most `limit` plus one entry, as long as callers ask `full` first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import Any, Generic, TypeVar, cast

from activeclient.errors import ReattachDiverged

T = TypeVar("T")
F = TypeVar("F")


class CommandBuffer(Generic[F, T]):
    """Frames with what to do when they settle, in order of sending.

    Args:
        limit: Weight at which a sender must wait; bytes for CORE, messages for a counted recovery buffer.
        weigh: The weight of one frame; `len` for bytes.
    """

    __slots__ = ("_freed", "_until", "_weigh", "first", "limit", "pairs", "transmitted", "used")

    def __init__(self, limit: int, weigh: Callable[[F], int]) -> None:
        self.limit: int = limit
        self.used: int = 0
        self.first: int = 0
        """Id of the oldest command that is not confirmed."""
        self.transmitted: int = 0
        """Ids below this one were handed to a link at least once: the peer may have them."""
        self._weigh = weigh
        self._freed: list[F | T | None] = []
        """What a confirmation has taken out of `pairs`, while `confirm` runs; `_until` is the id behind its last."""
        self._until = 0
        self.pairs: deque[F | T | None] = deque()
        """Frame, settle, frame, settle ...: no object for a pair, which the garbage collector would have to mind.

        Both of a pair are added, and taken out, by one call that no interrupt can come into. Others only append, and
        count in `used` what they append (hot path).
        """

    @property
    def next_id(self) -> int:
        """The id that the next command will get."""
        return self.first + (len(self.pairs) >> 1)

    @property
    def full(self) -> bool:
        """Must a sender wait? The entry that reaches the limit may overshoot it, so no size waits for ever."""
        return self.used >= self.limit

    def __len__(self) -> int:
        return len(self.pairs) >> 1

    def append(self, frame: F, settle: T | None) -> None:
        """Add a command; it takes the next id (hot path)."""
        self.pairs.extend((frame, settle))
        self.used += self._weigh(frame)

    def confirm(self, last: int) -> list[T]:
        """Free every command up to and including id `last`; return what settles by it, in order of sending.

        Raises:
            ReattachDiverged: `last` lies beyond what was sent, or before what was confirmed already: the peer counts
                differently, and replaying by its count would lose or repeat.
        """
        count = last + 1 - self.first
        entries = self.pairs
        if not 0 <= count <= len(entries) >> 1:
            raise ReattachDiverged(
                f"the server confirms command {last}; sent were {self.next_id - 1}, confirmed {self.first - 1} before"
            )
        freed: list[F | T | None] = []
        self._freed, self._until = freed, last + 1
        freed.extend(map(deque.popleft, repeat(entries, 2 * count)))
        self.first = last + 1
        self.used -= sum(map(self._weigh, cast("list[F]", freed[::2])))
        settles = [settle for settle in cast("list[T | None]", freed[1::2]) if settle is not None]
        self._freed = []
        return settles

    def mend(self) -> list[T]:
        """Make the counts agree with what is here, after an interrupt.

        Returns:
            What an interrupted `confirm` freed, each time until `mended` is called.
        """
        freed = self._freed
        if freed:
            self.first = self._until
        self.used = sum(map(self._weigh, self.frames()))
        return [settle for settle in cast("list[T | None]", freed[1::2]) if settle is not None]

    def mended(self) -> None:
        """What an interrupted `confirm` freed is settled."""
        self._freed = []

    def withdraw(self, matches: Callable[[F, T | None], bool]) -> tuple[F, T | None] | None:
        """Take out the oldest command that matches: the peer refused it and never counts it, later ids move down."""
        for position, (frame, settle) in enumerate(self._pairs()):
            if matches(frame, settle):
                weight = self._weigh(frame)
                # No call from here on: nothing interrupts it.
                if self.first + position < self.transmitted:
                    self.transmitted -= 1
                self.used -= weight
                del self.pairs[2 * position]
                del self.pairs[2 * position]
                return frame, settle
        return None

    def unsent(self) -> Iterator[tuple[F, T | None]]:
        """Commands that no link has taken yet."""
        return islice(self._pairs(), max(0, self.transmitted - self.first), None)

    def frames(self) -> list[F]:
        """Every unconfirmed frame, oldest first, byte for byte as first sent: what a replay writes."""
        return cast("list[F]", list(self.pairs)[::2])

    def entries(self) -> list[tuple[F, T | None]]:
        """Every unconfirmed entry, oldest first."""
        return list(self._pairs())

    def _pairs(self) -> Iterator[tuple[F, T | None]]:
        both = cast("Iterator[Any]", iter(self.pairs))
        return zip(both, both, strict=True)

    def mark_transmitted(self) -> None:
        """All that is in the buffer was handed to a link."""
        self.transmitted = self.next_id

    def restart(self) -> tuple[list[tuple[F, T | None]], int]:
        """Begin a new count at 0, for a new session; return what was in the buffer and how much of it was sent."""
        left = self.entries()
        sent = min(len(left), max(0, self.transmitted - self.first))
        self.pairs.clear()
        self._freed = []
        self.used = 0
        self.first = 0
        self.transmitted = 0
        return left, sent
