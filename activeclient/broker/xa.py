"""Transactions that a transaction manager decides about, by their names (XA).

Law of this file: a prepared branch outlives sessions, connections and the broker until it is decided; any other is
rolled back when its time is over. A heuristic outcome is remembered until the manager forgets it. Errors are `XAError`
with the codes of javax.transaction.xa. Source: ResourceManagerImpl and ServerSessionImpl of Artemis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from activeclient.broker.chain import Reference
from activeclient.broker.limits import MAX_BRANCHES
from activeclient.broker.store import Done, Forgotten, Operation, Resolved
from activeclient.broker.transaction import State, Transaction
from activeclient.errors import ActiveClientError, XAError
from activeclient.wire.fields import Xid

if TYPE_CHECKING:
    from activeclient.broker.postoffice import PostOffice

XA_OK: Final = 0
XA_RDONLY: Final = 3
XA_HEURRB: Final = 6
XA_HEURCOM: Final = 7
XA_RBROLLBACK: Final = 100
XAER_RMERR: Final = -3
XAER_NOTA: Final = -4
XAER_PROTO: Final = -6
XAER_DUPID: Final = -8


class XaTransactions:
    """The branches of a broker.

    Args:
        timeout: Seconds after which a branch that is not prepared is rolled back.

    A session has at most one branch at hand; `current` is that of the calling session.
    """

    __slots__ = ("_branches", "_office", "_watching", "heuristic", "timeout")

    def __init__(self, office: PostOffice, timeout: float) -> None:
        self._office = office
        self.timeout: float = timeout
        self._branches: dict[Xid, Transaction] = {}
        self._watching = False
        self.heuristic: dict[Xid, bool] = {}
        """What an administrator decided: true for committed."""

    def get(self, xid: Xid) -> Transaction | None:
        """The branch of this name, whatever its state."""
        return self._branches.get(xid)

    @property
    def prepared(self) -> list[Transaction]:
        """Branches that wait for a decision, the oldest first."""
        found = [tx for tx in self._branches.values() if tx.state is State.PREPARED]
        return sorted(found, key=lambda tx: tx.created)

    def in_doubt(self) -> list[Xid]:
        """What the manager has to decide, or to forget."""
        return [tx.xid for tx in self.prepared if tx.xid is not None] + list(self.heuristic)

    def start(self, xid: Xid, current: Transaction | None = None) -> Transaction:
        """A new branch, now the session's.

        Raises:
            XAError: The session has one (XAER_PROTO), or the name is taken (XAER_DUPID).
        """
        if current is not None and current.xid is not None:
            raise XAError("Cannot start, session is already doing work in a transaction", xa_code=XAER_PROTO)
        if xid in self._branches:
            raise XAError(f"a branch of this name exists: {xid}", xa_code=XAER_DUPID)
        if len(self._branches) + len(self.heuristic) >= MAX_BRANCHES:
            raise XAError(f"the broker has {MAX_BRANCHES} branches, no more are allowed", xa_code=XAER_RMERR)
        made = self._branches[xid] = Transaction(self._office, xid)
        self._watch()
        return made

    def join(self, xid: Xid) -> Transaction:
        """A branch that another session began, now this session's too.

        Raises:
            XAError: There is none (XAER_NOTA), or it rests (XAER_PROTO).
        """
        found = self._known(xid)
        if found.state is State.SUSPENDED:
            raise XAError("Cannot join tx, it is suspended", xa_code=XAER_PROTO)
        return found

    def suspend(self, current: Transaction | None) -> None:
        """Let the session's branch rest; the session has none then.

        Raises:
            XAError: It has none, or one that rests (XAER_PROTO).
        """
        if current is None or current.xid is None:
            raise XAError("Cannot suspend, session is not doing work in a transaction", xa_code=XAER_PROTO)
        if current.state is State.SUSPENDED:
            raise XAError("Cannot suspend, transaction is already suspended", xa_code=XAER_PROTO)
        if current.state is State.ACTIVE:
            current.state = State.SUSPENDED

    def resume(self, xid: Xid, current: Transaction | None = None) -> Transaction:
        """A branch that rests goes on, now as the session's.

        Raises:
            XAError: The session has one, or it does not rest (XAER_PROTO); there is none (XAER_NOTA).
        """
        if current is not None and current.xid is not None:
            raise XAError("Cannot resume, session is currently doing work in a transaction", xa_code=XAER_PROTO)
        found = self._known(xid)
        if found.state is State.SUSPENDED:
            found.state = State.ACTIVE
        elif found.state is not State.ROLLBACK_ONLY:
            raise XAError("Transaction is not suspended", xa_code=XAER_PROTO)
        return found

    def end(self, xid: Xid, current: Transaction | None, failed: bool = False) -> Transaction | None:
        """The work of a branch is done; gives what the session has then.

        Raises:
            XAError: There is none (XAER_NOTA), or another session works in it (XAER_PROTO).
        """
        if current is not None and current.xid == xid:
            if current.state is State.SUSPENDED:
                raise XAError("Cannot end, transaction is suspended", xa_code=XAER_PROTO)
            if current.state is State.ROLLED_BACK:
                raise XAError("Cannot end, transaction is rolled back", xa_code=XAER_PROTO)
            found, current = current, None
        else:
            found = self._known(xid)
            if found.state is not State.SUSPENDED:
                raise XAError("Transaction is not suspended", xa_code=XAER_PROTO)
            found.state = State.ACTIVE
        if failed:
            found.rollback_only(ActiveClientError("the work of this branch failed"))
        return current

    def prepare(self, xid: Xid, current: Transaction | None = None, done: Done | None = None) -> int:
        """Prepare a branch: XA_OK, or XA_RDONLY when there was no work and it is over. `done` when it is safe.

        Raises:
            XAError: The session works in it, or it rests (XAER_PROTO); there is none (XAER_NOTA); it was rollback-only
                and is rolled back now (XA_RBROLLBACK).
        """
        found = self._decidable(xid, current, "prepare")
        if found.state is State.PREPARED:
            raise XAError("The branch is prepared already", xa_code=XAER_PROTO)
        if found.state is State.ACTIVE and not found.work:
            found.commit(done)
            del self._branches[xid]
            return XA_RDONLY
        try:
            found.prepare(done)
        except ActiveClientError as error:
            self._branches.pop(xid, None)
            raise XAError(str(error), xa_code=XA_RBROLLBACK) from error
        return XA_OK

    def commit(self, xid: Xid, one_phase: bool, current: Transaction | None = None, done: Done | None = None) -> None:
        """Commit a branch; `done` when it is safe.

        Raises:
            XAError: Decided already (XA_HEURCOM, XA_HEURRB); there is none (XAER_NOTA); the session works in it, it
                rests, or it is prepared or not against what `one_phase` says (XAER_PROTO); it was rollback-only and is
                rolled back now (XA_RBROLLBACK).
        """
        found = self._decidable(xid, current, "commit")
        if one_phase is (found.state is State.PREPARED):
            raise XAError(f"Cannot commit, the branch is {found.state.value}", xa_code=XAER_PROTO)
        del self._branches[xid]
        try:
            found.commit(done)
        except ActiveClientError as error:
            raise XAError(str(error), xa_code=XA_RBROLLBACK) from error

    def rollback(
        self,
        xid: Xid,
        current: Transaction | None = None,
        done: Done | None = None,
        taken_back: Callable[[], Iterable[Reference]] = tuple,
    ) -> None:
        """Roll a branch back; `done` when it is safe.

        Args:
            taken_back: Takes the deliveries that go back with it; called when it is sure to be rolled back.

        Raises:
            XAError: Decided already (XA_HEURCOM, XA_HEURRB); there is none (XAER_NOTA); the session works in it, or it
                rests (XAER_PROTO).
        """
        found = self._decidable(xid, current, "roll back")
        del self._branches[xid]
        found.rollback(taken_back(), done)

    def failed(self, xid: Xid) -> None:
        """The client's side of the branch failed: it cannot commit any more."""
        found = self._branches.get(xid)
        if found is not None:
            found.rollback_only(ActiveClientError("the client's side of this branch failed"))

    def forget(self, xid: Xid) -> None:
        """The manager knows of the heuristic outcome.

        Raises:
            XAError: There is none (XAER_NOTA).
        """
        if self.heuristic.pop(xid, None) is None:
            raise XAError(f"no branch of this name was decided: {xid}", xa_code=XAER_NOTA)
        self._office.store.append(Forgotten(xid))

    def abandon(self, tx: Transaction) -> None:
        """The session that worked in it is gone: unless it is prepared, it is rolled back."""
        if tx.xid is not None and tx.state is not State.PREPARED and self._branches.get(tx.xid) is tx:
            del self._branches[tx.xid]
            tx.rollback(delay=False)

    def decide(self, xid: Xid, *, commit: bool) -> bool:
        """An administrator decides about a prepared branch; false when there is none."""
        found = self._branches.get(xid)
        if found is None or found.state is not State.PREPARED:
            return False
        del self._branches[xid]
        operation: tuple[Operation, ...] = (Resolved(xid, committed=commit, heuristic=True),)
        self.heuristic[xid] = commit
        if commit:
            found.apply(operation)
        else:
            self._office.store.append(*operation)
            found.undo()
        return True

    def recovered(self, tx: Transaction) -> None:
        """A prepared branch out of the store."""
        assert tx.xid is not None
        tx.state = State.PREPARED
        self._branches[tx.xid] = tx

    def expire(self) -> None:
        """Roll back what took too long without being prepared."""
        over = self._office.clock.monotonic() - self.timeout
        for xid, tx in list(self._branches.items()):
            if tx.state is not State.PREPARED and tx.created <= over:
                del self._branches[xid]
                tx.rollback()
        self._watching = False
        self._watch()

    def _watch(self) -> None:
        """See that branches expire, by one timer: that of the first one."""
        if self._watching:
            return
        first = min((tx.created for tx in self._branches.values() if tx.state is not State.PREPARED), default=None)
        if first is not None:
            self._watching = True
            self._office.after(max(0.0, first + self.timeout - self._office.clock.monotonic()), self.expire)

    def _known(self, xid: Xid) -> Transaction:
        found = self._branches.get(xid)
        if found is None:
            raise XAError(f"Cannot find xid in resource manager: {xid}", xa_code=XAER_NOTA)
        return found

    def _decidable(self, xid: Xid, current: Transaction | None, what: str) -> Transaction:
        if current is not None and current.xid == xid:
            raise XAError(f"Cannot {what}, session is currently doing work in this transaction", xa_code=XAER_PROTO)
        outcome = self.heuristic.get(xid)
        if outcome is not None:
            said = "committed" if outcome else "rolled back"
            raise XAError(f"the branch has been {said} heuristically", xa_code=XA_HEURCOM if outcome else XA_HEURRB)
        found = self._known(xid)
        if found.state is State.SUSPENDED:
            raise XAError(f"Cannot {what}, transaction is suspended", xa_code=XAER_PROTO)
        return found
