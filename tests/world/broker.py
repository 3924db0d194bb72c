"""A model of the Artemis server, faithful where sessions are lost, moved and counted.

Law of this file: a command takes effect, is counted and is answered when its storage is complete, in the order of the
session, never when it arrives; what is refused with an answer is not counted. The model knows its clients only by
bytes. It keeps a ledger of every numbered message, which is the truth that checkers compare with. Sources:
ServerSessionPacketHandler, ChannelImpl, ServerSessionImpl, ServerConsumerImpl, measured behaviour of 2.44.
"""

from __future__ import annotations

import bisect
import random
import struct
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from activeclient.engine.gate import GATE_KEY
from activeclient.wire import packets as p
from activeclient.wire.message import FORCED_DELIVERY, CoreMessage, encode_receive
from activeclient.wire.packet import Packet, decode, encode, is_counted
from activeclient.wire.versions import NEWEST
from tests.world.clock import Clock
from tests.world.network import Connection

HEADER = struct.Struct(">ibq")
I32 = struct.Struct(">i")
I64 = struct.Struct(">q")
TAIL = struct.Struct(">qi")
DUPLICATE_ID = "_AMQ_DUPL_ID".encode("utf-16-le")
TTL_ROUND = 2.0
DEFAULT_TTL = 60.0

NOTHING = ("", -1)
"""The key of a message without a body, which is never to be delivered."""
Key = tuple[str, int]
"""Producer and number of a message: what its body begins with."""


class Refusal(Exception):
    """A command fails with a code."""

    def __init__(self, code: int) -> None:
        self.code = code


@dataclass(slots=True)
class Habits:
    """What this broker is like."""

    storage: float = 0.004
    """Longest time until something durable is on disk."""
    move: float = 0.002
    """Longest time that a channel is being moved, in which answers are thrown away."""
    damage: float = 0.5
    """How often a replayed piece of a large message has the content of a later one."""
    starting: float = 0.0
    """Seconds after a start in which sessions are refused."""
    late: float = 0.0
    """Longest time by which commands of a session that was ended are carried out afterwards: its thread has not got a
    processor. Answers take as long, once in a while."""
    flush: float = 0.0
    """Longest time until what such a session stored is on disk."""
    reattaches: bool = True
    """False: every reattachment is answered as if the session were unknown, as 2.57 does."""


class Stored:
    """A message."""

    __slots__ = ("body", "duplicate_id", "durable", "header", "id", "key", "large")

    def __init__(self, header: bytes, body: bytes, *, large: bool) -> None:
        self.header = header
        self.body = body
        self.large = large
        self.id = 0
        self.key = key_of(body)
        _, self.durable, self.duplicate_id = parse_header(header)


class Ref:
    """A message in a queue."""

    __slots__ = ("count", "message")

    def __init__(self, message: Stored) -> None:
        self.message = message
        self.count = 0


def key_of(body: bytes) -> Key:
    """Who numbered a message how."""
    if not body:
        return NOTHING
    producer, number, _ = body.split(b":", 2)
    return producer.decode(), int(number)


def parse_header(header: bytes) -> tuple[str, bool, bytes | None]:
    """Address, durable, duplicate id."""
    pos = 9
    address = ""
    if header[8]:
        size = I32.unpack_from(header, pos)[0]
        address = header[pos + 4 : pos + 4 + size].decode("utf-16-le")
        pos += 4 + size
    pos += 17 if header[pos] else 1
    durable = header[pos + 1] != 0
    at = header.find(DUPLICATE_ID, pos)
    duplicate_id = None
    if at >= 0:
        at += len(DUPLICATE_ID) + 1
        size = I32.unpack_from(header, at)[0]
        duplicate_id = header[at + 4 : at + 4 + size]
    return address, durable, duplicate_id


class Queue:
    """A queue with an address of the same name."""

    def __init__(self, name: str, *, durable: bool = True, temporary: bool = False) -> None:
        self.name = name
        self.durable = durable
        self.temporary = temporary
        self.owner: ServerSession | None = None
        """Of a temporary queue: with whose connection it ends."""
        self.refs: list[Ref] = []
        self.consumers: list[ServerConsumer] = []
        self.ever: list[ServerConsumer] = []
        """Consumers that are gone, too."""
        self.turn = 0
        self.order_excused = False
        """A session held messages while another consumer went on: their order is the broker's doing."""

    def back(self, ref: Ref) -> None:
        """A delivery has returned to its place."""
        bisect.insort(self.refs, ref, key=lambda each: each.message.id)


class ServerConsumer:
    """A consumer of a session."""

    def __init__(self, session: ServerSession, consumer_id: int, queue: Queue, *, browse_only: bool) -> None:
        self.session = session
        self.id = consumer_id
        self.queue = queue
        self.browse_only = browse_only
        self.credits = 0
        self.unlimited = False
        self.delivering: deque[Ref] = deque()
        self.large: tuple[Ref, int] | None = None
        self.last_id = 0
        self.began = session.broker.next_moment()

    @property
    def ready(self) -> bool:
        """May it be given something now?"""
        session = self.session
        return session.started and not session.moving and not session.closed and (self.unlimited or self.credits > 0)

    def charge(self, size: int) -> None:
        """A frame was sent."""
        if not self.unlimited:
            self.credits -= size


