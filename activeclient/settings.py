"""Every setting of the client, declared once as data.

Law of this file: a setting is one `param()`; URL keys, `jndi.properties` values, keyword arguments, checks, masking and
documentation derive from it. A value that breaks its rule never becomes another value: it is a `ConfigError` that names
key, value and rule. Milliseconds and bytes as in Artemis; `seconds()` is the one conversion.

The groups are plain frozen dataclasses, and `Settings` inherits from all of them: so every setting is a typed attribute
of `Settings`, and `Settings` can be handed to whoever asks for a group.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from activeclient.errors import ConfigError
from activeclient.foreign_keys import KNOWN_UNUSED, UNSUPPORTED, log_once, tolerated
from activeclient.masking import MASK, PUBLIC_KEYS, concealed, is_sensitive
from activeclient.parameter import INT, LONG, Group, Parameter, Value, declared, param, seconds

__all__ = [
    "MASK",
    "PROFILES",
    "Conflict",
    "HeartbeatSettings",
    "JMSSettings",
    "ReconnectSettings",
    "SecuritySettings",
    "Settings",
    "TLSSettings",
    "TopologySettings",
    "TransportSettings",
    "WindowSettings",
    "attributes",
    "explain_cut",
    "parameters",
    "seconds",
]


@dataclass(frozen=True, kw_only=True, repr=False)
class ReconnectSettings(Group):
    """How a lost connection is won back, and how long calls wait for it."""

    retry_interval: int = param(
        2000, "retryInterval", "Pause before the second attempt; the first is immediate.", unit="ms", low=1
    )
    retry_interval_multiplier: float = param(
        1.0,
        "retryIntervalMultiplier",
        "Growth of the pause per failed attempt.",
        aliases=("multiplier",),
        check=lambda v: 1 <= v <= 1000,
        must=">= 1 and <= 1000",
    )
    max_retry_interval: int = param(
        2000, "maxRetryInterval", "Upper limit of every pause, the first included.", unit="ms", low=1
    )
    retry_jitter: float = param(
        0.0,
        "retryJitter",
        "Largest part of a pause that is taken off at random: with 0.2 it is 80 % to 100 %. Not in Artemis.",
        check=lambda v: 0 <= v <= 1,
        must="between 0 and 1",
    )
    reconnect_attempts: int = param(
        0,
        "reconnectAttempts",
        "Attempts to come back to the broker or its backup after a cut; 0 none, -1 for ever.",
        low=0,
        off=-1,
    )
    initial_connect_attempts: int = param(
        1,
        "initialConnectAttempts",
        "Rounds over all hosts at the first connect; 0 means 1, -1 for ever.",
        low=0,
        off=-1,
    )
    failover_attempts: int = param(
        0,
        "failoverAttempts",
        "Rounds over the other brokers once `reconnectAttempts` are used up: those of the cluster "
        "(`useTopologyForLoadBalancing`), else those of the URL; -1 for ever.",
        low=0,
        off=-1,
    )
    reconnect_profile: str = param(
        "artemis",
        "reconnectProfile",
        "The design of reconnection: its options and their defaults. Not in Artemis.",
        choices=("artemis", "diffusion", "rtmp"),
    )
    reconnection_timeout: int = param(
        60000,
        "reconnectionTimeout",
        "reconnectProfile=diffusion: how long a lost connection is tried for, and how long the broker is asked to keep"
        " its sessions; the lower of both sides counts; 0 does not reconnect. Not in Artemis.",
        unit="ms",
        low=0,
    )
    recovery_buffer_size: int = param(
        128,
        "recoveryBufferSize",
        "reconnectProfile=diffusion: so many messages that were sent and are not confirmed are kept, on both sides, and"
        " `confirmationWindowSize` bytes at most. Beyond that the oldest leave, and no sender waits; a reconnection"
        " that needs one of them is aborted. Not in Artemis.",
        unit="messages",
        low=1,
    )
    reconnect_period: int = param(
        5000,
        "reconnectPeriod",
        "reconnectProfile=rtmp: pause before each attempt; below 100 nothing is reconnected. Not in Artemis.",
        unit="ms",
        low=0,
        high=INT,
    )
    unlimited_reconnect: bool = param(
        False, "unlimitedReconnect", "reconnectProfile=rtmp: attempts never end. Not in Artemis."
    )
    call_timeout: int = param(
        30000, "callTimeout", "How long a blocking call waits for its answer while connected.", unit="ms", low=1
    )
    call_failover_timeout: int = param(
        30000,
        "callFailoverTimeout",
        "How long a call waits for the connection to come back; -1 for ever.",
        unit="ms",
        low=0,
        off=-1,
    )
    handshake_timeout: int = param(
        10000,
        "handshakeTimeout",
        "How long a new connection may take to answer as a CORE server, apart from `callTimeout`. Not in Artemis.",
        unit="ms",
        low=1,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class HeartbeatSettings(Group):
    """How a silent connection is found out."""

    client_failure_check_period: int = param(
        30000,
        "clientFailureCheckPeriod",
        "Pause between pings; -1 sends none. Must be shorter than `connectionTTL`.",
        unit="ms",
        low=1,
        off=-1,
    )
    connection_ttl: int = param(
        60000,
        "connectionTTL",
        "Silence after which either side gives the connection up; how long a cut-off session is kept; -1 never.",
        unit="ms",
        low=1,
        off=-1,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class WindowSettings(Group):
    """What may be under way: unconfirmed commands, credits, batches, large messages."""

    confirmation_window_size: int = param(
        -1,
        "confirmationWindowSize",
        "Commands kept until they are confirmed, so that a session can be reattached; -1 none: every cut recreates.",
        unit="bytes",
        low=0,
        off=-1,
    )
    duplicate_detection: bool = param(
        False,
        "duplicateDetection",
        "Every durable message carries a duplicate id (`_AMQ_DUPL_ID`), so sending again cannot duplicate it. "
        "Not in Artemis.",
    )
    producer_window_size: int = param(
        65536,
        "producerWindowSize",
        "Credits asked for at once per address; the default grows to 1 MiB while the broker keeps up; -1 needs none.",
        unit="bytes",
        low=1,
        off=-1,
    )
    consumer_window_size: int = param(
        1048576, "consumerWindowSize", "Messages fetched ahead; 0 none, -1 unlimited.", unit="bytes", low=0, off=-1
    )
    producer_max_rate: int = param(
        -1, "producerMaxRate", "Limit of a producer; -1 none.", unit="messages/s", low=1, off=-1
    )
    consumer_max_rate: int = param(
        -1, "consumerMaxRate", "Limit of a consumer; -1 none.", unit="messages/s", low=1, off=-1
    )
    ack_batch_size: int = param(
        1048576, "ackBatchSize", "Core API: acknowledgements are collected up to this size.", unit="bytes", low=0
    )
    dups_ok_batch_size: int = param(
        1048576,
        "dupsOKBatchSize",
        "DUPS_OK_ACKNOWLEDGE: acknowledgements are collected up to this size.",
        unit="bytes",
        low=0,
    )
    transaction_batch_size: int = param(
        1048576,
        "transactionBatchSize",
        "Transacted sessions: acknowledgements are collected up to this size.",
        unit="bytes",
        low=0,
    )
    block_on_durable_send: bool = param(True, "blockOnDurableSend", "A durable send waits for the server's answer.")
    block_on_non_durable_send: bool = param(
        False, "blockOnNonDurableSend", "A non-durable send waits for the server's answer."
    )
    block_on_acknowledge: bool = param(False, "blockOnAcknowledge", "An acknowledgement waits for the server's answer.")
    pre_acknowledge: bool = param(
        False, "preAcknowledge", "The server acknowledges before it delivers: what is lost on the way is lost."
    )
    auto_group: bool = param(False, "autoGroup", "Each producer sets a message group of its own.")
    group_id: str | None = param(None, "groupID", "The message group set on every message.")
    min_large_message_size: int = param(
        102400, "minLargeMessageSize", "Bodies above it travel in pieces, as large messages.", unit="bytes", low=1
    )
    max_large_message_size: int = param(
        256 * 1024 * 1024,
        "maxLargeMessageSize",
        "Largest body that is read into memory as a whole, inflated if it was compressed; -1 no limit. A larger one"
        " fails when it is read, and can be read as a stream. Not in Artemis.",
        unit="bytes",
        low=1,
        off=-1,
        high=LONG,
    )
    compress_large_message: bool = param(False, "compressLargeMessage", "Large bodies are sent compressed (deflate).")
    compression_level: int = param(
        -1, "compressionLevel", "Level of that compression; -1 leaves it to zlib.", low=-1, high=9
    )
    cache_large_messages_client: bool = param(
        False,
        "cacheLargeMessagesClient",
        "A large message's body is received into a temporary file when it is first asked for: `open_body` reads that, "
        "again and in any order.",
    )
    close_timeout: int = param(
        10000,
        "closeTimeout",
        "How long closing waits, while the connection is won back too, for what is under way to be confirmed: sends,"
        " acknowledgements, commits. What is not confirmed then is reported by an `UnsettledError`. Not in Artemis.",
        unit="ms",
        low=0,
    )
    on_message_close_timeout: int = param(
        10000, "onMessageCloseTimeout", "How long close waits for a running message listener.", unit="ms", low=0
    )


_POLICIES: Final = ("RoundRobin", "Random", "RandomSticky", "FirstElement")
_POLICY_PACKAGE: Final = "org.apache.activemq.artemis.api.core.client.loadbalance."


def _policy(text: str) -> str:
    """A load-balancing policy's short name, from its Java class name or the short name itself."""
    return text.removeprefix(_POLICY_PACKAGE).removesuffix("ConnectionLoadBalancingPolicy")


