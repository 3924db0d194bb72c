"""Copies of messages: by `copy`, by `pickle`, of every kind, received or not."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable

import pytest

from activeclient import (
    BytesMessage,
    MapMessage,
    Message,
    ObjectMessage,
    Queue,
    StreamMessage,
    TemporaryQueue,
    TextMessage,
)
from activeclient.errors import IllegalStateError, MessageNotWriteableError
from activeclient.jms.serializers import Serializers
from activeclient.wire.message import CoreMessage
from activeclient.wire.properties import Byte, PropertyValue
from tests.jms.received import Owner, received, travelled

Copier = Callable[[Message], Message]
COPIERS: list[Copier] = [
    copy.copy,
    copy.deepcopy,
    lambda message: pickle.loads(pickle.dumps(message)),
    lambda message: pickle.loads(pickle.dumps(message, protocol=2)),
]
MESSAGES: list[Callable[[], Message]] = [
    Message,
    lambda: TextMessage("text"),
    TextMessage,
    lambda: BytesMessage(b"bytes"),
    lambda: MapMessage({"a": 1, "b": b"x", "c": None}),
    lambda: StreamMessage([1, "x", None, b"y", Byte(3)]),
    lambda: ObjectMessage({"a": [1, 2]}),
    ObjectMessage,
]
copiers = pytest.mark.parametrize("copied", COPIERS, ids=["copy", "deepcopy", "pickle", "pickle 2"])
messages = pytest.mark.parametrize("make", MESSAGES)


def arrived(make: Callable[[], Message]) -> Message:
    """The message as a consumer gets it, with all headers."""
    made = make()
    made.jms_type, made.jms_correlation_id, made.jms_reply_to = "type", "c", Queue("replies")
    made.properties["own"] = Byte(5)
    core = made.outgoing()
    properties: dict[str, PropertyValue] = {**core.properties, "_AMQ_ROUTING_TYPE": Byte(1)}
    return received(
        CoreMessage(
            core.body, core.body_type, "orders", user_id=bytes(16), durable=False, expiration=7, timestamp=8,
            priority=2, properties=properties, message_id=99, delivery_count=3,
        )
    )  # fmt: skip


def seen(message: Message) -> dict[str, object]:
    """All that an application sees."""
    headers = (
        "jms_message_id", "jms_timestamp", "jms_correlation_id", "jms_reply_to", "jms_type", "jms_destination",
        "jms_delivery_mode", "jms_redelivered", "jms_expiration", "jms_priority", "jms_delivery_time", "delivery_count",
        "is_received", "body",
    )  # fmt: skip
    found = {name: getattr(message, name) for name in headers}
    return {**found, "properties": dict(message.properties), "kinds": [type(v) for v in message.properties.values()]}


@copiers
@messages
@pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
def test_a_received_message_is_copied_whole(copied: Copier, make: Callable[[], Message], read: bool) -> None:
    message = arrived(make)
    before = seen(message) if read else None
    other = copied(message)
    assert type(other) is type(message)
    assert seen(other) == seen(message)
    assert before is None or seen(message) == before
    assert repr(other) == repr(message)


@copiers
@messages
def test_a_copy_belongs_to_no_session(copied: Copier, make: Callable[[], Message]) -> None:
    owner = Owner()
    message = travelled(make(), owner=owner)
    other = copied(message)
    with pytest.raises(IllegalStateError, match="copy of a received message"):
        other.acknowledge()
    other.outgoing()
    with pytest.raises(IllegalStateError, match="copy of a received message"):
        other.acknowledge()
    message.acknowledge()
    assert owner.acknowledged == [message]


@copiers
@messages
def test_a_copy_is_read_only_as_its_original_and_changes_alone(copied: Copier, make: Callable[[], Message]) -> None:
    message = arrived(make)
    before = seen(message)
    other = copied(message)
    with pytest.raises(MessageNotWriteableError):
        other.properties["more"] = 1
    other.clear_properties()
    other.clear_body()
    other.properties["more"] = 1
    other.jms_priority = 9
    assert seen(message) == before
    assert copied(other).properties == {"more": 1, "JMSXDeliveryCount": 3}


@copiers
@messages
def test_a_message_that_was_made_here_is_copied_and_both_are_written_on(
    copied: Copier, make: Callable[[], Message]
) -> None:
    message = make()
    message.properties["own"] = 1
    other = copied(message)
    assert seen(other) == seen(message)
    other.properties["own"] = 2
    assert message.properties["own"] == 1
    assert travelled(other).body == travelled(message).body
    with pytest.raises(IllegalStateError, match="only a received message"):
        copied(other).acknowledge()


@copiers
def test_bodies_that_are_being_written_are_apart(copied: Copier) -> None:
    out, entries, values = BytesMessage(b"a"), MapMessage({"a": 1}), StreamMessage([1])
    for message, change in (
        (out, lambda m: m.write_bytes(b"b")),
        (entries, lambda m: m.set_int("a", 2)),
        (values, lambda m: m.write_int(2)),
    ):
        other = copied(message)
        before = message.body
        change(other)
        assert message.body == before != other.body


@copiers
def test_a_copy_reads_on_where_its_original_is(copied: Copier) -> None:
    message = travelled(StreamMessage([1, 2, 3]))
    assert message.read_int() == 1
    other = copied(message)
    assert isinstance(other, StreamMessage)
    assert [other.read_int(), message.read_int(), other.read_int()] == [2, 2, 3]


class Reversed:
    name = "reversed"

    def dumps(self, value: object) -> bytes:
        return str(value)[::-1].encode()

    def loads(self, data: bytes) -> object:
        return data.decode()[::-1]


def test_serializers_go_with_a_copy_and_not_with_a_pickle() -> None:
    serializers = Serializers((Reversed(),))
    message = travelled(ObjectMessage("abc", serializers=serializers), owner=Owner(serializers))
    for copied in (copy.copy(message), copy.deepcopy(message)):
        assert copied.object == "abc"
    pickled = pickle.loads(pickle.dumps(message))
    assert (pickled.content_type, pickled.raw) == ("reversed", b"cba")
    pickled.serializer = Reversed()
    assert pickled.object == "abc"


def test_a_file_as_a_body_is_not_copied() -> None:
    for copied in COPIERS:
        with pytest.raises(TypeError, match="file"):
            copied(BytesMessage(io.BytesIO(b"x")))


def test_the_destination_of_a_copy_knows_no_connection() -> None:
    message = TextMessage("x")
    message.jms_destination = TemporaryQueue("t")
    other = pickle.loads(pickle.dumps(message))
    assert other.jms_destination == TemporaryQueue("t")
    assert type(other.jms_destination) is TemporaryQueue


class Marked(TextMessage):
    """A class of the application, with attributes of its own."""

    def __init__(self, text: str, mark: str) -> None:
        super().__init__(text)
        self.mark = mark


@copiers
def test_a_class_of_the_application_keeps_its_attributes(copied: Copier) -> None:
    other = copied(Marked("x", "m"))
    assert isinstance(other, Marked)
    assert (other.text, other.mark) == ("x", "m")