class Return:
    """Deliveries that go back to their queue, all at once."""

    __slots__ = ("consumer", "queue", "refs")

    def __init__(self, queue: Queue, refs: list[Ref], consumer: ServerConsumer | None) -> None:
        self.queue = queue
        self.refs = refs
        self.consumer = consumer
        """Who had them; None: they were acknowledged in a transaction."""


class Operation:
    """A command between its arrival and the end of its storage."""

    __slots__ = ("done_at", "frame", "packet")

    def __init__(self, frame: bytes, packet: Packet | None, done_at: float) -> None:
        self.frame = frame
        self.packet = packet
        self.done_at = done_at


class ServerSession:
    """A session and its channel."""

    def __init__(self, broker: Broker, connection: ServerConnection, packet: Any) -> None:
        self.broker = broker
        self.connection: ServerConnection | None = connection
        self.name: str = packet.name
        self.channel: int = packet.session_channel_id
        self.window: int = packet.window_size
        self.auto_sends: bool = packet.auto_commit_sends
        self.auto_acks: bool = packet.auto_commit_acks
        self.chunk: int = packet.min_large_message_size
        self.started = False
        self.closed = False
        self.silent = False
        self.moving = False
        self.moves = 0
        self.counted = -1
        self.unconfirmed = 0
        self.resend: deque[bytes] = deque()
        self.first = 0
        self.operations: deque[Operation] = deque()
        self.last_done = 0.0
        self.consumers: dict[int, ServerConsumer] = {}
        self.tx_sends: list[Stored] = []
        self.tx_acks: list[tuple[Queue, Ref]] = []
        self.poisoned = 0
        """The code with which the transaction will fail."""
        self.metadata: dict[str, str] = {}
        self.disconnected: set[int] = set()
        """Consumers whose queue was deleted."""
        self.incoming: list[bytes] | None = None
        self.ended: int | None = None
        """When it let go of its metadata, in the moments of the broker."""

    # --- commands ---------------------------------------------------------------------------------------------------

    def arrive(self, frame: bytes, version: int) -> None:
        """A frame came on the channel."""
        kind = frame[4]
        packet: Packet | None = None
        if kind == 22:
            self.confirmed_by_client(I32.unpack_from(frame, 13)[0])
            return
        if kind in (71, 72):
            durable = True
        else:
            packet = decode(frame, version)
            durable = isinstance(
                packet, (p.Acknowledge, p.IndividualAcknowledge, p.Commit, p.SendContinuation, p.CreateQueue)
            )
        broker = self.broker
        now = broker.clock.now
        done_at = max(self.last_done, now + broker.rng.random() * broker.habits.storage) if durable else self.last_done
        if broker.habits.late:
            done_at = max(done_at, now + broker.starving.random() * broker.habits.late)
        if done_at <= now and not self.operations:
            self.complete(Operation(frame, packet, now))
            return
        self.last_done = max(done_at, now)
        self.operations.append(Operation(frame, packet, self.last_done))
        broker.clock.at(self.last_done, self._drain)

    def _drain(self) -> None:
        now = self.broker.clock.now
        while self.operations and self.operations[0].done_at <= now and not self.closed:
            self.complete(self.operations.popleft())

    def complete(self, operation: Operation) -> None:
        """The storage of a command is complete: it takes effect, counts and is answered."""
        packet = operation.packet
        frame = operation.frame
        asks, correlation = self._asks(frame, packet)
        refused: Refusal | None = None
        answer: Packet | None = None
        try:
            answer = self._execute(frame, packet)
        except Refusal as refusal:
            refused = refusal
            if not (self.auto_sends and self.auto_acks) and not isinstance(packet, (p.Commit, p.UniqueAddMetadata)):
                self.poisoned = self.poisoned or refusal.code  # whatever fails marks the transaction
        counts = packet is None or is_counted(packet)
        if refused is not None and asks:
            text = f"refused {getattr(packet, 'queue_name', '')}"
            self.reply(p.ExceptionResponse(refused.code, text, correlation))
            return
        if counts and self.window >= 0:
            self.counted += 1
            self.unconfirmed += len(frame)
            if self.unconfirmed >= self.window:
                self.unconfirmed = 0
                self.write(encode(p.PacketsConfirmed(self.counted), self.channel, NEWEST))
        if asks:
            self.reply(answer or p.NullResponse(-1 if correlation is None else correlation))
        if isinstance(packet, p.SessionClose):
            self.broker.destroy(self, failed=False)

    @staticmethod
    def _asks(frame: bytes, packet: Packet | None) -> tuple[bool, int | None]:
        if packet is None:
            if frame[4] == 72:
                return False, None
            return frame[-13] != 0, I64.unpack_from(frame, len(frame) - 12)[0]
        if isinstance(packet, p.SendContinuation):
            return packet.requires_response, packet.correlation_id
        if isinstance(packet, p.Commit):
            return True, packet.correlation_id
        if isinstance(packet, p.UniqueAddMetadata):
            return True, None
        if isinstance(packet, p.AddCountedMetadata):
            return packet.requires_confirmation, None
        if hasattr(packet, "requires_response"):
            return bool(packet.requires_response), None
        return not isinstance(packet, NO_ANSWER) and bool(packet.REPLY), None

    def _execute(self, frame: bytes, packet: Packet | None) -> Packet | None:
        if packet is None:
            if frame[4] == 72:
                self.incoming = [frame[13:]]
                return None
            end = I32.unpack_from(frame, 13)[0] + 4
            self._send(Stored(frame[end:-13], frame[17:end], large=False))
            return None
        handler = HANDLERS.get(type(packet))
        if handler is None:
            raise AssertionError(f"the model has no {type(packet).__name__}")
        return handler(self, packet)

    def _send(self, message: Stored) -> None:
        if parse_header(message.header)[0] in self.broker.failing:
            self.broker.ledger.refused.add(message.key)
            raise Refusal(210)
        if self.auto_sends:
            if self.broker.store(message):
                self.broker.flushed()
            else:
                self.broker.dropped()
        elif self.broker.is_duplicate(message, self.tx_sends):
            self.poisoned = 113
        else:
            self.tx_sends.append(message)

    def _continuation(self, packet: p.SendContinuation) -> None:
        if self.incoming is None:
            self.broker.remark(f"a piece of a large message without its beginning on {self.channel}")
            raise Refusal(104)
        self.incoming.append(packet.body)
        if not packet.continues:
            header, *pieces = self.incoming
            self.incoming = None
            self._send(Stored(header, b"".join(pieces), large=True))

    def _create_consumer(self, packet: p.CreateConsumer) -> Packet:
        if self.window >= 1 and not self.broker.habits.reattaches and not self.broker.replaced:
            self.broker.remark("a consumer whose messages are held when its connection is gone, for nobody")
        queue = self.broker.queues.get(packet.queue_name)
        if queue is None:
            raise Refusal(100)
        if packet.consumer_id in self.consumers:
            self.broker.remark(f"consumer {packet.consumer_id} is created twice")
            raise Refusal(0)
        consumer = ServerConsumer(self, packet.consumer_id, queue, browse_only=packet.browse_only)
        self.consumers[consumer.id] = consumer
        queue.consumers.append(consumer)
        queue.ever.append(consumer)
        return self._describe(queue)

    @staticmethod
    def _describe(queue: Queue) -> Packet:
        return p.QueueQueryResponse(
            True,
            queue.durable,
            queue.temporary,
            len(queue.consumers),
            len(queue.refs),
            None,
            queue.name,
            queue.name,
            default_consumer_window_size=1 << 20,
            routing_type=1,
        )

    def _query(self, packet: p.QueueQuery) -> Packet:
        queue = self.broker.queues.get(packet.queue_name)
        if queue is None:
            return p.QueueQueryResponse(False, True, address=packet.queue_name, name=packet.queue_name)
        return self._describe(queue)

    def _binding(self, packet: p.BindingQuery) -> Packet:
        names = [packet.address] if packet.address in self.broker.queues else []
        return p.BindingQueryResponse(bool(names), names)

    def _create_queue(self, packet: p.CreateQueue) -> None:
        if packet.queue_name in self.broker.queues:
            raise Refusal(101)
        queue = Queue(packet.queue_name, durable=packet.durable, temporary=packet.temporary)
        queue.owner = self if packet.temporary else None
        self.broker.queues[queue.name] = queue
        self.broker.gone.discard(queue.name)

    def _delete_queue(self, packet: p.DeleteQueue) -> None:
        queue = self.broker.queues.get(packet.queue_name)
        if queue is None:
            raise Refusal(100)
        if queue.consumers:
            raise Refusal(104)
        self.broker.delete_queue(queue)

    def _flow(self, packet: p.FlowToken) -> None:
        consumer = self.consumers.get(packet.consumer_id)
        if consumer is None:
            return
        if packet.credits == -1:
            consumer.unlimited = True
        elif packet.credits == 0:
            consumer.unlimited = False
            consumer.credits = 0
        else:
            consumer.credits += packet.credits
        self.broker.pump_soon(consumer.queue)

    def _force(self, packet: p.ForceDelivery) -> None:
        consumer = self.consumers.get(packet.consumer_id)
        if consumer is None:
            return
        self.broker.pump(consumer.queue)
        marker = CoreMessage(b"\0\0\0\0", properties={FORCED_DELIVERY: packet.sequence})
        self.send(encode_receive(marker, consumer.id, 0, self.channel))

    def _start(self, _: p.SessionStart) -> None:
        self.started = True
        for consumer in self.consumers.values():
            self.broker.pump_soon(consumer.queue)

    def _stop(self, _: p.SessionStop) -> None:
        self.started = False

    def _acknowledge(self, packet: Any) -> None:
        consumer = self.consumers.get(packet.consumer_id)
        wanted = packet.message_id
        if consumer is None and packet.consumer_id in self.disconnected:
            raise Refusal(104)
        if consumer is None or all(ref.message.id != wanted for ref in consumer.delivering):
            self.broker.remark(
                f"an acknowledgement of message {wanted}, which consumer {packet.consumer_id} does not have"
            )
            raise Refusal(104)
        if isinstance(packet, p.IndividualAcknowledge):
            done = [ref for ref in consumer.delivering if ref.message.id == wanted]
        else:
            done = []
            for ref in consumer.delivering:
                done.append(ref)
                if ref.message.id == wanted:
                    break
        for ref in done:
            consumer.delivering.remove(ref)
            if self.auto_acks:
                self.broker.acknowledged(ref.message)
            else:
                self.tx_acks.append((consumer.queue, ref))

    def _commit(self, _: p.Commit) -> None:
        broker = self.broker
        if self.poisoned or any(broker.is_duplicate(message, []) for message in self.tx_sends):
            code = self.poisoned or 113
            self._undo()
            raise Refusal(code)
        sends, self.tx_sends = self.tx_sends, []
        acks, self.tx_acks = self.tx_acks, []
        for message in sends:
            broker.store(message)
        for _, ref in acks:
            broker.acknowledged(ref.message)

    def _undo(self, *, late: bool = False) -> None:
        if self.tx_sends:
            self.broker.flushed()
        if late and (self.tx_sends or self.tx_acks):
            self.broker.write_at_end()
        self.tx_sends.clear()
        self.poisoned = 0
        acks, self.tx_acks = self.tx_acks, []
        for queue, ref in acks:
            self.broker.give_back(Return(queue, [ref], None), late=late)

    def _rollback(self, _: p.Rollback) -> None:
        self._undo()
        for consumer in self.consumers.values():
            self._cancel(consumer, failed=False)

    def _cancel(self, consumer: ServerConsumer, *, failed: bool, late: bool = False) -> None:
        refs = list(consumer.delivering)
        consumer.delivering.clear()
        if not failed:
            for ref in refs:
                ref.count -= 1
        consumer.large = None
        self.broker.give_back(Return(consumer.queue, refs, consumer), late=late)

    def _close_consumer(self, packet: p.ConsumerClose) -> None:
        consumer = self.consumers.pop(packet.consumer_id, None)
        if consumer is not None:
            consumer.queue.consumers.remove(consumer)
            self._cancel(consumer, failed=False)

    def _credits(self, packet: p.RequestProducerCredits) -> None:
        broker = self.broker
        if packet.address in broker.blocked:
            broker.waiting.append((self, packet))
        elif packet.address in broker.failing:
            self.send(encode(p.ProducerFailCredits(packet.credits, packet.address), self.channel, NEWEST))
        else:
            self.send(encode(p.ProducerCredits(packet.credits, packet.address), self.channel, NEWEST))

    def _unique(self, packet: p.UniqueAddMetadata) -> None:
        for session in self.broker.sessions.values():
            if session is not self and session.metadata.get(packet.key) == packet.data:
                raise Refusal(114)
        self.metadata[packet.key] = packet.data

    def _nothing(self, _: Packet) -> None:
        """Metadata, producers: the model keeps none."""

    # --- towards the client ------------------------------------------------------------------------------------------

    def write(self, frame: bytes) -> None:
        """Send what is not counted."""
        if self.connection is not None and not self.silent:
            self.connection.write(frame)

    def reply(self, packet: Packet) -> None:
        """Answer a command; thrown away while the channel moves.

        A refusal is kept: it is not counted, so without it nobody could know which of the commands in flight are the
        counted ones. (The server may lose it too, in the microseconds of a move. No client can tell then.)
        """
        if not self.moving or isinstance(packet, p.ExceptionResponse):
            self.send(encode(packet, self.channel, NEWEST))

    def send(self, frame: bytes) -> None:
        """Send a counted packet."""
        if self.silent:
            return
        if self.window >= 0:
            self.resend.append(frame)
        if not self.moving:
            self.write(frame)

    def confirmed_by_client(self, last: int) -> None:
        """The client has everything up to `last`."""
        count = last + 1 - self.first
        if count > len(self.resend):
            self.broker.remark(
                f"the client confirms packet {last} of {self.first + len(self.resend)} on {self.channel}"
            )
            count = len(self.resend)
        for _ in range(count):
            self.resend.popleft()
        self.first += max(0, count)

    # --- moving ------------------------------------------------------------------------------------------------------

    def move(self, connection: ServerConnection, last: int) -> None:
        """REATTACH_SESSION: the channel goes to another connection."""
        if self.connection is not None:
            self.connection.sessions.pop(self.channel, None)
        self.connection = connection
        connection.sessions[self.channel] = self
        self.moving = True
        self.moves += 1
        move = self.moves
        count = self.counted
        delay = self.broker.rng.random() * self.broker.habits.move
        connection.busy = True
        self.broker.clock.later(delay, lambda: self._moved(connection, move, last, count))

    def _moved(self, connection: ServerConnection, move: int, last: int, count: int) -> None:
        if move != self.moves or self.closed or self.connection is None:
            # It has moved on, or ended. Every request is answered all the same, and in order: answers have no names.
            there = not self.closed and self.connection is not None
            connection.write(encode(p.ReattachSessionResponse(count if there else -1, there), 1, NEWEST))
            connection.go_on()
            return
        self.confirmed_by_client(last)
        self.moving = False
        frames = list(self.resend)
        for position, frame in enumerate(frames):
            if frame[4] == 77 and self.broker.rng.random() < self.broker.habits.damage:
                frame = self._damaged(frame, frames[position + 1 :])
            self.connection.write(frame)
        self.connection.write(encode(p.ReattachSessionResponse(count, True), 1, NEWEST))
        for consumer in self.consumers.values():
            self.broker.pump_soon(consumer.queue)
        connection.go_on()

    @staticmethod
    def _damaged(frame: bytes, later: list[bytes]) -> bytes:
        for other in later:
            if other[4] == 77 and len(other) == len(frame) and other[-8:] == frame[-8:]:
                return frame[:13] + other[13:-9] + frame[-9:]
        return frame


