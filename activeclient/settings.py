"""Every setting of the client, declared once as data.

Law of this file: a setting is one `param()`; URL keys, `jndi.properties` values, keyword arguments, checks, masking and
documentation derive from it. A value that breaks its rule never becomes another value: it is a `ConfigError` that names
key, value and rule. Milliseconds and bytes as in Artemis; `seconds()` is the one conversion.

The groups are plain frozen dataclasses, and `Settings` inherits from all of them: so every setting is a typed attribute
of `Settings`, and `Settings` can be handed to whoever asks for a group.
"""

from __future__ import annotations

import dataclasses
import inspect
import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar, cast

from activeclient.errors import ConfigError

__all__ = [
    "KNOWN_UNUSED",
    "PROFILES",
    "UNSUPPORTED",
    "HeartbeatSettings",
    "JMSSettings",
    "Parameter",
    "ReconnectSettings",
    "SecuritySettings",
    "Settings",
    "TLSSettings",
    "TopologySettings",
    "TransportSettings",
    "WindowSettings",
    "explain_cut",
    "parameters",
    "seconds",
]

_log = logging.getLogger("activeclient.settings")

T = TypeVar("T")
Value = bool | int | float | str | tuple[str, ...] | None

INT: Final = 2**31 - 1
"""Java's largest int: sizes and counts."""
LONG: Final = 2**63 - 1
"""Java's largest long: milliseconds."""
FOREVER: Final = 1e9
"""Seconds (31 years). Longer times are cut to it: lock and socket time-outs overflow beyond."""
MAX_TEXT: Final = 65536
"""Characters of a text value."""
MASK: Final = "***"


def seconds(milliseconds: float) -> float | None:
    """A setting in milliseconds as the engine wants it: seconds, or None for a negative value (off, or for ever)."""
    return None if milliseconds < 0 else min(milliseconds / 1000, FOREVER)


# --- declaring ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One setting as declared; what documentation and command line are made from."""

    key: str
    """The name in URLs and `jndi.properties`, case-sensitive."""
    attribute: str = ""
    """The name as attribute and keyword argument."""
    group: str = ""
    """The class that declares it."""
    kind: str
    """bool, int, float, text or list (comma-separated)."""
    default: Value
    unit: str = ""
    rule: str
    """What a value must be, in words."""
    doc: str
    aliases: tuple[str, ...] = ()
    secret: bool = False
    check: Callable[[Value], bool] = field(repr=False)
    convert: Callable[[str], Value] | None = field(default=None, repr=False)

    def parse(self, text: str) -> Value:
        """The value that `text` means.

        Raises:
            ConfigError: The text is not of this kind; nothing is guessed. The text of a secret is not shown.
        """
        if self.convert is not None:
            return self.convert(text)
        match self.kind:
            case "bool":
                value = _BOOLEANS.get(text.strip().lower())
                if value is None:
                    raise self.error(text, "must be true or false")
                return value
            case "int":
                if not _INT.fullmatch(text):
                    raise self.error(text, f"must be a whole number{self._of_unit()}, without unit or fraction")
                return int(text)
            case "float":
                if not _FLOAT.fullmatch(text):
                    raise self.error(text, f"must be a number{self._of_unit()}")
                return float(text)
            case "list":
                return tuple(part.strip() for part in text.split(",") if part.strip())
            case _:
                return text or None

    def checked(self, value: object) -> Value:
        """`value` itself when type and rule hold, an int widened to float where a float is asked for."""
        if value is None and self.default is None:
            return None
        match self.kind, value:
            case "float", bool():
                raise self.error(value, "must be a number")
            case "float", int() | float() if math.isfinite(value) and abs(value) <= LONG:
                value = float(value)
            case "int", bool():
                raise self.error(value, "must be a whole number")
            case ("bool", bool()) | ("int", int()):
                pass
            case "text", str():
                if len(value) > MAX_TEXT or "\0" in value:
                    raise self.error(None, f"must be at most {MAX_TEXT} characters without NUL")
            case "list", tuple() | list() if all(isinstance(part, str) for part in value):
                value = tuple(value)
            case _:
                raise self.error(value, f"must be {_KINDS[self.kind]}")
        accepted = cast("Value", value)
        if not self.check(accepted):
            raise self.error(accepted, f"must be {self.rule}")
        return accepted

    def error(self, value: object, rule: str) -> ConfigError:
        """The error for a bad value; of a secret only the rule is told."""
        if self.secret:
            return ConfigError(self.key, None, rule)
        shown = value if not isinstance(value, str) or len(value) <= 100 else value[:100] + "..."
        return ConfigError(self.key, shown, rule)

    def _of_unit(self) -> str:
        return f" of {_UNITS.get(self.unit, self.unit)}" if self.unit else ""


