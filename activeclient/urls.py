"""Connection URLs: text to hosts and parameters, nothing opened or looked up.

Law of this file: every text ends in a `ParsedURL` or in a `ConfigError`, and no text that comes out of here (error,
repr, log) shows a password. The forms are those of Artemis' URI schema: `tcp://host:port?k=v`,
`tcp://a:1?k=v#tcp://b:2`, `(tcp://a:1,tcp://b:2)?k=v`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote_plus

from activeclient.errors import ConfigError
from activeclient.events import Endpoint
from activeclient.foreign_urls import SCHEMES as FOREIGN_SCHEMES
from activeclient.foreign_urls import mistake
from activeclient.masking import MASK, PUBLIC_KEYS, SECRET_KEYS, Secret, SecretURL, kind_of, masked, never_raises
from activeclient.settings import Settings, TLSSettings, TransportSettings, parameters

__all__ = [
    "DEFAULT_PORTS",
    "Endpoint",
    "ParsedURL",
    "brokers_of",
    "check_encryption",
    "default_parameters",
    "default_url",
    "endpoint_settings",
    "masked",
    "parse_url",
]

DEFAULT_PORTS: Final = {"tcp": 61616, "vm": 0}
"""Scheme to the port when the URL names none: those of Artemis' generated acceptors. vm has no ports."""
MAX_URL: Final = 16384
"""Characters of a URL: far beyond any list of hosts, and short enough to be put into an error."""
MAX_HOSTS: Final = 256