NO_ANSWER = (p.RequestProducerCredits, p.ForceDelivery)
"""What is followed by something, but not answered."""
HANDLERS: dict[type[Packet], Callable[[ServerSession, Any], Packet | None]] = {
    p.SendContinuation: ServerSession._continuation,
    p.CreateConsumer: ServerSession._create_consumer,
    p.ConsumerClose: ServerSession._close_consumer,
    p.QueueQuery: ServerSession._query,
    p.BindingQuery: ServerSession._binding,
    p.CreateQueue: ServerSession._create_queue,
    p.DeleteQueue: ServerSession._delete_queue,
    p.FlowToken: ServerSession._flow,
    p.ForceDelivery: ServerSession._force,
    p.SessionStart: ServerSession._start,
    p.SessionStop: ServerSession._stop,
    p.Acknowledge: ServerSession._acknowledge,
    p.IndividualAcknowledge: ServerSession._acknowledge,
    p.Commit: ServerSession._commit,
    p.Rollback: ServerSession._rollback,
    p.RequestProducerCredits: ServerSession._credits,
    p.SessionClose: ServerSession._nothing,
    p.AddMetadata: ServerSession._nothing,
    p.AddCountedMetadata: ServerSession._nothing,
    p.UniqueAddMetadata: ServerSession._unique,
    p.CreateProducer: ServerSession._nothing,
    p.RemoveProducer: ServerSession._nothing,
}


