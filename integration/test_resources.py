"""What connections cost and leave behind: nothing after close, nothing on exit, little in between, on a real broker.

Law: ACTIVECLIENT_SOAK=1 runs the full sizes (1,000 cycles, 1 GiB); the default sizes show the same in seconds.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.client.session import ClientSession
from activeclient.errors import ActiveClientError, ForkedError
from activeclient.wire.message import CoreMessage
from integration.artemis import Broker
from integration.cases.support import eventually
from integration.leaks import Leaks

SOAK = bool(os.environ.get("ACTIVECLIENT_SOAK"))
CYCLES = 1000 if SOAK else 200
WARM = 100
BODY = 1 << 30 if SOAK else 64 << 20
LOGIN = "user=admin&password=admin"
MIB = 1 << 20


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """Open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


PATIENCE = 30.0
"""Seconds after which what should have ended hangs; a busy machine needs some."""
AT_ONCE = 8.0
"""Seconds that nothing takes but a wait for an answer or a listener (callTimeout, onMessageCloseTimeout)."""


def nothing_left(leaks: Leaks) -> None:
    """Soon."""
    assert not leaks.left(AT_ONCE)


def test_a_thousand_cycles_leave_no_thread_no_descriptor_and_little_memory(artemis: Broker) -> None:
    url = f"{artemis.url()}?{LOGIN}"
    leaks, files, memory = Leaks(), 0, 0
    for cycle in range(CYCLES):
        if cycle == WARM:
            files, memory = descriptors(), resident()
        with ServerLocator(url) as locator:
            session = locator.create_session_factory().create_session().start()
            session.query_queue("resources.cycles")
    nothing_left(leaks)
    eventually(lambda: descriptors() <= files, f"at most {files} descriptors")
    assert resident() - memory < 5 * MIB


# --- close ------------------------------------------------------------------------------------------------------------


def _connected(locator: ServerLocator) -> tuple[ClientSession, str]:
    """A session, and the name of a queue that the broker deletes some time after the connection has ended."""
    session = locator.create_session_factory().create_session().start()
    queue = f"resources.close.{uuid.uuid4()}"
    session.create_queue(queue, durable=False, temporary=True)
    return session, queue


def test_close_with_work_under_way_leaves_nothing(artemis: Broker) -> None:
    leaks = Leaks()
    locator = ServerLocator(f"{artemis.url()}?{LOGIN}&blockOnDurableSend=false&confirmationWindowSize=100000")
    session, queue = _connected(locator)
    consumer, producer = session.create_consumer(queue), session.create_producer(queue)
    consumer.message_handler = lambda message: None
    for _ in range(100):
        producer.send(CoreMessage(bytes(1000), 4, durable=False))
    locator.close()
    nothing_left(leaks)


def test_close_while_another_thread_receives_releases_it_and_leaves_nothing(artemis: Broker) -> None:
    leaks = Leaks()
    locator = ServerLocator(f"{artemis.url()}?{LOGIN}")
    session, queue = _connected(locator)
    consumer = session.create_consumer(queue)
    raised: list[BaseException] = []

    def run() -> None:
        try:
            consumer.receive()
        except ActiveClientError as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    locator.close()
    thread.join(PATIENCE)
    assert raised
    nothing_left(leaks)


def test_close_while_connecting_leaves_nothing() -> None:
    leaks = Leaks()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        locator = ServerLocator(f"tcp://127.0.0.1:{silent.getsockname()[1]}?initialConnectAttempts=-1")
        raised: list[BaseException] = []

        def run() -> None:
            try:
                locator.create_session_factory()
            except ActiveClientError as exc:
                raised.append(exc)

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.1)
        locator.close()
        thread.join(PATIENCE)
        assert raised
    nothing_left(leaks)


# --- interpreter exit, fork, interrupts -------------------------------------------------------------------------------


def _python(source: str, *arguments: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source), *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        cwd=Path(__file__).parents[1],
        check=False,
    )
    return time.monotonic() - began, done


def test_an_interpreter_exits_with_open_connections_at_once_and_without_a_word(artemis: Broker) -> None:
    source = """
        import sys, time
        from activeclient.client.locator import ServerLocator
        locator = ServerLocator(sys.argv[1])
        session = locator.create_session_factory().create_session().start()
        session.create_queue("resources.exit", durable=False, temporary=True)
        consumer = session.create_consumer("resources.exit")
        consumer.message_handler = print
        print(time.monotonic())
    """
    _, done = _python(source, f"{artemis.url()}?{LOGIN}")
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - float(done.stdout) < AT_ONCE