Error = Callable[[str], ConfigError]
"""Makes the error for a broken rule."""

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://")
_HOST: Final = re.compile(r"[\w.-]{1,253}")
_BETWEEN_HOSTS: Final = re.compile(r",(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_BLANKS_BETWEEN: Final = re.compile(r"\s*,\s+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
_SECOND_MARK: Final = re.compile(r"\?([A-Za-z0-9.-]+)=")
_BOM: Final = "\ufeff"
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_COMMON_KEYS: Final = frozenset(
    key
    for p in parameters()
    if p.group not in (TransportSettings.__name__, TLSSettings.__name__)
    for key in (p.key, *p.aliases)
)
"""Keys that say something about the connection as a whole and thus cannot differ between its hosts."""


def _shown(texts: Mapping[str, str]) -> dict[str, str]:
    known = PUBLIC_KEYS | SECRET_KEYS  # what is no key may be a piece of a password
    return {key if key in known else MASK: value if key in PUBLIC_KEYS else MASK for key, value in texts.items()}


@dataclass(frozen=True, slots=True)
class ParsedURL:
    """A connection URL taken apart."""

    scheme: str
    """tcp or vm."""
    endpoints: tuple[Endpoint, ...]
    """At least one, in the order of the URL."""
    parameters: Mapping[str, str]
    """Those of all hosts, decoded, in the order of the URL; not yet checked: `settings` does that."""

    @never_raises
    def __repr__(self) -> str:
        return f"ParsedURL({self.scheme!r}, {self.endpoints!r}, {_shown(self.parameters)})"

    def settings(self, base: Settings | None = None) -> Settings:
        """The settings of the URL on top of `base`.

        Raises:
            ConfigError: A parameter, a host's own ones included, is unknown or breaks its rule.
        """
        common = Settings.from_parameters(self.parameters, base)
        for endpoint in self.endpoints:
            endpoint_settings(endpoint, common)
        return common


def brokers_of(endpoints: Iterable[Endpoint]) -> int:
    """Count the brokers that endpoints name: different hosts and ports."""
    return len({(endpoint.host.lower(), endpoint.port) for endpoint in endpoints})


def endpoint_settings(endpoint: Endpoint, common: Settings) -> Settings:
    """The settings for one host: the common ones, changed by its own parameters."""
    return Settings.from_parameters(dict(endpoint.parameters), base=common) if endpoint.parameters else common


def check_encryption(endpoints: Iterable[Endpoint], settings: Settings, given: Iterable[str]) -> None:
    """Refuse TLS settings where nobody has said whether TLS is wanted.

    Args:
        given: The keys and attributes that were named for all hosts.

    Raises:
        ConfigError: One is there, and sslEnabled nowhere: the connection would be open to everybody.
    """
    endpoints = tuple(endpoints)
    named = {*given, *(key for endpoint in endpoints for key, _ in endpoint.parameters)}
    if named & {"sslEnabled", "ssl_enabled"}:
        return
    for endpoint in endpoints:
        key = endpoint_settings(endpoint, settings).unused_tls_key
        if key is not None:
            raise ConfigError(key, None, "needs sslEnabled=true; without it the connection would not be encrypted")


def parse_url(url: str) -> ParsedURL:
    """Take a connection URL apart.

    Values are decoded as forms (`+` is a blank), `;` separates like `&`, the last of repeated keys wins.

    Args:
        url: One host, or several in parentheses or behind `#`; the port defaults to 61616.

    Raises:
        ConfigError: The text is not such a URL; key `url`, the value with passwords masked.
    """
    if not isinstance(url, str):
        raise ConfigError("url", None, f"must be text, not {kind_of(url)}")
    url = SecretURL(url)
    try:
        return _parsed(str(url))
    except ConfigError as exc:
        problem = exc
    # Without the frames in which the URL lies about in pieces: some tools show the values of local variables.
    raise problem.with_traceback(None)


def _parsed(url: str) -> ParsedURL:
    def error(rule: str) -> ConfigError:
        return ConfigError("url", masked(url), rule)

    if len(url) > MAX_URL:
        raise error(f"must be at most {MAX_URL} characters")
    text = url.strip().removeprefix(_BOM).lstrip()
    if not text:
        raise error("must not be empty; for example tcp://localhost:61616")
    wrong = mistake(text)
    if wrong is not None:
        raise error(wrong)
    text = _BLANKS_BETWEEN.sub(",", text).replace(";", "&")
    if any(c.isspace() or not c.isprintable() for c in text):
        raise error("must not contain blanks or control characters; write a blank in a value as %20 or +")

    parenthesised = text.startswith("(")
    if parenthesised:
        inner, closing, rest = text[1:].partition(")")
        if not closing:
            raise error("the parenthesis is not closed")
        if rest and rest[0] not in "?#":
            raise error("only ?parameters and #hosts may follow the closing parenthesis")
        rest, _, fragment = rest.partition("#")
        hosts, query = _BETWEEN_HOSTS.split(inner), rest[1:]
    else:
        main, _, fragment = text.partition("#")
        head, mark, query = main.partition("?")
        hosts = [head]
        if not mark and "&" in head and "=" in head:
            raise error("parameters begin with ?, and & stands between them: tcp://host:port?a=1&b=2")
        if _BETWEEN_HOSTS.search(main):
            raise error("several hosts need parentheses: (tcp://a:61616,tcp://b:61616)?parameters")
    if fragment:
        hosts += _BETWEEN_HOSTS.split(fragment)
    if len(hosts) > MAX_HOSTS:
        raise error(f"must name at most {MAX_HOSTS} hosts")

    common = _parameters(query, error)
    scheme = ""
    endpoints: list[Endpoint] = []
    for index, host in enumerate(hosts):
        address, _, own_query = host.partition("?")
        own = _parameters(own_query, error)
        found = _SCHEME.match(address)
        if found is None:
            raise error("each host needs its scheme: tcp://host:port")
        name = found[1].lower()
        if name in FOREIGN_SCHEMES:
            raise error(f"{name}: {FOREIGN_SCHEMES[name]}")
        if name not in DEFAULT_PORTS:
            raise error(f"unknown scheme {name}; known are {' and '.join(DEFAULT_PORTS)}: tcp://host:port, vm://name")
        if scheme and name != scheme:
            raise error(f"the hosts must have one scheme, not {scheme} and {name}")
        scheme = name
        for key in [key for key in own if key in _COMMON_KEYS]:
            if index:
                raise error(f"{key} is for all hosts: write it behind the list, not behind one of them")
            # As in Artemis: what stands at the first host counts for all, unless the common part says otherwise.
            common.setdefault(key, own.pop(key))
        host_name, port = _address(address[found.end() :], scheme, error)
        endpoints.append(Endpoint(host=host_name, port=port, parameters=tuple(own.items())))
    return ParsedURL(scheme, tuple(endpoints), MappingProxyType(common))


def _parameters(query: str, error: Error) -> dict[str, str]:
    """The decoded `k=v&k=v`; a key without a value has the empty text."""
    found: dict[str, str] = {}
    for part in query.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        if _BAD_PERCENT.search(part):
            raise error("% must be followed by two hexadecimal digits; write % itself as %25")
        try:
            key, text = unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
        except UnicodeDecodeError:
            raise error("%xx sequences must be UTF-8") from None
        if not key:
            raise error("a parameter has no name")
        second = _SECOND_MARK.search(value)
        if second is not None and (second[1] in PUBLIC_KEYS or second[1] in SECRET_KEYS):
            raise error("parameters are separated by &, not by another ?; in a value write ? as %3F")
        found.pop(key, None)
        known = key in PUBLIC_KEYS or key in SECRET_KEYS  # else it may be a piece of a password itself
        found[key if known else Secret(key)] = text if key in PUBLIC_KEYS else Secret(text)
    return found


def _address(text: str, scheme: str, error: Error) -> tuple[str, int]:
    """Host and port of what stands between :// and ?."""
    if "@" in text:
        raise error("user and password do not belong before the host; write ?user=...&password=...")
    text = text.removesuffix("/")
    if "/" in text:
        raise error("a path after the host has no meaning")
    if "," in text:
        raise error("several hosts need parentheses, and each its scheme: (tcp://a:61616,tcp://b:61616)?parameters")
    if text.startswith("["):
        host, closing, port = text[1:].partition("]")
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise error("what stands in brackets must be an IPv6 address") from None
        if not closing or (port and not port.startswith(":")):
            raise error("after the brackets only :port may follow")
        has_port, port = bool(port), port[1:]
    else:
        if text.count(":") > 1:
            raise error("an IPv6 address needs brackets: tcp://[::1]:61616")
        host, colon, port = text.partition(":")
        has_port = bool(colon)
        if not host:
            raise error("the host is missing")
        if not _HOST.fullmatch(host):
            raise error("the host must be a name or an address")
    if not has_port:
        return host, DEFAULT_PORTS[scheme]
    if scheme == "vm":
        raise error("vm has no ports: vm://name")
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise error("the port must be a number between 1 and 65535")
    return host, int(port)


URL_VARIABLE = "ACTIVECLIENT_URL"
"""Environment variable with the connection URL of factories and commands that are given none."""


def default_url(environ: Mapping[str, str] | None = None) -> str:
    """The URL of a factory that was given none: ACTIVECLIENT_URL of the environment, else `tcp://localhost:61616`,
    changed by AMQ_HOST and AMQ_PORT.

    `BROKER_BIND_URL` replaces the whole of the latter. The names are those of Artemis' DefaultConnectionProperties,
    which reads them as Java system properties; here they are environment variables, also with `org.apache.activemq.`
    before.
    """
    environ = os.environ if environ is None else environ
    own = environ.get(URL_VARIABLE)
    if own:
        return own
    host = _variable(environ, "AMQ_HOST") or "localhost"
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    bound = _variable(environ, "BROKER_BIND_URL")
    return SecretURL(bound) if bound else f"tcp://{host}:{_variable(environ, 'AMQ_PORT') or 61616}"


def default_parameters(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """User and password of a factory that was given no URL: AMQ_USER and AMQ_PASSWORD, as `default_url` finds them.

    None where ACTIVECLIENT_URL names the user itself.
    """
    environ = os.environ if environ is None else environ
    if "user" in parse_url(default_url(environ)).parameters:
        return {}
    found = (("user", _variable(environ, "AMQ_USER")), ("password", _variable(environ, "AMQ_PASSWORD")))
    return {key: Secret(value) if key == "password" else value for key, value in found if value is not None}


def _variable(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name) or environ.get(f"org.apache.activemq.{name}") or None
