"""Which scheme is carried by what: the one place that knows schemes.

Law of this file: a scheme is a row here; nothing else asks for one by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from activeclient.drivers.ports import CancelToken, Opener, Transport
from activeclient.drivers.transport import open_transport
from activeclient.errors import ConfigError
from activeclient.events import Endpoint
from activeclient.settings import Settings, TLSSettings
from activeclient.urls import endpoint_settings

if TYPE_CHECKING:
    import ssl


def _tcp(common: Settings) -> Opener:
    contexts: dict[TLSSettings, ssl.SSLContext | None] = {}

    def context_of(settings: Settings) -> ssl.SSLContext | None:
        if not settings.ssl_enabled:
            return None
        if settings.tls not in contexts:
            from activeclient.drivers.tls import tls_context  # nobody else pays for its import

            contexts[settings.tls] = tls_context(settings.tls)
        return contexts[settings.tls]

    context_of(common)  # a wrong store is told at once, not by the first attempt

    def open_tcp(endpoint: Endpoint, timeout: float, cancel: CancelToken) -> Transport:
        settings = endpoint_settings(endpoint, common) if endpoint.parameters else common
        return open_transport(
            endpoint,
            timeout,
            tls=context_of(settings),
            server_hostname=settings.sni_host or endpoint.host,
            send_buffer=settings.tcp_send_buffer_size,
            receive_buffer=settings.tcp_receive_buffer_size,
            local_address=(settings.local_address or "", settings.local_port)
            if settings.local_address or settings.local_port
            else None,
            cancel=cancel,
        )

    return open_tcp


def _vm(_: Settings) -> Opener:
    def open_in_memory(endpoint: Endpoint, timeout: float, cancel: CancelToken) -> Transport:
        from activeclient.broker.embedded import open_vm  # nobody else pays for the broker

        return open_vm(endpoint.host)

    return open_in_memory


SCHEMES: dict[str, Callable[[Settings], Opener]] = {"tcp": _tcp, "vm": _vm}


def opener(scheme: str, settings: Settings) -> Opener:
    """What opens transports for a scheme.

    Raises:
        ConfigError: No transport of this release carries the scheme.
    """
    make = SCHEMES.get(scheme)
    if make is None:
        raise ConfigError("scheme", scheme, f"not available; available are {', '.join(sorted(SCHEMES))}")
    return make(settings)
