"""What a connection's events say of its outages: how often, how long, and how long each part of it took.

Law of this file: it only listens; every number comes from an event of the client, none is measured beside it.
"""

from __future__ import annotations

import statistics
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from activeclient.events import (
    Detached,
    Event,
    GaveUp,
    Reconnected,
    ReplayConfirmed,
    SendFailed,
    SessionReattached,
    SessionRecreated,
)

PARTS = ("detect", "connect", "reattach", "settle", "replay")
"""Of a reattachment, in their order."""
KEPT = 10_000
"""Durations of each part that are kept, the newest."""


@dataclass(slots=True)
class Durations:
    """Durations of one kind, in seconds."""

    values: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def last(self) -> float | None:
        return self.values[-1] if self.values else None

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values else None

    @property
    def longest(self) -> float | None:
        return max(self.values, default=None)

    def record(self) -> dict[str, float | None]:
        """Milliseconds."""
        found = {"last": self.last, "median": self.median, "longest": self.longest}
        return {name: None if value is None else round(value * 1000, 3) for name, value in found.items()}


class Outages:
    """An event listener that keeps count.

    Args:
        say: Called with a line for each event that people want to see.
        fail: Called with what should not have happened.
    """

    def __init__(self, say: Callable[[str], None], fail: Callable[[str], None]) -> None:
        self._say = say
        self._fail = fail
        self._lock = threading.Lock()
        self.lost: int = 0
        """Connections that were lost."""
        self.back: int = 0
        self.reattached: int = 0
        """Sessions."""
        self.recreated: int = 0
        self.replayed: int = 0
        """Commands that were sent again to reattached sessions, and messages to recreated ones."""
        self.spared: int = 0
        """Commands that were not repeated, for the broker had finished them although it had not said so."""
        self.parts: dict[str, Durations] = {part: Durations() for part in PARTS}
        self.outages: Durations = Durations()
        """From each loss to the connection's return."""

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._hear(event)

    def _hear(self, event: Event) -> None:
        match event:
            case Detached():
                self.lost += 1
                self._say(f"lost: {event.reason}")
            case SessionReattached():
                self.reattached += 1
                self.replayed += event.replayed
                self.spared += event.confirmed
                times = (event.silent, event.connecting, event.reattaching, event.settling)
                for part, seconds in zip(PARTS, times, strict=False):
                    self.parts[part].values.append(seconds)
            case ReplayConfirmed():
                self.parts["replay"].values.append(event.seconds)
            case SessionRecreated():
                self.replayed += event.resent
            case Reconnected():
                self.back += 1
                self.recreated += event.recreated
                self.outages.values.append(event.seconds)
                how = f"{event.reattached} sessions reattached" if event.reattached else ""
                anew = f"{event.recreated} sessions made anew" if event.recreated else ""
                attempts = "" if event.attempts == 1 else f", at attempt {event.attempts}"
                what = " and ".join(part for part in (how, anew) if part) or "no session yet"
                self._say(f"back after {event.seconds * 1000:.1f} ms{attempts}: {what}")
            case GaveUp():
                self._fail(f"gave up: {event.reason}")
            case SendFailed():
                self._fail(f"a send failed: {event.error}")
            case _:
                pass
