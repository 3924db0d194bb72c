"""When waiting bytes are written: at once, or together with those that follow.

Law of this file: bytes wait for company at most `linger` seconds after the first of them, and only while the outbox is
busy; nothing here reads a clock. One write a message costs more than everything else of a send together, and holding
back for confirmations (as Nagle's algorithm does) would wait for what comes once a window.
"""

from __future__ import annotations

from math import inf

FLUSH_BYTES = 64 * 1024
"""Waiting bytes from which on company no longer pays: a write of this size is as cheap a byte as any larger one."""

CONGESTED_BYTES = 1024 * 1024
"""Bytes that the peer has not taken, from which on senders wait."""


class Outbox:
    """The state of the decision.

    Args:
        linger: Seconds that the first waiting byte waits for company; 0 writes at once, always.
    """

    __slots__ = ("due", "holding", "linger", "written_at")

    def __init__(self, linger: float) -> None:
        self.linger = linger
        self.holding = False
        """Bytes wait, and their timer is `due`."""
        self.due = inf
        self.written_at = -inf

    def hold(self, pending: int, now: float) -> bool:
        """May these bytes wait? If so, they wait until `due`."""
        if pending >= FLUSH_BYTES or now - self.written_at >= self.linger:
            return False
        if not self.holding:
            self.holding = True
            self.due = now + self.linger
        return now < self.due

    def written(self, now: float) -> None:
        """Everything that waited was handed to the transport."""
        self.holding = False
        self.due = inf
        self.written_at = now

    def clear(self) -> None:
        """There is no transport: nothing waits, and the next bytes leave at once."""
        self.holding = False
        self.due = inf
        self.written_at = -inf
