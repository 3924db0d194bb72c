"""What the packets of distributed transactions do to a session.

Law of this file: an error of a branch is an answer with its XA code, and counts as a command that was done; only a
session that is not made for branches is refused. Source: ServerSessionImpl.xaStart and its relatives.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from activeclient.broker.transaction import State
from activeclient.errors import IllegalStateError, JMSError, XAError
from activeclient.server_code import ServerCode
from activeclient.wire import packets as p
from activeclient.wire.packet import Packet

if TYPE_CHECKING:
    from activeclient.broker.session import ServerSession

Handler = Callable[["ServerSession", Any], Packet | None]
Body = Callable[["ServerSession", Any], int | None]
_OK: Final = 0
_MANY: Final = 1000
"""Branches of a session from which on those that are over are looked for."""


def refuse_branch(session: ServerSession, what: str) -> None:
    """A local commit or rollback has no place in a branch.

    Raises:
        IllegalStateError: The session works in one (code 104).
    """
    if session.tx is not None and session.tx.xid is not None:
        raise IllegalStateError(f"{what} of a session that works in a branch", code=ServerCode.ILLEGAL_STATE)


def _check(session: ServerSession) -> None:
    if not session.xa:
        raise JMSError("the session is not for distributed transactions", code=ServerCode.INTERNAL_ERROR)


def _answered(body: Body) -> Handler:
    """The handler that answers with what `body` gives, or with the XA code of its error."""

    @wraps(body)
    def handler(session: ServerSession, packet: Any) -> Packet:
        _check(session)
        try:
            return p.XAResponse(False, body(session, packet) or _OK)
        except XAError as error:
            return p.XAResponse(True, error.xa_code, str(error))

    return handler


@_answered
def _start(session: ServerSession, packet: p.XAStart) -> None:
    session.tx = session.post.xa.start(packet.xid, session.tx)
    if len(session.branches) > _MANY:  # those that another session decided, or that expired
        session.branches = {xid for xid in session.branches if session.post.xa.get(xid) is not None}
    session.branches.add(packet.xid)


@_answered
def _join(session: ServerSession, packet: p.XAJoin) -> None:
    session.tx = session.post.xa.join(packet.xid)


@_answered
def _suspend(session: ServerSession, _: p.XASuspend) -> None:
    session.post.xa.suspend(session.tx)
    session.tx = None


@_answered
def _resume(session: ServerSession, packet: p.XAResume) -> None:
    session.tx = session.post.xa.resume(packet.xid, session.tx)


@_answered
def _end(session: ServerSession, packet: p.XAEnd) -> None:
    session.tx = session.post.xa.end(packet.xid, session.tx, packet.failed)


@_answered
def _prepare(session: ServerSession, packet: p.XAPrepare) -> int:
    outcome = session.post.xa.prepare(packet.xid, session.tx)
    session.branches.discard(packet.xid)
    return outcome


@_answered
def _commit(session: ServerSession, packet: p.XACommit) -> None:
    session.post.xa.commit(packet.xid, packet.one_phase, session.tx)
    session.branches.discard(packet.xid)


@_answered
def _rollback(session: ServerSession, packet: p.XARollback) -> None:
    # As in Artemis (ServerSessionImpl.xaRollback), all that was sent ahead goes back with it, in its order.
    flowing, session.flowing = session.flowing, False
    try:
        session.post.xa.rollback(
            packet.xid,
            session.tx,
            taken_back=lambda: [ref for consumer in session.consumers.values() for ref in consumer.take_all()],
        )
    finally:
        session.flowing = flowing
        session.update_flow()
    session.branches.discard(packet.xid)


@_answered
def _forget(session: ServerSession, packet: p.XAForget) -> None:
    session.post.xa.forget(packet.xid)


def _failed(session: ServerSession, packet: p.XAFailed) -> None:
    # A branch that is unknown, because its session was lost, is made, so that its end can be told and its commit fails.
    xa = session.post.xa
    found = xa.get(packet.xid)
    if found is None:
        found = xa.start(packet.xid)
        session.branches.add(packet.xid)
    xa.failed(packet.xid)
    session.tx = None if found.state is State.PREPARED else found


def abandon(session: ServerSession) -> None:
    """The client failed: its branches that are not prepared are rolled back with its session."""
    xa = session.post.xa
    for xid in session.branches:
        found = xa.get(xid)
        if found is not None:
            xa.abandon(found)
    session.branches.clear()


def _in_doubt(session: ServerSession, _: p.XAIndoubtXids) -> Packet:
    _check(session)
    return p.XAIndoubtXidsResponse(tuple(session.post.xa.in_doubt()))


def _set_timeout(_: ServerSession, packet: p.XASetTimeout) -> Packet:
    # Artemis says yes, and changes nothing: the timeout is the broker's.
    return p.XASetTimeoutResponse(packet.timeout_seconds >= 0)


def _get_timeout(session: ServerSession, _: p.XAGetTimeout) -> Packet:
    return p.XAGetTimeoutResponse(session.post.configuration.transaction_timeout // 1000)


HANDLERS: Final[dict[type[Packet], Handler]] = {
    p.XAStart: _start,
    p.XAJoin: _join,
    p.XASuspend: _suspend,
    p.XAResume: _resume,
    p.XAEnd: _end,
    p.XAPrepare: _prepare,
    p.XACommit: _commit,
    p.XARollback: _rollback,
    p.XAForget: _forget,
    p.XAFailed: _failed,
    p.XAIndoubtXids: _in_doubt,
    p.XASetTimeout: _set_timeout,
    p.XAGetTimeout: _get_timeout,
}
