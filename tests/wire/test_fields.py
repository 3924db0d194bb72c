"""Texts and records at their edges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import LocalProtocolError, RemoteProtocolError
from activeclient.wire import fields
from activeclient.wire.fields import Long, TransportConfiguration, Xid

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)


def joined(text: str) -> str:
    """Two surrogates in a row are one character in Java's eyes."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@given(ANY_TEXT)
def test_texts_survive_all_three_forms(text: str) -> None:
    for write, read in (
        (fields.write_simple, fields.read_simple),
        (fields.write_string, fields.read_string),
        (fields.write_utf, fields.read_utf),
    ):
        data = write(text)
        assert read(b"?" + data + b"?", 1) == (joined(text), len(data) + 1)


@pytest.mark.parametrize("count", [0, 1, 8, 9, 4094, 4095, 5000])
@pytest.mark.parametrize("unit", ["a", "\0", "é", "€", "\ud800", "😀"])
def test_strings_at_the_edges_of_their_forms(count: int, unit: str) -> None:
    if unit == "😀":
        text = unit * (count // 2) + "a" * (count % 2)
    else:
        text = unit * count
    data = fields.write_string(text)
    assert fields.read_string(data, 0) == (text, len(data))
    form = len(data) - 4
    if count < 9:
        assert form == 2 * count
    elif count < 4095:
        assert form == 2 + len(fields.modified_utf8(text))
    else:
        assert form == 4 + 2 * count


def test_known_bytes() -> None:
    assert fields.write_simple("aé").hex() == "000000046100e900"
    assert fields.write_string("aé").hex() == "00000002006100e9"
    assert fields.write_utf("a\0😀").hex() == "00086100eda0bdedb880"


def test_a_text_too_long_for_its_form_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="65535"):
        fields.write_utf("a" * 65536)


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (fields.read_simple, "7fffffff"),
        (fields.read_simple, "80000000"),
        (fields.read_simple, "0000000161"),
        (fields.read_simple, "0000"),
        (fields.read_string, "7fffffff"),
        (fields.read_string, "ffffffff"),
        (fields.read_string, "0000000800610061000000000000"),
        (fields.read_string, "00000009000161ffffffffffffffffff"),
        (fields.read_string, "000000090001ff000000000000000000"),
        (fields.read_bytes, "7fffffff00"),
        (fields.read_bytes, "ffffffff00"),
        (fields.read_utf, "00"),
        (fields.read_utf, "ffff61"),
        (fields.read_xid, "0000000100000001"),
        (fields.read_transport, "00000001006100000001006100ffffff"),
        (fields.read_transport, "00000001006100000001006100000001000000010061090000"),
        (fields.listed(fields.Sized(fields.write_xid, fields.read_xid), 12).read, "7fffffff00000000"),
        (fields.read_nullable_string, ""),
    ],
)
def test_lengths_beyond_the_frame_are_refused(read: fields.Reader[object], data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        read(bytes.fromhex(data), 0)


@given(st.integers(-(1 << 31), (1 << 31) - 1), st.binary(max_size=64), st.binary(max_size=64))
def test_transaction_ids_survive(format_id: int, branch: bytes, name: bytes) -> None:
    data = fields.write_xid(Xid(format_id, name, branch))
    assert fields.read_xid(data, 0) == (Xid(format_id, name, branch), len(data))


def test_transport_parameters_keep_their_types() -> None:
    params = {"host": "h", "port": 61616, "big": Long(5), "huge": 1 << 40, "yes": True, "no": False}
    given_one = TransportConfiguration("n", "factory.of.some.length", params)
    data = fields.write_transport(given_one)
    got, end = fields.read_transport(data, 0)
    assert (got, end) == (given_one, len(data))
    assert [type(value) for value in got.params.values()] == [str, int, Long, Long, bool, bool]
    assert fields.write_transport(got) == data
