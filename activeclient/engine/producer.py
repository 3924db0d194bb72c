"""Producer credits: how many bytes may still be sent to an address.

Law of this file: credits are asked for before they run out, at most one window of them is outstanding or unused, and a
message larger than the window still gets what it needs. An address that is full and fails (FAIL policy) does not make
anybody wait: the send goes out and the server's error answers it.

The default window of Artemis (64 KiB) stops a sender after every few dozen messages until the answer is back, which
costs most of its throughput. So a pool that begins with the default, and with no other, doubles its window each time
a sender has found it empty, up to `MAX_WINDOW`; it falls back to the default when the server makes us wait.
"""

from __future__ import annotations

DEFAULT_WINDOW = 65536
"""producerWindowSize of Artemis' clients."""
MAX_WINDOW = 1 << 20
"""What a pool may grow to: what a sender needs to keep a broker busy, and little beside an address's memory."""


class CreditPool:
    """Credits of one session for one address; bytes of whole frames."""

    __slots__ = ("address", "asked", "balance", "blocked_at", "configured", "failing", "window")

    def __init__(self, address: str, window: int) -> None:
        self.address: str = address
        self.configured: int = window
        self.window: int = window
        self.balance: int = 0
        self.asked: int = 0
        self.failing: bool = False
        self.blocked_at: float | None = None
        """Since when listeners know that senders wait; None when none do."""

    def wanted(self, need: int = 0) -> int:
        """Credits to ask the server for now, so that `need` bytes can be sent; 0 for none. Counts them as asked for.

        Half a window is the rhythm: frequent enough that a steady sender never runs dry, rare enough to cost nothing.
        """
        held = self.balance + self.asked
        target = max(self.window, need)
        if held >= need and held > self.window // 2:
            return 0
        more = target - held
        if more <= 0:
            return 0
        self.asked += more
        return more

    def allows(self, size: int) -> bool:
        """May a frame of `size` bytes be sent now?"""
        return self.balance >= size or self.failing

    def ran_dry(self) -> None:
        """A sender found no credits although the address is not full: ask for more at a time."""
        if self.configured == DEFAULT_WINDOW and self.window < MAX_WINDOW:
            self.window *= 2

    def blocked(self) -> None:
        """The server lets us wait: hold no more than the setting says."""
        self.window = self.configured

    def granted(self, credits: int) -> None:
        """The server granted `credits` bytes."""
        self.failing = False
        self.balance += credits
        self.asked = max(0, self.asked - credits)

    def refused(self, credits: int) -> None:
        """The address is full and its policy is FAIL."""
        self.failing = True
        self.blocked()
        self.asked = max(0, self.asked - credits)

    def restart(self) -> None:
        """A new server session knows nothing of earlier credits."""
        self.balance = 0
        self.asked = 0
        self.failing = False
        self.blocked()
