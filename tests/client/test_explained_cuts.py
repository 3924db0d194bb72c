"""What the log says of a cut, and what a cut does."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from activeclient import EmbeddedBroker, connect
from activeclient.client.locator import ServerLocator
from activeclient.errors import ConnectionLost
from activeclient.testing import wait_until


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as made:
        yield made


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "activeclient.link"):
        yield caplog


def told(log: pytest.LogCaptureFixture) -> list[str]:
    """What a cut does, as the log had it so far."""
    mark = "a cut of this connection: "
    return [record.getMessage().partition(mark)[2] for record in log.records if mark in record.getMessage()]


@pytest.mark.parametrize(
    ("refuses", "known"),
    [
        (False, "reattach: sessions go on if the connection is back within 60 s"),
        (True, "recreate: sessions are made anew (this broker does not reattach them)"),
    ],
)
def test_the_log_says_what_this_broker_does(
    broker: EmbeddedBroker, log: pytest.LogCaptureFixture, refuses: bool, known: str
) -> None:
    if refuses:
        broker.faults.refuse_reattachment()
    with connect(broker.url) as connection:
        first, then = told(log)
        assert "if the broker reattaches sessions" in first
        assert then.startswith(known)
        connection.create_session()
        assert len(told(log)) == 2, "once for a broker, not for each session"


def test_the_log_tells_of_another_broker_that_does_otherwise(
    broker: EmbeddedBroker, log: pytest.LogCaptureFixture
) -> None:
    with EmbeddedBroker() as other:
        other.faults.refuse_reattachment()
        url = f"({broker.url},{other.url})?reconnectAttempts=-1&retryInterval=20&confirmationWindowSize=1024"
        with connect(url) as connection:
            connection.create_session()
            broker.stop(abrupt=True)
            unable = "recreate: sessions are made anew (this broker does not reattach them)"
            wait_until(lambda: told(log)[-1].startswith(unable), timeout=30)


def test_without_a_window_it_is_known_from_the_beginning(broker: EmbeddedBroker, log: pytest.LogCaptureFixture) -> None:
    with connect(f"{broker.url}?profile=artemis&reconnectAttempts=3") as connection:
        connection.create_session()
        (only,) = told(log)
        assert only.startswith("recreate: ")
        assert "tried 3 times, pauses" in only


def test_failover_attempts_of_one_broker_are_none(broker: EmbeddedBroker, log: pytest.LogCaptureFixture) -> None:
    locator = ServerLocator(f"{broker.url}?failoverAttempts=3&retryInterval=1")
    with locator, locator.create_session_factory() as factory:
        session = factory.create_session()
        (only,) = told(log)
        assert only.startswith("fail: a cut closes the connection for good (reconnectAttempts=0; failoverAttempts=3")
        broker.faults.drop_connections()
        with pytest.raises(ConnectionLost):
            session.query_queue("q")
        assert factory.is_closed
