"""Durations as users give them.

Law of this file: a duration is seconds, as a number or a timedelta; never milliseconds.
"""

from __future__ import annotations

import sys
import warnings
from datetime import timedelta

from activeclient.errors import ConfigError

Duration = float | timedelta
"""Seconds, or a timedelta."""
INFINITE = float("inf")
MAX_SECONDS = 1e15
"""More than 30 million years: as milliseconds, added to the time of day, it fits Java's long."""


def in_seconds(name: str, value: Duration) -> float:
    """`value` in seconds.

    Raises:
        ConfigError: It is negative, or no duration.
    """
    kind = type(value)
    if (kind is float or kind is int) and 0 <= value < INFINITE:  # type: ignore[operator]
        return value  # type: ignore[return-value]
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < INFINITE:
        raise ConfigError(name, value, "must be seconds, not negative, or a timedelta")
    return value


LOOKS_LIKE_MILLISECONDS = 1000
"""A whole number of seconds from here on is taken for a slip: Java's calls take milliseconds."""


def timeout_seconds(name: str, value: Duration) -> float:
    """`value` in seconds, for how long a call waits; warns when it looks like milliseconds.

    An `int` of 1000 or more draws a `UserWarning`, shown at the caller's line; a float or a timedelta does not.

    Raises:
        ConfigError: It is negative, or no duration.
    """
    seconds = in_seconds(name, value)
    if type(value) is int and value >= LOOKS_LIKE_MILLISECONDS:
        warnings.warn(
            f"{name}={value} is in seconds, more than {value // 60} minutes; for {value / 1000:g} s write"
            f" {name}={value / 1000:g}, and if it is meant, {name}={value}.0 or a timedelta",
            stacklevel=_callers_level(),
        )
    return seconds


def _callers_level() -> int:
    """The stack level, for `warnings.warn` in `timeout_seconds`, of the first caller outside this package."""
    level = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("activeclient."):
        frame = frame.f_back
        level += 1
    return level


def in_milliseconds(name: str, value: Duration) -> int:
    """`value` in whole milliseconds; what is more than none is at least 1.

    Raises:
        ConfigError: It is negative, no duration, or longer than Java's milliseconds since 1970 can tell.
    """
    seconds = in_seconds(name, value)
    if seconds > MAX_SECONDS:
        raise ConfigError(name, value, f"must be at most {MAX_SECONDS:g} seconds")
    return max(1, round(seconds * 1000)) if seconds else 0
