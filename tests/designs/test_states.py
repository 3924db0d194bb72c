"""States as users see them: read from a connection and its core, and told to listeners."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from activeclient import EmbeddedBroker, MessagesMissing, ReconnectGaveUp, SessionState, connect
from activeclient.client.locator import ServerLocator
from activeclient.testing import wait_until

SOON = 30.0
ACTIVE, RECOVERING = SessionState.CONNECTED_ACTIVE, SessionState.RECOVERING_RECONNECT


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as made:
        yield made


def test_listeners_hear_each_change_once_and_in_order(broker: EmbeddedBroker) -> None:
    told: list[tuple[SessionState, SessionState]] = []
    other: list[SessionState] = []
    connection = connect(f"{broker.url}?reconnectProfile=diffusion")
    assert connection.state is ACTIVE
    assert connection.add_state_listener(lambda old, new: told.append((old, new))) is ACTIVE
    connection.factory.add_state_listener(lambda _, new: other.append(new))
    for count in (1, 2, 3):
        broker.drop_connections()
        wait_until(lambda count=count: len(told) == 2 * count, SOON)  # type: ignore[misc]
    assert connection.state is ACTIVE
    connection.close()
    assert connection.state is SessionState.CLOSED_BY_CLIENT
    wait_until(lambda: len(told) == 7 and len(other) == 7, SOON)
    assert told == [(ACTIVE, RECOVERING), (RECOVERING, ACTIVE)] * 3 + [(ACTIVE, SessionState.CLOSED_BY_CLIENT)]
    assert other == [new for _, new in told]


def test_a_listener_that_was_removed_hears_no_more(broker: EmbeddedBroker) -> None:
    told: list[SessionState] = []

    def listen(_: SessionState, new: SessionState) -> None:
        told.append(new)

    with connect(f"{broker.url}?reconnectProfile=diffusion") as connection:
        connection.add_state_listener(listen)
        assert connection.remove_state_listener(listen)
        assert not connection.remove_state_listener(listen)
        broker.drop_connections()
        connection.factory.wait_until_connected(SOON)
    assert told == []


def test_a_listener_must_be_callable(broker: EmbeddedBroker) -> None:
    with connect(broker.url) as connection, pytest.raises(TypeError, match="a state listener"):
        connection.add_state_listener("loud")  # type: ignore[arg-type]


def test_the_end_of_the_time_is_read_and_told(broker: EmbeddedBroker) -> None:
    told: list[SessionState] = []
    url = f"{broker.url}?reconnectProfile=diffusion&reconnectionTimeout=200"
    with ServerLocator(url) as locator, locator.create_session_factory() as factory:
        factory.add_state_listener(lambda _, new: told.append(new))
        broker.stop(abrupt=True)
        wait_until(lambda: told[-1:] == [SessionState.CLOSED_FAILED], SOON)
        assert factory.state is SessionState.CLOSED_FAILED
        with pytest.raises(ReconnectGaveUp):
            factory.add_state_listener(print)
    assert told == [RECOVERING, SessionState.CLOSED_FAILED]


def test_the_embedded_broker_lists_who_is_disconnected(broker: EmbeddedBroker) -> None:
    """With a strategy that waits: the session is there, and its client is not."""
    attempts = []
    url = f"{broker.url}?reconnectProfile=diffusion&reconnectionTimeout=300000"
    with connect(url, reconnection_strategy=attempts.append) as connection:
        broker.drop_connections()
        wait_until(lambda: attempts, SOON)
        listed = broker.sessions()
        assert {each.state for each in listed} == {"DISCONNECTED"}
        assert all(0 < (each.seconds_left or 0) <= 300 for each in listed)
        attempts[0].start()
        connection.factory.wait_until_connected(SOON)
        assert {(each.state, each.seconds_left) for each in broker.sessions()} == {("CONNECTED", None)}


def test_what_is_missing_can_be_copied_and_shown() -> None:
    import copy
    import pickle

    error = MessagesMissing(range(4, 9), "client", "name", "the broker has 4 commands")
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error)), error.again()):
        assert str(twin) == str(error)
        assert (twin.missing, twin.sent_by, twin.session_name) == (range(4, 9), "client", "name")
    assert "commands 4 to 8" in str(error)
    assert "command 4 of" in str(MessagesMissing(range(4, 5), "broker", "name", "so"))
