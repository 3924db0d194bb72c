"""The pytest plugin: a broker, connections, sessions and outages as fixtures, and a check that nothing is left.

Law of this file: pytest loads it in every run of an environment that has this package, so importing it imports nothing
but pytest; a run that asks for no fixture of it pays for nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from activeclient.app.application import App
    from activeclient.broker.configuration import BrokerConfiguration
    from activeclient.broker.embedded import EmbeddedBroker
    from activeclient.destination import Queue
    from activeclient.jms.connection import Connection
    from activeclient.jms.connection_factory import ActiveMQConnectionFactory
    from activeclient.jms.session import Session
    from activeclient.testing.app import AppUnderTest
    from activeclient.testing.broker import BrokerUnderTest

PATIENCE = 5.0
"""Seconds that threads and sockets have to go when a test ends."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which broker the tests use."""
    help_text = (
        "run tests with the fixture artemis_broker on this running broker: tcp://host:port?user=...&password=..."
    )
    parser.getgroup("activeclient").addoption("--artemis-url", metavar="URL", default=None, help=help_text)
    parser.addini("artemis_url", help_text, default="")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The check for leaks comes before and after everything else, wherever a test names it."""
    for item in items:
        names: list[str] = getattr(item, "fixturenames", [])
        if "jms_no_leaks" in names:
            names.remove("jms_no_leaks")
            names.insert(0, "jms_no_leaks")


@pytest.fixture
def embedded_broker_configuration() -> BrokerConfiguration:
    """The configuration of the embedded brokers of these fixtures: override it for a module, a class or a directory."""
    from activeclient.broker.configuration import BrokerConfiguration

    return BrokerConfiguration()


@pytest.fixture
def embedded_broker(embedded_broker_configuration: BrokerConfiguration) -> Iterator[EmbeddedBroker]:
    """A fresh broker in memory: its `url` is a vm:// URL, its `faults` make things go wrong packet by packet."""
    import uuid

    from activeclient.broker.embedded import EmbeddedBroker

    with EmbeddedBroker(f"test-{uuid.uuid4()}", configuration=embedded_broker_configuration) as broker:
        yield broker


@pytest.fixture
def artemis_broker(
    pytestconfig: pytest.Config, embedded_broker_configuration: BrokerConfiguration
) -> Iterator[BrokerUnderTest]:
    """A broker on a socket, behind a link that breaks on demand; a test that leaves connections open fails.

    Embedded and fresh, or the running one that --artemis-url (or artemis_url in the configuration) names.
    """
    from activeclient.testing.broker import BrokerUnderTest

    class Skipping(BrokerUnderTest):
        """A running broker cannot do everything: tests that need more are skipped there."""

        @property
        def embedded(self) -> EmbeddedBroker:
            if self._embedded is None:
                pytest.skip("needs the embedded broker, and --artemis-url names a running one")
            return super().embedded

    url = pytestconfig.getoption("--artemis-url") or pytestconfig.getini("artemis_url") or None
    with Skipping(url, configuration=None if url else embedded_broker_configuration) as broker:
        yield broker
        left = broker.left(PATIENCE)
    if left is not None:
        pytest.fail(f"the test left behind: {left}", pytrace=False)


@pytest.fixture
def jms_connection_factory(artemis_broker: BrokerUnderTest) -> ActiveMQConnectionFactory:
    """A factory of connections that outlive cuts, with short pauses between attempts."""
    return artemis_broker.connection_factory()


@pytest.fixture
def jms_connection(artemis_broker: BrokerUnderTest) -> Iterator[Connection]:
    """A started connection, closed after the test."""
    with artemis_broker.connect() as connection:
        yield connection


@pytest.fixture
def jms_session(jms_connection: Connection) -> Iterator[Session]:
    """A session that acknowledges by itself, closed after the test."""
    with jms_connection.create_session() as session:
        yield session


@pytest.fixture
def jms_queue(artemis_broker: BrokerUnderTest) -> Queue:
    """A queue of the test's own, gone after it."""
    return artemis_broker.new_queue()


@pytest.fixture
def jms_app(artemis_broker: BrokerUnderTest) -> Iterator[Callable[[App], AppUnderTest]]:
    """A function that runs an application on the test's broker: `running = jms_app(app)`; stopped after the test."""
    import contextlib

    from activeclient.testing.app import AppUnderTest

    with contextlib.ExitStack() as stack:
        yield lambda app: stack.enter_context(AppUnderTest(app, artemis_broker))


@pytest.fixture
def jms_no_leaks() -> Iterator[None]:
    """The test fails when it leaves a thread of the client or a socket behind."""
    from activeclient.testing.leaks import Leaks

    leaks = Leaks(own_threads=True)
    yield
    left = leaks.left(PATIENCE)
    if left:
        pytest.fail("the test left behind: " + "; ".join(left), pytrace=False)
