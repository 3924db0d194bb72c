"""Map messages: the bytes of Java, the mapping, types, conversions, and the two states."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import MessageFormatError, MessageNotWriteableError
from activeclient.jms.map_message import MapMessage
from activeclient.wire.properties import Byte, Char, Float32, Int, PropertyValue, Short
from tests.jms.received import received_as, travelled
from tests.jms.values import names, same, values

JAVA = (
    "01 0000000b 00000004 73006800 05 fffe 0000000a 62007900740065007300 04 00000003 090807 00000002 6c00 07 "
    "ffffffffffffffd6 00000002 6900 06 0000002a 00000004 62007900 03 01 00000002 6600 08 3f000000 00000002 6400 09 "
    "7e37e43c8800759c 00000008 6e0075006c006c00 00 00000002 6300 0b 005a 00000002 7300 0a 00000006 730074007200 "
    "00000002 6200 02 01"
)
"""Sent by Artemis' Java client 2.44.0."""
ENTRIES: dict[str, PropertyValue] = {
    "sh": Short(-2), "bytes": b"\x09\x08\x07", "l": -42, "i": Int(42), "by": Byte(1), "f": Float32(0.5), "d": 1e300,
    "null": None, "c": Char("Z"), "s": "str", "b": True,
}  # fmt: skip


def test_the_bytes_are_those_of_java() -> None:
    message = MapMessage()
    message.set_short("sh", -2)
    message.set_bytes("bytes", b"\x09\x08\x07")
    message.set_long("l", -42)
    message.set_int("i", 42)
    message.set_byte("by", 1)
    message.set_float("f", 0.5)
    message.set_double("d", 1e300)
    message.set_string("null", None)
    message.set_char("c", "Z")
    message.set_string("s", "str")
    message.set_boolean("b", True)
    assert message.outgoing().body == bytes.fromhex(JAVA)
    assert MapMessage({"n": None, "i": 1}).outgoing().body.hex(" ") == (
        "01 00 00 00 02 00 00 00 02 6e 00 00 00 00 00 02 69 00 06 00 00 00 01"
    )
    assert MapMessage().outgoing().body == b"\x00"


def test_a_map_of_java_is_read_with_its_types() -> None:
    message = received_as(MapMessage, bytes.fromhex(JAVA))
    assert list(message) == list(ENTRIES)
    assert dict(message) == message.body == ENTRIES
    assert {name: type(value) for name, value in message.items()} == {
        name: type(value) for name, value in ENTRIES.items()
    }


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x01\0\0\0\0"])
def test_an_empty_map_comes_in_three_forms(body: bytes) -> None:
    message = received_as(MapMessage, body)
    assert dict(message) == {}
    assert len(message) == 0


@pytest.mark.parametrize("body", [b"\x01", b"\x01\0\0\0\x01", b"\x01\x7f\xff\xff\xff", b"\x01\0\0\0\x01\0\0\0\0\x0c"])
def test_a_damaged_map_is_an_error_when_it_is_looked_at_and_is_sent_on_as_it_is(body: bytes) -> None:
    message = received_as(MapMessage, body)
    assert "MapMessage" in repr(message)
    for look in (lambda: message["x"], lambda: len(message), lambda: message.body, lambda: message.get_int("x")):
        with pytest.raises(MessageFormatError, match="not the body of a map message"):
            look()
    assert message.outgoing().body == body


def test_it_is_a_mapping_and_still_a_message() -> None:
    message = MapMessage({"a": 1})
    assert isinstance(message, Mapping)
    message["b"] = "two"
    message.update(c=3.0)
    assert (len(message), "b" in message, "x" in message, 5 in message) == (3, True, False, False)
    assert list(message.items()) == [("a", 1), ("b", "two"), ("c", 3.0)]
    del message["b"]
    assert message.pop("c") == 3.0
    with pytest.raises(KeyError):
        message["b"]
    assert message.get("b", 7) == 7
    assert message != MapMessage({"a": 1})
    assert message in {message}
    assert dict(message) == {"a": 1}
    message.clear()
    assert dict(message) == {}
    assert message, "an empty message is still a message"


@pytest.mark.parametrize("name", ["", None, 5, b"x"])
def test_a_name_that_is_no_text_or_empty_is_refused(name: object) -> None:
    message = MapMessage()
    with pytest.raises(MessageFormatError, match="map entry"):
        message[name] = 1  # type: ignore[index]
    with pytest.raises(MessageFormatError):
        message.set_int(name, 1)  # type: ignore[arg-type]
    with pytest.raises(MessageFormatError):
        MapMessage({name: 1})  # type: ignore[dict-item]
    assert dict(message) == {}


