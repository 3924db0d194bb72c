"""Large bodies that nobody reads, or not to their end, or whose session is lost amid them.

Law: the window is far smaller than the bodies of a case together, so that a body that keeps its part of it is noticed.
"""

from __future__ import annotations

import hashlib
import random
import time

import pytest

from activeclient.client.consumer import ClientConsumer
from activeclient.client.listeners import Recovery
from activeclient.errors import ClosedError, LargeMessageError
from activeclient.events import Reconnected
from activeclient.testing.cutter import Cutter
from activeclient.wire.message import CoreMessage
from integration.artemis import Broker
from integration.cases.support import NO_WINDOW, PATIENCE, RELIABLE, SLACK, Opened, Recorder, eventually, outage

SMALL_WINDOW: dict[str, object] = {"consumerWindowSize": 65536, "minLargeMessageSize": 10240}
BODY = bytes(range(250)) * 120
"""30,000 bytes: two fill the window."""
LONG_BODY = bytes(range(250)) * 4000


def consuming(
    artemis: Broker, opened: Opened, queue: str, *bodies: bytes, auto_commit_acks: bool = True
) -> ClientConsumer:
    """A consumer with a window of 64 KiB, on a queue with these bodies."""
    producer = opened.session(artemis.url(), SMALL_WINDOW).create_producer(queue)
    for body in bodies:
        producer.send(producer.session.create_message(body=body))
    session = opened.factory(artemis.url(), SMALL_WINDOW).create_session(auto_commit_acks=auto_commit_acks)
    return session.start().create_consumer(queue)


def take(consumer: ClientConsumer) -> CoreMessage:
    """The next message."""
    message = consumer.receive(PATIENCE)
    assert message is not None
    return message


@pytest.mark.parametrize("acknowledged", [True, False])
def test_bodies_that_nobody_reads_do_not_fill_the_window(
    artemis: Broker, opened: Opened, queue: str, acknowledged: bool
) -> None:
    consumer = consuming(artemis, opened, queue, *[BODY] * 20)
    for _ in range(20):
        message = take(consumer)
        if acknowledged:
            message.acknowledge()


def test_a_listener_may_leave_bodies_unread(artemis: Broker, opened: Opened, queue: str) -> None:
    consumer = consuming(artemis, opened, queue, *[LONG_BODY] * 5, b"last")
    calls: list[int] = []
    consumer.message_handler = lambda message: calls.append(message.message_id)
    eventually(lambda: len(calls) == 6, "six calls")


def test_who_asks_for_the_next_message_gets_it_though_a_body_fills_the_window(
    artemis: Broker, opened: Opened, queue: str
) -> None:
    consumer = consuming(artemis, opened, queue, LONG_BODY, b"next")
    message = take(consumer)
    with message.open_body() as body:
        assert body.read(1000) == LONG_BODY[:1000]
        assert take(consumer).body == b"next"
        with pytest.raises(ClosedError, match="before the next message was asked for"):
            body.read()


def test_a_body_that_fits_into_the_window_may_be_read_later(artemis: Broker, opened: Opened, queue: str) -> None:
    consumer = consuming(artemis, opened, queue, *[BODY] * 10)
    messages = [take(consumer) for _ in range(10)]
    assert [message.body for message in messages] == [BODY] * 10


@pytest.mark.parametrize("acknowledged", [True, False])
def test_who_asks_only_once_gets_what_is_behind_a_body(
    artemis: Broker, opened: Opened, queue: str, acknowledged: bool
) -> None:
    bodies = [BODY, LONG_BODY, b"small"] * 5
    consumer = consuming(artemis, opened, queue, *bodies)
    for _ in bodies:
        message = consumer.receive(0)
        assert message is not None
        if acknowledged:
            message.acknowledge()
    assert consumer.receive(0) is None


def test_a_stopped_session_answers_who_asks_once_though_a_body_is_coming_in(
    artemis: Broker, opened: Opened, queue: str
) -> None:
    consumer = consuming(artemis, opened, queue, LONG_BODY)
    take(consumer)
    consumer.session.stop()
    began = time.monotonic()
    assert consumer.receive(0) is None
    assert time.monotonic() - began < consumer.session.settings.call_timeout / 1000 - SLACK


def test_a_body_amid_which_the_transaction_is_rolled_back_ends_at_once_and_comes_again(
    artemis: Broker, opened: Opened, queue: str
) -> None:
    consumer = consuming(artemis, opened, queue, LONG_BODY, b"next", auto_commit_acks=False)
    for size in (1000, 300_000, 5):
        with take(consumer).open_body() as body:
            assert body.read(size) == LONG_BODY[:size]
            consumer.session.rollback()
            with pytest.raises(LargeMessageError, match="its transaction was rolled back"):
                body.read()
    assert take(consumer).body == LONG_BODY
    assert take(consumer).body == b"next"


# --- the session is lost amid a body ----------------------------------------------------------------------------------

HUGE_BODY = random.Random(7).randbytes(6 << 20)


@pytest.mark.parametrize("window", [0, 65536, 1 << 20, -1])
def test_a_body_goes_on_in_a_new_session_where_it_broke_off(
    line: Cutter, artemis: Broker, opened: Opened, queue: str, window: int
) -> None:
    direct = opened.session(artemis.url())
    for body in (HUGE_BODY, b"next"):
        direct.create_producer(queue).send(direct.create_message(body=body))
    factory = opened.factory(line.url(), {**RELIABLE, "confirmationWindowSize": -1, "consumerWindowSize": window})
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    consumer = session.create_consumer(queue)
    message = take(consumer)
    read = hashlib.sha256()
    with message.open_body() as stream:
        for recreations in range(1, 4):
            read.update(stream.read(1 << 20))
            line.cut_now()
            recorder.wait(Reconnected, recreations)
        while chunk := stream.read(1 << 20):
            read.update(chunk)
    assert read.digest() == hashlib.sha256(HUGE_BODY).digest()
    message.acknowledge()
    assert take(consumer).body == b"next"
    assert consumer.receive(0) is None
    recorder.told_once(*[Recovery.RECREATED] * 3)


def test_a_body_whose_message_somebody_else_has_got_ends_with_an_error(
    line: Cutter, artemis: Broker, opened: Opened, queue: str
) -> None:
    direct = opened.session(artemis.url())
    direct.create_producer(queue).send(direct.create_message(body=HUGE_BODY))
    session = opened.factory(line.url(), NO_WINDOW, consumerWindowSize=65536).create_session(ack_batch_size=0).start()
    message = take(session.create_consumer(queue))
    with message.open_body() as body:
        assert body.read(1000) == HUGE_BODY[:1000]
        with outage(line):
            other = take(direct.create_consumer(queue))
            assert other.message_id == message.message_id
        with pytest.raises(LargeMessageError, match="is delivered again"):
            body.read()
    assert other.body == HUGE_BODY
