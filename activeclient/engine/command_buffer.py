"""What was sent and is not confirmed: the ring of commands that a reattachment replays.

Law of this file: ids are positions, never stored; a confirmation of what was never sent is refused; no command leaves
the count but by a confirmation, by a withdrawal (the peer refused the command and did not count it), or by taking
everything out for a new session. Every byte that enters is weighed here, by `append`; what is too much is said by the
`Bound`. With a bound by bytes `used` is at most its limit plus one entry, as long as callers ask `full` first. With one
by messages the bytes of the oldest commands leave; their places, and who waits for them, stay (`Remains`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, repeat, takewhile
from typing import Any, Generic, TypeVar, cast

from activeclient.engine.buffer_bounds import MOST_REMAINS, Bound
from activeclient.errors import ReattachDiverged
from activeclient.wire.message import SEND, duplicate_id_of

T = TypeVar("T")
HEAD = 13
TAIL = 13
"""Bytes of a frame by which it is recognised: its kind and channel, and its correlation id."""


class Remains(bytes):
    """The head and the tail of a command whose bytes have left the buffer: enough to say what becomes of it."""

    duplicate_id: bytes | str | None = None

    @classmethod
    def of(cls, frame: bytes) -> Remains:
        """What is kept of `frame`."""
        made = cls(frame if len(frame) <= HEAD + TAIL else frame[:HEAD] + frame[-TAIL:])
        if frame[4] == SEND and (duplicate_id := duplicate_id_of(frame)) is not None:
            made.duplicate_id = duplicate_id
        return made


def duplicate_id_in(frame: bytes) -> bytes | str | None:
    """The duplicate id of a SEND as the buffer has it, or None."""
    return frame.duplicate_id if isinstance(frame, Remains) else duplicate_id_of(frame)


class CommandBuffer(Generic[T]):
    """Frames with what to do when they settle, in order of sending.

    Args:
        bound: How much is kept, and what happens beyond.
    """

    __slots__ = (
        "_freed",
        "_until",
        "bound",
        "first",
        "gone",
        "gone_bytes",
        "held",
        "lets_go",
        "limit",
        "messages",
        "pairs",
        "transmitted",
        "used",
    )

    def __init__(self, bound: Bound) -> None:
        self.used: int = 0
        """Bytes of what is here."""
        self.first: int = 0
        """Id of the oldest command that is not confirmed."""
        self.transmitted: int = 0
        """Ids below this one were handed to a link at least once: the peer may have them."""
        self.held: bool = False
        """True while there is no link to send on: then nothing leaves."""
        self.gone: int = 0
        """Commands, the oldest ones, of which only the remains are here."""
        self.gone_bytes: int = 0
        """Bytes of the remains."""
        self.messages: int = 0
        """Commands that the bound counts, the remains apart."""
        self._freed: list[Any] = []
        """What a confirmation has taken out of `pairs`, while `confirm` runs; `_until` is the id behind its last."""
        self._until = 0
        self.pairs: deque[Any] = deque()
        """Frame, settle, frame, settle ...: no object for a pair, which the garbage collector would have to mind.

        Both of a pair are added, and taken out, by one call that no interrupt can come into.
        """
        self.bound: Bound = bound
        self.limit: int = bound.limit
        """While `used` is below it, a sender need not ask `full` (hot path)."""
        self.lets_go: bool = bound.lets_go

    @property
    def next_id(self) -> int:
        """The id that the next command will get."""
        return self.first + (len(self.pairs) >> 1)

    @property
    def full(self) -> bool:
        """Must a sender wait?"""
        return self.used >= self.limit and self.bound.is_full(self)

    @property
    def half_free(self) -> bool:
        """May senders that had to wait go on?"""
        return self.bound.is_half_free(self)

    @property
    def kept_bytes(self) -> int:
        """Bytes of the commands that can be sent again."""
        return self.used - self.gone_bytes

    @property
    def missing(self) -> range:
        """Ids of the commands that are not confirmed and cannot be sent again."""
        return range(self.first, self.first + self.gone)

    def __len__(self) -> int:
        return len(self.pairs) >> 1

    def bind(self, bound: Bound) -> None:
        """Change the bound; what is here already is counted by the new one."""
        self.bound = bound
        self.lets_go = bound.lets_go
        self.messages = sum(map(bound.counts, self.frames()[self.gone :]))
        self._set_limit()

    def append(self, frame: bytes, settle: T | None, size: int) -> None:
        """Add a command of `size` bytes; it takes the next id (hot path)."""
        self.pairs.extend((frame, settle))
        self.used += size
        if self.lets_go:
            self._count(frame)

    def _count(self, frame: bytes) -> None:
        bound = self.bound
        self.messages += bound.counts(frame)
        while not self.held and bound.is_exceeded(self) and self._let_go():
            pass

    def _let_go(self) -> bool:
        """Keep only the remains of the oldest command; False if it is the newest too."""
        pairs = self.pairs
        place = 2 * self.gone - len(pairs)  # from the end, where few are
        if place >= -2:
            return False
        frame = pairs[place]
        remains = Remains.of(frame)
        left = len(remains)
        less, counted = len(frame) - left, self.bound.counts(frame)
        # No call from here on: nothing interrupts it.
        pairs[place] = remains
        self.gone += 1
        self.gone_bytes += left
        self.used -= less
        self.messages -= counted
        if self.gone >= MOST_REMAINS:
            self.limit = 0
        return True

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
        freed: list[Any] = []
        self._freed, self._until = freed, last + 1
        freed.extend(map(deque.popleft, repeat(entries, 2 * count)))
        self.first = last + 1
        self.used -= sum(map(len, freed[::2]))
        if self.lets_go:
            self._uncount(freed[::2])
        settles: list[T] = [settle for settle in freed[1::2] if settle is not None]
        self._freed = []
        return settles

    def _uncount(self, freed: list[bytes]) -> None:
        """Commands left, the oldest ones."""
        gone = min(self.gone, len(freed))
        self.gone -= gone
        self.gone_bytes -= sum(map(len, freed[:gone]))
        self.messages -= sum(map(self.bound.counts, freed[gone:]))
        self._set_limit()

    def _set_limit(self) -> None:
        """By bytes the limit is the bound's; by messages a sender has to ask in an outage, or far ahead of the peer."""
        self.limit = 0 if self.lets_go and (self.held or self.gone >= MOST_REMAINS) else self.bound.limit

    def mend(self) -> list[T]:
        """Make the counts agree with what is here, after an interrupt.

        Returns:
            What an interrupted `confirm` freed, each time until `mended` is called.
        """
        freed = self._freed
        if freed:
            self.first = self._until
        frames = self.frames()
        self.used = sum(map(len, frames))
        remains = list(takewhile(lambda frame: isinstance(frame, Remains), frames))
        self.gone = len(remains)
        self.gone_bytes = sum(map(len, remains))
        self.messages = sum(map(self.bound.counts, frames[self.gone :]))
        self._set_limit()
        settles: list[T] = [settle for settle in freed[1::2] if settle is not None]
        return settles

    def mended(self) -> None:
        """What an interrupted `confirm` freed is settled."""
        self._freed = []

    def withdraw(self, matches: Callable[[bytes, T | None], bool]) -> tuple[bytes, T | None] | None:
        """Take out the oldest command that matches: the peer refused it and never counts it, later ids move down."""
        for position, (frame, settle) in enumerate(self._pairs()):
            if matches(frame, settle):
                weight, counted = len(frame), self.bound.counts(frame)
                # No call from here on: nothing interrupts it.
                if self.first + position < self.transmitted:
                    self.transmitted -= 1
                self.used -= weight
                if position < self.gone:
                    self.gone -= 1
                    self.gone_bytes -= weight
                else:
                    self.messages -= counted
                del self.pairs[2 * position]
                del self.pairs[2 * position]
                return frame, settle
        return None

    def unsent(self) -> Iterator[tuple[bytes, T | None]]:
        """Commands that no link has taken yet."""
        return islice(self._pairs(), max(0, self.transmitted - self.first), None)

    def frames(self) -> list[bytes]:
        """Every unconfirmed frame, oldest first, byte for byte as first sent, unless it is `missing`: what a replay
        writes."""
        return cast("list[bytes]", list(self.pairs)[::2])

    def entries(self) -> list[tuple[bytes, T | None]]:
        """Every unconfirmed entry, oldest first."""
        return list(self._pairs())

    def _pairs(self) -> Iterator[tuple[bytes, T | None]]:
        both = iter(self.pairs)
        return zip(both, both, strict=True)

    def link_lost(self) -> None:
        """All that is in the buffer was handed to a link, which is gone."""
        self.transmitted = self.next_id
        self.held = True
        self._set_limit()

    def replayed(self) -> None:
        """All that is in the buffer is handed to a link now, and what is added will be."""
        self.held = False
        self._set_limit()

    def not_taken(self) -> None:
        """The peer's final count says that it has taken none of what is here."""
        self.transmitted = self.first

    def restart(self) -> tuple[list[tuple[bytes, T | None]], int]:
        """Begin a new count at 0, for a new session; return what was in the buffer and how much of it was sent.

        Nothing leaves before `replayed` is called: what is being repeated is needed until all of it was.
        """
        left = self.entries()
        sent = min(len(left), max(0, self.transmitted - self.first))
        self.pairs.clear()
        self._freed = []
        self.used = self.gone = self.gone_bytes = self.messages = 0
        self.first = 0
        self.transmitted = 0
        self.held = True
        self._set_limit()
        return left, sent
