"""A session on the server: its commands in order, what was counted, what is not confirmed, and its way to another
connection.

Law of this file: a command takes effect when it comes, and is counted and answered when its storage is complete, in the
order of the session; what is refused with an answer is not counted. Every counted packet to the client is kept, byte
for byte, until the client confirms it. A session moves when nothing of it is unfinished, so the number that it then
gives is final. Source: ChannelImpl, ServerSessionPacketHandler, ServerSessionImpl.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from activeclient.broker import commands
from activeclient.broker.consumer import ServerConsumer
from activeclient.broker.message import StoredMessage
from activeclient.broker.replies import error_packet
from activeclient.engine.buffer_bounds import ByBytes, ByMessages
from activeclient.engine.command_buffer import CommandBuffer
from activeclient.errors import (
    ActiveClientError,
    JMSError,
    ProtocolError,
    ReattachDiverged,
    RemoteProtocolError,
    ResourceAllocationError,
)
from activeclient.masking import never_raises
from activeclient.server_code import ServerCode
from activeclient.wire import packets as p
from activeclient.wire.frames import HEADER_SIZE
from activeclient.wire.message import SEND, SEND_LARGE
from activeclient.wire.old_layout import modern_send
from activeclient.wire.packet import Packet, decode, encode, is_counted
from activeclient.wire.versions import HORNETQ_DISCONNECT_CONSUMER, V2_0, V2_7, V2_21, V2_28

if TYPE_CHECKING:
    from activeclient.broker.configuration import User
    from activeclient.broker.connection import ServerConnection
    from activeclient.broker.postoffice import PostOffice
    from activeclient.broker.server import BrokerServer
    from activeclient.broker.transaction import Transaction
    from activeclient.wire.fields import Xid

_CONFIRMED: Final = p.PacketsConfirmed.KIND
_NOT_COUNTED: Final = -1
_LEAST_PIECE: Final = 1024
_MOST_PIECE: Final = 4 * 1024 * 1024
"""Bounds of the pieces in which large messages leave, whatever minLargeMessageSize the client chose."""

Unfinished = tuple[int, bytes | None, Callable[[], None] | None]
"""Bytes of a command to count, or -1; its answer; what to do then."""


class ServerSession:
    """A session; made by `BrokerServer.create_session`."""

    __slots__ = (
        "__weakref__",
        "_bytes",
        "_due",
        "_trailer",
        "_unfinished",
        "auto_commit_acks",
        "auto_commit_sends",
        "branches",
        "buffer",
        "channel",
        "client_id",
        "closed",
        "connection",
        "consumers",
        "counted",
        "default_address",
        "flowing",
        "incoming",
        "kept_for",
        "metadata",
        "moves",
        "moving",
        "name",
        "old_layout",
        "piece_size",
        "post",
        "pre_acknowledge",
        "producers",
        "refused",
        "server",
        "started",
        "tx",
        "user",
        "version",
        "wanted_credits",
        "window",
        "xa",
    )

    def __init__(
        self,
        server: BrokerServer,
        connection: ServerConnection,
        packet: p.CreateSession,
        user: User,
    ) -> None:
        self.server: BrokerServer = server
        self.post: PostOffice = server.post
        self.connection: ServerConnection = connection
        self.name: str = packet.name
        self.channel: int = packet.session_channel_id
        self.version: int = packet.version
        self.user: User = user
        self.window: int = packet.window_size
        self.xa: bool = packet.xa
        self.auto_commit_sends: bool = packet.auto_commit_sends
        self.auto_commit_acks: bool = packet.auto_commit_acks
        self.pre_acknowledge: bool = packet.pre_acknowledge
        self.default_address: str | None = packet.default_address
        self.client_id: str | None = packet.client_id
        self.piece_size: int = min(max(packet.min_large_message_size, _LEAST_PIECE), _MOST_PIECE)
        self.metadata: dict[str, str] = {}
        self.producers: dict[int, str | None] = {}
        self.consumers: dict[int, ServerConsumer] = {}
        self.wanted_credits: dict[str, int] = {}
        """By address: what its producers were not granted yet."""
        self.incoming: StoredMessage | None = None
        """A large message of which not all pieces have come."""
        self.refused: ActiveClientError | None = None
        """Why the large message that is being sent was not taken; its other pieces are refused too."""
        self.branches: set[Xid] = set()
        """Begun here and not decided or prepared."""
        self.tx: Transaction | None = None
        """What its sends and acknowledgements belong to: the local transaction, or a branch."""
        self.started: bool = False
        self.closed: bool = False
        self.moving: bool = False
        self.moves: int = 0
        self.flowing: bool = False
        """May consumers be given messages? (hot path)"""
        self.counted: int = -1
        """Id of the last command that is complete."""
        self.buffer: CommandBuffer[None] = CommandBuffer(ByBytes(server.limits.unconfirmed_high))
        self.kept_for: float | None = None
        """Seconds for which its client wants it kept while the connection is lost; None: for the connection's TTL."""
        self._bytes = 0
        """Of commands counted since the last confirmation was due."""
        self._due = -1
        """The confirmation that is to be sent before anything else; -1 none."""
        self._unfinished: deque[Unfinished] = deque()
        self.old_layout: bool = self.version < V2_0
        self._trailer = 13 if self.version >= V2_28 else 9 if self.version >= V2_7 else 1

    # --- commands come -----------------------------------------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        """A frame came on the channel (hot path).

        Raises:
            RemoteProtocolError: It makes no sense; the connection is to be closed.
        """
        kind = frame[4]
        if kind == SEND:
            self._receive_send(modern_send(frame) if self.old_layout else frame)
        elif kind == _CONFIRMED:
            self.confirmed(decode(frame, self.version).command_id)  # type: ignore[attr-defined]
        elif kind == SEND_LARGE:
            self._run(frame, p.SendLarge, False, None, commands.open_large, frame)
        else:
            packet = decode(frame, self.version)
            handler = commands.HANDLERS.get(type(packet))
            if handler is None:
                raise RemoteProtocolError(f"{type(packet).__name__} on a session channel", kind=packet.KIND)
            self._run(frame, packet, asks(packet), correlation_of(packet, self.version), handler, packet)

    def _receive_send(self, frame: bytes) -> None:
        trailer = self._trailer
        at = len(frame) - trailer
        if at < HEADER_SIZE:
            raise RemoteProtocolError("the message does not fit its frame", kind=SEND)
        asked = frame[at] != 0
        message = StoredMessage.from_send(frame, trailer)
        try:
            self.accept(message)
        except ProtocolError:
            raise
        except Exception as error:
            failure = self._failure(error)
            if asked:
                self.finish(_NOT_COUNTED, self._error(failure, self._send_correlation(frame)))
                return
            if isinstance(failure, ResourceAllocationError):
                self.connection.dropped += 1
        answer = None
        if asked:
            answer = encode(p.NullResponse(self._send_correlation(frame)), self.channel, self.version)
        if self._unfinished or self.post.store.busy:
            self.finish(len(frame), answer)
            return
        # The short way of `finish` and `_complete`.
        if self.window >= 0:
            self.counted += 1
            self._bytes += len(frame)
            if self._bytes >= self.window:
                self._bytes = 0
                self._due = self.counted
        if answer is not None:
            self.send(answer)

    def _send_correlation(self, frame: bytes) -> int:
        if self._trailer == 1:
            return -1
        at = len(frame) - self._trailer + 1
        return int.from_bytes(frame[at : at + 8], "big", signed=True)

    def _run(
        self,
        frame: bytes,
        packet: Packet | type[Packet],
        asked: bool,
        correlation_id: int | None,
        handler: Callable[[ServerSession, Any], Packet | None],
        argument: object,
    ) -> None:
        counts = len(frame) if isinstance(packet, type) or is_counted(packet) else _NOT_COUNTED
        answer: Packet | None = None
        try:
            answer = handler(self, argument)
        except ProtocolError:
            raise
        except Exception as error:
            failure = self._failure(error)
            if asked:
                self.finish(_NOT_COUNTED, self._error(failure, correlation_id))
                return
        if self.closed and not asked:
            return
        done = None
        if asked:
            if answer is None:
                answer = p.NullResponse(-1 if correlation_id is None else correlation_id)
            done = encode(answer, self.channel, self.version)
        if isinstance(packet, p.SessionClose):
            self.finish(counts, None, partial(self._say_closed, done))
        else:
            self.finish(counts, done)

    def _failure(self, error: Exception) -> ActiveClientError:
        """What the client is told of it; a defect of ours must end neither the broker nor the others."""
        if not isinstance(error, ActiveClientError):
            self.server.report(f"session {self.channel} of {self.connection.name}: {type(error).__name__}", error)
            error = JMSError(f"{type(error).__name__} in the broker", code=ServerCode.INTERNAL_ERROR)
        if self.tx is not None:
            self.tx.rollback_only(error)
        return error

    def _error(self, error: ActiveClientError, correlation_id: int | None) -> bytes:
        return encode(error_packet(error, correlation_id), self.channel, self.version)

    def accept(self, message: StoredMessage) -> None:
        """A message was sent (hot path)."""
        if message.special:
            commands.check_special(message)
        if message.address is None:
            message = commands.with_address(self, message)
        self.post.route(message, None if self.auto_commit_sends else self.transaction())

    def transaction(self) -> Transaction | None:
        """The local transaction, begun if there is none; of an XA session the branch, which may be none."""
        if self.tx is None and not self.xa:
            self.tx = self.post.begin()
        return self.tx

    # --- commands are complete ---------------------------------------------------------------------------------------

    def finish(self, size: int, answer: bytes | None, then: Callable[[], None] | None = None) -> None:
        """A command took effect: count and answer it when its storage, and all before it, is complete.

        Args:
            size: Its bytes; -1 when it is not counted.
            then: Called afterwards.
        """
        if self._unfinished or self.post.store.busy:
            self._unfinished.append((size, answer, then))
            if len(self._unfinished) >= self.server.limits.pending_commands:
                self.connection.backlogged = True
            self.post.store.when_complete(self._next_complete)
        else:
            self._complete(size, answer, then)

    def _next_complete(self) -> None:
        if self._unfinished:
            self._complete(*self._unfinished.popleft())
            self.flush_confirmation()
            if self.connection.backlogged and len(self._unfinished) <= self.server.limits.pending_commands // 2:
                self.connection.backlogged = False
                self.connection.touch()

    def _complete(self, size: int, answer: bytes | None, then: Callable[[], None] | None) -> None:
        if size >= 0 and self.window >= 0:
            self.counted += 1
            self._bytes += size
            if self._bytes >= self.window:
                self._bytes = 0
                self._due = self.counted
        if answer is not None:
            self.send(answer)
        if then is not None:
            then()

    @property
    def unfinished(self) -> int:
        """Commands whose storage is not complete."""
        return len(self._unfinished)

    def flush_confirmation(self, *, all_counted: bool = False) -> None:
        """Send the confirmation that is due; with `all_counted` whatever was counted and not confirmed."""
        if all_counted and self._bytes and self.window >= 0:
            self._bytes = 0
            self._due = self.counted
        if self._due >= 0 and not self.moving:
            confirmation = encode(p.PacketsConfirmed(self._due), self.channel, self.version)
            self._due = -1
            self.connection.write(confirmation)

    # --- to the client -----------------------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Send a counted packet, after the confirmation that is due (hot path)."""
        if self.moving:
            if self.window >= 0:
                self.buffer.append(frame, None, len(frame))
            return
        if self._due >= 0:
            self.flush_confirmation()
        if self.window >= 0:
            buffer = self.buffer
            buffer.append(frame, None, len(frame))
            if buffer.used >= buffer.limit:
                self._hoard()
        self.connection.write(frame)

    def send_packet(self, packet: Packet) -> None:
        """Send a counted packet."""
        self.send(encode(packet, self.channel, self.version))

    def keep_messages(self, messages: int) -> None:
        """Bound what is kept for the client by messages from now on: what it has not confirmed, the oldest leave."""
        self.buffer.bind(ByMessages(messages, self.server.limits.unconfirmed_high))

    def _hoard(self) -> None:
        if self.buffer.full:
            self.flowing = False
        if self.buffer.used >= self.server.limits.unconfirmed_limit and not self.closed:
            self.server.report(f"{self.connection.name}: session {self.channel} ended: it never confirms")
            self.connection.abort()
            self.server.end_later(self)

    def confirmed(self, last: int) -> None:
        """The client has everything up to this id.

        Raises:
            RemoteProtocolError: It was never sent.
        """
        buffer = self.buffer
        if last < buffer.first:
            return
        try:
            buffer.confirm(last)
        except ReattachDiverged as error:
            raise RemoteProtocolError(str(error), kind=_CONFIRMED) from error
        if not self.flowing:
            self.update_flow()

    @property
    def ready(self) -> bool:
        """Can messages go out? To browsers they do whether the session is started or not (ServerConsumerImpl)."""
        connection = self.connection
        return (
            not self.closed
            and not self.moving
            and not connection.gone
            and not connection.congested
            and not connection.aborted
            and not self.buffer.full
        )

    def update_flow(self) -> None:
        """Something changed that decides whether messages go out; if they do now, they go."""
        ready = self.ready
        self.flowing = ready and self.started
        if ready:
            for consumer in list(self.consumers.values()):
                if self.started or consumer.browse_only:
                    consumer.deliver()

    def consumer_gone(self, consumer: ServerConsumer) -> None:
        """The queue of a consumer was deleted."""
        if self.consumers.get(consumer.id) is consumer:
            del self.consumers[consumer.id]
        if self.version >= HORNETQ_DISCONNECT_CONSUMER and not self.closed:
            self.send_packet(consumer.gone_packet())

    # --- moving ------------------------------------------------------------------------------------------------------

    def move_to(self, connection: ServerConnection, last: int) -> None:
        """A client wants the session on this connection; it has what we sent up to id `last`."""
        self.moves += 1
        move = self.moves
        self.leave_connection()
        self.connection = connection
        self.moving = True
        self.flowing = False
        self.buffer.link_lost()
        # What came on the channel before us belongs to nobody who listens.
        self.server.take_channel(connection, self)
        connection.hold()
        if self._unfinished or self.post.store.busy:
            self._unfinished.append((_NOT_COUNTED, None, lambda: self._moved(connection, move, last)))
            self.post.store.when_complete(self._next_complete)
        else:
            self._moved(connection, move, last)

    def _moved(self, connection: ServerConnection, move: int, last: int) -> None:
        if move != self.moves or self.closed:
            connection.send(p.ReattachSessionResponse(-1, False))
            connection.release()
            return
        self.moving = False
        try:
            if last >= self.buffer.first:
                self.buffer.confirm(last)
        except ReattachDiverged as error:
            self.server.report(f"{connection.name}: session {self.channel} cannot move: {error}")
            self.server.end(self, failed=True)
            connection.send(p.ReattachSessionResponse(-1, False))
            connection.release()
            return
        if self.buffer.gone:
            # By messages: from where on it could be sent again is all that is left to say.
            earliest = self.buffer.first + self.buffer.gone
            self.server.report(
                f"{connection.name}: session {self.channel} cannot move: {last + 1} to {earliest - 1} left"
            )
            self.server.end(self, failed=True)
            connection.send(p.ReattachSessionResponse(earliest, False))
            connection.release()
            return
        self.buffer.replayed()
        for frame in self.buffer.frames():
            connection.write(frame)
        self._due = -1
        connection.send(p.ReattachSessionResponse(self.counted, True))
        connection.release()
        self.update_flow()

    def leave_connection(self) -> None:
        """The channel is not on its connection any more."""
        sessions = self.connection.sessions
        if sessions.get(self.channel) is self:
            del sessions[self.channel]

    # --- the end -----------------------------------------------------------------------------------------------------

    def _say_closed(self, answer: bytes | None) -> None:
        """SESS_CLOSE is complete: everything that was counted is confirmed before its answer."""
        if self.window >= 0:
            self._due = self.counted
        if answer is not None:
            self.send(answer)

    def close(self, *, failed: bool) -> None:
        """Undo what is open and give back what is not acknowledged; as attempts, if the client failed."""
        if self.closed:
            return
        self.closed = True
        self.flowing = False
        commands.drop_incoming(self)
        commands.abandon_transaction(self, failed=failed)
        for consumer in list(self.consumers.values()):
            consumer.close(failed=failed)
        self.consumers.clear()

    @never_raises
    def __repr__(self) -> str:
        return f"<ServerSession on channel {self.channel}, {len(self.consumers)} consumers>"


# --- what a packet asks ----------------------------------------------------------------------------------------------

_FLAGS: Final = ("requires_response", "requires_confirmation")
_FOLLOWED: Final = (p.RequestProducerCredits, p.ForceDelivery)
"""What is followed by something, but not answered."""


def asks(packet: Packet) -> bool:
    """Does the sender wait for an answer, or for an error?"""
    if isinstance(packet, p.UniqueAddMetadata):
        return True
    for flag in _FLAGS:
        asked = getattr(packet, flag, None)
        if asked is not None:
            return bool(asked)
    return bool(packet.REPLY) and not isinstance(packet, _FOLLOWED)


def correlation_of(packet: Packet, version: int) -> int | None:
    """The id that the answer repeats."""
    if isinstance(packet, p.SendContinuation):
        return packet.correlation_id if version >= V2_7 else None
    if isinstance(packet, p.Commit):
        return packet.correlation_id if version >= V2_21 else None
    return None
