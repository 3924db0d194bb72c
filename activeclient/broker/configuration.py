"""What the broker and its addresses are told: users, sizes, and settings by address pattern.

Law of this file: the defaults are those of Artemis without a broker.xml (AddressSettings,
ActiveMQDefaultConfiguration); every exception says why beside it. All of it is checked when it is made, never later.
"""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from activeclient.broker.wildcard import matches, precedence
from activeclient.errors import ConfigError
from activeclient.masking import always_shown
from activeclient.wire.names import MANAGEMENT_ADDRESS
from activeclient.wire.queue_attributes import QUEUE_ATTRIBUTES

DEAD_LETTERS: Final = "DLQ"
EXPIRED: Final = "ExpiryQueue"


class FullPolicy(Enum):
    """What happens to messages for an address that has no room."""

    BLOCK = "BLOCK"
    """Producers get no more credits until there is room."""
    FAIL = "FAIL"
    """Producers are told, and sends fail."""
    DROP = "DROP"
    """Messages are dropped; their senders are not told, the log is."""


@always_shown
@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSettings:
    """The settings of the addresses that a pattern names; times in ms, sizes in bytes.

    Raises:
        ConfigError: A value out of its range; names it.
    """

    dead_letter_address: str | None = DEAD_LETTERS
    """Where a message goes that used up its attempts; its queue is made when the first one comes. None: the message is
    dropped, with a warning. Artemis' own default is None; the broker.xml of `artemis create` names this one."""
    expiry_address: str | None = EXPIRED
    """Where an expired message goes; as `dead_letter_address`."""
    expiry_delay: int = -1
    """Expiry of messages that have none; -1 leaves them without."""
    min_expiry_delay: int = -1
    max_expiry_delay: int = -1
    max_delivery_attempts: int = 10
    """-1 for ever."""
    redelivery_delay: int = 0
    redelivery_delay_multiplier: float = 1.0
    max_redelivery_delay: int | None = None
    """None: ten times the delay."""
    address_full_policy: FullPolicy = FullPolicy.BLOCK
    """Artemis' default is PAGE; this broker does not page."""
    max_size_bytes: int = -1
    """Memory for the messages of an address; -1 leaves it to the broker's `global_max_size`."""
    max_size_messages: int = -1
    send_to_dla_on_no_route: bool = False
    auto_create_queues: bool = True
    auto_create_addresses: bool = True
    auto_delete_queues: bool = True
    auto_delete_created_queues: bool = False
    auto_delete_queues_delay: int = 0
    auto_delete_queues_message_count: int = 0
    auto_delete_addresses: bool = True
    auto_delete_addresses_delay: int = 0
    default_max_consumers: int = -1
    default_purge_on_no_consumers: bool = False
    default_exclusive_queue: bool = False
    default_last_value_queue: bool = False
    default_last_value_key: str | None = None
    default_non_destructive: bool = False
    default_consumers_before_dispatch: int = 0
    default_delay_before_dispatch: int = -1
    default_group_rebalance: bool = False
    default_group_rebalance_pause_dispatch: bool = False
    default_group_buckets: int = -1
    default_group_first_key: str | None = None
    default_ring_size: int = -1
    default_consumer_window_size: int = 1024 * 1024
    id_cache_size: int = 20_000
    """Duplicate ids that an address remembers; 0 remembers none."""
    enable_ingress_timestamp: bool = False

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(name, value, f"must be at least {least}")
        if not isinstance(self.address_full_policy, FullPolicy):
            raise ConfigError("address_full_policy", self.address_full_policy, "must be a FullPolicy")

    @property
    def alters(self) -> bool:
        """Do these settings add something to each message?"""
        delays = (self.expiry_delay, self.min_expiry_delay, self.max_expiry_delay)
        return self.enable_ingress_timestamp or any(delay >= 0 for delay in delays)

    def expiration_ms(self, given: int, now_ms: int) -> int:
        """When a message expires that says so itself, or 0 (PostOfficeImpl.applyExpiryDelay)."""
        if self.expiry_delay >= 0:
            return given or now_ms + self.expiry_delay
        if self.max_expiry_delay >= 0 and (given == 0 or given > now_ms + self.max_expiry_delay):
            return now_ms + self.max_expiry_delay
        if self.min_expiry_delay >= 0 and (given == 0 or given < now_ms + self.min_expiry_delay):
            return now_ms + self.min_expiry_delay
        return given

    def redelivery_delay_ms(self, delivery_count: int) -> int:
        """How long a message rests that was delivered so often (QueueImpl.calculateRedeliveryDelay)."""
        delay = self.redelivery_delay
        if delay <= 0:
            return 0
        longest = delay * 10 if self.max_redelivery_delay is None else self.max_redelivery_delay
        try:
            grown = delay * self.redelivery_delay_multiplier ** max(0, delivery_count - 1)
        except OverflowError:
            return longest
        return int(min(grown, longest))


