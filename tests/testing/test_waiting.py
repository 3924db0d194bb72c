"""Waiting for a condition."""

from __future__ import annotations

import pytest

from activeclient.testing import wait_until


def test_it_returns_when_the_condition_holds() -> None:
    looks = iter((0, "", None, [1]))
    wait_until(lambda: next(looks))
    assert list(looks) == []


def test_it_says_what_it_waited_for() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.01 s: the broker"):
        wait_until(lambda: False, 0.01, "the broker")
