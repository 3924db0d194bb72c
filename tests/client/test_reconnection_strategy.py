"""Strategies of the application, on a broker that goes away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import tenacity

from activeclient import Connection, Queue, connect
from activeclient.broker.embedded import EmbeddedBroker
from activeclient.errors import ActiveClientError, ReconnectGaveUp
from activeclient.events import Endpoint, Reconnected
from activeclient.reconnection import Abort, Decision, ReconnectAttempt, Try
from activeclient.testing import wait_until

SOON = 30.0
QUEUE = Queue("strategies")


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(port=0) as made:
        yield made


class Strategy:
    """Answers by `answer`, and remembers what it was asked."""

    def __init__(self, answer: Callable[[ReconnectAttempt], Decision | float | None]) -> None:
        self.answer = answer
        self.asked: list[ReconnectAttempt] = []

    def __call__(self, attempt: ReconnectAttempt) -> Decision | float | None:
        self.asked.append(attempt)
        return self.answer(attempt)


def works(connection: Connection) -> None:
    with connection.create_session() as session:
        session.create_producer(QUEUE).send("works")
        assert session.create_consumer(QUEUE).receive(SOON).text == "works"


def test_an_attempt_comes_when_the_strategy_says_so(broker: EmbeddedBroker) -> None:
    strategy = Strategy(lambda attempt: 0.0 if attempt.number > 3 else 0.01)
    with connect(broker.url, reconnection_strategy=strategy) as connection:
        broker.stop(abrupt=True)
        wait_until(lambda: len(strategy.asked) >= 3, SOON)
        broker.start()
        works(connection)
    assert [attempt.number for attempt in strategy.asked[:3]] == [1, 2, 3]
    assert strategy.asked[0].elapsed == 0.0
    assert all(isinstance(attempt.last_error, ActiveClientError) for attempt in strategy.asked)
    assert str(strategy.asked[0].endpoint) == broker.url.removeprefix("tcp://")


def test_nothing_is_tried_before_it_is_decided(broker: EmbeddedBroker) -> None:
    strategy = Strategy(lambda attempt: None)
    with connect(broker.url, reconnection_strategy=strategy) as connection:
        broker.drop_connections()
        wait_until(lambda: strategy.asked, SOON)
        assert not connection.is_connected
        assert broker.connection_count() == 0
        (attempt,) = strategy.asked
        threading.Thread(target=attempt.start).start()  # any time, any thread
        works(connection)
        assert attempt.start() is False
        assert attempt.abort() is False
        assert connection.is_connected


def test_a_strategy_can_abort(broker: EmbeddedBroker) -> None:
    with connect(broker.url, reconnection_strategy=lambda attempt: Abort("enough")) as connection:
        broker.drop_connections()
        wait_until(lambda: connection.is_closed, SOON)
        with pytest.raises(ReconnectGaveUp, match="the reconnection strategy aborted: enough") as raised:
            connection.create_session()
        assert raised.value.__cause__ is not None


def test_a_strategy_can_choose_another_endpoint(broker: EmbeddedBroker) -> None:
    with EmbeddedBroker(port=0) as other:
        host, _, port = other.url.removeprefix("tcp://").rpartition(":")
        there = Endpoint(host=host, port=int(port))
        back: list[Reconnected] = []
        with connect(broker.url, reconnection_strategy=lambda attempt: Try(endpoint=there)) as connection:
            connection.add_event_listener(lambda event: back.append(event) if isinstance(event, Reconnected) else None)
            broker.stop()
            works(connection)
            wait_until(lambda: back, SOON)
        assert back[0].failed_over
        assert back[0].endpoint == there


def test_a_strategy_that_raises_leaves_it_to_the_settings(
    broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(attempt: ReconnectAttempt) -> Decision:
        raise KeyError("mistaken")

    with connect(broker.url, reconnection_strategy=fails) as connection:
        broker.drop_connections()
        works(connection)
    assert "the reconnection strategy raised; the settings decide" in caplog.text


def test_a_wrong_answer_leaves_it_to_the_settings(broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> None:
    with connect(broker.url, reconnection_strategy=lambda attempt: "now") as connection:
        broker.drop_connections()
        works(connection)
    assert "returned a str: return seconds, a Try, an Abort, or None" in caplog.text


def test_a_connection_that_waits_for_a_decision_can_be_closed(broker: EmbeddedBroker) -> None:
    strategy = Strategy(lambda attempt: None)
    connection = connect(broker.url, reconnection_strategy=strategy)
    broker.drop_connections()
    wait_until(lambda: strategy.asked, SOON)
    connection.close()
    assert strategy.asked[0].start() is False


def test_the_time_limit_of_diffusion_counts_with_a_strategy_too(broker: EmbeddedBroker) -> None:
    url = f"{broker.url}?reconnectProfile=diffusion&reconnectionTimeout=100"
    with connect(url, reconnection_strategy=lambda attempt: None) as connection:
        began = time.monotonic()
        broker.drop_connections()
        wait_until(lambda: connection.is_closed, SOON)
        assert time.monotonic() - began < SOON
        with pytest.raises(ReconnectGaveUp):
            connection.create_session()


def test_an_object_of_tenacity_decides(broker: EmbeddedBroker) -> None:
    twice = tenacity.Retrying(wait=tenacity.wait_fixed(0.01), stop=tenacity.stop_after_attempt(2))
    with connect(broker.url, reconnection_strategy=twice) as connection:
        broker.stop(abrupt=True)
        wait_until(lambda: connection.is_closed, SOON)
        with pytest.raises(ReconnectGaveUp, match="no attempts are left"):
            connection.create_session()


@pytest.mark.parametrize("design", ["diffusion", "rtmp"])
def test_each_design_brings_a_connection_back(broker: EmbeddedBroker, design: str) -> None:
    period = "&reconnectPeriod=100" if design == "rtmp" else ""
    with connect(f"{broker.url}?reconnectProfile={design}{period}") as connection:
        broker.drop_connections()
        works(connection)
