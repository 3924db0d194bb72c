"""A pytest plugin that finds races: functions that end on another thread than the main one take a moment, at random.

    ./dev unit -p tests.slow_threads --slow-seed 3
    ./dev integration -p tests.slow_threads --slow-seed 3 -k listeners

A test that asserts what another thread has not done yet, and a client that assumes it, fail here every few runs instead
of once in a thousand. Law of this file: a seed and a test give the same slow functions each time, and no test is
delayed by more than a few seconds.
"""

from __future__ import annotations

import random
import threading
import time
from types import CodeType, FrameType

import pytest

SHARE = 0.08
"""How many of the functions are slow in a test."""
CALLS = 6
"""How often each of them is."""
MEAN, LONGEST = 0.05, 0.15
"""Seconds of one delay."""
MOST = 1.0
"""Seconds of all delays of a test."""
PLACES = ("activeclient", "integration", "tests", "threading.py", "queue.py", "logging")


class SlowThreads:
    """The profiling function of every thread that is started from now on."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._sleep = time.sleep  # tests replace it
        self._begin("")

    def _begin(self, test: str) -> None:
        self._random = random.Random(f"{self._seed} {test}")
        self._left: dict[CodeType, int] = {}
        self._spent = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Other functions are slow in each test."""
        self._begin(item.nodeid)

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        if event != "return":
            return
        code = frame.f_code
        left = self._left.get(code)
        if left is None:
            chosen = any(place in code.co_filename for place in PLACES) and self._random.random() < SHARE
            left = self._left[code] = CALLS if chosen else 0
        if left and self._spent < MOST:
            self._left[code] = left - 1
            seconds = min(LONGEST, self._random.expovariate(1 / MEAN))
            self._spent += seconds
            self._sleep(seconds)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow-seed", type=int, default=0, help="which functions are slow (tests.slow_threads)")


def pytest_configure(config: pytest.Config) -> None:
    slow = SlowThreads(config.getoption("--slow-seed"))
    config.pluginmanager.register(slow, "slow-threads")
    threading.setprofile(slow)


def pytest_unconfigure() -> None:
    threading.setprofile(None)  # type: ignore[arg-type]
