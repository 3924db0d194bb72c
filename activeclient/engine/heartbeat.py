"""Pings, and the silence after which the peer counts as dead.

Law of this file: liveness is judged by the time of the last received byte alone, and the peer is dead exactly at
`last_received + ttl`: not at the next check after it. `next_timeout` names that very float, so a driver that wakes
then finds it due.
"""

from __future__ import annotations

from typing import Literal

from activeclient.errors import ConfigError


class Heartbeat:
    """When to ping and when to stop waiting for a sign of life, on one transport at a time.

    Args:
        ttl: `connectionTTL` in seconds; None: silence is never held against the peer.
        check_period: `clientFailureCheckPeriod` in seconds; None switches pings and checks off, the TTL's included.

    Raises:
        ConfigError: a number that is not positive.

    The effective `period` is at most half the TTL: with a longer one the server would drop a healthy, idle connection.
    The ping that tells the server our TTL at connect is the engine's business and comes without being asked for here.
    """

    __slots__ = ("_next_ping", "_running", "last_received", "period", "ttl")

    def __init__(self, ttl: float | None, check_period: float | None) -> None:
        if ttl is not None and not (ttl > 0):
            raise ConfigError("connectionTTL", ttl, "more than 0, or -1 for never")
        if check_period is not None and not (check_period > 0):
            raise ConfigError("clientFailureCheckPeriod", check_period, "more than 0, or -1 for never")
        self.ttl: float | None = ttl if check_period is not None else None
        """Seconds of silence that are allowed, or None."""
        self.period: float | None = check_period if check_period is None or ttl is None else min(check_period, ttl / 2)
        """Seconds between pings, or None."""
        self.last_received: float = 0.0
        """May be set directly on the hot path, to the time of the last received byte."""
        self._next_ping = 0.0
        self._running = False

    def started(self, now: float) -> None:
        """A transport stands, and the engine has pinged: count from here."""
        self.last_received = now
        self._next_ping = now + (self.period or 0.0)
        self._running = self.period is not None

    def stopped(self) -> None:
        """The transport is gone: nothing is due."""
        self._running = False

    def received(self, now: float) -> None:
        """At least one byte came."""
        self.last_received = now

    def due(self, now: float) -> Literal["ping", "dead"] | None:
        """What has to be done now; asking takes a due ping off the list, death stays due."""
        if not self._running or self.period is None:
            return None
        if self.ttl is not None and now >= self.last_received + self.ttl:
            return "dead"
        if now >= self._next_ping:
            self._next_ping = now + self.period
            return "ping"
        return None

    def next_timeout(self) -> float | None:
        """When `due` will have an answer, or None."""
        if not self._running:
            return None
        if self.ttl is None:
            return self._next_ping
        return min(self._next_ping, self.last_received + self.ttl)
