"""Bad peers that come again: no busy loop, no growth, and an end as soon as the user wants one."""

from __future__ import annotations

import contextlib
import struct
import threading
import time

import pytest

from activeclient.client.locator import ServerLocator
from activeclient.errors import ActiveClientError, ConnectFailed
from activeclient.wire.message import CoreMessage
from activeclient.wire.packets import CreateSession, NullResponse, PacketsConfirmed, Ping
from tests.drivers.fakes import PATIENCE, until
from tests.hostile.server import Conversation, HostileServer, Script, after_consumer, after_session, hangs_up, silent

ENDLESS = "reconnectAttempts=-1&initialConnectAttempts=-1&retryInterval=50&maxRetryInterval=50&handshakeTimeout=300"


def connect_in_background(locator: ServerLocator) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            locator.create_session_factory()
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


@pytest.mark.parametrize("script", [hangs_up, silent], ids=["accepts and closes", "never answers"])
def test_attempts_at_a_bad_peer_keep_the_pauses_and_end_with_close(script: Script) -> None:
    with HostileServer(script) as server:
        locator = ServerLocator(server.url(ENDLESS))
        began = time.monotonic()
        thread, raised = connect_in_background(locator)
        time.sleep(1.0)
        until(lambda: len(server.accepted) >= 2)
        attempts = len(server.accepted)
        seconds = time.monotonic() - began
        locator.close()
        thread.join(PATIENCE)  # its attempts have no end of their own
        assert not thread.is_alive()
        assert attempts <= 1 + seconds * 20
        assert isinstance(raised[0], ActiveClientError)


def _works_then(act: object) -> Script:
    return after_consumer(lambda talk: (talk.deliver(message_id=1), act(talk)))  # type: ignore[operator]


POISON = {
    "nonsense after each delivery": _works_then(lambda talk: talk.send(struct.pack(">i", -1) * 8)),
    "an unknown packet after each delivery": _works_then(lambda talk: talk.send(struct.pack(">ibq", 9, 99, 10))),
    "answers and hangs up": after_session(lambda talk: talk.sock.close()),
}


@pytest.mark.parametrize("window", [-1, 1000], ids=["no window", "window"])
@pytest.mark.parametrize("name", POISON)
def test_a_peer_that_works_a_little_and_breaks_again_does_not_make_a_busy_loop(name: str, window: int) -> None:
    with HostileServer(POISON[name]) as server:
        parameters = (
            f"{ENDLESS}&retryInterval=100&maxRetryInterval=100&confirmationWindowSize={window}"
            "&callTimeout=500&callFailoverTimeout=500"
        )
        with ServerLocator(server.url(parameters)) as locator:
            began = time.monotonic()
            with contextlib.suppress(ActiveClientError):
                session = locator.create_session_factory().create_session().start()
                session.create_consumer("q")
            assert time.monotonic() - began < 10.0
            time.sleep(1.0)
            attempts = len(server.accepted)
            seconds = time.monotonic() - began
        assert attempts <= 8 + seconds * 10  # some at once, then with the pauses


def _confirms_too_much(talk: Conversation) -> None:
    def created(packet: CreateSession, channel: int) -> None:
        talk.answer(packet, channel)
        talk.say(PacketsConfirmed(1 << 20))

    talk.on[CreateSession] = created  # type: ignore[assignment]
    talk.serve()


def test_confirmations_that_cannot_be_do_not_make_a_busy_loop_of_sessions() -> None:
    with HostileServer(_confirms_too_much) as server:
        with ServerLocator(server.url(f"{ENDLESS}&confirmationWindowSize=1000&callFailoverTimeout=500")) as locator:
            factory = locator.create_session_factory()
            with pytest.raises(ActiveClientError):
                factory.create_session().query_queue("q")
            time.sleep(0.5)
            asked = sum(isinstance(packet, CreateSession) for talk in server.conversations for packet in talk.seen)
        assert asked <= 100


def test_the_good_host_behind_a_bad_one_is_found() -> None:
    bad = HostileServer(lambda talk: talk.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with bad, HostileServer(lambda talk: talk.serve()) as good:
        with ServerLocator(
            f"({bad.url()},{good.url()})?initialConnectAttempts=2&retryInterval=10&connectionLoadBalancingPolicyClassName=FirstElement"
        ) as locator:
            session = locator.create_session_factory().create_session()
            assert session.query_queue("q").exists
        assert bad.accepted


def test_a_server_that_never_accepts_is_a_server_that_never_answers() -> None:
    with HostileServer(backlog_only=True) as server:
        began = time.monotonic()
        with (
            pytest.raises(ConnectFailed, match="no session"),
            ServerLocator(server.url("handshakeTimeout=300")) as locator,
        ):
            locator.create_session_factory()
        assert time.monotonic() - began < 10.0


def test_a_port_that_nobody_listens_on_is_told_at_once() -> None:
    server = HostileServer(hangs_up)
    server.close()
    began = time.monotonic()
    with pytest.raises(ConnectFailed, match="refused"), ServerLocator(server.url()) as locator:
        locator.create_session_factory()
    assert time.monotonic() - began < 10.0


def test_a_thousand_unknown_topology_nodes_and_answers_in_vain_change_nothing() -> None:
    def act(talk: Conversation) -> None:
        for _ in range(1000):
            talk.say(NullResponse())
            talk.say(Ping(-5), 0)

    with HostileServer(after_session(act)) as server, ServerLocator(server.url()) as locator:
        session = locator.create_session_factory().create_session()
        for _ in range(50):
            assert session.query_queue("q").exists


def test_a_slow_reader_is_never_flooded_with_more_than_the_buffer() -> None:
    """Sends that nobody waits for, into a peer that takes one now and then: memory stays at the congestion limit."""

    def script(talk: Conversation) -> None:
        talk.to_session()
        while not talk.stopped.wait(0.01):
            talk.serve(until=71)

    with HostileServer(script) as server:
        parameters = "blockOnDurableSend=false&producerWindowSize=-1&callTimeout=30000&tcpSendBufferSize=65536"
        with ServerLocator(server.url(parameters)) as locator:
            session = locator.create_session_factory().create_session()
            producer = session.create_producer("q")
            message = CoreMessage(bytes(50_000), 4)
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                producer.send(message)
