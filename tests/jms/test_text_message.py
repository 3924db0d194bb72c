"""Text messages: every text, none, damaged ones, and the two states."""

from __future__ import annotations

import pytest
from hypothesis import given

from activeclient.errors import MessageFormatError, MessageNotWriteableError
from activeclient.jms.text_message import TextMessage
from activeclient.wire.message import CoreMessage, text_body
from tests.jms.received import received, received_as, travelled
from tests.jms.values import texts


@pytest.mark.parametrize("text", [None, "", "x", "hé \U0001f600", "\ud800", "\0", "x" * 70_000])
def test_a_text_survives(text: str | None) -> None:
    sent = TextMessage(text).outgoing()
    assert received(CoreMessage(sent.body, sent.body_type, "q")).body == text


def test_a_damaged_text_is_an_error_only_when_it_is_read() -> None:
    message = received(CoreMessage(b"\x01\0\0\0\x09ab", 3, "q"))
    assert isinstance(message, TextMessage)
    with pytest.raises(MessageFormatError):
        _ = message.text


def test_a_received_body_is_read_only_until_it_is_cleared() -> None:
    message = received(CoreMessage(text_body("text"), 3, "q", properties={"a": 1}))
    assert isinstance(message, TextMessage)
    with pytest.raises(MessageNotWriteableError):
        message.text = "other"
    message.clear_body()
    assert message.text is None
    message.text = "other"
    assert message.properties["a"] == 1
    with pytest.raises(MessageNotWriteableError):
        message.properties["b"] = 1
    assert message.outgoing().body == text_body("other")


def test_a_sent_text_can_be_changed_and_sent_again() -> None:
    message = TextMessage("one")
    assert message.outgoing().body == text_body("one")
    message.text = "two"
    assert message.outgoing().body == text_body("two")


def test_the_bytes_are_those_of_java() -> None:
    assert TextMessage("hé").outgoing().body.hex() == "01000000046800e900"
    assert TextMessage("").outgoing().body.hex() == "0100000000"
    assert TextMessage().outgoing().body.hex() == "00"


@pytest.mark.parametrize("length", [0, 1, 9, 20, 10_000, 0xFFFF, 0x10000, 2 * 0xFFFF])
def test_texts_of_every_length_survive(length: int) -> None:
    assert travelled(TextMessage("\u20ac" * length)).text == "\u20ac" * length


def test_what_is_no_text_is_refused() -> None:
    message = TextMessage("kept")
    for wrong in (b"x", 5, ["x"]):
        with pytest.raises(MessageFormatError):
            message.text = wrong  # type: ignore[assignment]
        with pytest.raises(MessageFormatError):
            TextMessage(wrong)  # type: ignore[arg-type]
    assert message.text == "kept"


def test_a_repr_shows_how_much_and_not_what() -> None:
    assert repr(TextMessage("hidden")) == "<TextMessage not sent, 6 characters>"
    assert repr(TextMessage()) == "<TextMessage not sent, no text>"
    arrived = received_as(TextMessage, text_body("hidden"))
    assert "17 bytes" in repr(arrived)
    assert "hidden" not in repr(arrived)


@given(texts)
def test_every_text_survives(text: str) -> None:
    assert travelled(TextMessage(text)).text == text
