"""Every packet, against captured frames and against nonsense."""

from __future__ import annotations

import dataclasses
import math
import random
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.broker.configuration import QueueConfiguration
from activeclient.errors import LocalProtocolError, RemoteProtocolError, UnsupportedOperationError
from activeclient.wire import packets, versions
from activeclient.wire.fields import I32, Fixed, Long, Sized, TransportConfiguration, Xid
from activeclient.wire.frames import FRAME, FrameSplitter
from activeclient.wire.message import CoreMessage
from activeclient.wire.packet import REGISTRY, Packet, _encoder, _fields, _form, decode, encode, is_counted, packet
from activeclient.wire.packets.queues import BY_ADDRESS, UNTOLD
from activeclient.wire.properties import Byte, Char, Float32, Int, Short
from activeclient.wire.queue_attributes import QUEUE_ATTRIBUTES, attribute_types
from tests.wire.vectors import VECTORS, Vector

NAMES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    Byte: "byte",
    bytes: "bytes",
    Short: "short",
    Int: "int",
    int: "long",
    Float32: "float",
    float: "double",
    str: "string",
    Char: "char",
}


RENAMED = {"scale_down_node_id": "target_node_id"}
"""What the newest form of a packet calls otherwise than an older one."""


def plain(value: object) -> object:
    """A decoded value in the terms of the captures' descriptions."""
    match value:
        case CoreMessage():
            names = ("message_id", "address", "user_id", "body_type", "durable", "expiration", "timestamp", "priority")
            found = {name: plain(getattr(value, name)) for name in names}
            found["properties"] = {name: [NAMES[type(each)], each] for name, each in value.properties.items()}
            return found | ({"body": value.body.hex()} if value.large_size < 0 else {})
        case Xid() | TransportConfiguration():
            return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
        case bytes():
            return value.hex()
        case Long():
            return {"long": int(value)}
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
    return value


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list) and len(expected) == 2 and isinstance(found, list):
        kind, value = found
        if kind == "bytes":
            return expected == [kind, value.hex()]
        if kind == "char":
            return expected == [kind, ord(value)]
        if kind in ("float", "double"):
            if isinstance(expected[1], str) and expected[1].startswith("bits:"):
                bits = bytes.fromhex(expected[1][5:])
                return math.isnan(value) or value == struct.unpack(">f" if len(bits) == 4 else ">d", bits)[0]
            return expected[0] == kind and (value == expected[1] or (math.isnan(value) and math.isnan(expected[1])))
    return bool(found == expected and type(found) is type(expected))


def rewritten(vector: Vector) -> tuple[Packet, bytes]:
    decoded = decode(vector.frame, vector.version)
    _, kind, channel = FRAME.unpack_from(vector.frame)
    return decoded, _encoder(type(decoded), vector.version, kind)(decoded, channel)


def test_every_captured_frame_is_written_again_byte_for_byte() -> None:
    wrong = [(vector.name, vector.frame.hex()) for vector in VECTORS if rewritten(vector)[1] != vector.frame]
    assert wrong == []


def test_a_version_chooses_the_form_that_was_captured() -> None:
    # Artemis tells of members that leave in the form of 122; all old forms were also captured on connections of 136.
    wrong = {
        (kind, vector.version)
        for vector in VECTORS
        if (kind := FRAME.unpack_from(vector.frame)[1]) != _form(REGISTRY[kind], vector.version)
    }
    assert {(kind, version) for kind, version in wrong if version != versions.NEWEST} <= {(-18, 130), (112, 121)} | {
        (34, version) for version in range(129, 136)
    } | {(114, version) for version in range(125, 131)}


def test_every_captured_frame_says_what_its_capture_says() -> None:
    for vector in VECTORS:
        decoded = decode(vector.frame, vector.version)
        for name, expected in vector.fields.items():
            found = plain(getattr(decoded, RENAMED.get(name, name)))
            if name == "message" and isinstance(found, dict) and "body" not in expected:
                found.pop("body", None)
            assert same(found, expected), (vector.name, vector.version, name, found, expected)


