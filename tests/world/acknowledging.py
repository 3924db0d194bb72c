"""An application in CLIENT or INDIVIDUAL mode: it holds messages, and acknowledges when it is done with them.

Law of this file: what it holds it never gets a second time, and what it has acknowledged never again, whatever happens
to its session; an acknowledgement fails only where the broker has given a message to somebody else, or lost it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from activeclient.engine.consumer import Consumer
from activeclient.engine.requests import Request
from activeclient.engine.session import Session, State
from activeclient.errors import ActiveClientError, TransactionRolledBackError
from activeclient.wire.message import CoreMessage
from activeclient.wire.packets import Commit, Rollback, SessionStart, SessionStop
from tests.world.actors import WAIT, Transactor
from tests.world.broker import Key

if TYPE_CHECKING:
    from tests.world.world import World


class Acknowledger(Transactor):
    """See the module.

    Args:
        individual: Acknowledge message by message, in any order; else everything that was received.
    """

    def __init__(
        self, world: World, session: Session, rng: random.Random, queue: str, *, individual: bool, window: int
    ) -> None:
        super().__init__(world, session, rng, queue, mode="client", window=window)
        self.individual = individual
        self.batch: list[tuple[Key, CoreMessage]] = []
        self.size = rng.randint(1, 8)
        self.stage = "work"
        self.request: Request | None = None
        self.committing: list[Key] = []
        self.failures = 0

    @property
    def finished(self) -> bool:
        if self.session.state is State.CLOSED:
            return True
        return self.stage == "work" and not self.batch and super().finished

    @property
    def keys(self) -> list[Key]:
        """What it holds."""
        return [key for key, _ in self.batch]

    def step(self) -> float | None:
        session = self.session
        if session.state is State.CLOSED:
            return WAIT
        if self.stage != "work":
            return self._go_on()
        full = len(self.batch) >= self.size
        waited = self.batch and self.idle_since >= 0 and self.world.clock.now - self.idle_since > 0.05
        if full or waited:
            self.stage = "acknowledge"
            if self.individual:
                self.rng.shuffle(self.batch)
            return self.think()
        consumer = self.create()
        if consumer is None:
            return WAIT
        if self.held is None:
            self.held = self.take(consumer)
            self.pieces = bytearray()
        if self.held is None:
            if not self.batch:
                self.idle_since = -1.0
                return 0.3 if self.window == 0 else WAIT
            if self.idle_since < 0:
                self.idle_since = self.world.clock.now
            return 0.06
        self.idle_since = -1.0
        if not self._read(self.held):
            return WAIT
        message, self.held = self.held, None
        if message is not None:
            self._receive(consumer, message)
        return self.think()

    def _receive(self, consumer: Consumer, message: CoreMessage) -> None:
        held = self.keys
        key = self.note(message)
        if key in held:
            self.problem(f"{key} was handed out again while it was held")
            return
        self.batch.append((key, message))
        if not self.individual:
            self.session.transaction.acked()
            consumer.acknowledge(message)

    def _go_on(self) -> float | None:
        session, request = self.session, self.request
        if request is not None and not request.done:
            return WAIT
        error = request.error if request is not None else None
        stage = self.stage
        if stage == "acknowledge":
            return self._acknowledge()
        if stage == "acknowledging":
            return self._acknowledged(error)
        if stage == "stopping":
            for consumer in session.consumers.values():
                consumer.rolled_back()
            self.held = None
            return self._submit(Rollback(False), "undoing", ends=True)
        if session.may_command:
            session.command(session.encode(SessionStart()))
        self.batch = []
        self._begin()
        return self.think()

    def _acknowledge(self) -> float | None:
        session = self.session
        if session.windowed and session.buffer.full and not session.room:
            return 0.001
        if self.individual:
            key, message = self.batch.pop(0)
            self.committing = [key]
            assert self.consumer is not None
            if not self.consumer.holds(message):
                self._fail("it is not held any more")
                return self._begin()
            session.transaction.acked()
            self.consumer.individual_acknowledge(message)
        else:
            self.committing, self.batch = self.keys, []
            for consumer in session.consumers.values():
                consumer.flush_acknowledgements()
        return self._submit(Commit(0), "acknowledging", correlated=True, ends=True)

    def _acknowledged(self, error: ActiveClientError | None) -> float | None:
        if error is None:
            self.settled.update(self.committing)
            for key in self.committing:
                if not self.world.broker.ledger.acknowledged[key] and key not in self.world.broker.ledger.lost:
                    self._lost_acknowledgement(key)
            self._begin()
            return self.think()
        if not self.world.ended:
            if not isinstance(error, TransactionRolledBackError):
                self.problem(f"an acknowledgement failed: {error!r}")
            self._fail(str(error))
        if self.session.held.partly_acknowledged:
            return self._submit(SessionStop(), "stopping")
        self._begin()
        return self.think()

    def _lost_acknowledgement(self, key: Key) -> None:
        if not self._with_another:
            self.problem(f"{key} was acknowledged, and the broker has not got it")

    def _fail(self, why: str) -> None:
        self.failures += 1
        if not self.world.broker.crashes and not self._with_another and not self.world.ended:
            self.problem(f"an acknowledgement of {self.committing} failed, and nobody else has them: {why}")

    @property
    def _with_another(self) -> bool:
        """Does, or did, a session of before that the broker still has hold messages of the queue?"""
        queue = self.world.broker.queues.get(self.queue)
        return queue is None or queue.order_excused or len(queue.consumers) > 1

    def _begin(self) -> float:
        self.request = None
        self.committing = []
        self.idle_since = -1.0
        if self.batch and self.individual and self.rng.random() < 0.7:
            self.stage = "acknowledge"
        else:
            self.stage = "work"
            self.size = self.rng.randint(1, 8)
        return self.think()
