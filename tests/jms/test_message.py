"""Messages without a connection: headers, bodies, what may be written when, and sending on."""

from __future__ import annotations

import io
import uuid

import pytest

from activeclient.destination import Destination, Queue, TemporaryQueue, Topic
from activeclient.errors import (
    IllegalStateError,
    InvalidDestinationError,
    LargeMessageError,
    MessageFormatError,
    MessageNotWriteableError,
)
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.kinds import message_of, received_message
from activeclient.jms.map_message import MapMessage
from activeclient.jms.message import Message
from activeclient.jms.modes import DeliveryMode
from activeclient.jms.object_message import ObjectMessage
from activeclient.jms.stream_message import StreamMessage
from activeclient.jms.text_message import TextMessage
from activeclient.wire.message import CoreMessage, text_body
from activeclient.wire.properties import Byte, Int
from tests.jms.received import Owner, received


def text_core(text: str | None = "text", **options: object) -> CoreMessage:
    return CoreMessage(text_body(text), 3, "q", delivery_count=1, **options)  # type: ignore[arg-type]


def test_a_new_message_has_jms_defaults() -> None:
    message = Message()
    assert message.jms_message_id is None
    assert message.jms_timestamp == message.jms_expiration == message.jms_delivery_time == 0
    assert message.jms_priority == 4
    assert message.jms_delivery_mode is DeliveryMode.PERSISTENT
    assert message.jms_redelivered is False
    assert message.jms_correlation_id is message.jms_reply_to is message.jms_type is message.jms_destination is None
    assert message.delivery_count == 0
    assert not message.is_received


def test_headers_are_set_and_removed() -> None:
    message = Message()
    message.jms_type, message.jms_correlation_id = "t", "c"
    message.jms_reply_to = TemporaryQueue("r")
    assert message.core.properties == {"JMSType": "t", "JMSCorrelationID": "c", "JMSReplyTo": "temp-queue://r"}
    assert message.jms_reply_to == TemporaryQueue("r")
    message.jms_correlation_id = b"\x00"
    assert message.jms_correlation_id == b"\x00"
    message.jms_type = message.jms_correlation_id = message.jms_reply_to = None
    assert message.core.properties == {}
    assert dict(message.properties) == {}


def test_wrong_headers_are_refused() -> None:
    message = Message()
    with pytest.raises(MessageFormatError, match="ID:"):
        message.jms_message_id = "mine"
    with pytest.raises(MessageFormatError):
        message.jms_correlation_id = b""
    with pytest.raises(MessageFormatError):
        message.jms_priority = 10
    with pytest.raises(MessageFormatError):
        message.jms_delivery_mode = 3
    with pytest.raises(InvalidDestinationError):
        message.jms_reply_to = "queue://x"  # type: ignore[assignment]
    message.jms_message_id = "ID:mine"
    assert message.jms_message_id == "ID:mine"


def test_an_id_is_read_as_a_time_based_uuid_like_the_broker_does() -> None:
    message = received(text_core(user_id=bytes(range(16))))
    assert message.jms_message_id == "ID:00010203-0405-1607-8809-0a0b0c0d0e0f"
    assert uuid.UUID(message.jms_message_id[3:]).version == 1


@pytest.mark.parametrize(
    ("routing", "consumed", "expected"),
    [
        (Byte(1), Topic("q"), Queue("q")),
        (Byte(0), Queue("q"), Topic("q")),
        (None, Queue("q"), Queue("q")),
        (None, Topic("q"), Topic("q")),
        (Byte(1), TemporaryQueue("q"), TemporaryQueue("q")),
    ],
)
def test_the_destination_comes_from_the_message_before_the_consumer(
    routing: Byte | None, consumed: Destination, expected: Destination
) -> None:
    properties = {} if routing is None else {"_AMQ_ROUTING_TYPE": routing}
    assert received(text_core(properties=properties), consumed).jms_destination == expected


def test_the_class_follows_the_body_type_and_unknown_ones_give_their_raw_body() -> None:
    assert type(received(text_core())) is TextMessage
    assert type(received(CoreMessage(b"x", 4, "q"))) is BytesMessage
    assert type(received(CoreMessage(b"", 0, "q"))) is Message
    assert type(received(CoreMessage(b"", 2, "q"))) is ObjectMessage
    assert type(received(CoreMessage(b"", 5, "q"))) is MapMessage
    assert type(received(CoreMessage(b"", 6, "q"))) is StreamMessage
    for unknown in (1, 7, 8, 99, -1):
        message = received(CoreMessage(b"raw", unknown, "q"))
        assert type(message) is Message
        assert message.raw_body == b"raw"
        assert message.body is None


