"""From settings to the policies that say when to connect again: the one place that knows the designs of reconnection.

Law of this file: a design is chosen by `reconnectProfile` and is a `RetryPolicy`; no other code asks which one it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import cast

from tenacity import BaseRetrying
from tenacity.stop import stop_base, stop_never
from tenacity.wait import wait_base

from activeclient.engine.retry import RetryPolicy, artemis_policy, diffusion_policy, initial_policy, rtmp_policy
from activeclient.errors import ConfigError
from activeclient.parameter import INT
from activeclient.reconnection import Abort, Decision, ReconnectAttempt, ReconnectionStrategy, Try
from activeclient.settings import Settings

DIFFUSION_PAUSE = 5.0
"""Seconds between two attempts of Diffusion's client, unless a strategy decides."""


def reconnect_policy(settings: Settings, random: Callable[[], float], *, asks: bool = False) -> RetryPolicy:
    """When to try again after a loss.

    Args:
        random: Numbers in [0, 1), for the jitter.
        asks: A strategy of the application decides on each attempt: then only a limit of time ends the series, and the
            policy says the pauses where the strategy leaves them to it.
    """
    policy = _of_design(settings, random)
    return dataclasses.replace(policy, stop=stop_never) if asks else policy


def _of_design(settings: Settings, random: Callable[[], float]) -> RetryPolicy:
    match settings.reconnect_profile:
        case "diffusion":
            return diffusion_policy(settings.reconnection_timeout / 1000, DIFFUSION_PAUSE)
        case "rtmp":
            return rtmp_policy(settings.reconnect_attempts, settings.reconnect_period, settings.unlimited_reconnect)
        case _:
            return artemis_policy(
                settings.retry_interval,
                settings.retry_interval_multiplier,
                settings.max_retry_interval,
                settings.reconnect_attempts,
                settings.retry_jitter,
                random,
            )


def recovery_messages(settings: Settings) -> int | None:
    """By how many messages what was sent and is not confirmed is bounded; None: by bytes, and senders wait."""
    counted = settings.reconnect_profile == "diffusion" and settings.confirmation_window_size > 0
    return settings.recovery_buffer_size if counted else None


def reconnection_timeout(settings: Settings) -> int | None:
    """Milliseconds for which the server is asked to keep sessions whose connection is lost; None: its own rule."""
    kept = settings.reconnect_profile == "diffusion" and settings.reconnection_timeout > 0
    return min(settings.reconnection_timeout, INT) if kept else None


def strategy_of(given: object) -> ReconnectionStrategy | None:
    """A strategy in the one form that is asked.

    Args:
        given: A callable with one parameter (`ReconnectionStrategy`); an object with Diffusion's
            `perform_reconnection`; tenacity's `Retrying`, of which `wait` and `stop` count, or one of its waits, which
            never stops; None.

    Raises:
        ConfigError: It is none of these.
    """
    if given is None:
        return None
    if isinstance(given, BaseRetrying):
        return _of_policy(RetryPolicy(wait=given.wait, stop=given.stop))  # type: ignore[arg-type]
    if isinstance(given, wait_base):
        return _of_policy(RetryPolicy(wait=given, stop=stop_never))
    if isinstance(given, RetryPolicy):
        return _of_policy(given)
    perform = getattr(given, "perform_reconnection", None)
    found = perform if callable(perform) else given
    if isinstance(given, stop_base) or not callable(found):
        raise ConfigError(
            "reconnection_strategy",
            None,
            "must be callable, have perform_reconnection, or be tenacity's Retrying or wait,"
            f" not {type(given).__name__}",
        )
    return cast("ReconnectionStrategy", found)


def _of_policy(policy: RetryPolicy) -> ReconnectionStrategy:
    def decide(attempt: ReconnectAttempt) -> Decision:
        pause = policy.pause(attempt.number - 1, attempt.elapsed)
        return Abort("no attempts are left") if pause is None else Try(pause)

    return decide


def first_connect_policy(settings: Settings, random: Callable[[], float], wait: float | None) -> RetryPolicy:
    """When to try again until a broker has answered for the first time.

    Args:
        wait: Seconds to go on trying, instead of `initialConnectAttempts`.
    """
    return initial_policy(
        settings.retry_interval,
        settings.retry_interval_multiplier,
        settings.max_retry_interval,
        settings.initial_connect_attempts,
        settings.retry_jitter,
        random,
        wait,
    )
