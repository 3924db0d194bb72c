"""The first connect and who may: attempts, pauses, credentials, closing meanwhile, a server that is not ready."""

from __future__ import annotations

import socket
import time

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.errors import (
    ClosedError,
    ConnectFailed,
    ConnectionLost,
    HandshakeTimeout,
    JMSSecurityError,
    ReconnectGaveUp,
)
from activeclient.events import ConnectAttemptFailed, Detached, Reconnected
from activeclient.testing.cuts import Cut, Direction
from activeclient.testing.cutter import Cutter
from activeclient.testing.ports import free_port
from integration.artemis import Broker
from integration.cases.support import (
    NO_WINDOW,
    RELIABLE,
    SLACK,
    WINDOW,
    Opened,
    Recorder,
    ServerManagement,
    eventually,
    in_thread,
    outage,
    pause,
)
from integration.conftest import MakeBroker


def test_unlimited_first_attempts_succeed_once_the_server_is_there(line: Cutter, opened: Opened) -> None:
    line.down()
    connecting = in_thread(lambda: opened.factory(line.url(), initialConnectAttempts=-1, retryInterval=50))
    pause(0.5)
    assert connecting.running
    line.up()
    factory = connecting.value()
    assert factory.is_connected
    assert connecting.seconds < 0.5 + SLACK


@pytest.mark.parametrize(
    ("interval", "multiplier", "maximum", "pauses"),
    [
        (60, 1.0, 2000, [0.06] * 5),
        (20, 2.0, 2000, [0.02, 0.02, 0.02, 0.04, 0.04]),
        (80, 2.0, 100, [0.08] * 3 + [0.1] * 2),
    ],
)
def test_a_pause_follows_each_try_of_three_hosts_in_two_rounds(
    interval: int, multiplier: float, maximum: int, pauses: list[float]
) -> None:
    hosts = ",".join(f"tcp://127.0.0.1:{free_port()}" for _ in range(3))
    locator = ServerLocator(
        f"({hosts})",
        initial_connect_attempts=2,
        retry_interval=interval,
        retry_interval_multiplier=multiplier,
        max_retry_interval=maximum,
    )
    began = time.monotonic()
    with pytest.raises(ConnectFailed):
        locator.create_session_factory()
    spent = time.monotonic() - began
    assert sum(pauses) <= spent < sum(pauses) + SLACK


def test_closing_interrupts_a_first_connect(line: Cutter) -> None:
    line.down()
    locator = ServerLocator(f"{line.url()}?initialConnectAttempts=-1&retryInterval=60000")
    connecting = in_thread(locator.create_session_factory)
    pause(0.2)
    began = time.monotonic()
    locator.close()
    connecting.join()
    assert time.monotonic() - began < SLACK
    assert isinstance(connecting.error, (ClosedError, ConnectionLost))


def test_wrong_credentials_are_told_at_once_and_not_tried_again(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW)
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(JMSSecurityError):
            factory.create_session("admin", "wrong")
    assert time.monotonic() - began < 2.0 + SLACK
    assert line.accepted == 1
    assert factory.create_session().query_address("any") is not None


def test_credentials_that_become_wrong_end_the_series_at_once(private_broker_of: MakeBroker, opened: Opened) -> None:
    broker = private_broker_of()
    factory = opened.factory(broker.url(), RELIABLE, user=broker.user, password=broker.password)
    recorder = Recorder(factory)
    session = factory.create_session()
    users = getattr(broker, "instance", None)
    if users is None:
        pytest.skip("only a local broker's users can be changed")
    (users / "etc" / "artemis-users.properties").write_text("admin = another\n")
    broker.restart(clean=False)
    eventually(lambda: recorder.ended, "the end", 30)
    assert isinstance(recorder.ended[0][0].reason, JMSSecurityError)
    with pytest.raises(JMSSecurityError):
        session.query_address("any")
    failed = recorder.of(ConnectAttemptFailed)
    assert sum(isinstance(event.reason, JMSSecurityError) for event in failed) <= 1


def test_a_server_that_accepts_and_says_nothing(opened: Opened) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(HandshakeTimeout):
            opened.factory(f"tcp://127.0.0.1:{port}", handshakeTimeout=300)
        assert 0.25 < time.monotonic() - began < 0.3 + SLACK


def test_sessions_created_in_an_outage_and_by_many_threads(line: Cutter, opened: Opened) -> None:
    for parameters in (WINDOW, NO_WINDOW):
        factory = opened.factory(line.url(), parameters)
        recorder = Recorder(factory)
        with outage(line):
            recorder.wait(Detached)
            creating = [in_thread(factory.create_session) for _ in range(20)]
            pause(0.2)
            assert all(each.running for each in creating)
        assert len({each.value().name for each in creating}) == 20


def test_creating_a_session_on_a_connection_that_was_given_up(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW, reconnectAttempts=1, retryInterval=50)
    recorder = Recorder(factory)
    with outage(line):
        eventually(lambda: recorder.ended, "the end")
    with pytest.raises(ReconnectGaveUp):
        factory.create_session()
    assert opened.factory(line.url(), WINDOW).create_session().query_address("any") is not None


def test_the_metadata_of_a_session_is_told_again(line: Cutter, opened: Opened, management: ServerManagement) -> None:
    for parameters in (WINDOW, NO_WINDOW):
        factory = opened.factory(line.url(), parameters)
        recorder = Recorder(factory)
        session = factory.create_session()
        session.add_metadata("purpose", f"test {session.name}")
        mark = session.name
        line.cut_now()
        recorder.wait(Reconnected)
        connection = management.connection_of(session.name)
        listed = str(management.invoke("broker", "listSessionsAsJSON", connection))
        assert f"test {mark}" in listed


def test_a_unique_name_is_held_over_a_reconnection(line: Cutter, artemis: Broker, opened: Opened) -> None:
    factory = opened.factory(line.url(), NO_WINDOW)
    recorder = Recorder(factory)
    session = factory.create_session()
    value = session.name
    session.add_unique_metadata("jms-client-id", value)
    line.cut_now()
    recorder.wait(Reconnected)
    other = opened.session(artemis.url())
    with pytest.raises(Exception, match=r"(?i)duplicate|metadata"):
        other.add_unique_metadata("jms-client-id", value)


def test_no_busy_loop_when_tcp_opens_and_the_server_throws_it_away(line: Cutter, opened: Opened) -> None:
    factory = opened.factory(line.url(), WINDOW, retryInterval=100, maxRetryInterval=100)
    recorder = Recorder(factory)
    factory.create_session()
    line.plan(Cut(Direction.TO_CLIENT, 0) for _ in range(1000))
    line.cut_now()
    recorder.wait(Detached)
    before, began = line.accepted, time.monotonic()
    pause(1.0)
    assert line.accepted - before <= (time.monotonic() - began) * 10 + 2
    line.plan([])
    recorder.wait(Reconnected)
