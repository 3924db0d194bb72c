"""A rain of interrupts over the calls of the API, and the ledger that says whether any of them cost more than the link.

Law of this file: what a call returned is certain, what was interrupted is not; nothing certain may be lost or come
twice, every future ends, and the broker has at the end what it had before. The places come from a seed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any

import activeclient
from activeclient import (
    AcknowledgeMode,
    Connection,
    Message,
    TransactionOutcomeUnknownError,
    TransactionRolledBackError,
)
from integration.interrupts import Outcome, interrupt
from integration.scenarios import SCENARIOS, Scene

PATIENCE = 20.0
"""Seconds; a busy machine needs some."""
EXPLICIT = (AcknowledgeMode.CLIENT_ACKNOWLEDGE, AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE)
MODES = (
    AcknowledgeMode.AUTO_ACKNOWLEDGE,
    AcknowledgeMode.DUPS_OK_ACKNOWLEDGE,
    AcknowledgeMode.CLIENT_ACKNOWLEDGE,
    AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE,
    AcknowledgeMode.SESSION_TRANSACTED,
)


class Ledger:
    """What must arrive once, what may, and what did."""

    def __init__(self) -> None:
        self.certain: list[str] = []
        self.futures: dict[str, Any] = {}
        self.received: list[str] = []
        self.unsure: set[str] = set()
        """Received, and its acknowledgement failed after it was interrupted: it may come again, or not."""
        self.interrupts = 0

    def settle_futures(self) -> None:
        """Each future ends; what it confirms is certain."""
        for text, future in self.futures.items():
            future.result(PATIENCE)
            self.certain.append(text)
        self.futures.clear()

    @property
    def complete(self) -> bool:
        """Has everything come that must?"""
        return not self.missing

    @property
    def missing(self) -> list[str]:
        """What must come and has not."""
        return sorted(set(self.certain) - set(self.received) - self.unsure)

    def check(self) -> None:
        """Nothing certain is lost, and nothing came twice."""
        assert {text for text in self.received if self.received.count(text) > 1} == set()
        assert self.missing == []


class Rain:
    """Interrupts at places of a seed, in calls to the broker at `url`."""

    def __init__(self, url: str, seed: int) -> None:
        self.url = f"{url}{'&' if '?' in url else '?'}profile=reliable&callTimeout=10000"
        self._random = random.Random(seed)
        self.control = activeclient.connect(self.url)
        self.management = self.control.management()

    def close(self) -> None:
        """Close what looks on."""
        self.control.close()

    def strike(self, call: Callable[[], Any], places: int) -> Outcome[Any]:
        """Interrupt `call` at one of its first `places`, if it has as many."""
        return interrupt(call, self._random.randrange(1, places + 1))

    def consumers(self) -> int:
        """Consumers on the broker."""
        return sum(queue.consumers for queue in self.management.queues())

    def sessions(self) -> int:
        """Sessions on the broker."""
        connections = self.management.invoke("broker", "listConnectionIDs")
        assert isinstance(connections, list)
        return sum(len(self._list(str(connection))) for connection in connections)

    def _list(self, connection: str) -> list[Any]:
        sessions = self.management.invoke("broker", "listSessions", connection)
        assert isinstance(sessions, list)
        return sessions

    @contextmanager
    def leaves_nothing(self) -> Iterator[None]:
        """The broker has as many sessions and consumers after the block as before it."""
        before = self.sessions(), self.consumers()
        yield
        end = time.monotonic() + PATIENCE
        while (now := (self.sessions(), self.consumers())) != before and time.monotonic() < end:
            time.sleep(0.05)
        assert now == before, f"sessions and consumers: {now}, before {before}"

    def over_creation(self, create: Callable[[], Any], rounds: int) -> int:
        """Interrupt a call that makes something, again and again; it works each time afterwards. Returns how often it
        was hit."""
        hits = 0
        dry = interrupt(create)
        if dry.value is not None:
            dry.value.close()
        for _ in range(rounds):
            outcome = self.strike(create, dry.points)
            hits += outcome.interrupted
            if outcome.value is not None:
                outcome.value.close()
            create().close()
        return hits

    def over_calls(self, name: str, rounds: int) -> tuple[int, set[CodeType]]:
        """Play a scenario once as it is, and then again and again with an interrupt at one of its places.

        Returns:
            How often it was hit, and the functions that began in the calls that it makes.
        """
        dry = Strikes(0)
        self._play(name, dry)
        hits = 0
        for _ in range(rounds):
            strikes = Strikes(self._random.randrange(1, dry.points + 1))
            try:
                self._play(name, strikes)
            except BaseException as error:
                error.add_note(f"{name}, interrupted at place {strikes.at} of {dry.points}: {strikes.place}")
                raise
            hits += strikes.hit
        return hits, dry.entered

    def _play(self, name: str, strikes: Strikes) -> None:
        with self.leaves_nothing(), activeclient.connect(self.url) as connection:
            SCENARIOS[name](Scene(self.url, connection, strikes))
            connection.create_session().close()  # it is of use afterwards

    def over_messages(self, mode: AcknowledgeMode, queue_name: str, rounds: int) -> Ledger:
        """Send and receive under interrupts, and then receive the rest."""
        with activeclient.connect(self.url) as connection:
            return _Stream(self, connection, mode, queue_name).run(rounds)

    def chance(self, probability: float) -> bool:
        """Is it so, this time?"""
        return self._random.random() < probability


class Strikes:
    """Makes calls, and interrupts one of them: at the place `at`, counted through all of them; 0: at none."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.hit = False
        self.place = "nowhere"
        self.points = 0
        self.entered: set[CodeType] = set()

    def __call__(self, call: Callable[[], Any]) -> Outcome[Any]:
        """Make a call."""
        outcome: Outcome[Any] = Outcome()
        if self.hit:
            outcome.values.append(call())
            return outcome
        try:
            return interrupt(call, max(0, self.at - self.points), outcome=outcome)
        finally:
            self.points += outcome.points
            self.entered |= outcome.entered
            self.hit = outcome.interrupted
            self.place = outcome.place


