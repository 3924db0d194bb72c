"""Compressed bodies: inflated within a limit, in the memory of the body, or refused."""

from __future__ import annotations

import io
import tracemalloc
import zlib

import pytest

from activeclient import AcknowledgeMode, EmbeddedBroker, ServerLocator, connect
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


def test_a_body_that_was_announced_too_large_is_refused_before_anything_is_inflated() -> None:
    with pytest.raises(LargeMessageError, match="of 5000 bytes is larger than maxLargeMessageSize=1000 "):
        inflate(b"not even compressed", 1000, 5000)


@pytest.mark.parametrize(("announced", "says"), [(999, "goes on after the 999 bytes"), (1001, "has 1000 bytes, 1001")])
def test_a_body_of_another_size_than_was_announced_is_refused(announced: int, says: str) -> None:
    assert inflate(zlib.compress(bytes(1000)), 5000, 1000) == bytes(1000)
    with pytest.raises(LargeMessageError, match=says):
        inflate(zlib.compress(bytes(1000)), 5000, announced)


def test_inflating_takes_the_memory_of_the_body_once() -> None:
    size = 32 << 20
    compressed = zlib.compress(bytes(size), 1)
    tracemalloc.start()
    try:
        assert len(inflate(compressed, size)) == size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Growing moves it at times, when the system has no room behind it.
    assert peak < 1.7 * size


@pytest.mark.parametrize("size", [3_000_000, 300_000_000])
def test_a_compressed_body_is_bounded_by_default(size: int) -> None:
    """A large message of few bytes on the wire; the default limit is what a body may take in memory."""
    with (
        EmbeddedBroker() as broker,
        ServerLocator(broker.vm_url, compress_large_message=True).create_session_factory() as factory,
        factory.create_session() as session,
    ):
        session.create_queue("q")
        with session.create_producer("q") as producer:
            message = session.create_message()
            message.body_input = Zeros(size)
            producer.send(message)
        session.start()
        message = session.create_consumer("q").receive(30)
        assert message is not None
        if size < 268_435_456:
            assert message.body == bytes(size)
        else:
            with pytest.raises(LargeMessageError, match="of 300000000 bytes is larger than maxLargeMessageSize="):
                _ = message.body
            # Nothing was read of it: it can be, as a stream.
            with message.open_body() as body:
                assert sum(map(len, iter(lambda: body.read(1 << 20), b""))) == size


@pytest.mark.parametrize("size", [300_000, 5_000_000], ids=["read at receipt", "streamed"])
@pytest.mark.parametrize("mode", [AcknowledgeMode.AUTO_ACKNOWLEDGE, AcknowledgeMode.CLIENT_ACKNOWLEDGE])
def test_a_body_is_saved_whole_or_not_at_all(size: int, mode: AcknowledgeMode) -> None:
    body = bytes(range(250)) * (size // 250)
    with EmbeddedBroker() as broker, connect(broker.url) as connection, connection.create_session(mode) as session:
        queue = session.create_queue("q")
        session.create_producer(queue).send(body)
        message = session.create_consumer(queue).receive(30)
        file = io.BytesIO()
        assert message.save_to(file) == size
        assert file.getvalue() == body


def test_the_rest_of_a_body_does_not_pass_for_all_of_it() -> None:
    body = bytes(5_000_000)
    with EmbeddedBroker() as broker, connect(broker.url) as connection, connection.create_session() as session:
        queue = session.create_queue("q")
        session.create_producer(queue).send(body)
        message = session.create_consumer(queue).receive(30)
        with message.open_body() as file:
            assert file.read(10) == body[:10]
        with pytest.raises(LargeMessageError, match="can be read once"):
            _ = message.data
        with pytest.raises(LargeMessageError, match="can be read once"):
            message.open_body()


class Zeros(io.RawIOBase):
    """A source of zeros."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        size = self._left if size < 0 else min(size, self._left)
        self._left -= size
        return bytes(size)
