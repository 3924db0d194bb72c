"""One session: its channel, its commands, and its life through detaching, reattaching and recreation.

Law of this file: every confirmable packet passes through `command`, those of a recreation too, so both sides count the
same; nothing is written on the channel between the loss of the link and the end of the fence but fences; user wishes
wait while the session is not attached, and end exactly once.
"""

from __future__ import annotations

import enum
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from activeclient.engine.command_buffer import CommandBuffer
from activeclient.engine.consumer import Consumer
from activeclient.engine.large_message import InboundBody
from activeclient.engine.producer import CreditPool
from activeclient.engine.recovery import GATE_KEY, Recovery
from activeclient.engine.requests import NULL, Pending, Request, SendToken
from activeclient.engine.settling import MAX_FENCES, Fence, NullCounter
from activeclient.engine.transaction import Transaction
from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    ClosedError,
    ConnectionLost,
    NotSent,
    OutcomeUnknown,
    ReattachDiverged,
    RemoteProtocolError,
    from_server,
)
from activeclient.events import ConsumerLost, Event, SendFailed, SessionReattached, Work
from activeclient.wire import versions
from activeclient.wire.fields import Xid
from activeclient.wire.message import duplicate_id_of
from activeclient.wire.packet import Packet, encode
from activeclient.wire.packets import (
    Acknowledge,
    AddMetadata,
    AddMetadataV2,
    BindingQuery,
    BindingQueryResponse,
    BindingQueryResponseV2,
    BindingQueryResponseV3,
    BindingQueryResponseV4,
    BindingQueryResponseV5,
    Commit,
    CreateConsumer,
    CreateQueueV2,
    CreateSession,
    CreateSessionResponse,
    CreateSessionV2,
    DeleteQueue,
    DisconnectConsumer,
    ExceptionResponse,
    IndividualAcknowledge,
    PacketsConfirmed,
    ProducerCredits,
    ProducerFailCredits,
    QueueQuery,
    QueueQueryResponse,
    QueueQueryResponseV2,
    QueueQueryResponseV3,
    ReattachSession,
    ReattachSessionResponse,
    ReceiveContinuation,
    ReceiveLarge,
    RequestProducerCredits,
    SessionClose,
    UniqueAddMetadata,
    XAGetTimeout,
    XAGetTimeoutResponse,
    XAIndoubtXids,
    XAIndoubtXidsResponse,
    XAResponse,
    XASetTimeout,
    XASetTimeoutResponse,
)

if TYPE_CHECKING:
    from activeclient.engine.client import ClientEngine

CONFIRMED = struct.Struct(">ibqi")
FENCE_KEY = "activeclient-fence"
BARRIER_QUEUE = "activeclient.barrier"
"""A queue name that nobody has: the query for it is a harmless command whose answer is unmistakable."""
IN_FLIGHT_LIMIT = 1 << 20
"""Bytes of sends that may wait for their answer when there is no command buffer (window -1): one default window."""
TRY_LATER = (112, 222)
"""SESSION_CREATION_REJECTED (the server is starting) and ROUTING_EXCEPTION: another attempt may be taken."""
INCOMPATIBLE = 108
CALL_TIMEOUT = 3
"""CONNECTION_TIMEDOUT: the code of an error that says that callTimeout is over."""
SECURITY = 105

QUEUE_REPLIES = (QueueQueryResponse.KIND, QueueQueryResponseV2.KIND, QueueQueryResponseV3.KIND)
BINDING_REPLIES = (
    BindingQueryResponse.KIND,
    BindingQueryResponseV2.KIND,
    BindingQueryResponseV3.KIND,
    BindingQueryResponseV4.KIND,
    BindingQueryResponseV5.KIND,
)
REPLIES: dict[type[Packet], tuple[int, ...]] = {
    QueueQuery: QUEUE_REPLIES,
    CreateConsumer: QUEUE_REPLIES,
    BindingQuery: BINDING_REPLIES,
    XAIndoubtXids: (XAIndoubtXidsResponse.KIND,),
    XAGetTimeout: (XAGetTimeoutResponse.KIND,),
    XASetTimeout: (XASetTimeoutResponse.KIND,),
}
"""What answers a packet when it is not NULL_RESPONSE; XA verbs: `XAResponse`."""
REPEATABLE = (QueueQuery, BindingQuery, XAIndoubtXids, XAGetTimeout, XASetTimeout)
"""Requests that change nothing: when the server counted one and threw its answer away, it is sent again."""


