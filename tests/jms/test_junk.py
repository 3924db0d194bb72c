"""Every call of the public API with values that do not belong there: a clear error at once, and nothing sent."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator

import pytest

from activeclient import (
    ActiveMQConnectionFactory,
    EmbeddedBroker,
    OutcomeUnknown,
    Queue,
    Requestor,
    ServerLocator,
    TextMessage,
)
from tests.jms.junk import BOOLS, CALLS, QUEUE, VALUES, Objects, is_ours, long_wait


@contextlib.contextmanager
def everything() -> Iterator[Objects]:
    with EmbeddedBroker("junk", port=0) as broker:
        factory = ActiveMQConnectionFactory(broker.vm_url)
        with factory.create_connection() as connection, ServerLocator(broker.vm_url) as locator:
            session = connection.create_session()
            session.create_producer(QUEUE).send("x")
            session.create_producer(Queue("junk.full")).send("x")
            with factory.create_context() as context:
                yield Objects(
                    factory,
                    connection,
                    session,
                    connection.create_session(transacted=True),
                    context,
                    locator.create_session_factory().create_session(),
                    Requestor(connection.create_session(), Queue("junk.requests")),
                    broker,
                )


def wrong(objects: Objects, name: str) -> Iterator[str]:
    """What a call does that it should not, in words, for each value."""
    before = objects.broker.message_count(QUEUE.name)
    taken = 0
    for value in VALUES:
        if long_wait(name, value):
            continue
        try:
            CALLS[name](objects, value)
        except Exception as error:
            taken += isinstance(error, OutcomeUnknown)  # with a time-out of 0 it may have been sent
            if not is_ours(error):
                yield f"{name}({value!a:.60}): {type(error).__name__}: {error!a:.200}"
        else:
            taken += 1
            if isinstance(value, bool) and name in BOOLS:
                yield f"{name}({value}) was taken"
        if isinstance(value, TextMessage):
            value.clear_body()
    if objects.broker.message_count(QUEUE.name) > before + taken:
        yield f"{name}: something that was refused was sent"
    if any(each.is_closed for each in (objects.connection, objects.session, objects.context, objects.core)):
        yield f"{name}: something was closed"
    for consumer in list(objects.session._consumers):
        consumer.close()


def test_no_value_gets_anything_but_a_clear_error_and_nothing_is_sent() -> None:
    with everything() as objects, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a time-out that looks like milliseconds
        assert [text for name in CALLS for text in wrong(objects, name)] == []


SAYS: tuple[tuple[Callable[[Objects], object], str], ...] = (
    (lambda o: o.connection.create_session(False), "the mode, not Java's `transacted`; give no argument"),
    (lambda o: o.connection.create_session(True), "the mode, not Java's `transacted`; give transacted=True"),
    (lambda o: o.factory.create_context(False), "the mode, not Java's `transacted`"),
    (lambda o: o.session.create_producer(QUEUE).send("x", delivery_mode=True), r"write DeliveryMode\.PERSISTENT"),
    (lambda o: o.session.create_producer(QUEUE).send("x", priority=True), "a whole number from 0 to 9"),
    (lambda o: o.session.create_producer(QUEUE).send("x", time_to_live=True), "time_to_live=True: must be seconds"),
    (lambda o: o.session.create_producer(QUEUE).send("x", time_to_live=1e30), r"must be at most 1e\+15 seconds"),
    (lambda o: o.session.create_producer(QUEUE).send(io.StringIO("x")), "not a file of text; open it in mode 'rb'"),
    (lambda o: CALLS["invoke"](o, b"x"), "cannot be told as JSON: .* bytes"),
    (lambda o: CALLS["message_listener"](o, 7), "message_listener must be callable or None, not an int"),
    (lambda o: CALLS["core create_queue routing_type"](o, "anycast"), "must be one of MULTICAST, ANYCAST"),
    (
        lambda o: CALLS["core create_queue attributes"](o, {"ring-size": 1}),
        "no attribute of a queue; known are .*ring_size",
    ),
)


def test_the_error_says_what_to_write_instead() -> None:
    with everything() as objects:
        for call, text in SAYS:
            with pytest.raises(Exception, match=text) as caught:
                call(objects)
            assert is_ours(caught.value)
