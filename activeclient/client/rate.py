"""Limits of messages per second (producerMaxRate, consumerMaxRate).

Law of this file: over any time of at least a second no more than `rate` messages a second pass, plus the first one; a
wait for the next place is a number of seconds, never a sleep.
"""

from __future__ import annotations


class RateLimit:
    """Places that come at a steady rate, without credit for times of silence (TokenBucketLimiter).

    Args:
        rate: Messages per second, more than 0.
    """

    __slots__ = ("_interval", "_next")

    def __init__(self, rate: int) -> None:
        self._interval = 1.0 / rate
        self._next = float("-inf")

    def take(self, now: float) -> float:
        """Take the next place; returns the seconds until it comes, 0 for now."""
        begin = max(now, self._next)
        self._next = begin + self._interval
        return begin - now
