"""What is to be said about a URL and the broker behind it: facts to findings, each with the URL that settles it.

Law of this file: nothing is connected; a finding that the user can settle names the URL to write instead, with secrets
masked. A problem is what keeps the connection from doing what its URL asks for; a warning is what will surprise; a note
is what is good to know.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from activeclient.cli.options import with_parameters
from activeclient.cli.probing import Broker, Host
from activeclient.client.policies import reconnection_timeout
from activeclient.masking import MASK
from activeclient.parameter import Value
from activeclient.settings import PROFILES, Settings, parameters
from activeclient.urls import masked, parse_url

CERTIFICATE_DAYS = 14
"""Fewer left are a warning."""
SHORT_TTL = {"connection_ttl": 10_000, "client_failure_check_period": 3_000}
"""For brokers that recreate: one that does not notice a cut keeps messages until the TTL is over."""


class Level(enum.Enum):
    """How much a finding weighs."""

    PROBLEM = "problem"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say."""

    level: Level
    text: str
    fix: str | None = None
    """The URL to write instead; None when the URL cannot settle it."""


@dataclass(frozen=True, slots=True)
class Effective:
    """A setting as it is used, and where that comes from."""

    key: str
    value: object
    unit: str
    origin: str
    """`url`, `profile`, `default`, `options` (user and password), or `corrected`: another value would not work."""
    asked: object = None
    """The value before the correction."""


EXPLAINED = (
    "connection_ttl",
    "client_failure_check_period",
    "confirmation_window_size",
    "producer_window_size",
    "consumer_window_size",
    "reconnect_profile",
    "reconnect_attempts",
    "initial_connect_attempts",
    "failover_attempts",
    "retry_interval",
    "retry_interval_multiplier",
    "max_retry_interval",
    "call_timeout",
    "call_failover_timeout",
    "duplicate_detection",
    "ssl_enabled",
    "user",
    "password",
)
"""The settings that decide what a cut does, and who we are: always shown. Others when they are no defaults."""


def effective(url: str, settings: Settings, given: Mapping[str, object]) -> Iterator[Effective]:
    """The settings as they are used.

    Args:
        given: Attributes that options of the command set.
    """
    in_url = parse_url(url).parameters
    by_profile = PROFILES[settings.profile]
    used = settings.effective
    for parameter in parameters():
        name = parameter.attribute
        asked, value = getattr(settings, name), getattr(used, name)
        if name not in EXPLAINED and asked == parameter.default == value:
            continue
        if asked != value:
            origin = "corrected"
        elif name in given:
            origin = "options"
        elif any(key in in_url for key in (parameter.key, *parameter.aliases)):
            origin = "url"
        elif name in by_profile:
            origin = "profile"
        else:
            origin = "default"
        shown = MASK if parameter.secret and value is not None else value
        yield Effective(parameter.key, shown, parameter.unit, origin, asked if origin == "corrected" else None)


def judge(url: str, settings: Settings, hosts: Sequence[Host]) -> list[Finding]:
    """Everything that is to be said, the gravest first."""
    finder = _Finder(url, settings)
    found = [
        *finder.hosts(hosts),
        *finder.brokers(hosts),
        *finder.clusters(hosts),
        *finder.cuts(hosts),
        *finder.safety(hosts),
    ]
    order = list(Level)
    return sorted(dict.fromkeys(found), key=lambda finding: order.index(finding.level))


