"""A writer: takes messages for one destination, and delivers them when its broker can be reached.

Law of this file: `write` touches the store and nothing else, so it never waits for a broker; one thread of the writer
connects, sends in the store's order under each entry's duplicate id, and removes what the broker has confirmed. User
code is called by the dispatcher, never under a lock.
"""

from __future__ import annotations

import enum
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast

from activeclient.client.locator import DEFAULT_URL, ServerLocator
from activeclient.destination import Destination, Queue
from activeclient.drivers import dispatch
from activeclient.drivers.dispatch import Serial
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    ConfigError,
    ConnectionLost,
    DuplicateIDError,
    NotSent,
    ReconnectGaveUp,
    ResourceAllocationError,
    TransactionRolledBackError,
)
from activeclient.events import Detached, Event, Reconnected
from activeclient.jms.addressing import usable
from activeclient.jms.connection import Connection
from activeclient.jms.connection_factory import ActiveMQConnectionFactory
from activeclient.jms.kinds import message_of
from activeclient.jms.message import priority as checked_priority
from activeclient.jms.message_id import UserIds, message_id
from activeclient.jms.modes import DEFAULT_PRIORITY
from activeclient.jms.times import Duration, in_milliseconds, timeout_seconds
from activeclient.masking import never_raises
from activeclient.reconnection import Abort, Decision, ReconnectAttempt, Try
from activeclient.settings import SHORTEST_PERIOD
from activeclient.wire.message import CoreMessage, decode_send, encode_send
from activeclient.wire.names import DUPLICATE_ID
from activeclient.wire.versions import NEWEST
from activeclient.writer.options import ReconnectOptions
from activeclient.writer.store import ENTRY_BYTES, Entry, FileStore, MemoryStore, Store

if TYPE_CHECKING:
    from activeclient.jms.session import Session
    from activeclient.setting_keywords import SettingKeywords

logger: logging.Logger = logging.getLogger("activeclient.writer")
CAPACITY = 64 * 1024 * 1024
"""Bytes that a writer stores, unless told otherwise."""
OUTSTANDING = 1000
"""Messages sent and not confirmed, at most; far fewer than a broker's cache of duplicate ids holds (20,000)."""
CLOSE_SECONDS = 5.0
"""How long `close` waits for what is stored to be delivered, if there is a connection."""
REFUSED_PAUSE = 1.0
"""Seconds before a message that the broker refused is sent again."""
WhenFull = Literal["block", "drop-oldest"]


class WriterState(enum.Enum):
    """Where a writer stands."""

    CONNECTING = "connecting"
    """No connection yet."""
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    """The connection was lost, and is being won back."""
    STOPPED = "stopped"
    """Attempts are used up, or trying again cannot help. `restart` begins anew."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """A writer at one moment; what listeners are given."""

    state: WriterState
    depth: int
    """Messages in the store: taken, and not confirmed by the broker."""
    size: int
    """Bytes of them."""
    oldest_age: float
    """Seconds since the oldest of them was written; 0 when there is none."""
    dropped: int
    """Messages dropped so far for want of room (`when_full="drop-oldest"`)."""
    error: ActiveClientError | None
    """Why it is not connected."""


class _Notifier(Serial):
    """Calls of the user's functions, in order."""

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        super().__init__()
        self._calls: deque[Callable[[], object]] = deque()

    def call(self, function: Callable[[], object]) -> None:
        self._calls.append(function)
        dispatch.current().schedule(self)

    def run(self) -> None:
        while self._calls:
            function = self._calls.popleft()
            try:
                function()
            except Exception:
                logger.exception("a listener of a writer raised")


