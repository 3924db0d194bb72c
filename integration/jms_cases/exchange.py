"""One message there and back, for cases about messages.

Law: what is returned has its whole body, so that nothing depends on its consumer any more.
"""

from __future__ import annotations

from typing import TypeVar

from activeclient import Message, Queue, Session

M = TypeVar("M", bound=Message)
SOON = 30.0


def exchanged(session: Session, queue: Queue, message: M, **options: object) -> M:
    """What arrives of `message`, of the same class."""
    arrived = sent_and_received(session, queue, message, **options)
    assert type(arrived) is type(message)
    return arrived


def sent_and_received(session: Session, queue: Queue, body: object, **options: object) -> Message:
    """What arrives of a message or a body."""
    with session.create_producer(queue) as producer, session.create_consumer(queue) as consumer:
        producer.send(body, **options)  # type: ignore[arg-type]
        arrived = consumer.receive(SOON)
        assert arrived is not None
        _ = arrived.raw_body
    return arrived
