"""The stage of the JMS cases under cuts: a steady connection, one through the cutter, numbered messages, a verdict.

Law: a message counts as acknowledged only when the mode says so, and as coming again only when it is marked; what a
broker keeps from everybody (see `stuck_in`) is told apart from what is lost.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from activeclient import (
    ActiveMQXAConnectionFactory,
    BytesMessage,
    Connection,
    JMSConsumer,
    Message,
    MessageConsumer,
    MessageProducer,
    Queue,
    Topic,
    XAConnection,
    connect,
)
from activeclient.errors import ActiveClientError, JMSError
from activeclient.testing.cuts import How
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.chaos.chopper import ALL, Chopper
from integration.chaos.conftest import Amount
from integration.chaos.ledger import Ledger, body_of
from integration.chaos.report import Report, Watch
from integration.chaos.traffic import STALL, exact, fresh, stuck_in

NOTICED = (How.RESET, How.FIN)
"""Cuts that the broker notices: where nothing is reattached, another one lasts for its TTL."""
SIZE = 256
IN_FLIGHT = 400
D = TypeVar("D", Queue, Topic)


@dataclass
class Stage:
    """What a case works with. Made by `staged`."""

    broker: Broker
    steady: Connection
    """Past the cutter."""
    shaken: XAConnection
    """Through the cutter."""
    report: Report
    ledger: Ledger
    cutter: Cutter
    amount: Amount
    _destinations: list[str] = field(default_factory=list)
    _losses: list[str] = field(default_factory=list)

    @property
    def reattached(self) -> bool:
        """Do sessions survive cuts on this broker?"""
        return self.broker.reattaches

    @property
    def must_survive(self) -> bool:
        """Would the loss of a session be a fault? Not if the broker dropped one itself (`CUTS_PER_DROP`). Ask it when
        the cuts are over: the event of a loss comes after the errors that tell of it."""
        self.watch.all_told()
        return self.reattached and not self.watch.counts["SessionRecreated"]

    @property
    def watch(self) -> Watch:
        """Of the shaken connection."""
        return self.report.watches[0]

    def loss(self, error: Exception) -> None:
        """The application was told that a session was lost: an error, unless the broker dropped one."""
        self._losses.append(repr(error))

    def judge_losses(self) -> None:
        """To be called in the end."""
        if self._losses and self.must_survive:
            for text in self._losses:
                self.ledger.error(text)

    def is_empty(self, queue: str) -> bool:
        """Has nobody anything to get from a queue any more?"""
        with self.steady.factory.create_session() as core:
            left = core.query_queue(queue).message_count
        if left and not self.reattached:
            left -= stuck_in(self.steady.factory, queue)
        return left <= 0

    def queue(self, what: str = "jms") -> Queue:
        """A queue that stays until the case ends."""
        name = fresh(what)
        with self.steady.factory.create_session() as core:
            core.create_queue(name)
        self._destinations.append(name)
        return Queue(name)

    def topic(self, what: str = "jms") -> Topic:
        """A topic that is removed at the end, with its subscriptions."""
        name = fresh(what)
        self._destinations.append(name)
        return Topic(name)

    @contextlib.contextmanager
    def cut(self, divisor: int = 4, *, high: int = 10_000, seed: int = 0, inside: float = 0.3) -> Iterator[Chopper]:
        """Cuts from now on, `amount.share(divisor)` of them; the report has their number."""
        hows = ALL if self.reattached else NOTICED
        if not self.reattached:
            high, inside = high * 2, inside / 3
        chopper = Chopper(
            self.cutter, self.amount.seed + seed, self.amount.share(divisor), hows=hows, high=high, inside=inside
        )
        with chopper:
            yield chopper
        self.report.cuts, self.report.inside = chopper.main, chopper.further
        self.cutter.release()

    def stalled(self, queue: str | None, missing: int) -> None:
        """Nothing comes any more and something is missing: lost, or kept from everybody by the broker?"""
        if not self.reattached and queue is not None and stuck_in(self.steady.factory, queue) == missing:
            self.ledger.stuck = missing
            return
        raise AssertionError(f"nothing came for {STALL} s: {missing} of {len(self.ledger.sent)} are missing")

    def check_left(self, queue: str, expected: int = 0) -> None:
        """So many messages are left in a queue, in the end."""
        deadline = time.monotonic() + 15
        with self.steady.factory.create_session() as core:
            while (left := core.query_queue(queue).message_count) != expected and time.monotonic() < deadline:
                time.sleep(0.02)
        if left > expected and not self.reattached:
            left -= stuck_in(self.steady.factory, queue)
        if left != expected:
            self.ledger.error(f"{left} messages are left in {queue}, not {expected}")

    def clean(self) -> None:
        """Remove what the case made."""
        with self.steady.management() as management:
            for name in self._destinations:
                with contextlib.suppress(JMSError):
                    management.invoke("broker", "deleteAddress", name, True)


@contextlib.contextmanager
def staged(
    case: str, broker: Broker, cutter: Cutter, amount: Amount, more: str = "", client_id: str | None = None
) -> Iterator[Stage]:
    """The stage of one case; connections are started. *more* parameters of the shaken connection's URL."""
    factory = ActiveMQXAConnectionFactory(cutter.url() + exact(broker) + more)
    with (
        connect(broker.url()) as steady,
        factory.create_xa_connection(client_id=client_id) as shaken,
    ):
        ledger = Ledger()
        report = Report(case, broker.generation, [ledger], [Watch.of(shaken.factory)])
        stage = Stage(broker, steady, shaken, report, ledger, cutter, amount)
        try:
            yield stage
            stage.judge_losses()
        finally:
            stage.clean()


