"""Waiting for a condition in a test, instead of sleeping.

Law of this file: it returns as soon as the condition holds, and an end of patience is an assertion that says what was
waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LOOK = 0.005
"""Seconds between two looks."""


def wait_until(condition: Callable[[], object], timeout: float = 5.0, what: str = "") -> None:
    """Wait until `condition()` is true.

    Args:
        timeout: Seconds.
        what: What is waited for, in words.

    Raises:
        AssertionError: It did not become true in time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or condition}")
        time.sleep(LOOK)
