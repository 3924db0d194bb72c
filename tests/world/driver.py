"""Drives one client engine in virtual time, as `ports.Engine` demands of every driver.

Law of this file: after each call of the engine all events are taken, then all bytes written, then the timer set; the
engine is asked nothing that a real driver could not ask. Bytes for a transport that does not exist are a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from activeclient.engine.client import ClientEngine
from activeclient.engine.session import Session
from activeclient.errors import CallInterrupted, ConnectFailed, ConnectionLost
from activeclient.events import Abort, Connect, Connected, Event, Work
from tests.world.clock import Clock, Timer
from tests.world.network import Connection

if TYPE_CHECKING:
    from tests.world.storm import Storm
    from tests.world.world import World

EVENTS_AT_ONCE = 2000


class ClientEnd:
    """The client's end of one connection (a `network.Receiver`); forgotten when the engine has another."""

    __slots__ = ("driver", "transport")

    def __init__(self, driver: Driver, transport: Connection) -> None:
        self.driver = driver
        self.transport = transport

    def data(self, chunk: bytes) -> None:
        """Bytes from the server."""
        driver = self.driver
        if driver.end is self:
            driver.tell(lambda: driver.engine.receive_data(chunk, driver.clock.now))

    def gone(self, reason: str) -> None:
        """The socket ended."""
        driver = self.driver
        if driver.end is self:
            driver.end = None
            driver.tell(lambda: driver.engine.connection_lost(ConnectionLost(reason), driver.clock.now))


class Driver:
    """One client."""

    def __init__(self, world: World, engine: ClientEngine) -> None:
        self.world = world
        self.clock: Clock = world.clock
        self.engine = engine
        self.end: ClientEnd | None = None
        self.attempt = 0
        self.log: list[tuple[float, Event]] = []
        self.problems: list[str] = []
        self.after: Callable[[], None] = lambda: None
        """Called when the engine has been told something: waiters look at their conditions."""
        self.on_connected: Callable[[], None] = lambda: None
        """Called when the first connection stands."""
        self._timer: Timer | None = None
        self._timer_at: float | None = None
        self.storm: Storm | None = None
        """What interrupts calls of the engine."""
        self._working: list[Session] = []
        self._busy = False

    def open(self) -> None:
        """Begin."""
        self.engine.open(self.clock.now)
        self.process()

    def tell(self, call: Callable[[], None]) -> None:
        """Call the engine, and do what follows.

        A call that is interrupted costs the link, as `Pump.repair` has it, and so does an interrupt of that.
        """
        while self._interrupted(call):
            self._drop()
            call = self._repair
        self.process()

    def _interrupted(self, call: Callable[[], None]) -> bool:
        if self.storm is None:
            call()
            return False
        return self.storm.interrupts(call)

    def _repair(self) -> None:
        self.engine.connection_lost(CallInterrupted("a call was interrupted"), self.clock.now)

    def process(self) -> None:
        """Events, bytes, timer; then those who wait, and what they caused."""
        if self._busy:
            return
        self._busy = True
        try:
            self._serve()
            self.after()
            self._serve()
            while self._working:
                session = self._working.pop(0)
                session.work_announced = False
                while session.work:
                    session.work.popleft().run()
                self._serve()
                self.after()
                self._serve()
        finally:
            self._busy = False

    def _serve(self) -> None:
        engine = self.engine
        for _ in range(EVENTS_AT_ONCE):
            event = engine.next_event()
            if event is None:
                break
            if isinstance(event, Connect):
                self._connect(event)
            elif isinstance(event, Abort):
                self._drop()
            elif isinstance(event, Work):
                assert isinstance(event.session, Session)
                self._working.append(event.session)
            else:
                self.log.append((self.clock.now, event))
                if isinstance(event, Connected):
                    self.on_connected()
        else:
            self.problems.append(f"{self.clock.now:.4f}: {EVENTS_AT_ONCE} events at once")
        if engine.pending_bytes or engine.outbox:
            data = b"".join(engine.data_to_send())
            if self.end is not None:
                self.end.transport.up.write(data)
            else:
                self.problems.append(f"{self.clock.now:.4f}: {len(data)} bytes for no transport")
        due = engine.next_timeout()
        if due != self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due
            self._timer = None if due is None else self.clock.at(due, self._timeout)

    def _timeout(self) -> None:
        self._timer = self._timer_at = None
        self.tell(lambda: self.engine.handle_timeout(self.clock.now))

    def _drop(self) -> None:
        self.attempt += 1
        end, self.end = self.end, None
        if end is not None:
            end.transport.close_by_client()

    def _connect(self, event: Connect) -> None:
        self._drop()
        attempt = self.attempt
        fate = self.world.fate_of_connect()
        delay = 0.0002 + self.world.rng.random() * 0.002
        if fate == "hang":
            return
        if fate == "refuse":
            self.clock.later(delay, lambda: self._refused(attempt))
        else:
            self.clock.later(delay, lambda: self._made(attempt, fate))

    def _refused(self, attempt: int) -> None:
        if attempt == self.attempt:
            self.tell(lambda: self.engine.connection_lost(ConnectFailed("refused"), self.clock.now))

    def _made(self, attempt: int, fate: str) -> None:
        if attempt != self.attempt:
            return
        if not self.world.broker.up or self.clock.now < self.world.outage_until:
            self._refused(attempt)
            return
        transport = self.world.new_connection()
        self.end = ClientEnd(self, transport)
        if fate == "late":
            transport.up.held_until = self.clock.now + self.world.stall()
        transport.attach(self.end, None if fate == "silent" else self.world.broker.accept(transport))
        self.tell(lambda: self.engine.connection_made(self.clock.now))
