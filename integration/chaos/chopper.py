"""Cuts, one after the other, while traffic runs: each connection gets one, at a random byte, early or late.

Law: a seed decides kinds, directions and positions; the next cut is armed when the next connection is accepted, in the
forwarder itself, so neither the place of a cut nor their number depends on how threads are scheduled.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence

from activeclient.testing.cuts import Cut, Direction, How
from activeclient.testing.cutter import Cutter

ALL = (How.RESET, How.RESET, How.FIN, How.ABANDON)
"""RST twice as often: it destroys what is on its way."""


class Chopper:
    """Cuts connections of *cutter* until *cuts* have met connections in use. A context manager.

    *high*: such a cut comes within so many bytes. *inside*: the share of cuts that come within the first
    *inside_bytes* of a connection instead, that is while sessions reattach; they are counted apart. *first*: the
    bound of the first cut. *directions*: those whose bytes are counted.
    """

    def __init__(
        self,
        cutter: Cutter,
        seed: int,
        cuts: int,
        *,
        high: int = 120_000,
        hows: Sequence[How] = ALL,
        directions: Sequence[Direction] = tuple(Direction),
        inside: float = 0.3,
        inside_bytes: int = 700,
        first: int | None = None,
    ) -> None:
        self._cutter = cutter
        self._random = random.Random(seed)
        self._wanted = cuts
        self._high, self._hows, self._directions = high, hows, directions
        self._inside, self._inside_bytes = inside, inside_bytes
        self._first_within = first or high
        self._early: set[int] = set()
        self._first = cutter.cuts
        self.done = threading.Event()
        """Set when the last cut happened and its successor stands."""

    @property
    def main(self) -> int:
        """Cuts of connections in use."""
        return self._cutter.cuts - self._first - self.further

    @property
    def further(self) -> int:
        """Cuts in the first bytes of a connection."""
        happened = list(self._cutter.happened)  # at once: the cutter goes on
        return sum(1 for one in happened if one.connection in self._early)

    def _cut(self) -> Cut:
        source = self._random
        return Cut(source.choice(self._directions), source.randrange(1, self._high), source.choice(self._hows))

    def _plan(self) -> Iterator[Cut]:
        source = self._random
        while True:
            if source.random() < self._inside:
                self._early.add(self._cutter.accepted - 1)
                position = source.randint(0, self._inside_bytes)
                yield Cut(source.choice(self._directions), position, source.choice(self._hows))
            elif self.main >= self._wanted:  # a connection may have ended otherwise, before its cut
                self.done.set()
                return
            else:
                yield self._cut()

    def stop(self) -> None:
        """No further connection gets a cut."""
        self._cutter.plan(())
        self.done.set()

    def __enter__(self) -> Chopper:
        self._cutter.plan(self._plan())
        cut = self._cut()
        self._cutter.cut_after(cut.direction, cut.position % self._first_within, cut.how)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