class ServerConnection:
    """The server's end of one connection (a `network.Receiver`)."""

    def __init__(self, broker: Broker, transport: Connection) -> None:
        self.broker = broker
        self.transport = transport
        self.version = 0
        self.sessions: dict[int, ServerSession] = {}
        self.last_data = broker.clock.now
        self.ttl: float | None = DEFAULT_TTL
        self.open = True
        self.busy = False
        """Its thread moves a channel; what comes meanwhile is handled afterwards, so answers keep their order."""
        self._rest = b""
        self._greeted = False

    def write(self, frame: bytes) -> None:
        """Send a frame, if the socket still takes it."""
        if self.open:
            self.transport.down.write(frame)

    def data(self, chunk: bytes) -> None:
        """Bytes from the client."""
        if not self.open:
            return
        self.last_data = self.broker.clock.now
        self._rest += chunk
        self._handle()

    def go_on(self) -> None:
        """The thread is free again."""
        self.busy = False
        if self.open:
            self._handle()

    def _handle(self) -> None:
        data = self._rest
        pos = 0
        if not self._greeted:
            if len(data) < 7:
                return
            if data[:7] != b"ARTEMIS":
                self.broker.remark("a connection without greeting")
            self._greeted = True
            pos = 7
        while len(data) - pos >= 13 and not self.busy:
            size, _, channel = HEADER.unpack_from(data, pos)
            end = pos + size + 4
            if end > len(data):
                break
            self._frame(data[pos:end], channel)
            pos = end
            if not self.open:
                return
        self._rest = data[pos:]

    def _frame(self, frame: bytes, channel: int) -> None:
        broker = self.broker
        if channel > 1:
            session = self.sessions.get(channel)
            if session is not None:
                if self.version == 0:
                    broker.remark("a session frame on a connection of version 0")
                session.arrive(frame, self.version)
            return
        packet = decode(frame, self.version or NEWEST)
        if isinstance(packet, p.Ping):
            self.ttl = None if packet.connection_ttl < 0 else packet.connection_ttl / 1000
            self.write(frame)
        elif isinstance(packet, p.SubscribeTopology):
            self.version = packet.client_version
            self.write(
                encode(
                    p.ClusterTopology(False, broker.node_id, 1, None, None, True, server_version=NEWEST),
                    0,
                    self.version,
                )
            )
        elif isinstance(packet, p.CreateSession):
            self._create(packet)
        elif isinstance(packet, p.ReattachSession):
            self._reattach(packet)
        elif isinstance(packet, p.CheckForFailover):
            self.write(encode(p.CheckForFailoverReply(True), 1, self.version))
        else:
            broker.remark(f"{type(packet).__name__} on channel {channel}")

    def _create(self, packet: Any) -> None:
        broker = self.broker
        if broker.clock.now < broker.started_at + broker.habits.starting:
            self.write(encode(p.ExceptionResponse(112, "starting"), 1, self.version))
            return
        if broker.locked:
            self.write(encode(p.ExceptionResponse(105, "no such user"), 1, self.version))
            return
        if packet.name in broker.sessions:
            broker.remark("the name of a session is used twice")
        if packet.session_channel_id in self.sessions:
            broker.remark(f"channel {packet.session_channel_id} is used twice on one connection")
        session = ServerSession(broker, self, packet)
        self.sessions[session.channel] = session
        broker.sessions[session.name] = session
        self.write(encode(p.CreateSessionResponse(NEWEST), 1, self.version))

    def _reattach(self, packet: p.ReattachSession) -> None:
        broker = self.broker
        if self.version == 0:
            broker.remark("a reattachment on a connection of version 0")
        if not broker.habits.reattaches:
            self.write(encode(p.ReattachSessionResponse(-1, False), 1, self.version))
            return
        session = broker.sessions.get(packet.name)
        starting = broker.clock.now < broker.started_at + broker.habits.starting
        if session is None or starting or session.window < 0:
            if session is not None:
                broker.destroy(session, failed=True)
            self.write(encode(p.ReattachSessionResponse(-1, False), 1, self.version))
            return
        session.move(self, packet.last_confirmed_command_id)

    def gone(self, reason: str) -> None:
        """The socket ended."""
        if not self.open:
            return
        self.open = False
        if not any(session.window >= 1 for session in self.sessions.values()):
            self.fail()

    def fail(self) -> None:
        """The connection is given up: the sessions that are still on it end."""
        if self.open:
            self.open = False
            self.transport.close_by_server()
        self.broker.connections.discard(self)
        for session in list(self.sessions.values()):
            self.broker.destroy(session, failed=True)
        for queue in list(self.broker.queues.values()):
            if queue.owner is not None and queue.owner.connection is self:
                self.broker.delete_queue(queue, tell=False)