class StreamWriter:
    """Writes messages to one destination while its broker comes and goes. Thread-safe; a context manager.

    With internal reconnect (the default) local work goes on while the broker is away: what is written is stored, and
    delivered in order and exactly once when the broker is back. Without it the pipeline is stopped for the outage:
    `on_stop` is called, `write` raises `NotSent`, and `on_start` is called when the connection is back.

    Args:
        url: Where the broker is, as for `connect`. It need not be there yet.
        destination: A queue or topic, or the name of a queue.
        store: Path of a file that keeps what is written until the broker has confirmed it, also when this program is
            killed; the next writer with this file delivers it. None: memory.
        capacity: Bytes that are stored at most.
        when_full: `block`: `write` waits for room; `drop-oldest`: the oldest messages that were not sent make room.
        reconnect: When to connect again; see `ReconnectOptions` and `set_config`.
        on_stop: Called with the error when an outage begins, without internal reconnect.
        on_start: Called when it has ended.
        settings: As for `connect`.

    Raises:
        ConfigError: A setting is wrong.
        StoreError: The file is no store, in use by another process, or cannot be used.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        destination: Destination | str = "",
        *,
        store: str | os.PathLike[str] | None = None,
        capacity: int = CAPACITY,
        when_full: WhenFull = "block",
        reconnect: ReconnectOptions | None = None,
        on_stop: Callable[[ActiveClientError], object] | None = None,
        on_start: Callable[[], object] | None = None,
        **settings: Unpack[SettingKeywords],
    ) -> None:
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity <= 0:
            raise ConfigError("capacity", capacity, "must be a number of bytes, more than 0")
        if when_full not in ("block", "drop-oldest"):
            raise ConfigError("when_full", when_full, "must be block or drop-oldest")
        self._destination = usable(Queue(destination) if isinstance(destination, str) else destination, "a writer")
        self._options = reconnect if reconnect is not None else ReconnectOptions()
        merged = {"duplicate_detection": True, **settings}
        locator = ServerLocator.reliable(url, reconnection_strategy=self._decide, **cast("SettingKeywords", merged))
        self._factory = ActiveMQConnectionFactory.of(locator)
        self._store: Store = MemoryStore() if store is None else FileStore(store)
        self._in_file = store is not None
        self._capacity = capacity
        self._when_full = when_full
        self._on_stop, self._on_start = on_stop, on_start
        self._listeners: list[Callable[[WriterStatus], object]] = []
        self._notifier = _Notifier()
        self._ids = UserIds()
        self._changed = threading.Condition()
        self._state = WriterState.CONNECTING
        self._error: ActiveClientError | None = None
        self._connection: Connection | None = None
        self._dropped = 0
        self._last_sent = 0
        """Number of the newest entry that was handed to the connection."""
        self._outstanding: set[int] = set()
        self._confirmed: list[int] = []
        self._failed: ActiveClientError | None = None
        self._ending = threading.Event()
        self._life = 0
        """Counts connections: answers to the sends of an earlier one do not count."""
        self._worked = False
        """Did the present connection get to the destination?"""
        dispatch.current().enter(self)
        self._thread = threading.Thread(target=self._run, name="activeclient-writer", daemon=True)
        self._thread.start()

    # --- options --------------------------------------------------------------------------------------------------

    @property
    def reconnect(self) -> ReconnectOptions:
        """When it connects again; settable, and counts from the next attempt on."""
        return self._options

    @reconnect.setter
    def reconnect(self, options: ReconnectOptions) -> None:
        if not isinstance(options, ReconnectOptions):
            raise ConfigError("reconnect", None, f"must be ReconnectOptions, not {type(options).__name__}")
        self._options = options

    def set_config(self, option: str, value: object) -> None:
        """Set an option by the stream writer's own name: `ReconnectAttempts`, `ReconnectPeriod` (ms),
        `UseUnlimitedReconnect`, `UseInternalReconnect` (0 or 1).

        Raises:
            ConfigError: No such option, or a value that breaks its rule; nothing is changed then.
        """
        self._options = self._options.with_option(option, value)

    @property
    def reconnect_attempts(self) -> int:
        """Attempts after a loss; each success gives all of them back."""
        return self._options.attempts

    @reconnect_attempts.setter
    def reconnect_attempts(self, value: int) -> None:
        self.set_config("ReconnectAttempts", value)

    @property
    def reconnect_period(self) -> int:
        """Milliseconds before each attempt."""
        return self._options.period

    @reconnect_period.setter
    def reconnect_period(self, value: int) -> None:
        self.set_config("ReconnectPeriod", value)

    @property
    def unlimited_reconnect(self) -> bool:
        """Do attempts never end?"""
        return self._options.unlimited

    @unlimited_reconnect.setter
    def unlimited_reconnect(self, value: bool) -> None:
        self.set_config("UseUnlimitedReconnect", value)

    @property
    def internal_reconnect(self) -> bool:
        """Does local work go on while disconnected?"""
        return self._options.internal

    @internal_reconnect.setter
    def internal_reconnect(self, value: bool) -> None:
        self.set_config("UseInternalReconnect", value)

    # --- what it is -----------------------------------------------------------------------------------------------

    @property
    def destination(self) -> Destination:
        """Where messages go."""
        return self._destination

    @property
    def state(self) -> WriterState:
        """Where it stands."""
        return self._state

    @property
    def status(self) -> WriterStatus:
        """State, and what is stored."""
        with self._changed:
            return self._status()

    def _status(self) -> WriterStatus:
        oldest = None if self._state is WriterState.CLOSED else self._store.oldest_ms()
        age = 0.0 if oldest is None else max(0.0, time.time() - oldest / 1000)
        return WriterStatus(self._state, self._store.count, self._store.size, age, self._dropped, self._error)

    def add_listener(self, listener: Callable[[WriterStatus], object]) -> None:
        """Have `listener` called, on a thread of its own, when the state changes, when the store begins to fill in an
        outage, when messages are dropped, and when everything is delivered."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[WriterStatus], object]) -> bool:
        """Call it no more; False when it was not called before."""
        try:
            self._listeners.remove(listener)
        except ValueError:
            return False
        return True

    def _tell(self) -> None:
        """Tell the listeners what it is like now (lock held)."""
        if self._listeners:
            status = self._status()
            for listener in list(self._listeners):
                self._notifier.call(lambda to=listener: to(status))  # type: ignore[misc]

    # --- writing --------------------------------------------------------------------------------------------------

    def write(
        self,
        body: object,
        *,
        properties: Mapping[str, object] | None = None,
        priority: int = DEFAULT_PRIORITY,
        time_to_live: Duration = 0,
        timeout: Duration | None = None,
    ) -> str:
        """Take a message; it is delivered when the broker can be reached, in the order of writing, exactly once.

        With a file as store the message outlives this program when the call has returned.

        Args:
            body: A message, or a body as for `MessageProducer.send`. It is copied.
            properties: Added to the message's.
            priority: 0 to 9.
            time_to_live: Seconds until it expires, counted from now; 0 never.
            timeout: Seconds to wait for room in the store; None: for ever, until the writer stops or is closed.

        Returns:
            The message id that the message will have.

        Raises:
            NotSent: Without internal reconnect: there is no connection.
            ReconnectGaveUp: Attempts are used up; `restart` begins anew.
            ResourceAllocationError: The store is full and no room came within `timeout`, or the message alone is
                larger than the store.
            ClosedError: The writer is closed.
        """
        limit = None if timeout is None else timeout_seconds("timeout", timeout)
        content, identity = self._encoded(body, properties, priority, time_to_live)
        weight = len(content) + ENTRY_BYTES
        if weight > self._capacity:
            raise ResourceAllocationError(f"the message needs {weight} bytes, and the store has {self._capacity}")
        with self._changed:
            self._check_writable()
            if self._store.size + weight > self._capacity:
                self._make_room(weight, limit)
            begins = self._store.count == 0
            self._store.append(content)
            if begins and self._state is not WriterState.CONNECTED:
                self._tell()
            self._changed.notify_all()
        return identity

    def _encoded(
        self, body: object, properties: Mapping[str, object] | None, level: int, time_to_live: Duration
    ) -> tuple[bytes, str]:
        message = message_of(body)
        core = message.outgoing()
        if properties:
            message.properties.set_all(properties)
        now = int(time.time() * 1000)
        live = in_milliseconds("time_to_live", time_to_live)
        made = CoreMessage(
            core.body,
            core.body_type,
            self._destination.address,
            user_id=self._ids.new(),
            timestamp=now,
            expiration=now + live if live else 0,
            priority=checked_priority(level),
            properties={k: v for k, v in core.properties.items() if k != DUPLICATE_ID},
        )
        return encode_send(made, 0, NEWEST), cast("str", message_id(made.user_id))

    def _check_writable(self) -> None:
        if self._state is WriterState.CLOSED or self._ending.is_set():
            raise ClosedError("the writer is closed")
        if self._state is WriterState.STOPPED and self._error is not None:
            raise self._error.again()
        if not self._options.internal and self._state is not WriterState.CONNECTED:
            raise NotSent(f"the writer is {self._state.value}: {self._error or 'there is no connection yet'}")

    def _make_room(self, weight: int, limit: float | None) -> None:
        deadline = None if limit is None else time.monotonic() + limit
        while self._store.size + weight > self._capacity:
            if self._when_full == "drop-oldest" and self._drop():
                continue
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise ResourceAllocationError(
                    f"the store is full: {self._store.count} messages, {self._store.size} of {self._capacity} bytes"
                )
            self._changed.wait(left)
            self._check_writable()

    def _drop(self) -> bool:
        """Drop the oldest message that was not sent; False if all were."""
        oldest = self._store.after(self._last_sent, 1)
        if not oldest:
            return False
        self._store.remove([oldest[0].number])
        self._dropped += 1
        if self._dropped == 1 or self._dropped % 1000 == 0:
            logger.warning("writer to %s: the store is full, %d messages dropped", self._destination, self._dropped)
            self._tell()
        return True

    def flush(self, timeout: Duration | None = None) -> bool:
        """Wait until the broker has confirmed everything that was written before; False after `timeout` seconds.

        Raises:
            ReconnectGaveUp: Attempts are used up.
            ClosedError: The writer is closed.
        """
        limit = None if timeout is None else timeout_seconds("timeout", timeout)
        deadline = None if limit is None else time.monotonic() + limit
        with self._changed:
            while self._store.count:
                if self._state is WriterState.STOPPED and self._error is not None:
                    raise self._error.again()
                if self._state is WriterState.CLOSED:
                    raise ClosedError("the writer is closed")
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def restart(self) -> None:
        """Begin anew after the attempts were used up; does nothing in another state."""
        with self._changed:
            if self._state is WriterState.STOPPED and not self._ending.is_set():
                self._enter(WriterState.CONNECTING, self._error)

    # --- the writer's own thread ----------------------------------------------------------------------------------

    def _decide(self, attempt: ReconnectAttempt) -> Decision:
        """On each attempt of the connection, by the options of now."""
        options = self._options
        if options.period < SHORTEST_PERIOD:
            return Abort(f"a period of {options.period} ms switches reconnection off")
        if not options.unlimited and attempt.number > options.attempts:
            return Abort(f"{options.attempts} attempts are used up")
        return Try(after=options.period / 1000)

    def _enter(self, state: WriterState, error: ActiveClientError | None) -> None:
        """Change the state (lock held)."""
        before = self._state
        self._error = error
        if state is before:
            return
        self._state = state
        logger.info("writer to %s: %s", self._destination, state.value if error is None else f"{state.value}: {error}")
        self._changed.notify_all()
        self._tell()
        if not self._options.internal:
            lost = before is WriterState.CONNECTED and state in (WriterState.RECONNECTING, WriterState.STOPPED)
            if lost and self._on_stop is not None and error is not None:
                self._notifier.call(lambda: cast("Callable[[Any], object]", self._on_stop)(error))
            if state is WriterState.CONNECTED and self._on_start is not None:
                self._notifier.call(self._on_start)

    def _run(self) -> None:
        failures = 0
        while not self._ending.is_set():
            error: ActiveClientError
            try:
                self._live()
                return
            except ActiveClientError as exc:
                error = exc
            except Exception as exc:
                logger.exception("writer to %s: an unexpected error", self._destination)
                error = ConnectionLost(f"{type(exc).__name__}: {exc}")
            finally:
                self._disconnect()
            with self._changed:
                if self._ending.is_set():
                    return
                if self._worked:
                    failures = 0  # each success gives all attempts back
                failures += 1
                stop = self._over(error, failures)
                self._enter(WriterState.STOPPED if stop is not None else WriterState.CONNECTING, stop or error)
                if stop is None:
                    self._changed.wait_for(lambda: self._ending.is_set(), self._options.period / 1000)
                    continue
                self._changed.wait_for(lambda: self._ending.is_set() or self.state is not WriterState.STOPPED)
                failures = 0

    def _over(self, error: ActiveClientError, failures: int) -> ActiveClientError | None:
        """What ends the series of attempts to connect, if it is over."""
        options = self._options
        if isinstance(error, ReconnectGaveUp) or not (error.retriable or isinstance(error, NotSent)):
            return error
        if not options.reconnects or (not options.unlimited and failures > options.attempts):
            ended = ReconnectGaveUp(f"the writer's attempts are used up: {error}")
            ended.__cause__ = error
            return ended
        return None

    def _live(self) -> None:
        """One connection, from its making to its end; returns when the writer is closed."""
        self._settle()
        self._worked = False
        connection = self._factory.create_connection()
        with self._changed:
            self._connection = connection
            self._life += 1
            self._last_sent = 0
            self._outstanding.clear()
            self._failed = None
        connection.add_event_listener(self._heard)
        session = connection.create_session()
        session.known.for_sending(session.core, self._destination)
        with self._changed:
            self._worked = True
            if connection.is_connected:
                self._enter(WriterState.CONNECTED, None)
        self._drain(session)

    def _drain(self, session: Session) -> None:
        with session.core.create_producer(self._destination.address) as producer:
            producer.stamps = False
            life = self._life
            while True:
                entries = self._next(session)
                if entries is None:
                    return
                for entry in entries:
                    producer.send(
                        self._outgoing(entry),
                        lambda _, error, number=entry.number: self._answered(life, number, error),  # type: ignore[misc]
                    )

    def _outgoing(self, entry: Entry) -> CoreMessage:
        stored, *_ = decode_send(entry.content, NEWEST)
        return CoreMessage(
            stored.body,
            stored.body_type,
            user_id=stored.user_id,
            timestamp=stored.timestamp,
            expiration=stored.expiration,
            priority=stored.priority,
            properties={**stored.properties, DUPLICATE_ID: entry.duplicate_id},
        )

    def _next(self, session: Session) -> list[Entry] | None:
        """Settle what was confirmed, and wait for what to send next; None: the writer is closed."""
        while True:
            self._settle()
            with self._changed:
                if self._confirmed:
                    continue
                if self._failed is not None:
                    raise self._refused_or_lost(session)
                if self._ending.is_set():
                    return None
                room = OUTSTANDING - len(self._outstanding)
                entries = self._store.after(self._last_sent, min(room, 100)) if room > 0 else []
                if entries:
                    self._last_sent = entries[-1].number
                    self._outstanding.update(entry.number for entry in entries)
                    return entries
                self._changed.wait(1.0)
                session.check_open()

    def _settle(self) -> None:
        """Remove what the broker has confirmed."""
        with self._changed:
            confirmed, self._confirmed = self._confirmed, []
        if confirmed:
            self._store.remove(confirmed)
            with self._changed:
                self._outstanding.difference_update(confirmed)
                self._changed.notify_all()
                if not self._store.count:
                    self._tell()

    def _refused_or_lost(self, session: Session) -> ActiveClientError:
        """The error that ends this life; what the broker refused is tried again after a pause (lock held)."""
        error = self._failed
        assert error is not None
        if error.code is not None and not isinstance(error, ConnectionLost | TransactionRolledBackError):
            logger.warning("writer to %s: the broker refused a message, it is sent again: %s", self._destination, error)
            self._error = error
            self._tell()
            self._changed.wait_for(lambda: self._ending.is_set(), REFUSED_PAUSE)
            refused = ConnectionLost(f"the broker refused a message: {error}", code=error.code)
            refused.__cause__ = error
            return refused
        return error

    def _answered(self, life: int, number: int, error: ActiveClientError | None) -> None:
        """The broker has answered a send, or the connection gave it up."""
        with self._changed:
            if life != self._life:
                return
            if error is None or isinstance(error, DuplicateIDError):  # a repeat: the first one was stored
                self._confirmed.append(number)
            elif self._failed is None:
                self._failed = error
            self._changed.notify_all()

    def _heard(self, event: Event) -> None:
        """An event of the connection."""
        with self._changed:
            if self._ending.is_set() or self._state in (WriterState.STOPPED, WriterState.CLOSED):
                return
            if isinstance(event, Detached):
                self._enter(WriterState.RECONNECTING, event.reason)
            elif isinstance(event, Reconnected) and self._worked:
                self._enter(WriterState.CONNECTED, None)

    def _disconnect(self) -> None:
        with self._changed:
            connection, self._connection = self._connection, None
            self._life += 1
        if connection is not None:
            try:
                connection.close()
            except ActiveClientError as error:
                logger.debug("writer to %s: closing its connection: %s", self._destination, error)

    # --- closing --------------------------------------------------------------------------------------------------

    def close(self, timeout: Duration = CLOSE_SECONDS) -> None:
        """Deliver what is stored, for `timeout` seconds at most and only while connected; then close.

        What is in a file stays there for the next writer. Calling it again does nothing.

        Raises:
            NotSent: Messages in memory were not confirmed by the broker; the text says how many. Some of them may have
                been stored by it.
        """
        limit = timeout_seconds("timeout", timeout)
        deadline = time.monotonic() + limit
        with self._changed:
            if self._state is WriterState.CLOSED:
                return
            while self._store.count and self._state is WriterState.CONNECTED:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._ending.set()
            connection = self._connection
            self._changed.notify_all()
        if connection is not None and not connection.is_connected:
            connection.close()  # wakes the writer's thread, which may wait for the connection
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive() and connection is not None:
            connection.close()
            self._thread.join(CLOSE_SECONDS)
        self._settle()
        with self._changed:
            left_over = self._store.count
            self._enter(WriterState.CLOSED, None)
        self._store.close()
        dispatch.current().wait_idle(self._notifier, CLOSE_SECONDS)
        dispatch.current().leave(self)
        if left_over and self._in_file:
            logger.info("writer to %s: %d messages stay in its file", self._destination, left_over)
        elif left_over:
            raise NotSent(f"{left_over} messages were not confirmed by the broker, and are lost with this writer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.close()
        except NotSent as lost:
            if error is None:
                raise
            error.add_note(str(lost))

    @never_raises
    def __repr__(self) -> str:
        return f"<StreamWriter {self._destination} {self._state.value}>"
