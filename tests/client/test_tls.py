"""TLS as a user sees it: what a failed handshake says and how soon, and how trust and identity can be given."""

from __future__ import annotations

import contextlib
import copy
import pickle
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from activeclient import ActiveMQConnectionFactory, EmbeddedBroker, ServerLocator, connect
from activeclient.errors import ConfigError, ConnectFailed, TLSFailed

PATIENCE = 30.0
Handle = Callable[[socket.socket], None]


@pytest.fixture(scope="module")
def ours() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(ours: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with stores: of our authority, of a client of it, and of a client of another one."""
    directory = tmp_path_factory.mktemp("tls")
    ours.cert_pem.write_to_path(str(directory / "ca.pem"))
    for name, authority in (("me", ours), ("other", trustme.CA())):
        leaf = authority.issue_cert(f"{name}@example.org")
        leaf.private_key_and_cert_chain_pem.write_to_path(str(directory / f"{name}.pem"))
        leaf.private_key_pem.write_to_path(str(directory / f"{name}.key"))
        (directory / f"{name}.crt").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    return directory


@pytest.fixture
def serve() -> Iterator[Callable[[Handle], int]]:
    """Starts a server that gives each connection to a function on a thread of its own; its port."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(handle: Handle) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def one(peer: socket.socket) -> None:
            peer.settimeout(PATIENCE)
            with peer, contextlib.suppress(OSError):
                handle(peer)

        def run() -> None:
            with contextlib.suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    threads.append(threading.Thread(target=one, args=(peer,)))
                    threads[-1].start()

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(PATIENCE)


def context_of(ours: trustme.CA, *, asks: bool, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        ours.configure_trust(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def judges(context: ssl.SSLContext, then: Handle) -> Handle:
    """A server that closes, after `then`, whatever the handshake came to."""

    def handle(peer: socket.socket) -> None:
        wrapped = context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
        with wrapped:
            try:
                wrapped.do_handshake()
            except OSError:
                then(wrapped)

    return handle


def waits(peer: socket.socket) -> None:
    """Until the client has gone; TLS would refuse to read."""
    with contextlib.suppress(OSError):
        while socket.socket.recv(peer, 65536):
            pass


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(port=0) as made:
        yield made


def front(context: ssl.SSLContext, broker: EmbeddedBroker) -> Handle:
    """TLS in front of a broker that speaks none."""

    def handle(peer: socket.socket) -> None:
        port = int(broker.url.rpartition(":")[2])
        with context.wrap_socket(peer, server_side=True) as near, socket.create_connection(("127.0.0.1", port)) as far:
            near.settimeout(0.02)

            def back() -> None:
                with contextlib.suppress(OSError):
                    while data := far.recv(65536):
                        with lock:
                            near.sendall(data)

            lock = threading.Lock()
            thread = threading.Thread(target=back)
            thread.start()
            with contextlib.suppress(OSError):
                while True:
                    with lock, contextlib.suppress(TimeoutError):
                        if not (data := near.recv(65536)):
                            break
                        far.sendall(data)
            with contextlib.suppress(OSError):
                far.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE)

    return handle


def url(port: int, files: Path, more: str = "") -> str:
    return f"tcp://localhost:{port}?sslEnabled=true&trustStorePath={files / 'ca.pem'}{more}"


def failure(port: int, files: Path, more: str = "") -> str:
    with pytest.raises(TLSFailed) as caught:
        connect(url(port, files, more)).close()
    assert str(caught.value).count("localhost:") == 1
    return str(caught.value)


@pytest.mark.parametrize("lingers", [False, True], ids=["closed at once", "closed later"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_certificate_of_ours_that_is_missing_or_refused_is_named(
    version: ssl.TLSVersion, lingers: bool, ours: trustme.CA, files: Path, serve: Callable[[Handle], int]
) -> None:
    port = serve(judges(context_of(ours, asks=True, version=version), waits if lingers else lambda peer: None))
    for _ in range(3):
        assert "ours is missing: name its file in keyStorePath" in failure(port, files)
        refused = failure(port, files, f"&keyStorePath={files / 'other.pem'}")
        assert "our certificate" in refused or "does not accept ours" in refused
        own = ssl.create_default_context(cafile=str(files / "ca.pem"))
        with pytest.raises(TLSFailed, match="certificate"):
            connect(f"tcp://localhost:{port}", ssl_context=own)


def test_a_peer_without_tls_is_found_out_within_the_handshakes_own_time(
    files: Path, serve: Callable[[Handle], int]
) -> None:
    port = serve(waits)
    start = time.monotonic()
    text = failure(port, files, "&handshakeTimeout=700")
    assert "most likely speaks no TLS" in text
    assert "waited 0.7 s (handshakeTimeout)" in text
    assert time.monotonic() - start < 15  # connect-timeout-millis would allow a minute


def test_a_peer_that_stops_amid_the_handshake_is_not_said_to_speak_no_tls(
    files: Path, serve: Callable[[Handle], int]
) -> None:
    def stops(peer: socket.socket) -> None:
        peer.recv(1)
        peer.sendall(b"\x16\x03\x03\x40\x00\x02")  # the head of a long record
        waits(peer)

    port = serve(stops)
    for limit in (500, 3000, 12000):  # on a busy machine the peer needs its time too
        text = failure(port, files, f"&handshakeTimeout={limit}")
        if "no TLS" not in text:
            break
    assert "did not finish the TLS handshake in time" in text
    assert "no TLS" not in text


def test_a_plain_client_is_told_of_tls(ours: trustme.CA, serve: Callable[[Handle], int]) -> None:
    port = serve(judges(context_of(ours, asks=False), lambda peer: None))
    with pytest.raises(ConnectFailed, match=r"sslEnabled=true is missing|acceptor for TLS"):
        connect(f"tcp://localhost:{port}")


@pytest.mark.parametrize(
    ("more", "store"),
    [
        ("&keyStorePath={0}/me.pem", {}),
        ("&keyStorePath={0}/me.crt&privateKeyPath={0}/me.key", {}),
        ("", {"key_store_path": "{0}/me.crt", "private_key_path": "{0}/me.key"}),
    ],
    ids=["one file", "two files", "two files by keyword"],
)
def test_our_certificate_can_be_one_file_or_two(
    more: str, store: dict[str, str], ours: trustme.CA, files: Path, broker: EmbeddedBroker,
    serve: Callable[[Handle], int],
) -> None:  # fmt: skip
    port = serve(front(context_of(ours, asks=True), broker))
    given: dict[str, Any] = {key: value.format(files) for key, value in store.items()}
    with connect(url(port, files, more.format(files)), **given) as connection, connection.create_session() as session:
        queue = session.create_queue("q")
        session.create_producer(queue).send("hello")
        message = session.create_consumer(queue).receive(PATIENCE)
        assert message is not None


@pytest.mark.parametrize("make", [ActiveMQConnectionFactory, ServerLocator.reliable, ServerLocator])
def test_a_context_of_the_users_own_is_taken(
    make: Callable[..., Any], ours: trustme.CA, files: Path, broker: EmbeddedBroker, serve: Callable[[Handle], int]
) -> None:
    port = serve(front(context_of(ours, asks=True), broker))
    own = ssl.create_default_context(cafile=str(files / "ca.pem"))
    own.load_cert_chain(files / "me.crt", files / "me.key")
    made = make(f"tcp://127.0.0.1:{port}?sniHost=localhost", ssl_context=own)
    assert made.settings.ssl_enabled
    for each in (made, copy.copy(made), copy.deepcopy(made)):
        opens = each.create_connection if isinstance(each, ActiveMQConnectionFactory) else each.create_session_factory
        opens().close()
    with pytest.raises(TypeError, match="cannot be sent to another process"):
        pickle.dumps(made)


def test_a_context_beside_what_it_decides_is_an_error(files: Path) -> None:
    own = ssl.create_default_context()
    for parameters, key in (("trustStorePath=x", "trustStorePath"), ("verifyHost=false", "verifyHost")):
        with pytest.raises(ConfigError, match=f"{key}: has no effect beside ssl_context"):
            ServerLocator(f"tcp://h?{parameters}", ssl_context=own)
    with pytest.raises(ConfigError, match="not wanted"):
        ServerLocator("tcp://h?sslEnabled=false", ssl_context=own)
    with pytest.raises(ConfigError, match="one for servers"):
        ServerLocator("tcp://h", ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    with pytest.raises(ConfigError, match=r"must be an ssl\.SSLContext, not str"):
        ServerLocator("tcp://h", ssl_context="ca.pem")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "parameters",
    [
        "trustStorePath=ca.pem",
        "keyStorePath=me.pem",
        "privateKeyPath=me.key",
        "trustAll=true",
        "verifyHost=false",
        "sniHost=x",
        "enabledProtocols=TLSv1.3",
        "crlPath=x",
        "useDefaultSslContext=true",
    ],
)
def test_a_setting_for_tls_without_ssl_enabled_is_an_error(parameters: str) -> None:
    key = parameters.partition("=")[0]
    for wrong in (f"tcp://h?{parameters}", f"(tcp://h,tcp://i?{parameters})?ha=true", f"vm://x?{parameters}"):
        for make in (ServerLocator, ServerLocator.reliable, ActiveMQConnectionFactory):
            with pytest.raises(ConfigError, match=f"{key}: needs sslEnabled=true"):
                make(wrong)
    for right in (
        f"tcp://h?{parameters}&sslEnabled=false",
        f"(tcp://h,tcp://i?{parameters}&sslEnabled=true)?ha=true",
        f"(tcp://h?sslEnabled=true,tcp://i)?{parameters}",
    ):
        ServerLocator(right)
    assert ServerLocator(f"tcp://h?{parameters}", ssl_enabled=True).settings.ssl_enabled


def test_the_same_goes_for_keywords_and_attributes() -> None:
    with pytest.raises(ConfigError, match="trustStorePath: needs sslEnabled=true"):
        ActiveMQConnectionFactory("tcp://127.0.0.1:1", trust_store_path="ca.pem")
    locator = ServerLocator("tcp://127.0.0.1:1")
    locator.trust_store_path = "ca.pem"
    with pytest.raises(ConfigError, match="trustStorePath: needs sslEnabled=true"):
        locator.create_session_factory()
    locator.ssl_enabled = False
    with pytest.raises(ConnectFailed):
        locator.create_session_factory()


def test_a_key_of_its_own_needs_its_certificate_in_pem(files: Path) -> None:
    for more, rule in (
        (f"&privateKeyPath={files / 'me.key'}", "needs keyStorePath"),
        (f"&keyStorePath={files / 'me.crt'}&privateKeyPath={files / 'none'}", "cannot be read"),
        (f"&keyStorePath={files / 'me.crt'}&privateKeyPath={files / 'other.key'}", "no usable key and certificate"),
    ):
        with pytest.raises(ConfigError, match=rule):
            connect(url(1, files, more))
