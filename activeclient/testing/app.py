"""An application of handlers on the broker of a test: send, wait until all is handled, look at what came out.

Law of this file: failed messages are tried again without delay; the application is stopped at the end of the test, and
what it left on a running broker is deleted with the broker's other queues.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from activeclient.app.delivery import destination_of
from activeclient.destination import Destination, Queue, Topic
from activeclient.errors import InvalidDestinationError
from activeclient.jms.subscriptions import subscription_queue
from activeclient.masking import never_raises
from activeclient.testing.waiting import wait_until

if TYPE_CHECKING:
    from activeclient.app.application import App, Counts
    from activeclient.app.handlers import Listener
    from activeclient.jms.message import Message
    from activeclient.testing.broker import BrokerUnderTest


class AppUnderTest:
    """An application that runs on the broker of a test. A context manager; `close` stops it.

    Args:
        app: The application; its own URL is not used.
        broker: The broker.

    Raises:
        IllegalStateError: It runs already, or has no listener.
    """

    def __init__(self, app: App, broker: BrokerUnderTest) -> None:
        self.app = app
        self.broker = broker
        for listener in app.listeners:
            broker.owns_queue(_queue_of(listener), listener.dead_letter.name)
        app.start(broker.connection_factory(), delays=False)

    def send(self, destination: str | Destination, body: object, **options: Any) -> Message:
        """Send a message, as `App.send`."""
        return self.app.send(destination, body, **options)

    def wait_until_done(self, timeout: float = 30.0) -> None:
        """Wait until the queues of all handlers are empty: every message was handled, or is a dead letter.

        Raises:
            AssertionError: Not within `timeout` seconds.
        """
        queues = [_queue_of(listener) for listener in self.app.listeners]
        wait_until(lambda: not any(map(self._count, queues)), timeout, f"no messages in {', '.join(queues)}")

    def _count(self, queue: str) -> int:
        try:
            return self.broker.message_count(queue)
        except InvalidDestinationError:
            return 0

    def counts(self, name: str) -> Counts:
        """How many messages the handler of this name has handled, tried again, and given up.

        Raises:
            KeyError: There is no such handler.
        """
        return self.app.counts(name)

    def messages(self, queue: str | Destination) -> list[Message]:
        """Look at the messages of a queue, for example one that handlers send to; they stay there.

        Raises:
            InvalidDestinationError: No queue.
        """
        to = destination_of(queue)
        if not isinstance(to, Queue):
            raise InvalidDestinationError(f"only queues can be looked at, not {to}")
        with self.app.connection.create_session() as session, session.create_browser(to) as browser:
            return list(browser)

    def dead_letters(self, name: str) -> list[Message]:
        """Look at the dead letters of the handler of this name; they stay there.

        Raises:
            KeyError: There is no such handler.
        """
        for listener in self.app.listeners:
            if listener.name == name:
                return self.messages(listener.dead_letter)
        raise KeyError(name)

    def close(self) -> None:
        """Stop the application."""
        self.app.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @never_raises
    def __repr__(self) -> str:
        return f"<AppUnderTest {self.app!r} on {self.broker!r}>"


def _queue_of(listener: Listener) -> str:
    to = listener.destination
    if listener.subscription is not None and isinstance(to, Topic):
        return subscription_queue(listener.subscription, None, durable=True)
    return to.queue_name or to.address
