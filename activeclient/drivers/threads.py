"""The pump: one engine, one transport, one lock, and the rule that whoever waits reads.

Law of this file: the engine is touched only with `lock` held, and nothing that may block happens under it. At most one
thread polls for a connection: a caller that waits (the leader), or else the keeper. Bytes are read under the lock, so a
transport that was replaced is never read. A parked waiter is released when its own condition holds, or to lead; whoever
leaves `wait` while nobody leads passes the lead on.

An exception may come between any two instructions of a caller's thread (Ctrl-C, a signal handler that raises). So
`moving` is true exactly while a thread that holds the lock changes the engine or moves bytes between it and the
transport. Whoever is interrupted then, or finds `moving` set when it takes the lock, calls `repair`: that costs the
link, and nothing else. `motion` does all of it for those who need no speed.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import ClassVar

from activeclient.drivers import dispatch, keeper
from activeclient.drivers.interrupts import raised_by_handler
from activeclient.drivers.outbox import CONGESTED_BYTES, FLUSH_BYTES, Outbox
from activeclient.drivers.poller import MAX_SECONDS, Poller
from activeclient.drivers.ports import CancelToken, Opener, Transport
from activeclient.errors import (
    ActiveClientError,
    CallInterrupted,
    ClosedError,
    ConnectFailed,
    ConnectionLost,
    ForkedError,
)
from activeclient.events import Abort, Connect, Event
from activeclient.ports import Engine

logger: logging.Logger = logging.getLogger("activeclient.pump")

TAKEOVER_SECONDS = 0.03
"""The keeper reads a connection after no caller has done so for this time."""

READ_BYTES = 256 * 1024
"""Most bytes taken by one read."""


_ONCE = (True,)


class _Waiter:
    __slots__ = ("gate", "ready", "released")

    def __init__(self, ready: Callable[[], bool]) -> None:
        self.ready = ready
        self.released = False
        self.gate = threading.Lock()
        self.gate.acquire()


class _Buffers(threading.local):
    view: memoryview | None = None


_buffers = _Buffers()


def _buffer() -> memoryview:
    view = _buffers.view
    if view is None:
        view = _buffers.view = memoryview(bytearray(READ_BYTES))
    return view


def _holds(ready: Callable[[], bool]) -> bool:
    # A condition that raises is for its own thread to raise.
    try:
        return ready()
    except Exception as exc:
        if raised_by_handler(exc):
            raise
        return True


class Motion:
    """`with pump.lock, pump.motion:` marks that the engine is being changed; an interrupt amid that costs the link.

    An `ActiveClientError` says what the engine has refused, and leaves it whole. Where the block waits, it is whole
    too, and an interrupt costs nothing.
    """

    __slots__ = ("_pump",)

    def __init__(self, pump: Pump) -> None:
        self._pump = pump

    def __enter__(self) -> None:
        pump = self._pump
        if pump.moving:
            pump.repair()
        pump.moving = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        pump = self._pump
        if kind is None or issubclass(kind, ActiveClientError):
            pump.moving = False
        elif pump.moving:
            pump.repair()


class Pump:
    """Moves bytes between an engine and its transport, opens transports when asked, keeps the timers.

    Args:
        engine: Guarded by `lock` from now on.
        opener: See `Opener`.
        on_event: Gets every event but `Connect` and `Abort`, with `lock` held; must not block, nor call the pump.
        linger: Seconds that bytes may wait for company; 0 writes at once.
        high_water: Unwritten bytes at which senders wait.
        low_water: Unwritten bytes at which they go on.
        clock: Monotonic seconds, of `time.monotonic`'s origin: the keeper's timers go by that.
        name: For log lines and errors.

    `lock` is replaced in a child process: take it from the attribute each time. Methods say whether they want it held.
    """

    def __init__(
        self,
        engine: Engine,
        opener: Opener,
        on_event: Callable[[Event], None],
        *,
        linger: float = 0.001,
        high_water: int = CONGESTED_BYTES,
        low_water: int = CONGESTED_BYTES - 1,
        clock: Callable[[], float] = time.monotonic,
        name: str = "",
    ) -> None:
        self.lock: threading.Lock = threading.Lock()
        self.moving: bool = False
        """Is the thread that holds the lock changing the engine? Else, when it is set: who did so was interrupted."""
        self.motion: Motion = Motion(self)
        self.name = name
        self._engine = engine
        self._opener = opener
        self._on_event = on_event
        self._clock = clock
        self._outbox = Outbox(linger)
        self._high_water = high_water
        self._low_water = min(low_water, high_water - 1)
        self._congested = False
        self._keeper = keeper.current()
        self._dispatcher = dispatch.current()
        self._transport: Transport | None = None
        self._token: CancelToken | None = None
        self._started = False
        self._closed = False
        self._ended = False
        """Has `close` given everything back?"""
        self._entered = False
        """Does the dispatcher count this connection?"""
        self._waiters: list[_Waiter] = []
        self._leader: Callable[[], bool] | None = None
        """The condition of the thread that reads."""
        self._poller = Poller()
        """Where the leader sleeps."""
        self._watched = 0
        """The mask that the keeper watches the transport for."""
        self._missed = False
        """The keeper came when the lock was taken for long."""
        self._last_read = -inf
        self._idle_due = inf
        self._armed: list[float] = []
        """Timers at the keeper, earliest last; a timer is set only if it is earlier than all of them."""
        _pumps.add(self)

    # --- state --------------------------------------------------------------------------------------------------

    forked: ClassVar[bool] = False
    """Does it belong to the parent of this process?"""

    @property
    def connected(self) -> bool:
        """Is there a transport?"""
        return self._transport is not None

    @property
    def started(self) -> bool:
        """Was `start` called?"""
        return self._started

    def keep(self) -> None:
        """Have the keeper mind the connection again if it was dropped, collected, and is to be closed well (lock not
        held)."""
        with self.lock:
            if self._started and not self._closed and not self._keeper.minds(self):
                self._keeper.add(self)
                self._armed.clear()
                self._watched = 0
                self._arm_engine()
                self._watch()

    @property
    def closed(self) -> bool:
        """Was `close` called?"""
        return self._closed

    @property
    def congested(self) -> bool:
        """Does so much wait for the peer that senders must? (lock held)

        From the high-water mark on, until no more than the low-water mark is left.
        """
        transport = self._transport
        if transport is None:
            return False
        unwritten = transport.stuck + self._engine.pending_bytes
        self._congested = unwritten > self._low_water if self._congested else unwritten >= self._high_water
        return self._congested

    # --- life ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Let the engine begin to connect (lock not held); nothing happens when it was closed before."""
        with self.lock, self.motion:
            if self._started or self._closed:
                return
            self._started = True
            self._keeper.add(self)
            self._dispatcher.enter(self)
            now = self._clock()
            self._engine.open(now)
            self._after_call(now)

    def close(self, now: float | None = None) -> None:
        """Close the engine, write what can be written at once, drop the transport (lock not held).

        Every waiter is released. May be called in any state, from any thread, more than once: a second call goes on
        where the first one was interrupted.
        """
        with self.lock, self.motion:
            if self._ended:
                return
            closed, self._closed = self._closed, True
            now = self._clock() if now is None else now
            try:
                if not closed:
                    self._engine.close(now)
                    self.flush(now)  # before the events: the last of them is Abort
                    self._process(now)
            finally:
                self._give_back()

    def _give_back(self) -> None:
        """Release every waiter, the transport, and what else a closed pump holds; again, if it was interrupted."""
        self._drop()
        for waiter in self._waiters:
            if not waiter.released:
                waiter.released = True
                waiter.gate.release()
        if self._leader is None:
            self._poller.close()
        if self._started:
            self._keeper.remove(self)
            self._dispatcher.leave(self)
        self._ended = True

    # --- interrupts ---------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """For the handler of an exception amid a hot path: lose the link if the engine was in motion (lock held)."""
        if self.moving:
            self.repair()

    def repair(self) -> None:
        """The engine was left amid a change: make it whole, and lose the link (lock held).

        What was on its way is repeated by the next link. Whoever interrupts this leaves `moving` set, so that it is
        done again by the next one who takes the lock.
        """
        self._keeper.arm(self, self._clock())  # who is woken in any case
        self._armed.clear()
        now = self._clock()
        self._idle_due = inf
        self._drop()
        if self._closed:
            self._engine.close(now)
            self._process(now)
            self._give_back()
        else:
            if self._started:
                self._keeper.add(self)
                self._dispatcher.enter(self)
            self._engine.connection_lost(
                CallInterrupted(f"{self.name or 'the connection'}: a call was interrupted"), now
            )
            self._process(now)
            self._dispatcher.rescue()
            self._arm(now)
        self.moving = False
        self.notify()

    # --- waiting ------------------------------------------------------------------------------------------------

    def wait(self, ready: Callable[[], bool], timeout: float | None, patience: float = 0.0) -> bool:
        """Move bytes until `ready()` holds (True) or `timeout` seconds are over (False); None: no limit (lock held).

        `ready` is called with the lock held, by any thread, after every batch of input; it must be quick and without
        effects. The lock is released while this thread waits, and held again when it returns or raises.

        `patience` is for those who wait for much input, such as a place in a full buffer: seconds to let input gather
        before it is read. A broker that answers each message by itself would otherwise wake them for each answer.

        Raises:
            ClosedError: The pump was closed and `ready()` does not hold.
        """
        moving, self.moving = self.moving, True
        try:
            done = ready() or self._wait(ready, timeout, patience)
        except ActiveClientError:
            self.moving = moving
            raise
        except BaseException as error:
            if isinstance(error, Exception) and not raised_by_handler(error):
                self.moving = moving  # the condition raised, which harms nobody else
            elif self.moving and not moving:
                self.repair()  # else the caller does
            raise
        self.moving = moving
        return done

    def _wait(self, ready: Callable[[], bool], timeout: float | None, patience: float) -> bool:
        deadline = None if timeout is None else self._clock() + timeout
        if not self._closed:
            self.flush()
            if self._leader is None and self._transport is not None and timeout is not None and timeout <= 0:
                self._read(self._transport)
        try:
            while not ready():
                if self._closed:
                    raise ClosedError(f"connection {self.name or 'without name'} was closed")
                if deadline is not None and deadline <= self._clock():
                    return False
                if self._transport is None or self._leader is not None:
                    self._park(ready, deadline)
                else:
                    self._lead(ready, deadline, patience)
            return True
        finally:
            if self._leader is None:
                moving, self.moving = self.moving, True
                self._pass_on()
                self.moving = moving

    def notify(self) -> None:
        """The engine changed by something else than input: release whose condition holds now (lock held)."""
        leader = self._leader
        if leader is not None and self._poller.asleep and _holds(leader):
            self._poller.wake()
        for waiter in self._waiters:
            if not waiter.released and _holds(waiter.ready):
                waiter.released = True
                waiter.gate.release()

    def _park(self, ready: Callable[[], bool], deadline: float | None) -> None:
        """Sleep until released or `deadline`."""
        waiter = _Waiter(ready)
        try:
            self._waiters.append(waiter)
            self._sleep(waiter, deadline)
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        if self.moving:
            self.repair()  # somebody was interrupted meanwhile
        self.moving = True

    def _sleep(self, waiter: _Waiter, deadline: float | None) -> None:
        timeout = -1.0 if deadline is None else max(0.0, deadline - self._clock())
        gate = waiter.gate
        acquire = self.lock.acquire
        got: list[bool] = []
        raised: BaseException | None = None
        self.moving = False  # the engine is whole while others may have it
        try:
            self.lock.release()
            gate.acquire(timeout=min(timeout, threading.TIMEOUT_MAX))
        finally:
            # An interrupt may come between any two lines; `extend` says truly whether the lock was taken.
            while not got:
                try:
                    got.extend(map(acquire, _ONCE))
                except BaseException as exc:
                    raised = exc
            if raised is not None:
                raise raised

    def _lead(self, ready: Callable[[], bool], deadline: float | None, patience: float) -> None:
        """Read until `ready()`, `deadline`, the loss of the transport, or close."""
        self._leader = ready
        try:
            if self._watched:
                self._unwatch()
            while True:
                transport = self._transport
                if transport is None or self._closed:
                    return
                left = MAX_SECONDS
                if deadline is not None:
                    left = deadline - self._clock()
                    if left <= 0:
                        return
                self.moving = False  # the engine is whole while others may have it
                something = transport.pending or self._poller.sleep(self.lock, transport, left, patience)
                if self.moving:
                    self.repair()  # somebody was interrupted meanwhile
                self.moving = True
                if something:
                    if transport is not self._transport:
                        continue
                    self._read(transport)
                if ready():
                    return
        finally:
            self._leader = None
            if self._closed:
                self._poller.close()

    def _pass_on(self) -> None:
        """Nobody leads: let a parked waiter do it, or after a while the keeper."""
        transport = self._transport
        if transport is None or self._closed:
            return
        for waiter in self._waiters:
            if not waiter.released:
                waiter.released = True
                waiter.gate.release()
                return
        if self._waiters:
            return  # one that was released already comes, and leads or passes on
        if transport.wants_write:
            self._watch()
        elif not self._watched and self._idle_due == inf:
            self._idle_due = self._clock() + TAKEOVER_SECONDS
            self._arm(self._idle_due)

    # --- writing ------------------------------------------------------------------------------------------------

    def after_submit(self, urgent: bool = False) -> None:
        """Something was handed to the engine by a caller that does not wait for the answer (lock held; hot path).

        `urgent`: somebody will soon wait for the answer to what is among it, such as a request for credits.
        """
        outbox = self._outbox
        if outbox.holding and self._engine.pending_bytes < FLUSH_BYTES and not urgent:
            return  # the timer of the first waiting byte writes this one too
        pending = self._engine.pending_bytes
        if not pending or self._transport is None:
            return
        now = self._clock()
        if not urgent and outbox.hold(pending, now):
            self._arm(outbox.due)
            return
        self.flush(now)
        if (urgent or pending >= FLUSH_BYTES) and self._leader is None:
            # In a stream of sends the sender reads its confirmations itself, once a write.
            if self._watched and not (self._transport is not None and self._transport.wants_write):
                self._unwatch()
            if self._transport is not None:
                self._read(self._transport)
                if self._leader is None:
                    self._pass_on()

    def flush(self, now: float | None = None) -> None:
        """Write what the engine has to send, as far as it goes without blocking (lock held)."""
        transport = self._transport
        engine = self._engine
        if transport is None:
            self._outbox.clear()
            return
        if engine.pending_bytes and transport.stuck < self._high_water:
            now = self._clock() if now is None else now
            size = engine.pending_bytes
            chunks = engine.data_to_send()
            self._outbox.written(now, size, len(chunks))
            if chunks:
                try:
                    transport.send(chunks)
                except ConnectionLost as exc:
                    self._send_failed(transport, exc, now)
                    return
                if transport.wants_write:
                    self._mind_writing()
        self._arm_engine()

    def _send_failed(self, transport: Transport, error: ConnectionLost, now: float) -> None:
        """A write failed; what the peer said before it left (why, perhaps) is heard first."""
        for _ in range(16):
            try:
                data = transport.recv(_buffer())
            except ConnectionLost:
                break
            if not data:
                break
            self._feed(transport, data, now)
            if transport is not self._transport:
                self.notify()
                return
        self._lose(transport, error, now)
        self.notify()

    def _mind_writing(self) -> None:
        """Somebody must wait for room."""
        if self._leader is None:
            self._watch()
        else:
            self._poller.wake_unless_writing()

    # --- reading ------------------------------------------------------------------------------------------------

    def _read(self, transport: Transport) -> None:
        """Take what is there, once, and do what follows from it."""
        now = self._clock()
        try:
            if transport.wants_write:
                transport.on_writable()
            data = transport.recv(_buffer())
        except ConnectionLost as exc:
            self._lose(transport, exc, now)
            self.notify()
            return
        if data is None:
            if self._engine.pending_bytes:
                self.flush(now)  # room may have come
            self.notify()
            return
        if data:
            self._last_read = now
            self._feed(transport, data, now)
            if self._transport is not None:
                self.flush(now)
        else:
            self._lose(transport, ConnectionLost(f"{self.name or 'the server'}: the peer closed the connection"), now)
        self.notify()

    def _feed(self, transport: Transport, data: bytes, now: float) -> None:
        try:
            self._engine.receive_data(data, now)
        except Exception as exc:
            if raised_by_handler(exc):
                raise  # `repair` brings again what the batch held
            logger.exception("internal error while reading; the link is dropped")
            self._lose(transport, ConnectionLost(f"internal error while reading: {type(exc).__name__}: {exc}"), now)
        else:
            self._process(now)

    def _lose(self, transport: Transport, error: ActiveClientError, now: float) -> None:
        if transport is self._transport:
            self._drop()
            self._engine.connection_lost(error, now)
            self._process(now)

    # --- events -------------------------------------------------------------------------------------------------

    def _after_call(self, now: float) -> None:
        """What follows every call of the engine that was not made by a reader."""
        self._process(now)
        self.flush(now)
        self.notify()

    def process(self, now: float | None = None) -> None:
        """Take the events that a call of the engine left, write, release waiters (lock held).

        For whoever called the engine directly and does not wait.
        """
        self._after_call(self._clock() if now is None else now)

    def _process(self, now: float) -> None:
        next_event = self._engine.next_event
        while (event := next_event()) is not None:
            kind = type(event)
            if kind is Connect:
                assert isinstance(event, Connect)
                self._connect(event, now)
            elif kind is Abort:
                self._drop()
            else:
                self._on_event(event)
        self._arm_engine()

    def _connect(self, event: Connect, now: float) -> None:
        self._drop()
        if self._closed:
            return
        token = self._token = CancelToken()
        try:
            self._dispatcher.submit(lambda: self._open(event, token))
        except RuntimeError as exc:  # no threads to be had: the process ends, or is out of them
            self._token = None
            self._engine.connection_lost(ConnectFailed(f"{event.endpoint}: no thread to connect with: {exc}"), now)

    def _open(self, event: Connect, token: CancelToken) -> None:
        """On a thread of the dispatcher: open, then tell the engine, unless something newer came."""
        transport: Transport | None = None
        error: ActiveClientError | None = None
        try:
            if not token.cancelled:
                # A little earlier than the engine: who opens knows what it is waiting for, and says so.
                transport = self._opener(event.endpoint, event.timeout - min(0.2, event.timeout / 10), token)
        except ActiveClientError as exc:
            error = exc
        except Exception as exc:
            logger.exception("opening a transport failed in an unexpected way")
            error = ConnectFailed(f"{event.endpoint}: {type(exc).__name__}: {exc}")
            error.__cause__ = exc
        with self.lock, self.motion:
            if self._token is not token or self._closed:
                if transport is not None:
                    transport.close()
                return
            self._token = None
            now = self._clock()
            if transport is None:
                self._engine.connection_lost(error or ConnectFailed(f"{event.endpoint}: given up"), now)
                self._after_call(now)
                return
            self._transport = transport
            _transports.add(transport)
            self._engine.connection_made(now)
            self._after_call(now)
            if transport is self._transport and self._leader is None:
                if self._waiters:
                    self._pass_on()
                else:
                    self._watch()

    def _drop(self) -> None:
        """Have no transport: neither one that stands nor one that is being opened."""
        # Interrupted anywhere it can be done again: what is dropped is forgotten when that is through.
        if self._token is not None:
            self._token.cancel()
            self._token = None
        self._congested = False
        self._outbox.clear()
        transport = self._transport
        if transport is None:
            return
        self._watched = 0
        self._poller.forget()
        if transport.fileno() >= 0:
            self._keeper.forget(transport.fileno())
        _transports.discard(transport)
        transport.close()
        self._transport = None

    # --- keeper -------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        transport = self._transport
        if transport is not None:
            mask = keeper.IN | keeper.OUT if transport.wants_write else keeper.IN
            if mask != self._watched:
                self._watched = mask
                self._keeper.watch(self, transport.fileno(), mask)
            if transport.pending:
                self._arm(self._clock())

    def _unwatch(self) -> None:
        self._watched = 0
        if self._transport is not None:
            self._keeper.pause(self._transport.fileno())

    def _arm_engine(self) -> None:
        due = self._engine.next_timeout()
        if due is not None and (not self._armed or due < self._armed[-1]):
            self._arm(due)

    def _arm(self, due: float) -> None:
        armed = self._armed
        if (not armed or due < armed[-1]) and self._started and not self._closed:
            armed.append(due)
            self._keeper.arm(self, due)

    def _acquire_soon(self) -> bool:
        # The keeper minds other connections too: a lock that is long held is come back to.
        return self.lock.acquire(False) or self.lock.acquire(timeout=0.02)

    def on_ready(self, fd: int) -> None:
        """For the keeper: the transport is readable, or writable again."""
        if not self._acquire_soon():
            self._missed = True
            self._keeper.arm(self, self._clock() + 0.005)
            return
        try:
            if self.moving:
                self.repair()
            self._watched = 0
            transport = self._transport
            if transport is None or self._closed or transport.fileno() != fd:
                return
            if self._leader is None:
                self._read(transport)
                if self._leader is None:
                    self._watch()
        finally:
            self.lock.release()

    def on_due(self, due: float) -> None:
        """For the keeper: a timer has come."""
        if not self._acquire_soon():
            self._keeper.arm(self, self._clock() + 0.005)
            return
        try:
            if self.moving:
                self.repair()
            if self._armed:
                self._armed.pop()
            if self._closed:
                return
            self._on_due(self._clock())
        finally:
            self.lock.release()

    def _on_due(self, now: float) -> None:
        transport = self._transport
        engine_due = self._engine.next_timeout()
        if engine_due is not None and engine_due <= now:
            if transport is not None:
                self._read(transport)  # bytes that wait in the kernel count before silence is judged
                now = self._clock()
            self._engine.handle_timeout(now)
            self._after_call(now)
            engine_due = self._engine.next_timeout()
            if engine_due is not None:
                engine_due = max(engine_due, now + 0.0005)  # a deadline that stays does not spin
        outbox_due = self._outbox.due
        transport = self._transport
        if outbox_due <= now:
            self.flush(now)
            outbox_due = inf
            if self._leader is None and self._transport is not None:
                # The tail of a burst, and its sender is gone: answers come to the keeper at once.
                self._watch()
        if self._idle_due <= now:
            self._idle_due = inf
            if self._leader is None and self._transport is not None and not self._watched:
                idle_at = self._last_read + TAKEOVER_SECONDS
                if idle_at <= now:
                    self._watch()
                else:
                    self._idle_due = idle_at
        transport = self._transport
        if transport is not None and self._leader is None and (self._missed or (self._watched and transport.pending)):
            self._watched = 0
            self._read(transport)
            self._watch()
        self._missed = False
        if self._leader is None and self._waiters:
            self._pass_on()  # should an interrupt have kept somebody from doing so
        self._arm(min(inf if engine_due is None else engine_due, outbox_due, self._idle_due))


