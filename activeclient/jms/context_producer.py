"""Sending in the simplified API (jakarta.jms.JMSProducer).

Law of this file: a producer is nothing but what it sets on messages; it holds nothing on the broker and needs no
closing. Its settings are plain attributes, and `set_...` methods that can be chained.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Self

from activeclient.destination import Destination
from activeclient.errors import InvalidDestinationError, MessageFormatError
from activeclient.java_names import Sealed
from activeclient.jms.completions import check_completion
from activeclient.jms.message import delivery_mode, priority
from activeclient.jms.modes import DEFAULT_DELIVERY_MODE, DEFAULT_PRIORITY, DeliveryMode
from activeclient.jms.properties import MessageProperties
from activeclient.jms.times import Duration, in_milliseconds
from activeclient.masking import never_raises
from activeclient.wire.properties import PropertyValue

if TYPE_CHECKING:
    from concurrent.futures import Future

    from activeclient.jms.context import JMSContext
    from activeclient.jms.message import Message
    from activeclient.jms.producer import CompletionListener, OnComplete


class JMSProducer(Sealed):
    """Sends to any destination. Made by `JMSContext.create_producer`."""

    disable_message_id: bool
    """Send without JMSMessageID."""
    disable_message_timestamp: bool
    """Send without JMSTimestamp."""
    completion: OnComplete | CompletionListener | None
    """Told how each send ended; then `send` does not wait. See `MessageProducer.send`."""

    def __init__(self, context: JMSContext) -> None:
        self._context = context
        self._delivery_mode = DEFAULT_DELIVERY_MODE
        self._priority = DEFAULT_PRIORITY
        self._time_to_live: Duration = 0
        self._delivery_delay: Duration = 0
        self._correlation_id: str | bytes | None = None
        self._reply_to: Destination | None = None
        self._type: str | None = None
        self._properties = MessageProperties({})
        self.disable_message_id = False
        self.disable_message_timestamp = False
        self.completion = None

    # --- what it sets on messages ---------------------------------------------------------------------------------

    @property
    def delivery_mode(self) -> DeliveryMode:
        """Default PERSISTENT."""
        return self._delivery_mode

    @delivery_mode.setter
    def delivery_mode(self, value: int) -> None:
        self._delivery_mode = delivery_mode(value)

    @property
    def priority(self) -> int:
        """0 to 9; default 4."""
        return self._priority

    @priority.setter
    def priority(self, value: int) -> None:
        self._priority = priority(value)

    @property
    def time_to_live(self) -> Duration:
        """Seconds until a message expires; 0, the default, never."""
        return self._time_to_live

    @time_to_live.setter
    def time_to_live(self, value: Duration) -> None:
        in_milliseconds("time_to_live", value)
        self._time_to_live = value

    @property
    def delivery_delay(self) -> Duration:
        """Seconds before which a message is not delivered; default 0."""
        return self._delivery_delay

    @delivery_delay.setter
    def delivery_delay(self, value: Duration) -> None:
        in_milliseconds("delivery_delay", value)
        self._delivery_delay = value

    @property
    def jms_correlation_id(self) -> str | bytes | None:
        """What a message belongs to, unless None."""
        return self._correlation_id

    @jms_correlation_id.setter
    def jms_correlation_id(self, value: str | bytes | None) -> None:
        if (value is not None and not isinstance(value, str | bytes)) or value == b"":
            raise MessageFormatError("jms_correlation_id: must be text, or bytes that are not empty")
        self._correlation_id = value

    @property
    def jms_reply_to(self) -> Destination | None:
        """Where an answer is expected, unless None."""
        return self._reply_to

    @jms_reply_to.setter
    def jms_reply_to(self, value: Destination | None) -> None:
        if value is not None and not isinstance(value, Destination):
            raise InvalidDestinationError(f"jms_reply_to: must be a destination, not {type(value).__name__}")
        self._reply_to = value

    @property
    def jms_type(self) -> str | None:
        """A name for the kind of message, unless None."""
        return self._type

    @jms_type.setter
    def jms_type(self, value: str | None) -> None:
        if value is not None and not isinstance(value, str):
            raise MessageFormatError(f"jms_type: must be text, not {type(value).__name__}")
        self._type = value

    @property
    def properties(self) -> MutableMapping[str, PropertyValue]:
        """Set on each message, over what it has."""
        return self._properties

    # --- the same, to be chained ----------------------------------------------------------------------------------

    def set_delivery_mode(self, value: int) -> Self:
        """Set `delivery_mode`."""
        self.delivery_mode = value
        return self

    def set_priority(self, value: int) -> Self:
        """Set `priority`."""
        self.priority = value
        return self

    def set_time_to_live(self, value: Duration) -> Self:
        """Set `time_to_live`."""
        self.time_to_live = value
        return self

    def set_delivery_delay(self, value: Duration) -> Self:
        """Set `delivery_delay`."""
        self.delivery_delay = value
        return self

    def set_disable_message_id(self, value: bool = True) -> Self:
        """Set `disable_message_id`."""
        self.disable_message_id = value
        return self

    def set_disable_message_timestamp(self, value: bool = True) -> Self:
        """Set `disable_message_timestamp`."""
        self.disable_message_timestamp = value
        return self

    def set_jms_correlation_id(self, value: str | bytes | None) -> Self:
        """Set `jms_correlation_id`."""
        self.jms_correlation_id = value
        return self

    def set_jms_reply_to(self, value: Destination | None) -> Self:
        """Set `jms_reply_to`."""
        self.jms_reply_to = value
        return self

    def set_jms_type(self, value: str | None) -> Self:
        """Set `jms_type`."""
        self.jms_type = value
        return self

    def set_async(self, completion: OnComplete | CompletionListener | None) -> Self:
        """Set `completion`.

        Raises:
            TypeError: It is neither callable nor a `CompletionListener`.
        """
        check_completion(completion)
        self.completion = completion
        return self

    def set_property(self, name: str, value: object) -> Self:
        """Set one of `properties`."""
        self._properties[name] = value
        return self

    def clear_properties(self) -> Self:
        """Forget `properties`."""
        self._properties.clear()
        return self

    # --- sending --------------------------------------------------------------------------------------------------

    def send(
        self,
        destination: Destination,
        message: object,
        *,
        duplicate_id: str | bytes | None = None,
        timeout: Duration | None = None,
    ) -> Self:
        """Send a message, or a body as `MessageProducer.send` takes it, with what this producer sets.

        Args:
            duplicate_id: As for `MessageProducer.send`, which tells the errors too.
            timeout: Seconds to wait instead of callTimeout and callFailoverTimeout.
        """
        self._send(destination, message, self.completion, duplicate_id, timeout)
        return self

    def send_async(
        self, destination: Destination, message: object, *, duplicate_id: str | bytes | None = None
    ) -> Future[Message]:
        """Send without waiting; the future has the message when the broker has it, or the error."""
        from activeclient.jms.producer import outcome_of

        return outcome_of(lambda told: self._send(destination, message, told, duplicate_id, None))

    def _send(
        self,
        destination: Destination,
        message: object,
        completion: OnComplete | CompletionListener | None,
        duplicate_id: str | bytes | None,
        timeout: Duration | None,
    ) -> None:
        self._context.check_open()
        producer = self._context.producer_for(
            disable_id=self.disable_message_id, disable_timestamp=self.disable_message_timestamp
        )
        producer.send(
            message,
            destination,
            delivery_mode=self._delivery_mode,
            priority=self._priority,
            time_to_live=self._time_to_live,
            delivery_delay=self._delivery_delay,
            properties=self._properties or None,
            correlation_id=self._correlation_id,
            reply_to=self._reply_to,
            type=self._type,
            duplicate_id=duplicate_id,
            on_complete=completion,
            timeout=timeout,
        )

    @never_raises
    def __repr__(self) -> str:
        return f"<JMSProducer of {self._context!r}>"