@dataclass(slots=True)
class Ledger:
    """What became of every numbered message."""

    stored: Counter[Key] = field(default_factory=Counter)
    """Times that it was put into its queue."""
    order: dict[str, list[int]] = field(default_factory=dict)
    """Numbers of each producer in the order in which they were stored."""
    acknowledged: Counter[Key] = field(default_factory=Counter)
    refused: set[Key] = field(default_factory=set)
    """Sent to an address that was full."""
    lost: set[Key] = field(default_factory=set)
    """Gone with a crash because they were not durable, or with their queue."""


class Broker:
    """The server."""

    def __init__(self, clock: Clock, rng: random.Random, habits: Habits) -> None:
        self.clock = clock
        self.rng = rng
        self.habits = habits
        self.node_id = "00000000-0000-1000-8000-000000000001"
        self.queues: dict[str, Queue] = {}
        self.sessions: dict[str, ServerSession] = {}
        self.connections: set[ServerConnection] = set()
        self.duplicate_ids: set[tuple[str, bytes]] = set()
        self.blocked: set[str] = set()
        self.failing: set[str] = set()
        self.waiting: list[tuple[ServerSession, p.RequestProducerCredits]] = []
        self.ledger = Ledger()
        self.remarks: list[str] = []
        self.up = True
        self.locked = False
        """Nobody is let in any more."""
        self.replaced = False
        """It came back in another version, which nobody could know who asked before."""
        self.started_at = -1e9
        self.crashes = 0
        self.sessions_lost = 0
        self.starving = random.Random(str(rng.random()) if habits.late else "")
        """Decides on what a starving broker does late."""
        self.killed_until = -1.0
        """Until when it may be killed, once, behind the answer to a repeated send."""
        self.in_memory: list[Stored] = []
        """Stored, and not on disk."""
        self.gone: set[str] = set()
        """Queues that were deleted under their consumers: what is sent to them is lost, and nobody is told."""
        self._ids = 0
        self._moments = 0
        self.returning: list[Return] = []
        """What goes back to its queue when the journal has written."""
        self._written_at = 0.0
        """When what is written at the end of sessions is on disk."""
        self._writes = random.Random(f"writes of {rng.getstate()[1][:8]}")
        """Decides on that; of its own, so that older lifetimes are as they were."""
        self._pumps: set[str] = set()
        clock.later(TTL_ROUND, self._round)

    def remark(self, text: str) -> None:
        """The client did what it must not."""
        self.remarks.append(f"{self.clock.now:.4f}: {text}")

    def accept(self, transport: Connection) -> ServerConnection:
        """A client connected."""
        connection = ServerConnection(self, transport)
        self.connections.add(connection)
        return connection

    def _round(self) -> None:
        now = self.clock.now
        for connection in sorted(self.connections, key=lambda each: each.last_data):
            if connection.ttl is not None and now - connection.last_data > connection.ttl:
                connection.fail()
        self.clock.later(TTL_ROUND, self._round)

    # --- messages ----------------------------------------------------------------------------------------------------

    def is_duplicate(self, message: Stored, also: list[Stored]) -> bool:
        """Was this duplicate id seen?"""
        if message.duplicate_id is None:
            return False
        address = parse_header(message.header)[0]
        return (address, message.duplicate_id) in self.duplicate_ids or any(
            other.duplicate_id == message.duplicate_id for other in also
        )

    def dropped(self) -> None:
        """A repeated send is about to be answered; what it repeats may not be on disk, and will not be."""
        if self.in_memory and self.clock.now < self.killed_until and self.starving.random() < 0.5:
            self.killed_until = -1.0
            self.clock.later(self.starving.random() * 0.01, lambda: self.crash(0.01))

    def flushed(self) -> None:
        """Something was written to the journal, and so was all before it."""
        self.in_memory.clear()

    def store(self, message: Stored) -> bool:
        """Route a message to its queue; False when it is a duplicate."""
        address = parse_header(message.header)[0]
        if self.is_duplicate(message, []):
            return False
        self._store(message, address)
        return True

    def _store(self, message: Stored, address: str) -> None:
        if message.duplicate_id is not None:
            self.duplicate_ids.add((address, message.duplicate_id))
        self._ids += 1
        message.id = self._ids
        queue = self.queues.get(address)
        if queue is None and address not in self.gone:
            return
        self.ledger.stored[message.key] += 1
        self.ledger.order.setdefault(message.key[0], []).append(message.key[1])
        if queue is None:
            self.ledger.lost.add(message.key)
            return
        queue.refs.append(Ref(message))
        self.pump_soon(queue)

    def acknowledged(self, message: Stored) -> None:
        """A message left its queue for good."""
        self.ledger.acknowledged[message.key] += 1

    def next_moment(self) -> int:
        """A number that grows each time."""
        self._moments += 1
        return self._moments

    def write_at_end(self) -> None:
        """The thread that ends sessions writes to the journal; what it gives back from now on waits for that."""
        habits, now = self.habits, self.clock.now
        if self._written_at <= now:
            self._written_at = now + self._writes.random() * habits.storage + self._writes.random() * habits.late

    def give_back(self, batch: Return, *, late: bool) -> None:
        """Deliveries return to their queue: at once or, `late`, when the thread that ends sessions has written.

        The first consumer that it closes gives back at once. What follows, of this connection or another, does not:
        with what returns its delivery count is written, and everything waits for all that was written before.
        (TransactionImpl.internalRollback, OperationContextImpl; seen on 2.44 and 2.57.)
        """
        if not late or self._written_at <= self.clock.now:
            self._give_back(batch)
        else:
            self.returning.append(batch)
            self.clock.at(self._written_at, lambda: self._give_back_late(batch))
        if late and any(ref.message.durable for ref in batch.refs):
            self.write_at_end()

    def _give_back_late(self, batch: Return) -> None:
        if batch in self.returning:
            self.returning.remove(batch)
            self._give_back(batch)

    def _give_back(self, batch: Return) -> None:
        queue = batch.queue
        if self.queues.get(queue.name) is not queue:
            self.ledger.lost.update(ref.message.key for ref in batch.refs)
            return
        for ref in batch.refs:
            queue.back(ref)
            if batch.consumer is not None:
                self._returned(batch.consumer, ref)
        self.pump_soon(queue)

    def _returned(self, consumer: ServerConsumer, ref: Ref) -> None:
        """A delivery came back: did others of the queue go on meanwhile?

        That is the broker's doing, unless the other one succeeds a session that had ended when it began.
        """
        session = consumer.session
        for other in consumer.queue.ever:
            before = other.session.ended is not None and other.session.ended < consumer.began
            if other is consumer or before or other.last_id <= ref.message.id:
                continue
            gate = session.metadata.get(GATE_KEY)
            succeeds = gate is not None and other.session.metadata.get(GATE_KEY) == gate
            if not (succeeds and session.ended is not None and other.began > session.ended):
                consumer.queue.order_excused = True

    def pump_soon(self, queue: Queue) -> None:
        """Deliver what can be delivered, in a moment."""
        if queue.name not in self._pumps:
            self._pumps.add(queue.name)
            self.clock.later(self.rng.random() * 0.0005, lambda: self._pump_now(queue))

    def _pump_now(self, queue: Queue) -> None:
        self._pumps.discard(queue.name)
        self.pump(queue)

    def pump(self, queue: Queue) -> None:
        """Deliver what can be delivered."""
        for consumer in queue.consumers:
            self._pieces(consumer)
        while queue.refs:
            consumer = self._next(queue)
            if consumer is None:
                return
            ref = queue.refs.pop(0)
            ref.count += 1
            consumer.delivering.append(ref)
            consumer.last_id = ref.message.id
            self._deliver(consumer, ref)

    @staticmethod
    def _next(queue: Queue) -> ServerConsumer | None:
        count = len(queue.consumers)
        for offset in range(count):
            consumer = queue.consumers[(queue.turn + offset) % count]
            if consumer.ready and consumer.large is None:
                queue.turn = (queue.turn + offset + 1) % count
                return consumer
        return None

    def _deliver(self, consumer: ServerConsumer, ref: Ref) -> None:
        message = ref.message
        session = consumer.session
        header = I64.pack(message.id) + message.header[8:]
        if not message.large:
            body = message.body
            size = len(body) + len(header) + 9 + 4 + 12
            frame = b"".join(
                (
                    HEADER.pack(size, 75, session.channel),
                    I32.pack(len(body) + 13),
                    body,
                    header,
                    TAIL.pack(consumer.id, ref.count),
                )
            )
            consumer.charge(len(frame))
            session.send(frame)
            return
        content = struct.pack(">qiq", consumer.id, ref.count, len(message.body)) + header
        frame = HEADER.pack(len(content) + 9, 76, session.channel) + content
        consumer.charge(len(frame))
        consumer.large = (ref, 0)
        session.send(frame)
        self._pieces(consumer)

    @staticmethod
    def _pieces(consumer: ServerConsumer) -> None:
        session = consumer.session
        while consumer.large is not None and consumer.ready:
            ref, offset = consumer.large
            body = ref.message.body[offset : offset + session.chunk]
            offset += len(body)
            more = offset < len(ref.message.body)
            frame = encode(p.ReceiveContinuation(body, more, consumer.id), session.channel, NEWEST)
            consumer.charge(len(frame))
            consumer.large = (ref, offset) if more else None
            session.send(frame)

    # --- ends --------------------------------------------------------------------------------------------------------

    def destroy(self, session: ServerSession, *, failed: bool) -> None:
        """A session ends; of what it was still storing, a part comes through."""
        if session.closed:
            return
        if failed:
            self.sessions_lost += 1
        session.silent = True
        self._settle(session)
        session.closed = True
        self.sessions.pop(session.name, None)
        if session.connection is not None and session.connection.sessions.get(session.channel) is session:
            del session.connection.sessions[session.channel]
        session._undo(late=failed)
        for consumer in session.consumers.values():
            if consumer in consumer.queue.consumers:
                consumer.queue.consumers.remove(consumer)
            session._cancel(consumer, failed=failed, late=failed)
        session.consumers.clear()
        session.ended = self.next_moment()
        if failed:  # one that is closed leaves its temporary queues to its connection
            for queue in [queue for queue in self.queues.values() if queue.owner is session]:
                self.delete_queue(queue, tell=False)

    def delete_queue(self, queue: Queue, *, tell: bool = True) -> None:
        """A queue ends, with what is in it; its consumers are told, but when it was temporary and its time was over."""
        if self.queues.get(queue.name) is queue:
            del self.queues[queue.name]
        self.ledger.lost.update(ref.message.key for ref in queue.refs)
        for batch in [batch for batch in self.returning if batch.queue is queue]:
            self._give_back_late(batch)  # which finds the queue gone
        queue.refs.clear()
        consumers, queue.consumers = queue.consumers, []
        if consumers:
            self.gone.add(queue.name)
        for consumer in consumers:
            session = consumer.session
            self.ledger.lost.update(ref.message.key for ref in consumer.delivering)
            if not tell:
                continue
            session.consumers.pop(consumer.id, None)
            session.disconnected.add(consumer.id)
            session.send(encode(p.DisconnectConsumer(consumer.id), session.channel, NEWEST))

    def _settle(self, session: ServerSession) -> None:
        count = len(session.operations)
        through = self.rng.choice((0, count, self.rng.randint(0, count)))
        if self.up and self.habits.late and session.window < 1 and session.auto_sends and self.starving.random() < 0.7:
            self._run_late(session.operations)
            session.operations.clear()
            return
        for _ in range(through):
            session.complete(session.operations.popleft())
            if session.closed:
                return
        session.operations.clear()

    def _run_late(self, operations: deque[Operation]) -> None:
        """Carry out the sends of a session that has ended, one after the other: its thread gets a turn now and then."""
        sends = deque(each for each in operations if each.packet is None and each.frame[4] == 71)
        until = self.clock.now + 2 * self.habits.late
        crashes = self.crashes

        def turn() -> float:
            return self.starving.random() * max(0.0, until - self.clock.now)

        def check() -> None:
            if not sends or self.crashes != crashes:
                return
            frame = sends.popleft().frame
            end = I32.unpack_from(frame, 13)[0] + 4
            message = Stored(frame[end:-13], frame[17:end], large=False)
            if parse_header(message.header)[0] in self.failing or self.is_duplicate(message, []):
                self.clock.later(turn() / 2, check)
            else:
                self.clock.later(turn() / 2, lambda: store(message))

        def store(message: Stored) -> None:
            if self.crashes != crashes:
                return
            self._store(message, parse_header(message.header)[0])
            if message.durable:
                self.in_memory.append(message)
                self.clock.later(self.starving.random() * self.habits.flush, lambda: self._flush_one(message))
            check()

        self.clock.later(turn(), check)

    def _flush_one(self, message: Stored) -> None:
        if message in self.in_memory:
            self.in_memory.remove(message)

    def crash(self, down: float) -> None:
        """SIGKILL, and a start `down` seconds later: what was not on disk is gone, sessions are too."""
        self.up = False
        self.crashes += 1
        for connection in list(self.connections):
            connection.open = False
            connection.transport.close_by_server(keep_down=self.rng.random())
        self.connections.clear()
        for session in list(self.sessions.values()):
            self.destroy(session, failed=True)
        for batch in list(self.returning):
            self._give_back_late(batch)
        self._written_at = 0.0
        for message in self.in_memory:
            self._lose(message)
        self.in_memory.clear()
        for queue in list(self.queues.values()):
            if queue.temporary or not queue.durable:
                self.delete_queue(queue)
            for ref in queue.refs:
                ref.count = 0
                if not ref.message.durable:
                    self.ledger.lost.add(ref.message.key)
            queue.refs = [ref for ref in queue.refs if ref.message.durable]
        self.clock.later(down, self._start)

    def _lose(self, message: Stored) -> None:
        """A message that was not on disk is gone with the crash, as if it had never come."""
        for queue in self.queues.values():
            queue.refs = [ref for ref in queue.refs if ref.message is not message]
        if message.duplicate_id is not None:
            self.duplicate_ids.discard((parse_header(message.header)[0], message.duplicate_id))
        if not self.ledger.acknowledged[message.key]:
            self.ledger.stored[message.key] -= 1
            self.ledger.order[message.key[0]].remove(message.key[1])

    def stop(self, down: float) -> None:
        """A clean stop: everybody is told, everything is stored; a start `down` seconds later."""
        self.flushed()
        for connection in self.connections:
            for session in list(connection.sessions.values()):
                while session.operations and not session.closed:
                    session.complete(session.operations.popleft())
            connection.write(encode(p.Disconnect(self.node_id, 4, None, None), 0, connection.version or NEWEST))
        self.crash(down)

    def _start(self) -> None:
        self.up = True
        self.started_at = self.clock.now

    def unblock(self) -> None:
        """Addresses have room again."""
        self.blocked.clear()
        self.failing.clear()
        waiting, self.waiting = self.waiting, []
        for session, packet in waiting:
            if not session.closed:
                session._credits(packet)

    # --- what checkers ask -------------------------------------------------------------------------------------------

    @property
    def at_rest(self) -> bool:
        """Nothing is queued, delivered, being stored or open in a transaction."""
        return (not self.returning and all(not queue.refs for queue in self.queues.values())) and all(
            not session.operations
            and not session.tx_sends
            and not session.tx_acks
            and all(not consumer.delivering for consumer in session.consumers.values())
            for session in self.sessions.values()
        )
