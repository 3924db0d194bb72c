"""Object messages: what is read and what never is, the bytes on the wire, and the two states."""

from __future__ import annotations

import math
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import ConfigError, MessageFormatError, MessageNotWriteableError
from activeclient.jms.object_message import ObjectMessage
from activeclient.jms.serializers import JSON, Serializers
from tests.jms.received import Owner, received_as, travelled

MARK = "_AMQ_CONTENT_TYPE"
JAVA = bytes.fromhex(
    "aced0005737200136a6176612e7574696c2e41727261794c6973747881d21d99c7619d03000149000473697a65787000000002770400000002"
    "740001787400017978"
)
"""An ArrayList of "x" and "y", serialized by Java."""


class Reversed:
    """A serializer of an application's own: texts, backwards."""

    name = "application/x-reversed"

    def dumps(self, value: object, /) -> bytes:
        return str(value)[::-1].encode()

    def loads(self, data: bytes, /) -> object:
        return data.decode()[::-1]


class Pickle:
    """What an application may choose, knowingly."""

    name = "application/x-python-pickle"

    def dumps(self, value: object, /) -> bytes:
        return pickle.dumps(value)

    def loads(self, data: bytes, /) -> object:
        return pickle.loads(data)


def body_of(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def test_an_object_travels_as_json_and_says_so() -> None:
    core = ObjectMessage({"a": [1, None, True, "é"]}).outgoing()
    assert core.body_type == 2
    assert core.body == body_of(b'{"a":[1,null,true,"\\u00e9"]}')
    assert core.properties == {MARK: "application/json"}
    assert travelled(ObjectMessage({"a": [1]})).object == {"a": [1]}


def test_no_object_has_no_body_as_in_java() -> None:
    core = ObjectMessage().outgoing()
    assert (core.body, core.properties) == (b"", {})
    message = received_as(ObjectMessage, b"")
    assert message.object is message.raw is message.body is None
    assert message.is_body_assignable_to(int)


def test_a_body_of_javas_serialization_is_delivered_as_bytes_and_sent_on_as_it_is() -> None:
    message = received_as(ObjectMessage, body_of(JAVA))
    assert message.content_type is None
    assert message.object == message.raw == message.get_body(bytes) == JAVA
    core = message.outgoing()
    assert core.body == body_of(JAVA)
    assert MARK not in core.properties
    own = ObjectMessage()
    own.raw = JAVA
    assert own.outgoing().body == body_of(JAVA)
    assert own.object == JAVA


def test_what_the_application_did_not_name_is_not_deserialized() -> None:
    poison = pickle.dumps(_Bomb())
    for name in ("application/x-python-pickle", "application/x-java-serialized-object", "application/x-reversed", "?"):
        message = received_as(ObjectMessage, body_of(poison), properties={MARK: name})
        with pytest.raises(MessageFormatError, match="no serializer of this name"):
            _ = message.object
        assert message.raw == poison
        assert name in repr(message)
    with pytest.raises(MessageFormatError, match=r"application/json.*UnicodeDecodeError"):
        _ = received_as(ObjectMessage, body_of(poison), properties={MARK: "application/json"}).object
    assert received_as(ObjectMessage, body_of(poison)).object == poison


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle that came was loaded",)


def test_named_serializers_are_used_by_their_name_and_the_first_one_for_new_messages() -> None:
    known = Serializers([Reversed(), Pickle()])
    message = ObjectMessage("abc", serializers=known)
    assert (message.raw, message.content_type) == (b"cba", "application/x-reversed")
    owner = Owner(known)
    assert travelled(message, owner=owner).object == "abc"
    assert travelled(ObjectMessage({1, 2}, serializer=Pickle()), owner=owner).object == {1, 2}
    assert travelled(ObjectMessage([1]), owner=owner).object == [1], "JSON is always known"


def test_the_serializer_of_a_message_reads_it_whatever_its_mark_says() -> None:
    message = received_as(ObjectMessage, body_of(b"cba"))
    message.serializer = Reversed()
    assert message.object == "abc"
    message.serializer = None
    assert message.object == b"cba"


def test_an_object_is_serialized_when_it_is_set_and_deserialized_anew_each_time() -> None:
    value = {"a": [1]}
    message = ObjectMessage(value)
    value["a"].append(2)
    assert message.object == {"a": [1]}
    first = message.object
    assert isinstance(first, dict)
    first.clear()
    assert message.object == {"a": [1]}


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"x", math.nan, math.inf, {1: 2}, {"a": {None: 1}}, [{(): 1}], 1j],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_form_in_json_is_refused(value: object) -> None:
    with pytest.raises(MessageFormatError, match="application/json"):
        ObjectMessage(value)


def test_what_is_nested_too_deeply_or_in_itself_is_refused() -> None:
    inner: list[object] = []
    inner.append(inner)
    with pytest.raises(MessageFormatError, match="RecursionError"):
        ObjectMessage(inner)
    deep = received_as(ObjectMessage, body_of(b"[" * 200_000), properties={MARK: "application/json"})
    with pytest.raises(MessageFormatError):
        _ = deep.object


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"NaN1", b"9" * 5000, b'"\\ud8', b"[1,]"])
def test_damaged_json_is_an_error_and_the_bytes_are_still_there(data: bytes) -> None:
    message = received_as(ObjectMessage, body_of(data), properties={MARK: "application/json"})
    with pytest.raises(MessageFormatError, match="cannot be read as application/json"):
        _ = message.object
    assert message.raw == data


