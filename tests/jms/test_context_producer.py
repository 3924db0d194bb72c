"""What a producer of the simplified API sets, and refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest

from activeclient.destination import Queue
from activeclient.errors import ConfigError, InvalidDestinationError, MessageFormatError
from activeclient.jms.context_producer import JMSProducer
from activeclient.jms.modes import DeliveryMode


class Context:
    """Keeps what is sent."""

    def __init__(self):
        self.sent = []

    def check_open(self):
        pass

    def producer_for(self, **flags):
        self.flags = flags
        return self

    def send(self, message, destination, **options):
        self.sent.append((message, destination, options))


QUEUE = Queue("q")


def test_everything_that_is_set_goes_with_each_send():
    context = Context()
    listener = print
    producer = (
        JMSProducer(context)
        .set_delivery_mode(1)
        .set_priority(9)
        .set_time_to_live(timedelta(seconds=2))
        .set_delivery_delay(3)
        .set_disable_message_id()
        .set_disable_message_timestamp()
        .set_jms_correlation_id(b"c")
        .set_jms_reply_to(Queue("r"))
        .set_jms_type("t")
        .set_async(listener)
        .set_property("a", 1)
    )
    assert producer.send(QUEUE, "x", duplicate_id="d", timeout=4) is producer
    message, destination, options = context.sent[0]
    assert (message, destination) == ("x", QUEUE)
    assert context.flags == {"disable_id": True, "disable_timestamp": True}
    assert options == {
        "delivery_mode": DeliveryMode.NON_PERSISTENT,
        "priority": 9,
        "time_to_live": timedelta(seconds=2),
        "delivery_delay": 3,
        "properties": {"a": 1},
        "correlation_id": b"c",
        "reply_to": Queue("r"),
        "type": "t",
        "duplicate_id": "d",
        "on_complete": listener,
        "timeout": 4,
    }


def test_producers_of_one_context_do_not_share_what_they_set():
    context = Context()
    JMSProducer(context).set_priority(9).set_property("a", 1)
    JMSProducer(context).send(QUEUE, "x")
    options = context.sent[0][2]
    assert (options["priority"], options["properties"], options["on_complete"]) == (4, None, None)


@pytest.mark.parametrize(
    ("set_it", "error"),
    [
        (lambda p: p.set_priority(10), MessageFormatError),
        (lambda p: p.set_delivery_mode(0), MessageFormatError),
        (lambda p: p.set_time_to_live(-1), ConfigError),
        (lambda p: p.set_delivery_delay("1"), ConfigError),
        (lambda p: p.set_jms_correlation_id(b""), MessageFormatError),
        (lambda p: p.set_jms_correlation_id(7), MessageFormatError),
        (lambda p: p.set_jms_reply_to("queue://q"), InvalidDestinationError),
        (lambda p: p.set_jms_type(7), MessageFormatError),
        (lambda p: p.set_property("NULL", 1), MessageFormatError),
        (lambda p: p.set_property("a", object()), MessageFormatError),
    ],
)
def test_wrong_values_are_refused_at_once(set_it, error):
    with pytest.raises(error):
        set_it(JMSProducer(Context()))


def test_cleared_properties_are_gone():
    producer = JMSProducer(Context()).set_property("a", 1)
    assert dict(producer.properties) == {"a": 1}
    assert dict(producer.clear_properties().properties) == {}
