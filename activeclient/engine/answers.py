"""What the packets of a session's channel do, but for those of the hot path: deliveries and confirmations.

Law of this file: a refusal ends what it refuses and nothing else, and takes its command out of the count, for the
server does not count it either; what a packet says of something that is gone changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from activeclient.engine.command_buffer import duplicate_id_in
from activeclient.engine.large_message import InboundBody
from activeclient.engine.proof import Repeated
from activeclient.engine.requests import Pending, Request, SendToken
from activeclient.engine.session_life import State
from activeclient.engine.settling import FENCE_KEY
from activeclient.errors import ActiveClientError, OutcomeUnknown, RemoteProtocolError, from_server
from activeclient.events import SendFailed
from activeclient.server_code import ServerCode
from activeclient.wire.message import SEND, ReceivedMessage, correlation_of
from activeclient.wire.packet import Packet
from activeclient.wire.packets import (
    DisconnectConsumer,
    ExceptionResponse,
    ProducerCredits,
    ProducerFailCredits,
    ReceiveContinuation,
    ReceiveLarge,
    SendContinuation,
)

if TYPE_CHECKING:
    from activeclient.engine.session import Session

WITH_CORRELATION = (SEND, SendContinuation.KIND)
"""Their correlation id stands at the same place, counted from the end."""


def handle(session: Session, packet: Packet, frame_size: int) -> None:
    """A packet of `session`'s channel, of a frame of `frame_size` bytes.

    Raises:
        RemoteProtocolError: A packet that servers do not send, or that says the impossible.
    """
    handler = HANDLERS.get(type(packet))
    current = session.current
    if handler is not None:
        handler(session, packet, frame_size)
    elif current is not None and type(packet) in current.packet.REPLY:
        session.nulls.seen_up_to(current.mark)
        current.complete(session, packet)
    elif packet.SENT_BY == "client":
        raise RemoteProtocolError(f"{type(packet).__name__} from a server, which only clients send", kind=packet.KIND)


def _on_exception(session: Session, packet: ExceptionResponse, _size: int) -> None:
    error = from_server(packet.code, packet.message)
    correlation_id = packet.correlation_id
    if correlation_id is not None and correlation_id != -1:
        _send_refused(session, correlation_id, error)
        return
    if packet.message is not None and FENCE_KEY in packet.message:
        session.life.fence_refused(packet.message)
        return
    current = session.current
    if not session.sends_identified and _oldest_send_refused(session, error):
        return
    if current is None:
        session.emit(SendFailed(session.channel_id, error))
        return
    session.nulls.seen_up_to(current.mark)
    session.refusing = current, error, None
    if session.windowed:
        session.buffer.withdraw(lambda _, settle: settle is current)
    current.failed(session, error)
    session.refusing = None


def _oldest_send_refused(session: Session, error: ActiveClientError) -> bool:
    """Record the refusal of the send that waits longest, on a server before 2.7, whose answers keep the order but name
    no send; return False if a request waits longer."""
    current = session.current
    if not session.windowed:
        oldest = session.oldest_send()
        if oldest is None:
            return False
        session.nulls.seen()
        tell_refused(session, session.awaiting[oldest][1], error, None)
        session.answered(oldest)
        return True
    for frame, settle in session.buffer.entries():
        if settle is not None and settle is current:
            return False
        if frame[4] in WITH_CORRELATION and frame[-1]:
            session.buffer.withdraw(lambda other, _, refused=frame: other is refused)  # type: ignore[misc]
            session.refusing = settle, error, frame
            session.nulls.seen()
            tell_refused(session, settle, error, frame)
            return True
    return False


def _send_refused(session: Session, correlation_id: int, error: ActiveClientError) -> None:
    version = session.client.version

    def matches(frame: bytes, settle: Pending | None) -> bool:
        if settle is not None:
            return settle.correlation_id == correlation_id
        return frame[4] in WITH_CORRELATION and correlation_of(frame, version) == correlation_id

    entry: tuple[bytes, Pending | None] | None
    if session.windowed:
        entry = session.buffer.withdraw(matches)
        token = entry[1] if entry is not None else None
    else:
        entry = session.awaiting.get(correlation_id)
        token = entry[1] if entry is not None else None
        if entry is None and session.current is not None and session.current.correlation_id == correlation_id:
            token = session.current
    frame = entry[0] if entry is not None else None
    session.refusing = token, error, frame
    tell_refused(session, token, error, frame)
    session.answered(correlation_id)


def tell_refused(session: Session, token: Pending | None, error: ActiveClientError, frame: bytes | None) -> None:
    """The server refused a send: tell whoever waits for it, else the listeners."""
    if session.transacted_sends and not isinstance(token, Request):
        session.send_refused(error)
    if token is None:
        session.emit(SendFailed(session.channel_id, error))
    elif token.correlation_id in session.repeated and error.code != ServerCode.ADDRESS_DOES_NOT_EXIST:
        # This copy was refused; the one that an earlier session sent may be stored, unless it had no address either.
        duplicate_id = duplicate_id_in(frame) if frame is not None else None
        unknown = OutcomeUnknown(
            f"{error}; an earlier copy may have been stored", duplicate_id=duplicate_id, code=error.code
        )
        unknown.__cause__ = error
        token.failed(session, unknown)
    elif session.proof.open and isinstance(token, SendToken) and not isinstance(token, Repeated):
        session.proof.hold(token, error)
    else:
        token.failed(session, error)
    session.refusing = None
    if session.windowed:
        session.room_made()  # when all are refused, no confirmation will say it


def _on_credits(session: Session, packet: ProducerCredits, _size: int) -> None:
    if packet.credits < 0:
        raise RemoteProtocolError(f"{packet.credits} producer credits for {packet.address!r}", kind=packet.KIND)
    pool = session.pools.get(packet.address)
    if pool is not None:
        pool.granted(packet.credits)
        session.address_unblocked(pool)


def _on_fail_credits(session: Session, packet: ProducerFailCredits, _size: int) -> None:
    pool = session.pools.get(packet.address)
    if pool is not None:
        pool.refused(packet.credits)
        session.address_unblocked(pool)


def _on_disconnect_consumer(session: Session, packet: DisconnectConsumer, _size: int) -> None:
    consumer = session.consumers.get(packet.consumer_id)
    if consumer is not None:
        text = f"the queue {consumer.queue} of this consumer was deleted, or the broker failed to deliver to it"
        error = from_server(ServerCode.QUEUE_DOES_NOT_EXIST, text)
        session.consumer_lost(consumer, error)


def _on_large(session: Session, packet: ReceiveLarge, size: int) -> None:
    consumer = session.consumers.get(packet.consumer_id)
    message = packet.message
    if consumer is not None and isinstance(message, ReceivedMessage):
        message.delivery_count = packet.delivery_count
        consumer.deliver_large(message, InboundBody(packet.large_message_size, size))


def _on_piece(session: Session, packet: ReceiveContinuation, size: int) -> None:
    consumer = session.consumers.get(packet.consumer_id)
    if consumer is not None:
        consumer.deliver_piece(packet, size, replayed=session.state is State.REATTACHING)


HANDLERS: dict[type[Packet], Callable[[Session, Packet, int], None]] = {
    ExceptionResponse: _on_exception,  # type: ignore[dict-item]
    ProducerCredits: _on_credits,  # type: ignore[dict-item]
    ProducerFailCredits: _on_fail_credits,  # type: ignore[dict-item]
    DisconnectConsumer: _on_disconnect_consumer,  # type: ignore[dict-item]
    ReceiveLarge: _on_large,  # type: ignore[dict-item]
    ReceiveContinuation: _on_piece,  # type: ignore[dict-item]
}
"""What each packet kind of a session channel does; answers to requests are everything else."""
