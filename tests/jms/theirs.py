"""A message of another library, as users may have one.

Law of this file: it knows nothing of our messages but the names of their attributes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from activeclient.destination import Destination
from activeclient.jms.modes import DeliveryMode


@dataclass
class Theirs:
    """A message of another library."""

    body: object = None
    properties: dict[str, object] = field(default_factory=dict)
    jms_type: str | None = None
    jms_correlation_id: str | bytes | None = None
    jms_reply_to: Destination | None = None
    jms_destination: Destination | None = None
    jms_message_id: str | None = "theirs"
    jms_timestamp: int = 1
    jms_expiration: int = 2
    jms_priority: int = 9
    jms_delivery_mode: DeliveryMode = DeliveryMode.NON_PERSISTENT
    jms_delivery_time: int = 3