_LEAST: Final[dict[str, float]] = {
    "expiry_delay": -1,
    "min_expiry_delay": -1,
    "max_expiry_delay": -1,
    "max_delivery_attempts": -1,
    "redelivery_delay": 0,
    "redelivery_delay_multiplier": 0,
    "max_redelivery_delay": 0,
    "max_size_bytes": -1,
    "max_size_messages": -1,
    "auto_delete_queues_delay": 0,
    "auto_delete_queues_message_count": -1,
    "auto_delete_addresses_delay": 0,
    "default_max_consumers": -1,
    "default_consumers_before_dispatch": 0,
    "default_delay_before_dispatch": -1,
    "default_group_buckets": -1,
    "default_ring_size": -1,
    "default_consumer_window_size": -1,
    "id_cache_size": 0,
}


@always_shown
@dataclass(frozen=True, slots=True, kw_only=True)
class QueueConfiguration:
    """A queue as it is to be made; None leaves an attribute to the settings of its address.

    Raises:
        ConfigError: A name that is empty, a value of another type, or a number out of its range, which is that of its
            field on the wire.
    """

    name: str
    address: str = ""
    """Empty: the same as the name."""
    routing_type: int | None = None
    """`destination.ANYCAST` or `MULTICAST`; None: what the address supports, else MULTICAST."""
    filter_string: str | None = None
    durable: bool = True
    temporary: bool = False
    """Gone with its owner."""
    transient: bool = False
    """Gone with its last consumer: shared subscriptions that are not durable."""
    auto_created: bool = False
    max_consumers: int | None = None
    purge_on_no_consumers: bool | None = None
    exclusive: bool | None = None
    last_value: bool | None = None
    last_value_key: str | None = None
    non_destructive: bool | None = None
    consumers_before_dispatch: int | None = None
    delay_before_dispatch: int | None = None
    group_rebalance: bool | None = None
    group_rebalance_pause_dispatch: bool | None = None
    group_buckets: int | None = None
    group_first_key: str | None = None
    auto_delete: bool | None = None
    auto_delete_delay: int | None = None
    auto_delete_message_count: int | None = None
    ring_size: int | None = None
    enabled: bool | None = None
    user: str | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("name", self.name, "a queue needs a name")
        if not self.address:
            object.__setattr__(self, "address", self.name)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ConfigError(name, value, f"must be from {low} to {high}")

    def resolved(self, settings: AddressSettings, routing_type: int) -> QueueConfiguration:
        """With everything that was left open filled from the settings of its address."""
        given: dict[str, Any] = {
            name: getattr(settings, default_setting(name)) for name in QUEUE_ATTRIBUTES if name in _DEFAULTED
        }
        given["auto_delete"] = settings.auto_delete_queues if self.auto_created else settings.auto_delete_created_queues
        given["enabled"] = True
        missing = {name: value for name, value in given.items() if getattr(self, name) is None}
        return dataclasses.replace(self, routing_type=routing_type, **missing)


