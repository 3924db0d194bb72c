"""For every test here: nothing may be left behind, and how much hypothesis tries.

Law of this file: the profile changes how many examples are tried, never what is tested.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from integration.interrupts import hear_interrupts
from integration.leaks import Leaks

settings.register_profile("quick", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, print_blob=True)
settings.register_profile(
    "night", max_examples=5000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "quick")  # --hypothesis-profile wins
hear_interrupts()


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[None]:
    leaks = Leaks()
    yield
    left = leaks.left(timeout=5.0)
    if left:
        pytest.fail("the test left behind: " + "; ".join(left), pytrace=False)
