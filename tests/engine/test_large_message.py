"""Bodies that stream in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activeclient.engine.large_message import InboundBody
from activeclient.errors import ConnectionLost, LargeMessageError, RemoteProtocolError

HEADER = 50
OVERHEAD = 22


def pieces_of(body, sizes):
    """The body cut at these sizes, over and over; each with whether it is the last."""
    pieces, position, turn = [], 0, 0
    while position < len(body):
        size = sizes[turn % len(sizes)]
        pieces.append(body[position : position + size])
        position += size
        turn += 1
    return [(piece, n == len(pieces) - 1) for n, piece in enumerate(pieces)]


@given(st.data())
def test_what_is_handed_out_is_a_prefix_whatever_is_replayed_and_delivered_anew(data):
    body = bytes(n % 251 for n in range(data.draw(st.integers(1, 400))))
    stream = InboundBody(len(body), HEADER)
    out = b""
    credits = charged = 0

    def take(how_many):
        nonlocal out, credits
        for _ in range(how_many):
            taken = stream.take()
            if taken is None:
                break
            out += taken[0]
            credits += taken[1]
            assert out == body[: len(out)]

    for _ in range(data.draw(st.integers(0, 4))):
        pieces = pieces_of(body, data.draw(st.lists(st.integers(1, 120), min_size=1, max_size=4)))
        until = data.draw(st.integers(0, len(pieces)))
        for number, (piece, last) in enumerate(pieces):
            if number >= until:  # from here on a replay gives the content of later pieces
                stream.suspend()
                piece = b"?" * len(piece)
            credits += stream.add(piece, len(piece) + OVERHEAD, last)
            charged += len(piece) + OVERHEAD
            take(data.draw(st.integers(0, 2)))
        if until == len(pieces):
            assert stream.complete
        stream.resume()
    for piece, last in pieces_of(body, [97]):
        credits += stream.add(piece, len(piece) + OVERHEAD, last)
        charged += len(piece) + OVERHEAD
    assert stream.complete
    assert stream.error is None
    take(10_000)
    assert out == body
    assert credits == charged
    assert stream.held == 0


def test_nothing_is_ready_until_something_came_or_it_ended():
    stream = InboundBody(3, HEADER)
    assert not stream.ready
    assert stream.take() is None
    stream.add(b"abc", 25, True)
    assert stream.ready


def test_a_body_that_ends_early_is_an_error_that_says_where():
    stream = InboundBody(10, HEADER)
    stream.add(b"abc", 25, True)
    assert isinstance(stream.error, LargeMessageError)
    assert "3 of 10" in str(stream.error)
    assert stream.take() == (b"abc", 25)


def test_a_body_that_goes_on_after_its_size_is_refused_and_drops_what_lies_here():
    stream = InboundBody(4, HEADER)
    stream.add(b"abc", 25, False)
    with pytest.raises(RemoteProtocolError, match="4 bytes"):
        stream.add(b"de", 24, False)
    assert stream.take() is None
    assert stream.discarded
    assert stream.held == 0
    assert stream.error is not None


def test_a_discarded_body_gives_its_credits_back_and_takes_nothing_more():
    stream = InboundBody(10, HEADER)
    stream.add(b"abc", 25, False)
    stream.add(b"de", 24, False)
    assert stream.discard() == 49
    assert stream.add(b"fgh", 25, False) == 25
    assert stream.add(b"ij", 24, True) == 24
    assert stream.take() is None
    assert stream.error is None
    assert stream.discard() == 0


def test_an_empty_piece_returns_its_credits_at_once():
    stream = InboundBody(0, HEADER)
    assert stream.add(b"", 22, True) == 22
    assert stream.complete
    assert stream.error is None


def test_a_failed_stream_is_ready_so_that_its_reader_hears_of_it():
    stream = InboundBody(10, HEADER)
    stream.fail(ConnectionLost("gone"))
    assert stream.ready
    assert str(stream.error) == "gone"
