"""Property values keep type and bits."""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import MessageFormatError, RemoteProtocolError
from activeclient.wire.properties import (
    Byte,
    Char,
    Float32,
    Int,
    PropertyValue,
    Short,
    append_duplicate_id,
    append_property,
    decode_properties,
    decode_stream_value,
    duplicate_id_properties,
    encode_properties,
    encode_stream_value,
)
from tests.wire.test_fields import ANY_TEXT, joined

VALUES: st.SearchStrategy[PropertyValue] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(),
    st.binary(max_size=40),
    ANY_TEXT.map(joined),
    st.integers(-128, 127).map(Byte),
    st.integers(-32768, 32767).map(Short),
    st.integers(-(1 << 31), (1 << 31) - 1).map(Int),
    st.floats(width=32).map(Float32),
    st.characters(max_codepoint=0xFFFF, exclude_categories=()).map(Char),
)


def bits(value: object) -> object:
    return struct.pack(">d", value) if isinstance(value, float) else value


@given(st.dictionaries(ANY_TEXT.map(joined), VALUES, max_size=8))
def test_sets_keep_names_types_values_bits_and_order(properties: dict[str, PropertyValue]) -> None:
    data = encode_properties(properties)
    got, end = decode_properties(b"?" + data + b"?", 1)
    assert end == len(data) + 1
    assert list(got) == list(properties)
    assert [type(value) for value in got.values()] == [type(value) for value in properties.values()]
    assert [bits(value) for value in got.values()] == [bits(value) for value in properties.values()]
    assert encode_properties(got) == data


@given(VALUES)
def test_stream_elements_keep_types_and_bits(value: PropertyValue) -> None:
    data = encode_stream_value(value)
    got, end = decode_stream_value(data, 0)
    assert (type(got), bits(got), end) == (type(value), bits(value), len(data))


def test_stream_elements_have_forms_of_their_own() -> None:
    assert encode_stream_value(None) == b"\x0a\x00"
    assert encode_stream_value(True) == b"\x02\xff"
    assert encode_stream_value("a").hex() == "0a01000000010061"


@pytest.mark.parametrize(
    "pattern", ["7fc00000", "7f800001", "ffabcdef", "7f800000", "ff800000", "00000001", "80000000"]
)
def test_float_bits_survive(pattern: str) -> None:
    data = bytes.fromhex("0100000001" + "00000000" + "08" + pattern)
    got, _ = decode_properties(data, 0)
    assert type(got[""]) is Float32
    assert encode_properties(got) == data


@pytest.mark.parametrize("pattern", ["7ff8000000000000", "7ff0000000000001", "fff123456789abcd"])
def test_double_bits_survive(pattern: str) -> None:
    data = bytes.fromhex("0100000001" + "00000000" + "09" + pattern)
    assert encode_properties(decode_properties(data, 0)[0]) == data


def test_a_float32_is_rounded_when_it_is_made() -> None:
    assert Float32(1.1) == struct.unpack(">f", struct.pack(">f", 1.1))[0]
    assert math.isnan(Float32(math.nan))
    assert Float32(math.inf) == math.inf


@pytest.mark.parametrize(
    "make",
    [
        lambda: Byte(128),
        lambda: Byte(-129),
        lambda: Short(32768),
        lambda: Int(1 << 31),
        lambda: Float32(1e39),
        lambda: Char("ab"),
        lambda: Char(""),
        lambda: Char("😀"),
    ],
)
def test_values_out_of_range_fail_when_they_are_made(make: Callable[[], object]) -> None:
    with pytest.raises(MessageFormatError):
        make()


@pytest.mark.parametrize("value", [1 << 63, -(1 << 63) - 1, [], object(), {}, 1j])
def test_a_value_without_a_wire_type_is_refused_by_name(value: PropertyValue) -> None:
    with pytest.raises(MessageFormatError, match="'colour'"):
        encode_properties({"colour": value})


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(MessageFormatError, match="17"):
        encode_properties({17: 1})  # type: ignore[dict-item]


def test_subclasses_are_written_as_their_bases() -> None:
    class Level(enum.IntEnum):
        HIGH = 3

    class Name(str):
        __slots__ = ()

    given_ones = {"a": Level.HIGH, "b": Name("x"), "c": bytearray(b"y")}
    assert encode_properties(given_ones) == encode_properties({"a": 3, "b": "x", "c": b"y"})  # type: ignore[arg-type]


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.text(min_size=6, max_size=8), VALUES)
def test_appending_is_encoding_with_one_more(
    properties: dict[str, PropertyValue], name: str, value: PropertyValue
) -> None:
    assert append_property(encode_properties(properties), name, value) == encode_properties(properties | {name: value})


def test_duplicate_ids_have_a_short_way() -> None:
    id16 = bytes(range(16))
    assert duplicate_id_properties(id16) == encode_properties({"_AMQ_DUPL_ID": id16})
    assert append_duplicate_id(b"\0", id16) == duplicate_id_properties(id16)
    assert append_duplicate_id(encode_properties({"a": 1}), id16) == encode_properties({"a": 1, "_AMQ_DUPL_ID": id16})
    for short in (duplicate_id_properties, lambda id_: append_duplicate_id(b"\0", id_)):
        with pytest.raises(MessageFormatError, match="_AMQ_DUPL_ID"):
            short(b"too short")


def test_an_empty_set_is_one_byte() -> None:
    assert encode_properties({}) == b"\0"
    assert decode_properties(b"\0", 0) == ({}, 1)


def test_every_prefix_of_a_set_is_refused() -> None:
    data = encode_properties({"a": 1, "b": "text", "c": b"x", "d": Float32(1), "e": None, "f": Char("c"), "g": True})
    for size in range(len(data)):
        with pytest.raises(RemoteProtocolError):
            decode_properties(data[:size], 0)


@pytest.mark.parametrize(
    "data", ["017fffffff", "01ffffffff", "0100000001000000000c", "01000000010000000001", "0100000001000000016100"]
)
def test_sets_that_lie_are_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_properties(bytes.fromhex(data), 0)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_set_or_a_protocol_error(data: bytes) -> None:
    try:
        got, end = decode_properties(b"\1\0\0\0\1" + data, 0)
    except RemoteProtocolError:
        return
    assert len(got) == 1
    assert end <= len(data) + 5


@pytest.mark.parametrize("body", [b"", b"\x0b", b"\x0b\0", b"\x0a\x01\0", b"\x01", b"\x04\0\0\0\x05ab"])
def test_a_stream_element_that_is_not_there_is_a_format_error(body: bytes) -> None:
    with pytest.raises(MessageFormatError):
        decode_stream_value(body, 0)
