"""Many lifetimes: nothing lost, nothing twice, order kept, everything ends, whatever is cut.

`ACTIVECLIENT_LIFETIMES` sets how many (and from `ACTIVECLIENT_FIRST_LIFETIME` on); a failure names its seed and the
command that repeats it. `python -m tests.world --seeds A:B` runs a part of them in a process of its own.
"""

from __future__ import annotations

import os

import pytest

from tests.world.world import live

LIFETIMES = int(os.environ.get("ACTIVECLIENT_LIFETIMES", "600"))
FIRST = int(os.environ.get("ACTIVECLIENT_FIRST_LIFETIME", "0"))
PARTS = 20
STORMS_PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_lifetimes_keep_every_promise(part: int) -> None:
    for seed in range(FIRST + part, FIRST + LIFETIMES, PARTS):
        live(seed)


@pytest.mark.parametrize("part", range(STORMS_PARTS))
def test_lifetimes_keep_every_promise_while_calls_of_the_engine_are_interrupted(part: int) -> None:
    for seed in range(FIRST + part, FIRST + LIFETIMES // 2, STORMS_PARTS):
        live(seed, stormy=True)


def test_storms_interrupt_recreations_and_what_mends_them() -> None:
    storms = [live(seed, stormy=True).driver.storm for seed in range(60)]
    assert sum(storm.count for storm in storms if storm is not None) > 100


def test_a_lifetime_is_repeated_by_its_seed() -> None:
    def story(seed: int, *, stormy: bool = False) -> list[str]:
        world = live(seed, stormy=stormy)
        return [f"{when} {type(event).__name__}" for when, event in world.driver.log]

    assert story(7) == story(7)
    assert story(7) != story(8)
    assert story(9, stormy=True) == story(9, stormy=True)


def test_the_lifetimes_meet_what_they_are_made_for() -> None:
    """A world without faults proves nothing: over some seeds every kind of recovery happens, and often."""
    kinds: dict[str, int] = {}
    for seed in range(120):
        for _, event in live(seed).driver.log:
            kinds[type(event).__name__] = kinds.get(type(event).__name__, 0) + 1
    expected = ("Detached", "Reconnected", "ConnectAttemptFailed", "SessionReattached", "SessionRecreated")
    assert all(kinds.get(kind, 0) > 20 for kind in expected), kinds
    assert kinds.get("LargeMessageDamaged", 0) > 0, kinds
    assert kinds.get("SendFailed", 0) > 0, kinds
