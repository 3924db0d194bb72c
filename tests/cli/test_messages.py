"""Messages as they are printed."""

from __future__ import annotations

import json

import pytest

from activeclient.cli.messages import body_of, record, show
from activeclient.cli.output import Output
from activeclient.jms.bytes_message import BytesMessage
from activeclient.jms.map_message import MapMessage
from activeclient.jms.message import Message
from activeclient.jms.object_message import ObjectMessage
from activeclient.jms.stream_message import StreamMessage
from activeclient.jms.text_message import TextMessage


def printed(message: Message, capsys: pytest.CaptureFixture[str], **how: bool) -> str:
    options = {"headers": False, "raw": False, **how}
    show(Output(options.pop("as_json", False)), message, **options)
    return capsys.readouterr().out


def test_a_text_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(TextMessage("hé"), capsys) == "hé\n"
    assert printed(TextMessage(None), capsys) == "\n"


def test_raw_adds_nothing(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    show(Output(), BytesMessage(b"\x00\xff"), headers=False, raw=True)
    assert capsysbinary.readouterr().out == b"\x00\xff"


def test_headers_and_properties_come_before_the_body(capsys: pytest.CaptureFixture[str]) -> None:
    message = TextMessage("body", properties={"colour": "red"})
    message.jms_type = "greeting"
    told = printed(message, capsys, headers=True)
    head, _, body = told.partition("\n\n")
    assert "type: greeting" in head.splitlines()
    assert "property colour: red" in head.splitlines()
    assert body == "body\n"


def test_json_has_body_and_headers_of_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(printed(BytesMessage(b"\x01", properties={"n": 7}), capsys, as_json=True))
    assert found["body"] == {"base64": "AQ=="}
    assert found["kind"] == "BytesMessage"
    assert found["properties"] == {"n": 7}
    assert json.loads(printed(TextMessage("x"), capsys, as_json=True))["body"] == "x"


def test_a_message_without_body_has_none() -> None:
    assert body_of(Message()) == b""
    assert record(TextMessage(None))["body"] is None


def test_maps_streams_and_objects_are_printed_as_what_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    for message, body in (
        (MapMessage({"a": 1, "b": b"\x01"}), {"a": 1, "b": {"base64": "AQ=="}}),
        (StreamMessage([1, None, "x"]), [1, None, "x"]),
        (ObjectMessage({"a": [1]}), {"a": [1]}),
        (ObjectMessage(), None),
    ):
        assert json.loads(printed(message, capsys, as_json=True))["body"] == body


def test_an_object_that_nothing_here_can_read_is_its_bytes() -> None:
    message = ObjectMessage()
    message.raw = b"\x01"
    message.content_type = "application/x-unknown"
    message.write_body()
    assert body_of(message) == b"\0\0\0\x01\x01"
