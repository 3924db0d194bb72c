"""The fixtures of both kinds of cases, on embedded brokers that speak older versions of the protocol.

Law: nothing is tested here that is not a case elsewhere; only the broker is another.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.artemis import EMBEDDED, Broker
from integration.cases.conftest import line, management, opened
from integration.configuration import BrokerSettings
from integration.jms_cases.conftest import (
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
from integration.provision import private_broker

__all__ = [
    "client_id",
    "connection",
    "context",
    "factory",
    "line",
    "management",
    "name",
    "named",
    "opened",
    "other",
    "queue",
    "session",
    "topic",
    "xa_factory",
]
VERSIONS = (126, 129, 130, 134, 135)
"""Each is the last before a change of what the API uses."""


@pytest.fixture(scope="session", params=VERSIONS, ids=[f"embedded-{version}" for version in VERSIONS])
def artemis(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker whose newest version is an older one."""
    with private_broker(EMBEDDED, BrokerSettings(newest_version=request.param)) as broker:
        broker.start()
        yield broker
