"""A large message on its way out, piece by piece.

Law of this file: the body stays as long as the delivery needs it, whatever becomes of the message; each piece is read
once, and a repeat after a reattachment is the same frame. Source: LargeMessageDeliverer of ServerConsumerImpl.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.wire.packet import encode
from activeclient.wire.packets.session import ReceiveContinuation
from activeclient.wire.versions import NEWEST

if TYPE_CHECKING:
    from activeclient.broker.large import LargeBody


class LargeDelivery:
    """Where a delivery is in its body.

    Args:
        piece_size: Bytes of each piece but the last.
    """

    __slots__ = ("_at", "_body", "_channel", "_consumer_id", "_piece_size", "finished")

    def __init__(self, body: LargeBody, consumer_id: int, channel: int, piece_size: int) -> None:
        body.share()
        self._body = body
        self._consumer_id = consumer_id
        self._channel = channel
        self._piece_size = piece_size
        self._at = 0
        self.finished: bool = False

    def next_frame(self) -> bytes:
        """The next piece; the last one sets `finished`."""
        piece = self._body.read(self._at, self._piece_size)
        self._at += len(piece)
        self.finished = self._at >= self._body.size
        packet = ReceiveContinuation(piece, not self.finished, self._consumer_id)
        return encode(packet, self._channel, NEWEST)

    def close(self) -> None:
        """The body is not needed any more."""
        self._body.release()
