"""Rules of faults, and the lines in which packets wait.

Law of this file: a rule counts the packets that it is for, and meets exactly those that it names; a line keeps the
order of what waits in it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from activeclient.errors import ConfigError
from activeclient.wire import packets as p
from activeclient.wire.packet import Packet

DROP: Final = "drop"
DUPLICATE: Final = "duplicate"
REORDER: Final = "reorder"
DELAY: Final = "delay"
CUT: Final = "cut"
_WAYS: Final = {"client": ("to_broker",), "server": ("to_client",), "both": ("to_broker", "to_client")}

PacketLike = str | type[Packet]


def kinds_of(packet: PacketLike, direction: str | None) -> frozenset[tuple[int, str]]:
    """Type number and direction of the packets that are meant.

    Raises:
        ConfigError: No packet has this name, or it does not go that way.
    """
    declared = _named(packet) if isinstance(packet, str) else packet
    ways = _WAYS[declared.SENT_BY]
    if direction is not None and direction not in ways:
        raise ConfigError("direction", direction, f"{declared.__name__} goes {' and '.join(ways)} only")
    return frozenset((kind, way) for kind in declared.KINDS for way in ways if direction is None or way == direction)


def _named(name: str) -> type[Packet]:
    found: type[Packet] | None = getattr(p, name, None) if name in p.__all__ else None
    if found is None:
        import difflib  # for this alone

        near = difflib.get_close_matches(name, p.__all__, 1)
        raise ConfigError("packet", name, f"is no packet{f'; did you mean {near[0]}?' if near else ''}")
    return found


class Rule:
    """One fault, for some packets.

    Args:
        nth: The first packet that it meets, from 1.
        times: How many it meets in a row; None for ever.
        seconds: For how long, or whatever else the action needs to know.
        larger_than: Only packets of more bytes are counted and met, their length field included.

    Raises:
        ConfigError: A number out of its range; and as `kinds_of`.
    """

    __slots__ = ("_kinds", "_larger_than", "_left", "_to_pass", "action", "seconds")

    def __init__(
        self,
        action: str,
        packet: PacketLike,
        nth: int,
        times: int | None,
        direction: str | None,
        seconds: float = 0.0,
        larger_than: int = 0,
    ) -> None:
        if nth < 1:
            raise ConfigError("nth", nth, "counts from 1")
        if times is not None and times < 1:
            raise ConfigError("times", times, "must be at least 1, or None")
        if seconds < 0:
            raise ConfigError("seconds", seconds, "must not be negative")
        if larger_than < 0:
            raise ConfigError("larger_than", larger_than, "must not be negative")
        self.action: str = action
        self._larger_than = larger_than
        self.seconds: float = seconds
        self._kinds = kinds_of(packet, direction)
        self._to_pass = nth - 1
        self._left = times

    @property
    def over(self) -> bool:
        """Has it met all that it was for?"""
        return self._left == 0

    def meets(self, kind: int, direction: str, size: int) -> bool:
        """Is this packet met? Counts it."""
        if (kind, direction) not in self._kinds or size <= self._larger_than:
            return False
        if self._to_pass:
            self._to_pass -= 1
            return False
        if self._left is not None:
            self._left -= 1
        return True


class Line:
    """Packets of one direction of one connection."""

    __slots__ = ("_aside", "_held", "count", "direction", "left")

    def __init__(self, direction: str) -> None:
        self.direction: str = direction
        self.count: int = 0
        self.left: int | None = None
        """Bytes until the connection is cut; None never."""
        self._held: deque[tuple[float, bytes]] = deque()
        self._aside: tuple[float, bytes] | None = None

    def __bool__(self) -> bool:
        return self.left is not None or bool(self._held) or self._aside is not None

    @property
    def due(self) -> float | None:
        """When something may pass; None when nothing waits."""
        found = self._held[0][0] if self._held else None
        if self._aside is not None:
            found = self._aside[0] if found is None else min(found, self._aside[0])
        return found

    def take(self, frame: bytes, now: float) -> list[bytes]:
        """What passes now that this packet has come: itself and the one that it overtakes, or nothing."""
        if self._held:
            self._held.append((self._held[-1][0], frame))
            return []
        if self._aside is not None:
            overtaken = self._aside[1]
            self._aside = None
            return [frame, overtaken]
        return [frame]

    def hold(self, frame: bytes, until: float) -> None:
        """Keep it, and all that come after it."""
        self._held.append((max(until, self._held[-1][0]) if self._held else until, frame))

    def set_aside(self, frame: bytes, until: float) -> None:
        """Keep it until another has passed."""
        if self._aside is not None:
            self.hold(self._aside[1], 0.0)
        self._aside = (until, frame)

    def open(self) -> None:
        """Nothing waits for its time any more."""
        self._held = deque((0.0, frame) for _, frame in self._held)
        if self._aside is not None:
            self._aside = (0.0, self._aside[1])

    def release(self, now: float) -> list[bytes]:
        """What waited long enough, in order."""
        passed = []
        while self._held and self._held[0][0] <= now:
            passed.append(self._held.popleft()[1])
        if self._aside is not None and self._aside[0] <= now:
            passed.append(self._aside[1])
            self._aside = None
        return passed
