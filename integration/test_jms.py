"""The JMS API against a real broker: every mode, every way of receiving, and closing in every state."""

from __future__ import annotations

import io
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

import activeclient
from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    BytesMessage,
    Connection,
    DeliveryMode,
    Message,
    MessageConsumer,
    Queue,
    Recovery,
    ServerLocator,
    Session,
    TemporaryQueue,
    TextMessage,
    Topic,
    connect,
)
from activeclient.client.listeners import ConnectionFailure
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    ConnectionLost,
    IllegalStateError,
    InvalidClientIDError,
    InvalidDestinationError,
    InvalidSelectorError,
    JMSError,
    ResourceAllocationError,
    TransactionRolledBackError,
    UnsupportedOperationError,
)
from activeclient.events import ConsumerLost
from activeclient.wire.properties import Byte, Float32, Short
from integration.artemis import Broker
from integration.cases.support import Management
from integration.chaos.traffic import reattaches
from integration.cutter import Cutter

CLIENT = AcknowledgeMode.CLIENT_ACKNOWLEDGE
INDIVIDUAL = AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE
DUPS_OK = AcknowledgeMode.DUPS_OK_ACKNOWLEDGE
TRANSACTED = AcknowledgeMode.SESSION_TRANSACTED
AUTO = AcknowledgeMode.AUTO_ACKNOWLEDGE
SOON = 10.0


def eventually(condition: Callable[[], bool], timeout: float = SOON) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


@pytest.fixture
def connection(broker_url: str) -> Iterator[Connection]:
    with connect(broker_url) as made:
        yield made


@pytest.fixture
def session(connection: Connection) -> Session:
    return connection.create_session()


@pytest.fixture
def queue(connection: Connection, broker_url: str) -> Iterator[Queue]:
    made = Queue(f"jms-{uuid.uuid4()}")
    yield made
    connection.close()
    with ServerLocator(broker_url) as locator, locator.create_session_factory() as factory:
        cleaner = factory.create_session()
        if cleaner.query_queue(made.name).exists:
            cleaner.delete_queue(made.name)


def fill(connection: Connection, queue: Queue, *bodies: object) -> None:
    with connection.create_session() as session, session.create_producer(queue) as producer:
        for body in bodies:
            producer.send(body)


def texts(consumer: MessageConsumer, count: int) -> list[str | None]:
    found = []
    for _ in range(count):
        message = consumer.receive(SOON)
        assert isinstance(message, TextMessage)
        found.append(message.text)
    return found