_BOOLEANS: Final = dict.fromkeys(("true", "yes", "y", "on", "1"), True) | dict.fromkeys(
    ("false", "no", "n", "off", "0"), False
)
_INT: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?([0-9]{1,19}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?", re.ASCII)
_KINDS: Final = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "text": "text",
    "list": "a list of texts",
}
_UNITS: Final = {"ms": "milliseconds"}


def param(
    default: T,
    key: str,
    doc: str,
    *,
    kind: str = "",
    unit: str = "",
    check: Callable[[T], bool] | None = None,
    must: str = "",
    low: int | None = None,
    off: int | None = None,
    high: int | None = None,
    choices: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    secret: bool = False,
    convert: Callable[[str], Value] | None = None,
) -> T:
    """Declare a setting: a dataclass field that carries everything known about it.

    Args:
        low: The smallest number allowed.
        off: One more number allowed below `low` (-1: off, unlimited, for ever).
        high: The largest number allowed; Java's largest int, or long for milliseconds, unless given.
        check: A rule that numbers and choices cannot express; `must` says it in words.
    """
    kinds: tuple[tuple[type, str], ...] = ((bool, "bool"), (int, "int"), (float, "float"), (tuple, "list"))
    kind = kind or next((name for type_, name in kinds if isinstance(default, type_)), "text")
    rule = must
    test = cast("Callable[[Value], bool] | None", check)
    if kind in ("int", "float") and test is None:
        top = high if high is not None else LONG if unit == "ms" else INT
        bottom = low if low is not None else -top - 1

        def within(value: Value) -> bool:
            return value == off if off is not None and value == off else bottom <= cast("float", value) <= top

        test = within
        limit = "" if top in (INT, LONG) else f" and <= {top}"
        rule = rule or (f"{'' if off is None else f'{off} or '}>= {bottom}{limit}")
    if choices:
        test = choices.__contains__
        rule = "one of " + ", ".join(choices)
    declared = Parameter(
        key=key,
        kind=kind,
        default=cast("Value", default),
        unit=unit,
        rule=rule or _KINDS[kind],
        doc=doc,
        aliases=aliases,
        secret=secret,
        check=test or (lambda _: True),
        convert=convert,
    )
    return field(default=default, metadata={"parameter": declared})


class _Group:
    """Checks each declared field when an object is made; shows what differs from the defaults, secrets masked."""

    def __post_init__(self) -> None:
        for parameter in _declared(type(self)):
            value: object = getattr(self, parameter.attribute)
            checked = parameter.checked(value)
            if checked is not value:
                object.__setattr__(self, parameter.attribute, checked)

    def __repr__(self) -> str:
        parts = (
            f"{p.attribute}={MASK if p.secret else repr(value)}"
            for p in _declared(type(self))
            if (value := getattr(self, p.attribute)) != p.default
        )
        return f"{type(self).__name__}({', '.join(parts)})"


_collected: dict[type, tuple[Parameter, ...]] = {}


def _declared(group: type) -> tuple[Parameter, ...]:
    """The parameters of a settings class, its bases included, in the order of declaration."""
    if group not in _collected:
        owners = {name: owner.__name__ for owner in reversed(group.__mro__) for name in inspect.get_annotations(owner)}
        _collected[group] = tuple(
            dataclasses.replace(f.metadata["parameter"], attribute=f.name, group=owners[f.name])
            for f in dataclasses.fields(group)
        )
    return _collected[group]


