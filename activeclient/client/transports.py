"""Which scheme is carried by what: the one place that knows schemes.

Law of this file: a scheme is a row here; nothing else asks for one by name.
"""

from __future__ import annotations

from collections.abc import Callable

from activeclient.drivers.threads import CancelToken, Opener, Transport
from activeclient.drivers.transport import open_transport
from activeclient.errors import ConfigError
from activeclient.events import Endpoint
from activeclient.settings import Settings


def _tcp(settings: Settings) -> Opener:
    context = None
    if settings.ssl_enabled:
        from activeclient.drivers.tls import tls_context  # half of the start-up time of a connection without TLS

        context = tls_context(settings.tls)

    def open_tcp(endpoint: Endpoint, timeout: float, cancel: CancelToken) -> Transport:
        return open_transport(
            endpoint,
            timeout,
            tls=context,
            server_hostname=settings.sni_host or endpoint.host,
            send_buffer=settings.tcp_send_buffer_size,
            receive_buffer=settings.tcp_receive_buffer_size,
            local_address=(settings.local_address or "", settings.local_port)
            if settings.local_address or settings.local_port
            else None,
            cancel=cancel,
        )

    return open_tcp


SCHEMES: dict[str, Callable[[Settings], Opener]] = {"tcp": _tcp}


def opener(scheme: str, settings: Settings) -> Opener:
    """What opens transports for a scheme.

    Raises:
        ConfigError: No transport of this release carries the scheme.
    """
    make = SCHEMES.get(scheme)
    if make is None:
        raise ConfigError("scheme", scheme, f"not available; available are {', '.join(sorted(SCHEMES))}")
    return make(settings)
