"""Messages of clients before 129."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import RemoteProtocolError
from activeclient.wire import packets as p
from activeclient.wire.message import CoreMessage, encode_receive, encode_send
from activeclient.wire.old_layout import modern_send, old_receive
from tests.broker.peer import World


def old(frame: bytes) -> bytes:
    """A SEND of version 129 as an older client writes it: a longer length, a second position."""
    length, kind, channel, end = struct.unpack_from(">ibqi", frame)
    head = struct.pack(">ibqi", length + 4, kind, channel, end + 4)
    return head + frame[17 : end + 4] + struct.pack(">i", len(frame) + 4 - 1) + frame[end + 4 :]


@given(st.binary(max_size=50))
def test_a_send_of_an_old_client_is_read_as_that_of_a_new_one(body: bytes) -> None:
    frame = encode_send(CoreMessage(body, 4, "q", properties={"a": 1}), 10, 129, True)
    assert modern_send(old(frame)) == frame


@pytest.mark.parametrize("end", [-1, 0, 16, 1000])
def test_a_body_that_ends_outside_of_its_frame_is_refused(end: int) -> None:
    with pytest.raises(RemoteProtocolError):
        modern_send(struct.pack(">ibqi", 30, 71, 10, end) + b"x" * 17)
    with pytest.raises(RemoteProtocolError):
        modern_send(struct.pack(">ibq", 9, 71, 10))


def test_an_old_client_is_given_the_old_layout() -> None:
    frame = encode_receive(CoreMessage(b"body", 4, "q", message_id=7), 3, 1, 10)
    given_ = old_receive(frame)
    length, _, _, end = struct.unpack_from(">ibqi", given_)
    assert length == len(given_) - 4
    assert given_[17:end] == b"body"
    (whole,) = struct.unpack_from(">i", given_, end)
    assert struct.unpack_from(">q", given_, end + 4) == (7,)
    assert struct.unpack_from(">qi", given_, whole) == (3, 1)
    assert whole + 12 == len(given_)


def test_an_old_and_a_new_client_exchange_messages() -> None:
    world = World()
    ancient = world.connect(127)
    ancient.session("old", version=127)
    ancient.ask(p.CreateQueue("jms.queue.q", "jms.queue.q"), p.NullResponse)
    ancient.bytes(old(encode_send(CoreMessage(b"hello", 4, "jms.queue.q"), 10, 129)))
    modern = world.connect()
    modern.session("new")
    modern.consume("jms.queue.q")
    assert modern.bodies() == [b"hello"]
