"""Durations: seconds or timedeltas, never negative."""

from __future__ import annotations

from datetime import timedelta

import pytest

from activeclient.errors import ConfigError
from activeclient.jms.times import in_milliseconds, in_seconds


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [(0, 0), (1, 1000), (0.25, 250), (timedelta(minutes=1), 60_000), (0.0001, 1), (timedelta(microseconds=1), 1)],
)
def test_durations_become_milliseconds(value: float | timedelta, milliseconds: int) -> None:
    assert in_milliseconds("t", value) == milliseconds


@pytest.mark.parametrize("value", [-1, timedelta(seconds=-1), float("nan"), float("inf"), "5", None, True])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="t"):
        in_seconds("t", value)  # type: ignore[arg-type]