class _Stream:
    def __init__(self, rain: Rain, connection: Connection, mode: AcknowledgeMode, queue_name: str) -> None:
        self._rain = rain
        self._mode = mode
        self._queue_name = queue_name
        self._session = connection.create_session(mode)
        sending = connection.create_session()
        queue = self._session.create_queue(queue_name)
        self._producer = sending.create_producer(queue)
        self._consumer = self._session.create_consumer(queue)
        self._ledger = Ledger()

    def run(self, rounds: int) -> Ledger:
        ledger = self._ledger
        for number in range(rounds):
            text = str(number)
            if self._rain.chance(0.3):
                self._producer.send(text)
                ledger.certain.append(text)
            elif self._rain.chance(0.5):
                outcome = self._hit(lambda text=text: self._producer.send(text), 260)  # type: ignore[misc]
                if not outcome.interrupted:
                    ledger.certain.append(text)
            else:
                outcome = self._hit(lambda text=text: self._producer.send_async(text), 200)  # type: ignore[misc]
                if not outcome.interrupted:
                    ledger.futures[text] = outcome.value
            self._received(self._hit(lambda: self._consumer.receive(0.02), 250).value)
        self._drain()
        return ledger

    def _hit(self, call: Callable[[], Any], places: int) -> Outcome[Any]:
        outcome = self._rain.strike(call, places)
        self._ledger.interrupts += outcome.interrupted
        return outcome

    def _received(self, message: Message | None) -> None:
        if message is None:
            return
        text = str(message.get_body(str))
        interrupted = False
        try:
            if self._mode in EXPLICIT:
                interrupted = self._hit(message.acknowledge, 300).interrupted
            if interrupted:
                message.acknowledge()
        except (TransactionRolledBackError, TransactionOutcomeUnknownError) as error:
            # The session was made anew: what was received in the one before comes again, as it was not acknowledged.
            if interrupted or isinstance(error, TransactionOutcomeUnknownError):
                self._ledger.unsure.add(text)
        else:
            self._ledger.received.append(text)

    def _drain(self) -> None:
        ledger = self._ledger
        ledger.settle_futures()
        end = time.monotonic() + PATIENCE
        while True:
            message = self._consumer.receive(0.3)
            if message is not None:
                try:
                    if self._mode in EXPLICIT:
                        message.acknowledge()
                    ledger.received.append(str(message.get_body(str)))
                except TransactionRolledBackError:
                    pass  # as above
            elif ledger.complete or time.monotonic() > end:
                break
        if self._mode is AcknowledgeMode.SESSION_TRANSACTED:
            self._session.commit()
