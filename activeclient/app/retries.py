"""What becomes of a message whose handler failed: another attempt after a delay, or the dead-letter address.

Law of this file: the decision follows from the error, the attempt and the listener's settings alone; no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from activeclient.errors import ConfigError
from activeclient.jms.times import Duration, in_seconds
from activeclient.masking import without_secrets

Backoff = Duration | Sequence[Duration] | Callable[[int], Duration]
"""Seconds before the next attempt: always the same; one for each attempt that failed, the last one for all others; or a
function of the number of the attempt that failed, which is 1 for the first."""

ATTEMPT = "activeclient_attempt"
"""Property of a message that is tried again: the number of attempts that failed so far."""
ATTEMPTS = "activeclient_attempts"
"""Properties of a dead letter: how many attempts were made,"""
ERROR = "activeclient_error"
"""the text of the last error, without secrets and cut,"""
ERROR_TYPE = "activeclient_error_type"
"""its class,"""
FAILED_AT = "activeclient_failed_at"
"""when, in milliseconds since 1970,"""
ORIGIN = "activeclient_origin"
"""the destination of the listener,"""
MESSAGE_ID = "activeclient_message_id"
"""and the JMSMessageID with which the message was first received; of a message that is tried again too."""
OWN = (ATTEMPT, ATTEMPTS, ERROR, ERROR_TYPE, FAILED_AT, ORIGIN, MESSAGE_ID)
MAX_ERROR = 1000
"""Characters of an error's text that travel with a dead letter."""
MAX_DELAY = 365 * 86400.0
"""Seconds; longer delays are cut to it."""


class Reject(Exception):
    """Raised by a handler: the message goes to the dead-letter address at once, without further attempts."""


@dataclass(frozen=True, slots=True)
class Again:
    """The message is tried again."""

    delay: float
    """Seconds before it is delivered again."""


@dataclass(frozen=True, slots=True)
class Dead:
    """The message goes to the dead-letter address."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a listener's messages are tried, and after which delays."""

    retries: int
    """Attempts after the first one."""
    backoff: Backoff

    def decide(self, error: BaseException, attempt: int, *, unreadable: bool = False) -> Again | Dead:
        """What becomes of a message.

        Args:
            error: What the handler raised.
            attempt: The number of the attempt that failed, 1 for the first.
            unreadable: The body could not be read, which no further attempt changes.
        """
        if unreadable or isinstance(error, Reject) or attempt > self.retries:
            return Dead()
        return Again(min(self.delay(attempt), MAX_DELAY))

    def delay(self, attempt: int) -> float:
        """Seconds before the attempt after the one of this number.

        Raises:
            ConfigError: A function of the application gave no duration.
        """
        backoff = self.backoff
        if isinstance(backoff, Sequence):
            return in_seconds("backoff", backoff[min(attempt, len(backoff)) - 1])
        return in_seconds("backoff", backoff(attempt) if callable(backoff) else backoff)


def exponential(first: Duration = 1.0, *, multiplier: float = 2.0, maximum: Duration = 300.0) -> Callable[[int], float]:
    """A backoff that grows: `first`, then `multiplier` times as much after each attempt, up to `maximum`.

    Args:
        first: Seconds or a timedelta.
        maximum: Seconds or a timedelta.

    Raises:
        ConfigError: A duration is wrong, or the multiplier less than 1.
    """
    begin, limit = in_seconds("first", first), in_seconds("maximum", maximum)
    if isinstance(multiplier, bool) or not isinstance(multiplier, int | float) or not multiplier >= 1:
        raise ConfigError("multiplier", None, "must be a number, at least 1")

    def delay(attempt: int) -> float:
        try:
            return float(min(limit, begin * multiplier ** (attempt - 1)))
        except OverflowError:
            return float(limit)

    return delay


def check_backoff(backoff: object) -> None:
    """Refuse what is no backoff.

    Raises:
        ConfigError: No duration, empty, or nothing of that kind.
    """
    if callable(backoff):
        return
    if isinstance(backoff, Sequence) and not isinstance(backoff, str | bytes):
        if not backoff:
            raise ConfigError("backoff", None, "must not be empty")
        for each in backoff:
            in_seconds("backoff", each)
    elif isinstance(backoff, int | float | timedelta):
        in_seconds("backoff", backoff)
    else:
        raise ConfigError(
            "backoff", None, f"must be seconds, a list of seconds or a function, not {type(backoff).__name__}"
        )


def described(error: BaseException) -> dict[str, str]:
    """The properties that tell of an error: its class and its text, without secrets."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    try:
        text = str(error)
    except Exception as failure:
        text = f"its text cannot be had: {type(failure).__name__}"
    shown = without_secrets(text)
    if len(shown) > MAX_ERROR:
        shown = f"{shown[:MAX_ERROR]}..."
    return {ERROR: shown, ERROR_TYPE: f"{module}{kind.__qualname__}"}


def attempts_made(properties: Mapping[str, object]) -> int:
    """How many attempts failed, as a received message tells."""
    made = properties.get(ATTEMPT)
    return int(made) if isinstance(made, int) and not isinstance(made, bool) and made > 0 else 0
