"""Messages: the two ways of writing agree, and reading is lazy but never careless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import LocalProtocolError, MessageFormatError, RemoteProtocolError
from activeclient.wire.frames import FRAME
from activeclient.wire.message import (
    BYTES,
    FORCED_DELIVERY,
    MAP,
    TEXT,
    CoreMessage,
    decode_large_header,
    decode_send,
    duplicate_id_of,
    encode_receive,
    encode_send,
    encode_send_large_header,
    forced_delivery_sequence,
    may_have_duplicate_id,
    message_address,
    received,
    send_correlation_id,
    text_body,
    text_of,
)
from activeclient.wire.names import LARGE_COMPRESSED
from activeclient.wire.packet import decode, encode
from activeclient.wire.packets import ReceiveLarge, ReceiveMessage, Send, SendLarge
from activeclient.wire.properties import PropertyValue, encode_properties
from activeclient.wire.send_template import SendTemplate
from tests.wire.test_fields import ANY_TEXT, joined
from tests.wire.test_properties import VALUES
from tests.wire.vectors import VECTORS

LONG = st.integers(-(1 << 63), (1 << 63) - 1)
BYTE = st.integers(-128, 127)
VERSIONS = st.integers(129, 136)
PROPERTIES = st.dictionaries(st.text(max_size=6), VALUES, max_size=3)
MESSAGES = st.builds(
    CoreMessage,
    st.binary(max_size=50),
    BYTE,
    st.none() | ANY_TEXT.map(joined),
    user_id=st.none() | st.binary(min_size=16, max_size=16),
    durable=st.booleans(),
    expiration=LONG,
    timestamp=LONG,
    priority=BYTE,
    properties=PROPERTIES,
    message_id=LONG,
)
HEADER = ("message_id", "address", "user_id", "body_type", "durable", "expiration", "timestamp", "priority")


def assert_same(found: CoreMessage, expected: CoreMessage, *, body: bool = True) -> None:
    for name in HEADER:
        assert getattr(found, name) == getattr(expected, name), name
    assert encode_properties(found.properties) == encode_properties(expected.properties)
    assert found.body == (expected.body if body else b"")


@given(MESSAGES, VERSIONS, st.booleans(), LONG, st.integers(0, 1 << 30))
def test_a_send_is_read_as_it_was_written(
    message: CoreMessage, version: int, response: bool, correlation_id: int, sender_id: int
) -> None:
    frame = encode_send(message, 10, version, response, correlation_id, sender_id)
    assert encode(Send(message, response, correlation_id, sender_id), 10, version) == frame
    expected = (response, correlation_id if version >= 130 else 0, sender_id if version >= 134 else 0)
    got, *rest = decode_send(frame, version)
    assert tuple(rest) == expected
    assert_same(got, message)
    assert message_address(frame) == message.address
    packet = decode(frame, version)
    assert isinstance(packet, Send)
    assert (packet.requires_response, packet.correlation_id, packet.sender_id) == expected
    if version >= 134:
        assert send_correlation_id(frame) == correlation_id


@given(MESSAGES, VERSIONS, st.booleans(), LONG, st.integers(0, 1 << 30))
def test_the_template_writes_what_the_general_way_writes(
    message: CoreMessage, version: int, response: bool, correlation_id: int, sender_id: int
) -> None:
    message.message_id = 0
    template = SendTemplate(
        10,
        version,
        message.address,
        message.body_type,
        message.durable,
        message.priority,
        message.expiration,
        sender_id,
    )
    rest = (message.body, message.timestamp, encode_properties(message.properties), message.user_id)
    frame = template.encode(*rest, correlation_id, response)
    assert frame == encode_send(message, 10, version, response, correlation_id, sender_id)
    message.expiration = 77
    frame = template.encode(*rest, correlation_id, response, expiration=77)
    assert frame == encode_send(message, 10, version, response, correlation_id, sender_id)


@given(MESSAGES, LONG, st.integers(0, 1 << 30))
def test_a_delivery_is_read_as_it_was_written(message: CoreMessage, consumer_id: int, count: int) -> None:
    frame = encode_receive(message, consumer_id, count, 10)
    assert encode(ReceiveMessage(message, consumer_id, count), 10, 136) == frame
    got = received(frame)
    assert got.frame_size == len(frame)
    assert (got.consumer_id, got.delivery_count, got.large_size) == (consumer_id, count, -1)
    assert_same(got, message)


@given(MESSAGES, VERSIONS)
def test_the_opening_of_a_large_message_is_read_as_it_was_written(message: CoreMessage, version: int) -> None:
    sent = encode_send_large_header(message, 10, version)
    assert encode(SendLarge(message), 10, version) == sent
    assert_same(decode_large_header(sent), message, body=False)
    delivered = encode(ReceiveLarge(3, 2, 1 << 40, message), 10, version)
    got = decode_large_header(delivered)
    assert (got.consumer_id, got.delivery_count, got.large_size) == (3, 2, 1 << 40)
    assert_same(got, message, body=False)
    assert message_address(sent) == message_address(delivered) == message.address


@pytest.mark.parametrize("name", [*HEADER, "body", "properties", "consumer_id", "delivery_count", "large_size"])
def test_each_part_can_be_the_first_that_is_asked_for(name: str) -> None:
    properties: dict[str, PropertyValue] = {"a": 1}
    message = CoreMessage(b"body", MAP, "address", user_id=b"u" * 16, priority=7, properties=properties, message_id=5)
    frame = encode_receive(message, 3, 1, 10)
    expected = {"consumer_id": 3, "delivery_count": 1, "large_size": -1}
    assert getattr(received(frame), name) == expected.get(name, getattr(message, name))


def test_what_was_decoded_is_kept_and_can_be_changed() -> None:
    got = received(encode_receive(CoreMessage(b"body", properties={"a": 1}), 3, 1, 10)).load()
    assert got.properties is got.properties
    assert got.body is got.body
    got.priority, got.body = 9, b"other"
    assert (got.priority, got.body, got.durable) == (9, b"other", True)


def test_an_attribute_that_no_message_has_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="colour"):
        CoreMessage().colour  # type: ignore[attr-defined]  # noqa: B018


def test_the_repr_shows_no_content() -> None:
    shown = repr(CoreMessage(b"secret body", address="a", properties={"password": "hunter2"}))
    assert "secret" not in shown
    assert "hunter2" not in shown


def test_markers_of_forced_deliveries_are_told_from_messages() -> None:
    marker = CoreMessage(b"\0\0\0\0", properties={FORCED_DELIVERY: 12})
    assert forced_delivery_sequence(received(encode_receive(marker, 3, 0, 10))) == 12
    assert forced_delivery_sequence(received(encode_receive(marker, 3, 1, 10))) is None
    browsed = CoreMessage(b"", properties={"a": 1})
    assert forced_delivery_sequence(received(encode_receive(browsed, 3, 0, 10))) is None


def test_a_captured_marker_is_one() -> None:
    found = [
        forced_delivery_sequence(received(vector.frame))
        for vector in VECTORS
        if vector.name == "SESS_RECEIVE_MSG" and FORCED_DELIVERY in vector.fields["message"]["properties"]
    ]
    assert found
    assert all(isinstance(sequence, int) for sequence in found)


@given(st.none() | ANY_TEXT.map(joined))
def test_text_bodies_survive(text: str | None) -> None:
    assert text_of(text_body(text)) == text


def test_known_text_bodies() -> None:
    assert text_body(None) == b"\0"
    assert text_body("") == b"\1\0\0\0\0"
    assert text_of(b"") is None


@pytest.mark.parametrize("body", [b"\1", b"\1\0\0\0\2a", b"\1\0\0\0\1a", b"\1\xff\xff\xff\xff"])
def test_a_body_that_is_no_text_is_a_format_error(body: bytes) -> None:
    with pytest.raises(MessageFormatError):
        text_of(body)


@pytest.mark.parametrize("position", [-1, 0, 12, 300, 0x7FFFFFFF, -0x80000000])
@pytest.mark.parametrize("kind", [71, 75])
def test_a_body_that_ends_elsewhere_is_refused_at_once(kind: int, position: int) -> None:
    frame = FRAME.pack(100 + 9 + 4, kind, 10) + position.to_bytes(4, "big", signed=True) + b"\0" * 100
    with pytest.raises(RemoteProtocolError):
        received(frame)
    with pytest.raises(RemoteProtocolError):
        decode(frame, 136)


@pytest.mark.parametrize("frame", [b"", b"\0" * 4, FRAME.pack(9, 75, 1), FRAME.pack(9, 76, 1), FRAME.pack(9, 21, 1)])
def test_frames_that_hold_no_message_are_refused(frame: bytes) -> None:
    for read in (received, message_address, decode_large_header, lambda given: decode_send(given, 136)):
        with pytest.raises(RemoteProtocolError):
            read(frame)


def test_every_prefix_and_flip_of_a_delivery_is_read_or_refused() -> None:
    properties: dict[str, PropertyValue] = {"name": "value", "n": 1}
    frame = encode_receive(CoreMessage(b"body", TEXT, "address", user_id=b"u" * 16, properties=properties), 3, 1, 10)
    bad = [frame[:size] for size in range(len(frame))]
    for position in range(4, len(frame)):
        bad += [frame[:position] + bytes([frame[position] ^ flip]) + frame[position + 1 :] for flip in (1, 0x80, 0xFF)]
    for each in bad:
        try:
            received(each).load()
        except RemoteProtocolError:
            continue


@pytest.mark.parametrize(
    ("name", "value"),
    [("priority", 128), ("body_type", -129), ("timestamp", 1 << 63), ("expiration", "x"), ("user_id", b"short")],
)
def test_a_header_that_has_no_place_on_the_wire_is_named(name: str, value: object) -> None:
    message = CoreMessage(b"", BYTES, "a")
    setattr(message, name, value)
    with pytest.raises(MessageFormatError, match=name):
        encode_send(message, 10, 136)


def test_a_template_is_checked_when_it_is_made() -> None:
    with pytest.raises(MessageFormatError, match="priority"):
        SendTemplate(10, 136, "a", priority=200)
    with pytest.raises(LocalProtocolError, match="137"):
        SendTemplate(10, 137, "a")
    with pytest.raises(MessageFormatError, match="user_id"):
        SendTemplate(10, 136, "a").encode(b"", 0, user_id=b"short")


@pytest.mark.parametrize("version", [-1, 137])
def test_versions_that_nobody_speaks_are_refused(version: int) -> None:
    for write in (encode_send, encode_send_large_header):
        with pytest.raises(LocalProtocolError, match=str(version)):
            write(CoreMessage(), 10, version)


class _Deliverer:
    """Stands for the chain from a message to the consumer that reads its pieces."""

    def __init__(self) -> None:
        self.consumer = self
        self.owner = self
        self.reads = 0

    def read_whole(self, message: CoreMessage) -> bytes:
        self.reads += 1
        return b"pieces"


def test_a_body_in_pieces_is_read_once_when_it_is_asked_for() -> None:
    message = decode_large_header(encode(ReceiveLarge(3, 1, 6, CoreMessage(address="a")), 10, 136))
    assert message.body == b""
    deliverer = _Deliverer()
    message.body_follows(object())
    message.origin = deliverer
    assert (message.body, message.body, deliverer.reads) == (b"pieces", b"pieces", 1)


def test_the_duplicate_id_is_found_in_an_encoded_send() -> None:
    with_id = encode_send(CoreMessage(b"", properties={"a": 1, "_AMQ_DUPL_ID": b"i" * 16}), 10, 136)
    assert may_have_duplicate_id(with_id)
    assert duplicate_id_of(with_id) == b"i" * 16
    without = encode_send(CoreMessage(text_body("_AMQ_DUPL_ID"), TEXT), 10, 136)
    assert duplicate_id_of(without) is None
    assert not may_have_duplicate_id(encode_send(CoreMessage(b""), 10, 136))


class Inflating:
    """Stands for the consumer that delivered a message, and for its origin."""

    def __init__(self) -> None:
        self.consumer = self.owner = self
        self.inflated: list[bytes] = []

    def inflate(self, message: CoreMessage, body: bytes) -> bytes:
        self.inflated.append(body)
        return b"inflated"


@pytest.mark.parametrize("head", [b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"])
def test_a_compressed_body_in_one_frame_is_inflated_once_when_it_is_asked_for(head: bytes) -> None:
    origin = Inflating()
    found = received(encode_receive(CoreMessage(head + b"..", TEXT, "q", properties={LARGE_COMPRESSED: True}), 1, 1, 5))
    found.origin = origin
    assert not origin.inflated
    assert found.body == found.body == b"inflated"
    assert origin.inflated == [head + b".."]


@pytest.mark.parametrize("body", [b"", b"x", b"\x78\x9c..", b"xyz", b"\x01\0\0\0\0"])
@pytest.mark.parametrize("mark", [None, False, "true"])
def test_other_bodies_are_left_alone(body: bytes, mark: PropertyValue) -> None:
    origin = Inflating()
    found = received(encode_receive(CoreMessage(body, BYTES, "q", properties={LARGE_COMPRESSED: mark}), 1, 1, 5))
    found.origin = origin
    assert found.body == body
    assert not origin.inflated
