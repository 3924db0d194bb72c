"""Bodies that were compressed into one frame: inflated within a limit, or refused."""

from __future__ import annotations

import zlib

import pytest

from activeclient.client.large_message import inflate
from activeclient.errors import LargeMessageError


@pytest.mark.parametrize("size", [0, 1, 1000, 1_000_000])
@pytest.mark.parametrize("level", [-1, 0, 1, 5, 9])
def test_bodies_of_every_size_and_level_are_inflated(size: int, level: int) -> None:
    assert inflate(zlib.compress(bytes(size), level), size) == bytes(size)


def test_no_limit_is_no_limit() -> None:
    assert inflate(zlib.compress(bytes(5000)), 0) == inflate(zlib.compress(bytes(5000)), -1) == bytes(5000)


def test_a_body_beyond_the_limit_is_refused_before_it_is_inflated() -> None:
    bomb = zlib.compress(bytes(100_000_000), 9)
    with pytest.raises(LargeMessageError, match="maxLargeMessageSize=1000 "):
        inflate(bomb, 1000)


@pytest.mark.parametrize("data", [b"\x78\x9c", b"\x78\x9cdamaged", zlib.compress(b"x" * 100)[:-1], b"\x78\x01\xff"])
def test_a_damaged_body_is_refused(data: bytes) -> None:
    with pytest.raises(LargeMessageError, match=r"damaged|too early"):
        inflate(data, 1000)
