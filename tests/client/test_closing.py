"""Closing in an outage: nothing waits for a connection that is not there, and nothing stays behind when it is back."""

from __future__ import annotations

import time

from activeclient import EmbeddedBroker, ServerLocator
from activeclient.testing import wait_until


def test_a_consumer_closes_at_once_in_an_outage_and_is_gone_when_the_connection_is_back() -> None:
    with (
        EmbeddedBroker() as broker,
        ServerLocator(f"{broker.url}?profile=reliable&retryInterval=1") as locator,
        locator.create_session_factory() as factory,
        factory.create_session() as session,
    ):
        session.create_queue("closing")
        consumer = session.create_consumer("closing")
        session.start()
        broker.stop()
        wait_until(lambda: not factory.is_connected, 30, what="the connection is lost")
        began = time.monotonic()
        consumer.close()
        assert time.monotonic() - began < 10  # a call would wait for 30 s
        broker.start()
        factory.wait_until_connected(30)
        assert session.query_queue("closing").consumer_count == 0
