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

# No deadline and no check of the speed: a machine that pauses for a second is no failure. Continuous integration tries
# the same examples each time, so that a failure there is one of the change; the nights look for new ones.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
PATIENT = settings.get_profile("patient")
settings.register_profile("quick", PATIENT, max_examples=50)
settings.register_profile("ci", PATIENT, max_examples=100, derandomize=True, print_blob=True)
settings.register_profile("night", PATIENT, max_examples=5000, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "quick")  # --hypothesis-profile wins
hear_interrupts()


@pytest.fixture(autouse=True)
def _no_leaks() -> Iterator[None]:
    leaks = Leaks()
    yield
    left = leaks.left(timeout=30.0)
    if left:
        pytest.fail("the test left behind: " + "; ".join(left), pytrace=False)
