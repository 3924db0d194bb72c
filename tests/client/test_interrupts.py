"""An interrupt at any place of any call costs the link at most: on an embedded broker in memory.

`ACTIVECLIENT_RAIN` multiplies the rounds, `ACTIVECLIENT_RAIN_SEED` is where the seeds begin.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import activeclient
from activeclient import AcknowledgeMode, EmbeddedBroker
from integration.rain import MODES, Rain
from integration.scenarios import SCENARIOS

TIMES = int(os.environ.get("ACTIVECLIENT_RAIN", "1"))
SEED = int(os.environ.get("ACTIVECLIENT_RAIN_SEED", "1"))


@pytest.fixture
def rain() -> Iterator[Rain]:
    with EmbeddedBroker(port=0) as broker:
        made = Rain(broker.url, SEED)
        yield made
        made.close()


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_nothing_confirmed_is_lost_and_nothing_comes_twice(rain: Rain, mode: AcknowledgeMode) -> None:
    with rain.leaves_nothing():
        ledger = rain.over_messages(mode, f"rain.{mode.name}", 60 * TIMES)
    ledger.check()
    assert ledger.interrupts > 10


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_call_keeps_its_promise_when_it_is_interrupted(rain: Rain, name: str) -> None:
    hits, _ = rain.over_calls(name, 3 * TIMES)
    assert hits > 0


@pytest.mark.parametrize("what", ["session", "consumer", "subscription", "connection", "context", "management"])
def test_what_nobody_got_does_not_stay_on_the_broker(rain: Rain, what: str) -> None:
    with rain.leaves_nothing(), activeclient.connect(rain.url) as connection:
        session = connection.create_session()
        queue, topic = session.create_queue("rain.made"), session.create_topic("rain.topic")
        factory = activeclient.ActiveMQConnectionFactory(rain.url)
        with session.create_producer(queue) as producer:
            producer.send("makes the queue")
        create = {
            "session": connection.create_session,
            "consumer": lambda: session.create_consumer(queue),
            "subscription": lambda: session.create_consumer(topic),
            "connection": lambda: activeclient.connect(rain.url),
            "context": factory.create_context,
            "management": connection.management,
        }[what]
        with rain.leaves_nothing():
            hits = rain.over_creation(create, 12 * TIMES)
        assert hits > 3
