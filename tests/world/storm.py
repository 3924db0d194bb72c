"""Interrupts of the engine's calls, at places that a seed chooses.

Law of this file: an interrupt comes where the interpreter lets a signal handler run, within the engine and nowhere
else; when the time is over, none comes any more.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import activeclient.engine
from integration.interrupts import interrupt
from tests.world.clock import Clock

ENGINE = str(Path(activeclient.engine.__file__).parent)
"""What only this does comes from the seed: the code below it is made when it is first needed."""
FURTHEST = 3.5
"""Power of ten: the most places between two interrupts."""


class Storm:
    """Interrupts at places of `rng` until `end()` seconds."""

    def __init__(self, clock: Clock, rng: random.Random, end: Callable[[], float]) -> None:
        self._clock = clock
        self._rng = rng
        self._end = end
        self._left = self._distance()
        self.count = 0
        """Interrupts so far."""

    def _distance(self) -> int:
        return int(10 ** self._rng.uniform(0.0, FURTHEST)) + 1

    def interrupts(self, call: Callable[[], None]) -> bool:
        """Call; return True if it was interrupted."""
        if self._clock.now >= self._end():
            call()
            return False
        outcome = interrupt(call, self._left, ENGINE)
        if outcome.interrupted:
            self.count += 1
            self._left = self._distance()
        else:
            self._left = max(1, self._left - outcome.points)
        return outcome.interrupted
