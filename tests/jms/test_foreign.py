"""Messages of other implementations: which objects are taken for one, what travels, and what they are told."""

from __future__ import annotations

import pytest

from activeclient.destination import Queue, TemporaryTopic
from activeclient.errors import InvalidDestinationError, MessageFormatError
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.foreign import ForeignMessage, is_foreign, tell_sender
from activeclient.jms.kinds import message_of
from activeclient.jms.map_message import MapMessage
from activeclient.jms.message import Message
from activeclient.jms.modes import DeliveryMode
from activeclient.jms.stream_message import StreamMessage
from activeclient.jms.text_message import TextMessage
from tests.jms.theirs import Theirs


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (None, Message, None), ("text", TextMessage, "text"), (b"data", BytesMessage, b"data"),
        ({"a": 1}, MapMessage, {"a": 1}), ({}, MapMessage, {}), ([1, "x"], StreamMessage, [1, "x"]),
    ],
)  # fmt: skip
def test_the_kind_is_that_of_the_body(body: object, kind: type[Message], expected: object) -> None:
    made = message_of(Theirs(body))
    assert type(made) is kind
    assert made.body == expected


@pytest.mark.parametrize("correlation", ["text", b"\x00\xff", None])
def test_headers_and_properties_travel(correlation: str | bytes | None) -> None:
    theirs = Theirs(
        "x",
        {"a": 1, "b": 2.5, "JMSXGroupID": "g", "JMSXDeliveryCount": 4},
        jms_type="kind",
        jms_correlation_id=correlation,
        jms_reply_to=TemporaryTopic("answers"),
    )
    made = message_of(theirs)
    assert made.jms_type == "kind"
    assert made.jms_correlation_id == correlation
    assert made.jms_reply_to == TemporaryTopic("answers")
    assert dict(made.properties) == {"a": 1, "b": 2.5, "JMSXGroupID": "g"}
    assert made.jms_message_id is None, "ids are given by the send"


def test_the_sender_is_told_what_the_send_decided() -> None:
    theirs: ForeignMessage = Theirs("x")
    sent = TextMessage("x")
    sent.jms_message_id = "ID:1"
    sent.jms_timestamp, sent.jms_expiration, sent.jms_priority = 10, 20, 4
    sent.jms_destination = Queue("q")
    tell_sender(theirs, sent)
    assert (theirs.jms_message_id, theirs.jms_timestamp, theirs.jms_expiration) == ("ID:1", 10, 20)
    assert (theirs.jms_priority, theirs.jms_delivery_mode) == (4, DeliveryMode.PERSISTENT)
    assert theirs.jms_destination == Queue("q")
    assert theirs.jms_delivery_time == 10


def test_wrong_headers_properties_and_bodies_are_refused() -> None:
    with pytest.raises(MessageFormatError, match="'not-a-name'"):
        message_of(Theirs("x", {"not-a-name": 1}))
    with pytest.raises(MessageFormatError, match="property 'a'"):
        message_of(Theirs("x", {"a": object()}))
    with pytest.raises(InvalidDestinationError):
        message_of(Theirs("x", jms_reply_to="queue://q"))  # type: ignore[arg-type]
    with pytest.raises(MessageFormatError, match="object"):
        message_of(Theirs(object()))


def test_what_is_no_message_is_taken_for_none() -> None:
    for other in ("x", b"x", {}, [], None, 5, object()):
        assert not is_foreign(other)
    assert is_foreign(Theirs())