def test_every_declared_packet_was_captured() -> None:
    assert {FRAME.unpack_from(vector.frame)[1] for vector in VECTORS} == set(REGISTRY)


def test_all_packets_are_exported() -> None:
    assert {REGISTRY[kind].__name__ for kind in REGISTRY} == set(packets.__all__) - {"NULL"}


def test_bytes_behind_the_known_fields_are_ignored() -> None:
    whole_message = {71, 72, 75, 76}
    for vector in VECTORS:
        length, kind, channel = FRAME.unpack_from(vector.frame)
        if kind in whole_message or vector.version < versions.NEWEST:
            continue
        full = rewritten(vector)[1]
        optional = any(
            each.optional and getattr(decode(full, vector.version), each.name) is None
            for each in _fields(REGISTRY[kind], vector.version)
        )
        if optional and kind in (20, 43, 55, -4, -5):
            continue  # what follows would be its correlation id, or its map
        longer = FRAME.pack(length + 3, kind, channel) + vector.frame[13:] + b"\1\2\3"
        assert decode(longer, vector.version) == decode(vector.frame, vector.version)


def test_a_frame_cut_short_is_an_error_or_an_older_peers() -> None:
    seen: dict[tuple[int, int], int] = {}
    for vector in VECTORS:
        _, kind, channel = FRAME.unpack_from(vector.frame)
        if seen.setdefault((kind, vector.version), 0) >= 2 or len(vector.frame) > 400:
            continue
        seen[kind, vector.version] += 1
        for size in range(13, len(vector.frame)):
            cut = FRAME.pack(size - 4, kind, channel) + vector.frame[13:size]
            try:
                decoded = decode(cut, vector.version)
            except RemoteProtocolError:
                continue
            # Accepted: then all that is missing has a default, and the rest was read as it is.
            assert type(decoded) is REGISTRY[kind]
            with pytest.raises(RemoteProtocolError):
                decode(vector.frame[:size], vector.version)


def test_flipped_bytes_never_do_worse_than_a_protocol_error() -> None:
    chosen = random.Random(1)
    by_kind: dict[int, Vector] = {}
    for vector in VECTORS:
        if len(vector.frame) < 400:
            by_kind.setdefault(vector.frame[4], vector)
    for vector in by_kind.values():
        for position in range(4, len(vector.frame)):
            for flip in (0xFF, 0x80, 1 << chosen.randrange(8)):
                bad = bytearray(vector.frame)
                bad[position] ^= flip
                try:
                    decoded = decode(bytes(bad), vector.version)
                    message = getattr(decoded, "message", None)
                    if isinstance(message, CoreMessage):
                        message.load()
                except RemoteProtocolError:
                    pass


@given(st.binary(max_size=200), st.sampled_from(sorted(REGISTRY)), st.sampled_from(versions.SUPPORTED))
def test_any_bytes_decode_or_are_a_protocol_error(content: bytes, kind: int, version: int) -> None:
    frame = FRAME.pack(len(content) + 9, kind, 10) + content
    try:
        decoded = decode(frame, version)
    except RemoteProtocolError:
        return
    assert type(decoded) is REGISTRY[kind]


def test_the_stream_of_all_captures_splits_into_them() -> None:
    stream = b"".join(vector.frame for vector in VECTORS)
    assert FrameSplitter().feed(stream) == [vector.frame for vector in VECTORS]


def test_a_packet_without_messages_survives_default_values_in_every_version() -> None:
    for kind, cls in REGISTRY.items():
        if kind in (71, 72, 75, 76):
            continue
        for version in versions.SUPPORTED:
            if version < cls.SINCE or _form(cls, version) != kind:
                continue
            values: dict[str, Any] = {}
            for each in dataclasses.fields(cls):  # type: ignore[arg-type]
                if each.default is dataclasses.MISSING:
                    field = next(f for f in _fields(cls, version) if f.name == each.name)
                    values[each.name] = _some(field.kind)
            made = cls(**values)
            frame = encode(made, 10, version)
            assert FRAME.unpack_from(frame) == (len(frame) - 4, kind, 10)
            again = decode(frame, version)
            assert encode(again, 10, version) == frame


