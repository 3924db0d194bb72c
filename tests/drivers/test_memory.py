"""The pipe is a socket to whoever holds an end."""

from __future__ import annotations

import select

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.drivers.memory import pipe
from activeclient.errors import ConnectionLost

VIEW = memoryview(bytearray(4096))


def readable(fd: int) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=30), st.integers(1, 200), st.integers(1, 100))
def test_what_goes_in_comes_out_in_order_whatever_the_sizes(chunks: list[bytes], capacity: int, step: int) -> None:
    near, far = pipe(capacity)
    try:
        near.send(chunks)
        whole = b"".join(chunks)
        got = b""
        while len(got) < len(whole):
            assert readable(far.fileno())
            got += far.recv(VIEW[:step]) or b""
            if near.stuck:
                near.recv(VIEW)  # room shows as readability
        assert got == whole
        assert near.stuck == 0
        assert far.recv(VIEW) is None
        assert not readable(far.fileno())
    finally:
        near.close()
        far.close()


def test_the_reader_gets_the_rest_and_then_the_end() -> None:
    near, far = pipe()
    near.send([b"a", b"b"])
    near.close()
    near.close()
    assert far.recv(VIEW) == b"ab"
    assert far.recv(VIEW) == b""
    with pytest.raises(ConnectionLost):
        far.send([b"x"])
    far.close()
    with pytest.raises(ConnectionLost):
        far.recv(VIEW)


def test_room_wakes_the_writer() -> None:
    near, far = pipe(10)
    near.send([b"x" * 25])
    assert near.stuck == 15
    assert not readable(near.fileno())
    assert far.recv(VIEW) == b"x" * 10
    assert readable(near.fileno())
    assert near.recv(VIEW) is None
    assert near.stuck == 5
    near.close()
    far.close()
