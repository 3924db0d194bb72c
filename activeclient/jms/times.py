"""Durations as users give them.

Law of this file: a duration is seconds, as a number or a timedelta; never milliseconds.
"""

from __future__ import annotations

from datetime import timedelta

from activeclient.errors import ConfigError

Duration = float | timedelta
"""Seconds, or a timedelta."""
INFINITE = float("inf")


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


def in_milliseconds(name: str, value: Duration) -> int:
    """`value` in whole milliseconds; what is more than none is at least 1.

    Raises:
        ConfigError: It is negative, or no duration.
    """
    seconds = in_seconds(name, value)
    return max(1, round(seconds * 1000)) if seconds else 0