class _ForkedPump(Pump):
    """What every pump of the parent is in a child process."""

    forked = True

    def _refuse(self) -> ForkedError:
        return forked_error(self.name)

    def start(self) -> None:
        raise self._refuse()

    def wait(self, ready: Callable[[], bool], timeout: float | None, patience: float = 0.0) -> bool:
        raise self._refuse()

    def notify(self) -> None:
        raise self._refuse()

    def after_submit(self, urgent: bool = False) -> None:
        raise self._refuse()

    def flush(self, now: float | None = None) -> None:
        raise self._refuse()

    def process(self, now: float | None = None) -> None:
        raise self._refuse()

    def repair(self) -> None:
        """There is nothing to repair: the parent goes on using it."""
        self.moving = False

    def close(self, now: float | None = None) -> None:
        """There is nothing to close: the parent goes on using it."""
        self._closed = True


def forked_error(name: str) -> ForkedError:
    """What every use of a parent's connection raises in a child process."""
    return ForkedError(
        f"connection {name or 'without name'} belongs to the parent process; open a new one in the child"
    )


_pumps: weakref.WeakSet[Pump] = weakref.WeakSet()
_transports: set[Transport] = set()
"""Every open one: collected with a connection that was dropped, it would be gone before the connection is closed."""


def _after_fork_in_child() -> None:
    for pump in list(_pumps):
        pump.lock = threading.Lock()  # another thread of the parent may have held it
        pump._closed = pump._ended = True
        pump.moving = False
        transport, pump._transport = pump._transport, None
        if transport is not None:
            transport.abandon()
        pump._poller.close()
        pump._waiters.clear()
        pump._leader = None
        pump._token = None
        pump.__class__ = _ForkedPump
    _pumps.clear()
    _transports.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