@pytest.mark.parametrize(
    "body", [b"\0", b"\0\0\0", b"\0\0\0\x02x", b"\0\0\0\0x", b"\xff\xff\xff\xffx", b"\x7f\xff\xff\xff"]
)
def test_a_body_that_is_not_as_long_as_it_says_is_an_error_and_is_sent_on_as_it_is(body: bytes) -> None:
    message = received_as(ObjectMessage, body)
    for look in (lambda: message.raw, lambda: message.object, lambda: message.get_body(str)):
        with pytest.raises(MessageFormatError, match="not the body of an object message"):
            look()
    assert message.outgoing().body == body


def test_a_received_object_is_read_only_until_it_is_cleared() -> None:
    message = travelled(ObjectMessage("x"))
    with pytest.raises(MessageNotWriteableError):
        message.object = "y"
    with pytest.raises(MessageNotWriteableError):
        message.raw = b"y"
    with pytest.raises(MessageNotWriteableError):
        message.content_type = "y"
    message.clear_body()
    assert message.object is message.content_type is None
    message.object = "y"
    assert travelled(message).object == "y"


def test_a_sent_object_can_be_changed_and_sent_again() -> None:
    message = ObjectMessage([1])
    assert travelled(message).object == [1]
    message.object = [2]
    assert travelled(message).object == [2]
    message.object = None
    core = message.outgoing()
    assert (core.body, core.properties) == (b"", {})
    message.raw = b"x"
    message.content_type = "image/png"
    assert travelled(message).content_type == "image/png"


def test_an_object_that_is_sent_on_keeps_its_mark_also_without_properties() -> None:
    owner = Owner(Serializers([Reversed()]))
    message = travelled(ObjectMessage("x", serializer=Reversed(), properties={"a": 1}), owner=owner)
    message.clear_properties()
    again = travelled(message, owner=owner)
    assert again.object == message.object == "x"
    assert "a" not in again.properties


def test_get_body_checks_the_type_of_the_object() -> None:
    message = travelled(ObjectMessage({"a": 1}))
    assert message.get_body(dict) == {"a": 1}
    assert message.is_body_assignable_to(dict)
    assert not message.is_body_assignable_to(list)
    with pytest.raises(MessageFormatError):
        message.get_body(list)


def test_errors_and_reprs_do_not_show_the_object() -> None:
    message = received_as(ObjectMessage, body_of(b'{"password": "hidden'), properties={MARK: "application/json"})
    with pytest.raises(MessageFormatError) as caught:
        _ = message.object
    assert "hidden" not in str(caught.value) + repr(message)
    assert "hidden" not in repr(ObjectMessage("hidden"))


def test_a_serializer_that_fails_or_returns_no_bytes_is_a_format_error_with_its_cause() -> None:
    class Failing(Reversed):
        def dumps(self, value: object, /) -> bytes:
            raise ZeroDivisionError("own")

        def loads(self, data: bytes, /) -> object:
            raise ZeroDivisionError("own")

    class Textual(Reversed):
        def dumps(self, value: object, /) -> bytes:
            return "text"  # type: ignore[return-value]

    with pytest.raises(MessageFormatError, match="ZeroDivisionError") as caught:
        ObjectMessage("x", serializer=Failing())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(MessageFormatError, match="dumps must return bytes, not str"):
        ObjectMessage("x", serializer=Textual())
    message = received_as(ObjectMessage, body_of(b"x"))
    message.serializer = Failing()
    with pytest.raises(MessageFormatError, match="ZeroDivisionError"):
        _ = message.object


def test_what_is_no_serializer_is_refused_by_name() -> None:
    class Nameless(Reversed):
        name = ""

    for wrong in (pickle, object(), Nameless(), Reversed):
        with pytest.raises(ConfigError, match="serializers"):
            Serializers([wrong])  # type: ignore[list-item]
        with pytest.raises(ConfigError, match="serializer"):
            ObjectMessage("x", serializer=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the name of two"):
        Serializers([Reversed(), Reversed()])


def test_a_set_of_serializers_knows_json_and_its_default() -> None:
    assert Serializers().default is JSON
    own = Reversed()
    known = Serializers([own])
    assert known.default is own
    assert [each.name for each in known] == ["application/x-reversed", "application/json"]
    assert Serializers.of(known) is known
    assert "application/x-reversed" in repr(known)

    class OtherJSON(Reversed):
        name = "application/json"

    other = OtherJSON()
    assert Serializers([other]).get("application/json") is other


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(json_values)
def test_every_plain_value_survives(value: object) -> None:
    assert travelled(ObjectMessage(value)).object == value


@given(st.binary(max_size=100))
def test_all_raw_bytes_survive(data: bytes) -> None:
    message = ObjectMessage()
    message.raw = data
    assert travelled(message).raw == data
