"""A broker for one test, embedded or a running one, behind a link that breaks on demand.

Law of this file: a fault is one call and means the same for both kinds of broker; what looks at the broker does not go
by the way that breaks. After `close` nothing is left: no thread, no socket, no port.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack, cast

from activeclient.errors import ConfigError, InvalidDestinationError, UnsupportedOperationError
from activeclient.masking import never_raises
from activeclient.server_code import ServerCode
from activeclient.testing.cuts import Direction, How
from activeclient.testing.cutter import Cutter
from activeclient.testing.detour import detour, endpoint_of
from activeclient.testing.waiting import wait_until

if TYPE_CHECKING:
    from activeclient.broker.configuration import BrokerConfiguration
    from activeclient.broker.embedded import EmbeddedBroker
    from activeclient.broker.faults import Faults
    from activeclient.client.session import ClientSession
    from activeclient.destination import Queue
    from activeclient.jms.connection import Connection
    from activeclient.jms.connection_factory import ActiveMQConnectionFactory
    from activeclient.setting_keywords import SettingKeywords

QUICK: SettingKeywords = {
    "retry_interval": 10,
    "max_retry_interval": 100,
    "call_timeout": 10_000,
    "call_failover_timeout": 20_000,
}
"""Settings of connections in tests, on top of the profile `reliable`: nobody wants to wait for a pause of 2 s."""
PATIENCE = 5.0
"""Seconds that connections have to go when a test ends."""


class BrokerUnderTest:
    """A broker for a test, with faults in one call. A context manager.

    Args:
        url: A running broker, `tcp://host:port?...`; None: an embedded one, which is started and stopped.
        embedded: Use this one, which is left running.
        configuration: Of an embedded broker that is started here.

    Raises:
        ConfigError: The URL is wrong, or not of the scheme tcp.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        embedded: EmbeddedBroker | None = None,
        configuration: BrokerConfiguration | None = None,
    ) -> None:
        if url is not None and embedded is not None:
            raise ConfigError("url", None, "give either a URL or an embedded broker")
        if configuration is not None and (url is not None or embedded is not None):
            raise ConfigError("configuration", None, "is for an embedded broker that is started here")
        self._configuration = configuration
        self._stack = contextlib.ExitStack()
        self._embedded = embedded
        self._queues: list[str] = []
        try:
            if url is None:
                url = self._own_url()
            self._direct = url
            endpoint = endpoint_of(url)
            self.cutter: Cutter = self._stack.enter_context(Cutter(endpoint.host, endpoint.port))
            """The link: for faults that have no method here."""
            self.url: str = detour(url, self.cutter)
            """Where the program under test connects to, by the way that breaks."""
        except BaseException:
            self._stack.close()
            raise

    def _own_url(self) -> str:
        from activeclient.broker.embedded import EmbeddedBroker

        if self._embedded is None:
            self._embedded = self._stack.enter_context(
                EmbeddedBroker(f"test-{uuid.uuid4()}", port=0, configuration=self._configuration)
            )
        if self._embedded.url == self._embedded.vm_url:
            raise ConfigError("embedded", None, "must have a port: EmbeddedBroker(port=0)")
        return self._embedded.url

    # --- connections ----------------------------------------------------------------------------------------------

    def connection_factory(self, **settings: Unpack[SettingKeywords]) -> ActiveMQConnectionFactory:
        """A factory with the profile `reliable` and short pauses; `settings` win."""
        from activeclient.client.locator import ServerLocator
        from activeclient.jms.connection_factory import ActiveMQConnectionFactory

        return ActiveMQConnectionFactory.of(
            ServerLocator.reliable(self.url, **cast("SettingKeywords", {**QUICK, **settings}))
        )

    def connect(self, **settings: Unpack[SettingKeywords]) -> Connection:
        """A started connection of such a factory; the caller closes it."""
        return self.connection_factory(**settings).create_connection().start()

    def new_queue(self) -> Queue:
        """The name of a queue that nobody else uses; what becomes of it is deleted with this object."""
        from activeclient.destination import Queue

        made = Queue(f"test.{uuid.uuid4()}")
        self._queues.append(made.name)
        return made

    def owns_queue(self, *names: str) -> None:
        """Queues of these names, if they come into being, are deleted with this object too."""
        self._queues += names

    # --- faults, on every kind of broker --------------------------------------------------------------------------

    def drop_connections(self, how: How = How.RESET) -> int:
        """Cut every connection now; how many they were. The next one works."""
        return self.cutter.cut_now(how)

    def cut_after(self, size: int, direction: Direction = Direction.TO_BROKER, how: How = How.RESET) -> None:
        """Cut every connection when so many bytes more have passed in this direction."""
        self.cutter.cut_after(direction, size, how)

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """While the block runs nobody can connect, and connections are cut at its beginning. The broker lives on."""
        self.cutter.down()
        try:
            self.cutter.cut_now()
            yield
        finally:
            self.cutter.up()

    @contextlib.contextmanager
    def silence(self) -> Iterator[None]:
        """While the block runs nothing passes on the connections that stand, which stay open; then they are reset."""
        self.cutter.cut_now(How.BLACK_HOLE)
        try:
            yield
        finally:
            self.cutter.release()

    # --- faults of an embedded one --------------------------------------------------------------------------------

    @property
    def embedded(self) -> EmbeddedBroker:
        """The embedded broker itself.

        Raises:
            UnsupportedOperationError: It is a running one.
        """
        if self._embedded is None:
            raise UnsupportedOperationError("this is a running broker: only an embedded one can do that")
        return self._embedded

    @property
    def faults(self) -> Faults:
        """Faults by packet: lost, held up, repeated, overtaken; sessions forgotten; storage that takes its time."""
        return self.embedded.faults

    def lose_next(self, packet: str) -> None:
        """Lose the next packet of this name, such as "NullResponse", as if it had never been sent."""
        self.faults.drop(packet)

    def restart(self, *, abrupt: bool = True) -> None:
        """Stop and start the embedded broker: sessions and what is not durable are gone.

        Args:
            abrupt: Without a word to clients, as after a kill.
        """
        self.embedded.restart(abrupt=abrupt)

    # --- looking --------------------------------------------------------------------------------------------------

    def message_count(self, queue: str) -> int:
        """Messages of a queue, those under delivery and the scheduled ones included.

        Raises:
            InvalidDestinationError: There is no such queue.
        """
        if self._embedded is not None:
            return self._embedded.message_count(queue)
        with self._asking() as session:
            found = session.query_queue(queue)
        if not found.exists:
            raise InvalidDestinationError(f"no queue {queue}", code=ServerCode.QUEUE_DOES_NOT_EXIST)
        return found.message_count

    @contextlib.contextmanager
    def _asking(self) -> Iterator[ClientSession]:
        """A session by the direct way."""
        from activeclient.client.locator import ServerLocator

        with ServerLocator(self._direct) as locator, locator.create_session_factory() as connection:
            yield connection.create_session()

    def wait_for_messages(self, queue: str, count: int, timeout: float = 5.0) -> None:
        """Wait until a queue has exactly so many messages.

        Raises:
            AssertionError: Not within `timeout` seconds.
        """
        wait_until(lambda: self.message_count(queue) == count, timeout, f"{count} messages in {queue}")

    @property
    def connections(self) -> int:
        """Connections that stand, by the way that breaks."""
        return self.cutter.connections

    def left(self, timeout: float = PATIENCE) -> str | None:
        """What the program under test has left open, in words; waits for it to go."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self.cutter.connections == 0, timeout)
            return None
        return f"{self.cutter.connections} connections to the broker"

    # --- its end --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the link, and the broker if it is our own; of a running one the queues of `new_queue` are deleted."""
        try:
            if self._queues and self._embedded is None:
                with self._asking() as session:
                    for name in self._queues:
                        if session.query_queue(name).exists:
                            session.delete_queue(name)
        finally:
            self._queues.clear()
            self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @never_raises
    def __repr__(self) -> str:
        return f"<BrokerUnderTest {'running' if self._embedded is None else 'embedded'} at {self.cutter.url()}>"