class State(enum.Enum):
    """Where a session is in its life."""

    NEW = "new"
    """Not created on the server yet."""
    ATTACHED = "attached"
    DETACHED = "detached"
    """The link is gone; the server may still have the session."""
    REATTACHING = "reattaching"
    SETTLING = "settling"
    """Reattached; the fence has not passed, the server's count is not final."""
    RECREATING = "recreating"
    """The old one is lost; a new one was asked for."""
    REBUILDING = "rebuilding"
    """The new one exists; its consumers, queues and unsettled sends are being brought back."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """What a session is made of; bytes and milliseconds as in Artemis."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    client_id: str | None = None
    xa: bool = False
    auto_commit_sends: bool = True
    auto_commit_acks: bool = True
    pre_acknowledge: bool = False
    window: int = -1
    """confirmationWindowSize."""
    min_large_message_size: int = 102400
    producer_window: int = 65536
    max_frame_size: int = 100 << 20
    gate: bool = False
    """Recreate it only when the server has done with the one before, where that cannot be reattached."""

    def wire_window(self, *, reattach: bool) -> int:
        """What is asked of the server: a confirmation of each command, whatever the user's window.

        From a server that lets no session be reattached 0: it counts and confirms alike, but ends the session with
        its socket. With 1 it would keep it, and the messages delivered to it, until the connection's TTL.
        """
        return min(self.window, 1 if reattach else 0)


