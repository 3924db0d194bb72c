"""Closing while the connection is away for a moment, or for good: nothing is lost in silence."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pytest

from activeclient import AcknowledgeMode, BytesMessage, Connection, DeliveryMode, Message, ServerLocator, Topic
from activeclient.errors import (
    ActiveClientError,
    JMSError,
    LargeMessageError,
    NotSent,
    Outcome,
    OutcomeUnknown,
    UnsettledError,
)
from activeclient.testing import BrokerUnderTest, Direction, wait_until
from activeclient.testing.leaks import Leaks

PATIENCE = 30.0
REATTACHED: dict[str, Any] = {}
RECREATED: dict[str, Any] = {"confirmation_window_size": 0}
WITHOUT_WINDOW: dict[str, Any] = {"confirmation_window_size": -1}
WAYS = pytest.mark.parametrize(
    "settings", [REATTACHED, RECREATED, WITHOUT_WINDOW], ids=["reattached", "recreated", "without-window"]
)
HOPELESS: dict[str, Any] = {"close_timeout": 200, "call_failover_timeout": 100}
"""It does not come back within this."""
AT_ONCE = 8.0
"""Seconds within which a close returns that waits for nothing; closeTimeout is 10."""


@pytest.fixture
def broker() -> Iterator[BrokerUnderTest]:
    with BrokerUnderTest() as made:
        yield made


class Closing:
    """A call that closes something, on another thread."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:
            self.error = error

    @property
    def waits(self) -> bool:
        return self._thread.is_alive()

    def ended(self) -> None:
        self._thread.join(PATIENCE)
        assert not self.waits
        if self.error is not None:
            raise self.error


@contextlib.contextmanager
def away(broker: BrokerUnderTest, connection: Connection) -> Iterator[None]:
    """The connection is lost and does not come back within the block."""
    with broker.outage():
        wait_until(lambda: not connection.factory.is_connected, PATIENCE)
        yield


def closing_across(broker: BrokerUnderTest, connection: Connection, call: Callable[[], object], work: Any) -> None:
    """`work()` in an outage; `call()` closes something in it, and waits until it is over."""
    with away(broker, connection):
        work()
        closing = Closing(call)
        time.sleep(0.05)  # for a close that does not wait to return
        assert closing.waits
    closing.ended()


# --- sends ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["connection", "session", "producer", "context", "locator"])
def test_sends_under_way_are_settled_and_every_listener_called(broker: BrokerUnderTest, what: str) -> None:
    queue = broker.new_queue()
    told: list[ActiveClientError | None] = []
    with broker.connection_factory().create_context() as context:
        context.start()
        producer = context.session.create_producer(queue)
        producer.send("first")
        things = {
            "connection": context.connection.close,
            "session": context.session.close,
            "producer": producer.close,
            "context": context.close,
            "locator": context.connection.factory.close,
        }

        def work() -> None:
            for number in range(20):
                producer.send(str(number), on_complete=lambda _, error: told.append(error))

        closing_across(broker, context.connection, things[what], work)
        assert told == [None] * 20
    broker.wait_for_messages(queue.name, 21, PATIENCE)


@pytest.mark.parametrize("settings", [REATTACHED, RECREATED], ids=["reattached", "recreated"])
def test_a_cut_just_before_the_end_of_a_block_loses_nothing(broker: BrokerUnderTest, settings: dict[str, Any]) -> None:
    """Twenty lines of a user, the cut at a byte that is among the sends."""
    queue = broker.new_queue()
    for position in (500, 2000, 5000, 8000):
        told: list[ActiveClientError | None] = []
        with broker.connect(**settings) as connection, connection.create_session() as session:
            producer = session.create_producer(queue)
            broker.cut_after(position)
            for number in range(50):
                producer.send(str(number), on_complete=lambda _, error: told.append(error))  # noqa: B023
        assert told == [None] * 50
    broker.wait_for_messages(queue.name, 200, PATIENCE)


