"""Bytes messages: values in, values out, the two states, and the ends of bodies."""

from __future__ import annotations

import io
import math
import struct
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import (
    IllegalStateError,
    MessageEOFError,
    MessageFormatError,
    MessageNotReadableError,
    MessageNotWriteableError,
)
from activeclient.jms.bytes_message import BytesMessage
from activeclient.wire.properties import Byte, Char, Float32, Short
from tests.jms.received import received_as


def received(body: bytes) -> BytesMessage:
    return received_as(BytesMessage, body)


def test_the_bytes_are_those_of_java() -> None:
    message = BytesMessage()
    message.write_utf("hé")
    message.write_int(7)
    message.write_char("c")
    message.write_boolean(True)
    message.write_byte(-1)
    message.write_short(-2)
    message.write_long(3)
    message.write_float(1.5)
    message.write_double(-2.5)
    message.write_bytes(b"\x01\x02")
    assert message.data.hex() == (
        "000368c3a9" "00000007" "0063" "ff" "ff" "fffe" "0000000000000003" "3fc00000" "c004000000000000" "0102"
    )  # fmt: skip
    message.reset()
    assert message.read_utf() == "hé"
    assert message.read_int() == 7
    assert message.read_char() == "c"
    assert message.read_boolean() is True
    assert message.read_byte() == -1
    assert message.read_short() == -2
    assert message.read_long() == 3
    assert message.read_float() == 1.5
    assert message.read_double() == -2.5
    assert message.read_bytes(1) == b"\x01"
    assert message.read_bytes() == b"\x02"
    assert message.read_bytes() == b""


READS: list[tuple[str, int]] = [
    ("read_boolean", 1), ("read_byte", 1), ("read_unsigned_byte", 1), ("read_short", 2), ("read_unsigned_short", 2),
    ("read_char", 2), ("read_int", 4), ("read_float", 4), ("read_long", 8), ("read_double", 8),
]  # fmt: skip


@pytest.mark.parametrize(("name", "size"), READS)
def test_reading_past_the_end_is_an_error_and_moves_nothing(name: str, size: int) -> None:
    message = received(bytes(size - 1))
    read: Callable[[], object] = getattr(message, name)
    with pytest.raises(MessageEOFError):
        read()
    assert len(message.read_bytes()) == size - 1


@pytest.mark.parametrize(("name", "size"), READS)
def test_writing_is_not_reading(name: str, size: int) -> None:
    message = BytesMessage(bytes(size))
    read: Callable[[], object] = getattr(message, name)
    with pytest.raises(MessageNotReadableError):
        read()
    message.reset()
    assert read() in (0, False, "\0")


def test_a_text_that_ends_early_or_is_none_is_an_error_and_moves_nothing() -> None:
    for body in (b"", b"\x00", b"\x00\x05abc"):
        message = received(body)
        with pytest.raises(MessageEOFError):
            message.read_utf()
        assert message.read_bytes() == body
    message = received(b"\x00\x02\xff\xff")
    with pytest.raises(MessageFormatError):
        message.read_utf()
    assert message.read_unsigned_short() == 2


def test_a_received_body_is_read_only_until_it_is_cleared() -> None:
    message = received(b"abc")
    assert (message.body_length, message.data) == (3, b"abc")
    for write in (lambda: message.write_byte(1), lambda: message.write_utf("x"), lambda: message.write_bytes(b"x")):
        with pytest.raises(MessageNotWriteableError):
            write()
    with pytest.raises(MessageNotWriteableError):
        message.data = b"other"
    message.clear_body()
    message.write_byte(1)
    assert message.data == b"\x01"
    with pytest.raises(MessageNotReadableError):
        _ = message.body_length


def test_a_sent_body_is_reset() -> None:
    message = BytesMessage(b"ab")
    assert message.outgoing().body == b"ab"
    assert message.read_byte() == ord("a")
    message.reset()
    assert message.read_byte() == ord("a")
    with pytest.raises(MessageNotWriteableError):
        message.write_byte(1)


def test_an_empty_body_is_empty() -> None:
    assert BytesMessage().outgoing().body == b""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("write_byte", 128), ("write_short", 2**15), ("write_int", 2**31), ("write_long", 2**63),
        ("write_float", 1e39), ("write_char", "ab"), ("write_char", "\U0001f600"), ("write_utf", "x" * 65536),
        ("write_int", "5"), ("write_object", None), ("write_object", []), ("write_boolean", "false"),
        ("write_int", 1.5), ("write_double", "1"), ("write_char", 5), ("write_utf", 5), ("write_utf", b"x"),
        ("write_bytes", "x"), ("write_bytes", 5), ("write", "x"), ("write_object", 2**63),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_and_writes_nothing(name: str, value: object) -> None:
    message = BytesMessage(b"kept")
    with pytest.raises(MessageFormatError):
        getattr(message, name)(value)
    assert message.data == b"kept"


