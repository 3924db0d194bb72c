"""What is found out about a host: one broker in this process, and hosts that are none."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from activeclient.broker.embedded import EmbeddedBroker
from activeclient.cli.probing import Host, probe
from activeclient.urls import parse_url


def look(url: str, timeout: float = 30.0) -> Host:
    parsed = parse_url(url)
    return probe(parsed.scheme, parsed.endpoints[0], parsed.settings(), timeout)


@contextmanager
def listening(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Somebody who takes connections, and with a context TLS ones, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve() -> None:
            listener.settimeout(0.05)
            taken: list[socket.socket] = []
            while not ended.is_set():
                try:
                    sock, _ = listener.accept()
                    sock.settimeout(30)
                    taken.append(sock if context is None else context.wrap_socket(sock, server_side=True))
                except OSError:
                    continue
            for sock in taken:
                sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def test_a_broker_is_found_with_its_address_version_and_whether_it_reattaches() -> None:
    with EmbeddedBroker("probed", port=0) as broker:
        found = look(broker.url)
    assert (found.error, found.denied, found.local) == (None, None, True)
    assert [(address.error, address.milliseconds is not None) for address in found.addresses] == [(None, True)]
    assert found.broker is not None
    assert (found.broker.protocol, found.broker.reattaches, found.broker.management_error) == (136, True, None)
    assert found.broker.version is not None


def test_one_that_refuses_reattachments_is_found_out() -> None:
    with EmbeddedBroker("refusing", port=0) as broker:
        broker.faults.refuse_reattachment()
        found = look(broker.url)
    assert found.broker is not None
    assert found.broker.reattaches is False


def test_a_broker_in_memory_has_no_addresses() -> None:
    with EmbeddedBroker("in-memory") as broker:
        found = look(broker.vm_url)
    assert (found.name, found.addresses, found.local) == ("vm://in-memory", [], True)
    assert found.broker is not None


def test_a_refused_login_is_no_error_of_the_connection() -> None:
    with EmbeddedBroker("guarded", port=0, users={"me": "secret"}) as broker:
        found = look(f"{broker.url}?user=me&password=wrong")
    assert found.broker is None
    assert found.error is None
    assert found.denied
    assert "wrong" not in found.denied


def test_nobody_there_is_told_with_the_reason() -> None:
    found = look("tcp://127.0.0.1:1")
    assert (found.error, found.broker) == ("Connection refused", None)
    assert found.addresses[0].error == "Connection refused"


def test_a_name_that_nobody_has_is_told() -> None:
    found = look("tcp://nobody.invalid:1")
    assert found.error is not None
    assert found.error.startswith("host name not found")
    assert not found.local


def test_somebody_who_does_not_speak_core_is_told() -> None:
    with listening() as port:
        found = look(f"tcp://127.0.0.1:{port}", timeout=1.5)
    assert found.addresses[0].error is None
    assert found.error is not None
    assert "no session was established in time" in found.error


def test_a_tls_handshake_is_told_with_version_and_the_days_left(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    known = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(known))
    with listening(context) as port:
        found = look(f"tcp://localhost:{port}?sslEnabled=true&trustStorePath={known}", timeout=2.0)
        stranger = look(f"tcp://localhost:{port}?sslEnabled=true")
    assert found.tls is not None
    assert found.tls.error is None
    assert found.tls.version == "TLSv1.3"
    assert found.tls.expires_in_days is not None
    assert found.tls.expires_in_days > 0
    assert stranger.tls is not None
    assert stranger.tls.error is not None
    assert "certificate" in stranger.tls.error


@pytest.mark.parametrize("parameter", ["trustStorePath=/does/not/exist", "keyStorePath=/does/not/exist"])
def test_a_store_that_cannot_be_read_is_told(parameter: str) -> None:
    with listening() as port:
        found = look(f"tcp://127.0.0.1:{port}?sslEnabled=true&{parameter}")
    assert found.error is not None
    assert "cannot be read" in found.error
