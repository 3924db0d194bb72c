"""What the application has acknowledged and the server has not confirmed: messages that may come once more.

Law of this file: a message is kept from the application only when it was acknowledged by it before and is the same to
the byte: its id, timestamp, properties and the rest of its header. When a session is lost, its last acknowledgements
may be lost with it, and the broker delivers their messages again. The application has done with them, so they are
acknowledged again and go no further. Nothing is kept of acknowledgements in a transaction, which the loss of the
session undoes, nor of those whose caller was told that their outcome is unknown.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from itertools import repeat
from typing import TYPE_CHECKING

from cachetools import LRUCache

from activeclient.engine.requests import Pending
from activeclient.errors import ActiveClientError

if TYPE_CHECKING:
    from activeclient.engine.session import Session
    from activeclient.wire.message import CoreMessage

MAX_QUEUES = 256
"""Queues whose lost acknowledgements a connection remembers."""
MAX_REMEMBERED = 16_384
"""Messages that may still come again after a loss; more unconfirmed acknowledgements than a window of 400 KiB holds.
Without a window nothing is ever confirmed, so these are the last ones that were acknowledged."""
_MESSAGE_ID = struct.Struct(">q").unpack_from
_MESSAGE_ID_AT = 21
"""Where it is in the frame of an acknowledgement."""


class Lost:
    """What was acknowledged on one queue through one connection and may come once more, to whichever of its consumers:
    the one that acknowledged it may be closed by then."""

    __slots__ = ("expecting", "of")

    def __init__(self) -> None:
        self.of: LRUCache[int, int] = LRUCache(MAX_REMEMBERED)
        """Message id to fingerprint."""
        self.expecting: bool = False
        """May anything come once more?"""


class Acknowledged:
    """The acknowledgements of one consumer that may be lost."""

    __slots__ = ("_one", "_waiting", "collected", "lost")

    def __init__(self, lost: Lost) -> None:
        self._waiting: deque[int] = deque(maxlen=2 * MAX_REMEMBERED)
        """Id, fingerprint, id, fingerprint ...: no object for a pair."""
        self.collected: int = 0
        """How many of them, the last ones, no acknowledgement has gone out for."""
        self.lost: Lost = lost
        self._one = _Confirmation(self, 1)

    def add(self, message_id: int, fingerprint: int) -> None:
        """The application acknowledged a message; its acknowledgement is not on its way yet."""
        self.collected += 1  # first: behind the call an interrupt could come in between
        self._waiting.extend((message_id, fingerprint))

    def undo(self, unacknowledged: Iterable[int]) -> None:
        """The application was interrupted while it acknowledged one of these messages, and has not done so."""
        waiting = self._waiting
        if self.collected and waiting and waiting[-2] in unacknowledged:
            # No call from here on: nothing interrupts it.
            del waiting[-1]
            del waiting[-1]
            self.collected -= 1

    def sent(self) -> Pending | None:
        """One acknowledgement goes out for all that was added since the last one; returns what settles with it.

        Who sends it sets `collected` to 0 then.
        """
        count = self.collected
        if count == 1:
            return self._one
        return _Confirmation(self, count) if count else None

    def recount(self, commands: Iterable[tuple[bytes, Pending | None]]) -> None:
        """Make it agree with the unconfirmed commands, after an interrupt: what went out, and is not among them, the
        server has confirmed."""
        on_their_way = 0
        last = None
        for frame, token in commands:
            if type(token) is _Confirmation and token.of is self:
                on_their_way += token.count
                last = frame
        if last is not None:
            ids = list(self._waiting)[-2::-2]
            message_id = _MESSAGE_ID(last, _MESSAGE_ID_AT)[0]
            if message_id in ids:
                self.collected = ids.index(message_id)
        confirmed = self.unconfirmed - self.collected - on_their_way
        if confirmed > 0:
            self.confirmed(confirmed)

    @property
    def unconfirmed(self) -> int:
        """Messages that the application acknowledged and the server has not confirmed."""
        return len(self._waiting) >> 1

    @property
    def outstanding(self) -> int:
        """Of these, the ones whose acknowledgement was sent; 0 when so many were that the oldest were forgotten."""
        waiting = self._waiting
        return 0 if len(waiting) == waiting.maxlen else (len(waiting) >> 1) - self.collected

    def confirmed(self, count: int) -> None:
        """The server knows of the oldest `count`."""
        waiting = self._waiting
        if count == 1:
            if waiting:
                del waiting[0]
                del waiting[0]
            return
        # Both of each by one call that no interrupt can come into.
        deque(map(deque.popleft, repeat(waiting, min(2 * count, len(waiting)))), 0)

    def session_lost(self) -> None:
        """What was not confirmed may come again."""
        waiting = iter(self._waiting)
        self.lost.of.update(zip(waiting, waiting, strict=True))
        self.lost.expecting = bool(self.lost.of)
        self._waiting.clear()
        self.collected = 0

    def late(self, message_id: int, fingerprint: int) -> None:
        """The application acknowledged a message of a session that is gone: the broker will deliver it again."""
        self.lost.of[message_id] = fingerprint
        self.lost.expecting = True

    def comes_again(self, message: CoreMessage) -> bool:
        """Has the application acknowledged this very message before? True once (hot path: most have nothing to ask)."""
        again = self.lost.of
        if not again or again.get(message.message_id) != message.fingerprint:
            return False
        del again[message.message_id]
        self.lost.expecting = bool(again)
        return True


class _Confirmation(Pending):
    """Stands in the command buffer for an acknowledgement; the same object for all that concern one message."""

    __slots__ = ("count", "of")

    def __init__(self, of: Acknowledged, count: int) -> None:
        super().__init__()
        self.of = of
        self.count = count

    def settled(self, session: Session) -> None:
        self.of.confirmed(self.count)

    def failed(self, session: Session, error: ActiveClientError) -> None:
        """The session is lost: `session_lost` remembers."""
