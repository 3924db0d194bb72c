"""What the cases share: parameters, a listener of every kind, a stream with a verdict, ways to end a session.

Law: nothing here sleeps for a result: it waits for a condition and says in its error what it saw instead.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from activeclient.client.consumer import ClientConsumer
from activeclient.client.listeners import ConnectionFailure, FailoverEventType, Recovery
from activeclient.client.locator import ServerLocator
from activeclient.client.management import Management
from activeclient.client.producer import ClientProducer
from activeclient.client.session import ClientSession, SendHandler
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.drivers import dispatch
from activeclient.errors import ActiveClientError
from activeclient.events import Detached, Event, GaveUp, Reconnected
from activeclient.testing.cuts import How
from activeclient.testing.cutter import Cutter
from activeclient.wire.message import CoreMessage

PATIENCE = 30.0
"""Seconds after which what should have come is missing; a busy machine needs some."""
SLACK = 3.0
"""Seconds for which a busy machine may stand still: a duration is bounded by what it should be and these. What a wrong
client would need is longer, and so is every time-out that must not strike."""
RETRY: dict[str, object] = {"retryInterval": 50, "reconnectAttempts": -1, "callTimeout": 10000}
WINDOW: dict[str, object] = {**RETRY, "confirmationWindowSize": 1048576}
"""Sessions are reattached; no duplicate ids."""
NO_WINDOW: dict[str, object] = dict(RETRY)
"""Sessions are recreated; no duplicate ids."""
RELIABLE: dict[str, object] = {"profile": "reliable", "callTimeout": 10000}

E = TypeVar("E", bound=Event)
T = TypeVar("T")


def eventually(seen: Callable[[], T], what: str, timeout: float = PATIENCE) -> T:
    """The first true value of *seen*; AssertionError with *what* and the last value after *timeout* seconds."""
    deadline = time.monotonic() + timeout
    while not (value := seen()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s; last seen {value!r}")
        time.sleep(0.005)
    return value


def all_told(factory: ClientSessionFactory) -> bool:
    """Wait until everything that has happened so far is told: listeners have a thread of their own."""
    return dispatch.current().wait_idle(factory.listeners, PATIENCE)


class Recorder:
    """Listens in all four ways and keeps everything in order."""

    def __init__(self, factory: ClientSessionFactory) -> None:
        self._factory = factory
        self.events: list[Event] = []
        self.times: list[float] = []
        self.before: list[ConnectionFailure] = []
        self.ended: list[tuple[ConnectionFailure, bool]] = []
        self.failover: list[FailoverEventType] = []
        factory.add_event_listener(self.on_event)
        factory.add_failure_listener(self)
        factory.add_failover_listener(self.failover.append)

    def on_event(self, event: Event) -> None:
        self.times.append(time.monotonic())
        self.events.append(event)

    def before_reconnect(self, error: ConnectionFailure) -> None:
        self.before.append(error)

    def connection_failed(self, error: ConnectionFailure, failed_over: bool) -> None:
        self.ended.append((error, failed_over))

    def of(self, kind: type[E]) -> list[E]:
        """The events of one kind so far."""
        return [event for event in list(self.events) if isinstance(event, kind)]

    def wait(self, kind: type[E], count: int = 1, timeout: float = PATIENCE) -> E:
        """The *count*-th event of a kind."""
        eventually(lambda: len(self.of(kind)) >= count, f"{count} {kind.__name__}", timeout)
        return self.of(kind)[count - 1]

    def all_told(self) -> None:
        """Wait until everything that has happened so far is recorded."""
        assert all_told(self._factory)

    def time_of(self, kind: type[Event]) -> float:
        """When the first event of a kind was told (monotonic)."""
        return next(at for at, event in zip(self.times, self.events, strict=False) if isinstance(event, kind))

    def recoveries(self) -> list[Recovery | None]:
        """How each outage ended."""
        return [error.recovery for error, _ in list(self.ended)]

    def told_once(self, *recoveries: Recovery) -> None:
        """Every listener was told of exactly these outages, once each, in order, beginning and end."""
        eventually(lambda: len(self.ended) >= len(recoveries), f"{len(recoveries)} ends of outages")
        assert self.recoveries() == list(recoveries)
        assert len(self.before) == len(recoveries)
        expected: list[FailoverEventType] = []
        for recovery in recoveries:
            gave_up = recovery is Recovery.GAVE_UP
            end = FailoverEventType.FAILOVER_FAILED if gave_up else FailoverEventType.FAILOVER_COMPLETED
            expected += [FailoverEventType.FAILURE_DETECTED, end]
        assert self.failover == expected
        kinds = [type(event) for event in self.events if isinstance(event, (Detached, Reconnected, GaveUp))]
        assert len(kinds) == 2 * len(recoveries)
        assert kinds[::2] == [Detached] * len(recoveries)


class Opened:
    """Opens connections for one test and closes them at its end."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def factory(self, url: str, parameters: dict[str, object] | None = None, **more: object) -> ClientSessionFactory:
        """A connection to *url* with parameters."""
        query = "&".join(f"{key}={value}" for key, value in {**(parameters or {}), **more}.items())
        locator = self._stack.enter_context(ServerLocator(f"{url}?{query}" if query else url))
        return self._stack.enter_context(locator.create_session_factory())

    def session(self, url: str, parameters: dict[str, object] | None = None, **more: object) -> ClientSession:
        """A started session on a connection of its own."""
        return self._stack.enter_context(self.factory(url, parameters, **more).create_session()).start()

    def close(self) -> None:
        """Close everything, newest first."""
        self._stack.close()


