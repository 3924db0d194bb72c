"""A broker in this process: for `vm://` in memory, and on a socket when it has a port.

Law of this file: a name belongs to one broker at a time. A broker that was started by its user lives until it is
stopped; one that a `vm://` URL made lives as long as its connections. After `stop` nothing of it is left: no thread, no
descriptor, no port.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import uuid
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from activeclient.broker.acceptor import BrokerThread
from activeclient.broker.configuration import BrokerConfiguration, User
from activeclient.broker.faults import Faults
from activeclient.broker.limits import Limits
from activeclient.broker.postoffice import PostOffice
from activeclient.broker.server import BrokerServer
from activeclient.broker.store import MemoryStore, Store
from activeclient.errors import ConfigError, ConnectFailed, IllegalStateError

if TYPE_CHECKING:
    from activeclient.drivers.memory import TransportEnd
    from activeclient.selector import Filter

_log = logging.getLogger("activeclient.broker")
_brokers: Final[weakref.WeakValueDictionary[str, EmbeddedBroker]] = weakref.WeakValueDictionary()
_lock: Final = threading.RLock()
_implicit: Final[dict[str, EmbeddedBroker]] = {}
"""Those that URLs made: nobody else holds them."""


class SystemClock:
    """The time, and what a fault adds to the wall clock."""

    __slots__ = ("skew_ms",)

    def __init__(self) -> None:
        self.skew_ms = 0

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
        store: What keeps durable messages, beyond a `restart` too; in memory when absent.
        limits: What one client may cost.
        seed: Of the faults that are made at random.

    Raises:
        ConfigError: The name is taken.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        port: int | None = None,
        host: str = "127.0.0.1",
        users: Mapping[str, str] | None = None,
        configuration: BrokerConfiguration | None = None,
        store: Store | None = None,
        limits: Limits | None = None,
        seed: int = 0,
    ) -> None:
        if configuration is None:
            given = tuple(User(user, password) for user, password in (users or {}).items())
            configuration = BrokerConfiguration(users=given)
        elif users:
            raise ConfigError("users", None, "are part of the configuration when one is given")
        self.configuration = configuration
        self.clock = SystemClock()
        self.faults = Faults(seed)
        self.node_id = str(uuid.uuid4())
        self._limits = limits
        self._store: Store = store if store is not None else MemoryStore()
        self._host = host
        self._port = port
        self._bound: int | None = None
        self._thread: BrokerThread | None = None
        self._own_lock = threading.RLock()
        with _lock:
            self.name = name if name is not None else _free_name()
            if self.name in _brokers:
                raise ConfigError("name", self.name, "a broker of this name exists already")
            _brokers[self.name] = self

    # --- its life ----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to take connections; nothing happens when it runs.

        Raises:
            OSError: The port cannot be had.
        """
        with self._own_lock:
            if self._thread is not None and self._thread.running:
                return self
            _compile = _compile_filter
            post = PostOffice(self.configuration, self._store, self.clock, _compile)
            server = BrokerServer(post, self.node_id, _compile, limits=self._limits, faults=self.faults, report=_report)
            thread = BrokerThread(server, f"activeclient-broker-{self.name}", self._idle)
            thread.start()
            if self._port is not None:
                try:
                    self._bound = thread.listen(self._host, self._bound or self._port)
                except BaseException:
                    thread.stop(abrupt=True)
                    raise
            self.faults.bind(server, thread.call, restart=self.restart, skew=self._skew)
            self._thread = thread
            return self

    def stop(self, *, abrupt: bool = False) -> None:
        """End: clients are told, unless `abrupt`, and nothing is left but the store."""
        with self._own_lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                thread.stop(abrupt=abrupt)

    def restart(self, *, abrupt: bool = False, forget: bool = False) -> None:
        """Stop, and start again under the same URL, with what the store kept.

        Args:
            abrupt: Without a word to clients, as after a kill.
            forget: With an empty store in memory: everything is gone.
        """
        with self._own_lock:
            self.stop(abrupt=abrupt)
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
        return self.vm_url if self._bound is None else f"tcp://{self._host}:{self._bound}"

    @property
    def vm_url(self) -> str:
        """Where clients of this process find it."""
        return f"vm://{self.name}"

    @property
    def running(self) -> bool:
        """Does it take connections?"""
        return self._thread is not None and self._thread.running

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

        post = self._running().server.post

        def count() -> int:
            found = post.find(queue)
            if found is None:
                raise InvalidDestinationError(f"no queue {queue}", code=100)
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

    def _skew(self, milliseconds: int) -> None:
        self.clock.skew_ms += milliseconds

    def _running(self) -> BrokerThread:
        thread = self._thread
        if thread is None:
            raise IllegalStateError("the broker is not running")
        return thread

    # --- connections in memory ---------------------------------------------------------------------------------------

    def connect(self) -> TransportEnd:
        """A connection in memory (used by the `vm` transport).

        Raises:
            ConnectFailed: The broker is stopped.
        """
        thread = self._thread
        if thread is None:
            raise ConnectFailed(f"{self.vm_url}: the broker is stopped")
        return thread.connect(self.vm_url)

    def _idle(self) -> None:
        """The last connection has ended (called by the thread)."""
        with _lock:
            if _implicit.get(self.name) is self and self._thread is not None:
                del _implicit[self.name]
                _brokers.pop(self.name, None)
                self._thread.end_soon()

    def __repr__(self) -> str:
        return f"<EmbeddedBroker {self.url} {'running' if self.running else 'stopped'}>"


def open_vm(name: str) -> TransportEnd:
    """A connection to the broker of this name, which is made if there is none.

    Raises:
        ConnectFailed: There is one, and it is stopped.
    """
    with _lock:
        broker = _brokers.get(name)
        if broker is None:
            broker = EmbeddedBroker(name)
            _implicit[name] = broker
            broker.start()
        return broker.connect()


def _free_name() -> str:
    # 0 is what URLs without a broker of one's own use.
    return next(name for name in map(str, itertools.count(1)) if name not in _brokers)


def _compile_filter(text: str) -> Filter:
    from activeclient.selector import compile_filter  # the grammar is loaded by the first who needs it

    return compile_filter(text)


def _report(text: str, error: BaseException | None) -> None:
    if error is None:
        _log.info("%s", text)
    else:
        _log.error("%s", text, exc_info=error)
