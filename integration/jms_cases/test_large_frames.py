"""Frames that newer brokers answer by closing the connection: never sent, and nothing else suffers."""

from __future__ import annotations

import uuid

import pytest

from activeclient import BytesMessage, Queue, connect
from activeclient.engine import frame_limits
from activeclient.errors import NotSent, OutcomeUnknown
from integration.jms_cases.support import outcome

INSISTS = "minLargeMessageSize=10000000"


@pytest.fixture
def limited(request: pytest.FixtureRequest) -> bool:
    """True if the broker of the test has the limits."""
    return "artemis-2.57" in request.node.name


def insisting(broker_url: str) -> str:
    return broker_url + ("&" if "?" in broker_url else "?") + INSISTS


def new_queue() -> Queue:
    return Queue(f"frames-{uuid.uuid4()}")


def test_a_body_larger_than_a_frame_goes_in_pieces_whatever_the_settings_say(broker_url: str) -> None:
    body = bytes(range(256)) * 4_000
    with connect(insisting(broker_url)) as connection:
        session = connection.create_session()
        queue = new_queue()
        producer, consumer = session.create_producer(queue), session.create_consumer(queue)
        for size in (len(body), 131_072, 130_900, 102_400, 10):
            producer.send(body[:size])
            message = consumer.receive(timeout=20)
            assert isinstance(message, BytesMessage)
            assert message.body == body[:size]
        producer.send(body[:100_000], properties={"v": "x" * 40_000})
        message = consumer.receive(timeout=20)
        assert isinstance(message, BytesMessage)
        assert (message.body, message.properties["v"]) == (body[:100_000], "x" * 40_000)


def test_properties_that_do_not_fit_are_refused_at_once_and_everything_goes_on(broker_url: str, limited: bool) -> None:
    with connect(broker_url) as connection:
        mine, other = connection.create_session(), connection.create_session()
        producer, next_door = mine.create_producer(new_queue()), other.create_producer(new_queue())
        next_door.send("before")
        error = outcome(lambda: producer.send("x", properties={"v": "x" * 80_000}))
        assert isinstance(error, NotSent) is limited
        assert error is None or "131072" in str(error)
        producer.send("after", timeout=5)
        next_door.send("after", timeout=5)


def test_a_command_that_closes_connections_fails_alone(
    broker_url: str, limited: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_limits, "FRAME_LIMIT", frame_limits.UNLIMITED)
    with connect(insisting(broker_url)) as connection:
        mine, other = connection.create_session(), connection.create_session()
        producer, next_door = mine.create_producer(new_queue()), other.create_producer(new_queue())
        next_door.send("before")
        error = outcome(lambda: producer.send(b"x" * 200_000))
        assert isinstance(error, OutcomeUnknown) is limited
        assert error is None or getattr(error, "duplicate_id", None) is not None
        producer.send("after", timeout=10)
        next_door.send("after", timeout=10)
