"""Every setting that is accepted does something, or says once that it does not."""

from __future__ import annotations

import ast
import contextlib
import gc
import io
import logging
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import activeclient
from activeclient import (
    ActiveMQConnectionFactory,
    DeliveryMode,
    EmbeddedBroker,
    ServerLocator,
    Session,
    XAConnection,
    connect,
    foreign_keys,
)
from activeclient.client.kept_body import KeptBody
from activeclient.errors import CallTimeout, LargeMessageError
from activeclient.foreign_keys import KNOWN_UNUSED, UNSUPPORTED
from activeclient.jms.bytes_message import BytesMessage
from activeclient.parameter import Parameter
from activeclient.settings import Settings, parameters
from activeclient.testing import wait_until
from activeclient.wire.message import CoreMessage
from tests.hostile.server import Conversation, HostileServer

PATIENCE = 30.0
SAYS_SO: dict[str, str] = {}
"""Attribute of a declared setting that nothing reads, to the words of the warning that says so."""


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(port=0) as made:
        yield made


def _read_attributes() -> set[str]:
    """Attributes that some code takes from settings: of a name that ends in `settings`, or that stands for them."""
    found: set[str] = set()
    for path in Path(activeclient.__file__ or "").parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = {
            id(node)
            for owner in ast.walk(tree)
            if path.name == "settings.py"
            and isinstance(owner, ast.ClassDef | ast.FunctionDef)
            and owner.name in ("conflicts", "effective", "explain_cut", "_longest_pause", "unused_tls_key")
            for node in ast.walk(owner)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load) or id(node) in inside:
                continue
            base = ast.unparse(node.value)
            if base.endswith("settings") or (base == "s" and path.name != "settings.py"):
                found.add(node.attr)
    return found


@pytest.mark.parametrize("parameter", tuple(parameters()), ids=lambda parameter: parameter.key)
def test_every_declared_setting_is_read_or_says_that_it_is_not(
    parameter: Parameter, caplog: pytest.LogCaptureFixture
) -> None:
    words = SAYS_SO.get(parameter.attribute)
    if words is None:
        assert parameter.attribute in _READ | {"profile"}, "nothing reads it: it must work, or say that it does not"
    else:
        assert words in caplog.text


_READ = _read_attributes()


def test_what_reads_settings_is_found_by_this_test() -> None:
    assert len(_READ) > 50
    assert "nonsense" not in _READ


def test_keys_of_the_java_client_without_effect_say_so_once(caplog: pytest.LogCaptureFixture) -> None:
    foreign_keys._logged.clear()
    with caplog.at_level(logging.INFO, "activeclient.settings"):
        for _ in range(2):
            Settings.from_parameters(dict.fromkeys(KNOWN_UNUSED, "1"))
    assert sorted(record.getMessage().split()[0] for record in caplog.records) == sorted(KNOWN_UNUSED)
    assert not (set(KNOWN_UNUSED) | set(UNSUPPORTED)) & {p.key for p in parameters()}


@pytest.mark.parametrize(("value", "expected"), [("true", 1), ("false", 0)])
def test_tcp_no_delay_is_a_socket_option(broker: EmbeddedBroker, value: str, expected: int) -> None:
    with connect(f"{broker.url}?tcpNoDelay={value}") as connection:
        transport: Any = connection.factory.pump._transport
        with socket.socket(fileno=os.dup(transport.fileno())) as sock:
            assert bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) == expected


def _accepted_while_nothing_is_read(more: str) -> int:
    """Messages of 1,000 bytes that a sender could hand over before it had to wait."""
    hold, count = threading.Event(), 0

    def script(talk: Conversation) -> None:
        talk.to_session()
        talk.serve(until=71)  # the first message
        hold.wait(PATIENCE)
        talk.until_gone()

    url = "confirmationWindowSize=-1&producerWindowSize=-1&tcpSendBufferSize=8192&callTimeout=1500&linger=0"
    with HostileServer(script) as server:
        factory = ServerLocator(server.url(f"{url}&{more}")).create_session_factory()
        try:
            session = factory.create_session()
            producer = session.create_producer("q")
            message = CoreMessage(b"x" * 1000, 4, durable=False)
            with contextlib.suppress(CallTimeout):
                for _ in range(20_000):
                    producer.send(message)
                    count += 1
        finally:
            hold.set()
            server.conversations[0].stopped.set()
            factory.close()
    return count


def test_the_water_marks_say_how_much_may_be_unwritten() -> None:
    little = _accepted_while_nothing_is_read("writeBufferHighWaterMark=1000&writeBufferLowWaterMark=1")
    much = _accepted_while_nothing_is_read("writeBufferHighWaterMark=9000000&writeBufferLowWaterMark=1")
    assert much - little > 4000  # of some 1,100 bytes each
    assert little < 20_000


