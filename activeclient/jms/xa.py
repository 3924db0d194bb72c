"""Distributed transactions: connections, sessions and contexts whose work belongs to branches (jakarta.jms.XA...).

Law of this file: nothing here decides about a transaction: its manager does, through the `XAResource`; a session of
this kind never commits by itself. What a branch has lost with its session is never prepared or committed without it.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from activeclient.errors import ConfigError, TransactionInProgressError
from activeclient.jms.connection import Connection
from activeclient.jms.connection_factory import ActiveMQConnectionFactory
from activeclient.jms.context import JMSContext
from activeclient.jms.modes import AcknowledgeMode
from activeclient.jms.session import Session
from activeclient.jms.times import Duration, in_seconds
from activeclient.masking import Secret, never_raises
from activeclient.wire.fields import Xid

if TYPE_CHECKING:
    from activeclient.client.session import ClientSession

FORMAT_ID = 0x61634C69
"""The format of branch names that are made here."""


MAX_TIMEOUT = (1 << 31) - 1
"""Seconds: the longest time-out that the protocol can tell."""


class Vote(enum.IntEnum):
    """How a branch answers `XAResource.prepare` (javax.transaction.xa.XAResource)."""

    OK = 0
    """It is prepared: commit it, or roll it back."""
    READ_ONLY = 3
    """It has done nothing, and is over."""


class XAResource:
    """What a transaction manager does with the branches of one session (javax.transaction.xa.XAResource).

    Every call raises XAError, with the XA code in `xa_code`, when the broker refuses it, and with XAER_RMFAIL (-7) when
    the outcome was lost with the connection: `recover` tells then.
    """

    def __init__(self, core: ClientSession, session: object = None) -> None:
        self._core = core
        self._session = session  # which is closed when it is dropped
        self._timeout = 0

    def start(self, xid: Xid, *, join: bool = False, resume: bool = False) -> None:
        """Work for a branch from now on.

        Args:
            join: Another session began it (TMJOIN).
            resume: It was suspended (TMRESUME).
        """
        if join:
            self._core.xa_join(xid)
        elif resume:
            self._core.xa_resume(xid)
        else:
            self._core.xa_start(xid)
            if self._timeout:
                self._core.xa_set_timeout(self._timeout)  # the broker takes it for the branch that is open

    def end(self, xid: Xid, *, failed: bool = False, suspend: bool = False) -> None:
        """Stop working for a branch.

        Args:
            failed: It can only be rolled back (TMFAIL).
            suspend: It goes on later, with `start(xid, resume=True)` (TMSUSPEND).
        """
        if suspend:
            self._core.xa_suspend()
        else:
            self._core.xa_end(xid, failed=failed)

    @contextlib.contextmanager
    def branch(self, xid: Xid | None = None) -> Iterator[Xid]:
        """Work for a branch within the block; when it raises, the branch can only be rolled back.

        Args:
            xid: Its name; without one, a new one.
        """
        name = new_xid() if xid is None else xid
        self.start(name)
        try:
            yield name
        except BaseException:
            self.end(name, failed=True)
            raise
        self.end(name)

    def prepare(self, xid: Xid) -> Vote:
        """Prepare a branch: after that, it can be committed even if everything breaks."""
        return Vote(self._core.xa_prepare(xid))

    def commit(self, xid: Xid, *, one_phase: bool = False) -> None:
        """Commit a prepared branch, or with `one_phase` one that is not."""
        self._core.xa_commit(xid, one_phase=one_phase)

    def rollback(self, xid: Xid) -> None:
        """Roll a branch back: what it received comes again, marked redelivered, and what it sent is undone."""
        self._core.xa_rollback(xid)

    def forget(self, xid: Xid) -> None:
        """Forget a branch that the broker's administrator has decided."""
        self._core.xa_forget(xid)

    def recover(self) -> list[Xid]:
        """All branches on the broker that are prepared and undecided."""
        return self._core.xa_recover()

    @property
    def transaction_timeout(self) -> int:
        """Seconds after which the broker rolls a branch back that is not prepared."""
        return self._timeout or self._core.xa_get_timeout()

    def set_transaction_timeout(self, timeout: Duration) -> None:
        """Set it for the branches that are started later: at least a second; 0 for the broker's default.

        Raises:
            ConfigError: More than 2147483647 seconds, or no duration.
        """
        seconds = in_seconds("transaction_timeout", timeout)
        if seconds > MAX_TIMEOUT:
            raise ConfigError("transaction_timeout", timeout, f"must be at most {MAX_TIMEOUT} seconds")
        self._timeout = max(1, round(seconds)) if seconds else 0

    def is_same_rm(self, other: object) -> bool:
        """Do both work on the same connection, so that one branch is enough?"""
        return isinstance(other, XAResource) and other._core.factory is self._core.factory

    @never_raises
    def __repr__(self) -> str:
        return f"<XAResource of {self._core!r}>"


def new_xid() -> Xid:
    """A name that no other branch has."""
    return Xid(FORMAT_ID, os.urandom(16), os.urandom(8))


class XASession(Session):
    """A session whose sends and receipts belong to branches. Made by `XAConnection.create_xa_session`."""

    @functools.cached_property
    def xa_resource(self) -> XAResource:
        """For the transaction manager."""
        return XAResource(self.core, self)

    def _check_transacted(self, what: str) -> None:
        self.check_open()
        raise TransactionInProgressError(f"a session in branches cannot {what}: that is done through its XAResource")


class XAConnection(Connection):
    """A connection that has XA sessions too. Made by `ActiveMQXAConnectionFactory.create_xa_connection`."""

    def create_xa_session(self) -> XASession:
        """Create a session for branches of distributed transactions.

        Raises:
            ConnectionLost: The connection was given up.
            OutageTimeout: It was not back within callFailoverTimeout.
        """
        self.check_open()
        return self._open_session(XASession, AcknowledgeMode.SESSION_TRANSACTED, xa=True)


class XAJMSContext(JMSContext):
    """A context whose work belongs to branches. Made by `ActiveMQXAConnectionFactory.create_xa_context`."""

    def _new_session(self) -> XASession:
        connection = self.connection
        assert isinstance(connection, XAConnection)
        return connection.create_xa_session()

    @property
    def xa_resource(self) -> XAResource:
        """For the transaction manager."""
        session = self.session
        assert isinstance(session, XASession)
        return session.xa_resource


class ActiveMQXAConnectionFactory(ActiveMQConnectionFactory):
    """A connection factory for distributed transactions (jakarta.jms.XAConnectionFactory)."""

    def create_xa_connection(
        self, user: str | None = None, password: str | None = None, *, client_id: str | None = None
    ) -> XAConnection:
        """As `create_connection`, with XA sessions."""
        password = Secret.of(password)
        return self._connect(XAConnection, user, password, client_id)

    def create_xa_context(
        self, user: str | None = None, password: str | None = None, *, client_id: str | None = None
    ) -> XAJMSContext:
        """As `create_context`, for work in branches."""
        password = Secret.of(password)
        return XAJMSContext.of(self.create_xa_connection(user, password, client_id=client_id))
