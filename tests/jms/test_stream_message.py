"""Stream messages: the bytes of Java, the sequence, reading with conversions, positions, and the two states."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import (
    MessageEOFError,
    MessageFormatError,
    MessageNotReadableError,
    MessageNotWriteableError,
)
from activeclient.jms.stream_message import StreamMessage
from activeclient.wire.properties import Byte, Char, Float32, Int, PropertyValue, Short
from tests.jms.received import received_as, travelled
from tests.jms.values import same, values

JAVA = (
    "02ff 0303 050004 0b0078 0600000005 070000000000000006 0840f00000 094020800000000000"
    "0a 01 00000005 00730068006f00720074"
    "0a 01 0000001e 0023 6120737472696e67206c6f6e676572207468616e20656967687420c3a9eda0bdedb880"
    "0a00 04 00000002 0405"
)
"""Sent by Artemis' Java client 2.44.0."""
LONG = "L" * 5000
VALUES: list[PropertyValue] = [
    True, Byte(3), Short(4), Char("x"), Int(5), 6, Float32(7.5), 8.25, "short",
    "a string longer than eight \u00e9\U0001f600", None, b"\x04\x05", LONG,
]  # fmt: skip
BODY = bytes.fromhex(JAVA) + bytes.fromhex("0a01 00001388 00002710") + LONG.encode("utf-16-le")


def test_the_bytes_are_those_of_java() -> None:
    message = StreamMessage()
    message.write_boolean(True)
    message.write_byte(3)
    message.write_short(4)
    message.write_char("x")
    message.write_int(5)
    message.write_long(6)
    message.write_float(7.5)
    message.write_double(8.25)
    message.write_string("short")
    message.write_string("a string longer than eight \u00e9\U0001f600")
    message.write_object(None)
    message.write_bytes(b"\x04\x05")
    message.write_string(LONG)
    assert message.outgoing().body == BODY
    assert StreamMessage().outgoing().body == b""


def test_a_stream_of_java_is_read_value_by_value() -> None:
    message = received_as(StreamMessage, BODY)
    assert message.read_boolean() is True
    assert message.read_byte() == 3
    assert message.read_short() == 4
    assert message.read_char() == "x"
    assert message.read_int() == 5
    assert message.read_long() == 6
    assert message.read_float() == 7.5
    assert message.read_double() == 8.25
    assert message.read_string() == "short"
    assert message.read_string() == "a string longer than eight \u00e9\U0001f600"
    assert message.read_string() is None
    assert message.read_bytes() == b"\x04\x05"
    assert message.read_object() == LONG
    with pytest.raises(MessageEOFError, match="13 stream elements"):
        message.read_object()
    assert list(message) == VALUES


@pytest.mark.parametrize("length", [0, 1, 8, 9, 20, 4094, 4095, 10_000, 0xFFFF, 0x10000, 2 * 0xFFFF])
@pytest.mark.parametrize("unit", ["a", "\u00e9", "\u20ac", "\U0001f600"])
def test_texts_survive_around_each_change_of_their_form(length: int, unit: str) -> None:
    assert travelled(StreamMessage([unit * length, 1])).body == [unit * length, 1]


READS: dict[str, str] = {
    "read_boolean": "boolean String", "read_byte": "byte String", "read_short": "byte short String",
    "read_char": "char", "read_int": "byte short int String", "read_long": "byte short int long String",
    "read_float": "float String", "read_double": "float double String",
    "read_string": "boolean byte short char int long float double String null",
    "read_bytes": "bytes null", "read_object": "all",
}  # fmt: skip
WRITTEN: dict[str, PropertyValue] = {
    "boolean": True, "byte": Byte(1), "short": Short(1), "char": Char("1"), "int": Int(1), "long": 2**40,
    "float": Float32(1), "double": 1.0, "String": "1", "bytes": b"1", "null": None,
}  # fmt: skip


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("kind", WRITTEN)
def test_a_value_is_read_as_the_table_says_and_a_refused_read_moves_nothing(kind: str, read: str) -> None:
    message = travelled(StreamMessage([WRITTEN[kind], "next"]))
    call: Callable[[], object] = getattr(message, read)
    allowed = READS[read] == "all" or kind in READS[read].split() or (kind, read) == ("null", "read_boolean")
    if allowed:
        call()
        assert message.read_string() == "next"
        return
    with pytest.raises(MessageFormatError, match="stream element 0"):
        call()
    assert same(message.read_object(), WRITTEN[kind])


def test_a_text_that_cannot_be_parsed_is_still_there() -> None:
    message = travelled(StreamMessage(["no number"]))
    for read in (message.read_byte, message.read_int, message.read_double):
        with pytest.raises(MessageFormatError):
            read()
    assert message.read_boolean() is False
    message.reset()
    assert message.read_string() == "no number"


@pytest.mark.parametrize("read", READS)
def test_reading_past_the_end_and_reading_what_is_written_are_errors(read: str) -> None:
    message = StreamMessage([1])
    with pytest.raises(MessageNotReadableError):
        getattr(message, read)()
    empty = received_as(StreamMessage, b"")
    with pytest.raises(MessageEOFError):
        getattr(empty, read)()


