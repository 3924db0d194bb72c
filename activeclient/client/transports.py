"""Which scheme is carried by what: the one place that knows schemes.

Law of this file: a scheme is a row here; nothing else asks for one by name.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import TYPE_CHECKING, Final

from activeclient.drivers.ports import CancelToken, Opener, Transport
from activeclient.drivers.transport import open_transport
from activeclient.errors import ConfigError
from activeclient.events import Endpoint
from activeclient.parameter import declared
from activeclient.settings import Settings, TLSSettings
from activeclient.urls import endpoint_settings

if TYPE_CHECKING:
    import ssl


_BESIDE_CONTEXT: Final = ("ssl_enabled", "sni_host")
"""TLS settings that count beside a context of the user's own."""


class GivenContext:
    """A TLS context of the user's own; copies of what holds it share it."""

    __slots__ = ("context",)

    def __init__(self, context: ssl.SSLContext) -> None:
        import ssl

        if not isinstance(context, ssl.SSLContext):
            raise ConfigError("ssl_context", None, f"must be an ssl.SSLContext, not {type(context).__name__}")
        if context.protocol is ssl.PROTOCOL_TLS_SERVER:
            raise ConfigError("ssl_context", None, "is one for servers; make one with ssl.create_default_context()")
        self.context: ssl.SSLContext = context

    def __deepcopy__(self, memo: object) -> GivenContext:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("an ssl_context cannot be sent to another process; use trustStorePath and keyStorePath instead")


def with_context(settings: Settings, endpoints: Sequence[Endpoint], given: Container[str]) -> Settings:
    """The settings beside a TLS context of the user's own: TLS is on.

    Raises:
        ConfigError: One of them says something that the context decides.
    """
    made = settings if "sslEnabled" in given or "ssl_enabled" in given else settings.replace(ssl_enabled=True)
    for each in (made, *(endpoint_settings(endpoint, made) for endpoint in endpoints)):
        if not each.ssl_enabled:
            raise ConfigError("ssl_context", None, "sslEnabled=false says that TLS is not wanted")
        for parameter in declared(TLSSettings):
            changed = getattr(each, parameter.attribute) != parameter.default
            if changed and parameter.attribute not in _BESIDE_CONTEXT:
                raise ConfigError(parameter.key, None, "has no effect beside ssl_context, which decides that")
    return made


def _tcp(common: Settings, given: GivenContext | None) -> Opener:
    contexts: dict[TLSSettings, ssl.SSLContext | None] = {}

    def context_of(settings: Settings) -> ssl.SSLContext | None:
        if not settings.ssl_enabled:
            return None
        if given is not None:
            return given.context
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
            identity=None if given is not None else settings.key_store_path is not None,
            handshake_timeout=settings.handshake_timeout / 1000,
            no_delay=settings.tcp_no_delay,
            server_hostname=settings.sni_host or endpoint.host,
            send_buffer=settings.tcp_send_buffer_size,
            receive_buffer=settings.tcp_receive_buffer_size,
            local_address=(settings.local_address or "", settings.local_port)
            if settings.local_address or settings.local_port
            else None,
            cancel=cancel,
        )

    return open_tcp


def _vm(_: Settings, __: GivenContext | None) -> Opener:
    def open_in_memory(endpoint: Endpoint, timeout: float, cancel: CancelToken) -> Transport:
        from activeclient.broker.embedded import open_vm  # nobody else pays for the broker

        return open_vm(endpoint.host)

    return open_in_memory


SCHEMES: dict[str, Callable[[Settings, GivenContext | None], Opener]] = {"tcp": _tcp, "vm": _vm}


def opener(scheme: str, settings: Settings, tls: GivenContext | None = None) -> Opener:
    """What opens transports for a scheme.

    Args:
        tls: How TLS is spoken, instead of what the settings say of it.

    Raises:
        ConfigError: No transport of this release carries the scheme.
    """
    make = SCHEMES.get(scheme)
    if make is None:
        raise ConfigError("scheme", scheme, f"not available; available are {', '.join(sorted(SCHEMES))}")
    return make(settings, tls)
