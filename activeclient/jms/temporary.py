"""Temporary queues and topics of a connection, which alone may consume from them and delete them.

Law of this file: they are equal to what a receiver parses from a JMSReplyTo of the same name.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from activeclient.destination import TemporaryQueue, TemporaryTopic

if TYPE_CHECKING:
    from activeclient.jms.connection import Connection


class OwnTemporaryQueue(TemporaryQueue):
    """A temporary queue of this connection. A context manager: leaving it deletes it."""

    __slots__ = ("_connection",)
    _connection: Connection

    @classmethod
    def of(cls, connection: Connection, name: str) -> OwnTemporaryQueue:
        """Made by `Session.create_temporary_queue`."""
        made = cls(name)
        object.__setattr__(made, "_connection", connection)
        return made

    def delete(self) -> None:
        """Delete it.

        Raises:
            IllegalStateError: It has consumers, or is gone.
        """
        self._connection.delete_temporary(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TemporaryQueue) and other.name == self.name

    __hash__ = TemporaryQueue.__hash__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._connection.owns(self):
            self.delete()


class OwnTemporaryTopic(TemporaryTopic):
    """A temporary topic of this connection. A context manager: leaving it deletes it."""

    __slots__ = ("_connection",)
    _connection: Connection

    @classmethod
    def of(cls, connection: Connection, name: str) -> OwnTemporaryTopic:
        """Made by `Session.create_temporary_topic`."""
        made = cls(name)
        object.__setattr__(made, "_connection", connection)
        return made

    def delete(self) -> None:
        """Delete it.

        Raises:
            IllegalStateError: It has consumers, or is gone.
        """
        self._connection.delete_temporary(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TemporaryTopic) and other.name == self.name

    __hash__ = TemporaryTopic.__hash__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._connection.owns(self):
            self.delete()
