"""Where the broker reads the time.

Law of this file: nothing in the model asks the operating system for the time, so that a test can hold, skew and advance
it.
"""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that only runs forwards, and the one on the wall, which may be set."""

    def monotonic(self) -> float:
        """Seconds, for timers."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970, for expiry, scheduled delivery and timestamps."""
