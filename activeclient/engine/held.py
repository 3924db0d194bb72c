"""What the application holds when its session is lost, in sessions that commit acknowledgements and nothing else.

Law of this file: a held message that is redelivered in the new session is recognised, to the byte, and not handed out
a second time; it is acknowledged there as far as the application has acknowledged it. A commit of acknowledgements is
sent when every message of it is back, and else ends with what is certain: a commit in doubt took effect when none of
its messages is redelivered, for the broker redelivers all of them or none; a message that is with another consumer now
cannot be acknowledged any more, so the commit is rolled back.

CLIENT and INDIVIDUAL mode of JMS are such sessions: what they send is not part of the transaction, so nobody has
opened one, and its loss need not show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.engine.acknowledged import MAX_REMEMBERED
from activeclient.engine.requests import Request
from activeclient.errors import OutcomeUnknown, TransactionRolledBackError

if TYPE_CHECKING:
    from activeclient.engine.consumer import Consumer
    from activeclient.engine.session import Session
    from activeclient.wire.message import CoreMessage


AGAIN = 0.02
"""Seconds between two questions whether messages come again."""
PATIENCE = 0.5
"""Seconds for which messages that were certainly not committed are waited for, while the broker says it has none."""


class Held:
    """A message that the application holds and that the server will deliver again."""

    __slots__ = ("acknowledged", "by", "fingerprint", "in_doubt", "settled", "streaming")

    def __init__(
        self,
        by: Consumer,
        fingerprint: int,
        streaming: CoreMessage | None = None,
        *,
        acknowledged: bool = False,
        in_doubt: bool = False,
    ) -> None:
        self.by: Consumer = by
        """The consumer that handed it out."""
        self.fingerprint: int = fingerprint
        """0: not known, the message id decides."""
        self.streaming: CoreMessage | None = streaming
        """The message whose body the application reads, when it goes on with the redelivery."""
        self.acknowledged: bool = acknowledged
        """The application has acknowledged it, and the acknowledgement is lost or not sent."""
        self.in_doubt: bool = in_doubt
        """Its commit may have taken effect: then it is not redelivered."""
        self.settled: bool = False
        """Its commit was found to have taken effect. A redelivery, late and unlikely, is acknowledged again."""

    def is_same(self, message: CoreMessage) -> bool:
        """True if `message`, which has its id, is the same message; ids of a replaced broker begin anew."""
        return not self.fingerprint or self.fingerprint == message.fingerprint


class HeldMessages:
    """The held messages of one session, by queue: any of its consumers of the queue may get them again."""

    __slots__ = ("_left", "_queues", "_session", "commit_in_doubt", "due", "partly_acknowledged", "returned_at")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._queues: dict[str, dict[int, Held]] = {}
        self._left: dict[Consumer, dict[int, int]] = {}
        """Consumers that were closed, with what they acknowledged in the open transaction."""
        self.returned_at: float = 0.0
        """When the messages of the session before were in their queues again."""
        self.due: float | None = None
        """When a commit that waits looks again."""
        self.partly_acknowledged: bool = False
        """The last commit failed because messages of it are with other consumers, and those that are not were
        acknowledged: a rollback is due."""
        self.commit_in_doubt: bool = False
        """A commit was lost with its session, and none of its messages has been redelivered yet."""

    def expected(self, queue: str) -> dict[int, Held]:
        """Return the messages of a queue whose redelivery is swallowed, by message id; shared by its consumers."""
        return self._queues.setdefault(queue, {})

    @property
    def any_expected(self) -> bool:
        """True while a redelivery is waited for."""
        return any(not held.settled for expected in self._queues.values() for held in expected.values())

    # --- what happens to the session ------------------------------------------------------------------------------

    def consumer_closed(self, consumer: Consumer) -> None:
        """Keep what a closed consumer acknowledged: its acknowledgements stay in the transaction."""
        acknowledged = {**consumer.committing, **(consumer.uncommitted or {})}
        if acknowledged:
            self._left[consumer] = acknowledged
        for message_id, held in list(consumer.absorbing.items()):
            if held.by is consumer and not held.acknowledged:
                del consumer.absorbing[message_id]  # it goes to another consumer, as a new message

    def session_lost(self) -> None:
        """Expect what closed consumers had acknowledged; the open ones see to theirs."""
        for consumer, acknowledged in self._left.items():
            expected = self.expected(consumer.queue)
            for message_id, fingerprint in acknowledged.items():
                expected[message_id] = Held(consumer, fingerprint, acknowledged=True, in_doubt=self.commit_in_doubt)
        self._left.clear()

    def rolled_back(self) -> None:
        """The application undoes what it received: everything is handed out again, but what was acknowledged before."""
        for expected in self._queues.values():
            for message_id in [each for each, held in expected.items() if not held.settled]:
                del expected[message_id]
        self._left.clear()
        self.due = None
        self.commit_in_doubt = self.partly_acknowledged = False

    # --- commits --------------------------------------------------------------------------------------------------

    def commit_sent(self) -> None:
        """A commit goes out: what is acknowledged from now on belongs to the next one."""
        for consumer in self._session.consumers.values():
            if consumer.uncommitted:
                consumer.committing.update(consumer.uncommitted)
                consumer.uncommitted.clear()

    def commit_lost(self) -> None:
        """The session is lost amid a commit that the server may have."""
        if self._left or any(consumer.committing for consumer in self._session.consumers.values()):
            self.commit_in_doubt = True

    def commit_ended(self) -> None:
        """The server has answered a commit, or nobody waits for its answer any more."""
        for consumer in self._session.consumers.values():
            consumer.committing.clear()
        self._left.clear()
        self.commit_in_doubt = False

    def handle_timeout(self, now: float) -> None:
        """A commit that waits may look again."""
        if self.due is not None and now >= self.due:
            self.due = None
            for consumer in self._session.consumers.values():
                consumer.seek_again()
            self._session.launch()

    def may_commit(self, request: Request) -> bool:
        """Return True if the commit at the head of the queue may be sent now.

        False: redeliveries are waited for, or the commit has ended without being sent.
        """
        session = self._session
        awaited = [
            (held, expected)
            for expected in self._queues.values()
            for held in expected.values()
            if held.acknowledged and not held.settled
        ]
        if not awaited:
            self.commit_in_doubt = False
            return True
        queues = {id(expected) for _, expected in awaited}
        seekers = [consumer for consumer in session.consumers.values() if id(consumer.absorbing) in queues]
        if [consumer for consumer in seekers if not consumer.seek()]:  # a list: each of them asks
            return False
        # One that is not in doubt was not committed: its messages come, or others have them, and there is no haste.
        earliest = self.returned_at + (0.0 if self.commit_in_doubt else PATIENCE)
        if session.client.now < earliest:
            self.due = min(earliest, session.client.now + AGAIN)
            return False
        session.pending.remove(request)
        sought = {id(consumer.absorbing) for consumer in seekers}
        if not self.commit_in_doubt:
            self._with_others(request, len(awaited))
        elif any(held.in_doubt and id(expected) in sought for held, expected in awaited):
            for held, _ in awaited:
                held.settled = held.in_doubt
            self._bound()
            self.commit_in_doubt = False
            request.complete(session, None)
        else:
            self._drop()
            text = "the session was lost while messages were acknowledged whose consumer is closed"
            request.failed(session, OutcomeUnknown(text))
        return False

    def _with_others(self, request: Request, count: int) -> None:
        session = self._session
        self._drop()
        partly = bool(self._left) or any(consumer.uncommitted for consumer in session.consumers.values())
        text = (
            f"the session was lost and recreated, and {count} of the messages to be acknowledged are not redelivered to"
            " it: other consumers have them, or the session before, while the broker keeps it"
        )
        request.failed(session, TransactionRolledBackError(text, code=111))
        self.partly_acknowledged = partly

    def _drop(self) -> None:
        """Expect no more what was acknowledged and is not settled."""
        self.commit_in_doubt = False
        for expected in self._queues.values():
            for message_id in [each for each, held in expected.items() if held.acknowledged and not held.settled]:
                del expected[message_id]

    def _bound(self) -> None:
        for expected in self._queues.values():
            settled = [each for each, held in expected.items() if held.settled]
            for message_id in settled[: max(0, len(settled) - MAX_REMEMBERED)]:
                del expected[message_id]
