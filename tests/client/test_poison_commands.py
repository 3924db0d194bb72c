"""A message behind which the broker closes the connection, on real connections to the embedded broker."""

from __future__ import annotations

import time

import pytest

import activeclient
from activeclient import EmbeddedBroker
from activeclient.errors import NotSent, Outcome, OutcomeUnknown

OPTIONS = "?profile=reliable&callTimeout=20000&callFailoverTimeout=20000&retryInterval=100&minLargeMessageSize=1000000"


@pytest.mark.parametrize("reattaches", [True, False])
def test_it_fails_alone_and_both_sessions_go_on(reattaches):
    with EmbeddedBroker(port=0) as broker:
        if not reattaches:
            broker.faults.refuse_reattachment()
        broker.faults.cut("Send", times=None, larger_than=50_000)
        with activeclient.connect(broker.url + OPTIONS) as connection:
            one, two = connection.create_session(), connection.create_session()
            mine, other = one.create_producer(one.create_queue("one")), two.create_producer(two.create_queue("two"))
            mine.send("before")
            other.send("before")
            with pytest.raises(NotSent if reattaches else OutcomeUnknown) as caught:
                mine.send(b"x" * 60_000)
            assert caught.value.outcome is (Outcome.NOT_SENT if reattaches else Outcome.UNKNOWN)
            assert "60" in str(caught.value)
            mine.send("after")
            other.send("after")
            for session, queue in ((one, "one"), (two, "two")):
                consumer = session.create_consumer(session.create_queue(queue))
                assert [consumer.receive(timeout=10).text for _ in range(2)] == ["before", "after"]
                assert consumer.receive_no_wait() is None


def test_messages_that_nobody_waits_for_are_all_stored_but_the_guilty_one():
    with EmbeddedBroker(port=0) as broker:
        broker.faults.refuse_reattachment()
        broker.faults.cut("Send", times=None, larger_than=50_000)
        told = []
        with activeclient.connect(broker.url + OPTIONS) as connection:
            session = connection.create_session()
            queue = session.create_queue("q")
            producer = session.create_producer(queue)
            for number in range(200):
                body = b"x" * 60_000 if number == 120 else b"%d" % number
                producer.send(body, on_complete=lambda message, error, n=number: told.append((n, error)))
            end = time.monotonic() + 30
            while len(told) < 200 and time.monotonic() < end:
                time.sleep(0.01)
            assert sorted(number for number, _ in told) == list(range(200))
            assert [(number, type(error)) for number, error in told if error] == [(120, OutcomeUnknown)]
            consumer = session.create_consumer(queue)
            got = [bytes(consumer.receive(timeout=10).body) for _ in range(199)]
            assert got == [b"%d" % number for number in range(200) if number != 120]