def settled(factory: ClientSessionFactory) -> None:
    """Nothing more comes by itself on this connection: the broker tells the topology some time after the login (2.57
    from a thread of its own), and a cut after the next byte would take that for the answer that it waits for."""
    eventually(lambda: factory.engine.topology._known, "the topology")


@contextlib.contextmanager
def outage(line: Cutter, how: How = How.RESET) -> Iterator[None]:
    """The line is cut, and the port refuses until the end of the block."""
    line.down()
    line.cut_now(how)
    try:
        yield
    finally:
        line.up()


def pause(seconds: float) -> None:
    """Let an outage last: its length is what the case is about."""
    time.sleep(seconds)


def in_thread(call: Callable[[], T]) -> Result[T]:
    """Run *call* in a thread."""
    return Result(call)


class Result(Generic[T]):
    """What a call in another thread came to."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._values: list[T] = []
        self.error: BaseException | None = None
        self.began = time.monotonic()
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True)
        self._thread.start()

    def _run(self, call: Callable[[], T]) -> None:
        try:
            self._values.append(call())
        except BaseException as error:
            self.error = error
        finally:
            self.seconds = time.monotonic() - self.began

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def join(self, timeout: float = PATIENCE) -> Result[T]:
        """Wait for its end."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"the call did not end within {timeout} s"
        return self

    def value(self, timeout: float = PATIENCE) -> T:
        """What it returned; raises what it raised."""
        self.join(timeout)
        if self.error is not None:
            raise self.error
        return self._values[0]


def numbered(session: ClientSession, index: int, size: int = 100, *, durable: bool = True) -> CoreMessage:
    """A message whose body says its number."""
    return session.create_message(durable, body=index.to_bytes(8, "big") + bytes(size - 8))


def send_numbers(
    producer: ClientProducer, numbers: Iterable[int], handler: SendHandler | None = None, *, size: int = 100
) -> None:
    """Send a numbered message for each of *numbers*."""
    for number in numbers:
        producer.send(numbered(producer.session, number, size), handler)


def number_of(message: CoreMessage) -> int:
    """The number in a body made by `numbered`."""
    return int.from_bytes(message.body[:8], "big")


def drain(consumer: ClientConsumer, expected: int = 0, *, acknowledge: bool = True, timeout: float = 0) -> list[int]:
    """The numbers of everything that is there now, acknowledged one by one.

    With a *timeout*, nothing more comes within so many seconds; *expected* messages are waited for with patience first.
    """
    found: list[int] = []
    while (message := consumer.receive(PATIENCE if len(found) < expected else timeout)) is not None:
        found.append(number_of(message))
        if acknowledge:
            message.acknowledge()
    return found


class Inbox:
    """A listener's numbers, redeliveries and order."""

    def __init__(self, consumer: ClientConsumer) -> None:
        self.numbers: list[int] = []
        self.redelivered = 0
        consumer.message_handler = self._take

    def _take(self, message: CoreMessage) -> None:
        self.redelivered += message.delivery_count > 1
        self.numbers.append(number_of(message))
        message.acknowledge()

    def wait(self, count: int, timeout: float = PATIENCE) -> None:
        """Until *count* different numbers have come."""
        eventually(lambda: len(set(self.numbers)) >= count, f"{count} messages, {len(self.numbers)} came", timeout)

    def exactly(self, count: int) -> None:
        """Everything from 0 came once and in order."""
        self.wait(count)
        twice = [number for number, times in Counter(self.numbers).items() if times > 1]
        assert not twice, f"received twice: {twice}"
        assert self.numbers == list(range(count))


class Outcomes:
    """A send handler: how each numbered message ended; a second end for one is an error."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.failed: dict[int, ActiveClientError] = {}
        self.ended: Counter[int] = Counter()

    def __call__(self, message: CoreMessage, error: ActiveClientError | None) -> None:
        number = number_of(message)
        if error is None:
            self.done.append(number)
        else:
            self.failed[number] = error
        self.ended[number] += 1

    def wait(self, count: int) -> None:
        """Until *count* sends have ended; each exactly once."""
        eventually(lambda: sum(self.ended.values()) >= count, f"{count} outcomes")
        assert sum(self.ended.values()) == count
        assert max(self.ended.values(), default=1) == 1


class ServerManagement(Management):
    """Management of the broker, past any cutter: with what cases ask about the connections of sessions."""

    def connection_of(self, session_name: str) -> str | None:
        """The server's id of the connection that a session belongs to."""
        names = self.invoke("broker", "listConnectionIDs")
        assert isinstance(names, list)
        for name in names:
            sessions = self.invoke("broker", "listSessions", name)
            if isinstance(sessions, list) and session_name in sessions:
                return str(name)
        return None

    def fail_connection_of(self, session_name: str) -> None:
        """The server fails the connection of a session: its sessions are closed at once, a window does not help.

        A server that has closed the session already, as 2.57 does when the line is cut, needs no help.
        """
        connection = self.connection_of(session_name)
        if connection is not None:
            self.invoke("broker", "closeConnectionWithID", connection)
