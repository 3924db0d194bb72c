"""A broker in this process: for `vm://` in memory, and on a socket when it has a port.

Law of this file: a name belongs to one running broker. A broker that was started by its user lives until it is
stopped; one that a `vm://` URL made lives as long as its connections. After `stop` nothing of it is left: no thread, no
descriptor, no port.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from activeclient import arguments
from activeclient.broker.acceptor import BrokerThread
from activeclient.broker.configuration import BrokerConfiguration, User
from activeclient.broker.faults import Faults
from activeclient.broker.filters import compile_filter
from activeclient.broker.limits import Limits
from activeclient.broker.postoffice import PostOffice
from activeclient.broker.server import BrokerServer
from activeclient.broker.server_control import SessionStatus, status_of
from activeclient.broker.store import MemoryStore, Store
from activeclient.errors import (
    ConfigError,
    ConnectFailed,
    ForkedError,
    IllegalStateError,
    ResourceAllocationError,
    StoreError,
)
from activeclient.masking import Secret, never_raises
from activeclient.server_code import ServerCode

if TYPE_CHECKING:
    from activeclient.drivers.memory import TransportEnd

_log = logging.getLogger("activeclient.broker")
_brokers: Final[weakref.WeakValueDictionary[str, EmbeddedBroker]] = weakref.WeakValueDictionary()
_lock = threading.RLock()
_LOCAL: Final = ("127.0.0.1", "::1", "localhost")
_implicit: Final[dict[str, EmbeddedBroker]] = {}
"""Those that URLs made: nobody else holds them."""
_of_parent: Final[list[EmbeddedBroker]] = []
"""In a child process: those that its parent runs."""


class SystemClock:
    """The time, and what a fault adds to the wall clock."""

    __slots__ = ("skew_ms",)

    def __init__(self) -> None:
        self.skew_ms: int = 0

    def monotonic(self) -> float:
        """Seconds, for timers."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Milliseconds since 1970, and the skew."""
        return time.time_ns() // 1_000_000 + self.skew_ms


