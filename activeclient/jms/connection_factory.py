"""Where connections come from in JMS's terms (ActiveMQConnectionFactory), and the short way, `connect`.

Law of this file: a factory holds no socket and shows no secret; what a connection got from it does not change any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar, Unpack, cast

from activeclient.client.locator import ServerLocator
from activeclient.java_names import no_attribute
from activeclient.jms.connection import Connection, acknowledge_mode
from activeclient.jms.context import JMSContext
from activeclient.jms.modes import AcknowledgeMode
from activeclient.jms.serializers import JSON_ONLY, Serializer, Serializers
from activeclient.jms.times import Duration, timeout_seconds
from activeclient.masking import Secret, SecretURL, concealed, is_sensitive, never_raises
from activeclient.reconnection import ReconnectionStrategy
from activeclient.setting_keywords import SettingAttributes, SettingKeywords
from activeclient.settings import Settings, attributes
from activeclient.urls import default_parameters, default_url

if TYPE_CHECKING:
    import ssl

C = TypeVar("C", bound=Connection)


class ActiveMQConnectionFactory(SettingAttributes):
    """Makes connections.

    Args:
        url: A connection URL as Artemis knows it; without one that of the environment variable ACTIVECLIENT_URL, else
            `tcp://localhost:61616`, as AMQ_HOST, AMQ_PORT, AMQ_USER and AMQ_PASSWORD of the environment change it.
        serializers: Those of object messages, besides JSON; the first one serializes new messages.
        reconnection_strategy: Decides on each attempt to reconnect, instead of the settings: a
            `ReconnectionStrategy`, an object with `perform_reconnection(attempt)`, or tenacity's `Retrying` or wait.
        ssl_context: How TLS is spoken, instead of the settings for TLS: it switches TLS on. `sniHost` still counts.
        settings: Values by attribute name (`retry_interval=100`); they win over those of the URL.

    Every setting can be read and set as an attribute too: `factory.reconnect_attempts = -1` concerns the connections
    that are made later.

    Raises:
        ConfigError: The URL or a setting is wrong; the text names key, value and rule.
    """

    _locator: ServerLocator
    serializers: Serializers
    """By which its connections turn the objects of object messages into bytes and back; JSON alone unless set."""

    def __init__(
        self,
        url: str | None = None,
        *,
        serializers: Serializers | Iterable[Serializer] = JSON_ONLY,
        reconnection_strategy: object = None,
        ssl_context: ssl.SSLContext | None = None,
        **settings: Unpack[SettingKeywords],
    ) -> None:
        if url is None:
            url = default_url()
            settings = cast("SettingKeywords", {**default_parameters(), **settings})
        url, settings = SecretURL.of(url), cast("SettingKeywords", concealed(settings, attributes()))
        self.__dict__["_locator"] = ServerLocator(
            url, reconnection_strategy=reconnection_strategy, ssl_context=ssl_context, **settings
        )
        self.serializers = Serializers.of(serializers)

    @classmethod
    def of(
        cls, locator: ServerLocator, *, serializers: Serializers | Iterable[Serializer] = JSON_ONLY
    ) -> ActiveMQConnectionFactory:
        """A factory with the URL and the settings of a locator."""
        made = cls.__new__(cls)
        made.__dict__["_locator"] = locator
        made.serializers = Serializers.of(serializers)
        return made

    @property
    def settings(self) -> Settings:
        """All settings."""
        return self._locator.settings

    @property
    def reconnection_strategy(self) -> ReconnectionStrategy | None:
        """What decides on attempts to reconnect, if not the settings; settable, for later connections."""
        return self._locator.reconnection_strategy

    @reconnection_strategy.setter
    def reconnection_strategy(self, given: object) -> None:
        self._locator.reconnection_strategy = given

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            if name not in SettingKeywords.__annotations__:
                no_attribute(type(self), name, SettingKeywords.__annotations__)
            return getattr(self._locator, name)

        def __setattr__(self, name, value):
            if name == "serializers":
                self.__dict__[name] = Serializers.of(value)
                return
            known = name in attributes() or name == "reconnection_strategy"
            value = value if known and not is_sensitive(name) else Secret.of(value)
            if name not in SettingKeywords.__annotations__ and name != "reconnection_strategy":
                no_attribute(type(self), name, SettingKeywords.__annotations__, setting=True)
            setattr(self._locator, name, value)

    def create_connection(
        self,
        user: str | None = None,
        password: str | None = None,
        *,
        client_id: str | None = None,
        wait: Duration | None = None,
    ) -> Connection:
        """Connect. The connection delivers nothing before it is started.

        With `type=XA_CF` (or `QUEUE_XA_CF`, `TOPIC_XA_CF`) it is an `XAConnection`, which has XA sessions too.

        Args:
            user: Instead of the settings' user.
            password: Instead of the settings' password.
            client_id: Instead of the settings' client id.
            wait: Seconds or a timedelta to go on trying, for brokers that come later; None: `initialConnectAttempts`.

        Raises:
            JMSSecurityError: Wrong credentials; never tried again.
            InvalidClientIDError: Another connection has the client id.
            ConnectionLost: No endpoint could be reached within `wait`, or `initialConnectAttempts`; the text says why.
        """
        password = Secret.of(password)
        return self._connect(self._kind(), user, password, client_id, wait)

    def _kind(self) -> type[Connection]:
        """The class of connections that the setting `type` means."""
        if "XA" not in self.settings.factory_type:
            return Connection
        from activeclient.jms.xa import XAConnection  # it imports this module

        return XAConnection

    def create_context(
        self,
        mode: int = AcknowledgeMode.AUTO_ACKNOWLEDGE,
        *,
        user: str | None = None,
        password: str | None = None,
        client_id: str | None = None,
        wait: Duration | None = None,
    ) -> JMSContext:
        """Connect, for the simplified API: a connection and a session in one object, which closes both.

        Args:
            mode: An `AcknowledgeMode`, or its number.
            user: This and the next three: as for `create_connection`.

        Raises:
            JMSError: No such mode.
            JMSSecurityError: Wrong credentials.
            InvalidClientIDError: Another connection has the client id.
            ConnectionLost: No endpoint could be reached within `initialConnectAttempts`; the text says why.
        """
        password = Secret.of(password)
        kind = acknowledge_mode(mode)
        connection = self._connect(self._kind(), user, password, client_id, wait)
        try:
            return JMSContext.of(connection, kind)
        except BaseException:
            connection.factory.abandon()
            raise

    def _connect(
        self,
        kind: type[C],
        user: str | None,
        password: str | None,
        client_id: str | None,
        wait: Duration | None = None,
    ) -> C:
        password = Secret.of(password)
        limit = None if wait is None else timeout_seconds("wait", wait)
        factory = self._locator.create_session_factory(wait=limit)
        try:
            connection = kind(factory, user, password, client_id)
            connection.serializers = self.serializers
            return connection
        except BaseException:
            factory.abandon()
            raise

    @never_raises
    def __repr__(self) -> str:
        return repr(self._locator).replace("ServerLocator", "ActiveMQConnectionFactory", 1)


def connect(
    url: str | None = None,
    *,
    wait: Duration | None = None,
    serializers: Serializers | Iterable[Serializer] = JSON_ONLY,
    reconnection_strategy: object = None,
    ssl_context: ssl.SSLContext | None = None,
    **settings: Unpack[SettingKeywords],
) -> Connection:
    """A started connection that outlives cuts: the profile `reliable`, unless the URL says otherwise.

    Args:
        url: A connection URL as Artemis knows it; its parameters win over the profile's. Without one: as for
            `ActiveMQConnectionFactory`.
        wait: Seconds or a timedelta to go on trying, for a broker that comes later; None fails at once when no broker
            answers (unless `initialConnectAttempts` says otherwise).
        serializers: Those of object messages, besides JSON; the first one serializes new messages.
        reconnection_strategy: As for `ActiveMQConnectionFactory`.
        ssl_context: How TLS is spoken, instead of the settings for TLS: it switches TLS on.
        settings: Values by attribute name (`user="me", password="..."`); they win over those of the URL.

    Raises:
        ConfigError: The URL or a setting is wrong.
        JMSSecurityError: Wrong credentials.
        ConnectionLost: No endpoint could be reached, within `wait` if given.
    """
    if url is None:
        url = default_url()
        settings = cast("SettingKeywords", {**default_parameters(), **settings})
    url, settings = SecretURL.of(url), cast("SettingKeywords", concealed(settings, attributes()))
    locator = ServerLocator.reliable(
        url, reconnection_strategy=reconnection_strategy, ssl_context=ssl_context, **settings
    )
    factory = ActiveMQConnectionFactory.of(locator, serializers=serializers)
    connection = factory.create_connection(wait=wait)
    try:
        return connection.start()
    except BaseException:
        connection.factory.abandon()
        raise
