"""Transactions: sends and acknowledgements that take effect together.

Law of this file: before the commit nothing that was sent is in a queue, and what was acknowledged is delivered still;
afterwards all of it, or none. A transaction that is rollback-only never commits: the attempt rolls it back and raises
what made it so. Source: TransactionImpl of Artemis.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from activeclient.broker.chain import Reference
from activeclient.broker.store import Acknowledged, Done, DuplicateRecorded, Operation, Prepared, Resolved, stored
from activeclient.errors import ActiveClientError, IllegalStateError
from activeclient.masking import never_raises
from activeclient.server_code import ServerCode
from activeclient.wire.fields import Xid

if TYPE_CHECKING:
    from activeclient.broker.message import StoredMessage
    from activeclient.broker.postoffice import PostOffice
    from activeclient.broker.queue import Queue


class State(Enum):
    """Where a transaction is."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ROLLBACK_ONLY = "rollback only"
    PREPARED = "prepared"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"


class Send(NamedTuple):
    """A message sent in a transaction, and the queues to which it will go."""

    message: StoredMessage
    queues: tuple[Queue, ...]


class Transaction:
    """Work that takes effect together; made by `PostOffice.begin` or an XA start.

    Args:
        xid: Its name, when a transaction manager decides about it.
    """

    __slots__ = ("_office", "acknowledged", "cause", "created", "duplicates", "sends", "state", "xid")

    def __init__(self, office: PostOffice, xid: Xid | None = None) -> None:
        self._office = office
        self.xid: Xid | None = xid
        self.state: State = State.ACTIVE
        self.created: float = office.clock.monotonic()
        self.cause: ActiveClientError | None = None
        """What made it rollback-only."""
        self.sends: list[Send] = []
        self.acknowledged: list[Reference] = []
        self.duplicates: list[DuplicateRecorded] = []
        """Ids to be remembered, also of messages that go nowhere."""

    @property
    def work(self) -> bool:
        """Was anything done in it?"""
        return bool(self.sends or self.acknowledged or self.duplicates)

    def acknowledge(self, ref: Reference) -> None:
        """A consumer is done with it, if this commits (hot path)."""
        self.acknowledged.append(ref)

    def rollback_only(self, cause: ActiveClientError) -> None:
        """It cannot commit any more; the first cause is kept."""
        if self.state in (State.ACTIVE, State.SUSPENDED):
            self.state = State.ROLLBACK_ONLY
            self.cause = cause

    def operations(self) -> tuple[Operation, ...]:
        """What its commit changes in the store."""
        found: list[Operation] = [*self.duplicates]
        for message, queues in self.sends:
            found += stored(message, queues)
        found += [Acknowledged(ref.message.id, ref.queue.id) for ref in self.acknowledged if ref.queue.is_stored(ref)]
        return tuple(found)

    def commit(self, done: Done | None = None) -> None:
        """Let it take effect; `done` when it is safe.

        Raises:
            DuplicateIDError: A message in it is a repeat (code 113); all was rolled back.
            ActiveClientError: Whatever else made it rollback-only; all was rolled back.
            IllegalStateError: It is over already, or rests.
        """
        if self.state is State.ROLLBACK_ONLY:
            cause = self.cause
            self.rollback()
            raise (
                cause.again()
                if cause is not None
                else IllegalStateError("the transaction is rollback-only", code=ServerCode.ILLEGAL_STATE)
            )
        if self.state not in (State.ACTIVE, State.PREPARED):
            raise IllegalStateError(f"the transaction is {self.state.value}", code=ServerCode.ILLEGAL_STATE)
        operations: tuple[Operation, ...]
        if self.state is State.PREPARED:
            assert self.xid is not None
            operations = (Resolved(self.xid, committed=True),)
        else:
            operations = self.operations()
        self.apply(operations)
        if done is not None:
            self._office.store.when_complete(done)

    def apply(self, operations: tuple[Operation, ...]) -> None:
        """Take effect with these operations on the store, which are its own or stand for them."""
        self.state = State.COMMITTED
        store = self._office.store
        if operations:
            store.append(*operations)
        acknowledged, self.acknowledged = self.acknowledged, []
        sends, self.sends = self.sends, []
        for ref in acknowledged:
            ref.queue.settle(ref)
        for duplicate in self._take_ids():
            self._office.duplicates.record(*duplicate)
        for message, queues in sends:
            self._office.enqueue(message, queues)

    def _take_ids(self) -> list[DuplicateRecorded]:
        taken, self.duplicates = self.duplicates, []
        self._office.held_ids -= len(taken)
        return taken

    def rollback(
        self, unacknowledged: Iterable[Reference] = (), done: Done | None = None, *, delay: bool = True
    ) -> None:
        """Undo it. What was acknowledged in it comes again, with its delivery counted.

        Args:
            unacknowledged: Deliveries that come again with it, not counted (count those that are to be counted before).
            delay: Does the redelivery delay count? Not when a consumer closes.

        Raises:
            IllegalStateError: It is over already.
        """
        if self.state in (State.COMMITTED, State.ROLLED_BACK):
            raise IllegalStateError(f"the transaction is {self.state.value}", code=ServerCode.ILLEGAL_STATE)
        if self.state is State.PREPARED and self.xid is not None:
            self._office.store.append(Resolved(self.xid, committed=False))
        self.undo(unacknowledged, delay)
        if done is not None:
            self._office.store.when_complete(done)

    def undo(self, unacknowledged: Iterable[Reference] = (), delay: bool = True) -> None:
        """Nothing of it takes effect; the store knows."""
        self.state = State.ROLLED_BACK
        sends, self.sends = self.sends, []
        acknowledged, self.acknowledged = self.acknowledged, []
        self._take_ids()
        for message, _ in sends:
            self._office.release(message)
        by_queue: dict[Queue, tuple[list[Reference], list[Reference]]] = {}
        for ref in acknowledged:
            by_queue.setdefault(ref.queue, ([], []))[0].append(ref)
        for ref in unacknowledged:
            by_queue.setdefault(ref.queue, ([], []))[1].append(ref)
        for queue, (counted, uncounted) in by_queue.items():
            queue.give_back(counted, count_delivery=True, delay=delay)
            queue.give_back(uncounted, count_delivery=False, delay=delay)
        for queue in by_queue:
            queue.deliver_waiting()

    def prepare(self, done: Done | None = None) -> None:
        """Make sure that it can commit, also after a restart; `done` when it is safe.

        Raises:
            ActiveClientError: What made it rollback-only; all was rolled back.
            IllegalStateError: It is no XA transaction, or not active.
        """
        if self.state is State.ROLLBACK_ONLY:
            self.commit()
        if self.state is not State.ACTIVE or self.xid is None:
            raise IllegalStateError(f"the transaction is {self.state.value}", code=ServerCode.ILLEGAL_STATE)
        self._office.store.append(Prepared(self.xid, self.operations()))
        self.state = State.PREPARED
        if done is not None:
            self._office.store.when_complete(done)

    @never_raises
    def __repr__(self) -> str:
        return f"<Transaction {self.state.value}: {len(self.sends)} sends, {len(self.acknowledged)} acknowledgements>"