def settling(ledger: Ledger, number: int) -> Callable[[Message, ActiveClientError | None], None]:
    """A completion listener for the send of a number."""

    def ended(_: Message, error: ActiveClientError | None) -> None:
        ledger.ended(number, error)

    return ended


def send_numbers(
    producer: MessageProducer,
    ledger: Ledger,
    enough: Callable[[], bool],
    *,
    make: Callable[[int], object] | None = None,
    options: Callable[[int], dict[str, object]] = lambda _: {},
    minimum: int = 60,
    waiting: bool = False,
    in_flight: int = IN_FLIGHT,
) -> None:
    """Send 0, 1, 2, ... until *enough*: with completion listeners, or *waiting* for the broker each time."""
    number = 0
    while number < minimum or not enough():
        deadline = time.monotonic() + STALL
        while len(ledger.sent) - len(ledger.acknowledged) >= in_flight:
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing was acknowledged for {STALL} s")
            time.sleep(0.001)
        ledger.sent[number] = SIZE
        body = body_of(number, SIZE) if make is None else make(number)
        with_ = {**options(number)}
        with_["properties"] = {"n": number, **dict(with_.get("properties", {}))}  # type: ignore[call-overload]
        if waiting:
            producer.send(body, **with_)  # type: ignore[arg-type]
            ledger.settled[number] += 1
        else:
            producer.send(body, on_complete=settling(ledger, number), **with_)  # type: ignore[arg-type]
        number += 1


def number_in(message: Message) -> int:
    """Which one it is, by its property."""
    number = message.properties["n"]
    assert isinstance(number, int)
    return number


def took(ledger: Ledger, message: Message, *, whole: bool | None = None) -> int:
    """A message came; returns its number. *whole*: its body is right, where it is not one of `body_of`."""
    number = number_in(message)
    if whole is None:
        whole = isinstance(message, BytesMessage) and message.data == body_of(number, SIZE)
    if number in ledger.stored_as and not message.jms_redelivered:
        ledger.error(f"{number} came again and is not marked")
    good = body_of(number, ledger.sent.get(number, SIZE))
    return ledger.took(message.delivered, good if whole else good[:8])


def receive_all(
    stage: Stage,
    consumer: MessageConsumer | JMSConsumer,
    take: Callable[[Message], object],
    enough: Callable[[], bool],
    *,
    queue: str | None = None,
    idle: Callable[[], object] = lambda: None,
) -> None:
    """Have *take* handle messages until *enough* and everything expected is acknowledged; *idle* is called when
    nothing comes for a moment (for what waits for its batch)."""
    ledger = stage.ledger
    moved, seen = time.monotonic(), 0
    while True:
        message = consumer.receive(0.2)
        if message is not None:
            take(message)
        else:
            idle()
        missing = ledger.expected - ledger.acknowledged - ledger.unsure
        if message is None and enough() and not missing:
            return
        if message is not None or len(ledger.acknowledged) != seen:
            moved, seen = time.monotonic(), len(ledger.acknowledged)
        elif time.monotonic() - moved > STALL:
            stage.stalled(queue, len(missing))
            return


def numbers(messages: Iterable[Message]) -> list[int]:
    """The numbers of messages."""
    return [number_in(message) for message in messages]
