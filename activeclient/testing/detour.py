"""The URL of a broker by way of a link that breaks.

Law of this file: everything that the URL says stays, and certificates are still those of the broker, not of the link.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from activeclient.errors import ConfigError
from activeclient.urls import parse_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from activeclient.events import Endpoint
    from activeclient.testing.cutter import Cutter


def endpoint_of(url: str) -> Endpoint:
    """Where the first host of a URL listens.

    Raises:
        ConfigError: The URL is wrong, or what it names cannot be reached by TCP.
    """
    parsed = parse_url(url)
    if parsed.scheme != "tcp":
        raise ConfigError("url", f"{parsed.scheme}://...", "must be tcp://host:port: only sockets can be cut")
    return parsed.endpoints[0]


def detour(url: str, cutter: Cutter, defaults: Mapping[str, str] | None = None) -> str:
    """`url` with its first host replaced by the cutter, which leads there.

    Args:
        defaults: Parameters for a URL that does not say otherwise.
    """
    endpoint = endpoint_of(url)
    parameters = {**(defaults or {}), **parse_url(url).parameters, **dict(endpoint.parameters)}
    if parameters.get("sslEnabled"):
        parameters.setdefault("sniHost", endpoint.host)
    return f"{cutter.url()}?{urlencode(parameters)}" if parameters else cutter.url()
