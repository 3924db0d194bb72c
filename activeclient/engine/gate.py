"""The server session whose place a recreated one takes: when it has ended, and when its last work is done.

Law of this file: a new session does nothing before the server has ended the one before, or `patience` is over; it
consumes nothing and repeats nothing before a rest that follows the slowest answer of the server. Both sessions claim
the same unique metadata, which the server gives to one session at a time.

What the server does (Artemis 2.44 and 2.57, ServerSessionImpl.doClose): it ends a session under the lock that each of
its sends holds from the duplicate check to the store, closes its consumers, and lets go of its metadata then. Who waits
for the metadata alone would overtake two things:

- Sends that the server has read and not begun, because the thread that carries them out has not got a processor yet: it
  ends the session without them, and carries them out afterwards. That takes a thread's turn.
- Messages that return from a consumer. They return in a transaction that is rolled back, which stores their delivery
  counts; and a rollback takes effect when everything that its *thread* has to store is stored
  (TransactionImpl.internalRollback, OperationContextImpl). So the first consumer that a thread closes returns its
  messages at once, and all others that it closes soon after, of the same connection or of another, when the journal has
  written: after the metadata is free. A younger message that is still in the queue would be delivered before them. On a
  journal that writes every 300 ms, second consumers were served out of order each time, on both releases.

Nothing that a client can ask tells when either is over; hence a rest, many times as long as the slowest of several
answers, before anything is consumed and before anything is repeated; and time for the journal on top, where the server
is known to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.engine.requests import Request
from activeclient.wire.packets import UniqueAddMetadata

if TYPE_CHECKING:
    from activeclient.engine.session import Session

GATE_KEY = "activeclient-session"
SHORTEST_PAUSE = 0.001
LONGEST_PAUSE = 0.008
"""Seconds before the server is asked again whether the session before is gone; it takes a few milliseconds after a
reset, and doubles from the one to the other."""
GATE_SECONDS = 2.0
GATE_ANSWERS = 40.0
LONGEST_GATE = 10.0
"""How long the session before is waited for: so many seconds, and so many answers as slow as the slowest. A server that
has not noticed the loss keeps it until the connection's TTL, too long to stand still: then order may be lost, as it is
with every client that makes a new session."""
SHORTEST_REST = 0.005
REST_ANSWERS = 8.0
"""The rest, in answers as slow as the slowest, beside the shortest."""
LONGEST_REST = 1.0
STORAGE_REST = 0.05
"""Seconds that the server may take to write to its journal behind the end of a session: a few syncs of a disk. Only
then messages return to their queues, where it writes (`ClientEngine.ended_with_writes`), and temporary queues are
gone."""
SAMPLES = 3
"""Questions that are asked for the time of their answers alone."""


def pause(attempt: int) -> float:
    """Return the seconds before the metadata is claimed again, after `attempt` refusals."""
    return min(LONGEST_PAUSE, SHORTEST_PAUSE * 2.0 ** (attempt - 1))


def rest(slowest: float) -> float:
    """Return the seconds between the end of the session before and the first thing consumed or repeated.

    Args:
        slowest: Seconds of the slowest answer since the connection was made.
    """
    return min(LONGEST_REST, SHORTEST_REST + REST_ANSWERS * slowest)


def patience(slowest: float) -> float:
    """Return the seconds for which the session before is waited for; `slowest` as for `rest`."""
    return min(LONGEST_GATE, GATE_SECONDS + GATE_ANSWERS * slowest)


def claim_gate(session: Session) -> Request | None:
    """Claim what tells the session's successor that it is gone; None for one that is reattached and needs none."""
    if not session.config.gate or (session.reattachable and session.client.reattaches):
        return None
    session.gate = session.name
    return session.request_of(UniqueAddMetadata(GATE_KEY, session.gate, True))