def count(connection: Connection, queue: Queue) -> int:
    with connection.factory.create_session() as core:
        return core.query_queue(queue.name).message_count


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_text_travels_with_its_headers_and_properties(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    sent = TextMessage(
        "hé \U0001f600",
        properties={"flag": True, "b": Byte(-3), "s": Short(300), "i": 7, "l": 2**40, "d": 0.5, "f": Float32(1.5)},
    )
    sent.jms_type = "greeting"
    sent.jms_reply_to = Topic("answers")
    sent.jms_correlation_id = b"\x00\x01"
    sent.properties["JMSXGroupID"] = "group"
    sent.properties["nothing"] = None
    producer.send(sent, priority=7, time_to_live=60)
    message = session.create_consumer(queue).receive(SOON)
    assert isinstance(message, TextMessage)
    assert message.text == "hé \U0001f600"
    assert message.jms_message_id == sent.jms_message_id
    assert message.jms_message_id is not None
    assert message.jms_message_id.startswith("ID:")
    assert message.jms_type == "greeting"
    assert message.jms_reply_to == Topic("answers")
    assert message.jms_correlation_id == b"\x00\x01"
    assert message.jms_priority == 7
    assert message.jms_delivery_mode is DeliveryMode.PERSISTENT
    assert message.jms_destination == queue == sent.jms_destination
    assert message.jms_timestamp == sent.jms_timestamp > 0
    assert message.jms_expiration == sent.jms_timestamp + 60_000
    assert message.jms_delivery_time == message.jms_timestamp
    assert message.jms_redelivered is False
    assert dict(message.properties) == {
        "flag": True, "b": -3, "s": 300, "i": 7, "l": 2**40, "d": 0.5, "f": 1.5, "nothing": None,
        "JMSXGroupID": "group", "JMSXDeliveryCount": 1,
    }  # fmt: skip
    assert message.properties.get_long("b") == -3
    assert message.properties.get_string("flag") == "true"


@pytest.mark.parametrize("size", [0, 1, 50_000, 300_000])
def test_bytes_of_every_size_travel(session: Session, queue: Queue, size: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    session.create_producer(queue).send(data)
    message = session.create_consumer(queue).receive(SOON)
    assert isinstance(message, BytesMessage)
    assert message.data == data
    assert message.body_length == size


def test_values_written_are_values_read(session: Session, queue: Queue) -> None:
    sent = session.create_bytes_message()
    sent.write_boolean(True)
    sent.write_utf("hé")
    sent.write_long(-(2**63))
    session.create_producer(queue).send(sent)
    message = session.create_consumer(queue).receive(SOON)
    assert isinstance(message, BytesMessage)
    assert (message.read_boolean(), message.read_utf(), message.read_long()) == (True, "hé", -(2**63))


def test_a_message_without_a_body_and_one_without_a_text_travel(session: Session, queue: Queue) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    producer.send(None)
    producer.send(TextMessage())
    plain, text = consumer.receive(SOON), consumer.receive(SOON)
    assert type(plain) is Message
    assert plain.body is None
    assert isinstance(text, TextMessage)
    assert text.text is None


def test_a_received_message_is_sent_on_to_the_same_queue_and_not_taken_for_a_repeat(
    session: Session, queue: Queue
) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    producer.send("again", properties={"kept": 1})
    first = consumer.receive(SOON)
    assert first is not None
    earlier = first.jms_message_id
    producer.send(first)
    second = consumer.receive(SOON)
    assert isinstance(second, TextMessage)
    assert (second.text, second.properties["kept"]) == ("again", 1)
    assert second.jms_message_id not in (None, earlier)


def test_a_send_with_a_known_duplicate_id_is_dropped(session: Session, queue: Queue) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    producer.send("one", duplicate_id="same")
    producer.send("two", duplicate_id="same")
    producer.send("three")
    assert texts(consumer, 2) == ["one", "three"]


def test_ids_and_timestamps_can_be_switched_off(session: Session, queue: Queue) -> None:
    with session.create_producer(queue) as producer:
        producer.disable_message_id = producer.disable_message_timestamp = True
        producer.send("x")
    message = session.create_consumer(queue).receive(SOON)
    assert message is not None
    assert message.jms_message_id is None
    assert message.jms_timestamp == 0


def test_higher_priorities_come_first(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    producer = session.create_producer(queue)
    for level in (1, 9, 4, 9, 0):
        producer.send(str(level), priority=level)
    assert texts(session.create_consumer(queue), 5) == ["9", "9", "4", "1", "0"]


def test_a_message_that_is_too_old_is_not_received(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    consumer = session.create_consumer(queue)  # prefetches it before it expires
    producer.send("old", time_to_live=timedelta(milliseconds=50))
    producer.send("young")
    time.sleep(0.1)
    assert texts(consumer, 1) == ["young"]
    assert consumer.receive(0) is None


def test_a_delayed_message_comes_later(session: Session, queue: Queue) -> None:
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    sent = producer.send("later", delivery_delay=0.4)
    producer.send("now")
    assert texts(consumer, 1) == ["now"]
    assert texts(consumer, 1) == ["later"]
    assert time.time() * 1000 >= sent.jms_timestamp + 395
    assert sent.jms_delivery_time == pytest.approx(sent.jms_timestamp + 400, abs=2)


# --- acknowledging ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [AUTO, DUPS_OK])
def test_received_is_acknowledged(connection: Connection, queue: Queue, mode: AcknowledgeMode) -> None:
    fill(connection, queue, "a", "b", "c")
    with connection.create_session(mode) as session:
        assert texts(session.create_consumer(queue), 2) == ["a", "b"]
    with connection.create_session() as session:
        consumer = session.create_consumer(queue)
        assert texts(consumer, 1) == ["c"]
        assert consumer.receive(0) is None


def test_client_mode_acknowledges_all_that_the_session_received(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b", "c", "d")
    with connection.create_session(CLIENT) as session:
        consumer = session.create_consumer(queue)
        messages = [consumer.receive(SOON) for _ in range(3)]
        assert messages[0] is not None
        messages[0].acknowledge()
    with connection.create_session() as session:
        assert texts(session.create_consumer(queue), 1) == ["d"]
    assert count(connection, queue) == 0


def test_client_mode_without_acknowledging_keeps_everything(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    with connection.create_session(CLIENT) as session:
        assert texts(session.create_consumer(queue), 2) == ["a", "b"]
    assert count(connection, queue) == 2


def test_individual_mode_acknowledges_one(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b", "c")
    with connection.create_session(INDIVIDUAL) as session:
        consumer = session.create_consumer(queue)
        messages = [consumer.receive(SOON) for _ in range(3)]
        assert messages[1] is not None
        messages[1].acknowledge()
    with connection.create_session() as session:
        assert texts(session.create_consumer(queue), 2) == ["a", "c"]


@pytest.mark.parametrize("mode", [CLIENT, INDIVIDUAL])
def test_recover_brings_back_what_was_not_acknowledged(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    fill(connection, queue, "a", "b", "c")
    with connection.create_session(mode) as session:
        consumer = session.create_consumer(queue)
        first = consumer.receive(SOON)
        assert first is not None
        first.acknowledge()
        assert texts(consumer, 1) == ["b"]
        session.recover()
        again = consumer.receive(SOON)
        assert isinstance(again, TextMessage)
        assert (again.text, again.jms_redelivered, again.delivery_count) == ("b", True, 2)
        assert texts(consumer, 1) == ["c"]


def test_acknowledging_does_nothing_in_auto_mode_and_is_refused_for_a_message_of_ones_own(
    session: Session, queue: Queue
) -> None:
    message = session.create_producer(queue).send("x")
    with pytest.raises(IllegalStateError):
        message.acknowledge()
    received = session.create_consumer(queue).receive(SOON)
    assert received is not None
    received.acknowledge()


def test_acknowledging_after_the_session_was_closed_is_refused(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a")
    session = connection.create_session(CLIENT)
    message = session.create_consumer(queue).receive(SOON)
    assert message is not None
    session.close()
    with pytest.raises(IllegalStateError):
        message.acknowledge()


# --- transactions -----------------------------------------------------------------------------------------------------


def test_a_commit_makes_sends_visible_and_receipts_final(connection: Connection, queue: Queue) -> None:
    session, other = connection.create_session(TRANSACTED), connection.create_session()
    producer, watcher = session.create_producer(queue), other.create_consumer(queue)
    producer.send("a")
    assert watcher.receive(0) is None
    session.commit()
    assert texts(watcher, 1) == ["a"]


def test_a_rollback_undoes_sends_and_receipts(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    session = connection.create_session(transacted=True)
    consumer, producer = session.create_consumer(queue), session.create_producer(queue)
    assert texts(consumer, 1) == ["a"]
    producer.send("never")
    session.rollback()
    again, second = consumer.receive(SOON), consumer.receive(SOON)
    assert isinstance(again, TextMessage)
    assert isinstance(second, TextMessage)
    assert (again.text, again.jms_redelivered) == ("a", True)
    assert second.text == "b"
    session.commit()
    assert count(connection, queue) == 0


def test_a_transaction_block_commits_or_rolls_back(connection: Connection, queue: Queue) -> None:
    session = connection.create_session(TRANSACTED)
    producer = session.create_producer(queue)
    with session.transaction():
        producer.send("kept")

    def fail() -> None:
        with session.transaction():
            producer.send("dropped")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert count(connection, queue) == 1


def test_calls_that_the_mode_does_not_have_are_refused(connection: Connection) -> None:
    auto, transacted = connection.create_session(), connection.create_session(TRANSACTED)
    with pytest.raises(IllegalStateError, match="AUTO_ACKNOWLEDGE"):
        auto.commit()
    with pytest.raises(IllegalStateError):
        auto.rollback()
    with pytest.raises(IllegalStateError):
        transacted.recover()
    with pytest.raises(JMSError, match="INDIVIDUAL_ACKNOWLEDGE"):
        connection.create_session(7)


# --- listeners --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [AUTO, DUPS_OK])
def test_a_listener_gets_messages_in_order_one_at_a_time(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    got: list[str | None] = []
    with connection.create_session(mode) as session:
        consumer = session.create_consumer(queue)

        @consumer.on_message
        def listen(message: Message) -> None:
            assert isinstance(message, TextMessage)
            got.append(message.text)

        fill(connection, queue, *(str(n) for n in range(100)))
        eventually(lambda: len(got) == 100)
    assert got == [str(n) for n in range(100)]
    assert count(connection, queue) == 0


def test_a_listener_that_raises_gets_its_message_again(connection: Connection, queue: Queue) -> None:
    got: list[tuple[str | None, int]] = []

    def listen(message: Message) -> None:
        assert isinstance(message, TextMessage)
        got.append((message.text, message.delivery_count))
        if message.delivery_count < 3:
            raise ValueError("not yet")

    with connection.create_session() as session:
        session.create_consumer(queue).message_listener = listen
        fill(connection, queue, "a", "b")
        eventually(lambda: len(got) >= 6)
    assert got[:3] == [("a", 1), ("a", 2), ("a", 3)]
    assert [text for text, _ in got].count("b") >= 1
    assert count(connection, queue) == 0


def test_a_listener_commits_and_rolls_back(connection: Connection, queue: Queue) -> None:
    got: list[tuple[str | None, bool]] = []
    session = connection.create_session(TRANSACTED)

    def listen(message: Message) -> None:
        assert isinstance(message, TextMessage)
        got.append((message.text, message.jms_redelivered))
        if message.jms_redelivered:
            session.commit()
        else:
            session.rollback()

    session.create_consumer(queue).message_listener = listen
    fill(connection, queue, "a")
    eventually(lambda: len(got) == 2)
    eventually(lambda: count(connection, queue) == 0)
    assert got == [("a", False), ("a", True)]


def test_a_listener_acknowledges_in_client_mode(connection: Connection, queue: Queue) -> None:
    done = threading.Event()

    def listen(message: Message) -> None:
        message.acknowledge()
        done.set()

    connection.create_session(CLIENT).create_consumer(queue).message_listener = listen
    fill(connection, queue, "a")
    assert done.wait(SOON)
    eventually(lambda: count(connection, queue) == 0)


def test_receive_and_a_listener_exclude_each_other(session: Session, queue: Queue) -> None:
    consumer = session.create_consumer(queue)
    consumer.message_listener = lambda message: None
    with pytest.raises(IllegalStateError, match="listener"):
        consumer.receive(0)
    consumer.message_listener = None
    assert consumer.receive(0) is None


def test_a_consumer_closed_by_its_listener_acknowledges_the_message(connection: Connection, queue: Queue) -> None:
    got: list[Message] = []
    session = connection.create_session()
    consumer = session.create_consumer(queue)

    def listen(message: Message) -> None:
        got.append(message)
        consumer.close()

    consumer.message_listener = listen
    fill(connection, queue, "a", "b")
    eventually(lambda: count(connection, queue) == 1)
    with connection.create_session() as other:
        assert texts(other.create_consumer(queue), 1) == ["b"]
    assert len(got) == 1
    assert consumer.is_closed


def test_a_listener_must_not_close_or_stop_what_waits_for_it(connection: Connection, queue: Queue) -> None:
    errors: list[Exception] = []
    session = connection.create_session()

    def listen(message: Message) -> None:
        for call in (session.close, connection.close, connection.stop):
            try:
                call()
            except IllegalStateError as error:
                errors.append(error)

    session.create_consumer(queue).message_listener = listen
    fill(connection, queue, "a")
    eventually(lambda: len(errors) == 3)


@pytest.mark.parametrize("what", ["consumer", "session", "connection", "stop"])
def test_closing_waits_for_a_running_listener(broker_url: str, what: str) -> None:
    with connect(broker_url) as connection:
        session = connection.create_session()
        queue = session.create_temporary_queue()
        consumer = session.create_consumer(queue)
        running, go_on, ended = threading.Event(), threading.Event(), threading.Event()

        def listen(message: Message) -> None:
            running.set()
            go_on.wait(SOON)
            ended.set()

        consumer.message_listener = listen
        fill(connection, queue, "a")
        assert running.wait(SOON)
        order: list[bool] = []
        close = {
            "consumer": consumer.close, "session": session.close, "connection": connection.close,
            "stop": connection.stop,
        }[what]  # fmt: skip

        def close_and_look() -> None:
            close()
            order.append(ended.is_set())

        closer = threading.Thread(target=close_and_look)
        closer.start()
        closer.join(0.2)
        assert closer.is_alive()
        go_on.set()
        closer.join(SOON)
        assert order == [True]


# --- receiving, starting, closing -------------------------------------------------------------------------------------


def test_nothing_is_delivered_before_the_start_and_while_stopped(broker_url: str) -> None:
    with ActiveMQConnectionFactory(broker_url).create_connection() as connection:
        connection.stop()
        session = connection.create_session()
        queue = session.create_temporary_queue()
        consumer = session.create_consumer(queue)
        session.create_producer(queue).send("a")
        assert consumer.receive(0.1) is None
        assert consumer.receive_no_wait() is None
        connection.start()
        connection.start()
        assert texts(consumer, 1) == ["a"]


def test_receive_honours_its_time(session: Session, queue: Queue) -> None:
    consumer = session.create_consumer(queue)
    before = time.monotonic()
    assert consumer.receive(timedelta(seconds=0.2)) is None
    assert 0.19 <= time.monotonic() - before < 2


def test_receive_no_wait_never_misses_a_message_that_is_there(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, *"abcdefghij")
    with connection.create_session() as session:
        consumer = session.create_consumer(queue)
        got = [consumer.receive_no_wait() for _ in range(11)]
    assert [message is not None for message in got] == [True] * 10 + [False]


def test_iterating_ends_when_nothing_comes(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b")
    with connection.create_session() as session, session.create_consumer(queue) as consumer:
        assert [message.body for message in consumer.messages(timeout=0.2)] == ["a", "b"]


@pytest.mark.parametrize("what", ["consumer", "session", "connection"])
def test_closing_ends_a_blocked_receive_with_none(broker_url: str, what: str) -> None:
    with connect(broker_url) as connection:
        session = connection.create_session()
        consumer = session.create_consumer(session.create_temporary_queue())
        got: list[object] = []

        def receive() -> None:
            try:
                got.append(consumer.receive())
            except ActiveClientError as error:
                got.append(error)

        thread = threading.Thread(target=receive)
        thread.start()
        time.sleep(0.1)
        {"consumer": consumer.close, "session": session.close, "connection": connection.close}[what]()
        thread.join(SOON)
        assert got == [None]
        with pytest.raises(ClosedError):
            consumer.receive(0)


def test_closed_objects_refuse_work_and_close_again(broker_url: str) -> None:
    connection = connect(broker_url)
    session = connection.create_session()
    queue = session.create_temporary_queue()
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    connection.close()
    for thing in (consumer, producer, session, connection):
        assert thing.is_closed
        thing.close()
    for call in (
        connection.create_session, connection.start, connection.stop, lambda: connection.metadata,
        session.create_producer, session.create_text_message, session.recover, session.create_temporary_queue,
        lambda: producer.send("x"), lambda: consumer.receive(0),
    ):  # fmt: skip
        with pytest.raises(IllegalStateError):
            call()


def test_closing_an_untouched_and_an_unstarted_connection_is_quick(broker_url: str) -> None:
    before = time.monotonic()
    ActiveMQConnectionFactory(broker_url).create_connection().close()
    assert time.monotonic() - before < 2


# --- destinations -----------------------------------------------------------------------------------------------------


def test_every_subscriber_of_a_topic_gets_a_message(connection: Connection) -> None:
    session = connection.create_session()
    topic = session.create_topic(f"jms-topic-{uuid.uuid4()}")
    one, two = session.create_consumer(topic), session.create_consumer(topic, "colour = 'red'")
    producer = session.create_producer(topic)
    producer.send("blue", properties={"colour": "blue"})
    producer.send("red", properties={"colour": "red"})
    assert texts(one, 2) == ["blue", "red"]
    assert texts(two, 1) == ["red"]
    message = two.receive(0)
    assert message is None
    queue = one.close
    queue()
    with connection.factory.create_session() as core:
        assert len(core.query_address(topic.address).queue_names) == 1


def test_no_local_leaves_out_what_the_connection_sends(connection: Connection, broker_url: str) -> None:
    session = connection.create_session()
    topic = session.create_topic(f"jms-topic-{uuid.uuid4()}")
    consumer = session.create_consumer(topic, no_local=True)
    session.create_producer(topic).send("own")
    with connect(broker_url) as other, other.create_session() as theirs:
        theirs.create_producer(topic).send("theirs")
    assert texts(consumer, 1) == ["theirs"]


def test_a_selector_by_headers_and_properties(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    producer = session.create_producer(queue)
    producer.send("low", priority=2, properties={"n": 5})
    producer.send("high", priority=8, properties={"n": 5})
    wanted = producer.send("by id", properties={"n": 1})
    assert texts(session.create_consumer(queue, "JMSPriority > 4 AND n = 5"), 1) == ["high"]
    assert texts(session.create_consumer(queue, f"JMSMessageID = '{wanted.jms_message_id}'"), 1) == ["by id"]
    with pytest.raises(InvalidSelectorError):
        session.create_consumer(queue, "n = = 5")


def test_request_and_reply_over_a_temporary_queue(connection: Connection, broker_url: str, queue: Queue) -> None:
    with connect(broker_url) as server, server.create_session() as serving:
        answers = serving.create_producer()

        def answer(request: Message) -> None:
            assert isinstance(request, TextMessage)
            answers.send(f"re: {request.text}", request.jms_reply_to, correlation_id=request.jms_message_id)

        serving.create_consumer(queue).message_listener = answer
        session = connection.create_session()
        with session.create_temporary_queue() as replies:
            with session.create_consumer(replies) as consumer:
                request = session.create_producer(queue).send("question", reply_to=replies)
                reply = consumer.receive(SOON)
            assert isinstance(reply, TextMessage)
            assert reply.text == "re: question"
            assert reply.jms_correlation_id == request.jms_message_id
            with pytest.raises(InvalidDestinationError):
                serving.create_consumer(TemporaryQueue(replies.name))


def test_a_temporary_destination_is_deleted_only_without_consumers(session: Session) -> None:
    for made in (session.create_temporary_queue(), session.create_temporary_topic()):
        consumer = session.create_consumer(made)
        session.create_producer(made).send("x")
        assert texts(consumer, 1) == ["x"]
        with pytest.raises(IllegalStateError, match="consumers"):
            made.delete()
        consumer.close()
        made.delete()
        with pytest.raises(IllegalStateError):
            made.delete()


def test_attributes_behind_a_name_count_when_its_consumer_creates_the_queue(
    connection: Connection, session: Session, queue: Queue
) -> None:
    session.create_consumer(Queue(f"{queue.name}?ring-size=2&max-consumers=1"))
    with connection.factory.create_session() as core:
        found = core.query_queue(queue.name)
    assert (found.ring_size, found.max_consumers, found.auto_created) == (2, 1, True)


def test_a_queue_is_not_a_topic(session: Session, queue: Queue) -> None:
    session.create_producer(queue)
    with pytest.raises(InvalidDestinationError, match="MULTICAST"):
        session.create_producer(queue.as_topic())


def test_producers_know_their_destination(session: Session, queue: Queue) -> None:
    bound, free = session.create_producer(queue), session.create_producer()
    with pytest.raises(UnsupportedOperationError):
        bound.send("x", Queue("other"))
    with pytest.raises(InvalidDestinationError):
        free.send("x")
    free.send("x", queue)
    assert texts(session.create_consumer(queue), 1) == ["x"]


def test_a_browser_looks_and_takes_nothing(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a", "b", "c")
    session = connection.create_session()
    with session.create_browser(queue) as browser:
        assert [message.body for message in browser] == ["a", "b", "c"]
        assert [message.body for message in browser] == ["a", "b", "c"]
    assert count(connection, queue) == 3
    first = session.create_consumer(queue).receive(SOON)
    assert first is not None
    assert first.delivery_count == 1


# --- completions, client ids, outages ---------------------------------------------------------------------------------


def test_a_completion_comes_when_the_broker_has_the_message(connection: Connection, queue: Queue) -> None:
    session = connection.create_session()
    told: list[tuple[object, object]] = []
    refused: list[bool] = []

    def complete(message: Message, error: ActiveClientError | None) -> None:
        told.append((message.body, error))
        try:
            session.close()
        except IllegalStateError:
            refused.append(True)

    producer = session.create_producer(queue)
    for n in range(20):
        producer.send(str(n), on_complete=complete)
    future = producer.send_async("last")
    assert future.result(SOON).body == "last"
    assert told == [(str(n), None) for n in range(20)]
    assert len(refused) == 20
    eventually(lambda: count(connection, queue) == 21)


def test_a_client_id_is_unique_and_set_first(broker_url: str) -> None:
    name = f"client-{uuid.uuid4()}"
    factory = ActiveMQConnectionFactory(broker_url)
    with factory.create_connection() as one, pytest.raises(IllegalStateError):
        one.client_id = name  # it was started
    with factory.create_connection(client_id=name) as one:
        assert one.client_id == name
        with pytest.raises(InvalidClientIDError):
            factory.create_connection(client_id=name)
        with pytest.raises(IllegalStateError):
            one.client_id = "another"
    with factory.create_connection(client_id=name) as one:
        assert one.metadata.jms_major_version == 3


@pytest.mark.parametrize("mode", [AUTO, CLIENT])
def test_the_exception_listener_is_told_once_for_each_cut_and_work_goes_on(
    artemis: Broker, cutter: Cutter, queue: Queue, mode: AcknowledgeMode
) -> None:
    if mode is CLIENT and not reattaches(artemis):
        pytest.skip("a recreated session's messages come again: that has tests of its own")
    told: list[ConnectionFailure] = []
    with connect(cutter.url()) as connection:
        connection.exception_listener = told.append
        session = connection.create_session(mode)
        consumer, producer = session.create_consumer(queue), session.create_producer(queue)
        for n in range(3):
            producer.send(f"before {n}")
            message = consumer.receive(SOON)
            assert isinstance(message, TextMessage)
            assert message.text == f"before {n}"
            cutter.cut_now()
            producer.send(f"after {n}")
            assert texts(consumer, 1) == [f"after {n}"]
            message.acknowledge()
            eventually(lambda: len(told) == n + 1)  # noqa: B023 - called at once
    recovery = Recovery.REATTACHED if reattaches(artemis) else Recovery.RECREATED
    assert [error.recovery for error in told] == [recovery] * 3
    assert {error.error_code for error in told} == {"FAILOVER"}


def test_a_refused_send_that_nobody_waits_for_is_told_to_the_exception_listener_once(broker_url: str) -> None:
    told: list[ConnectionFailure] = []
    with connect(broker_url, producer_window_size=-1) as connection:
        connection.exception_listener = told.append
        session = connection.create_session()
        queue = session.create_queue(f"full.fail.{uuid.uuid4()}")
        with session.create_producer(queue) as producer:
            for n in range(300):
                producer.send(bytes(2000), delivery_mode=DeliveryMode.NON_PERSISTENT, properties={"n": n})
        session.core.query_queue(queue.name)  # answered behind the sends: each of them was stored or refused
        with session.create_consumer(queue) as consumer:
            stored = len(list(consumer.messages(timeout=0)))
        assert 0 < stored < 300
        eventually(lambda: len(told) == 300 - stored)
        assert all(isinstance(error.reason, ResourceAllocationError) for error in told)
        assert {(error.code, error.error_code, error.recovery) for error in told} == {(210, "ADDRESS_FULL", None)}
        session.create_temporary_queue()  # the connection is as well as before
        with connection.factory.create_session() as core:
            core.delete_queue(queue.name)
        assert len(told) == 300 - stored


def test_a_refused_send_is_told_to_its_owner_and_to_nobody_else(broker_url: str) -> None:
    told: list[ConnectionFailure] = []
    ended: list[ActiveClientError | None] = []
    with connect(broker_url, producer_window_size=-1) as connection:
        connection.exception_listener = told.append
        session = connection.create_session()
        queue = session.create_queue(f"full.fail.{uuid.uuid4()}")
        producer = session.create_producer(queue)

        def fill_up() -> None:
            for _ in range(300):
                producer.send(bytes(2000))

        with pytest.raises(ResourceAllocationError):
            fill_up()
        producer.send(bytes(2000), on_complete=lambda _, error: ended.append(error))
        eventually(lambda: len(ended) == 1)
        assert isinstance(ended[0], ResourceAllocationError)
        with connection.factory.create_session() as core:
            core.delete_queue(queue.name)
        assert told == []


@pytest.mark.parametrize("listening", [False, True])
def test_a_consumer_whose_queue_is_deleted_is_told_to_the_exception_listener_once(
    connection: Connection, queue: Queue, listening: bool
) -> None:
    told: list[ConnectionFailure] = []
    connection.exception_listener = told.append
    session = connection.create_session()
    consumer, other = session.create_consumer(queue), session.create_consumer(session.create_temporary_queue())
    if listening:
        consumer.message_listener = lambda message: None
    with connection.factory.create_session() as core:
        Management(core.start()).invoke("destroyQueue", queue.name, True)
    eventually(lambda: len(told) == 1)
    assert (told[0].code, told[0].error_code, told[0].recovery) == (100, "QUEUE_DOES_NOT_EXIST", None)
    assert queue.name in str(told[0])
    assert isinstance(told[0].event, ConsumerLost)
    assert consumer.is_closed
    if not listening:
        with pytest.raises(InvalidDestinationError, match="deleted"):
            consumer.receive(SOON)
    assert other.receive(0) is None
    assert len(told) == 1


def test_what_is_received_is_remembered_until_the_server_confirms_its_acknowledgement(
    connection: Connection, queue: Queue
) -> None:
    fill(connection, queue, "a", "b")
    consumer = connection.create_session().create_consumer(queue)
    assert texts(consumer, 1) == ["a"]
    message = consumer.receive(SOON)  # it was here already: the short way
    assert message is not None
    remembered = message.core.origin.consumer.acknowledged
    with connection.factory.pump.lock:
        remembered.session_lost()
        assert remembered.comes_again(message.core)


def test_the_public_names_are_there() -> None:
    assert all(hasattr(activeclient, name) for name in activeclient.__all__)


@pytest.mark.parametrize("mode", [AUTO, CLIENT, INDIVIDUAL, TRANSACTED])
def test_a_body_larger_than_what_is_read_at_receipt_streams_and_is_acknowledged_later(
    connection: Connection, queue: Queue, mode: AcknowledgeMode
) -> None:
    piece = bytes(range(256)) * 4096
    fill(connection, queue, io.BytesIO(piece * 6), "next")
    with connection.create_session(mode) as session:
        consumer = session.create_consumer(queue)
        message = consumer.receive(SOON)
        assert isinstance(message, BytesMessage)
        with message.open_body() as body:
            for _ in range(6):
                assert body.read(len(piece)) == piece
            assert body.read() == b""
        if mode is TRANSACTED:
            session.commit()
        else:
            message.acknowledge()
    assert count(connection, queue) == 1


# --- recreated sessions -----------------------------------------------------------------------------------------------

RECREATING = "?reconnectAttempts=-1&retryInterval=20&duplicateDetection=true"


@pytest.mark.parametrize("mode", [CLIENT, INDIVIDUAL])
def test_acknowledging_what_a_lost_session_delivered_fails_and_it_comes_again(
    cutter: Cutter, mode: AcknowledgeMode
) -> None:
    name = f"jms-{uuid.uuid4()}?auto-delete=true"
    told: list[ConnectionFailure] = []
    with ActiveMQConnectionFactory(cutter.url() + RECREATING).create_connection() as connection:
        connection.exception_listener = told.append
        session = connection.create_session(mode)
        queue = session.create_queue(name)
        consumer, producer = session.create_consumer(queue), session.create_producer(queue)
        for text in ("a", "b"):
            producer.send(text)
        first = consumer.receive(SOON)
        assert first is not None
        cutter.cut_now()
        eventually(lambda: len(told) == 1)
        assert told[0].recovery is Recovery.RECREATED
        with pytest.raises(TransactionRolledBackError):
            first.acknowledge()
        again, second = consumer.receive(SOON), consumer.receive(SOON)
        assert again is not None
        assert second is not None
        assert (again.body, again.jms_redelivered, second.body) == ("a", True, "b")
        again.acknowledge()
        second.acknowledge()
        assert consumer.receive(0) is None


def test_a_send_in_client_mode_outlives_the_session(cutter: Cutter) -> None:
    with ActiveMQConnectionFactory(cutter.url() + RECREATING).create_connection() as connection:
        session = connection.create_session(CLIENT)
        queue = session.create_queue(f"jms-{uuid.uuid4()}?auto-delete=true")
        consumer, producer = session.create_consumer(queue), session.create_producer(queue)
        for n in range(10):
            cutter.cut_now()
            producer.send(str(n))
        got: list[object] = []
        while len(got) < 10:
            message = consumer.receive(SOON)
            assert message is not None
            try:
                message.acknowledge()
            except TransactionRolledBackError:
                continue
            got.append(message.body)
        assert got == [str(n) for n in range(10)]


def test_a_transaction_of_a_lost_session_rolls_back_and_the_next_one_commits(cutter: Cutter) -> None:
    told: list[ConnectionFailure] = []
    with ActiveMQConnectionFactory(cutter.url() + RECREATING).create_connection() as connection:
        connection.exception_listener = told.append
        session = connection.create_session(TRANSACTED)
        queue = session.create_queue(f"jms-{uuid.uuid4()}?auto-delete=true")
        fill(connection, queue, "a", "b", "c")
        consumer = session.create_consumer(queue)
        assert texts(consumer, 1) == ["a"]
        cutter.cut_now()
        eventually(lambda: len(told) == 1)
        assert texts(consumer, 1) == ["a"]
        with pytest.raises(TransactionRolledBackError):
            session.commit()
        assert texts(consumer, 3) == ["a", "b", "c"]
        session.commit()
        assert consumer.receive(0) is None


def test_temporary_destinations_and_subscriptions_outlive_the_session(cutter: Cutter) -> None:
    told: list[ConnectionFailure] = []
    with ActiveMQConnectionFactory(cutter.url() + RECREATING).create_connection() as connection:
        connection.exception_listener = told.append
        session = connection.create_session()
        queue, topic = session.create_temporary_queue(), session.create_topic(f"jms-topic-{uuid.uuid4()}")
        one, two = session.create_consumer(queue), session.create_consumer(topic, "n = 1")
        unused = session.create_temporary_queue()
        cutter.cut_now()
        eventually(lambda: len(told) == 1)
        producer = session.create_producer()
        producer.send("to queue", queue)
        producer.send("unwanted", topic, properties={"n": 2})
        producer.send("to topic", topic, properties={"n": 1})
        producer.send("to unused", unused)
        assert texts(one, 1) == ["to queue"]
        assert texts(two, 1) == ["to topic"]
        assert texts(session.create_consumer(unused), 1) == ["to unused"]


def test_a_connection_that_is_given_up_tells_its_listener_and_ends_receive_with_an_error(cutter: Cutter) -> None:
    told: list[ConnectionFailure] = []
    with ActiveMQConnectionFactory(cutter.url()).create_connection() as connection:
        connection.exception_listener = told.append
        session = connection.create_session()
        consumer = session.create_consumer(session.create_temporary_queue())
        threading.Timer(0.1, cutter.cut_now).start()
        with pytest.raises(ConnectionLost):
            consumer.receive()
        eventually(lambda: len(told) == 1)
        assert (told[0].error_code, told[0].recovery) == ("DISCONNECT", Recovery.GAVE_UP)


@pytest.mark.parametrize("mode", [AUTO, CLIENT, DUPS_OK, INDIVIDUAL])
def test_every_mode_works_with_waiting_acknowledgements(broker_url: str, mode: AcknowledgeMode) -> None:
    with connect(broker_url, block_on_acknowledge=True) as connection, connection.create_session(mode) as session:
        queue = session.create_temporary_queue()
        fill(connection, queue, "a", "b")
        consumer = session.create_consumer(queue)
        for text in ("a", "b"):
            message = consumer.receive(SOON)
            assert message is not None
            assert message.body == text
            message.acknowledge()
        session.recover()
        assert consumer.receive(0) is None
