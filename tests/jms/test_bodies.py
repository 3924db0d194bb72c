"""Bodies by type: what becomes of dataclasses, models, structs and plain values, and what an error may show."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import importlib.util
import os
import sys
import uuid
from typing import Any

import pytest

from activeclient import BytesMessage, MapMessage, Message, ObjectMessage, StreamMessage, TextMessage
from activeclient.errors import ConfigError, MessageFormatError
from activeclient.jms.bodies import check_kind, typed_message
from activeclient.jms.kinds import message_of
from activeclient.jms.serializers import Serializers
from activeclient.wire.names import CONTENT_TYPE
from activeclient.wire.properties import Byte

pytestmark = pytest.mark.skipif(
    not os.environ.get("CI") and not all(map(importlib.util.find_spec, ("msgspec", "pydantic"))),
    reason="needs msgspec and pydantic (the extra `test`)",
)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Line:
    number: int
    colour: Colour = Colour.RED


@dataclasses.dataclass
class Order:
    article: str
    when: datetime.datetime
    price: decimal.Decimal
    lines: list[Line]
    data: bytes = b"\x00\xff"
    by_number: dict[int, str] = dataclasses.field(default_factory=dict)
    key: uuid.UUID | None = None


ORDER = Order(
    "apples",
    datetime.datetime(2026, 11, 30, 12, 0, tzinfo=datetime.UTC),
    decimal.Decimal("1.50"),
    [Line(1), Line(2)],
    by_number={7: "seven"},
    key=uuid.UUID(int=5),
)


class Hex:
    """A serializer of bytes."""

    name = "application/x-hex"

    def dumps(self, value: object, /) -> bytes:
        return str(value).encode().hex().encode()

    def loads(self, data: bytes, /) -> object:
        return bytes.fromhex(data.decode()).decode()


def test_a_dataclass_is_json_text_that_java_reads_and_comes_back_equal() -> None:
    message = message_of(ORDER)
    assert isinstance(message, TextMessage)
    assert message.core.properties[CONTENT_TYPE] == "application/json"
    assert message.text is not None
    assert '"price":"1.50"' in message.text
    assert message.read(Order) == ORDER
    assert message.read(dict)["lines"] == [{"number": 1, "colour": "red"}, {"number": 2, "colour": "red"}]


def test_a_pydantic_model_is_read_as_json_even_when_it_is_strict() -> None:
    import pydantic

    class Model(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(strict=True)
        when: datetime.datetime
        line: Line

    model = Model(when=ORDER.when, line=Line(3))
    assert message_of(model).read(Model) == model


def test_a_struct_may_hold_a_pydantic_model() -> None:
    import msgspec
    import pydantic

    model: Any = pydantic.create_model("Model", number=(int, ...))
    struct: Any = msgspec.defstruct("Struct", [("model", model)])
    value = struct(model(number=1))
    assert message_of(value).read(struct) == value


def test_lists_of_dataclasses_travel_as_typed_messages() -> None:
    message = typed_message([Line(1), Line(2)])
    assert message.read(list[Line]) == [Line(1), Line(2)]


def test_a_mapping_is_a_map_message_unless_it_is_made_typed() -> None:
    assert isinstance(message_of({"number": 1}), MapMessage)
    assert typed_message({"number": 1}).body == '{"number":1}'


@pytest.mark.parametrize(
    "message",
    [
        MapMessage({"number": Byte(1), "colour": "red"}),
        TextMessage('{"number": 1, "colour": "red"}'),
        BytesMessage(b'{"number": 1}'),
        ObjectMessage({"number": 1}),
    ],
    ids=lambda message: type(message).__name__,
)
def test_any_kind_of_message_with_plain_values_is_read(message: Message) -> None:
    assert message.read(Line) == Line(1)
    assert message.read(dict)["number"] == 1


def test_streams_are_lists() -> None:
    message = StreamMessage([1, "a", b"b"])
    message.reset()
    assert message.read(list) == [1, "a", b"b"]


def test_text_and_bytes_are_taken_as_they_are() -> None:
    assert TextMessage("no json").read(str) == "no json"
    assert BytesMessage(b"\xff").read(bytes) == b"\xff"
    assert BytesMessage(b"[1]").read(list) == [1]
    with pytest.raises(MessageFormatError, match="the body is a str, not bytes"):
        TextMessage("a").read(bytes)
    with pytest.raises(MessageFormatError, match="the body is None, not str"):
        Message().read(str)


def test_a_class_of_messages_is_the_message_itself() -> None:
    message = TextMessage("a")
    assert message.read(TextMessage) is message
    with pytest.raises(MessageFormatError, match="TextMessage, not MapMessage"):
        message.read(MapMessage)


@pytest.mark.parametrize(
    "text", ['{"number": "hunter2"}', '{"number": 1, "colour": "hunter2"}', "hunter2", '"hunter2"']
)
def test_no_error_shows_a_value_of_the_body(text: str) -> None:
    import pydantic

    model: Any = pydantic.create_model("Model", number=(int, ...), colour=(Colour, Colour.RED))
    for kind in (Line, model):
        with pytest.raises(MessageFormatError) as caught:
            TextMessage(text).read(kind)
        assert "hunter2" not in str(caught.value)


def test_an_error_says_where() -> None:
    with pytest.raises(MessageFormatError, match=r"the body is no Line: Expected `int`, got `str` - at `\$.number`"):
        TextMessage('{"number": "x"}').read(Line)


def test_a_validator_of_the_application_is_not_quoted() -> None:
    import pydantic

    class Model(pydantic.BaseModel):
        number: str

        @pydantic.field_validator("number")
        @classmethod
        def check(cls, value: str) -> str:
            raise ValueError(f"not {value}")

    with pytest.raises(MessageFormatError, match="number: value_error") as caught:
        TextMessage('{"number": "hunter2"}').read(Model)
    assert "hunter2" not in str(caught.value)


def test_a_serializer_of_the_application_is_found_by_content_type() -> None:
    serializers = Serializers([Hex()])
    message = typed_message("a", serializers=serializers)
    assert isinstance(message, BytesMessage)
    assert message.data == b"61"

    class Owner:
        def acknowledge(self, message: Message) -> None:
            raise NotImplementedError

    owner: Any = Owner()
    owner.serializers = serializers
    message._owner = owner
    assert message.read(object) == "a"  # type: ignore[type-abstract, unused-ignore]
    owner.serializers = Serializers()
    with pytest.raises(MessageFormatError, match="'application/x-hex', and no serializer"):
        message.read(object)


@pytest.mark.parametrize("name", ["application/json; charset=utf-8", "application/vnd.shop+json", "text/plain"])
def test_other_names_of_json_are_understood(name: str) -> None:
    message = TextMessage('{"number": 1}')
    message.core.properties[CONTENT_TYPE] = name
    assert message.read(Line) == Line(1)


def test_what_no_serializer_takes_is_refused_at_once() -> None:
    with pytest.raises(MessageFormatError, match="Out of range float values"):
        typed_message({"price": float("nan")})
    with pytest.raises(MessageFormatError, match="a set cannot be sent"):
        message_of({1, 2})


@pytest.mark.parametrize("kind", [str, bytes, dict, list, object, Line, list[Line], TextMessage, Line | None, Any])
def test_kinds_that_bodies_may_have(kind: Any) -> None:
    check_kind("body", kind)


@pytest.mark.parametrize("kind", [None, 3, "Order", Hex])
def test_kinds_that_no_body_has_are_refused_early(kind: Any) -> None:
    with pytest.raises(ConfigError, match="body"):
        check_kind("body", kind)


def test_without_msgspec_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)
    with pytest.raises(ConfigError, match=r"pip install 'activeclient\[typed\]'"):
        check_kind("body", Line)
    for plain in (dict, dict[str, Any], list[object], str):
        check_kind("body", plain)
    assert TextMessage('{"number": 1}').read(dict[str, Any]) == {"number": 1}
    with pytest.raises(MessageFormatError, match="the body is a list, not dict"):
        TextMessage("[1]").read(dict[str, Any])
