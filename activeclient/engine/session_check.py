"""Does the server still answer a reattached session, and here?

A connection that was given up may lie unread in the broker's buffers, with the request to reattach the session in it: a
broker that was frozen, or a proxy that held it back, carries it out when the session has been reattached elsewhere.
The session then moves to a connection that nobody reads, or ends with it, and nothing tells: the living connection's
pings are answered as ever, a consumer waits for messages that are delivered to nobody. (Seen on Artemis 2.44: one of
20 freezes for 2.5 s, before `ClientEngine` waited for a sign of life after a silence.)

Law of this file: a session that was reattached is asked again and again, after pauses that grow, whether it is answered
here, unless something has come for it meanwhile; if it is not, within a time that is short where a request may still be
on its way, the link is won anew, and that brings the session back as after any other cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.engine.settling import FENCE_KEY
from activeclient.errors import SessionUnanswered
from activeclient.wire.packets import AddCountedMetadata

if TYPE_CHECKING:
    from activeclient.engine.requests import Request
    from activeclient.engine.session import Session

FIRST_PAUSE = 0.1
GROWTH = 2.0
LONGEST_PAUSE = 30.0
"""Seconds between two questions, from a reattachment on."""
SHORT_PATIENCE = 1.0
"""Seconds that an answer may take where a request to reattach may be on its way, and at least everywhere. Each time
that none comes in time the next one has twice as long: a broker that is slow is not shaken for it."""
MOST_DOUBLINGS = 5
CERTAIN = 8
"""So many answers in a row, until half a minute after the reattachment, say that nothing is on its way any more."""


class SessionCheck:
    """Asks for one session.

    Args:
        patience: Seconds that an answer may take otherwise (`callTimeout`); None: for ever.
    """

    __slots__ = (
        "_answers",
        "_asking",
        "_failures",
        "_heard",
        "_pause",
        "_question",
        "due",
        "patience",
        "session",
        "unanswered",
    )

    def __init__(self, session: Session, patience: float | None) -> None:
        self.session: Session = session
        self.patience: float | None = patience
        self.unanswered: int = 0
        """Requests to reattach this session that were written and never answered."""
        self.due: float | None = None
        """When there is something to do; None: never."""
        self._pause = FIRST_PAUSE
        self._heard = 0
        self._asking = False
        self._question: Request | None = None
        """The last one, until it is answered: like any request it outlives links."""
        self._answers = self._failures = 0

    def begin(self, now: float) -> None:
        """The session was reattached."""
        self._pause = FIRST_PAUSE
        self._answers = 0
        self._heard = self._sign()
        self.due = now + self._pause

    def stop(self) -> None:
        """The link is gone, or the session."""
        self.due = None
        self._asking = False

    def handle_timeout(self, now: float) -> None:
        """A pause, or our patience, may be over."""
        if self.due is None or now < self.due:
            return
        sign = self._sign()
        heard, self._heard = sign != self._heard, sign
        if heard:
            self._answered(now)
        elif not self._asking:
            self._ask(now)
        else:
            self.stop()
            self._failures += 1
            self.session.client.abort(
                SessionUnanswered("the broker does not answer a session that it had reattached; the link is renewed"),
                now,
            )

    def _sign(self) -> int:
        """Changes with whatever the server says to this session and counts."""
        session = self.session
        return session.received + session.buffer.first

    def _ask(self, now: float) -> None:
        session = self.session
        patience = SHORT_PATIENCE if self.unanswered else self.patience
        if patience is None or session.closing:
            self.stop()
            return
        self.due = now + max(SHORT_PATIENCE, patience) * 2.0 ** min(self._failures, MOST_DOUBLINGS)
        self._asking = True
        if self._question is None:
            self._question = question = session.request_of(AddCountedMetadata(FENCE_KEY, "", True), self._on_done)
            session.submit_first(question)

    def _on_done(self, _: Request) -> None:
        self._question = None
        if self._asking:  # a refusal is an answer too
            self._heard = self._sign()
            self._answered(self.session.client.now)

    def _answered(self, now: float) -> None:
        self._asking = False
        self._answers += 1
        if self._answers >= CERTAIN:
            self.unanswered = self._failures = 0
        self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)
        self.due = now + self._pause
