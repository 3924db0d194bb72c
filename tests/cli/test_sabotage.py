"""Cuts at random: as many as were asked for, the same for the same seed, and an end when they are to stop."""

from __future__ import annotations

import random
import threading
import time

from activeclient.cli.sabotage import Saboteur
from activeclient.testing.cuts import Direction, How


class Breaker:
    """Notes what it is asked for; an armed cut happens at once, or never."""

    def __init__(self, *, traffic: bool = True) -> None:
        self.cuts = 0
        self.armed: list[tuple[Direction, int, How]] = []
        self.forced: list[How] = []
        self._traffic = traffic

    def arm(self, direction: Direction, count: int, how: How) -> None:
        self.armed.append((direction, count, how))
        self.cuts += self._traffic

    def cut(self, how: How) -> None:
        self.forced.append(how)
        self.cuts += 1

    def last(self) -> str:
        return "cut"


def run(breaker: Breaker, seed: int, *, cuts: int = 20, unnoticed: bool = True) -> list[str]:
    said: list[str] = []
    saboteur = Saboteur(breaker, cuts, 0.05, random.Random(seed), said.append, unnoticed=unnoticed)
    saboteur.start()
    assert saboteur.done.wait(30)
    saboteur.join()
    return said


def test_as_many_cuts_are_made_as_were_asked_for() -> None:
    breaker = Breaker()
    assert run(breaker, 1)[-1] == "cut 20 of 20: cut"
    assert breaker.cuts == 20


def test_the_same_seed_gives_the_same_cuts() -> None:
    breakers = [Breaker(), Breaker(), Breaker()]
    for breaker, seed in zip(breakers, (7, 7, 8), strict=True):
        run(breaker, seed)
    assert breakers[0].armed == breakers[1].armed != breakers[2].armed


def test_cuts_that_the_broker_does_not_notice_are_made_only_where_they_may_be() -> None:
    breaker = Breaker()
    run(breaker, 1, cuts=50, unnoticed=False)
    assert {how for _, _, how in breaker.armed} == {How.RESET, How.FIN}


def test_a_cut_that_no_byte_reaches_is_made_at_once() -> None:
    breaker = Breaker(traffic=False)
    run(breaker, 1, cuts=1)
    assert len(breaker.forced) == 1


def test_it_ends_when_it_is_told_to() -> None:
    saboteur = Saboteur(Breaker(), 1, 3600.0, random.Random(1), lambda _: None, unnoticed=True)
    saboteur.start()
    began = time.monotonic()
    saboteur.join()
    assert time.monotonic() - began < 30
    assert saboteur.done.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "demo-cuts"]
