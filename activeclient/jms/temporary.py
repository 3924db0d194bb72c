"""Temporary queues and topics of a connection, which alone may consume from them and delete them.

Law of this file: they are equal to what a receiver parses from a JMSReplyTo of the same name.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from activeclient.client.closing import leave
from activeclient.destination import Destination, TemporaryQueue, TemporaryTopic

if TYPE_CHECKING:
    from activeclient.jms.connection import Connection


class OwnTemporary(Destination):
    """What the connection that made a temporary destination can do with it."""

    __slots__ = ()

    @classmethod
    def of(cls, connection: Connection, name: str) -> Self:
        """Made by `Session.create_temporary_queue` and `create_temporary_topic`."""
        made = cls(name)
        object.__setattr__(made, "_connection", connection)
        return made

    @property
    def _owner(self) -> Connection:
        owner: Connection = object.__getattribute__(self, "_connection")
        return owner

    @property
    def is_deleted(self) -> bool:
        """Was it deleted, itself or with its connection?"""
        return not self._owner.owns(self)

    def delete(self) -> None:
        """Delete it.

        Raises:
            IllegalStateError: It has consumers, or is gone.
        """
        self._owner.delete_temporary(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Destination) and other.prefix == self.prefix and other.name == self.name

    def __hash__(self) -> int:
        return Destination.__hash__(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if not (self.is_deleted or self._owner.factory.is_forked):
            leave(self.delete, error)


class OwnTemporaryQueue(OwnTemporary, TemporaryQueue):
    """A temporary queue of this connection. A context manager: leaving it deletes it."""

    __slots__ = ("_connection",)


class OwnTemporaryTopic(OwnTemporary, TemporaryTopic):
    """A temporary topic of this connection. A context manager: leaving it deletes it."""

    __slots__ = ("_connection",)
