"""TLS settings decide whom we trust: handshakes in memory, with certificates made on the spot."""

from __future__ import annotations

import builtins
import datetime
import logging
import os
import ssl
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from activeclient.drivers.tls import _openssl_name, server_hostname, tls_context
from activeclient.errors import ConfigError
from activeclient.settings import TLSSettings

HOST = "broker.example.com"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return str(path)


def server_context(certificate: trustme.LeafCert, clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def handshake(settings: TLSSettings, server: ssl.SSLContext, host: str = HOST) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after a handshake over memory; raises what either end raises."""
    client_context = tls_context(settings)
    assert client_context is not None
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=server_hostname(settings, host))
    served = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        done = 0
        for end in (client, served):
            try:
                end.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass
        if done == 2:
            return client, served
    raise AssertionError("the handshake does not end")


def on(**changes: Any) -> TLSSettings:
    return TLSSettings(ssl_enabled=True, **changes)


def certificate_of(leaf: trustme.LeafCert) -> x509.Certificate:
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())


def key_of(pem: trustme.Blob) -> Any:
    return serialization.load_pem_private_key(pem.bytes(), None)


def pkcs12_identity(leaf: trustme.LeafCert, path: Path, password: bytes, name: bytes = b"me") -> str:
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(
            name,
            key_of(leaf.private_key_pem),
            certificate_of(leaf),
            [x509.load_pem_x509_certificate(pem.bytes()) for pem in leaf.cert_chain_pems[1:]],
            serialization.BestAvailableEncryption(password),
        )
    )
    return str(path)


def test_without_ssl_enabled_there_is_no_context() -> None:
    assert tls_context(TLSSettings(trust_all=True)) is None


def test_the_right_authority_and_host_are_accepted(ca: trustme.CA, ca_file: str) -> None:
    client, _ = handshake(on(trust_store_path=ca_file), server_context(ca.issue_cert(HOST)))
    assert client.version() == "TLSv1.3"


def test_a_certificate_for_another_host_is_refused_unless_hosts_are_not_verified(ca: trustme.CA, ca_file: str) -> None:
    server = server_context(ca.issue_cert("other.example.com"))
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(on(trust_store_path=ca_file), server)
    handshake(on(trust_store_path=ca_file, verify_host=False), server)
    handshake(on(trust_store_path=ca_file, sni_host="other.example.com"), server)


def test_another_authority_is_refused_with_or_without_host_check(ca_file: str) -> None:
    server = server_context(trustme.CA().issue_cert(HOST))
    for verify_host in (True, False):
        with pytest.raises(ssl.SSLCertVerificationError, match=r"unable to get local issuer|self.signed"):
            handshake(on(trust_store_path=ca_file, verify_host=verify_host), server)


def test_without_a_trust_store_the_systems_authorities_count(ca: trustme.CA) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(on(), server_context(ca.issue_cert(HOST)))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(on(use_default_ssl_context=True), server_context(ca.issue_cert(HOST)))


def test_an_expired_certificate_is_refused(ca: trustme.CA, ca_file: str) -> None:
    past = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(on(trust_store_path=ca_file), server_context(ca.issue_cert(HOST, not_after=past)))


def self_signed(directory: Path) -> tuple[ssl.SSLContext, str]:
    """A server whose certificate is its own authority, and the file with it."""
    key = key_of(trustme.CA().private_key_pem)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path, both = directory / "self.pem", directory / "both.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    both.write_bytes(private + path.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context, str(path)


def test_a_self_signed_certificate_is_refused_until_it_is_in_the_trust_store(tmp_path: Path, ca_file: str) -> None:
    server, path = self_signed(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self.signed"):
        handshake(on(trust_store_path=ca_file), server)
    handshake(on(trust_store_path=path), server)


def test_a_server_certificate_in_the_trust_store_is_trusted_without_its_authority(
    ca: trustme.CA, tmp_path: Path
) -> None:
    leaf = ca.issue_cert(HOST)
    path = tmp_path / "leaf.pem"
    leaf.cert_chain_pems[0].write_to_path(str(path))
    handshake(on(trust_store_path=str(path)), server_context(leaf))


def test_trust_all_accepts_anything_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "activeclient.link"):
        handshake(on(trust_all=True), server_context(trustme.CA().issue_cert("other.example.com")))
    assert "anyone can pose as the broker" in caplog.text


def test_a_pkcs12_trust_store_works(ca: trustme.CA, tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    path = tmp_path / "trust.p12"
    path.write_bytes(
        pkcs12.serialize_java_truststore(
            [pkcs12.PKCS12Certificate(certificate, b"ca")], serialization.BestAvailableEncryption(b"hunter2")
        )
    )
    for kind in (None, "PKCS12", "JKS"):
        settings = on(trust_store_path=str(path), trust_store_password="hunter2", trust_store_type=kind)
        handshake(settings, server_context(ca.issue_cert(HOST)))
    for password in (None, "hunter3"):
        with pytest.raises(ConfigError, match="trustStorePassword is wrong") as caught:
            tls_context(on(trust_store_path=str(path), trust_store_password=password))
        assert "hunter3" not in str(caught.value)


def pem_identity(leaf: trustme.LeafCert, directory: Path) -> dict[str, Any]:
    leaf.private_key_and_cert_chain_pem.write_to_path(str(directory / "me.pem"))
    return {"key_store_path": str(directory / "me.pem")}


def encrypted_pem_identity(leaf: trustme.LeafCert, directory: Path) -> dict[str, Any]:
    private = key_of(leaf.private_key_pem).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    )
    chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
    (directory / "me.pem").write_bytes(private + chain)
    return {"key_store_path": str(directory / "me.pem"), "key_store_password": "hunter2"}


def pemcfg_identity(leaf: trustme.LeafCert, directory: Path) -> dict[str, Any]:
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    (directory / "me.pemcfg").write_text("source.key=key.pem\nsource.cert=cert.pem\n")
    return {"key_store_path": str(directory / "me.pemcfg")}


def p12_identity(leaf: trustme.LeafCert, directory: Path) -> dict[str, Any]:
    path = pkcs12_identity(leaf, directory / "me.p12", b"hunter2")
    return {"key_store_path": path, "key_store_password": "hunter2", "key_store_alias": "ME"}


@pytest.mark.parametrize("identity", [pem_identity, encrypted_pem_identity, pemcfg_identity, p12_identity])
def test_a_server_that_wants_our_certificate_gets_it(
    identity: Callable[[trustme.LeafCert, Path], dict[str, Any]], ca: trustme.CA, ca_file: str, tmp_path: Path
) -> None:
    server = server_context(ca.issue_cert(HOST), clients=ca)
    _, served = handshake(on(trust_store_path=ca_file, **identity(ca.issue_cert("me"), tmp_path)), server)
    peer = served.getpeercert()
    assert peer is not None
    assert ("DNS", "me") in peer["subjectAltName"]


def test_without_our_certificate_such_a_server_refuses(ca: trustme.CA, ca_file: str) -> None:
    server = server_context(ca.issue_cert(HOST), clients=ca)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        handshake(on(trust_store_path=ca_file), server)


def test_a_key_out_of_a_pkcs12_store_is_on_disk_only_encrypted_and_only_for_a_moment(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pkcs12_identity(ca.issue_cert("me"), tmp_path / "me.p12", b"hunter2")
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    seen: list[tuple[int, bytes]] = []

    real = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        seen.append((stat.S_IMODE(os.stat(certfile).st_mode), Path(certfile).read_bytes()))
        real(context, certfile, keyfile, password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    tls_context(on(key_store_path=path, key_store_password="hunter2", trust_all=True))
    ((mode, content),) = seen
    assert mode == 0o600
    assert b"ENCRYPTED PRIVATE KEY" in content
    assert b"BEGIN PRIVATE KEY" not in content
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("s.jks", b"\xfe\xed\xfe\xed\0\0\0\2", "keytool -importkeystore -srckeystore s.jks -destkeystore s.p12"),
        ("s.bin", b"what is this", "neither PEM, PEMCFG nor PKCS12"),
        ("s.p12", b"\x30\x03\x02\x01\x03", "is no PKCS12 store"),
        ("s.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "usable"),
        ("s.cfg", b"source.key=x\n", "names no source.cert"),
    ],
)
@pytest.mark.parametrize("which", ["trust", "key"])
def test_a_store_that_cannot_be_used_is_an_error_that_says_why(
    which: str, name: str, content: bytes, rule: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        tls_context(on(**{f"{which}_store_path": str(tmp_path / name), f"{which}_store_password": "hunter2"}))
    assert caught.value.key == f"{which}StorePath"
    assert rule in caught.value.rule
    assert "hunter2" not in str(caught.value)


def test_a_wrong_key_password_is_an_error_and_nobody_is_asked(ca: trustme.CA, tmp_path: Path) -> None:
    identity = encrypted_pem_identity(ca.issue_cert("me"), tmp_path)
    for password in (None, "hunter3"):
        with pytest.raises(ConfigError, match="keyStorePassword is wrong"):
            tls_context(on(**{**identity, "key_store_password": password}))


def test_a_missing_file_is_an_error_with_its_key(tmp_path: Path) -> None:
    for attribute, key in (("trust_store_path", "trustStorePath"), ("key_store_path", "keyStorePath")):
        with pytest.raises(ConfigError, match=f"{key}=.*cannot be read"):
            tls_context(on(**{attribute: str(tmp_path / "none")}))
    with pytest.raises(ConfigError, match=r"crlPath=.*cannot be read"):
        tls_context(on(crl_path=str(tmp_path / "none")))


def test_another_alias_than_the_keys_is_an_error(ca: trustme.CA, tmp_path: Path) -> None:
    path = pkcs12_identity(ca.issue_cert("me"), tmp_path / "me.p12", b"x")
    with pytest.raises(ConfigError, match=r"keyStoreAlias='you'.*'me'"):
        tls_context(on(key_store_path=path, key_store_password="x", key_store_alias="you"))


def test_without_cryptography_a_pkcs12_store_is_an_error_that_names_it(
    ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pkcs12_identity(ca.issue_cert("me"), tmp_path / "me.p12", b"x")
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("cryptography"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"pip install activeclient\[tls\]"):
        tls_context(on(key_store_path=path, key_store_password="x"))


def test_a_revoked_certificate_is_refused(ca: trustme.CA, ca_file: str, tmp_path: Path) -> None:
    good, bad = ca.issue_cert(HOST), ca.issue_cert(HOST)
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    now = datetime.datetime.now(datetime.UTC)
    revoked = x509.RevokedCertificateBuilder(certificate_of(bad).serial_number, now)
    crl = (
        x509.CertificateRevocationListBuilder(issuer.subject, now - datetime.timedelta(1), now + datetime.timedelta(1))
        .add_revoked_certificate(revoked.build())
        .sign(key_of(ca.private_key_pem), hashes.SHA256())
    )
    path = tmp_path / "crl.pem"
    path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
    settings = on(trust_store_path=ca_file, crl_path=str(path))
    handshake(settings, server_context(good))
    with pytest.raises(ssl.SSLCertVerificationError, match="revoked"):
        handshake(settings, server_context(bad))
    with pytest.raises(ConfigError, match="crlPath"):
        tls_context(on(trust_store_path=ca_file, crl_path=ca_file))


def test_enabled_protocols_bound_the_versions(ca: trustme.CA, ca_file: str) -> None:
    server = server_context(ca.issue_cert(HOST))
    client, _ = handshake(on(trust_store_path=ca_file, enabled_protocols=("TLSv1.2",)), server)
    assert client.version() == "TLSv1.2"
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(on(trust_store_path=ca_file, enabled_protocols=("TLSv1.3",)), server)


def test_cipher_suites_may_have_java_names(ca: trustme.CA, ca_file: str) -> None:
    suites = ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256")
    settings = on(trust_store_path=ca_file, enabled_cipher_suites=suites, enabled_protocols=("TLSv1.2",))
    client, _ = handshake(settings, server_context(ca.issue_cert(HOST)))
    cipher = client.cipher()
    assert cipher is not None
    assert cipher[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    with pytest.raises(ConfigError, match="enabledCipherSuites='TLS_NONE_WITH_NOTHING'"):
        tls_context(on(enabled_cipher_suites=("TLS_NONE_WITH_NOTHING",)))


@pytest.mark.parametrize(
    ("java", "openssl"),
    [
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", "ECDHE-ECDSA-AES256-SHA384"),
        ("TLS_DHE_RSA_WITH_AES_256_CBC_SHA", "DHE-RSA-AES256-SHA"),
        ("TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256"),
        ("AES256-GCM-SHA384", "AES256-GCM-SHA384"),
    ],
)
def test_names_of_suites(java: str, openssl: str) -> None:
    assert _openssl_name(java) == openssl
