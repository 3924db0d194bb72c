"""Looking at queues."""

from __future__ import annotations

import pytest

from activeclient import ActiveMQConnectionFactory, Connection, Queue, Session, Topic
from activeclient.errors import ClosedError, InvalidDestinationError, InvalidSelectorError
from activeclient.testing.cutter import Cutter
from integration.jms_cases.support import RECREATING, SOON, count, fill, rest, text_of, texts


@pytest.fixture
def session(connection: Connection) -> Session:
    return connection.create_session()


def seen(session: Session, queue: Queue, selector: str | None = None) -> list[str | None]:
    with session.create_browser(queue, selector) as browser:
        return [text_of(message) for message in browser]


def test_a_browser_sees_everything_in_order_and_takes_nothing(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    for n in range(50):
        producer.send(str(n), priority=9 if n == 49 else 4)
    expected = ["49", *(str(n) for n in range(49))]
    assert seen(session, queue) == expected
    consumer = session.create_consumer(queue)
    first = consumer.receive(SOON)
    assert first is not None
    assert (first.delivery_count, first.jms_redelivered) == (1, False)
    assert [text_of(first), *texts(consumer, 49)] == expected


def test_a_browser_sees_what_its_selector_says(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    for n in range(10):
        producer.send(str(n), properties={"n": n})
    assert seen(session, queue, "n >= 3 AND n < 5") == ["3", "4"]
    assert seen(session, queue, "") == [str(n) for n in range(10)]


def test_a_browser_knows_its_queue_and_selector(session: Session, queue: Queue) -> None:
    with session.create_browser(queue, "n = 1") as browser:
        assert (browser.queue, browser.message_selector) == (queue, "n = 1")


def test_a_queue_that_is_not_there_is_created_and_empty(session: Session, queue: Queue) -> None:
    assert seen(session, queue) == []


def test_only_queues_can_be_browsed_and_with_a_selector_that_is_one(session: Session, queue: Queue) -> None:
    with pytest.raises(InvalidDestinationError):
        session.create_browser(Topic("t"))  # type: ignore[arg-type]
    with pytest.raises(InvalidDestinationError):
        session.create_browser(None)  # type: ignore[arg-type]
    with pytest.raises(InvalidSelectorError):
        session.create_browser(queue, "n = = 1")


def test_a_look_that_has_ended_is_not_revived_and_a_new_one_sees_more(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    producer.send("a")
    with session.create_browser(queue) as browser:
        looking = iter(browser)
        assert [text_of(message) for message in looking] == ["a"]
        producer.send("b")
        assert next(looking, None) is None
        assert [text_of(message) for message in browser] == ["a", "b"]


def test_browsing_and_consuming_do_not_disturb_each_other(session: Session, queue: Queue) -> None:
    fill_queue = session.create_producer(queue)
    for text in "abc":
        fill_queue.send(text)
    with session.create_browser(queue) as browser:
        looking = iter(browser)
        assert text_of(next(looking)) == "a"
        with session.create_consumer(queue) as consumer:
            assert texts(consumer, 1) == ["a"]
    assert seen(session, queue) == ["b", "c"]
    assert rest(session.create_consumer(queue)) == ["b", "c"]


def test_two_looks_go_on_side_by_side(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    for text in "ab":
        producer.send(text)
    with session.create_browser(queue) as browser:
        pairs = [(text_of(one), text_of(two)) for one, two in zip(browser, browser, strict=True)]
    assert pairs == [("a", "a"), ("b", "b")]


def test_closing_ends_every_look(session: Session, queue: Queue) -> None:
    producer = session.create_producer(queue)
    for text in "abc":
        producer.send(text)
    browser = session.create_browser(queue)
    looking = iter(browser)
    next(looking)
    browser.close()
    browser.close()
    assert list(looking) == []
    with pytest.raises(ClosedError):
        iter(browser)


def test_a_browser_needs_no_started_connection(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    connection = factory.create_connection()
    try:
        fill(connection, queue, "a")
        session = connection.create_session()
        assert seen(session, queue) == ["a"]
        connection.start()
        connection.stop()
        assert seen(session, queue) == ["a"]
    finally:
        connection.close()


def test_large_messages_can_be_browsed(session: Session, queue: Queue) -> None:
    data = bytes(range(256)) * 2000
    session.create_producer(queue).send(data)
    with session.create_browser(queue) as browser:
        assert [message.body for message in browser] == [data]


def test_a_look_does_not_end_behind_a_body_that_nobody_reads(
    connection: Connection, broker_url: str, queue: Queue
) -> None:
    fill(connection, queue, *[bytes(60_000), bytes(300_000), "text"] * 5)
    small_window = ActiveMQConnectionFactory(f"{broker_url}?consumerWindowSize=65536&minLargeMessageSize=10240")
    with small_window.create_context() as context:
        assert len(list(context.create_browser(queue))) == 15


def test_what_is_browsed_has_nothing_to_acknowledge(connection: Connection, queue: Queue) -> None:
    fill(connection, queue, "a")
    with connection.create_session(2) as session, session.create_browser(queue) as browser:
        for message in browser:
            message.acknowledge()
    assert count(connection, queue) == 1


@pytest.mark.parametrize("parameters", [RECREATING, "?profile=reliable"])
def test_a_look_goes_on_after_cuts_and_shows_everything_once(
    cutter: Cutter, connection: Connection, queue: Queue, parameters: str
) -> None:
    fill(connection, queue, *(str(n) for n in range(20)))
    with ActiveMQConnectionFactory(cutter.url() + parameters).create_context() as context:
        got = []
        for message in context.create_browser(queue):
            got.append(text_of(message))
            if len(got) in (3, 11):
                cutter.cut_now()
    assert got == [str(n) for n in range(20)]
    assert count(connection, queue) == 20
