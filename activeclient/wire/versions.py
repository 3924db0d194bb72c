"""Protocol numbers of CORE, named after the Artemis release that brought them.

Law of this file: a number never changes its meaning; whoever compares versions does it with these names. A server
accepts a session for the numbers of its list only, by equality, so a client walks down `SUPPORTED` until one is taken;
then both speak the smaller of their numbers. Source: VersionLoader and PacketImpl of Artemis.
"""

from __future__ import annotations

from typing import Final

HORNETQ_TOPOLOGY: Final = 122
"""Topology with an event id (HornetQ 2.x)."""
HORNETQ_DISCONNECT_CONSUMER: Final = 124
V1_0: Final = 125
"""Disconnect and topology with scale-down."""
V1_3: Final = 126
"""Queue and binding query answers that name auto-creation."""
V1_5: Final = 127
"""Binding query answers that name address auto-creation."""
CONSUMER_KILL: Final = 128
V2_0: Final = 129
"""Addresses and routing types; the present layout of messages."""
V2_7: Final = 130
"""Correlation ids, consumer priority."""
V2_18: Final = 131
"""Client id in session creation, the server's version in the topology, reasons of a disconnect."""
V2_21: Final = 132
"""Correlation id of a commit."""
V2_24: Final = 133
"""Replication only."""
V2_28: Final = 134
"""Producers are announced; sends name theirs."""
V2_29: Final = 135
"""Binding query answers that name routing types."""
V2_37: Final = 136
"""Cluster voting only."""

OLDEST: Final = 121
NEWEST: Final = V2_37
SUPPORTED: Final[tuple[int, ...]] = tuple(range(NEWEST, OLDEST - 1, -1))
"""What we speak, the best first."""

_RELEASES: Final = {
    V1_0: "Artemis 1.0",
    V1_3: "Artemis 1.3",
    V1_5: "Artemis 1.5",
    CONSUMER_KILL: "Artemis 1.5",
    V2_0: "Artemis 2.0",
    V2_7: "Artemis 2.7",
    V2_18: "Artemis 2.18",
    V2_21: "Artemis 2.21",
    V2_24: "Artemis 2.24",
    V2_28: "Artemis 2.28",
    V2_29: "Artemis 2.29",
    V2_37: "Artemis 2.37",
}


def release(version: int) -> str:
    """The broker release that brought a protocol version, such as "Artemis 2.29"."""
    return _RELEASES.get(version, "HornetQ")