def test_any_other_text_is_a_name() -> None:
    message = MapMessage({"a b": 1, "TRUE": 2, "1-x": 3, "\U0001f600": 4, " ": 5})
    assert dict(travelled(message)) == {"a b": 1, "TRUE": 2, "1-x": 3, "\U0001f600": 4, " ": 5}


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}, 2**63, -(2**63) - 1, 1j])
def test_a_value_that_no_entry_can_have_is_refused_and_changes_nothing(value: object) -> None:
    message = MapMessage({"a": 1})
    with pytest.raises(MessageFormatError, match="map entry 'a'"):
        message["a"] = value
    assert message["a"] == 1


def test_a_received_map_is_read_only_until_it_is_cleared() -> None:
    message = travelled(MapMessage({"a": 1}))
    for write in (
        lambda: message.set_int("b", 1),
        lambda: message.__setitem__("b", 1),
        lambda: message.__delitem__("a"),
        lambda: message.clear(),
        lambda: message.update(b=1),
    ):
        with pytest.raises(MessageNotWriteableError):
            write()
    assert dict(message) == {"a": 1}
    message.clear_body()
    assert dict(message) == {}
    message["b"] = 2
    assert dict(travelled(message)) == {"b": 2}


def test_a_sent_map_can_be_changed_and_sent_again() -> None:
    message = MapMessage({"a": 1})
    assert dict(travelled(message)) == {"a": 1}
    message["a"] = 2
    assert dict(travelled(message)) == {"a": 2}


def test_a_copy_of_the_body_does_not_change_the_message() -> None:
    message = MapMessage({"a": 1})
    message.body["a"] = 2
    assert message["a"] == 1
    assert message.get_body(dict) == {"a": 1}
    assert message.is_body_assignable_to(Mapping)
    assert not message.is_body_assignable_to(str)
    with pytest.raises(MessageFormatError):
        message.get_body(str)


def test_what_is_absent_is_none_or_false_or_an_error() -> None:
    message = MapMessage({"none": None})
    for name in ("none", "absent"):
        assert message.get_string(name) is None
        assert message.get_object(name) is None
        assert message.get_bytes(name) is None
        assert message.get_boolean(name) is False
        for get in (message.get_byte, message.get_short, message.get_int, message.get_long, message.get_char):
            with pytest.raises(MessageFormatError, match=name):
                get(name)
        for get_number in (message.get_float, message.get_double):
            with pytest.raises(MessageFormatError, match=name):
                get_number(name)


def test_chars_and_bytes_have_no_conversions() -> None:
    message = MapMessage({"c": Char("x"), "y": b"x", "s": "x"})
    assert message.get_char("c") == message.get_string("c") == "x"
    assert message.get_bytes("y") == b"x"
    with pytest.raises(MessageFormatError):
        message.get_char("s")
    with pytest.raises(MessageFormatError):
        message.get_bytes("s")
    with pytest.raises(MessageFormatError):
        message.get_string("y")
    with pytest.raises(MessageFormatError):
        message.get_int("c")


def test_a_repr_shows_how_much_and_not_what() -> None:
    message = MapMessage({"password": "hidden"})
    assert "hidden" not in repr(message)
    assert "1 entries" in repr(message)


@given(st.dictionaries(names, values, max_size=8))
def test_every_map_survives(entries: dict[str, PropertyValue]) -> None:
    found = travelled(MapMessage(entries))
    assert list(found) == list(entries)
    assert all(same(found[name], value) for name, value in entries.items())


@given(st.dictionaries(names, values, max_size=8))
def test_a_map_that_is_sent_on_is_the_same(entries: dict[str, PropertyValue]) -> None:
    first = travelled(MapMessage(entries))
    body = first.core.body
    assert travelled(first).core.body == body


def test_a_large_map_survives() -> None:
    entries: dict[str, PropertyValue] = {f"n{index}": "x" * 1000 for index in range(1000)}
    entries |= {"blob": bytes(1 << 20), "nan": math.nan}
    found = travelled(MapMessage(entries))
    assert math.isnan(found.get_double("nan"))
    del entries["nan"]
    assert {name: found[name] for name in entries} == entries
