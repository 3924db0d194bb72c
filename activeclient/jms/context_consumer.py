"""Receiving in the simplified API (jakarta.jms.JMSConsumer).

Law of this file: it is a `MessageConsumer` that tells its context what it has handed out.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from activeclient.arguments import call
from activeclient.client.closing import leave
from activeclient.destination import Destination
from activeclient.java_names import Sealed
from activeclient.jms.times import Duration
from activeclient.jms.typed import Listener, M
from activeclient.masking import never_raises

if TYPE_CHECKING:
    from activeclient.jms.consumer import MessageConsumer, MessageListener
    from activeclient.jms.context import JMSContext
    from activeclient.jms.message import Message

T = TypeVar("T")


class JMSConsumer(Generic[M], Sealed):
    """Receives from a queue, or from a subscription of a topic. Made by `JMSContext.create_consumer` and its relatives.

    A context manager, and iterable.
    """

    def __init__(self, context: JMSContext, consumer: MessageConsumer[M]) -> None:
        self._context = context
        self._consumer = consumer
        self._listener: MessageListener | None = None

    @property
    def destination(self) -> Destination:
        """What it consumes from."""
        return self._consumer.destination

    @property
    def message_selector(self) -> str | None:
        """The selector that it was made with."""
        return self._consumer.message_selector

    @property
    def no_local(self) -> bool:
        """Does it leave out what its connection sends?"""
        return self._consumer.no_local

    @property
    def is_closed(self) -> bool:
        """Closed, itself or what it belongs to."""
        return self._consumer.is_closed

    def receive(self, timeout: Duration | None = None) -> M | Any:
        """As `MessageConsumer.receive`."""
        message = self._consumer.receive(timeout)
        try:
            if message is not None:
                self._context.handed_out(message)
        except BaseException:
            self._consumer.keep(message)
            raise
        return message

    def receive_no_wait(self) -> M | Any:
        """Return a message if the broker has one for us now."""
        return self.receive(0)

    def receive_body(self, kind: type[T], timeout: Duration | None = None) -> T | None:
        """As `MessageConsumer.receive_body`."""
        return self._consumer.receive_body(kind, timeout, self._context.handed_out)

    def receive_body_no_wait(self, kind: type[T]) -> T | None:
        """As `receive_body`, if the broker has a message for us now."""
        return self.receive_body(kind, 0)

    def messages(self, timeout: Duration | None = None) -> Iterator[M]:
        """As `MessageConsumer.messages`: until none came for `timeout` of a working connection."""
        for message in self._consumer.messages(timeout):
            try:
                self._context.handed_out(message)
            except BaseException:
                self._consumer.keep(message)
                raise
            yield message

    def __iter__(self) -> Iterator[M]:
        return self.messages()

    @property
    def message_listener(self) -> MessageListener | None:
        """Called with each message; see `MessageConsumer.message_listener`."""
        return self._listener

    @message_listener.setter
    def message_listener(self, listener: MessageListener | None) -> None:
        call("message_listener", listener)

        def handed_out(message: Message) -> object:
            assert listener is not None
            self._context.handed_out(message)
            return listener(message)

        self._consumer.message_listener = None if listener is None else handed_out
        self._listener = listener

    def on_message(self, listener: Listener) -> Listener:
        """Set the listener; as a decorator: `@consumer.on_message`."""
        self.message_listener = listener
        return listener

    def close(self) -> None:
        """As `MessageConsumer.close`."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<JMSConsumer {self.destination}{' closed' if self.is_closed else ''}>"