def _some(kind: Fixed | Sized[Any]) -> object:
    if isinstance(kind, Fixed):
        return kind.read_format == "?" or 7
    for value in (None, "text", b"bytes", Xid(1, b"global", b"branch"), [], 3):
        try:
            kind.write(value)
        except (TypeError, AttributeError):
            continue
        return value
    raise AssertionError(kind)


def test_two_packets_of_one_type_fail_at_import() -> None:
    with pytest.raises(TypeError, match="Ping already"):

        @packet(10)
        class Second(Packet):
            value: I32


def test_a_field_without_a_kind_is_told_by_its_name() -> None:
    @packet(99)
    class Vague(Packet):
        value: int

    del REGISTRY[99]
    with pytest.raises(TypeError, match=r"Vague\.value has no kind"):
        _fields(Vague, versions.NEWEST)


@pytest.mark.parametrize("cls", REGISTRY.values(), ids=lambda cls: cls.__name__)
def test_every_field_of_a_packet_has_a_kind(cls: type[Packet]) -> None:
    assert {field.name for field in _fields(cls, versions.NEWEST)} == {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]


def test_an_unknown_type_is_a_protocol_error_that_names_it() -> None:
    with pytest.raises(RemoteProtocolError, match="99"):
        decode(FRAME.pack(9, 99, 1), 136)


