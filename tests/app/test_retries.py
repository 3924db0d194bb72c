"""What becomes of a failure: the decision alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from activeclient.app.retries import (
    ERROR,
    ERROR_TYPE,
    MAX_DELAY,
    MAX_ERROR,
    Again,
    Dead,
    Reject,
    RetryPolicy,
    attempts_made,
    check_backoff,
    described,
    exponential,
)
from activeclient.errors import ConfigError

BROKEN = ValueError("broken")


def test_a_message_is_tried_as_often_as_said_and_then_dead() -> None:
    policy = RetryPolicy(2, 5)
    assert [policy.decide(BROKEN, attempt) for attempt in (1, 2, 3)] == [Again(5), Again(5), Dead()]
    assert RetryPolicy(0, 5).decide(BROKEN, 1) == Dead()


def test_what_no_attempt_changes_is_dead_at_once() -> None:
    policy = RetryPolicy(9, 5)
    assert policy.decide(Reject("no such article"), 1) == Dead()
    assert policy.decide(BROKEN, 1, unreadable=True) == Dead()


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        (timedelta(minutes=1), [60, 60, 60, 60]),
        ([1, timedelta(seconds=10)], [1, 10, 10, 10]),
        (lambda attempt: attempt * 2, [2, 4, 6, 8]),
        (exponential(1, maximum=5), [1, 2, 4, 5]),
        (exponential(2, multiplier=1), [2, 2, 2, 2]),
    ],
)
def test_backoffs(backoff: Any, delays: list[float]) -> None:
    check_backoff(backoff)
    policy = RetryPolicy(9, backoff)
    assert [policy.delay(attempt) for attempt in (1, 2, 3, 4)] == delays


def test_a_backoff_has_a_limit() -> None:
    assert exponential(maximum=7)(5000) == 7
    assert RetryPolicy(1, lambda attempt: 1e12).decide(BROKEN, 1) == Again(MAX_DELAY)


@pytest.mark.parametrize("backoff", [-1, "1", [], [1, -1], None, True, [None], float("nan")])
def test_what_is_no_backoff_is_refused_at_once(backoff: Any) -> None:
    with pytest.raises(ConfigError):
        check_backoff(backoff)


@pytest.mark.parametrize("wrong", [{"first": -1}, {"multiplier": 0.5}, {"multiplier": True}, {"maximum": "x"}])
def test_what_is_no_exponential_backoff_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        exponential(**wrong)


def test_an_error_is_described_without_secrets_and_in_bounds() -> None:
    told = described(ConfigError("url", None, "tcp://me:hunter2@host and password=hunter2 and " + "x" * 5000))
    assert told[ERROR_TYPE] == "activeclient.errors.ConfigError"
    assert "hunter2" not in told[ERROR]
    assert len(told[ERROR]) <= MAX_ERROR + 3
    assert described(BROKEN) == {ERROR: "broken", ERROR_TYPE: "ValueError"}


def test_an_error_without_a_text_is_described_all_the_same() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert described(Silent())[ERROR] == "its text cannot be had: RuntimeError"


@pytest.mark.parametrize(("value", "made"), [(3, 3), (-1, 0), ("3", 0), (True, 0), (None, 0)])
def test_a_count_of_attempts_that_is_none_is_not_believed(value: object, made: int) -> None:
    assert attempts_made({"activeclient_attempt": value}) == made
