"""Fixtures of the JMS cases: connections, contexts, queues and topics with names of their own, removed afterwards."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import pytest

from activeclient import (
    ActiveMQConnectionFactory,
    ActiveMQXAConnectionFactory,
    Connection,
    JMSContext,
    Queue,
    Session,
    Topic,
)
from activeclient.errors import JMSError


@pytest.fixture
def factory(broker_url: str) -> ActiveMQConnectionFactory:
    return ActiveMQConnectionFactory(broker_url)


@pytest.fixture
def xa_factory(broker_url: str) -> ActiveMQXAConnectionFactory:
    return ActiveMQXAConnectionFactory(broker_url)


@pytest.fixture
def connection(factory: ActiveMQConnectionFactory) -> Iterator[Connection]:
    with factory.create_connection() as made:
        yield made


@pytest.fixture
def other(factory: ActiveMQConnectionFactory) -> Iterator[Connection]:
    """Somebody else's connection."""
    with factory.create_connection() as made:
        yield made


@pytest.fixture
def client_id() -> str:
    return f"client-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def named(factory: ActiveMQConnectionFactory, client_id: str) -> Iterator[Connection]:
    """A connection with a client id."""
    with factory.create_connection(client_id=client_id) as made:
        yield made


@pytest.fixture
def session(connection: Connection) -> Session:
    return connection.create_session()


@pytest.fixture
def context(factory: ActiveMQConnectionFactory) -> Iterator[JMSContext]:
    with factory.create_context() as made:
        yield made


@pytest.fixture
def name(factory: ActiveMQConnectionFactory) -> Iterator[str]:
    """A name for an address, which is removed with all that is bound to it."""
    made = f"jms-{uuid.uuid4().hex[:12]}"
    yield made
    with factory.create_connection() as cleaner, cleaner.management() as management, contextlib.suppress(JMSError):
        management.invoke("broker", "deleteAddress", made, True)


@pytest.fixture
def queue(name: str) -> Queue:
    return Queue(name)


@pytest.fixture
def topic(name: str) -> Topic:
    return Topic(name)
