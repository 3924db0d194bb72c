"""Connections: their life, their client ids, and what belongs to them."""

from __future__ import annotations

import threading
import time

import pytest

from activeclient import (
    ActiveMQConnectionFactory,
    Connection,
    ConnectionMetaData,
    Queue,
    Topic,
)
from activeclient.errors import (
    ClosedError,
    ConnectionLost,
    IllegalStateError,
    InvalidClientIDError,
    InvalidDestinationError,
    JMSSecurityError,
)
from activeclient.testing.ports import free_port
from integration.configuration import LIMITED_PASSWORD, LIMITED_USER, SECURED
from integration.differences import differs
from integration.jms_cases.support import CLIENT, SOON, Inbox, count, eventually, fill, outcome, outcomes, texts


def test_the_metadata_name_the_api_and_its_provider(connection: Connection) -> None:
    metadata = connection.metadata
    assert isinstance(metadata, ConnectionMetaData)
    assert (metadata.jms_version, metadata.jms_major_version, metadata.jms_minor_version) == ("3.1", 3, 1)
    assert metadata.jms_provider_name == "activeclient"
    assert {"JMSXGroupID", "JMSXGroupSeq", "JMSXDeliveryCount"} <= set(metadata.jmsx_property_names)


@pytest.mark.parametrize("before", ["start", "stop", "metadata", "session", "listener"])
def test_a_client_id_must_be_set_before_anything_else(
    factory: ActiveMQConnectionFactory, client_id: str, before: str
) -> None:
    with factory.create_connection() as _:
        pass
    connection = factory.create_connection()
    try:
        if before == "start":
            connection.start()
        elif before == "stop":
            connection.stop()
        elif before == "metadata":
            assert connection.metadata
        elif before == "session":
            connection.create_session()
        else:
            connection.exception_listener = None
        with pytest.raises(IllegalStateError, match="before anything else"):
            connection.client_id = client_id
    finally:
        connection.close()


def test_a_client_id_is_free_again_when_its_connection_is_closed(
    factory: ActiveMQConnectionFactory, client_id: str
) -> None:
    for _ in range(3):
        connection = factory.create_connection()
        connection.client_id = client_id
        other = factory.create_connection()
        try:
            with pytest.raises(InvalidClientIDError) as raised:
                other.client_id = client_id
            assert raised.value.code == 114
            other.client_id = f"{client_id}-other"  # the refused one was not taken
        finally:
            other.close()
            connection.close()


@pytest.mark.parametrize("value", ["", None, 7])
def test_a_client_id_is_a_text(factory: ActiveMQConnectionFactory, value: object) -> None:
    connection = factory.create_connection()
    try:
        with pytest.raises(InvalidClientIDError):
            connection.client_id = value  # type: ignore[assignment]
    finally:
        connection.close()


def test_connections_may_share_a_client_id_that_is_said_to_be_shared(broker_url: str, client_id: str) -> None:
    factory = ActiveMQConnectionFactory(broker_url, enable_shared_client_id=True)
    with factory.create_connection(client_id=client_id) as one, factory.create_connection(client_id=client_id) as two:
        assert one.client_id == two.client_id == client_id


def test_a_client_id_of_the_url_is_taken(broker_url: str, client_id: str) -> None:
    with ActiveMQConnectionFactory(f"{broker_url}?clientID={client_id}").create_connection() as connection:
        assert connection.client_id == client_id
        with pytest.raises(IllegalStateError):
            connection.client_id = "another"


def test_wrong_credentials_are_refused_and_leave_nothing_behind(factory: ActiveMQConnectionFactory) -> None:
    for call in (
        lambda: factory.create_connection("nobody", "secret"),
        lambda: factory.create_context(user="admin", password="secret"),
    ):
        error = outcome(call)
        assert isinstance(error, JMSSecurityError)
        assert error.code == 105
        assert "secret" not in str(error)


def test_nobody_at_the_address_is_an_error_soon() -> None:
    factory = ActiveMQConnectionFactory(f"tcp://127.0.0.1:{free_port()}")
    began = time.monotonic()
    for call in (factory.create_connection, factory.create_context):
        assert isinstance(outcome(call), ConnectionLost)
    assert time.monotonic() - began < 12