# --- the settings ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, repr=False)
class ReconnectSettings(_Group):
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
        "Rounds over the other brokers once `reconnectAttempts` are used up; -1 for ever.",
        low=0,
        off=-1,
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
class HeartbeatSettings(_Group):
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
class WindowSettings(_Group):
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
        2**31 - 1,
        "maxLargeMessageSize",
        "Largest body that is received; -1 no limit. A larger one fails when it is read. Not in Artemis.",
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
        False, "cacheLargeMessagesClient", "Large bodies are received into temporary files."
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
class TopologySettings(_Group):
    """Which broker of several."""

    ha: bool = param(False, "ha", "Learn the broker's backup and use it after a failure.", aliases=("HA",))
    use_topology_for_load_balancing: bool = param(
        True,
        "useTopologyForLoadBalancing",
        "Choose among the brokers that the cluster names; false stays with the hosts of the URL (NAT, proxies).",
    )
    load_balancing_policy: str = param(
        "RoundRobin",
        "connectionLoadBalancingPolicyClassName",
        "Which host a connection begins with: the four class names of Artemis, or their short names.",
        choices=_POLICIES,
        convert=_policy,
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class TransportSettings(_Group):
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
class TLSSettings(_Group):
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
    key_store_password: str | None = param(None, "keyStorePassword", "Its password.", secret=True)
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
class SecuritySettings(_Group):
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
class JMSSettings(_Group):
    """What the connection factory does in JMS's terms."""

    client_id: str | None = param(None, "clientID", "Client id of every connection.")
    enable_shared_client_id: bool = param(False, "enableSharedClientID", "Several connections may have one client id.")
    factory_type: str = param(
        "CF", "type", "Kind of factory.", choices=("CF", "XA_CF", "QUEUE_CF", "QUEUE_XA_CF", "TOPIC_CF", "TOPIC_XA_CF")
    )
    cache_destinations: bool = param(
        False, "cacheDestinations", "Re-use Queue and Topic objects, and skip asking whether they exist."
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
        "max_retry_interval": 2000,
        "duplicate_detection": True,
        "producer_window_size": 1048576,
    },
}
"""Profile to the settings that it changes. `artemis` is the manual's defaults. `reliable`: sessions are reattached,
attempts never end, messages carry duplicate ids; a first connect that fails still fails at once."""


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
        return self

    @property
    def heartbeat(self) -> HeartbeatSettings:
        return self

    @property
    def windows(self) -> WindowSettings:
        return self

    @property
    def topology(self) -> TopologySettings:
        return self

    @property
    def transport(self) -> TransportSettings:
        return self

    @property
    def tls(self) -> TLSSettings:
        return self

    @property
    def security(self) -> SecuritySettings:
        return self

    @property
    def jms(self) -> JMSSettings:
        return self

    def replace(self, **by_attribute: Value) -> Settings:
        """These settings with some changed, named by attribute, checked again.

        A `profile` among them is applied first, so the others win over it.

        Raises:
            ConfigError: Unknown name (with the nearest known one), or a value that breaks its rule.
        """
        for name in by_attribute:
            if name not in _BY_ATTRIBUTE:
                raise ConfigError(name, None, _unknown(name, _BY_ATTRIBUTE))
        profile = by_attribute.get("profile")
        from_profile = PROFILES.get(profile, {}) if isinstance(profile, str) else {}
        # The declarations check every value; dataclasses.replace cannot express that in types.
        return dataclasses.replace(self, **{**from_profile, **by_attribute})  # type: ignore[arg-type]

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
        changes: dict[str, Value] = {}
        for key, text in texts.items():
            parameter = _BY_KEY.get(key)
            if parameter is not None:
                changes[parameter.attribute] = parameter.parse(text)
            elif not _tolerated(key, text):
                raise ConfigError(key[:100], None, _unknown(key, {**_BY_KEY, **KNOWN_UNUSED, **UNSUPPORTED}))
        made = (base if base is not None else cls()).replace(**changes)
        for warning in made.warnings():
            _warn_once(warning)
        return made

    def warnings(self) -> tuple[str, ...]:
        """Combinations that are allowed and not what anybody wants, each with what is done about it."""
        found: list[str] = []
        if self.client_failure_check_period >= self.connection_ttl > 0:
            found.append(
                f"clientFailureCheckPeriod={self.client_failure_check_period} is not shorter than"
                f" connectionTTL={self.connection_ttl}: the server would end healthy idle connections;"
                f" pinging every {self.connection_ttl // 2 or 1} ms instead"
            )
        if self.retry_interval > self.max_retry_interval:
            found.append(
                f"retryInterval={self.retry_interval} is longer than maxRetryInterval={self.max_retry_interval}:"
                " every pause is the shorter one"
            )
        if self.confirmation_window_size == 0:
            found.append("confirmationWindowSize=0: the server does not keep such sessions at a cut; use 1 or more")
        if self.write_buffer_low_water_mark > self.write_buffer_high_water_mark:
            found.append(
                f"writeBufferLowWaterMark={self.write_buffer_low_water_mark} is above"
                f" writeBufferHighWaterMark={self.write_buffer_high_water_mark}: the lower one is used for both"
            )
        if not self.ssl_enabled and (self.trust_store_path or self.key_store_path or self.trust_all):
            found.append("TLS settings without sslEnabled=true: the connection is not encrypted")
        if self.confirmation_window_size > 0 and self.reconnect_attempts == 0 and self.failover_attempts == 0:
            found.append(
                "confirmationWindowSize has no use with reconnectAttempts=0: the first cut ends the connection"
            )
        return tuple(found)

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


