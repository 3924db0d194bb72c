"""The fixtures of the cases of `integration/jms_cases`, on a broker of the module's own, in memory.

Law: no socket; the broker is set up as the one of the integration tests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from activeclient import EmbeddedBroker
from activeclient.client.locator import ServerLocator
from integration.configuration import DEAD_LETTERS, EXPIRED, BrokerSettings
from integration.embedded import configuration
from integration.jms_cases.conftest import (  # noqa: F401 - fixtures are found by being here
    client_id,
    connection,
    context,
    factory,
    name,
    named,
    other,
    queue,
    session,
    topic,
    xa_factory,
)


@pytest.fixture(scope="module")
def broker_url() -> Iterator[str]:
    with EmbeddedBroker(configuration=configuration(BrokerSettings())) as broker:
        with (
            ServerLocator(broker.vm_url) as locator,
            locator.create_session_factory() as made,
            made.create_session() as core,
        ):
            for each in (DEAD_LETTERS, EXPIRED):
                core.create_queue(each)
        yield broker.vm_url
