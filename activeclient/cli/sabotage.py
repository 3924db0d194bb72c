"""How the demo's connections are cut: by a proxy before a broker, or by a broker in this process itself.

Law of this file: the same seed gives the same cuts, at the same pauses, in the same places of the byte stream.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from activeclient.testing.cuts import Direction, How
from activeclient.testing.cutter import Cutter

if TYPE_CHECKING:
    from activeclient.broker.embedded import EmbeddedBroker

LONGEST_REACH = 60_000
"""Bytes from arming a cut to the cut itself, at most."""
PATIENCE = 0.5
"""Seconds in which the bytes of an armed cut should have passed; then it is made at once, or as soon as it can be."""
SHORT_TTL = {"connectionTTL": "10000", "clientFailureCheckPeriod": "2000"}
"""So that a broker that does not notice a cut, and cannot reattach, gives its messages back soon."""


class Breaker(Protocol):
    """What can cut the connections of the demo."""

    @property
    def cuts(self) -> int:
        """Cuts so far."""

    def arm(self, direction: Direction, count: int, how: How) -> None:
        """Cut when so many more bytes have passed in the direction."""

    def cut(self, how: How) -> None:
        """Cut now."""

    def last(self) -> str:
        """The newest cut in words."""


class ProxyBreaker:
    """Cuts by a proxy in this process."""

    def __init__(self, cutter: Cutter) -> None:
        self._cutter = cutter

    @property
    def cuts(self) -> int:
        return self._cutter.cuts

    def arm(self, direction: Direction, count: int, how: How) -> None:
        self._cutter.cut_after(direction, count, how)

    def cut(self, how: How) -> None:
        self._cutter.cut_now(how)

    def last(self) -> str:
        cut = self._cutter.happened[-1]
        return f"{cut.how.value}, after {cut.to_broker} bytes to the broker and {cut.to_client} from it"


class FaultBreaker:
    """Cuts by a broker in this process. In memory a connection can only be gone: how it went makes no difference."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._faults = broker.faults

    @property
    def cuts(self) -> int:
        return sum(": cut" in text for text in list(self._faults.history))

    def arm(self, direction: Direction, count: int, how: How) -> None:
        self._faults.cut_after(count, "to_broker" if direction is Direction.TO_BROKER else "to_client")

    def cut(self, how: How) -> None:
        self._faults.drop_connections()

    def last(self) -> str:
        return next((text for text in reversed(list(self._faults.history)) if ": cut" in text), "")


class Saboteur:
    """A thread that cuts so many times, spread over so many seconds at random.

    Args:
        unnoticed: May the broker be left with a connection that it takes for a living one?
        say: Called with a line for each cut.
    """

    def __init__(
        self,
        breaker: Breaker,
        cuts: int,
        seconds: float,
        rng: random.Random,
        say: Callable[[str], None],
        *,
        unnoticed: bool,
    ) -> None:
        self._breaker = breaker
        self._cuts = cuts
        self._seconds = seconds
        self._rng = rng
        self._say = say
        self._hows = [How.RESET, How.RESET, How.FIN, *([How.ABANDON] if unnoticed else [])]
        self._stopping = threading.Event()
        self.done: threading.Event = threading.Event()
        """All cuts were made, and the seconds are over."""
        self._thread = threading.Thread(target=self._run, name="demo-cuts")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Stop cutting."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            began = time.monotonic()
            moments = sorted(self._rng.uniform(0.05, 1.0) * self._seconds for _ in range(self._cuts))
            for number, moment in enumerate(moments, 1):
                if self._stopping.wait(max(0.0, began + moment - time.monotonic())):
                    return
                self._cut(number)
            self._stopping.wait(max(0.0, began + self._seconds - time.monotonic()))
        finally:
            self.done.set()

    def _cut(self, number: int) -> None:
        how = self._rng.choice(self._hows)
        direction = self._rng.choice(list(Direction))
        before = self._breaker.cuts
        self._breaker.arm(direction, self._rng.randrange(1, LONGEST_REACH), how)
        deadline = time.monotonic() + PATIENCE
        while self._breaker.cuts == before:  # the next bytes do it
            if self._stopping.wait(0.002):
                return
            if time.monotonic() > deadline:
                self._breaker.cut(how)
                deadline += PATIENCE  # there may have been no connection to cut
        self._say(f"cut {number} of {self._cuts}: {self._breaker.last()}")