def test_objects_are_written_by_their_type() -> None:
    message = BytesMessage()
    for value in (True, Byte(1), Short(1), 1, 2**40, Float32(1.0), 1.0, Char("c"), "c", b"c"):
        message.write_object(value)
    assert message.data == struct.pack(">bbhiqfdH", -1, 1, 1, 1, 2**40, 1.0, 1.0, ord("c")) + b"\0\x01cc"


def test_a_file_is_a_body_that_is_not_read_before_it_is_sent() -> None:
    source = io.BytesIO(b"abc")
    message = BytesMessage(source)
    assert message.outgoing().body_input is source
    assert source.tell() == 0
    with pytest.raises(MessageFormatError):
        BytesMessage("text")  # type: ignore[arg-type]


def test_a_file_is_sent_again_from_its_start_and_not_at_all_when_that_cannot_be() -> None:
    source = io.BytesIO(b"0123")
    source.seek(1)
    message = BytesMessage(source)
    for _ in range(2):
        sent = message.outgoing().body_input
        assert sent is source
        assert sent.read() == b"123"

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    once = BytesMessage(Pipe(b"x"))
    once.outgoing()
    with pytest.raises(IllegalStateError, match="cannot be rewound"):
        once.outgoing()
    once.clear_body()
    once.write_byte(1)
    assert once.outgoing().body == b"\x01"


def test_a_file_is_no_body_to_read() -> None:
    source = io.BytesIO(b"abc")
    message = BytesMessage(source)
    message.reset()
    for look in (lambda: message.data, lambda: message.read_byte(), lambda: message.body_length, message.open_body):
        with pytest.raises(MessageNotReadableError, match="a file"):
            look()
    assert source.tell() == 0


def test_a_body_opens_as_a_file() -> None:
    assert received(b"abc").open_body().read() == b"abc"
    assert BytesMessage(b"abc").open_body().read(2) == b"ab"


def test_a_message_is_a_file_and_a_buffer() -> None:
    message = BytesMessage()
    assert message.write(b"abc") == 3
    message.write(memoryview(b"def"))
    message.reset()
    assert message.read(2) == b"ab"
    assert message.read() == b"cdef"
    assert message.read() == b""
    assert bytes(message) == b"abcdef"
    target = io.BytesIO()
    assert message.save_to(target) == 6
    assert target.getvalue() == b"abcdef"
    assert BytesMessage(b"abc").save_to(target) == 3
    assert target.getvalue() == b"abcdefabc"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes can be buffers from 3.12 on")
def test_a_memoryview_is_of_the_body() -> None:
    assert memoryview(BytesMessage(b"abc")) == b"abc"  # type: ignore[arg-type]


def test_get_body_is_bytes_or_none_when_there_are_none() -> None:
    message = received(b"abc")
    assert message.read_byte() == ord("a")
    assert message.get_body(bytes) == b"abc"
    assert message.read_byte() == ord("a"), "it begins again (JMS 2.0, Message.getBody)"
    assert message.is_body_assignable_to(bytes)
    assert not message.is_body_assignable_to(str)
    with pytest.raises(MessageFormatError):
        message.get_body(str)
    empty = received(b"")
    assert empty.get_body(bytes) is empty.get_body(str) is None
    assert empty.is_body_assignable_to(str)
    assert empty.body == b""


def test_a_repr_shows_how_much_and_not_what() -> None:
    assert repr(BytesMessage(b"hidden")) == "<BytesMessage not sent, 6 bytes>"
    assert "6 bytes" in repr(received(b"hidden"))
    assert "hidden" not in repr(received(b"hidden"))
    assert "a file" in repr(BytesMessage(io.BytesIO(b"x")))


@given(st.text(max_size=200))
def test_every_text_survives(text: str) -> None:
    message = BytesMessage()
    message.write_utf(text)
    message.reset()
    assert message.read_utf() == text


@given(st.floats())
def test_every_double_survives(value: float) -> None:
    message = BytesMessage()
    message.write_double(value)
    message.reset()
    found = message.read_double()
    assert found == value or (math.isnan(found) and math.isnan(value))
