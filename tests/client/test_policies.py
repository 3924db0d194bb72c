"""Which design of reconnection the settings mean, attempt by attempt, and what does not go together."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import tenacity

from activeclient.client.policies import reconnect_policy, reconnection_timeout, recovery_messages, strategy_of
from activeclient.engine.retry import RetryPolicy
from activeclient.errors import ConfigError
from activeclient.reconnection import Abort, ReconnectAttempt, Try
from activeclient.settings import Settings, explain_cut
from activeclient.urls import parse_url


def settings(parameters: str) -> Settings:
    return parse_url(f"tcp://localhost:61616?{parameters}").settings()


def series(parameters: str, *, each: float = 0.0, most: int = 12) -> list[float]:
    """The pauses before the attempts of one outage, in which an attempt takes `each` seconds."""
    policy = reconnect_policy(settings(parameters), lambda: 0.0)
    pauses: list[float] = []
    elapsed = 0.0
    while len(pauses) < most:
        pause = policy(len(pauses), elapsed)
        if pause is None or (policy.give_up_after is not None and elapsed + pause >= policy.give_up_after):
            break
        pauses.append(pause)
        elapsed += pause + each
    return pauses


@pytest.mark.parametrize(
    ("parameters", "pauses"),
    [
        # Artemis: at once, then retryInterval, each further one retryIntervalMultiplier longer, to maxRetryInterval.
        ("reconnectAttempts=5", [0.0, 2.0, 2.0, 2.0, 2.0]),
        ("reconnectAttempts=4&retryInterval=1000&retryIntervalMultiplier=2&maxRetryInterval=60000", [0, 1.0, 2.0, 4.0]),
        ("", []),
        # Diffusion: at once, then every 5 s until reconnectionTimeout is over.
        ("reconnectProfile=diffusion", [0.0] + [5.0] * 11),
        ("reconnectProfile=diffusion&reconnectionTimeout=12000", [0.0, 5.0, 5.0]),
        ("reconnectProfile=diffusion&reconnectionTimeout=0", []),
        # RTMP: reconnectPeriod before each attempt; below 100 ms none.
        ("reconnectProfile=rtmp", [5.0] * 5),
        ("reconnectProfile=rtmp&reconnectAttempts=2&reconnectPeriod=6000", [6.0, 6.0]),
        ("reconnectProfile=rtmp&unlimitedReconnect=1&reconnectPeriod=100", [0.1] * 12),
        ("reconnectProfile=rtmp&unlimitedReconnect=true&reconnectAttempts=0", [5.0] * 12),
        ("reconnectProfile=rtmp&reconnectPeriod=99&unlimitedReconnect=true", []),
        ("reconnectProfile=rtmp&reconnectAttempts=0", []),
    ],
)
def test_each_design_has_its_series(parameters: str, pauses: list[float]) -> None:
    assert series(parameters) == pauses


def test_a_hundred_attempts_at_six_seconds_bridge_ten_minutes() -> None:
    assert sum(series("reconnectProfile=rtmp&reconnectAttempts=100&reconnectPeriod=6000", most=1000)) == 600.0


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ("reconnectionTimeout=5000", "an option of reconnectProfile=diffusion, and the profile is artemis"),
        ("reconnectProfile=rtmp&reconnectionTimeout=5000", "an option of reconnectProfile=diffusion"),
        ("recoveryBufferSize=10", "an option of reconnectProfile=diffusion, and the profile is artemis"),
        ("reconnectProfile=diffusion&recoveryBufferSize=0", "must be >= 1"),
        ("reconnectPeriod=1000", "an option of reconnectProfile=rtmp"),
        ("reconnectProfile=diffusion&unlimitedReconnect=1", "an option of reconnectProfile=rtmp"),
        ("reconnectProfile=diffusion&reconnectAttempts=3", "reconnectionTimeout ends the series"),
        ("reconnectProfile=rtmp&reconnectAttempts=-1", "unlimitedReconnect=true never ends"),
        ("reconnectProfile=rtmp&reconnectPeriod=2147483648", "must be >= 0"),
        ("reconnectProfile=tcp", "must be one of artemis, diffusion, rtmp"),
    ],
)
def test_what_means_nothing_in_a_design_is_refused_with_the_reason(parameters: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        settings(parameters)


def test_another_design_takes_the_options_of_the_last_one_away() -> None:
    chosen = settings("reconnectProfile=rtmp&reconnectPeriod=1000")
    assert chosen.replace(reconnect_profile="diffusion").reconnect_period == 5000


def test_the_profile_reliable_and_a_design_go_together() -> None:
    mixed = settings("profile=reliable&reconnectProfile=rtmp")
    assert (mixed.reconnect_attempts, mixed.duplicate_detection) == (5, True)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ("reconnectProfile=diffusion", "tried at once and then every 5 s, for 60 s at most"),
        (
            "reconnectProfile=diffusion&recoveryBufferSize=50",
            "the last 50 messages can be sent again: when the cut lost an older one .*MessagesMissing",
        ),
        ("reconnectProfile=diffusion&confirmationWindowSize=-1", "recreate: "),
        ("reconnectProfile=diffusion&reconnectionTimeout=0", "fail: .*reconnectionTimeout=0"),
        ("reconnectProfile=rtmp", "tried 5 times, 5000 ms before each attempt"),
        ("reconnectProfile=rtmp&unlimitedReconnect=1", "tried for ever"),
        ("reconnectProfile=rtmp&reconnectPeriod=50", "fail: .*reconnectPeriod=50, below 100"),
    ],
)
def test_each_design_is_explained(parameters: str, words: str) -> None:
    import re

    assert re.search(words, explain_cut(settings(parameters)))


def test_recovery_buffers_need_the_window_that_bounds_their_bytes() -> None:
    (warning,) = settings("reconnectProfile=diffusion&confirmationWindowSize=-1").warnings()
    assert "recoveryBufferSize has no use" in warning
    assert settings("reconnectProfile=diffusion").warnings() == ()


@pytest.mark.parametrize(
    ("parameters", "messages", "kept"),
    [
        ("", None, None),
        ("reconnectProfile=rtmp", None, None),
        ("reconnectProfile=diffusion", 128, 60_000),
        ("reconnectProfile=diffusion&recoveryBufferSize=7&reconnectionTimeout=5", 7, 5),
        ("reconnectProfile=diffusion&confirmationWindowSize=-1", None, 60_000),
        ("reconnectProfile=diffusion&reconnectionTimeout=0", 128, None),
    ],
)
def test_each_design_has_its_buffers_and_its_time_on_the_broker(
    parameters: str, messages: int | None, kept: int | None
) -> None:
    chosen = settings(parameters)
    assert (recovery_messages(chosen), reconnection_timeout(chosen)) == (messages, kept)


class Attempt(ReconnectAttempt):
    """One that nobody answers."""

    __slots__ = ("_elapsed", "_number")

    def __init__(self, number: int, elapsed: float) -> None:
        self._number, self._elapsed = number, elapsed

    @property
    def number(self) -> int:
        return self._number

    @property
    def elapsed(self) -> float:
        return self._elapsed


@pytest.mark.parametrize(
    ("given", "decisions"),
    [
        (
            tenacity.Retrying(wait=tenacity.wait_fixed(3), stop=tenacity.stop_after_attempt(2)),
            [Try(0.0), Try(3.0), Abort("no attempts are left")],
        ),
        (tenacity.wait_exponential(multiplier=1), [Try(0.0), Try(1.0), Try(2.0)]),
        (
            RetryPolicy(wait=tenacity.wait_none(), stop=tenacity.stop_after_attempt(1)),
            [Try(0.0), Abort("no attempts are left")],
        ),
    ],
)
def test_objects_of_tenacity_are_strategies(given: object, decisions: list[object]) -> None:
    strategy = strategy_of(given)
    assert strategy is not None
    assert [strategy(Attempt(number, 0.0)) for number in range(1, len(decisions) + 1)] == decisions


def test_diffusions_form_is_a_strategy() -> None:
    class Theirs:
        asked: Mapping[str, object] = {}

        def perform_reconnection(self, attempt: ReconnectAttempt) -> None:
            attempt.start()

    assert strategy_of(Theirs()) is not None


@pytest.mark.parametrize("given", [5, "now", tenacity.stop_after_attempt(3), object()])
def test_what_is_no_strategy_is_refused(given: object) -> None:
    with pytest.raises(ConfigError, match="reconnection_strategy: must be callable"):
        strategy_of(given)
