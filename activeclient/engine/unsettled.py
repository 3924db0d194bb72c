"""What is still under way in a session that is being closed, and what of it could not be settled.

Law of this file: work counts as unsettled until the server has confirmed it or its caller has been told how it ended;
what an open transaction holds does not count, because closing the session rolls it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from activeclient.engine.command_buffer import duplicate_id_in
from activeclient.engine.requests import Pending, Request, SendToken, UnattendedToken
from activeclient.errors import UnsettledError
from activeclient.wire.message import SEND
from activeclient.wire.packets import (
    Acknowledge,
    Commit,
    IndividualAcknowledge,
    SendContinuation,
    XACommit,
    XAEnd,
    XAPrepare,
    XARollback,
)
from activeclient.wire.packets.session import SENDS

if TYPE_CHECKING:
    from activeclient.engine.session import Session

ACKNOWLEDGEMENTS = (Acknowledge.KIND, IndividualAcknowledge.KIND)
DECISIONS = (Commit, XAPrepare, XACommit, XARollback, XAEnd)
"""Requests that end a transaction, or a part of one."""
OUTLAST_CLOSE = (*DECISIONS, Acknowledge, IndividualAcknowledge)
"""Requests whose outcome the caller gets although the session is being closed."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """How much of a session's work was not settled when the session ended. False when everything was."""

    not_sent: int = 0
    """Sends that no connection has taken: they have not taken effect and will not."""
    unknown: int = 0
    """Sends that the broker may have."""
    acknowledgements: int = 0
    """Acknowledgements that the broker may not have: their messages may be delivered again."""
    decisions: int = 0
    """Commits, and other ends of transactions, without an answer."""
    duplicate_ids: tuple[bytes | str | None, ...] = ()
    """Of the sends that the broker may have; None for one without."""

    def __bool__(self) -> bool:
        return bool(self.not_sent or self.unknown or self.acknowledgements or self.decisions)

    def __add__(self, other: Unsettled) -> Unsettled:
        return Unsettled(
            self.not_sent + other.not_sent,
            self.unknown + other.unknown,
            self.acknowledgements + other.acknowledgements,
            self.decisions + other.decisions,
            self.duplicate_ids + other.duplicate_ids,
        )

    def error(self, what: str, cause: BaseException | None) -> UnsettledError:
        """The error that reports this after `what` was closed; `cause` is the last failure of the connection."""
        error = UnsettledError(
            what,
            not_sent=self.not_sent,
            unknown=self.unknown,
            acknowledgements=self.acknowledgements,
            commits=self.decisions,
            duplicate_ids=self.duplicate_ids,
            reason=None if cause is None else str(cause),
        )
        error.__cause__ = cause
        return error


NOTHING = Unsettled()


def outlasts_close(token: Pending) -> bool:
    """True if who waits for `token` gets its real outcome although the session is being closed."""
    return isinstance(token, SendToken) or (isinstance(token, Request) and isinstance(token.packet, OUTLAST_CLOSE))


def is_unsettled(session: Session) -> bool:
    """True while closing the session now would lose something, or leave a completion handler uncalled."""
    recovery = session.recovery
    for request in (session.current, *session.pending):
        if request is not None and not request.done and isinstance(request.packet, OUTLAST_CLOSE):
            return True
    if recovery is not None and recovery.settles_commit:
        return True
    if any(consumer.owes_acknowledgements for consumer in session.consumers.values()):
        return True
    work = session.buffer.entries()
    if recovery is not None:
        work += [(frame, token) for frame, token, _ in recovery.left()]
    work += session.awaiting.values()
    return any(_counts(session, frame, token) for frame, token in work)


def _counts(session: Session, frame: bytes, token: Pending | None) -> bool:
    kind = frame[4]
    if kind in SENDS:
        # Of a transaction only the handlers matter: each is called before the session is closed.
        return not session.transacted_sends or (isinstance(token, SendToken) and token.handler is not None)
    return kind in ACKNOWLEDGEMENTS and not session.transacted_acks


def unsettled_of(session: Session, work: Iterable[tuple[bytes, Pending | None, bool]]) -> Unsettled:
    """What is lost with a session that ends now.

    While its user closes it, everything counts. Else the connection was given up, which the callers and the handlers
    of sends are told, and everybody who receives: only sends that have neither count.

    Args:
        work: Unconfirmed frames, who waits for each, and whether the server may have it.
    """
    not_sent = unknown = 0
    ids: list[bytes | str | None] = []
    decided = {
        id(request): request
        for request in (session.current, *session.pending)
        if request is not None and not request.done and isinstance(request.packet, DECISIONS)
    }
    for frame, token, maybe in work:
        if isinstance(token, Request):
            if not token.done and isinstance(token.packet, DECISIONS):
                decided[id(token)] = token
        elif frame[4] in (SEND, SendContinuation.KIND) and not session.transacted_sends:
            if frame[4] == SendContinuation.KIND and token is None:
                continue  # not the last piece of its message
            if not session.closing and token is not None and type(token) is not UnattendedToken:
                continue  # its caller or its handler is told
            if maybe:
                unknown += 1
                ids.append(duplicate_id_in(frame) if frame[4] == SEND else None)
            else:
                not_sent += 1
    acknowledgements = 0
    lost = {}
    for consumer in session.consumers.values():
        if consumer.acknowledged is not None and consumer.closed:
            acknowledgements += consumer.acknowledged.unconfirmed
            if consumer.awaits_redelivery:
                lost[id(consumer.acknowledged.lost)] = len(consumer.acknowledged.lost.of)
    acknowledgements += sum(lost.values())
    return Unsettled(not_sent, unknown, acknowledgements, len(decided), tuple(ids))
