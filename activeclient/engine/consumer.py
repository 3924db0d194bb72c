"""A consumer: what was delivered and not taken, the credits that we grant, and what is acknowledged.

Law of this file: received and unconsumed bytes are at most the window and one message; a delivery belongs to one
*origin* (this consumer in one generation of its session), and an acknowledgement for another origin is never sent; a
message that the application holds is never given to it a second time while its session lives.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING

from activeclient.engine.acknowledged import Acknowledged
from activeclient.engine.held import Held
from activeclient.engine.large_message import InboundBody
from activeclient.engine.reading import Reading
from activeclient.errors import ActiveClientError, RemoteProtocolError
from activeclient.events import LargeMessageDamaged, StaleAcknowledgement
from activeclient.wire.message import CoreMessage, ReceivedMessage, forced_delivery_sequence, received
from activeclient.wire.packets import (
    Acknowledge,
    ConsumerClose,
    CreateConsumer,
    CreateSharedQueue,
    FlowToken,
    ForceDelivery,
    IndividualAcknowledge,
    QueueQueryResponse,
    ReceiveContinuation,
    SessionStart,
)

if TYPE_CHECKING:
    from activeclient.engine.requests import Request
    from activeclient.engine.session import Session

ACKNOWLEDGE = struct.Struct(">ibqqq?")
"""SESS_ACKNOWLEDGE and SESS_INDIVIDUAL_ACKNOWLEDGE, whole frames; sent for every message, hence packed by hand."""
KIND_ACKNOWLEDGE = Acknowledge.KIND
KIND_INDIVIDUAL = IndividualAcknowledge.KIND
SLACK = 1 << 20
"""Bytes that may wait beyond twice the window before the server is taken for one that heeds no credits: one message
overshoots a window honestly, and windows may be smaller than messages."""
UNLIMITED = 1 << 62
SLOW_CONSUMER_CREDIT = 1
"""The balance at which a consumer without prefetch gets one message: the server stops when it is not positive."""


class Origin:
    """Which consumer, in which generation, delivered a message."""

    __slots__ = ("consumer", "epoch")

    def __init__(self, consumer: Consumer, epoch: int) -> None:
        self.consumer: Consumer = consumer
        self.epoch: int = epoch


class Settled(Origin):
    """Of a message that an interrupted call has acknowledged and not handed out: the server is not told of it again,
    and it is not among what the application holds unacknowledged."""

    __slots__ = ()


class Consumer:
    """One consumer of a session.

    Args:
        window: Bytes of prefetch; 0 none, -1 unlimited (consumerWindowSize).
        ack_batch: Bytes of messages after which acknowledgements are sent (ackBatchSize); 0: each at once.
    """

    __slots__ = (
        "_expecting",
        "_granting",
        "_moved",
        "_renewal",
        "_sought",
        "_sought_early",
        "_tracks",
        "absorbing",
        "ack_batch",
        "ack_bytes",
        "ack_message_id",
        "acknowledged",
        "acknowledging",
        "asking",
        "balance",
        "body_came",
        "browse_only",
        "buffer",
        "closed",
        "committing",
        "credits",
        "error",
        "farewell",
        "filter",
        "forced_asked",
        "forced_seen",
        "has_listener",
        "held",
        "id",
        "ignoring",
        "kept",
        "large",
        "limit",
        "looked",
        "origin",
        "owner",
        "priority",
        "queue",
        "queue_info",
        "queue_packet",
        "reading",
        "refreshing",
        "session",
        "taken",
        "uncommitted",
        "window",
        "withdrawn_before",
    )

    def __init__(
        self,
        session: Session,
        consumer_id: int,
        queue: str,
        filter_string: str | None,
        *,
        window: int,
        ack_batch: int,
        browse_only: bool = False,
        priority: int = 0,
    ) -> None:
        self.session: Session = session
        self.id: int = consumer_id
        self.queue: str = queue
        self.filter: str | None = filter_string
        self.window: int = window
        self.ack_batch: int = ack_batch
        self.browse_only: bool = browse_only
        self.priority: int = priority
        self.buffer: deque[CoreMessage] = deque()
        self.held: int = 0
        """Bytes in the buffer; pieces of large messages are counted by their streams."""
        self.limit: int = UNLIMITED if window < 0 else 2 * window + SLACK
        """Held bytes beyond which the next delivery proves that the server heeds no credits."""
        self._granting = UNLIMITED if window < 0 else window >> 1
        """Consumed bytes at which they are granted again."""
        self._tracks = session.tracks_taken and not browse_only
        self.origin: Origin = Origin(self, session.epoch)
        self.queue_info: QueueQueryResponse | None = None
        self.queue_packet: CreateSharedQueue | None = None
        """What makes its queue anew when that ends with its last consumer: the server does not tell so of a queue."""
        self.credits: int = 0
        """Bytes consumed and not yet granted again."""
        self.asking: bool = False
        """Without prefetch: somebody waits for the next message."""
        self.balance: int = 0
        """Without prefetch: what the server has left of our grants; it overdraws with each message."""
        self.withdrawn_before: int = 0
        """Without prefetch: the marker behind the last withdrawal of a grant; 0 when there was none."""
        self.ack_bytes: int = 0
        self.ack_message_id: int = -1
        self.acknowledging: int = -1
        """Id of the message that is being acknowledged alone."""
        self.closed: bool = False
        self.error: ActiveClientError | None = None
        self.has_listener: bool = False
        self.forced_asked: int = 0
        self.forced_seen: int = 0
        self.farewell: Request | None = None
        """The request that closes it on the server, once its user has closed it."""
        self.looked: int = 0
        """Closed by its user: the forced delivery behind all that can come again of what it acknowledged."""
        self.body_came: bool = False
        """Did a large body come in, or begin to, since a marker was last asked for? The server goes on behind a body a
        moment after its last piece, so the next marker may come before what is there."""
        self.large: CoreMessage | None = None
        """The large message whose pieces are arriving."""
        self.acknowledged: Acknowledged | None = (
            Acknowledged(session.client.lost_of(queue))
            if session.tracks_taken and session.config.auto_commit_acks and not browse_only
            else None
        )
        """What may come again although the application is done with it; None where that is not kept."""
        self.taken: deque[tuple[int, int, CoreMessage | None]] = deque()
        """Message ids that the application holds unacknowledged; the message itself only when its body streams."""
        self.kept: list[CoreMessage] = []
        """What calls that were interrupted had taken and not handed out; `restore_kept` gives it back."""
        self.reading: Reading = Reading(self)
        recognises = session.recognises_held and not browse_only
        self.uncommitted: dict[int, int] | None = {} if recognises else None
        """Fingerprints of messages that are acknowledged in the open transaction, by id; None where its loss undoes
        them."""
        self.committing: dict[int, int] = {}
        """The same, of a commit that is on its way."""
        self.absorbing: dict[int, Held] = session.held.expected(queue) if recognises else {}
        """Held messages whose redelivery is swallowed, by message id: to this consumer, which is renewed, or to one of
        its queue in a recreated session."""
        self._expecting: dict[int, Held] | None = None
        """What `absorbing` is about to hold, while it is changed."""
        self._sought = 0
        """The forced delivery whose marker says whether more of them come."""
        self._sought_early = False
        """It may come before what is there."""
        self._moved = False
        """Something was redelivered, or more was granted, since it was asked for."""
        self.refreshing: bool = False
        self._renewal: Request | None = None
        """The last request of the renewal."""
        self.ignoring: bool = False
        self.owner: object = None
        """What users know this consumer by; messages reach it through their origin."""

    # --- deliveries -----------------------------------------------------------------------------------------------

    def deliver(self, frame: bytes) -> None:
        """SESS_RECEIVE_MSG came (hot path)."""
        if self.ignoring:
            return
        message = received(frame)
        if frame[-4:] == b"\0\0\0\0":  # delivery count 0: the marker of a forced delivery
            sequence = forced_delivery_sequence(message)
            if sequence is not None:
                self.forced_seen = max(self.forced_seen, sequence)
                self.reading.marked(sequence)
                if self.closed:
                    self._looked_through()
                if self._sought:
                    self.session.launch()
                return
        held = self.held
        if held > self.limit:
            raise self._flooded()
        size = len(frame)
        self.balance -= size
        if self.absorbing and self._absorb(message, None):
            self.consumed(size)
            return
        acknowledged = self.acknowledged
        if acknowledged is not None and acknowledged.lost.expecting and acknowledged.comes_again(message):
            self._acknowledge_again(message)
            self.consumed(size)
            return
        if self.closed:
            return  # it stays with the server, which has it back when the consumer is closed there
        self.asking = False
        message.origin = self.origin
        self.held = held + size
        self.buffer.append(message)
        if self.has_listener:
            self.session.work_ready()

    def deliver_large(self, message: ReceivedMessage, body: InboundBody) -> None:
        """SESS_RECEIVE_LARGE_MSG came: the pieces follow."""
        if self.ignoring:
            return
        if self.held > self.limit:
            raise self._flooded()
        self.balance -= body.header_size
        self.body_came = True
        if self.absorbing and self._absorb(message, body):
            return
        message.body_follows(body)
        if self.reading.resume(message, body):
            return
        if self.acknowledged is not None and self.acknowledged.comes_again(message):
            body.discard()
            self.large = message
            self._acknowledge_again(message)
            self.consumed(body.header_size)
            return
        if self.closed:
            self.large = None
            return
        self.asking = False
        message.origin = self.origin
        self.held += body.header_size
        self.large = message
        self.buffer.append(message)
        if self.has_listener:
            self.session.work_ready()

    def deliver_piece(self, packet: ReceiveContinuation, frame_size: int, *, replayed: bool) -> None:
        """SESS_RECEIVE_CONTINUATION came; `replayed` when it arrived between a reattach request and its answer."""
        large = self.large
        if self.ignoring or large is None or large.stream is None:
            return
        stream = large.stream
        if stream.held > self.limit:
            error = self._flooded()
            stream.fail(error)
            raise error
        self.balance -= frame_size
        if replayed and not stream.suspended:
            stream.suspend()
            self.session.damaged.add(self)
        back = stream.add(packet.body, frame_size, not packet.continues)
        if not packet.continues:
            self.large = None
            if self._sought:
                self.session.launch()
        if back:
            self.consumed(back)

    def _flooded(self) -> RemoteProtocolError:
        return RemoteProtocolError(
            f"deliveries without credits: consumer {self.id} of {self.queue} has a window of {self.window} bytes and"
            f" more than {self.limit} bytes wait for the application"
        )

    def _acknowledged_late(self, message: CoreMessage) -> None:
        """Its session is gone, but the application has done with it: its next delivery is acknowledged instead."""
        acknowledged = self.acknowledged
        assert acknowledged is not None
        acknowledged.late(message.message_id, message.fingerprint)
        for position, waiting in enumerate(self.buffer):
            if acknowledged.comes_again(waiting):
                del self.buffer[position]
                stream = waiting.stream
                held = waiting.frame_size if stream is None else stream.header_size
                self.held -= held
                self._acknowledge_again(waiting)
                self.consumed(held if stream is None else held + stream.discard())
                break

    def _acknowledge_again(self, message: CoreMessage) -> None:
        """The application has acknowledged this message before; the broker has not got it, or not kept it."""
        acknowledged = self.acknowledged
        assert acknowledged is not None
        self.flush_acknowledgements()
        acknowledged.add(message.message_id, message.fingerprint)
        self._send_acknowledgement(self._ack_frame(KIND_INDIVIDUAL, message.message_id))
        if self.closed:
            self.session.redelivered(self)

    def _absorb(self, message: ReceivedMessage, body: InboundBody | None) -> bool:
        """A renewed consumer delivers what the application holds already: keep it from being seen twice."""
        held = self.absorbing.get(message.message_id)
        if held is None:
            return False
        if body is not None:
            message.body_follows(body)
        if not held.is_same(message):
            return False
        self._moved = True
        streaming = held.streaming
        if body is not None:
            if streaming is not None and streaming.stream is not None and not streaming.stream.discarded:
                streaming.stream.resume()
                self.large = streaming
            else:
                body.discard()
                self.large = message
            self.consumed(body.header_size)
        session = self.session
        del self.absorbing[message.message_id]  # an interrupt before it has the message come once more
        if held.acknowledged:
            self._acknowledge_alone(message.message_id, held.fingerprint)
            if held.in_doubt:
                session.held.commit_in_doubt = False  # a commit takes effect for all of its messages or for none
            if session.pending:
                session.launch()
            if self.closed:
                session.redelivered(self)
        else:
            self.taken.append((message.message_id, held.fingerprint, streaming))
        return True

    def _acknowledge_alone(self, message_id: int, fingerprint: int) -> None:
        """Acknowledge one message that this consumer has delivered (again) and that was acknowledged before."""
        if self.uncommitted is not None:
            self.uncommitted[message_id] = fingerprint
            self.session.transaction.acked()
        self.session.command(self._ack_frame(KIND_INDIVIDUAL, message_id))

    # --- taking ---------------------------------------------------------------------------------------------------

    def take(self) -> CoreMessage | None:
        """The next message for the application, or None (hot path)."""
        buffer = self.buffer
        if not buffer:
            return None
        message = buffer[0]
        if self.reading.message is not None and self.reading.message is not message:  # as an interrupt may leave it
            self.reading.leave()
        stream = message.stream
        if stream is None:
            size = message.frame_size
            self.held -= size
            credits = self.credits + size
            if credits >= self._granting:
                self.consumed(size)
            else:
                self.credits = credits
        else:
            self.reading.message = message
            self.held -= stream.header_size
            self.consumed(stream.header_size)
        if self._tracks and type(message.origin) is not Settled:
            # Nobody asks for it in transactions.
            fingerprint = 0 if self.acknowledged is None and self.uncommitted is None else message.fingerprint
            self.taken.append((message.message_id, fingerprint, None if stream is None else message))
        try:
            buffer.popleft()  # last: interrupted before it, nothing has happened (`mend`)
        except BaseException:
            self.kept.append(message)
            raise
        return message

    def restore_kept(self) -> None:
        """Give back what an interrupted call had in its hand: it is received next.

        What the call had acknowledged already is not acknowledged again (`Settled`).
        """
        while self.kept:
            message = self.kept[-1]
            if any(waiting is message for waiting in self.buffer):
                pass  # this was interrupted itself
            elif message.origin is self.origin:
                held = any(entry[0] == message.message_id for entry in self.taken)
                if held and message.stream is not None and message.stream.error is not None:
                    del self.kept[-1]
                    self._have_again(message)
                    continue
                self.put_back(message)
                if not held and not self.closed:
                    message.origin = Settled(self, -1)
                    self._back_to_buffer(message)
            elif type(message.origin) is Settled and not self.closed:
                self._back_to_buffer(message)
            del self.kept[-1]

    def _have_again(self, message: CoreMessage) -> None:
        """An interrupt came while the body was read, and a part of it is gone: have the server deliver it anew."""
        for position, entry in enumerate(self.taken):
            if entry[0] == message.message_id:
                del self.taken[position]
                break
        if message is self.reading.message:
            self.reading.message = None
        self.refresh()

    def _back_to_buffer(self, message: CoreMessage) -> None:
        size = message.frame_size if message.stream is None else message.stream.header_size
        self.held += size
        if self.window > 0:
            self.credits -= size  # it will be consumed a second time
        self.buffer.appendleft(message)

    def mend(self) -> None:
        """Make it whole after an interrupt amid a call of these methods, which are written for that: see there."""
        buffer, taken = self.buffer, self.taken
        session = self.session
        if buffer and taken and taken[-1][0] == buffer[0].message_id:
            taken.pop()  # `take` has not come to its end
        self.held = sum(
            message.frame_size if message.stream is None else message.stream.header_size for message in buffer
        )
        held = {entry[0] for entry in taken}
        acknowledged = self.acknowledged
        if acknowledged is not None:
            acknowledged.undo(held)
            if session.windowed and session.state.value != "recreating":  # else it is all lost
                acknowledged.recount(session.buffer.entries())
        one = self.acknowledging
        if one >= 0 and one not in held and session.windowed and session.may_command:
            frame = self._ack_frame(KIND_INDIVIDUAL, one)
            if frame not in session.buffer.frames():
                self._send_acknowledgement(frame)
        self.acknowledging = -1
        if self.ack_message_id >= 0:
            frame = self._ack_frame(KIND_ACKNOWLEDGE, self.ack_message_id)
            if frame in session.buffer.frames():
                self.ack_message_id = -1
                self.ack_bytes = 0
            elif self.ack_bytes >= self.ack_batch:
                self.flush_acknowledgements()
        renewal = self._renewal
        if self.refreshing and (renewal is None or not (renewal.done or session.has_request(renewal))):
            self.refreshing = False
            session.damaged.add(self)  # it is renewed when the session is back

    def put_back(self, message: CoreMessage) -> None:
        """The application could not use what it took last: it is the next one again, as if nobody had taken it.

        What an earlier generation delivered comes again by itself.
        """
        message_id = message.message_id
        if self.reading.resuming and message is self.reading.message:
            self.reading.leave()
        if self.absorbing.pop(message_id, None) is not None:
            return
        if type(message.origin) is Settled and not self.closed:
            self._back_to_buffer(message)
            return
        held = [entry for entry in self.taken if entry[0] == message_id]
        if self.closed or not held:
            return
        self.taken.remove(held[0])
        message.origin = self.origin
        if message is self.reading.message:
            self.reading.message = None
        self._back_to_buffer(message)

    def consumed(self, size: int) -> None:
        """`size` bytes of deliveries were consumed: grant them again when half a window has come together."""
        if self.window > 0:
            self.credits += size
            if self.credits >= self._granting:
                self.grant()
        elif self.window == 0 and (self.large is not None or self._wants_one):
            self._top_up()  # for the next piece, or what is delivered anew; else somebody has to ask

    def grant(self) -> None:
        """Return consumed credits, unless the command buffer has no room: then they go with the next confirmation."""
        session = self.session
        if self.credits and not self.closed and session.may_command:
            if session.buffer.full and session.windowed:
                session.owed.add(self)
                return
            credits, self.credits = self.credits, 0
            self._moved = True
            try:
                session.command(session.encode(FlowToken(self.id, credits)))
            except BaseException:
                self.credits += credits  # interrupted: the server may never get them, and twice does little harm
                raise

    def ask_for_one(self) -> None:
        """Without prefetch: let the next message through. A recreated session is asked again by itself."""
        if self.window == 0:
            self.asking = True
            self._top_up()

    def withdraw(self) -> int | None:
        """Without prefetch: take the grant back, for which no message came: other consumers get the next one.

        Returns the sequence of a marker, before which a message arrives that was on its way; None when there is no
        grant to take back.
        """
        if not self.asking:
            return None
        self.asking = False
        if self._wants_one or self.large is not None or not self.session.may_command:
            return None
        self._reset_grant()
        self.withdrawn_before = self.force_delivery()
        return self.withdrawn_before

    def _reset_grant(self) -> None:
        self.balance = 0
        self.session.command(self.session.encode(FlowToken(self.id, 0)))

    @property
    def _wants_one(self) -> bool:
        """Without prefetch: does anybody wait for a delivery?"""
        return self.asking or bool(self.absorbing) or self.reading.resuming or (self.closed and self.awaits_redelivery)

    def _top_up(self) -> None:
        if not self.session.may_command:
            return
        if self.withdrawn_before:
            if self.balance or self.forced_seen < self.withdrawn_before:
                # A message crossed the withdrawal: the server may have charged it before the reset or after.
                self._reset_grant()
            if self.forced_seen >= self.withdrawn_before:
                self.withdrawn_before = 0
        need = SLOW_CONSUMER_CREDIT - self.balance
        if need > 0:
            self.balance += need
            self._moved = True
            try:
                self.session.command(self.session.encode(FlowToken(self.id, need)))
            except BaseException:
                self.balance -= need  # as in `grant`
                raise

    def force_delivery(self) -> int:
        """Ask the server to say when it has delivered all it can now; returns the sequence to wait for."""
        self.body_came = self.large is not None
        self.forced_asked += 1
        if self.session.may_command:
            self.session.command(self.session.encode(ForceDelivery(self.id, self.forced_asked)))
        return self.forced_asked

    def seek(self) -> bool:
        """Ask the server whether more of the held messages come; True when it has answered that none does.

        Called again whenever the answer, or something else, may have come.
        """
        if self._sought > self.forced_seen or self.large is not None:
            return False
        if self._sought and not self._moved and not self._sought_early:
            return True
        session = self.session
        if not session.started:
            session.command(session.encode(SessionStart()))  # stopped for the application, which has them already
        self._moved = False
        self._sought_early = self.body_came
        self._sought = self.force_delivery()
        return False

    def seek_again(self) -> None:
        """The answer to `seek` is too old."""
        self._moved = True

    # --- acknowledging --------------------------------------------------------------------------------------------

    def acknowledge(self, message: CoreMessage) -> bool:
        """Acknowledge everything delivered up to and including `message`; False when it is of an earlier generation."""
        message_id = message.message_id
        stream = message.stream
        taken = self.taken
        if stream is None and taken and taken[0][0] == message_id and message.origin is self.origin:
            # What settle_taken does, when everything is as it mostly is. In this order: amid it an interrupt leaves a
            # message that is not acknowledged yet, or one that the next acknowledgement includes.
            if self.acknowledged is not None:
                self.acknowledged.add(message_id, taken[0][1])
            elif self.uncommitted is not None:
                self.uncommitted[message_id] = taken[0][1]
            self.ack_message_id = message_id
            taken.popleft()
        elif type(message.origin) is Settled:
            return True
        elif not self.settle_taken(message, cumulative=True):
            return False
        self.ack_message_id = message_id
        self.ack_bytes += message.frame_size if stream is None else stream.header_size + stream.size
        if self.ack_bytes >= self.ack_batch:
            self.flush_acknowledgements()
        return True

    def flush_acknowledgements(self) -> None:
        """Send what is acknowledged and was collected in the batch."""
        if self.ack_message_id >= 0 and self.session.may_command:
            acknowledged = self.acknowledged
            frame = self._ack_frame(KIND_ACKNOWLEDGE, self.ack_message_id)
            if acknowledged is None:
                self.session.command(frame)
            else:
                self.session.command(frame, acknowledged.sent())
                acknowledged.collected = 0
            self.ack_message_id = -1  # then: interrupted before it, `mend` looks whether the frame is on its way
            self.ack_bytes = 0

    def _send_acknowledgement(self, frame: bytes) -> None:
        acknowledged = self.acknowledged
        if acknowledged is None:
            self.session.command(frame)
        else:
            self.session.command(frame, acknowledged.sent())
            acknowledged.collected = 0  # then: `mend` counts what is on its way

    def acknowledge_taken(self) -> None:
        """Acknowledge all that the application holds, in a transaction that is about to be rolled back: the server
        counts as delivered what was acknowledged, and of the rest the last one at most."""
        if self.session.may_command:
            while self.taken:
                self.session.command(self._ack_frame(KIND_INDIVIDUAL, self.taken.popleft()[0]))

    def individual_acknowledge(self, message: CoreMessage) -> bool:
        """Acknowledge `message` alone; False when it is of an earlier generation."""
        if self.acknowledged is not None:
            self.flush_acknowledgements()  # confirmations come in the order of what was acknowledged
        self.acknowledging = message.message_id  # until its frame has a place: `mend` sees to that
        if not self.settle_taken(message, cumulative=False):
            self.acknowledging = -1
            return False
        self._send_acknowledgement(self._ack_frame(KIND_INDIVIDUAL, message.message_id))
        self.acknowledging = -1
        return True

    def settle_taken(
        self, message: CoreMessage, *, cumulative: bool, told: bool = False, acknowledges: bool = True
    ) -> bool:
        """Note what the application gives back; False when the caller must not tell the server.

        `told`: the application will hear whether the acknowledgement took effect, and counts on it. `acknowledges`:
        False when it is given back in another way than by an acknowledgement.
        """
        if not self.session.tracks_taken:
            # The server has acknowledged it already, and would take this for an error.
            if message is self.reading.message:
                self.reading.leave()
            return False
        origin = message.origin
        if type(origin) is Settled:
            return False
        if origin is not self.origin:
            if self.uncommitted is not None and self.holds(message):
                if acknowledges:
                    self._acknowledge_absorbed(message, cumulative=cumulative)
                else:
                    self.absorbing.pop(message.message_id, None)  # the redelivery is given back instead
                return False
            if not isinstance(origin, Origin) or origin.consumer is not self or origin.epoch != self.session.epoch:
                if message is self.reading.message:
                    self.reading.leave()  # nobody reads on
                self.session.emit(StaleAcknowledgement(self.session.channel_id, self.id))
                if (
                    self.acknowledged is not None
                    and isinstance(origin, Origin)
                    and origin.consumer is self
                    and not told
                ):
                    self._acknowledged_late(message)
                if not self.session.config.auto_commit_acks:
                    # Work done for a message that comes again must not be committed without it.
                    self.session.transaction.rollback_only = True
                return False
            self._acknowledge_absorbed(message, cumulative=cumulative)
            return False
        if not self.browse_only and not self._settle(
            message.message_id, cumulative=cumulative, told=told, acknowledges=acknowledges
        ):
            return False
        if message is self.reading.message:
            self.reading.leave()
        return True

    def holds(self, message: CoreMessage) -> bool:
        """True if the application holds this message, which this consumer handed out, in the session's present life.

        Also when its session was recreated since, and the message is back or expected back.
        """
        origin = message.origin
        if not isinstance(origin, Origin) or origin.consumer is not self:
            return False
        if origin.epoch == self.session.epoch:
            return True
        held = self.absorbing.get(message.message_id)
        if held is not None:
            return held.is_same(message)
        return self.uncommitted is not None and self._now_with(message.message_id, message.fingerprint) is not None

    def _now_with(self, message_id: int, fingerprint: int) -> Consumer | None:
        """The consumer to which a message that this one handed out was redelivered."""
        entry = (message_id, fingerprint)
        for consumer in self.session.consumers.values():
            if consumer.absorbing is self.absorbing and (
                any(taken[:2] == entry for taken in consumer.taken)
                or (consumer.uncommitted or {}).get(message_id) == fingerprint
                or consumer.committing.get(message_id) == fingerprint
            ):
                return consumer
        return None

    def _settle(self, message_id: int, *, cumulative: bool, told: bool, acknowledges: bool = True) -> bool:
        """Take it, or with `cumulative` all up to it, off what the application holds; False when it does not hold it:
        it was acknowledged before, and what was taken since must not go with it."""
        taken = self.taken
        position = 0
        for held, _, _ in taken:
            if held == message_id:
                break
            position += 1
        else:
            return False
        remembered = None if told else self.acknowledged
        uncommitted = self.uncommitted if acknowledges else None
        for place in range(position + 1) if cumulative else (position,):
            held, fingerprint, _ = taken[0 if cumulative else place]
            if remembered is not None:
                remembered.add(held, fingerprint)
            elif uncommitted is not None:
                uncommitted[held] = fingerprint
            if cumulative:
                if not told:
                    self.ack_message_id = held  # as in `acknowledge`: amid it, the next acknowledgement includes this
                taken.popleft()
            else:
                del taken[place]
        return True

    def _acknowledge_absorbed(self, message: CoreMessage, *, cumulative: bool) -> None:
        """The consumer was renewed since: acknowledge one by one, now or when the server delivers it again."""
        wanted = message.message_id
        if wanted in self.absorbing:
            # Delivered again in order: what is back already is older than what is still to come.
            for message_id, held in self.absorbing.items():
                if held.by is self and (cumulative or message_id == wanted):
                    held.acknowledged = True
                if message_id == wanted:
                    break
            if cumulative:
                self._acknowledge_back(len(self.taken))
            return
        holder: Consumer | None = self
        if self.uncommitted is not None:
            holder = self._now_with(wanted, message.fingerprint)  # a sibling's: only this one
        if holder is not None:
            position = next((place for place, entry in enumerate(holder.taken) if entry[0] == wanted), -1)
            if position >= 0:
                holder._acknowledge_back(position + 1, alone=not cumulative or holder is not self)

    def _acknowledge_back(self, end: int, *, alone: bool = False) -> None:
        """Acknowledge one by one what was redelivered and is held: up to place `end`, or the last of them `alone`."""
        entries = list(self.taken)
        first = end - 1 if alone else 0
        self.taken = deque(entries[:first] + entries[end:])
        for message_id, fingerprint, _ in entries[first:end]:
            self._acknowledge_alone(message_id, fingerprint)

    def _ack_frame(self, kind: int, message_id: int) -> bytes:
        return ACKNOWLEDGE.pack(ACKNOWLEDGE.size - 4, kind, self.session.channel_id, self.id, message_id, False)

    # --- closed by its user ---------------------------------------------------------------------------------------

    @property
    def owes_acknowledgements(self) -> bool:
        """True if the server may not know yet of everything that was acknowledged on this consumer."""
        acknowledged = self.acknowledged
        return acknowledged is not None and (acknowledged.unconfirmed > 0 or self.awaits_redelivery)

    @property
    def acknowledgements_owed(self) -> int:
        """How many messages were acknowledged of which the server may not know."""
        acknowledged = self.acknowledged
        if acknowledged is None:
            return 0
        return acknowledged.unconfirmed + (len(acknowledged.lost.of) if self.awaits_redelivery else 0)

    @property
    def awaits_redelivery(self) -> bool:
        """True if it was closed, and a message that was acknowledged may still be delivered again, to be acknowledged
        once more; false when the server has said that it has no more for this consumer."""
        return self.closed and self.forced_seen < self.looked and self._expects_redelivery

    @property
    def _expects_redelivery(self) -> bool:
        acknowledged = self.acknowledged
        return acknowledged is not None and (
            acknowledged.lost.expecting or any(held.acknowledged for held in self.absorbing.values())
        )

    def look_for_redeliveries(self) -> None:
        """Its user closes it: ask the server for what was acknowledged in an earlier session and may come again."""
        self.closed = True
        if self._expects_redelivery:
            self.looked = self.force_delivery()
            self._let_deliver()

    def _let_deliver(self) -> None:
        session = self.session
        if not session.started and session.may_command:
            session.command(session.encode(SessionStart()))  # the server delivers nothing in a stopped session
        if self.window == 0:
            self._top_up()

    def _looked_through(self) -> None:
        """A marker came: what was not delivered before it is not ours to acknowledge any more."""
        if self.forced_seen >= self.looked and self.body_came and self._expects_redelivery:
            self.looked = self.force_delivery()  # behind a large body a marker may come too early
        self.session.redelivered(self)

    # --- a life of its own ----------------------------------------------------------------------------------------

    def create_packet(self) -> CreateConsumer:
        """The request that makes this consumer on the server."""
        return CreateConsumer(
            consumer_id=self.id,
            queue_name=self.queue,
            filter_string=self.filter,
            browse_only=self.browse_only,
            requires_response=True,
            priority=self.priority,
        )

    def grant_window(self) -> None:
        """The first credits of a new consumer on the server."""
        self.credits = 0
        self.balance = 0
        self.withdrawn_before = 0
        if self.window != 0:
            self.session.command(self.session.encode(FlowToken(self.id, self.window)))
        elif self._wants_one:
            self._top_up()

    def new_generation(self) -> None:
        """The server session is another: nothing that was delivered, granted or acknowledged counts any more.

        But a body that the application reads may go on when its message comes again.
        """
        self._drop_buffer(keep=self.session.config.auto_commit_acks)
        self.reading.session_lost()
        self.origin = Origin(self, self.session.epoch)
        if self.acknowledged is not None:
            for message_id, held in self.absorbing.items():
                if held.acknowledged:
                    self.acknowledged.late(message_id, held.fingerprint)
            self.acknowledged.session_lost()
        if self.uncommitted is not None:
            self._expect_held(self.uncommitted)
        else:
            self.absorbing.clear()
        self.taken.clear()
        self._sought = 0
        self.refreshing = False
        self.ignoring = False
        self.ack_message_id = -1
        self.ack_bytes = 0
        if self.closed:
            self.looked = self.forced_asked + 1  # `force_again` asks

    def _expect_held(self, uncommitted: dict[int, int]) -> None:
        """What the application holds will be redelivered; a body that broke off is handed out again, from its start."""
        if self._expecting is None:  # else an interrupt came into what follows
            self._expecting = self._held_now(uncommitted)
        self.absorbing.clear()
        self.absorbing.update(self._expecting)
        self.committing.clear()
        uncommitted.clear()
        self.taken.clear()
        self._expecting = None

    def _held_now(self, uncommitted: dict[int, int]) -> dict[int, Held]:
        in_doubt = self.session.held.commit_in_doubt
        now: dict[int, Held] = {}
        for message_id, fingerprint in self.committing.items():
            now[message_id] = Held(self, fingerprint, acknowledged=True, in_doubt=in_doubt)
        for message_id, fingerprint in uncommitted.items():
            now[message_id] = Held(self, fingerprint, acknowledged=True)
        for message_id, fingerprint, streaming in self.taken:
            if streaming is None or streaming.stream.complete:
                now[message_id] = Held(self, fingerprint)
        for message_id, held in self.absorbing.items():  # of a loss before this one: younger than what is back
            if held.streaming is None:
                now[message_id] = held
            elif held.streaming.stream.complete:
                held.streaming = None
                now[message_id] = held
        return now

    def _drop_buffer(self, *, keep: bool) -> None:
        self._keep_settled(keep=keep)
        self.large = None
        self.credits = 0

    def _keep_settled(self, *, keep: bool) -> None:
        """Drop what was delivered and not taken; with `keep` but for what the server has no more (`Settled`)."""
        self.restore_kept()
        settled = [message for message in self.buffer if keep and type(message.origin) is Settled]
        # One step: an interrupt finds everything, or what is kept.
        self.buffer = deque(settled)
        self.held = sum(message.frame_size for message in settled)

    def rolled_back(self) -> None:
        """The application undoes what it received: the server delivers it again, and what lies here too."""
        self.reading.rolled_back()
        self.flush_credits_of_buffer()
        self.ack_message_id = -1
        self.ack_bytes = 0
        self.taken.clear()
        self.committing.clear()
        if self.uncommitted is None:
            self.absorbing.clear()
        else:
            self.uncommitted.clear()
            self.session.held.rolled_back()

    def flush_credits_of_buffer(self) -> None:
        """Drop what was delivered and not taken, and grant its bytes again."""
        dropped = sum(
            message.frame_size if message.stream is None else message.stream.header_size + message.stream.discard()
            for message in self.buffer
            if type(message.origin) is not Settled
        )
        self._keep_settled(keep=self.session.config.auto_commit_acks)
        self.large = None
        if dropped:
            self.consumed(dropped)

    def refresh(self) -> None:
        """Have the server deliver again what was not taken: a replay damaged a body that was streaming in."""
        if self.refreshing or self.closed:
            return
        self._renewal = None
        self.refreshing = True
        session = self.session
        session.emit(LargeMessageDamaged(session.channel_id, self.id))
        self.flush_acknowledgements()
        self.ignoring = True
        self._drop_buffer(keep=True)
        for message_id, fingerprint, streaming in self.taken:
            self.absorbing[message_id] = Held(self, fingerprint, streaming)
        self.taken.clear()
        self.origin = Origin(self, session.epoch)
        # Last: an interrupt before it is seen by `mend`, and this is done again.
        close = self._renewal = session.request_of(ConsumerClose(self.id), on_done=self._renew)
        session.submit_behind_acknowledgements(close, self.id)

    def _renew(self, request: Request) -> None:
        session = self.session
        if request.error is not None or not self.refreshing or (self.closed and not self._expects_redelivery):
            return
        if request is not self._renewal:
            return  # told a second time, behind an interrupt
        self.ignoring = False
        create = session.request_of(self.create_packet(), on_done=self._renewed)
        create.bound = True
        self._renewal = create
        session.submit_first(create)

    def _renewed(self, request: Request) -> None:
        if not self.refreshing or (self.closed and not self._expects_redelivery):
            return
        if request.error is not None:
            self.session.consumer_lost(self, request.error)
            return
        self.refreshing = False
        self.grant_window()
        self.force_again()

    def forget_refresh(self) -> None:
        """The session is being recreated, and this consumer with it: the steps of its renewal are not repeated."""
        self.refreshing = False

    def force_again(self) -> None:
        """The consumer exists anew: ask again for a marker that is lost, or for one that comes behind what resumes."""
        self.reading.expect()
        if self.closed:
            self.forced_asked += 1
            self.looked = self.forced_asked
        if self.forced_asked > self.forced_seen:
            self.session.command(self.session.encode(ForceDelivery(self.id, self.forced_asked)))
