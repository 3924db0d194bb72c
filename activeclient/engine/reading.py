"""The large message that the application reads while its body comes in, and how long it may.

Law of this file: the application never waits for a body that cannot come, and a body that it does not read never stops
what comes behind it. A body that streams when its session is lost goes on in the next one, from the message's new
delivery, if the broker gives it to nobody else first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activeclient.engine.large_message import InboundBody
from activeclient.errors import ActiveClientError, LargeMessageError

if TYPE_CHECKING:
    from activeclient.engine.consumer import Consumer
    from activeclient.wire.message import CoreMessage, ReceivedMessage


class Reading:
    """The streaming message that the application took last from a consumer, if any."""

    __slots__ = ("_consumer", "_resume_by", "message", "resuming")

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.message: CoreMessage | None = None
        self.resuming: bool = False
        """Was its session lost amid the body, and is it still to be delivered anew?"""
        self._resume_by = 0
        """The forced delivery whose marker says that it is not."""

    # --- the application goes on ----------------------------------------------------------------------------------

    def go_on(self) -> None:
        """The application asks for the next message, which cannot come while an unread body fills the window.

        So a body that fits into the window comes in all the same and may be read later, and any other one is dropped.
        """
        if self.message is None:
            return
        window = self._consumer.window
        stream = self.message.stream
        if window < 0 or 0 <= stream.size <= window:
            self._consumer.consumed(stream.release())
        else:
            self.leave()

    def leave(self) -> None:
        """The application is done with the message: what is here of its body stays with it if it is whole."""
        self.resuming = False
        message, self.message = self.message, None
        if message is not None:
            stream = message.stream
            self._consumer.consumed(stream.release() if stream.complete else stream.discard())

    def fail(self, error: ActiveClientError) -> None:
        """The body will not go on."""
        self.resuming = False
        message, self.message = self.message, None
        if message is not None and not message.stream.complete:
            self._spoil(message, error)

    def _spoil(self, message: CoreMessage, error: ActiveClientError) -> None:
        consumer = self._consumer
        message.stream.error = error
        if consumer.browse_only:
            message.stream.fate = "the message is still in its queue"
        elif consumer.session.tracks_taken:
            message.stream.fate = "the message was not acknowledged and is delivered again"
        else:
            message.stream.fate = "the message is lost: the broker acknowledged it before it delivered it"

    def rolled_back(self) -> None:
        """The message comes again, so its body ends here."""
        message = self.message
        self.leave()
        if message is not None and message.stream.discarded:
            self._spoil(message, LargeMessageError("its transaction was rolled back"))

    # --- its session is lost --------------------------------------------------------------------------------------

    def session_lost(self) -> None:
        """The body stops; called while the consumer still knows what the application holds."""
        if self._may_resume():
            assert self.message is not None
            self.message.stream.interrupt()
            self.resuming = True
        else:
            self._fail_lost()

    def _may_resume(self) -> bool:
        """Only what the application holds alone, for what else it holds comes again in front of it. Not in a
        transaction, which is lost anyway, nor where nothing tells that a message is the same."""
        message, consumer = self.message, self._consumer
        if message is None or message.stream.ended or consumer.acknowledged is None:
            return False
        held = {entry[0] for entry in consumer.taken} | consumer.absorbing.keys()
        return held <= {message.message_id} and not any(each.acknowledged for each in consumer.absorbing.values())

    def expect(self) -> None:
        """The consumer exists anew, and is about to ask for a marker behind all that the broker can deliver."""
        if self.resuming:
            self._consumer.forced_asked += 1
            self._resume_by = self._consumer.forced_asked

    def marked(self, sequence: int) -> None:
        """A marker came: what was not delivered before it has gone to somebody else."""
        if self.resuming and sequence >= self._resume_by:
            self._fail_lost()

    def resume(self, delivered: ReceivedMessage, body: InboundBody) -> bool:
        """Does the body go on with this delivery, behind what is here?

        Only with the first delivery: what came before it would be acknowledged with it.
        """
        message, consumer = self.message, self._consumer
        if message is None or not self.resuming or delivered.message_id != message.message_id:
            return False
        if delivered.fingerprint != message.fingerprint or consumer.buffer or consumer.taken:
            self._fail_lost()
            return False
        self.resuming = False
        message.stream.resume()
        message.origin = consumer.origin
        consumer.large = message
        consumer.taken.append((message.message_id, message.fingerprint, message))
        consumer.consumed(body.header_size)
        return True

    def _fail_lost(self) -> None:
        self.fail(LargeMessageError("its session was lost while it came in"))
