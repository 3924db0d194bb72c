"""When to try again, and when to stop trying: pauses and limits as values.

Law of this file: a policy answers from (failures, elapsed seconds) alone; it never sleeps and reads no clock, and our
own waits draw random numbers only from the source that they were given. tenacity's `wait` and `stop` objects are
evaluated here and nowhere else. What a policy answers is made safe in one place, `safe_pause`: never negative,
never NaN, never longer than `LONGEST_PAUSE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import Future, RetryCallState, Retrying
from tenacity.stop import stop_after_attempt, stop_after_delay, stop_base, stop_never
from tenacity.wait import wait_base, wait_fixed

from activeclient.errors import ConfigError, ConnectionLost

Strategy = Callable[[int, float], float | None]
"""`(failures, seconds since the outage began) -> seconds to wait before the next attempt`; None ends the series.

It is first asked with 0 failures, so it can delay or forbid even the first attempt. A `RetryPolicy` is one."""

LONGEST_PAUSE = (2**31 - 1) / 1000
"""Seconds; the largest time-out that poll(2) takes. tenacity's own default maximum is far above it."""

_NOBODY = Retrying()
_FAILED = Future.construct(1, ConnectionLost("the connection was lost"), True)


def safe_pause(seconds: float) -> float:
    """`seconds` as a pause that can be armed: NaN and negative numbers are 0, the rest is at most `LONGEST_PAUSE`."""
    return min(float(seconds), LONGEST_PAUSE) if seconds > 0 else 0.0


def _at(attempt: int, elapsed: float) -> RetryCallState:
    """What tenacity's objects look at, with the caller's clock in place of its own."""
    state = RetryCallState(_NOBODY, None, (), {})
    state.attempt_number = attempt
    state.start_time = 0.0
    state.outcome_timestamp = elapsed
    state.outcome = _FAILED
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """A tenacity wait and a tenacity stop, evaluated but never slept on.

    Attributes:
        wait: Seconds after the n-th failed round.
        stop: Whether the series is over after the n-th failed round.
        immediate: The first attempt comes at once; else the first wait comes before it too.
        every_try: Wait after every single try, not only when every endpoint was tried once.
        give_up_after: Seconds from the beginning of the series to its end, whatever is going on then. `stop` is only
            asked between attempts; this also ends an attempt that hangs, and the last wait.
    """

    wait: wait_base
    stop: stop_base
    immediate: bool = True
    every_try: bool = False
    give_up_after: float | None = None

    def pause(self, attempt: int, elapsed: float) -> float | None:
        """Seconds before attempt number `attempt` + 1, after `attempt` failures; None when the series is over."""
        state = _at(attempt, elapsed)
        # tenacity's own order: the wait first, since `stop_before_delay` looks at what would be slept.
        state.upcoming_sleep = seconds = self._first(elapsed) if attempt <= 0 else self.between(attempt, elapsed)
        return None if self.stop(state) else seconds

    __call__ = pause

    def between(self, attempt: int, elapsed: float) -> float:
        """The wait after `attempt` failures, without asking whether the series is over."""
        return safe_pause(self.wait(_at(max(attempt, 1), elapsed)))

    def over(self, attempt: int, elapsed: float) -> bool:
        """Whether the series is over, with no wait to come."""
        return bool(self.stop(_at(attempt, elapsed)))

    def _first(self, elapsed: float) -> float:
        return 0.0 if self.immediate else self.between(1, elapsed)


