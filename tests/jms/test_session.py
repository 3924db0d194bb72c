"""Sessions on a broker in memory: what they keep, and values that no queue or consumer can have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from activeclient import Connection, EmbeddedBroker, Session, XAConnection, connect
from activeclient.errors import ConfigError, InvalidDestinationError
from activeclient.jms.xa import ActiveMQXAConnectionFactory, new_xid


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as made:
        yield made


@pytest.fixture
def connection(broker: EmbeddedBroker) -> Iterator[Connection]:
    with connect(broker.url, call_timeout=5000) as made:
        yield made


@pytest.fixture
def session(connection: Connection) -> Iterator[Session]:
    with connection.create_session() as made:
        yield made


def test_a_browser_that_was_closed_is_kept_by_nobody(session: Session) -> None:
    queue = session.create_queue("session.browsed")
    session.create_producer(queue).send("here")
    for _ in range(3):
        with session.create_browser(queue) as browser:
            assert [message.text for message in browser] == ["here"]
    assert not session._browsers


def test_closing_a_session_ends_its_browsers(connection: Connection) -> None:
    session = connection.create_session()
    browser = session.create_browser(session.create_queue("session.browsed"))
    session.close()
    assert browser.is_closed


def test_a_blank_selector_is_none(session: Session) -> None:
    queue = session.create_queue("session.browsed")
    assert session.create_browser(queue, " ").message_selector is None
    assert session.create_consumer(queue, " ").message_selector is None


@pytest.mark.parametrize(
    ("attribute", "rule"),
    [
        ("max-consumers=2147483648", "from -2147483648 to 2147483647"),
        ("group-buckets=-2147483649", "from -2147483648 to 2147483647"),
        ("consumers-before-dispatch=99999999999", "from -2147483648 to 2147483647"),
        ("ring-size=9223372036854775808", "from -9223372036854775808 to 9223372036854775807"),
        ("ring-size=1_000", "must be a whole number"),
        ("ring-size=", "must be a whole number"),
        ("exclusive=yes", "must be true or false"),
    ],
)
def test_an_attribute_that_no_queue_can_have_is_named_with_its_rule(
    session: Session, attribute: str, rule: str
) -> None:
    queue = session.create_queue(f"session.never?{attribute}")
    with pytest.raises(InvalidDestinationError, match=rule) as caught:
        session.create_producer(queue)
    key, _, value = attribute.partition("=")
    assert f"{key}={value!r}" in str(caught.value)


@pytest.mark.parametrize("window", [-2, 1 << 31, "1024", 1.5, True])
def test_a_window_that_no_consumer_can_have_is_refused_by_name(session: Session, window: int) -> None:
    queue = session.create_queue("session.window")
    with pytest.raises(ConfigError, match=r"^window_size="):
        session.create_consumer(queue, window_size=window)
    assert session.create_consumer(queue, window_size=0).receive_no_wait() is None


def test_a_transaction_timeout_that_cannot_be_told_is_refused(broker: EmbeddedBroker) -> None:
    with ActiveMQXAConnectionFactory(broker.url).create_xa_connection() as connection:
        assert isinstance(connection, XAConnection)
        resource = connection.create_xa_session().xa_resource
        with pytest.raises(ConfigError, match=r"transaction_timeout.*at most 2147483647"):
            resource.set_transaction_timeout(1 << 31)
        xid = new_xid()
        resource.start(xid)
        resource.end(xid)
