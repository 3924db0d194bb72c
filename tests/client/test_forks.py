"""Every public method of every object of a connection, and of an embedded broker, in a forked child."""

from __future__ import annotations

import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from activeclient import (
    BytesMessage,
    EmbeddedBroker,
    Queue,
    connect,
)
from tests.client.everything import ARGUMENTS, HELD, QUEUE, World, methods, returns
from tests.client.forked import in_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker("forked", port=0) as running:
        yield running


@pytest.fixture(scope="module")
def world(broker: EmbeddedBroker) -> Iterator[World]:
    made = World(broker.url)
    yield made
    made.close()


def check_methods(thing: object) -> None:
    calls = methods(thing)
    assert calls
    assert in_child(calls) == {name: "returned" if name in returns(thing) else "ForkedError" for name in calls}


@pytest.mark.parametrize("held", HELD)
def test_every_method_of_a_parent_s_object_raises_and_closing_is_harmless(world: World, held: str) -> None:
    check_methods(getattr(world, held))


def test_so_do_setters_messages_bodies_and_what_sends(world: World) -> None:
    message, large = world.message, world.large
    assert message is not None
    assert isinstance(large, BytesMessage)
    core = world.core_session.create_message()
    calls: dict[str, Callable[[], object]] = {
        "message.acknowledge": message.acknowledge,
        "large.read_bytes": large.read_bytes,
        "large.save_to": lambda: large.save_to(io.BytesIO()),
        "JMSProducer.send": lambda: world.jms_producer.send(QUEUE, "x"),
        "JMSProducer.send_async": lambda: world.jms_producer.send_async(QUEUE, "x"),
        "ClientProducer.send": lambda: world.core_producer.send(core),
        "ClientProducer.send with a handler": lambda: world.core_producer.send(core, print),
        "ClientProducer.flush": world.core_producer.flush,
        "prepare": lambda: world.xa_session.xa_resource.prepare(ARGUMENTS["xid"]),  # type: ignore[arg-type]
        "recover": world.xa_session.xa_resource.recover,
        "get_timeout": lambda: world.xa_session.xa_resource.transaction_timeout,
        "message_listener": lambda: setattr(world.consumer, "message_listener", print),
        "message_handler": lambda: setattr(world.core_consumer, "message_handler", print),
        "exception_listener": lambda: setattr(world.connection, "exception_listener", print),
        "client_id": lambda: setattr(world.connection, "client_id", "me"),
        "metadata": lambda: world.connection.metadata,
        "delivery_mode": lambda: setattr(world.producer, "delivery_mode", 1),
        "next_message": lambda: [next(iter(world.consumer)) for _ in range(2)],
        "transaction": lambda: world.transacted.transaction().__enter__(),
    }
    assert in_child(calls) == dict.fromkeys(calls, "ForkedError")


def test_the_parent_goes_on_and_so_does_a_child_with_a_connection_of_its_own(
    world: World, broker: EmbeddedBroker
) -> None:
    def own() -> None:
        with connect(broker.url) as connection, connection.create_session() as session:
            session.create_producer(Queue("everything.own")).send("of the child")

    calls: dict[str, Callable[[], object]] = {
        "close": world.connection.close,
        "connect": own,
        "factory": lambda: world.xa_factory.create_connection().close(),
        "locator": lambda: world.locator.create_session_factory().close(),
        "locator.close": world.locator.close,
    }
    assert in_child(calls) == dict.fromkeys(calls, "returned")
    own_queue = world.session.create_consumer(Queue("everything.own"))
    assert own_queue.receive(20).text == "of the child"  # type: ignore[union-attr]
    assert world.consumer.receive(20) is not None
    assert world.message is not None
    world.message.acknowledge()
    assert world.core_factory.create_session().query_queue(QUEUE.name).exists


def test_closing_does_not_wait_for_what_threads_of_the_parent_hold(world: World) -> None:
    session = world.connection.create_session()
    consumer = session.create_consumer(Queue("forked.listener"))
    began, go_on = threading.Event(), threading.Event()

    @consumer.on_message
    def listen(message: object) -> None:
        began.set()
        go_on.wait(30)

    session.create_producer(Queue("forked.listener")).send("x")
    assert began.wait(30)
    try:
        with world.connection._lock, session._closing, session.completions._changed:
            calls: dict[str, Callable[[], object]] = {
                "consumer": consumer.close,
                "session": session.close,
                "connection": world.connection.close,
            }
            assert in_child(calls) == dict.fromkeys(calls, "returned")
            uses: dict[str, Callable[[], object]] = {
                "start": world.connection.start,
                "stop": world.connection.stop,
                "create_session": world.connection.create_session,
                "receive": lambda: consumer.receive(1),
            }
            assert in_child(uses) == dict.fromkeys(uses, "ForkedError")
    finally:
        go_on.set()


def test_an_embedded_broker_stays_with_the_parent(broker: EmbeddedBroker) -> None:
    check_methods(broker)
    uses: dict[str, Callable[[], object]] = {
        "faults": broker.faults.drop_connections,
        "in memory": lambda: connect(broker.vm_url, reconnect_attempts=0, initial_connect_attempts=1),
    }
    assert in_child(uses) == dict.fromkeys(uses, "ForkedError")

    def another() -> None:
        with EmbeddedBroker("childs") as own, connect(own.url) as connection:
            connection.create_session().create_producer(QUEUE).send("x")

    assert in_child({"another": another}) == {"another": "returned"}
    assert broker.running
    with connect(broker.vm_url) as connection:
        connection.create_session().create_producer(QUEUE).send("x")


def test_a_child_holds_neither_port_nor_folder_of_a_stopped_broker(tmp_path: Path) -> None:
    broker = EmbeddedBroker("foldered", port=0, folder=tmp_path / "broker").start()
    (told, tell), (wait, go_on) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go_on)
        os.write(tell, b"!")
        os.read(wait, 1)  # until the parent has done
        os._exit(0)
    os.close(wait)
    try:
        os.read(told, 1)
        broker.stop()
        with socket.create_server(("127.0.0.1", port_of(broker.url))):
            pass  # nobody listens there any more
        broker.start()
        broker.stop()
    finally:
        for descriptor in (told, tell, go_on):
            os.close(descriptor)
        os.waitpid(child, 0)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])
