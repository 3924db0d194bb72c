"""When the server's count may be trusted after a reattachment: the fence.

Law of this file: nothing is replayed before the fence has passed. The server counts a command when its storage is
complete, so its answer to a reattachment lacks what it is still writing; replaying by that answer repeats commands
and then loses others. A fence is SESS_ADD_METADATA on the session's channel: never counted, handled in the session's
order, and answered when all earlier storage is complete. When it is answered, and the session asks for a confirmation
of each command (window 1 on the wire), every command that ever reached the server has been confirmed.

The answer, NULL_RESPONSE without correlation id, can be mistaken for a late one of an earlier request or fence. With
m of those possibly outstanding, m + 1 answers are awaited, to as many fences: the first fence has passed then. No more
than `AT_ONCE` fences are unanswered at a time: each cut inside a reattachment leaves so many more answers outstanding
at most, and not twice as many as before. Where no transaction can be harmed, the fence is instead a command that must
fail: a consumer of a queue that nobody has, under a name that is used once. Its EXCEPTION is not counted either, keeps
the same order, and repeats the name. (It marks a transaction as failed, hence not there.)
"""

from __future__ import annotations

FENCE_KEY = "activeclient-fence"
"""The key of a fence of metadata; what a named fence begins with."""
AT_ONCE = 8
"""Fences of metadata that are sent before the first of them is answered."""
MAX_FENCES = 4096
"""More answers than this cannot be outstanding honestly, not even after 500 cuts of reattachments in a row: the session
is given up for a new one."""


class Fence:
    """What must be answered before the count is final.

    Args:
        strays: How many answers without correlation id may still come from before.
        name: What the server's refusal will repeat; None for metadata, of which up to `strays` + 1 are sent.
    """

    __slots__ = ("_answered", "_sent", "name", "needed")

    def __init__(self, strays: int, name: str | None = None) -> None:
        self.name: str | None = name
        self.needed: int = strays + 1 if name is None else 1
        self._sent = self._answered = 0

    @property
    def passed(self) -> bool:
        """Has the first fence certainly been answered?"""
        return self.needed <= 0

    def more(self) -> int:
        """How many fences of metadata are to be sent now; they count as sent."""
        count = max(0, min(self.needed + self._answered, self._answered + AT_ONCE) - self._sent)
        self._sent += count
        return count

    def answered(self) -> None:
        """A NULL_RESPONSE without correlation id came."""
        if self.name is None:
            self.needed -= 1
            self._answered += 1

    def refused(self, text: str) -> None:
        """An exception came that names a fence: this one, or one of an attempt before, which says nothing."""
        if self.name is not None and self.name in text:
            self.needed = 0


class NullCounter:
    """How many NULL_RESPONSEs without correlation id may still come: an upper bound.

    It only over-estimates: an answer that the server threw away is waited for until an answer to something later
    proves that it will not come.
    """

    __slots__ = ("accounted", "sent")

    def __init__(self) -> None:
        self.sent: int = 0
        self.accounted: int = 0

    @property
    def due(self) -> int:
        """Answers that may be outstanding."""
        return self.sent - self.accounted

    def expect(self) -> int:
        """One more will be answered; returns the mark to hand to `seen_up_to` when something later is answered."""
        self.sent += 1
        return self.sent

    def seen(self) -> None:
        """One came."""
        if self.accounted < self.sent:
            self.accounted += 1

    def seen_up_to(self, mark: int) -> None:
        """An answer to what was sent after `mark` came: earlier ones come no more, answers keep the order."""
        self.accounted = max(self.accounted, mark)