_OWN_SETTING: Final = {
    "exclusive": "default_exclusive_queue",
    "last_value": "default_last_value_queue",
    "auto_delete_delay": "auto_delete_queues_delay",
    "auto_delete_message_count": "auto_delete_queues_message_count",
}
_DEFAULTED: Final = frozenset(QUEUE_ATTRIBUTES) - {"filter_string", "durable", "auto_delete", "enabled"}
"""The attributes whose default is one setting of the address."""


def default_setting(attribute: str) -> str:
    """The name of the address setting that is the default of a queue attribute."""
    return _OWN_SETTING.get(attribute, f"default_{attribute}")


_INT, _LONG = (1 << 31) - 1, (1 << 63) - 1
_RANGES: Final = {
    "max_consumers": (-1, _INT),
    "consumers_before_dispatch": (-_INT - 1, _INT),
    "delay_before_dispatch": (-1, _LONG),
    "group_buckets": (-1, _INT),
    "auto_delete_delay": (-_LONG - 1, _LONG),
    "auto_delete_message_count": (-_LONG - 1, _LONG),
    "ring_size": (-1, _LONG),
}


@always_shown
@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may connect. The password is in no representation of it."""

    name: str
    password: str = field(repr=False)

    def has_password(self, given: str | None) -> bool:
        """Is this the password? Takes the same time whatever was given."""
        return hmac.compare_digest(self.password.encode(), (given or "").encode("utf-8", "surrogatepass"))


GUEST: Final = User("", "")
"""As one of the `users`: clients without credentials may connect too."""


@always_shown
@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerConfiguration:
    """What a broker is told at its start; times in ms, sizes in bytes.

    Raises:
        ConfigError: A value out of its range; names it.
    """

    name: str = "activeclient"
    users: tuple[User, ...] = ()
    """Empty: anybody may connect, with any password or none."""
    settings: Mapping[str, AddressSettings] = field(default_factory=dict)
    """Address pattern to settings; the most specific pattern that fits an address counts, as a whole."""
    global_max_size: int = 256 * 1024 * 1024
    """Memory for the messages of all addresses together; -1 has no bound. (Artemis: half of Java's heap.)"""
    message_expiry_scan_period: int = 30_000
    """-1: expired messages are only found when they would be delivered."""
    address_queue_scan_period: int = 30_000
    """How often unused queues and addresses are looked for; -1 never. One is deleted at the second look."""
    transaction_timeout: int = 300_000
    """After which an XA transaction that was not prepared is rolled back."""
    connection_ttl: int = 60_000
    large_message_memory: int = 1024 * 1024
    """Bytes of one large body that are kept in memory; a longer one goes to a temporary file."""
    management_address: str = MANAGEMENT_ADDRESS
    max_groups: int = 65_536
    """Message groups of a queue whose consumer is remembered; beyond it the one unused for longest is forgotten."""

    def __post_init__(self) -> None:
        for name in ("global_max_size", "message_expiry_scan_period", "address_queue_scan_period", "connection_ttl"):
            value = getattr(self, name)
            if value < -1 or (value == 0 and name != "connection_ttl"):
                raise ConfigError(name, value, "must be positive, or -1")
        for name in ("transaction_timeout", "max_groups"):
            if getattr(self, name) <= 0:
                raise ConfigError(name, getattr(self, name), "must be positive")
        if self.large_message_memory < 0:
            raise ConfigError("large_message_memory", self.large_message_memory, "must not be negative")
        names = [user.name for user in self.users]
        if len(set(names)) != len(names):
            raise ConfigError("users", None, "two users have the same name")

    def settings_for(self, address: str) -> AddressSettings:
        """The settings that count for an address."""
        fitting = [pattern for pattern in self.settings if matches(pattern, address)]
        return self.settings[max(fitting, key=precedence)] if fitting else _DEFAULTS


_DEFAULTS: Final = AddressSettings()
