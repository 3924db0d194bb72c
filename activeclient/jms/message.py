"""Messages with JMS's headers and properties (jakarta.jms.Message), and how received ones become them.

Law of this file: a message is a view of one core message, so nothing is kept twice; a received one is decoded only as
far as somebody looks. What the broker or an earlier send put into a received message for its own use (a duplicate id
above all) never leaves with it again when it is sent on.

Times in headers are milliseconds since 1970, as in JMS.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from activeclient.arguments import instance
from activeclient.destination import (
    ANYCAST,
    MULTICAST,
    Destination,
    Queue,
    TemporaryQueue,
    TemporaryTopic,
    Topic,
    parse_destination,
)
from activeclient.errors import (
    IllegalStateError,
    InvalidDestinationError,
    JMSError,
    MessageFormatError,
    MessageNotWriteableError,
    NoTextError,
)
from activeclient.jms import exact
from activeclient.jms.message_id import message_id
from activeclient.jms.modes import DeliveryMode
from activeclient.jms.properties import MessageProperties
from activeclient.masking import never_raises
from activeclient.wire.message import DEFAULT, CoreMessage
from activeclient.wire.names import (
    ACK_ROUTE_TO,
    BRIDGE_DUPLICATE_ID,
    CONNECTION_ID,
    CORRELATION_ID,
    DUPLICATE_ID,
    LARGE_COMPRESSED,
    LARGE_SIZE,
    REPLY_TO,
    ROUTE_TO,
    ROUTING_TYPE,
    SCHEDULED_DELIVERY,
    TYPE,
)
from activeclient.wire.properties import PropertyValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from activeclient.jms.serializers import Serializers

NOT_SENT_ON = (
    DUPLICATE_ID,
    BRIDGE_DUPLICATE_ID,
    ROUTE_TO,
    ACK_ROUTE_TO,
    LARGE_SIZE,
    LARGE_COMPRESSED,
    SCHEDULED_DELIVERY,
    CONNECTION_ID,
    ROUTING_TYPE,
)
"""Beginnings of names that belong to one journey of a message."""

T = TypeVar("T")


class Acknowledger(Protocol):
    """What delivered a message: a session."""

    @property
    def serializers(self) -> Serializers:
        """By which bodies of object messages are read."""

    def acknowledge(self, message: Message) -> None:
        """`message.acknowledge()` was called."""


class _Nobody:
    """Delivered a copy of a received message."""

    @property
    def serializers(self) -> Serializers:
        from activeclient.jms.serializers import JSON_ONLY  # only who reads an object from a copy needs it

        return JSON_ONLY

    def acknowledge(self, message: Message) -> None:
        raise IllegalStateError("this is a copy of a received message: acknowledge the message that was received")


_NOBODY = _Nobody()


class Message:
    """A message without a body of its own (jakarta.jms.Message); also the form in which bodies come that have no class.

    Args:
        properties: To begin with, by the rules of `MessageProperties`.
    """

    __slots__ = ("_body_read_only", "_destination", "_forwarded", "_id", "_owner", "_properties", "_scheduled", "core")

    body_type: ClassVar[int] = DEFAULT
    """The number of this kind of message on the wire."""
    made_of: ClassVar[tuple[type, ...]] = ()
    """Of which bodies `send` and `create_message` make it."""
    _not_pickled: ClassVar[tuple[str, ...]] = ()
    """Attributes that stay in this process."""
    _forwarded: tuple[Acknowledger, CoreMessage]
    """What is needed to acknowledge a message that was sent on; there only then."""

    def __init__(self, *, properties: Mapping[str, object] | None = None) -> None:
        self.core: CoreMessage = CoreMessage(b"", self.body_type)
        """The core message behind this one, with raw names and values: for work across protocols."""
        self._body_read_only = False
        self._destination: Destination | None = None
        self._id: str | None = None
        self._scheduled = 0
        self._owner: Acknowledger | None = None
        self._properties: MessageProperties | None = None
        if properties:
            self.properties.set_all(properties)

    @classmethod
    def received(cls, core: CoreMessage, owner: Acknowledger, destination: Destination) -> Message:
        """A message that came (called by consumers); `destination` is what the consumer consumes from."""
        self = cls.__new__(cls)
        self.core = core
        self._body_read_only = True
        self._destination = destination
        self._id = None
        self._scheduled = 0
        self._owner = owner
        self._properties = None
        return self

    @property
    def is_received(self) -> bool:
        """Did it come from a broker?"""
        return self._owner is not None

    # --- headers --------------------------------------------------------------------------------------------------

    @property
    def jms_message_id(self) -> str | None:
        """`ID:` and a UUID; new for each send. None before it, when switched off, and from clients that give none.

        What is set here stays on this side: a send overwrites it.
        """
        if self._id is not None:
            return self._id
        return message_id(self.core.user_id)

    @jms_message_id.setter
    def jms_message_id(self, value: str | None) -> None:
        if value is not None and not isinstance(value, str):
            raise MessageFormatError(f"jms_message_id: must be text, not {type(value).__name__}")
        if value is not None and not value.startswith("ID:"):
            raise MessageFormatError(f"jms_message_id={value[:60]!r}: must begin with 'ID:'")
        self.core.load_if_received().user_id = None
        self._id = value

    @property
    def jms_timestamp(self) -> int:
        """When it was handed over to be sent; 0 when switched off."""
        return self.core.timestamp

    @jms_timestamp.setter
    def jms_timestamp(self, value: int) -> None:
        self.core.load_if_received().timestamp = exact.long("jms_timestamp", value)

    @property
    def jms_correlation_id(self) -> str | bytes | None:
        """What it belongs to: a text, or bytes that are not empty."""
        value = self.core.properties.get(CORRELATION_ID)
        return value if isinstance(value, str | bytes) else None

    @jms_correlation_id.setter
    def jms_correlation_id(self, value: str | bytes | None) -> None:
        if value is not None and not isinstance(value, str | bytes):
            raise MessageFormatError(f"jms_correlation_id: must be text or bytes, not {type(value).__name__}")
        if value == b"":
            raise MessageFormatError("jms_correlation_id: bytes must not be empty")
        self._set_header(CORRELATION_ID, value)

    @property
    def jms_reply_to(self) -> Destination | None:
        """Where an answer is expected."""
        text = self.core.properties.get(REPLY_TO)
        return parse_destination(text) if isinstance(text, str) and text else None

    @jms_reply_to.setter
    def jms_reply_to(self, value: Destination | None) -> None:
        if value is not None and not isinstance(value, Destination):
            raise InvalidDestinationError(f"jms_reply_to: must be a destination, not {type(value).__name__}")
        self._set_header(REPLY_TO, None if value is None else str(value))

    @property
    def jms_type(self) -> str | None:
        """A name for the kind of message, of the application's choice."""
        value = self.core.properties.get(TYPE)
        return value if isinstance(value, str) else None

    @jms_type.setter
    def jms_type(self, value: str | None) -> None:
        if value is not None and not isinstance(value, str):
            raise MessageFormatError(f"jms_type: must be text, not {type(value).__name__}")
        self._set_header(TYPE, value)

    def _set_header(self, name: str, value: PropertyValue) -> None:
        properties = self.core.properties
        if value is None:
            properties.pop(name, None)
        else:
            properties[name] = value

    @property
    def jms_destination(self) -> Destination | None:
        """Where it was sent to; None before."""
        if self._owner is None:
            return self._destination
        address = self.core.address
        if not address:
            return self._destination
        routing = self.core.properties.get(ROUTING_TYPE)
        known = self._destination
        if known is not None and known.address == address and known.routing_type == routing and known.name == address:
            return known
        if routing == ANYCAST:
            return Queue(address)
        if routing == MULTICAST:
            return Topic(address)
        return parse_destination(address, Topic if isinstance(known, Topic) else Queue)

    @jms_destination.setter
    def jms_destination(self, value: Destination | None) -> None:
        if value is not None and not isinstance(value, Destination):
            raise InvalidDestinationError(f"jms_destination: must be a destination, not {type(value).__name__}")
        if self._owner is not None:
            self.core.load_if_received().address = None
        self._destination = value

    @property
    def jms_delivery_mode(self) -> DeliveryMode:
        """Does it survive the broker's restart?"""
        return DeliveryMode.PERSISTENT if self.core.durable else DeliveryMode.NON_PERSISTENT

    @jms_delivery_mode.setter
    def jms_delivery_mode(self, value: int) -> None:
        self.core.load_if_received().durable = delivery_mode(value) is DeliveryMode.PERSISTENT

    @property
    def jms_redelivered(self) -> bool:
        """Was it delivered before, as far as the broker knows? False is no proof of a first delivery."""
        return self.core.delivery_count > 1

    @property
    def jms_expiration(self) -> int:
        """When it expires; 0 never."""
        return self.core.expiration

    @jms_expiration.setter
    def jms_expiration(self, value: int) -> None:
        self.core.load_if_received().expiration = exact.long("jms_expiration", value)

    @property
    def jms_priority(self) -> int:
        """0 to 9; 4 is normal."""
        return self.core.priority

    @jms_priority.setter
    def jms_priority(self, value: int) -> None:
        self.core.load_if_received().priority = priority(value)

    @property
    def jms_delivery_time(self) -> int:
        """The earliest time of its delivery: the time of sending, and the delivery delay."""
        value = self.core.properties.get(SCHEDULED_DELIVERY)
        return int(value) if isinstance(value, int) and value else self.core.timestamp

    @jms_delivery_time.setter
    def jms_delivery_time(self, value: int) -> None:
        self._set_header(SCHEDULED_DELIVERY, exact.long("jms_delivery_time", value) or None)

    def schedule(self, when: int) -> None:
        """A send delays it (called by producers)."""
        self._scheduled = when
        self.core.properties[SCHEDULED_DELIVERY] = when

    def forget_schedule(self) -> None:
        """What an earlier send set does not hold for the next; what the application set does."""
        if self._scheduled and self.core.properties.get(SCHEDULED_DELIVERY) == self._scheduled:
            del self.core.properties[SCHEDULED_DELIVERY]
        self._scheduled = 0

    @property
    def delivery_count(self) -> int:
        """How often the broker has delivered it, this time included (JMSXDeliveryCount); 0 for one made here. Of a
        received message that was sent on it is still that of its delivery."""
        return self.core.delivery_count

    # --- properties -----------------------------------------------------------------------------------------------

    @property
    def properties(self) -> MessageProperties:
        """The properties, as a mapping and with typed getters and setters."""
        found = self._properties
        if found is None:
            found = self._properties = MessageProperties(
                self.core.properties,
                self.core.delivery_count,
                read_only=self._owner is not None or hasattr(self, "_forwarded"),
            )
        return found

    def add_properties(self, properties: Mapping[str, object]) -> None:
        """Add to the properties for a send, which may be done to those of a received message too (for producers)."""
        own = self.properties
        read_only, own.read_only = own.read_only, False
        try:
            own.set_all(properties)
        finally:
            own.read_only = read_only

    def clear_properties(self) -> None:
        """Remove the properties; headers and body stay. They can be written then."""
        self.properties.clear()

    # --- the body -------------------------------------------------------------------------------------------------

    @property
    def body(self) -> object:
        """The body as Python has it: text, bytes, or None."""
        return None

    @property
    def text(self) -> str | None:
        """The text of a `TextMessage`; here so that code which expects text messages needs no cast for type checkers.

        Raises:
            NoTextError: The message is of another kind; `body` has what it holds.
        """
        raise NoTextError(f"a {type(self).__name__} has no text")

    @property
    def raw_body(self) -> bytes:
        """The body as it is on the wire: for kinds of messages that have no class here."""
        return self.core.body

    def get_body(self, kind: type[T]) -> T | None:
        """The body as `kind`; None when there is none.

        Raises:
            MessageFormatError: It is something else.
            TypeError: `kind` is no class.
        """
        instance("kind", kind, type)
        body = self.body
        if body is None:
            return None
        if not isinstance(body, kind):
            raise MessageFormatError(f"the body is {type(body).__name__}, not {kind.__name__}")
        return body

    def read(self, kind: type[T], /) -> T:
        """The body as `kind`, validated: `message.read(Order)`.

        Args:
            kind: `str`, `bytes`: the body of a text or bytes message as it is. `dict`, `list`, `object`: plain values,
                of JSON, map and stream messages. A dataclass, a pydantic model, an attrs class, a struct, or a type
                such as `list[Order]`: made of plain values. A class of messages: the message itself.

        Raises:
            MessageFormatError: The body is something else; the text says where, and shows no value.
            ConfigError: `kind` needs a library that is not installed.
        """
        from activeclient.jms.bodies import read_body  # it imports every class of messages
        from activeclient.jms.serializers import JSON_ONLY

        owner = self._owner
        if owner is None and hasattr(self, "_forwarded"):
            owner = self._forwarded[0]
        return read_body(self, kind, JSON_ONLY if owner is None else owner.serializers)

    def is_body_assignable_to(self, kind: type) -> bool:
        """Would `get_body(kind)` do? True for every kind when there is no body."""
        instance("kind", kind, type)
        body = self.body
        return body is None or isinstance(body, kind)

    def clear_body(self) -> None:
        """Empty the body; it can be written then. Headers and properties stay."""
        core = self.core.load_if_received()
        if core.stream is not None:
            core.stream = None
        core.body_input = None
        core.body = b""
        self._body_read_only = False

    def _check_body_writeable(self) -> None:
        if self._body_read_only:
            raise MessageNotWriteableError("the body is read-only until clear_body()")

    # --- acknowledging, sending -----------------------------------------------------------------------------------

    def acknowledge(self) -> None:
        """Acknowledge: all that the session has received (CLIENT), this message (INDIVIDUAL); nothing in other modes.

        It waits for the broker: when it returns, the messages do not come again.

        Raises:
            IllegalStateError: It was not received, or its session is closed.
            TransactionRolledBackError: The session was recreated since: the messages come again.
        """
        if self._owner is not None:
            self._owner.acknowledge(self)
        elif hasattr(self, "_forwarded"):
            self._forwarded[0].acknowledge(self)
        else:
            raise IllegalStateError("only a received message can be acknowledged")

    @property
    def delivered(self) -> CoreMessage:
        """The core message as it was delivered, also after it was sent on (for who acknowledges)."""
        return self._forwarded[1] if hasattr(self, "_forwarded") else self.core

    def outgoing(self) -> CoreMessage:
        """The core message to send (called by producers); a received one sheds what belongs to its last journey."""
        if self._owner is not None:
            core = self.core
            properties = {name: value for name, value in core.properties.items() if not name.startswith(NOT_SENT_ON)}
            self.core = CoreMessage(
                core.body,
                core.body_type,
                durable=core.durable,
                priority=core.priority,
                properties=properties,
                delivery_count=core.delivery_count,
            )
            self._forwarded = self._owner, core
            self._owner = None
            if self._properties is not None:
                self._properties.rebind(self.core.properties)
        self.write_body()
        return self.core

    # --- copies ---------------------------------------------------------------------------------------------------

    def __copy__(self) -> Self:
        """Return a copy with a body and properties of its own. That of a received message belongs to no session: it
        can be read and sent, not acknowledged."""
        return self._made_of(self._state())

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        memo[id(self)] = made = self.__copy__()
        return made

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as `copy` does; serializers stay behind."""
        state = self._state()
        for name in self._not_pickled:
            state["own"].pop(name, None)
        return _unpickled, (type(self), state)

    def _state(self) -> dict[str, Any]:
        own: dict[str, object] = {}
        for kind in type(self).__mro__[: type(self).__mro__.index(Message)]:
            for name in kind.__dict__.get("__slots__", ()):
                if hasattr(self, name):
                    own[name] = copy(getattr(self, name)) if name not in self._not_pickled else getattr(self, name)
        own.update(getattr(self, "__dict__", {}))
        destination = self._destination
        for plain in (TemporaryQueue, TemporaryTopic):
            if isinstance(destination, plain):  # perhaps one that knows its connection
                destination = plain(destination.name)
        return {
            "core": self.core.detached(),
            "received": self._owner is not None,
            "read_only": self.properties.read_only,
            "body_read_only": self._body_read_only,
            "destination": destination,
            "id": self._id,
            "scheduled": self._scheduled,
            "own": own,
        }

    @classmethod
    def _made_of(cls, state: dict[str, Any]) -> Self:
        self = cls.__new__(cls)
        core = self.core = state["core"]
        self._body_read_only = state["body_read_only"]
        self._destination = state["destination"]
        self._id = state["id"]
        self._scheduled = state["scheduled"]
        self._owner = _NOBODY if state["received"] else None
        self._properties = MessageProperties(core.properties, core.delivery_count, read_only=state["read_only"])
        for name, value in state["own"].items():
            setattr(self, name, value)
        return self

    def write_body(self) -> None:
        """Bring the body into its form on the wire."""

    @never_raises
    def __repr__(self) -> str:
        try:
            where = self.jms_destination
            what = self._summary()
            told = f"{self.jms_message_id or 'not sent'}{'' if where is None else f' {where}'}{what and f', {what}'}"
        except JMSError as error:
            told = f"unreadable: {error}"
        return f"<{type(self).__name__} {told}>"

    def _summary(self) -> str:
        """For the repr: how much there is in the body, never what."""
        return ""

    def _body_size(self) -> str:
        """Bytes on the wire, without waiting for any."""
        core = self.core
        if core.stream is not None:
            return f"{core.stream.size} bytes in pieces"
        return "a file" if core.body_input is not None else f"{len(core.body)} bytes"


def _unpickled(kind: type[Message], state: dict[str, Any]) -> Message:
    return kind._made_of(state)


def delivery_mode(value: int) -> DeliveryMode:
    """`value` as a delivery mode.

    Raises:
        MessageFormatError: It is none.
    """
    if type(value) is bool:
        # True is 1, the number of NON_PERSISTENT: the opposite of what it looks like.
        raise MessageFormatError(
            f"delivery mode {value}: write DeliveryMode.PERSISTENT or DeliveryMode.NON_PERSISTENT, a bool is neither"
        )
    try:
        return DeliveryMode(value)
    except ValueError:
        raise MessageFormatError(f"delivery mode {value!r}: must be NON_PERSISTENT (1) or PERSISTENT (2)") from None


def priority(value: int) -> int:
    """`value`, if it is a priority.

    Raises:
        MessageFormatError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 9:
        raise MessageFormatError(f"priority {value!r}: must be a whole number from 0 to 9")
    return value
