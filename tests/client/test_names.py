"""Names that are not there: Java's setters and getters, and typing errors, on every object that a user holds."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from activeclient import ActiveMQConnectionFactory, EmbeddedBroker, Queue, ServerLocator
from activeclient.java_names import in_python
from activeclient.testing import BrokerUnderTest, wait_until
from tests.client.everything import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with EmbeddedBroker(port=0) as broker:
        made = World(broker.vm_url)
        yield made
        made.close()


@pytest.mark.parametrize(
    ("java", "python"),
    [
        ("retryInterval", "retry_interval"),
        ("ClientID", "client_id"),
        ("dupsOKBatchSize", "dups_ok_batch_size"),
        ("connectionTTL", "connection_ttl"),
        ("createXASession", "create_xa_session"),
        ("DisableMessageID", "disable_message_id"),
        ("JMSCorrelationID", "jms_correlation_id"),
        ("retry_interval", "retry_interval"),
    ],
)
def test_a_java_name_in_python(java: str, python: str) -> None:
    assert in_python(java) == python


READ = [
    ("xa_factory", "setRetryInterval", "write .retry_interval = ..."),
    ("xa_factory", "getReconnectAttempts", "write .reconnect_attempts"),
    ("xa_factory", "isBlockOnDurableSend", "write .block_on_durable_send"),
    ("xa_factory", "createConnection", "write .create_connection(...)"),
    ("xa_factory", "setClientID", "write .client_id = ..."),
    ("xa_factory", "retry_intervall", "did you mean retry_interval?"),
    ("locator", "setConfirmationWindowSize", "write .confirmation_window_size = ..."),
    ("locator", "createSessionFactory", "write .create_session_factory(...)"),
    ("locator", "callTimeout", "write .call_timeout"),
    ("core_factory", "createSession", "write .create_session(...)"),
    ("core_session", "createQueue", "write .create_queue(...)"),
    ("core_session", "addFailureListener", "write .add_failure_listener(...)"),
    ("connection", "setClientID", "write .client_id = ..."),
    ("connection", "getClientID", "write .client_id"),
    ("connection", "setExceptionListener", "write .exception_listener = ..."),
    ("connection", "createSession", "write .create_session(...)"),
    ("connection", "startt", "did you mean start?"),
    ("session", "createQueue", "write .create_queue(...)"),
    ("session", "createDurableConsumer", "write .create_durable_consumer(...)"),
    ("session", "getTransacted", "write .transacted"),
    ("producer", "setTimeToLive", "write .time_to_live = ..."),
    ("producer", "setDisableMessageID", "write .disable_message_id = ..."),
    ("producer", "getDestination", "write .destination"),
    ("consumer", "setMessageListener", "write .message_listener = ..."),
    ("consumer", "receiveNoWait", "write .receive_no_wait(...)"),
    ("context", "setAutoStart", "write .auto_start = ..."),
    ("context", "createProducer", "write .create_producer(...)"),
    ("jms_producer", "setTimeToLive", "write .set_time_to_live(...)"),
    ("jms_producer", "setAsync", "write .set_async(...)"),
    ("jms_consumer", "receiveBody", "write .receive_body(...)"),
]


@pytest.mark.parametrize(("held", "name", "hint"), READ)
def test_reading_a_name_that_is_not_there_says_what_to_write(world: World, held: str, name: str, hint: str) -> None:
    thing = getattr(world, held)
    with pytest.raises(AttributeError) as caught:
        getattr(thing, name)
    assert str(caught.value).startswith(f"{type(thing).__name__!r} object has no attribute {name!r}; ")
    assert str(caught.value).endswith(hint)
    assert not hasattr(thing, name)


WRITTEN = [
    ("xa_factory", "retryInterval", "write .retry_interval"),
    ("xa_factory", "reconnect_attempt", "did you mean reconnect_attempts?"),
    ("locator", "callTimeout", "write .call_timeout"),
    ("locator", "nonsense", "object has no attribute 'nonsense'"),
    ("connection", "clientID", "write .client_id"),
    ("connection", "exceptionListener", "write .exception_listener"),
    ("producer", "timeToLive", "write .time_to_live"),
    ("producer", "priorty", "did you mean priority?"),
    ("consumer", "messageListener", "write .message_listener"),
    ("context", "autoStart", "write .auto_start"),
    ("jms_producer", "deliveryMode", "write .delivery_mode"),
    ("jms_consumer", "message_listner", "did you mean message_listener?"),
]


@pytest.mark.parametrize(("held", "name", "hint"), WRITTEN)
def test_no_assignment_makes_an_attribute_that_nobody_reads(world: World, held: str, name: str, hint: str) -> None:
    thing = getattr(world, held)
    with pytest.raises(AttributeError) as caught:
        setattr(thing, name, 5)
    assert hint in str(caught.value)


def test_what_is_declared_can_be_set(world: World) -> None:
    world.producer.disable_message_id = True
    world.jms_producer.completion = None
    world.context.auto_start = True
    factory = ActiveMQConnectionFactory()
    factory.retry_interval = 7
    assert factory.settings.retry_interval == factory.retry_interval == 7


@pytest.mark.parametrize("made", [ServerLocator(), ActiveMQConnectionFactory()], ids=lambda each: type(each).__name__)
def test_configuration_can_still_be_copied_and_pickled(made: object) -> None:
    for twin in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert twin.retry_interval == 2000  # type: ignore[attr-defined]


class Told:
    def __init__(self) -> None:
        self.failed: list[bool] = []
        self.kinds: list[object] = []

    def connection_failed(self, error: object, failed_over: bool) -> None:
        self.failed.append(failed_over)


def test_listeners_are_added_and_removed_at_connections_and_core_sessions() -> None:
    with BrokerUnderTest() as broker, broker.connect() as connection:
        session = connection.create_session()
        session.create_producer(Queue("listeners")).send("x")
        owner = connection.create_session()  # dropped, it would be closed
        gone = owner.core
        told = {name: Told() for name in ("connection", "core", "removed", "closed")}
        events: list[object] = []
        connection.add_failure_listener(told["connection"])
        connection.add_failover_listener(told["connection"].kinds.append)
        session.core.add_failure_listener(told["core"])
        session.core.add_failover_listener(told["core"].kinds.append)
        connection.add_failure_listener(told["removed"])
        connection.add_event_listener(events.append)
        assert connection.remove_failure_listener(told["removed"])
        assert not connection.remove_failure_listener(told["removed"])
        assert connection.remove_event_listener(events.append)
        session.core.add_failure_listener(told["removed"])
        assert session.core.remove_failure_listener(told["removed"])
        assert not session.core.remove_failure_listener(told["removed"])
        gone.add_failure_listener(told["closed"])
        gone.close()
        broker.drop_connections()
        for name in ("connection", "core"):
            wait_until(lambda name=name: told[name].failed == [True] and len(told[name].kinds) == 2, 20.0)  # type: ignore[misc]
        assert told["removed"].failed == told["closed"].failed == events == []