class wait_artemis(wait_base):  # noqa: N801 - a tenacity object, named as they are
    """The pauses of Artemis' client: r, min(r*m, max), min(r*m*m, max), ... in whole milliseconds.

    As in ClientSessionFactoryImpl each step is truncated to whole milliseconds before the next is computed, and the
    *first* pause is not capped: 3000 with the default maximum of 2000 gives 3000, 2000, 2000.

    Args:
        retry_interval_ms: The first pause; 0 or more.
        multiplier: Factor from each pause to the next; 0 or more and finite.
        max_retry_interval_ms: Limit of the second and later pauses; 0 or more.
        jitter: 0 to 1: the largest part of a pause that may be taken off at random; 0 is Artemis' behaviour.
        rng: Numbers in [0, 1); needed for a jitter.

    Raises:
        ConfigError: a value is out of its range.
    """

    def __init__(
        self,
        retry_interval_ms: int,
        multiplier: float,
        max_retry_interval_ms: int,
        jitter: float = 0.0,
        rng: Callable[[], float] | None = None,
    ) -> None:
        if retry_interval_ms < 0:
            raise ConfigError("retryInterval", retry_interval_ms, "milliseconds, 0 or more")
        if not (0 <= multiplier < math.inf):
            raise ConfigError("retryIntervalMultiplier", multiplier, "a finite factor, 0 or more")
        if max_retry_interval_ms < 0:
            raise ConfigError("maxRetryInterval", max_retry_interval_ms, "milliseconds, 0 or more")
        if not (0 <= jitter <= 1):
            raise ConfigError("jitter", jitter, "a fraction from 0 to 1")
        if jitter and rng is None:
            raise ConfigError("jitter", jitter, "needs a source of random numbers")
        self._interval = int(retry_interval_ms)
        self._multiplier = multiplier
        self._maximum = int(max_retry_interval_ms)
        self._jitter = jitter
        self._rng = rng

    def __call__(self, retry_state: RetryCallState) -> float:
        seconds = self.milliseconds(retry_state.attempt_number) / 1000
        if self._rng is not None and self._jitter:
            seconds *= 1 - self._jitter * self._rng()
        return seconds

    def milliseconds(self, attempt: int) -> int:
        """The pause after the `attempt`-th failure (from 1), without jitter."""
        interval = self._interval
        for _ in range(attempt - 1):
            product = interval * self._multiplier
            following = self._maximum if product >= self._maximum else int(product)
            if following == interval:  # it stays so: attempt one million costs no more than attempt ten
                break
            interval = following
        return interval


def artemis_policy(
    retry_interval_ms: int = 2000,
    multiplier: float = 1.0,
    max_retry_interval_ms: int = 2000,
    attempts: int = 0,
    jitter: float = 0.0,
    rng: Callable[[], float] | None = None,
) -> RetryPolicy:
    """Artemis' reconnection; the defaults are those of its manual.

    `attempts` is `reconnectAttempts`: -1 is for ever, 0 none at all; anything below -1 makes no attempt either, as the
    Java client does.
    """
    return RetryPolicy(
        wait=wait_artemis(retry_interval_ms, multiplier, max_retry_interval_ms, jitter, rng),
        stop=stop_never if attempts == -1 else stop_after_attempt(max(attempts, 0)),
    )


def initial_policy(
    retry_interval_ms: int = 2000,
    multiplier: float = 1.0,
    max_retry_interval_ms: int = 2000,
    attempts: int = 1,
    jitter: float = 0.0,
    rng: Callable[[], float] | None = None,
    seconds: float | None = None,
) -> RetryPolicy:
    """Artemis' first connect: `attempts` is `initialConnectAttempts`, rounds over all endpoints.

    0 means 1, every negative number for ever. A wait comes after every single try; within a round it is the one that
    the end of the round will have. With `seconds` the series ends after that time instead, whatever is going on then.
    """
    wait = wait_artemis(retry_interval_ms, multiplier, max_retry_interval_ms, jitter, rng)
    if seconds is not None:
        return RetryPolicy(wait=wait, stop=stop_after_delay(seconds), every_try=True, give_up_after=seconds)
    return RetryPolicy(
        wait=wait,
        stop=stop_never if attempts < 0 else stop_after_attempt(max(attempts, 1)),
        every_try=True,
    )


def diffusion_policy(timeout_s: float = 60.0, pause_s: float = 5.0) -> RetryPolicy:
    """Diffusion's reconnection: at once, then every `pause_s`, until `timeout_s` is over; a time-out of 0 is none."""
    if not (timeout_s >= 0):
        raise ConfigError("reconnectionTimeout", timeout_s, "seconds, 0 or more")
    if not (0 < pause_s < math.inf):
        raise ConfigError("reconnectionPause", pause_s, "seconds, more than 0")
    return RetryPolicy(
        wait=wait_fixed(pause_s),
        stop=stop_after_delay(timeout_s),
        give_up_after=timeout_s if timeout_s < math.inf else None,
    )


RTMP_SHORTEST_PERIOD_MS = 100
"""A shorter period switches automatic reconnection off."""


def rtmp_policy(attempts: int = 5, period_ms: int = 5000, unlimited: bool = False) -> RetryPolicy:
    """The stream writer's reconnection: `period_ms` before each attempt, the first one included.

    So 100 attempts at 6000 ms bridge ten minutes. A period below 100 ms switches it off, `unlimited` or not.
    """
    if attempts < 0:
        raise ConfigError("attempts", attempts, "0 or more")
    if period_ms < RTMP_SHORTEST_PERIOD_MS:
        attempts, unlimited = 0, False
    return RetryPolicy(
        wait=wait_fixed(max(period_ms, 0) / 1000),
        stop=stop_never if unlimited else stop_after_attempt(attempts),
        immediate=False,
    )
