"""Deciding on attempts to reconnect: the questions that a strategy is asked, and its answers.

Law of this file: values only; the engine asks, the application answers, each question is answered once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from activeclient.errors import ActiveClientError
from activeclient.events import Endpoint
from activeclient.masking import never_raises


@dataclass(frozen=True, slots=True)
class Try:
    """Make the attempt.

    Attributes:
        after: Seconds to wait before it.
        endpoint: Where to connect to, instead of the endpoint that was proposed.
    """

    after: float = 0.0
    endpoint: Endpoint | None = None


@dataclass(frozen=True, slots=True)
class Abort:
    """Make no further attempt: the connection is given up, and everything that waits raises `ReconnectGaveUp`."""

    reason: str = ""


Decision = Try | Abort


@dataclass(frozen=True, slots=True)
class Question:
    """What the engine asks before an attempt."""

    serial: int
    """Names the question among those of its connection."""
    number: int
    """Of the attempt in this outage, from 1."""
    elapsed: float
    """Seconds since the connection was lost."""
    last_error: ActiveClientError | None
    """Why the connection was lost, or why the attempt before failed."""
    endpoint: Endpoint
    """Where the attempt would connect to."""
    endpoints: tuple[Endpoint, ...]
    """All that are known, in the order in which they would be tried, `endpoint` first."""


class ReconnectAttempt:
    """An attempt to reconnect that waits for a decision. Thread-safe; the first decision counts.

    Made by the client and handed to a `ReconnectionStrategy`.
    """

    __slots__ = ("_answer", "_question")

    def __init__(self, question: Question, answer: Callable[[Decision], bool]) -> None:
        self._question = question
        self._answer = answer

    @property
    def number(self) -> int:
        """Of the attempt in this outage, from 1."""
        return self._question.number

    @property
    def elapsed(self) -> float:
        """Seconds since the connection was lost."""
        return self._question.elapsed

    @property
    def last_error(self) -> ActiveClientError | None:
        """Why the connection was lost, or why the attempt before failed."""
        return self._question.last_error

    @property
    def endpoint(self) -> Endpoint:
        """Where the attempt will connect to, unless another one is chosen."""
        return self._question.endpoint

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All that are known, in the order in which they would be tried."""
        return self._question.endpoints

    def start(self, after: float = 0.0, endpoint: Endpoint | None = None) -> bool:
        """Decide to make the attempt; may be called at any time, from any thread.

        Args:
            after: Seconds to wait before it.
            endpoint: Where to connect to instead.

        Returns:
            False if it was decided already, or the outage is over.
        """
        return self._answer(Try(after, endpoint))

    def abort(self, reason: str = "") -> bool:
        """Decide to make no further attempt, as `start`."""
        return self._answer(Abort(reason))

    @never_raises
    def __repr__(self) -> str:
        return f"<ReconnectAttempt {self.number} to {self.endpoint} after {self.elapsed:.3f} s>"


@runtime_checkable
class ReconnectionStrategy(Protocol):
    """Decides on each attempt to reconnect. Any callable with one parameter is one.

    It is called on a thread of its own, never under a lock, so it may block. It returns seconds to wait before the
    attempt (0: now), a `Try` or an `Abort`; or None, and calls `attempt.start()` or `attempt.abort()` later. If it
    raises, that is logged, and the pauses of the settings count for this attempt.
    """

    def __call__(self, attempt: ReconnectAttempt, /) -> Decision | float | None:
        """Decide."""


def decision_of(answer: object) -> Decision | None:
    """What a strategy's return value means; None: not decided yet.

    Raises:
        TypeError: It means nothing.
    """
    if answer is None or isinstance(answer, Try | Abort):
        return answer
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        return Try(float(answer))
    raise TypeError(
        f"a reconnection strategy returned a {type(answer).__name__}: return seconds, a Try, an Abort, or None"
    )
