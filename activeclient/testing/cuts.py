"""Cuts of a connection as values: where, in which direction, and what is done.

Law of this file: the same seed gives the same cuts.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from activeclient.masking import always_shown


class Direction(enum.Enum):
    """Which stream of a connection."""

    TO_BROKER = "to broker"
    TO_CLIENT = "to client"


class How(enum.Enum):
    """What a cut does."""

    RESET = "reset"
    """RST to both sides."""
    FIN = "fin"
    """Orderly end of both streams."""
    ABANDON = "abandon"
    """RST to the client; the broker's connection stays open, unread: the broker does not notice."""
    BLACK_HOLE = "black hole"
    """Both connections stay open, nothing passes in either direction."""
    HALF_OPEN = "half open"
    """Both connections stay open, nothing passes in the cut's direction; the other one works."""


@always_shown
@dataclass(frozen=True, slots=True)
class Cut:
    """A cut when *position* bytes have passed in *direction* since the start of the connection."""

    direction: Direction
    position: int
    how: How = How.RESET

    def __post_init__(self) -> None:
        if self.position < 0:
            raise ValueError(f"position must be 0 or more, not {self.position}")


@always_shown
@dataclass(frozen=True, slots=True)
class Happened:
    """A cut that took place: on which connection (counted from 0), and how many bytes had passed each way."""

    connection: int
    how: How
    to_broker: int
    to_client: int


def random_cuts(
    seed: int,
    low: int,
    high: int,
    *,
    directions: Sequence[Direction] = tuple(Direction),
    hows: Sequence[How] = (How.RESET,),
) -> Iterator[Cut]:
    """An endless plan: one cut for each connection, at a position from *low* to *high*, the same for the same seed."""
    source = random.Random(seed)
    while True:
        yield Cut(source.choice(directions), source.randint(low, high), source.choice(hows))
