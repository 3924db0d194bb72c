"""Does the server still deliver messages to a session that it had reattached?

Artemis asks the connection on which a session was *made* whether it can take another message, also after the session
was reattached to another one (2.44, CoreSessionCallback). Was that connection full when it ended, and did the word that
it can be written to again come after it had been forgotten, then it is full for ever: the session is answered as ever,
and none of its consumers gets another message. (Seen on Artemis 2.44 at a load of 15: two of 14 backlogs of 20,000
messages stood still behind the first cut.)

Law of this file: a consumer that could be served, and is not, while its queue has messages that nobody else consumes,
is found out within seconds, whatever the cause; its session is made anew then, as quietly as any other is recreated.
One message that comes later than a moment after the reattachment proves that all is well until the session is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.errors import DeliveryStopped
from activeclient.wire.packets import QueueQuery, QueueQueryResponse

if TYPE_CHECKING:
    from activeclient.engine.consumer import Consumer
    from activeclient.engine.requests import Request
    from activeclient.engine.session import Session

FIRST_PAUSE = 1.0
GROWTH = 2.0
LONGEST_PAUSE = 30.0
"""Seconds between two looks, from a reattachment on."""
DOUBTS = 2
"""So many looks in a row must find the same consumer without the messages of its queue."""


class DeliveryCheck:
    """Looks after the consumers of one session.

    Args:
        session: Whose.
    """

    __slots__ = ("_doubted", "_doubts", "_pause", "_proven", "_seen", "due", "session")

    def __init__(self, session: Session) -> None:
        self.session: Session = session
        self.due: float | None = None
        """When to look; None: never."""
        self._pause = FIRST_PAUSE
        self._proven = False
        self._seen: dict[int, int] = {}
        self._doubted: Consumer | None = None
        self._doubts = 0

    def begin(self, now: float) -> None:
        """The session was reattached, and everything that the server repeats has come."""
        if not self._proven:
            self._pause = FIRST_PAUSE
            self._doubted = None
            self._seen = self._balances()
            self.due = now + self._pause

    def stop(self) -> None:
        """The link is gone, or it is known to deliver."""
        self.due = None
        self._doubted = None

    def renew(self) -> None:
        """The session is lost: what was known was of the one before."""
        self.stop()
        self._proven = False

    def handle_timeout(self, now: float) -> None:
        """A pause may be over."""
        if self.due is None or now < self.due:
            return
        if self._has_delivered():
            self._proven = True
            self.stop()
            return
        consumer = next(filter(self._waits, self.session.consumers.values()), None)
        self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)
        if consumer is None:
            self._doubted = None
            self.due = now + self._pause
        else:
            self.due = None
            question = self.session.request_of(
                QueueQuery(consumer.queue), lambda request: self._told(consumer, request)
            )
            self.session.submit(question)

    def _balances(self) -> dict[int, int]:
        return {consumer.id: consumer.balance for consumer in self.session.consumers.values() if consumer.window}

    def _has_delivered(self) -> bool:
        """True if something was delivered since the last look: each delivery lowers a balance."""
        before, self._seen = self._seen, self._balances()
        return any(self._seen.get(consumer, balance) != balance for consumer, balance in before.items())

    def _waits(self, consumer: Consumer) -> bool:
        """Could the server deliver to it now? Then none of the messages of its queue is in our hands because of it."""
        session = self.session
        return (
            session.started
            and not session.closing
            and not session.transaction.work
            and not (consumer.closed or consumer.browse_only or consumer.refreshing or consumer.ignoring)
            and consumer.filter is None
            and not consumer.buffer
            and consumer.large is None
            and not consumer.taken
            and consumer.ack_message_id == -1
            and (consumer.window != 0 or consumer.asking)
        )

    def _told(self, consumer: Consumer, request: Request) -> None:
        session = self.session
        answer = request.result
        if not session.usable or not isinstance(answer, QueueQueryResponse):
            return  # whoever brings the session back begins anew
        now = session.client.now
        self.due = now + self._pause
        others = [
            each
            for other in session.client.sessions.values()
            for each in other.consumers.values()
            if each.queue == consumer.queue
        ]
        held = sum(len(each.buffer) + len(each.taken) for each in others)
        left = answer.message_count > held and answer.consumer_count <= len(others)
        if self._has_delivered() or not left or not self._waits(consumer):
            self._doubted = None
            return
        self._doubts = self._doubts + 1 if self._doubted is consumer else 1
        self._doubted = consumer
        if self._doubts >= DOUBTS:
            self.stop()
            reason = (
                f"consumer {consumer.id} gets nothing of {consumer.queue!r}, which has {answer.message_count} messages"
            )
            session.client.session_diverged(session, DeliveryStopped(reason), now)