def test_a_child_process_cannot_use_its_parents_connection_and_harms_nothing(artemis: Broker) -> None:
    with ServerLocator(f"{artemis.url()}?{LOGIN}") as locator:
        session = locator.create_session_factory().create_session()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                session.query_queue("resources.fork")
            except ForkedError:
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        session.query_queue("resources.fork")


def _interrupted(call: Callable[[], object]) -> None:
    """`call` blocks in this thread until Ctrl-C comes."""
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    began = time.monotonic()

    def interrupted() -> None:
        timer.start()  # in here: a thread that stalls may be interrupted on its way to the call
        call()

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        timer.join()
    assert time.monotonic() - began < AT_ONCE


def test_an_interrupt_in_a_blocking_call_leaves_a_client_that_works_and_closes(artemis: Broker) -> None:
    leaks = Leaks()
    with ServerLocator(f"{artemis.url()}?{LOGIN}&reconnectAttempts=-1") as locator:
        session, queue = _connected(locator)
        consumer, producer = session.create_consumer(queue), session.create_producer(queue)
        _interrupted(consumer.receive)
        producer.send(CoreMessage(b"one", 4, durable=False))
        message = consumer.receive(PATIENCE)
        assert message is not None
        assert message.body == b"one"
        _interrupted(lambda: [producer.send(CoreMessage(bytes(1000), 4)) for _ in range(1_000_000)])  # type: ignore[func-returns-value]
        session.query_queue(queue)
    nothing_left(leaks)


def test_an_interrupt_while_connecting_leaves_nothing() -> None:
    leaks = Leaks()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        locator = ServerLocator(f"tcp://127.0.0.1:{silent.getsockname()[1]}?initialConnectAttempts=-1")
        _interrupted(locator.create_session_factory)
        locator.close()
    nothing_left(leaks)


# --- large bodies -----------------------------------------------------------------------------------------------------


class Pattern:
    """A file of BODY bytes that is nowhere; counts and hashes what is read."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.digest = hashlib.sha256()
        self.peak = 0

    def seekable(self) -> bool:
        return False

    def read(self, size: int) -> bytes:
        data = hashlib.sha256(str(self.left).encode()).digest() * (min(size, self.left) // 32 + 1)
        data = data[: min(size, self.left)]
        self.left -= len(data)
        self.digest.update(data)
        self.peak = max(self.peak, resident())
        return data


@pytest.mark.parametrize("window", ["", "&confirmationWindowSize=1048576"], ids=["no window", "window"])
def test_a_large_file_goes_out_and_comes_in_in_bounded_memory(artemis: Broker, window: str) -> None:
    with ServerLocator(f"{artemis.url()}?{LOGIN}&callTimeout=120000{window}") as locator:
        session = locator.create_session_factory().create_session().start()
        queue = f"resources.large.{len(window)}"
        session.create_queue(queue)
        try:
            base = resident()
            source = Pattern(BODY)
            message = CoreMessage(b"", 4)
            message.body_input = cast("BinaryIO", source)
            session.create_producer(queue).send(message)
            assert source.left == 0
            received = session.create_consumer(queue).receive(30)
            assert received is not None
            digest, size, peak = hashlib.sha256(), 0, source.peak
            with received.open_body() as body:
                while data := body.read(1 << 16):
                    digest.update(data)
                    size += len(data)
                    peak = max(peak, resident())
            received.acknowledge()
            assert size == BODY
            assert digest.digest() == source.digest.digest()
            assert peak - base < (64 if SOAK else 24) * MIB
        finally:
            for consumer in list(session._consumers.values()):
                consumer.close()
            session.delete_queue(queue)


# --- clock ------------------------------------------------------------------------------------------------------------


def test_a_jump_of_the_wall_clock_changes_nothing(artemis: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    with ServerLocator(f"{artemis.url()}?{LOGIN}&connectionTTL=30000&clientFailureCheckPeriod=200") as locator:
        factory = locator.create_session_factory()
        session = factory.create_session()
        true = time.time
        for hours in (1, -1, 24 * 365):
            monkeypatch.setattr(time, "time", lambda hours=hours: true() + 3600 * hours)
            end = time.monotonic() + 0.5
            while time.monotonic() < end:
                session.query_queue("resources.clock")
            assert factory.is_connected
