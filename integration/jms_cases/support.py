"""What the JMS cases share: waiting for a condition, filling queues, reading texts, counting.

Law: nothing here sleeps for a result: it waits for a condition and says in its error what it saw instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from activeclient import Connection, Destination, JMSConsumer, Message, MessageConsumer, TextMessage
from integration.cases.support import eventually as eventually

SOON = 12.0
"""Seconds after which what should have come is missing; a busy machine needs some."""
Consumer = MessageConsumer | JMSConsumer


def fill(connection: Connection, destination: Destination, *bodies: object, **options: object) -> None:
    """Send bodies in a session of their own."""
    with connection.create_session() as session, session.create_producer(destination) as producer:
        for body in bodies:
            producer.send(body, **options)  # type: ignore[arg-type]


def text_of(message: Message | None) -> str | None:
    """The text of a message that must be one."""
    assert isinstance(message, TextMessage), message
    return message.text


def texts(consumer: Consumer, count: int) -> list[str | None]:
    """The texts of the next messages, each of which must come soon."""
    return [text_of(consumer.receive(SOON)) for _ in range(count)]


def rest(consumer: Consumer, timeout: float = 0.2) -> list[str | None]:
    """The texts of all that comes until nothing comes for a while."""
    return [text_of(message) for message in consumer.messages(timeout)]


def count(connection: Connection, queue: str) -> int:
    """Messages in a queue; -1 when there is none."""
    with connection.factory.create_session() as core:
        found = core.query_queue(queue)
        return found.message_count if found.exists else -1


def left(connection: Connection, queue: str, expected: int) -> None:
    """So many messages are left in a queue, once what was acknowledged without waiting is settled."""
    eventually(lambda: count(connection, queue) == expected, f"{expected} messages left in {queue}")


def names_of(connection: Connection, address: str) -> list[str]:
    """The queues of an address."""
    with connection.factory.create_session() as core:
        return sorted(core.query_address(address).queue_names)


class Inbox:
    """A message listener that keeps what it got, and may raise."""

    def __init__(self, raises: Callable[[Message], bool] = lambda _: False) -> None:
        self._raises = raises
        self._changed = threading.Condition()
        self.messages: list[Message] = []
        self.threads: set[int] = set()

    def __call__(self, message: Message) -> None:
        with self._changed:
            self.messages.append(message)
            self.threads.add(threading.get_ident())
            self._changed.notify_all()
        if self._raises(message):
            raise ValueError("the listener does not want it")

    @property
    def texts(self) -> list[str | None]:
        """What it got so far."""
        return [text_of(message) for message in list(self.messages)]

    def wait(self, count: int) -> list[str | None]:
        """Until it got so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.messages) >= count, SOON), self.texts
        return self.texts


def outcome(call: Callable[[], object]) -> BaseException | None:
    """The error that a call raises, if any."""
    try:
        call()
    except Exception as error:
        return error
    return None


def outcomes(calls: Iterable[Callable[[], object]]) -> list[type[BaseException] | None]:
    """The kinds of errors that calls raise."""
    return [None if (error := outcome(call)) is None else type(error) for call in calls]
