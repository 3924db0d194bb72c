"""Waiting for outcomes: how long, and what is true when the wait ends early.

Law of this file: `callTimeout` runs only while the session is usable, `callFailoverTimeout` only while it is not; when
either is over, what no link has taken is withdrawn and certainly not sent, and what the server may have is reported
as unknown. The error is named by what holds at that moment, `CallTimeout` or `OutageTimeout`, not by what held when the
call began. Nobody waits for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from activeclient.drivers.threads import Pump
from activeclient.engine.link import State as LinkState
from activeclient.engine.requests import Pending, Request
from activeclient.engine.session import Session, State
from activeclient.engine.unsettled import outlasts_close
from activeclient.errors import ActiveClientError, CallTimeout, ClosedError, OutageTimeout, Outcome
from activeclient.server_code import ServerCode

NEVER = 365 * 86400.0
"""Seconds that stand for a switched off limit."""
MOMENT = 0.5
"""Seconds of an outage that who closes something waits for the connection to be back: it mostly is, and then what is
closed is closed on the broker too, so that what stands on it can be deleted."""
PATIENCE = 0.001
BROKER_RATE = 1 << 29
"""Bytes a second that no broker takes."""

Notice = tuple[float, Callable[[], None]]
"""After how many seconds to call what."""


class Calls:
    """The clock of one session's calls.

    Args:
        call_timeout: Seconds that an answer may take while the session is usable (callTimeout).
        failover_timeout: Seconds that an outage may take before calls fail; negative: for ever (callFailoverTimeout).
    """

    __slots__ = ("call_timeout", "failover_timeout", "pump", "session")

    def __init__(self, pump: Pump, session: Session, call_timeout: float, failover_timeout: float) -> None:
        self.pump: Pump = pump
        self.session: Session = session
        self.call_timeout: float = call_timeout
        self.failover_timeout: float = failover_timeout if failover_timeout >= 0 else NEVER

    def wait_for(
        self,
        ready: Callable[[], bool],
        timeout: float | None = None,
        patience: float = 0.0,
        *,
        notice: Notice | None = None,
        through_close: bool = False,
    ) -> ActiveClientError | None:
        """Wait with the lock held; None when `ready()` holds, else the error that says which limit was reached.

        `notice`: what to call, once, when the session was usable for so many seconds of the wait.
        `through_close`: go on when the session's user closes it; that settles what is waited for, or ends it.
        """
        session = self.session
        pump = self.pump
        last = started = time.monotonic()
        begun = session.usable_time(last)
        deadline = None if timeout is None else last + timeout
        usable = False
        asking = 0.0
        while not ready():
            if session.closing and not through_close:
                return ClosedError("the session was closed meanwhile")
            now = time.monotonic()
            if usable and session.state is State.NEW:
                asking += now - last
            last = now
            usable = _answerable(session)
            connected = asking + session.usable_time(now) - begun
            if usable:
                left = self.call_timeout - connected
                error: ActiveClientError = CallTimeout(
                    f"no answer within {self.call_timeout:g} s (callTimeout)", code=ServerCode.CONNECTION_TIMEDOUT
                )
            else:
                left = self.failover_timeout - (now - started - connected)
                error = OutageTimeout(
                    f"not connected for {self.failover_timeout:g} s (callFailoverTimeout): {session.client.last_error}"
                )
            if deadline is not None and deadline - now < left:
                left = deadline - now
                error = (
                    CallTimeout(f"not done within {timeout:g} s")
                    if usable
                    else OutageTimeout(
                        f"not connected, and so not done within {timeout:g} s: {session.client.last_error}"
                    )
                )
            if left <= 0:
                if error.code is not None:
                    session.client.unanswered_at = now
                return error
            if notice is not None and usable:
                due = notice[0] - connected
                if due <= 0:
                    notice[1]()
                    notice = None
                    pump.process(now)
                else:
                    left = min(left, due)
            pump.wait(
                lambda was=usable: (  # type: ignore[misc]
                    ready() or (session.closing and not through_close) or _answerable(session) is not was
                ),
                min(left, NEVER),
                patience,
            )
        return None

    def wait_while_it_comes(self, ready: Callable[[], bool], came: Callable[[], int]) -> ActiveClientError | None:
        """As `wait_for`, but the limits begin anew as long as `came()` has changed when they are reached."""
        while True:
            before = came()
            error = self.wait_for(ready)
            if error is None or came() == before:
                return error

    def usable_seconds(self) -> float:
        """Seconds in which the session was usable so far: the clock of idle limits, which an outage stops."""
        return self.session.usable_time(time.monotonic())

    def until_usable(self) -> None:
        """Wait until the session is usable, or is being closed.

        Raises:
            OutageTimeout: It was not within callFailoverTimeout.
            ReconnectGaveUp: No attempts are left.
        """
        session = self.session
        with self.pump.lock, self.pump.motion:
            error = self.wait_for(lambda: session.lost_at is None or _closed(session))
        if error is not None and not _closed(session):
            raise error

    def outcome(self, token: Pending, timeout: float | None = None) -> None:
        """Wait until `token` ended, with the lock held.

        Raises:
            ActiveClientError: How it ended, if not well; its `outcome` says whether it may have taken effect.
        """
        if not token.done:
            error = self.wait_for(lambda: token.done, timeout, through_close=outlasts_close(token))
            if error is not None:
                now = time.monotonic()
                self.session.abandon(token, error, now)
                self.pump.process(now)
        if token.error is not None:
            raise token.error.again()

    def closed(self, request: Request, unsettled: Callable[[], bool], limit: float) -> bool:
        """Wait, with the lock held, until `request`, which closes something, is answered.

        In an outage the wait ends, and the request goes on by itself: after `limit` seconds while `unsettled()` holds,
        else after a moment. Returns False if `unsettled()` held until then.

        Raises:
            ActiveClientError: The request failed, or got no answer while the session was usable.
        """
        session = self.session
        deadline = time.monotonic() + limit
        error = self.wait_for(lambda: request.done or not session.usable)
        while error is None and not request.done and not session.closing:
            left = max(0.0, deadline - time.monotonic())
            if not unsettled():
                if not self.pump.wait(lambda: request.done or session.closing, MOMENT):
                    return True
            elif not self.pump.wait(lambda: request.done or session.closing or not unsettled(), min(left, NEVER)):
                return False
        if not session.closing:  # else that settles it
            self.outcome(request, 0)
        return True

    def room(self, timeout: float | None = None) -> None:
        """Wait until a command has a place, with the lock held.

        Raises:
            ActiveClientError: The limit that was reached; the command was not sent.
        """
        session = self.session
        session.check_open()
        if not session.room or self.pump.congested:
            # Wait for half of the buffer, not for one place: a sender that is woken for each message crawls.
            error = self.wait_for(
                lambda: (session.room and session.buffer.half_free and not self.pump.congested) or _closed(session),
                timeout,
                patience(session.buffer.limit),
            )
            session.check_open()
            if error is not None:
                error.outcome = Outcome.NOT_SENT
                raise error


def patience(window: int) -> float:
    """Seconds to let answers gather while `window` bytes of sends are under way: whoever is woken for each crawls.

    At most what a broker needs for half of the window: it always has the other half to work on.
    """
    return min(PATIENCE, (window >> 1) / BROKER_RATE)


def _answerable(session: Session) -> bool:
    """Could the server answer now? A session that is being created has no life of its own yet: its link counts."""
    return session.lost_at is None or (session.state is State.NEW and session.client.link.state is LinkState.UP)


def _closed(session: Session) -> bool:
    return session.closing or session.state.value == "closed"
