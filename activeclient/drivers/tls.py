"""TLS settings to an `ssl.SSLContext`.

Law of this file: no setting that weakens or decides trust is ever skipped in silence; what cannot be honoured is a
`ConfigError` that names the key. Private keys taken out of a PKCS12 store touch the disk only encrypted under a random
password, in a file of mode 0600 that is gone when the function returns.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import javaproperties

from activeclient.errors import ConfigError
from activeclient.settings import TLSSettings

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12KeyAndCertificates

__all__ = ["server_hostname", "tls_context"]

_log = logging.getLogger("activeclient.link")

MAX_STORE: Final = 16 << 20
"""Bytes of a key or trust store; the system-wide bundles have a quarter of a MiB."""
_VERSIONS: Final = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_JKS_MAGIC: Final = (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")


def server_hostname(settings: TLSSettings, host: str) -> str:
    """The name for `SSLContext.wrap_socket`: `sniHost`, else the host that is connected to."""
    return settings.sni_host or host


def tls_context(settings: TLSSettings) -> ssl.SSLContext | None:
    """The context for connections under these settings; None when TLS is off.

    Reads files; call it once per factory, not per connection.

    Raises:
        ConfigError: A store cannot be read, has the wrong password or type, or a cipher suite is unknown.
    """
    if not settings.ssl_enabled:
        return None
    if settings.use_default_ssl_context:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.enabled_protocols:
        versions = sorted(_VERSIONS[name] for name in settings.enabled_protocols)
        context.minimum_version, context.maximum_version = versions[0], versions[-1]
    if settings.enabled_cipher_suites:
        _set_ciphers(context, settings.enabled_cipher_suites)
    if settings.trust_all:
        _log.warning("trustAll=true: the broker's certificate is not checked, anyone can pose as the broker")
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.check_hostname = settings.verify_host
        _load_trust(context, settings)
        if settings.crl_path is not None:
            _load_revoked(context, settings.crl_path)
    if settings.key_store_path is None and settings.private_key_path is not None:
        raise ConfigError(
            "privateKeyPath", settings.private_key_path, "needs keyStorePath, the file of its certificate"
        )
    if settings.key_store_path is not None:
        _load_identity(context, settings, settings.key_store_path)
    return context


def _load_trust(context: ssl.SSLContext, settings: TLSSettings) -> None:
    path = settings.trust_store_path
    if path is None:
        context.load_default_certs()
        return
    content = _read("trustStorePath", path)
    match _kind("trustStore", path, settings.trust_store_type, content):
        case "PKCS12":
            store = _open_pkcs12("trustStore", path, content, settings.trust_store_password)
            certificates = [entry.certificate for entry in store.additional_certs]
            if store.cert is not None:
                certificates.append(store.cert.certificate)
            if not certificates:
                raise ConfigError("trustStorePath", path, "holds no certificate")
            from cryptography.hazmat.primitives.serialization import Encoding

            data = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
        case "PEMCFG":
            sources = _pem_sources("trustStorePath", path, content)
            data = b"\n".join(_read("trustStorePath", source) for source in sources["source.cert"])
        case _:
            data = content
    try:
        context.load_verify_locations(cadata=data.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as exc:
        raise ConfigError("trustStorePath", path, f"holds no usable certificate: {_text(exc)}") from exc
    # As in Java: what is in the trust store is trusted, whether or not it is the root of its chain.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _load_revoked(context: ssl.SSLContext, path: str) -> None:
    _read("crlPath", path)
    before = context.cert_store_stats()["crl"]
    try:
        context.load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError) as exc:
        raise ConfigError("crlPath", path, f"holds no usable revocation list: {_text(exc)}") from exc
    if context.cert_store_stats()["crl"] == before:
        raise ConfigError("crlPath", path, "holds no revocation list")
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _load_identity(context: ssl.SSLContext, settings: TLSSettings, path: str) -> None:
    content = _read("keyStorePath", path)
    kind = _kind("keyStore", path, settings.key_store_type, content)
    if settings.private_key_path is not None and kind != "PEM":
        raise ConfigError("privateKeyPath", settings.private_key_path, f"is for a certificate in PEM, not for {kind}")
    match kind:
        case "PKCS12":
            store = _open_pkcs12("keyStore", path, content, settings.key_store_password)
            _load_pkcs12_identity(context, settings, path, store)
        case "PEMCFG":
            sources = _pem_sources("keyStorePath", path, content)
            if not sources["source.key"]:
                raise ConfigError("keyStorePath", path, "names no source.key")
            _load_chain(context, path, sources["source.cert"][0], sources["source.key"][0], settings.key_store_password)
        case _:
            key = settings.private_key_path
            if key is not None:
                _read("privateKeyPath", key)
            _load_chain(context, path, path, key, settings.key_store_password)


def _load_pkcs12_identity(
    context: ssl.SSLContext, settings: TLSSettings, path: str, store: PKCS12KeyAndCertificates
) -> None:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    if store.key is None or store.cert is None:
        raise ConfigError("keyStorePath", path, "holds no private key with its certificate")
    alias = (store.cert.friendly_name or b"").decode("utf-8", "replace")
    if settings.key_store_alias is not None and settings.key_store_alias.lower() != alias.lower():
        raise ConfigError("keyStoreAlias", settings.key_store_alias, f"the key in {path} is named {alias!r}")
    password = secrets.token_hex(32)
    key = store.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
    chain = [store.cert, *store.additional_certs]
    # mkstemp makes the file with mode 0600; load_cert_chain reads files only.
    descriptor, name = tempfile.mkstemp(prefix="activeclient-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key + b"".join(entry.certificate.public_bytes(Encoding.PEM) for entry in chain))
        _load_chain(context, path, name, None, password)
    finally:
        os.unlink(name)


def _load_chain(context: ssl.SSLContext, path: str, cert: str, key: str | None, password: str | None) -> None:
    try:
        # Always a password: without one OpenSSL asks the terminal for it.
        context.load_cert_chain(cert, key, password=password or "")
    except (ssl.SSLError, OSError, ValueError) as exc:
        rule = f"no usable key and certificate, or keyStorePassword is wrong: {_text(exc)}"
        raise ConfigError("keyStorePath", path, rule) from None


def _read(key: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_STORE + 1)
    except OSError as exc:
        raise ConfigError(key, path, f"cannot be read: {exc.strerror}") from exc
    if len(content) > MAX_STORE:
        raise ConfigError(key, path, f"must be at most {MAX_STORE} bytes")
    return content


def _kind(which: str, path: str, declared: str | None, content: bytes) -> str:
    """PEM, PEMCFG or PKCS12: as declared, else by what the file begins with.

    JKS as declared type means nothing: it is Artemis' default, and Java itself opens PKCS12 stores under that name.
    """
    if content.startswith(_JKS_MAGIC):
        target = Path(path).with_suffix(".p12").name
        command = f"keytool -importkeystore -srckeystore {Path(path).name} -destkeystore {target} -deststoretype PKCS12"
        raise ConfigError(
            f"{which}Path", path, f"is a Java key store (JKS), which only Java reads; convert it: {command}"
        )
    if declared is not None and declared != "JKS":
        return declared
    if b"-----BEGIN " in content:
        return "PEM"
    if re.search(rb"^\s*source\.(cert|key)", content, re.MULTILINE):
        return "PEMCFG"
    if content.startswith(b"\x30"):
        return "PKCS12"
    raise ConfigError(f"{which}Path", path, "is neither PEM, PEMCFG nor PKCS12")


def _open_pkcs12(which: str, path: str, content: bytes, password: str | None) -> PKCS12KeyAndCertificates:
    try:
        from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12
    except ImportError as exc:
        rule = "PKCS12 stores need the package cryptography: pip install activeclient[tls]; or convert the store to PEM"
        raise ConfigError(f"{which}Path", path, rule) from exc
    try:
        return load_pkcs12(content, None if password is None else password.encode())
    except ValueError:
        # Its text differs by version and says no more; nothing of the password may come along as a cause.
        rule = f"is no PKCS12 store, or {which}Password is wrong"
        raise ConfigError(f"{which}Path", path, rule) from None


def _pem_sources(key: str, path: str, content: bytes) -> dict[str, list[str]]:
    """The files that a PEMCFG file names: `source.key=...`, `source.cert=...`, `source.cert.2=...`."""
    found: dict[str, list[str]] = {"source.key": [], "source.cert": []}
    try:
        entries = javaproperties.loads(content.decode("latin-1"))
    except ValueError as exc:
        raise ConfigError(key, path, "is no properties file") from exc
    for name, value in entries.items():
        for prefix, files in found.items():
            if name == prefix or name.startswith(prefix + "."):
                # Relative to the file itself, so that the directory can be moved as one.
                files.append(str(Path(path).parent / value.strip()))
    if not found["source.cert"]:
        raise ConfigError(key, path, "names no source.cert")
    return found


def _set_ciphers(context: ssl.SSLContext, suites: tuple[str, ...]) -> None:
    """TLS 1.2 suites; those of TLS 1.3 (TLS_AES_..., TLS_CHACHA20_...) are always on in Python."""
    names = [_openssl_name(suite) for suite in suites if not re.match("TLS_(AES|CHACHA20)_", suite)]
    if not names:
        return
    for suite, name in zip([s for s in suites if not re.match("TLS_(AES|CHACHA20)_", s)], names, strict=True):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers(name)
        except ssl.SSLError as exc:
            raise ConfigError("enabledCipherSuites", suite, "is unknown to this OpenSSL") from exc
    context.set_ciphers(":".join(names))


def _openssl_name(suite: str) -> str:
    """OpenSSL's name for Java's: TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 is ECDHE-RSA-AES128-GCM-SHA256."""
    found = re.fullmatch("(?:TLS|SSL)_(.+)_WITH_(.+)", suite)
    if found is None:
        return suite
    cipher = re.sub(r"(AES|CAMELLIA|ARIA)_(\d+)", r"\1\2", found[2]).replace("_CBC", "").replace("_", "-")
    cipher = cipher.removesuffix("-SHA256") if cipher.startswith("CHACHA20-POLY1305") else cipher
    exchange = "" if found[1] == "RSA" else found[1].replace("_", "-") + "-"
    return exchange + cipher


def _text(exc: Exception) -> str:
    return str(getattr(exc, "reason", None) or getattr(exc, "strerror", None) or exc)
