"""When waiting bytes are written: at once, or together with those that follow.

Law of this file: bytes wait for company at most `linger` seconds after the first of them, `STREAM` times that at the
end of a stream, and only while the outbox is busy; nothing here reads a clock. One write a message costs more than
everything else of a send together, and holding back for confirmations (as Nagle's algorithm does) would wait for what
comes once a window.
"""

from __future__ import annotations

from math import inf

FLUSH_BYTES = 64 * 1024
"""Waiting bytes from which on company no longer pays: a write of this size is as cheap a byte as any larger one."""

FLUSH_FRAMES = 40
"""Frames in one write, as of acknowledgements, that make it a full one for `STREAM`."""

STREAM = 4
"""How much longer bytes may wait behind a write that was full: in a stream the next full write comes before, and a
thread that is woken for a part of it costs more than the write."""

CONGESTED_BYTES = 1024 * 1024
"""Bytes that the peer has not taken, from which on senders wait unless they are told otherwise."""


class Outbox:
    """The state of the decision.

    Args:
        linger: Seconds that the first waiting byte waits for company; 0 writes at once, always.
    """

    __slots__ = ("_full", "due", "holding", "linger", "written_at")

    def __init__(self, linger: float) -> None:
        self.linger: float = linger
        self.holding: bool = False
        """Bytes wait, and their timer is `due`."""
        self.due: float = inf
        self.written_at: float = -inf
        self._full = False
        """Was the last write a full one?"""

    def hold(self, pending: int, now: float) -> bool:
        """May these bytes wait? If so, they wait until `due`."""
        linger = self.linger * STREAM if self._full else self.linger
        if pending >= FLUSH_BYTES or now - self.written_at >= linger:
            return False
        if not self.holding:
            self.holding = True
            self.due = now + linger
        return now < self.due

    def written(self, now: float, size: int = 0, count: int = 0) -> None:
        """Everything that waited, `count` frames of `size` bytes in all, was handed to the transport."""
        self._full = size >= FLUSH_BYTES or count >= FLUSH_FRAMES
        self.holding = False
        self.due = inf
        self.written_at = now

    def clear(self) -> None:
        """There is no transport: nothing waits, and the next bytes leave at once."""
        self._full = False
        self.holding = False
        self.due = inf
        self.written_at = -inf