@pytest.mark.parametrize("frame", [b"", b"\0" * 12, FRAME.pack(10, 10, 0), FRAME.pack(8, 67, 0), FRAME.pack(-1, 67, 0)])
def test_a_frame_that_is_not_whole_is_refused(frame: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        decode(frame, 136)


def test_metadata_is_counted_by_its_flag_only() -> None:
    assert not is_counted(packets.AddMetadata("k", "v"))
    for cls in (packets.AddCountedMetadata, packets.UniqueAddMetadata):
        assert is_counted(cls("k", "v", True))
        assert not is_counted(cls("k", "v", False))


def test_what_is_not_counted() -> None:
    uncounted = {kind for kind, cls in REGISTRY.items() if not cls.COUNTED}
    assert uncounted == {10, 11, 124, -19, 110, 114, 122, -17, 112, 113, 30, -18, 31, 32, 33, -4, -5, 13, 22, 104}


def test_every_reply_is_a_packet_of_the_server() -> None:
    for cls in REGISTRY.values():
        for answer in cls.REPLY:
            assert answer.SENT_BY != "client"


def test_versions_bring_their_fields() -> None:
    consumer = packets.CreateConsumer(1, "q", priority=9)
    assert decode(encode(consumer, 10, 129), 129) == packets.CreateConsumer(1, "q")
    assert decode(encode(consumer, 10, 130), 130) == consumer
    assert len(encode(packets.Commit(5), 10, 131)) == 13
    assert len(encode(packets.Commit(5), 10, 132)) == 21
    assert len(encode(packets.Commit(), 10, 136)) == 13
    assert len(encode(packets.NullResponse(), 10, 129)) == 13
    assert decode(encode(packets.NullResponse(5), 10, 129), 129) == packets.NullResponse(-1)
    piece = packets.SendContinuation(b"x", False, 1, True, 7, 3)
    assert [len(encode(piece, 10, version)) for version in (129, 130, 133, 134)] == [28, 36, 36, 40]
    assert len(encode(packets.SendContinuation(b"x", True, 1, True, 7, 3), 10, 134)) == 32


def test_a_value_that_does_not_fit_is_named_without_being_shown() -> None:
    with pytest.raises(LocalProtocolError, match=r"FlowToken\.credits"):
        encode(packets.FlowToken(1, 1 << 31), 10, 136)
    session = packets.CreateSession("n", 10, 136, "u", "hunter2", 1, False, True, True, 1, False)
    session.password = 4711  # type: ignore[assignment]
    with pytest.raises(LocalProtocolError, match=r"CreateSession\.password") as caught:
        encode(session, 1, 136)
    assert "4711" not in str(caught.value)


def test_secrets_do_not_show() -> None:
    assert "hunter2" not in repr(packets.CreateSession("n", 10, 136, "u", "hunter2", 1, False, True, True, 1, False))
    assert "name-of-session" not in repr(packets.ReattachSession("name-of-session", 3))


def test_versions_that_nobody_speaks_are_refused() -> None:
    with pytest.raises(LocalProtocolError, match="137"):
        encode(packets.Ping(1), 0, 137)
    with pytest.raises(RemoteProtocolError, match="-1"):
        decode(encode(packets.Ping(1), 0, 136), -1)


@pytest.mark.parametrize("version", [121, 126, 128])
def test_messages_older_than_129_have_the_old_layout(version: int) -> None:
    sent = packets.Send(CoreMessage(b"body", address="a"), True)
    old, modern = encode(sent, 10, version), encode(sent, 10, 129)
    assert (len(old), old[13:17], old[17:21]) == (len(modern) + 4, struct.pack(">i", 21), b"body")
    assert old[21:25] == struct.pack(">i", len(old) - 1)
    again = decode(old, version)
    assert isinstance(again, packets.Send)
    assert (again.message.body, again.message.address, again.requires_response) == (b"body", "a", True)
    delivered = packets.ReceiveMessage(CoreMessage(b"body", address="a", message_id=5), 3, 2)
    again = decode(encode(delivered, 10, version), version)
    assert isinstance(again, packets.ReceiveMessage)
    assert (again.message.message_id, again.consumer_id, again.delivery_count) == (5, 3, 2)


def test_a_packet_that_a_version_lacks_is_refused_by_its_release() -> None:
    with pytest.raises(UnsupportedOperationError, match=r"CreateAddress.*version 128.*version 129 \(Artemis 2\.0\)"):
        encode(packets.CreateAddress("a", [0]), 10, 128)
    with pytest.raises(UnsupportedOperationError, match=r"CreateProducer.*version 133.*134 \(Artemis 2\.28\)"):
        encode(packets.CreateProducer(1), 10, 133)


def test_an_attribute_that_a_version_cannot_express_is_refused_and_not_left_out() -> None:
    queue = packets.CreateQueue("a", "q", auto_created=True, routing_type=1, exclusive=False)
    with pytest.raises(UnsupportedOperationError, match=r"CreateQueue\.exclusive.*version 126.*129 \(Artemis 2\.0\)"):
        encode(queue, 10, 126)
    queue.exclusive = None
    again = decode(encode(queue, 10, 126), 126)
    assert again == packets.CreateQueue("a", "q", routing_type=BY_ADDRESS)


def test_what_an_older_server_does_not_say_has_its_documented_value() -> None:
    address = decode(encode(packets.BindingQueryResponse(True, ["q"]), 10, 125), 125)
    assert address == packets.BindingQueryResponse(
        True, ["q"], True, True, supports_multicast=True, supports_anycast=True
    )
    queue = decode(encode(packets.QueueQueryResponse(True, exclusive=True, routing_type=1), 10, 128), 128)
    assert queue == packets.QueueQueryResponse(True, routing_type=UNTOLD)
    assert decode(encode(packets.Disconnect("n", 4), 0, 124), 124) == packets.Disconnect("n", -1)


def test_the_attributes_of_queues_stand_once() -> None:
    assert len(QUEUE_ATTRIBUTES) == len(set(QUEUE_ATTRIBUTES)) == 19
    for cls in (packets.CreateQueue, packets.CreateSharedQueue, packets.QueueQueryResponse, QueueConfiguration):
        assert set(QUEUE_ATTRIBUTES) <= {field.name for field in dataclasses.fields(cls)}
    assert attribute_types()["ring_size"] == (int, 64)
    assert attribute_types()["group_buckets"] == (int, 32)


def test_supported_versions_begin_with_the_best() -> None:
    assert tuple(sorted(range(121, 137), reverse=True)) == versions.SUPPORTED
    assert versions.SUPPORTED[0] == versions.NEWEST