def parameters() -> Iterator[Parameter]:
    """Every declared setting, group by group."""
    return iter(_PARAMETERS)


def _in_groups() -> tuple[Parameter, ...]:
    order = [base.__name__ for base in Settings.__bases__]
    order.insert(0, Settings.__name__)
    return tuple(sorted(_declared(Settings), key=lambda p: order.index(p.group)))


_PARAMETERS: Final = _in_groups()
_BY_ATTRIBUTE: Final[Mapping[str, Parameter]] = {p.attribute: p for p in _PARAMETERS}
_BY_KEY: Final[Mapping[str, Parameter]] = {key: p for p in _PARAMETERS for key in (p.key, *p.aliases)}


# --- keys without a declaration -------------------------------------------------------------------------------------


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

_UNUSED_PREFIXES: Final = {"nettyHttpHeader.": "HTTP tunnels are not supported"}


def _tolerated(key: str, text: str) -> bool:
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
    _log_once(logging.INFO, f"{key} changes nothing here: {reason}")
    return True


def _unknown(name: str, known: Mapping[str, object]) -> str:
    """The rule that an unknown key breaks, with the nearest known key."""
    name = name[:100]
    same = next((k for k in known if k.lower() == name.lower()), None)
    if same is not None:
        return f"unknown parameter: keys are case-sensitive, write {same}"
    if name in _BY_KEY:
        return f"unknown parameter: as an attribute it is {_BY_KEY[name].attribute}"
    if name in _BY_ATTRIBUTE:
        return f"unknown parameter: as a key it is {_BY_ATTRIBUTE[name].key}"
    by_lower = {k.lower(): k for k in known}
    import difflib  # only a wrong name needs it

    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f"unknown parameter; did you mean {by_lower[near[0]]}?" if near else "unknown parameter"


_logged: set[str] = set()
_LOGGED_LIMIT: Final = 1000
"""Texts remembered as logged; numbers in warnings make them open-ended. When full, everything is forgotten."""


def _log_once(level: int, text: str) -> None:
    if text not in _logged:
        if len(_logged) >= _LOGGED_LIMIT:
            _logged.clear()
        _logged.add(text)
        _log.log(level, "%s", text)


def _warn_once(text: str) -> None:
    _log_once(logging.WARNING, text)


# --- explaining -----------------------------------------------------------------------------------------------------


def explain_cut(settings: Settings) -> str:
    """One line: what a cut of the connection will do under these settings; begins with fail, recreate or reattach."""
    s = settings.effective
    if s.reconnect_attempts == 0 and s.failover_attempts == 0:
        return "fail: a cut closes the connection for good (reconnectAttempts=0); profile=reliable survives cuts"
    rounds = s.reconnect_attempts or s.failover_attempts
    tries = "for ever" if -1 in (s.reconnect_attempts, s.failover_attempts) else f"{rounds} times"
    series = f"tried {tries}, pauses from {s.retry_interval} to {_longest_pause(s)} ms"
    again = (
        "what was not confirmed is sent again under its duplicate id"
        if s.duplicate_detection
        else "what was not confirmed may be stored or not (duplicateDetection=false)"
    )
    if s.confirmation_window_size > 0:
        kept = "without time limit" if s.connection_ttl < 0 else f"within {s.connection_ttl / 1000:g} s"
        return (
            f"reattach: sessions go on if the connection is back {kept}, else they are recreated and {again}; {series}"
        )
    return (
        f"recreate: sessions are made anew (confirmationWindowSize={s.confirmation_window_size}), transactions roll"
        f" back, unacknowledged messages come again, {again}; {series}"
    )


def _longest_pause(s: Settings) -> int:
    return s.max_retry_interval if s.retry_interval_multiplier > 1 else s.retry_interval
