"""The registry of kinds: each declared once, and none of them fooled by what may arrive."""

from __future__ import annotations

import collections
import contextlib
import types

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import activeclient
from activeclient.errors import MessageFormatError
from activeclient.jms.kinds import KINDS, new_message
from activeclient.jms.message import Message
from activeclient.jms.object_message import ObjectMessage
from activeclient.wire.names import CONTENT_TYPE
from tests.jms.received import received_as


def test_each_kind_is_public_and_has_a_number_and_bodies_of_its_own() -> None:
    assert len({kind.body_type for kind in KINDS}) == len(KINDS)
    bodies = [body for kind in KINDS for body in kind.made_of]
    assert len(set(bodies)) == len(bodies)
    for kind in KINDS:
        assert getattr(activeclient, kind.__name__) is kind


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_empty_message_of_each_kind_arrives_empty(kind: type[Message]) -> None:
    message = kind()
    arrived = received_as(kind, message.outgoing().body)
    assert not arrived.body
    assert arrived, "a message is true whatever is in it"
    assert repr(arrived)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(st.binary(max_size=40), st.sampled_from([None, "application/json", "x"]))
@example(b"\x01\x7f\xff\xff\xff", None)
@example(b"\x0a\x01\x7f\xff\xff\xff", None)
@example(b"\x0a\x01\x00\x00\x00\x09\x00\x0a\xff\xff\xff\xff", None)
@example(b"\x00\x00\x00\x05{", "application/json")
def test_whatever_arrives_as_a_body_is_read_or_refused_and_sent_on_as_it_is(
    kind: type[Message], body: bytes, content_type: str | None
) -> None:
    message = received_as(kind, body, properties={CONTENT_TYPE: content_type})
    for look in (lambda: message.body, lambda: message.is_body_assignable_to(str), lambda: message.get_body(bytes)):
        with contextlib.suppress(MessageFormatError):
            look()
    assert kind.__name__ in repr(message)
    assert message.raw_body == body
    assert message.outgoing().body == body


def test_a_mapping_of_any_class_is_a_map_and_a_set_is_refused() -> None:
    for mapping in (collections.OrderedDict(a=1), types.MappingProxyType({"a": 1}), collections.ChainMap({"a": 1})):
        assert new_message(mapping).body == {"a": 1}
    with pytest.raises(MessageFormatError, match="create_object_message"):
        new_message({1})
    assert ObjectMessage not in [kind for kind in KINDS if kind.made_of]
