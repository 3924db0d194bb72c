"""Fixtures of the cases: a queue name, connections that are closed, the line to the broker, the broker's management.

Law: `line` is a cutter in front of the shared broker, `opened` goes through it or past it as its URL says.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.client.management import Management
from activeclient.testing.cutter import Cutter
from integration.artemis import Broker
from integration.cases.support import Opened, ServerManagement


@pytest.fixture(autouse=True)
def _reattaches(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("reattach") and "artemis" in request.fixturenames:
        broker: Broker = request.getfixturevalue("artemis")
        if not broker.reattaches:
            pytest.skip(f"{broker.name} does not reattach sessions; the recreation has cases of its own")


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Makes connections; they are closed after the test."""
    made = Opened()
    yield made
    made.close()


@pytest.fixture
def line(cutter: Cutter) -> Cutter:
    """The way to the shared broker, that can be cut."""
    return cutter


@pytest.fixture
def queue(artemis: Broker, opened: Opened) -> Iterator[str]:
    """A durable queue, deleted after the test."""
    name = f"cases.{uuid.uuid4().hex[:12]}"
    with (
        ServerLocator(artemis.url()) as locator,
        locator.create_session_factory() as factory,
        factory.create_session() as session,
    ):
        session.create_queue(name)
        yield name
        opened.close()
        # Sessions that a test left on the server may still have consumers.
        with Management(factory) as management:
            management.invoke("broker", "destroyQueue", name, True)


@pytest.fixture
def management(artemis: Broker, opened: Opened) -> Iterator[ServerManagement]:
    """Management of the shared broker."""
    with ServerManagement(opened.factory(artemis.url())) as management:
        yield management