def test_senders_go_on_at_the_low_water_mark(broker: EmbeddedBroker) -> None:
    url = f"{broker.url}?writeBufferHighWaterMark=20000&writeBufferLowWaterMark=0&confirmationWindowSize=-1"
    with connect(url, producer_window_size=-1) as connection, connection.create_session() as session:
        queue = session.create_queue("q")
        producer = session.create_producer(queue)
        for _ in range(300):
            producer.send(b"x" * 5000, delivery_mode=DeliveryMode.NON_PERSISTENT)
        wait_until(lambda: broker.message_count("q") == 300, PATIENCE)


def test_cached_destinations_are_one_object_each(broker: EmbeddedBroker) -> None:
    def both(session: Session) -> list[bool]:
        return [
            session.create_queue("x") is session.create_queue("x"),
            session.create_topic("x") is session.create_topic("x"),
        ]

    for value, expected in (("true", [True, True]), ("false", [False, False])):
        with connect(f"{broker.url}?cacheDestinations={value}") as connection, connection.create_session() as session:
            assert both(session) == expected
            assert session.create_queue("x") == session.create_queue("x") != session.create_topic("x")


@pytest.mark.parametrize("kind", ["XA_CF", "QUEUE_XA_CF", "TOPIC_XA_CF", "CF", "QUEUE_CF", "TOPIC_CF"])
def test_the_type_of_a_factory_decides_whether_its_connections_have_xa_sessions(
    broker: EmbeddedBroker, kind: str
) -> None:
    factory = ActiveMQConnectionFactory(f"{broker.url}?type={kind}")
    with factory.create_connection() as connection, factory.create_context() as context:
        assert isinstance(connection, XAConnection) is isinstance(context.connection, XAConnection) is ("XA" in kind)
        if isinstance(connection, XAConnection):
            with connection.create_xa_session() as session, session.xa_resource.branch():
                pass


# --- large bodies in files --------------------------------------------------------------------------------------------

BODY = bytes(range(256)) * 4000


@pytest.mark.parametrize("compressed", [False, True])
def test_a_large_body_is_kept_in_a_file_that_can_be_read_again(broker: EmbeddedBroker, compressed: bool) -> None:
    url = f"{broker.url}?cacheLargeMessagesClient=true&compressLargeMessage={compressed}&consumerWindowSize=50000"
    with connect(url) as connection, connection.create_session() as session:
        queue = session.create_queue("q")
        producer, consumer = session.create_producer(queue), session.create_consumer(queue)
        producer.send(os.urandom(300_000) + BODY)
        producer.send("next")
        before = _temporary_files()
        message = consumer.receive(PATIENCE)
        assert isinstance(message, BytesMessage)
        with message.open_body() as one:
            head = one.read(10)
            assert one.seek(-len(BODY), io.SEEK_END) == 300_000
            assert one.read() == BODY
        assert len(_temporary_files() - before) == 1
        assert consumer.receive(PATIENCE) is not None  # what was not read is not lost with it
        with message.open_body() as again:
            assert again.read(10) == head
            again.seek(5)
            again.seek(-1, io.SEEK_CUR)
            assert (again.tell(), again.read(1)) == (4, head[4:5])
        assert message.data[:10] == head
        del message, one, again
        gc.collect()
        assert _temporary_files() <= before


def _temporary_files() -> set[str]:
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if not re.match(r"socket:|pipe:|anon_inode:|/proc|/dev", name):
            found.add(name)
    return found


def test_a_kept_body_above_the_limit_can_still_be_opened(broker: EmbeddedBroker) -> None:
    with ServerLocator(f"{broker.url}?cacheLargeMessagesClient=true&maxLargeMessageSize=500000") as locator:
        session = locator.create_session_factory().create_session().start()
        session.create_queue("q", "q")
        session.create_producer("q").send(CoreMessage(BODY, 4))
        message = session.create_consumer("q").receive(PATIENCE)
        assert message is not None
        with pytest.raises(LargeMessageError, match="maxLargeMessageSize"):
            _ = message.body
        with message.open_body() as body:
            assert body.read() == BODY


def test_a_disk_that_does_not_take_a_body_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> Iterator[bytes]:
        yield b"x"
        raise OSError(28, "No space left on device")

    with pytest.raises(LargeMessageError, match="No space left"):
        KeptBody(full())
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    with pytest.raises(LargeMessageError, match="No such file"):
        KeptBody([])
