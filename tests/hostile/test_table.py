"""Each row of the table, as a user meets it: the exception, its text, its time."""

from __future__ import annotations

import contextlib
import datetime
import re
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from activeclient.client.locator import ServerLocator
from activeclient.client.session import ClientSession
from activeclient.errors import ActiveClientError, ConfigError, UnsettledError
from activeclient.wire.message import CoreMessage
from tests.drivers.fakes import until
from tests.hostile.cases import ALL, TLS, URLS, Case
from tests.hostile.server import HostileServer

PATIENCE = 30.0
"""Seconds after which what should have come is missing; a busy machine needs some."""
CLOSING = 1.3
"""Seconds that closing may take."""
TRIES = 4
"""A busy machine may be slow once or twice; a client that is slow each time is the client's fault."""
NOT_TLS = [case for name, cases in ALL.items() if name != "TLS" for case in cases]


def attempt(case: Case, url: str) -> None:
    """Do what the user of the row does; raises what the user gets. Appends to `SECONDS` what it took."""
    with ServerLocator(url) as locator:
        began = time.monotonic()
        try:
            factory = locator.create_session_factory()
            if case.when != "connect":
                _use(case, factory.create_session())
        finally:
            ended = time.monotonic()
            with contextlib.suppress(UnsettledError):  # what comes before tells why
                locator.close()
            SECONDS.append((ended - began, time.monotonic() - ended))


SECONDS: list[tuple[float, float]] = []
"""How long the attempts took, without closing, and closing."""


def _use(case: Case, session: ClientSession) -> None:
    match case.when:
        case "wait":
            consumer = session.start().create_consumer("q")
            message = consumer.receive(PATIENCE)
            until(lambda: session.factory.is_closed, PATIENCE)
            while message is not None:
                _ = message.body
                message = consumer.receive(PATIENCE)
        case "query":
            session.query_queue("q")
        case "receive":
            consumer = session.start().create_consumer("q")
            message = consumer.receive(PATIENCE if case.error else 0.3)
            assert message is None, message
        case "read" | "stream":
            message = session.start().create_consumer("q").receive(PATIENCE)
            assert message is not None
            if case.when == "read":
                repr(message)
                _ = message.properties, message.body
            else:
                with message.open_body() as body:
                    while body.read(1 << 20):
                        pass
        case "send":
            producer = session.create_producer("q")
            message = CoreMessage(bytes(50_000), 4)
            for _ in range(10_000):
                producer.send(message)
            pytest.fail("500 MB went into a peer that does not read")


def check(case: Case, url: str) -> ActiveClientError | None:
    """The row holds: always what comes, and if not at the first try, then at a later one, how soon."""
    for left in reversed(range(TRIES)):
        try:
            error = check_what_comes(case, url)
        except AssertionError:
            # The thread that opens connections has a tenth of this limit to say what it knows before the engine, which
            # knows less, gives up: too little for a machine that pauses.
            if case.limit != "connect-timeout-millis" or not left:
                raise
            continue
        seconds, closing = SECONDS[-1]
        if seconds < case.limit_seconds + case.seconds and closing < CLOSING:
            return error
    raise AssertionError(f"{seconds} s, and {closing} s to close: {error!r}")


def check_what_comes(case: Case, url: str) -> ActiveClientError | None:
    """What comes is that of the row, and not before its limit."""
    error: ActiveClientError | None = None
    try:
        attempt(case, url)
    except ActiveClientError as exc:
        error = exc
    if case.error is None:
        assert error is None
    else:
        assert type(error) is case.error or (case.code and isinstance(error, case.error)), repr(error)
        assert re.search(case.says, str(error)), str(error)
        assert len(str(error)) < 3000
        assert error is not None
        assert error.code == case.code or case.code is None
        assert case.limit_seconds * 0.8 <= SECONDS[-1][0]
    return error


@pytest.mark.parametrize("case", NOT_TLS, ids=lambda case: case.name)
def test_a_bad_peer_gets_the_error_of_its_row_in_time(case: Case) -> None:
    with HostileServer(case.script) as server:
        check(case, server.url(case.url_parameters))


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Callable[[str], ssl.SSLContext]]:
    """The trust store, and server contexts by what is wrong with them."""
    authority, other = trustme.CA(), trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))

    def context(kind: str) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        long_ago = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
        leaf = {
            "host": lambda: authority.issue_cert("elsewhere.example.com"),
            "expired": lambda: authority.issue_cert("127.0.0.1", not_after=long_ago),
            "ca": lambda: other.issue_cert("127.0.0.1"),
            "good": lambda: authority.issue_cert("127.0.0.1"),
        }
        if kind == "self":
            _self_signed(made, path.parent)
        else:
            leaf[kind]().configure_cert(made)
        return made

    return str(path), context


def _self_signed(context: ssl.SSLContext, folder: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "self.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context.load_cert_chain(file)


Certificates = tuple[str, Callable[[str], ssl.SSLContext]]


@pytest.mark.parametrize("case", TLS, ids=lambda case: case.name)
def test_a_bad_tls_peer_gets_the_error_of_its_row_in_time(case: Case, certificates: Certificates) -> None:
    store, context = certificates
    with HostileServer(case.script, tls=context(case.tls) if case.tls else None) as server:
        check(case, server.url(f"{case.url_parameters}&sslEnabled=true&trustStorePath={store}"))


def test_a_plain_url_at_a_tls_acceptor_is_told_that_tls_is_missing(certificates: Certificates) -> None:
    _, context = certificates
    with HostileServer(lambda talk: talk.serve(), tls=context("good")) as server:
        with pytest.raises(ActiveClientError, match=r"sslEnabled=true|acceptor for TLS") as caught:
            attempt(TLS[0], server.url(TLS[0].url_parameters))
        del caught


def test_the_errors_of_bad_certificates_are_all_different(certificates: Certificates) -> None:
    store, context = certificates
    texts = set()
    for kind in ("host", "expired", "self", "ca"):
        with HostileServer(lambda talk: talk.serve(), tls=context(kind)) as server:
            with contextlib.suppress(ActiveClientError):
                attempt(TLS[0], server.url(f"{TLS[0].url_parameters}&sslEnabled=true&trustStorePath={store}"))
            error = check(next(c for c in TLS if c.tls == kind), server.url(f"sslEnabled=true&trustStorePath={store}"))
            texts.add(str(error).split(": ", 1)[1])
    assert len(texts) == 4


# --- URLs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "key", "text"), URLS, ids=[url[:40] for url, _, _ in URLS])
def test_a_bad_url_or_setting_is_told_at_once_with_key_and_rule(url: str, key: str, text: str) -> None:
    began = time.monotonic()
    with pytest.raises(ConfigError, match=text) as caught, ServerLocator(url) as locator:
        locator.create_session_factory()
    assert caught.value.key == key
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.monotonic() - began < 10.0  # no attempt to reach anybody
