"""What the JMS cases share: waiting for a condition, filling queues, reading texts, counting.

Law: nothing here sleeps for a result: it waits for a condition and says in its error what it saw instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from activeclient import (
    AcknowledgeMode,
    Connection,
    Destination,
    JMSConsumer,
    Message,
    MessageConsumer,
    Queue,
    Session,
    TextMessage,
)
from integration.cases import support

SOON = 30.0
"""Seconds after which what should have come is missing; a busy machine needs some."""
CLIENT = AcknowledgeMode.CLIENT_ACKNOWLEDGE
INDIVIDUAL = AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE
DUPS_OK = AcknowledgeMode.DUPS_OK_ACKNOWLEDGE
TRANSACTED = AcknowledgeMode.SESSION_TRANSACTED
AUTO = AcknowledgeMode.AUTO_ACKNOWLEDGE
PRE = AcknowledgeMode.PRE_ACKNOWLEDGE
RECREATING = "?reconnectAttempts=-1&retryInterval=20&duplicateDetection=true"
"""Every cut recreates the sessions."""
Consumer = MessageConsumer | JMSConsumer


def eventually(seen: Callable[[], object], what: str = "what was waited for", timeout: float = SOON) -> None:
    """Wait until *seen* is true."""
    support.eventually(seen, what, timeout)


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


def drained(consumer: Consumer, timeout: float = 0.2) -> list[Message]:
    """All that comes until nothing comes for a while and the broker, asked then, has nothing either."""
    found: list[Message] = []
    while True:
        message = consumer.receive(timeout)
        if message is None:
            message = consumer.receive_no_wait()  # a machine that stalls is no empty queue
        if message is None:
            return found
        found.append(message)


def rest(consumer: Consumer, timeout: float = 0.2) -> list[str | None]:
    """The texts of all that is `drained`."""
    return [text_of(message) for message in drained(consumer, timeout)]


def credited(*sessions: Session) -> None:
    """The broker has every credit of the consumers of these sessions: its answer comes behind them."""
    for session in sessions:
        session.core.query_address("credited")


def in_time(attempt: Callable[[float], bool]) -> None:
    """Make attempts that take so many seconds, until one was told in time: a machine may stall for longer than one."""
    assert any(attempt(seconds) for seconds in (0.4, 4.0, 15.0)), "no attempt was in time"


def count(connection: Connection, queue: Queue | str) -> int:
    """Messages in a queue; -1 when there is none."""
    with connection.factory.create_session() as core:
        found = core.query_queue(queue if isinstance(queue, str) else queue.queue_name or queue.address)
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
