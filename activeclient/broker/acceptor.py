"""The broker's one thread: it carries bytes between transports and the server, and lives by the clock.

Law of this file: the server is touched by this thread only; whoever else wants something of it asks with `call`.
Nothing blocks but the poll. What one turn produced is written with one write for each connection. A transport that
takes nothing is not read from, so its client cannot make the broker grow.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from activeclient.broker.admission import Admission, has_spare_descriptors
from activeclient.drivers.transport import SocketTransport
from activeclient.drivers.wake import Waker
from activeclient.errors import ActiveClientError, ClosedError, ConnectFailed, ForkedError, StoreError

if TYPE_CHECKING:
    import ssl

    from activeclient.broker.connection import ServerConnection
    from activeclient.broker.server import BrokerServer
    from activeclient.drivers.memory import TransportEnd
    from activeclient.drivers.ports import Transport

_log = logging.getLogger("activeclient.broker")
_IN: Final = selectors.EVENT_READ
_OUT: Final = selectors.EVENT_WRITE
BUFFER_SIZE: Final = 256 * 1024
ACCEPTS: Final = 64
"""Connections taken in one turn: a flood of them does not keep the others waiting."""
BACKLOG: Final = 128
GOODBYE_SECONDS: Final = 1.0
"""How long a client has to take the last bytes of a connection that is being closed."""
MOST_SECONDS: Final = 3600.0
LEAST_RETRY: Final = 0.002
MOST_RETRY: Final = 0.1
"""How often a full pipe in memory is looked at: it has no way to say that there is room without being read."""

ACCEPT_PAUSE: Final = 0.1
ACCEPT_LONGEST_PAUSE: Final = 2.0
"""How long nobody is accepted after the system has refused a descriptor or memory: a listener stays readable, and
would keep the thread busy."""
T = TypeVar("T")


class _Link:
    """A transport and its connection."""

    __slots__ = ("close_at", "connection", "mask", "retry", "retry_at", "transport")

    def __init__(self, connection: ServerConnection, transport: Transport) -> None:
        self.connection = connection
        self.transport = transport
        self.mask = 0
        self.close_at: float | None = None
        self.retry_at: float | None = None
        self.retry = LEAST_RETRY


class _Call:
    """Something to be done by the thread, for somebody who waits."""

    __slots__ = ("_done", "_error", "_result", "_work")

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._done = threading.Event()
        self._result: object = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """Do it."""
        try:
            self._result = self._work()
        except BaseException as error:
            self._error = error
        self._done.set()

    def refuse(self) -> None:
        """It will not be done."""
        self._error = ClosedError("the broker has ended")
        self._done.set()

    def result(self) -> object:
        """Wait until it is done."""
        self._done.wait()
        if self._error is not None:
            raise self._error
        return self._result


class BrokerThread:
    """Runs a server until `stop`.

    Args:
        on_idle: Called, by the thread, when the last connection has ended.
    """

    def __init__(self, server: BrokerServer, name: str, on_idle: Callable[[], None] | None = None) -> None:
        self.server = server
        self._on_idle = on_idle
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker.fileno(), _IN)
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._arrivals: deque[tuple[Transport, str]] = deque()
        self._links: dict[int, _Link] = {}
        """By descriptor."""
        self._by_connection: dict[ServerConnection, _Link] = {}
        self._waiting: set[_Link] = set()
        """Links with a time at which they are looked at."""
        self._listeners: dict[int, tuple[socket.socket, ssl.SSLContext | None]] = {}
        self._admission = Admission()
        self._accept_at: float | None = None
        """When connections are accepted again, after the system has refused one."""
        self._pause = ACCEPT_PAUSE
        self._buffer = memoryview(bytearray(BUFFER_SIZE))
        self._ended = False
        self._stopping: float | None = None
        self._store = server.post.store
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.forked: bool = False
        """Does it run in the parent of this process?"""
        _threads.add(self)

    # --- from any thread ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin."""
        self._store.on_progress = self._waker.wake
        self._thread.start()

    @property
    def running(self) -> bool:
        """Does it take connections?"""
        return not self._ended and self._stopping is None

    def call(self, work: Callable[[], T]) -> T:
        """Let the broker's thread do something, and wait for what comes of it.

        Raises:
            ClosedError: The broker has ended.
            ForkedError: It runs in the parent of this process.
        """
        self.check_process()
        if threading.current_thread() is self._thread:
            return work()
        call = _Call(work)
        with self._lock:
            if self._ended:
                raise ClosedError("the broker has ended")
            self._calls.append(call)
            self._waker.wake()  # with the lock held: afterwards the thread may have ended, with its descriptors
        return call.result()  # type: ignore[return-value]

    def connect(self, name: str) -> TransportEnd:
        """A connection in memory: the client's end of it.

        Raises:
            ConnectFailed: The broker has ended, or the process has no file descriptor for it.
            ForkedError: It runs in the parent of this process, whose memory this is a copy of.
        """
        self.check_process()
        from activeclient.drivers.memory import pipe

        try:
            ours, theirs = pipe()
        except OSError as error:
            raise ConnectFailed(f"{name}: {error.strerror}") from error
        with self._lock:
            if self._ended or self._stopping is not None:
                ours.close()
                theirs.close()
                raise ConnectFailed(f"{name}: the broker is stopped")
            self._arrivals.append((ours, name))
            self._waker.wake()
        return theirs

    @property
    def expects_somebody(self) -> bool:
        """Has anybody connected in memory whom the thread has not looked at?"""
        return bool(self._arrivals)

    def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Take connections on a socket too; gives the port.

        Raises:
            OSError: It cannot be had.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        listener.setblocking(False)
        found: int = listener.getsockname()[1]

        def add() -> None:
            self._listeners[listener.fileno()] = (listener, tls)
            if self._accept_at is None:
                self._selector.register(listener, _IN)

        try:
            self.call(add)
        except BaseException:
            listener.close()
            raise
        return found

    def stop(self, *, abrupt: bool = False) -> None:
        """End: clients are told and have a moment to hear it, unless `abrupt`. Waits until it is done."""
        if self.forked:
            return  # it goes on in the parent

        def begin() -> None:
            self._close_listeners()
            if abrupt:
                self.server.close()
            else:
                self.server.stop()
            if self._stopping is None:
                self._stopping = time.monotonic()

        with contextlib.suppress(ClosedError):
            self.call(begin)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def check_process(self) -> None:
        """Raise ForkedError in a child of the process that it runs in."""
        if self.forked:
            raise ForkedError(f"{self._thread.name} runs in the parent process; start another broker in the child")

    def abandon(self) -> None:
        """In a child process: give back what the parent goes on using, so that only the parent holds its ports."""
        self.forked = self._ended = True
        self._lock = threading.Lock()  # another thread of the parent may have held it
        # Never unregister here: the kernel's watch list is shared with the parent.
        self._selector.close()
        self._waker.close()
        for listener, _ in self._listeners.values():
            listener.close()
        for transport in [link.transport for link in self._links.values()] + [each for each, _ in self._arrivals]:
            transport.abandon()

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._stopping is None or self._links or self._arrivals:
                self._turn()
        except BaseException as error:
            _log.critical("the broker's thread ended: %s", type(error).__name__, exc_info=error)
        finally:
            self._end()

    def _turn(self) -> None:
        """Sleep until there is something to do, and do it."""
        for key, mask in self._selector.select(self._patience()):
            descriptor = key.fd
            link = self._links.get(descriptor)
            if link is not None:
                self._serve(link, mask)
            elif descriptor in self._listeners:
                self._accept(*self._listeners[descriptor])
            elif descriptor == self._waker.fileno():
                self._waker.drain()
        self._arrive()
        while self._calls:
            self._calls.popleft().run()
        self._store.collect()
        self._flush()
        now = time.monotonic()
        due = self.server.next_timeout()
        if due is not None and due <= now:
            self.server.handle_timeout(now)
            self._flush()
        if self._waiting:
            self._look_at_waiting(now)
        if self._accept_at is not None and self._accept_at <= now:
            self._accept_again()
        self._admission.report(now)

    def _serve(self, link: _Link, mask: int) -> None:
        """A transport is ready. A defect that shows here ends one connection, not the broker."""
        try:
            if mask & _OUT:
                self._resume(link)
            if mask & _IN and link.connection.wants_read:
                self._read(link)
        except StoreError:
            raise
        except Exception as error:
            _log.error("%s: closed: %s", link.connection.name, type(error).__name__, exc_info=error)
            self._lose(link)
        self._watch(link)

    def _patience(self) -> float:
        found = [MOST_SECONDS]
        now = time.monotonic()
        for at in (self._accept_at, self._admission.report_at):
            if at is not None:
                found.append(at - now)
        due = self.server.next_timeout()
        if due is not None:
            found.append(due - now)
        for link in self._waiting:
            for at in (link.close_at, link.retry_at):
                if at is not None:
                    found.append(at - now)
        return max(0.0, min(found))

    def _read(self, link: _Link) -> None:
        transport = link.transport
        connection = link.connection
        try:
            while True:
                data = transport.recv(self._buffer)
                if not data:
                    break
                connection.receive_data(data, time.monotonic())
                if connection.congested:
                    connection.written(transport.stuck)
                if not transport.pending or not connection.wants_read:
                    break
        except ActiveClientError:
            self._lose(link)
            return
        if data == b"":
            self._lose(link)

    def _resume(self, link: _Link) -> None:
        """There may be room to write."""
        try:
            link.transport.on_writable()
        except ActiveClientError:
            self._lose(link)
            return
        link.connection.written(link.transport.stuck)
        if link.connection.closing:
            link.connection.touch()

    def _flush(self) -> None:
        """Write what waits, until nothing does."""
        server = self.server
        while server.dirty:
            dirty, server.dirty = server.dirty, []
            now = time.monotonic()
            for connection in dirty:
                link = self._by_connection.get(connection)
                if link is None:
                    connection.dirty = False
                    continue
                self._write(link, now)

    def _write(self, link: _Link, now: float) -> None:
        connection = link.connection
        transport = link.transport
        chunks = connection.data_to_send(now)
        if connection.aborted:
            self._lose(link)
            return
        try:
            if chunks:
                transport.send(chunks)
        except ActiveClientError:
            self._lose(link)
            return
        connection.written(transport.stuck)
        if connection.closing and not connection.pending_bytes:
            if not transport.stuck:
                self._lose(link)
                return
            if link.close_at is None:
                link.close_at = now + GOODBYE_SECONDS
                self._waiting.add(link)
        self._watch(link)

    def _watch(self, link: _Link) -> None:
        """Poll for what the link is ready for."""
        connection = link.connection
        if link.connection not in self._by_connection:
            return
        transport = link.transport
        mask = (_IN if connection.wants_read else 0) | (_OUT if transport.wants_write and not connection.frozen else 0)
        if mask != link.mask:
            descriptor = transport.fileno()
            if not link.mask:
                self._selector.register(descriptor, mask)
            elif not mask:
                self._selector.unregister(descriptor)
            else:
                self._selector.modify(descriptor, mask)
            link.mask = mask
        idle = not mask and not transport.wants_write and not connection.frozen
        if transport.stuck and idle and link.retry_at is None:
            link.retry_at = time.monotonic() + link.retry
            self._waiting.add(link)

    def _look_at_waiting(self, now: float) -> None:
        for link in list(self._waiting):
            if link.close_at is not None and link.close_at <= now:
                self._lose(link)
            elif link.retry_at is not None and link.retry_at <= now:
                link.retry_at = None
                before = link.transport.stuck
                self._resume(link)
                link.retry = LEAST_RETRY if link.transport.stuck < before else min(link.retry * 2, MOST_RETRY)
                self._watch(link)
            if link.close_at is None and link.retry_at is None:
                self._waiting.discard(link)
        self._flush()

    # --- links come and go -------------------------------------------------------------------------------------------

    def _arrive(self) -> None:
        while self._arrivals:
            self._add(*self._arrivals.popleft())

    def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # it has gone again
            except OSError as error:
                self._accept_later(error)
                return
            self._pause = ACCEPT_PAUSE
            if not has_spare_descriptors(sock.fileno()):
                sock.close()
                self._admission.refused("the process has no file descriptor to spare", time.monotonic())
                continue
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            name = f"{address[0]}:{address[1]}"
            if tls is None:
                self._add(SocketTransport(sock, name), name)

    def _accept_later(self, error: OSError) -> None:
        """The system refuses: nobody is accepted for a while, so that the thread can serve who is there."""
        now = time.monotonic()
        self._admission.refused(error.strerror or type(error).__name__, now)
        if self._accept_at is None:
            for listener, _ in self._listeners.values():
                self._selector.unregister(listener)
        self._accept_at = now + self._pause
        self._pause = min(2 * self._pause, ACCEPT_LONGEST_PAUSE)

    def _accept_again(self) -> None:
        self._accept_at = None
        for listener, _ in self._listeners.values():
            self._selector.register(listener, _IN)

    def _add(self, transport: Transport, name: str) -> None:
        now = time.monotonic()
        connection = self.server.connection_made(name, now)
        if connection is None:
            why = "the broker is stopping" if self.server.stopping else "there are too many connections"
            self._admission.refused(why, now)
            transport.close()
            return
        link = _Link(connection, transport)
        self._links[transport.fileno()] = link
        self._by_connection[connection] = link
        self._watch(link)

    def _lose(self, link: _Link) -> None:
        """A transport ended, or is to end."""
        if self._by_connection.pop(link.connection, None) is None:
            return
        descriptor = link.transport.fileno()
        if link.mask:
            self._selector.unregister(descriptor)
            link.mask = 0
        del self._links[descriptor]
        self._waiting.discard(link)
        link.transport.close()
        link.connection.connection_lost()
        if not self._links and self._on_idle is not None and self._stopping is None:
            self._on_idle()

    def _close_listeners(self) -> None:
        for listener, _ in self._listeners.values():
            if self._accept_at is None:
                self._selector.unregister(listener)
            listener.close()
        self._accept_at = None
        self._listeners.clear()

    def end_soon(self) -> None:
        """Called by the thread itself: stop when this turn is over."""
        self.server.stop()
        self._close_listeners()
        self._stopping = time.monotonic()

    def _end(self) -> None:
        self._store.on_progress = None
        self._close_listeners()
        for link in list(self._by_connection.values()):
            self._lose(link)
        with self._lock:
            self._ended = True
            calls, self._calls = self._calls, deque()
            arrivals, self._arrivals = self._arrivals, deque()
        for transport, _ in arrivals:
            transport.close()
        for call in calls:
            call.refuse()
        self._selector.close()
        self._waker.close()


_threads: Final[weakref.WeakSet[BrokerThread]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for thread in list(_threads):
        thread.abandon()
    _threads.clear()


os.register_at_fork(after_in_child=_after_fork_in_child)
