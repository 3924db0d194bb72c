"""Messages whose attempts or whose time are used up: what goes to the dead letter and to the expiry address.

Law of this file: the copy says where it came from, the last time it moved; it does not expire. A scheduled message
keeps its schedule. No message is dropped without a line in the log, and no number of them fills the log or the memory.
Source: QueueImpl.makeCopy, QueueImpl.sendToDeadLetterAddress and CoreMessage.referenceOriginalMessage of Artemis.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from activeclient.broker.chain import Reference
from activeclient.broker.configuration import QueueConfiguration
from activeclient.broker.message import StoredMessage
from activeclient.destination import ANYCAST, MULTICAST
from activeclient.errors import JMSError
from activeclient.wire.names import (
    ACTUAL_EXPIRY,
    ORIGINAL_ADDRESS,
    ORIGINAL_MESSAGE_ID,
    ORIGINAL_QUEUE,
    ORIGINAL_ROUTING_TYPE,
    ROUTING_TYPE,
)
from activeclient.wire.properties import Byte

if TYPE_CHECKING:
    from activeclient.broker.postoffice import PostOffice

Warn = Callable[[str], None]

SHARE: Final = 4
"""Nobody has to read dead letters and expired messages, so those of one address may take this part of the memory at
most: a quarter. Artemis would page them."""
LINES: Final = 10
"""Dropped messages of one queue that are logged in a period; of the others the number is."""
PLACES: Final = 10
"""Queues and addresses whose dropped messages are logged in a period; beyond them only their number is."""
PERIOD: Final = 60.0
"""Seconds."""
_ELSEWHERE: Final = "other queues and addresses"


class Disposal:
    """Sends dead and expired messages of a post office on, and logs those that are dropped.

    Args:
        warn: Called with a line for the log.
    """

    def __init__(self, office: PostOffice, warn: Warn | None) -> None:
        self._office = office
        self._warn = warn
        self._dropped: dict[str, int] = {}
        """Place to the messages that were dropped there in the present period."""

    def dead_letter(self, ref: Reference) -> None:
        """Move a message whose delivery attempts are used up to the dead letter address of its queue."""
        target = ref.queue.settings.dead_letter_address
        self._dispose(ref, target, f"after {ref.delivery_count} deliveries", "dead_letter_address")

    def bury(self, ref: Reference) -> None:
        """Move a message whose body is damaged, without the body, to the dead letter address of its queue."""
        target = ref.queue.settings.dead_letter_address
        self._dispose(ref, target, "its body is damaged", "dead_letter_address", damaged=True)

    def expire(self, ref: Reference) -> None:
        """Move an expired message to the expiry address of its queue."""
        target = ref.queue.settings.expiry_address
        self._dispose(ref, target, "expired", "expiry_address", self._office.clock.wall_ms())

    def _dispose(
        self,
        ref: Reference,
        target: str | None,
        what: str,
        setting: str,
        expired_ms: int | None = None,
        *,
        damaged: bool = False,
    ) -> None:
        office = self._office
        message_id, queue = ref.message.id, ref.queue.name
        why = f"its address has no {setting}"
        if target:
            why = f"{setting} {target!r} has no queue that takes it"
            self.ready(target)
            if not self._room(target, ref.message.memory):
                why, target = f"the messages of {setting} {target!r} take their part of the memory", None
        if not office.move(ref, target or None, expired_ms=expired_ms, damaged=damaged):
            self.dropped(f"queue {queue!r}", f"message {message_id} was dropped ({what}): {why}")

    def ready(self, target: str) -> None:
        """Make the queue of a dead letter or expiry address that has none, if queues may be made there."""
        office = self._office
        address, _, queue = target.partition("::")
        if office.addresses.bound(address):
            return
        settings = office.configuration.settings_for(address)
        known = office.addresses.get(address)
        if not settings.auto_create_queues or (known is None and not settings.auto_create_addresses):
            return
        kind = MULTICAST if known is not None and known.routing_types == {MULTICAST} else ANYCAST
        with contextlib.suppress(JMSError):  # the name is another queue's: the message is dropped, and that is logged
            office.create_queue(
                QueueConfiguration(name=queue or address, address=address, routing_type=kind, auto_created=True)
            )

    def _room(self, target: str, size: int) -> bool:
        account = self._office.addresses.plan(target).account
        limit = self._office.configuration.global_max_size
        return not account.at_limit and (limit < 0 or account.size + size <= limit // SHARE)

    def dropped(self, place: str, text: str) -> None:
        """Log a message that was dropped; of many in a short time the first ones and the number of the others."""
        if self._warn is None:
            return
        if not self._dropped:
            self._office.after(PERIOD, self._next_period)
        if place not in self._dropped and len(self._dropped) >= PLACES:
            place = _ELSEWHERE
        count = self._dropped[place] = self._dropped.get(place, 0) + 1
        if count <= LINES and place != _ELSEWHERE:
            self._warn(f"{place}: {text}")

    def _next_period(self) -> None:
        dropped, self._dropped = self._dropped, {}
        for place, count in dropped.items():
            more = count if place == _ELSEWHERE else count - LINES
            if more > 0:
                self._warn_of(f"{place}: {more} more messages were dropped within {PERIOD:g} s")

    def _warn_of(self, text: str) -> None:
        if self._warn is not None:
            self._warn(text)


def moved(ref: Reference, address: str, *, expired_ms: int | None = None, retried: bool = False) -> StoredMessage:
    """A copy for another address, with its origin.

    Args:
        expired_ms: When it expired, ms since 1970; None when it did not.
        retried: It goes back to where it came from, as what it was.

    Raises:
        RemoteProtocolError: Its properties cannot be read.
    """
    message = ref.message
    copy = message.to_core()
    properties = copy.properties
    properties[ORIGINAL_ADDRESS] = message.address
    properties[ORIGINAL_QUEUE] = ref.queue.name
    properties[ORIGINAL_MESSAGE_ID] = message.id
    if message.routing_type is not None:
        properties[ORIGINAL_ROUTING_TYPE] = Byte(message.routing_type)
        # The other address decides who gets it.
        del properties[ROUTING_TYPE]
    elif retried and ORIGINAL_ROUTING_TYPE in properties:
        properties[ROUTING_TYPE] = properties[ORIGINAL_ROUTING_TYPE]
    if expired_ms is not None:
        properties[ACTUAL_EXPIRY] = expired_ms
    copy.address = address
    copy.expiration = 0
    copy.message_id = 0
    return message.rewritten(copy)