class EmbeddedBroker:
    """A broker in this process, speaking CORE; a context manager.

    Args:
        name: Of its URL, `vm://name`; the next free number when absent.
        port: Take connections on this TCP port too; 0 for a free one. None: in memory only.
        host: The address to listen on.
        users: User to password; empty: anybody may connect.
        configuration: Everything else; its users count when `users` is absent.
        folder: Where durable messages are kept, beyond the process: opened by `start`, closed by `stop`. Made when
            it is missing; for one broker at a time.
        store: What keeps durable messages instead, beyond a `restart` too; in memory when both are absent.
        limits: What one client may cost.
        seed: Of the faults that are made at random.

    Raises:
        ConfigError: The name is taken, or an argument is not what it must be.
        TypeError: `configuration` or `limits` is of another class.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        users: Mapping[str, str] | None = None,
        configuration: BrokerConfiguration | None = None,
        folder: str | os.PathLike[str] | None = None,
        store: Store | None = None,
        limits: Limits | None = None,
        seed: int = 0,
    ) -> None:
        arguments.text("name", name, optional=True)
        arguments.text("host", host)
        if not host.isascii() or not host.isprintable():
            raise ConfigError("host", host[:100], "must be an address or a host name in ASCII")
        if port is not None:
            arguments.whole("port", port, 0, 65535)
        if users is not None:
            arguments.mapping("users", users)
        for what, thing, kind in (
            ("configuration", configuration, BrokerConfiguration),
            ("limits", limits, Limits),
        ):
            if thing is not None:
                arguments.instance(what, thing, kind)
        users = None if users is None else {user: Secret.of(password) for user, password in users.items()}
        if configuration is None:
            given = tuple(User(user, password) for user, password in (users or {}).items())
            configuration = BrokerConfiguration(users=given)
        elif users:
            raise ConfigError("users", None, "are part of the configuration when one is given")
        self.configuration = configuration
        self.clock: SystemClock = SystemClock()
        self.faults: Faults = Faults(seed)
        self.node_id: str = str(uuid.uuid4())
        self._limits = limits
        if folder is not None and store is not None:
            raise ConfigError("folder", folder, "a store is given as well")
        self._folder = folder
        self._store: Store = store if store is not None else MemoryStore()
        self._host = host
        self._port = port
        self._bound: int | None = None
        self._thread: BrokerThread | None = None
        self._own_lock = threading.RLock()
        self._started = False
        self._forked = False
        """Does it belong to the parent of this process?"""
        with _lock:
            self.name: str = name if name is not None else _free_name()
            self._claim()

    def _claim(self) -> None:
        """The name is ours; a stopped broker that had it must take another's place to have it again."""
        other = _brokers.get(self.name)
        if other is not None and other is not self and other._started:
            raise ConfigError("name", self.name, "a broker of this name is running")
        _brokers[self.name] = self

    # --- its life ----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to take connections; nothing happens when it runs.

        Raises:
            OSError: The port cannot be had.
            StoreError: The folder cannot be used.
        """
        self._check_process()
        with self._own_lock:
            if self._thread is not None and self._thread.running:
                return self
            with contextlib.suppress(StoreError):  # of one whose disk failed, told already
                self._halt(abrupt=True)
            with _lock:
                self._claim()
                self._started = True
            try:
                if self._folder is not None:
                    from activeclient.broker.sqlite_store import SqliteStore  # loaded by the first who needs it

                    self._store = SqliteStore(self._folder)
                self._start()
            except BaseException:
                self._started = False
                self._close_store()
                raise
            return self

    def _start(self) -> None:
        post = PostOffice(self.configuration, self._store, self.clock, compile_filter, self._warn)
        server = BrokerServer(
            post, self.node_id, compile_filter, limits=self._limits, faults=self.faults, report=_report
        )
        thread = BrokerThread(server, f"activeclient-broker-{self.name}", self._idle)
        thread.start()
        if self._port is not None:
            try:
                self._bound = thread.listen(self._host, self._bound or self._port)
            except BaseException:
                thread.stop(abrupt=True)
                raise
            if not self.configuration.users and not _is_loopback(self._host):
                _log.warning("%s: anybody who reaches this port may connect; no users are configured", self.url)
        self.faults.bind(server, thread.call, restart=self.restart, skew=self._skew)
        self._thread = thread

    def _warn(self, text: str) -> None:
        _log.warning("%s: %s", self.name, text)

    def _close_store(self) -> None:
        if self._folder is not None:
            store, self._store = self._store, MemoryStore()
            store.close()

    def stop(self, *, abrupt: bool = False) -> None:
        """End: clients are told, unless `abrupt`, and nothing is left but the store.

        Raises:
            StoreError: The disk failed; it is stopped all the same.
        """
        if self._forked:
            return  # it goes on in the parent
        with self._own_lock:
            self._halt(abrupt)
            self._started = False

    def _halt(self, abrupt: bool) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop(abrupt=abrupt)
        self._close_store()

    def restart(self, *, abrupt: bool = False, forget: bool = False) -> None:
        """Stop, and start again under the same URL, with what the store kept.

        Args:
            abrupt: Without a word to clients, as after a kill.
            forget: With an empty store in memory: everything is gone. Not what a folder holds.
        """
        self._check_process()
        with self._own_lock:
            self._halt(abrupt)
            if forget:
                self._store = MemoryStore()
            self.start()

    def drop_connections(self) -> int:
        """Cut every connection, now and without a word; how many that were. Clients may come again."""

        return self.faults.drop_connections()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    # --- what it says ------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where clients find it: of the socket if it has one, else in memory."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return self.vm_url if self._bound is None else f"tcp://{host}:{self._bound}"

    @property
    def vm_url(self) -> str:
        """Where clients of this process find it."""
        return f"vm://{self.name}"

    @property
    def running(self) -> bool:
        """Does it take connections?"""
        return self._thread is not None and self._thread.running and not self._forked

    def queue_names(self) -> list[str]:
        """The queues there are, in the order in which they were made."""
        post = self._running().server.post
        return self._running().call(lambda: list(post.addresses.queues))

    def message_count(self, queue: str) -> int:
        """Messages of a queue: waiting, scheduled and being delivered.

        Raises:
            InvalidDestinationError: There is no such queue.
        """
        from activeclient.errors import InvalidDestinationError

        arguments.text("queue", queue)
        post = self._running().server.post

        def count() -> int:
            found = post.find(queue)
            if found is None:
                raise InvalidDestinationError(f"no queue {queue}", code=ServerCode.QUEUE_DOES_NOT_EXIST)
            return found.message_count

        return self._running().call(count)

    def connection_count(self) -> int:
        """Connections that stand."""
        server = self._running().server
        return self._running().call(lambda: sum(not each.gone for each in server.connections))

    def session_count(self) -> int:
        """Sessions, those that wait for their client included."""
        server = self._running().server
        return self._running().call(lambda: len(server.sessions))

    def sessions(self) -> list[SessionStatus]:
        """What is known of each session: whether its client is connected, and how long it is kept if not."""
        server = self._running().server
        return self._running().call(lambda: [status_of(session) for session in server.sessions.values()])

    def _abandon(self) -> None:
        """In a child process: the broker goes on in the parent."""
        self._forked = True
        self._own_lock = threading.RLock()

    def _skew(self, milliseconds: int) -> None:
        self.clock.skew_ms += milliseconds

    def _check_process(self) -> None:
        if self._forked:
            raise ForkedError(f"the broker {self.name} belongs to the parent process; start another one in the child")

    def _running(self) -> BrokerThread:
        self._check_process()
        thread = self._thread
        if thread is None:
            raise IllegalStateError("the broker is not running")
        return thread

    # --- connections in memory ---------------------------------------------------------------------------------------

    def connect(self) -> TransportEnd:
        """A connection in memory (used by the `vm` transport).

        Raises:
            ConnectFailed: The broker is stopped.
            ForkedError: It runs in the parent of this process, whose memory this is a copy of.
        """
        self._check_process()
        thread = self._thread
        if thread is None:
            raise ConnectFailed(f"{self.vm_url}: the broker is stopped")
        return thread.connect(self.vm_url)

    def _idle(self) -> None:
        """The last connection has ended (called by the thread)."""
        with _lock:  # nobody comes while it is held
            if _implicit.get(self.name) is self and self._thread is not None and not self._thread.expects_somebody:
                del _implicit[self.name]
                _brokers.pop(self.name, None)
                self._thread.end_soon()

    @never_raises
    def __repr__(self) -> str:
        return f"<EmbeddedBroker {self.url} {'running' if self.running else 'stopped'}>"


def open_vm(name: str) -> TransportEnd:
    """A connection to the broker of this name, which is made if there is none.

    Raises:
        ConnectFailed: There is one, and it is stopped.
        ForkedError: There is one in the parent of this process: an empty one of the same name would not be it.
    """
    with _lock:
        broker = _brokers.get(name)
        if broker is None:
            broker = EmbeddedBroker(name)
            _implicit[name] = broker
            broker.start()
        return broker.connect()


def _is_loopback(host: str) -> bool:
    if host in _LOCAL:
        return True
    import ipaddress  # loaded by those who listen elsewhere

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name, or all interfaces


def _free_name() -> str:
    # 0 is what URLs without a broker of one's own use.
    return next(name for name in map(str, itertools.count(1)) if name not in _brokers)


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()  # another thread of the parent may have held it
    _of_parent.extend(_brokers.values())  # so that the names stay taken
    _implicit.clear()
    for broker in _of_parent:
        broker._abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)


def _report(text: str, error: BaseException | None) -> None:
    if error is None:
        _log.info("%s", text)
    elif isinstance(error, ResourceAllocationError):
        _log.warning("%s: %s", text, error)
    else:
        _log.error("%s", text, exc_info=error)
