"""The simplified API."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from activeclient import (
    AcknowledgeMode,
    ActiveMQConnectionFactory,
    BytesMessage,
    DeliveryMode,
    JMSContext,
    Message,
    Queue,
    Session,
    TextMessage,
    Topic,
)
from activeclient.errors import (
    ActiveClientError,
    ClosedError,
    IllegalStateError,
    InvalidDestinationError,
    JMSError,
    MessageFormatError,
)
from integration.jms_cases.support import SOON, Inbox, count, eventually, in_time, left, outcome, rest, text_of, texts

MODES = list(AcknowledgeMode)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_a_context_of_each_mode_receives(factory: ActiveMQConnectionFactory, queue: Queue, mode: int) -> None:
    with factory.create_context(mode) as context:
        assert context.session_mode is AcknowledgeMode(mode)
        assert context.transacted is (mode == 0)
        context.create_producer().send(queue, "x")
        if context.transacted:
            context.commit()
        with context.create_consumer(queue) as consumer:
            assert texts(consumer, 1) == ["x"]
            if context.transacted:
                context.commit()
            context.acknowledge()
        left(context.connection, queue.name, 0)


@pytest.mark.parametrize("mode", [-1, 4, 99, 102])
def test_an_invalid_mode_is_refused_before_anything_is_opened(factory: ActiveMQConnectionFactory, mode: int) -> None:
    with pytest.raises(JMSError, match="PRE_ACKNOWLEDGE"):
        factory.create_context(mode)


def test_a_context_closed_while_its_session_is_made_closes_the_session_too(
    factory: ActiveMQConnectionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with factory.create_context() as other:
        context = other.create_context()
        create_session = context.connection.create_session
        made: list[Session] = []

        def slowly(mode: int) -> Session:
            made.append(create_session(mode))
            context.close()  # as another thread may, before the context has the session
            return made[0]

        monkeypatch.setattr(context.connection, "create_session", slowly)
        with pytest.raises(ClosedError, match="the context is closed"):
            context.create_queue("any")
        assert made[0].is_closed
        assert not other.connection.is_closed


def test_the_first_consumer_starts_and_without_auto_start_nothing_does(
    factory: ActiveMQConnectionFactory, queue: Queue
) -> None:
    with factory.create_context() as context:
        context.auto_start = False
        context.create_producer().send(queue, "x")
        consumer = context.create_consumer(queue)
        assert consumer.receive(0.1) is None
        context.start()
        assert texts(consumer, 1) == ["x"]


def test_contexts_share_a_connection_that_ends_with_the_last(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    first = factory.create_context()
    second = first.create_context(AcknowledgeMode.CLIENT_ACKNOWLEDGE)
    third = second.create_context(AcknowledgeMode.SESSION_TRANSACTED)
    assert first.connection is second.connection is third.connection
    consumer = second.create_consumer(queue)
    first.close()
    third.create_producer().send(queue, "x")
    third.commit()
    third.close()
    assert texts(consumer, 1) == ["x"]
    assert not second.connection.is_closed
    second.close()
    second.close()
    assert second.connection.is_closed


def test_a_closed_context_refuses_everything(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    context = factory.create_context()
    other = context.create_context()
    producer, consumer = context.create_producer(), context.create_consumer(queue)
    context.close()
    for call in (
        context.create_producer, context.create_context, context.create_text_message, context.start, context.stop,
        context.commit, context.recover, context.acknowledge, context.create_temporary_queue, consumer.receive_no_wait,
        lambda: producer.send(queue, "x"), lambda: context.create_consumer(queue), lambda: context.metadata,
        lambda: context.create_queue("x"), lambda: context.create_browser(queue), lambda: context.unsubscribe("x"),
        lambda: consumer.receive_body(str),
    ):  # fmt: skip
        assert isinstance(outcome(call), ClosedError), call
    other.create_producer().send(queue, "x")
    other.close()


def test_a_client_id_can_be_set_before_anything_else(factory: ActiveMQConnectionFactory, client_id: str) -> None:
    with factory.create_context() as context:
        context.client_id = client_id
        assert context.client_id == client_id
        context.create_queue("x")
        with pytest.raises(IllegalStateError):
            context.client_id = "another"


def test_what_a_producer_sets_is_on_each_message_and_over_what_the_message_has(
    context: JMSContext, queue: Queue
) -> None:
    producer = (
        context.create_producer()
        .set_priority(7)
        .set_delivery_mode(DeliveryMode.NON_PERSISTENT)
        .set_time_to_live(timedelta(minutes=1))
        .set_jms_correlation_id("belongs")
        .set_jms_type("kind")
        .set_jms_reply_to(Topic("answers"))
        .set_property("colour", "red")
    )
    message = context.create_text_message("x", properties={"colour": "blue", "size": 3})
    producer.send(queue, message).send(queue, b"y")
    consumer = context.create_consumer(queue)
    for body in ("x", b"y"):
        got = consumer.receive(SOON)
        assert got is not None
        assert got.body == body
        assert (got.jms_priority, got.jms_delivery_mode) == (7, DeliveryMode.NON_PERSISTENT)
        assert (got.jms_correlation_id, got.jms_type, got.jms_reply_to) == ("belongs", "kind", Topic("answers"))
        assert got.jms_expiration == got.jms_timestamp + 60_000
        assert got.properties["colour"] == "red"
    assert message.properties["size"] == 3
    producer.clear_properties().set_disable_message_id().set_disable_message_timestamp().send(queue, "z")
    last = consumer.receive(SOON)
    assert last is not None
    assert (last.jms_message_id, last.jms_timestamp, "colour" in last.properties) == (None, 0, False)


def test_wrong_values_are_refused_when_they_are_set(context: JMSContext) -> None:
    producer = context.create_producer()
    for call in (
        lambda: producer.set_priority(10), lambda: producer.set_delivery_mode(3), lambda: producer.set_time_to_live(-1),
        lambda: producer.set_delivery_delay(float("nan")), lambda: producer.set_property("a-b", 1),
        lambda: producer.set_property("a", object()), lambda: producer.set_jms_correlation_id(b""),
    ):  # fmt: skip
        assert isinstance(outcome(call), ActiveClientError), call
    with pytest.raises(InvalidDestinationError):
        producer.send(None, "x")  # type: ignore[arg-type]


def test_a_delayed_message_comes_later(context: JMSContext, queue: Queue) -> None:
    consumer = context.create_consumer(queue)

    def attempt(seconds: float) -> bool:
        later = context.create_text_message("later")
        producer = context.create_producer().set_delivery_delay(seconds).send(queue, later)
        producer.set_delivery_delay(0).send(queue, "now")
        first = consumer.receive(SOON)
        early = time.time() * 1000 < later.jms_delivery_time
        second = consumer.receive(SOON)
        assert time.time() * 1000 >= later.jms_delivery_time
        assert sorted(str(text_of(each)) for each in (first, second)) == ["later", "now"]
        assert not early or text_of(first) == "now"
        for each in (first, second):
            assert each is not None
            delay = seconds * 1000 if text_of(each) == "later" else 0
            assert each.jms_delivery_time == pytest.approx(each.jms_timestamp + delay, abs=2)
        return early

    in_time(attempt)


def test_async_sends_tell_their_listener(context: JMSContext, queue: Queue) -> None:
    told: list[tuple[object, object]] = []
    producer = context.create_producer().set_async(lambda message, error: told.append((message.body, error)))
    for n in range(10):
        producer.send(queue, str(n))
    assert producer.send_async(queue, "last").result(SOON).body == "last"
    eventually(lambda: len(told) == 10, "ten completions")
    assert told == [(str(n), None) for n in range(10)]


# --- bodies -----------------------------------------------------------------------------------------------------------


def test_bodies_are_received_as_what_they_are(context: JMSContext, queue: Queue) -> None:
    context.create_producer().send(queue, "text").send(queue, b"bytes").send(queue, TextMessage())
    consumer = context.create_consumer(queue)
    assert consumer.receive_body(str, SOON) == "text"
    assert consumer.receive_body(bytes, SOON) == b"bytes"
    assert consumer.receive_body(str, SOON) is None
    assert consumer.receive_body_no_wait(str) is None
    left(context.connection, queue.name, 0)


@pytest.mark.parametrize("mode", [AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.DUPS_OK_ACKNOWLEDGE])
@pytest.mark.parametrize("window", [None, 0])
def test_a_body_of_another_kind_is_received_again_as_if_nothing_had_been(
    factory: ActiveMQConnectionFactory, queue: Queue, mode: AcknowledgeMode, window: int | None
) -> None:
    with factory.create_context(mode) as context:
        context.create_producer().send(queue, "a").send(queue, "b")
        consumer = context.create_consumer(queue, window_size=window)
        for _ in range(3):
            with pytest.raises(MessageFormatError, match="str, not bytes"):
                consumer.receive_body(bytes, SOON)
        again = consumer.receive(SOON)
        assert text_of(again) == "a"
        assert again is not None
        assert (again.jms_redelivered, again.delivery_count) == (False, 1)
        assert consumer.receive_body(str, SOON) == "b"
        consumer.close()
        left(context.connection, queue.name, 0)


def test_a_body_of_another_kind_stays_in_the_queue_when_the_consumer_closes(context: JMSContext, queue: Queue) -> None:
    context.create_producer().send(queue, "a")
    with context.create_consumer(queue) as consumer, pytest.raises(MessageFormatError):
        consumer.receive_body(bytes, SOON)
    assert rest(context.create_consumer(queue)) == ["a"]


def test_a_body_of_another_kind_reaches_the_listener_that_is_set_then(context: JMSContext, queue: Queue) -> None:
    context.create_producer().send(queue, "a").send(queue, "b")
    consumer = context.create_consumer(queue)
    with pytest.raises(MessageFormatError):
        consumer.receive_body(bytes, SOON)
    inbox = Inbox()
    consumer.message_listener = inbox
    assert inbox.wait(2) == ["a", "b"]


@pytest.mark.parametrize("mode", [AcknowledgeMode.CLIENT_ACKNOWLEDGE, AcknowledgeMode.SESSION_TRANSACTED])
def test_where_the_application_acknowledges_a_body_of_another_kind_counts_as_received(
    factory: ActiveMQConnectionFactory, queue: Queue, mode: AcknowledgeMode
) -> None:
    with factory.create_context(mode) as context:
        context.create_producer().send(queue, "a").send(queue, "b")
        if context.transacted:
            context.commit()
        consumer = context.create_consumer(queue)
        with pytest.raises(MessageFormatError):
            consumer.receive_body(bytes, SOON)
        assert consumer.receive_body(str, SOON) == "b"
        if context.transacted:
            context.rollback()
        else:
            context.recover()
        again = consumer.receive(SOON)
        assert text_of(again) == "a"
        assert again is not None
        assert (again.jms_redelivered, again.delivery_count) == (True, 2)


def test_a_message_without_a_body_has_none_to_receive(context: JMSContext, queue: Queue) -> None:
    context.create_producer().send(queue, None)
    consumer = context.create_consumer(queue)
    with pytest.raises(MessageFormatError, match="no body"):
        consumer.receive_body(str, SOON)
    assert type(consumer.receive(SOON)) is Message


def test_a_large_body_of_another_kind_is_received_again(context: JMSContext, queue: Queue) -> None:
    data = bytes(range(256)) * 2000
    context.create_producer().send(queue, data)
    consumer = context.create_consumer(queue)
    with pytest.raises(MessageFormatError):
        consumer.receive_body(str, SOON)
    again = consumer.receive(SOON)
    assert isinstance(again, BytesMessage)
    assert again.data == data
    left(context.connection, queue.name, 0)


# --- acknowledging ----------------------------------------------------------------------------------------------------


def test_a_context_acknowledges_all_that_it_received(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    with factory.create_context(AcknowledgeMode.CLIENT_ACKNOWLEDGE) as context:
        producer = context.create_producer()
        for n in range(4):
            producer.send(queue, str(n))
        consumer = context.create_consumer(queue)
        context.acknowledge()  # nothing yet
        assert texts(consumer, 3) == ["0", "1", "2"]
        context.acknowledge()
        left(context.connection, queue.name, 1)


def test_an_individual_context_acknowledges_the_last_message(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    with factory.create_context(AcknowledgeMode.INDIVIDUAL_ACKNOWLEDGE) as context:
        producer = context.create_producer()
        for n in range(3):
            producer.send(queue, str(n))
        with context.create_consumer(queue) as consumer:
            assert texts(consumer, 2) == ["0", "1"]
            context.acknowledge()
        assert rest(context.create_consumer(queue)) == ["0", "2"]


def test_a_listener_acknowledges_by_its_context(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    with factory.create_context(AcknowledgeMode.CLIENT_ACKNOWLEDGE) as context:
        consumer = context.create_consumer(queue)
        consumer.message_listener = lambda message: context.acknowledge()
        assert consumer.message_listener is not None
        with context.create_context() as other:
            other.create_producer().send(queue, "a")
        eventually(lambda: count(context.connection, queue.name) == 0, "an empty queue")


def test_a_transaction_block_commits_or_rolls_back(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    with factory.create_context(AcknowledgeMode.SESSION_TRANSACTED) as context:
        with context.transaction():
            context.create_producer().send(queue, "kept")

        def fail() -> None:
            with context.transaction():
                context.create_producer().send(queue, "undone")
                raise ZeroDivisionError

        assert isinstance(outcome(fail), ZeroDivisionError)
        left(context.connection, queue.name, 1)


@pytest.mark.parametrize("what", ["close", "stop", "connection"])
def test_a_listener_must_not_stop_or_close_its_context(context: JMSContext, queue: Queue, what: str) -> None:
    errors: list[BaseException | None] = []
    call = {"close": context.close, "stop": context.stop, "connection": context.connection.close}[what]
    context.create_consumer(queue).message_listener = lambda message: errors.append(outcome(call))
    with context.create_context() as other:
        other.create_producer().send(queue, "x")
        eventually(lambda: errors, "the listener")
    assert isinstance(errors[0], IllegalStateError)


def test_closing_a_context_ends_a_blocked_receive_with_none(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    context = factory.create_context()
    consumer = context.create_consumer(queue)
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(consumer.receive()))
    thread.start()
    eventually(lambda: consumer._consumer._receiving, "a thread in receive")
    context.close()
    thread.join(SOON)
    assert got == [None]
