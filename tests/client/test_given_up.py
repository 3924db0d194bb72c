"""What every public method says after a give-up, after a close by the user, and in an outage that is too long."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

import activeclient
from activeclient import (
    CallTimeout,
    ClosedError,
    EmbeddedBroker,
    JMSError,
    OutageTimeout,
    Outcome,
    Queue,
    ReconnectGaveUp,
)
from activeclient.testing import BrokerUnderTest, wait_until
from tests.client.everything import ARGUMENTS, HARMLESS, HELD, QUEUE, World, methods, returns


def outcome(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


# --- a give-up --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def given_up() -> Iterator[World]:
    broker = EmbeddedBroker(port=0).start()
    made = World(broker.url, reconnect_attempts=1, retry_interval=10)
    broker.stop(abrupt=True)
    connections = [made.connection.factory, made.context.connection.factory, made.core_factory]
    wait_until(lambda: all(each.is_closed for each in connections))
    yield made
    made.close()


@pytest.mark.parametrize("held", HELD)
def test_every_method_raises_the_give_up_with_its_cause(given_up: World, held: str) -> None:
    thing = getattr(given_up, held)
    calls = {name: call for name, call in methods(thing).items() if name not in HARMLESS}
    raised = {name: outcome(call) for name, call in calls.items()}
    wrong = {
        name: error
        for name, error in raised.items()
        if name not in returns(thing) and not (type(error) is ReconnectGaveUp and error.__cause__ is not None)
    }
    assert wrong == {}


def test_so_do_sends_setters_and_acknowledgements(given_up: World) -> None:
    message = given_up.message
    assert message is not None
    core = given_up.core_session.create_message()
    in_transaction = given_up.transacted
    for call in (
        lambda: given_up.producer.send("x"),
        lambda: given_up.producer.send_async("x").result(5),
        lambda: in_transaction.create_producer(QUEUE),
        lambda: given_up.jms_producer.send(QUEUE, "x"),
        lambda: given_up.jms_producer.send_async(QUEUE, "x").result(5),
        lambda: given_up.core_producer.send(core),
        lambda: given_up.core_producer.send(core, print),
        lambda: given_up.xa_session.xa_resource.prepare(ARGUMENTS["xid"]),  # type: ignore[arg-type]
        lambda: given_up.xa_session.xa_resource.recover(),
        lambda: setattr(given_up.consumer, "message_listener", print),
        lambda: setattr(given_up.producer, "priority", 3),
        lambda: setattr(given_up.connection, "exception_listener", print),
        message.acknowledge,
        lambda: given_up.connection.metadata,
    ):
        with pytest.raises(ReconnectGaveUp) as caught:
            call()
        assert caught.value.__cause__ is not None


def test_an_iteration_that_a_give_up_ends_does_not_look_like_the_end_of_the_messages(given_up: World) -> None:
    for consumer in (given_up.consumer, given_up.jms_consumer):
        with pytest.raises(ReconnectGaveUp):
            list(consumer)
        with pytest.raises(ReconnectGaveUp):
            list(consumer.messages(timeout=1))


# --- closed by the user -----------------------------------------------------------------------------------------------


def test_what_its_user_has_closed_says_so_and_names_it() -> None:
    with EmbeddedBroker(port=0) as broker:
        world = World(broker.url)
        world.producer.close()
        world.consumer.close()
        world.browser.close()
        world.core_producer.close()
        world.core_consumer.close()
        closed: dict[str, Callable[[], object]] = {
            "the producer is closed": lambda: world.producer.send("x"),
            "the consumer is closed": lambda: world.consumer.receive(1),
            "the browser is closed": lambda: list(world.browser),
            "the producer is closed ": lambda: world.core_producer.send(world.core_session.create_message()),
            "the consumer is closed ": lambda: world.core_consumer.receive(1),
        }
        check_closed(closed)
        other = world.session.create_producer(QUEUE)
        world.session.close()
        check_closed({"the session is closed": lambda: other.send("x")})
        check_closed({"the session is closed": lambda: world.session.create_queue("x")})
        session = world.connection.create_session()
        producer, consumer = session.create_producer(QUEUE), session.create_consumer(QUEUE)
        world.context.close()
        check_closed({"the context is closed": lambda: world.context.create_producer()})
        world.close()
        for call in (lambda: producer.send("x"), lambda: consumer.receive(1), session.create_temporary_queue):
            check_closed({"the session is closed: its connection was closed": call})
        check_closed({"the connection is closed": world.connection.create_session})


def check_closed(calls: dict[str, Callable[[], object]]) -> None:
    for text, call in calls.items():
        error = outcome(call)
        assert (type(error), str(error)) == (ClosedError, text.strip())


def test_what_was_closed_before_a_give_up_was_closed() -> None:
    broker = EmbeddedBroker(port=0).start()
    connection = activeclient.connect(broker.url, reconnect_attempts=1, retry_interval=10)
    session = connection.create_session()
    producer = session.create_producer(QUEUE)
    producer.close()
    broker.stop(abrupt=True)
    wait_until(lambda: connection.is_closed)
    check_closed({"the producer is closed": lambda: producer.send("x")})
    connection.close()
    check_closed({"the connection is closed": connection.create_session})
    check_closed({"the session is closed: its connection was closed": lambda: session.create_producer(QUEUE)})


# --- limits -----------------------------------------------------------------------------------------------------------


NEEDS_THE_BROKER: dict[str, Callable[[World], object]] = {
    "create_session": lambda w: w.connection.create_session(),
    "create_consumer": lambda w: w.session.create_consumer(Queue("another")),
    "create_producer": lambda w: w.session.create_producer(Queue("another")),
    "create_browser": lambda w: w.session.create_browser(Queue("another")),
    "create_durable_consumer": lambda w: w.session.create_shared_consumer(activeclient.Topic("t"), "n"),
    "create_temporary_queue": lambda w: w.session.create_temporary_queue(),
    "unsubscribe": lambda w: w.session.unsubscribe("n"),
    "browse": lambda w: list(w.browser),
    "receive_no_wait": lambda w: w.empty_consumer.receive_no_wait(),
    "receive_immediate": lambda w: w.core_consumer.receive_immediate(),
    "acknowledge": lambda w: w.message.acknowledge(),  # type: ignore[union-attr]
    "commit": lambda w: w.transacted.commit(),
    "rollback": lambda w: w.transacted.rollback(),
    "recover": lambda w: w.session.recover(),
    "stop": lambda w: w.core_session.start().stop(),
    "management": lambda w: w.connection.management(),
    "query_queue": lambda w: w.core_session.query_queue("q"),
    "delete_queue": lambda w: w.core_session.delete_queue("q"),
    "create_address": lambda w: w.core_session.create_address("q"),
    "add_metadata": lambda w: w.core_session.add_metadata("k", "v"),
    "xa start": lambda w: w.xa_session.xa_resource.start(activeclient.Xid(1, b"g", b"b")),
    "xa recover": lambda w: w.xa_session.xa_resource.recover(),
    "xa timeout": lambda w: w.core_session.xa_get_timeout(),
    "wait_until_connected": lambda w: w.core_factory.wait_until_connected(0.1),
}


def test_in_an_outage_it_is_the_outage_that_times_out() -> None:
    with BrokerUnderTest() as broker:
        world = World(broker.url, reconnect_attempts=-1, retry_interval=10, call_failover_timeout=50)
        with broker.outage():
            raised = {what: outcome(lambda call=call: call(world)) for what, call in NEEDS_THE_BROKER.items()}  # type: ignore[misc]
            world.close()
    wrong = {what: error for what, error in raised.items() if type(error) is not OutageTimeout}
    assert wrong == {}
    assert {error.outcome for error in raised.values() if isinstance(error, JMSError)} == {Outcome.NOT_SENT}


def test_a_management_answer_that_an_outage_keeps_back_may_have_been_carried_out() -> None:
    with BrokerUnderTest() as broker:
        connection = broker.connect()
        with connection.management(timeout=0.3) as management:
            management._producer.send = lambda _: broker.cutter.down() or broker.drop_connections()  # type: ignore[method-assign,assignment,func-returns-value]
            with pytest.raises(OutageTimeout) as caught:
                management.attribute("broker", "Version")
            assert caught.value.outcome is Outcome.UNKNOWN
            broker.cutter.up()
        connection.close()


def test_a_call_that_began_connected_is_judged_by_what_holds_in_the_end() -> None:
    with BrokerUnderTest() as broker:
        connection = broker.connect(call_failover_timeout=300)
        session = connection.create_session(transacted=True)
        session.create_producer(QUEUE).send("x")
        raised: list[Exception | None] = []
        engine = session.core.engine
        broker.faults.hold_storage()
        thread = threading.Thread(target=lambda: raised.append(outcome(session.commit)))
        thread.start()
        wait_until(lambda: engine.current is not None)
        with broker.outage():
            thread.join(30)
        broker.faults.release_storage()
        assert [type(error) for error in raised] == [OutageTimeout]
        assert raised[0].outcome is Outcome.UNKNOWN  # type: ignore[union-attr]
        connection.close()


def test_connected_it_is_the_call_that_times_out() -> None:
    with BrokerUnderTest() as broker:
        connection = broker.connect(call_timeout=300)
        session = connection.create_session(transacted=True)
        producer = session.create_producer(QUEUE)
        producer.send("x")
        session.commit()  # from now on a commit does not wait until its sends are answered
        producer.send("y")
        with broker.silence(), pytest.raises(CallTimeout) as caught:
            session.commit()
        assert caught.value.outcome is Outcome.UNKNOWN
        connection.close()
