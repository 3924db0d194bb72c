"""One session: its channel, its commands and their answers.

Law of this file: every confirmable packet passes through `command`, those of a recreation too, so both sides count the
same; user wishes wait while the session is not attached, and end exactly once. What becomes of it when the link is lost
is decided in `SessionLife`.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from activeclient.engine.command_buffer import CommandBuffer, duplicate_id_in
from activeclient.engine.consumer import Consumer
from activeclient.engine.held import HeldMessages
from activeclient.engine.producer import CreditPool
from activeclient.engine.proof import Proof, Repeated
from activeclient.engine.recovery import Recovery
from activeclient.engine.requests import Pending, Request, SendToken
from activeclient.engine.session_config import IN_FLIGHT_LIMIT, SessionConfig
from activeclient.engine.session_life import SessionLife, State
from activeclient.engine.settling import NullCounter
from activeclient.engine.transaction import Transaction
from activeclient.engine.unsettled import NOTHING
from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    ClosedError,
    JMSError,
    LocalProtocolError,
    NotSent,
    Outcome,
    OutcomeUnknown,
    TransactionRolledBackError,
    UnsupportedOperationError,
)
from activeclient.events import AddressBlocked, AddressUnblocked, ConsumerLost, Event, SendFailed, Work
from activeclient.server_code import ServerCode
from activeclient.wire.fields import Xid
from activeclient.wire.message import SEND_LARGE
from activeclient.wire.packet import Packet, carries, encode, is_supported
from activeclient.wire.packets import (
    Acknowledge,
    AddCountedMetadata,
    Commit,
    ConsumerClose,
    CreateAddress,
    CreateQueue,
    DeleteQueue,
    IndividualAcknowledge,
    PacketsConfirmed,
    RequestProducerCredits,
    Send,
    SessionClose,
)
from activeclient.wire.packets.session import SENDS

if TYPE_CHECKING:
    from activeclient.engine.acknowledged import Acknowledged
    from activeclient.engine.client import ClientEngine

__all__ = ["Session", "SessionConfig", "State"]

ATTACHED = State.ATTACHED
CONFIRMED = struct.Struct(">ibqi")
MAX_ACCEPTED = 4096


class Session:
    """One session of a connection. See the module's law."""

    def __init__(self, client: ClientEngine, channel_id: int, config: SessionConfig, now: float) -> None:
        self.client = client
        self.channel_id = channel_id
        self.config = config
        self.name: str = client.new_id()
        self.epoch = 0
        """Generation: one more with each recreation."""
        self.state: State = State.NEW
        self.windowed: bool = config.window >= 0
        self.reattachable: bool = config.window >= 1
        self.tracks_taken: bool = not config.pre_acknowledge
        self.transacted_sends: bool = not config.auto_commit_sends
        self.transacted_acks: bool = not (config.auto_commit_acks or config.pre_acknowledge)
        self.recognises_held: bool = self.transacted_acks and not self.transacted_sends and not config.xa
        """What the application holds outlives the session: only its acknowledgements are committed, and done again."""
        self.held: HeldMessages = HeldMessages(self)
        self.buffer: CommandBuffer[Pending] = CommandBuffer(config.bound)
        self._confirm_after = self.buffer.bound.confirm_after
        self.awaiting: dict[int, tuple[bytes, SendToken]] = {}
        self.awaiting_bytes: int = 0
        self.received: int = -1
        """Id of the last counted packet from the server."""
        self.received_bytes: int = 0
        self.confirmed_received: int = -1
        self.nulls: NullCounter = NullCounter()
        self.consumers: dict[int, Consumer] = {}
        self.farewell: Request | None = None
        """The request that closes it on the server, once its user has closed it."""
        self.unsettled = NOTHING
        """What was lost when it ended."""
        self._barrier: list[tuple[Acknowledged, int]] = []
        """Without confirmations: which acknowledgements the answer to the current request confirms."""
        self.damaged: set[Consumer] = set()
        self.owed: set[Consumer] = set()
        self.pools: dict[str, CreditPool] = {}
        self.started = False
        self.metadata: dict[str, str] = config.metadata
        self.temporary_queues: dict[str, CreateQueue] = {}
        self.producers: dict[int, str | None] = {}
        self.branch: Xid | None = None
        """The XA branch that this session works in now."""
        self.transaction: Transaction = Transaction(config.window if config.window >= 1 else IN_FLIGHT_LIMIT)
        self.accepted: set[str] = set()
        """Addresses for which the broker has accepted sends in transactions of this session."""
        self.pending: deque[Request] = deque()
        self.launching: Request | None = None
        """On its way from `pending` to `current`."""
        self.current: Request | None = None
        self.ending: list[Request] = []
        """Done, and those who follow them are being told; the last one amid what the one before it began."""
        self.settling: list[Pending] = []
        """Confirmed, and being told so."""
        self.refusing: tuple[Pending | None, ActiveClientError, bytes | None] | None = None
        """Refused by the server, and being told so."""
        self.recovery: Recovery | None = None
        self.work: deque[SendToken] = deque()
        self.work_announced: bool = False
        self.creation: Pending | None = None
        self.error: ActiveClientError | None = None
        self.gate: str | None = None
        """Unique metadata by which its successor sees that it is gone, where it may have to be recreated."""
        self.resume_at: float | None = None
        """When a pause of its recovery is over, or it may ask again whether it is its turn."""
        self.closing: bool = False
        """Its user has closed it; the server may not know yet."""
        self.proof: Proof = Proof(self)
        """What was repeated and may not be stored yet."""
        self.repeated: set[int] = set()
        """Correlation ids of sends that an earlier session of this one sent too."""
        self.lost_at: float | None = now
        """Since when it is not usable; None while it is."""
        self.usable_seconds: float = 0.0
        self.usable_since: float = 0.0
        self.correlation_id: int = 0
        """The last one that was given out."""
        self.life: SessionLife = SessionLife(self)
        self._consumer_ids = 0

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
        state = self.state
        if state is ATTACHED or state is State.REBUILDING:
            return True
        return self.windowed and state not in (State.CLOSED, State.NEW, State.RECREATING) and self.recovery is None

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

    def tell_failed(self, token: Pending | None, error: ActiveClientError) -> None:
        """A send has failed: tell whoever waits for it, else the connection's listeners."""
        if token is None:
            self.emit(SendFailed(self.channel_id, error))
        else:
            token.failed(self, error)

    def emit(self, event: Event) -> None:
        """Tell the connection's listeners."""
        self.client.events.append(event)

    def work_ready(self) -> None:
        """Have the session's callbacks run, once for a burst."""
        if not self.work_announced:
            self.work_announced = True
            self.client.events.append(Work(self))

    # --- commands -------------------------------------------------------------------------------------------------

    @property
    def has_routing_types(self) -> bool:
        """True if the server tells queues from topics; before 2.0 each queue of an address gets each message."""
        return self.supports(CreateAddress)

    def supports(self, kind: type[Packet]) -> bool:
        """True if the protocol version that is spoken with the server has this packet."""
        return is_supported(kind, self.client.version)

    def encode(self, packet: Packet) -> bytes:
        """The frame of a packet on this channel."""
        return encode(packet, self.channel_id, self.client.version)

    def command(self, frame: bytes, token: Pending | None = None) -> None:
        """Send a counted frame, or keep it for the replay when there is no link now (hot path).

        While the session is being recreated it is dropped: it belongs to the old one, and a place in the buffer
        without ever being sent would make the counts differ. Recovery tells the new one what it has to know.
        """
        state = self.state
        if state is ATTACHED or state is State.REBUILDING:
            size = len(frame)
            if self.windowed:
                self.buffer.append(frame, token, size)
            client = self.client
            client.outbox.append(frame)
            client.pending_bytes += size
        elif self.may_command:
            self.buffer.append(frame, token, len(frame))

    def send(self, frame: bytes, token: SendToken | None, size: int) -> None:
        """Send a message of `size` bytes; the caller has asked `room` (hot path: `command`, without its calls)."""
        if self.transacted_sends:
            self.transaction.sent(frame)
        if self.windowed:
            self.buffer.append(frame, token, size)
        elif token is not None:
            self.awaiting[token.correlation_id] = (frame, token)
            self.awaiting_bytes += size
        if self.state is ATTACHED:
            client = self.client
            client.outbox.append(frame)
            client.pending_bytes += size

    def send_unidentified(self, frame: bytes, token: SendToken | None, size: int) -> None:
        """As `send`, on a server before 2.7: the answer will not say which send it is for (`sends_identified`)."""
        if frame[-1] and frame[4] != SEND_LARGE:
            self.nulls.expect()
        self.send(frame, token, size)

    @property
    def sends_identified(self) -> bool:
        """True if answers to sends carry their correlation id; else they are told apart by their order."""
        return carries(Send, "correlation_id", self.client.version)

    def send_in_version(self, frame: bytes, token: SendToken | None, size: int) -> None:
        """`send` or `send_unidentified`, by the version of the server."""
        (self.send if self.sends_identified else self.send_unidentified)(frame, token, size)

    def request_of(
        self, packet: Packet, on_done: Callable[[Request], None] | None = None, *, correlated: bool = False
    ) -> Request:
        """A request for `packet`."""
        return Request(packet, on_done, self.next_correlation() if correlated else -1)

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
        farewell = self.farewell = self.request_of(SessionClose(), on_done)
        self._begin_closing(farewell)
        return farewell

    def _begin_closing(self, farewell: Request) -> None:
        self.closing = True
        for consumer in list(self.consumers.values()):
            consumer.reading.fail(ClosedError("the session is closed"))
            consumer.look_for_redeliveries()
        self._say_farewell(farewell, held=self._awaits_redelivery)

    def mend_closing(self) -> None:
        """Go on with the closing of consumers, and of the session, that an interrupt came into."""
        for consumer in list(self.consumers.values()):
            if consumer.closed and consumer.error is None and not self.closing:
                if consumer.farewell is None:
                    self.close_consumer(consumer)
                else:
                    self._say_farewell(consumer.farewell, held=consumer.awaits_redelivery)
        if self.farewell is not None:
            if self.closing:
                self._say_farewell(self.farewell, held=self._awaits_redelivery)
            else:
                self._begin_closing(self.farewell)

    def disown(self, error: ActiveClientError) -> None:
        """See `ClientEngine.disown`."""
        self.state = State.CLOSED
        self.error = error
        self.work.clear()
        for consumer in self.consumers.values():
            consumer.closed = True
            consumer.error = error
            consumer.buffer.clear()
            consumer.reading.fail(error)

    def close_unattended(self) -> None:
        """Nobody uses it any more: close it, here and on the server, with nobody waiting for that."""
        if self.closing or self.state is State.CLOSED:
            return
        ended = ClosedError("the session is closed")
        if self.state is State.NEW and not self.life.asked:
            self.life.end(ended, self.client.now)
        else:
            self.begin_closing(lambda _: _discard(self.life.end(ended, self.client.now)))

    def close_consumer(self, consumer: Consumer) -> Request:
        """Its user closes a consumer: have the server close it, once what it acknowledged is settled.

        Until the server has closed it, it is kept: when the session is made anew meanwhile, it is made again if its
        acknowledgements may be lost, to acknowledge what comes again.
        """

        def closed(_request: Request) -> None:
            if self.consumers.get(consumer.id) is consumer:
                if self.recognises_held:
                    self.held.consumer_closed(consumer)
                self.consumers.pop(consumer.id, None)
            if self.farewell is not None:
                self._say_farewell(self.farewell, held=self._awaits_redelivery)

        consumer.look_for_redeliveries()
        consumer.farewell = self.request_of(ConsumerClose(consumer.id), closed)
        self._say_farewell(consumer.farewell, held=consumer.awaits_redelivery)
        return consumer.farewell

    @property
    def _awaits_redelivery(self) -> bool:
        return any(consumer.awaits_redelivery for consumer in self.consumers.values())

    def redelivered(self, consumer: Consumer) -> None:
        """Something came for a consumer that its user has closed: it, or the session, may be able to end now."""
        if consumer.farewell is not None:
            self._say_farewell(consumer.farewell, held=consumer.awaits_redelivery)
        if self.farewell is not None:
            self._say_farewell(self.farewell, held=self._awaits_redelivery)

    def _say_farewell(self, request: Request, *, held: bool) -> None:
        if not (held or request.done or request.sent or request in self.pending):
            self.submit(request)

    def holds_back(self, request: Request) -> bool:
        """True if the closing of a consumer, or of the session, has to wait in the next session for what that
        consumer, or any, acknowledged in this one."""
        return any(
            consumer.closed and consumer.owes_acknowledgements and request in (consumer.farewell, self.farewell)
            for consumer in self.consumers.values()
        )

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
            if self.transacted_sends and isinstance(self.pending[0].packet, Commit) and not self._may_commit():
                return
            if self.proof.open and isinstance(self.pending[0].packet, SessionClose):
                return
            if self.recognises_held and isinstance(self.pending[0].packet, Commit):
                if not self.held.may_commit(self.pending[0]):
                    return
                self.held.commit_sent()
            self.launching = request = self.pending[0]
            self.pending.popleft()
            self.send_request(request)
            self.launching = None

    def _may_commit(self) -> bool:
        """Return True if the commit at the head of the queue may be sent; else it has failed, or waits.

        The broker commits the rest of a transaction of which it refuses a send for want of a permission. So the first
        commit with an address waits until its sends are answered; that costs the time of an answer, once.
        """
        transaction = self.transaction
        if transaction.refused is not None:
            refused = transaction.refused
            request = self.pending.popleft()
            error = TransactionRolledBackError(f"the broker refused a message of the transaction: {refused}", code=111)
            error.__cause__ = refused
            request.failed(self, error)
            transaction.refused = refused
            transaction.rollback_only = True
            return False
        if not transaction.unverified:
            return True
        if self.windowed:
            return not any(frame[4] in SENDS for frame in self.buffer.frames())
        return not self.awaiting

    def send_refused(self, error: ActiveClientError) -> None:
        """The broker refused a send of a transaction."""
        transaction = self.transaction
        transaction.refused = transaction.refused or error
        self.launch()

    def send_request(self, request: Request) -> None:
        """Send a request now; it is the one that answers belong to. One that cannot be written fails, and no other."""
        packet = request.packet
        if isinstance(packet, Commit):
            packet.correlation_id = request.correlation_id
        try:
            frame = self.encode(packet)
            self.client.limits.check(type(packet).__name__, len(frame))
        except (LocalProtocolError, NotSent, UnsupportedOperationError) as error:
            request.failed(self, error)
            return
        self.current = request
        if not self.windowed:
            acknowledged = [each.acknowledged for each in self.consumers.values() if each.acknowledged is not None]
            self._barrier = [(each, each.outstanding) for each in acknowledged]
        request.sent = True
        request.answered = False
        request.sends_before = self.correlation_id
        identified = request.correlation_id >= 0 and carries(Commit, "correlation_id", self.client.version)
        if request.answered_by_null and not identified:
            request.mark = self.nulls.expect()
        else:
            request.mark = self.nulls.sent
        if isinstance(packet, CreateQueue) and packet.temporary:
            self.temporary_queues[packet.queue_name] = packet
        elif isinstance(packet, DeleteQueue):
            self.temporary_queues.pop(packet.queue_name, None)
        self.command(frame, request)

    def request_ended(self, request: Request) -> None:
        """A request is done, well or not (called by it)."""
        if self.current is request:
            self.current = None
            if not self.windowed and request.error is None:
                for acknowledged, count in self._barrier:
                    acknowledged.confirmed(count)  # the server works in order
        if self.transacted_sends and request.sent and isinstance(request.packet, Commit) and request.error is None:
            self._committed(request)
        if request.sent and self.recognises_held and isinstance(request.packet, Commit):
            self.held.commit_ended()
        if request.on_done is not None:
            request.on_done(request)
        if self.recovery is not None:
            self.recovery.request_ended(request)
        else:
            self.launch()

    def _committed(self, request: Request) -> None:
        transaction = self.transaction
        if transaction.refused is not None:  # after others to its address were accepted: permissions have changed
            request.error = JMSError(
                f"the transaction was committed without a message that the broker refused: {transaction.refused}",
                code=transaction.refused.code,
            )
            request.error.__cause__ = transaction.refused
        elif transaction.unverified:
            if len(self.accepted) > MAX_ACCEPTED:
                self.accepted.clear()
            self.accepted |= transaction.unverified

    def next_timeout(self) -> float | None:
        """When `handle_timeout` has something to do; None: never."""
        life = self.life
        due = self.resume_at
        for time in (life.check.due, life.delivery.due, life.probe_due, self.held.due):
            if time is not None and (due is None or time < due):
                due = time
        return due

    def handle_timeout(self, now: float) -> None:
        """A pause of the recovery may be over, or a question to the server due, or its answer."""
        self.life.handle_timeout(now)
        self.held.handle_timeout(now)
        if self.resume_at is None or now < self.resume_at:
            return
        if self.state is State.SETTLING:
            self.life.settled()
        elif self.recovery is not None:
            self.recovery.advance()

    def has_request(self, request: Request) -> bool:
        """True while a request waits for its turn, or for its answer."""
        return request is self.current or request in self.pending

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
            try:
                self.command(self.encode(RequestProducerCredits(more, pool.address)))
            except BaseException:
                pool.asked -= more  # interrupted: they may never come, and to ask twice does no harm
                raise
        return more > 0

    def address_blocked(self, address: str) -> None:
        """A sender has waited for credits for so long that it should be told of; once until some come."""
        pool = self.pools.get(address)
        if pool is not None and pool.blocked_at is None and self.usable:
            pool.blocked_at = self.client.now
            self.emit(AddressBlocked(self.channel_id, address))

    def address_unblocked(self, pool: CreditPool) -> None:
        """The broker has answered for an address, with credits or with an error for each send."""
        if pool.blocked_at is not None:
            seconds, pool.blocked_at = self.client.now - pool.blocked_at, None
            self.emit(AddressUnblocked(self.channel_id, pool.address, seconds))

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
            error.outcome = Outcome.NOT_SENT
            token.failed(self, error)
            timed_out = isinstance(error, CallTimeout) and error.code is not None  # not by a shorter limit of its own
            if timed_out and isinstance(token, Request) and self.current is not None and self.state is State.ATTACHED:
                # It waited its whole time behind a request that is not answered either: the link is as good as dead.
                self.client.abort(CallTimeout("a call got no answer; the connection is renewed"), now)
            return
        if isinstance(token, SendToken):
            frame = self._frame_of(token)
            unknown: ActiveClientError = OutcomeUnknown(
                f"{error}; the message may have been sent", duplicate_id=duplicate_id_in(frame) if frame else None
            )
        else:
            # Of the same kind: connected or not, closed meanwhile.
            unknown = type(error)(f"{error}; it may have taken effect", outcome=Outcome.UNKNOWN)
        unknown.__cause__ = error
        renew = self.current is token or error.code == ServerCode.CONNECTION_TIMEDOUT
        token.failed(self, unknown)
        if renew and self.state is State.ATTACHED:
            # The answer would be taken for that of the next request: only a new link brings certainty. And a server
            # that is silent for callTimeout is as good as gone, whatever the pings say.
            self.client.abort(CallTimeout("a call got no answer; the connection is renewed"), now)

    def _frame_of(self, token: Pending) -> bytes | None:
        if not self.windowed:
            entry = self.awaiting.get(token.correlation_id)
            return entry[0] if entry else self.proof.frame_of(token)
        for frame, settle in self.buffer.entries():
            if settle is token or (isinstance(settle, Repeated) and settle.token is token):
                return frame
        return self.proof.frame_of(token)

    # --- answers --------------------------------------------------------------------------------------------------

    def confirmed(self, last: int) -> None:
        """PACKETS_CONFIRMED: everything up to `last` took effect.

        Until the fence has passed it is only remembered: a refusal of an earlier command, which is not counted, may
        still be among what the server repeats, and moves the ids down.
        """
        if self.state is State.REATTACHING or self.state is State.SETTLING:
            self.life.remember(last)
            return
        self.settle_up_to(last)
        if self.life.replaying:
            self.life.confirmed()

    def settle_up_to(self, last: int) -> None:
        """Every command up to `last` took effect: it leaves the buffer, and who waits for it is told.

        Raises:
            ReattachDiverged: This cannot be.
        """
        buffer = self.buffer
        work = self.work
        self.settling = buffer.confirm(last)
        if self.proof.open:
            self.settling = self.behind_proof(self.settling)
        for token in self.settling:
            if type(token) is SendToken:  # hot: what its `settled` does
                if not token.done:
                    token.done = True
                    if token.handler is not None:
                        work.append(token)
            else:
                token.settled(self)
        self.settling = []
        if work:
            self.work_ready()
        self.room_made()

    def behind_proof(self, freed: list[Pending]) -> list[Pending]:
        """Hold back the sends among what is confirmed, while repeated ones are not proven; return the rest."""
        rest: list[Pending] = []
        for token in freed:
            if self.proof.open and isinstance(token, SendToken) and not isinstance(token, Repeated):
                self.proof.hold(token)
            else:
                rest.append(token)
        return rest

    def room_made(self) -> None:
        """Commands left the buffer, confirmed or refused: what waited for their place goes on."""
        buffer = self.buffer
        if buffer.used < buffer.limit or not buffer.full:
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
                entry = self.awaiting.get(correlation_id)
                if entry is not None:
                    self._send_answered(entry[1])
                    self.answered(correlation_id)
                elif self.current is not None and self.current.correlation_id == correlation_id:
                    self.current.complete(self, None)
            return
        self.nulls.seen()
        if self.life.fence is not None:
            self.life.fence_answered()
        elif not self.windowed:
            current = self.current
            oldest = self.oldest_send()
            if oldest is not None:
                self._send_answered(self.awaiting[oldest][1])
                self.answered(oldest)
            elif current is not None and current.answered_by_null:
                current.complete(self, None)

    def _send_answered(self, token: SendToken) -> None:
        """A send of a session that counts nothing took effect."""
        if self.proof.open and not isinstance(token, Repeated):
            self.proof.hold(token)
        else:
            token.settled(self)

    def answered(self, correlation_id: int) -> None:
        """The send is no more among those of a session that counts nothing: last, for an interrupt must lose none."""
        entry = self.awaiting.get(correlation_id)
        if entry is not None:
            self.awaiting_bytes -= len(entry[0])
            del self.awaiting[correlation_id]
            if self.transaction.unverified and self.pending:
                self.launch()

    def oldest_send(self) -> int | None:
        """The correlation id of the send that the next answer without one is for, on a session that counts nothing.

        None when the answer is for the current request, or for nothing.
        """
        first = next(iter(self.awaiting), None)
        if first is None or self.sends_identified or (self.current is not None and self.current.sends_before < first):
            return None
        return first

    def count_received(self, size: int, count: int = 1) -> None:
        """`count` counted packets of `size` bytes in all were taken; confirm when the window is reached."""
        self.received += count
        self.received_bytes += size
        if self.windowed and (
            self.received_bytes >= self.config.window or self.received - self.confirmed_received >= self._confirm_after
        ):
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

    def consumer_lost(self, consumer: Consumer, error: ActiveClientError) -> None:
        """The server ended a consumer, or it could not be brought back."""
        if not consumer.closed:
            if self.recognises_held:
                self.held.consumer_closed(consumer)
            consumer.error = error
            consumer.reading.fail(error)
            event = ConsumerLost(self.channel_id, consumer.id, error)
            # No call in between: an interrupt finds it there, and hears of it again, or gone and told.
            consumer.closed = True
            self.client.events.append(event)
            self.consumers.pop(consumer.id, None)
            return
        if self.recognises_held:
            self.held.consumer_closed(consumer)
        self.consumers.pop(consumer.id, None)
        farewell = consumer.farewell
        if farewell is not None and not farewell.sent:
            if farewell in self.pending:
                self.pending.remove(farewell)
            farewell.complete(self, None)  # nothing is left to close
        self.redelivered(consumer)

    # --- for its life ---------------------------------------------------------------------------------------------

    def on_this_channel(self, frame: bytes) -> bytes:
        """A frame of an earlier generation, on the channel that the session has now."""
        channel = self.channel_id.to_bytes(8, "big")
        return frame if frame[5:13] == channel else frame[:5] + channel + frame[13:]

    def metadata_packets(self) -> list[AddCountedMetadata]:
        """What tells the server again what this session said of itself."""
        return [AddCountedMetadata(key, value, True) for key, value in self.metadata.items()]


def _discard(_: object) -> None:
    """Of no use here."""