class _Finder:
    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._settings = settings

    def _fixed(self, **instead: Value) -> str:
        keys = {parameter.attribute: parameter.key for parameter in parameters()}
        return masked(with_parameters(self._url, **{keys[name]: _text(value) for name, value in instead.items()}))

    def hosts(self, hosts: Sequence[Host]) -> Iterator[Finding]:
        """What keeps connections from coming up."""
        reached = any(host.broker is not None or host.denied for host in hosts)
        waiting = _backups(hosts)
        for host in hosts:
            if host.error is not None and any(address.text in waiting for address in host.addresses):
                yield Finding(Level.NOTE, f"{host.name}: a backup, which takes no connections until it has taken over")
                continue
            if host.denied is not None:
                yield Finding(
                    Level.PROBLEM,
                    f"{host.name}: the login is refused: {host.denied}",
                    self._fixed(user="...", password="..."),
                )
            elif host.error is not None:
                level = Level.WARNING if reached else Level.PROBLEM
                text = host.error if host.error.startswith(host.name) else f"{host.name}: {host.error}"
                yield Finding(level, text, self._way_in(host.error))
            dead = [address.text for address in host.addresses if address.error is not None]
            if dead and host.error is None:
                yield Finding(
                    Level.WARNING,
                    f"{host.name}: of its addresses {', '.join(dead)} cannot be reached, which may cost time",
                )
            tls = host.tls
            if tls is not None and tls.expires_in_days is not None and tls.expires_in_days < CERTIFICATE_DAYS:
                yield Finding(
                    Level.WARNING, f"{host.name}: the broker's certificate expires in {tls.expires_in_days} days"
                )

    def clusters(self, hosts: Sequence[Host]) -> Iterator[Finding]:
        """What the brokers tell of their clusters."""
        for host, broker in _answered(hosts):
            told = {place for node in broker.nodes for place in (node.live, node.backup) if place is not None}
            own = sorted(place for place in told if _names_this_machine(place))
            if own and not host.local:
                yield Finding(
                    Level.WARNING,
                    f"{host.name}: the broker's connectors name {', '.join(own)}, which is this machine for every"
                    " client: name a host there that clients reach",
                    self._fixed(use_topology_for_load_balancing=False, ha=False),
                )

    def _way_in(self, error: str) -> str | None:
        """The URL with which such an error might go away."""
        if "sslEnabled=true is missing" in error or "acceptor for TLS" in error:
            return self._fixed(ssl_enabled=True)
        if self._settings.ssl_enabled and "speak TLS" in error:
            return self._fixed(ssl_enabled=None)
        return None

    def brokers(self, hosts: Sequence[Host]) -> Iterator[Finding]:
        """What the brokers behind the URL do otherwise than the URL says."""
        settings = self._settings
        for host, broker in _answered(hosts):
            override = broker.ttl_override
            if override is not None and override > 0 and override != settings.connection_ttl:
                period = min(settings.effective.client_failure_check_period, override // 3 or 1)
                yield Finding(
                    Level.WARNING,
                    f"{host.name}: the broker uses connection-ttl-override={override} instead of"
                    f" connectionTTL={settings.connection_ttl}",
                    self._fixed(connection_ttl=override, client_failure_check_period=period),
                )
            wanted = reconnection_timeout(settings)
            if wanted is not None and override is not None and 0 < override < wanted:
                yield Finding(
                    Level.WARNING,
                    f"{host.name}: the broker keeps sessions of a lost connection for {override} ms"
                    f" (connection-ttl-override), not for reconnectionTimeout={wanted}: after that they are recreated",
                    self._fixed(reconnection_timeout=override),
                )
            if broker.management_error is not None:
                yield Finding(
                    Level.NOTE,
                    f"{host.name}: its version, time-outs and limits are not known, for this user may not ask:"
                    f" {broker.management_error}",
                )
        if len({broker.protocol for _, broker in _answered(hosts)}) > 1:
            yield Finding(Level.WARNING, "the hosts speak different protocol versions: after a failover less may work")

    def cuts(self, hosts: Sequence[Host]) -> Iterator[Finding]:
        """What a cut will do, and settings that do not go together."""
        settings = self._settings
        for conflict in settings.conflicts():
            yield Finding(Level.WARNING, conflict.text, self._fixed(**conflict.instead))
        alone = len({host.name for host in hosts}) == 1
        if not (settings.replace(failover_attempts=0) if alone else settings).reconnects:
            yield Finding(
                Level.WARNING,
                "a cut ends the connection: nothing wins it back (activeclient.connect would, unless told not to)",
                self._fixed(profile="reliable", reconnect_attempts=None),
            )
            return
        if not settings.duplicate_detection:
            yield Finding(
                Level.WARNING,
                "a send whose answer is lost with its session fails with OutcomeUnknown instead of being repeated",
                self._fixed(duplicate_detection=True),
            )
        refusing = [(host, broker) for host, broker in _answered(hosts) if broker.reattaches is False]
        if settings.confirmation_window_size < 0:
            yield Finding(
                Level.WARNING,
                "every cut recreates the sessions: what was not acknowledged comes again, transactions roll back",
                self._fixed(confirmation_window_size=PROFILES["reliable"]["confirmation_window_size"]),
            )
        for host, broker in refusing:
            attempts = broker.max_delivery_attempts
            limit = (
                f"; each recreation counts as a delivery attempt of what was fetched ahead, and after {attempts} the"
                " broker moves a message to its dead letter queue"
                if attempts is not None and attempts > 0
                else ""
            )
            shorter = settings.connection_ttl < 0 or settings.connection_ttl > SHORT_TTL["connection_ttl"]
            yield Finding(
                Level.WARNING if shorter else Level.NOTE,
                f"{host.name}: this broker does not reattach sessions: every cut recreates them, and while it has not"
                f" noticed a cut it keeps what was fetched ahead, for connectionTTL at most{limit}",
                self._fixed(**SHORT_TTL) if shorter else None,
            )

    def safety(self, hosts: Sequence[Host]) -> Iterator[Finding]:
        """Silence that is not noticed, and secrets that travel in the open."""
        settings = self._settings
        if settings.connection_ttl < 0:
            yield Finding(
                Level.WARNING,
                "connectionTTL=-1: a connection that died silently is never noticed",
                self._fixed(connection_ttl=60_000),
            )
        elif settings.client_failure_check_period < 0:
            yield Finding(
                Level.WARNING,
                "clientFailureCheckPeriod=-1: no pings, so the broker ends idle connections after connectionTTL",
                self._fixed(client_failure_check_period=settings.connection_ttl // 2 or 1),
            )
        if settings.ssl_enabled and settings.trust_all:
            yield Finding(
                Level.WARNING,
                "trustAll=true: anyone can pose as the broker",
                self._fixed(trust_all=None, trust_store_path="/path/to/ca.pem"),
            )
        elif settings.ssl_enabled and not settings.verify_host:
            yield Finding(
                Level.WARNING,
                "verifyHost=false: whoever has any certificate of the authority can pose as the broker",
                self._fixed(verify_host=None),
            )
        far = [host.name for host in hosts if not host.local]
        if not settings.ssl_enabled and settings.password is not None and far:
            yield Finding(
                Level.WARNING,
                f"the password travels in the open to {', '.join(far)}",
                self._fixed(ssl_enabled=True),
            )
        if settings.user is None and any(host.broker is not None for host in hosts):
            yield Finding(Level.NOTE, "the broker lets connections in without a user")


def _answered(hosts: Sequence[Host]) -> list[tuple[Host, Broker]]:
    return [(host, host.broker) for host in hosts if host.broker is not None]


def _backups(hosts: Sequence[Host]) -> frozenset[str]:
    """Addresses that brokers tell of as backups, of whom no more can be expected than a closed port."""
    return frozenset(node.backup for _, broker in _answered(hosts) for node in broker.nodes if node.backup is not None)


def _names_this_machine(place: str) -> bool:
    host = place.rpartition(":")[0].strip("[]")
    return host in ("localhost", "0.0.0.0", "::", "::1") or host.startswith("127.")


def _text(value: Value) -> str:
    """A value as a URL has it; None and () leave the parameter out."""
    if value is None or value == ():
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