@dataclass(frozen=True, kw_only=True, repr=False)
class TopologySettings(Group):
    """Which broker of several."""

    ha: bool = param(
        False,
        "ha",
        "Forget brokers of the cluster when they are said to have left. A backup that the broker names is used after a "
        "failure in any case, as in Artemis; `ha=false&useTopologyForLoadBalancing=false` stays with the URL's hosts.",
        aliases=("HA",),
    )
    use_topology_for_load_balancing: bool = param(
        True,
        "useTopologyForLoadBalancing",
        "Choose among the brokers that the cluster names: for further connections of one factory, and for "
        "`failoverAttempts`; false stays with the hosts of the URL (NAT, proxies).",
    )
    load_balancing_policy: str = param(
        "RoundRobin",
        "connectionLoadBalancingPolicyClassName",
        "Which host a connection begins with: the four class names of Artemis, or their short names.",
        choices=_POLICIES,
        convert=_policy,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class TransportSettings(Group):
    """Sockets and frames."""

    connect_timeout: int = param(
        -1,
        "connect-timeout-millis",
        "How long TCP may take to connect; -1 as long as `connectionTTL`.",
        unit="ms",
        low=1,
        off=-1,
    )
    tcp_no_delay: bool = param(True, "tcpNoDelay", "Small packets leave at once (TCP_NODELAY).")
    tcp_send_buffer_size: int = param(
        1048576,
        "tcpSendBufferSize",
        "The socket's send buffer; -1 leaves it to the system.",
        unit="bytes",
        low=1,
        off=-1,
    )
    tcp_receive_buffer_size: int = param(
        1048576,
        "tcpReceiveBufferSize",
        "The socket's receive buffer; -1 leaves it to the system.",
        unit="bytes",
        low=1,
        off=-1,
    )
    local_address: str | None = param(None, "localAddress", "The address to connect from.")
    local_port: int = param(0, "localPort", "The port to connect from; 0 any.", low=0, high=65535)
    write_buffer_low_water_mark: int = param(
        32768, "writeBufferLowWaterMark", "Unwritten bytes at which senders go on.", unit="bytes", low=0
    )
    write_buffer_high_water_mark: int = param(
        131072, "writeBufferHighWaterMark", "Unwritten bytes at which senders wait.", unit="bytes", low=1
    )
    max_frame_size: int = param(
        104857600,
        "maxFrameSize",
        "Largest packet that is received; a longer one ends the connection. Not in Artemis.",
        unit="bytes",
        low=1024,
    )
    linger: float = param(
        1.0,
        "linger",
        "How long small writes may wait for company; 0 writes each at once. Not in Artemis.",
        unit="ms",
        low=0,
        high=1000,
    )


_STORES: Final = ("PEM", "PEMCFG", "PKCS12", "JKS")


def _store_type(text: str) -> str:
    return {"P12": "PKCS12", "PFX": "PKCS12"}.get(text.upper(), text.upper())


@dataclass(frozen=True, kw_only=True, repr=False)
class TLSSettings(Group):
    """Encryption, whom we trust, and who we are."""

    ssl_enabled: bool = param(False, "sslEnabled", "Connect with TLS.")
    trust_store_path: str | None = param(
        None, "trustStorePath", "File with the authorities that we trust; the system's when absent."
    )
    trust_store_password: str | None = param(None, "trustStorePassword", "Its password.", secret=True)
    trust_store_type: str | None = param(
        None,
        "trustStoreType",
        "PEM, PEMCFG or PKCS12; guessed from the file's name when absent.",
        choices=_STORES,
        convert=_store_type,
    )
    key_store_path: str | None = param(
        None, "keyStorePath", "File with our certificate and its key, for servers that ask for one."
    )
    private_key_path: str | None = param(
        None,
        "privateKeyPath",
        "PEM file with the key, when that of `keyStorePath` holds the certificate alone. Not in Artemis.",
    )
    key_store_password: str | None = param(
        None, "keyStorePassword", "The password of the key store, or of the key.", secret=True
    )
    key_store_type: str | None = param(
        None,
        "keyStoreType",
        "PEM, PEMCFG or PKCS12; guessed from the file's name when absent.",
        choices=_STORES,
        convert=_store_type,
    )
    key_store_alias: str | None = param(None, "keyStoreAlias", "The entry's name in a PKCS12 key store; checked.")
    trust_all: bool = param(False, "trustAll", "Accept any certificate. For tests: anyone can pose as the broker.")
    verify_host: bool = param(True, "verifyHost", "The certificate must be for the host that we connect to.")
    sni_host: str | None = param(
        None, "sniHost", "Name told to the server, and expected in its certificate, instead of the URL's host."
    )
    enabled_protocols: tuple[str, ...] = param(
        (),
        "enabledProtocols",
        "TLS versions, such as TLSv1.2,TLSv1.3; Python's default when absent.",
        check=lambda v: set(v) <= {"TLSv1.2", "TLSv1.3"},
        must="TLSv1.2, TLSv1.3 or both (older ones are broken)",
    )
    enabled_cipher_suites: tuple[str, ...] = param(
        (), "enabledCipherSuites", "Cipher suites of TLS 1.2, in Java's or OpenSSL's names."
    )
    crl_path: str | None = param(
        None, "crlPath", "PEM file with revoked certificates; the server's is looked up in it."
    )
    use_default_ssl_context: bool = param(
        False, "useDefaultSslContext", "Python's default context instead of the stores and switches above."
    )


def _is_plain(password: str | None) -> bool:
    return password is None or not (password.startswith("ENC(") and password.endswith(")"))


@dataclass(frozen=True, kw_only=True, repr=False)
class SecuritySettings(Group):
    """Who we say we are to the broker."""

    user: str | None = param(None, "user", "User name of connections that are made without one.")
    password: str | None = param(
        None,
        "password",
        "Its password. Masked ones, ENC(...), are refused: nothing here can open them.",
        secret=True,
        check=_is_plain,
        must="a plain password: ENC(...) needs a Java codec",
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class JMSSettings(Group):
    """What the connection factory does in JMS's terms."""

    client_id: str | None = param(None, "clientID", "Client id of every connection.")
    enable_shared_client_id: bool = param(False, "enableSharedClientID", "Several connections may have one client id.")
    factory_type: str = param(
        "CF",
        "type",
        "Kind of factory: with XA in it, its connections have XA sessions too. QUEUE and TOPIC restrict nothing.",
        choices=("CF", "XA_CF", "QUEUE_CF", "QUEUE_XA_CF", "TOPIC_CF", "TOPIC_XA_CF"),
    )
    cache_destinations: bool = param(
        False, "cacheDestinations", "A session's `create_queue` and `create_topic` give one object for one name."
    )
    enable_1x_prefixes: bool = param(
        False, "enable1xPrefixes", "Addresses begin with jms.queue. and jms.topic., as 1.x brokers want."
    )


PROFILES: Final[Mapping[str, Mapping[str, Value]]] = {
    "artemis": {},
    "reliable": {
        "confirmation_window_size": 1048576,
        "reconnect_attempts": -1,
        "retry_interval": 50,
        "retry_interval_multiplier": 2.0,
        "max_retry_interval": 1000,
        "duplicate_detection": True,
        "producer_window_size": 1048576,
        "call_failover_timeout": 300_000,
    },
}
"""Profile to the settings that it changes. `artemis` is the manual's defaults. `reliable`: sessions are reattached,
attempts never end, calls wait five minutes for the connection (longer than a broker takes to restart or a backup to
take over), messages carry duplicate ids; a first connect that fails still fails at once."""


DESIGNS: Final[Mapping[str, Mapping[str, Value]]] = {
    "artemis": {},
    "diffusion": {"confirmation_window_size": 1048576, "duplicate_detection": True},
    "rtmp": {"reconnect_attempts": 5},
}
"""reconnectProfile to the settings that it changes, as those of a profile: whatever is given besides wins."""
OPTIONS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "artemis": (
        "retry_interval",
        "retry_interval_multiplier",
        "max_retry_interval",
        "retry_jitter",
        "failover_attempts",
    ),
    "diffusion": ("reconnection_timeout", "recovery_buffer_size"),
    "rtmp": ("reconnect_period", "unlimited_reconnect"),
}
"""reconnectProfile to the settings that mean something in it alone and are refused in the others. Artemis' own are
never refused: the first connect goes by them in every design."""


SHORTEST_PERIOD: Final = 100
"""Milliseconds; a shorter `reconnectPeriod` switches automatic reconnection off."""


class Conflict(NamedTuple):
    """Settings that do not go together."""

    text: str
    """Which, and what is done about it."""
    instead: Mapping[str, Value]
    """Attributes and values that settle it."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Settings(
    ReconnectSettings,
    HeartbeatSettings,
    WindowSettings,
    TopologySettings,
    TransportSettings,
    TLSSettings,
    SecuritySettings,
    JMSSettings,
):
    """All settings of a connection factory. Frozen; `replace` makes another one.

    `Settings(...)` takes `profile` as it is told, with no other setting changed by it; `replace(profile="reliable")`
    and `from_parameters({"profile": "reliable"})` bring the profile's values along.
    """

    profile: str = param(
        "artemis",
        "profile",
        "`reliable` sets what a connection needs that nobody notices break; keys of the same URL win. Not in Artemis.",
        choices=("artemis", "reliable"),
    )

    @property
    def reconnect(self) -> ReconnectSettings:
        """How a lost connection is won back."""
        return self

    @property
    def heartbeat(self) -> HeartbeatSettings:
        """How a silent connection is found out."""
        return self

    @property
    def windows(self) -> WindowSettings:
        """What may be under way."""
        return self

    @property
    def topology(self) -> TopologySettings:
        """Which broker of several."""
        return self

    @property
    def transport(self) -> TransportSettings:
        """Sockets and frames."""
        return self

    @property
    def tls(self) -> TLSSettings:
        """Encryption, whom we trust, and who we are."""
        return self

    @property
    def security(self) -> SecuritySettings:
        """Who we say we are to the broker."""
        return self

    @property
    def jms(self) -> JMSSettings:
        """What concerns the JMS API alone."""
        return self

    def replace(self, **by_attribute: Value) -> Settings:
        """These settings with some changed, named by attribute, checked again.

        A `profile` among them is applied first, so the others win over it.

        Raises:
            ConfigError: Unknown name (with the nearest known one), or a value that breaks its rule.
        """
        by_attribute = concealed(by_attribute, _BY_ATTRIBUTE)
        for name in by_attribute:
            if name not in _BY_ATTRIBUTE:
                raise ConfigError(name, None, _unknown(name, _BY_ATTRIBUTE))
        profile, design = by_attribute.get("profile"), by_attribute.get("reconnect_profile")
        from_profile = PROFILES.get(profile, {}) if isinstance(profile, str) else {}
        from_design: Mapping[str, Value] = {}
        if isinstance(design, str) and design in DESIGNS:
            from_design = {**self._without_design(), **DESIGNS[design]}
        # The declarations check every value; dataclasses.replace cannot express that in types.
        made = dataclasses.replace(self, **{**from_profile, **from_design, **by_attribute})  # type: ignore[arg-type]
        made._check_design()
        return made

    def _without_design(self) -> dict[str, Value]:
        """The values that undo the present design: its options, and what it brought along and is unchanged."""
        design = self.reconnect_profile
        undone = [*OPTIONS_OF.get(design, ())]
        undone += [name for name, value in DESIGNS[design].items() if getattr(self, name) == value]
        before = PROFILES[self.profile]
        return {name: before.get(name, _BY_ATTRIBUTE[name].default) for name in undone}

    def _check_design(self) -> None:
        """Refuse what has no meaning in the chosen design of reconnection."""
        design = self.reconnect_profile
        for other in ("diffusion", "rtmp"):
            for name in OPTIONS_OF[other] if other != design else ():
                parameter = _BY_ATTRIBUTE[name]
                value = getattr(self, name)
                if value != parameter.default:
                    raise ConfigError(
                        parameter.key,
                        value,
                        f"is an option of reconnectProfile={other}, and the profile is {design}",
                    )
        if design == "diffusion" and self.reconnect_attempts not in (0, -1):
            raise ConfigError(
                "reconnectAttempts",
                self.reconnect_attempts,
                "has no meaning in reconnectProfile=diffusion: reconnectionTimeout ends the series",
            )
        if design == "rtmp" and self.reconnect_attempts < 0:
            raise ConfigError(
                "reconnectAttempts",
                self.reconnect_attempts,
                "must be 0 or more in reconnectProfile=rtmp; unlimitedReconnect=true never ends",
            )

    @classmethod
    def from_parameters(cls, texts: Mapping[str, str], base: Settings | None = None) -> Settings:
        """Settings from keys and texts as a URL or a properties file has them; of a repeated setting the last wins.

        Keys that Artemis knows and this client has no use for are accepted and logged once. Doubtful combinations
        (`warnings`) are logged.

        Args:
            base: What the keys change; the defaults when absent.

        Raises:
            ConfigError: Unknown key (with the nearest known one), a value that breaks its rule, or a feature switched
                on that this client does not have.
        """
        texts = concealed(texts, PUBLIC_KEYS)
        changes: dict[str, Value] = {}
        secret_before = False
        for key, text in texts.items():
            parameter = _BY_KEY.get(key)
            if parameter is not None:
                changes[parameter.attribute] = parameter.parse(text)
            elif not tolerated(key, text):
                rule = _unknown(key, {**_BY_KEY, **KNOWN_UNUSED, **UNSUPPORTED})
                if secret_before and (not text or rule == "unknown parameter"):
                    del texts, key
                    raise ConfigError("url", None, _UNSHOWN)
                raise ConfigError(str(key)[:100], None, rule)
            secret_before = secret_before or is_sensitive(key)
        made = (base if base is not None else cls()).replace(**changes)
        for warning in made.warnings():
            log_once(logging.WARNING, warning)
        return made

    @property
    def unused_tls_key(self) -> str | None:
        """The key of a TLS setting that was changed although TLS is off; None when there is none."""
        if self.ssl_enabled:
            return None
        # A password alone asks for nothing.
        mine = (p for p in declared(TLSSettings) if not p.secret and getattr(self, p.attribute) != p.default)
        return next((p.key for p in mine), None)

    def warnings(self) -> tuple[str, ...]:
        """The texts of `conflicts`."""
        return tuple(conflict.text for conflict in self.conflicts())

    def conflicts(self) -> tuple[Conflict, ...]:
        """Combinations that are allowed and not what anybody wants, each with what settles it."""
        found: list[Conflict] = []

        def tell(text: str, **instead: Value) -> None:
            found.append(Conflict(text, instead))

        if self.client_failure_check_period >= self.connection_ttl > 0:
            period = self.connection_ttl // 2 or 1
            tell(
                f"clientFailureCheckPeriod={self.client_failure_check_period} is not shorter than"
                f" connectionTTL={self.connection_ttl}: the server would end healthy idle connections;"
                f" pinging every {period} ms instead",
                client_failure_check_period=period,
            )
        if self.retry_interval > self.max_retry_interval:
            tell(
                f"retryInterval={self.retry_interval} is longer than maxRetryInterval={self.max_retry_interval}:"
                " every pause is the shorter one",
                max_retry_interval=self.retry_interval,
            )
        if self.confirmation_window_size == 0:
            tell(
                "confirmationWindowSize=0: the server does not keep such sessions at a cut; use 1 or more",
                confirmation_window_size=PROFILES["reliable"]["confirmation_window_size"],
            )
        if self.write_buffer_low_water_mark > self.write_buffer_high_water_mark:
            tell(
                f"writeBufferLowWaterMark={self.write_buffer_low_water_mark} is above"
                f" writeBufferHighWaterMark={self.write_buffer_high_water_mark}: the lower one is used for both",
                write_buffer_low_water_mark=self.write_buffer_high_water_mark,
            )
        if self.unused_tls_key is not None:
            tell(
                f"{self.unused_tls_key} without sslEnabled=true has no effect: the connection is not encrypted",
                ssl_enabled=True,
            )
        if self.confirmation_window_size > 0 and not self.reconnects:
            tell(
                f"confirmationWindowSize has no use with {_why_not(self)}: the first cut ends the connection",
                **({"reconnect_attempts": -1} if self.reconnect_profile == "artemis" else {}),
            )
        if self.reconnect_profile == "diffusion" and self.confirmation_window_size < 0 and self.reconnects:
            tell(
                f"confirmationWindowSize={self.confirmation_window_size}: there are no recovery buffers, so every cut"
                " recreates the sessions; recoveryBufferSize has no use",
                confirmation_window_size=DESIGNS["diffusion"]["confirmation_window_size"],
            )
        return tuple(found)

    @property
    def reconnects(self) -> bool:
        """Is a lost connection won back at all?"""
        if self.reconnect_profile == "diffusion":
            return self.reconnection_timeout > 0
        if self.reconnect_profile == "rtmp" and self.reconnect_period < SHORTEST_PERIOD:
            return False
        return self.reconnect_attempts != 0 or self.failover_attempts != 0 or self.unlimited_reconnect

    @property
    def effective(self) -> Settings:
        """The settings as they are used: values that work only in relation to others are put right (`warnings`)."""
        changes: dict[str, Value] = {"retry_interval": min(self.retry_interval, self.max_retry_interval)}
        if self.client_failure_check_period >= self.connection_ttl > 0:
            changes["client_failure_check_period"] = self.connection_ttl // 2 or 1
        if self.connect_timeout < 0:
            # Never without a limit: Artemis uses the TTL, and its default when that is off.
            changes["connect_timeout"] = self.connection_ttl if self.connection_ttl > 0 else 60000
        changes["initial_connect_attempts"] = self.initial_connect_attempts or 1
        changes["write_buffer_low_water_mark"] = min(
            self.write_buffer_low_water_mark, self.write_buffer_high_water_mark
        )
        # Not replace(): a profile was applied long ago.
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


def attributes() -> Container[str]:
    """The names of all settings as attributes."""
    return _BY_ATTRIBUTE


def parameters() -> Iterator[Parameter]:
    """Every declared setting, group by group."""
    return iter(_PARAMETERS)


def _in_groups() -> tuple[Parameter, ...]:
    order = [base.__name__ for base in Settings.__bases__]
    order.insert(0, Settings.__name__)
    return tuple(sorted(declared(Settings), key=lambda p: order.index(p.group)))


_PARAMETERS: Final = _in_groups()
_BY_ATTRIBUTE: Final[Mapping[str, Parameter]] = {p.attribute: p for p in _PARAMETERS}
_BY_KEY: Final[Mapping[str, Parameter]] = {key: p for p in _PARAMETERS for key in (p.key, *p.aliases)}


def _unknown(name: str, known: Mapping[str, object]) -> str:
    """The rule that an unknown key breaks, with what is meant by it."""
    name = name[:100]
    same = next((k for k in known if k.lower() == name.lower()), None)
    if same is not None:
        return f"unknown parameter: keys are case-sensitive, write {same}"
    if name in _BY_KEY:
        return f"unknown parameter: as an attribute it is {_BY_KEY[name].attribute}"
    if name in _BY_ATTRIBUTE:
        return f"unknown parameter: as a key it is {_BY_ATTRIBUTE[name].key}"
    if name in _BY_KEY["type"].rule.removeprefix("one of ").split(", "):
        return f"unknown parameter; write type={name}"
    from activeclient.meant_keys import meant  # only a wrong name needs it

    hint = meant(name, known)
    if hint is None:
        return "unknown parameter"
    if known is _BY_ATTRIBUTE:  # other words stand in the table for keys
        for key in (k for k in _BY_KEY if f" {k}?" in hint):
            hint = hint.replace(f" {key}?", f" {_BY_KEY[key].attribute}?")
    return f"unknown parameter; {hint}"


_UNSHOWN: Final = (
    "holds an unknown parameter, which is not shown, for it may be a piece of a password; in a password write & as"
    " %26 and ; as %3B"
)


# --- explaining -----------------------------------------------------------------------------------------------------


def explain_cut(
    settings: Settings, *, hosts: int | None = None, reattaches: bool | None = None, asks: bool = False
) -> str:
    """Return one line: what a cut of the connection does. It begins with fail, recreate or reattach.

    Args:
        hosts: Number of brokers that the URL names; None: not known.
        reattaches: Whether the broker reattaches sessions; None: not known.
        asks: A strategy of the application decides on each attempt.
    """
    s = settings.effective
    if hosts == 1:
        s = s.replace(failover_attempts=0)
    if not asks and not s.reconnects:
        why = _why_not(s)
        if settings.failover_attempts:
            why += f"; failoverAttempts={settings.failover_attempts} needs a second broker"
        return f"fail: a cut closes the connection for good ({why}); profile=reliable survives cuts"
    series = "tried as the application's strategy decides" if asks else _series(s, hosts)
    again = (
        "what was not confirmed is sent again under its duplicate id"
        if s.duplicate_detection
        else "what was not confirmed may be stored or not (duplicateDetection=false)"
    )
    if s.confirmation_window_size > 0 and reattaches is not False:
        kept = "without time limit" if s.connection_ttl < 0 else f"within {s.connection_ttl / 1000:g} s"
        kept = f"the connection is back {kept}"
        able = "the broker reattaches sessions (Artemis 2.57 and later do not) and " if reattaches is None else ""
        counted = ""
        if s.reconnect_profile == "diffusion":
            kept = "the broker still has them" if not able else "still has them"
            counted = (
                f"; of what is sent and not confirmed the last {_times(s.recovery_buffer_size, 'message')} can be sent"
                " again: when the cut lost an older one the connection is closed and says which (MessagesMissing)"
            )
        return f"reattach: sessions go on if {able}{kept}, else they are recreated and {again}{counted}; {series}"
    why = (
        "this broker does not reattach them"
        if s.confirmation_window_size > 0
        else f"confirmationWindowSize={s.confirmation_window_size}"
    )
    return (
        f"recreate: sessions are made anew ({why}), transactions roll"
        f" back, unacknowledged messages come again, {again}; {series}"
    )


def _why_not(s: Settings) -> str:
    """The setting that forbids to reconnect."""
    if s.reconnect_profile == "diffusion":
        return "reconnectionTimeout=0"
    if s.reconnect_profile == "rtmp" and s.reconnect_period < SHORTEST_PERIOD:
        return f"reconnectPeriod={s.reconnect_period}, below {SHORTEST_PERIOD}"
    return "reconnectAttempts=0"


def _series(s: Settings, hosts: int | None) -> str:
    """The attempts to reconnect, in words: those of the connection, and the rounds over the other brokers after."""
    if s.reconnect_profile == "diffusion":
        tried = f"tried at once and then every 5 s, for {s.reconnection_timeout / 1000:g} s at most"
        return f"{tried}{_then(s, hosts)}"
    if s.reconnect_profile == "rtmp":
        tries = "for ever" if s.unlimited_reconnect else _times(s.reconnect_attempts, "time")
        return f"tried {tries}{_then(s, hosts)}, {s.reconnect_period} ms before each attempt"
    pauses = f"pauses from {s.retry_interval} to {_longest_pause(s)} ms"
    if s.reconnect_attempts == -1:
        return f"tried for ever, {pauses}"
    if s.reconnect_attempts == 0:
        return f"tried {_then(s, hosts).removeprefix(', then ')}, {pauses}"
    return f"tried {_times(s.reconnect_attempts, 'time')}{_then(s, hosts)}, {pauses}"


def _then(s: Settings, hosts: int | None) -> str:
    """What follows when the attempts for the own broker are used up."""
    if s.failover_attempts == 0 or s.unlimited_reconnect:
        return ""
    rounds = "for ever" if s.failover_attempts == -1 else _times(s.failover_attempts, "round")
    return f", then {rounds} at the other brokers{'' if hosts is not None else ', if the URL names any'}"


def _times(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _longest_pause(s: Settings) -> int:
    return s.max_retry_interval if s.retry_interval_multiplier > 1 else s.retry_interval
