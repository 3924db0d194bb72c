"""Opening: each cause its own text, in time. Then bytes."""

from __future__ import annotations

import contextlib
import datetime
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import trustme

from activeclient.drivers.ports import CancelToken, Transport
from activeclient.drivers.threads import Pump
from activeclient.drivers.transport import open_transport
from activeclient.errors import ConnectFailed, ConnectionLost, TLSFailed
from activeclient.events import Endpoint
from tests.drivers.fakes import PATIENCE, LineEngine, until

VIEW = memoryview(bytearray(256 * 1024))
Serve = Callable[[Callable[[socket.socket], None]], Endpoint]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that give each connection to a function on a thread of its own."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(handle: Callable[[socket.socket], None]) -> Endpoint:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def one(peer: socket.socket) -> None:
            peer.settimeout(PATIENCE)
            with peer, contextlib.suppress(OSError):
                handle(peer)

        def run() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                thread = threading.Thread(target=one, args=(peer,))
                threads.append(thread)
                thread.start()

        thread = threading.Thread(target=run)
        threads.append(thread)
        thread.start()
        return Endpoint(host="127.0.0.1", port=listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(PATIENCE)


def echo(peer: socket.socket) -> None:
    while data := peer.recv(65536):
        peer.sendall(data)


def receive(transport: Transport, count: int) -> bytes:
    got = b""
    poller = select.poll()
    poller.register(transport.fileno(), select.POLLIN)
    while len(got) < count:
        poller.poll(PATIENCE * 1000)
        if transport.wants_write:
            transport.on_writable()
        data = transport.recv(VIEW)
        assert data != b""
        got += data or b""
    return got


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def client(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


def tls_server(cert: trustme.LeafCert, then: Callable[[ssl.SSLSocket], None]) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    cert.configure_cert(context)

    def handle(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as wrapped:
            then(wrapped)

    return handle


def test_bytes_go_both_ways_without_blocking(serve: Serve) -> None:
    transport = open_transport(
        serve(echo), PATIENCE, send_buffer=65536, receive_buffer=65536, local_address=("127.0.0.1", 0)
    )
    assert transport.recv(VIEW) is None
    transport.send([b"a" * 10, b"b" * 10])
    assert receive(transport, 20) == b"a" * 10 + b"b" * 10
    transport.close()
    transport.close()
    assert transport.fileno() == -1


def test_a_refused_connection_says_so_at_once() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))  # nobody listens, and nobody else can
        port = holder.getsockname()[1]
        start = time.monotonic()
        with pytest.raises(ConnectFailed, match=rf"127\.0\.0\.1:{port}: connection refused"):
            open_transport(Endpoint(host="127.0.0.1", port=port), 2 * PATIENCE)
        assert time.monotonic() - start < PATIENCE


def test_an_unknown_name_says_so() -> None:
    with pytest.raises(ConnectFailed, match=r"no-such-host\.invalid:1: host name not found"):
        open_transport(Endpoint(host="no-such-host.invalid", port=1), PATIENCE)


def test_a_silent_address_times_out_and_a_cancelled_attempt_ends_promptly() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        try:
            for _ in range(3):  # fill the backlog: further connections are not answered
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            endpoint = Endpoint(host="127.0.0.1", port=listener.getsockname()[1])
            with pytest.raises(ConnectFailed, match="timed out"):
                open_transport(endpoint, 0.1)
            token = CancelToken()
            threading.Timer(0.05, token.cancel).start()
            start = time.monotonic()
            with pytest.raises(ConnectFailed, match="given up"):
                open_transport(endpoint, 2 * PATIENCE, cancel=token)
            assert time.monotonic() - start < PATIENCE
        finally:
            for filler in fillers:
                filler.close()


def test_an_attempt_that_is_cancelled_just_before_it_connects_gives_no_transport(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = serve(echo)
    token = CancelToken()

    class Late(socket.socket):
        def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]
            token.cancel()  # there is no connection yet that could be shut down
            super().connect(address)

    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", Late)
        with pytest.raises(ConnectFailed, match="given up"):
            open_transport(endpoint, PATIENCE, cancel=token)


def test_tls_carries_more_than_one_record_and_more_than_the_buffers(serve: Serve, ca: trustme.CA) -> None:
    cert = ca.issue_cert("127.0.0.1")
    transport = open_transport(serve(tls_server(cert, echo)), PATIENCE, tls=client(ca))
    sent = [bytes([n % 256]) * 3000 for n in range(1500)]
    transport.send(sent)
    assert receive(transport, 4_500_000) == b"".join(sent)
    assert transport.stuck == 0
    transport.close()


def test_the_pump_speaks_tls(serve: Serve, ca: trustme.CA) -> None:
    endpoint = serve(tls_server(ca.issue_cert("localhost"), echo))
    engine = LineEngine(endpoint=endpoint)
    pump = Pump(
        engine,
        lambda where, timeout, token: open_transport(
            where, timeout, tls=client(ca), server_hostname="localhost", cancel=token
        ),
        lambda event: None,
    )
    pump.start()
    line = b"x" * 99_999 + b"\n"
    with pump.lock:
        assert pump.wait(lambda: engine.made > 0, PATIENCE)
        for _ in range(40):
            engine.send(line)
            pump.after_submit()
            assert pump.wait(lambda: not pump.congested, PATIENCE)
        assert pump.wait(lambda: len(engine.lines) == 40, PATIENCE)
        engine.send(b"for the keeper\n")
        pump.after_submit()
    until(lambda: len(engine.lines) == 41)
    pump.close()


def wait_for_end(peer: socket.socket) -> None:
    peer.recv(1)


def test_every_certificate_that_must_not_pass_has_its_own_text(serve: Serve, ca: trustme.CA) -> None:
    now = datetime.datetime.now(datetime.UTC)
    bad = {
        "another host name": (ca.issue_cert("elsewhere.example"), "localhost"),
        "another IP address": (ca.issue_cert("localhost"), None),
        "has expired": (ca.issue_cert("127.0.0.1", not_after=now - datetime.timedelta(days=1)), None),
        "CA that is not trusted": (trustme.CA().issue_cert("127.0.0.1"), None),
    }
    for text, (cert, name) in bad.items():
        start = time.monotonic()
        with pytest.raises(TLSFailed, match=text):
            open_transport(serve(tls_server(cert, wait_for_end)), 2 * PATIENCE, tls=client(ca), server_hostname=name)
        assert time.monotonic() - start < PATIENCE


def test_a_self_signed_certificate_says_so(serve: Serve, ca: trustme.CA) -> None:
    lone = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with lone.cert_pem.tempfile() as cert, lone.private_key_pem.tempfile() as key:
        context.load_cert_chain(cert, key)

    def handle(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True):
            pass

    with pytest.raises(TLSFailed, match="is self-signed and not trusted"):
        open_transport(serve(handle), PATIENCE, tls=client(ca))


def hears_once(peer: socket.socket) -> None:
    peer.recv(1000)


def hears_on(peer: socket.socket) -> None:
    while peer.recv(1000):
        pass


def test_tls_to_a_plain_peer_says_so(serve: Serve, ca: trustme.CA) -> None:
    def greet(peer: socket.socket) -> None:
        peer.sendall(b"I speak something else altogether\n")
        peer.recv(1000)

    with pytest.raises(TLSFailed, match="does not speak TLS"):
        open_transport(serve(greet), PATIENCE, tls=client(ca))
    with pytest.raises(TLSFailed, match="does it speak TLS"):
        open_transport(serve(hears_once), PATIENCE, tls=client(ca))
    with pytest.raises(TLSFailed, match="in time"):
        open_transport(serve(hears_on), 1.5, tls=client(ca))  # so long that a busy machine opens TCP within it


def test_a_cancelled_tls_handshake_ends_promptly(serve: Serve, ca: trustme.CA) -> None:
    token = CancelToken()

    def handle(peer: socket.socket) -> None:
        peer.recv(1000)
        token.cancel()
        peer.recv(1)

    start = time.monotonic()
    with pytest.raises(ConnectFailed, match="given up"):
        open_transport(serve(handle), 2 * PATIENCE, tls=client(ca), cancel=token)
    assert time.monotonic() - start < PATIENCE


def test_plain_to_a_tls_peer_says_so(serve: Serve, ca: trustme.CA) -> None:
    def handle(peer: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError):
            tls_server(ca.issue_cert("127.0.0.1"), wait_for_end)(peer)

    transport = open_transport(serve(handle), PATIENCE)
    transport.send([b"ARTEMIS and more than enough bytes for a record"])
    try:
        with pytest.raises(ConnectFailed, match=r"speaks TLS|acceptor for TLS"):
            receive(transport, 1)
    finally:
        transport.close()


def test_a_peer_that_closes_without_a_word_is_suspected_of_another_protocol(serve: Serve) -> None:
    transport = open_transport(serve(lambda peer: None), PATIENCE)
    with pytest.raises(ConnectFailed, match="had not said anything yet"):
        receive(transport, 1)
    transport.close()


def test_a_tls_alert_on_a_plain_connection_is_recognised(serve: Serve) -> None:
    transport = open_transport(serve(lambda peer: peer.sendall(b"\x15\x03\x03\x00\x02\x02\x16")), PATIENCE)
    with pytest.raises(TLSFailed, match="the peer speaks TLS and the connection is plain"):
        receive(transport, 1)
    transport.close()


def test_a_reset_is_a_lost_connection_with_the_endpoint_in_its_text(serve: Serve) -> None:
    def handle(peer: socket.socket) -> None:
        peer.sendall(b"x")
        peer.recv(1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    endpoint = serve(handle)
    transport = open_transport(endpoint, PATIENCE)
    assert receive(transport, 1) == b"x"
    transport.send([b"y"])
    with pytest.raises(ConnectionLost, match=rf"{endpoint.port}: connection reset by the peer"):
        receive(transport, 1)
    transport.close()