class Session:
    """One session of a connection. See the module's law."""

    def __init__(self, client: ClientEngine, channel_id: int, config: SessionConfig, now: float) -> None:
        self.client = client
        self.channel_id = channel_id
        self.config = config
        self.name = client.new_id()
        self.epoch = 0
        """Generation: one more with each recreation."""
        self.state = State.NEW
        self.windowed = config.window >= 0
        self.reattachable = config.window >= 1
        self.tracks_taken = not config.pre_acknowledge
        self.transacted_sends = not config.auto_commit_sends
        self.transacted_acks = not config.auto_commit_acks
        self.buffer: CommandBuffer[bytes, Pending] = CommandBuffer(
            config.window if config.window >= 1 else IN_FLIGHT_LIMIT, len
        )
        self.awaiting: dict[int, tuple[bytes, SendToken]] = {}
        self.awaiting_bytes = 0
        self.received = -1
        """Id of the last counted packet from the server."""
        self.received_bytes = 0
        self.confirmed_received = -1
        self.nulls = NullCounter()
        self.fence: Fence | None = None
        self.floor = -1
        self.consumers: dict[int, Consumer] = {}
        self.damaged: set[Consumer] = set()
        self.owed: set[Consumer] = set()
        self.pools: dict[str, CreditPool] = {}
        self.started = False
        self.metadata: dict[str, str] = {}
        self.temporary_queues: dict[str, CreateQueueV2] = {}
        self.producers: dict[int, str | None] = {}
        self.branch: Xid | None = None
        """The XA branch that this session works in now."""
        self.transaction = Transaction(config.window if config.window >= 1 else IN_FLIGHT_LIMIT)
        self.pending: deque[Request] = deque()
        self.current: Request | None = None
        self.recovery: Recovery | None = None
        self.work: deque[SendToken] = deque()
        self.work_announced = False
        self.creation: Pending | None = None
        self.error: ActiveClientError | None = None
        self.gate: str | None = None
        """Unique metadata by which its successor sees that it is gone, where it may have to be recreated."""
        self.resume_at: float | None = None
        """When a pause of its recovery is over."""
        self.closing = False
        """Its user has closed it; the server may not know yet."""
        self.repeated: set[int] = set()
        """Correlation ids of sends that an earlier session of this one sent too."""
        self.lost_at: float | None = now
        """Since when it is not usable; None while it is."""
        self.usable_seconds = 0.0
        self.usable_since = 0.0
        self.correlation_id = 0
        """The last one that was given out."""
        self._consumer_ids = 0
        self._remembered = -1
        """The last confirmation on a link whose fence has not passed."""
        self._fences = 0
        self._probing = False

    # --- what others ask ------------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """May the application's sends and requests go out now?"""
        return self.state is State.ATTACHED

    @property
    def rebuilding(self) -> bool:
        """Is the recovery talking to the new server session?"""
        return self.state is State.REBUILDING

    @property
    def may_command(self) -> bool:
        """Does a command have a place: in the buffer, or on the link?"""
        if self.state is State.CLOSED:
            return False
        return self.state in (State.ATTACHED, State.REBUILDING) or (
            self.windowed and self.state not in (State.NEW, State.RECREATING) and self.recovery is None
        )

    @property
    def room(self) -> bool:
        """May a sender append a command now? It may overshoot the window by that one command."""
        if self.state is State.ATTACHED:
            return not self.buffer.full if self.windowed else self.awaiting_bytes < IN_FLIGHT_LIMIT
        if not self.reattachable or self.recovery is not None:
            return False
        return self.state in (State.DETACHED, State.REATTACHING, State.SETTLING) and not self.buffer.full

    def usable_time(self, now: float) -> float:
        """Seconds in which the session was usable: the clock of `callTimeout`, which stands still in an outage."""
        return self.usable_seconds + (now - self.usable_since if self.lost_at is None else 0.0)

    def outage_time(self, now: float) -> float:
        """Seconds since the session stopped being usable, or 0."""
        return 0.0 if self.lost_at is None else now - self.lost_at

    def next_correlation(self) -> int:
        """A correlation id for a send or commit: never used twice in this session."""
        self.correlation_id += 1
        return self.correlation_id

    def new_consumer_id(self) -> int:
        """A consumer id, unique in this session."""
        self._consumer_ids += 1
        return self._consumer_ids - 1

    def check_open(self) -> None:
        """Raise when the session is closed: by its user, or because the connection was given up."""
        if self.state is State.CLOSED and self.error is not None:
            raise self.error.again()
        if self.closing or self.state is State.CLOSED:
            raise ClosedError("the session is closed")

    def emit(self, event: Event) -> None:
        """Tell the connection's listeners."""
        self.client.events.append(event)

    def add_work(self, token: SendToken) -> None:
        """A completion handler is to be called."""
        self.work.append(token)
        self.work_ready()

    def work_ready(self) -> None:
        """Have the session's callbacks run, once for a burst."""
        if not self.work_announced:
            self.work_announced = True
            self.client.events.append(Work(self))

    # --- commands -------------------------------------------------------------------------------------------------

    def encode(self, packet: Packet) -> bytes:
        """The frame of a packet on this channel."""
        return encode(packet, self.channel_id, self.client.version)

    def command(self, frame: bytes, token: Pending | None = None) -> None:
        """Send a counted frame, or keep it for the replay when there is no link now (hot path).

        While the session is being recreated it is dropped: it belongs to the old one, and a place in the buffer
        without ever being sent would make the counts differ. Recovery tells the new one what it has to know.
        """
        state = self.state
        if state is State.ATTACHED or state is State.REBUILDING:
            if self.windowed:
                self.buffer.append(frame, token)
            client = self.client
            client.outbox.append(frame)
            client.pending_bytes += len(frame)
        elif self.may_command:
            self.buffer.append(frame, token)

    def send(self, frame: bytes, token: SendToken | None, size: int) -> None:
        """Send a message of `size` bytes; the caller has asked `room` (hot path: `command`, without its calls)."""
        if self.transacted_sends:
            self.transaction.sent(frame)
        if self.windowed:
            self.buffer.append(frame, token)
        elif token is not None:
            self.awaiting[token.correlation_id] = (frame, token)
            self.awaiting_bytes += size
        if self.state is State.ATTACHED:
            client = self.client
            client.outbox.append(frame)
            client.pending_bytes += size

    def request_of(
        self, packet: Packet, on_done: Callable[[Request], None] | None = None, *, correlated: bool = False
    ) -> Request:
        """A request for `packet` with the replies that answer it."""
        reply = REPLIES.get(type(packet))
        if reply is None:
            reply = (XAResponse.KIND,) if 50 < packet.KIND < 61 else NULL
        return Request(packet, reply, on_done, self.next_correlation() if correlated else -1)

    def submit(self, request: Request) -> Request:
        """Queue a request; it goes out when the session is usable and nothing else is outstanding."""
        if self.state is State.CLOSED:
            request.failed(self, self.error.again() if self.error is not None else ClosedError("the session is closed"))
            return request
        self.pending.append(request)
        self.launch()
        return request

    def begin_closing(self, on_done: Callable[[Request], None]) -> Request:
        """Its user closes it: nothing new is taken, what is under way is settled, then the server closes it too."""
        self.closing = True
        for consumer in list(self.consumers.values()):
            consumer.closed = True
            consumer.fail_stream(ClosedError("the session is closed"))
        self.consumers.clear()
        return self.submit(self.request_of(SessionClose(), on_done))

    def submit_first(self, request: Request) -> Request:
        """Queue a request of the engine's own before those of the application."""
        self.pending.appendleft(request)
        self.launch()
        return request

    def submit_behind_acknowledgements(self, request: Request, consumer_id: int) -> Request:
        """Queue a request of the engine's own as early as possible, but behind what a consumer acknowledged."""
        position = 0
        for place, waiting in enumerate(self.pending):
            packet = waiting.packet
            if isinstance(packet, (Acknowledge, IndividualAcknowledge)) and packet.consumer_id == consumer_id:
                position = place + 1
        self.pending.insert(position, request)
        self.launch()
        return request

    def launch(self) -> None:
        """Send the next request if it is its turn."""
        while self.current is None and self.pending and self.state is State.ATTACHED:
            if self.windowed and self.buffer.full:
                return
            self._send_request(self.pending.popleft())

    def _send_request(self, request: Request) -> None:
        self.current = request
        request.sent = True
        request.answered = False
        packet = request.packet
        if isinstance(packet, Commit):
            packet.correlation_id = request.correlation_id
        if request.reply is NULL and request.correlation_id < 0:
            request.mark = self.nulls.expect()
        else:
            request.mark = self.nulls.sent
        if isinstance(packet, CreateQueueV2) and packet.temporary:
            self.temporary_queues[packet.queue_name] = packet
        elif isinstance(packet, DeleteQueue):
            self.temporary_queues.pop(packet.queue_name, None)
        self.command(self.encode(packet), request)

    def request_ended(self, request: Request) -> None:
        """A request is done, well or not (called by it)."""
        if self.current is request:
            self.current = None
        if request.on_done is not None:
            request.on_done(request)
        if self.recovery is not None:
            self.recovery.request_ended(request)
        else:
            self.launch()

    def resume(self, now: float) -> None:
        """A pause of the recovery may be over."""
        if self.resume_at is not None and now >= self.resume_at and self.recovery is not None:
            self.recovery.advance()

    def rebuild_with(self, request: Request) -> None:
        """Send a request of the recovery, which is alone on the session."""
        self._send_request(request)

    def want_credits(self, address: str, need: int) -> CreditPool:
        """The pool of an address, asking the server for more where that is due; `need` is the frame to be sent."""
        pool = self.pools.get(address)
        if pool is None:
            pool = self.pools[address] = CreditPool(address, self.config.producer_window)
        if pool.balance < need or pool.balance < pool.window >> 1:
            self.ask_for_credits(pool, need)
        return pool

    def ask_for_credits(self, pool: CreditPool, need: int = 0) -> bool:
        """Ask for what a pool wants, if there is a place for the request; did we ask?"""
        if not self.usable or (self.windowed and self.buffer.full and pool.balance >= need):
            return False
        more = pool.wanted(need)
        if more:
            self.command(self.encode(RequestProducerCredits(more, pool.address)))
        return more > 0

    def withdraw(self, token: Pending) -> bool:
        """Take back what no link has taken yet; False when the server may have it."""
        if isinstance(token, Request) and token in self.pending:
            self.pending.remove(token)
            return True
        if any(settle is token for _, settle in self.buffer.unsent()) and self.state is not State.ATTACHED:
            self.buffer.withdraw(lambda _, settle: settle is token)
            if self.current is token:
                self.current = None
            return True
        return False

    def abandon(self, token: Pending, error: ActiveClientError, now: float) -> None:
        """Its waiter gave up: the outcome is `error`, or unknown when the server may have it."""
        if token.done:
            return
        if self.withdraw(token):
            token.failed(self, error)
            timed_out = isinstance(error, CallTimeout) and error.code is not None  # not by a shorter limit of its own
            if timed_out and isinstance(token, Request) and self.current is not None and self.state is State.ATTACHED:
                # It waited its whole time behind a request that is not answered either: the link is as good as dead.
                self.client.abort(CallTimeout("a call got no answer; the connection is renewed"), now)
            return
        if isinstance(token, SendToken):
            frame = self._frame_of(token)
            unknown: ActiveClientError = OutcomeUnknown(
                f"{error}; the message may have been sent", duplicate_id=duplicate_id_of(frame) if frame else None
            )
        else:
            unknown = CallTimeout(f"{error}; it may have taken effect")
        unknown.__cause__ = error
        renew = self.current is token or error.code == CALL_TIMEOUT
        token.failed(self, unknown)
        if renew and self.state is State.ATTACHED:
            # The answer would be taken for that of the next request: only a new link brings certainty. And a server
            # that is silent for callTimeout is as good as gone, whatever the pings say.
            self.client.abort(CallTimeout("a call got no answer; the connection is renewed"), now)

    def _frame_of(self, token: Pending) -> bytes | None:
        if not self.windowed:
            entry = self.awaiting.get(token.correlation_id)
            return entry[0] if entry else None
        for frame, settle in self.buffer.entries():
            if settle is token:
                return frame
        return None

    # --- frames from the server -----------------------------------------------------------------------------------

    def confirmed(self, last: int) -> None:
        """PACKETS_CONFIRMED: everything up to `last` took effect.

        Until the fence has passed it is only remembered: a refusal of an earlier command, which is not counted, may
        still be among what the server repeats, and moves the ids down.
        """
        if self.state is State.REATTACHING or self.state is State.SETTLING:
            self._remembered = max(self._remembered, last)
            return
        self._confirm(last)

    def _confirm(self, last: int) -> None:
        buffer = self.buffer
        work = self.work
        for token in buffer.confirm(last):
            if type(token) is SendToken:  # hot: what its `settled` does
                if not token.done:
                    token.done = True
                    if token.handler is not None:
                        work.append(token)
            else:
                token.settled(self)
        if work:
            self.work_ready()
        self._room_made()

    def _room_made(self) -> None:
        """Commands left the buffer, confirmed or refused: what waited for their place goes on."""
        buffer = self.buffer
        if buffer.used < buffer.limit:
            if self.owed:
                owed, self.owed = self.owed, set()
                for consumer in owed:
                    consumer.grant()
            if self.pending:
                self.launch()

    def null_answered(self, correlation_id: int) -> None:
        """NULL_RESPONSE. On a counted session the confirmation has said it already; only fences live by it."""
        if correlation_id >= 0:
            if not self.windowed:
                entry = self.awaiting.pop(correlation_id, None)
                if entry is not None:
                    self.awaiting_bytes -= len(entry[0])
                    entry[1].settled(self)
                elif self.current is not None and self.current.correlation_id == correlation_id:
                    self.current.complete(self, None)
            return
        self.nulls.seen()
        fence = self.fence
        if fence is not None:
            fence.answered()
            if fence.passed:
                self._settled()
        elif not self.windowed and self.current is not None and self.current.reply is NULL:
            self.current.complete(self, None)

    def count_received(self, size: int, count: int = 1) -> None:
        """`count` counted packets of `size` bytes in all were taken; confirm when the window is reached."""
        self.received += count
        self.received_bytes += size
        if self.windowed and self.received_bytes >= self.config.window:
            self.confirm_received()

    def confirm_received(self) -> None:
        """Tell the server the last packet that came, so that it may forget them."""
        if (
            self.windowed
            and self.confirmed_received < self.received
            and self.state in (State.ATTACHED, State.REBUILDING)
        ):
            self.received_bytes = 0
            self.confirmed_received = self.received
            self.client.write(CONFIRMED.pack(13, PacketsConfirmed.KIND, self.channel_id, self.received))

    def handle(self, packet: Packet, frame_size: int) -> None:
        """Any packet of this channel that the hot path does not handle itself."""
        handler = HANDLERS.get(type(packet))
        if handler is not None:
            handler(self, packet, frame_size)
        elif self.current is not None and packet.KIND in self.current.reply:
            self.nulls.seen_up_to(self.current.mark)
            self.current.complete(self, packet)
        elif packet.SENT_BY == "client":
            raise RemoteProtocolError(
                f"{type(packet).__name__} from a server, which only clients send", kind=packet.KIND
            )

    def _on_exception(self, packet: ExceptionResponse, _size: int) -> None:
        error = from_server(packet.code, packet.message)
        correlation_id = packet.correlation_id
        if correlation_id is not None and correlation_id != -1:
            self._send_refused(correlation_id, error)
            return
        if packet.message is not None and FENCE_KEY in packet.message:
            self._fence_refused(packet.message)
            return
        current = self.current
        if current is None:
            self.emit(SendFailed(self.channel_id, error))
            return
        self.nulls.seen_up_to(current.mark)
        if self.windowed:
            self.buffer.withdraw(lambda _, settle: settle is current)
        current.failed(self, error)

    def _fence_refused(self, text: str) -> None:
        """The answer to a named fence: of this attempt, or a late one."""
        if self.fence is not None:
            self.fence.refused(text)
            if self.fence.passed:
                self._settled()

    def _send_refused(self, correlation_id: int, error: ActiveClientError) -> None:
        trailer = 12 if self.client.version >= versions.V2_28 else 8

        def matches(frame: bytes, settle: Pending | None) -> bool:
            if settle is not None:
                return settle.correlation_id == correlation_id
            return frame[4] in (71, 73) and int.from_bytes(
                frame[-trailer : len(frame) - trailer + 8], "big", signed=True
            ) == (correlation_id)

        entry: tuple[bytes, Pending | None] | None
        if self.windowed:
            entry = self.buffer.withdraw(matches)
            token = entry[1] if entry is not None else None
        else:
            entry = self.awaiting.pop(correlation_id, None)
            token = entry[1] if entry is not None else None
            if entry is not None:
                self.awaiting_bytes -= len(entry[0])
            elif self.current is not None and self.current.correlation_id == correlation_id:
                token = self.current
        if token is None:
            self.emit(SendFailed(self.channel_id, error))
        elif correlation_id in self.repeated:
            # This copy was refused; the one that an earlier session sent may be stored.
            duplicate_id = duplicate_id_of(entry[0]) if entry is not None else None
            unknown = OutcomeUnknown(
                f"{error}; an earlier copy may have been stored", duplicate_id=duplicate_id, code=error.code
            )
            unknown.__cause__ = error
            token.failed(self, unknown)
        else:
            token.failed(self, error)
        if self.windowed:
            self._room_made()  # when all are refused, no confirmation will say it

    def _on_credits(self, packet: ProducerCredits, _size: int) -> None:
        if packet.credits < 0:
            raise RemoteProtocolError(f"{packet.credits} producer credits for {packet.address!r}", kind=packet.KIND)
        pool = self.pools.get(packet.address)
        if pool is not None:
            pool.granted(packet.credits)

    def _on_fail_credits(self, packet: ProducerFailCredits, _size: int) -> None:
        pool = self.pools.get(packet.address)
        if pool is not None:
            pool.refused(packet.credits)

    def _on_disconnect_consumer(self, packet: DisconnectConsumer, _size: int) -> None:
        consumer = self.consumers.get(packet.consumer_id)
        if consumer is not None:
            self.consumer_lost(consumer, from_server(100, f"the queue {consumer.queue} of this consumer was deleted"))

    def _on_large(self, packet: ReceiveLarge, size: int) -> None:
        consumer = self.consumers.get(packet.consumer_id)
        if consumer is not None:
            packet.message.delivery_count = packet.delivery_count
            consumer.deliver_large(packet.message, InboundBody(packet.large_message_size, size))

    def _on_piece(self, packet: ReceiveContinuation, size: int) -> None:
        consumer = self.consumers.get(packet.consumer_id)
        if consumer is not None:
            consumer.deliver_piece(packet, size, replayed=self.state is State.REATTACHING)

    def consumer_lost(self, consumer: Consumer, error: ActiveClientError) -> None:
        """The server ended a consumer, or it could not be brought back."""
        if not consumer.closed:
            consumer.closed = True
            consumer.error = error
            consumer.fail_stream(error)
            self.consumers.pop(consumer.id, None)
            self.emit(ConsumerLost(self.channel_id, consumer.id, error))

    # --- the life -------------------------------------------------------------------------------------------------

    def _enter(self, state: State, now: float) -> None:
        if self.lost_at is None and state is not State.ATTACHED:
            self.lost_at = now
            self.usable_seconds += now - self.usable_since
        elif state is State.ATTACHED and self.lost_at is not None:
            self.lost_at = None
            self.usable_since = now
        self.state = state

    def link_made(self, now: float) -> None:
        """A new connection stands: say hello on it."""
        if self.state in (State.NEW, State.RECREATING):
            self._create(now)
        elif self.state is State.DETACHED:
            if self.reattachable and self.client.reattaches is not False:
                self._enter(State.REATTACHING, now)
                self.floor = self._remembered = self.buffer.first - 1
                self.client.ask_control(ReattachSession(self.name, self.received), self._on_reattach)
            else:
                self._recreate(self.client.last_error, now)

    def link_lost(self, now: float) -> None:
        """The connection is gone."""
        if self.state in (State.NEW, State.CLOSED):
            return
        if self.state in (State.ATTACHED, State.REBUILDING):
            self.buffer.mark_transmitted()
        self.fence = None
        self.resume_at = None
        if self.state is not State.RECREATING:
            self._enter(State.DETACHED, now)

    def _create(self, now: float) -> None:
        client = self.client
        config = self.config
        self.name = client.new_id()
        version = client.version
        common = (
            self.name,
            self.channel_id,
            version,
            config.user,
            config.password,
            config.min_large_message_size,
            config.xa,
            config.auto_commit_sends,
            config.auto_commit_acks,
            config.wire_window(reattach=client.reattaches is not False),
            config.pre_acknowledge,
            None,
        )
        packet: Packet
        if version >= versions.V2_18:
            packet = CreateSessionV2(*common, config.client_id)
        else:
            packet = CreateSession(*common)
        client.ask_control(packet, self._on_created)
        self._probing = self.reattachable and client.reattaches is None
        if self._probing:
            # In the same write, while the session is idle: it moves to where it is, or the server cannot move any.
            name = self.name
            client.ask_control(ReattachSession(name, -1), lambda answer, now: self._on_probed(name, answer, now))

    def _on_created(self, packet: Packet, now: float) -> None:
        if self.state is State.CLOSED:
            return
        if isinstance(packet, ExceptionResponse):
            self._creation_refused(packet, now)
            return
        if not isinstance(packet, CreateSessionResponse):
            self.client.fail_protocol(f"{type(packet).__name__} answers the creation of a session", now)
            return
        self.client.server_said_version(packet.server_version)
        if not self._probing:
            self._created(now)

    def _on_probed(self, name: str, packet: Packet, now: float) -> None:
        """Does this server let sessions be reattached? Artemis 2.57 answers as if it knew none."""
        if name != self.name or not self._probing or self.state not in (State.NEW, State.RECREATING):
            return
        self._probing = False
        self.client.reattaches = isinstance(packet, ReattachSessionResponse) and packet.reattached
        if self.client.reattaches:
            self._created(now)
            return
        self.client.write(self.encode(SessionClose()))
        self.client.move_channel(self)
        self._create(now)

    def _created(self, now: float) -> None:
        if self.recovery is not None:
            self._enter(State.REBUILDING, now)
            self.recovery.advance()
            return
        self._enter(State.ATTACHED, now)
        if self.creation is not None:
            self.creation.settled(self)
        if self.config.gate and not (self.reattachable and self.client.reattaches):
            self.gate = self.name
            self.submit_first(self.request_of(UniqueAddMetadata(GATE_KEY, self.gate, True)))
        self.launch()
        self.client.session_ready(now)

    def _creation_refused(self, packet: ExceptionResponse, now: float) -> None:
        self._probing = False
        error = from_server(packet.code, packet.message)
        if packet.code == INCOMPATIBLE and self.client.lower_version():
            self._create(now)
        elif packet.code in TRY_LATER:
            later = ConnectionLost(str(error), code=packet.code)
            later.__cause__ = error
            self.client.abort(later, now)
        elif self.state is State.NEW:
            self.fail(error, now)
            self.client.session_ready(now)
        else:
            self.client.abort(error, now)

    def _on_reattach(self, packet: Packet, now: float) -> None:
        if self.state is not State.REATTACHING:
            return
        if isinstance(packet, ReattachSessionResponse) and packet.reattached:
            last = packet.last_confirmed_command_id
            if last < self.floor or last >= self.buffer.next_id:
                raise ReattachDiverged(
                    f"the server counts {last + 1} commands of {self.buffer.next_id}, after {self.floor + 1} before"
                )
            self._remembered = max(self._remembered, last)
            strays = self.nulls.due
            if strays >= MAX_FENCES:
                raise ReattachDiverged(f"{strays} answers of the server are missing")
            self._fence(strays, now)
        elif isinstance(packet, ReattachSessionResponse):
            # Its TTL is over, the broker was restarted, or it is another broker now: ask again whether it can.
            self.client.reattaches = None
            self._recreate(self.client.last_error, now)
        elif isinstance(packet, ExceptionResponse):
            self.client.abort(from_server(packet.code, packet.message), now)
        else:
            self.client.fail_protocol(f"{type(packet).__name__} answers a reattachment", now)

    def _fence(self, strays: int, now: float) -> None:
        self._enter(State.SETTLING, now)
        if strays and not (self.transacted_sends or self.transacted_acks or self.config.xa):
            self._fences += 1
            name = f"{FENCE_KEY}-{self._fences}-"  # the last dash: no name is part of another
            self.fence = Fence(strays, name)
            self.client.write(self.encode(CreateConsumer(-1, name)))
            return
        self.fence = Fence(strays)
        fence = self.encode(AddMetadata(FENCE_KEY, ""))
        for _ in range(strays + 1):
            self.nulls.expect()
            self.client.write(fence)

    def _settled(self) -> None:
        """The fence has passed: the count is final, the rest is replayed."""
        now = self.client.now
        self.fence = None
        try:
            self._confirm(self._remembered)
        except ReattachDiverged as error:
            self.diverged(error, now)
            return
        replayed = self.buffer.frames()
        started = self.lost_at if self.lost_at is not None else now
        confirmed = self.buffer.first - 1 - self.floor
        self._enter(State.REBUILDING if self.recovery is not None else State.ATTACHED, now)
        client = self.client
        client.outbox.extend(replayed)
        client.pending_bytes += self.buffer.used
        self.emit(SessionReattached(self.name, self.channel_id, confirmed, len(replayed), now - started))
        current = self.current
        if current is not None and current.answered and not current.done:
            # Counted, but its answer was thrown away while the channel moved.
            self._answer_lost(current)
        if self.recovery is not None:
            self.recovery.go_on()
        damaged, self.damaged = self.damaged, set()
        for consumer in damaged:
            consumer.refresh()
        if self.nulls.due and self.recovery is None:
            self.submit_first(self.request_of(QueueQuery(BARRIER_QUEUE)))
        for pool in self.pools.values():
            if pool.asked == 0:
                self.want_credits(pool.address, 0)
        self.launch()
        client.session_reattached(now)

    def _answer_lost(self, request: Request) -> None:
        if isinstance(request.packet, REPEATABLE):
            self.current = None
            self._send_request(request)
        elif isinstance(request.packet, CreateConsumer):
            request.complete(self, None)
        else:
            request.failed(
                self, CallTimeout("the server executed it and its answer was lost with the connection", code=5)
            )

    def diverged(self, error: ReattachDiverged, now: float) -> None:
        """The counts cannot both be true: leave the server's session and make a new one, without guessing."""
        self.client.write(self.encode(SessionClose()))
        if self.state in (State.ATTACHED, State.REBUILDING):
            self.buffer.mark_transmitted()
        self.client.move_channel(self)
        self._recreate(error, now)

    def _recreate(self, reason: ActiveClientError | None, now: float) -> None:
        self.fence = None
        self.resume_at = None  # of the recovery before this one
        self._enter(State.RECREATING, now)  # before anything ends: what that sets free must not be sent yet
        self.recovery = Recovery(self, reason or ClosedError("the connection was lost"), now, self.recovery)
        self.epoch += 1
        self.received = -1
        self.received_bytes = 0
        self.confirmed_received = -1
        self.nulls = NullCounter()
        self.damaged.clear()
        self.owed.clear()
        for consumer in self.consumers.values():
            consumer.new_generation()
        for pool in self.pools.values():
            pool.restart()
        self._create(now)

    def on_this_channel(self, frame: bytes) -> bytes:
        """A frame of an earlier generation, on the channel that the session has now."""
        channel = self.channel_id.to_bytes(8, "big")
        return frame if frame[5:13] == channel else frame[:5] + channel + frame[13:]

    def rebuilt(self, in_doubt: tuple[bytes | str | None, ...]) -> None:
        """The recovery is through: the application's wishes go on (called by it)."""
        self._enter(State.ATTACHED, self.client.now)
        self.launch()
        self.client.session_recreated(self.client.now, in_doubt)

    def metadata_packets(self) -> list[AddMetadataV2]:
        """What tells the server again what this session said of itself."""
        return [AddMetadataV2(key, value, True) for key, value in self.metadata.items()]

    def fail(self, error: ActiveClientError, now: float) -> tuple[bytes | str | None, ...]:
        """The session ends and cannot be had again: everything that waits ends too. Returns ids of sends in doubt."""
        if self.state is State.CLOSED:
            return ()
        transmitted_now = self.state in (State.ATTACHED, State.REBUILDING)
        self._enter(State.CLOSED, now)
        self.error = error
        if transmitted_now:
            self.buffer.mark_transmitted()
        entries, sent = self.buffer.restart()
        work: list[tuple[bytes, Pending | None, bool]] = [
            (frame, token, position < sent) for position, (frame, token) in enumerate(entries)
        ]
        in_doubt: list[bytes | str | None] = []
        if self.recovery is not None:
            # Those that it has failed already: nobody else will tell of them.
            in_doubt += self.recovery.in_doubt
            work = self.recovery.left() + work
            self.recovery.abandon(error)
            self.recovery = None
        work += [(frame, token, True) for frame, token in self.awaiting.values()]
        self.awaiting.clear()
        self.awaiting_bytes = 0
        for frame, token, maybe in work:
            if frame[4] in (71, 73) and not isinstance(token, Request):
                duplicate_id = duplicate_id_of(frame) if frame[4] == 71 else None
                if maybe:
                    in_doubt.append(duplicate_id)
                if token is not None:
                    token.failed(
                        self,
                        OutcomeUnknown(f"{error}; the message may have been sent", duplicate_id=duplicate_id)
                        if maybe
                        else NotSent(f"{error}; the message was not sent"),
                    )
            elif token is not None and not token.done:
                token.failed(self, error.again())
        for request in [self.current, *self.pending]:
            if request is not None and not request.done:
                request.failed(self, error.again())
        self.pending.clear()
        self.current = None
        if self.creation is not None:
            self.creation.failed(self, error.again())
        for consumer in list(self.consumers.values()):
            consumer.closed = True
            consumer.error = error
            consumer.fail_stream(error)
        self.consumers.clear()
        self.client.forget(self)
        return tuple(in_doubt)


HANDLERS: dict[type[Packet], Callable[[Session, Packet, int], None]] = {
    ExceptionResponse: Session._on_exception,  # type: ignore[dict-item]
    ProducerCredits: Session._on_credits,  # type: ignore[dict-item]
    ProducerFailCredits: Session._on_fail_credits,  # type: ignore[dict-item]
    DisconnectConsumer: Session._on_disconnect_consumer,  # type: ignore[dict-item]
    ReceiveLarge: Session._on_large,  # type: ignore[dict-item]
    ReceiveContinuation: Session._on_piece,  # type: ignore[dict-item]
}
"""What each packet kind of a session channel does; answers to requests are everything else."""
