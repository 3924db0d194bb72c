"""Properties: the whole matrix of conversions, names, read-only states, and those of the provider."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from activeclient import Message, Queue, Session, TextMessage
from activeclient.errors import MessageFormatError, MessageNotWriteableError
from integration.jms_cases.exchange import exchanged, sent_and_received

SET: dict[str, object] = {
    "boolean": True, "byte": -7, "short": -300, "int": -70_000, "long": -(2**40), "float": 1.5, "double": -2.25,
    "string": "5",
}  # fmt: skip
READ_AS: dict[str, str] = {
    "boolean": "boolean string", "byte": "byte short int long string", "short": "short int long string",
    "int": "int long string", "long": "long string", "float": "float double string", "double": "double string",
    "string": "boolean byte short int long float double string",
}  # fmt: skip
AS_TEXT = {
    "boolean": "true", "byte": "-7", "short": "-300", "int": "-70000", "long": "-1099511627776", "float": "1.5",
    "double": "-2.25", "string": "5",
}  # fmt: skip


def with_one(kind: str) -> Message:
    message = Message()
    getattr(message.properties, f"set_{kind}")("p", SET[kind])
    return message


def check_matrix(message: Message, kind: str) -> None:
    for wanted in SET:
        get: Callable[[str], object] = getattr(message.properties, f"get_{wanted}")
        if wanted not in READ_AS[kind].split():
            with pytest.raises(MessageFormatError, match="property 'p'"):
                get("p")
        elif wanted == "string":
            assert get("p") == AS_TEXT[kind]
        elif kind == "string":
            assert get("p") == (False if wanted == "boolean" else 5)
        else:
            assert get("p") == SET[kind]
    assert message.properties["p"] == message.properties.get_object("p") == SET[kind]


@pytest.mark.parametrize("kind", SET)
def test_a_property_is_read_as_the_table_says_before_and_after_its_journey(
    session: Session, queue: Queue, kind: str
) -> None:
    message = with_one(kind)
    check_matrix(message, kind)
    check_matrix(exchanged(session, queue, message), kind)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("byte", -(2**7), 2**7 - 1), ("short", -(2**15), 2**15 - 1), ("int", -(2**31), 2**31 - 1),
     ("long", -(2**63), 2**63 - 1)],
)  # fmt: skip
def test_the_ends_of_ranges_arrive_and_what_is_beyond_is_refused(
    session: Session, queue: Queue, kind: str, low: int, high: int
) -> None:
    message = Message()
    setter = getattr(message.properties, f"set_{kind}")
    setter("low", low)
    setter("high", high)
    for wrong in (low - 1, high + 1):
        with pytest.raises(MessageFormatError):
            setter("wrong", wrong)
    message.properties["text"] = str(high + 1)
    arrived = exchanged(session, queue, message).properties
    get = getattr(arrived, f"get_{kind}")
    assert (get("low"), get("high")) == (low, high)
    with pytest.raises(MessageFormatError):
        get("text")


def test_none_is_a_text_and_false_and_no_number(session: Session, queue: Queue) -> None:
    arrived = exchanged(session, queue, Message(properties={"none": None})).properties
    assert "none" in arrived
    assert "absent" not in arrived
    for name in ("none", "absent"):
        assert arrived.get_string(name) is arrived.get_object(name) is None
        assert arrived.get_boolean(name) is False
        for kind in ("byte", "short", "int", "long", "float", "double"):
            with pytest.raises(MessageFormatError):
                getattr(arrived, f"get_{kind}")(name)


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, {1}, 2**63, 1j, Message()], ids=type)
def test_a_value_of_another_type_is_refused(value: object) -> None:
    message = Message()
    with pytest.raises(MessageFormatError):
        message.properties["p"] = value
    with pytest.raises(MessageFormatError):
        message.properties.set_object("p", value)
    assert not message.properties


@pytest.mark.parametrize(
    "name",
    ["", "1a", "a-b", "a.b", "a b", "JMSPriority", "JMSmine", "JMS_ACTIVEMQ_x",
     "NULL", "TRUE", "FALSE", "NOT", "AND", "OR", "BETWEEN", "LIKE", "IN", "IS", "ESCAPE"],
)  # fmt: skip
def test_a_name_that_selectors_could_not_use_is_refused(name: str) -> None:
    message = Message()
    for kind, value in SET.items():
        with pytest.raises(MessageFormatError):
            getattr(message.properties, f"set_{kind}")(name, value)
    with pytest.raises(MessageFormatError):
        Message(properties={name: 1})


def test_names_keep_their_case_and_their_order(session: Session, queue: Queue) -> None:
    names = ["b", "B", "_x", "$y", "größe", "JMS_vendor", "null", "in1"]
    arrived = exchanged(session, queue, Message(properties={name: index for index, name in enumerate(names)}))
    assert [name for name in arrived.properties if name != "JMSXDeliveryCount"] == names


def test_received_properties_are_read_only_until_they_are_cleared_and_headers_and_body_stay(
    session: Session, queue: Queue
) -> None:
    message = TextMessage("body", properties={"p": 1})
    message.jms_type = "kind"
    message.jms_correlation_id = "c"
    arrived = exchanged(session, queue, message)
    for kind, value in SET.items():
        with pytest.raises(MessageNotWriteableError):
            getattr(arrived.properties, f"set_{kind}")("q", value)
    with pytest.raises(MessageNotWriteableError):
        del arrived.properties["p"]
    arrived.clear_properties()
    assert [*arrived.properties] in ([], ["JMSXDeliveryCount"])
    assert (arrived.text, arrived.jms_type, arrived.jms_correlation_id) == ("body", "kind", "c")
    with pytest.raises(MessageNotWriteableError):
        arrived.text = "other"
    arrived.properties["q"] = 2
    again = exchanged(session, queue, arrived)
    assert (again.text, again.properties["q"], "p" in again.properties) == ("body", 2, False)


def test_clearing_the_body_leaves_the_properties_read_only(session: Session, queue: Queue) -> None:
    arrived = exchanged(session, queue, TextMessage("body", properties={"p": 1}))
    arrived.clear_body()
    arrived.text = "other"
    assert arrived.properties["p"] == 1
    with pytest.raises(MessageNotWriteableError):
        arrived.properties["q"] = 2


def test_properties_can_be_changed_after_a_send(session: Session, queue: Queue) -> None:
    message = Message(properties={"p": 1})
    exchanged(session, queue, message)
    message.properties["p"] = 2
    assert exchanged(session, queue, message).properties["p"] == 2


def test_groups_travel_under_their_jms_names(session: Session, queue: Queue) -> None:
    message = Message(properties={"JMSXGroupID": "g", "JMSXGroupSeq": 3})
    arrived = exchanged(session, queue, message)
    assert (arrived.properties.get_string("JMSXGroupID"), arrived.properties.get_int("JMSXGroupSeq")) == ("g", 3)
    assert {"JMSXGroupID", "JMSXGroupSeq"} <= set(arrived.properties)
    with pytest.raises(MessageFormatError):
        message.properties["JMSXGroupID"] = 5
    with pytest.raises(MessageFormatError):
        message.properties["JMSXGroupSeq"] = "five"


def test_the_names_of_the_provider_are_those_of_the_connection(session: Session, queue: Queue) -> None:
    message = Message()
    for name in ("JMSXUserID", "JMSXAppID", "JMSXProducerTXID", "JMSXConsumerTXID"):
        message.properties[name] = "mine"
    arrived = exchanged(session, queue, message)
    assert {"JMSXUserID", "JMSXAppID", "JMSXDeliveryCount"} <= set(arrived.properties)


def test_headers_are_no_properties(session: Session, queue: Queue) -> None:
    message = Message()
    message.jms_type = "kind"
    message.jms_correlation_id = "c"
    message.jms_reply_to = queue
    assert list(exchanged(session, queue, message).properties) == ["JMSXDeliveryCount"]


def test_properties_of_a_send_are_added_to_those_of_the_message(session: Session, queue: Queue) -> None:
    arrived = sent_and_received(session, queue, TextMessage("x", properties={"a": 1, "b": 1}), properties={"b": 2})
    assert (arrived.properties["a"], arrived.properties["b"]) == (1, 2)


def test_selectors_see_the_types_of_properties(session: Session, queue: Queue) -> None:
    message = Message()
    message.properties.set_byte("b", 5)
    message.properties.set_float("f", 1.5)
    message.properties.set_string("s", "5")
    message.properties.set_boolean("t", True)
    selector = "b = 5 AND f = 1.5 AND s = '5' AND t = TRUE AND none IS NULL"
    with session.create_producer(queue) as producer, session.create_consumer(queue, selector) as consumer:
        producer.send(message)
        assert consumer.receive(12) is not None
