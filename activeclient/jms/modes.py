"""The modes of JMS by name and number.

Law of this file: the numbers are those of jakarta.jms.Session, DeliveryMode and Artemis' ActiveMQJMSConstants, so that
values taken from Java code mean the same here.
"""

from __future__ import annotations

import enum


class AcknowledgeMode(enum.IntEnum):
    """Who acknowledges what a session receives, and when."""

    SESSION_TRANSACTED = 0
    """`commit()` acknowledges, and makes the sends of the session visible."""
    AUTO_ACKNOWLEDGE = 1
    """Each message: before `receive` returns it, or after its listener returned."""
    CLIENT_ACKNOWLEDGE = 2
    """`message.acknowledge()`: everything that the session has received up to now."""
    DUPS_OK_ACKNOWLEDGE = 3
    """As AUTO, but told to the broker in batches (dupsOKBatchSize): after a failure messages may come again."""
    PRE_ACKNOWLEDGE = 100
    """Nobody: the broker has done with a message when it delivers it; lost on the way is lost. Artemis' own."""
    INDIVIDUAL_ACKNOWLEDGE = 101
    """`message.acknowledge()`: this message alone. Artemis' own (ActiveMQJMSConstants)."""


class DeliveryMode(enum.IntEnum):
    """Does a message survive the broker's restart?"""

    NON_PERSISTENT = 1
    PERSISTENT = 2


DEFAULT_DELIVERY_MODE = DeliveryMode.PERSISTENT
DEFAULT_PRIORITY = 4