def test_a_reply_that_is_not_durable_is_sent_before_the_connection_closes(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    with broker.connect() as connection:
        producer = connection.create_session().create_producer(queue)
        producer.send("first")
        closing_across(
            broker,
            connection,
            connection.close,
            lambda: producer.send("reply", delivery_mode=DeliveryMode.NON_PERSISTENT),
        )
    broker.wait_for_messages(queue.name, 2, PATIENCE)


def test_a_blocked_send_has_its_outcome_when_another_thread_closes(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    with broker.connect() as connection:
        session = connection.create_session()
        producer = session.create_producer(queue)
        producer.send("first")
        with away(broker, connection):
            sending = Closing(lambda: producer.send("blocked"))
            wait_until(lambda: len(session.core.engine.buffer) > 0, PATIENCE)
            closing = Closing(connection.close)
            time.sleep(0.05)
            assert closing.waits
        closing.ended()
        sending.ended()
    broker.wait_for_messages(queue.name, 2, PATIENCE)


def test_a_commit_under_way_has_its_outcome_when_another_thread_closes(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    with broker.connect() as connection:
        session = connection.create_session(AcknowledgeMode.SESSION_TRANSACTED)
        session.create_producer(queue).send("x")
        session.commit()
        session.create_producer(queue).send("y")
        with away(broker, connection):
            committing = Closing(session.commit)
            wait_until(lambda: bool(session.core.engine.pending), PATIENCE)
            closing = Closing(connection.close)
            time.sleep(0.05)
            assert closing.waits
        closing.ended()
        committing.ended()
    broker.wait_for_messages(queue.name, 2, PATIENCE)


# --- acknowledgements -------------------------------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("what", ["connection", "session", "consumer"])
def test_acknowledgements_of_an_outage_are_not_lost_with_the_close(
    broker: BrokerUnderTest, settings: dict[str, Any], what: str
) -> None:
    queue = broker.new_queue()
    with broker.connect() as other, other.create_session() as session, session.create_producer(queue) as producer:
        for number in range(10):
            producer.send(str(number))
    with broker.connect(**settings) as connection:
        session = connection.create_session()
        consumer = session.create_consumer(queue)
        assert consumer.receive(PATIENCE) is not None
        wait_until(lambda: len(consumer._core.engine.buffer) == 9, PATIENCE)
        things = {"connection": connection.close, "session": session.close, "consumer": consumer.close}

        def work() -> None:
            for _ in range(4):
                assert consumer.receive(1) is not None

        closing_across(broker, connection, things[what], work)
    with broker.connect() as other, other.create_session() as session, session.create_consumer(queue) as consumer:
        left = [message.text for message in consumer.messages(0.3)]
    assert left == [str(number) for number in range(5, 10)]


def test_a_batch_of_acknowledgements_is_not_lost_with_the_close(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    with broker.connect(**RECREATED) as connection:
        session = connection.create_session(AcknowledgeMode.DUPS_OK_ACKNOWLEDGE)
        with session.create_producer(queue) as producer:
            for number in range(5):
                producer.send(str(number))
        consumer = session.create_consumer(queue)
        wait_until(lambda: len(consumer._core.engine.buffer) == 5, PATIENCE)
        closing_across(broker, connection, connection.close, lambda: [consumer.receive(1) for _ in range(5)])
    broker.wait_for_messages(queue.name, 0, PATIENCE)


# --- what cannot be settled -------------------------------------------------------------------------------------------


def test_what_cannot_be_settled_is_counted_named_and_logged(
    broker: BrokerUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    queue = broker.new_queue()
    told: list[ActiveClientError | None] = []
    connection = broker.connect(**HOPELESS)
    session = connection.create_session()
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    producer.send("x")
    wait_until(lambda: len(consumer._core.engine.buffer) == 1, PATIENCE)
    broker.cutter.down()
    try:
        broker.cut_after(0, Direction.TO_CLIENT)  # no answer comes any more, and no connection after this one
        producer.send("taken by the connection", on_complete=lambda _, error: told.append(error))
        producer._core.flush()
        wait_until(lambda: not connection.factory.is_connected, PATIENCE)
        producer.send("not taken", on_complete=lambda _, error: told.append(error))
        assert consumer.receive(1) is not None
        with caplog.at_level(logging.ERROR), pytest.raises(UnsettledError) as raised:
            connection.close()
    finally:
        broker.cutter.up()
    error = raised.value
    assert (error.not_sent, error.unknown, error.acknowledgements, error.commits) == (1, 1, 1, 0)
    assert error.outcome is Outcome.UNKNOWN
    assert len(error.duplicate_ids) == 1
    assert isinstance(error, JMSError)
    assert [type(each) for each in told] == [OutcomeUnknown, NotSent]
    assert isinstance(told[0], OutcomeUnknown)
    assert error.duplicate_ids == (told[0].duplicate_id,)
    assert str(error) in caplog.text
    assert connection.is_closed
    connection.close()  # said once


def test_an_exception_of_the_block_is_not_replaced(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    with contextlib.ExitStack() as outage:  # noqa: SIM117 - it ends after the block
        with pytest.raises(ZeroDivisionError) as raised, broker.connect(**HOPELESS) as connection:  # noqa: PT012
            producer = connection.create_session().create_producer(queue)
            producer.send("x")
            outage.enter_context(away(broker, connection))
            producer.send("y", on_complete=lambda *_: None)
            raise ZeroDivisionError
    assert "1 send that did not take effect" in "".join(raised.value.__notes__)


def test_nested_blocks_wait_once_and_the_last_one_tells_everything(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    settings = {**HOPELESS, "close_timeout": 1000}
    with contextlib.ExitStack() as outage:
        with (  # noqa: PT012
            pytest.raises(UnsettledError) as raised,
            broker.connect(**settings) as connection,
            connection.create_session() as session,
            session.create_producer(queue) as producer,
            session.create_consumer(queue) as consumer,
        ):
            producer.send("x")
            wait_until(lambda: len(consumer._core.engine.buffer) == 1, PATIENCE)
            outage.enter_context(away(broker, connection))
            producer.send("y", on_complete=lambda *_: None)
            assert consumer.receive(1) is not None
            began = time.monotonic()
        assert time.monotonic() - began < 3 * 1.0  # of four that would each wait for a second
    assert (raised.value.not_sent, raised.value.acknowledgements) == (1, 1)
    assert isinstance(raised.value.__context__, UnsettledError)  # of the consumer


@pytest.mark.parametrize("what", ["connection", "session", "producer", "consumer"])
def test_with_nothing_under_way_closing_does_not_wait_for_a_broker_that_is_away(
    broker: BrokerUnderTest, what: str
) -> None:
    with broker.connect() as connection:
        session = connection.create_session()
        producer = session.create_producer(broker.new_queue())
        consumer = session.create_consumer(Topic("closing"))
        producer.send("x")
        things = {
            "connection": connection.close, "session": session.close,
            "producer": producer.close, "consumer": consumer.close,
        }  # fmt: skip
        with away(broker, connection):
            began = time.monotonic()
            things[what]()
            assert time.monotonic() - began < AT_ONCE


def test_what_a_transaction_holds_is_rolled_back_without_waiting(broker: BrokerUnderTest) -> None:
    with broker.connect() as connection:
        session = connection.create_session(AcknowledgeMode.SESSION_TRANSACTED)
        session.create_producer(broker.new_queue()).send("x")
        with away(broker, connection):
            began = time.monotonic()
            connection.close()
            assert time.monotonic() - began < AT_ONCE


def test_after_a_give_up_closing_tells_what_nobody_was_told_of(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    connection = broker.connect(reconnect_attempts=1, retry_interval=1)
    producer = connection.create_session().create_producer(queue)
    producer.send("x")
    with broker.outage():
        for _ in range(3):
            with contextlib.suppress(ActiveClientError):
                producer.send("y", delivery_mode=DeliveryMode.NON_PERSISTENT)
        wait_until(lambda: connection.is_closed, PATIENCE)
        with pytest.raises(UnsettledError) as raised:
            connection.close()
    assert raised.value.not_sent + raised.value.unknown >= 1


# --- from everywhere --------------------------------------------------------------------------------------------------


def test_a_core_message_listener_may_close_its_connection_with_sends_under_way(broker: BrokerUnderTest) -> None:
    queue, results = broker.new_queue(), broker.new_queue()
    told: list[object] = []
    with broker.connect() as connection:
        core = connection.factory.create_session().start()
        core.create_queue(queue.address)
        core.create_queue(results.address)
        producer = core.create_producer()
        producer.send(core.create_message(), address=queue.address)

        def close(_: object) -> None:
            for _ in range(10):
                producer.send(core.create_message(), lambda *outcome: told.append(outcome[1]), address=results.address)
            connection.factory.close()

        core.create_consumer(queue.address).message_handler = close
        wait_until(lambda: len(told) == 10, PATIENCE)
    assert told == [None] * 10
    broker.wait_for_messages(results.name, 10, PATIENCE)


def test_closing_twice_and_in_two_threads_at_once(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    with broker.connect() as connection:
        session = connection.create_session()
        producer = session.create_producer(queue)
        producer.send("first")
        with away(broker, connection):
            producer.send("x", on_complete=lambda *_: None)
            closings = [Closing(call) for call in (session.close, connection.close, connection.close, session.close)]
        for closing in closings:
            closing.ended()
    broker.wait_for_messages(queue.name, 2, PATIENCE)


# --- streamed bodies --------------------------------------------------------------------------------------------------


LARGE = 6_000_000


def read_all(body: BinaryIO) -> None:
    while body.read(100_000):
        pass


@pytest.mark.parametrize("what", ["consumer", "session", "connection"])
@pytest.mark.parametrize("mode", [AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.DUPS_OK_ACKNOWLEDGE])
@pytest.mark.parametrize("read", [0, 1000, LARGE])
def test_a_streamed_message_is_acknowledged_if_its_body_stays_readable(
    broker: BrokerUnderTest, what: str, mode: AcknowledgeMode, read: int
) -> None:
    queue = broker.new_queue()
    with broker.connect() as connection:
        session = connection.create_session(mode)
        session.create_producer(queue).send(bytes(LARGE))
        consumer = session.create_consumer(queue)
        message = consumer.receive(PATIENCE)
        assert isinstance(message, BytesMessage)
        body = message.open_body()
        got = 0
        while got < read:
            got += len(body.read(min(100_000, read - got)))
        {"consumer": consumer, "session": session, "connection": connection}[what].close()
        if read == LARGE:
            broker.wait_for_messages(queue.name, 0, PATIENCE)
            return
        with pytest.raises(LargeMessageError, match="not acknowledged and is delivered again"):
            read_all(body)
    broker.wait_for_messages(queue.name, 1, PATIENCE)


def test_a_body_that_is_gone_with_its_acknowledged_message_is_not_promised_again(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    with broker.connect() as connection:
        session = connection.create_session()
        producer = session.create_producer(queue)
        producer.send(bytes(LARGE))
        producer.send("next")
        consumer = session.create_consumer(queue)
        message = consumer.receive(PATIENCE)
        assert isinstance(message, BytesMessage)
        assert consumer.receive(PATIENCE) is not None  # which acknowledges the one before
        for _ in range(2):
            with pytest.raises(ActiveClientError) as raised:
                _ = message.data
            assert "it is gone" in str(raised.value)


# --- browsers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["to the end", "broken off", "closed", "never begun", "not iterated"])
def test_a_browser_that_does_not_look_any_more_is_kept_by_nobody(broker: BrokerUnderTest, how: str) -> None:
    queue = broker.new_queue()
    with broker.connect() as connection, connection.create_session() as session:
        session.create_producer(queue).send("x")
        for _ in range(3):
            browser = session.create_browser(queue)
            match how:
                case "to the end":
                    assert len(list(browser)) == 1
                case "broken off":
                    for _message in browser:
                        break
                case "closed":
                    look = iter(browser)
                    next(look)
                    browser.close()
                case "never begun":
                    iter(browser)
            del browser
        gc.collect()
        assert list(session._browsers) == []
        assert session.core.query_queue(queue.name).consumer_count == 0


# --- dropped without close --------------------------------------------------------------------------------------------


def connected(broker: BrokerUnderTest) -> None:
    broker.connect()


def with_a_session(broker: BrokerUnderTest) -> None:
    broker.connect().create_session()


def with_a_consumer(broker: BrokerUnderTest) -> None:
    broker.connect().create_session().create_consumer(broker.new_queue()).receive(0)


def context(broker: BrokerUnderTest) -> None:
    broker.connection_factory().create_context().create_producer().send(broker.new_queue(), "x")


def core(broker: BrokerUnderTest) -> None:
    session = ServerLocator(broker.url).create_session_factory().create_session().start()
    session.create_queue("dropped")
    session.create_consumer("dropped")


@pytest.mark.parametrize(
    ("drop", "name"),
    [
        (connected, "<Connection "),
        (with_a_session, "<Session "),
        (with_a_consumer, "<Connection "),
        (context, "<JMSContext "),
        (core, "<ClientSessionFactory "),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_dropped_is_named_and_ends(
    broker: BrokerUnderTest, drop: Callable[[BrokerUnderTest], None], name: str
) -> None:
    leaks = Leaks(own_threads=True)
    with pytest.warns(ResourceWarning) as warned:  # noqa: PT031
        drop(broker)
        # A thread of the client may still be about to leave it.
        wait_until(lambda: gc.collect() < 0 or broker.embedded.session_count() == 0, PATIENCE)
    assert any(name in str(warning.message) for warning in warned)
    assert not [warning for warning in warned if "socket" in str(warning.message)]
    assert broker.left(PATIENCE) is None
    assert leaks.left(PATIENCE) == []


def test_a_dropped_session_ends_and_its_connection_goes_on(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    with broker.connect() as connection:
        before = broker.embedded.session_count()
        with pytest.warns(ResourceWarning, match="<Session AUTO_ACKNOWLEDGE"):
            connection.create_session().create_producer(queue).send("x")
        wait_until(lambda: broker.embedded.session_count() == before, PATIENCE)
        with connection.create_session() as session, session.create_consumer(queue) as consumer:
            assert consumer.receive(PATIENCE) is not None


def test_a_dropped_connection_settles_what_it_has_under_way(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    connection = broker.connect()
    producer = connection.create_session().create_producer(queue)
    producer.send("first")
    with pytest.warns(ResourceWarning), away(broker, connection):  # noqa: PT031
        future = producer.send_async("x")
        del connection, producer
        gc.collect()
    assert future.result(PATIENCE) is not None
    broker.wait_for_messages(queue.name, 2, PATIENCE)


def test_a_listener_keeps_its_connection(broker: BrokerUnderTest) -> None:
    queue = broker.new_queue()
    received: list[Message] = []

    def listen() -> Callable[[], None]:
        connection = broker.connect()
        connection.create_session().create_consumer(queue).message_listener = received.append
        reference = weakref.ref(connection)

        def close() -> None:
            kept = reference()
            assert kept is not None
            kept.close()

        return close

    close = listen()
    gc.collect()
    with broker.connect() as other, other.create_session() as session:
        session.create_producer(queue).send("x")
        wait_until(lambda: len(received) == 1, PATIENCE)
    close()