@differs("permissions")
def test_what_the_user_may_not_do_is_refused_where_it_is_done(factory: ActiveMQConnectionFactory, name: str) -> None:
    with factory.create_connection() as allowed:
        fill(allowed, Queue(f"{SECURED}.{name}"), "x")
    with factory.create_connection(LIMITED_USER, LIMITED_PASSWORD) as limited:
        session = limited.create_session()
        queue = Queue(f"{SECURED}.{name}")
        error = outcome(lambda: session.create_consumer(queue))
        assert isinstance(error, JMSSecurityError)
        assert error.code == 105
        assert isinstance(outcome(lambda: list(session.create_browser(queue))), JMSSecurityError)
        assert isinstance(outcome(lambda: session.create_producer(queue).send("x")), JMSSecurityError)
        assert isinstance(outcome(lambda: session.create_producer(queue).send(bytes(300_000))), JMSSecurityError)
        future = session.create_producer(queue).send_async("x")
        assert isinstance(future.exception(SOON), JMSSecurityError)
        assert isinstance(outcome(lambda: session.create_consumer(Topic(f"{SECURED}.{name}.t"))), JMSSecurityError)
        transacted = limited.create_session(transacted=True)
        out = transacted.create_producer(queue)
        refused = [outcome(lambda: out.send("x")), outcome(transacted.commit)]
        assert any(refused)
        session.create_temporary_queue()  # the connection is as well as before


def test_everything_of_a_closed_connection_is_closed(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    connection = factory.create_connection().start()
    session = connection.create_session()
    producer, consumer = session.create_producer(queue), session.create_consumer(queue)
    browser, temporary = session.create_browser(queue), session.create_temporary_queue()
    looking = iter(browser)
    connection.close()
    kinds = outcomes(
        [
            connection.start, connection.stop, connection.create_session, lambda: connection.metadata,
            session.create_producer, lambda: session.create_consumer(queue), lambda: session.create_browser(queue),
            session.create_temporary_queue, session.create_text_message, session.recover, session.commit,
            lambda: session.create_queue("x"), lambda: session.unsubscribe("x"), lambda: producer.send("x"),
            lambda: setattr(producer, "priority", 3), lambda: setattr(consumer, "message_listener", print),
            consumer.receive_no_wait, lambda: iter(browser), lambda: consumer.receive_body(str),
        ]
    )  # fmt: skip
    assert all(kind is not None and issubclass(kind, ClosedError) for kind in kinds), kinds
    assert list(looking) == []
    assert isinstance(outcome(temporary.delete), ClosedError)
    assert isinstance(outcome(lambda: connection.create_session(7)), (ClosedError, Exception))
    for thing in (browser, consumer, producer, session, connection):
        thing.close()


def test_what_was_received_cannot_be_acknowledged_after_the_close(
    factory: ActiveMQConnectionFactory, connection: Connection, queue: Queue
) -> None:
    fill(connection, queue, "x")
    with factory.create_connection() as closing:
        message = closing.create_session(CLIENT).create_consumer(queue).receive(SOON)
    assert message is not None
    with pytest.raises(IllegalStateError):
        message.acknowledge()
    assert message.body == "x"
    eventually(lambda: count(connection, queue) == 1)


def test_stopping_keeps_what_comes_until_the_next_start(connection: Connection, queue: Queue) -> None:
    inbox = Inbox()
    session = connection.create_session()
    session.create_consumer(queue).message_listener = inbox
    fill(connection, queue, "a")
    inbox.wait(1)
    connection.stop()
    fill(connection, queue, "b")
    session.core.query_queue(queue.name)
    assert inbox.texts == ["a"]
    connection.start()
    assert inbox.wait(2) == ["a", "b"]


def test_a_message_that_was_fetched_before_the_stop_is_not_received_until_the_start(
    connection: Connection, queue: Queue
) -> None:
    fill(connection, queue, "a", "b")
    consumer = connection.create_session().create_consumer(queue)
    assert texts(consumer, 1) == ["a"]
    connection.stop()
    assert consumer.receive(0.1) is None
    connection.start()
    assert texts(consumer, 1) == ["b"]


def test_many_connections_and_sessions_work_at_the_same_time(factory: ActiveMQConnectionFactory, queue: Queue) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with factory.create_connection() as connection:
                for _ in range(3):
                    fill(connection, queue, str(number))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert errors == []
    with factory.create_connection() as connection:
        got = texts(connection.create_session().create_consumer(queue), 36)
    assert sorted(got) == sorted(str(number) for number in range(12) for _ in range(3))  # type: ignore[type-var]


def test_reprs_show_no_secrets(broker_url: str) -> None:
    factory = ActiveMQConnectionFactory(broker_url, user="admin", password="admin-secret")
    assert "secret" not in repr(factory)
    with ActiveMQConnectionFactory(broker_url).create_context(user="admin", password="admin") as context:
        session = context.session
        shown = [repr(thing) for thing in (context, context.connection, session, context.create_producer())]
    assert all("password" not in text for text in shown)


def test_a_destination_of_unknown_kind_has_to_be_chosen(connection: Connection) -> None:
    session = connection.create_session()
    for make in (session.create_producer, session.create_consumer):
        with pytest.raises(InvalidDestinationError):
            make("orders")  # type: ignore[arg-type]
