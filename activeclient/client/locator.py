"""Where connections come from: a URL and its settings (ServerLocator in the core API).

Law of this file: a locator holds no socket, no thread and no lock; it is cheap, can be copied and sent to another
process, and shows no secret. What is closed in one thread while another connects is closed all the same.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack, cast

from activeclient.arguments import text
from activeclient.client.closing import leave
from activeclient.client.policies import strategy_of
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.client.transports import GivenContext, with_context
from activeclient.errors import ClosedError, UnsettledError
from activeclient.events import Endpoint
from activeclient.java_names import no_attribute
from activeclient.masking import Secret, SecretURL, concealed, is_sensitive, never_raises
from activeclient.reconnection import ReconnectionStrategy
from activeclient.setting_keywords import SettingAttributes, SettingKeywords
from activeclient.settings import Settings, attributes
from activeclient.urls import check_encryption, masked, parse_url

if TYPE_CHECKING:
    import ssl

DEFAULT_URL = "tcp://localhost:61616"
TOPOLOGY_SECONDS = 1.0
"""How long after its opening a connection may take to be told of the cluster, before a second one is made without."""


class ServerLocator(SettingAttributes):
    """Makes session factories, each with a connection of its own.

    Args:
        url: A connection URL as Artemis knows it: `tcp://host:port?key=value&...`, or `(tcp://a:1,tcp://b:2)?...`.
        reconnection_strategy: Decides on each attempt to reconnect, instead of the settings: a
            `ReconnectionStrategy`, an object with `perform_reconnection(attempt)`, or tenacity's `Retrying` or wait.
        ssl_context: How TLS is spoken, instead of the settings for TLS: it switches TLS on. `sniHost` still counts.
        settings: Values by attribute name (`retry_interval=100`); they win over those of the URL.

    Raises:
        ConfigError: The URL or a setting is wrong; the text names key, value and rule.

    Every setting can be read and set as an attribute too (`locator.retry_interval`); setting one concerns later
    factories only.
    """

    _settings: Settings
    _endpoints: tuple[Endpoint, ...]
    _scheme: str
    _tls: GivenContext | None
    _encryption_said: bool
    """Was it said whether TLS is wanted? If not, settings that need it are an error."""
    _url: str
    _strategy: ReconnectionStrategy | None
    _closed: bool
    _factories: list[ClientSessionFactory]
    _rng: random.Random
    _turn: int
    _taste: int
    """A random number: which host RandomSticky sticks to."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        reconnection_strategy: object = None,
        ssl_context: ssl.SSLContext | None = None,
        **settings: Unpack[SettingKeywords],
    ) -> None:
        text("url", url)
        url, settings = SecretURL.of(url), cast("SettingKeywords", concealed(settings, attributes()))
        self._build(url, ssl_context, settings, None, reconnection_strategy)

    def _build(
        self,
        url: str,
        ssl_context: ssl.SSLContext | None,
        settings: Mapping[str, Any],
        profile: str | None,
        reconnection_strategy: object,
    ) -> None:
        parsed = parse_url(url)
        given = {*parsed.parameters, *settings}
        base = None if profile is None or "profile" in given else Settings().replace(profile=profile)
        found = parsed.settings(base)
        found = found.replace(**settings) if settings else found
        state = self.__dict__
        state["_tls"] = None
        if ssl_context is not None:
            found = with_context(found, parsed.endpoints, given)
            state["_tls"] = GivenContext(ssl_context)
        check_encryption(parsed.endpoints, found, given)
        state["_settings"] = found
        state["_encryption_said"] = ssl_context is not None or not given.isdisjoint(("sslEnabled", "ssl_enabled"))
        state["_endpoints"] = parsed.endpoints
        state["_scheme"] = parsed.scheme
        state["_url"] = masked(url)
        state["_strategy"] = strategy_of(reconnection_strategy)
        state["_closed"] = False
        state["_factories"] = []
        state["_rng"] = random.Random()
        state["_turn"] = state["_rng"].randrange(len(parsed.endpoints))
        state["_taste"] = state["_rng"].getrandbits(32)

    @classmethod
    def reliable(
        cls,
        url: str = DEFAULT_URL,
        *,
        reconnection_strategy: object = None,
        ssl_context: ssl.SSLContext | None = None,
        **settings: Unpack[SettingKeywords],
    ) -> Self:
        """A locator with the profile `reliable`, unless the URL or `settings` name another; their other values win."""
        url, settings = SecretURL.of(url), cast("SettingKeywords", concealed(settings, attributes()))
        made = cls.__new__(cls)
        made._build(url, ssl_context, settings, "reliable", reconnection_strategy)
        return made

    @property
    def settings(self) -> Settings:
        """The effective settings."""
        return self._settings

    @property
    def reconnection_strategy(self) -> ReconnectionStrategy | None:
        """What decides on attempts to reconnect, if not the settings; settable, for later factories."""
        return self._strategy

    @reconnection_strategy.setter
    def reconnection_strategy(self, given: object) -> None:
        self.__dict__["_strategy"] = strategy_of(given)

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            if name not in SettingKeywords.__annotations__:
                no_attribute(type(self), name, SettingKeywords.__annotations__)
            return getattr(self._settings, name)

        def __setattr__(self, name, value):
            if self._closed:
                raise ClosedError("the locator is closed")
            if name == "reconnection_strategy":
                object.__setattr__(self, name, value)
                return
            value = value if name in attributes() and not is_sensitive(name) else Secret.of(value)
            if name not in SettingKeywords.__annotations__:
                no_attribute(type(self), name, SettingKeywords.__annotations__, setting=True)
            if name == "ssl_enabled":
                self.__dict__["_encryption_said"] = True
            self.__dict__["_settings"] = self._settings.replace(**{name: value})

    def create_session_factory(self, *, wait: float | None = None) -> ClientSessionFactory:
        """Connect.

        Args:
            wait: Seconds to go on trying until a broker answers, instead of `initialConnectAttempts`.

        Raises:
            ConnectionLost: No endpoint could be reached within `initialConnectAttempts`; the text says why.
            ClosedError: The locator is closed, or was meanwhile.
        """
        if not self._encryption_said:
            check_encryption(self._endpoints, self._settings, ())
        policy, turn = self._settings.load_balancing_policy, self._turn
        self.__dict__["_turn"] += 1
        members = self._members()
        first = begin_with(policy, members, turn, self._rng, self._taste) if members else ()
        endpoints = begin_with(policy, self._endpoints, turn, self._rng, self._taste)
        factory = ClientSessionFactory(
            self._settings, endpoints, self._scheme, self._rng, self._tls, first, wait=wait, strategy=self._strategy
        )
        for ended in [known for known in self._factories if known.is_closed]:
            with contextlib.suppress(ValueError):  # another thread was quicker
                self._factories.remove(ended)
        try:
            self._factories.append(factory)
            if self._closed:  # asked only now: `close` in another thread has found the factory, or is seen here
                raise ClosedError("the locator is closed")
            factory.connect()
            return factory
        except BaseException:
            factory.abandon()
            raise

    def _members(self) -> tuple[Endpoint, ...]:
        """The brokers of the cluster, as a connection that stands was told of them: a new one may go to any of them."""
        if not self._settings.use_topology_for_load_balancing:
            return ()
        standing = [factory for factory in list(self._factories) if factory.is_connected]
        for factory in standing:
            # Only the oldest is waited for: a broker that tells nothing is not waited for each time.
            if members := factory._members(TOPOLOGY_SECONDS if factory is standing[0] else 0.0):
                return members
        return ()

    def close(self) -> None:
        """Close every factory that was made here; one that is still connecting raises ClosedError where it is made.

        Raises:
            UnsettledError: Something that was under way could not be settled. Every connection is closed all the same.
        """
        self.__dict__["_closed"] = True
        failures: list[UnsettledError] = []
        while self._factories:
            try:
                factory = self._factories.pop(0)
            except IndexError:  # another thread was quicker
                break
            try:
                factory.close()
            except UnsettledError as failure:
                failures.append(failure)
        if failures:
            raise failures[0] if len(failures) == 1 else UnsettledError.of("the locator", failures)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_factories": []}  # connections stay with the locator that made them

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<ServerLocator {self._url}>"


def begin_with(
    policy: str, endpoints: tuple[Endpoint, ...], turn: int, rng: random.Random, taste: int = 0
) -> tuple[Endpoint, ...]:
    """The hosts in the order in which a connection tries them (connectionLoadBalancingPolicyClassName).

    Args:
        turn: Counts the connections of a locator, from a random number on: where RoundRobin begins.
        taste: Which host RandomSticky begins with, whatever other hosts are known when it is asked.
    """
    match policy:
        case "FirstElement":
            first = 0
        case "Random":
            first = rng.randrange(len(endpoints))
        case "RandomSticky":
            # A host keeps its rank among whichever others: the cluster may be known to the second connection only.
            ranks = [hash((taste, endpoint.host.lower(), endpoint.port)) for endpoint in endpoints]
            first = ranks.index(max(ranks))
        case _:
            first = turn % len(endpoints)
    return endpoints[first:] + endpoints[:first]
