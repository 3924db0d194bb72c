"""Virtual time: what is due happens in order, and the clock jumps to the next thing that is.

Law of this file: nothing waits and nothing is random; two runs with the same calls are the same. Every step is
counted, so that a world which spins without time passing is a failure and not a hang.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable


class LiveLock(AssertionError):
    """More steps than any honest run needs."""


class Timer:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("call", "when")

    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """It will not happen."""
        self.call = None


class Clock:
    """Seconds from 0.

    Args:
        steps: How many things may happen in all.
    """

    def __init__(self, steps: int) -> None:
        self.now = 0.0
        self.steps_left = steps
        self._heap: list[tuple[float, int, Timer]] = []
        self._serial = 0

    def at(self, when: float, call: Callable[[], None]) -> Timer:
        """Have `call` happen at `when`, or now if that is over."""
        timer = Timer(max(when, self.now), call)
        self._serial += 1
        heapq.heappush(self._heap, (timer.when, self._serial, timer))
        return timer

    def later(self, delay: float, call: Callable[[], None]) -> Timer:
        """Have `call` happen in `delay` seconds."""
        return self.at(self.now + delay, call)

    def step(self, limit: float) -> bool:
        """Do the next thing that is due by `limit`; False when there is none (the clock is at `limit` then).

        Raises:
            LiveLock: The steps are used up.
        """
        heap = self._heap
        while heap:
            when, _, timer = heap[0]
            if when > limit:
                break
            heapq.heappop(heap)
            if timer.call is not None:
                self.steps_left -= 1
                if self.steps_left < 0:
                    raise LiveLock(f"no steps left at {self.now:.3f} s: something goes round in circles")
                self.now = when
                timer.call()
                return True
        self.now = limit
        return False
