"""Which command makes the broker close the connection, and what becomes of it.

Law of this file: one lost connection blames no command. When the same command is the oldest unconfirmed one in two
successive losses, the next connection is *careful*: its sessions go on in turn, and what they repeat goes out in groups
of 1, 2, 4 and so on, each behind the answer to the one before. A command that is in flight alone on the whole
connection while it is closed, `STRIKES` times in a row, fails; nothing else does.

Only a connection that the other end closes or resets counts: silence, time-outs and announced ends do not.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from activeclient.engine.recovery import Entry, command_of
from activeclient.engine.requests import Request
from activeclient.engine.session_life import State
from activeclient.errors import ActiveClientError, ConnectionLost, NotSent, OutcomeUnknown
from activeclient.wire.message import SEND, duplicate_id_of
from activeclient.wire.packets import QueueQuery

if TYPE_CHECKING:
    from activeclient.engine.client import ClientEngine
    from activeclient.engine.recovery import Recovery
    from activeclient.engine.session import Session

STRIKES = 3
"""Connections that are closed in a row while a command is alone in flight, before it fails."""
STRIKES_IN_TRAFFIC = 20
"""As many if the server still sent something behind the command: then the traffic may be what ends the connections."""
ACCUSING_SECONDS = 1.0
"""Seconds from the first of these connections to the last, at least: a network in trouble closes many in a moment."""
FREE_VERDICTS = 3
"""Commands in a row that are found so without the pauses between attempts; from then on the pauses come and grow."""
PROMPT = 5.0
"""Seconds in which a connection has to be closed behind a command to accuse it: a broker that stalls, and is restarted
then, has another reason."""
HOLD = 0.01
"""Seconds before a session that waits for its turn looks again."""
PASSES_QUERY = "activeclient.passed"
"""A queue name that nobody has: the query behind a group is harmless, and its answer tells that the group passed."""
SETTLED = (State.ATTACHED, State.NEW, State.CLOSED)


class Suspects:
    """The search of one connection for a command that the broker answers by closing the connection."""

    __slots__ = (
        "_client",
        "_condemned",
        "_first_strike",
        "_marks",
        "_oldest",
        "_strikes",
        "_trial",
        "_tried_at",
        "_turn",
        "_verdicts",
        "_waiting",
        "careful",
        "goes_on",
        "passed",
    )

    def __init__(self, client: ClientEngine) -> None:
        self._client = client
        self.careful: bool = False
        """True while what is repeated goes out in turn and in groups."""
        self.goes_on: bool = False
        """True if the link that was lost served the search: the next attempt to connect need not wait."""
        self._oldest: dict[Session, object] = {}
        """The oldest unconfirmed command of each session when the last link was lost."""
        self._waiting: dict[Session, bool] = {}
        """Sessions that wait for their turn, and whether they have something to repeat."""
        self._turn: Session | None = None
        self._trial: tuple[Session, object] | None = None
        """The only command that is in flight, and its session."""
        self._tried_at = 0.0
        self.passed: bool = False
        """True if something passed on the present link that was repeated."""
        self._marks: dict[Session, object] = {}
        """The first command of the group that was in flight last, by session."""
        self._strikes: tuple[object, int, int] = (None, 0, 0)
        """A command, the connections that were closed behind it, and those of them without further traffic."""
        self._first_strike = 0.0
        self._condemned: object = None
        self._verdicts = 0

    # --- the link -------------------------------------------------------------------------------------------------

    def link_lost(self, reason: ActiveClientError) -> bool:
        """Draw conclusions from the end of a link; to be called before its sessions know of it.

        Returns:
            True if its repeated commands got no further.
        """
        trial, self._trial = self._trial, None
        passed, self.passed = self.passed, False
        closed = type(reason) is ConnectionLost
        served = trial is not None or passed or self._turn is not None
        self.goes_on = closed and self.careful and passed and self._verdicts < FREE_VERDICTS
        self._waiting.clear()
        self._turn = None
        if not closed:
            if served:
                self._end()  # the broker is slow, or gone: one connection without a search
            return False
        if trial is not None:
            return self._tried(*trial)
        oldest = {session: found for session in self._client.sessions.values() if (found := _oldest(session))}
        if not oldest:
            return False  # lost before anything of the application was in flight
        again = any(self._oldest.get(session) == command for session, command in oldest.items())
        self._oldest = oldest
        if again:
            self.careful = True
        return again

    def _try(self, session: Session, command: object) -> None:
        self._trial = (session, command)
        self._tried_at = self._client.now

    def _tried(self, session: Session, command: object) -> bool:
        """The link was closed while a single command of `session` was to be in flight."""
        others = (other for other in self._client.sessions.values() if other is not session)
        recovery = session.recovery
        if recovery is None or (session.reattachable and self._client.reattaches is not False):
            recovery = None  # it is reattached, and the server's count tells
            first = _first_command(session)
            outstanding = first is not None and command_of(first) == command
        else:
            outstanding = recovery.is_repeating(command)
        if not outstanding:
            self._strikes = (None, 0, 0)
            return False  # it got further
        if self._client.now - self._tried_at > PROMPT or any(_oldest(other) is not None for other in others):
            return True  # it may have another reason
        before, count, quiet = self._strikes if self._strikes[0] == command else (command, 0, 0)
        if not count:
            self._first_strike = self._client.now
        count += 1
        quiet += self._client.heartbeat.last_received <= self._tried_at
        self._strikes = (before, count, quiet)
        self.goes_on = self._verdicts < FREE_VERDICTS and count <= STRIKES  # from then on with pauses
        long = self._client.now - self._first_strike >= ACCUSING_SECONDS
        if long and (quiet >= STRIKES or count >= STRIKES_IN_TRAFFIC):
            self._strikes = (None, 0, 0)
            self._verdicts += 1
            if recovery is None or not recovery.condemn(command):
                self._condemned = command
        return True

    # --- sessions that are made anew ------------------------------------------------------------------------------

    def trials(self, recovery: Recovery) -> Generator[Request | float, Request, None]:
        """Repeat what `recovery` has to repeat so that the command at fault is found; nothing, unless careful.

        Steps of a rebuilding: requests that are given back when they ended, and seconds to rest.
        """
        session = recovery.session
        while not self._may_go(session, recovery.has_repeats):
            yield HOLD
        if not self.careful:
            return
        size = recovery.position_of(self._marks.get(session))  # those before it passed once, and are not proven
        while (first := recovery.next_repeat) is not None:
            passed_before = size and session in self._marks and first != self._marks[session]
            if not passed_before:
                size = max(size, 1)
                self._marks[session] = first
            group = recovery.repeat_first(size)
            if len(group) == 1 and not passed_before:
                self._try(session, first)
            yield session.request_of(QueueQuery(PASSES_QUERY))
            while recovery.outstanding(group):
                yield HOLD
            self._trial = None
            recovery.repeated(group)
            if passed_before:
                size = 1
                continue
            self._got_further()
            self._marks.pop(session, None)
            size *= 2
        request = recovery.repeated_request
        if request is not None:
            self._try(session, request)
            yield recovery.take_request(request)
            self._trial = None
            self._got_further()
        commit = recovery.unsettled
        if commit is not None:
            self._try(session, commit)
            yield from recovery.settle_commit(commit)
            self._trial = None
            self._got_further()
        self.replayed(session)

    # --- sessions that are reattached -----------------------------------------------------------------------------

    def may_replay(self, session: Session) -> bool:
        """Return True if a session whose server's count is final may replay the rest; else it asks again soon."""
        if self._condemned is not None:
            self._execute(session)
        first = _first_command(session)
        if not self._may_go(session, first is not None):
            session.resume_at = self._client.now + HOLD
            return False
        session.resume_at = None
        if self.careful and first is not None:
            self._try(session, command_of(first))
        return True

    def _execute(self, session: Session) -> None:
        """Take the condemned command out: the server's final count says that it did not take it."""
        entry = _first_command(session)
        if entry is None or command_of(entry) != self._condemned:
            return
        self._condemned = None
        frame, token, _ = entry
        session.buffer.withdraw(lambda other, settle: other is frame and settle is token)
        error = NotSent(self._text(frame))
        if session.transacted_sends and not isinstance(token, Request):
            session.transaction.rollback_only = True
        session.tell_failed(token, error)
        self._got_further()

    # --- turns ----------------------------------------------------------------------------------------------------

    def _may_go(self, session: Session, repeats: bool) -> bool:
        """Is it this session's turn? Those with something to repeat come first, when all are there."""
        if not self.careful:
            return True
        waiting = self._waiting
        for closed in [other for other in waiting if other.state is State.CLOSED]:
            del waiting[closed]
        waiting[session] = repeats
        sessions = self._client.sessions.values()
        if any(other not in waiting and other.state not in SETTLED for other in sessions):
            return False
        if self._turn is not None:
            if self._turn.state is not State.CLOSED:
                return False
            self._turn = self._trial = None
        if not repeats and any(waiting.values()):
            return False
        del waiting[session]
        if repeats:
            self._turn = session
        elif not waiting:
            self._end()
        return True

    def replayed(self, session: Session) -> None:
        """What a session has repeated is confirmed: the next one's turn."""
        if self._turn is session:
            self._turn = self._trial = None
            self._got_further()
            if not self._waiting:
                self._end()

    def _got_further(self) -> None:
        self.passed = True
        self._strikes = (None, 0, 0)

    def _end(self) -> None:
        """All of it was repeated."""
        self.careful = False
        self._condemned = None
        self._marks = {}
        self._oldest = {}
        self._verdicts = 0

    # --- what is told ---------------------------------------------------------------------------------------------

    def verdict(self, frame: bytes | None) -> ActiveClientError:
        """Return the error of a command behind which the broker closes the connection; it may have been carried out."""
        duplicate_id = duplicate_id_of(frame) if frame is not None and frame[4] == SEND else None
        return OutcomeUnknown(self._text(frame), duplicate_id=duplicate_id)

    def too_large(self, frame: bytes, *, maybe: bool) -> ActiveClientError:
        """Return the error of a send that this broker does not take; `maybe`: the one before it may have."""
        text = self._client.limits.refusal("the message", len(frame))
        return OutcomeUnknown(text, duplicate_id=duplicate_id_of(frame)) if maybe else NotSent(text)

    def _text(self, frame: bytes | None) -> str:
        size = f" of {len(frame)} bytes" if frame is not None else ""
        return f"the broker closed {STRIKES} connections in a row behind this command{size}, alone on each"


def _first_command(session: Session) -> Entry | None:
    """The oldest unconfirmed command of the application on a session that counts."""
    for frame, token in session.buffer.entries():
        if token is not None or frame[4] == SEND:
            return frame, token, True
    return None


def _oldest(session: Session) -> object:
    """The command of the application that is in flight longest on a session that is usable or almost so, or None."""
    if session.recovery is not None:
        return session.recovery.settling if session.rebuilding else None
    if session.state is not State.ATTACHED:
        return None
    if session.windowed:
        entry = _first_command(session)
        return None if entry is None else command_of(entry)
    for frame, token in session.awaiting.values():
        return command_of((frame, token, True))
    return session.current
