"""What applications do, as state machines: each step does what is possible now and never waits.

Law of this file: an actor uses the engine as the public API does: it asks for room and credits first, holds what it may
not send, and believes only outcomes. It notes what it was told, so that it can be compared with the broker's ledger.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from activeclient.engine.consumer import Consumer
from activeclient.engine.requests import Pending, Request, SendToken
from activeclient.engine.session import Session, State
from activeclient.errors import (
    ActiveClientError,
    DuplicateIDError,
    Outcome,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
)
from activeclient.server_code import ServerCode
from activeclient.wire.message import CoreMessage, encode_send_large_header
from activeclient.wire.packets import (
    Acknowledge,
    Commit,
    ConsumerClose,
    CreateQueue,
    DeleteQueue,
    IndividualAcknowledge,
    QueueQuery,
    QueueQueryResponse,
    Rollback,
    SendContinuation,
    SessionStart,
    SessionStop,
)
from activeclient.wire.properties import encode_properties
from activeclient.wire.send_template import SendTemplate

if TYPE_CHECKING:
    from tests.world.world import World


WAIT = None
"""Nothing to do until the engine was told something."""
DONE = "done"
UNKNOWN = "unknown"
NOT_SENT = "not sent"
OPEN = "open"


def body_of(producer: str, number: int, size: int) -> bytes:
    """The body that everybody can check."""
    head = f"{producer}:{number}:".encode()
    pattern = (f"{producer}{number}." * (size // 4 + 1)).encode()
    return head + pattern[: max(0, size - len(head))]


class Actor:
    """Something that goes on until it is finished."""

    def __init__(self, world: World, session: Session, rng: random.Random) -> None:
        self.world = world
        self.session = session
        self.rng = rng
        self.ready_at = 0.0
        self.stepping = False
        self.problems: list[str] = []

    @property
    def finished(self) -> bool:
        """Has it done what it set out to do?"""
        raise NotImplementedError

    def step(self) -> float | None:
        """Do what is possible; seconds to think before the next step, or WAIT."""
        raise NotImplementedError

    def problem(self, text: str) -> None:
        """Something that must not happen."""
        self.problems.append(f"{self.world.clock.now:.4f}: {text}")

    def think(self) -> float:
        """A pause."""
        return self.rng.choice((0.0, 0.0005, 0.003, 0.02)) * self.rng.random()

    @property
    def strict(self) -> bool:
        """Was the session never lost, so that nothing may show?"""
        return self.session.epoch == 0 and self.session.reattachable


class Sender(Actor):
    """What all senders share: numbers, frames, room and credits, and what was told of each number."""

    def __init__(
        self,
        world: World,
        session: Session,
        rng: random.Random,
        name: str,
        address: str,
        total: int,
        *,
        duplicate_ids: bool,
    ) -> None:
        super().__init__(world, session, rng)
        self.name = name
        self.address = address
        self.total = total
        self.duplicate_ids = duplicate_ids
        self.next_number = 0
        self.told: dict[int, str] = {}
        self.endings: dict[int, int] = {}

    def properties(self, number: int) -> bytes:
        """An encoded set, with a duplicate id perhaps."""
        if not self.duplicate_ids:
            return encode_properties({})
        return encode_properties({"_AMQ_DUPL_ID": f"{self.name}-{number}".encode()})

    def size_of(self, number: int) -> int:
        """How long body `number` is."""
        return 12 + (number * 37) % 150

    def frame(self, number: int, *, durable: bool, correlation_id: int, asks: bool) -> bytes:
        """A SEND."""
        session = self.session
        template = SendTemplate(session.channel_id, session.client.version, self.address, durable=durable)
        return template.encode(
            body_of(self.name, number, self.size_of(number)),
            1,
            self.properties(number),
            correlation_id=correlation_id,
            requires_response=asks,
        )

    def may_send(self, size: int) -> bool:
        """Room and credits, as a blocking send waits for them."""
        session = self.session
        if not session.room:
            return False
        pool = session.pools.get(self.address)
        if pool is None or pool.balance < size:
            pool = session.want_credits(self.address, size)
            if not pool.allows(size):
                return False
        pool.balance -= size
        if pool.balance < pool.window >> 1:
            session.want_credits(self.address, 0)
        return True

    def ended(self, number: int, error: ActiveClientError | None) -> None:
        """The outcome of a number is known."""
        self.endings[number] = self.endings.get(number, 0) + 1
        if error is None:
            self.told[number] = DONE
            if not self.world.broker.ledger.stored[self.name, number]:
                self.problem(f"{self.name}:{number} was reported as done, and the broker does not have it")
        else:
            self.told[number] = UNKNOWN if error.outcome is Outcome.UNKNOWN else NOT_SENT
            refused = error.code == 210 and (self.name, number) in self.world.broker.ledger.refused
            if self.strict and not refused and not self.world.ended:
                self.problem(f"{self.name}:{number} failed on a session that was never lost: {error!r}")


class Producer(Sender):
    """Sends numbered messages: `blocking`, with a `handler`, or with `nothing`."""

    def __init__(
        self,
        world: World,
        session: Session,
        rng: random.Random,
        name: str,
        address: str,
        total: int,
        *,
        duplicate_ids: bool,
        mode: str,
        durable: float,
    ) -> None:
        super().__init__(world, session, rng, name, address, total, duplicate_ids=duplicate_ids)
        self.mode = mode
        self.durable_share = durable
        self.durable: dict[int, bool] = {}
        self.waiting: SendToken | None = None
        self.behind: Receiver | None = None
        """Whose queue it is that messages go to: nothing is sent before it is there."""

    @property
    def finished(self) -> bool:
        if self.session.state is State.CLOSED:
            return True
        if self.next_number < self.total or self.waiting is not None:
            return False
        return self.mode == "nothing" or len(self.told) == self.total

    def step(self) -> float | None:
        if self.behind is not None and self.behind.consumer is None:
            return WAIT
        for _ in range(self.rng.choice((1, 3, 20))):
            if self.waiting is not None:
                if not self.waiting.done:
                    return WAIT
                token, self.waiting = self.waiting, None
                self.ended(self.next_number - 1, token.error)
            if self.next_number >= self.total or self.session.state is State.CLOSED:
                return WAIT
            if not self._send():
                return WAIT
        return self.think()

    def _send(self) -> bool:
        session = self.session
        number = self.next_number
        durable = self.durable.setdefault(number, self.rng.random() < self.durable_share)
        if not session.room:
            return False
        wanted = self.mode != "nothing"
        asks = wanted or session.windowed
        correlation = session.next_correlation() if asks else 0
        frame = self.frame(number, durable=durable, correlation_id=correlation, asks=asks)
        if not self.may_send(len(frame)):
            return False
        token = None
        if self.mode == "handler":
            token = SendToken(correlation, lambda _, error, number=number: self.ended(number, error))  # type: ignore[misc]
        elif wanted:
            token = self.waiting = SendToken(correlation)
        self.next_number += 1
        session.send(frame, token, len(frame))
        return True


class LargeSender(Sender):
    """Sends messages in pieces, and begins again when its session was lost amid one."""

    def __init__(
        self,
        world: World,
        session: Session,
        rng: random.Random,
        name: str,
        address: str,
        total: int,
        *,
        duplicate_ids: bool,
    ) -> None:
        super().__init__(world, session, rng, name, address, total, duplicate_ids=duplicate_ids)
        self.offset = -1
        self.epoch = 0
        self.token: SendToken | None = None

    @property
    def finished(self) -> bool:
        return self.session.state is State.CLOSED or (self.next_number >= self.total and self.token is None)

    def size_of(self, number: int) -> int:
        return 700 + number * 331 % 1500

    def step(self) -> float | None:
        session = self.session
        chunk = session.config.min_large_message_size
        for _ in range(4):
            if session.state is State.CLOSED:
                return WAIT
            if self.token is not None:
                if not self.token.done:
                    return WAIT
                token, self.token = self.token, None
                error = token.error
                self.offset = -1
                if error is not None and session.epoch != self.epoch and self.duplicate_ids:
                    continue  # again, under the same duplicate id
                self.ended(self.next_number, error)
                self.next_number += 1
            if self.next_number >= self.total or not session.room:
                return WAIT
            if self.offset >= 0 and session.epoch != self.epoch:
                self.offset = -1
            body = body_of(self.name, self.next_number, self.size_of(self.next_number))
            if self.offset < 0:
                self.epoch = session.epoch
                properties = {"_AMQ_DUPL_ID": f"{self.name}-{self.next_number}".encode()} if self.duplicate_ids else {}
                message = CoreMessage(body_type=4, address=self.address, properties=properties)
                header = encode_send_large_header(message, session.channel_id, session.client.version)
                session.send(header, None, len(header))
                self.offset = 0
                continue
            piece = body[self.offset : self.offset + chunk]
            self.offset += len(piece)
            last = self.offset >= len(body)
            correlation = session.next_correlation()
            token = SendToken(correlation) if last else None
            frame = session.encode(
                SendContinuation(
                    body=piece,
                    continues=not last,
                    message_body_size=len(body),
                    requires_response=last,
                    correlation_id=correlation if last else 0,
                )
            )
            session.send(frame, token, len(frame))
            self.token = token
        return self.think()


class Receiver(Actor):
    """A consumer: takes, checks and acknowledges; large bodies are read piece by piece.

    Args:
        mode: `each` acknowledges at once, `batch` in batches, `individual` one by one, `blocking` with an answer.
    """

    def __init__(
        self,
        world: World,
        session: Session,
        rng: random.Random,
        queue: str,
        *,
        mode: str,
        window: int,
        browse: bool = False,
    ) -> None:
        super().__init__(world, session, rng)
        self.queue = queue
        self.mode = mode
        self.window = window
        self.consumer: Consumer | None = None
        self.creation: Request | None = None
        self.received: list[tuple[tuple[str, int], int]] = []
        self.settled: set[tuple[str, int]] = set()
        """Messages whose acknowledgement was answered."""
        self.held: CoreMessage | None = None
        self.pieces = bytearray()
        self.acking: tuple[Pending, list[tuple[str, int]]] | None = None
        self.unacked: list[tuple[str, int]] = []
        self.asked = -1
        self.idle_since = -1.0

    @property
    def gone(self) -> bool:
        """Was its queue deleted by somebody, so that it has nothing more to do?"""
        return self.refused or (self.consumer is not None and self.consumer.closed)

    refused = False

    @property
    def finished(self) -> bool:
        return (
            self.session.state is State.CLOSED
            or (self.gone and self.acking is None)
            or (self._idle_consumer and self.queue not in self.world.deleted)
        )

    @property
    def _idle_consumer(self) -> bool:
        return (
            self.consumer is not None
            and not self.consumer.buffer
            and self.held is None
            and self.acking is None
            and self.consumer.ack_message_id < 0
        )

    def create(self) -> Consumer | None:
        """The consumer, when the broker has it."""
        session = self.session
        if self.creation is None:
            consumer = Consumer(
                session,
                session.new_consumer_id(),
                self.queue,
                None,
                window=self.window,
                ack_batch=400 if self.mode == "batch" else 0,
            )

            def created(request: Request) -> None:
                if request.error is None:
                    if isinstance(request.result, QueueQueryResponse):
                        consumer.queue_info = request.result
                    consumer.new_generation()
                    session.consumers[consumer.id] = consumer
                    consumer.grant_window()
                    self.consumer = consumer
                elif request.error.code == 100 and self.queue in self.world.deleted:
                    self.refused = True
                elif session.state is not State.CLOSED:
                    self.problem(f"no consumer: {request.error!r}")

            self.creation = session.submit(session.request_of(consumer.create_packet(), created))
            if not session.started:
                session.started = True
                if session.may_command:
                    session.command(session.encode(SessionStart()))
        if self.creation.done and self.creation.error is not None and self.consumer is None:
            self.creation = None
        return self.consumer

    def step(self) -> float | None:
        if self.refused:
            return WAIT
        consumer = self.create()
        if consumer is None or self.session.state is State.CLOSED:
            return WAIT
        for _ in range(self.rng.choice((1, 5, 40))):
            if self.acking is not None:
                pending, keys = self.acking
                if not pending.done:
                    return WAIT
                self.acking = None
                if pending.error is None:
                    self.settled.update(keys)
                elif self.strict and not self.world.ended and self.queue not in self.world.deleted:
                    self.problem(f"an acknowledgement failed: {pending.error!r}")
            if consumer.closed:
                return WAIT
            if self.held is None:
                self.held = self.take(consumer)
                if self.held is None:
                    return self._idle(consumer)
                self.pieces = bytearray()
            if not self._read(self.held):
                return WAIT
            if self.held is None:
                continue
            if self.session.windowed and self.session.buffer.full and not self.session.room:
                return WAIT
            message, self.held = self.held, None
            self.settle(consumer, message)
        return self.think()

    def take(self, consumer: Consumer) -> CoreMessage | None:
        """The next message, if there is one."""
        message = consumer.take()
        asking = self.asked > consumer.forced_seen and self.asked_epoch == self.session.epoch
        if message is None and self.window == 0 and self.session.may_command and not asking:
            consumer.ask_for_one()
            self.asked = consumer.force_delivery()
            self.asked_epoch = self.session.epoch
        return message

    asked_epoch = -1

    def _idle(self, consumer: Consumer) -> float | None:
        if consumer.ack_message_id >= 0:
            if self.idle_since < 0:
                self.idle_since = self.world.clock.now
                return 0.05
            self.idle_since = -1.0
            consumer.flush_acknowledgements()
            return 0.05
        return 0.3 if self.window == 0 else WAIT

    def _read(self, message: CoreMessage) -> bool:
        """Read the body; False when more of it has to come. A body that failed makes `held` None."""
        stream = message.stream
        if stream is None:
            return True
        while (taken := stream.take()) is not None:
            self.pieces += taken[0]
            origin = message.origin
            if origin is not None and origin.epoch == self.session.epoch:
                origin.consumer.consumed(taken[1])
        if stream.error is not None:
            self.held = None  # it comes again
            return True
        return bool(stream.complete)

    def note(self, message: CoreMessage) -> tuple[str, int]:
        """A message was received whole."""
        body = bytes(self.pieces) if message.stream is not None else message.body
        producer, number, _ = body.split(b":", 2)
        key = producer.decode(), int(number)
        expected = self.world.body(key)
        if body != expected:
            self.problem(f"the body of {key} is damaged: {len(body)} bytes of {len(expected)}")
        if key in self.settled:
            self.problem(f"{key} came again although its acknowledgement was answered")
        self.received.append((key, message.delivery_count))
        return key

    def settle(self, consumer: Consumer, message: CoreMessage) -> None:
        """Note and acknowledge."""
        key = self.note(message)
        session = self.session
        if self.mode == "individual":
            consumer.individual_acknowledge(message)
        elif self.mode == "blocking":
            individual = self.rng.random() < 0.5
            if consumer.settle_taken(message, cumulative=not individual, told=True):
                kind = IndividualAcknowledge if individual else Acknowledge
                request = session.submit(session.request_of(kind(consumer.id, message.message_id, True)))
                self.acking = (request, [key])
        else:
            consumer.acknowledge(message)


class TemporaryReceiver(Receiver):
    """A consumer of a temporary queue, which it makes first."""

    making: Request | None = None

    def create(self) -> Consumer | None:
        session = self.session
        if self.making is None:
            packet = CreateQueue(address=self.queue, queue_name=self.queue, durable=False, temporary=True)
            self.making = session.submit(session.request_of(packet))
        if not self.making.done or session.state is State.CLOSED:
            return None
        error = self.making.error
        if error is not None and not (self.making.recreated and error.code == ServerCode.QUEUE_EXISTS):
            self.problem(f"no temporary queue: {error!r}")
        return super().create()


class Transactor(Receiver):
    """A consumer whose transactions are ended in stages, each of which waits for an answer."""

    request: Request | None = None
    stage = "work"

    def _submit(self, packet: object, stage: str, *, correlated: bool = False, ends: bool = False) -> float:
        session = self.session

        def ended(_: Request) -> None:
            if ends:
                session.transaction.reset()

        self.request = session.submit(session.request_of(packet, ended, correlated=correlated))  # type: ignore[arg-type]
        self.stage = stage
        return 0.0


class Mover(Transactor):
    """Consumes and sends in local transactions; some are rolled back. Each message moves exactly once in the end."""

    def __init__(
        self, world: World, session: Session, rng: random.Random, source: str, target: Sender, *, window: int
    ) -> None:
        super().__init__(world, session, rng, source, mode="each", window=window)
        self.target = target
        self.batch: list[int] = []
        self.size = rng.randint(1, 6)
        self.stage = "work"
        self.request: Request | None = None
        self.undo = False
        self.tried: list[tuple[str, tuple[int, ...]]] = []

    @property
    def finished(self) -> bool:
        return self.session.state is State.CLOSED or (self.stage == "work" and not self.batch and super().finished)

    def settle(self, consumer: Consumer, message: CoreMessage) -> None:
        key = self.note(message)
        self.session.transaction.acked()
        consumer.acknowledge(message)
        self.batch.append(self.world.number_of(key))
        self.to_send = self.batch[-1]

    to_send = -1

    def step(self) -> float | None:
        session = self.session
        if session.state is State.CLOSED:
            return WAIT
        if self.stage != "work":
            return self._end()
        if self.to_send >= 0:
            if not session.room:
                return WAIT
            asks = session.windowed
            correlation = session.next_correlation() if asks else 0
            frame = self.target.frame(self.to_send, durable=True, correlation_id=correlation, asks=asks)
            if not session.room:
                return WAIT
            session.send(frame, None, len(frame))
            self.to_send = -1
            return self.think()
        if len(self.batch) >= self.size or (
            self.batch and self.idle_since >= 0 and self.world.clock.now - self.idle_since > 0.05
        ):
            self.stage = "undo" if self.rng.random() < 0.25 else "commit"
            return 0.0
        consumer = self.create()
        if consumer is None:
            return WAIT
        if self.held is None:
            self.held = self.take(consumer)
            self.pieces = bytearray()
        if self.held is None:
            if not self.batch:
                self.idle_since = -1.0
                return WAIT
            if self.idle_since < 0:
                self.idle_since = self.world.clock.now
            return 0.06
        self.idle_since = -1.0
        if not self._read(self.held):
            return WAIT
        if self.held is None or (session.windowed and session.buffer.full and not session.room):
            return 0.001
        message, self.held = self.held, None
        self.settle(consumer, message)
        return 0.0

    def _end(self) -> float | None:
        session = self.session
        request = self.request
        if request is not None and not request.done:
            return WAIT
        error = request.error if request is not None else None
        stage = self.stage
        if stage == "commit":
            for consumer in session.consumers.values():
                consumer.flush_acknowledgements()
            if session.transaction.rollback_only:
                self.stage = "undo"
                self.request = None
                return 0.0
            return self._submit(Commit(0), "committing", correlated=True, ends=True)
        if stage == "committing":
            self._committed(error)
            self.request = None
            if isinstance(error, (TransactionRolledBackError, DuplicateIDError)):
                self.stage = "work" if isinstance(error, TransactionRolledBackError) else "undo"
            else:
                self.stage = "work"
            self._begin()
            return self.think()
        if stage == "undo":
            for consumer in session.consumers.values():
                consumer.flush_acknowledgements()
            return self._submit(SessionStop(), "stopping")
        if stage == "stopping":
            for consumer in session.consumers.values():
                consumer.rolled_back()
            self.held = None
            return self._submit(Rollback(False), "undoing", ends=True)
        if stage == "undoing":
            if error is not None and self.strict and not self.world.ended:
                self.problem(f"a rollback failed: {error!r}")
            self.request = None
            self.tried.append(("rolled back", tuple(self.batch)))
            session.command(session.encode(SessionStart()))
            self.stage = "work"
            self._begin()
        return self.think()

    def _begin(self) -> None:
        self.batch = []
        self.to_send = -1
        self.idle_since = -1.0
        self.size = self.rng.randint(1, 6)

    def _committed(self, error: ActiveClientError | None) -> None:
        if error is None:
            self.tried.append((DONE, tuple(self.batch)))
            for number in self.batch:
                if self.world.broker.ledger.stored[self.target.name, number] != 1:
                    self.problem(f"{self.target.name}:{number} was committed and is not there")
        elif isinstance(error, TransactionOutcomeUnknownError):
            self.tried.append((UNKNOWN, tuple(self.batch)))
        else:
            self.tried.append(("rolled back", tuple(self.batch)))
        if error is not None and self.strict and not self.world.ended:
            self.problem(f"a commit failed on a session that was never lost: {error!r}")


class TransactedProducer(Sender):
    """Sends in transactions; what was rolled back is sent again. Duplicate ids settle commits in doubt."""

    def __init__(
        self,
        world: World,
        session: Session,
        rng: random.Random,
        name: str,
        address: str,
        total: int,
        *,
        duplicate_ids: bool,
    ) -> None:
        super().__init__(world, session, rng, name, address, total, duplicate_ids=duplicate_ids)
        self.batch: list[int] = []
        self.again: list[int] = []
        self.size = 3
        self.request: Request | None = None
        self.undoing = False
        self.transactions: list[tuple[str, tuple[int, ...]]] = []

    @property
    def finished(self) -> bool:
        return self.session.state is State.CLOSED or (
            self.next_number >= self.total and not self.batch and not self.again and self.request is None
        )

    def step(self) -> float | None:
        session = self.session
        if session.state is State.CLOSED:
            return WAIT
        if self.request is not None:
            if not self.request.done:
                return WAIT
            self._ended(self.request)
            return self.think()
        if len(self.batch) >= self.size or (self.batch and self.next_number >= self.total and not self.again):
            undo = session.transaction.rollback_only or self.rng.random() < 0.2
            self.undoing = undo
            packet = Rollback(False) if undo else Commit(0)
            self.request = session.submit(
                session.request_of(packet, lambda _: session.transaction.reset(), correlated=not undo)
            )
            return 0.0
        if not self.again and self.next_number >= self.total:
            return WAIT
        if not session.room:
            return WAIT
        number = self.again[0] if self.again else self.next_number
        correlation = session.next_correlation() if session.windowed else 0
        frame = self.frame(number, durable=True, correlation_id=correlation, asks=session.windowed)
        if not self.may_send(len(frame)):
            return WAIT
        if self.again:
            self.again.pop(0)
        else:
            self.next_number += 1
        self.batch.append(number)
        session.send(frame, None, len(frame))
        return self.think() if self.rng.random() < 0.3 else 0.0

    def _ended(self, request: Request) -> None:
        batch, self.batch = self.batch, []
        self.request = None
        error = request.error
        stored = self.world.broker.ledger.stored
        if self.undoing:
            self.again = batch + self.again
            if error is not None and self.strict and not self.world.ended:
                self.problem(f"a rollback failed: {error!r}")
        elif error is None:
            self.transactions.append((DONE, tuple(batch)))
            for number in batch:
                self.told[number] = DONE
                if stored[self.name, number] != 1:
                    self.problem(f"{self.name}:{number} was committed and is there {stored[self.name, number]} times")
        elif isinstance(error, TransactionOutcomeUnknownError):
            self.transactions.append((UNKNOWN, tuple(batch)))
            for number in batch:
                self.told[number] = UNKNOWN
            window = self.session.config.window
            if self.duplicate_ids and (window >= 4000 or window < 1):
                self.problem(f"a commit that duplicate ids could have settled ended unknown: {error!r}")
        else:
            self.again = batch + self.again
            for number in batch:
                if stored[self.name, number]:
                    self.problem(f"{self.name}:{number} was rolled back, they say, and is there: {error!r}")
        if error is not None and self.strict and not self.world.ended:
            self.problem(f"a commit failed on a session that was never lost: {error!r}")
        self.size = self.rng.randint(1, 5)


class Requester(Actor):
    """Asks, makes and deletes queues and consumers; each answer must be the one to its question."""

    def __init__(self, world: World, session: Session, rng: random.Random, name: str, total: int) -> None:
        super().__init__(world, session, rng)
        self.name = name
        self.left = total
        self.request: Request | None = None
        self.check = ""
        self.made: list[str] = []
        self.serial = 0

    @property
    def finished(self) -> bool:
        return self.session.state is State.CLOSED or (self.left <= 0 and self.request is None)

    def step(self) -> float | None:
        session = self.session
        if session.state is State.CLOSED:
            return WAIT
        if self.request is not None:
            if not self.request.done:
                return WAIT
            self._answered(self.request)
            self.request = None
            return self.think()
        if self.left <= 0:
            return WAIT
        self.left -= 1
        choice = self.rng.random()
        if choice < 0.4:
            self.check = "exists" if self.rng.random() < 0.5 else "missing"
            self.serial += 1
            name = self.world.some_queue() if self.check == "exists" else f"missing-{self.name}-{self.serial}"
            self.asked = name
            self.request = session.submit(session.request_of(QueueQuery(name)))
        elif choice < 0.6:
            self.serial += 1
            name = f"q-{self.name}-{self.serial}"
            self.made.append(name)
            self.check = "made"
            self.request = session.submit(session.request_of(CreateQueue(address=name, queue_name=name)))
        elif choice < 0.75 and self.made:
            self.check = "refused"
            name = self.made[-1]
            self.request = session.submit(session.request_of(CreateQueue(address=name, queue_name=name)))
        elif choice < 0.9 and self.made:
            self.check = "deleted"
            self.asked = self.made.pop()
            self.request = session.submit(session.request_of(DeleteQueue(self.asked)))
        else:
            self.check = "closed"
            self.request = session.submit(session.request_of(ConsumerClose(9999)))
        return 0.0

    asked = ""

    def _answered(self, request: Request) -> None:
        error, result = request.error, request.result
        if self.check in ("exists", "missing"):
            if error is not None:
                if not self.world.ended:
                    self.problem(f"a query failed: {error!r}")
            elif not isinstance(result, QueueQueryResponse) or result.name != self.asked:
                self.problem(f"the query for {self.asked} was answered by {result!r}")
            elif result.exists != (self.check == "exists"):
                self.problem(f"{self.asked} exists: {result.exists}")
        elif self.check == "refused" and not self.world.ended:
            # Repeated after a loss, the refusal may be of the first try's own queue: nobody can tell, so it is success.
            if not request.recreated and (error is None or error.code != 101):
                self.problem(f"a queue was made twice: {error!r}")
        elif self.world.ended:
            return
        elif error is not None and not request.recreated:
            self.problem(f"{self.check}: {error!r}")
        if self.check == "made" and self.made[-1] not in self.world.broker.queues:
            self.problem(f"{self.made[-1]} was reported as made and is not there")
        if self.check == "deleted" and self.asked in self.world.broker.queues:
            self.problem(f"{self.asked} was reported as deleted and is there")
