"""Questions and their answers (jakarta.jms.QueueRequestor and TopicRequestor in one).

Law of this file: an answer to an earlier question, whose asker did not wait long enough, is never taken for the answer
to this one, provided that its JMSCorrelationID names its question; a question that is asked again under the same id is
the same.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from activeclient.client.closing import leave
from activeclient.destination import Destination, Topic
from activeclient.errors import IllegalStateError
from activeclient.jms.modes import AcknowledgeMode
from activeclient.jms.times import Duration, timeout_seconds
from activeclient.masking import never_raises

if TYPE_CHECKING:
    from activeclient.jms.message import Message
    from activeclient.jms.session import Session

MAX_UNANSWERED = 1000
"""Questions without answer that are remembered, so that late answers are known."""


class Requestor:
    """Sends requests to a destination and receives the replies on a temporary queue (for topics: topic) of its own.

    The server sends its reply to the request's `jms_reply_to`, with the request's `jms_correlation_id`, or its
    `jms_message_id` when that is None, as `jms_correlation_id`. A reply without one is taken for the latest request's.

    A context manager: leaving it deletes the temporary destination; the session stays.

    Args:
        session: Not transacted and not in CLIENT mode; its connection must be started.
        destination: Where the server listens.

    Raises:
        IllegalStateError: The session is transacted: a request would not leave before the commit. Or it is in CLIENT
            mode: acknowledging a reply would acknowledge everything else that it has received.
    """

    def __init__(self, session: Session, destination: Destination) -> None:
        if session.acknowledge_mode in (AcknowledgeMode.SESSION_TRANSACTED, AcknowledgeMode.CLIENT_ACKNOWLEDGE):
            raise IllegalStateError(
                f"a requestor needs a session that acknowledges replies alone, not {session.acknowledge_mode.name}"
            )
        topic = isinstance(destination, Topic)
        with contextlib.ExitStack() as undone:
            self._producer = session.create_producer(destination)
            undone.callback(self._producer.close)
            self._reply_to = session.create_temporary_topic() if topic else session.create_temporary_queue()
            undone.push(self._reply_to)
            self._consumer = session.create_consumer(self._reply_to)
            undone.pop_all()
        self._unanswered: deque[str | bytes | None] = deque(maxlen=MAX_UNANSWERED)

    def request(self, message: object, timeout: Duration | None = None, **options: object) -> Message | Any:
        """Send a request and return its reply, or None when `timeout` passes without one.

        Args:
            message: A message, or a body, as for `MessageProducer.send`.
            timeout: Seconds or a timedelta; None waits until the reply comes.
            options: As for `MessageProducer.send`.
        """
        limit = None if timeout is None else timeout_seconds("timeout", timeout)
        sent = self._producer.send(message, **{**options, "reply_to": self._reply_to})  # type: ignore[arg-type]
        question = sent.jms_correlation_id if sent.jms_correlation_id is not None else sent.jms_message_id
        deadline = None if limit is None else time.monotonic() + limit
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                reply = self._consumer.receive(left)
            except BaseException:  # interrupted: the reply is none to the next request
                self._unanswered.append(question)
                raise
            if reply is None:
                self._unanswered.append(question)
                return None
            reply.acknowledge()
            answers = reply.jms_correlation_id
            if answers is None or answers == question or answers not in self._unanswered:
                return reply

    def close(self) -> None:
        """Delete the temporary destination; the session stays open."""
        self._producer.close()
        self._consumer.close()
        self._reply_to.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self.close, error)

    @never_raises
    def __repr__(self) -> str:
        return f"<Requestor {self._producer.destination}>"