def test_bodies_of_python_types_make_messages() -> None:
    assert isinstance(message_of("x"), TextMessage)
    assert isinstance(message_of(b"x"), BytesMessage)
    assert isinstance(message_of(memoryview(b"x")), BytesMessage)
    assert type(message_of(None)) is Message
    assert isinstance(message_of({"a": 1}), MapMessage)
    assert isinstance(message_of([1, None]), StreamMessage)
    assert isinstance(message_of((1, "x")), StreamMessage)
    assert isinstance(message_of(io.BytesIO()), BytesMessage)
    message = TextMessage()
    assert message_of(message) is message
    for wrong in (5, 1.5, {1, 2}, object()):
        with pytest.raises(MessageFormatError, match=type(wrong).__name__):
            message_of(wrong)


def test_what_belongs_to_one_journey_stays_behind_when_a_message_is_sent_on() -> None:
    core = text_core(
        properties={
            "_AMQ_DUPL_ID": "d", "__AMQ_CID": "c", "_AMQ_ROUTE_TO1": b"", "_AMQ_SCHED_DELIVERY": 5,
            "_AMQ_LARGE_COMPRESSED": True, "own": 1, "JMSType": "t", "_AMQ_ORIG_QUEUE": "o",
        }
    )  # fmt: skip
    message = received(core)
    sent = message.outgoing()
    assert sent.properties == {"own": 1, "JMSType": "t", "_AMQ_ORIG_QUEUE": "o"}
    assert sent.body == text_body("text")
    assert not message.is_received
    assert core.properties["_AMQ_DUPL_ID"] == "d"


def test_get_body_checks_the_type() -> None:
    message = TextMessage("x")
    assert message.get_body(str) == "x"
    assert message.is_body_assignable_to(str)
    assert not message.is_body_assignable_to(bytes)
    with pytest.raises(MessageFormatError):
        message.get_body(bytes)
    assert TextMessage().get_body(bytes) is None
    assert Message().is_body_assignable_to(int)


def test_a_message_that_was_sent_on_is_still_acknowledged_as_it_was_delivered() -> None:
    owner = Owner()
    core = text_core(properties={"own": 1})
    message = received(core, owner=owner)
    properties = message.properties
    sent = message.outgoing()
    assert sent is message.core is not core
    assert message.delivered is core
    message.add_properties({"more": 2})
    assert sent.properties == {"own": 1, "more": 2}, "the properties are those of the message that is sent"
    assert dict(properties) == dict(message.properties)
    message.acknowledge()
    assert owner.acknowledged == [message]
    message.outgoing()
    assert message.delivered is core


@pytest.mark.parametrize("looked", [True, False])
def test_a_message_that_was_sent_on_reads_as_it_was_received(looked: bool) -> None:
    """As in Java: read-only until they are cleared, with the count of its delivery."""
    core = text_core(properties={"own": 1, "_AMQ_GROUP_ID": "g", "_AMQ_GROUP_SEQUENCE": Int(3)})
    core.delivery_count = 2
    message = received(core)
    if looked:
        assert message.jms_redelivered
        assert message.properties["JMSXDeliveryCount"] == 2
    message.outgoing()
    assert message.jms_redelivered
    assert message.delivery_count == 2
    assert dict(message.properties) == {"own": 1, "JMSXGroupID": "g", "JMSXGroupSeq": 3, "JMSXDeliveryCount": 2}
    with pytest.raises(MessageNotWriteableError):
        message.properties["more"] = 1
    message.clear_properties()
    message.properties["more"] = 1
    assert message.outgoing().properties == {"more": 1}


def test_times_must_be_whole_numbers() -> None:
    message = Message()
    for name in ("jms_timestamp", "jms_expiration", "jms_delivery_time"):
        for wrong in ("5", 1.5, None, 2**63):
            with pytest.raises(MessageFormatError, match=name):
                setattr(message, name, wrong)
        setattr(message, name, 5)
        assert getattr(message, name) == 5


def test_acknowledging_asks_the_owner_and_is_refused_without_one() -> None:
    owner = Owner()
    message = received_message(text_core(), owner, Queue("q"))
    message.acknowledge()
    assert owner.acknowledged == [message]
    with pytest.raises(IllegalStateError):
        Message().acknowledge()


def test_a_delay_holds_for_one_send_only_unless_the_application_set_it() -> None:
    message = TextMessage("x")
    message.schedule(99)
    assert message.jms_delivery_time == 99
    message.forget_schedule()
    assert message.core.properties == {}
    message.properties["_AMQ_SCHED_DELIVERY"] = 77
    message.forget_schedule()
    assert message.jms_delivery_time == 77


def test_a_repr_of_what_cannot_be_read_says_so() -> None:
    class Damaged(CoreMessage):
        @property
        def body(self) -> bytes:
            raise LargeMessageError("it is too large")

        @body.setter
        def body(self, value: bytes) -> None:
            """Never kept."""

    for kind in (3, 4, 5, 6, 2):
        assert "unreadable: it is too large" in repr(received(Damaged(b"", kind, "q")))


def test_a_repr_shows_no_body() -> None:
    assert "secret" not in repr(TextMessage("secret", properties={"password": "secret"}))
