"""A worker that is killed under load, and a broker that is: what became of each message.

Law: every number is judged by the two queues in which it may end, `kills.out` and the dead letters, read by a
consumer of its own when all is over. Transacted: each once. Else: each at least once.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import activeclient
from activeclient import Connection, Message
from integration.artemis import Broker
from integration.cases.support import eventually
from integration.chaos.conftest import Amount

ROOT = Path(__file__).parents[2]
STALL = 120.0
"""Seconds without progress after which a test fails."""
STEP = 40
"""Messages that come through between two kills."""
STUCK = 20.0
"""Seconds without progress at the end, after which messages may be such that the broker keeps from everybody."""
OUT, IN, DEAD = "kills.out", "kills.in", "kills.in.failed"


class Worker:
    """`activeclient run` as a process that is killed and started again."""

    def __init__(self, url: str, name: str) -> None:
        self._command = [sys.executable, "-m", "activeclient", "run", f"integration.chaos.app_worker:{name}"]
        self._command += ["--url", url, "--log-level", "error"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(STALL)


def count(connection: Connection, queue: str) -> int:
    """Messages of a queue, scheduled and delivering ones included."""
    with connection.create_session() as session:
        found = session.core.query_queue(queue)
        return found.message_count if found.exists else 0


def read_all(connection: Connection, queue: str) -> list[Message]:
    with connection.create_session() as session, session.create_consumer(session.create_queue(queue)) as consumer:
        return list(consumer.messages(timeout=1.0))


@pytest.mark.soak
@pytest.mark.parametrize("name", ["transacted", "plain"])
def test_kills_of_the_worker_and_of_the_broker_lose_nothing(private_broker: Broker, amount: Amount, name: str) -> None:
    broker = private_broker
    # A killed process says no goodbye: the broker gives its messages back when connectionTTL is over.
    url = broker.url(connectionTTL=3000, clientFailureCheckPeriod=1000, blockOnAcknowledge="true")
    worker = Worker(url, name)
    sent: list[int] = []
    done = threading.Event()

    def send() -> None:
        with activeclient.connect(url) as connection, connection.create_session() as session:
            producer = session.create_producer(session.create_queue(IN))
            for number in itertools.count():
                if done.is_set():
                    return
                producer.send(session.create_typed_message(number))
                sent.append(number)
                time.sleep(0.002)

    with activeclient.connect(url) as looking:
        sender = threading.Thread(target=send)
        try:
            sender.start()
            worker.start()
            for kill in range(amount.kills):
                before = count(looking, OUT)
                eventually(lambda: count(looking, OUT) > before + STEP, "messages come through", STALL)  # noqa: B023
                if kill % 2:
                    broker.kill()
                    broker.start()
                else:
                    worker.kill()
                    worker.start()
            before = count(looking, OUT)
            eventually(lambda: count(looking, OUT) > before + STEP, "messages come through", STALL)
            done.set()
            sender.join(STALL)
            assert not sender.is_alive()
            finish(looking, broker)
            assert worker.end() == 0
        finally:
            done.set()
            worker.kill()
            sender.join(STALL)
        out = Counter(message.read(int) for message in read_all(looking, OUT))
        dead_letters = read_all(looking, DEAD)
        dead = Counter(message.read(int) for message in dead_letters)
    fails = {number for number in sent if number % 10 == 0}
    good = set(sent) - fails
    assert len(sent) > amount.kills * STEP
    assert set(dead) == fails, "every number that fails is a dead letter, and no other is"
    assert max(dead.values()) == 1
    assert {message.properties["activeclient_attempts"] for message in dead_letters} == {2}
    assert {message.properties["activeclient_error_type"] for message in dead_letters} == {"ValueError"}
    if name == "transacted":
        assert out == dict.fromkeys(good, 1), "each number that does not fail is sent on once, and none that fails"
    else:
        assert set(out) == set(sent), "each number is sent on at least once"


def finish(connection: Connection, broker: Broker) -> None:
    """Wait until the worker has handled all.

    A killed session may leave a message with Artemis as being delivered to nobody until it is restarted (see the limits
    in the README): when nothing moves any more, the broker is restarted once.
    """
    restarted = False
    left, since = count(connection, IN), time.monotonic()
    while left:
        now = count(connection, IN)
        if now != left:
            left, since = now, time.monotonic()
        elif time.monotonic() - since > STUCK and not restarted:
            broker.restart()
            restarted, since = True, time.monotonic()
        assert time.monotonic() - since < STALL, f"{left} messages are not handled"
        time.sleep(0.05)
