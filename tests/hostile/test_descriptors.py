"""A broker that may open few files: it takes what it can, refuses the rest cleanly, and stays reachable."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from activeclient import ServerLocator
from activeclient.broker import acceptor
from activeclient.broker.admission import REPORT_SECONDS, Admission
from activeclient.broker.embedded import EmbeddedBroker

BODY = 1_100_000
"""Beyond what is kept in memory of one body."""
PATIENCE = 60.0

PROGRAM = textwrap.dedent("""
    import logging, resource, sys
    from activeclient import EmbeddedBroker
    limit, folder = int(sys.argv[1]), sys.argv[2] or None
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with EmbeddedBroker(port=0, folder=folder) as broker:
        print(broker.url, flush=True)
        sys.stdin.read()
""")


@contextmanager
def broker_of_few_descriptors(limit: int, folder: str, log: list[str]) -> Iterator[str]:
    """A broker in a process of its own, and its URL; its log when it has ended by itself."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(limit), folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
            _, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        log += errors.splitlines()
        assert process.returncode == 0


def send_and_receive(url: str, count: int, size: int) -> None:
    with ServerLocator(url).create_session_factory() as factory, factory.create_session() as session:
        if not session.query_queue("q").exists:
            session.create_queue("q")
        with session.create_producer("q") as producer:
            for number in range(count):
                producer.send(session.create_message(body=bytes([number]) * size))
        session.start()
        with session.create_consumer("q") as consumer:
            for number in range(count):
                message = consumer.receive(PATIENCE)
                assert message is not None
                assert message.body == bytes([number]) * size
                message.acknowledge()


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "in a folder"])
def test_more_large_messages_than_descriptors(kept: bool, tmp_path: Path) -> None:
    log: list[str] = []
    with broker_of_few_descriptors(48, str(tmp_path / "store") if kept else "", log) as url:
        send_and_receive(url, 60, BODY)
    assert log == []


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "in a folder"])
def test_more_connections_than_descriptors(kept: bool, tmp_path: Path) -> None:
    log: list[str] = []
    with broker_of_few_descriptors(64, str(tmp_path / "store") if kept else "", log) as url:
        with ServerLocator(url).create_session_factory() as factory, factory.create_session() as session:
            port = int(url.rpartition(":")[2])
            flood = [socket.create_connection(("127.0.0.1", port)) for _ in range(150)]
            try:
                # Those that are refused are closed, at once; who is there is served, large bodies too.
                refused = 0
                for sock in flood[100:]:
                    sock.settimeout(PATIENCE)
                    with suppress(ConnectionError):
                        refused += sock.recv(1) == b""
                session.create_queue("q")
                with session.create_producer("q") as producer:
                    for _ in range(3):
                        producer.send(session.create_message(body=bytes(BODY)))
                session.start()
                consumer = session.create_consumer("q")
                for _ in range(3):
                    message = consumer.receive(PATIENCE)
                    assert message is not None
                    assert len(message.body) == BODY
                    message.acknowledge()
                consumer.close()
                session.delete_queue("q")
            finally:
                for sock in flood:
                    sock.close()
        send_and_receive(url, 1, 10)
    assert 1 <= len(log) <= 5, log
    assert "connection(s) refused: the process has no file descriptor to spare" in log[0]


class RefusingListener:
    """A listener that is readable, and of which the system gives nothing."""

    def __init__(self, listener: socket.socket, error: OSError) -> None:
        self._listener = listener
        self.error: OSError | None = error
        self.asked = 0

    def accept(self) -> object:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self._listener.accept()

    def __getattr__(self, name: str) -> object:
        return getattr(self._listener, name)


@pytest.mark.parametrize("number", [23, 24, 105, 12], ids=["ENFILE", "EMFILE", "ENOBUFS", "ENOMEM"])
def test_a_listener_that_the_system_refuses_rests(
    number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It stays readable: looking at it again and again would be all that the thread does."""
    monkeypatch.setattr(acceptor, "ACCEPT_PAUSE", 0.02)
    monkeypatch.setattr(acceptor, "ACCEPT_LONGEST_PAUSE", 0.05)
    with caplog.at_level(logging.WARNING), EmbeddedBroker(port=0) as broker:
        thread = broker._running()
        ((descriptor, (listener, tls)),) = thread._listeners.items()
        refusing = RefusingListener(listener, OSError(number, "no more"))
        turns = 0
        run = thread._turn

        def counted() -> None:
            nonlocal turns
            turns += 1
            run()

        def replace() -> None:
            thread._listeners[descriptor] = (refusing, tls)  # type: ignore[assignment]
            thread._turn = counted  # type: ignore[method-assign]

        thread.call(replace)
        port = int(broker.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):
            end = time.monotonic() + PATIENCE
            while refusing.asked < 5 and time.monotonic() < end:
                time.sleep(0.01)
            asked = refusing.asked
            assert 5 <= asked < 100
            assert turns <= 4 * asked + 20
            # Others are served meanwhile.
            send_and_receive(broker.vm_url, 2, 10)
            refusing.error = None
            send_and_receive(broker.url, 2, 10)
        warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(warnings) == 1
        assert "1 connection(s) refused: no more" in warnings[0].getMessage()


def test_refusals_are_logged_together(caplog: pytest.LogCaptureFixture) -> None:
    admission = Admission()
    with caplog.at_level(logging.WARNING):
        for number in range(1000):
            admission.refused("there are too many connections", 100.0 + number / 1000)
        assert admission.report_at == 100.0 + REPORT_SECONDS
        admission.report(105.0)
        assert len(caplog.records) == 1
        admission.report(100.0 + REPORT_SECONDS)
        assert admission.report_at is None
    texts = [record.getMessage() for record in caplog.records]
    assert texts == [
        "1 connection(s) refused: there are too many connections",
        "999 connection(s) refused: there are too many connections",
    ]
