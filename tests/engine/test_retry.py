"""Pauses and limits: the series of Artemis' client, the other designs, and whatever tenacity offers."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import (
    stop_after_attempt,
    stop_after_delay,
    stop_before_delay,
    stop_never,
    wait_chain,
    wait_exception,
    wait_exponential,
    wait_fixed,
    wait_random_exponential,
)

from activeclient.engine.retry import (
    LONGEST_PAUSE,
    RetryPolicy,
    artemis_policy,
    diffusion_policy,
    initial_policy,
    rtmp_policy,
    safe_pause,
    wait_artemis,
)
from activeclient.errors import ConfigError, ConnectionLost


def pauses(policy, limit=20):
    found = []
    for attempt in range(1, limit + 1):
        pause = policy.pause(attempt, 0.0)
        if pause is None:
            return found
        found.append(round(pause * 1000, 6))
    return found


def test_seven_attempts_of_100_times_2_up_to_1000_have_the_pauses_of_the_java_client():
    assert pauses(artemis_policy(100, 2, 1000, 7)) == [100, 200, 400, 800, 1000, 1000]


def test_the_first_pause_is_not_capped_as_in_the_java_client():
    assert pauses(artemis_policy(3000, attempts=4)) == [3000, 2000, 2000]


def test_the_defaults_with_a_multiplier_of_one_wait_two_seconds_each_time():
    assert pauses(artemis_policy(attempts=4)) == [2000, 2000, 2000]


def test_each_step_is_truncated_to_whole_milliseconds():
    assert pauses(artemis_policy(1, 1.5, 1000, 6)) == [1, 1, 1, 1, 1]
    assert pauses(artemis_policy(3, 1.5, 1000, 6)) == [3, 4, 6, 9, 13]  # not 3 * 1.5 ** 4 = 15


@pytest.mark.parametrize(("attempts", "failures"), [(-1, None), (0, 0), (1, 1), (5, 5), (-2, 0), (-7, 0)])
def test_reconnect_attempts_minus_one_is_for_ever_and_zero_or_less_is_none(attempts, failures):
    policy = artemis_policy(100, 1.0, 2000, attempts)
    if failures is None:
        assert policy.pause(1_000_000, 1e9) == 0.1
    else:
        assert [policy.pause(n, 0.0) is None for n in range(8)] == [n >= failures for n in range(8)]


@pytest.mark.parametrize(("attempts", "rounds"), [(0, 1), (1, 1), (3, 3)])
def test_initial_attempts_zero_is_one(attempts, rounds):
    policy = initial_policy(100, 1.0, 2000, attempts)
    assert [policy.pause(n, 0.0) is None for n in range(6)] == [n >= rounds for n in range(6)]


@pytest.mark.parametrize("attempts", [-1, -2, -100])
def test_every_negative_number_of_initial_attempts_is_for_ever(attempts):
    assert initial_policy(100, 1.0, 2000, attempts).pause(10_000, 1e6) == 0.1


def test_the_first_attempt_comes_at_once():
    assert artemis_policy(attempts=1).pause(0, 0.0) == 0.0


@given(
    st.integers(0, 10**7),
    st.floats(0, 1e300),
    st.integers(0, 10**7),
    st.sampled_from([1, 2, 3, 10, 5000, 10**9]),
)
def test_any_settings_give_pauses_within_their_limits_at_any_attempt(interval, multiplier, maximum, attempt):
    milliseconds = wait_artemis(interval, multiplier, maximum).milliseconds(attempt)
    assert 0 <= milliseconds <= (interval if attempt == 1 else max(maximum, 0))


@given(st.integers(0, 5000), st.floats(0, 4), st.integers(0, 5000), st.integers(1, 60))
def test_the_pause_is_what_stepping_the_java_recurrence_gives(interval, multiplier, maximum, attempt):
    expected = interval
    for _ in range(attempt - 1):
        expected = min(int(expected * multiplier), maximum)
    assert wait_artemis(interval, multiplier, maximum).milliseconds(attempt) == expected


def test_jitter_takes_off_at_most_its_fraction_and_follows_its_source():
    def series():
        return pauses(artemis_policy(1000, 2, 8000, 9, jitter=0.25, rng=random.Random(7).random))

    plain = pauses(artemis_policy(1000, 2, 8000, 9))
    assert series() == series() != plain
    assert all(0.75 * p <= j <= p for j, p in zip(series(), plain, strict=True))


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ((-1, 1.0, 1), "retryInterval"),
        ((1, -0.5, 1), "retryIntervalMultiplier"),
        ((1, math.nan, 1), "retryIntervalMultiplier"),
        ((1, math.inf, 1), "retryIntervalMultiplier"),
        ((1, 1.0, -1), "maxRetryInterval"),
        ((1, 1.0, 1, 1.5, random.random), "jitter"),
        ((1, 1.0, 1, 0.5), "jitter"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(arguments, key):
    with pytest.raises(ConfigError) as caught:
        wait_artemis(*arguments)
    assert caught.value.key == key


def test_diffusion_tries_at_once_then_every_five_seconds_until_the_minute_is_over():
    policy = diffusion_policy()
    assert policy.pause(0, 0.0) == 0.0
    assert policy.pause(3, 59.9) == 5.0
    assert policy.pause(3, 60.0) is None
    assert policy.give_up_after == 60.0


def test_a_diffusion_time_out_of_zero_is_no_reconnection():
    assert diffusion_policy(0).pause(0, 0.0) is None


def test_rtmp_waits_its_period_before_each_of_its_attempts():
    policy = rtmp_policy(100, 6000)
    total = sum(policy.pause(n, 0.0) for n in range(100))
    assert total == 600
    assert policy.pause(100, 600.0) is None


def test_rtmp_defaults_are_five_attempts_of_five_seconds():
    assert [rtmp_policy().pause(n, 0.0) for n in range(6)] == [5, 5, 5, 5, 5, None]


def test_rtmp_unlimited_overrides_the_attempts():
    assert rtmp_policy(0, unlimited=True).pause(10_000, 1e6) == 5.0


@pytest.mark.parametrize("unlimited", [False, True])
def test_an_rtmp_period_below_100_ms_is_off(unlimited):
    assert rtmp_policy(5, 99, unlimited).pause(0, 0.0) is None
    assert rtmp_policy(5, 100, unlimited).pause(0, 0.0) == 0.1


def test_a_user_can_combine_tenacity_stops():
    policy = RetryPolicy(wait=wait_fixed(1), stop=stop_after_delay(60) | stop_after_attempt(5))
    assert policy.pause(4, 59.0) == 1
    assert policy.pause(5, 1.0) is None
    assert policy.pause(1, 60.0) is None


def test_a_stop_that_looks_at_the_coming_pause_sees_it():
    policy = RetryPolicy(wait=wait_fixed(10), stop=stop_before_delay(30))
    assert policy.pause(2, 19.0) == 10
    assert policy.pause(2, 20.0) is None


@pytest.mark.parametrize(
    "wait",
    [
        wait_random_exponential(multiplier=0.5, max=60),
        wait_exponential(multiplier=2, exp_base=1, max=60),
        wait_chain(wait_fixed(1), wait_fixed(2)),
        wait_fixed(1) + wait_random_exponential(max=3),
        wait_exception(lambda error: 3.0 if isinstance(error, ConnectionLost) else -1.0),
    ],
)
def test_any_tenacity_wait_can_be_asked_at_any_attempt(wait):
    policy = RetryPolicy(wait=wait, stop=stop_never)
    assert all(0 <= policy.pause(n, float(n)) <= 120 for n in (0, 1, 2, 10, 5000))


def test_an_endless_tenacity_wait_is_cut_to_what_a_poll_can_take():
    assert RetryPolicy(wait=wait_exponential(), stop=stop_never).pause(1000, 0.0) == LONGEST_PAUSE


@given(st.floats())
def test_a_pause_is_never_negative_nor_nan_nor_endless(seconds):
    assert 0.0 <= safe_pause(seconds) <= LONGEST_PAUSE


def test_a_policy_can_be_called_like_any_strategy():
    assert artemis_policy(attempts=2)(1, 0.0) == 2.0
