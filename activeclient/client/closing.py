"""Closing sessions and connections: what is waited for, for how long, and what is reported.

Law of this file: closing settles what is under way, within `closeTimeout`, whether the connection is up or being won
back; it waits until every completion handler has been called; what it could not settle is logged and returned to be
raised. With nothing under way it does not wait for a broker that is away.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from activeclient.engine.session import State
from activeclient.engine.unsettled import NOTHING, Unsettled, is_unsettled
from activeclient.errors import ActiveClientError, ClosedError, UnsettledError
from activeclient.observe.log import session as session_log

if TYPE_CHECKING:
    from activeclient.client.session import ClientSession
    from activeclient.client.session_factory import ClientSessionFactory

ANSWER_SECONDS = 1.0
"""How long the broker has at least to answer the closing of a session."""


class Patience:
    """How long the closing of one connection's objects still waits in the present outage.

    Nested blocks end one after the other: what the first of them has waited for in vain, the next does not wait for
    again while it is the same outage.
    """

    __slots__ = ("_factory", "_in_vain")

    def __init__(self, factory: ClientSessionFactory) -> None:
        self._factory = factory
        self._in_vain: float | None = None
        """When the outage began in which closing has waited its whole time."""

    def limit(self, timeout: float | None = None) -> float:
        """Seconds to wait: `timeout`, or else what closeTimeout leaves."""
        if timeout is not None:
            return timeout
        began = self._factory.engine.outage_began
        return 0.0 if began is not None and began == self._in_vain else self._factory.settings.close_timeout / 1000

    def ran_out(self) -> None:
        """Closing has waited for the whole limit."""
        self._in_vain = self._factory.engine.outage_began


def close_sessions(
    factory: ClientSessionFactory,
    facades: Iterable[ClientSession],
    timeout: float | None,
    *,
    finally_: bool,
    answer: float | None = None,
) -> Unsettled:
    """Close sessions of one connection and return what could not be settled.

    Args:
        timeout: Seconds to wait for running callbacks and then for what is under way, instead of onMessageCloseTimeout
            and closeTimeout.
        finally_: The connection is closed next. Otherwise a session with nothing under way is closed on the server
            when the connection is back.
        answer: Seconds that the broker has to answer the closing when all is settled; default: what is left.
    """
    sessions = list(facades)
    for facade in sessions:
        facade.stop_listening()
    for facade in sessions:
        facade.wait_for_callbacks(timeout)
    pump = factory.pump
    with pump.lock, pump.motion:
        for facade in sessions:
            facade.begin_closing()
        limit = factory.patience.limit(timeout)
        left = NOTHING
        interrupted = True  # then the closing goes on by itself on the next link: ended here, it would stay there
        try:
            if not pump.closed:
                _wait(factory, sessions, limit, timeout, answer)
            interrupted = False
        except ActiveClientError:
            interrupted = False
            raise
        finally:
            if not interrupted:
                left = _end(factory, sessions, finally_=finally_ or timeout is not None)
    for facade in sessions:
        facade.wait_for_callbacks(timeout)
    return left


def _wait(
    factory: ClientSessionFactory,
    sessions: list[ClientSession],
    limit: float,
    timeout: float | None,
    answer: float | None,
) -> None:
    pump = factory.pump
    deadline = time.monotonic() + limit
    with contextlib.suppress(ClosedError):  # another thread closes the connection, and settles it there
        pump.flush()
        pump.notify()
        if not _settle(factory, sessions, deadline):
            factory.patience.ran_out()
            return
        left = deadline - time.monotonic()
        if timeout is None:
            left = max(left, ANSWER_SECONDS) if answer is None else answer
        pump.wait(
            lambda: all(facade.closed_on_server or not facade.engine.usable for facade in sessions), max(0.0, left)
        )


def _settle(factory: ClientSessionFactory, sessions: list[ClientSession], deadline: float) -> bool:
    """Wait until nothing is under way; False at the deadline, or when a connected server is silent for callTimeout."""
    call_timeout = factory.settings.call_timeout / 1000
    began = time.monotonic()

    def settled() -> bool:
        return all(facade.closed_on_server or not is_unsettled(facade.engine) for facade in sessions)

    while True:
        connected = factory.is_connected
        left = deadline
        if connected and call_timeout > 0:
            last = factory.engine.heartbeat.last_received
            if factory.engine.unanswered_at >= last:
                return settled()  # a call has waited for callTimeout already
            left = min(left, max(began, last) + call_timeout)
        left -= time.monotonic()
        if left <= 0:
            return settled()
        if factory.pump.wait(lambda was=connected: settled() or factory.is_connected is not was, left) and settled():  # type: ignore[misc]
            return True


def _end(factory: ClientSessionFactory, sessions: list[ClientSession], *, finally_: bool) -> Unsettled:
    """End the sessions that the server has not closed, and return what was not settled (lock held)."""
    left = NOTHING
    for facade in sessions:
        engine = facade.engine
        if engine.state is State.CLOSED or finally_ or engine.usable or is_unsettled(engine):
            left += facade.end()
        # Else there is no connection and nothing to settle: the closing goes on by itself when it is back.
    if not factory.pump.closed:
        factory.pump.process()  # the last completions find their session
    return left


def report(what: str, unsettled: Unsettled, cause: ActiveClientError | None) -> UnsettledError | None:
    """Log what could not be settled, and return the error for it; None when there is nothing."""
    if not unsettled:
        return None
    error = unsettled.error(what, cause)
    session_log.error("%s", error)
    return error


def tell(error: UnsettledError | None, gave_up: ActiveClientError | None) -> None:
    """Raise `error`, if there is one.

    After a give-up the error of that is often being handled when something is closed, in a `finally` clause say: then
    it gets a note, and is not replaced.
    """
    if error is None:
        return
    handled = sys.exc_info()[1]
    if gave_up is not None and isinstance(handled, ActiveClientError):
        handled.add_note(str(error))
        return
    raise error


def leave(close: Callable[[], object], error: BaseException | None) -> None:
    """Close at the end of a `with` block; an exception that left the block is not replaced but by what tells more.

    What could not be closed well becomes a note of the exception that is under way.
    """
    if error is None or isinstance(error, UnsettledError):
        close()
        return
    try:
        close()
    except ActiveClientError as failure:
        error.add_note(f"closing failed too: {type(failure).__name__}: {failure}")
