"""Where connections come from: a URL and its settings (ServerLocator in the core API).

Law of this file: a locator holds no socket, no thread and no lock; it is cheap, can be copied and sent to another
process, and shows no secret. What is closed in one thread while another connects is closed all the same.
"""

from __future__ import annotations

import contextlib
import random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from activeclient.client.policies import strategy_of
from activeclient.client.session_factory import ClientSessionFactory
from activeclient.errors import ClosedError
from activeclient.events import Endpoint
from activeclient.reconnection import ReconnectionStrategy
from activeclient.settings import Settings
from activeclient.urls import masked, parse_url

if TYPE_CHECKING:
    from activeclient.setting_keywords import SettingKeywords

DEFAULT_URL = "tcp://localhost:61616"


class ServerLocator:
    """Makes session factories, each with a connection of its own.

    Args:
        url: A connection URL as Artemis knows it: `tcp://host:port?key=value&...`, or `(tcp://a:1,tcp://b:2)?...`.
        reconnection_strategy: Decides on each attempt to reconnect, instead of the settings: a
            `ReconnectionStrategy`, an object with `perform_reconnection(attempt)`, or tenacity's `Retrying` or wait.
        settings: Values by attribute name (`retry_interval=100`); they win over those of the URL.

    Raises:
        ConfigError: The URL or a setting is wrong; the text names key, value and rule.

    Every setting can be read and set as an attribute too (`locator.retry_interval`); setting one concerns later
    factories only.
    """

    _settings: Settings
    _endpoints: tuple[Endpoint, ...]
    _scheme: str
    _url: str
    _strategy: ReconnectionStrategy | None
    _closed: bool
    _factories: list[ClientSessionFactory]
    _rng: random.Random
    _turn: int

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        reconnection_strategy: object = None,
        **settings: Unpack[SettingKeywords],
    ) -> None:
        parsed = parse_url(url)
        found = parsed.settings()
        state = self.__dict__
        state["_settings"] = found.replace(**settings) if settings else found
        state["_endpoints"] = parsed.endpoints
        state["_scheme"] = parsed.scheme
        state["_url"] = masked(url)
        state["_strategy"] = strategy_of(reconnection_strategy)
        state["_closed"] = False
        state["_factories"] = []
        state["_rng"] = random.Random()
        state["_turn"] = state["_rng"].randrange(len(parsed.endpoints))

    @classmethod
    def reliable(
        cls,
        url: str = DEFAULT_URL,
        *,
        reconnection_strategy: object = None,
        **settings: Unpack[SettingKeywords],
    ) -> Self:
        """A locator with the profile `reliable`, unless the URL or `settings` name another; their other values win."""
        made = cls(url, reconnection_strategy=reconnection_strategy)
        parameters = parse_url(url).parameters
        if "profile" not in parameters and "profile" not in settings:
            made.__dict__["_settings"] = Settings.from_parameters(parameters, Settings().replace(profile="reliable"))
        if settings:
            made.__dict__["_settings"] = made.settings.replace(**settings)
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

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._settings, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._closed:
            raise ClosedError("the locator is closed")
        if name == "reconnection_strategy":
            object.__setattr__(self, name, value)
            return
        self.__dict__["_settings"] = self._settings.replace(**{name: value})

    def create_session_factory(self, *, wait: float | None = None) -> ClientSessionFactory:
        """Connect.

        Args:
            wait: Seconds to go on trying until a broker answers, instead of `initialConnectAttempts`.

        Raises:
            ConnectionLost: No endpoint could be reached within `initialConnectAttempts`; the text says why.
            ClosedError: The locator is closed, or was meanwhile.
        """
        endpoints = begin_with(self._settings.load_balancing_policy, self._endpoints, self._turn, self._rng)
        self.__dict__["_turn"] += 1
        factory = ClientSessionFactory(
            self._settings, endpoints, self._scheme, self._rng, wait=wait, strategy=self._strategy
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

    def close(self) -> None:
        """Close every factory that was made here; one that is still connecting raises ClosedError where it is made."""
        self.__dict__["_closed"] = True
        while self._factories:
            try:
                factory = self._factories.pop(0)
            except IndexError:  # another thread was quicker
                return
            factory.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_factories": []}  # connections stay with the locator that made them

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ServerLocator {self._url}>"


def begin_with(policy: str, endpoints: tuple[Endpoint, ...], turn: int, rng: random.Random) -> tuple[Endpoint, ...]:
    """The hosts in the order in which a connection tries them (connectionLoadBalancingPolicyClassName).

    Args:
        turn: Counts the connections of a locator, from a random number on: where RoundRobin and RandomSticky begin.
    """
    match policy:
        case "FirstElement":
            first = 0
        case "Random":
            first = rng.randrange(len(endpoints))
        case "RandomSticky":
            first = hash(endpoints) % len(endpoints)
        case _:
            first = turn % len(endpoints)
    return endpoints[first:] + endpoints[:first]
