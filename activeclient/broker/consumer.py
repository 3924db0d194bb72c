"""A consumer of a session: messages go out as long as it has credits, and stay known until they are acknowledged.

Law of this file: what was handed out is in `delivering` until it is acknowledged, given back, or in a transaction, in
the order of delivery; a frame that leaves is charged with its whole size, so the last one may overdraw. A marker of a
forced delivery costs nothing and stands behind everything that could be delivered. Source: ServerConsumerImpl.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from activeclient.broker.outgoing import LargeDelivery
from activeclient.errors import IllegalStateError, StoreError
from activeclient.server_code import ServerCode
from activeclient.wire.message import FORCED_DELIVERY, CoreMessage, encode_receive
from activeclient.wire.old_layout import old_receive
from activeclient.wire.packets.session import DisconnectConsumer

if TYPE_CHECKING:
    from activeclient.broker.chain import Reference
    from activeclient.broker.consumers import Filter
    from activeclient.broker.queue import Queue
    from activeclient.broker.session import ServerSession

UNLIMITED: Final = 1 << 62
"""Credits of a consumer that takes everything."""
MOST_CREDITS: Final = 1 << 40
"""Where the sum of grants stops to grow: nobody has such a buffer."""


class ServerConsumer:
    """A consumer, as its session and its queue see it (`consumers.Consumer`).

    Args:
        consumer_id: The client's name for it.
        filter: What it wants; None is everything.
        browse_only: Messages are shown, and stay.
    """

    __slots__ = (
        "_browsing",
        "_channel",
        "_large",
        "browse_only",
        "closed",
        "credits",
        "delivering",
        "filter",
        "id",
        "priority",
        "queue",
        "session",
    )

    def __init__(
        self,
        session: ServerSession,
        consumer_id: int,
        queue: Queue,
        filter: Filter | None,
        *,
        priority: int = 0,
        browse_only: bool = False,
    ) -> None:
        self.session: ServerSession = session
        self.id: int = consumer_id
        self.queue: Queue = queue
        self.filter: Filter | None = filter
        self.priority: int = priority
        self.browse_only: bool = browse_only
        self.credits: int = 0
        self.closed: bool = False
        self.delivering: OrderedDict[int, Reference] = OrderedDict()
        self._channel = session.channel
        self._large: LargeDelivery | None = None
        self._browsing: Iterator[Reference] | None = None

    # --- delivery ----------------------------------------------------------------------------------------------------

    def handle(self, ref: Reference) -> bool:
        """Take this message, if there are credits (hot path); called by the queue."""
        session = self.session
        if self.credits <= 0 or not session.flowing or self._large is not None or self.closed:
            return False
        message = ref.message
        if message.large is not None and not message.large.intact():
            self._bury(ref)
            return True
        if session.pre_acknowledge:
            self._send(ref)
            self.queue.acknowledge(ref)
            return True
        self.delivering[message.id] = ref
        if message.large is None:
            frame = message.encode_receive(self.id, ref.delivery_count, self._channel)
            if session.old_layout:
                frame = old_receive(frame)
            self.credits -= len(frame)
            session.send(frame)
        else:
            self._send(ref)
        return True

    def _send(self, ref: Reference) -> None:
        message = ref.message
        if message.large is None:
            frame = message.encode_receive(self.id, ref.delivery_count, self._channel)
            self.charge(old_receive(frame) if self.session.old_layout else frame)
            return
        self._large = LargeDelivery(message.large, self.id, self._channel, self.session.piece_size)
        self.charge(message.encode_receive_large(self.id, ref.delivery_count, self._channel))
        self._go_on()

    def charge(self, frame: bytes) -> None:
        """Send a frame on account of the credits."""
        self.credits -= len(frame)
        self.session.send(frame)

    @property
    def _flowing(self) -> bool:
        return self.session.ready if self.browse_only else self.session.flowing

    def _go_on(self) -> None:
        """Pieces of the large message that is on its way."""
        large = self._large
        while large is not None and self.credits > 0 and self._flowing:
            try:
                frame = large.next_frame()
            except OSError as error:
                self._break_off(error)
                return
            if large.finished:
                large.close()
                large = self._large = None
            self.charge(frame)

    def _break_off(self, error: OSError) -> None:
        """A large body cannot be read on: the protocol has no word for it, so the connection ends, and the message is
        delivered again."""
        session = self.session
        session.server.report(f"{session.connection.name}: closed: a large message cannot be read", error)
        session.connection.abort()
        session.server.end_later(session)

    def _bury(self, ref: Reference) -> None:
        """The body of this message is damaged: nobody gets it."""
        large = ref.message.large
        assert large is not None
        text = f"message {ref.message.id} of queue {self.queue.name}: its body is not what was stored"
        self.session.server.report(text, StoreError(f"{text}; kept as {large.set_aside()}, sent to the dead letters"))
        if not self.browse_only:
            self.queue.bury(ref)

    def deliver(self) -> None:
        """It may have become ready: there are credits, the session runs, or the connection has room."""
        if self.closed or self.credits <= 0 or not self._flowing:
            return
        self._go_on()
        if self._large is not None:
            return
        if self.browse_only:
            self._browse()
        else:
            self.queue.deliver(self)

    def _browse(self) -> None:
        browsing = self._browsing
        if browsing is None:
            browsing = self._browsing = self.queue.browse(self.filter)
        while self.credits > 0 and self._flowing and self._large is None:
            ref = next(browsing, None)
            if ref is None:
                return
            if ref.message.large is not None and not ref.message.large.intact():
                self._bury(ref)
                continue
            self._send(ref)

    def force_delivery(self, sequence: int) -> None:
        """Everything that can be delivered, and then a marker with this number."""
        self.deliver()
        marker = CoreMessage(b"\0\0\0\0", properties={FORCED_DELIVERY: sequence})
        frame = encode_receive(marker, self.id, 0, self._channel)
        self.session.send(old_receive(frame) if self.session.old_layout else frame)

    def grant(self, credits: int) -> None:
        """The client has room for so many bytes more; -1 for everything, 0 takes all grants back."""
        if credits == -1:
            self.credits = UNLIMITED
        elif credits == 0:
            self.credits = 0
        else:
            self.credits = min(self.credits + credits, MOST_CREDITS)
        self.deliver()

    # --- what becomes of it ------------------------------------------------------------------------------------------

    def up_to(self, message_id: int) -> list[Reference]:
        """Take what was delivered up to and including this message (hot path).

        Raises:
            IllegalStateError: It has no such message (code 104).
        """
        delivering = self.delivering
        if message_id not in delivering:
            raise self._missing(message_id)
        taken = []
        while True:
            key, ref = delivering.popitem(last=False)
            taken.append(ref)
            if key == message_id:
                return taken

    def take(self, message_id: int) -> Reference:
        """Take this one message.

        Raises:
            IllegalStateError: It has no such message (code 104).
        """
        ref = self.delivering.pop(message_id, None)
        if ref is None:
            raise self._missing(message_id)
        return ref

    def _missing(self, message_id: int) -> IllegalStateError:
        return IllegalStateError(
            f"AMQ229027: Could not find reference on consumer ID={self.id}, messageId = {message_id}"
            f" queue = {self.queue.name}",
            code=ServerCode.ILLEGAL_STATE,
        )

    def take_all(self) -> list[Reference]:
        """Take everything that is not acknowledged."""
        taken = list(self.delivering.values())
        self.delivering.clear()
        if self._large is not None:
            self._large.close()
            self._large = None
        return taken

    def close(self, *, failed: bool) -> None:
        """It ends; what it did not acknowledge goes back, as an attempt if the client failed."""
        if self.closed:
            return
        self.closed = True
        taken = self.take_all()
        self._browsing = None
        if not self.browse_only:
            self.queue.give_back(taken, count_delivery=failed, delay=False)
            self.queue.remove_consumer(self)

    def queue_deleted(self) -> None:
        """The queue is gone: the client is told."""
        self.closed = True
        self.take_all()
        self.session.consumer_gone(self)

    def gone_packet(self) -> DisconnectConsumer:
        """What tells the client that the queue was deleted."""
        return DisconnectConsumer(self.id)