def test_bytes_are_read_in_pieces_and_nothing_else_before_their_end() -> None:
    message = travelled(StreamMessage([b"abcdef", b"", b"xy", "after"]))
    assert message.read_bytes(4) == b"abcd"
    for read in (message.read_object, message.read_string, message.read_int):
        with pytest.raises(MessageFormatError, match="in pieces"):
            read()
    assert message.read_bytes(2) == b"ef"
    assert message.read_bytes(2) == b""
    assert message.read_bytes(5) == b""
    assert message.read_bytes(1) == b"x"
    assert message.read_bytes() == b"y"
    assert message.read_string() == "after"


def test_none_as_bytes_is_none() -> None:
    message = travelled(StreamMessage([None, None]))
    assert message.read_bytes(10) is None
    assert message.read_bytes() is None


def test_a_reset_begins_again_also_within_bytes() -> None:
    message = travelled(StreamMessage([b"abc", 1]))
    assert message.read_bytes(2) == b"ab"
    message.reset()
    assert message.read_bytes() == b"abc"
    assert message.read_int() == 1


def test_a_received_body_is_read_only_until_it_is_cleared() -> None:
    message = travelled(StreamMessage([1]))
    for write in (
        lambda: message.write_boolean(True), lambda: message.write_byte(1), lambda: message.write_short(1),
        lambda: message.write_char("c"), lambda: message.write_int(1), lambda: message.write_long(1),
        lambda: message.write_float(1), lambda: message.write_double(1), lambda: message.write_string("x"),
        lambda: message.write_bytes(b""), lambda: message.write_object(1),
    ):  # fmt: skip
        with pytest.raises(MessageNotWriteableError):
            write()
    message.clear_body()
    with pytest.raises(MessageNotReadableError):
        message.read_object()
    message.write_int(2)
    assert travelled(message).body == [2]


def test_a_sent_body_is_read_from_its_start() -> None:
    message = StreamMessage([1, 2])
    message.outgoing()
    assert message.read_int() == 1
    with pytest.raises(MessageNotWriteableError):
        message.write_int(3)
    message.reset()
    assert [message.read_int(), message.read_int()] == [1, 2]
    assert travelled(message).body == [1, 2]


def test_it_is_a_sequence_and_still_a_message() -> None:
    message = StreamMessage(["a", 1, None])
    assert isinstance(message, Sequence)
    assert (len(message), message[0], message[-1], message[1:]) == (3, "a", None, [1, None])
    assert list(message) == message.body == ["a", 1, None]
    assert 1 in message
    assert message.index(1) == 1
    assert message in {message}
    assert StreamMessage(), "an empty message is still a message"
    received = travelled(message)
    assert received.read_string() == "a"
    assert list(received) == ["a", 1, None], "iterating moves nothing"
    assert received.read_int() == 1
    with pytest.raises(IndexError):
        received[3]
    received.body.append("x")
    assert len(received) == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("write_boolean", 1), ("write_byte", 128), ("write_short", 2**15), ("write_int", 2**31), ("write_long", 2**63),
        ("write_int", "5"), ("write_int", True), ("write_int", 1.0), ("write_float", 1e39), ("write_double", "1"),
        ("write_char", "ab"), ("write_char", "\U0001f600"), ("write_string", b"x"), ("write_bytes", "x"),
        ("write_bytes", 5), ("write_object", object()), ("write_object", [1]), ("write_object", 2**63),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_and_writes_nothing(name: str, value: object) -> None:
    message = StreamMessage([1])
    with pytest.raises(MessageFormatError, match="stream element 1"):
        getattr(message, name)(value)
    assert list(message) == [1]


def test_there_is_no_body_as_a_whole_for_get_body() -> None:
    for message in (StreamMessage([1]), StreamMessage(), travelled(StreamMessage([1]))):
        assert not message.is_body_assignable_to(object)
        with pytest.raises(MessageFormatError):
            message.get_body(list)


@pytest.mark.parametrize("body", [b"\x06", b"\x01", b"\x06\0\0\0\x01\x0c", b"\x0a\x01\xff\xff\xff\xff", b"\x04\x7f"])
def test_a_damaged_stream_is_an_error_when_it_is_looked_at_and_is_sent_on_as_it_is(body: bytes) -> None:
    message = received_as(StreamMessage, body)
    for look in (message.read_object, lambda: len(message), lambda: message.body):
        with pytest.raises(MessageFormatError):
            look()
    assert "StreamMessage" in repr(message)
    assert message.outgoing().body == body


def test_a_repr_shows_how_much_and_not_what() -> None:
    assert "hidden" not in repr(StreamMessage(["hidden"]))
    assert "2 values" in repr(StreamMessage(["hidden", 1]))


@given(st.lists(values, max_size=8))
def test_every_stream_survives(written: list[PropertyValue]) -> None:
    found = travelled(StreamMessage(written))
    assert len(found) == len(written)
    assert all(same(found.read_object(), value) for value in written)


@given(st.lists(values, max_size=8))
def test_every_value_is_read_as_a_text_or_refused_in_place(written: list[PropertyValue]) -> None:
    found = travelled(StreamMessage(written))
    for value in written:
        if isinstance(value, bytes):
            with pytest.raises(MessageFormatError):
                found.read_string()
            assert found.read_bytes() == value
        else:
            text = found.read_string()
            assert (text is None) == (value is None)
