"""The stream is cut where the lengths say, however it arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.errors import RemoteProtocolError
from activeclient.wire.frames import FRAME, HEADER_SIZE, MAGIC, FrameSplitter


def frame(content: bytes = b"") -> bytes:
    return FRAME.pack(len(content) + 9, 10, 0) + content


@given(st.lists(st.binary(max_size=40), max_size=8), st.data(), st.booleans())
def test_any_chunking_gives_the_same_frames(contents: list[bytes], data: st.DataObject, magic: bool) -> None:
    frames = [frame(content) for content in contents]
    stream = (MAGIC if magic else b"") + b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    splitter = FrameSplitter(magic=True)
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += splitter.feed(memoryview(stream)[start:end])
    assert got == frames
    assert splitter.held == 0 or (magic and not frames)


def test_byte_by_byte() -> None:
    frames = [frame(b"abc"), frame(), frame(b"x" * 50)]
    splitter = FrameSplitter()
    got = []
    for byte in b"".join(frames):
        got += splitter.feed(bytes([byte]))
        assert splitter.held < 50 + HEADER_SIZE
    assert got == frames


@pytest.mark.parametrize("length", [-1, -(1 << 31), 0, 8, 997, (1 << 31) - 1])
def test_a_length_out_of_bounds_is_refused_as_soon_as_it_is_here(length: int) -> None:
    splitter = FrameSplitter(limit=1000)
    with pytest.raises(RemoteProtocolError):
        splitter.feed(length.to_bytes(4, "big", signed=True))
    assert splitter.held == 0
    with pytest.raises(RemoteProtocolError):
        splitter.feed(frame())


def test_the_limit_is_the_size_of_the_whole_frame() -> None:
    assert FrameSplitter(limit=1000).feed(frame(b"x" * 987)) == [frame(b"x" * 987)]


def test_another_greeting_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="ARTEMIS"):
        FrameSplitter(magic=True).feed(b"ARTEMIX" + frame())


def test_frames_are_immutable_whatever_was_fed() -> None:
    assert all(type(each) is bytes for each in FrameSplitter().feed(bytearray(frame() + frame(b"a"))))
