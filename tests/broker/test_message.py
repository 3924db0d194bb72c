from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.broker.large import LargeBody
from activeclient.broker.message import StoredMessage
from activeclient.errors import RemoteProtocolError
from activeclient.wire.frames import FRAME
from activeclient.wire.message import (
    CoreMessage,
    decode_large_header,
    encode_receive,
    encode_send,
    encode_send_large_header,
    read_message,
)
from activeclient.wire.properties import Byte, Int
from activeclient.wire.versions import NEWEST
from tests.broker.office import Office, message

NAMES = st.sampled_from(("colour", "_AMQ_GROUP_ID", "_AMQ_DUPL_ID", "_AMQ_ROUTING_TYPE", "_AMQ_SCHED_DELIVERY", "é"))
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=20), st.binary(max_size=20)
)
MESSAGES = st.builds(
    CoreMessage,
    st.binary(max_size=100),
    st.integers(0, 6),
    st.one_of(st.none(), st.text(max_size=20)),
    user_id=st.one_of(st.none(), st.binary(min_size=16, max_size=16)),
    durable=st.booleans(),
    expiration=st.integers(0, 2**62),
    timestamp=st.integers(0, 2**62),
    priority=st.integers(0, 9),
    properties=st.dictionaries(NAMES, VALUES, max_size=4),
)
TRAILERS = {129: 1, 130: 9, 133: 9, 134: 13, NEWEST: 13}


@given(MESSAGES, st.sampled_from(sorted(TRAILERS)), st.integers(1, 2**62), st.integers(0, 2**31), st.integers(0, 9))
def test_a_message_goes_out_as_it_came_in_with_its_id(core, version, message_id, consumer_id, count):
    stored = StoredMessage.from_send(encode_send(core, 11, version), TRAILERS[version])
    stored.id = core.message_id = message_id
    assert stored.encode_receive(consumer_id, count, 10) == encode_receive(core, consumer_id, count, 10)
    again = StoredMessage.from_encoded(stored.encoded())
    assert again.id == message_id
    assert again.encode_receive(consumer_id, count, 10) == encode_receive(core, consumer_id, count, 10)


@given(MESSAGES)
def test_what_the_broker_reads_in_it_is_what_was_sent(core):
    stored = StoredMessage.from_send(encode_send(core, 11, NEWEST), 13)
    for name in ("address", "user_id", "body_type", "durable", "expiration", "timestamp", "priority", "body"):
        assert getattr(stored, name) == getattr(core, name), name
    duplicate = core.properties.get("_AMQ_DUPL_ID")
    if isinstance(duplicate, bytes | None):
        assert stored.duplicate_id == duplicate
    else:
        assert stored.duplicate_id == str(duplicate).encode("utf-16-le")
    assert stored.property("_AMQ_GROUP_ID") == core.properties.get("_AMQ_GROUP_ID")
    assert stored.special_property("_AMQ_GROUP_ID") == core.properties.get("_AMQ_GROUP_ID")
    assert stored.properties == core.properties
    copy = stored.to_core()
    assert encode_send(copy, 11, NEWEST) == encode_send(core, 11, NEWEST)


@given(MESSAGES, st.data())
def test_a_damaged_frame_is_told_as_such_or_harms_nobody(core, data):
    frame = bytearray(encode_send(core, 11, NEWEST))
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(13, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(13, len(frame)))
    office = Office(message_expiry_scan_period=-1)
    office.queue(last_value=True)
    taker = office.consume()
    try:
        stored = StoredMessage.from_send(bytes(frame[:cut]), 13)
    except RemoteProtocolError:
        return
    stored.address = "q"
    office.post.route(stored)
    for ref in taker.held:
        ref.message.encode_receive(1, 1, 10)
        ref.message.property("colour")
    taker.give_back()
    taker.close()
    office.post.find("q").purge()
    office.post.find("q").expire_waiting(2**63)
    assert office.post.addresses.memory.size == 0


def test_header_fields_have_names_in_filters():
    core = CoreMessage(b"12", 4, "a", user_id=bytes(16), durable=False, expiration=5, timestamp=6, priority=7)
    core.properties["_AMQ_GROUP_ID"] = "g"
    stored = StoredMessage.from_send(encode_send(core, 11, NEWEST), 13)
    found = {
        name: stored.property(f"AMQ{name}") for name in ("Durable", "Expiration", "Timestamp", "Address", "GroupID")
    }
    assert found == {"Durable": "NON_DURABLE", "Expiration": 5, "Timestamp": 6, "Address": "a", "GroupID": "g"}
    assert stored.property("AMQUserID") == "ID:00000000-0000-0000-0000-000000000000"
    assert (stored.property("AMQPriority"), type(stored.property("AMQPriority"))) == (7, Int)
    assert stored.property("AMQSize") == stored.size > 2
    assert stored.property("AMQNothing") is None
    assert message().property("AMQDurable") == "DURABLE"
    assert message().property("AMQUserID") is None


@pytest.mark.parametrize(("value", "expected"), [(Byte(0), 0), (Byte(1), 1), (Byte(7), None), (1, None), ("1", None)])
def test_a_routing_type_is_a_byte_of_two(value, expected):
    assert message(_AMQ_ROUTING_TYPE=value).routing_type == expected


def test_a_text_that_reads_like_a_name_is_no_property():
    stored = message(colour="_AMQ_DUPL_ID", other="_AMQ_ROUTING_TYPE")
    assert (stored.duplicate_id, stored.routing_type, stored.scheduled_ms) == (None, None, 0)


def test_a_large_message_goes_out_with_its_header_and_its_body_apart():
    core = CoreMessage(b"", 4, "a", properties={"colour": "red"})
    body = LargeBody(0)
    stored = StoredMessage.from_send_large(encode_send_large_header(core, 11, NEWEST), body)
    body.append(b"abc")
    body.append(b"defg")
    stored.id = 77
    header = decode_large_header(stored.encode_receive_large(5, 2, 10))
    assert (header.message_id, header.consumer_id, header.delivery_count, header.large_size) == (77, 5, 2, 7)
    assert header.properties == {"colour": "red"}
    assert [body.read(at, 3) for at in (0, 3, 6)] == [b"abc", b"def", b"g"]
    body.release()


def test_other_frames_are_refused():
    frame = encode_send(CoreMessage(b"x"), 10, NEWEST)
    for kind in (72, 75, 41):
        with pytest.raises(RemoteProtocolError):
            StoredMessage.from_send(frame[:4] + struct.pack("b", kind) + frame[5:], 13)
    with pytest.raises(RemoteProtocolError):
        StoredMessage.from_send_large(frame, LargeBody(0))
    with pytest.raises(RemoteProtocolError):
        StoredMessage.from_send(FRAME.pack(9, 71, 10), 13)


def test_a_received_frame_can_be_read_by_a_client():
    stored = message("hello", colour="red")
    stored.id = 3
    received, _ = read_message(stored.encode_receive(1, 2, 10), 0)
    assert (received.body, received.consumer_id, received.delivery_count) == (b"hello", 1, 2)
