"""Where messages go to and come from: queues and topics as values.

Law of this file: a destination is its kind and its name; two of the same kind and name are equal, whatever attributes
were written behind the name. Nothing here asks a broker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final
from urllib.parse import unquote_plus

from activeclient.errors import InvalidDestinationError
from activeclient.masking import always_shown

__all__ = [
    "ANYCAST",
    "MULTICAST",
    "Destination",
    "Queue",
    "TemporaryQueue",
    "TemporaryTopic",
    "Topic",
    "parse_destination",
]

MULTICAST: Final = 0
"""Each subscription gets the message: topics (Artemis' RoutingType)."""
ANYCAST: Final = 1
"""One consumer gets the message: queues."""
MAX_NAME: Final = 16384
"""Characters of a name with its attributes."""

ATTRIBUTES: Final = frozenset(
    {
        "routing-type",
        "filter-string",
        "durable",
        "max-consumers",
        "exclusive",
        "group-rebalance",
        "group-rebalance-pause-dispatch",
        "group-buckets",
        "group-first-key",
        "last-value",
        "last-value-key",
        "non-destructive",
        "purge-on-no-consumers",
        "consumers-before-dispatch",
        "delay-before-dispatch",
        "consumer-priority",
        "auto-delete",
        "auto-delete-delay",
        "auto-delete-message-count",
        "ring-size",
        "enabled",
        "id",
        "user",
        "temporary",
        "auto-created",
        "internal",
        "transient",
    }
)
"""Keys behind `?`: QueueConfiguration's, and ParameterisedAddress' consumer-priority."""


@always_shown
@dataclass(frozen=True, slots=True)
class Destination:
    """A destination of unknown kind, as in a reply-to without prefix; `Queue` and `Topic` are the usable kinds.

    Args:
        name: `address`, or `address::queue` (fully qualified queue name), optionally with attributes for its creation
            or its consumers behind it: `orders?consumer-priority=5&ring-size=100`.

    Raises:
        InvalidDestinationError: Empty or malformed name, or an attribute that Artemis does not know.
    """

    name: str
    """Without attributes."""
    attributes: tuple[tuple[str, str], ...] = field(init=False, compare=False, repr=False)
    """What stood behind `?`: known keys with their decoded, unchecked values."""

    prefix: ClassVar[str] = ""
    """What stands before the name in a JMSReplyTo."""
    routing_type: ClassVar[int | None] = None
    """ANYCAST, MULTICAST, or None when the kind is not known."""
    temporary: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InvalidDestinationError(f"a destination's name must be text, not {type(self.name).__name__}")
        if len(self.name) > MAX_NAME:
            raise InvalidDestinationError(f"a destination's name must be at most {MAX_NAME} characters")
        name, _, query = self.name.partition("?")
        parts = name.split("::")
        if len(parts) > 2 or not all(parts):
            raise InvalidDestinationError(f"{name[:100]!r}: a destination is named address or address::queue")
        object.__setattr__(self, "attributes", tuple(_attributes(name, query).items()))
        object.__setattr__(self, "name", name)

    @property
    def parameters(self) -> dict[str, str]:
        """The attributes by key."""
        return dict(self.attributes)

    @property
    def address(self) -> str:
        """The address; the part before `::`. Messages are sent to the whole name, which chooses the queue."""
        return self.name.partition("::")[0]

    @property
    def queue_name(self) -> str | None:
        """The queue of a fully qualified name; None when the name has no `::`."""
        return self.name.partition("::")[2] or None

    @property
    def consumer_priority(self) -> int:
        """`consumer-priority` of the attributes; 0 when absent (ActiveMQDefaultConfiguration).

        Raises:
            InvalidDestinationError: It is not a number of 32 bits.
        """
        text = self.parameters.get("consumer-priority", "0")
        try:
            value = int(text[:12])
        except ValueError:
            value = 2**31
        if not -(2**31) <= value < 2**31:
            raise InvalidDestinationError(
                f"{self.name[:100]!r}: consumer-priority={text[:20]!r} must be a whole number"
            )
        return value

    def __str__(self) -> str:
        """The text of a JMSReplyTo: `queue://name`."""
        return self.prefix + self.name

    def as_queue(self) -> Queue:
        """The queue of this name."""
        return self if isinstance(self, Queue) else Queue(self._text())

    def as_topic(self) -> Topic:
        """The topic of this name."""
        return self if isinstance(self, Topic) else Topic(self._text())

    def _text(self) -> str:
        query = "&".join(f"{key}={_escaped(value)}" for key, value in self.attributes)
        return f"{self.name}?{query}" if query else self.name


@always_shown
@dataclass(frozen=True, slots=True)
class Queue(Destination):
    """Each message goes to one consumer."""

    prefix: ClassVar[str] = "queue://"
    routing_type: ClassVar[int | None] = ANYCAST


@always_shown
@dataclass(frozen=True, slots=True)
class Topic(Destination):
    """Each message goes to every subscription."""

    prefix: ClassVar[str] = "topic://"
    routing_type: ClassVar[int | None] = MULTICAST


@always_shown
@dataclass(frozen=True, slots=True)
class TemporaryQueue(Queue):
    """A queue that lives as long as the connection that made it; anyone may send to it."""

    prefix: ClassVar[str] = "temp-queue://"
    temporary: ClassVar[bool] = True


@always_shown
@dataclass(frozen=True, slots=True)
class TemporaryTopic(Topic):
    """A topic that lives as long as the connection that made it; anyone may publish to it."""

    prefix: ClassVar[str] = "temp-topic://"
    temporary: ClassVar[bool] = True


_KINDS: Final[tuple[type[Destination], ...]] = (Queue, Topic, TemporaryQueue, TemporaryTopic)


def parse_destination(text: str, default: type[Destination] = Destination) -> Destination:
    """The destination of a JMSReplyTo: `queue://`, `topic://`, `temp-queue://`, `temp-topic://` and a name.

    Args:
        default: The kind when there is no prefix. What stands behind a prefix is a name, never a further prefix.

    Raises:
        InvalidDestinationError: The name is empty or malformed.
    """
    for kind in _KINDS:
        if text.startswith(kind.prefix):
            return kind(text[len(kind.prefix) :])
    return default(text)


def _attributes(name: str, query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in query.split("&"):
        if not part:
            continue
        key, _, value = part.partition("=")
        if key not in ATTRIBUTES:
            import difflib  # only a wrong name needs it

            near = difflib.get_close_matches(key[:100], ATTRIBUTES, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidDestinationError(f"{name[:100]!r}: unknown attribute {key[:100]!r}{hint}")
        found[key] = unquote_plus(value)
    return found


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace("&", "%26").replace("+", "%2B")
