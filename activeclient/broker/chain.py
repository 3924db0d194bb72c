"""References of a queue to its messages, chained in the order in which they are to be delivered.

Law of this file: a chain is sorted by `order`, which a reference gets once, when it comes to its queue; whatever comes
back takes its old place. Linking, unlinking and the next one from anywhere cost the same however long the chain is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from activeclient.masking import never_raises

if TYPE_CHECKING:
    from activeclient.broker.message import StoredMessage
    from activeclient.broker.queue import Queue


class Reference:
    """A message in one queue."""

    __slots__ = (
        "chain",
        "delivery_count",
        "last_value",
        "message",
        "next",
        "order",
        "previous",
        "queue",
        "scheduled_ms",
    )

    order: int
    """Its place in the queue, given when it comes there."""
    last_value: str | None
    """The key of which it is the value; only in a last-value queue."""
    previous: Reference | None
    next: Reference | None

    def __init__(self, message: StoredMessage, queue: Queue) -> None:
        self.message: StoredMessage = message
        self.queue: Queue = queue
        self.delivery_count: int = 0
        """Deliveries, the present one included."""
        self.scheduled_ms: int = 0
        """When it may be delivered, ms since 1970; 0 at once."""
        self.chain: Chain | None = None

    @never_raises
    def __repr__(self) -> str:
        return f"<Reference to message {self.message.id} in {self.queue.name}, delivered {self.delivery_count} times>"


class Chain:
    """References of one priority."""

    __slots__ = ("head", "tail")

    def __init__(self) -> None:
        self.head: Reference | None = None
        self.tail: Reference | None = None

    def append(self, ref: Reference) -> None:
        """The newest one (hot path)."""
        tail = self.tail
        ref.chain = self
        ref.next = None
        ref.previous = tail
        if tail is None:
            self.head = ref
        else:
            tail.next = ref
        self.tail = ref

    def insert(self, ref: Reference, hint: Reference | None = None) -> None:
        """One that comes back: to its old place, looked for backwards from `hint`, which stands behind it, or from both
        ends at a time: it is near the head most of the time, and at the tail when many come back one by one."""
        after = self.head if hint is None else hint
        if hint is None:
            back = self.tail
            while after is not None and after.order < ref.order:
                if back is None or back.order < ref.order:
                    after = None if back is None else back.next
                    break
                after, back = after.next, back.previous
        else:
            while hint.previous is not None and hint.previous.order > ref.order:
                hint = hint.previous
            after = hint
        if after is None:
            self.append(ref)
            return
        before = after.previous
        ref.chain = self
        ref.next = after
        ref.previous = before
        after.previous = ref
        if before is None:
            self.head = ref
        else:
            before.next = ref

    def unlink(self, ref: Reference) -> None:
        """Out of the chain (hot path)."""
        before, after = ref.previous, ref.next
        if before is None:
            self.head = after
        else:
            before.next = after
        if after is None:
            self.tail = before
        else:
            after.previous = before
        ref.chain = ref.previous = ref.next = None

    def __iter__(self) -> Iterator[Reference]:
        """From the head; whoever unlinks while iterating makes a list first."""
        ref = self.head
        while ref is not None:
            following = ref.next
            yield ref
            ref = following
