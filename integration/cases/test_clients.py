"""Client processes: one that dies, one that forks, and what the server keeps of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from activeclient.errors import ForkedError
from activeclient.testing.cutter import Cutter
from activeclient.wire.message import CoreMessage
from integration.artemis import Broker
from integration.cases.support import (
    PATIENCE,
    RELIABLE,
    SLACK,
    Inbox,
    Opened,
    Recorder,
    ServerManagement,
    drain,
    eventually,
    number_of,
    numbered,
    pause,
)

HOLDER = """
import sys
from activeclient.client.locator import ServerLocator
url, queue, temporary = sys.argv[1:]
session = ServerLocator(url).create_session_factory().create_session().start()
session.create_temporary_queue(temporary)
consumer = session.create_consumer(queue)
for _ in range(20):
    consumer.receive(30)
print(session.name, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def holding(url: str, queue: str, temporary: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A client process that holds twenty messages unacknowledged, and its session's name."""
    command = [sys.executable, "-c", HOLDER, url, queue, temporary]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("window", [1048576, -1], ids=["window", "no-window"])
def test_i_the_messages_of_a_killed_client_come_again(
    artemis: Broker, opened: Opened, queue: str, management: ServerManagement, window: int
) -> None:
    """With a window, where sessions are reattached, after the TTL, else at once; counted as delivered.

    Its temporary queue is gone.
    """
    session = opened.session(artemis.url(), RELIABLE)
    producer = session.create_producer(queue)
    for index in range(20):
        producer.send(numbered(session, index))
    kept = window > 0 and artemis.reattaches
    ttl = 3000 if kept else 60_000
    url = f"{artemis.url()}?confirmationWindowSize={window}&connectionTTL={ttl}&clientFailureCheckPeriod=500"
    consumer = session.create_consumer(queue)
    consumer.close()
    with holding(url, queue, f"{queue}.temporary") as (process, name):
        assert management.connection_of(name) is not None
        assert session.query_queue(f"{queue}.temporary").exists
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        consumer = session.create_consumer(queue)
        first = consumer.receive(PATIENCE)
        spent = time.monotonic() - killed
    assert first is not None
    assert first.delivery_count == 2
    if kept:
        assert 1.0 < spent < 3.0 + 2 * 2.0 + SLACK  # the server looks every 2 s
    else:
        assert spent < SLACK  # a session that cannot be reattached is made so that it ends with its socket
    first.acknowledge()
    assert [number_of(first), *drain(consumer)] == list(range(20))
    eventually(lambda: management.connection_of(name) is None, "the end of the dead client's session")
    eventually(lambda: not session.query_queue(f"{queue}.temporary").exists, "the end of its temporary queue")


def test_a_clean_end_leaves_nothing(artemis: Broker, opened: Opened, queue: str, management: ServerManagement) -> None:
    factory = opened.factory(artemis.url(), RELIABLE)
    names = []
    for _ in range(3):
        session = factory.create_session().start()
        session.create_consumer(queue)
        session.create_producer(queue).send(numbered(session, 0))
        names.append(session.name)
    factory.close()
    for name in names:
        # Closing waits a second for the broker; one that is slower is done with it later, and long before the TTL.
        eventually(lambda name=name: management.connection_of(name) is None, "the end of the session")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_process_never_uses_its_parents_connection(line: Cutter, opened: Opened, queue: str) -> None:
    factory = opened.factory(line.url(), RELIABLE)
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    producer = session.create_producer(queue)
    inbox = Inbox(session.create_consumer(queue))
    producer.send(numbered(session, 0))
    child = os.fork()
    if child == 0:  # nothing but os._exit may end this process: pytest is in it too
        code = 1
        try:
            producer.send(numbered(session, 666))
            code = 2
        except ForkedError:
            factory.close()
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + PATIENCE
    ended, status = 0, 0
    while not ended and time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        pause(0.01)
    if not ended:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert ended, "the child hung"
    assert os.waitstatus_to_exitcode(status) == 0
    for index in range(1, 50):
        producer.send(numbered(session, index))
    inbox.exactly(50)
    assert not recorder.before, "the parent's connection was disturbed"


def test_a_frozen_broker_is_found_out_and_won_back(private_broker: Broker, opened: Opened) -> None:
    """The kernel takes the bytes, nobody answers: within one TTL, and then it goes on."""
    freeze, thaw = getattr(private_broker, "freeze", None), getattr(private_broker, "thaw", None)
    if freeze is None or thaw is None:
        pytest.skip("only a local broker can be frozen")
    factory = opened.factory(
        private_broker.url(), RELIABLE, connectionTTL=3000, clientFailureCheckPeriod=300, handshakeTimeout=1000
    )
    recorder = Recorder(factory)
    session = factory.create_session(ack_batch_size=0).start()
    session.create_queue("frozen")
    producer = session.create_producer("frozen")
    seen: list[int] = []

    def take(message: CoreMessage) -> None:
        seen.append(number_of(message))
        message.acknowledge()

    for index in range(10):
        producer.send(numbered(session, index))
    freeze()
    began = time.monotonic()
    try:
        eventually(lambda: recorder.before, "the failure")
        assert time.monotonic() - began < 3.0 + SLACK
        pause(1.5)
    finally:
        thaw()
    for index in range(10, 20):
        producer.send(numbered(session, index))
    session.create_consumer("frozen").message_handler = take
    eventually(lambda: len(seen) >= 20, "all messages")
    assert seen == list(range(20))
    assert len(recorder.before) == 1
    factory.close()
