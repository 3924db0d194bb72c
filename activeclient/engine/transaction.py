"""What a local transaction has done since it began: enough to say how it ended.

Law of this file: a transaction that did work in a session that was lost never commits silently: it is marked
rollback-only, or its commit is settled by the duplicate ids of all its sends, or it is reported as unknown. One whose
send the broker refused never commits without it.
"""

from __future__ import annotations

from activeclient.errors import ActiveClientError
from activeclient.wire.message import SEND, duplicate_id_of, may_have_duplicate_id


class Transaction:
    """The open local transaction of a session.

    Args:
        limit: Bytes of sent frames that are kept to settle a commit in doubt; beyond it the outcome stays unknown.
    """

    __slots__ = ("_frames", "_limit", "_size", "acknowledged", "refused", "rollback_only", "sends", "unverified")
    acknowledged: bool
    """Was a message acknowledged in it?"""
    rollback_only: bool
    sends: int

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._frames: list[bytes] | None = []
        self.refused: ActiveClientError | None = None
        """Why the broker refused a send in it; it would commit the rest."""
        self.unverified: set[str] = set()
        """Addresses sent to in it that the broker has not accepted anything for yet."""
        self.reset()

    @property
    def work(self) -> bool:
        """Was anything done in it?"""
        return self.sends > 0 or self.acknowledged

    def sent(self, frame: bytes) -> None:
        """A message, or a piece of one, was sent in it."""
        self.sends += 1
        self._size += len(frame)
        if self._frames is not None:
            if frame[4] == SEND and self._size <= self._limit and may_have_duplicate_id(frame):
                self._frames.append(frame)
            else:
                self._frames = None

    def acked(self) -> None:
        """A message was acknowledged in it."""
        self.acknowledged = True

    @property
    def repeatable(self) -> list[bytes] | None:
        """The frames that, sent again, prove whether the commit happened; None when that cannot be proven."""
        frames = self._frames
        if self.acknowledged or not frames or any(duplicate_id_of(frame) is None for frame in frames):
            return None
        return list(frames)

    def reset(self) -> None:
        """A new transaction begins."""
        self.rollback_only = False
        self.refused = None
        if self.unverified:
            self.unverified = set()
        self.acknowledged = False
        self.sends = 0
        self._size = 0
        self._frames = []
