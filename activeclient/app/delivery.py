"""What a handler and the middleware get: one delivery of one message, and one message that is sent.

Law of this file: in a transacted listener what a handler sends leaves when the handler has succeeded, in the
transaction that acknowledges its message; of a handler that failed nothing leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from activeclient.destination import Destination, Queue, parse_destination
from activeclient.errors import InvalidDestinationError, MessageFormatError
from activeclient.jms.bodies import typed_message
from activeclient.jms.message import Message
from activeclient.masking import never_raises

if TYPE_CHECKING:
    from activeclient.jms.producer import MessageProducer
    from activeclient.jms.serializers import Serializers

HandlerMiddleware = Callable[["Delivery", Callable[["Delivery"], object]], object]
"""Called around each attempt as `middleware(delivery, handle)`; calls `handle(delivery)` and lets its error pass."""
SendMiddleware = Callable[["Sending", Callable[["Sending"], object]], object]
"""Called around each message that the application sends, as `middleware(sending, send)`; calls `send(sending)`."""
SEND_OPTIONS = frozenset(
    {
        "correlation_id",
        "delivery_delay",
        "delivery_mode",
        "duplicate_id",
        "priority",
        "reply_to",
        "time_to_live",
        "timeout",
        "type",
    }
)
"""Keywords of `MessageProducer.send` that a sending may have."""
To = str | Destination
"""A destination, or its name: of a queue, or with `queue://` or `topic://` before it."""


@dataclass(slots=True)
class Sending:
    """A message on its way out; middleware may change all of it."""

    destination: Destination
    body: object
    """A message; or what becomes one: text and bytes as they are, everything else as JSON text."""
    properties: dict[str, object] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    """Further keywords of `MessageProducer.send`: `priority`, `delivery_delay`, `correlation_id`, ..."""

    def __post_init__(self) -> None:
        unknown = self.options.keys() - SEND_OPTIONS
        if unknown:
            raise TypeError(
                f"a send has no option {', '.join(sorted(unknown))}; it has {', '.join(sorted(SEND_OPTIONS))}"
            )

    def message(self, serializers: Serializers) -> Message:
        """The message with this body.

        Raises:
            MessageFormatError: No message has such a body.
        """
        return outgoing(self.body, serializers)

    def send_by(self, producer: MessageProducer, message: Message) -> Message:
        """Send the message that was made of it."""
        return producer.send(message, self.destination, properties=self.properties or None, **self.options)


def outgoing(body: object, serializers: Serializers) -> Message:
    """The message that a body means here: a message itself, text and bytes as they are, all else serialized."""
    from activeclient.jms.kinds import message_of

    if body is None or isinstance(body, Message | str | bytes | bytearray | memoryview):
        return message_of(body)
    return typed_message(body, serializers=serializers)


def destination_of(to: To) -> Destination:
    """The destination that `to` means.

    Raises:
        InvalidDestinationError: It is none.
    """
    if isinstance(to, Destination):
        return to
    if not isinstance(to, str):
        raise InvalidDestinationError(f"a destination must be a name, a queue or a topic, not {type(to).__name__}")
    return parse_destination(to, Queue)


class Delivery:
    """One delivery of one message to a handler."""

    __slots__ = ("_body", "_kind", "_send", "attempt", "destination", "message", "unreadable")
    _body: Any

    def __init__(
        self,
        message: Message,
        destination: Destination,
        kind: Any,
        attempt: int,
        send: Callable[[Sending], object],
    ) -> None:
        self.message: Message = message
        """The message as it was received: headers, properties, body."""
        self.destination: Destination = destination
        """The destination of the listener."""
        self.attempt: int = attempt
        """1 for the first attempt. A redelivery after an outage or a crash is no further attempt: see `redelivered`."""
        self.unreadable: MessageFormatError | None = None
        """Why the body could not be read, if so."""
        self._kind = kind
        self._send = send

    @property
    def redelivered(self) -> bool:
        """Was it delivered before, as far as the broker knows: after a crash, an outage, or a rollback?"""
        return self.message.jms_redelivered

    @property
    def body(self) -> Any:
        """The body, as the handler gets it.

        Raises:
            MessageFormatError: It is something else; the message goes to the dead-letter address.
        """
        try:
            return self._body
        except AttributeError:
            pass
        try:
            self._body = self.message.read(self._kind)
        except MessageFormatError as error:
            self.unreadable = error
            raise
        return self._body

    def send(
        self, destination: To, body: object, *, properties: dict[str, object] | None = None, **options: Any
    ) -> None:
        """Send a message as a part of the handling: in a transacted listener it leaves if, and when, this succeeds.

        Args:
            destination: A queue's name, `topic://name`, or a destination.
            body: A message; text or bytes as they are; a dataclass, a model, a dict or a list as JSON text.
            properties: Of the message.
            options: Further keywords of `MessageProducer.send`, `delivery_delay=60` for example.

        Raises:
            MessageFormatError: No message has such a body.
            InvalidDestinationError: No destination.
        """
        self._send(Sending(destination_of(destination), body, dict(properties or {}), options))

    def reply(self, body: object, **options: Any) -> None:
        """Send to where the message wants its answer (JMSReplyTo), with its correlation id, or else its id.

        Raises:
            InvalidDestinationError: It wants none.
        """
        to = self.message.jms_reply_to
        if to is None:
            raise InvalidDestinationError("the message names no destination for an answer (JMSReplyTo)")
        options.setdefault("correlation_id", self.message.jms_correlation_id or self.message.jms_message_id)
        self.send(to, body, **options)

    @never_raises
    def __repr__(self) -> str:
        return f"<Delivery of {self.message.jms_message_id} from {self.destination}, attempt {self.attempt}>"


def around(middleware: list[Any], innermost: Callable[[Any], object]) -> Callable[[Any], object]:
    """`innermost` with all middleware around it, the first one outermost."""
    call = innermost
    for each in reversed(middleware):
        call = _wrapped(each, call)
    return call


def _wrapped(middleware: Any, call: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda given: middleware(given, call)
