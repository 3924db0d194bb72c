"""Closing while the connection is away for a moment, or for good."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from activeclient import BytesMessage, Connection, DeliveryMode, Queue, connect
from activeclient.errors import ActiveClientError, LargeMessageError, UnsettledError
from activeclient.testing.cutter import Cutter
from integration.jms_cases.support import count, eventually, fill

PATIENCE = 30.0
LARGE = 6_000_000


class _Closing:
    """A call that closes something, on another thread."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(call,))
        self._thread.start()
        time.sleep(0.05)  # for a close that does not wait to return
        assert self._thread.is_alive()

    def _run(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:
            self._errors.append(error)

    def ended(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        assert self._errors == []


@contextlib.contextmanager
def _away(cutter: Cutter, connection: Connection) -> Iterator[None]:
    cutter.down()
    try:
        cutter.cut_now()
        eventually(lambda: not connection.factory.is_connected, "the loss")
        yield
    finally:
        cutter.up()


@pytest.fixture
def shaken(cutter: Cutter) -> Iterator[Connection]:
    with connect(cutter.url(), retry_interval=20) as made:
        yield made


@pytest.mark.parametrize("what", ["connection", "session", "producer"])
def test_sends_of_an_outage_are_settled_before_it_is_closed(
    shaken: Connection, connection: Connection, cutter: Cutter, queue: Queue, what: str
) -> None:
    told: list[ActiveClientError | None] = []
    session = shaken.create_session()
    producer = session.create_producer(queue)
    producer.send("first")
    with _away(cutter, shaken):
        for number in range(20):
            producer.send(str(number), on_complete=lambda _, error: told.append(error))
        things: dict[str, Any] = {"connection": shaken, "session": session, "producer": producer}
        closing = _Closing(things[what].close)
    closing.ended()
    assert told == [None] * 20
    assert count(connection, queue.name) == 21


def test_a_reply_that_is_not_durable_is_sent_before_the_connection_closes(
    shaken: Connection, connection: Connection, cutter: Cutter, queue: Queue
) -> None:
    with shaken.create_session() as session:
        producer = session.create_producer(queue)
        producer.send("first")
        with _away(cutter, shaken):
            producer.send("reply", delivery_mode=DeliveryMode.NON_PERSISTENT)
            closing = _Closing(shaken.close)
        closing.ended()
    eventually(lambda: count(connection, queue.name) == 2, "the reply")


@pytest.mark.parametrize(
    ("what", "window"), [("connection", 1 << 20), ("session", 0), ("consumer", 0), ("connection", -1)]
)
def test_acknowledgements_of_an_outage_are_settled_before_it_is_closed(
    connection: Connection, cutter: Cutter, queue: Queue, what: str, window: int
) -> None:
    fill(connection, queue, *map(str, range(10)))
    with connect(cutter.url(), retry_interval=20, confirmation_window_size=window) as shaken:
        session = shaken.create_session()
        consumer = session.create_consumer(queue)
        assert consumer.receive(PATIENCE) is not None
        eventually(lambda: len(consumer._core.engine.buffer) == 9, "the rest")
        with _away(cutter, shaken):
            for _ in range(4):
                assert consumer.receive(1) is not None
            things: dict[str, Any] = {"connection": shaken, "session": session, "consumer": consumer}
            closing = _Closing(things[what].close)
        closing.ended()
    with connection.create_session() as session, session.create_consumer(queue) as consumer:
        assert len(list(consumer.messages(0.5))) == 5


def test_what_cannot_be_settled_is_told(cutter: Cutter, queue: Queue) -> None:
    settings: dict[str, Any] = {"retry_interval": 20, "close_timeout": 200}
    shaken = connect(cutter.url(), **settings)
    told: list[ActiveClientError | None] = []
    session = shaken.create_session()
    producer = session.create_producer(queue)
    producer.send("first")
    with _away(cutter, shaken):
        producer.send("late", on_complete=lambda _, error: told.append(error))
        with pytest.raises(UnsettledError) as raised:
            shaken.close()
    assert len(told) == 1
    assert raised.value.not_sent + raised.value.unknown == 1


@pytest.mark.parametrize("what", ["consumer", "session", "connection"])
def test_a_streamed_body_that_was_not_read_stays_with_the_broker(
    broker_url: str, connection: Connection, queue: Queue, what: str
) -> None:
    with connect(broker_url) as other:
        session = other.create_session()
        session.create_producer(queue).send(bytes(LARGE))
        consumer = session.create_consumer(queue)
        message = consumer.receive(PATIENCE)
        assert isinstance(message, BytesMessage)
        things: dict[str, Any] = {"consumer": consumer, "session": session, "connection": other}
        things[what].close()
        with pytest.raises(LargeMessageError, match="not acknowledged and is delivered again"):
            _ = message.data
    with connection.create_session() as session, session.create_consumer(queue) as consumer:
        again = consumer.receive(PATIENCE)
        assert isinstance(again, BytesMessage)
        assert again.data == bytes(LARGE)
