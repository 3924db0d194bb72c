"""Management by messages: what a message to the management address asks for is done, and answered to its JMSReplyTo.

Law of this file: an operation is a method found by one table; every failure becomes an answer, never an error of the
sender. Names, parameters and results are those of Artemis (ActiveMQServerControl, QueueControl, AddressControl).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.broker.message import StoredMessage

if TYPE_CHECKING:
    from activeclient.broker.postoffice import PostOffice


class Management:
    """The management operations of a post office."""

    __slots__ = ("_office",)

    def __init__(self, office: PostOffice) -> None:
        self._office = office

    def handle(self, message: StoredMessage) -> StoredMessage | None:
        """Do what the message asks for; the answer, which is on its way already, or None when nobody wants one."""
        return None
