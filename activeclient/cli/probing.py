"""Looking at what a URL reaches: each host, each of its addresses, TLS, the login, and the broker behind it.

Law of this file: it reports, it does not judge; every step has a time limit, nothing is changed on the broker, and a
step that fails is a line of the report, not an error.
"""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from activeclient.client.management import Management
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.drivers.tls import server_hostname, tls_context
from activeclient.errors import (
    ActiveClientError,
    CallTimeout,
    ConnectionLost,
    JMSError,
    JMSSecurityError,
    OutageTimeout,
)
from activeclient.events import Endpoint
from activeclient.settings import Settings
from activeclient.urls import endpoint_settings

PROBE_WINDOW = 1024 * 1024
"""confirmationWindowSize of the login: with less the broker would not be asked whether it reattaches."""


@dataclass(slots=True)
class Address:
    """One address of a host, and whether TCP opens."""

    text: str
    milliseconds: float | None = None
    error: str | None = None


@dataclass(slots=True)
class Encryption:
    """A TLS handshake."""

    milliseconds: float | None = None
    version: str | None = None
    cipher: str | None = None
    expires_in_days: int | None = None
    """Of the broker's certificate; None when it is not verified, and so not looked at."""
    error: str | None = None


@dataclass(slots=True)
class Node:
    """One node of the broker's cluster, as the broker tells clients of it."""

    id: str
    live: str | None
    """`host:port`; None: of a broker that stands alone."""
    backup: str | None
    """`host:port` of the broker that takes over for it; None: none stands by."""


@dataclass(slots=True)
class Broker:
    """What answered the login."""

    milliseconds: float = 0.0
    protocol: int = 0
    reattaches: bool | None = None
    version: str | None = None
    """This and the rest by management messages: None where the user may not send any, or the broker does not say."""
    node_id: str | None = None
    ttl_override: int | None = None
    """Milliseconds that count instead of every client's connectionTTL; -1 none."""
    max_delivery_attempts: int | None = None
    management_error: str | None = None
    nodes: list[Node] = field(default_factory=list)
    """Its cluster; empty when it did not tell in time."""


@dataclass(slots=True)
class Host:
    """One host of the URL."""

    name: str
    local: bool = False
    """Are all of its addresses this machine's own?"""
    addresses: list[Address] = field(default_factory=list)
    error: str | None = None
    """Why no connection can be made: the name, TCP, TLS or the protocol."""
    tls: Encryption | None = None
    broker: Broker | None = None
    denied: str | None = None
    """Why the login was refused."""


def probe(scheme: str, endpoint: Endpoint, common: Settings, timeout: float) -> Host:
    """Look at one host; takes a few times `timeout` seconds at most."""
    settings = endpoint_settings(endpoint, common)
    found = Host(str(endpoint) if scheme != "vm" else f"vm://{endpoint.host}")
    if scheme == "vm":
        found.local = True
    else:
        _resolve(found, endpoint, settings, timeout)
    if found.error is None:
        _log_in(found, scheme, endpoint, settings, timeout)
    return found


def _resolve(found: Host, endpoint: Endpoint, settings: Settings, timeout: float) -> None:
    try:
        known = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        found.error = f"host name not found ({error.strerror})"
        return
    except (OSError, UnicodeError) as error:
        found.error = f"not an address: {error}"
        return
    locals_ = []
    for family, kind, protocol, _, where in known:
        ip = str(where[0])
        address = Address(f"[{ip}]:{endpoint.port}" if ":" in ip else f"{ip}:{endpoint.port}")
        found.addresses.append(address)
        locals_.append(ip == "::1" or ip.startswith("127."))
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            try:
                sock = stack.enter_context(socket.socket(family, kind, protocol))
                sock.settimeout(timeout)
                sock.connect(where)
                address.milliseconds = _since(began)
                if settings.ssl_enabled and found.tls is None:
                    found.tls = _encrypt(sock, endpoint, settings)
            except OSError as error:
                address.error = "timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)
    found.local = all(locals_)
    if all(address.error is not None for address in found.addresses):
        found.error = "; ".join(f"{address.text}: {address.error}" for address in found.addresses)
        if len(found.addresses) == 1:
            found.error = found.addresses[0].error


def _encrypt(sock: socket.socket, endpoint: Endpoint, settings: Settings) -> Encryption:
    made = Encryption()
    began = time.monotonic()
    try:
        context = tls_context(settings.tls)
        assert context is not None
        with context.wrap_socket(sock, server_hostname=server_hostname(settings, endpoint.host)) as secured:
            made.milliseconds = _since(began)
            made.version = secured.version()
            cipher = secured.cipher()
            made.cipher = cipher[0] if cipher else None
            until = (secured.getpeercert() or {}).get("notAfter")
            if isinstance(until, str):
                made.expires_in_days = int((ssl.cert_time_to_seconds(until) - time.time()) // 86400)
    except (OSError, ValueError, ActiveClientError) as error:
        made.error = str(error)
    return made


def _log_in(found: Host, scheme: str, endpoint: Endpoint, settings: Settings, timeout: float) -> None:
    limit = int(timeout * 1000)
    probing = settings.replace(
        initial_connect_attempts=1,
        reconnect_profile="artemis",
        reconnect_attempts=0,
        failover_attempts=0,
        connect_timeout=limit,
        handshake_timeout=limit,
        call_timeout=limit,
        confirmation_window_size=PROBE_WINDOW,
    )
    began = time.monotonic()
    try:
        factory = ClientSessionFactory(probing, (endpoint,), scheme, random.Random())
    except ActiveClientError as error:  # a trust store that cannot be read, a scheme that nothing carries
        found.error = str(error)
        return
    with factory:
        try:
            factory.connect()
            with factory.create_session():
                engine = factory.engine
                found.broker = Broker(_since(began), engine.server_version, engine.reattaches)
                for node, live, backup in factory.nodes(timeout):
                    found.broker.nodes.append(Node(node, _place(live), _place(backup)))
                _ask(found.broker, factory, timeout)
        except JMSSecurityError as error:
            found.denied = str(error)
        except ActiveClientError as error:
            if found.broker is None:
                found.error = str(error)
            else:
                found.broker.management_error = str(error)


def _ask(broker: Broker, factory: ClientSessionFactory, timeout: float) -> None:
    """What only the broker knows; a user without permission `manage` gets nothing, which is no error."""
    try:
        with Management(factory, timeout=timeout) as management:
            broker.version = _text(_told(lambda: management.attribute("broker", "version")))
            broker.node_id = _text(_told(lambda: management.attribute("broker", "nodeID")))
            broker.ttl_override = _number(_told(lambda: management.attribute("broker", "connectionTTLOverride")))
            broker.max_delivery_attempts = _max_delivery_attempts(
                _told(lambda: management.invoke("broker", "getAddressSettingsAsJSON", "#"))
            )
    except ActiveClientError as error:
        broker.management_error = str(error)


def _told(ask: Callable[[], object]) -> object:
    """The answer; None from a broker that has none, which not every broker has to every question."""
    try:
        return ask()
    except (JMSSecurityError, ConnectionLost, CallTimeout, OutageTimeout):
        raise
    except JMSError:
        return None


def _max_delivery_attempts(settings: object) -> int | None:
    """That of addresses without settings of their own."""
    return _number(settings.get("maxDeliveryAttempts")) if isinstance(settings, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _place(endpoint: Endpoint | None) -> str | None:
    return None if endpoint is None else str(endpoint)


def _since(began: float) -> float:
    return (time.monotonic() - began) * 1000
