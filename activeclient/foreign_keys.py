"""Keys that Artemis knows and this client has no setting for.

Law of this file: a Java user's URL works here, or fails with the reason: what changes nothing is accepted and logged
once; what would change something is an error as soon as it is switched on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, NamedTuple

from activeclient.errors import ConfigError
from activeclient.masking import PUBLIC_KEYS, is_sensitive

_log = logging.getLogger("activeclient.settings")


class Refusal(NamedTuple):
    """Why a parameter of Artemis cannot be switched on here."""

    harmless: tuple[str, ...]
    """Texts, in lower case, that leave it switched off."""
    reason: str


_POOLS: Final = "Java thread pools"
_NETTY: Final = "internals of Netty"
_NEVER: Final = "this client never deserializes Java objects"
_ACCEPTOR: Final = "a setting of the broker's acceptors"
_DISCOVERY: Final = "discovery by multicast is not supported; list the hosts"

KNOWN_UNUSED: Final[Mapping[str, str]] = {
    "failoverOnInitialConnection": "without effect in Artemis too",
    "initialMessagePacketSize": "size of a Java buffer",
    "ignoreJTA": "Java EE only",
    "protocolManagerFactoryStr": "HornetQ compatibility of the Java client",
    "useGlobalPools": _POOLS,
    "threadPoolMaxSize": _POOLS,
    "scheduledThreadPoolMaxSize": _POOLS,
    "flowControlThreadPoolMaxSize": _POOLS,
    "deserializationAllowList": _NEVER,
    "deserializationDenyList": _NEVER,
    "deserializationWhiteList": _NEVER,
    "deserializationBlackList": _NEVER,
    "host": "host and port come from the URL",
    "port": "host and port come from the URL",
    "handshake-timeout": "the broker's limit; ours is handshakeTimeout",
    "useNio": _NETTY,
    "useEpoll": _NETTY,
    "useKQueue": _NETTY,
    "useGlobalWorkerPool": _NETTY,
    "useNioGlobalWorkerPool": _NETTY,
    "nioRemotingThreads": _NETTY,
    "remotingThreads": _NETTY,
    "batchDelay": _NETTY,
    "activemqServerName": "a name in Java's management",
    "sslProvider": "Python has one TLS provider, OpenSSL",
    "forceSSLParameters": "no Java system properties are read, so the URL's always count",
    "keyStoreProvider": "a Java security provider",
    "trustStoreProvider": "a Java security provider",
    "httpClientIdleTime": "HTTP tunnels are not supported",
    "httpClientIdleScanPeriod": "HTTP tunnels are not supported",
    "httpRequiresSessionId": "HTTP tunnels are not supported",
    "httpUpgradeEndpoint": "HTTP tunnels are not supported",
    "servletPath": "HTTP tunnels are not supported",
    "socksHost": "SOCKS proxies are not supported",
    "socksPort": "SOCKS proxies are not supported",
    "socksVersion": "SOCKS proxies are not supported",
    "socksUsername": "SOCKS proxies are not supported",
    "socksPassword": "SOCKS proxies are not supported",
    "socksRemoteDNS": "SOCKS proxies are not supported",
    "groupAddress": _DISCOVERY,
    "groupPort": _DISCOVERY,
    "localBindAddress": _DISCOVERY,
    "localBindPort": _DISCOVERY,
    "refreshTimeout": _DISCOVERY,
    "discoveryInitialWaitTimeout": _DISCOVERY,
    "stoppingTimeout": _DISCOVERY,
    "protocols": _ACCEPTOR,
    "directDeliver": _ACCEPTOR,
    "backlog": _ACCEPTOR,
    "needClientAuth": _ACCEPTOR,
    "wantClientAuth": _ACCEPTOR,
    "router": _ACCEPTOR,
    "connectionsAllowed": _ACCEPTOR,
    "securityDomain": _ACCEPTOR,
}
"""Keys that Artemis knows and that change nothing here, with the reason: accepted, so that a Java user's URL works."""

_OFF: Final = ("false", "no", "n", "off", "0")

UNSUPPORTED: Final[Mapping[str, Refusal]] = {
    "httpEnabled": Refusal(_OFF, "HTTP tunnels are not supported"),
    "httpUpgradeEnabled": Refusal(_OFF, "HTTP tunnels are not supported"),
    "useServlet": Refusal(_OFF, "HTTP tunnels are not supported"),
    "socksEnabled": Refusal(_OFF, "SOCKS proxies are not supported"),
    "trustManagerFactoryPlugin": Refusal(("",), "is a Java class; trust is decided by the trust store"),
    "ocspResponderURL": Refusal(("",), "OCSP is not supported; use crlPath"),
    "crcOptions": Refusal(("",), "Java's revocation options are not supported; use crlPath"),
    "passwordCodec": Refusal(("",), "is a Java class; give a plain password"),
    "activemq.usemaskedpassword": Refusal(_OFF, "masked passwords are not supported"),
    "activemq.passwordcodec": Refusal(("",), "is a Java class; give a plain password"),
    "incomingInterceptorList": Refusal(("",), "interceptors are Java classes and not supported"),
    "outgoingInterceptorList": Refusal(("",), "interceptors are Java classes and not supported"),
}
"""Keys that Artemis knows and that would change what happens: an error when switched on, else accepted."""

PUBLIC_KEYS.update(key for key in (*KNOWN_UNUSED, *UNSUPPORTED) if not is_sensitive(key))

_UNUSED_PREFIXES: Final = {"nettyHttpHeader.": "HTTP tunnels are not supported"}


def tolerated(key: str, text: str) -> bool:
    """Whether a key without declaration may stand; logs once that it changes nothing."""
    refusal = UNSUPPORTED.get(key)
    if refusal is not None:
        if text.strip().lower() not in refusal.harmless:
            raise ConfigError(key, None, refusal.reason)
        return True
    reason = KNOWN_UNUSED.get(key)
    if reason is None:
        prefix = next((prefix for prefix in _UNUSED_PREFIXES if key.startswith(prefix)), None)
        if prefix is None:
            return False
        key, reason = prefix + "*", _UNUSED_PREFIXES[prefix]
    log_once(logging.INFO, f"{key} changes nothing here: {reason}")
    return True


_logged: set[str] = set()
_LOGGED_LIMIT: Final = 1000
"""Texts remembered as logged; numbers in warnings make them open-ended. When full, everything is forgotten."""


def log_once(level: int, text: str) -> None:
    """Log a text, the first time that it comes."""
    if text not in _logged:
        if len(_logged) >= _LOGGED_LIMIT:
            _logged.clear()
        _logged.add(text)
        _log.log(level, "%s", text)
