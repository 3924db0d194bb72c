"""Properties of messages: names, what is listed, reading and writing, read-only after receipt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import MessageFormatError, MessageNotWriteableError
from activeclient.jms.properties import MessageProperties, check_name
from activeclient.wire.properties import Byte, Float32, Int, PropertyValue, Short


def made(core: dict[str, PropertyValue] | None = None, **options: object) -> MessageProperties:
    return MessageProperties({} if core is None else core, **options)  # type: ignore[arg-type]


def test_jms_names_stand_for_core_names() -> None:
    core: dict[str, PropertyValue] = {}
    properties = made(core)
    properties["JMSXGroupID"] = "g"
    properties["JMSXGroupSeq"] = 3
    assert core == {"_AMQ_GROUP_ID": "g", "_AMQ_GROUP_SEQUENCE": 3}
    assert isinstance(core["_AMQ_GROUP_SEQUENCE"], Int)
    assert dict(properties) == {"JMSXGroupID": "g", "JMSXGroupSeq": 3}
    del properties["JMSXGroupID"]
    assert "JMSXGroupID" not in properties


def test_headers_routing_and_duplicate_ids_are_not_listed() -> None:
    core: dict[str, PropertyValue] = {
        "JMSType": "t", "JMSReplyTo": "queue://a", "__AMQ_CID": "c", "_AMQ_ROUTING_TYPE": Byte(1),
        "_AMQ_ROUTE_TO": b"", "_AMQ_DUPL_ID": "d", "_AMQ_SCHED_DELIVERY": 1, "JMS_x": 2, "own": 3,
    }  # fmt: skip
    properties = made(core)
    assert list(properties) == ["_AMQ_SCHED_DELIVERY", "JMS_x", "own"]
    assert len(properties) == 3
    copy = made()
    copy.update(properties)
    assert dict(copy) == dict(properties)


def test_clearing_removes_what_is_listed_and_keeps_headers() -> None:
    core: dict[str, PropertyValue] = {"JMSType": "t", "_AMQ_DUPL_ID": "d", "own": 3, "_AMQ_GROUP_ID": "g"}
    properties = made(core, read_only=True)
    properties.clear()
    assert core == {"JMSType": "t"}
    properties["new"] = 1
    assert properties["new"] == 1


def test_received_properties_are_read_only() -> None:
    properties = made({"a": 1}, delivery_count=2, read_only=True)
    with pytest.raises(MessageNotWriteableError):
        properties["b"] = 1
    with pytest.raises(MessageNotWriteableError):
        del properties["a"]
    with pytest.raises(MessageNotWriteableError):
        properties.set_byte("b", 1)
    assert properties["a"] == 1


def test_the_delivery_count_is_a_property_of_received_messages() -> None:
    properties = made({}, delivery_count=2)
    assert properties["JMSXDeliveryCount"] == 2
    assert properties.get_int("JMSXDeliveryCount") == 2
    assert "JMSXDeliveryCount" in properties
    own = made()
    own["JMSXDeliveryCount"] = 7
    assert "JMSXDeliveryCount" not in own
    assert len(own) == 0


@pytest.mark.parametrize(
    "name", ["", "a-b", "1a", "a b", "NULL", "TRUE", "BETWEEN", "JMS_ACTIVEMQ_x", "JMSType", "JMSfoo", "a.b", None, 5]
)
def test_names_that_a_property_cannot_have_are_refused(name: object) -> None:
    with pytest.raises(MessageFormatError):
        made()[name] = 1  # type: ignore[index]


@pytest.mark.parametrize("name", ["a", "_a", "$a", "a$b", "null", "True", "größe", "JMS_vendor", "JMSXUserID"])
def test_identifiers_are_names(name: str) -> None:
    assert check_name(name) == name


def test_names_from_the_wire_are_read_whatever_they_are() -> None:
    assert made({"content-type": "text"}).get_string("content-type") == "text"


def test_setters_choose_the_type_and_its_range() -> None:
    core: dict[str, PropertyValue] = {}
    properties = made(core)
    properties.set_boolean("bool", True)
    properties.set_byte("byte", -128)
    properties.set_short("short", 300)
    properties.set_int("int", 5)
    properties.set_long("long", 5)
    properties.set_float("float", 0.1)
    properties.set_double("double", 1)
    properties.set_string("text", None)
    properties.set_object("object", 2**40)
    assert [type(value) for value in core.values()] == [
        bool, Byte, Short, Int, int, Float32, float, type(None), int,
    ]  # fmt: skip
    for call in (
        lambda: properties.set_byte("x", 128),
        lambda: properties.set_short("x", 2**15),
        lambda: properties.set_int("x", 2**31),
        lambda: properties.set_long("x", 2**63),
        lambda: properties.set_float("x", 1e39),
        lambda: properties.set_string("x", 5),  # type: ignore[arg-type]
        lambda: properties.set_object("x", object()),
    ):
        with pytest.raises(MessageFormatError):
            call()
    assert "x" not in properties


def test_what_is_absent_is_none_or_false_or_an_error() -> None:
    properties = made()
    assert properties.get_object("x") is None
    assert properties.get_string("x") is None
    assert properties.get_boolean("x") is False
    for get in (properties.get_byte, properties.get_int, properties.get_long, properties.get_double):
        with pytest.raises(MessageFormatError, match="'x'"):
            get("x")
    with pytest.raises(KeyError):
        properties["x"]


def test_a_repr_is_short_and_shows_no_secret() -> None:
    core: dict[str, PropertyValue] = {
        "colour": "red", "dbPassword": "hidden", "api_key": "hidden", "ACCESS_TOKEN": b"hidden", "long": "x" * 1000,
    }  # fmt: skip
    shown = repr(made(core))
    assert "'colour': 'red'" in shown
    assert "'dbPassword': ***" in shown
    assert "hidden" not in shown
    assert len(shown) < 300


def test_values_of_another_type_than_the_setters_are_refused() -> None:
    properties = made()
    for name, wrong in (
        ("set_boolean", 1),
        ("set_byte", "1"),
        ("set_int", True),
        ("set_long", 1.0),
        ("set_float", "1"),
    ):
        with pytest.raises(MessageFormatError, match="property 'x'"):
            getattr(properties, name)("x", wrong)
    assert dict(properties) == {}


@given(st.dictionaries(st.from_regex(r"[a-z_$][A-Za-z0-9_$]{0,8}", fullmatch=True), st.integers(-(2**63), 2**63 - 1)))
def test_it_is_a_mapping_like_a_dict(values: dict[str, int]) -> None:
    values = {name: value for name, value in values.items() if not name.startswith(("_AMQ", "__AMQ"))}
    properties = made()
    properties.update(values)
    assert dict(properties) == values
    assert len(properties) == len(values)
    for name in values:
        assert properties.get_long(name) == values[name]
