"""Who hears of outages: the listeners of the core API, called in order, once for each event, never by the reader.

Law of this file: a listener that raises or blocks harms nothing but the listeners behind it in the same connection's
queue; every listener can tell which event it was: detached, reattached, recreated, failed over, gave up.
"""

from __future__ import annotations

import enum
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from activeclient.drivers.dispatch import Serial
from activeclient.errors import SERVER_ERROR_NAMES, ActiveClientError, JMSError, OutcomeUnknown
from activeclient.events import (
    ConsumerLost,
    Detached,
    Event,
    GaveUp,
    Reconnected,
    SendFailed,
    SessionState,
    StateChanged,
)

logger: logging.Logger = logging.getLogger("activeclient.callbacks")

MAX_WAITING = 10_000
"""Events that may wait for a listener that blocks; later ones are dropped and counted."""


class FailoverEventType(enum.Enum):
    """What a `FailoverEventListener` is told (FailoverEventType)."""

    FAILURE_DETECTED = "FAILURE_DETECTED"
    FAILOVER_COMPLETED = "FAILOVER_COMPLETED"
    FAILOVER_FAILED = "FAILOVER_FAILED"


class Recovery(enum.Enum):
    """Which kind of recovery it was."""

    REATTACHED = "reattached"
    """Every session continues where it was: nothing was lost or repeated."""
    RECREATED = "recreated"
    """At least one session was made anew: unacknowledged messages come again."""
    FAILED_OVER = "failed over"
    """Sessions were made anew on another broker."""
    GAVE_UP = "gave up"


class ConnectionFailure(JMSError):
    """What listeners get: the cause of an outage and how it ended; or what failed with nobody waiting for it.

    `reason` is the cause, `code` its server code, `event` the full event. `recovery` is None while an outage has not
    ended (`before_reconnect`), and for a refused send (`SendFailed`) or a lost consumer (`ConsumerLost`): with these
    the connection is as well as before.
    """

    retriable = False

    def __init__(self, reason: ActiveClientError, recovery: Recovery | None, event: Event) -> None:
        super().__init__(f"{reason}" if recovery is None else f"{reason}; {recovery.value}", code=reason.code)
        self.__cause__: BaseException | None = reason
        self.reason = reason
        self.recovery = recovery
        self.event = event

    @property
    def error_code(self) -> str:
        """FAILOVER or DISCONNECT for an outage, as the JMS client of Artemis says; else the name of the server code
        (ActiveMQExceptionType), ADDRESS_FULL for example."""
        if isinstance(self.event, SendFailed | ConsumerLost):
            return SERVER_ERROR_NAMES.get(-1 if self.code is None else self.code, "GENERIC_EXCEPTION")
        return "DISCONNECT" if self.recovery is Recovery.GAVE_UP else "FAILOVER"

    @property
    def in_doubt(self) -> tuple[bytes | str | None, ...]:
        """Duplicate ids (None: had none) of the sends whose fate is unknown."""
        if isinstance(self.reason, OutcomeUnknown) and isinstance(self.event, SendFailed) and self.event.count == 1:
            return (self.reason.duplicate_id,)
        return getattr(self.event, "in_doubt", ())


@runtime_checkable
class FailureListener(Protocol):
    """Told when a connection failed, after it is back or given up (FailureListener)."""

    def connection_failed(self, error: ConnectionFailure, failed_over: bool) -> None:
        """The outage ended: `failed_over` tells whether the connection is back."""


@runtime_checkable
class SessionFailureListener(FailureListener, Protocol):
    """Told before reconnecting too (SessionFailureListener)."""

    def before_reconnect(self, error: ConnectionFailure) -> None:
        """The link was lost and is being won back."""


FailoverEventListener = Callable[[FailoverEventType], object]
"""Called with what happened (FailoverEventListener)."""
EventListener = Callable[[Event], object]
"""Called with every event that is meant for users: the richest form."""
StateListener = Callable[[SessionState, SessionState], object]
"""Called with the old and the new state of a connection."""


class Listeners(Serial):
    """The listeners of one connection."""

    __slots__ = ("_waiting", "dropped", "events", "failover", "failure", "states")

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[Event] = deque()
        self.failure: list[FailureListener] = []
        self.failover: list[FailoverEventListener] = []
        self.events: list[EventListener] = []
        self.states: list[StateListener] = []
        self.dropped: int = 0

    def offer(self, event: Event) -> bool:
        """Queue an event; True when `run` must be scheduled."""
        if not (self.failure or self.failover or self.events or self.states):
            return False
        if len(self._waiting) >= MAX_WAITING:
            self.dropped += 1
            return False
        self._waiting.append(event)
        return True

    def run(self) -> None:
        while self._waiting:
            self._tell(self._waiting.popleft())

    def _tell(self, event: Event) -> None:
        for listener in list(self.events):
            _guarded(lambda call=listener: call(event))  # type: ignore[misc]
        if isinstance(event, StateChanged):
            for told in list(self.states):
                _guarded(lambda call=told: call(event.old, event.new))  # type: ignore[misc]
        elif isinstance(event, Detached):
            failure = ConnectionFailure(event.reason, None, event)
            self._failover(FailoverEventType.FAILURE_DETECTED)
            for target in list(self.failure):
                if isinstance(target, SessionFailureListener):
                    _guarded(lambda to=target: to.before_reconnect(failure))  # type: ignore[misc]
        elif isinstance(event, Reconnected):
            self._failover(FailoverEventType.FAILOVER_COMPLETED)
            self._ended(ConnectionFailure(event.reason, recovery_of(event), event), failed_over=True)
        elif isinstance(event, GaveUp):
            self._failover(FailoverEventType.FAILOVER_FAILED)
            self._ended(ConnectionFailure(event.reason, Recovery.GAVE_UP, event), failed_over=False)

    def _ended(self, failure: ConnectionFailure, *, failed_over: bool) -> None:
        for target in list(self.failure):
            _guarded(lambda to=target: to.connection_failed(failure, failed_over))  # type: ignore[misc]

    def _failover(self, kind: FailoverEventType) -> None:
        for listener in list(self.failover):
            _guarded(lambda call=listener: call(kind))  # type: ignore[misc]


def recovery_of(event: Reconnected) -> Recovery:
    """Which kind of recovery an event tells of."""
    if event.failed_over:
        return Recovery.FAILED_OVER
    return Recovery.RECREATED if event.recreated else Recovery.REATTACHED


def _guarded(call: Callable[[], object]) -> None:
    try:
        call()
    except BaseException:  # SystemExit, CancelledError ... must not keep the next listener from its turn either
        logger.exception("a listener raised")
